//! HTTP/1.1 and HTTP/2: responses that are not read and bodies that are refused.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use signet::http::limits::Limits;
use signet::http::listener::{Listener, Signals};
use signet::http::outgoing::SendBudget;
use signet::http::sending::HttpResponse;
use signet::server::{Controls, DevOptions, control_channels, run};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Notify, watch};

#[path = "floods.rs"]
mod floods;
#[path = "frames.rs"]
mod frames;

use frames::*;

/// Long enough for a busy machine to answer, short enough to wait for.
const SHORT: Duration = Duration::from_millis(300);

/// Timeout of a test.
const NEVER: Duration = Duration::from_secs(20);

/// More than the loopback sockets buffer.
const LONG: usize = 16 * 1024 * 1024;

/// A listener with a test handler that counts requests and the response bodies in memory.
struct Answering {
    address: SocketAddr,
    counts: Arc<Counts>,
    _stop: watch::Sender<bool>,
    _reload: watch::Sender<u64>,
}

#[derive(Default)]
struct Counts {
    /// Requests that reached the handler.
    seen: AtomicUsize,
    /// Response bodies in memory.
    held: AtomicUsize,
    changed: Notify,
    list: OnceLock<Bytes>,
}

/// Bytes that count themselves while they are in memory.
struct Counted(Vec<u8>, Arc<Counts>);

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.1.held.fetch_sub(1, Ordering::SeqCst);
        self.1.changed.notify_waiters();
    }
}

impl Counts {
    fn answer(self: &Arc<Self>, length: usize) -> HttpResponse {
        self.held.fetch_add(1, Ordering::SeqCst);
        self.changed.notify_waiters();
        Response::new(Bytes::from_owner(Counted(vec![b' '; length], Arc::clone(self))).into())
    }

    /// The same bytes for every request.
    fn list(self: &Arc<Self>) -> Bytes {
        let counts = Arc::clone(self);
        self.list
            .get_or_init(|| {
                counts.held.fetch_add(1, Ordering::SeqCst);
                Bytes::from_owner(Counted(vec![b' '; LONG], Arc::clone(&counts)))
            })
            .clone()
    }

    /// Waits until `count` bodies are in memory.
    async fn held(&self, count: usize) {
        loop {
            let changed = self.changed.notified();
            if self.held.load(Ordering::SeqCst) == count {
                return;
            }
            changed.await;
        }
    }
}

async fn answering(counts: Arc<Counts>, request: Request<Incoming>) -> HttpResponse {
    counts.seen.fetch_add(1, Ordering::SeqCst);
    match request.uri().path() {
        "/long" => counts.answer(LONG),
        "/private" => Response::new(Bytes::from(vec![b' '; LONG]).into()),
        "/shared" => Response::new(counts.list().into()),
        "/slow" => std::future::pending().await,
        "/body" => {
            let _read = request.into_body().collect().await;
            counts.answer(3)
        }
        _ => counts.answer(100),
    }
}

impl Answering {
    async fn start(limits: Limits, budget: SendBudget) -> Self {
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), None, limits).await.unwrap();
        let listener = listener.sharing(budget);
        let address = listener.address();
        let counts = Arc::new(Counts::default());
        let shared = Arc::clone(&counts);
        let handler = move |request, _| answering(Arc::clone(&shared), request);
        let (stop, stopping) = watch::channel(false);
        let (reload, reloading) = watch::channel(0);
        tokio::spawn(listener.serve(handler, Signals { stop: stopping, reload: reloading }));
        Self { address, counts, _stop: stop, _reload: reload }
    }

    /// With a short write timeout, and defaults for everything else.
    async fn with_short_limits() -> Self {
        let limits = Limits { progress: SHORT, header: SHORT * 4, ..Limits::default() };
        Self::start(limits, SendBudget::default()).await
    }

    async fn with_defaults() -> Self {
        Self::start(Limits::default(), SendBudget::default()).await
    }
}

/// Waits for the future, or fails after `NEVER`.
async fn soon<F: Future>(what: &str, happens: F) -> F::Output {
    tokio::time::timeout(NEVER, happens).await.unwrap_or_else(|_| panic!("timeout: {what}"))
}

#[tokio::test]
async fn f02_a_stream_with_an_unread_response_ends_despite_other_frames() {
    // A window that never opens, and one that opens for single bytes.
    for (window, path) in [(0, "/short"), (0, "/long"), (1, "/long")] {
        let server = Answering::with_short_limits().await;
        let mut client = Client::connect(server.address, &[(INITIAL_WINDOW_SIZE, window)]).await;
        client.send(&get(1, path)).await;
        soon("a response starts", client.next_of(HEADERS)).await.expect("a response");
        let stays_open = async {
            let mut stream = 3;
            loop {
                // Pings, window updates of the connection and other streams, and complete requests.
                let mut all = frame(WINDOW_UPDATE, 0, 0, &1_000_u32.to_be_bytes());
                all.extend(get(stream, "/short"));
                all.extend(frame(WINDOW_UPDATE, 0, stream, &1_000_u32.to_be_bytes()));
                if window > 0 && stream % 32 == 1 {
                    all.extend(frame(WINDOW_UPDATE, 0, 1, &1_u32.to_be_bytes()));
                }
                stream += 2;
                if !client.send(&all).await || client.ping().await.is_none() {
                    return;
                }
            }
        };
        soon("the connection ends", stays_open).await;
        soon("the response is released", server.counts.held(0)).await;
    }
}

#[tokio::test]
async fn f02_unread_responses_over_http_1_are_released() {
    let server = Answering::with_short_limits().await;
    let request = "GET /long HTTP/1.1\r\nhost: a\r\n\r\n";
    let mut never_reads = TcpStream::connect(server.address).await.unwrap();
    never_reads.write_all(request.repeat(100).as_bytes()).await.unwrap();
    soon("one response starts", server.counts.held(1)).await;
    soon("it is released", server.counts.held(0)).await;
    assert_eq!(
        server.counts.seen.load(Ordering::SeqCst),
        1,
        "the next request waits for the previous response"
    );

    // A client that reads one byte at a time.
    let mut drips = TcpStream::connect(server.address).await.unwrap();
    drips.write_all(request.as_bytes()).await.unwrap();
    soon("another response starts", server.counts.held(1)).await;
    let dripping = async {
        let mut byte = [0];
        while drips.read_exact(&mut byte).await.is_ok() {
            tokio::time::sleep(SHORT / 10).await;
        }
    };
    tokio::select! {
        () = soon("it is released", server.counts.held(0)) => {}
        () = dripping => soon("it is released", server.counts.held(0)).await,
    }
}

#[tokio::test]
async fn f02_a_response_that_is_read_slowly_but_steadily_is_sent_completely() {
    let server = Answering::with_short_limits().await;
    let mut client = Client::connect(server.address, &[]).await;
    client.send(&frame(WINDOW_UPDATE, 0, 0, &(1_u32 << 30).to_be_bytes())).await;
    client.send(&get(1, "/long")).await;
    let reading = async {
        let mut read = 0;
        loop {
            let next = client.next_of(DATA).await.expect("more data");
            read += next.payload.len();
            if next.flags & END_STREAM != 0 {
                return read;
            }
            let window = u32::try_from(next.payload.len()).unwrap();
            client.send(&frame(WINDOW_UPDATE, 0, 1, &window.to_be_bytes())).await;
        }
    };
    assert_eq!(tokio::time::timeout(NEVER * 3, reading).await.expect("in time"), LONG);
    assert!(client.ping().await.is_some());
}

#[tokio::test]
async fn f02_a_connection_has_thirty_two_streams() {
    let server = Answering::with_defaults().await;
    let mut client = Client::connect(server.address, &[(INITIAL_WINDOW_SIZE, 0)]).await;
    assert_eq!(client.setting(MAX_CONCURRENT_STREAMS), Some(32));
    for stream in 0..33 {
        client.send(&get(2 * stream + 1, "/short")).await;
    }
    let refused = soon("one is refused", client.next_of(RST_STREAM)).await.expect("a reset");
    assert_eq!((refused.stream, refused.number()), (65, 7), "REFUSED_STREAM");
}

#[tokio::test]
async fn f02_a_client_may_send_a_hundred_requests_before_it_has_read_settings() {
    let server = Answering::with_defaults().await;
    let mut client = Client::connect(server.address, &[]).await;
    let all: Vec<u8> = (0..100).flat_map(|index| get(2 * index + 1, "/short")).collect();
    client.send(&all).await;
    let (mut answered, mut refused) = (0, 0);
    while answered + refused < 100 {
        let next = soon("each is answered or refused", client.next()).await.expect("a frame");
        answered += usize::from(next.kind == HEADERS);
        refused += usize::from(next.kind == RST_STREAM && next.number() == 7);
    }
    assert!(answered >= 32, "{answered}");
    assert!(client.ping().await.is_some());
}

#[tokio::test]
async fn f02_streams_beyond_the_limit_of_the_process_are_refused_and_hold_no_memory() {
    let server = Answering::start(Limits::default(), SendBudget::of(1_000_000, 2)).await;
    let mut client = Client::connect(server.address, &[(INITIAL_WINDOW_SIZE, 0)]).await;
    let mut statuses = Vec::new();
    for stream in 0..10 {
        client.send(&get(2 * stream + 1, "/short")).await;
        let answer = soon("a response", client.next_of(HEADERS)).await.expect("a response");
        statuses.push((answer.status(), answer.flags & END_STREAM));
    }
    // Four permits of the connection, two of the shared ones, then refusals without a body.
    assert_eq!(statuses[..6], [(200, 0); 6]);
    assert_eq!(statuses[6..], [(503, 1); 4]);
    assert_eq!(server.counts.held.load(Ordering::SeqCst), 6);
    // Another connection has its own permits; all permits are released at the end.
    let mut other = Client::connect(server.address, &[]).await;
    other.send(&get(1, "/short")).await;
    let answer = soon("a response", other.next_of(HEADERS)).await.expect("a response");
    assert_eq!(answer.status(), 200);
    drop(client);
    soon("the permits are released", server.counts.held(0)).await;
    // Large headers count as several requests.
    let long = "x".repeat(8_000);
    let mut large = Client::connect(server.address, &[(INITIAL_WINDOW_SIZE, 0)]).await;
    for (stream, count, status) in [(1, 2, 200), (3, 2, 503), (5, 0, 200)] {
        let head = head("GET", "/short", &[("x-long", &*long), ("x-longer", &*long)][..count]);
        large.send(&frame(HEADERS, END_STREAM | END_HEADERS, stream, &head)).await;
        let answer = soon("a response", large.next_of(HEADERS)).await.expect("a response");
        assert_eq!(answer.status(), status, "{stream}");
    }
}

#[tokio::test]
async fn f02_long_responses_share_one_budget_and_reads_beyond_it_are_refused() {
    let server = Answering::start(Limits::default(), SendBudget::of(LONG * 3, 100)).await;
    let mut clients = Vec::new();
    // A private body may take half of the budget, shared bodies all of it. A shared body counts once,
    // whatever the number of its readers.
    for (path, status) in [
        ("/private", 200),
        ("/private", 503),
        ("/long", 200),
        ("/shared", 200),
        ("/shared", 200),
        ("/long", 503),
        ("/private", 503),
        ("/shared", 200),
    ] {
        let mut client = Client::connect(server.address, &[(INITIAL_WINDOW_SIZE, 0)]).await;
        client.send(&get(1, path)).await;
        let answer = soon("a response", client.next_of(HEADERS)).await.expect("a response");
        assert_eq!(answer.status(), status, "{path}");
        clients.push(client);
    }
    assert_eq!(server.counts.held.load(Ordering::SeqCst), 2);
    // Responses to writes and short responses are always sent; both protocols share the budget.
    let mut client = Client::connect(server.address, &[]).await;
    let post = head("POST", "/long", &[]);
    client.send(&frame(HEADERS, END_STREAM | END_HEADERS, 1, &post)).await;
    let answer = soon("a response", client.next_of(HEADERS)).await.expect("a response");
    assert_eq!(answer.status(), 200);
    for (path, status) in [("/long", "503"), ("/short", "200")] {
        let mut one = TcpStream::connect(server.address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
        one.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        one.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer:.300}");
    }
    drop((clients, client));
    soon("all but the shared body is released", server.counts.held(1)).await;
    let mut client = Client::connect(server.address, &[(INITIAL_WINDOW_SIZE, 0)]).await;
    client.send(&get(1, "/private")).await;
    let answer = soon("a response", client.next_of(HEADERS)).await.expect("a response");
    assert_eq!(answer.status(), 200);
}

/// A complete development server.
struct DevServer {
    address: SocketAddr,
    controls: Controls,
}

impl DevServer {
    async fn start() -> Self {
        let mut config = signet::config::in_memory(&|_| None).unwrap();
        config.listeners[0].address = "127.0.0.1:0".parse().unwrap();
        let (controls, signals) = control_channels();
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let development = DevOptions { root_token: Some("root".to_owned()), ..Default::default() };
        tokio::spawn(run(
            config,
            Some(development),
            |announcement| sender.send(announcement.addresses[0]).unwrap(),
            signals,
        ));
        Self { address: receiver.await.unwrap(), controls }
    }
}

impl Drop for DevServer {
    fn drop(&mut self) {
        let _already_gone = self.controls.stop.send(true);
    }
}

/// Sends a body as far as the windows allow until the response starts; returns the status and the bytes
/// sent.
async fn send_within_windows(client: &mut Client, headers: &[(&str, &str)]) -> (u16, usize) {
    let head = head("POST", "/v1/pki/issue/x", headers);
    client.send(&frame(HEADERS, END_HEADERS, 1, &head)).await;
    let mut sent = 0;
    let mut windows = [65_535, client.setting(INITIAL_WINDOW_SIZE).unwrap_or(65_535)];
    loop {
        let most = usize::try_from(windows[0].min(windows[1])).unwrap().min(16_384);
        if most > 0 {
            client.send(&frame(DATA, 0, 1, &vec![b' '; most])).await;
            windows = windows.map(|window| window - u32::try_from(most).unwrap());
            sent += most;
        }
        let next = client.next().await.unwrap();
        match next.kind {
            WINDOW_UPDATE => windows[usize::from(next.stream != 0)] += next.number(),
            HEADERS => return (next.status(), sent),
            _ => {}
        }
    }
}

#[tokio::test]
async fn f03_without_a_token_an_http_2_client_sends_at_most_sixteen_kib() {
    let server = DevServer::start().await;
    let long = ("content-length", "20971520");
    let mut client = Client::connect(server.address, &[]).await;
    let sent = soon("a response", send_within_windows(&mut client, &[long])).await;
    assert_eq!(sent, (403, 16_384));
    let mut client = Client::connect(server.address, &[]).await;
    let wrong = ("x-vault-token", "wrong");
    let sent = soon("a response", send_within_windows(&mut client, &[long, wrong])).await;
    assert_eq!(sent, (403, 16_384));
    // Without a content length: the limit, the frame that exceeds it, and one window.
    let mut client = Client::connect(server.address, &[]).await;
    let (status, sent) = soon("a response", send_within_windows(&mut client, &[])).await;
    assert_eq!(status, 403);
    assert!(sent <= 3 * 16_384, "{sent}");
}

#[tokio::test]
async fn f03_unread_bodies_share_one_window_and_more_ends_the_connection() {
    let server = Answering::with_defaults().await;
    let mut client = Client::connect(server.address, &[]).await;
    assert_eq!(client.setting(INITIAL_WINDOW_SIZE), Some(16_384));
    for stream in [1, 3, 5, 7] {
        let head = head("POST", "/slow", &[("content-length", "20971520")]);
        client.send(&frame(HEADERS, END_HEADERS, stream, &head)).await;
        client.send(&frame(DATA, 0, stream, &[b' '; 16_383])).await;
    }
    let frames = client.ping().await.expect("the connection is open");
    assert!(frames.iter().all(|frame| frame.kind != WINDOW_UPDATE), "{frames:?}");
    client.send(&frame(DATA, 0, 1, &[b' '; 4])).await;
    let end = soon("GOAWAY", client.next_of(GOAWAY)).await.expect("GOAWAY");
    assert_eq!(u32::from_be_bytes(end.payload[4..8].try_into().unwrap()), 3, "FLOW_CONTROL_ERROR");
    // The window is restored when a request ends unread.
    let mut client = Client::connect(server.address, &[]).await;
    for round in 0..32 {
        let stream = 2 * round + 1;
        let head = head("POST", "/short", &[("content-length", "20971520")]);
        client.send(&frame(HEADERS, END_HEADERS, stream, &head)).await;
        client.send(&frame(DATA, 0, stream, &[b' '; 8_192])).await;
        let answer = soon("a response", client.next_of(HEADERS)).await.expect("a response");
        assert_eq!(answer.status(), 200);
    }
}

#[tokio::test]
async fn f03_a_long_body_with_a_valid_token_over_http_2_is_read() {
    let server = DevServer::start().await;
    let stream = TcpStream::connect(server.address).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    tokio::spawn(connection);
    let mut body = vec![b' '; 20 * 1024 * 1024];
    body.extend(br#"{"type":"pki"}"#);
    let request = Request::post("http://localhost/v1/sys/mounts/long")
        .header("x-vault-token", "root")
        .body(Full::new(Bytes::from(body)))
        .unwrap();
    let answer = sender.send_request(request).await.unwrap();
    assert_eq!(answer.status(), 204);
}
