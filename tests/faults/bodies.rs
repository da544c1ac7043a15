//! Malformed and abusive requests: rejected quickly, and without memory left allocated.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::clients::memory;
use crate::ledger::Ledger;
use crate::machine::Machine;
use crate::process::Server;

/// What is sent, and which statuses are accepted; 0 is a closed connection without an answer.
struct Case {
    name: &'static str,
    bytes: Vec<u8>,
    answers: &'static [u16],
}

fn post(token: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST /v1/pki/issue/workload HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx-vault-token: {token}\r\n{headers}\r\n"
    );
    [head.as_bytes(), body].concat()
}

fn json(token: &str, name: &'static str, body: &[u8], answers: &'static [u16]) -> Case {
    let headers = format!("content-length: {}\r\n", body.len());
    Case { name, bytes: post(token, &headers, body), answers }
}

/// Bodies that are framed correctly.
fn bodies(token: &str) -> Vec<Case> {
    const REFUSED: &[u16] = &[400];
    let nested = |open: &str, close: &str| {
        let deep = 100_000;
        format!("{{\"a\":{}1{}}}", open.repeat(deep), close.repeat(deep)).into_bytes()
    };
    let members: String = (0..1_000_000).map(|number| format!("\"k{number}\":1,")).collect();
    let elements = "1,".repeat(1_000_000);
    let long = |bytes: usize| format!("{{\"a\":\"{}\"}}", "x".repeat(bytes)).into_bytes();
    vec![
        json(token, "32 MB of one string", &long(32 * 1024 * 1024 - 64), REFUSED),
        json(token, "33 MB", &long(33 * 1024 * 1024), &[413, 0]),
        json(token, "lists in lists", &nested("[", "]"), REFUSED),
        json(token, "objects in objects", &nested("{\"a\":", "}"), REFUSED),
        json(token, "a million members", format!("{{{members}\"z\":1}}").as_bytes(), REFUSED),
        json(token, "a million elements", format!("{{\"a\":[{elements}1]}}").as_bytes(), REFUSED),
        // Go's decoder takes the last one, and so does Signet: the role refuses the name.
        json(
            token,
            "a name twice",
            br#"{"uri_sans":"spiffe://example.org/a","uri_sans":"spiffe://other.org/a"}"#,
            REFUSED,
        ),
        json(token, "NaN", br#"{"ttl":NaN}"#, REFUSED),
        json(token, "half of a surrogate", br#"{"uri_sans":"\ud800"}"#, REFUSED),
        json(token, "not UTF-8", b"{\"uri_sans\":\"\xff\xfe\"}", REFUSED),
        json(token, "a number out of range", br#"{"ttl":1e999999}"#, REFUSED),
        json(
            token,
            "a million digits",
            format!("{{\"ttl\":{}}}", "9".repeat(1_000_000)).as_bytes(),
            REFUSED,
        ),
        json(token, "NUL in a name", br#"{"uri_sans":"spiffe://example.org/\u0000"}"#, REFUSED),
        json(token, "half an object", b"{\"uri_sans\":", REFUSED),
    ]
}

/// Framings that are wrong.
fn framings(token: &str) -> Vec<Case> {
    const REFUSED: &[u16] = &[400, 0];
    let case = |name, headers: &str, body: &[u8], answers| Case {
        name,
        bytes: post(token, headers, body),
        answers,
    };
    let chunked = "transfer-encoding: chunked\r\n";
    let wide = format!("x: {}\r\n", "y".repeat(1024 * 1024));
    vec![
        case("a chunk of 2^64", chunked, b"ffffffffffffffffff\r\nx", REFUSED),
        case("a negative chunk", chunked, b"-1\r\nx\r\n0\r\n\r\n", REFUSED),
        case("a chunk length that is not a number", chunked, b"zz\r\nx\r\n0\r\n\r\n", REFUSED),
        case("a chunk longer than its length", chunked, b"1\r\nxyz\r\n0\r\n\r\n", REFUSED),
        case("chunked, and not last", "transfer-encoding: chunked, gzip\r\n", b"{}", REFUSED),
        case("two lengths", "content-length: 2\r\ncontent-length: 3\r\n", b"{} ", REFUSED),
        case("a negative length", "content-length: -1\r\n", b"", REFUSED),
        case("a length of 2^70", "content-length: 1180591620717411303424\r\n", b"", &[400, 413, 0]),
        case("headers of 1 MB", &wide, b"", &[431, 400, 0]),
        case("a header without a name", ": x\r\n", b"", REFUSED),
        case("a folded header", "a: b\r\n c: d\r\n", b"", REFUSED),
        Case {
            name: "not a request",
            bytes: b"\x16\x03\x01\x02\x00hello\r\n\r\n".to_vec(),
            answers: REFUSED,
        },
    ]
}

/// The status of the first answer (0: no answer), and everything received.
async fn send(server: &Server, bytes: &[u8]) -> (u16, String) {
    let stream = TcpStream::connect(&server.address).await.expect("a server");
    let (mut reading, mut writing) = stream.into_split();
    let bytes = bytes.to_vec();
    let mut answer = Vec::new();
    let sending = async {
        let _ = writing.write_all(&bytes).await;
        // Where the framing announces more than is sent, only the end of the connection shows it.
        tokio::time::sleep(Duration::from_millis(500)).await;
        let _ = writing.shutdown().await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = sending => {}
        _ = reading.read_to_end(&mut answer) => {}
    }
    let text = String::from_utf8_lossy(&answer).into_owned();
    let status = text.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
    (status.unwrap_or_default(), text)
}

/// Repetitions of each large case. One body of 32 MiB leaked each time would be 512 MiB; what the
/// allocator keeps for reuse does not grow with the number of repetitions.
const ROUNDS: usize = 16;

/// Upper bound of the peak resident memory, in KiB.
const MAX_RESIDENT: u64 = 400 * 1024;

#[tokio::test]
async fn malformed_requests_are_refused_quickly_and_leave_no_memory_allocated() {
    let machine = Machine::new();
    let server = machine.start();
    let mut ledger = Ledger::default();
    ledger.scenario(&server.address, 1).await.expect("a machine without faults");
    let cases: Vec<Case> =
        bodies(ledger.token()).into_iter().chain(framings(ledger.token())).collect();
    for case in &cases {
        let start = Instant::now();
        let (status, text) = send(&server, &case.bytes).await;
        let taken = start.elapsed();
        assert!(case.answers.contains(&status), "{}: {status}\n{text:.300}", case.name);
        assert!(taken < Duration::from_secs(3), "{} took {taken:?}", case.name);
    }
    let once = memory(&server, "VmHWM");
    let large: Vec<&Case> = cases.iter().filter(|case| case.bytes.len() > 100_000).collect();
    for _ in 1..ROUNDS {
        for case in &large {
            send(&server, &case.bytes).await;
        }
    }
    let peak = memory(&server, "VmHWM");
    println!(
        "{} cases: peak {once} KiB, {peak} KiB after the large ones were repeated",
        cases.len()
    );
    assert!(peak < MAX_RESIDENT, "the peak grew from {once} KiB to {peak} KiB");
    ledger.resume(&server.address).await.expect("an honest request");
}

/// RFC 9112, 6.3: such a message may be an attempt to smuggle a request past a proxy. It is
/// refused, or read by its chunks and the connection closed: what follows is not read as a request.
#[tokio::test]
async fn both_length_headers_smuggle_no_second_request() {
    let machine = Machine::new();
    let server = machine.start();
    for (first, second) in [
        ("content-length: 5\r\n", "transfer-encoding: chunked\r\n"),
        ("transfer-encoding: chunked\r\n", "content-length: 5\r\n"),
    ] {
        let body = b"0\r\n\r\nGET /v1/sys/health HTTP/1.1\r\nhost: x\r\n\r\n";
        let (_, text) = send(&server, &post("x", &format!("{first}{second}"), body)).await;
        let answers = text.matches("HTTP/1.1 ").count();
        assert!(answers <= 1, "{answers} answers:\n{text}");
        assert!(!text.contains("cluster_name"), "the smuggled request was answered:\n{text}");
    }
}
