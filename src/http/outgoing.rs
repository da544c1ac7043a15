//! Answers on their way out: what they hold is counted until the socket has taken it.
//!
//! On HTTP/2 a body leaves in pieces, so that its stream holds no more than it is let send and each
//! piece shows that the stream goes on. A body that several answers share counts once.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes};
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::marks::{Marks, Turn, Waiting};
use super::sending::{BodyAborted, ResponseBody};

/// Bytes of one piece: one frame of HTTP/2 as every peer takes it (RFC 9113, 4.2).
pub(super) const PIECE: usize = 16 * 1024;

/// What long answers that are not yet taken may hold together, in bytes. Those that have their bytes for
/// themselves get half of it, so that they never keep a revocation list from its readers, who share one.
const LONG_ANSWERS: usize = 256 * 1024 * 1024;

/// Requests at once over HTTP/2 beyond those that each connection has of its own, in the whole process.
const SHARED_PLACES: usize = 4_096;

/// Where more than half of the budget is held, the time limit of an answer that waits is divided by this.
const TIGHT: u32 = 3;

/// What all connections of the process share. Clones share it.
#[derive(Clone, Debug)]
pub struct SendBudget(Arc<Shares>);

#[derive(Debug)]
struct Shares {
    places: Arc<Semaphore>,
    /// Bytes of `long`, each body once.
    held: AtomicUsize,
    limit: usize,
    /// The bodies by the address of their first byte: how many answers hold each, and its length.
    long: Mutex<HashMap<usize, (u32, usize)>>,
}

impl Default for SendBudget {
    fn default() -> Self {
        Self::of(LONG_ANSWERS, SHARED_PLACES)
    }
}

impl SendBudget {
    /// So many bytes of long answers, and so many places for requests.
    pub fn of(limit: usize, places: usize) -> Self {
        Self(Arc::new(Shares {
            places: Arc::new(Semaphore::new(places)),
            held: AtomicUsize::new(0),
            limit,
            long: Mutex::default(),
        }))
    }

    /// Places that all connections share, if there are as many.
    pub(super) fn places(&self, count: u32) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.0.places).try_acquire_many_owned(count).ok()
    }

    /// How long an answer may wait without progress: less where the budget is more than half held.
    pub(super) fn time_limit(&self, limit: Duration) -> Duration {
        let is_tight = self.0.held.load(Ordering::Relaxed) > self.0.limit / 2
            || self.0.places.available_permits() == 0;
        if is_tight { limit / TIGHT } else { limit }
    }

    /// Counts a long answer. Short ones need nothing: places and connections bound them.
    pub(super) fn hold(&self, answer: &ResponseBody) -> AnswerPermit {
        let Some(body) = answer.whole().filter(|body| body.len() > PIECE) else {
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
        // One alone is sent, however long it is.
        let is_alone = long.len() == 1;
        drop(long);
        let is_within = is_alone || self.0.held.load(Ordering::Relaxed) <= limit;
        AnswerPermit { _long: Some(Long { shares: Arc::clone(&self.0), address }), is_within }
    }
}

/// What an answer holds of the budget, given back when it is dropped.
#[derive(Debug)]
pub(super) struct AnswerPermit {
    _long: Option<Long>,
    /// Whether the budget was enough.
    pub(super) is_within: bool,
}

#[derive(Debug)]
struct Long {
    shares: Arc<Shares>,
    address: usize,
}

impl Drop for Long {
    fn drop(&mut self) {
        let mut long = self.shares.long.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((holders, length)) = long.get_mut(&self.address) else { return };
        *holders = holders.saturating_sub(1);
        if *holders == 0 {
            self.shares.held.fetch_sub(*length, Ordering::Relaxed);
            long.remove(&self.address);
        }
    }
}

/// A body as hyper takes it.
pub(super) struct Outgoing {
    // Given back before the bytes are free for others: the address of a body is its name.
    held: Option<AnswerPermit>,
    body: ResponseBody,
    /// What is left of the bytes that `body` gave last.
    rest: Bytes,
    /// On HTTP/2 the request lasts until its answer is taken.
    stream: Option<Turn>,
    marks: Option<Arc<Marks>>,
}

impl Outgoing {
    /// A body that leaves as it is: the next request of its connection comes after it.
    pub(super) const fn whole(body: ResponseBody, held: AnswerPermit) -> Self {
        Self { body, rest: Bytes::new(), held: Some(held), stream: None, marks: None }
    }

    /// Nothing.
    pub(super) fn empty() -> Self {
        Self::whole(Bytes::new().into(), AnswerPermit { _long: None, is_within: true })
    }

    /// The body of a stream beside others.
    pub(super) fn stream(body: ResponseBody, held: AnswerPermit, turn: Turn) -> Self {
        let marks = Some(Arc::clone(&turn.marks));
        Self { body, rest: Bytes::new(), held: Some(held), stream: Some(turn), marks }
    }

    /// The next piece of these bytes. The last one holds what the answer holds.
    fn piece(&mut self, mut data: Bytes) -> Piece {
        let waiting = self.marks.as_ref().map(|marks| {
            self.rest = data.split_off(data.len().min(PIECE));
            Waiting::begin(marks)
        });
        let is_last = self.rest.is_empty() && self.body.is_end_stream();
        let (held, turn) =
            if is_last { (self.held.take(), self.stream.take()) } else { (None, None) };
        Piece { data, _waiting: waiting, _held: held, _turn: turn }
    }
}

impl Body for Outgoing {
    type Data = Piece;
    type Error = BodyAborted;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Piece>, BodyAborted>>> {
        let this = self.get_mut();
        if !this.rest.is_empty() {
            let rest = std::mem::take(&mut this.rest);
            return Poll::Ready(Some(Ok(Frame::data(this.piece(rest)))));
        }
        Pin::new(&mut this.body).poll_frame(context).map(|next| {
            next.map(|frame| frame.map(|frame| frame.map_data(|data| this.piece(data))))
        })
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    /// Of the whole body; hyper asks before it takes anything.
    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Bytes that are counted until they are taken.
#[derive(Debug)]
pub(super) struct Piece {
    _held: Option<AnswerPermit>,
    data: Bytes,
    _waiting: Option<Waiting>,
    _turn: Option<Turn>,
}

impl Buf for Piece {
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
