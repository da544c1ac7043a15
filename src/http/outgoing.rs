//! Outgoing answers: their bytes count against a budget until the socket has accepted them.
//!
//! On HTTP/2 a body is sent in chunks, so that its stream buffers no more than its window allows and each
//! chunk shows progress. A body that several answers share counts once.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes};
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::activity::{ActivityTimes, InFlightGuard, PendingChunk};
use super::sending::{BodyAborted, ResponseBody};

/// Bytes of one chunk: one HTTP/2 frame of the size that every peer accepts (RFC 9113, 4.2).
pub(super) const CHUNK_SIZE: usize = 16 * 1024;

/// The bytes of all unsent long answers together. Answers that do not share their body get half of it, so that
/// they never block a revocation list, whose body all its readers share.
const MAX_LONG_BYTES: usize = 256 * 1024 * 1024;

/// Slots for HTTP/2 requests that all connections share, beyond those reserved for each.
const SHARED_SLOTS: usize = 4_096;

/// The progress timeout is divided by this while more than half of the budget is in use.
const TIGHT_DIVISOR: u32 = 3;

/// The budget that all connections of the process share. Clones share it.
#[derive(Clone, Debug)]
pub struct SendBudget(Arc<SendState>);

#[derive(Debug)]
struct SendState {
    slots: Arc<Semaphore>,
    /// Bytes of `long`, each body once.
    held: AtomicUsize,
    limit: usize,
    /// Bodies by the address of their first byte: the number of answers that hold each, and its length.
    long: Mutex<HashMap<usize, (u32, usize)>>,
}

impl Default for SendBudget {
    fn default() -> Self {
        Self::of(MAX_LONG_BYTES, SHARED_SLOTS)
    }
}

impl SendBudget {
    /// A budget of `limit` bytes of long answers, with `slots` shared slots for requests.
    pub fn of(limit: usize, slots: usize) -> Self {
        Self(Arc::new(SendState {
            slots: Arc::new(Semaphore::new(slots)),
            held: AtomicUsize::new(0),
            limit,
            long: Mutex::default(),
        }))
    }

    /// Takes `count` shared slots, if that many are free.
    pub(super) fn slots(&self, count: u32) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.0.slots).try_acquire_many_owned(count).ok()
    }

    /// How long an answer may wait without progress: less while more than half of the budget is in use.
    pub(super) fn time_limit(&self, limit: Duration) -> Duration {
        let is_tight = self.0.held.load(Ordering::Relaxed) > self.0.limit / 2
            || self.0.slots.available_permits() == 0;
        if is_tight { limit / TIGHT_DIVISOR } else { limit }
    }

    /// Counts a long answer. Short ones are not counted: slots and connections bound them.
    pub(super) fn hold(&self, answer: &ResponseBody) -> AnswerPermit {
        let Some(body) = answer.whole().filter(|body| body.len() > CHUNK_SIZE) else {
            return AnswerPermit { _long: None, is_within: true };
        };
        let address = body.as_ptr().addr();
        let limit = if body.is_unique() { self.0.limit / 2 } else { self.0.limit };
        let mut long = self.0.long.lock().unwrap_or_else(PoisonError::into_inner);
        let (holders, length) = long.entry(address).or_insert((0, body.len()));
        *holders = holders.saturating_add(1);
        if *holders == 1 {
            self.0.held.fetch_add(*length, Ordering::Relaxed);
        }
        // A single long answer is sent, whatever its length.
        let is_alone = long.len() == 1;
        drop(long);
        let is_within = is_alone || self.0.held.load(Ordering::Relaxed) <= limit;
        AnswerPermit {
            _long: Some(LongBodyPermit { state: Arc::clone(&self.0), address }),
            is_within,
        }
    }
}

/// The share of the budget that an answer holds, returned on drop.
#[derive(Debug)]
pub(super) struct AnswerPermit {
    _long: Option<LongBodyPermit>,
    /// Whether the budget was sufficient.
    pub(super) is_within: bool,
}

#[derive(Debug)]
struct LongBodyPermit {
    state: Arc<SendState>,
    address: usize,
}

impl Drop for LongBodyPermit {
    fn drop(&mut self) {
        let mut long = self.state.long.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((holders, length)) = long.get_mut(&self.address) else { return };
        *holders = holders.saturating_sub(1);
        if *holders == 0 {
            self.state.held.fetch_sub(*length, Ordering::Relaxed);
            long.remove(&self.address);
        }
    }
}

/// A body as hyper takes it.
pub(super) struct Outgoing {
    // Dropped before the body: the address identifies the body, and could be reused after the body is freed.
    permit: Option<AnswerPermit>,
    body: ResponseBody,
    /// The unsent rest of the last bytes of `body`.
    rest: Bytes,
    /// On HTTP/2 the request is in flight until its answer is sent.
    stream: Option<InFlightGuard>,
    activity: Option<Arc<ActivityTimes>>,
}

impl Outgoing {
    /// A body that is sent whole: the next request of its connection starts after it.
    pub(super) const fn whole(body: ResponseBody, permit: AnswerPermit) -> Self {
        Self { body, rest: Bytes::new(), permit: Some(permit), stream: None, activity: None }
    }

    /// An empty body.
    pub(super) fn empty() -> Self {
        Self::whole(Bytes::new().into(), AnswerPermit { _long: None, is_within: true })
    }

    /// The body of one HTTP/2 stream, sent in chunks.
    pub(super) fn stream(body: ResponseBody, permit: AnswerPermit, guard: InFlightGuard) -> Self {
        let activity = Some(Arc::clone(&guard.activity));
        Self { body, rest: Bytes::new(), permit: Some(permit), stream: Some(guard), activity }
    }

    /// The next chunk of these bytes. The last one takes over the permit of the answer.
    fn chunk(&mut self, mut data: Bytes) -> ResponseChunk {
        let waiting = self.activity.as_ref().map(|activity| {
            self.rest = data.split_off(data.len().min(CHUNK_SIZE));
            PendingChunk::begin(activity)
        });
        let is_last = self.rest.is_empty() && self.body.is_end_stream();
        let (permit, guard) =
            if is_last { (self.permit.take(), self.stream.take()) } else { (None, None) };
        ResponseChunk { data, _pending: waiting, _permit: permit, _guard: guard }
    }
}

impl Body for Outgoing {
    type Data = ResponseChunk;
    type Error = BodyAborted;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<ResponseChunk>, BodyAborted>>> {
        let this = self.get_mut();
        if !this.rest.is_empty() {
            let rest = std::mem::take(&mut this.rest);
            return Poll::Ready(Some(Ok(Frame::data(this.chunk(rest)))));
        }
        Pin::new(&mut this.body).poll_frame(context).map(|next| {
            next.map(|frame| frame.map(|frame| frame.map_data(|data| this.chunk(data))))
        })
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    /// The size of the whole body; hyper asks before it polls a frame.
    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Bytes that are counted until they are sent.
#[derive(Debug)]
pub(super) struct ResponseChunk {
    _permit: Option<AnswerPermit>,
    data: Bytes,
    _pending: Option<PendingChunk>,
    _guard: Option<InFlightGuard>,
}

impl Buf for ResponseChunk {
    fn remaining(&self) -> usize {
        self.data.len()
    }

    fn chunk(&self) -> &[u8] {
        &self.data
    }

    fn advance(&mut self, count: usize) {
        self.data.advance(count);
    }
}
