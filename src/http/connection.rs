//! One connection from its first octet to its last, and the clocks that run beside it.
//!
//! hyper speaks the protocol. This file decides when a connection has had its time: hyper's
//! own header timer covers neither the octets in which it still guesses the protocol nor a
//! client that does not read its answer, and it costs a timer for each request. Here octets
//! and requests only leave marks; one timer a connection wakes up and looks at them.

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, Version, header};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;

use crate::clock::Stopwatch;
use crate::http::limits::Limits;
use crate::http::sending::HttpResponse;

/// What is known of the connection that a request came by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionInfo {
    /// Address and port of the other end.
    pub peer: SocketAddr,
    /// Whether the connection is encrypted.
    pub tls: bool,
}

/// What a connection speaks, as far as the handshake told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// The first octets tell: HTTP/1.1, or HTTP/2 with prior knowledge.
    Unknown,
    /// HTTP/1.1 was agreed by ALPN.
    Http1,
    /// HTTP/2 was agreed by ALPN.
    Http2,
}

/// Marks that octets and requests leave, in microseconds since the connection began.
#[derive(Debug)]
struct Marks {
    since: Stopwatch,
    /// When the last octet went in either direction.
    moved: AtomicU64,
    /// When the headers that are being read began; [`NO_HEADERS`] where none are.
    headers: AtomicU64,
    in_flight: AtomicU32,
    http2: AtomicBool,
    /// Whether the connection had a request worked on since the runtime gave it its turn.
    had_one: AtomicBool,
}

const NO_HEADERS: u64 = u64::MAX;

/// What is to be done with a connection when its timer fires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// Look again after this time.
    Wait(Duration),
    /// It was idle too long: take leave politely.
    Idle,
    /// Its headers did not end in time: cut it.
    Slow,
}

impl Marks {
    fn new(protocol: Protocol) -> Self {
        let http2 = protocol == Protocol::Http2;
        Self {
            since: Stopwatch::start(),
            moved: AtomicU64::new(0),
            headers: AtomicU64::new(if http2 { NO_HEADERS } else { 0 }),
            in_flight: AtomicU32::new(0),
            http2: AtomicBool::new(http2),
            had_one: AtomicBool::new(false),
        }
    }

    fn read(&self) {
        let now = self.since.microseconds();
        self.moved.store(now, Ordering::Relaxed);
        // On HTTP/2 an octet between requests is a ping or a window, no slow header.
        if self.in_flight.load(Ordering::Relaxed) == 0
            && self.headers.load(Ordering::Relaxed) == NO_HEADERS
            && !self.http2.load(Ordering::Relaxed)
        {
            self.headers.store(now, Ordering::Relaxed);
        }
    }

    fn wrote(&self) {
        self.moved.store(self.since.microseconds(), Ordering::Relaxed);
    }

    fn verdict(&self, limits: &Limits) -> Verdict {
        let now = self.since.microseconds();
        let left = |from: u64, limit: Duration| {
            let limit: u64 = limit.as_micros().try_into().unwrap_or(u64::MAX);
            from.saturating_add(limit).checked_sub(now).filter(|left| *left > 0)
        };
        if self.in_flight.load(Ordering::Relaxed) > 0 {
            return Verdict::Wait(limits.idle.min(limits.header));
        }
        let headers = self.headers.load(Ordering::Relaxed);
        let idle = left(self.moved.load(Ordering::Relaxed), limits.idle);
        let header = if headers == NO_HEADERS {
            // Headers may begin at any moment after this look.
            Some(limits.header.as_micros().try_into().unwrap_or(u64::MAX))
        } else {
            left(headers, limits.header)
        };
        match (idle, header) {
            (_, None) => Verdict::Slow,
            (None, _) => Verdict::Idle,
            (Some(idle), Some(header)) => Verdict::Wait(Duration::from_micros(idle.min(header))),
        }
    }
}

/// A request between its headers and its answer.
struct Turn(Arc<Marks>);

impl Turn {
    fn begin(marks: &Arc<Marks>, version: Version) -> Self {
        marks.in_flight.fetch_add(1, Ordering::Relaxed);
        marks.headers.store(NO_HEADERS, Ordering::Relaxed);
        if version == Version::HTTP_2 {
            marks.http2.store(true, Ordering::Relaxed);
        }
        Self(Arc::clone(marks))
    }
}

/// One request a turn: who sends many at once, unread answers or not, has the others between any two.
async fn one_a_turn(marks: &Marks) {
    if marks.had_one.swap(true, Ordering::Relaxed) && !marks.http2.load(Ordering::Relaxed) {
        tokio::task::yield_now().await;
        marks.had_one.store(true, Ordering::Relaxed);
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
        // The idle time begins with the answer, however long the handler thought.
        self.0.wrote();
    }
}

/// A stream that leaves marks.
struct Watched<I> {
    stream: I,
    marks: Arc<Marks>,
}

impl<I: AsyncRead + Unpin> AsyncRead for Watched<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let outcome = Pin::new(&mut self.stream).poll_read(context, buffer);
        if buffer.filled().len() > before {
            self.marks.read();
        }
        outcome
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Watched<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(context, buffer);
        if matches!(outcome, Poll::Ready(Ok(1..))) {
            self.marks.wrote();
        }
        outcome
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(context, buffers);
        if matches!(outcome, Poll::Ready(Ok(1..))) {
            self.marks.wrote();
        }
        outcome
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// hyper's builders for what a connection may speak, made once for a listener.
#[derive(Clone, Debug)]
pub(crate) struct Speakers {
    either: auto::Builder<TokioExecutor>,
    http1: auto::Builder<TokioExecutor>,
    http2: auto::Builder<TokioExecutor>,
}

impl Speakers {
    pub(crate) fn new(limits: &Limits) -> Self {
        let header_size = limits.header_size.max(8_192);
        let mut either = auto::Builder::new(TokioExecutor::new());
        // hyper's own header timer is off: see the head of this file.
        // A client that closes its half after the request still gets its answer (RFC 9112, 9.6); and
        // nobody looks for that end, with a buffer of its own, while the work is under way.
        either.http1().half_close(true).header_read_timeout(None).max_buf_size(header_size);
        either
            .http2()
            .timer(TokioTimer::new())
            .max_header_list_size(header_size.try_into().unwrap_or(u32::MAX));
        Self { http1: either.clone().http1_only(), http2: either.clone().http2_only(), either }
    }

    const fn speaker(&self, protocol: Protocol) -> &auto::Builder<TokioExecutor> {
        match protocol {
            Protocol::Unknown => &self.either,
            Protocol::Http1 => &self.http1,
            Protocol::Http2 => &self.http2,
        }
    }
}

/// Serves requests until the client leaves, a limit is passed, or `stop` says so and the
/// requests in flight are answered.
pub(crate) async fn converse<I, F, R>(
    stream: I,
    protocol: Protocol,
    speakers: &Speakers,
    limits: Limits,
    (handler, info): (F, ConnectionInfo),
    mut stop: watch::Receiver<bool>,
) where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Fn(Request<Incoming>, ConnectionInfo) -> R + Send + 'static,
    R: Future<Output = HttpResponse> + Send + 'static,
{
    let marks = Arc::new(Marks::new(protocol));
    let stream = TokioIo::new(Watched { stream, marks: Arc::clone(&marks) });
    let of_service = (Arc::clone(&marks), info.clone());
    let service = service_fn(move |request: Request<Incoming>| {
        let turn = Turn::begin(&of_service.0, request.version());
        let answer = handler(request, of_service.1.clone());
        async move {
            one_a_turn(&turn.0).await;
            let answer = tokio::time::timeout(limits.request, answer).await;
            drop(turn);
            Ok::<_, Infallible>(answer.unwrap_or_else(|_| took_too_long()))
        }
    });
    let mut connection = pin!(speakers.speaker(protocol).serve_connection(stream, service));
    let mut timer = pin!(tokio::time::sleep(limits.header.min(limits.idle)));
    let mut leaving = false;
    loop {
        tokio::select! {
            biased;
            outcome = poll_fn(|context| {
                marks.had_one.store(false, Ordering::Relaxed);
                connection.as_mut().poll(context)
            }) => {
                if let Err(error) = outcome {
                    tracing::debug!(peer = %info.peer, %error, "connection ended with an error");
                }
                return;
            }
            () = stopped(&mut stop), if !leaving => {
                leaving = true;
                connection.as_mut().graceful_shutdown();
            }
            () = timer.as_mut() => match marks.verdict(&limits) {
                Verdict::Wait(time) => timer.set(tokio::time::sleep(time)),
                Verdict::Idle if !leaving => {
                    leaving = true;
                    connection.as_mut().graceful_shutdown();
                    timer.set(tokio::time::sleep(limits.header));
                }
                Verdict::Idle | Verdict::Slow => {
                    tracing::debug!(peer = %info.peer, "connection cut: it had its time");
                    return;
                }
            },
        }
    }
}

/// Ends when the signal to stop is given, or its giver is gone.
pub(crate) async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

fn took_too_long() -> HttpResponse {
    let text =
        Bytes::from_static(br#"{"errors":["the request took longer than the server allows"]}"#);
    let mut answer = Response::new(text.into());
    *answer.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}
