//! A disk that is full, slow, or fails.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::book::{Book, ask};
use crate::machine::{Action, Fault, Machine, SYNC, WRITE, end_of};
use crate::process::Server;

const EIO: u64 = 5;
const ENOSPC: u64 = 28;

/// A server after its first scenario, and what it answered.
async fn started(machine: &Machine) -> (Server, Book) {
    let server = machine.start();
    let mut book = Book::default();
    book.scenario(&server.address, 5).await.expect("a disk without faults");
    (server, book)
}

const fn failing(kinds: u64, first: u64, last: u64, errno: u64) -> Fault {
    Fault { action: Action::Fail, kinds, first, last, value: errno }
}

/// The server ends within a second, with a status and a line that say why.
async fn ends_saying(machine: &Machine, server: &mut Server, why: &str) {
    let (status, after) = end_of(server, Duration::from_secs(1)).await;
    assert!(!status.success(), "{status}");
    let log = machine.log();
    assert!(log.contains("the store failed") && log.contains(why), "after {after:?}:\n{log}");
}

#[tokio::test]
async fn a_sync_that_fails_ends_the_process_and_the_next_start_has_everything() {
    let machine = Machine::new();
    let (mut server, mut book) = started(&machine).await;
    let mut connection = book.connect(&server.address).await.expect("a server");
    machine.arm(failing(SYNC, 1, 1, EIO));
    let refused = book.issue(&mut connection).await;
    assert!(refused.is_err(), "a certificate was acknowledged whose sync had failed");
    ends_saying(&machine, &mut server, "Input/output error").await;
    // The next sync would succeed; the pages of the failed one may be gone all the same.
    let server = machine.start();
    book.verify(&server.address).await.expect("everything that was answered");
    book.go_on(&server.address).await.expect("a disk that works again");
}

#[tokio::test]
async fn a_revocation_whose_sync_fails_is_never_half_acknowledged() {
    // Its record, and then the list.
    for number in [1, 2] {
        let machine = Machine::new();
        let (mut server, mut book) = started(&machine).await;
        let mut connection = book.connect(&server.address).await.expect("a server");
        let serial = book.issue(&mut connection).await.expect("a disk without faults");
        machine.arm(failing(SYNC, number, number, EIO));
        let refused = book.revoke(&mut connection, &serial).await;
        assert!(refused.is_err(), "sync {number}: acknowledged, though not synced");
        ends_saying(&machine, &mut server, "Input/output error").await;
        let server = machine.start();
        book.verify(&server.address).await.expect("everything that was answered");
        book.go_on(&server.address).await.expect("a disk that works again");
    }
}

#[tokio::test]
async fn a_full_disk_refuses_writes_serves_reads_until_then_and_loses_nothing() {
    let machine = Machine::new();
    let (mut server, mut book) = started(&machine).await;
    let mut connection = book.connect(&server.address).await.expect("a server");
    machine.arm(failing(WRITE, 1, u64::MAX, ENOSPC));
    book.verify(&server.address).await.expect("reads need no room");
    let refused = book.issue(&mut connection).await;
    assert!(refused.is_err(), "a certificate was acknowledged, and not written");
    ends_saying(&machine, &mut server, "No space left on device").await;
    // As long as there is no room there is no store: said at the start, not at the first write.
    let (status, log) = machine.try_start().expect_err("a start needs room");
    assert!(!status.success() && log.contains("No space left on device"), "{status}:\n{log}");
    machine.disarm();
    let server = machine.start();
    book.verify(&server.address).await.expect("everything that was answered");
    book.go_on(&server.address).await.expect("a disk with room");
}

#[tokio::test]
async fn a_sync_that_takes_two_seconds_delays_writes_and_no_read() {
    let machine = Machine::new();
    let (server, mut book) = started(&machine).await;
    let mut connection = book.connect(&server.address).await.expect("a server");
    machine.arm(Fault { action: Action::Delay, kinds: SYNC, first: 1, last: 1, value: 2_000 });
    let start = Instant::now();
    let mut writer = book.clone();
    let writing = tokio::spawn(async move {
        let serial = writer.issue(&mut connection).await.expect("a slow disk is no error");
        (writer, serial)
    });
    while machine.tally().1 == 0 {
        tokio::task::yield_now().await;
    }
    let mut reads = 0;
    let mut slowest = Duration::ZERO;
    let mut reader = book.connect(&server.address).await.expect("a server");
    while !writing.is_finished() {
        let read = Instant::now();
        book.read_crl(&mut reader).await.expect("a read");
        ask(&mut reader, "LIST", "pki/certs", &Value::Null).await.expect("a read");
        slowest = slowest.max(read.elapsed());
        reads += 2;
    }
    let (writer, _) = writing.await.expect("a writer");
    let written = start.elapsed();
    assert!(written >= Duration::from_secs(2) && written < Duration::from_secs(4), "{written:?}");
    assert!(slowest < Duration::from_secs(1), "a read waited {slowest:?} for a sync");
    assert!(reads > 10, "only {reads} reads in two seconds");
    book = writer;
    // A disk that is slow all the time: each of these waits for two syncs at most.
    machine.arm(Fault { action: Action::Delay, kinds: SYNC, first: 1, last: 20, value: 50 });
    let mut connection = book.connect(&server.address).await.expect("a server");
    for _ in 0..20 {
        let start = Instant::now();
        book.issue(&mut connection).await.expect("a slow disk is no error");
        let taken = start.elapsed();
        assert!(taken < Duration::from_secs(1), "one stall of 50 ms became {taken:?}");
    }
    book.verify(&server.address).await.expect("everything that was answered");
}
