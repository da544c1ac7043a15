//! A disk that is full, slow, or fails.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::ledger::{Ledger, ask};
use crate::machine::{Action, Fault, Machine, SYNC, WRITE, end_of};
use crate::process::Server;

const EIO: u64 = 5;
const ENOSPC: u64 = 28;

/// A server after its first scenario, and the ledger of its answers.
async fn started(machine: &Machine) -> (Server, Ledger) {
    let server = machine.start();
    let mut ledger = Ledger::default();
    ledger.scenario(&server.address, 5).await.expect("a disk without faults");
    (server, ledger)
}

const fn failing(kinds: u64, first: u64, last: u64, errno: u64) -> Fault {
    Fault { action: Action::Fail, kinds, first, last, value: errno }
}

/// Checks that the server exits within a second, with a failure status and a log line that gives
/// the reason.
async fn exits_with(machine: &Machine, server: &mut Server, why: &str) {
    let (status, after) = end_of(server, Duration::from_secs(1)).await;
    assert!(!status.success(), "{status}");
    let log = machine.log();
    assert!(log.contains("the store failed") && log.contains(why), "after {after:?}:\n{log}");
}

#[tokio::test]
async fn a_sync_that_fails_ends_the_process_and_the_next_start_has_everything() {
    let machine = Machine::new();
    let (mut server, mut ledger) = started(&machine).await;
    let mut connection = ledger.connect(&server.address).await.expect("a server");
    machine.arm(failing(SYNC, 1, 1, EIO));
    let refused = ledger.issue(&mut connection).await;
    assert!(refused.is_err(), "a certificate was acknowledged although its sync failed");
    exits_with(&machine, &mut server, "Input/output error").await;
    // The next sync would succeed, but the pages of the failed one may be lost.
    let server = machine.start();
    ledger.verify(&server.address).await.expect("everything that was acknowledged");
    ledger.resume(&server.address).await.expect("a disk that works again");
}

#[tokio::test]
async fn a_revocation_whose_sync_fails_is_never_half_acknowledged() {
    // The record of the revocation, then the CRL.
    for number in [1, 2] {
        let machine = Machine::new();
        let (mut server, mut ledger) = started(&machine).await;
        let mut connection = ledger.connect(&server.address).await.expect("a server");
        let serial = ledger.issue(&mut connection).await.expect("a disk without faults");
        machine.arm(failing(SYNC, number, number, EIO));
        let refused = ledger.revoke(&mut connection, &serial).await;
        assert!(refused.is_err(), "sync {number}: acknowledged although not synced");
        exits_with(&machine, &mut server, "Input/output error").await;
        let server = machine.start();
        ledger.verify(&server.address).await.expect("everything that was acknowledged");
        ledger.resume(&server.address).await.expect("a disk that works again");
    }
}

#[tokio::test]
async fn a_full_disk_refuses_writes_serves_reads_until_then_and_loses_nothing() {
    let machine = Machine::new();
    let (mut server, mut ledger) = started(&machine).await;
    let mut connection = ledger.connect(&server.address).await.expect("a server");
    machine.arm(failing(WRITE, 1, u64::MAX, ENOSPC));
    ledger.verify(&server.address).await.expect("reads need no disk space");
    let refused = ledger.issue(&mut connection).await;
    assert!(refused.is_err(), "a certificate was acknowledged although not written");
    exits_with(&machine, &mut server, "No space left on device").await;
    // Without disk space the store does not open: reported at the start, not at the first write.
    let (status, log) = machine.try_start().expect_err("a start needs disk space");
    assert!(!status.success() && log.contains("No space left on device"), "{status}:\n{log}");
    machine.disarm();
    let server = machine.start();
    ledger.verify(&server.address).await.expect("everything that was acknowledged");
    ledger.resume(&server.address).await.expect("a disk with free space");
}

#[tokio::test]
async fn a_sync_that_takes_two_seconds_delays_writes_and_no_read() {
    let machine = Machine::new();
    let (server, mut ledger) = started(&machine).await;
    let mut connection = ledger.connect(&server.address).await.expect("a server");
    machine.arm(Fault { action: Action::Delay, kinds: SYNC, first: 1, last: 1, value: 2_000 });
    let start = Instant::now();
    let mut writer = ledger.clone();
    let writing = tokio::spawn(async move {
        let serial = writer.issue(&mut connection).await.expect("a slow disk is not an error");
        (writer, serial)
    });
    while machine.tally().1 == 0 {
        tokio::task::yield_now().await;
    }
    let mut reads = 0;
    let mut slowest = Duration::ZERO;
    let mut reader = ledger.connect(&server.address).await.expect("a server");
    while !writing.is_finished() {
        let read = Instant::now();
        ledger.read_crl(&mut reader).await.expect("a read");
        ask(&mut reader, "LIST", "pki/certs", &Value::Null).await.expect("a read");
        slowest = slowest.max(read.elapsed());
        reads += 2;
    }
    let (writer, _) = writing.await.expect("a writer");
    let written = start.elapsed();
    assert!(written >= Duration::from_secs(2) && written < Duration::from_secs(4), "{written:?}");
    assert!(slowest < Duration::from_secs(1), "a read waited {slowest:?} for a sync");
    assert!(reads > 10, "only {reads} reads in two seconds");
    ledger = writer;
    // A disk that is always slow: each request waits for at most two syncs.
    machine.arm(Fault { action: Action::Delay, kinds: SYNC, first: 1, last: 20, value: 50 });
    let mut connection = ledger.connect(&server.address).await.expect("a server");
    for _ in 0..20 {
        let start = Instant::now();
        ledger.issue(&mut connection).await.expect("a slow disk is not an error");
        let taken = start.elapsed();
        assert!(taken < Duration::from_secs(1), "with syncs of 50 ms, a request took {taken:?}");
    }
    ledger.verify(&server.address).await.expect("everything that was acknowledged");
}
