//! Reading a request's body, bounded in size, in time, and in the memory of all bodies together.
//!
//! A short body is always read. A long one is read only if the headers of the request permit it. Otherwise
//! no byte of a body with a long `Content-Length` is read, and a body without a length is read up to the
//! length of a short one.

use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http_body_util::BodyExt;
use hyper::body::Body;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::clock::Stopwatch;
use crate::engine::Failure;

use super::budget::{max_parsed_size, parsed_size_bound};
use super::reply::{ErrorFormat, errors_response, failure};
use super::sending::HttpResponse;

/// The bytes of each body that do not count against the budget, and the limit without a valid token. Requests
/// that issue, sign and revoke are usually smaller, so slow clients with large bodies do not block them.
/// Parsed parameters have the same allowance once more.
pub const UNMETERED_BYTES: usize = 16 * 1024;

/// The budget of all large bodies together, as a number of bodies of the largest size.
const LARGEST_AT_ONCE: usize = 4;

/// The budget of all parsed bodies together, as a number of bodies of the largest size.
const LARGEST_PARSED_AT_ONCE: usize = 2;

/// The unit of the budgets, in bytes.
const UNIT: usize = 1024;

/// How long a body waits, unread, for the budget before it is refused.
const MAX_QUEUE_WAIT: Duration = Duration::from_secs(5);

/// Refusals of long bodies that are answered without delay after a pause.
const REFUSAL_BURST: u64 = 64;

/// The interval between further refusals, in microseconds.
const REFUSAL_INTERVAL: u64 = 5_000;

/// The number of steps that the longest delays are spread over.
const TARPIT_STEPS: u64 = 64;

/// The memory that large bodies of all connections share, and the memory of parsed parameters. Clones share it.
#[derive(Clone, Debug)]
pub struct BodyBudget {
    units: Arc<Semaphore>,
    parsed: Arc<Semaphore>,
    max_wait: Duration,
    refusals: Arc<RefusalPacer>,
}

impl BodyBudget {
    /// A budget for bodies of at most `largest` bytes.
    pub fn new(largest: usize) -> Self {
        let parsed = max_parsed_size(largest).saturating_mul(LARGEST_PARSED_AT_ONCE);
        Self::of(largest.saturating_mul(LARGEST_AT_ONCE), parsed)
    }

    fn of(bytes: usize, parsed: usize) -> Self {
        let units = |bytes: usize| {
            Arc::new(Semaphore::new(bytes.div_euclid(UNIT).min(Semaphore::MAX_PERMITS)))
        };
        Self {
            units: units(bytes),
            parsed: units(parsed),
            max_wait: MAX_QUEUE_WAIT,
            refusals: Arc::new(RefusalPacer { since: Stopwatch::start(), next: AtomicU64::new(0) }),
        }
    }

    /// Acquires the memory for the parsed form of a body, before it is parsed. It is separate from the budget
    /// of the bodies, so that a request that holds it never waits for the body of another.
    ///
    /// # Errors
    /// [`BodyError::OverBudget`] if it is not available in time.
    pub async fn acquire_for_parsing(&self, body: &[u8]) -> Result<BudgetPermit, BodyError> {
        let needed = units(parsed_size_bound(body));
        Ok(BudgetPermit(if needed > 0 {
            Some(self.take(&self.parsed, needed).await?)
        } else {
            None
        }))
    }

    async fn take(
        &self,
        from: &Arc<Semaphore>,
        units: usize,
    ) -> Result<OwnedSemaphorePermit, BodyError> {
        let units = u32::try_from(units).map_err(|_| BodyError::OverBudget)?;
        // The budget is nearly always available: then no timer is needed.
        if let Ok(taken) = Arc::clone(from).try_acquire_many_owned(units) {
            return Ok(taken);
        }
        let taken = Arc::clone(from).acquire_many_owned(units);
        match tokio::time::timeout(self.max_wait, taken).await {
            Ok(Ok(taken)) => Ok(taken),
            _ => Err(BodyError::OverBudget),
        }
    }
}

/// The units beyond [`UNMETERED_BYTES`].
const fn units(bytes: usize) -> usize {
    bytes.saturating_sub(UNMETERED_BYTES).div_ceil(UNIT)
}

/// A tarpit for refusals of long bodies. Each refusal ends its connection, since the rest of the body is never
/// read. A few refusals are answered at once. In a flood of thousands, whose clients would reconnect at once,
/// each is delayed, by at most twice [`MAX_QUEUE_WAIT`].
#[derive(Debug)]
struct RefusalPacer {
    since: Stopwatch,
    /// When the next refusal is due, in microseconds.
    next: AtomicU64,
}

impl RefusalPacer {
    /// The delay of a refusal that arrives at `now`, in microseconds.
    fn wait(&self, now: u64, max_wait: Duration) -> Duration {
        let max_wait = u64::try_from(max_wait.as_micros()).unwrap_or(u64::MAX);
        let at_once = REFUSAL_BURST.saturating_mul(REFUSAL_INTERVAL);
        // The due time is bounded, so that delays end soon after the flood.
        let latest = now.saturating_add(at_once).saturating_add(max_wait);
        let due = |next: u64| Some(next.max(now).saturating_add(REFUSAL_INTERVAL).min(latest));
        let before =
            self.next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, due).unwrap_or(now);
        let behind = before.max(now).saturating_sub(now).saturating_sub(at_once);
        if behind.saturating_add(REFUSAL_INTERVAL) < max_wait {
            return Duration::from_micros(behind);
        }
        // Different delays, so that clients which arrived together do not return together.
        let step = before % TARPIT_STEPS;
        Duration::from_micros(max_wait.saturating_add(max_wait.saturating_mul(step) / TARPIT_STEPS))
    }
}

/// A share of the [`BodyBudget`], returned on drop.
#[derive(Debug, Default)]
pub struct BudgetPermit(Option<OwnedSemaphorePermit>);

impl BudgetPermit {
    /// Acquires what a body of `bytes` bytes needs.
    async fn grow(&mut self, bytes: usize, budget: &BodyBudget) -> Result<(), BodyError> {
        let has = self.0.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let Some(missing) = units(bytes).checked_sub(has).filter(|missing| *missing > 0) else {
            return Ok(());
        };
        let more = budget.take(&budget.units, missing).await?;
        match &mut self.0 {
            Some(permit) => permit.merge(more),
            None => self.0 = Some(more),
        }
        Ok(())
    }
}

/// Why a body was not read completely.
#[derive(Debug)]
pub enum BodyError {
    /// It is longer than the limit (413).
    TooLarge,
    /// It did not end in time (408).
    TimedOut,
    /// The connection broke, or its framing is wrong (400).
    Aborted,
    /// Other large bodies use the whole budget (503).
    OverBudget,
    /// It is long, and the request is refused whatever the body holds: it was not read.
    Unread,
}

impl fmt::Display for BodyError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::TooLarge => "http: request body too large",
            Self::TimedOut => "http: request body did not arrive in time",
            Self::Aborted => "http: request body is broken",
            Self::OverBudget => "http: too many large request bodies at once",
            Self::Unread => "refused before the request body was read",
        })
    }
}

impl std::error::Error for BodyError {}

impl BodyError {
    /// The HTTP response.
    pub fn into_response(self) -> HttpResponse {
        let status = match self {
            Self::TooLarge | Self::Unread => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TimedOut => StatusCode::REQUEST_TIMEOUT,
            Self::Aborted => StatusCode::BAD_REQUEST,
            Self::OverBudget => return failure(&Failure::Busy, ErrorFormat::Public),
        };
        errors_response(status, &[self.to_string()])
    }
}

/// How much of a body is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyPolicy {
    /// The whole body: the caller has a valid token.
    Full,
    /// At most [`UNMETERED_BYTES`] bytes: the route needs no token.
    Short,
    /// At most [`UNMETERED_BYTES`] bytes, so that the connection can be reused: the request is already refused.
    Discard,
}

/// Reads the whole body: at most `limit` bytes, within `within`. A `Content-Length`
/// above the limit is refused before any byte is read. The permit must be held as long as the body.
///
/// # Errors
/// See [`BodyError`]; what was read so far is dropped.
pub async fn read_body<B>(
    body: B,
    limit: usize,
    within: Duration,
    budget: &BodyBudget,
    policy: BodyPolicy,
) -> Result<(Bytes, BudgetPermit), BodyError>
where
    B: Body<Data = Bytes> + Unpin,
{
    if body.is_end_stream() {
        return Ok((Bytes::new(), BudgetPermit::default()));
    }
    let announced = body.size_hint().lower();
    if announced > u64::try_from(limit).unwrap_or(u64::MAX) {
        return Err(BodyError::TooLarge);
    }
    let mut collected = pin!(collect_body(body, limit, budget, policy));
    // Most bodies have already arrived, and need no timer.
    if let Poll::Ready(read) = poll_fn(|task| Poll::Ready(collected.as_mut().poll(task))).await {
        return read;
    }
    tokio::time::timeout(within, collected).await.unwrap_or(Err(BodyError::TimedOut))
}

async fn collect_body<B>(
    mut body: B,
    limit: usize,
    budget: &BodyBudget,
    policy: BodyPolicy,
) -> Result<(Bytes, BudgetPermit), BodyError>
where
    B: Body<Data = Bytes> + Unpin,
{
    if body.size_hint().lower() > UNMETERED_BYTES as u64 {
        check_long_body(policy, budget).await?;
    }
    // Most bodies are one frame, which is returned without a copy.
    let mut first = Bytes::new();
    let mut rest = Segments::default();
    let mut permit = BudgetPermit::default();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| BodyError::Aborted)?.into_data() else {
            continue;
        };
        let so_far = first.len().saturating_add(rest.length);
        let size = so_far.saturating_add(data.len());
        if size > limit {
            return Err(BodyError::TooLarge);
        }
        if size > UNMETERED_BYTES {
            check_long_body(policy, budget).await?;
        }
        permit.grow(size, budget).await?;
        if first.is_empty() {
            first = data;
        } else {
            rest.extend(&data);
        }
    }
    if rest.length == 0 {
        return Ok((first, permit));
    }
    Ok((rest.after(&first), permit))
}

/// Whether a long body is read. A flood of refusals is delayed.
async fn check_long_body(policy: BodyPolicy, budget: &BodyBudget) -> Result<(), BodyError> {
    match policy {
        BodyPolicy::Full => Ok(()),
        BodyPolicy::Short => Err(BodyError::TooLarge),
        BodyPolicy::Discard => {
            let now = budget.refusals.since.microseconds();
            tokio::time::sleep(budget.refusals.wait(now, budget.max_wait)).await;
            Err(BodyError::Unread)
        }
    }
}

/// The bytes after the first frame, in segments that never move. One growing buffer is copied each time
/// it doubles, and the system zeroes large ones page by page: thousands of bodies that grew at once delayed
/// all other requests by a quarter of a second.
#[derive(Default)]
struct Segments {
    segments: Vec<Vec<u8>>,
    length: usize,
}

/// The smallest and the largest segment. In between, each is as long as all segments before it together.
const SEGMENT: (usize, usize) = (4 * 1024, 64 * 1024);

impl Segments {
    fn extend(&mut self, mut data: &[u8]) {
        while !data.is_empty() {
            let budget =
                self.segments.last().map_or(0, |last| last.capacity().saturating_sub(last.len()));
            if budget == 0 {
                let capacity = self.length.clamp(SEGMENT.0, SEGMENT.1);
                self.segments.push(Vec::with_capacity(capacity));
                continue;
            }
            let (now, later) = data.split_at(budget.min(data.len()));
            if let Some(last) = self.segments.last_mut() {
                last.extend_from_slice(now);
            }
            self.length = self.length.saturating_add(now.len());
            data = later;
        }
    }

    /// The first frame and all segments as one buffer.
    fn after(self, first: &[u8]) -> Bytes {
        let mut whole = Vec::with_capacity(first.len().saturating_add(self.length));
        whole.extend_from_slice(first);
        for segment in self.segments {
            whole.extend_from_slice(&segment);
        }
        whole.into()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::convert::Infallible;

    use hyper::body::Frame;

    use super::*;

    /// A body that consists of these frames.
    struct Frames(VecDeque<&'static [u8]>);

    impl Body for Frames {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            let next = self.0.pop_front();
            std::task::Poll::Ready(next.map(|data| Ok(Frame::data(Bytes::from_static(data)))))
        }
    }

    async fn collected(frames: &[&'static [u8]], limit: usize) -> Result<Bytes, BodyError> {
        let frames = Frames(frames.iter().copied().collect());
        collect_body(frames, limit, &BodyBudget::new(limit), BodyPolicy::Full)
            .await
            .map(|(body, _)| body)
    }

    #[tokio::test]
    async fn frames_become_one_body() {
        assert_eq!(collected(&[], 3).await.unwrap(), "");
        assert_eq!(collected(&[b"abc"], 3).await.unwrap(), "abc");
        assert_eq!(collected(&[b"a", b"", b"b", b"c"], 3).await.unwrap(), "abc");
    }

    #[tokio::test]
    async fn a_long_body_of_frames_of_any_length_is_the_same_body() {
        let body: Vec<u8> = (0..300_000_u32).map(|index| (index / 7) as u8).collect();
        let body: &'static [u8] = body.leak();
        for length in [1_000, 4_096, 64 * 1024, 65_537, 299_999] {
            let frames: Vec<_> = body.chunks(length).collect();
            assert_eq!(collected(&frames, body.len()).await.unwrap(), body, "{length}");
        }
    }

    #[tokio::test]
    async fn refuses_one_byte_too_many() {
        for (frames, limit) in [(&[&b"abcd"[..]][..], 3), (&[b"ab", b"cd"], 3), (&[b"a"], 0)] {
            assert!(matches!(collected(frames, limit).await, Err(BodyError::TooLarge)));
        }
    }

    #[tokio::test]
    async fn large_bodies_share_a_budget_and_small_ones_do_not_count() {
        static BYTES: [u8; 2 * UNMETERED_BYTES] = [b' '; 2 * UNMETERED_BYTES];
        let budget = BodyBudget { max_wait: Duration::ZERO, ..BodyBudget::of(UNMETERED_BYTES, 0) };
        let read = |bytes: &'static [u8]| {
            collect_body(Frames([bytes].into()), BYTES.len(), &budget, BodyPolicy::Full)
        };
        let (_, permit) = read(&BYTES).await.unwrap();
        assert!(matches!(read(&BYTES[..=UNMETERED_BYTES]).await, Err(BodyError::OverBudget)));
        assert!(read(&BYTES[..UNMETERED_BYTES]).await.is_ok());
        drop(permit);
        assert!(read(&BYTES).await.is_ok());
    }

    #[tokio::test]
    async fn parsed_parameters_have_a_separate_budget_and_small_requests_do_not_count() {
        let usual = br#"{"uri_sans":"spiffe://example.org/team-a/api","ttl":"1h"}"#;
        let long = [b','; 1024];
        let budget =
            BodyBudget { max_wait: Duration::ZERO, ..BodyBudget::of(0, parsed_size_bound(&long)) };
        let permit = budget.acquire_for_parsing(&long).await.unwrap();
        assert!(matches!(budget.acquire_for_parsing(&long).await, Err(BodyError::OverBudget)));
        assert!(budget.acquire_for_parsing(usual).await.is_ok());
        drop(permit);
        assert!(budget.acquire_for_parsing(&long).await.is_ok());
        // The largest body fits.
        let budget = BodyBudget { max_wait: Duration::ZERO, ..BodyBudget::new(64 * 1024) };
        assert!(budget.acquire_for_parsing(&[b','; 64 * 1024]).await.is_ok());
    }

    #[tokio::test]
    async fn a_refused_request_has_a_short_body_read_and_a_long_one_not() {
        static BYTES: [u8; UNMETERED_BYTES + 1] = [b' '; UNMETERED_BYTES + 1];
        let budget = BodyBudget { max_wait: Duration::ZERO, ..BodyBudget::new(BYTES.len()) };
        let read = |frames: &[&'static [u8]], policy| {
            let frames = Frames(frames.iter().copied().collect());
            collect_body(frames, BYTES.len(), &budget, policy)
        };
        assert!(read(&[&BYTES[..UNMETERED_BYTES]], BodyPolicy::Discard).await.is_ok());
        assert!(
            read(&[&BYTES[..UNMETERED_BYTES], &BYTES[UNMETERED_BYTES..]], BodyPolicy::Full)
                .await
                .is_ok()
        );
        for frames in [&[&BYTES[..]][..], &[&BYTES[..UNMETERED_BYTES], &BYTES[UNMETERED_BYTES..]]] {
            let refused = read(frames, BodyPolicy::Discard).await;
            assert!(matches!(refused, Err(BodyError::Unread)));
            let without_token = read(frames, BodyPolicy::Short).await;
            assert!(matches!(without_token, Err(BodyError::TooLarge)));
        }
    }

    #[test]
    fn a_refusal_is_answered_at_once_unless_very_many_came_before() {
        let refusals = RefusalPacer { since: Stopwatch::start(), next: AtomicU64::new(0) };
        for _ in 0..64 {
            assert_eq!(refusals.wait(0, MAX_QUEUE_WAIT), Duration::ZERO);
        }
        let waits: Vec<_> = (0..5_000).map(|_| refusals.wait(0, MAX_QUEUE_WAIT)).collect();
        assert!(waits.iter().all(|wait| *wait <= 2 * MAX_QUEUE_WAIT));
        assert!(waits[4_000..].iter().all(|wait| *wait >= MAX_QUEUE_WAIT));
        assert_eq!(refusals.wait(0, Duration::ZERO), Duration::ZERO);
        // The delays end as soon as the last refusal was due.
        assert_eq!(refusals.wait(10_000_000, MAX_QUEUE_WAIT), Duration::ZERO);
    }

    #[test]
    fn a_body_over_budget_is_answered_with_retry_after() {
        let response = BodyError::OverBudget.into_response();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()[http::header::RETRY_AFTER], "1");
        let response = BodyError::TooLarge.into_response();
        assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
        assert!(!response.headers().contains_key(http::header::RETRY_AFTER));
    }
}
