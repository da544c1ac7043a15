//! The store's keys, initialisation, sealing, and what outlives a crash.

#[path = "../process/mod.rs"]
mod process;

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use bytes::Bytes;
use minicbor::{Decode, Encode};
use serde_json::{Value, json};
use signet::auth::Capability;
use signet::ca::role::TtlLimits;
use signet::ca::time::Timestamp;
use signet::clock::Clock;
use signet::engine::env::SYSTEM_TTL;
use signet::engine::{Engine, Env};
use signet::entropy::Entropy;
use signet::secret::Secret;
use signet::store::memory::{Fault, ReadFault};
use signet::store::sealed::{Seal, StaticKey};
use signet::store::{Batch, Engine as Below, Memory, Record, Rocks, Sealed, Store, key};

use super::support::{ROOT_TOKEN, START, Server};
use process::Connection;

/// The most values that one data key may seal.
const BOUND: u64 = 1 << 32;

/// The record of the data key's use, as the server writes it.
#[derive(Clone, Debug, Encode, Decode)]
#[cbor(map)]
struct Usage {
    #[n(0)]
    key: u32,
    #[n(1)]
    before: u64,
    #[n(2)]
    block: u64,
    #[n(3)]
    written: u64,
}

impl Record for Usage {}

/// A program over this store, started or not.
fn engine(below: impl Into<Below>) -> Arc<Engine> {
    let current = StaticKey { id: "k1".to_owned(), key: Secret::apart(&[1; 32]) };
    let seal = Seal::Static { current, previous: None };
    let sealed = Sealed::new(below, seal, Entropy::System);
    Engine::new(Env {
        store: Store::from(Arc::clone(&sealed)),
        sealed,
        clock: Clock::manual(START).0,
        entropy: Entropy::System,
        storage_type: "inmem",
        lifetimes: TtlLimits { default: SYSTEM_TTL, max: SYSTEM_TTL },
    })
}

async fn initialise(engine: &Engine) {
    engine.initialize(None, Some(ROOT_TOKEN), Timestamp::from_unix(START)).await.unwrap();
}

async fn admits_root(engine: &Engine) -> bool {
    let token = Some(Secret::new(ROOT_TOKEN.to_owned()));
    engine.gate().admit(token, Capability::Update).await.is_ok()
}

async fn write(engine: &Engine, name: &str) -> bool {
    let batch = Batch::new().put(key::role(&[7; 16], name), b"a role".to_vec());
    engine.env().store.commit(batch).await.is_ok()
}

/// Says below the seal that the data key has sealed so many values.
async fn set_used(below: impl Into<Below>, before: u64) {
    let record = Usage { key: 1, before, block: 0, written: u64::MAX };
    let below = Store::danger_unsealed(below);
    below.commit(Batch::new().put_record(key::usage(), &record)).await.unwrap();
}

#[tokio::test]
async fn f17_the_number_of_sealed_values_is_known_after_a_restart() {
    let memory = Memory::new();
    initialise(&engine(memory.clone())).await;
    let mut truth = 3;
    for life in 0..4 {
        let engine = engine(memory.clone());
        engine.start().await.unwrap();
        let used = || engine.env().sealed.values_sealed().unwrap();
        assert!(used() >= truth, "life {life}: {} for {truth}", used());
        assert!(write(&engine, "a").await);
        // What failed has used a nonce too.
        memory.danger_inject(1, Fault::LostRequest);
        assert!(!write(&engine, "b").await);
        truth += 2;
        assert!(used() >= truth, "life {life}: {} for {truth}", used());
    }
}

#[tokio::test]
async fn f17_the_count_costs_no_write_per_value() {
    let memory = Memory::new();
    let engine = engine(memory.clone());
    initialise(&engine).await;
    let before = memory.tally().batches;
    for _ in 0..1_000 {
        assert!(write(&engine, "a").await);
    }
    assert_eq!(memory.tally().batches, before + 1_000);
}

#[tokio::test]
async fn f17_before_the_bound_the_server_refuses_to_write_and_still_reads_and_deletes() {
    let memory = Memory::new();
    initialise(&engine(memory.clone())).await;
    set_used(memory.clone(), BOUND - 5).await;
    let engine = engine(memory.clone());
    engine.start().await.unwrap();
    for _ in 0..5 {
        assert!(write(&engine, "a").await);
    }
    let store = &engine.env().store;
    let key = key::role(&[7; 16], "a");
    let refused = store.commit(Batch::new().put(key.clone(), b"x".to_vec())).await.unwrap_err();
    assert!(refused.to_string().contains("2^32"), "{refused}");
    assert!(admits_root(&engine).await);
    assert!(store.snapshot().await.unwrap().get(&key).await.unwrap().is_some());
    store.commit(Batch::new().delete(key)).await.unwrap();
    assert_eq!(engine.env().sealed.values_sealed(), Some(BOUND));
}

#[tokio::test]
async fn f17_a_store_of_an_older_version_begins_with_what_it_has_written() {
    for version in ["store-v1", "store-v2"] {
        let folder = tempfile::tempdir().unwrap();
        copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(version), folder.path());
        let rocks = Rocks::open(folder.path(), |why: &str| panic!("{why}")).unwrap();
        let current = StaticKey { id: "sample".to_owned(), key: Secret::apart(&[42; 32]) };
        let seal = Seal::Static { current, previous: None };
        let sealed = Sealed::new(rocks, seal, Entropy::System);
        sealed.unseal().await.unwrap();
        // It holds six records beside the seal's.
        let used = sealed.values_sealed().unwrap();
        assert!((6..1_000).contains(&used), "{version}: {used}");
        let store = Store::from(Arc::clone(&sealed));
        store.commit(Batch::new().put(key::role(&[7; 16], "a"), b"x".to_vec())).await.unwrap();
        assert_eq!(sealed.values_sealed(), Some(used + 1));
    }
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

#[tokio::test]
async fn f18_no_death_leaves_a_store_that_is_initialised_and_has_no_token() {
    let whole = Memory::new();
    initialise(&engine(whole.clone())).await;
    let commits = whole.tally().batches;
    assert_eq!(commits, 1);
    for nth in 1..=commits {
        for fault in [Fault::FailedNotDone, Fault::LostRequest, Fault::LostResponse] {
            let memory = Memory::new();
            memory.danger_inject(nth, fault.clone());
            let dying = engine(memory.clone());
            let now = Timestamp::from_unix(START);
            assert!(dying.initialize(None, Some(ROOT_TOKEN), now).await.is_err());
            let engine = engine(memory.clone());
            if !engine.start().await.unwrap().initialized {
                initialise(&engine).await;
            }
            assert!(admits_root(&engine).await, "{nth}, {fault:?}");
        }
    }
}

/// The only token is told whatever becomes of the store afterwards.
#[tokio::test]
async fn f18_an_initialisation_that_is_recorded_is_answered_with_its_token() {
    let server = Server::uninitialised();
    for nth in 2..12 {
        server.memory.danger_inject_read(nth, ReadFault::Failed);
    }
    let answer = server.send("POST", "sys/init", None, &[], Bytes::from_static(b"{}")).await;
    let token = answer.json()["root_token"].as_str().map(str::to_owned);
    server.memory.danger_heal();
    let initialised = server.send("GET", "sys/init", None, &[], Bytes::new()).await.json();
    assert_eq!(initialised["initialized"].as_bool(), Some(token.is_some()), "{answer:?}");
}

/// The two records that an older version wrote first.
async fn half_initialised(below: impl Into<Below>) {
    let memory = Memory::new();
    initialise(&engine(memory.clone())).await;
    let whole = Store::danger_unsealed(memory).snapshot().await.unwrap();
    let mut batch = Batch::new();
    for key in [key::seal(), key::keyring()] {
        let (_, value) = whole.get(&key).await.unwrap().unwrap();
        batch = batch.put(key, value);
    }
    Store::danger_unsealed(below).commit(batch).await.unwrap();
}

#[tokio::test]
async fn f18_a_store_that_an_older_version_left_half_initialised_is_initialised_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store");
    half_initialised(Rocks::open(&store, |why: &str| panic!("{why}")).unwrap()).await;
    let server = Signet::start(folder.path(), K1, "");
    assert!(
        server.log().contains("initialization of this store was interrupted"),
        "{}",
        server.log()
    );
    let mut connection = Connection::open(&server.address, "").await.unwrap();
    let health = connection.send("GET", "sys/health", "").await.unwrap();
    assert_eq!(health.status, 501);
    let status = connection.send("GET", "sys/init", "").await.unwrap().json();
    assert_eq!(status, json!({ "initialized": false }));
    let answer = connection.send("POST", "sys/init", "{}").await.unwrap();
    let token = answer.json()["root_token"].as_str().unwrap().to_owned();
    let again = connection.send("POST", "sys/init", "{}").await.unwrap();
    assert_eq!(again.status, 400);
    drop(server);
    let server = Signet::start(folder.path(), K1, "");
    assert!(!server.log().contains("interrupted"), "{}", server.log());
    let mut connection = Connection::open(&server.address, &token).await.unwrap();
    let mounts = connection.send("GET", "sys/mounts", "").await.unwrap();
    assert_eq!(mounts.status, 200, "{:?}", mounts.body);
}

/// Who can write the disk must not get a root token of a store that holds something.
#[tokio::test]
async fn f18_a_store_without_a_token_that_holds_something_is_not_initialised_again() {
    let memory = Memory::new();
    half_initialised(memory.clone()).await;
    let below = Store::danger_unsealed(memory.clone());
    below.commit(Batch::new().put(key::private_key(&[7; 16], &[1; 16]), vec![1])).await.unwrap();
    let engine = engine(memory);
    assert!(engine.start().await.unwrap().initialized);
    let refused = engine.initialize(None, Some(ROOT_TOKEN), Timestamp::from_unix(START)).await;
    assert!(refused.unwrap_err().to_string().contains("already initialized"));
    assert!(!admits_root(&engine).await);
}

#[tokio::test]
async fn f18_a_mount_that_is_recorded_is_answered() {
    let server = Server::new().await;
    server.get("sys/mounts").await.ok();
    let tune = json!({ "description": "for services" });
    for (method, path, body) in [
        ("POST", "sys/mounts/pki", Some(json!({ "type": "pki" }))),
        ("POST", "sys/mounts/pki/tune", Some(tune)),
        ("DELETE", "sys/mounts/pki", None),
    ] {
        // The first read after the commit.
        server.memory.danger_inject_read(1, ReadFault::Failed);
        server.call(method, path, body.as_ref()).await.ok();
        server.memory.danger_heal();
        let answer = server.get("pki/roles/none").await;
        assert_eq!(answer.status, 404, "{method} {path}: {answer:?}");
        let mounts = server.get("sys/mounts").await.ok().data();
        let there = mounts.get("pki/").map(|mount| mount["description"].clone());
        let expected = match (method, path) {
            ("DELETE", _) => None,
            (_, "sys/mounts/pki") => Some(json!("")),
            _ => Some(json!("for services")),
        };
        assert_eq!(there, expected, "{method} {path}");
    }
}

/// How many intents the mount `pki` has.
async fn intents(server: &Server) -> usize {
    let mount = server.engine.mounts().at("pki/").unwrap().id;
    let snapshot = server.engine.env().store.snapshot().await.unwrap();
    snapshot.keys(&key::intents(&mount).range(), 10).await.unwrap().len()
}

#[tokio::test]
async fn f21_a_conflict_leaves_no_intent_behind() {
    let server = Server::with_root().await;
    let generate = json!({ "common_name": "Example", "key_type": "ec" });
    let csr = server.post("pki/intermediate/generate/internal", generate.clone()).await.ok();
    let sign = json!({ "common_name": "Below", "csr": csr.text("csr") });
    for (path, body) in
        [("pki/root/generate/internal", generate), ("pki/root/sign-intermediate", sign)]
    {
        // The first commit records the intent, the second what was signed. Of the fault
        // "not done" the caller hears, and nothing is recorded either.
        for fault in [Fault::Conflict, Fault::FailedNotDone] {
            let conflict = matches!(fault, Fault::Conflict);
            server.memory.danger_inject(2, fault);
            let answer = server.post(path, body.clone()).await;
            assert_eq!(answer.status == 200, conflict, "{path}: {answer:?}");
            assert_eq!(intents(&server).await, 0, "{path}");
        }
        // As often as a use case begins again.
        for attempt in 0..16 {
            server.memory.danger_inject(2 + 3 * attempt, Fault::Conflict);
        }
        let answer = server.post(path, body).await;
        assert_eq!(answer.status, 503, "{path}: {answer:?}");
        assert_eq!(intents(&server).await, 0, "{path}");
    }
}

const K1: &str = "current_key_id = \"k1\"\ncurrent_key = \"0101010101010101010101010101010101010101010101010101010101010101\"\n";
const K2: &str = "current_key_id = \"k2\"\ncurrent_key = \"0202020202020202020202020202020202020202020202020202020202020202\"\n";
const PREVIOUS_K1: &str = "previous_key_id = \"k1\"\nprevious_key = \"0101010101010101010101010101010101010101010101010101010101010101\"\n";

/// A server in a process of its own, with the store `store` of a folder.
struct Signet {
    child: Child,
    address: String,
    log: PathBuf,
}

impl Signet {
    /// Panics with the log if the server does not start.
    fn start(folder: &Path, seal: &str, more: &str) -> Self {
        Self::try_start(folder, seal, more).unwrap_or_else(|log| panic!("{log}"))
    }

    fn try_start(folder: &Path, seal: &str, more: &str) -> Result<Self, String> {
        let (config, log) = (folder.join("server.hcl"), folder.join("log"));
        let store = folder.join("store");
        let text = format!(
            "listener \"tcp\" {{\naddress = \"127.0.0.1:0\"\ntls_disable = true\n}}\nstorage \"rocksdb\" {{ path = \"{}\" }}\nseal \"static\" {{\n{seal}}}\n{more}\n",
            store.display()
        );
        fs::write(&config, text).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_signet"))
            .arg("server")
            .arg(format!("-config={}", config.display()))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let address = output
            .lines()
            .map_while(Result::ok)
            .find_map(|line| line.strip_prefix("address: http://").map(str::to_owned));
        let Some(address) = address else {
            child.wait().unwrap();
            return Err(fs::read_to_string(&log).unwrap());
        };
        Ok(Self { child, address, log })
    }

    fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// SIGTERM, and the end.
    fn stop(mut self) {
        let kill = Command::new("kill").arg(self.child.id().to_string()).status().unwrap();
        assert!(kill.success());
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Signet {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn get(server: &Signet, path: &str) -> Value {
    let mut connection = Connection::open(&server.address, "").await.unwrap();
    connection.send("GET", path, "").await.unwrap().json()
}

async fn init(server: &Signet) {
    let mut connection = Connection::open(&server.address, "").await.unwrap();
    let answer = connection.send("POST", "sys/init", "{}").await.unwrap();
    assert_eq!(answer.status, 200, "{:?}", answer.body);
}

#[tokio::test]
async fn f17_a_share_of_the_bound_is_a_line_in_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let server = Signet::start(folder.path(), K1, "");
    init(&server).await;
    assert!(!server.log().contains("data key"), "{}", server.log());
    server.stop();
    let store = folder.path().join("store");
    set_used(Rocks::open(&store, |why: &str| panic!("{why}")).unwrap(), BOUND / 10 * 8).await;
    let server = Signet::start(folder.path(), K1, "");
    let log = server.log();
    let line = log.lines().find(|line| line.contains("data key")).unwrap_or_default();
    assert!(line.contains("WARN") && line.contains("75 %"), "{log}");
}

#[tokio::test]
async fn f21_the_name_and_the_address_of_the_configuration_are_shown() {
    let folder = tempfile::tempdir().unwrap();
    let named = "cluster_name = \"corp\"\napi_addr = \"https://ca.example.org:8200/\"";
    let server = Signet::start(folder.path(), K1, named);
    init(&server).await;
    for path in ["sys/health", "sys/seal-status"] {
        assert_eq!(get(&server, path).await["cluster_name"], "corp", "{path}");
    }
    let leader = get(&server, "sys/leader").await;
    assert_eq!(leader["leader_address"], "https://ca.example.org:8200");
    drop(server);
    // The name of the first configuration was stored; a later one wins over it.
    for (more, expected) in [("", "corp"), ("cluster_name = \"new\"", "new")] {
        let server = Signet::start(folder.path(), K1, more);
        assert_eq!(get(&server, "sys/health").await["cluster_name"], expected);
        assert_eq!(get(&server, "sys/leader").await["leader_address"], "");
    }
}

#[tokio::test]
async fn f21_the_pid_file_goes_with_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("signet.pid");
    let more = format!("pid_file = \"{}\"", file.display());
    let server = Signet::start(folder.path(), K1, &more);
    assert_eq!(fs::read_to_string(&file).unwrap(), format!("{}\n", server.child.id()));
    server.stop();
    assert!(!file.exists());
}

#[tokio::test]
async fn f20_a_link_in_the_place_of_a_file_of_the_server_is_not_followed() {
    let folder = tempfile::tempdir().unwrap();
    let (pid, lock) = (folder.path().join("signet.pid"), folder.path().join("store/signet.lock"));
    let theirs = folder.path().join("theirs");
    fs::write(&theirs, "theirs").unwrap();
    std::os::unix::fs::symlink(&theirs, &pid).unwrap();
    let more = format!("pid_file = \"{}\"", pid.display());
    // A configuration check may refuse the file before; what counts is that it stays.
    drop(Signet::try_start(folder.path(), K1, &more));
    assert_eq!(fs::read_to_string(&theirs).unwrap(), "theirs");
    let _ = fs::remove_file(&lock);
    fs::create_dir_all(folder.path().join("store")).unwrap();
    let planted = folder.path().join("planted");
    std::os::unix::fs::symlink(&planted, &lock).unwrap();
    assert!(Signet::try_start(folder.path(), K1, "").is_err());
    assert!(!planted.exists());
}

#[tokio::test]
async fn n09_a_change_of_the_seal_key_is_a_line_in_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let server = Signet::start(folder.path(), K1, "");
    init(&server).await;
    assert!(!server.log().contains("previous_key"), "{}", server.log());
    drop(server);
    let both = format!("{K2}{PREVIOUS_K1}");
    let server = Signet::start(folder.path(), &both, "");
    let line = "the store is now sealed under \"k2\"; previous_key may go";
    assert!(server.log().contains(line), "{}", server.log());
    drop(server);
    // An operator who missed that line reads it at the next start.
    let server = Signet::start(folder.path(), &both, "");
    let line = "the store is sealed under \"k2\"; previous_key may go";
    assert!(server.log().contains(line), "{}", server.log());
    drop(server);
    let refused = Signet::try_start(folder.path(), K1, "").err().unwrap();
    assert!(refused.contains("k2"), "{refused}");
    let server = Signet::start(folder.path(), K2, "");
    assert!(!server.log().contains("previous_key"), "{}", server.log());
}
