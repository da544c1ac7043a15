//! One connection from its first octet to its last, and the clocks that run beside it.
//!
//! hyper speaks the protocol. This file decides when a connection has had its time: hyper's
//! own header timer covers neither the octets in which it still guesses the protocol nor a
//! client that does not read its answer, and it costs a timer for each request. Here octets
//! and requests only leave marks (`marks.rs`); one timer a connection wakes up and looks at them.

use std::convert::Infallible;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;

use crate::engine::Failure;
use crate::http::limits::Limits;
use crate::http::marks::{MarkedStream, Marks, TimeoutAction, Turn};
use crate::http::outgoing::{Outgoing, PIECE, SendBudget};
use crate::http::reply::{ErrorFormat, failure};
use crate::http::sending::HttpResponse;

/// Streams that a connection of HTTP/2 may have at once. What the library keeps for a stream stays with its
/// connection: measured with 2,000 connections, one takes 190 kB where 100 streams were open, as RFC 9113,
/// 6.5.2 recommends, 95 kB where 32 were, and 48 kB where one was. Go's `net/http` opens another connection
/// beyond that, hyper and curl wait; a stream that came before SETTINGS were read is refused as one that
/// may be sent again (REFUSED_STREAM; RFC 9113, 8.7), and Go sends it again.
const STREAMS: u32 = 32;

/// Bytes of a request's body that a stream may send before they are read: as many as a caller may send
/// without a valid token. A long body of a known caller costs a round trip for each half of it.
const STREAM_WINDOW: u32 = 16 * 1024;

/// Bytes of unread bodies of all streams of a connection. No setting can make it smaller than that when
/// the connection begins (RFC 9113, 6.9.2).
const CONNECTION_WINDOW: u32 = 65_535;

/// Streams of one connection that the server resets because of faults in the client's frames, in its whole
/// life; then the connection ends (CVE-2025-8671). Those that are refused count as well: 68 of a client
/// that sends a hundred before it has read SETTINGS.
const FAULTY_STREAMS: usize = 256;

/// Streams that are reset before the server has looked at them (CVE-2023-44487).
const RESET_UNSEEN: usize = 20;

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

/// hyper's builders for what a connection may speak, made once for a listener.
#[derive(Clone, Debug)]
pub(crate) struct ConnectionBuilders {
    either: auto::Builder<TokioExecutor>,
    http1: auto::Builder<TokioExecutor>,
    http2: auto::Builder<TokioExecutor>,
    budget: SendBudget,
}

impl ConnectionBuilders {
    pub(crate) fn new(limits: &Limits, budget: SendBudget) -> Self {
        let header_size = limits.header_size.max(8_192);
        let mut either = auto::Builder::new(TokioExecutor::new());
        // hyper's own header timer is off: see the head of this file.
        // A client that closes its half after the request still gets its answer (RFC 9112, 9.6); and
        // nobody looks for that end, with a buffer of its own, while the work is under way.
        either.http1().half_close(true).header_read_timeout(None).max_buf_size(header_size);
        either
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(STREAMS)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_send_buf_size(PIECE)
            .max_local_error_reset_streams(FAULTY_STREAMS)
            .max_pending_accept_reset_streams(RESET_UNSEEN)
            .max_header_list_size(header_size.try_into().unwrap_or(u32::MAX));
        Self {
            http1: either.clone().http1_only(),
            http2: either.clone().http2_only(),
            either,
            budget,
        }
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
    speakers: &ConnectionBuilders,
    limits: Limits,
    (handler, info): (F, ConnectionInfo),
    mut stop: watch::Receiver<bool>,
) where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Fn(Request<Incoming>, ConnectionInfo) -> R + Send + 'static,
    R: Future<Output = HttpResponse> + Send + 'static,
{
    let marks = Arc::new(Marks::new(protocol, speakers.budget.clone()));
    let stream = TokioIo::new(MarkedStream::new(stream, Arc::clone(&marks)));
    let (of_service, client) = (Arc::clone(&marks), info.clone());
    let service = service_fn(move |request: Request<Incoming>| {
        let turn = Turn::begin(&of_service, request.version(), request.headers());
        let reads = is_reading(request.method());
        let answer = turn.map(|turn| (turn, handler(request, client.clone())));
        async move {
            let Some((mut turn, answer)) = answer else { return Ok::<_, Infallible>(no_place()) };
            turn.one_at_a_time().await;
            let answer = tokio::time::timeout(limits.request, answer).await;
            turn.answered();
            Ok(outgoing(answer.unwrap_or_else(|_| took_too_long()), reads, turn))
        }
    });
    let mut connection = pin!(speakers.speaker(protocol).serve_connection(stream, service));
    let mut timer = pin!(tokio::time::sleep(limits.header.min(limits.idle).min(limits.progress)));
    let mut leaving = false;
    loop {
        tokio::select! {
            biased;
            outcome = poll_fn(|context| {
                marks.begin_poll();
                match connection.as_mut().poll(context) {
                    Poll::Pending if marks.gave_up_too_many() => Poll::Ready(None),
                    polled => polled.map(Some),
                }
            }) => {
                match outcome {
                    Some(Ok(())) => {}
                    Some(Err(error)) => {
                        tracing::debug!(peer = %info.peer, %error, "connection ended with an error");
                    }
                    None => tracing::debug!(peer = %info.peer, "connection cut: it gave up too many requests"),
                }
                return;
            }
            () = stopped(&mut stop), if !leaving => {
                leaving = true;
                connection.as_mut().graceful_shutdown();
            }
            () = timer.as_mut() => match marks.verdict(&limits) {
                TimeoutAction::Wait(time) => timer.set(tokio::time::sleep(time)),
                TimeoutAction::Close if !leaving => {
                    leaving = true;
                    connection.as_mut().graceful_shutdown();
                    timer.set(tokio::time::sleep(limits.header));
                }
                TimeoutAction::Close | TimeoutAction::Cut => {
                    tracing::debug!(peer = %info.peer, "connection cut: it had its time");
                    return;
                }
            },
        }
    }
}

/// An answer with what it holds. Where all long answers hold too much, one that was only read is not sent;
/// one that tells what was done is.
fn outgoing(mut answer: HttpResponse, reads: bool, turn: Turn) -> Response<Outgoing> {
    let budget = &turn.marks.budget;
    let mut held = budget.hold(answer.body());
    if reads && !held.is_within {
        answer = failure(&Failure::Busy, ErrorFormat::Public);
        held = budget.hold(answer.body());
    }
    if turn.marks.is_http2() {
        return answer.map(|body| Outgoing::stream(body, held, turn));
    }
    drop(turn);
    answer.map(|body| Outgoing::whole(body, held))
}

fn is_reading(method: &Method) -> bool {
    !matches!(*method, Method::POST | Method::PUT | Method::PATCH | Method::DELETE)
}

/// For a stream that finds no place. Without a body it needs no window, and holds nothing.
fn no_place() -> Response<Outgoing> {
    let mut answer = Response::new(Outgoing::empty());
    *answer.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    answer
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
