//! Reading a request's body, bounded in size, in time, and in the memory of all bodies together.
//!
//! A short body is read in any case. A long one is read only of a request that may send one, which its
//! headers decide: of a body that is announced as long not a byte is read otherwise, and of one without a
//! length no more than a short one.

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

use super::budget::{largest_when_parsed, size_when_parsed};
use super::reply::{ErrorFormat, errors_response, failure};
use super::sending::HttpResponse;

/// What every body may take without asking, in bytes, and all that is read without a valid token. What
/// issues, signs and revokes is usually smaller; so those who hold large bodies back do not hold up
/// anybody else. What is parsed may take as much more.
pub const UNMETERED_BYTES: usize = 16 * 1024;

/// What the larger ones may take together: so many of the largest.
const LARGEST_AT_ONCE: usize = 4;

/// What may be made of bodies at the same time: so many of the largest.
const LARGEST_PARSED_AT_ONCE: usize = 2;

/// The unit in which it is counted, in bytes.
const PIECE: usize = 1024;

/// How long a body waits for room, unread, before it is refused.
const MAX_QUEUE_WAIT: Duration = Duration::from_secs(5);

/// So many refusals of long bodies are answered at once, if none came before.
const AT_ONCE: u64 = 64;

/// After them one is answered in this time, in microseconds.
const SPACING: u64 = 5_000;

/// Into so many steps the longest waits are cut.
const TARPIT_STEPS: u64 = 64;

/// The memory that large bodies share, whatever connection they come from, and what is made of them.
/// Clones share it.
#[derive(Clone, Debug)]
pub struct BodyBudget {
    pieces: Arc<Semaphore>,
    parsed: Arc<Semaphore>,
    patience: Duration,
    refusals: Arc<Refusals>,
}

impl BodyBudget {
    /// A budget where the largest body may have so many bytes.
    pub fn new(largest: usize) -> Self {
        let parsed = largest_when_parsed(largest).saturating_mul(LARGEST_PARSED_AT_ONCE);
        Self::of(largest.saturating_mul(LARGEST_AT_ONCE), parsed)
    }

    fn of(bytes: usize, parsed: usize) -> Self {
        let pieces = |bytes: usize| {
            Arc::new(Semaphore::new(bytes.div_euclid(PIECE).min(Semaphore::MAX_PERMITS)))
        };
        Self {
            pieces: pieces(bytes),
            parsed: pieces(parsed),
            patience: MAX_QUEUE_WAIT,
            refusals: Arc::new(Refusals { since: Stopwatch::start(), next: AtomicU64::new(0) }),
        }
    }

    /// Holds what may be made of a body, before it is made. It is no part of what the bodies share, so
    /// that a request that holds it never waits for another one's body.
    ///
    /// # Errors
    /// [`BodyError::NoRoom`] if there is none in time.
    pub async fn to_parse(&self, body: &[u8]) -> Result<BudgetPermit, BodyError> {
        let needed = pieces(size_when_parsed(body));
        Ok(BudgetPermit(if needed > 0 {
            Some(self.take(&self.parsed, needed).await?)
        } else {
            None
        }))
    }

    async fn take(
        &self,
        from: &Arc<Semaphore>,
        pieces: usize,
    ) -> Result<OwnedSemaphorePermit, BodyError> {
        let pieces = u32::try_from(pieces).map_err(|_| BodyError::NoRoom)?;
        // Nearly always there is room, and no timer is needed.
        if let Ok(taken) = Arc::clone(from).try_acquire_many_owned(pieces) {
            return Ok(taken);
        }
        let taken = Arc::clone(from).acquire_many_owned(pieces);
        match tokio::time::timeout(self.patience, taken).await {
            Ok(Ok(taken)) => Ok(taken),
            _ => Err(BodyError::NoRoom),
        }
    }
}

/// The pieces beyond what is free.
const fn pieces(bytes: usize) -> usize {
    bytes.saturating_sub(UNMETERED_BYTES).div_ceil(PIECE)
}

/// When refusals of long bodies were answered. Each of them ends its connection, since the rest of the
/// body is never read. A caller who made a mistake hears of it at once. Of those who come in thousands,
/// and would come again at once, each waits for its turn, and at most twice the patience.
#[derive(Debug)]
struct Refusals {
    since: Stopwatch,
    /// When the turn of the next one is, in microseconds.
    next: AtomicU64,
}

impl Refusals {
    /// How long the next one waits that comes now, in microseconds.
    fn wait(&self, now: u64, patience: Duration) -> Duration {
        let patience = u64::try_from(patience.as_micros()).unwrap_or(u64::MAX);
        let at_once = AT_ONCE.saturating_mul(SPACING);
        // Beyond the patience the turns are not counted, so that the queue is gone soon after they stop.
        let latest = now.saturating_add(at_once).saturating_add(patience);
        let turn = |next: u64| Some(next.max(now).saturating_add(SPACING).min(latest));
        let before =
            self.next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, turn).unwrap_or(now);
        let behind = before.max(now).saturating_sub(now).saturating_sub(at_once);
        if behind.saturating_add(SPACING) < patience {
            return Duration::from_micros(behind);
        }
        // They came together and are not to come again together.
        let step = before % TARPIT_STEPS;
        Duration::from_micros(patience.saturating_add(patience.saturating_mul(step) / TARPIT_STEPS))
    }
}

/// A part of the [`BodyBudget`], given back when it is dropped.
#[derive(Debug, Default)]
pub struct BudgetPermit(Option<OwnedSemaphorePermit>);

impl BudgetPermit {
    /// Holds what a body of so many bytes needs.
    async fn grow(&mut self, bytes: usize, room: &BodyBudget) -> Result<(), BodyError> {
        let has = self.0.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let Some(missing) = pieces(bytes).checked_sub(has).filter(|missing| *missing > 0) else {
            return Ok(());
        };
        let more = room.take(&room.pieces, missing).await?;
        match &mut self.0 {
            Some(held) => held.merge(more),
            None => self.0 = Some(more),
        }
        Ok(())
    }
}

/// Why a body was not read to its end.
#[derive(Debug)]
pub enum BodyError {
    /// It is longer than the limit (413).
    TooLarge,
    /// It did not end in time (408).
    TimedOut,
    /// The connection broke, or its framing is wrong (400).
    BodyAborted,
    /// Large bodies of others take all there is (503).
    NoRoom,
    /// It is long, and the request is refused whatever it holds: nothing of it was read.
    Unread,
}

impl fmt::Display for BodyError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::TooLarge => "http: request body too large",
            Self::TimedOut => "http: request body did not arrive in time",
            Self::BodyAborted => "http: request body is broken",
            Self::NoRoom => "http: too many large request bodies at once",
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
            Self::BodyAborted => StatusCode::BAD_REQUEST,
            Self::NoRoom => return failure(&Failure::Busy, ErrorFormat::Public),
        };
        errors_response(status, &[self.to_string()])
    }
}

/// How much of a body is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// All of it: the caller has a valid token.
    Long,
    /// At most [`UNMETERED_BYTES`] bytes: the route needs no token.
    Short,
    /// At most [`UNMETERED_BYTES`] bytes, so that the connection can be used again: the request is refused already.
    Refused,
}

/// Reads the whole body: at most `limit` bytes, within `within`. A length that the client
/// announces above the limit is refused before any byte is read. What it holds of the room is
/// kept as long as the body.
///
/// # Errors
/// See [`BodyError`]; what was read so far is dropped.
pub async fn read_body<B>(
    body: B,
    limit: usize,
    within: Duration,
    room: &BodyBudget,
    length: Length,
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
    let mut gathered = pin!(gather(body, limit, room, length));
    // Most bodies are there already, and need no timer.
    if let Poll::Ready(read) = poll_fn(|task| Poll::Ready(gathered.as_mut().poll(task))).await {
        return read;
    }
    tokio::time::timeout(within, gathered).await.unwrap_or(Err(BodyError::TimedOut))
}

async fn gather<B>(
    mut body: B,
    limit: usize,
    room: &BodyBudget,
    length: Length,
) -> Result<(Bytes, BudgetPermit), BodyError>
where
    B: Body<Data = Bytes> + Unpin,
{
    if body.size_hint().lower() > UNMETERED_BYTES as u64 {
        may_be_long(length, room).await?;
    }
    // Most bodies are one frame, and that is handed on as it is.
    let mut first = Bytes::new();
    let mut rest = Segments::default();
    let mut held = BudgetPermit::default();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| BodyError::BodyAborted)?.into_data() else {
            continue;
        };
        let so_far = first.len().saturating_add(rest.length);
        let size = so_far.saturating_add(data.len());
        if size > limit {
            return Err(BodyError::TooLarge);
        }
        if size > UNMETERED_BYTES {
            may_be_long(length, room).await?;
        }
        held.grow(size, room).await?;
        if first.is_empty() {
            first = data;
        } else {
            rest.extend(&data);
        }
    }
    if rest.length == 0 {
        return Ok((first, held));
    }
    Ok((rest.after(&first), held))
}

/// Whether a long body is read. Refusals that come in thousands wait.
async fn may_be_long(length: Length, room: &BodyBudget) -> Result<(), BodyError> {
    match length {
        Length::Long => Ok(()),
        Length::Short => Err(BodyError::TooLarge),
        Length::Refused => {
            let now = room.refusals.since.microseconds();
            tokio::time::sleep(room.refusals.wait(now, room.patience)).await;
            Err(BodyError::Unread)
        }
    }
}

/// The octets after the first frame, in pieces that never move. One buffer that grows is copied each time
/// it doubles, and large ones come fresh from the system, which overwrites them page by page: thousands of
/// bodies that grow at once stopped everybody else for a quarter of a second.
#[derive(Default)]
struct Segments {
    segments: Vec<Vec<u8>>,
    length: usize,
}

/// The smallest segment, and the largest one: each is as long as all before it together, in between.
const SEGMENT: (usize, usize) = (4 * 1024, 64 * 1024);

impl Segments {
    fn extend(&mut self, mut data: &[u8]) {
        while !data.is_empty() {
            let room =
                self.segments.last().map_or(0, |last| last.capacity().saturating_sub(last.len()));
            if room == 0 {
                let capacity = self.length.clamp(SEGMENT.0, SEGMENT.1);
                self.segments.push(Vec::with_capacity(capacity));
                continue;
            }
            let (now, later) = data.split_at(room.min(data.len()));
            if let Some(last) = self.segments.last_mut() {
                last.extend_from_slice(now);
            }
            self.length = self.length.saturating_add(now.len());
            data = later;
        }
    }

    /// All of them in one piece, behind the first frame.
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

    /// A body of these frames.
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

    async fn gathered(frames: &[&'static [u8]], limit: usize) -> Result<Bytes, BodyError> {
        let frames = Frames(frames.iter().copied().collect());
        gather(frames, limit, &BodyBudget::new(limit), Length::Long).await.map(|(body, _)| body)
    }

    #[tokio::test]
    async fn frames_become_one_body() {
        assert_eq!(gathered(&[], 3).await.unwrap(), "");
        assert_eq!(gathered(&[b"abc"], 3).await.unwrap(), "abc");
        assert_eq!(gathered(&[b"a", b"", b"b", b"c"], 3).await.unwrap(), "abc");
    }

    #[tokio::test]
    async fn a_long_body_of_frames_of_any_length_is_the_same_body() {
        let body: Vec<u8> = (0..300_000_u32).map(|place| (place / 7) as u8).collect();
        let body: &'static [u8] = body.leak();
        for length in [1_000, 4_096, 64 * 1024, 65_537, 299_999] {
            let frames: Vec<_> = body.chunks(length).collect();
            assert_eq!(gathered(&frames, body.len()).await.unwrap(), body, "{length}");
        }
    }

    #[tokio::test]
    async fn refuses_one_octet_too_many() {
        for (frames, limit) in [(&[&b"abcd"[..]][..], 3), (&[b"ab", b"cd"], 3), (&[b"a"], 0)] {
            assert!(matches!(gathered(frames, limit).await, Err(BodyError::TooLarge)));
        }
    }

    #[tokio::test]
    async fn large_bodies_share_what_there_is_and_small_ones_need_none_of_it() {
        static OCTETS: [u8; 2 * UNMETERED_BYTES] = [b' '; 2 * UNMETERED_BYTES];
        let room = BodyBudget { patience: Duration::ZERO, ..BodyBudget::of(UNMETERED_BYTES, 0) };
        let read = |octets: &'static [u8]| {
            gather(Frames([octets].into()), OCTETS.len(), &room, Length::Long)
        };
        let (_, held) = read(&OCTETS).await.unwrap();
        assert!(matches!(read(&OCTETS[..=UNMETERED_BYTES]).await, Err(BodyError::NoRoom)));
        assert!(read(&OCTETS[..UNMETERED_BYTES]).await.is_ok());
        drop(held);
        assert!(read(&OCTETS).await.is_ok());
    }

    #[tokio::test]
    async fn what_is_parsed_shares_a_room_of_its_own_and_small_requests_need_none_of_it() {
        let usual = br#"{"uri_sans":"spiffe://example.org/team-a/api","ttl":"1h"}"#;
        let long = [b','; 1024];
        let room =
            BodyBudget { patience: Duration::ZERO, ..BodyBudget::of(0, size_when_parsed(&long)) };
        let held = room.to_parse(&long).await.unwrap();
        assert!(matches!(room.to_parse(&long).await, Err(BodyError::NoRoom)));
        assert!(room.to_parse(usual).await.is_ok());
        drop(held);
        assert!(room.to_parse(&long).await.is_ok());
        // The largest of all finds room.
        let room = BodyBudget { patience: Duration::ZERO, ..BodyBudget::new(64 * 1024) };
        assert!(room.to_parse(&[b','; 64 * 1024]).await.is_ok());
    }

    #[tokio::test]
    async fn of_a_refused_request_a_short_body_is_read_and_a_long_one_is_not() {
        static OCTETS: [u8; UNMETERED_BYTES + 1] = [b' '; UNMETERED_BYTES + 1];
        let room = BodyBudget { patience: Duration::ZERO, ..BodyBudget::new(OCTETS.len()) };
        let read = |frames: &[&'static [u8]], length| {
            let frames = Frames(frames.iter().copied().collect());
            gather(frames, OCTETS.len(), &room, length)
        };
        assert!(read(&[&OCTETS[..UNMETERED_BYTES]], Length::Refused).await.is_ok());
        assert!(
            read(&[&OCTETS[..UNMETERED_BYTES], &OCTETS[UNMETERED_BYTES..]], Length::Long)
                .await
                .is_ok()
        );
        for frames in
            [&[&OCTETS[..]][..], &[&OCTETS[..UNMETERED_BYTES], &OCTETS[UNMETERED_BYTES..]]]
        {
            let refused = read(frames, Length::Refused).await;
            assert!(matches!(refused, Err(BodyError::Unread)));
            let without_token = read(frames, Length::Short).await;
            assert!(matches!(without_token, Err(BodyError::TooLarge)));
        }
    }

    #[test]
    fn a_refusal_is_told_at_once_unless_very_many_came_before() {
        let refusals = Refusals { since: Stopwatch::start(), next: AtomicU64::new(0) };
        for _ in 0..64 {
            assert_eq!(refusals.wait(0, MAX_QUEUE_WAIT), Duration::ZERO);
        }
        let waits: Vec<_> = (0..5_000).map(|_| refusals.wait(0, MAX_QUEUE_WAIT)).collect();
        assert!(waits.iter().all(|wait| *wait <= 2 * MAX_QUEUE_WAIT));
        assert!(waits[4_000..].iter().all(|wait| *wait >= MAX_QUEUE_WAIT));
        assert_eq!(refusals.wait(0, Duration::ZERO), Duration::ZERO);
        // They are forgotten as soon as the last of them had its turn.
        assert_eq!(refusals.wait(10_000_000, MAX_QUEUE_WAIT), Duration::ZERO);
    }

    #[test]
    fn who_finds_no_room_is_told_to_come_again() {
        let response = BodyError::NoRoom.into_response();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()[http::header::RETRY_AFTER], "1");
        let response = BodyError::TooLarge.into_response();
        assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
        assert!(!response.headers().contains_key(http::header::RETRY_AFTER));
    }
}
