//! Keys of the store, initialisation, sealing, and crashes.

#[path = "recovery/servers.rs"]
mod servers;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use minicbor::{Decode, Encode};
use serde_json::json;
use signet::ca::role::TtlLimits;
use signet::ca::time::Timestamp;
use signet::clock::Clock;
use signet::engine::env::SYSTEM_TTL;
use signet::engine::{Engine, Env};
use signet::entropy::Entropy;
use signet::secret::Secret;
use signet::store::id::{KeyId, MountId};
use signet::store::memory::{CommitFault, ReadFault};
use signet::store::sealed::{Seal, StaticKey};
use signet::store::{Batch, Memory, Record, Rocks, Sealed, StorageEngine, Store, key};

use super::support::{ROOT_TOKEN, START, Server};

/// The most values that one data key may seal.
const BOUND: u64 = 1 << 32;

/// The usage record of the data key, in the format of the server.
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

/// An engine over this store, not started yet.
fn engine(below: impl Into<StorageEngine>) -> Arc<Engine> {
    let current = StaticKey { id: "k1".to_owned(), key: Secret::boxed(&[1; 32]) };
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
    engine.gate().authenticate(token, engine.env().clock.now()).await.is_ok()
}

async fn write(engine: &Engine, name: &str) -> bool {
    let batch = Batch::new().put(key::role(&MountId::new([7; 16]), name), b"a role".to_vec());
    engine.env().store.commit(batch).await.is_ok()
}

/// Writes a usage record, below the seal, with this number of sealed values.
async fn set_used(below: impl Into<StorageEngine>, before: u64) {
    let record = Usage { key: 1, before, block: 0, written: u64::MAX };
    let below = Store::danger_unsealed(below);
    below.commit(Batch::new().put_record(key::usage(), &record)).await.unwrap();
}

#[tokio::test]
async fn f17_the_number_of_sealed_values_is_known_after_a_restart() {
    let memory = Memory::new();
    initialise(&engine(memory.clone())).await;
    let mut truth = 3;
    for restart in 0..4 {
        let engine = engine(memory.clone());
        engine.start().await.unwrap();
        let used = || engine.env().sealed.values_sealed().unwrap();
        assert!(used() >= truth, "restart {restart}: {} for {truth}", used());
        assert!(write(&engine, "a").await);
        // A failed write has used a nonce too.
        memory.danger_inject(1, CommitFault::LostRequest);
        assert!(!write(&engine, "b").await);
        truth += 2;
        assert!(used() >= truth, "restart {restart}: {} for {truth}", used());
    }
}

#[tokio::test]
async fn f17_counting_sealed_values_needs_no_write_per_value() {
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
async fn f17_at_the_limit_the_server_refuses_to_write_and_still_reads_and_deletes() {
    let memory = Memory::new();
    initialise(&engine(memory.clone())).await;
    set_used(memory.clone(), BOUND - 5).await;
    let engine = engine(memory.clone());
    engine.start().await.unwrap();
    for _ in 0..5 {
        assert!(write(&engine, "a").await);
    }
    let store = &engine.env().store;
    let key = key::role(&MountId::new([7; 16]), "a");
    let refused = store.commit(Batch::new().put(key.clone(), b"x".to_vec())).await.unwrap_err();
    assert!(refused.to_string().contains("2^32"), "{refused}");
    assert!(admits_root(&engine).await);
    assert!(store.snapshot().await.unwrap().get(&key).await.unwrap().is_some());
    store.commit(Batch::new().delete(key)).await.unwrap();
    assert_eq!(engine.env().sealed.values_sealed(), Some(BOUND));
}

#[tokio::test]
async fn f17_a_store_of_an_older_version_starts_the_count_at_its_number_of_writes() {
    for version in ["store-v1", "store-v2"] {
        let folder = tempfile::tempdir().unwrap();
        copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(version), folder.path());
        let rocks = Rocks::open(folder.path(), |why: &str| panic!("{why}")).unwrap();
        let current = StaticKey { id: "sample".to_owned(), key: Secret::boxed(&[42; 32]) };
        let seal = Seal::Static { current, previous: None };
        let sealed = Sealed::new(rocks, seal, Entropy::System);
        sealed.unseal().await.unwrap();
        // It holds six records besides those of the seal.
        let used = sealed.values_sealed().unwrap();
        assert!((6..1_000).contains(&used), "{version}: {used}");
        let store = Store::from(Arc::clone(&sealed));
        store
            .commit(Batch::new().put(key::role(&MountId::new([7; 16]), "a"), b"x".to_vec()))
            .await
            .unwrap();
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
async fn f18_no_crash_leaves_an_initialised_store_without_a_token() {
    let whole = Memory::new();
    initialise(&engine(whole.clone())).await;
    let commits = whole.tally().batches;
    assert_eq!(commits, 1);
    for nth in 1..=commits {
        for fault in
            [CommitFault::FailedNotDone, CommitFault::LostRequest, CommitFault::LostResponse]
        {
            let memory = Memory::new();
            memory.danger_inject(nth, fault.clone());
            let crashing = engine(memory.clone());
            let now = Timestamp::from_unix(START);
            assert!(crashing.initialize(None, Some(ROOT_TOKEN), now).await.is_err());
            let engine = engine(memory.clone());
            if !engine.start().await.unwrap().initialized {
                initialise(&engine).await;
            }
            assert!(admits_root(&engine).await, "{nth}, {fault:?}");
        }
    }
}

/// The only token is returned even if the store fails afterwards.
#[tokio::test]
async fn f18_a_committed_initialisation_returns_its_token() {
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

/// The two records that an older version committed first.
async fn half_initialised(below: impl Into<StorageEngine>) {
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

/// An attacker with write access to the disk must not get a root token of a store with contents.
#[tokio::test]
async fn f18_a_store_with_contents_but_without_a_token_is_not_initialised_again() {
    let memory = Memory::new();
    half_initialised(memory.clone()).await;
    let below = Store::danger_unsealed(memory.clone());
    below
        .commit(
            Batch::new()
                .put(key::private_key(&MountId::new([7; 16]), &KeyId::new([1; 16])), vec![1]),
        )
        .await
        .unwrap();
    let engine = engine(memory);
    assert!(engine.start().await.unwrap().initialized);
    let refused = engine.initialize(None, Some(ROOT_TOKEN), Timestamp::from_unix(START)).await;
    assert!(refused.unwrap_err().to_string().contains("already initialized"));
    assert!(!admits_root(&engine).await);
}

#[tokio::test]
async fn f18_a_committed_mount_is_served() {
    let server = Server::new().await;
    server.get("sys/mounts").await.ok();
    let tune = json!({ "description": "for services" });
    for (method, path, body) in [
        ("POST", "sys/mounts/pki", Some(json!({ "type": "pki" }))),
        ("POST", "sys/mounts/pki/tune", Some(tune)),
        ("DELETE", "sys/mounts/pki", None),
    ] {
        // The first read after the commit fails.
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

/// The number of intents of the mount `pki`.
async fn intents(server: &Server) -> usize {
    let mount = server.engine.mounts().at("pki/").unwrap().entry.id;
    let snapshot = server.engine.env().store.snapshot().await.unwrap();
    snapshot.keys(&key::intents(&mount).range(), 10).await.unwrap().len()
}

#[tokio::test]
async fn f21_a_conflict_leaves_no_intent_behind() {
    let server = Server::with_root().await;
    let generate = json!({ "common_name": "Example", "key_type": "ec" });
    let csr = server.post("pki/intermediate/generate/internal", generate.clone()).await.ok();
    let sign = json!({ "common_name": "StorageEngine", "csr": csr.text("csr") });
    for (path, body) in
        [("pki/root/generate/internal", generate), ("pki/root/sign-intermediate", sign)]
    {
        // The first commit records the intent, the second the signed certificate. If the second fails,
        // the caller gets an error and nothing is recorded.
        for fault in [CommitFault::Conflict, CommitFault::FailedNotDone] {
            let conflict = matches!(fault, CommitFault::Conflict);
            server.memory.danger_inject(2, fault);
            let answer = server.post(path, body.clone()).await;
            assert_eq!(answer.status == 200, conflict, "{path}: {answer:?}");
            assert_eq!(intents(&server).await, 0, "{path}");
        }
        // More conflicts than the engine retries.
        for attempt in 0..16 {
            server.memory.danger_inject(2 + 3 * attempt, CommitFault::Conflict);
        }
        let answer = server.post(path, body).await;
        assert_eq!(answer.status, 503, "{path}: {answer:?}");
        assert_eq!(intents(&server).await, 0, "{path}");
    }
}
