//! Batching: work of the same kind that arrives together is processed together, step by step.
//!
//! A step whose code is in the processor's cache takes a fraction of the time of one whose code is
//! not. Requests that arrive together are therefore queued, and the first task that is polled
//! processes a batch for all of them: the first step for the whole batch, then the second one. A
//! batch never waits to fill and no task is spawned: a single request is processed by its own task.

use std::collections::VecDeque;
use std::num::NonZero;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::available_parallelism;

use tokio::sync::oneshot;
use tokio::task::yield_now;

/// Queued work, and where its results go.
#[derive(Debug)]
pub(super) struct Batcher<Work, Out> {
    queue: Mutex<Queue<Work, Out>>,
    /// The most batches that are processed at the same time.
    threads: NonZero<usize>,
}

/// Entries in the order of arrival.
#[derive(Debug)]
struct Queue<Work, Out> {
    entries: VecDeque<Queued<Work, Out>>,
    /// Number of entries taken out since the start.
    taken: u64,
}

#[derive(Debug)]
struct Queued<Work, Out> {
    work: Work,
    result: oneshot::Sender<Out>,
}

/// Another task processed the batch and panicked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BatchAborted;

/// The size of a batch: about a millisecond of one core, for certificates signed by an EC key.
const MAX_BATCH: usize = 16;

impl<Work, Out> Default for Batcher<Work, Out> {
    fn default() -> Self {
        Self::new(available_parallelism().unwrap_or(NonZero::<usize>::MIN))
    }
}

impl<Work, Out> Batcher<Work, Out> {
    fn new(threads: NonZero<usize>) -> Self {
        Self { queue: Mutex::new(Queue { entries: VecDeque::new(), taken: 0 }), threads }
    }

    /// The result of this work. `process` handles one batch and returns its results in order.
    ///
    /// # Errors
    /// [`BatchAborted`] if another task panicked while it processed this work.
    pub(super) async fn run(
        &self,
        work: Work,
        process: impl Fn(Vec<Work>) -> Vec<Out>,
    ) -> Result<Out, BatchAborted> {
        let (sender, receiver) = oneshot::channel();
        let position = self.enqueue(Queued { work, result: sender });
        // Lets the requests that arrived together reach the queue before the first batch is taken.
        yield_now().await;
        while let Some(batch) = self.next_batch(position) {
            let (works, senders): (Vec<_>, Vec<_>) =
                batch.into_iter().map(|queued| (queued.work, queued.result)).unzip();
            for (result, sender) in process(works).into_iter().zip(senders) {
                // A caller that no longer waits needs no result.
                let _ = sender.send(result);
            }
        }
        receiver.await.map_err(|_| BatchAborted)
    }

    /// Adds an entry and returns the number of entries that arrived before it.
    fn enqueue(&self, queued: Queued<Work, Out>) -> u64 {
        let mut queue = self.queue();
        let position = queue.taken.wrapping_add(queue.entries.len() as u64);
        queue.entries.push_back(queued);
        position
    }

    /// Takes the next batch, or `None` if the entry at `position` was already taken. The queue is
    /// split evenly between the threads.
    fn next_batch(&self, position: u64) -> Option<Vec<Queued<Work, Out>>> {
        let mut queue = self.queue();
        if position < queue.taken {
            return None;
        }
        let share = queue.entries.len().div_ceil(self.threads.get());
        let batch: Vec<_> = queue.entries.drain(..share.min(MAX_BATCH)).collect();
        queue.taken = queue.taken.wrapping_add(batch.len() as u64);
        Some(batch)
    }

    fn queue(&self) -> MutexGuard<'_, Queue<Work, Out>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::pin::{Pin, pin};
    use std::task::{Context, Poll, Waker};

    use super::*;

    fn poll_once<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    fn batcher(threads: usize) -> Batcher<u32, u32> {
        Batcher::new(NonZero::new(threads).unwrap())
    }

    /// Doubles each number and records the batch.
    fn doubled(batches: &RefCell<Vec<Vec<u32>>>, batch: Vec<u32>) -> Vec<u32> {
        let results = batch.iter().map(|work| work * 2).collect();
        batches.borrow_mut().push(batch);
        results
    }

    #[tokio::test]
    async fn the_first_task_that_is_polled_processes_all_that_arrived_together() {
        let (batcher, batches) = (batcher(1), RefCell::default());
        let mut queued = arrived(&batcher, 3, &batches);
        assert_eq!(poll_once(queued[1].as_mut()), Poll::Ready(Ok(2)));
        assert_eq!(*batches.borrow(), [[0, 1, 2]]);
        assert_eq!(poll_once(queued[0].as_mut()), Poll::Ready(Ok(0)));
        assert_eq!(poll_once(queued[2].as_mut()), Poll::Ready(Ok(4)));
        assert_eq!(batcher.run(7, |batch| doubled(&batches, batch)).await, Ok(14));
        assert_eq!(*batches.borrow(), [vec![0, 1, 2], vec![7]]);
    }

    /// Tasks that arrived together, with their numbers as their work.
    fn arrived<'a>(
        batcher: &'a Batcher<u32, u32>,
        count: u32,
        batches: &'a RefCell<Vec<Vec<u32>>>,
    ) -> Vec<Pin<Box<impl Future<Output = Result<u32, BatchAborted>> + 'a>>> {
        let run = |work| Box::pin(batcher.run(work, |batch| doubled(batches, batch)));
        let mut queued: Vec<_> = (0..count).map(run).collect();
        for task in &mut queued {
            assert!(poll_once(task.as_mut()).is_pending());
        }
        queued
    }

    #[tokio::test]
    async fn a_caller_processes_batches_until_its_own_entry_is_done() {
        let (batcher, batches) = (batcher(1), RefCell::default());
        let mut queued = arrived(&batcher, 40, &batches);
        assert_eq!(poll_once(queued[20].as_mut()), Poll::Ready(Ok(40)));
        let lengths: Vec<_> = batches.borrow().iter().map(Vec::len).collect();
        assert_eq!(lengths, [MAX_BATCH, MAX_BATCH]);
        assert_eq!(poll_once(queued[39].as_mut()), Poll::Ready(Ok(78)));
        assert_eq!(batches.borrow().concat(), (0..40).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn each_thread_takes_its_share_of_a_short_queue() {
        let (batcher, batches) = (batcher(4), RefCell::default());
        let mut queued = arrived(&batcher, 6, &batches);
        assert_eq!(poll_once(queued[0].as_mut()), Poll::Ready(Ok(0)));
        assert_eq!(*batches.borrow(), [[0, 1]]);
    }

    #[tokio::test]
    async fn the_work_of_a_cancelled_caller_is_done_and_harms_no_other_caller() {
        let (batcher, batches) = (batcher(1), RefCell::default());
        let mut waits = pin!(batcher.run(2, |batch| doubled(&batches, batch)));
        {
            let mut cancelled = pin!(batcher.run(1, |batch| doubled(&batches, batch)));
            assert!(poll_once(cancelled.as_mut()).is_pending());
            assert!(poll_once(waits.as_mut()).is_pending());
        }
        assert_eq!(poll_once(waits), Poll::Ready(Ok(4)));
        assert_eq!(*batches.borrow(), [[1, 2]]);
    }

    #[tokio::test]
    async fn a_panic_aborts_only_its_own_batch() {
        let batcher = batcher(1);
        let process = |batch: Vec<u32>| {
            assert!(!batch.contains(&13), "a bug in this program");
            batch
        };
        let [mut one, mut two] = [13, 2].map(|work| Box::pin(batcher.run(work, process)));
        assert!(poll_once(one.as_mut()).is_pending() && poll_once(two.as_mut()).is_pending());
        assert!(catch_unwind(AssertUnwindSafe(|| poll_once(one.as_mut()))).is_err());
        assert_eq!(poll_once(two.as_mut()), Poll::Ready(Err(BatchAborted)));
        assert_eq!(batcher.run(3, process).await, Ok(3));
    }
}
