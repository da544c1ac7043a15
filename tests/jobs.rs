//! Jobs, over a store in memory and a clock that the test sets.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test, where a surprise is a failure"
)]

mod support;

use std::collections::BTreeSet;

use der::Decode;
use minicbor::{Decode as CborDecode, Encode as CborEncode};
use serde_json::json;
use signet::ca::serial;
use signet::ca::time::Timestamp;
use signet::engine::Failure;
use signet::engine::MountId;
use signet::engine::jobs::Outcome;
use signet::engine::jobs::plan::Job;
use signet::engine::pki::Pki;
use signet::engine::pki::auto_tidy::AutoTidyChange;
use signet::engine::pki::records::{IntentRecord, RevocationRecord};
use signet::store::memory::CommitFault;
use signet::store::sealed::ROTATE_AT;
use signet::store::{Batch, KeyRange, Record, Store, key};
use support::{Answer, Server};
use x509_cert::crl::CertificateList;

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

/// A mount with a root, and a role whose certificates are valid for an hour.
async fn server() -> Server {
    let server = Server::with_root().await;
    let role = json!({ "allow_any_name": true, "key_type": "ec", "ttl": "1h", "max_ttl": "8760h" });
    server.post("pki/roles/web", role).await.ok();
    server
}

fn pki(server: &Server) -> Pki {
    server.engine.mounts().at("pki/").unwrap().core::<Pki>().unwrap().clone()
}

fn mount_id(server: &Server) -> MountId {
    server.engine.mounts().at("pki/").unwrap().entry.id
}

fn now(server: &Server) -> Timestamp {
    Timestamp::from_unix(server.now())
}

/// Enables the tidy of certificates and revocations with Vault's buffers.
async fn enable(server: &Server) {
    let change = AutoTidyChange {
        enabled: Some(true),
        tidy_cert_store: Some(true),
        tidy_revoked_certs: Some(true),
        ..AutoTidyChange::default()
    };
    configure(server, &change).await;
}

async fn configure(server: &Server, change: &AutoTidyChange) {
    pki(server).write_auto_tidy(change, now(server)).await.unwrap();
}

async fn jobs(server: &Server) -> Outcome {
    server.engine.run_due_jobs(now(server)).await
}

/// Advances the clock hour by hour and runs the due jobs; every run must succeed.
async fn pass(server: &Server, seconds: i64) {
    let end = server.now() + seconds;
    while server.now() < end {
        server.advance(HOUR.min(end - server.now()));
        let outcome = jobs(server).await;
        assert!(outcome.failed.is_empty() && outcome.unread.is_empty(), "{outcome:?}");
    }
}

async fn issue(server: &Server, ttl: &str) -> String {
    let body = json!({ "common_name": "a.example.org", "ttl": ttl });
    server.post("pki/issue/web", body).await.ok().text("serial_number")
}

async fn revoke(server: &Server, serial: &str) -> Answer {
    server.post("pki/revoke", json!({ "serial_number": serial })).await
}

async fn certificates(server: &Server) -> BTreeSet<String> {
    let keys = server.list("pki/certs").await.data()["keys"].take();
    let keys = keys.as_array().into_iter().flatten();
    keys.map(|serial| serial.as_str().unwrap().to_owned()).collect()
}

async fn count(server: &Server, range: &KeyRange) -> usize {
    let snapshot = server.engine.env().store.snapshot().await.unwrap();
    snapshot.keys(range, usize::MAX).await.unwrap().len()
}

async fn revocations(server: &Server) -> usize {
    count(server, &key::revocations(&mount_id(server)).range()).await
}

/// Number and serial numbers of the CRL that a client reads without a token.
async fn crl(server: &Server) -> (u64, BTreeSet<String>) {
    let answer = server.send("GET", "pki/crl", None, &[], bytes::Bytes::new()).await.ok();
    let list = CertificateList::<x509_cert::certificate::Rfc5280>::from_der(&answer.body).unwrap();
    let list = list.tbs_cert_list;
    let extensions = list.crl_extensions.unwrap();
    let number = extensions.iter().find(|one| one.extn_id.to_string() == "2.5.29.20").unwrap();
    let entries = list.revoked_certificates.into_iter().flatten();
    let serial = |bytes: &[u8]| serial::colon_hex(bytes);
    (
        u64::from_der(number.extn_value.as_bytes()).unwrap(),
        entries.map(|entry| serial(entry.serial_number.as_bytes())).collect(),
    )
}

#[tokio::test]
async fn a_store_of_short_certificates_stops_growing() {
    let server = server().await;
    let root = certificates(&server).await;
    enable(&server).await;
    let long = issue(&server, "8760h").await;
    let revoked_long = issue(&server, "8760h").await;
    revoke(&server, &revoked_long).await.ok();
    let mut sizes = Vec::new();
    for _ in 0..8 {
        for _ in 0..20 {
            let serial = issue(&server, "1h").await;
            if sizes.len() % 2 == 0 {
                revoke(&server, &serial).await.ok();
            }
        }
        pass(&server, DAY).await;
        sizes.push(certificates(&server).await.len());
    }
    // Certificates of four days: three of the buffer, and the day of the last run.
    assert_eq!(sizes[..3], [23, 43, 63], "{sizes:?}");
    assert!(sizes[3..].iter().all(|size| (63..=83).contains(size)), "{sizes:?}");
    assert_eq!(sizes[7], sizes[5], "{sizes:?}");
    pass(&server, 6 * DAY).await;
    let left: BTreeSet<_> = root.into_iter().chain([long, revoked_long.clone()]).collect();
    assert_eq!(certificates(&server).await, left);
    assert_eq!(revocations(&server).await, 1);
    assert_eq!(crl(&server).await.1, BTreeSet::from([revoked_long]));
}

#[tokio::test]
async fn what_is_not_enabled_is_not_removed() {
    let server = server().await;
    let first = issue(&server, "1h").await;
    let second = issue(&server, "1h").await;
    revoke(&server, &second).await.ok();
    pass(&server, 10 * DAY).await;
    assert_eq!(certificates(&server).await.len(), 3, "off");
    let change = AutoTidyChange {
        enabled: Some(true),
        tidy_cert_store: Some(true),
        ..AutoTidyChange::default()
    };
    configure(&server, &change).await;
    pass(&server, DAY).await;
    let left = certificates(&server).await;
    assert!(!left.contains(&first) && !left.contains(&second) && left.len() == 1);
    assert_eq!(revocations(&server).await, 1, "its revocation stays");
    assert!(crl(&server).await.1.contains(&second), "and its entry");
    let change = AutoTidyChange { tidy_revoked_certs: Some(true), ..AutoTidyChange::default() };
    configure(&server, &change).await;
    pass(&server, 3 * DAY).await;
    assert_eq!(revocations(&server).await, 0);
    assert!(crl(&server).await.1.is_empty());
}

#[tokio::test]
async fn a_revoked_certificate_stays_until_its_own_buffer_is_over() {
    let server = server().await;
    let (plain, revoked, after) =
        (issue(&server, "1h").await, issue(&server, "1h").await, issue(&server, "1h").await);
    revoke(&server, &revoked).await.ok();
    let change = AutoTidyChange {
        enabled: Some(true),
        tidy_cert_store: Some(true),
        tidy_revoked_certs: Some(true),
        safety_buffer: Some(HOUR),
        revoked_safety_buffer: Some(10 * DAY),
        ..AutoTidyChange::default()
    };
    configure(&server, &change).await;
    pass(&server, 9 * DAY).await;
    let left = certificates(&server).await;
    assert!(left.contains(&revoked) && !left.contains(&plain) && !left.contains(&after));
    pass(&server, 4 * DAY).await;
    assert!(!certificates(&server).await.contains(&revoked));
}

/// RFC 5280, section 3.3: an entry stays until it was on a CRL that was issued after the certificate
/// expired.
#[tokio::test]
async fn a_revocation_stays_until_a_crl_after_the_expiry_named_it() {
    let server = server().await;
    let change = AutoTidyChange {
        enabled: Some(true),
        tidy_revoked_certs: Some(true),
        interval_duration: Some(HOUR),
        safety_buffer: Some(1),
        ..AutoTidyChange::default()
    };
    configure(&server, &change).await;
    let serial = issue(&server, "1h").await;
    revoke(&server, &serial).await.ok();
    let before = crl(&server).await;
    pass(&server, 30 * HOUR).await;
    assert_eq!(revocations(&server).await, 1, "the CRL from before its expiry is current");
    assert_eq!(crl(&server).await, before);
    pass(&server, 7 * HOUR).await;
    let (number, entries) = crl(&server).await;
    assert_eq!(
        (number, entries.contains(&serial)),
        (before.0 + 1, true),
        "the CRL after its expiry"
    );
    assert_eq!(revocations(&server).await, 0);
    assert!(!certificates(&server).await.contains(&serial));
    // Its entry leaves with the next renewal, not with a read or a new process.
    let restarted = server.restarted().await;
    let batches = server.memory.tally().batches;
    assert!(crl(&restarted).await.1.contains(&serial));
    assert_eq!(server.memory.tally().batches, batches, "nothing was written");
    pass(&restarted, 37 * HOUR).await;
    assert_eq!(crl(&restarted).await, (number + 1, BTreeSet::new()));
}

#[tokio::test]
async fn expired_issuers_are_deleted_except_the_default_one_and_keys_stay() {
    let server = server().await;
    for name in ["old", "older"] {
        let root = json!({
            "common_name": name, "key_type": "ec", "issuer_name": name, "ttl": "24h",
        });
        server.post("pki/root/generate/internal", root).await.ok();
    }
    server.post("pki/config/issuers", json!({ "default": "old" })).await.ok();
    let change = AutoTidyChange {
        enabled: Some(true),
        tidy_expired_issuers: Some(true),
        tidy_cert_store: Some(true),
        issuer_safety_buffer: Some(DAY),
        ..AutoTidyChange::default()
    };
    configure(&server, &change).await;
    pass(&server, DAY).await;
    assert_eq!(pki(&server).read_ca_state().await.unwrap().issuers.len(), 3);
    pass(&server, 4 * DAY).await;
    let ca_state = pki(&server).read_ca_state().await.unwrap();
    let names: BTreeSet<_> =
        ca_state.issuers.values().map(|issuer| issuer.record.name.as_str()).collect();
    assert_eq!(names, BTreeSet::from(["root", "old"]));
    assert_eq!(ca_state.keys.len(), 3);
    assert_eq!(certificates(&server).await.len(), 3, "an issuer's certificate stays on record");
}

#[tokio::test]
async fn a_clock_that_jumps_removes_nothing_before_twelve_hours_have_passed() {
    let server = server().await;
    let serial = issue(&server, "8760h").await;
    enable(&server).await;
    pass(&server, DAY).await;
    for jump in [400 * DAY, 3000 * DAY] {
        server.advance(jump);
        pass(&server, 11 * HOUR).await;
        assert!(certificates(&server).await.contains(&serial), "{jump}");
        server.advance(-jump);
        pass(&server, 2 * DAY).await;
        assert!(certificates(&server).await.contains(&serial), "{jump}");
    }
    // After twelve hours the clock is trusted.
    server.advance(400 * DAY);
    pass(&server, 14 * HOUR).await;
    assert!(!certificates(&server).await.contains(&serial));
}

#[tokio::test]
async fn an_interrupted_tidy_starts_again_and_completes() {
    for fault in [
        CommitFault::FailedNotDone,
        CommitFault::LostRequest,
        CommitFault::LostResponse,
        CommitFault::Conflict,
    ] {
        for nth in 1..4 {
            let server = server().await;
            enable(&server).await;
            let revoked = issue(&server, "1h").await;
            revoke(&server, &revoked).await.ok();
            issue(&server, "1h").await;
            pass(&server, 70 * HOUR).await;
            server.memory.danger_inject(nth, fault.clone());
            for _ in 0..30 {
                server.advance(HOUR);
                jobs(&server).await;
            }
            assert_eq!(certificates(&server).await.len(), 1, "{fault:?} {nth}");
            assert_eq!(revocations(&server).await, 0, "{fault:?} {nth}");
        }
    }
}

/// Vault looped endlessly at the boundary of pages (openbao/openbao#1696).
#[tokio::test]
async fn a_tidy_ends_at_every_boundary_of_pages() {
    const PAGE: u64 = 4096;
    for many in [0, 1, PAGE - 1, PAGE, PAGE + 1, 2 * PAGE] {
        let server = server().await;
        let (mount, store) = (mount_id(&server), server.engine.env().store.clone());
        let issuer = *pki(&server).read_ca_state().await.unwrap().issuers.keys().next().unwrap();
        let mut batch = Batch::new();
        for number in 0..many {
            let mut serial = [0x01; 20];
            serial[12..].copy_from_slice(&number.to_be_bytes());
            let revoked = RevocationRecord { seconds: 1, nanoseconds: 0, not_after: server.now() };
            batch = batch
                .put(key::certificate(&mount, &serial), b"x".to_vec())
                .put_record(key::revoked(&mount, &issuer, &serial), &revoked);
        }
        store.commit(batch).await.unwrap();
        server.post("pki/crl/rotate", json!({})).await;
        let live = issue(&server, "8760h").await;
        enable(&server).await;
        pass(&server, 5 * DAY).await;
        assert_eq!(revocations(&server).await, 0, "{many}");
        let left = certificates(&server).await;
        assert!(left.len() == 2 && left.contains(&live), "{many}: {} left", left.len());
    }
}

#[tokio::test]
async fn a_published_crl_is_renewed_before_it_expires_and_without_a_reader() {
    let server = server().await;
    let before = crl(&server).await.0;
    server.advance(35 * HOUR);
    assert!(jobs(&server).await.done.is_empty());
    server.advance(2 * HOUR);
    let due = jobs(&server).await.done;
    assert!(matches!(due[..], [Job::RenewCrl { .. }]), "{due:?}");
    let batches = server.memory.tally().batches;
    assert_eq!(crl(&server).await.0, before + 1);
    assert_eq!(server.memory.tally().batches, batches, "the reader writes nothing");
    let restarted = server.restarted().await;
    assert!(jobs(&restarted).await.done.is_empty());
    assert_eq!(server.memory.tally().batches, batches, "nor does a new process");
}

#[tokio::test]
async fn a_failed_job_is_retried_later_and_does_not_delay_other_mounts() {
    let server = server().await;
    let mount = json!({ "type": "pki", "config": { "max_lease_ttl": "87600h" } });
    server.post("sys/mounts/edge", mount).await.ok();
    let root = json!({ "common_name": "Edge", "key_type": "ec", "ttl": "87600h" });
    server.post("edge/root/generate/internal", root).await.ok();
    server.advance(37 * HOUR);
    server.memory.danger_inject(1, CommitFault::FailedNotDone);
    let outcome = jobs(&server).await;
    assert_eq!((outcome.done.len(), outcome.failed.len()), (1, 1), "{outcome:?}");
    assert!(matches!(outcome.failed[0].1, Failure::Internal(_)));
    server.advance(59);
    assert_eq!(jobs(&server).await.done, []);
    server.advance(1);
    assert_eq!(jobs(&server).await.done, [outcome.failed[0].0]);
}

#[tokio::test]
async fn an_unfinished_signature_is_logged_once_and_removed_after_three_days() {
    let server = server().await;
    let root = json!({ "common_name": "Second", "key_type": "ec", "ttl": "87600h" });
    server.memory.danger_inject(2, CommitFault::LostRequest);
    assert_eq!(server.post("pki/root/generate/internal", root).await.status, 500);
    let range = key::intents(&mount_id(&server)).range();
    let logged = async |server: &Server| {
        let snapshot = server.engine.env().store.snapshot().await.unwrap();
        let found = snapshot.scan(&range, 10).await.unwrap();
        let record = |value: &[u8]| signet::store::record::decode::<IntentRecord>(value).unwrap();
        found.iter().map(|entry| record(&entry.value).logged_at).collect::<Vec<_>>()
    };
    assert_eq!(logged(&server).await, [None]);
    jobs(&server).await;
    assert_eq!(logged(&server).await, [None], "it may still be in progress");
    server.advance(1);
    let server = server.restarted().await;
    let (start, batches) = (server.now(), server.memory.tally().batches);
    let due = jobs(&server).await.done;
    assert!(matches!(due[..], [Job::RemoveIntents { .. }]), "{due:?}");
    assert_eq!(logged(&server).await, [Some(start)]);
    let server = server.restarted().await;
    assert_eq!(jobs(&server).await.done, [], "it was logged before");
    // The update of the record, and the block of nonces of the process that wrote it.
    assert_eq!(server.memory.tally().batches, batches + 2);
    pass(&server, 71 * HOUR).await;
    assert_eq!(logged(&server).await, [Some(start)]);
    pass(&server, HOUR).await;
    assert_eq!(logged(&server).await, []);
}

/// The record of the data key's use, as the server writes it.
#[derive(CborEncode, CborDecode)]
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

#[tokio::test]
async fn a_data_key_is_replaced_when_it_has_encrypted_half_of_its_limit() {
    let server = server().await;
    assert_eq!(jobs(&server).await.done, []);
    let serial = issue(&server, "1h").await;
    let usage = Usage { key: 1, before: ROTATE_AT - 1, block: 0, written: u64::MAX };
    let below = Store::danger_unsealed(server.memory.clone());
    below.commit(Batch::new().put_record(key::usage(), &usage)).await.unwrap();
    let server = server.restarted().await;
    assert_eq!(jobs(&server).await.done, []);
    issue(&server, "1h").await;
    server.memory.danger_inject(1, CommitFault::FailedNotDone);
    let failed = jobs(&server).await;
    assert_eq!(failed.failed.len(), 1, "{failed:?}");
    server.advance(60);
    assert_eq!(jobs(&server).await.done, [Job::RotateDataKey]);
    assert_eq!(jobs(&server).await.done, []);
    let newer = issue(&server, "1h").await;
    let sealed_by = async |serial: &str| {
        let bytes: [u8; 20] = serial::parse(serial).unwrap().try_into().unwrap();
        let key = key::certificate(&mount_id(&server), &bytes);
        let (_, value) = below.snapshot().await.unwrap().get(&key).await.unwrap().unwrap();
        u32::from_be_bytes(value[1..5].try_into().unwrap())
    };
    assert_eq!((sealed_by(&serial).await, sealed_by(&newer).await), (1, 2));
    let server = server.restarted().await;
    assert!(certificates(&server).await.is_superset(&[serial.clone(), newer].into()));
    server.get(&format!("pki/cert/{serial}")).await.ok();
}

#[tokio::test]
async fn a_sealed_or_uninitialised_server_has_no_due_job() {
    let server = Server::uninitialised();
    assert_eq!(jobs(&server).await.done, []);
    let server = self::server().await;
    server.advance(40 * HOUR);
    server.engine.env().sealed.seal();
    let outcome = jobs(&server).await;
    assert_eq!((outcome.done, outcome.failed), (vec![], vec![]));
    assert_eq!(outcome.next, now(&server).plus(60));
}

#[tokio::test]
async fn the_mounts_of_a_trust_domain_are_tidied() {
    let server = Server::new().await;
    let domain = signet::ca::spiffe::SpiffeId::parse("spiffe://example.org").unwrap();
    server.engine.prepare_trust_domain(&domain, now(&server)).await.unwrap();
    for path in ["pki_root/", "pki/"] {
        let pki = server.engine.mounts().at(path).unwrap().core::<Pki>().unwrap().clone();
        let config = pki.read_auto_tidy().await.unwrap();
        assert!(config.enabled && config.tidy_cert_store && config.tidy_revoked_certs, "{path}");
    }
}
