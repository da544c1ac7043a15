//! The queue of readers that wait for a revocation list to be built.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use tokio::sync::MutexGuard;

use super::records::Id;
use crate::engine::Failure;

/// Readers that wait for a build: one at a time asks for it, and those that came before it ended
/// take what it brought. Builds that were asked for with a token do not stand here.
#[derive(Debug, Default)]
pub(super) struct Renewals {
    queue: tokio::sync::Mutex<()>,
    /// Counts arrivals and failures: what came first has the smaller number.
    order: AtomicU64,
    /// The last failure of each signer's list.
    failures: Mutex<BTreeMap<Id, (u64, Failure)>>,
}

/// A reader's turn.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    renewals: &'a Renewals,
    arrival: u64,
    _first_of_the_queue: MutexGuard<'a, ()>,
}

impl Renewals {
    /// Waits for a turn.
    pub(super) async fn turn(&self) -> Turn<'_> {
        let arrival = self.order.fetch_add(1, Ordering::Relaxed);
        Turn { renewals: self, arrival, _first_of_the_queue: self.queue.lock().await }
    }
}

impl Turn<'_> {
    /// How the build of this signer's list failed while this reader waited, if it did.
    pub(super) fn failure_since_arrival(&self, signer: &Id) -> Option<Failure> {
        let failures = self.renewals.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, why) = failures.get(signer)?;
        (*at > self.arrival).then(|| why.clone())
    }

    /// The build failed: those that wait already need not ask for another.
    pub(super) fn failed(&self, signer: Id, why: Failure) {
        let at = self.renewals.order.fetch_add(1, Ordering::Relaxed);
        let mut failures = self.renewals.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.insert(signer, (at, why));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn those_who_wait_take_the_failure_and_the_next_one_tries_again() {
        let renewals = Renewals::default();
        let first = renewals.turn().await;
        let second = renewals.turn();
        tokio::pin!(second);
        // Polled once: it has arrived and waits.
        assert!(futures_poll(second.as_mut()).await.is_none());
        first.failed([1; 16], Failure::Busy);
        assert!(first.failure_since_arrival(&[1; 16]).is_some());
        drop(first);
        let second = second.await;
        assert_eq!(second.failure_since_arrival(&[1; 16]), Some(Failure::Busy));
        assert_eq!(second.failure_since_arrival(&[2; 16]), None);
        drop(second);
        assert_eq!(renewals.turn().await.failure_since_arrival(&[1; 16]), None);
    }

    /// The outcome of one poll.
    async fn futures_poll<F: Future + Unpin>(mut future: F) -> Option<F::Output> {
        std::future::poll_fn(|context| {
            std::task::Poll::Ready(match std::pin::Pin::new(&mut future).poll(context) {
                std::task::Poll::Ready(output) => Some(output),
                std::task::Poll::Pending => None,
            })
        })
        .await
    }
}
