//! HTTP/1.1 and HTTP/2: answers that are not read and bodies that are refused.

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

/// When a test gives up: what it waits for does not happen.
const NEVER: Duration = Duration::from_secs(20);

/// More than sockets of the loopback buffer.
const LONG: usize = 16 * 1024 * 1024;

/// A listener that answers `/short` and `/long`, counts requests and what is held of its answers.
struct Answering {
    address: SocketAddr,
    counts: Arc<Counts>,
    _stop: watch::Sender<bool>,
    _reload: watch::Sender<u64>,
}

#[derive(Default)]
struct Counts {
    /// Requests that a handler saw.
    seen: AtomicUsize,
    /// Answers whose bytes are in memory.
    held: AtomicUsize,
    changed: Notify,
    list: OnceLock<Bytes>,
}

/// Bytes that say when they are gone.
struct Kept(Vec<u8>, Arc<Counts>);

impl AsRef<[u8]> for Kept {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.1.held.fetch_sub(1, Ordering::SeqCst);
        self.1.changed.notify_waiters();
    }
}

impl Counts {
    fn answer(self: &Arc<Self>, length: usize) -> HttpResponse {
        self.held.fetch_add(1, Ordering::SeqCst);
        self.changed.notify_waiters();
        Response::new(Bytes::from_owner(Kept(vec![b' '; length], Arc::clone(self))).into())
    }

    /// The same bytes each time.
    fn list(self: &Arc<Self>) -> Bytes {
        let counts = Arc::clone(self);
        self.list
            .get_or_init(|| {
                counts.held.fetch_add(1, Ordering::SeqCst);
                Bytes::from_owner(Kept(vec![b' '; LONG], Arc::clone(&counts)))
            })
            .clone()
    }

    /// Waits until so many answers are held.
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

    /// With a short time for answers that wait, and the defaults for everything else.
    async fn with_short_limits() -> Self {
        let limits = Limits { progress: SHORT, header: SHORT * 4, ..Limits::default() };
        Self::start(limits, SendBudget::default()).await
    }

    async fn with_defaults() -> Self {
        Self::start(Limits::default(), SendBudget::default()).await
    }
}

/// Fails where it does not happen.
async fn soon<F: Future>(what: &str, happens: F) -> F::Output {
    tokio::time::timeout(NEVER, happens).await.unwrap_or_else(|_| panic!("not so: {what}"))
}

#[tokio::test]
async fn f02_a_stream_whose_answer_is_not_read_ends_though_other_frames_come() {
    // A window that never opens; one that lets a byte through now and then.
    for (window, path) in [(0, "/short"), (0, "/long"), (1, "/long")] {
        let server = Answering::with_short_limits().await;
        let mut client = Client::connect(server.address, &[(INITIAL_WINDOW_SIZE, window)]).await;
        client.send(&get(1, path)).await;
        soon("the answer is made", client.next_of(HEADERS)).await.expect("an answer");
        let lives_on = async {
            let mut stream = 3;
            loop {
                // Pings, windows of the connection and of other streams, and whole requests.
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
        soon("the connection ends", lives_on).await;
        soon("the answer is given back", server.counts.held(0)).await;
    }
}

#[tokio::test]
async fn f02_answers_over_http_1_that_are_not_read_are_given_back() {
    let server = Answering::with_short_limits().await;
    let request = "GET /long HTTP/1.1\r\nhost: a\r\n\r\n";
    let mut never_reads = TcpStream::connect(server.address).await.unwrap();
    never_reads.write_all(request.repeat(100).as_bytes()).await.unwrap();
    soon("one answer is made", server.counts.held(1)).await;
    soon("it is given back", server.counts.held(0)).await;
    assert_eq!(server.counts.seen.load(Ordering::SeqCst), 1, "the next waits for the one before");

    // One that reads a byte whenever the server has nothing to do.
    let mut drips = TcpStream::connect(server.address).await.unwrap();
    drips.write_all(request.as_bytes()).await.unwrap();
    soon("another is made", server.counts.held(1)).await;
    let dripping = async {
        let mut byte = [0];
        while drips.read_exact(&mut byte).await.is_ok() {
            tokio::time::sleep(SHORT / 10).await;
        }
    };
    tokio::select! {
        () = soon("it is given back", server.counts.held(0)) => {}
        () = dripping => soon("it is given back", server.counts.held(0)).await,
    }
}

#[tokio::test]
async fn f02_an_answer_that_is_read_slowly_but_steadily_is_sent_to_its_end() {
    let server = Answering::with_short_limits().await;
    let mut client = Client::connect(server.address, &[]).await;
    client.send(&frame(WINDOW_UPDATE, 0, 0, &(1_u32 << 30).to_be_bytes())).await;
    client.send(&get(1, "/long")).await;
    let reading = async {
        let mut read = 0;
        loop {
            let next = client.next_of(DATA).await.expect("the answer goes on");
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
    let all: Vec<u8> = (0..100).flat_map(|place| get(2 * place + 1, "/short")).collect();
    client.send(&all).await;
    let (mut answered, mut refused) = (0, 0);
    while answered + refused < 100 {
        let next = soon("each is answered or refused", client.next()).await.expect("it goes on");
        answered += usize::from(next.kind == HEADERS);
        refused += usize::from(next.kind == RST_STREAM && next.number() == 7);
    }
    assert!(answered >= 32, "{answered}");
    assert!(client.ping().await.is_some());
}

#[tokio::test]
async fn f02_streams_beyond_the_places_of_the_process_are_refused_and_hold_nothing() {
    let server = Answering::start(Limits::default(), SendBudget::of(1_000_000, 2)).await;
    let mut client = Client::connect(server.address, &[(INITIAL_WINDOW_SIZE, 0)]).await;
    let mut statuses = Vec::new();
    for stream in 0..10 {
        client.send(&get(2 * stream + 1, "/short")).await;
        let answer = soon("an answer", client.next_of(HEADERS)).await.expect("an answer");
        statuses.push((answer.status(), answer.flags & END_STREAM));
    }
    // Four of its own, two of those that all share, and refusals without a body.
    assert_eq!(statuses[..6], [(200, 0); 6]);
    assert_eq!(statuses[6..], [(503, 1); 4]);
    assert_eq!(server.counts.held.load(Ordering::SeqCst), 6);
    // Another connection has its own, whatever the first one holds; and all is given back.
    let mut other = Client::connect(server.address, &[]).await;
    other.send(&get(1, "/short")).await;
    let answer = soon("an answer", other.next_of(HEADERS)).await.expect("an answer");
    assert_eq!(answer.status(), 200);
    drop(client);
    soon("the places are given back", server.counts.held(0)).await;
    // Large headers count as several requests.
    let long = "x".repeat(8_000);
    let mut large = Client::connect(server.address, &[(INITIAL_WINDOW_SIZE, 0)]).await;
    for (stream, count, status) in [(1, 2, 200), (3, 2, 503), (5, 0, 200)] {
        let head = head("GET", "/short", &[("x-long", &*long), ("x-longer", &*long)][..count]);
        large.send(&frame(HEADERS, END_STREAM | END_HEADERS, stream, &head)).await;
        let answer = soon("an answer", large.next_of(HEADERS)).await.expect("an answer");
        assert_eq!(answer.status(), status, "{stream}");
    }
}

#[tokio::test]
async fn f02_long_answers_share_one_budget_and_reading_beyond_it_is_refused() {
    let server = Answering::start(Limits::default(), SendBudget::of(LONG * 3, 100)).await;
    let mut clients = Vec::new();
    // One that has its bytes for itself may take half of it, those that others share all of it. The same
    // list counts once, however many read it.
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
        let answer = soon("an answer", client.next_of(HEADERS)).await.expect("an answer");
        assert_eq!(answer.status(), status, "{path}");
        clients.push(client);
    }
    assert_eq!(server.counts.held.load(Ordering::SeqCst), 2);
    // What tells what was done is sent in any case, as are short answers, and both protocols count.
    let mut client = Client::connect(server.address, &[]).await;
    let post = head("POST", "/long", &[]);
    client.send(&frame(HEADERS, END_STREAM | END_HEADERS, 1, &post)).await;
    let answer = soon("an answer", client.next_of(HEADERS)).await.expect("an answer");
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
    soon("all but the list is given back", server.counts.held(1)).await;
    let mut client = Client::connect(server.address, &[(INITIAL_WINDOW_SIZE, 0)]).await;
    client.send(&get(1, "/private")).await;
    let answer = soon("an answer", client.next_of(HEADERS)).await.expect("an answer");
    assert_eq!(answer.status(), 200);
}

/// The whole server in development, as it is started without a listener of this test.
struct Whole {
    address: SocketAddr,
    controls: Controls,
}

impl Whole {
    async fn start() -> Self {
        let mut config = signet::config::in_memory(&|_| None).unwrap();
        config.listeners[0].address = "127.0.0.1:0".parse().unwrap();
        let (controls, signals) = control_channels();
        let (told, announced) = tokio::sync::oneshot::channel();
        let development = DevOptions { root_token: Some("root".to_owned()), ..Default::default() };
        tokio::spawn(run(
            config,
            Some(development),
            |announcement| told.send(announcement.addresses[0]).unwrap(),
            signals,
        ));
        Self { address: announced.await.unwrap(), controls }
    }
}

impl Drop for Whole {
    fn drop(&mut self) {
        let _already_gone = self.controls.stop.send(true);
    }
}

/// Sends a body as far as the windows let, until the answer is there: its status, and the bytes that went.
async fn sends_all_it_may(client: &mut Client, headers: &[(&str, &str)]) -> (u16, usize) {
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
async fn f03_without_a_token_a_long_body_over_http_2_sends_sixteen_kib() {
    let server = Whole::start().await;
    let long = ("content-length", "20971520");
    let mut client = Client::connect(server.address, &[]).await;
    let sent = soon("an answer", sends_all_it_may(&mut client, &[long])).await;
    assert_eq!(sent, (403, 16_384));
    let mut client = Client::connect(server.address, &[]).await;
    let wrong = ("x-vault-token", "wrong");
    let sent = soon("an answer", sends_all_it_may(&mut client, &[long, wrong])).await;
    assert_eq!(sent, (403, 16_384));
    // Where no length is told: as much is read, and a frame that says it is more, and a window.
    let mut client = Client::connect(server.address, &[]).await;
    let (status, sent) = soon("an answer", sends_all_it_may(&mut client, &[])).await;
    assert_eq!(status, 403);
    assert!(sent <= 3 * 16_384, "{sent}");
}

#[tokio::test]
async fn f03_unread_bodies_of_all_streams_are_one_window_and_more_ends_the_connection() {
    let server = Answering::with_defaults().await;
    let mut client = Client::connect(server.address, &[]).await;
    assert_eq!(client.setting(INITIAL_WINDOW_SIZE), Some(16_384));
    for stream in [1, 3, 5, 7] {
        let head = head("POST", "/slow", &[("content-length", "20971520")]);
        client.send(&frame(HEADERS, END_HEADERS, stream, &head)).await;
        client.send(&frame(DATA, 0, stream, &[b' '; 16_383])).await;
    }
    let frames = client.ping().await.expect("still there");
    assert!(frames.iter().all(|frame| frame.kind != WINDOW_UPDATE), "{frames:?}");
    client.send(&frame(DATA, 0, 1, &[b' '; 4])).await;
    let end = soon("it is refused", client.next_of(GOAWAY)).await.expect("GOAWAY");
    assert_eq!(u32::from_be_bytes(end.payload[4..8].try_into().unwrap()), 3, "FLOW_CONTROL_ERROR");
    // The window comes back with the end of a request that was not read.
    let mut client = Client::connect(server.address, &[]).await;
    for turn in 0..32 {
        let stream = 2 * turn + 1;
        let head = head("POST", "/short", &[("content-length", "20971520")]);
        client.send(&frame(HEADERS, END_HEADERS, stream, &head)).await;
        client.send(&frame(DATA, 0, stream, &[b' '; 8_192])).await;
        let answer = soon("an answer", client.next_of(HEADERS)).await.expect("an answer");
        assert_eq!(answer.status(), 200);
    }
}

#[tokio::test]
async fn f03_a_long_body_of_a_known_caller_over_http_2_is_read() {
    let server = Whole::start().await;
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
