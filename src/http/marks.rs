//! What a connection notes about itself: requests that are worked on, answers that wait, and when
//! something moved. One timer a connection reads the marks and decides.
//!
//! A stream of HTTP/2 shares its connection with others, and so no frame of another stream, no PING
//! and no WINDOW_UPDATE may renew its time: an answer has a time of its own, and the idle time of such
//! a connection begins with the end of its last request.

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
use crate::http::outgoing::{PIECE, SendBudget};

/// Requests that a client may give up before their answers, beyond those that were answered: six times as
/// many as a connection may have at once. Work that was begun is finished without its caller, so a
/// client that resets each stream would have more of it at once than its streams allow
/// (CVE-2023-44487; CVE-2025-8671 where its frames make the server reset them).
const MOST_ABANDONED: u32 = 200;

/// Places that a connection has of its own; further ones come from those that all share.
const OWN_PLACES: u32 = 4;

/// Bytes of headers that a request may bring in one place.
const HEADERS_PER_PLACE: usize = 4 * 1024;

/// Marks that bytes and requests leave, in microseconds since the connection began.
#[derive(Debug)]
pub(super) struct Marks {
    since: Stopwatch,
    /// When the last byte went in either direction; on HTTP/2, when the last request ended.
    moved: AtomicU64,
    /// When the headers that are being read began; [`NEVER`] where none are.
    headers: AtomicU64,
    /// Places of the requests that are worked on; on HTTP/2 until their answers are taken.
    in_flight: AtomicU32,
    http2: AtomicBool,
    /// Whether the connection had a request worked on since the runtime gave it its turn.
    had_one: AtomicBool,
    /// Since when the socket takes less than [`PIECE`]; [`NEVER`] where it took everything.
    blocked: AtomicU64,
    /// Bytes that the socket took since then.
    taken: AtomicUsize,
    /// Pieces of answers on streams that wait since the present period, and since the one before.
    waiting: [AtomicU32; 2],
    /// Which of the two is the present one.
    present: AtomicUsize,
    /// When the present period began.
    period: AtomicU64,
    abandoned: AtomicU32,
    pub(super) budget: SendBudget,
}

const NEVER: u64 = u64::MAX;

/// What is to be done with a connection when its timer fires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TimeoutAction {
    /// Look again after this time.
    Wait(Duration),
    /// It was idle too long, or a stream's answer makes no progress: close it (GOAWAY), then cut it.
    Close,
    /// Its headers did not end in time, or its socket takes nothing: cut it.
    Cut,
}

impl Marks {
    pub(super) fn new(protocol: Protocol, budget: SendBudget) -> Self {
        let http2 = protocol == Protocol::Http2;
        Self {
            since: Stopwatch::start(),
            moved: AtomicU64::new(0),
            headers: AtomicU64::new(if http2 { NEVER } else { 0 }),
            in_flight: AtomicU32::new(0),
            http2: AtomicBool::new(http2),
            had_one: AtomicBool::new(false),
            blocked: AtomicU64::new(NEVER),
            taken: AtomicUsize::new(0),
            waiting: [AtomicU32::new(0), AtomicU32::new(0)],
            present: AtomicUsize::new(0),
            period: AtomicU64::new(0),
            abandoned: AtomicU32::new(0),
            budget,
        }
    }

    fn read(&self) {
        // On HTTP/2 a byte between requests is a PING or a WINDOW_UPDATE: neither a header nor a request.
        if self.http2.load(Ordering::Relaxed) {
            return;
        }
        let now = self.since.microseconds();
        self.moved.store(now, Ordering::Relaxed);
        if self.in_flight.load(Ordering::Relaxed) == 0
            && self.headers.load(Ordering::Relaxed) == NEVER
        {
            self.headers.store(now, Ordering::Relaxed);
        }
    }

    fn wrote(&self, outcome: &Poll<io::Result<usize>>) {
        match outcome {
            Poll::Ready(Ok(written @ 1..)) => {
                if !self.http2.load(Ordering::Relaxed) {
                    self.moved.store(self.since.microseconds(), Ordering::Relaxed);
                }
                if self.blocked.load(Ordering::Relaxed) != NEVER
                    && self.taken.fetch_add(*written, Ordering::Relaxed).saturating_add(*written)
                        >= PIECE
                {
                    self.blocked.store(NEVER, Ordering::Relaxed);
                }
            }
            Poll::Ready(_) => {}
            Poll::Pending => self.is_blocked(),
        }
    }

    fn flushed(&self, outcome: &Poll<io::Result<()>>) {
        match outcome {
            Poll::Ready(_) => self.blocked.store(NEVER, Ordering::Relaxed),
            Poll::Pending => self.is_blocked(),
        }
    }

    fn is_blocked(&self) {
        if self.blocked.load(Ordering::Relaxed) == NEVER {
            self.taken.store(0, Ordering::Relaxed);
            self.blocked.store(self.since.microseconds(), Ordering::Relaxed);
        }
    }

    /// The runtime polls the connection.
    pub(super) fn begin_poll(&self) {
        self.had_one.store(false, Ordering::Relaxed);
    }

    /// Did the client give up more than [`MOST_ABANDONED`] requests?
    pub(super) fn gave_up_too_many(&self) -> bool {
        self.abandoned.load(Ordering::Relaxed) > MOST_ABANDONED
    }

    pub(super) fn is_http2(&self) -> bool {
        self.http2.load(Ordering::Relaxed)
    }

    /// Looks at the marks.
    pub(super) fn verdict(&self, limits: &Limits) -> TimeoutAction {
        let limit = self.budget.time_limit(limits.progress);
        let now = self.since.microseconds();
        let left = |from: u64, limit: Duration| {
            from.saturating_add(microseconds(limit)).checked_sub(now).filter(|left| *left > 0)
        };
        if left(self.blocked.load(Ordering::Relaxed), limit).is_none() {
            return TimeoutAction::Cut;
        }
        let Some(period) = self.period(now, limit) else { return TimeoutAction::Close };
        if self.in_flight.load(Ordering::Relaxed) > 0 {
            let wait = microseconds(limits.idle.min(limits.header)).min(period);
            return TimeoutAction::Wait(Duration::from_micros(wait));
        }
        let headers = self.headers.load(Ordering::Relaxed);
        let idle = left(self.moved.load(Ordering::Relaxed), limits.idle);
        let header = if headers == NEVER {
            // Headers may begin at any moment after this look.
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

    /// How long the present period lasts; `None` where a piece waits for more than a whole one. Two
    /// counters do for all streams: a piece counts where it began to wait until it leaves.
    fn period(&self, now: u64, limit: Duration) -> Option<u64> {
        let limit = microseconds(limit);
        let since = now.saturating_sub(self.period.load(Ordering::Relaxed));
        if since < limit {
            return Some(limit - since);
        }
        let former = 1 - self.present.load(Ordering::Relaxed);
        if self.waiting.get(former)?.load(Ordering::Relaxed) > 0 {
            return None;
        }
        self.present.store(former, Ordering::Relaxed);
        self.period.store(now, Ordering::Relaxed);
        Some(limit)
    }
}

fn microseconds(time: Duration) -> u64 {
    time.as_micros().try_into().unwrap_or(u64::MAX)
}

/// A piece of an answer that a stream does not yet have taken.
#[derive(Debug)]
pub(super) struct Waiting {
    marks: Arc<Marks>,
    period: usize,
}

impl Waiting {
    pub(super) fn begin(marks: &Arc<Marks>) -> Self {
        let period = marks.present.load(Ordering::Relaxed);
        if let Some(waiting) = marks.waiting.get(period) {
            waiting.fetch_add(1, Ordering::Relaxed);
        }
        Self { marks: Arc::clone(marks), period }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(waiting) = self.marks.waiting.get(self.period) {
            waiting.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// A request between its headers and its answer; on HTTP/2, until the last byte of it is taken.
#[derive(Debug)]
pub(super) struct Turn {
    pub(super) marks: Arc<Marks>,
    places: u32,
    /// Beyond what the connection has of its own.
    _shared: Option<OwnedSemaphorePermit>,
    is_answered: bool,
}

impl Turn {
    /// `None` where neither the connection nor the process has a place for it, or the client gave up too
    /// many before.
    pub(super) fn begin(marks: &Arc<Marks>, version: Version, headers: &HeaderMap) -> Option<Self> {
        marks.headers.store(NEVER, Ordering::Relaxed);
        let mut turn =
            Self { marks: Arc::clone(marks), places: 1, _shared: None, is_answered: false };
        if version != Version::HTTP_2 {
            marks.in_flight.fetch_add(1, Ordering::Relaxed);
            return Some(turn);
        }
        marks.http2.store(true, Ordering::Relaxed);
        turn.places = places(headers);
        let gave_up_too_many = marks.gave_up_too_many();
        let before = marks.in_flight.fetch_add(turn.places, Ordering::Relaxed);
        let is_beyond = before > 0 && before.saturating_add(turn.places) > OWN_PLACES;
        if is_beyond && !gave_up_too_many {
            turn._shared = marks.budget.places(turn.places);
        }
        if gave_up_too_many || is_beyond && turn._shared.is_none() {
            turn.is_answered = true;
            return None;
        }
        Some(turn)
    }

    /// The handler has answered, or had its time.
    pub(super) fn answered(&mut self) {
        self.is_answered = true;
        if self.marks.abandoned.load(Ordering::Relaxed) > 0 {
            let less = |abandoned: u32| abandoned.checked_sub(1);
            let _none_left =
                self.marks.abandoned.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        }
    }

    /// One request a turn of the runtime: a client that sends many at once, unread answers or not, has
    /// those of others between any two.
    pub(super) async fn one_at_a_time(&self) {
        let marks = &self.marks;
        if marks.had_one.swap(true, Ordering::Relaxed) && !marks.http2.load(Ordering::Relaxed) {
            tokio::task::yield_now().await;
            marks.had_one.store(true, Ordering::Relaxed);
        }
    }
}

/// Headers take memory too: four KiB of them count as a request.
fn places(headers: &HeaderMap) -> u32 {
    let of_one = |name: &http::HeaderName, value: &http::HeaderValue| {
        name.as_str().len().saturating_add(value.len()).saturating_add(32)
    };
    let bytes: usize = headers.iter().map(|(name, value)| of_one(name, value)).sum();
    u32::try_from(bytes.div_euclid(HEADERS_PER_PLACE)).unwrap_or(u32::MAX).saturating_add(1)
}

impl Drop for Turn {
    fn drop(&mut self) {
        let marks = &self.marks;
        marks.in_flight.fetch_sub(self.places, Ordering::Relaxed);
        if !self.is_answered {
            marks.abandoned.fetch_add(1, Ordering::Relaxed);
        }
        // The idle time begins with the answer, however long the handler took.
        marks.moved.store(marks.since.microseconds(), Ordering::Relaxed);
    }
}

/// A stream of bytes that leaves marks.
pub(super) struct MarkedStream<I> {
    stream: I,
    marks: Arc<Marks>,
}

impl<I> MarkedStream<I> {
    pub(super) const fn new(stream: I, marks: Arc<Marks>) -> Self {
        Self { stream, marks }
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for MarkedStream<I> {
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

impl<I: AsyncWrite + Unpin> AsyncWrite for MarkedStream<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(context, buffer);
        self.marks.wrote(&outcome);
        outcome
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(context, buffers);
        self.marks.wrote(&outcome);
        outcome
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_flush(context);
        self.marks.flushed(&outcome);
        outcome
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_shutdown(context);
        if outcome.is_pending() {
            self.marks.is_blocked();
        }
        outcome
    }
}
