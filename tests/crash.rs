//! `kill -9` under load, again and again: what was acknowledged is there afterwards.
//!
//! `scripts/crash` runs it. The oracle is outside the killed process: it notes a certificate, or a
//! revocation, when its answer has arrived whole. After each restart every one of them must be
//! there. Octet for octet it reads those that no restart has been through, and some of the older ones;
//! every [`WHOLE`] rounds, and at the end, all of them, and the list. All revocations must be on the CRL
//! each time. What was under way when the power went may have happened or not; a revocation that is
//! then asked for again must be on the CRL like any other.
//!
//! `SIGNET_CRASH_ROUNDS` (20) and `SIGNET_CRASH_SEED` (a new one, printed) name the run. The seed
//! fixes the moments of death; how far the server has got by then is up to the machine.
//!
//! Not shown here: what a loss of power does to pages that were never synced. The kernel
//! survives a `kill -9`, and with it everything that was written.

#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test, told by the environment, where a surprise is a failure"
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

/// Connections that issue and revoke.
const CALLERS: usize = 8;

/// One issue in this many is followed by its revocation.
const REVOKED: u64 = 6;

/// Rounds from one look at every certificate to the next one: reading all of them each time would make
/// the time of a run grow with its square.
const WHOLE: u64 = 50;

/// Older certificates that are read in the rounds between.
const SAMPLE: usize = 500;

/// Stores that are new when the power goes.
const NEW_STORES: u64 = 20;

/// A start may take this long, opening and unsealing included.
const START: Duration = Duration::from_secs(1);

/// What the callers were told.
#[derive(Default)]
struct Told {
    /// Certificates by serial number.
    certificates: BTreeMap<String, String>,
    /// Their serial numbers, in the order of the answers.
    serials: Vec<String>,
    /// How many of them a restart has been through.
    old: usize,
    /// Revocations that were acknowledged.
    revoked: BTreeSet<String>,
    /// Revocations that were asked for and not answered.
    unknown: BTreeSet<String>,
    /// Issues that were asked for and not answered.
    unanswered: usize,
}

#[derive(Clone, Default)]
struct Oracle(Arc<Mutex<Told>>);

impl Oracle {
    fn told(&self) -> MutexGuard<'_, Told> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn issued(&self, serial: &str, certificate: String) {
        let mut told = self.told();
        let before = told.certificates.insert(serial.to_owned(), certificate);
        assert!(before.is_none(), "the serial number {serial} was given twice");
        told.serials.push(serial.to_owned());
    }

    /// What is to be read after a restart: the new certificates, and all of the older ones or some.
    fn to_read(&self, all: bool, chance: &Chance) -> Vec<(String, String)> {
        let mut told = self.told();
        let (old, count) = (told.old, told.serials.len());
        told.old = count;
        let mut places: BTreeSet<usize> = (old..count).collect();
        if all {
            places.extend(0..old);
        } else if old > 0 {
            places.extend((0..SAMPLE).map(|_| chance.below(old as u64) as usize));
        }
        let read = |place: usize| {
            let serial = &told.serials[place];
            (serial.clone(), told.certificates[serial].clone())
        };
        places.into_iter().map(read).collect()
    }
}

/// Random numbers of this run, reproducible by its seed.
struct Chance(Entropy);

impl Chance {
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
    let chance = Chance(Entropy::danger_seeded(seed));
    let folder = tempfile::tempdir().expect("a folder");
    // A build that goes on beside this must not change what is being killed.
    let binary = folder.path().join("signet");
    std::fs::copy(env!("CARGO_BIN_EXE_signet"), &binary).expect("a copy of the binary");
    let command = [binary.to_str().expect("a path in UTF-8")];
    let mut made = 0;
    for _ in 0..rounds.min(NEW_STORES) {
        made += u32::from(die_while_initialising(&chance, &command).await);
    }
    println!("killed while a store was initialised: {made} had their keys, each with its token");
    let mut server = Server::start(&command, folder.path());
    let token = prepare(&server.address, &[]).await;
    let oracle = Oracle::default();
    let mut starts = Vec::new();
    for round in 1..=rounds {
        let load = load(&server.address, &token, &oracle, chance.below(u64::MAX));
        let life = Duration::from_micros(5_000 + chance.below(600_000));
        tokio::time::sleep(life).await;
        server.kill();
        load.join_all().await;
        die_while_starting(&chance, &command, folder.path()).await;
        let start = Instant::now();
        server = Server::start(&command, folder.path());
        starts.push(start.elapsed());
        let all = round % WHOLE == 0 || round == rounds;
        let to_read = oracle.to_read(all, &chance);
        let read = to_read.len();
        verify(&server.address, &token, &oracle, &to_read).await;
        let surplus = if all { listed(&server.address, &token, &oracle).await } else { 0 };
        let told = oracle.told();
        println!(
            "round {round}: killed after {:>3} ms, up again in {:>3} ms; {} certificates and {} revocations acknowledged, none missing, {read} certificates read",
            life.as_millis(),
            start_of(&starts).as_millis(),
            told.certificates.len(),
            told.revoked.len(),
        );
        if all {
            println!(
                "all of them are there; {} unanswered, {surplus} of them recorded",
                told.unanswered
            );
        }
    }
    starts.sort_unstable();
    let slowest = start_of(&starts);
    // One guard for both numbers: two in one expression would wait for each other for ever.
    let told = oracle.told();
    println!(
        "{rounds} kills, {} certificates, {} revocations: none lost, no serial number twice; slowest start {} ms",
        told.certificates.len(),
        told.revoked.len(),
        slowest.as_millis()
    );
    assert!(slowest < START, "a start took {slowest:?}");
}

fn variable(name: &str) -> Option<u64> {
    let text = env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

fn start_of(starts: &[Duration]) -> Duration {
    starts.last().copied().unwrap_or_default()
}

/// In one round of four the power goes again before the server is up.
async fn die_while_starting(chance: &Chance, command: &[&str], folder: &Path) {
    if chance.below(4) != 0 {
        return;
    }
    let mut child = Server::spawn(command, folder);
    // From a microsecond to half a second: how long the one commit takes is up to the machine.
    tokio::time::sleep(Duration::from_micros(1 << chance.below(20))).await;
    child.kill().expect("a child can be killed");
    child.wait().expect("a child can be waited for");
}

/// The power goes while a new store is initialised: it holds keys and a token, or neither. `true` if it
/// holds them.
async fn die_while_initialising(chance: &Chance, command: &[&str]) -> bool {
    let folder = tempfile::tempdir().expect("a folder");
    let mut server = Server::start(command, folder.path());
    let mut connection = Connection::open(&server.address, "").await.expect("the server answers");
    let asked =
        tokio::spawn(async move { connection.send("POST", "sys/init", "{}").await.is_ok() });
    // From a microsecond to half a second: how long the one commit takes is up to the machine.
    tokio::time::sleep(Duration::from_micros(1 << chance.below(20))).await;
    server.kill();
    let answered = asked.await.expect("the request ends");
    let store = folder.path().join("store");
    let rocks = Rocks::open(&store, |why: &str| panic!("{why}")).expect("a store");
    let snapshot = Store::danger_unsealed(rocks).snapshot().await.expect("a snapshot");
    let has_keys = snapshot.get(&key::seal()).await.expect("a read").is_some();
    let tokens = snapshot.keys(&key::tokens().range(), 2).await.expect("a read").len();
    assert_eq!(tokens, usize::from(has_keys), "keys without a token");
    assert!(has_keys || !answered, "answered, and not there");
    has_keys
}

/// Callers that go on until the server is gone.
fn load(address: &str, token: &str, oracle: &Oracle, seed: u64) -> JoinSet<()> {
    let mut callers = JoinSet::new();
    for number in 0..CALLERS as u64 {
        let (address, token, oracle) = (address.to_owned(), token.to_owned(), oracle.clone());
        callers.spawn(async move {
            let chance = Chance(Entropy::danger_seeded(seed.wrapping_add(number)));
            let Ok(mut connection) = Connection::open(&address, &token).await else { return };
            while let Some(serial) = issue(&mut connection, &oracle).await {
                if chance.below(REVOKED) == 0 && !revoke(&mut connection, &oracle, &serial).await {
                    return;
                }
            }
        });
    }
    callers
}

/// Issues one certificate; its serial number, if the answer arrived.
async fn issue(connection: &mut Connection, oracle: &Oracle) -> Option<String> {
    let body = json!({ "uri_sans": "spiffe://example.org/payments/api" }).to_string();
    let Ok(answer) = connection.send("POST", &format!("pki/{ROLE}"), body).await else {
        oracle.told().unanswered += 1;
        return None;
    };
    assert!(answer.status.is_success(), "{:?}", answer.body);
    let serial = answer.text("serial_number");
    oracle.issued(&serial, answer.text("certificate"));
    Some(serial)
}

/// Revokes one certificate; was the answer there?
async fn revoke(connection: &mut Connection, oracle: &Oracle, serial: &str) -> bool {
    let body = json!({ "serial_number": serial }).to_string();
    let Ok(answer) = connection.send("POST", "pki/revoke", body).await else {
        oracle.told().unknown.insert(serial.to_owned());
        return false;
    };
    assert!(answer.status.is_success(), "{:?}", answer.body);
    let mut told = oracle.told();
    told.unknown.remove(serial);
    told.revoked.insert(serial.to_owned());
    true
}

/// Every revocation that was acknowledged is on the CRL, and these certificates are there.
async fn verify(address: &str, token: &str, oracle: &Oracle, to_read: &[(String, String)]) {
    let mut connection = Connection::open(address, token).await.expect("the server answers");
    // Asked before anything else: the CRL of the restarted server owes nothing to new revocations.
    let listed = on_crl(&mut connection).await;
    let (revoked, asked) = {
        let told = oracle.told();
        (told.revoked.clone(), told.unknown.clone())
    };
    for serial in &revoked {
        assert!(listed.contains(serial), "the revocation of {serial} is lost");
    }
    for serial in &listed {
        assert!(
            revoked.contains(serial) || asked.contains(serial),
            "nobody asked for the revocation of {serial}"
        );
    }
    for serial in &asked {
        assert!(revoke(&mut connection, oracle, serial).await, "the server answers");
    }
    let listed = on_crl(&mut connection).await;
    for serial in &asked {
        assert!(listed.contains(serial), "the repeated revocation of {serial} is not on the CRL");
    }
    read_each(address, token, to_read).await;
}

/// Every acknowledged certificate is in the list; how many more certificates are.
async fn listed(address: &str, token: &str, oracle: &Oracle) -> usize {
    let mut connection = Connection::open(address, token).await.expect("the server answers");
    let answer = connection.send("LIST", "pki/certs", "").await.expect("the server answers");
    let kept: BTreeSet<String> =
        answer.json()["data"]["keys"].as_array().expect("a list").iter().map(text_of).collect();
    let told = oracle.told();
    let missing = told.certificates.keys().find(|serial| !kept.contains(*serial));
    assert_eq!(missing, None, "acknowledged, and not in the list");
    // The root is a certificate too.
    let surplus = kept.len() - told.certificates.len() - 1;
    assert!(surplus <= told.unanswered, "certificates that nobody asked for");
    surplus
}

fn text_of(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

/// Reads these certificates and compares.
async fn read_each(address: &str, token: &str, certificates: &[(String, String)]) {
    let mut readers = JoinSet::new();
    for part in certificates.chunks(certificates.len().div_ceil(CALLERS).max(1)) {
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

/// The serial numbers on the CRL, in the form of the API.
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
