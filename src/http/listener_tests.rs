//! The listener under real clients, each server on a port of its own.

use std::fs;
use std::sync::Mutex;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, Version};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{CipherSuite, ClientConfig, NamedGroup, RootCertStore, SupportedProtocolVersion};
use rustls_pki_types::pem::PemObject;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::*;
use crate::ca::time::Timestamp;
use crate::clock::Clock;
use crate::http::body::{BodyBudget, BodyPolicy, read_body};
use crate::http::tls::{MinimumVersion, SelfSigned, TlsError, TlsFiles, self_signed};

#[path = "listener_abuse_tests.rs"]
mod abuse;

const NOW: i64 = 1_900_000_000;
/// Long enough for a busy machine to send one request, short enough to wait for.
const SHORT: Duration = Duration::from_millis(250);

/// What the handler of these tests shares with them.
#[derive(Default)]
struct Script {
    arrived: Notify,
    go_on: Notify,
    paths: Mutex<Vec<String>>,
}

struct Running {
    address: SocketAddr,
    script: Arc<Script>,
    stop: watch::Sender<bool>,
    reload: watch::Sender<u64>,
    ended: JoinHandle<Drained>,
}

impl Running {
    async fn start(tls: Option<Arc<Tls>>, limits: Limits) -> Self {
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), tls, limits).await.unwrap();
        let address = listener.address();
        let script = Arc::new(Script::default());
        let shared = Arc::clone(&script);
        let handler = move |request, info| answer(Arc::clone(&shared), request, info);
        let (stop, stopping) = watch::channel(false);
        let (reload, reloading) = watch::channel(0);
        let signals = Signals { stop: stopping, reload: reloading };
        let look = Duration::from_millis(5);
        let ended = tokio::spawn(listener.serve_checking_files_every(look, handler, signals));
        Self { address, script, stop, reload, ended }
    }

    async fn plain(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }
}

/// `/wait` waits for the test; everything else is answered with what was seen.
async fn answer(
    script: Arc<Script>,
    request: Request<Incoming>,
    info: ConnectionInfo,
) -> HttpResponse {
    let (parts, body) = request.into_parts();
    script.paths.lock().unwrap().push(parts.uri.path().to_owned());
    if parts.uri.path() == "/wait" {
        script.arrived.notify_one();
        script.go_on.notified().await;
    }
    let text = match read_body(body, 4, SHORT, &BodyBudget::new(4), BodyPolicy::Full).await {
        Ok((body, _)) => format!("{:?} tls={} {}", parts.version, info.tls, body.len()),
        Err(error) => error.to_string(),
    };
    Response::new(Bytes::from(text).into())
}

fn request(path: &str, body: &'static str) -> Request<Full<Bytes>> {
    let body = Full::new(Bytes::from_static(body.as_bytes()));
    Request::builder().uri(path).header("host", "localhost").body(body).unwrap()
}

async fn text(answer: Response<Incoming>) -> String {
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(body.to_vec()).unwrap()
}

async fn speak1<I>(stream: I) -> http1::SendRequest<Full<Bytes>>
where
    I: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

async fn speak2<I>(stream: I) -> (http2::SendRequest<Full<Bytes>>, JoinHandle<hyper::Result<()>>)
where
    I: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) =
        http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    (sender, tokio::spawn(connection))
}

/// Everything until the server closes; an answer may come first.
async fn until_closed(mut stream: TcpStream) -> String {
    let mut all = Vec::new();
    let reading = stream.read_to_end(&mut all);
    // A reset is a way to close as well.
    let _ = tokio::time::timeout(Duration::from_secs(20), reading).await.expect("closed");
    String::from_utf8_lossy(&all).into_owned()
}

fn pair(now: i64) -> SelfSigned {
    self_signed(&["localhost".to_owned(), "127.0.0.1".to_owned()], Timestamp::from_unix(now))
        .unwrap()
}

fn der(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
}

struct Folder {
    folder: tempfile::TempDir,
    writes: u64,
}

impl Folder {
    fn with(pair: &SelfSigned) -> Self {
        let mut folder = Self { folder: tempfile::tempdir().unwrap(), writes: 0 };
        folder.write(&pair.certificate, pair.key.expose());
        folder
    }

    fn files(&self) -> TlsFiles {
        TlsFiles {
            certificate: self.folder.path().join("tls.crt"),
            key: self.folder.path().join("tls.key"),
        }
    }

    /// Each write has a modification time of its own, however fast the test runs.
    fn write(&mut self, certificate: &str, key: &str) {
        self.writes += 1;
        let time = std::time::UNIX_EPOCH + Duration::from_secs(self.writes);
        for (path, text) in [(self.files().certificate, certificate), (self.files().key, key)] {
            fs::write(&path, text).unwrap();
            fs::File::options().append(true).open(&path).unwrap().set_modified(time).unwrap();
        }
    }

    fn load(&self, now: i64) -> Arc<Tls> {
        let clock = Clock::manual(now).0;
        Arc::new(Tls::load(self.files(), MinimumVersion::Tls12, clock).unwrap())
    }
}

async fn secure(
    address: SocketAddr,
    trust: &[&SelfSigned],
    protocol: &str,
    versions: &[&'static SupportedProtocolVersion],
) -> io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    for pair in trust {
        roots.add(der(&pair.ca)).unwrap();
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

fn shown(stream: &TlsStream<TcpStream>) -> CertificateDer<'static> {
    stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned()
}

// The self-signed pairs of these tests are valid now, by the clock of the machine that runs them.
fn today() -> i64 {
    Clock::System.now().unix()
}

#[tokio::test]
async fn serves_both_versions_plain_and_reports_the_real_port() {
    let server = Running::start(None, Limits::default()).await;
    assert_ne!(server.address.port(), 0);
    let mut one = speak1(server.plain().await).await;
    let reply = one.send_request(request("/", "abc")).await.unwrap();
    assert_eq!(text(reply).await, "HTTP/1.1 tls=false 3");
    let (mut two, _) = speak2(server.plain().await).await;
    let reply = two.send_request(request("http://localhost/", "abc")).await.unwrap();
    assert_eq!(text(reply).await, "HTTP/2.0 tls=false 3");
}

#[tokio::test]
async fn alpn_chooses_the_version_and_the_key_exchange_is_post_quantum() {
    let pair = pair(today());
    let folder = Folder::with(&pair);
    let server = Running::start(Some(folder.load(today())), Limits::default()).await;

    let one = secure(server.address, &[&pair], "http/1.1", rustls::ALL_VERSIONS).await.unwrap();
    let group = one.get_ref().1.negotiated_key_exchange_group().unwrap().name();
    assert_eq!(group, NamedGroup::X25519MLKEM768);
    // This client would rather have AES-256 with SHA-384.
    let suite = one.get_ref().1.negotiated_cipher_suite().unwrap().suite();
    assert_eq!(suite, CipherSuite::TLS13_AES_128_GCM_SHA256);
    let reply = speak1(one).await.send_request(request("/", "")).await.unwrap();
    assert_eq!(reply.version(), Version::HTTP_11);
    assert_eq!(text(reply).await, "HTTP/1.1 tls=true 0");

    let two = secure(server.address, &[&pair], "h2", rustls::ALL_VERSIONS).await.unwrap();
    let (mut two, _) = speak2(two).await;
    let reply = two.send_request(request("https://localhost/", "")).await.unwrap();
    assert_eq!(text(reply).await, "HTTP/2.0 tls=true 0");
}

#[tokio::test]
async fn refuses_tls_1_2_where_1_3_is_the_minimum() {
    let pair = pair(today());
    for (minimum, served) in [(MinimumVersion::Tls12, true), (MinimumVersion::Tls13, false)] {
        let key = pair.key.expose().as_bytes();
        let tls = Tls::from_pem(pair.certificate.as_bytes(), key, minimum, Clock::System).unwrap();
        let server = Running::start(Some(Arc::new(tls)), Limits::default()).await;
        let old = &[&rustls::version::TLS12];
        let client = secure(server.address, &[&pair], "http/1.1", old).await;
        assert_eq!(client.is_ok(), served);
        let new = &[&rustls::version::TLS13];
        assert!(secure(server.address, &[&pair], "http/1.1", new).await.is_ok());
    }
}

#[tokio::test]
async fn n15_plain_http_on_a_tls_listener_is_answered_with_a_sentence() {
    let pair = pair(today());
    let key = pair.key.expose().as_bytes();
    let minimum = MinimumVersion::Tls12;
    let tls = Tls::from_pem(pair.certificate.as_bytes(), key, minimum, Clock::System).unwrap();
    let server = Running::start(Some(Arc::new(tls)), Limits::default()).await;
    for method in ["GET", "LIST", "DELETE", "PUT"] {
        let mut stream = server.plain().await;
        let request = format!("{method} /v1/sys/health HTTP/1.1\r\nHost: localhost\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let answer = until_closed(stream).await;
        assert!(answer.starts_with("HTTP/1.0 400 Bad Request\r\n"), "{method}: {answer}");
        assert!(answer.ends_with("Client sent an HTTP request to an HTTPS server.\n"), "{answer}");
    }
    assert!(server.script.paths.lock().unwrap().is_empty());
    let mut other = server.plain().await;
    other.write_all(b"SSH-2.0-OpenSSH\r\n").await.unwrap();
    assert!(!until_closed(other).await.contains("HTTP"));
}

#[tokio::test]
async fn new_connections_see_a_reloaded_certificate_while_old_ones_go_on() {
    for by_signal in [true, false] {
        let (first, second) = (pair(today()), pair(today()));
        let mut folder = Folder::with(&first);
        let tls = folder.load(today());
        let server = Running::start(Some(tls), Limits::default()).await;
        let trust = [&first, &second];

        let old = secure(server.address, &trust, "http/1.1", rustls::ALL_VERSIONS).await.unwrap();
        assert_eq!(shown(&old), der(&first.certificate));
        let mut old = speak1(old).await;
        let reply = old.send_request(request("/", "")).await.unwrap();
        assert_eq!(reply.status(), StatusCode::OK);
        let _ = text(reply).await;

        folder.write(&second.certificate, second.key.expose());
        if by_signal {
            server.reload.send_modify(|count| *count += 1);
        }
        let swapped = async {
            loop {
                let new = secure(server.address, &trust, "h2", rustls::ALL_VERSIONS).await;
                if shown(&new.unwrap()) == der(&second.certificate) {
                    break;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(20), swapped).await.expect("swapped");
        let reply = old.send_request(request("/", "ab")).await.unwrap();
        assert_eq!(text(reply).await, "HTTP/1.1 tls=true 2");
    }
}

#[test]
fn a_broken_pair_leaves_the_old_one_in_use() {
    let (first, second, expired) = (pair(NOW), pair(NOW), pair(NOW - 400 * 86_400));
    let mut folder = Folder::with(&first);
    let tls = folder.load(NOW);
    let before = tls.current();
    let mut refused = |certificate: &str, key: &str| {
        folder.write(certificate, key);
        let error = tls.reload().unwrap_err();
        assert!(Arc::ptr_eq(&before, &tls.current()), "{error}");
        error
    };

    let error = refused(&second.certificate, first.key.expose());
    assert!(error.to_string().contains("does not belong"), "{error}");
    let error = refused(&expired.certificate, expired.key.expose());
    assert!(matches!(error, TlsError::Expired(_)), "{error}");
    assert!(matches!(refused("", first.key.expose()), TlsError::BadCertificate(_)));
    assert!(matches!(refused(&first.certificate, "none"), TlsError::BadKey(_)));
    let half = &second.certificate[..second.certificate.len() / 2];
    assert!(matches!(refused(half, second.key.expose()), TlsError::BadCertificate(_)));

    fs::remove_file(folder.files().key).unwrap();
    assert!(matches!(tls.reload().unwrap_err(), TlsError::Unreadable(..)));
    folder.write(&second.certificate, second.key.expose());
    tls.reload().unwrap();
    assert!(!Arc::ptr_eq(&before, &tls.current()));
}

#[tokio::test]
async fn a_stop_finishes_what_is_in_flight_and_takes_no_more() {
    let server = Running::start(None, Limits::default()).await;
    let mut one = speak1(server.plain().await).await;
    let first =
        tokio::spawn(
            async move { text(one.send_request(request("/wait", "")).await.unwrap()).await },
        );
    server.script.arrived.notified().await;
    let (mut two, ended) = speak2(server.plain().await).await;
    let waiting = two.clone().send_request(request("http://localhost/wait", ""));
    let second = tokio::spawn(waiting);
    server.script.arrived.notified().await;
    // An idle connection does not delay the stop.
    let idle = server.plain().await;

    server.stop.send(true).unwrap();
    until_closed(idle).await;
    assert!(!server.ended.is_finished());
    server.script.go_on.notify_waiters();
    assert_eq!(first.await.unwrap(), "HTTP/1.1 tls=false 0");
    assert_eq!(text(second.await.unwrap().unwrap()).await, "HTTP/2.0 tls=false 0");
    // GOAWAY: the client sees a clean end and may not ask again.
    ended.await.unwrap().unwrap();
    assert!(two.send_request(request("http://localhost/", "")).await.is_err());
    assert_eq!(server.ended.await.unwrap(), Drained { cut: 0 });
    assert!(TcpStream::connect(server.address).await.is_err());
}

#[tokio::test]
async fn a_request_that_never_ends_is_cut_at_the_drain_limit() {
    let limits = Limits { drain: SHORT, ..Limits::default() };
    let server = Running::start(None, limits).await;
    let mut one = speak1(server.plain().await).await;
    let waiting = tokio::spawn(async move { one.send_request(request("/wait", "")).await });
    server.script.arrived.notified().await;
    server.stop.send(true).unwrap();
    assert_eq!(server.ended.await.unwrap(), Drained { cut: 1 });
    assert!(waiting.await.unwrap().is_err());
}

#[tokio::test]
async fn a_request_past_its_time_is_answered_503() {
    let limits = Limits { request: SHORT, ..Limits::default() };
    let server = Running::start(None, limits).await;
    let mut one = speak1(server.plain().await).await;
    let reply = one.send_request(request("/wait", "")).await.unwrap();
    assert_eq!(reply.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(text(reply).await.starts_with(r#"{"errors":["#));
}

#[tokio::test]
async fn refuses_headers_that_are_too_large() {
    let limits = Limits { header_size: 8_192, ..Limits::default() };
    let server = Running::start(None, limits).await;
    let large = || {
        let mut large = request("http://localhost/", "");
        let value = HeaderValue::from_str(&"x".repeat(9_000)).unwrap();
        large.headers_mut().insert("x-large", value);
        large
    };
    let reply = speak1(server.plain().await).await.send_request(large()).await.unwrap();
    assert_eq!(reply.status(), StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    let (mut two, _) = speak2(server.plain().await).await;
    let reply = two.send_request(large()).await.unwrap();
    assert_eq!(reply.status(), StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    assert!(server.script.paths.lock().unwrap().is_empty());
}

#[tokio::test]
async fn cuts_clients_that_are_slow_with_their_headers_or_their_handshake() {
    let limits = Limits { header: SHORT, handshake: SHORT, ..Limits::default() };
    let server = Running::start(None, limits).await;
    for beginning in ["", "G", "GET / HTTP/1.1\r\nhost: a\r\n", "PRI * HTTP/2.0\r\n"] {
        let mut slow = server.plain().await;
        slow.write_all(beginning.as_bytes()).await.unwrap();
        assert_eq!(until_closed(slow).await, "");
    }
    // The second request has the same timeout as the first. (A beginning that arrives together with the
    // first request counts as idle.)
    let mut later = server.plain().await;
    later.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    let mut first = [0; 15];
    later.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200 OK");
    later.write_all(b"GET / HT").await.unwrap();
    until_closed(later).await;

    let pair = pair(today());
    let server = Running::start(Some(Folder::with(&pair).load(today())), limits).await;
    assert_eq!(until_closed(server.plain().await).await, "");
    let late = secure(server.address, &[&pair], "http/1.1", rustls::ALL_VERSIONS).await.unwrap();
    assert!(speak1(late).await.send_request(request("/", "")).await.is_ok());
}

#[tokio::test]
async fn closes_idle_connections() {
    let limits = Limits { idle: SHORT, ..Limits::default() };
    let server = Running::start(None, limits).await;
    let mut one = server.plain().await;
    one.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    assert!(until_closed(one).await.starts_with("HTTP/1.1 200"));
    let (mut two, ended) = speak2(server.plain().await).await;
    let reply = two.send_request(request("http://localhost/", "")).await.unwrap();
    assert_eq!(reply.status(), StatusCode::OK);
    ended.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_client_above_the_limit_waits_for_a_slot() {
    let limits = Limits { connections: 1, ..Limits::default() };
    let server = Running::start(None, limits).await;
    let mut one = speak1(server.plain().await).await;
    let reply = one.send_request(request("/one", "")).await.unwrap();
    let _ = text(reply).await;
    let mut two = server.plain().await;
    two.write_all(b"GET /three HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.unwrap();
    let _ = text(one.send_request(request("/two", "")).await.unwrap()).await;
    drop(one);
    assert!(until_closed(two).await.starts_with("HTTP/1.1 200"));
    assert_eq!(*server.script.paths.lock().unwrap(), ["/one", "/two", "/three"]);
}

#[tokio::test]
async fn bodies_are_bounded_in_size_and_time() {
    let server = Running::start(None, Limits::default()).await;
    let ask = |rest: &'static str| {
        let server = &server;
        async move {
            let mut client = server.plain().await;
            let head = "POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n";
            client.write_all(format!("{head}{rest}").as_bytes()).await.unwrap();
            until_closed(client).await
        }
    };
    let announced = ask("content-length: 5\r\n\r\n").await;
    assert!(announced.ends_with("request body too large"), "{announced}");
    let chunked = ask("transfer-encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n").await;
    assert!(chunked.ends_with("request body too large"), "{chunked}");
    let late = ask("content-length: 4\r\n\r\nab").await;
    assert!(late.ends_with("did not arrive in time"), "{late}");
    let broken = ask("transfer-encoding: chunked\r\n\r\nzz\r\n").await;
    assert!(broken.ends_with("body is broken"), "{broken}");
}

#[test]
fn refuses_to_generate_a_certificate_for_an_invalid_name() {
    let error = self_signed(&["bücher".to_owned()], Timestamp::from_unix(NOW)).unwrap_err();
    assert!(matches!(error, TlsError::NotGenerated(_)));
}
