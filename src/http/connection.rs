//! One connection from its first byte to its last, and its timeouts.
//!
//! hyper implements the protocol. This file applies the timeouts: hyper's own header timer covers neither
//! the bytes by which it detects the protocol nor a client that does not read its answer, and it costs a
//! timer for each request. Here bytes and requests only record times (`activity.rs`); one timer for each
//! connection checks them.

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
use crate::http::activity::{ActivityTimes, InFlightGuard, TimeoutAction, TrackedStream};
use crate::http::limits::Limits;
use crate::http::outgoing::{CHUNK_SIZE, Outgoing, SendBudget};
use crate::http::reply::{ErrorFormat, failure};
use crate::http::sending::HttpResponse;

/// Concurrent streams of an HTTP/2 connection. The library keeps the memory of a stream until its connection
/// ends: measured with 2,000 connections, one takes 190 kB where 100 streams were open, as RFC 9113,
/// 6.5.2 recommends, 95 kB where 32 were, and 48 kB where one was. Go's `net/http` opens another connection
/// beyond that, hyper and curl wait; a stream that arrives before the client has read SETTINGS is refused
/// as safe to retry (REFUSED_STREAM; RFC 9113, 8.7), and Go retries it.
const MAX_STREAMS: u32 = 32;

/// Bytes of a request's body that a stream may send before they are read: as many as a caller may send
/// without a valid token. A long body of an authenticated caller costs a round trip for each half of the window.
const STREAM_WINDOW: u32 = 16 * 1024;

/// Bytes of unread bodies of all streams of a connection. No setting can make the initial window smaller
/// (RFC 9113, 6.9.2).
const CONNECTION_WINDOW: u32 = 65_535;

/// Streams that the server resets because of protocol errors of the client, over the life of one connection;
/// then the connection ends (CVE-2025-8671). Refused streams count as well: 68 for a client that sends a
/// hundred before it has read SETTINGS.
const MAX_ERROR_RESETS: usize = 256;

/// Streams that the client resets before the server has accepted them (CVE-2023-44487).
const MAX_PENDING_RESETS: usize = 20;

/// The connection of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionInfo {
    /// Address and port of the other end.
    pub peer: SocketAddr,
    /// Whether the connection is encrypted.
    pub tls: bool,
}

/// The protocol of a connection, as far as the handshake determines it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// The first bytes determine it: HTTP/1.1, or HTTP/2 with prior knowledge.
    Unknown,
    /// ALPN selected HTTP/1.1.
    Http1,
    /// ALPN selected HTTP/2.
    Http2,
}

/// hyper's builders for each protocol, built once for a listener.
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
        // hyper's own header timer is off: see the top of this file.
        // A client that closes its half after the request still gets its answer (RFC 9112, 9.6). It also
        // keeps hyper from reading ahead for the end, which takes a buffer, while the handler runs.
        either.http1().half_close(true).header_read_timeout(None).max_buf_size(header_size);
        either
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(MAX_STREAMS)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_send_buf_size(CHUNK_SIZE)
            .max_local_error_reset_streams(MAX_ERROR_RESETS)
            .max_pending_accept_reset_streams(MAX_PENDING_RESETS)
            .max_header_list_size(header_size.try_into().unwrap_or(u32::MAX));
        Self {
            http1: either.clone().http1_only(),
            http2: either.clone().http2_only(),
            either,
            budget,
        }
    }

    const fn builder(&self, protocol: Protocol) -> &auto::Builder<TokioExecutor> {
        match protocol {
            Protocol::Unknown => &self.either,
            Protocol::Http1 => &self.http1,
            Protocol::Http2 => &self.http2,
        }
    }
}

/// Serves requests until the client disconnects, a limit is exceeded, or `stop` is signalled and the
/// requests in flight are answered.
pub(crate) async fn serve_connection<I, F, R>(
    stream: I,
    protocol: Protocol,
    builders: &ConnectionBuilders,
    limits: Limits,
    (handler, info): (F, ConnectionInfo),
    mut stop: watch::Receiver<bool>,
) where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Fn(Request<Incoming>, ConnectionInfo) -> R + Send + 'static,
    R: Future<Output = HttpResponse> + Send + 'static,
{
    let activity = Arc::new(ActivityTimes::new(protocol, builders.budget.clone()));
    let stream = TokioIo::new(TrackedStream::new(stream, Arc::clone(&activity)));
    let (service_activity, client) = (Arc::clone(&activity), info.clone());
    let service = service_fn(move |request: Request<Incoming>| {
        let guard = InFlightGuard::begin(&service_activity, request.version(), request.headers());
        let is_read = is_read(request.method());
        let answer = guard.map(|guard| (guard, handler(request, client.clone())));
        async move {
            let Some((mut guard, answer)) = answer else {
                return Ok::<_, Infallible>(too_many_streams());
            };
            guard.yield_between_pipelined_requests().await;
            let answer = tokio::time::timeout(limits.request, answer).await;
            guard.handler_ended();
            Ok(send_within_budget(answer.unwrap_or_else(|_| timed_out()), is_read, guard))
        }
    });
    let mut connection = pin!(builders.builder(protocol).serve_connection(stream, service));
    let mut timer = pin!(tokio::time::sleep(limits.header.min(limits.idle).min(limits.progress)));
    let mut closing = false;
    loop {
        tokio::select! {
            biased;
            outcome = poll_fn(|context| {
                activity.begin_poll();
                match connection.as_mut().poll(context) {
                    Poll::Pending if activity.abandoned_too_many() => Poll::Ready(None),
                    polled => polled.map(Some),
                }
            }) => {
                match outcome {
                    Some(Ok(())) => {}
                    Some(Err(error)) => {
                        tracing::debug!(peer = %info.peer, %error, "connection ended with an error");
                    }
                    None => tracing::debug!(peer = %info.peer, "connection cut: too many abandoned requests"),
                }
                return;
            }
            () = stopped(&mut stop), if !closing => {
                closing = true;
                connection.as_mut().graceful_shutdown();
            }
            () = timer.as_mut() => match activity.timeout_action(&limits) {
                TimeoutAction::Wait(time) => timer.set(tokio::time::sleep(time)),
                TimeoutAction::Close if !closing => {
                    closing = true;
                    connection.as_mut().graceful_shutdown();
                    timer.set(tokio::time::sleep(limits.header));
                }
                TimeoutAction::Close | TimeoutAction::Cut => {
                    tracing::debug!(peer = %info.peer, "connection cut: timeout");
                    return;
                }
            },
        }
    }
}

/// The answer with its share of the send budget. If long answers exceed the budget, the answer to a read is
/// replaced by 503; the answer to a change is sent.
fn send_within_budget(
    mut answer: HttpResponse,
    is_read: bool,
    guard: InFlightGuard,
) -> Response<Outgoing> {
    let budget = &guard.activity.budget;
    let mut permit = budget.hold(answer.body());
    if is_read && !permit.is_within {
        answer = failure(&Failure::Busy, ErrorFormat::Public);
        permit = budget.hold(answer.body());
    }
    if guard.activity.is_http2() {
        return answer.map(|body| Outgoing::stream(body, permit, guard));
    }
    drop(guard);
    answer.map(|body| Outgoing::whole(body, permit))
}

fn is_read(method: &Method) -> bool {
    !matches!(*method, Method::POST | Method::PUT | Method::PATCH | Method::DELETE)
}

/// The answer to a stream without a free slot. It has no body, and so needs neither window nor budget.
fn too_many_streams() -> Response<Outgoing> {
    let mut answer = Response::new(Outgoing::empty());
    *answer.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    answer
}

/// Returns when a stop is signalled, or the sender is dropped.
pub(crate) async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

fn timed_out() -> HttpResponse {
    let text =
        Bytes::from_static(br#"{"errors":["the request took longer than the server allows"]}"#);
    let mut answer = Response::new(text.into());
    *answer.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}
