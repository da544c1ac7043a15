//! How many certificates are in work at once.
//!
//! What is asked for beyond that waits in turn, outside the work: so a flood of requests lengthens
//! this queue and no other; health checks and revocations do not stand in it. Who would wait too
//! long is told to come again. That answer comes late on purpose: told at once, a caller who asks
//! again at once would cost as much as a certificate.

use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{available_parallelism, yield_now};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use super::Failure;

/// The places where certificates are made, and the queue before them.
#[derive(Debug)]
pub(super) struct Admission {
    places: Semaphore,
    queue: Semaphore,
    /// Where a row forms when no place is free.
    turns: Semaphore,
    patience: Duration,
    /// How many wait for the disk who must not wait for certificates.
    pressing: AtomicUsize,
}

/// While it lives, who makes certificates gives way.
#[derive(Debug)]
pub(super) struct Pressing<'a>(&'a AtomicUsize);

impl Drop for Pressing<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Enough for the certificates that wait for the disk: at 10,000 a second, those of 12 ms.
const PLACES_A_CORE: usize = 128;
/// How many of those are made in a row, when there is a queue: half a millisecond of one core. Sixteen
/// made no more certificates and kept health checks and revocations waiting for longer.
const TURNS_A_CORE: usize = 8;
/// A bound of the memory, not a policy: a waiting request takes some kilobytes.
const LONGEST_QUEUE: usize = 8_192;
/// How long somebody waits in the queue.
const PATIENCE: Duration = Duration::from_secs(1);

impl Default for Admission {
    fn default() -> Self {
        let cores = available_parallelism().map_or(1, NonZero::get);
        let all = |a_core: usize| cores.saturating_mul(a_core);
        Self::new(all(PLACES_A_CORE), all(TURNS_A_CORE), PATIENCE)
    }
}

impl Admission {
    fn new(places: usize, turns: usize, patience: Duration) -> Self {
        let (places, turns) = (Semaphore::new(places), Semaphore::new(turns));
        Self {
            places,
            queue: Semaphore::new(LONGEST_QUEUE),
            turns,
            patience,
            pressing: AtomicUsize::new(0),
        }
    }

    /// For those whose work is more pressing than certificates: revocations.
    pub(super) fn pressing(&self) -> Pressing<'_> {
        self.pressing.fetch_add(1, Ordering::Relaxed);
        Pressing(&self.pressing)
    }

    /// After a piece of work: gives the processor away while something pressing is under way.
    ///
    /// On one core the thread that writes, once woken, waits until a tick of the kernel takes the
    /// core from the thread that serves: 4 ms, and a revocation wakes it three times.
    pub(super) fn give_way(&self) {
        if self.is_pressed() {
            yield_now();
        }
    }

    fn is_pressed(&self) -> bool {
        self.pressing.load(Ordering::Relaxed) > 0
    }

    /// A place, given back when it is dropped.
    ///
    /// # Errors
    /// [`Failure::Busy`]: nothing was done.
    pub(super) async fn place(&self) -> Result<SemaphorePermit<'_>, Failure> {
        // Places that become free go to those who wait: nobody is overtaken here.
        match self.places.try_acquire() {
            Ok(place) => Ok(place),
            Err(_) => Box::pin(self.in_turn()).await,
        }
    }

    /// Waits until this certificate may join the row of those that are made together.
    ///
    /// While places are free, all may, which is cheapest. When there are none, few are let in at a
    /// time, so that what else comes finds a short row before it. The turn ends when what is returned
    /// is dropped; nothing that waits may be done until then.
    pub(super) async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        let crowded = self.places.available_permits() == 0;
        if crowded { self.turns.acquire().await.ok() } else { None }
    }

    async fn in_turn(&self) -> Result<SemaphorePermit<'_>, Failure> {
        let _in_the_queue = self.queue.try_acquire().map_err(|_| Failure::Busy)?;
        match timeout(self.patience, self.places.acquire()).await {
            Ok(Ok(place)) => Ok(place),
            Ok(Err(_)) | Err(_) => Err(Failure::Busy),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    /// What the future says when it is asked once.
    fn once<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    #[tokio::test]
    async fn who_finds_every_place_taken_waits_in_turn() {
        let admission = Admission::new(1, 1, PATIENCE);
        let working = admission.place().await.unwrap();
        let (mut first, mut second) = (pin!(admission.place()), pin!(admission.place()));
        assert!(once(first.as_mut()).is_pending() && once(second.as_mut()).is_pending());
        drop(working);
        assert!(once(second.as_mut()).is_pending(), "the first one has the place");
        let place = first.await.unwrap();
        drop(place);
        assert!(second.await.is_ok());
    }

    #[tokio::test]
    async fn who_waits_too_long_is_told_to_come_again() {
        let admission = Admission::new(1, 1, Duration::from_millis(1));
        let _working = admission.place().await.unwrap();
        assert_eq!(admission.place().await.err(), Some(Failure::Busy));
    }

    #[test]
    fn way_is_given_while_something_pressing_is_under_way_and_no_longer() {
        let admission = Admission::new(1, 1, PATIENCE);
        let (one, other) = (admission.pressing(), admission.pressing());
        drop(one);
        assert!(admission.is_pressed());
        drop(other);
        assert!(!admission.is_pressed());
    }

    #[tokio::test]
    async fn the_queue_has_an_end() {
        let admission = Admission::new(0, 1, PATIENCE);
        let queue = admission.queue.try_acquire_many(u32::try_from(LONGEST_QUEUE).unwrap());
        assert!(queue.is_ok());
        assert_eq!(admission.place().await.err(), Some(Failure::Busy));
    }

    #[tokio::test]
    async fn while_places_are_free_nobody_waits_for_another_turn() {
        let admission = Admission::new(2, 1, PATIENCE);
        let _working = admission.place().await.unwrap();
        assert!(admission.turn().await.is_none());
    }

    #[tokio::test]
    async fn when_every_place_is_taken_few_are_made_in_a_row() {
        let admission = Admission::new(2, 1, PATIENCE);
        let _working = (admission.place().await.unwrap(), admission.place().await.unwrap());
        let turn = admission.turn().await.unwrap();
        let mut next = pin!(admission.turn());
        assert!(once(next.as_mut()).is_pending());
        drop(turn);
        assert!(next.await.is_some());
    }
}
