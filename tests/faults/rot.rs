//! Files that were cut, or of which a bit flipped, judged at the store: whether it opens, whether a
//! read fails, and never a wrong value or a silent loss.
//!
//! Values are written in clear here: what AES-GCM would notice besides is not counted.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use signet::entropy::{Entropy, Purpose};
use signet::store::id::MountId;
use signet::store::rocks::OpenError;
use signet::store::{Batch, Key, Rocks, Store, key};

use crate::book::Book;
use crate::machine::{Machine, copy_folder};

const MOUNT: &MountId = &MountId::new([7; 16]);

/// What lies under each key; `None` was removed.
type Records = BTreeMap<Key, Option<Vec<u8>>>;

/// A small store: some records in tables, some in the log, in each part one that is removed.
struct Sample {
    folder: tempfile::TempDir,
    /// The length of the log before and after each commit that it holds, and what was there then.
    states: Vec<(u64, Records)>,
}

impl Sample {
    /// What was there when the log was as long as this.
    fn records(&self, length: u64) -> &Records {
        let state = self.states.iter().rev().find(|(then, _)| *then <= length);
        &state.expect("the first length is 0").1
    }
}

/// What became of a damaged store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    /// The damage does not matter.
    Whole,
    /// It does not open.
    Refused,
    /// It opens, and a read fails.
    ReadFails,
    /// It opens, and something is gone, changed or back without a word.
    Silent,
    /// It neither opens nor refuses.
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

/// Opens a copy in a thread of its own: a store that hangs is a finding, no test that hangs.
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
    let there = records.values().filter(|value| value.is_some()).count();
    worst.max(match listed {
        Err(_) => Outcome::ReadFails,
        Ok(keys) if keys.len() == there => Outcome::Whole,
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
        // What RocksDB writes for people does not decide anything; its options are not read back.
        let every = if name.starts_with("LOG") || name.starts_with("OPTIONS") { 997 } else { 1 };
        for place in (start..length * 8).step_by(stride * every) {
            let copy = tempfile::tempdir().expect("a folder");
            copy_folder(sample.folder.path(), copy.path());
            flip(&copy.path().join(&name), place / 8, (place % 8) as u32);
            let outcome = judge(copy.path(), sample.records(u64::MAX));
            let known = looks_torn(&sample, &name, place / 8);
            assert!(
                outcome < Outcome::Silent || known,
                "{name} ({length} octets), octet {}, bit {}: {outcome:?}",
                place / 8,
                place % 8
            );
            *outcomes.entry(outcome).or_default() += 1;
        }
    }
    outcomes
}

/// The length of the last record: told apart from a torn one by nobody.
fn looks_torn(sample: &Sample, name: &str, position: usize) -> bool {
    let [.., (before, _), _] = &sample.states[..] else { return false };
    let before = *before as usize;
    name.ends_with(".log") && (before + 4..before + 6).contains(&position)
}

#[tokio::test]
async fn a_bit_that_flips_is_noticed() {
    println!("{:?}", flips(331).await);
}

#[tokio::test]
#[ignore = "takes minutes; scripts/crash --faults runs it"]
async fn a_bit_that_flips_in_any_three_octets_is_noticed() {
    let given = std::env::var("SIGNET_FAULTS_STRIDE").ok();
    let stride = given.map_or(23, |text| text.parse().expect("SIGNET_FAULTS_STRIDE is a number"));
    println!("one bit in {stride} of each file flipped: {:?}", flips(stride).await);
}

/// Cuts the log of the sample at every `stride`-th octet.
async fn cuts(stride: usize) -> usize {
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
            "cut at {end} of {whole}"
        );
        judged += 1;
    }
    judged
}

#[tokio::test]
async fn a_log_that_was_cut_loses_what_was_not_acknowledged_and_nothing_else() {
    assert!(cuts(37).await > 5);
}

#[tokio::test]
#[ignore = "takes a minute; scripts/crash --faults runs it"]
async fn a_log_cut_at_every_octet_loses_what_was_not_acknowledged_and_nothing_else() {
    println!("the log cut at each of its {} octets", cuts(1).await);
}

/// The same under a server, seen from outside: it does not start, or answers right, or with 5xx.
async fn flips_under_a_server(count: u32) -> BTreeMap<&'static str, usize> {
    let machine = Machine::new();
    let mut book = Book::default();
    // So many that not every block of a table is read at the start.
    for leaves in [25, 4] {
        let mut server = machine.start();
        book.scenario(&server.address, leaves).await.expect("a machine without faults");
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
        // Not in the last record: a torn one cannot be told from it.
        let chance = u32::from_be_bytes(Entropy::System.bytes(Purpose::Identifier)) as usize;
        let place = chance % (length / 2);
        // The last copy is as it was: what happens to the others is because of the bit.
        if number < count {
            flip(&file, place, number % 8);
        }
        let outcome = match copy.try_start() {
            Err((status, log)) => {
                assert_eq!(status.code(), Some(1), "octet {place} of {name:?}:\n{log}");
                "does not start"
            }
            Ok(server) => match book.clone().verify(&server.address).await {
                Ok(()) => "answers right",
                Err(_) => "answers with 5xx",
            },
        };
        assert!(number < count || outcome == "answers right", "a copy without damage {outcome}");
        *outcomes.entry(outcome).or_default() += 1;
    }
    outcomes
}

#[tokio::test]
async fn a_bit_that_flips_under_a_server_never_makes_a_wrong_answer() {
    println!("{:?}", flips_under_a_server(6).await);
}

#[tokio::test]
#[ignore = "takes a minute; scripts/crash --faults runs it"]
async fn many_bits_that_flip_under_a_server_never_make_a_wrong_answer() {
    println!("{:?}", flips_under_a_server(150).await);
}

/// The way out that docs/dev/faults.md names.
#[tokio::test]
async fn a_damaged_log_that_is_cut_where_the_refusal_says_opens_with_what_was_before() {
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

/// A file that is gone is no empty store.
#[tokio::test]
async fn a_file_that_is_gone_is_noticed() {
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
