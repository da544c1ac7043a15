//! Clients that want too much: all descriptors, all connections, all memory.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;

use crate::book::{Book, ask};
use crate::machine::Machine;
use crate::process::{Connection, ROLE, Server};

/// A member of /proc/PID/status, in KiB.
pub(crate) fn memory(server: &Server, member: &str) -> u64 {
    let path = format!("/proc/{}/status", server.process());
    let status = fs::read_to_string(path).expect("Linux's /proc");
    let line = status.lines().find(|line| line.starts_with(member)).expect("the member");
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number")
}

async fn started(machine: &Machine) -> (Server, Book) {
    let server = machine.start();
    let mut book = Book::default();
    book.scenario(&server.address, 3).await.expect("a machine without faults");
    (server, book)
}

/// Issues `count` certificates over one connection; the slowest.
async fn honest(book: &mut Book, connection: &mut Connection, count: usize) -> Duration {
    let mut slowest = Duration::ZERO;
    for _ in 0..count {
        let start = Instant::now();
        book.issue(connection).await.expect("an honest request is served");
        slowest = slowest.max(start.elapsed());
    }
    slowest
}

/// Fills the store's memory, so that it needs a new log and a new table: both need descriptors.
async fn fill_memtables(connection: &mut Connection) {
    for number in 0..14 {
        let role = json!({ "key_type": "ec", "ou": "x".repeat(900_000) });
        let path = format!("pki/roles/wide-{number}");
        let answer = ask(connection, "POST", &path, &role).await.expect("a descriptor is left");
        assert!(answer.status.is_success(), "{path}: {:?}", answer.body);
    }
}

#[tokio::test]
async fn a_server_without_descriptors_serves_whom_it_has_and_its_store_lacks_none() {
    let machine = Machine::with(&["sh", "-c", "ulimit -n 64; exec \"$@\"", "sh"]);
    let (server, mut book) = started(&machine).await;
    let mut connection = book.connect(&server.address).await.expect("a server");
    honest(&mut book, &mut connection, 1).await;
    // The kernel completes these; the server has not accepted them all.
    let mut crowd = Vec::new();
    for _ in 0..400 {
        let connecting = TcpStream::connect(&server.address);
        let connected = tokio::time::timeout(Duration::from_millis(500), connecting).await;
        let Ok(Ok(stream)) = connected else { break };
        crowd.push(stream);
    }
    assert!(crowd.len() > 100, "only {} connections", crowd.len());
    fill_memtables(&mut connection).await;
    let slowest = honest(&mut book, &mut connection, 50).await;
    assert!(slowest < Duration::from_secs(2), "an honest request took {slowest:?}");
    let connected = crowd.len();
    drop(crowd);
    let start = Instant::now();
    book.verify(&server.address).await.expect("a new connection is served again");
    let recovered = start.elapsed();
    println!("{connected} connections at 64 descriptors; served again after {recovered:?}");
    assert!(recovered < Duration::from_secs(3), "{recovered:?}");
    drop(server);
    let server = machine.start();
    book.verify(&server.address).await.expect("everything that was answered");
}

/// Connections whose headers never end, and some that never read their answers.
async fn besiege(server: &Server, book: &Book, slow: usize, deaf: usize) -> JoinSet<()> {
    let mut siege = JoinSet::new();
    for number in 0..slow {
        let address = server.address.clone();
        siege.spawn(async move {
            let Ok(mut stream) = TcpStream::connect(address).await else { return };
            let _ = stream.write_all(b"GET /v1/sys/health HTTP/1.1\r\nx: ").await;
            let mut tick = tokio::time::interval(Duration::from_secs(1));
            // Not all in the same instant.
            tokio::time::sleep(Duration::from_millis(number as u64 % 997)).await;
            loop {
                tick.tick().await;
                if stream.write_all(b"x").await.is_err() {
                    return;
                }
            }
        });
    }
    // Answers that fill no window at once, and cost a debug build little.
    let mut connection = book.connect(&server.address).await.expect("a server");
    let role = json!({ "key_type": "ec", "ou": "x".repeat(60_000) });
    ask(&mut connection, "POST", "pki/roles/broad", &role).await.expect("an answer");
    let request = format!(
        "GET /v1/pki/roles/broad HTTP/1.1\r\nhost: x\r\nx-vault-token: {}\r\n\r\n",
        book.token()
    );
    for _ in 0..deaf {
        let (address, request) = (server.address.clone(), request.repeat(20));
        siege.spawn(async move {
            // A window that holds a fraction of one answer.
            let socket = TcpSocket::new_v4().expect("a socket");
            socket.set_recv_buffer_size(4096).expect("a small buffer");
            let address = address.parse().expect("an address");
            let Ok(mut stream) = socket.connect(address).await else { return };
            let _ = stream.write_all(request.as_bytes()).await;
            std::future::pending::<()>().await;
        });
    }
    siege
}

async fn honest_under_siege(slow: usize, deaf: usize, count: usize) -> (Server, JoinSet<()>) {
    let machine = Machine::new();
    let (server, mut book) = started(&machine).await;
    let mut connection = book.connect(&server.address).await.expect("a server");
    fill_memtables(&mut connection).await;
    let before = honest(&mut book, &mut connection, count).await;
    let siege = besiege(&server, &book, slow, deaf).await;
    let during = honest(&mut book, &mut connection, count).await;
    book.verify(&server.address).await.expect("a new connection is served");
    let peak = memory(&server, "VmHWM");
    println!(
        "{slow} slow, {deaf} deaf: the slowest of {count} took {before:?} before and {during:?} during; {peak} KiB at most"
    );
    // Without optimisation, and while they all connect, there is more to do than in earnest.
    assert!(during < Duration::from_secs(3), "{before:?} became {during:?}");
    assert!(peak < 400 * 1024, "{peak} KiB");
    (server, siege)
}

#[tokio::test]
async fn five_hundred_slow_clients_and_some_that_never_read_hold_nobody_up() {
    let _ = honest_under_siege(500, 40, 100).await;
}

#[tokio::test]
#[ignore = "waits for the server's ten seconds; scripts/crash --faults runs it"]
async fn slow_clients_are_cut_after_the_time_for_headers() {
    let (server, mut siege) = honest_under_siege(600, 0, 200).await;
    let start = Instant::now();
    siege.join_next().await.expect("a slow client").expect("it ended");
    let all = tokio::time::timeout(Duration::from_secs(20), siege.join_all()).await;
    assert!(all.is_ok(), "slow clients are there after {:?}", start.elapsed());
    drop(server);
}

/// RLIMIT_AS would count RocksDB's and the threads' reservations, which nothing stands behind; a
/// cgroup needs root. So this watches what is resident, under a load of everything at once.
async fn resident_after(seconds: u64) -> u64 {
    let machine = Machine::new();
    let (server, book) = started(&machine).await;
    let mut connection = book.connect(&server.address).await.expect("a server");
    fill_memtables(&mut connection).await;
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut callers = JoinSet::new();
    for number in 0..16 {
        let (address, book) = (server.address.clone(), book.clone());
        callers.spawn(async move {
            let mut connection = book.connect(&address).await.expect("a server");
            let mut asked = 0;
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
                asked += 1;
            }
            asked
        });
    }
    let asked: usize = callers.join_all().await.into_iter().sum();
    let peak = memory(&server, "VmHWM");
    println!("{asked} requests in {seconds} s: {peak} KiB at most");
    peak
}

#[tokio::test]
async fn memory_stays_below_its_ceiling_under_load() {
    assert!(resident_after(2).await < 256 * 1024);
}

#[tokio::test]
#[ignore = "takes half a minute; scripts/crash --faults runs it"]
async fn memory_stays_below_its_ceiling_under_a_long_load() {
    assert!(resident_after(30).await < 256 * 1024);
}
