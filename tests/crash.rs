//! Repeated `kill -9` under load: what was acknowledged is not lost.
//!
//! `scripts/crash` runs it. The oracle is outside the killed process: it records a certificate or a
//! revocation when its answer has arrived completely. After each restart it reads the certificates
//! issued since the last restart and a sample of the older ones, and compares every byte; every
//! [`FULL_CHECK`] rounds, and at the end, it reads all of them and the list. Each time all
//! acknowledged revocations must be on the CRL. A request in flight during the kill may have been
//! executed or not; a revocation that is then repeated must be on the CRL.
//!
//! `SIGNET_CRASH_ROUNDS` (20) and `SIGNET_CRASH_SEED` (random, printed) define the run. The seed
//! fixes the times of the kills; the progress of the server by then depends on the machine.
//!
//! This does not test a loss of pages that were not synced: the kernel survives a `kill -9`, and
//! with it everything that was written.

#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test, configured by the environment, where a surprise is a failure"
)]

mod process;

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use data_encoding::HEXLOWER;
use der::Decode;
use process::{Connection, ROLE, Server, prepare};
use serde_json::{Value, json};
use signet::entropy::{Entropy, Purpose};
use signet::store::{Rocks, Store, key};
use tokio::task::JoinSet;
use x509_cert::crl::CertificateList;

/// The number of clients that issue and revoke.
const CLIENTS: usize = 8;

/// One issue in this many is followed by its revocation.
const REVOKED: u64 = 6;

/// Rounds between two full checks: reading all certificates in each round takes quadratic time.
const FULL_CHECK: u64 = 50;

/// Older certificates that are read in the other rounds.
const SAMPLE: usize = 500;

/// Kills during the initialisation of a new store.
const NEW_STORES: u64 = 20;

/// The maximum time of a start, including opening and unsealing.
const MAX_START: Duration = Duration::from_secs(1);

/// What the server has acknowledged.
#[derive(Default)]
struct Acknowledged {
    /// Certificates by serial number.
    certificates: BTreeMap<String, String>,
    /// Their serial numbers, in the order of the answers.
    serials: Vec<String>,
    /// How many of them were issued before the last restart.
    old: usize,
    /// Revocations that were acknowledged.
    revoked: BTreeSet<String>,
    /// Revocations that were requested and not answered.
    unknown: BTreeSet<String>,
    /// Certificates that were requested and not answered.
    unanswered: usize,
}

#[derive(Clone, Default)]
struct Oracle(Arc<Mutex<Acknowledged>>);

impl Oracle {
    fn acknowledged(&self) -> MutexGuard<'_, Acknowledged> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn issued(&self, serial: &str, certificate: String) {
        let mut acknowledged = self.acknowledged();
        let before = acknowledged.certificates.insert(serial.to_owned(), certificate);
        assert!(before.is_none(), "the serial number {serial} was used twice");
        acknowledged.serials.push(serial.to_owned());
    }

    /// The certificates to read after a restart: the new ones, and all or some of the older ones.
    fn to_read(&self, all: bool, rng: &Rng) -> Vec<(String, String)> {
        let mut acknowledged = self.acknowledged();
        let (old, count) = (acknowledged.old, acknowledged.serials.len());
        acknowledged.old = count;
        let mut positions: BTreeSet<usize> = (old..count).collect();
        if all {
            positions.extend(0..old);
        } else if old > 0 {
            positions.extend((0..SAMPLE).map(|_| rng.below(old as u64) as usize));
        }
        let read = |position: usize| {
            let serial = &acknowledged.serials[position];
            (serial.clone(), acknowledged.certificates[serial].clone())
        };
        positions.into_iter().map(read).collect()
    }
}

/// Random numbers of this run, reproducible by its seed.
struct Rng(Entropy);

impl Rng {
    fn below(&self, end: u64) -> u64 {
        u64::from_be_bytes(self.0.bytes(Purpose::Identifier)) % end
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes; scripts/crash runs it"]
async fn nothing_acknowledged_is_lost_by_kill_9() {
    let rounds: u64 = variable("SIGNET_CRASH_ROUNDS").unwrap_or(20);
    let seed = variable("SIGNET_CRASH_SEED").unwrap_or_else(|| {
        u64::from(u32::from_be_bytes(Entropy::System.bytes(Purpose::Identifier)))
    });
    println!("{rounds} rounds, SIGNET_CRASH_SEED={seed}");
    let rng = Rng(Entropy::danger_seeded(seed));
    let folder = tempfile::tempdir().expect("a folder");
    // A concurrent build must not change the binary under test.
    let binary = folder.path().join("signet");
    std::fs::copy(env!("CARGO_BIN_EXE_signet"), &binary).expect("a copy of the binary");
    let command = [binary.to_str().expect("a path in UTF-8")];
    let mut initialised = 0;
    for _ in 0..rounds.min(NEW_STORES) {
        initialised += u32::from(kill_while_initialising(&rng, &command).await);
    }
    println!("killed while a store was initialised: {initialised} had keys, each with its token");
    let mut server = Server::start(&command, folder.path());
    let token = prepare(&server.address, &[]).await;
    let oracle = Oracle::default();
    let mut starts = Vec::new();
    for round in 1..=rounds {
        let load = load(&server.address, &token, &oracle, rng.below(u64::MAX));
        let lifetime = Duration::from_micros(5_000 + rng.below(600_000));
        tokio::time::sleep(lifetime).await;
        server.kill();
        load.join_all().await;
        kill_while_starting(&rng, &command, folder.path()).await;
        let start = Instant::now();
        server = Server::start(&command, folder.path());
        starts.push(start.elapsed());
        let all = round % FULL_CHECK == 0 || round == rounds;
        let to_read = oracle.to_read(all, &rng);
        let read = to_read.len();
        verify(&server.address, &token, &oracle, &to_read).await;
        let surplus = if all { listed(&server.address, &token, &oracle).await } else { 0 };
        let acknowledged = oracle.acknowledged();
        println!(
            "round {round}: killed after {:>3} ms, up again in {:>3} ms; {} certificates and {} revocations acknowledged, none missing, {read} certificates read",
            lifetime.as_millis(),
            start_of(&starts).as_millis(),
            acknowledged.certificates.len(),
            acknowledged.revoked.len(),
        );
        if all {
            println!(
                "all of them are stored; {} unanswered, {surplus} of them stored",
                acknowledged.unanswered
            );
        }
    }
    starts.sort_unstable();
    let slowest = start_of(&starts);
    // One guard for both numbers: two in one expression would deadlock.
    let acknowledged = oracle.acknowledged();
    println!(
        "{rounds} kills, {} certificates, {} revocations: none lost, no serial number twice; slowest start {} ms",
        acknowledged.certificates.len(),
        acknowledged.revoked.len(),
        slowest.as_millis()
    );
    assert!(slowest < MAX_START, "a start took {slowest:?}");
}

fn variable(name: &str) -> Option<u64> {
    let text = env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is not a number")))
}

fn start_of(starts: &[Duration]) -> Duration {
    starts.last().copied().unwrap_or_default()
}

/// In one round of four the server is killed again before it has started.
async fn kill_while_starting(rng: &Rng, command: &[&str], folder: &Path) {
    if rng.below(4) != 0 {
        return;
    }
    let mut child = Server::spawn(command, folder);
    // From a microsecond to half a second: the time of the commit depends on the machine.
    tokio::time::sleep(Duration::from_micros(1 << rng.below(20))).await;
    child.kill().expect("a child can be killed");
    child.wait().expect("a child can be waited for");
}

/// Kills the server while it initialises a new store, which must hold keys and a token, or neither.
/// `true` if it holds them.
async fn kill_while_initialising(rng: &Rng, command: &[&str]) -> bool {
    let folder = tempfile::tempdir().expect("a folder");
    let mut server = Server::start(command, folder.path());
    let mut connection = Connection::open(&server.address, "").await.expect("the server answers");
    let request =
        tokio::spawn(async move { connection.send("POST", "sys/init", "{}").await.is_ok() });
    // From a microsecond to half a second: the time of the commit depends on the machine.
    tokio::time::sleep(Duration::from_micros(1 << rng.below(20))).await;
    server.kill();
    let answered = request.await.expect("the request ends");
    let store = folder.path().join("store");
    let rocks = Rocks::open(&store, |why: &str| panic!("{why}")).expect("a store");
    let snapshot = Store::danger_unsealed(rocks).snapshot().await.expect("a snapshot");
    let has_keys = snapshot.get(&key::seal()).await.expect("a read").is_some();
    let tokens = snapshot.keys(&key::tokens().range(), 2).await.expect("a read").len();
    assert_eq!(tokens, usize::from(has_keys), "keys without a token");
    assert!(has_keys || !answered, "answered, but not stored");
    has_keys
}

/// Clients that send requests until the server is killed.
fn load(address: &str, token: &str, oracle: &Oracle, seed: u64) -> JoinSet<()> {
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS as u64 {
        let (address, token, oracle) = (address.to_owned(), token.to_owned(), oracle.clone());
        clients.spawn(async move {
            let rng = Rng(Entropy::danger_seeded(seed.wrapping_add(number)));
            let Ok(mut connection) = Connection::open(&address, &token).await else { return };
            while let Some(serial) = issue(&mut connection, &oracle).await {
                if rng.below(REVOKED) == 0 && !revoke(&mut connection, &oracle, &serial).await {
                    return;
                }
            }
        });
    }
    clients
}

/// Issues one certificate; its serial number if it was answered.
async fn issue(connection: &mut Connection, oracle: &Oracle) -> Option<String> {
    let body = json!({ "uri_sans": "spiffe://example.org/payments/api" }).to_string();
    let Ok(answer) = connection.send("POST", &format!("pki/{ROLE}"), body).await else {
        oracle.acknowledged().unanswered += 1;
        return None;
    };
    assert!(answer.status.is_success(), "{:?}", answer.body);
    let serial = answer.text("serial_number");
    oracle.issued(&serial, answer.text("certificate"));
    Some(serial)
}

/// Revokes one certificate; `true` if it was answered.
async fn revoke(connection: &mut Connection, oracle: &Oracle, serial: &str) -> bool {
    let body = json!({ "serial_number": serial }).to_string();
    let Ok(answer) = connection.send("POST", "pki/revoke", body).await else {
        oracle.acknowledged().unknown.insert(serial.to_owned());
        return false;
    };
    assert!(answer.status.is_success(), "{:?}", answer.body);
    let mut acknowledged = oracle.acknowledged();
    acknowledged.unknown.remove(serial);
    acknowledged.revoked.insert(serial.to_owned());
    true
}

/// Checks that every acknowledged revocation is on the CRL, and reads these certificates.
async fn verify(address: &str, token: &str, oracle: &Oracle, to_read: &[(String, String)]) {
    let mut connection = Connection::open(address, token).await.expect("the server answers");
    // Read before anything else: no new revocation has updated the CRL of the restarted server.
    let listed = on_crl(&mut connection).await;
    let (revoked, requested) = {
        let acknowledged = oracle.acknowledged();
        (acknowledged.revoked.clone(), acknowledged.unknown.clone())
    };
    for serial in &revoked {
        assert!(listed.contains(serial), "the revocation of {serial} is lost");
    }
    for serial in &listed {
        assert!(
            revoked.contains(serial) || requested.contains(serial),
            "the revocation of {serial} was not requested"
        );
    }
    for serial in &requested {
        assert!(revoke(&mut connection, oracle, serial).await, "the server answers");
    }
    let listed = on_crl(&mut connection).await;
    for serial in &requested {
        assert!(listed.contains(serial), "the repeated revocation of {serial} is not on the CRL");
    }
    read_each(address, token, to_read).await;
}

/// Checks that every acknowledged certificate is listed; the number of other certificates.
async fn listed(address: &str, token: &str, oracle: &Oracle) -> usize {
    let mut connection = Connection::open(address, token).await.expect("the server answers");
    let answer = connection.send("LIST", "pki/certs", "").await.expect("the server answers");
    let kept: BTreeSet<String> =
        answer.json()["data"]["keys"].as_array().expect("a list").iter().map(text_of).collect();
    let acknowledged = oracle.acknowledged();
    let missing = acknowledged.certificates.keys().find(|serial| !kept.contains(*serial));
    assert_eq!(missing, None, "an acknowledged certificate is not listed");
    // The root is a certificate too.
    let surplus = kept.len() - acknowledged.certificates.len() - 1;
    assert!(surplus <= acknowledged.unanswered, "certificates that were not requested");
    surplus
}

fn text_of(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

/// Reads these certificates and compares them.
async fn read_each(address: &str, token: &str, certificates: &[(String, String)]) {
    let mut readers = JoinSet::new();
    for part in certificates.chunks(certificates.len().div_ceil(CLIENTS).max(1)) {
        let (part, address, token) = (part.to_vec(), address.to_owned(), token.to_owned());
        readers.spawn(async move {
            let mut connection = Connection::open(&address, &token).await.expect("a connection");
            for (serial, issued) in part {
                let path = format!("pki/cert/{serial}");
                let answer = connection.send("GET", &path, "").await.expect("an answer");
                assert!(answer.status.is_success(), "{serial} is lost: {:?}", answer.body);
                assert_eq!(answer.text("certificate").trim_end(), issued.trim_end(), "{serial}");
            }
        });
    }
    readers.join_all().await;
}

/// The serial numbers on the CRL, in the API's format.
async fn on_crl(connection: &mut Connection) -> BTreeSet<String> {
    let answer = connection.send("GET", "pki/crl", "").await.expect("the server answers");
    let list: CertificateList = CertificateList::from_der(&answer.body).expect("a CRL");
    let entries = list.tbs_cert_list.revoked_certificates.unwrap_or_default();
    entries
        .iter()
        .map(|entry| {
            let hex = HEXLOWER.encode(entry.serial_number.as_bytes());
            let pairs: Vec<&str> =
                (0..hex.len()).step_by(2).map(|start| &hex[start..start + 2]).collect();
            pairs.join(":")
        })
        .collect()
}
