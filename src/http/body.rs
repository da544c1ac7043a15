//! Reading a request's body, bounded in size, in time, and in the memory of all bodies together.
//!
//! Who does not show a token that is known may send a short body, for what needs none. Of a body that
//! is announced as long not an octet is read then, and of one without a length no more than a short one.

use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::engine::Failure;

use super::reply::{Wording, errors_response, failure};
use super::sending::HttpResponse;

/// What every body may take without asking, in octets, and all that a stranger may send. What issues,
/// signs and revokes is usually smaller; so those who hold large bodies back do not hold up anybody else.
const FREE: usize = 16 * 1024;

/// What the larger ones may take together: so many of the largest.
const LARGEST_AT_ONCE: usize = 4;

/// The unit in which it is counted, in octets.
const PIECE: usize = 1024;

/// How long a body waits for room, unread, before it is refused, and a stranger's before it is refused
/// in any case. Refused at once, a caller who comes again at once would cost more than one who waits.
const PATIENCE: Duration = Duration::from_secs(5);

/// Into so many steps the time in which strangers are refused is cut.
const STEPS: u32 = 64;

/// The memory that large bodies share, whatever connection they come from. Clones share it.
#[derive(Clone, Debug)]
pub struct Room {
    pieces: Arc<Semaphore>,
    patience: Duration,
    /// How many strangers came with a long body.
    strangers: Arc<AtomicU32>,
}

impl Room {
    /// Room where the largest body may have so many octets: for four of them.
    pub fn new(largest: usize) -> Self {
        Self::of(largest.saturating_mul(LARGEST_AT_ONCE))
    }

    fn of(octets: usize) -> Self {
        let pieces = octets.div_euclid(PIECE).min(Semaphore::MAX_PERMITS);
        let pieces = Arc::new(Semaphore::new(pieces));
        Self { pieces, patience: PATIENCE, strangers: Arc::default() }
    }

    /// How long the next stranger waits: once to twice as long as somebody known would wait for room, so
    /// that those who came together do not come again together.
    fn for_a_stranger(&self) -> Duration {
        let next = self.strangers.fetch_add(1, Ordering::Relaxed);
        self.patience.saturating_add(self.patience.saturating_mul(next % STEPS) / STEPS)
    }
}

/// A part of the [`Room`], given back when it is dropped.
#[derive(Debug, Default)]
pub struct Held(Option<OwnedSemaphorePermit>);

impl Held {
    /// Holds what a body of so many octets needs.
    async fn grow(&mut self, octets: usize, room: &Room) -> Result<(), BodyError> {
        let needed = octets.saturating_sub(FREE).div_ceil(PIECE);
        let has = self.0.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let Some(missing) = needed.checked_sub(has).filter(|missing| *missing > 0) else {
            return Ok(());
        };
        let missing = u32::try_from(missing).map_err(|_| BodyError::NoRoom)?;
        let more = Arc::clone(&room.pieces).acquire_many_owned(missing);
        let Ok(Ok(more)) = tokio::time::timeout(room.patience, more).await else {
            return Err(BodyError::NoRoom);
        };
        match &mut self.0 {
            Some(held) => held.merge(more),
            None => self.0 = Some(more),
        }
        Ok(())
    }
}

/// Why a body was not read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyError {
    /// It is longer than the limit (413).
    TooLarge,
    /// It did not end in time (408).
    TimedOut,
    /// The connection broke, or its framing is wrong (400).
    Broken,
    /// Large bodies of others take all there is (503).
    NoRoom,
    /// It is long, and nobody knows the caller (403).
    Stranger,
}

impl fmt::Display for BodyError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::TooLarge => "http: request body too large",
            Self::TimedOut => "http: request body did not arrive in time",
            Self::Broken => "http: request body is broken",
            Self::NoRoom => "http: too many large request bodies at once",
            Self::Stranger => {
                "permission denied: a request body of more than 16384 octets needs a valid token"
            }
        })
    }
}

impl std::error::Error for BodyError {}

impl BodyError {
    /// The HTTP response.
    pub fn into_response(self) -> HttpResponse {
        let status = match self {
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TimedOut => StatusCode::REQUEST_TIMEOUT,
            Self::Broken => StatusCode::BAD_REQUEST,
            Self::NoRoom => return failure(&Failure::Busy, Wording::Public),
            Self::Stranger => StatusCode::FORBIDDEN,
        };
        errors_response(status, &[self.to_string()])
    }
}

/// Reads the whole body: at most `limit` octets, within `within`. A length that the client
/// announces above the limit is refused before any octet is read. What it holds of the room is
/// kept as long as the body. Whether the caller is known is asked only about a long body, before
/// it is read.
///
/// # Errors
/// See [`BodyError`]; what was read so far is dropped.
pub async fn read_body(
    body: Incoming,
    limit: usize,
    within: Duration,
    room: &Room,
    is_known: impl Future<Output = bool>,
) -> Result<(Bytes, Held), BodyError> {
    if body.is_end_stream() {
        return Ok((Bytes::new(), Held::default()));
    }
    let announced = body.size_hint().lower();
    if announced > u64::try_from(limit).unwrap_or(u64::MAX) {
        return Err(BodyError::TooLarge);
    }
    let gathered = tokio::time::timeout(within, gather(body, limit, room, is_known)).await;
    gathered.unwrap_or(Err(BodyError::TimedOut))
}

async fn gather<B>(
    mut body: B,
    limit: usize,
    room: &Room,
    is_known: impl Future<Output = bool>,
) -> Result<(Bytes, Held), BodyError>
where
    B: Body<Data = Bytes> + Unpin,
{
    let mut known = pin!(known(is_known, room));
    let mut is_short = true;
    if body.size_hint().lower() > FREE as u64 {
        known.as_mut().await?;
        is_short = false;
    }
    // Most bodies are one frame, and that is handed on as it is.
    let mut first = Bytes::new();
    let mut rest = Segments::default();
    let mut held = Held::default();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| BodyError::Broken)?.into_data() else {
            continue;
        };
        let so_far = first.len().saturating_add(rest.length);
        let length = so_far.saturating_add(data.len());
        if length > limit {
            return Err(BodyError::TooLarge);
        }
        if is_short && length > FREE {
            known.as_mut().await?;
            is_short = false;
        }
        held.grow(length, room).await?;
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

/// Strangers hear nothing for a while.
async fn known(is_known: impl Future<Output = bool>, room: &Room) -> Result<(), BodyError> {
    if is_known.await {
        return Ok(());
    }
    tokio::time::sleep(room.for_a_stranger()).await;
    Err(BodyError::Stranger)
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
    use std::future::ready;

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
        gather(frames, limit, &Room::new(limit), ready(true)).await.map(|(body, _)| body)
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
        assert_eq!(gathered(&[b"abcd"], 3).await, Err(BodyError::TooLarge));
        assert_eq!(gathered(&[b"ab", b"cd"], 3).await, Err(BodyError::TooLarge));
        assert_eq!(gathered(&[b"a"], 0).await, Err(BodyError::TooLarge));
    }

    #[tokio::test]
    async fn large_bodies_share_what_there_is_and_small_ones_need_none_of_it() {
        static OCTETS: [u8; 2 * FREE] = [b' '; 2 * FREE];
        let room = Room { patience: Duration::ZERO, ..Room::of(FREE) };
        let read = |octets: &'static [u8]| {
            gather(Frames([octets].into()), OCTETS.len(), &room, ready(true))
        };
        let (_, held) = read(&OCTETS).await.unwrap();
        assert_eq!(read(&OCTETS[..=FREE]).await.err(), Some(BodyError::NoRoom));
        assert!(read(&OCTETS[..FREE]).await.is_ok());
        drop(held);
        assert!(read(&OCTETS).await.is_ok());
    }

    #[tokio::test]
    async fn of_a_stranger_a_short_body_is_read_and_a_long_one_refused() {
        static OCTETS: [u8; FREE + 1] = [b' '; FREE + 1];
        let room = Room { patience: Duration::ZERO, ..Room::new(OCTETS.len()) };
        let read = |frames: &[&'static [u8]], is_known| {
            let frames = Frames(frames.iter().copied().collect());
            gather(frames, OCTETS.len(), &room, ready(is_known))
        };
        assert!(read(&[&OCTETS[..FREE]], false).await.is_ok());
        assert!(read(&[&OCTETS[..FREE], &OCTETS[FREE..]], true).await.is_ok());
        for frames in [&[&OCTETS[..]][..], &[&OCTETS[..FREE], &OCTETS[FREE..]]] {
            assert_eq!(read(frames, false).await.err(), Some(BodyError::Stranger));
        }
        assert!(BodyError::Stranger.to_string().contains(&FREE.to_string()));
    }

    #[tokio::test]
    async fn nobody_is_asked_about_a_short_body() {
        let asked = async { unreachable!("a short body") };
        let read = gather(Frames([&b"ab"[..], b"c"].into()), FREE, &Room::new(FREE), asked).await;
        assert_eq!(read.unwrap().0, "abc");
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
