//! The tables of crash points in `src/engine/pki/issue.rs`, `generate.rs` and `intent.rs`: one test per line;
//! and the initialisation of the store.
//!
//! The store is the reference engine, made to fail at the commit in question; "on restart" is a
//! second engine over the same store. The last test covers a store that does not respond.

#![expect(clippy::unwrap_used, reason = "helpers of a test, where a surprise is a failure")]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use signet::ca::authority::CaCertificateParams;
use signet::ca::pem::KeyForm;
use signet::ca::role::{CertificateParams, RoleFields, TtlLimits};
use signet::ca::time::Timestamp;
use signet::clock::Clock;
use signet::engine::env::SYSTEM_TTL;
use signet::engine::pki::Pki;
use signet::engine::pki::certificates::Serials;
use signet::engine::pki::generate::{KeyOrigin, KeySpec, RootRequest};
use signet::engine::pki::issue::{KeySource, LeafRequest};
use signet::engine::pki::output::Format;
use signet::engine::pki::revoke::RevokeRequest;
use signet::engine::sys::new_mount;
use signet::engine::{Engine, Env, Failure};
use signet::engine::{IssuerId, MountId};
use signet::entropy::Entropy;
use signet::http::v1::Api;
use signet::secret::Secret;
use signet::store::memory::CommitFault;
use signet::store::sealed::{Seal, StaticKey};
use signet::store::{Batch, Memory, Sealed, Store, key};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::timeout;

const NOW: i64 = 1_800_000_000;
const TOKEN: &str = "root";

/// An initialised engine with one mount, one root and one role, over a store that can be made
/// to fail.
struct World {
    memory: Memory,
    engine: Arc<Engine>,
    entropy: fn() -> Entropy,
}

impl World {
    async fn new() -> Self {
        Self::with(|| Entropy::System).await
    }

    async fn with(entropy: fn() -> Entropy) -> Self {
        let memory = Memory::new();
        let world = Self { engine: engine(&memory, entropy()), memory, entropy };
        world.engine.initialize(None, Some(TOKEN), now()).await.unwrap();
        world.engine.mount(new_mount(&Entropy::System, "pki/", "pki")).await.unwrap();
        world.root("first").await.unwrap();
        let fields = RoleFields {
            allowed_uri_sans: vec!["spiffe://example.org/*".to_owned()],
            require_cn: false,
            key_type: "ec".to_owned(),
            key_bits: 256,
            ..RoleFields::unspecified()
        };
        world.pki().write_role("workload", fields, now()).await.unwrap();
        world
    }

    /// The same store with a new engine, as after a crash.
    async fn restarted(self) -> Self {
        let engine = engine(&self.memory, (self.entropy)());
        assert!(!engine.start().await.unwrap().sealed);
        Self { engine, ..self }
    }

    fn pki(&self) -> Pki {
        let mounts = self.engine.mounts();
        mounts.at("pki/").unwrap().core::<Pki>().unwrap().clone()
    }

    fn mount_id(&self) -> MountId {
        self.engine.mounts().at("pki/").unwrap().entry.id
    }

    /// Issues a leaf; returns its serial number and its certificate.
    async fn issue(&self, path: &str) -> Result<(String, Vec<u8>), Failure> {
        let request = leaf(&format!("spiffe://example.org{path}"));
        let recorded = self.pki().issue(&request, now()).await?;
        let leaf = recorded.into_inner();
        Ok((leaf.serial.to_string(), leaf.der))
    }

    async fn root(&self, name: &str) -> Result<(), Failure> {
        let ask =
            CertificateParams { common_name: name.to_owned(), ..CertificateParams::default() };
        let request = RootRequest {
            params: CaCertificateParams { params: ask, ..CaCertificateParams::default() },
            key: KeySpec {
                origin: KeyOrigin::Internal,
                key_type: Some("ec".to_owned()),
                key_bits: Some(256),
                name: None,
                reference: String::new(),
                form: KeyForm::Traditional,
            },
            issuer_name: Some(name.to_owned()),
            archive: None,
        };
        self.pki().generate_root(&request, now()).await.map(drop)
    }

    async fn revoke(&self, serial: &str) -> Result<(), Failure> {
        let request = RevokeRequest::Serial(serial.to_owned());
        self.pki().revoke(&request, now()).await.map(drop)
    }

    /// Serial numbers of the mount's certificates.
    async fn serials(&self) -> BTreeSet<String> {
        let mut serials = self.pki().list_certificates();
        let page = serials.page().await.unwrap();
        assert!(page.len() < Serials::PAGE, "one page holds them all");
        page.into_iter().collect()
    }

    /// Names of the mount's issuers.
    async fn issuers(&self) -> BTreeSet<String> {
        let authorities = self.pki().read_ca_state().await.unwrap();
        authorities.issuers.values().map(|issuer| issuer.record.name.clone()).collect()
    }

    /// Number of keys of the mount.
    async fn keys(&self) -> usize {
        self.pki().read_ca_state().await.unwrap().keys.len()
    }

    /// Number of stored intents.
    async fn intents(&self) -> usize {
        let snapshot = self.engine.env().store.snapshot().await.unwrap();
        snapshot.keys(&key::intents(&self.mount_id()).range(), 10).await.unwrap().len()
    }

    /// Whether the public CRL names this serial number.
    async fn on_crl(&self, serial: &str) -> bool {
        let list = self.pki().crl("default", now()).await.unwrap().unwrap().der();
        let serial: Vec<u8> = signet::ca::serial::parse(serial).unwrap();
        list.windows(serial.len()).any(|window| window == serial)
    }
}

fn engine(memory: &Memory, entropy: Entropy) -> Arc<Engine> {
    let current = StaticKey { id: "1".to_owned(), key: Secret::boxed(&[7; 32]) };
    let seal = Seal::Static { current, previous: None };
    let sealed = Sealed::new(memory.clone(), seal, entropy.clone());
    Engine::new(Env {
        store: Store::from(Arc::clone(&sealed)),
        sealed,
        clock: Clock::manual(NOW).0,
        entropy,
        storage_type: "inmem",
        lifetimes: TtlLimits { default: SYSTEM_TTL, max: SYSTEM_TTL },
    })
}

/// A request for a leaf with this URI.
fn leaf(uri: &str) -> LeafRequest {
    LeafRequest {
        role: "workload".to_owned(),
        issuer_ref: None,
        params: CertificateParams {
            uri_sans: vec![uri.to_owned()],
            ..CertificateParams::default()
        },
        format: Some(Format::Pem),
        key: KeySource::Generate { key_type: String::new(), key_bits: 0 },
        key_form: KeyForm::Traditional,
    }
}

fn now() -> Timestamp {
    Timestamp::from_unix(NOW)
}

/// Injects `fault` into the `nth` commit of an initialisation; returns whether the store is initialised
/// for the next process.
async fn initialised_after(memory: &Memory, nth: u64, fault: CommitFault) -> bool {
    memory.danger_inject(nth, fault);
    let crashed = engine(memory, Entropy::System);
    assert!(matches!(
        crashed.initialize(None, Some(TOKEN), now()).await,
        Err(Failure::Internal(_))
    ));
    engine(memory, Entropy::System).start().await.unwrap().initialized
}

async fn admits_root(engine: &Engine) -> bool {
    let token = Some(Secret::new(TOKEN.to_owned()));
    engine.gate().authenticate(token, now()).await.is_ok()
}

#[tokio::test]
async fn an_initialisation_is_one_commit() {
    let memory = Memory::new();
    engine(&memory, Entropy::System).initialize(None, Some(TOKEN), now()).await.unwrap();
    assert_eq!(memory.tally().batches, 1, "between two of them the store would have no token");
}

#[tokio::test]
async fn an_initialisation_that_was_not_recorded_can_be_repeated() {
    for fault in [CommitFault::FailedNotDone, CommitFault::LostRequest] {
        let memory = Memory::new();
        assert!(!initialised_after(&memory, 1, fault).await);
        let engine = engine(&memory, Entropy::System);
        engine.initialize(None, Some(TOKEN), now()).await.unwrap();
        assert!(admits_root(&engine).await);
    }
}

#[tokio::test]
async fn an_initialisation_that_was_recorded_and_not_answered_has_its_token() {
    let memory = Memory::new();
    assert!(initialised_after(&memory, 1, CommitFault::LostResponse).await);
    let engine = engine(&memory, Entropy::System);
    engine.start().await.unwrap();
    assert!(admits_root(&engine).await);
}

#[tokio::test]
async fn a_refused_leaf_leaves_nothing() {
    let world = World::new().await;
    let (before, tally) = (world.serials().await, world.memory.tally());
    let request = leaf("spiffe://other.org/x");
    let refused = world.pki().issue(&request, now()).await;
    assert!(matches!(refused, Err(Failure::Refused { .. })));
    assert_eq!(world.memory.tally(), tally);
    assert_eq!(world.restarted().await.serials().await, before);
}

#[tokio::test]
async fn a_leaf_whose_commit_was_not_done_is_an_error_and_absent() {
    let world = World::new().await;
    let before = world.serials().await;
    world.memory.danger_inject(1, CommitFault::FailedNotDone);
    assert!(matches!(world.issue("/a").await, Err(Failure::Internal(_))));
    assert_eq!(world.serials().await, before);
    assert_eq!(world.restarted().await.serials().await, before);
}

#[tokio::test]
async fn a_leaf_whose_commit_was_lost_on_its_way_is_an_error_and_absent() {
    let world = World::new().await;
    let before = world.serials().await;
    world.memory.danger_inject(1, CommitFault::LostRequest);
    assert!(matches!(world.issue("/a").await, Err(Failure::Internal(_))));
    let world = world.restarted().await;
    assert_eq!(world.serials().await, before);
    let (serial, _) = world.issue("/a").await.unwrap();
    assert!(!before.contains(&serial) && world.serials().await.contains(&serial));
}

#[tokio::test]
async fn a_leaf_whose_commit_was_not_answered_is_an_error_and_on_record() {
    let world = World::new().await;
    let before = world.serials().await;
    world.memory.danger_inject(1, CommitFault::LostResponse);
    assert!(matches!(world.issue("/a").await, Err(Failure::Internal(_))));
    let world = world.restarted().await;
    let unanswered: Vec<String> = world.serials().await.difference(&before).cloned().collect();
    assert_eq!(unanswered.len(), 1);
    // No client has it, but it is listed and can be revoked. A retry issues another one.
    world.revoke(&unanswered[0]).await.unwrap();
    assert!(world.on_crl(&unanswered[0]).await);
    assert_ne!(world.issue("/a").await.unwrap().0, unanswered[0]);
}

#[tokio::test]
async fn a_leaf_that_met_another_commit_is_signed_again_under_a_new_serial_number() {
    let world = World::new().await;
    let before = world.serials().await;
    world.memory.danger_inject(1, CommitFault::Conflict);
    let (serial, _) = world.issue("/a").await.unwrap();
    let after = world.serials().await;
    assert_eq!(after.difference(&before).collect::<Vec<_>>(), [&serial]);
}

/// A machine that was restored from an image can repeat its random numbers. The store detects the
/// duplicate serial number, and the leaf is signed again with the next one.
#[tokio::test]
async fn a_generator_that_repeats_itself_issues_no_serial_number_twice() {
    let mut world = World::with(|| Entropy::danger_seeded(7)).await;
    let mut known = world.serials().await;
    for _ in 0..3 {
        let before = world.memory.tally();
        let (serial, _) = world.issue("/a").await.unwrap();
        assert!(known.insert(serial), "issued twice, {before:?}");
        world = world.restarted().await;
        assert_eq!(world.serials().await, known);
    }
}

#[tokio::test]
async fn a_leaf_that_was_answered_is_on_record_byte_for_byte() {
    let world = World::new().await;
    let (serial, der) = world.issue("/a").await.unwrap();
    let world = world.restarted().await;
    let stored = world.pki().read_certificate(&serial).await.unwrap();
    assert_eq!((stored.der, stored.revoked), (der, None));
}

#[tokio::test]
async fn a_root_whose_intent_was_lost_leaves_nothing() {
    let world = World::new().await;
    world.memory.danger_inject(1, CommitFault::LostRequest);
    assert!(matches!(world.root("second").await, Err(Failure::Internal(_))));
    let world = world.restarted().await;
    assert_eq!((world.intents().await, world.keys().await), (0, 1));
    assert_eq!(world.issuers().await, BTreeSet::from(["first".to_owned()]));
}

#[tokio::test]
async fn a_root_whose_intent_was_recorded_and_not_answered_leaves_only_its_intent() {
    let world = World::new().await;
    world.memory.danger_inject(1, CommitFault::LostResponse);
    assert!(matches!(world.root("second").await, Err(Failure::Internal(_))));
    let world = world.restarted().await;
    assert_eq!((world.intents().await, world.keys().await), (1, 1));
    assert_eq!(world.issuers().await, BTreeSet::from(["first".to_owned()]));
}

#[tokio::test]
async fn a_root_that_was_signed_and_not_recorded_leaves_its_intent() {
    let world = World::new().await;
    let before = world.serials().await;
    world.memory.danger_inject(2, CommitFault::LostRequest);
    assert!(matches!(world.root("second").await, Err(Failure::Internal(_))));
    let world = world.restarted().await;
    assert_eq!((world.intents().await, world.keys().await), (1, 1));
    assert_eq!(world.serials().await, before);
    // The name was not taken, and the next root with that name is complete.
    world.root("second").await.unwrap();
    assert_eq!((world.intents().await, world.keys().await), (1, 2));
}

#[tokio::test]
async fn a_root_whose_record_was_refused_leaves_no_intent() {
    for fault in [CommitFault::Conflict, CommitFault::FailedNotDone] {
        let world = World::new().await;
        world.memory.danger_inject(2, fault);
        // After a conflict it is signed again.
        let _ = world.root("second").await;
        assert_eq!(world.restarted().await.intents().await, 0);
    }
}

#[tokio::test]
async fn a_root_that_was_recorded_and_not_answered_is_complete() {
    let world = World::new().await;
    world.memory.danger_inject(2, CommitFault::LostResponse);
    assert!(matches!(world.root("second").await, Err(Failure::Internal(_))));
    let world = world.restarted().await;
    assert_eq!((world.intents().await, world.keys().await), (0, 2));
    assert_eq!(world.issuers().await, ["first", "second"].map(str::to_owned).into());
    let list = world.pki().crl("second", now()).await.unwrap();
    assert!(list.is_some(), "its first CRL is built for its first reader");
}

#[tokio::test]
async fn a_root_that_was_answered_leaves_no_intent() {
    let world = World::new().await;
    world.root("second").await.unwrap();
    assert_eq!((world.intents().await, world.keys().await), (0, 2));
}

/// The first commit records the revocation, the second one the list.
#[tokio::test]
async fn a_revocation_whose_crl_was_lost_is_on_the_crl_after_the_restart() {
    for fault in [CommitFault::FailedNotDone, CommitFault::LostRequest, CommitFault::LostResponse] {
        let world = World::new().await;
        let (serial, _) = world.issue("/a").await.unwrap();
        world.memory.danger_inject(2, fault);
        assert!(matches!(world.revoke(&serial).await, Err(Failure::Internal(_))));
        assert!(world.restarted().await.on_crl(&serial).await);
    }
}

#[tokio::test]
async fn a_repeated_revocation_is_on_the_crl_before_it_is_answered() {
    let world = World::new().await;
    let (serial, _) = world.issue("/a").await.unwrap();
    world.memory.danger_inject(2, CommitFault::LostRequest);
    assert!(matches!(world.revoke(&serial).await, Err(Failure::Internal(_))));
    world.revoke(&serial).await.unwrap();
    assert!(world.on_crl(&serial).await);
}

#[tokio::test]
async fn what_was_refused_and_revoked_before_a_restart_still_is_at_the_first_request_after_it() {
    let world = World::new().await;
    let (serial, _) = world.issue("/a").await.unwrap();
    world.revoke(&serial).await.unwrap();
    let world = world.restarted().await;
    let refused = world.issue(".evil.com/x").await.unwrap_err();
    assert!(matches!(refused, Failure::Refused { .. }), "{refused:?}");
    let world = world.restarted().await;
    let listed = world.pki().crl("first", now()).await.unwrap().unwrap().der();
    let bytes: Vec<u8> =
        serial.split(':').map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect();
    assert!(listed.windows(bytes.len()).any(|window| window == bytes));
    let world = world.restarted().await;
    for token in [None, Some("Root"), Some("")] {
        let token = token.map(|token| Secret::new(token.to_owned()));
        let admitted = world.engine.gate().authenticate(token, now()).await;
        assert!(admitted.is_err());
    }
}

#[tokio::test]
async fn a_start_reads_no_certificate() {
    let world = World::new().await;
    let mount = world.mount_id();
    let mut batch = Batch::new();
    for number in 0..100 {
        // No decoder reads these bytes.
        batch = batch
            .put(key::certificate(&mount, &[number; 20]), vec![0xff])
            .put(key::revoked(&mount, &IssuerId::new([7; 16]), &[number; 20]), vec![0xff]);
    }
    world.engine.env().store.commit(batch).await.unwrap();
    let world = world.restarted().await;
    world.issue("/a").await.unwrap();
}

/// The status of one request for a leaf over the API, which limits how many are issued at once.
async fn status_of_issue(api: Api, number: u64) -> u16 {
    let body = format!("{{\"uri_sans\":\"spiffe://example.org/{number}\"}}");
    let request = Request::post("/v1/pki/issue/workload").header("X-Vault-Token", TOKEN);
    let (parts, ()) = request.body(()).unwrap().into_parts();
    api.answer(parts, body.into()).await.status().as_u16()
}

#[tokio::test]
async fn while_the_disk_does_not_respond_a_bounded_number_of_leaves_is_in_flight() {
    let world = World::new().await;
    let api = Api::new(Arc::clone(&world.engine));
    let slots = 128 * u64::try_from(std::thread::available_parallelism().unwrap().get()).unwrap();
    let gate = Arc::new(Notify::new());
    for nth in 1..=slots {
        world.memory.danger_inject(nth, CommitFault::Slow(Arc::clone(&gate)));
    }
    let before = world.memory.tally().batches;
    let mut in_flight = JoinSet::new();
    for number in 0..slots {
        in_flight.spawn(status_of_issue(api.clone(), number));
    }
    let all_in_flight = async {
        while world.memory.tally().batches < before + slots {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(30), all_in_flight).await.unwrap();
    assert_eq!(status_of_issue(api.clone(), slots).await, 503);
    assert_eq!(world.memory.tally().batches, before + slots, "nothing was done for it");
    gate.notify_waiters();
    assert!(in_flight.join_all().await.into_iter().all(|status| status == 200));
    assert_eq!(status_of_issue(api, slots).await, 200, "the slots are free again");
}
