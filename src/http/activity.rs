//! The activity of a connection: requests in flight, answers that wait, and the time of the last progress.
//! One timer for each connection checks it and decides.
//!
//! HTTP/2 streams share a connection, so no frame of another stream, no PING and no WINDOW_UPDATE may
//! extend the timeout of a stream: each answer has its own progress timeout, and the idle time of such a
//! connection begins when its last request ends.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use http::{HeaderMap, Version};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::OwnedSemaphorePermit;

use crate::clock::Stopwatch;
use crate::http::connection::Protocol;
use crate::http::limits::Limits;
use crate::http::outgoing::{CHUNK_SIZE, SendBudget};

/// Requests that a client may abandon before their answers, beyond those that were answered: six times the
/// concurrent streams of a connection. Started work completes even if the client disconnects, so a client
/// that resets each stream would run more work at once than its streams allow
/// (CVE-2023-44487; CVE-2025-8671 where its frames make the server reset them).
const MAX_ABANDONED: u32 = 200;

/// Request slots reserved for each connection; further slots come from the shared ones.
const OWN_SLOTS: u32 = 4;

/// Bytes of request headers that one slot covers.
const HEADERS_PER_SLOT: usize = 4 * 1024;

/// Times and counts of a connection. Times are in microseconds since it began.
#[derive(Debug)]
pub(super) struct ActivityTimes {
    since: Stopwatch,
    /// When the last byte was read or written; on HTTP/2, when the last request ended.
    last_activity: AtomicU64,
    /// When the first byte of the headers now being read arrived; [`NEVER`] between headers.
    header_start: AtomicU64,
    /// Slots of the requests in flight; on HTTP/2 until their answers are sent.
    in_flight: AtomicU32,
    is_http2: AtomicBool,
    /// Whether a request began since the runtime last polled the connection.
    began_request: AtomicBool,
    /// Since when the socket has accepted less than [`CHUNK_SIZE`]; [`NEVER`] if it is not blocked.
    blocked_since: AtomicU64,
    /// Bytes that the socket accepted since then.
    taken: AtomicUsize,
    /// Chunks on streams that have waited since the current period, and since the previous one.
    pending: [AtomicU32; 2],
    /// Which of the two is the current one.
    current: AtomicUsize,
    /// When the current period began.
    period: AtomicU64,
    abandoned: AtomicU32,
    pub(super) budget: SendBudget,
}

const NEVER: u64 = u64::MAX;

/// What to do with a connection when its timer fires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TimeoutAction {
    /// Check again after this time.
    Wait(Duration),
    /// It is idle too long, or the answer of a stream makes no progress: close it (GOAWAY), then cut it.
    Close,
    /// Its headers did not end in time, or its socket accepts nothing: cut it.
    Cut,
}

impl ActivityTimes {
    pub(super) fn new(protocol: Protocol, budget: SendBudget) -> Self {
        let is_http2 = protocol == Protocol::Http2;
        Self {
            since: Stopwatch::start(),
            last_activity: AtomicU64::new(0),
            header_start: AtomicU64::new(if is_http2 { NEVER } else { 0 }),
            in_flight: AtomicU32::new(0),
            is_http2: AtomicBool::new(is_http2),
            began_request: AtomicBool::new(false),
            blocked_since: AtomicU64::new(NEVER),
            taken: AtomicUsize::new(0),
            pending: [AtomicU32::new(0), AtomicU32::new(0)],
            current: AtomicUsize::new(0),
            period: AtomicU64::new(0),
            abandoned: AtomicU32::new(0),
            budget,
        }
    }

    fn record_read(&self) {
        // On HTTP/2 a byte between requests is a PING or a WINDOW_UPDATE: neither a header nor a request.
        if self.is_http2.load(Ordering::Relaxed) {
            return;
        }
        let now = self.since.microseconds();
        self.last_activity.store(now, Ordering::Relaxed);
        if self.in_flight.load(Ordering::Relaxed) == 0
            && self.header_start.load(Ordering::Relaxed) == NEVER
        {
            self.header_start.store(now, Ordering::Relaxed);
        }
    }

    fn record_write(&self, outcome: &Poll<io::Result<usize>>) {
        match outcome {
            Poll::Ready(Ok(written @ 1..)) => {
                if !self.is_http2.load(Ordering::Relaxed) {
                    self.last_activity.store(self.since.microseconds(), Ordering::Relaxed);
                }
                if self.blocked_since.load(Ordering::Relaxed) != NEVER
                    && self.taken.fetch_add(*written, Ordering::Relaxed).saturating_add(*written)
                        >= CHUNK_SIZE
                {
                    self.blocked_since.store(NEVER, Ordering::Relaxed);
                }
            }
            Poll::Ready(_) => {}
            Poll::Pending => self.record_blocked(),
        }
    }

    fn record_flush(&self, outcome: &Poll<io::Result<()>>) {
        match outcome {
            Poll::Ready(_) => self.blocked_since.store(NEVER, Ordering::Relaxed),
            Poll::Pending => self.record_blocked(),
        }
    }

    fn record_blocked(&self) {
        if self.blocked_since.load(Ordering::Relaxed) == NEVER {
            self.taken.store(0, Ordering::Relaxed);
            self.blocked_since.store(self.since.microseconds(), Ordering::Relaxed);
        }
    }

    /// The runtime polls the connection.
    pub(super) fn begin_poll(&self) {
        self.began_request.store(false, Ordering::Relaxed);
    }

    /// Did the client abandon more than [`MAX_ABANDONED`] requests?
    pub(super) fn abandoned_too_many(&self) -> bool {
        self.abandoned.load(Ordering::Relaxed) > MAX_ABANDONED
    }

    pub(super) fn is_http2(&self) -> bool {
        self.is_http2.load(Ordering::Relaxed)
    }

    /// Compares the recorded times with the limits.
    pub(super) fn timeout_action(&self, limits: &Limits) -> TimeoutAction {
        let limit = self.budget.time_limit(limits.progress);
        let now = self.since.microseconds();
        let left = |from: u64, limit: Duration| {
            from.saturating_add(microseconds(limit)).checked_sub(now).filter(|left| *left > 0)
        };
        if left(self.blocked_since.load(Ordering::Relaxed), limit).is_none() {
            return TimeoutAction::Cut;
        }
        let Some(period) = self.period(now, limit) else { return TimeoutAction::Close };
        if self.in_flight.load(Ordering::Relaxed) > 0 {
            let wait = microseconds(limits.idle.min(limits.header)).min(period);
            return TimeoutAction::Wait(Duration::from_micros(wait));
        }
        let headers = self.header_start.load(Ordering::Relaxed);
        let idle = left(self.last_activity.load(Ordering::Relaxed), limits.idle);
        let header = if headers == NEVER {
            // Headers may begin at any moment after this check.
            Some(microseconds(limits.header))
        } else {
            left(headers, limits.header)
        };
        match (idle, header) {
            (_, None) => TimeoutAction::Cut,
            (None, _) => TimeoutAction::Close,
            (Some(idle), Some(header)) => {
                TimeoutAction::Wait(Duration::from_micros(idle.min(header).min(period)))
            }
        }
    }

    /// Microseconds left of the current period; `None` if a chunk has waited for more than a whole period. Two
    /// counters suffice for all streams: a chunk counts in the period in which it began to wait.
    fn period(&self, now: u64, limit: Duration) -> Option<u64> {
        let limit = microseconds(limit);
        let since = now.saturating_sub(self.period.load(Ordering::Relaxed));
        if since < limit {
            return Some(limit - since);
        }
        let previous = 1 - self.current.load(Ordering::Relaxed);
        if self.pending.get(previous)?.load(Ordering::Relaxed) > 0 {
            return None;
        }
        self.current.store(previous, Ordering::Relaxed);
        self.period.store(now, Ordering::Relaxed);
        Some(limit)
    }
}

fn microseconds(time: Duration) -> u64 {
    time.as_micros().try_into().unwrap_or(u64::MAX)
}

/// A chunk of an answer that its stream has not sent yet.
#[derive(Debug)]
pub(super) struct PendingChunk {
    activity: Arc<ActivityTimes>,
    period: usize,
}

impl PendingChunk {
    pub(super) fn begin(activity: &Arc<ActivityTimes>) -> Self {
        let period = activity.current.load(Ordering::Relaxed);
        if let Some(pending) = activity.pending.get(period) {
            pending.fetch_add(1, Ordering::Relaxed);
        }
        Self { activity: Arc::clone(activity), period }
    }
}

impl Drop for PendingChunk {
    fn drop(&mut self) {
        if let Some(pending) = self.activity.pending.get(self.period) {
            pending.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// A request between its headers and its answer; on HTTP/2, until its last byte is sent.
#[derive(Debug)]
pub(super) struct InFlightGuard {
    pub(super) activity: Arc<ActivityTimes>,
    slots: u32,
    /// Shared slots, beyond those of the connection.
    _shared: Option<OwnedSemaphorePermit>,
    is_answered: bool,
}

impl InFlightGuard {
    /// `None` if neither the connection nor the process has a free slot, or the client abandoned too many
    /// requests before.
    pub(super) fn begin(
        activity: &Arc<ActivityTimes>,
        version: Version,
        headers: &HeaderMap,
    ) -> Option<Self> {
        activity.header_start.store(NEVER, Ordering::Relaxed);
        let mut guard =
            Self { activity: Arc::clone(activity), slots: 1, _shared: None, is_answered: false };
        if version != Version::HTTP_2 {
            activity.in_flight.fetch_add(1, Ordering::Relaxed);
            return Some(guard);
        }
        activity.is_http2.store(true, Ordering::Relaxed);
        guard.slots = slots(headers);
        let abandoned_too_many = activity.abandoned_too_many();
        let before = activity.in_flight.fetch_add(guard.slots, Ordering::Relaxed);
        let is_beyond = before > 0 && before.saturating_add(guard.slots) > OWN_SLOTS;
        if is_beyond && !abandoned_too_many {
            guard._shared = activity.budget.slots(guard.slots);
        }
        if abandoned_too_many || is_beyond && guard._shared.is_none() {
            guard.is_answered = true;
            return None;
        }
        Some(guard)
    }

    /// The handler has answered or timed out.
    pub(super) fn handler_ended(&mut self) {
        self.is_answered = true;
        if self.activity.abandoned.load(Ordering::Relaxed) > 0 {
            let less = |abandoned: u32| abandoned.checked_sub(1);
            let _none_left =
                self.activity.abandoned.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        }
    }

    /// Starts one request for each poll of the connection, so that requests of other connections run between
    /// pipelined ones, whether or not the client reads its answers.
    pub(super) async fn yield_between_pipelined_requests(&self) {
        let activity = &self.activity;
        if activity.began_request.swap(true, Ordering::Relaxed)
            && !activity.is_http2.load(Ordering::Relaxed)
        {
            tokio::task::yield_now().await;
            activity.began_request.store(true, Ordering::Relaxed);
        }
    }
}

/// Headers take memory too: each four KiB count as one more request.
fn slots(headers: &HeaderMap) -> u32 {
    let of_one = |name: &http::HeaderName, value: &http::HeaderValue| {
        name.as_str().len().saturating_add(value.len()).saturating_add(32)
    };
    let bytes: usize = headers.iter().map(|(name, value)| of_one(name, value)).sum();
    u32::try_from(bytes.div_euclid(HEADERS_PER_SLOT)).unwrap_or(u32::MAX).saturating_add(1)
}

impl Drop for InFlightGuard {
    fn drop(&mut self) {
        let activity = &self.activity;
        activity.in_flight.fetch_sub(self.slots, Ordering::Relaxed);
        if !self.is_answered {
            activity.abandoned.fetch_add(1, Ordering::Relaxed);
        }
        // The idle time begins with the answer, however long the handler took.
        activity.last_activity.store(activity.since.microseconds(), Ordering::Relaxed);
    }
}

/// A byte stream that records its activity.
pub(super) struct TrackedStream<I> {
    stream: I,
    activity: Arc<ActivityTimes>,
}

impl<I> TrackedStream<I> {
    pub(super) const fn new(stream: I, activity: Arc<ActivityTimes>) -> Self {
        Self { stream, activity }
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for TrackedStream<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let outcome = Pin::new(&mut self.stream).poll_read(context, buffer);
        if buffer.filled().len() > before {
            self.activity.record_read();
        }
        outcome
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for TrackedStream<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(context, buffer);
        self.activity.record_write(&outcome);
        outcome
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(context, buffers);
        self.activity.record_write(&outcome);
        outcome
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_flush(context);
        self.activity.record_flush(&outcome);
        outcome
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_shutdown(context);
        if outcome.is_pending() {
            self.activity.record_blocked();
        }
        outcome
    }
}
