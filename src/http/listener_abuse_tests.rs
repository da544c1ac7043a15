//! The listener under malicious clients: after each of them the next client is served.

use crate::http::body::BodyError;
use crate::http::reply::errors_response;
use rustls::ClientConnection;

use super::*;

async fn serves_the_next(server: &Running) {
    let mut next = speak1(server.plain().await).await;
    let reply = next.send_request(request("/", "abc")).await.unwrap();
    assert_eq!(text(reply).await, "HTTP/1.1 tls=false 3");
}

async fn serves_the_next_securely(server: &Running, pair: &SelfSigned) {
    let next = secure(server.address, &[pair], "http/1.1", rustls::ALL_VERSIONS).await.unwrap();
    let reply = speak1(next).await.send_request(request("/", "")).await.unwrap();
    assert_eq!(text(reply).await, "HTTP/1.1 tls=true 0");
}

fn impatient() -> Limits {
    Limits { handshake: SHORT, header: SHORT, idle: SHORT * 4, ..Limits::default() }
}

/// First bytes of other protocols, and invalid ones.
const UNEXPECTED: &[&[u8]] = &[
    b"",
    b"\0",
    b"\r\n\r\n\r\n",
    b"PROXY TCP4 10.0.0.1 10.0.0.2 1 99999999\r\n",
    b"PROXY \xff\xff\r\n",
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff",
    b"SSH-2.0-x\r\n",
    b"\x16\x03\x01\x00\x00",
    b"\x16\x03\x01\xff\xff",
    b"\x16\x03\x01\x00\x05\x01\xff\xff\xff\x00",
    b"\x15\x03\x01\x00\x02\x02\x28",
    b"\x80\x2e\x01\x00\x02",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\xff\xff\xff\xff\xff\xff",
    b"GET / HTTP/9.9\r\n\r\n",
    b"GET  / HTTP/1.1\r\nHost x\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
];

#[tokio::test]
async fn unexpected_first_bytes_end_only_their_own_connection() {
    let pair = pair(today());
    let folder = Folder::with(&pair);
    let plain = Running::start(None, impatient()).await;
    let secured = Running::start(Some(folder.load(today())), impatient()).await;
    for bytes in UNEXPECTED {
        for server in [&plain, &secured] {
            let mut stream = server.plain().await;
            let _closed_early = stream.write_all(bytes).await;
            until_closed(stream).await;
        }
    }
    serves_the_next(&plain).await;
    serves_the_next_securely(&secured, &pair).await;
}

/// The ClientHello of a current client.
fn client_hello(pair: &SelfSigned) -> Vec<u8> {
    let mut roots = RootCertStore::empty();
    roots.add(der(&pair.ca)).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let mut client = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut bytes = Vec::new();
    client.write_tls(&mut bytes).unwrap();
    bytes
}

#[tokio::test]
async fn a_client_hello_divided_into_single_bytes_is_answered_like_a_whole_one() {
    let pair = pair(today());
    let folder = Folder::with(&pair);
    let server = Running::start(Some(folder.load(today())), impatient()).await;
    let whole = client_hello(&pair);
    let divided: Vec<u8> = whole[5..].iter().flat_map(|byte| [0x16, 3, 1, 0, 1, *byte]).collect();
    for bytes in [whole, divided] {
        let mut stream = server.plain().await;
        stream.write_all(&bytes).await.unwrap();
        let mut first = [0];
        stream.read_exact(&mut first).await.unwrap();
        assert_eq!(first, [0x16], "a handshake record, not an alert");
    }
    serves_the_next_securely(&server, &pair).await;
}

#[tokio::test]
async fn an_alert_in_the_middle_of_a_client_hello_ends_the_connection() {
    let pair = pair(today());
    let folder = Folder::with(&pair);
    let server = Running::start(Some(folder.load(today())), impatient()).await;
    let mut bytes = client_hello(&pair);
    bytes.extend_from_slice(&[0x15, 3, 3, 0, 2, 1, 0]);
    for end in [1, 5, 6, bytes.len() - 8, bytes.len() - 7, bytes.len() - 1, bytes.len()] {
        let mut stream = server.plain().await;
        let _closed_early = stream.write_all(&bytes[..end]).await;
        let _closed_early = stream.shutdown().await;
        until_closed(stream).await;
    }
    serves_the_next_securely(&server, &pair).await;
}

#[tokio::test]
async fn requests_that_are_reset_at_once_do_not_exhaust_the_server() {
    let server = Running::start(None, Limits::default()).await;
    for _ in 0..3 {
        let (mut sender, connection) = speak2(server.plain().await).await;
        for _ in 0..2_000 {
            if sender.ready().await.is_err() {
                break;
            }
            let asked = sender.send_request(request("http://localhost/wait", ""));
            let _reset = tokio::time::timeout(Duration::ZERO, asked).await;
        }
        connection.abort();
    }
    // Of 6,000.
    let seen = server.script.paths.lock().unwrap().len();
    assert!(seen < 1_000, "{seen}");
    serves_the_next(&server).await;
}

/// How many bytes go through a pipe that holds one, until the other end takes no more.
async fn taken(mut client: tokio::io::DuplexStream, bytes: &[u8]) -> usize {
    let mut taken = 0;
    for byte in bytes {
        match tokio::time::timeout(SHORT, client.write_all(&[*byte])).await {
            Ok(Ok(())) => taken += 1,
            _ => break,
        }
    }
    taken
}

/// Reads a body without a valid token.
async fn unauthenticated(request: Request<Incoming>, _: ConnectionInfo) -> HttpResponse {
    let (limit, budget) = (32 * 1024 * 1024, BodyBudget::new(32 * 1024 * 1024));
    let within = Duration::from_secs(90);
    let read = read_body(request.into_body(), limit, within, &budget, BodyPolicy::Discard).await;
    assert!(matches!(read, Err(BodyError::Unread)));
    errors_response(StatusCode::FORBIDDEN, &["permission denied".to_owned()])
}

#[tokio::test]
async fn without_a_token_a_long_body_over_http_1_sends_sixteen_kib() {
    for length in
        ["content-length: 20971520\r\n\r\n", "transfer-encoding: chunked\r\n\r\n186a0\r\n"]
    {
        let head = format!("POST / HTTP/1.1\r\nhost: a\r\n{length}");
        let (client, served) = tokio::io::duplex(1);
        let (_stop, stopping) = watch::channel(false);
        let limits = Limits::default();
        let builders = ConnectionBuilders::new(&limits, SendBudget::default());
        let info = ConnectionInfo { peer: "127.0.0.1:1".parse().unwrap(), tls: false };
        let service = (unauthenticated, info);
        let serving =
            serve_connection(served, Protocol::Http1, &builders, limits, service, stopping);
        let all = [head.as_bytes(), &[b' '; 100_000]].concat();
        tokio::select! {
            () = serving => panic!("it goes on"),
            taken = taken(client, &all) => {
                let of_body = taken.checked_sub(head.len()).unwrap();
                assert!(of_body <= 16 * 1024 + 16, "{length:?}: {of_body}");
            }
        }
    }
}

#[tokio::test]
async fn requests_of_other_clients_run_between_pipelined_ones() {
    let server = Running::start(None, Limits::default()).await;
    let (mut many, mut one) = (server.plain().await, server.plain().await);
    // Both arrive before the server, which shares this thread, reads either.
    let request = |path: &str| format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n");
    many.write_all(request("/many").repeat(8).as_bytes()).await.unwrap();
    one.write_all(request("/one").as_bytes()).await.unwrap();
    let (mut answered, mut some) = (0, [0; 4096]);
    while answered < 8 {
        let read = many.read(&mut some).await.unwrap();
        answered += String::from_utf8_lossy(&some[..read]).matches("HTTP/1.1 200").count();
    }
    let paths = server.script.paths.lock().unwrap();
    let index = paths.iter().position(|path| path == "/one").unwrap();
    assert!(index < 4, "{paths:?}");
}
