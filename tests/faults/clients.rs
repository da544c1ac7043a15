//! Clients that exhaust resources: descriptors, connections, memory.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;

use crate::ledger::{Ledger, ask};
use crate::machine::Machine;
use crate::process::{Connection, ROLE, Server};

/// A field of /proc/PID/status, in KiB.
pub(crate) fn memory(server: &Server, field: &str) -> u64 {
    let path = format!("/proc/{}/status", server.process());
    let status = fs::read_to_string(path).expect("Linux's /proc");
    let line = status.lines().find(|line| line.starts_with(field)).expect("the field");
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number")
}

async fn started(machine: &Machine) -> (Server, Ledger) {
    let server = machine.start();
    let mut ledger = Ledger::default();
    ledger.scenario(&server.address, 3).await.expect("a machine without faults");
    (server, ledger)
}

/// Issues `count` certificates over one connection; the latency of the slowest.
async fn issue_all(ledger: &mut Ledger, connection: &mut Connection, count: usize) -> Duration {
    let mut slowest = Duration::ZERO;
    for _ in 0..count {
        let start = Instant::now();
        ledger.issue(connection).await.expect("a well-behaved client is served");
        slowest = slowest.max(start.elapsed());
    }
    slowest
}

/// Fills the store's memtables, so that it needs a new log and a new table: both need descriptors.
async fn fill_memtables(connection: &mut Connection) {
    for number in 0..14 {
        let role = json!({ "key_type": "ec", "ou": "x".repeat(900_000) });
        let path = format!("pki/roles/wide-{number}");
        let answer =
            ask(connection, "POST", &path, &role).await.expect("the store has a descriptor");
        assert!(answer.status.is_success(), "{path}: {:?}", answer.body);
    }
}

#[tokio::test]
async fn a_server_without_descriptors_serves_open_connections_and_its_store() {
    let machine = Machine::with(&["sh", "-c", "ulimit -n 64; exec \"$@\"", "sh"]);
    let (server, mut ledger) = started(&machine).await;
    let mut connection = ledger.connect(&server.address).await.expect("a server");
    issue_all(&mut ledger, &mut connection, 1).await;
    // The kernel completes the handshakes; the server has not accepted all of them.
    let mut connections = Vec::new();
    for _ in 0..400 {
        let connecting = TcpStream::connect(&server.address);
        let connected = tokio::time::timeout(Duration::from_millis(500), connecting).await;
        let Ok(Ok(stream)) = connected else { break };
        connections.push(stream);
    }
    assert!(connections.len() > 100, "only {} connections", connections.len());
    fill_memtables(&mut connection).await;
    let slowest = issue_all(&mut ledger, &mut connection, 50).await;
    assert!(slowest < Duration::from_secs(2), "a well-behaved client's request took {slowest:?}");
    let connected = connections.len();
    drop(connections);
    let start = Instant::now();
    ledger.verify(&server.address).await.expect("a new connection is served again");
    let recovered = start.elapsed();
    println!("{connected} connections at 64 descriptors; served again after {recovered:?}");
    assert!(recovered < Duration::from_secs(3), "{recovered:?}");
    drop(server);
    let server = machine.start();
    ledger.verify(&server.address).await.expect("everything that was answered");
}

/// Opens `slow` connections whose headers never end, and `unread` ones that never read answers.
async fn attack(server: &Server, ledger: &Ledger, slow: usize, unread: usize) -> JoinSet<()> {
    let mut attackers = JoinSet::new();
    for number in 0..slow {
        let address = server.address.clone();
        attackers.spawn(async move {
            let Ok(mut stream) = TcpStream::connect(address).await else { return };
            let _ = stream.write_all(b"GET /v1/sys/health HTTP/1.1\r\nx: ").await;
            let mut tick = tokio::time::interval(Duration::from_secs(1));
            // Spread the clients over a second.
            tokio::time::sleep(Duration::from_millis(number as u64 % 997)).await;
            loop {
                tick.tick().await;
                if stream.write_all(b"x").await.is_err() {
                    return;
                }
            }
        });
    }
    // Answers of 60 kB exceed the receive window and cost a debug build little.
    let mut connection = ledger.connect(&server.address).await.expect("a server");
    let role = json!({ "key_type": "ec", "ou": "x".repeat(60_000) });
    ask(&mut connection, "POST", "pki/roles/broad", &role).await.expect("an answer");
    let request = format!(
        "GET /v1/pki/roles/broad HTTP/1.1\r\nhost: x\r\nx-vault-token: {}\r\n\r\n",
        ledger.token()
    );
    for _ in 0..unread {
        let (address, request) = (server.address.clone(), request.repeat(20));
        attackers.spawn(async move {
            // A window that holds a fraction of one answer.
            let socket = TcpSocket::new_v4().expect("a socket");
            socket.set_recv_buffer_size(4096).expect("a small buffer");
            let address = address.parse().expect("an address");
            let Ok(mut stream) = socket.connect(address).await else { return };
            let _ = stream.write_all(request.as_bytes()).await;
            std::future::pending::<()>().await;
        });
    }
    attackers
}

/// Compares the latency of a well-behaved client before and during the attack.
async fn issue_under_attack(slow: usize, unread: usize, count: usize) -> (Server, JoinSet<()>) {
    let machine = Machine::new();
    let (server, mut ledger) = started(&machine).await;
    let mut connection = ledger.connect(&server.address).await.expect("a server");
    fill_memtables(&mut connection).await;
    let before = issue_all(&mut ledger, &mut connection, count).await;
    let attackers = attack(&server, &ledger, slow, unread).await;
    let during = issue_all(&mut ledger, &mut connection, count).await;
    ledger.verify(&server.address).await.expect("a new connection is served");
    let peak = memory(&server, "VmHWM");
    println!(
        "{slow} slow, {unread} that do not read: the slowest of {count} took {before:?} before and {during:?} during; peak {peak} KiB"
    );
    // A debug build is slower than a release build, and here all clients connect at once.
    assert!(during < Duration::from_secs(3), "the slowest took {during:?}, before: {before:?}");
    assert!(peak < 400 * 1024, "{peak} KiB");
    (server, attackers)
}

#[tokio::test]
async fn slow_clients_and_clients_that_never_read_do_not_delay_others() {
    let _ = issue_under_attack(500, 40, 100).await;
}

#[tokio::test]
#[ignore = "waits for the header timeout of ten seconds; scripts/crash --faults runs it"]
async fn slow_clients_are_disconnected_after_the_header_timeout() {
    let (server, mut attackers) = issue_under_attack(600, 0, 200).await;
    let start = Instant::now();
    attackers.join_next().await.expect("a slow client").expect("it ended");
    let all = tokio::time::timeout(Duration::from_secs(20), attackers.join_all()).await;
    assert!(all.is_ok(), "slow clients are still connected after {:?}", start.elapsed());
    drop(server);
}

/// The peak resident memory in KiB under a mixed load. RLIMIT_AS would count address space that
/// RocksDB and the threads reserve without using it, and a cgroup needs root.
async fn peak_memory_after(seconds: u64) -> u64 {
    let machine = Machine::new();
    let (server, ledger) = started(&machine).await;
    let mut connection = ledger.connect(&server.address).await.expect("a server");
    fill_memtables(&mut connection).await;
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut clients = JoinSet::new();
    for number in 0..16 {
        let (address, ledger) = (server.address.clone(), ledger.clone());
        clients.spawn(async move {
            let mut connection = ledger.connect(&address).await.expect("a server");
            let mut sent = 0;
            while Instant::now() < end {
                let mut body = json!({ "uri_sans": "spiffe://example.org/a" });
                if number % 4 == 0 {
                    body["format"] = json!("pkcs12_bundle");
                    body["pkcs12_password"] = json!("password");
                }
                let (method, path) = match number % 4 {
                    3 => ("LIST", "pki/certs".to_owned()),
                    _ => ("POST", format!("pki/{ROLE}")),
                };
                let body = if method == "LIST" { Value::Null } else { body };
                let answer = ask(&mut connection, method, &path, &body).await.expect("an answer");
                assert!(answer.status.is_success(), "{:?}", answer.body);
                sent += 1;
            }
            sent
        });
    }
    let sent: usize = clients.join_all().await.into_iter().sum();
    let peak = memory(&server, "VmHWM");
    println!("{sent} requests in {seconds} s: peak {peak} KiB");
    peak
}

#[tokio::test]
async fn memory_stays_below_its_limit_under_load() {
    assert!(peak_memory_after(2).await < 256 * 1024);
}

#[tokio::test]
#[ignore = "takes half a minute; scripts/crash --faults runs it"]
async fn memory_stays_below_its_limit_under_a_long_load() {
    assert!(peak_memory_after(30).await < 256 * 1024);
}
