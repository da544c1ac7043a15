//! Fault injection for the reference engine: failed and not written, failed but
//! written, slow before, slow after.
//!
//! Faults are selected by counts, never by time: the same plan over the same calls has the same effect.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use tokio::sync::Notify;

/// How a commit is made to fail or to wait.
#[derive(Clone, Debug)]
pub enum CommitFault {
    /// Answers that the first key of the batch was changed by another; nothing is written.
    Conflict,
    /// Answers "nothing was written", and nothing was.
    FailedNotDone,
    /// Answers "unknown whether it was written", and nothing was.
    LostRequest,
    /// Answers "unknown whether it was written", and it was.
    LostResponse,
    /// Waits until the test notifies, then commits.
    Slow(Arc<Notify>),
    /// Is pending for this many polls, then commits.
    Pending(u32),
    /// Commits, then is pending for this many polls before it returns.
    Late(u32),
}

/// How a read is made to fail or to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadFault {
    /// Answers that the engine cannot read.
    Failed,
    /// Is pending for this many polls, then reads.
    Pending(u32),
}

/// The planned faults, by the number of the commit or read.
#[derive(Debug, Default)]
pub(super) struct FaultPlan {
    commits: Planned<CommitFault>,
    reads: Planned<ReadFault>,
    failures: u64,
    pace: Pace,
}

/// Faults of one kind of call, and the number of calls so far.
#[derive(Debug)]
struct Planned<F> {
    seen: u64,
    faults: BTreeMap<u64, F>,
}

/// The delay of calls without a planned fault.
#[derive(Debug, Default)]
struct Pace {
    state: u64,
    most: u32,
}

/// One commit or read: its fault, and how often it is polled before and after.
#[derive(Debug)]
pub(super) struct Course<F> {
    pub(super) fault: Option<F>,
    pub(super) before: u32,
    pub(super) after: u32,
}

impl FaultPlan {
    pub(super) fn fail_commit(&mut self, nth: u64, fault: CommitFault) {
        self.commits.plan(nth, fault);
    }

    pub(super) fn fail_read(&mut self, nth: u64, fault: ReadFault) {
        self.reads.plan(nth, fault);
    }

    pub(super) fn set_pace(&mut self, seed: u64, most: u32) {
        self.pace = Pace { state: seed, most };
    }

    pub(super) fn forget(&mut self) {
        self.commits.faults.clear();
        self.reads.faults.clear();
        self.pace = Pace::default();
    }

    /// How many commits and reads were answered with a planned failure.
    pub(super) const fn failures(&self) -> u64 {
        self.failures
    }

    pub(super) fn next_commit(&mut self) -> Course<CommitFault> {
        let (mut before, mut after) = (self.pace.next(), self.pace.next());
        let fault = self.commits.next();
        match &fault {
            Some(CommitFault::Pending(polls)) => before = *polls,
            Some(CommitFault::Late(polls)) => after = *polls,
            None | Some(CommitFault::Slow(_)) => {}
            Some(_) => self.failures += 1,
        }
        Course { fault, before, after }
    }

    pub(super) fn next_read(&mut self) -> Course<ReadFault> {
        let mut before = self.pace.next();
        let fault = self.reads.next();
        match fault {
            Some(ReadFault::Pending(polls)) => before = polls,
            Some(ReadFault::Failed) => self.failures += 1,
            None => {}
        }
        Course { fault, before, after: 0 }
    }
}

impl<F> Planned<F> {
    fn plan(&mut self, nth: u64, fault: F) {
        self.faults.insert(self.seen.saturating_add(nth), fault);
    }

    fn next(&mut self) -> Option<F> {
        self.seen += 1;
        self.faults.remove(&self.seen)
    }
}

impl<F> Default for Planned<F> {
    fn default() -> Self {
        Self { seen: 0, faults: BTreeMap::new() }
    }
}

impl Pace {
    /// SplitMix64: short, and every seed is valid.
    fn next(&mut self) -> u32 {
        if self.most == 0 {
            return 0;
        }
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let choices = u64::from(self.most).saturating_add(1);
        u32::try_from((mixed ^ (mixed >> 31)) % choices).unwrap_or_default()
    }
}

/// Is pending for a number of polls and requests the next one at once.
pub(super) async fn pending(polls: u32) {
    let mut left = polls;
    poll_fn(move |context| {
        let Some(fewer) = left.checked_sub(1) else { return Poll::Ready(()) };
        left = fewer;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
