//! Truncated files and flipped bits, checked at the store: it may refuse to open and a read may
//! fail, but it never returns a wrong value and never loses one silently.
//!
//! Values are stored in clear here, so that AES-GCM does not detect the damage first.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use signet::entropy::{Entropy, Purpose};
use signet::store::id::MountId;
use signet::store::rocks::OpenError;
use signet::store::{Batch, Key, Rocks, Store, key};

use crate::ledger::Ledger;
use crate::machine::{Machine, copy_folder};

const MOUNT: &MountId = &MountId::new([7; 16]);

/// The value of each key; `None` was deleted.
type Records = BTreeMap<Key, Option<Vec<u8>>>;

/// A small store: some records in tables, some in the log; one of each part is deleted.
struct Sample {
    folder: tempfile::TempDir,
    /// The length of the log before and after each commit in it, and the records at that time.
    states: Vec<(u64, Records)>,
}

impl Sample {
    /// The records when the log had this length.
    fn records(&self, length: u64) -> &Records {
        let state = self.states.iter().rev().find(|(then, _)| *then <= length);
        &state.expect("the first length is 0").1
    }
}

/// How a damaged store behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    /// The damage has no effect.
    Whole,
    /// It does not open.
    Refused,
    /// It opens, and a read fails.
    ReadFails,
    /// It opens, and a record is lost, changed or restored without an error.
    Silent,
    /// Opening it does not return.
    Hangs,
}

fn log_of(folder: &Path) -> std::path::PathBuf {
    let entries = fs::read_dir(folder).expect("a folder");
    entries
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "log"))
        .max()
        .expect("a log")
}

async fn sample() -> Sample {
    let folder = tempfile::tempdir().expect("a folder");
    let mut records = Records::new();
    let mut states = Vec::new();
    for part in 0..3_u8 {
        let rocks =
            Rocks::open(folder.path(), |why: &str| panic!("{why}")).expect("a store that opens");
        let store = Store::danger_unsealed(rocks.clone());
        states = vec![(0, records.clone())];
        let name = |number: u8| key::intent(MOUNT, &[part, number]);
        for number in 0..6 {
            let value = vec![b'a' + part; 40 + usize::from(number)];
            store.commit(Batch::new().put(name(number), value.clone())).await.expect("a commit");
            records.insert(name(number), Some(value));
            states.push((length_of_log(folder.path()), records.clone()));
        }
        store.commit(Batch::new().delete(name(0))).await.expect("a commit");
        records.insert(name(0), None);
        states.push((length_of_log(folder.path()), records.clone()));
        if part < 2 {
            rocks.flush().expect("a flush");
        }
    }
    Sample { folder, states }
}

fn length_of_log(folder: &Path) -> u64 {
    fs::metadata(log_of(folder)).expect("the log").len()
}

/// Opens a copy in a separate thread, so that a store that hangs fails the test instead of hanging
/// it.
fn judge(folder: &Path, records: &Records) -> Outcome {
    let (sender, judged) = mpsc::channel();
    let (folder, records) = (folder.to_owned(), records.clone());
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let _ = sender.send(runtime.block_on(outcome(&folder, &records)));
    });
    judged.recv_timeout(Duration::from_secs(20)).unwrap_or(Outcome::Hangs)
}

async fn outcome(folder: &Path, records: &Records) -> Outcome {
    let Ok(rocks) = Rocks::open(folder, |_: &str| {}) else { return Outcome::Refused };
    let store = Store::danger_unsealed(rocks);
    let snapshot = store.snapshot().await.expect("a snapshot");
    let mut worst = Outcome::Whole;
    for (name, value) in records {
        worst = worst.max(match snapshot.get(name).await {
            Err(_) => Outcome::ReadFails,
            Ok(found) if found.as_ref().map(|(_, value)| value) == value.as_ref() => Outcome::Whole,
            Ok(_) => Outcome::Silent,
        });
    }
    let listed = snapshot.keys(&key::intents(MOUNT).range(), usize::MAX).await;
    let present = records.values().filter(|value| value.is_some()).count();
    worst.max(match listed {
        Err(_) => Outcome::ReadFails,
        Ok(keys) if keys.len() == present => Outcome::Whole,
        Ok(_) => Outcome::Silent,
    })
}

/// Flips one bit of the file.
fn flip(file: &Path, position: usize, bit: u32) {
    let mut bytes = fs::read(file).expect("a file");
    bytes[position] ^= 1 << bit;
    fs::write(file, bytes).expect("a file");
}

/// Flips every `stride`-th bit of every file, one at a time, from a random start.
async fn flips(stride: usize) -> BTreeMap<Outcome, usize> {
    let sample = sample().await;
    let start = usize::from(Entropy::System.bytes::<1>(Purpose::Identifier)[0]) % stride;
    let mut outcomes = BTreeMap::new();
    let mut names: Vec<_> = fs::read_dir(sample.folder.path())
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    for name in names {
        let length = fs::metadata(sample.folder.path().join(&name)).expect("a file").len() as usize;
        // RocksDB does not read back its text log and its options file.
        let every = if name.starts_with("LOG") || name.starts_with("OPTIONS") { 997 } else { 1 };
        for bit in (start..length * 8).step_by(stride * every) {
            let copy = tempfile::tempdir().expect("a folder");
            copy_folder(sample.folder.path(), copy.path());
            flip(&copy.path().join(&name), bit / 8, (bit % 8) as u32);
            let outcome = judge(copy.path(), sample.records(u64::MAX));
            let known = looks_torn(&sample, &name, bit / 8);
            assert!(
                outcome < Outcome::Silent || known,
                "{name} ({length} bytes), byte {}, bit {}: {outcome:?}",
                bit / 8,
                bit % 8
            );
            *outcomes.entry(outcome).or_default() += 1;
        }
    }
    outcomes
}

/// Whether this is the length field of the last record: damage there cannot be distinguished from
/// a torn write.
fn looks_torn(sample: &Sample, name: &str, position: usize) -> bool {
    let [.., (before, _), _] = &sample.states[..] else { return false };
    let before = *before as usize;
    name.ends_with(".log") && (before + 4..before + 6).contains(&position)
}

#[tokio::test]
async fn a_flipped_bit_is_detected() {
    println!("{:?}", flips(331).await);
}

#[tokio::test]
#[ignore = "takes minutes; scripts/crash --faults runs it"]
async fn a_bit_that_flips_in_any_three_bytes_is_detected() {
    let given = std::env::var("SIGNET_FAULTS_STRIDE").ok();
    let stride = given.map_or(23, |text| text.parse().expect("SIGNET_FAULTS_STRIDE is a number"));
    println!("one bit in {stride} of each file flipped: {:?}", flips(stride).await);
}

/// Truncates the log of the sample at every `stride`-th byte; the number of truncations.
async fn truncations(stride: usize) -> usize {
    let sample = sample().await;
    let log = log_of(sample.folder.path());
    let whole = fs::metadata(&log).expect("the log").len();
    let mut judged = 0;
    for end in (0..whole).rev().step_by(stride) {
        let copy = tempfile::tempdir().expect("a folder");
        copy_folder(sample.folder.path(), copy.path());
        let file = fs::File::options().write(true).open(log_of(copy.path())).expect("the log");
        file.set_len(end).expect("a shorter log");
        assert_eq!(
            judge(copy.path(), sample.records(end)),
            Outcome::Whole,
            "truncated at {end} of {whole}"
        );
        judged += 1;
    }
    judged
}

#[tokio::test]
async fn a_truncated_log_loses_only_what_was_not_acknowledged() {
    assert!(truncations(37).await > 5);
}

#[tokio::test]
#[ignore = "takes a minute; scripts/crash --faults runs it"]
async fn a_log_cut_at_any_byte_loses_only_unacknowledged_batches() {
    println!("the log truncated at each of its {} bytes", truncations(1).await);
}

/// The same with a server: it does not start, or answers correctly, or with 5xx.
async fn flips_under_a_server(count: u32) -> BTreeMap<&'static str, usize> {
    let machine = Machine::new();
    let mut ledger = Ledger::default();
    // Enough records that the start does not read every block of a table.
    for leaves in [25, 4] {
        let mut server = machine.start();
        ledger.scenario(&server.address, leaves).await.expect("a machine without faults");
        server.kill();
    }
    let mut files: Vec<_> = fs::read_dir(machine.store())
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name())
        .filter(|name| [".sst", ".log"].iter().any(|end| name.to_string_lossy().ends_with(end)))
        .collect();
    files.sort();
    let mut outcomes = BTreeMap::new();
    for number in 0..=count {
        let name = &files[number as usize % files.len()];
        let copy = Machine::new();
        copy_folder(&machine.store(), &copy.store());
        let file = copy.store().join(name);
        let length = fs::metadata(&file).expect("a file").len() as usize;
        // Not in the last record, where the damage looks like a torn write.
        let random = u32::from_be_bytes(Entropy::System.bytes(Purpose::Identifier)) as usize;
        let position = random % (length / 2);
        // The last copy is undamaged, as the control.
        if number < count {
            flip(&file, position, number % 8);
        }
        let outcome = match copy.try_start() {
            Err((status, log)) => {
                assert_eq!(status.code(), Some(1), "byte {position} of {name:?}:\n{log}");
                "does not start"
            }
            Ok(server) => match ledger.clone().verify(&server.address).await {
                Ok(()) => "answers correctly",
                Err(_) => "answers with 5xx",
            },
        };
        assert!(
            number < count || outcome == "answers correctly",
            "a copy without damage {outcome}"
        );
        *outcomes.entry(outcome).or_default() += 1;
    }
    outcomes
}

#[tokio::test]
async fn a_flipped_bit_never_causes_a_wrong_answer() {
    println!("{:?}", flips_under_a_server(6).await);
}

#[tokio::test]
#[ignore = "takes a minute; scripts/crash --faults runs it"]
async fn many_flipped_bits_never_cause_a_wrong_answer() {
    println!("{:?}", flips_under_a_server(150).await);
}

/// The recovery that docs/dev/faults.md describes.
#[tokio::test]
async fn a_damaged_log_truncated_at_the_reported_position_opens_with_the_records_before_it() {
    let sample = sample().await;
    let [_, _, (third, _), ..] = &sample.states[..] else { panic!("too few commits") };
    let copy = tempfile::tempdir().expect("a folder");
    copy_folder(sample.folder.path(), copy.path());
    flip(&log_of(copy.path()), *third as usize + 20, 3);
    let refused = Rocks::open(copy.path(), |_: &str| {}).expect_err("a damaged log");
    let OpenError::Damaged(file, at) = refused else { panic!("{refused}") };
    assert_eq!((&file, at as u64), (&log_of(copy.path()), *third));
    let log = fs::File::options().write(true).open(file).expect("the log");
    log.set_len(at as u64).expect("a shorter log");
    assert_eq!(judge(copy.path(), sample.records(*third)), Outcome::Whole);
}

/// A store with a missing file does not open as an empty one.
#[tokio::test]
async fn a_missing_file_is_detected() {
    let sample = sample().await;
    for entry in fs::read_dir(sample.folder.path()).expect("a folder") {
        let name = entry.expect("an entry").file_name().to_string_lossy().into_owned();
        let matters = name == "CURRENT" || name.starts_with("MANIFEST") || name.ends_with(".sst");
        let copy = tempfile::tempdir().expect("a folder");
        copy_folder(sample.folder.path(), copy.path());
        fs::remove_file(copy.path().join(&name)).expect("a file");
        let outcome = judge(copy.path(), sample.records(u64::MAX));
        assert!(!matters || outcome == Outcome::Refused, "without {name}: {outcome:?}");
    }
}
