//! The queue of readers that wait for a CRL to be built.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use tokio::sync::MutexGuard;

use crate::engine::Failure;
use crate::store::id::IssuerId;

/// Readers that wait for a build: one at a time requests it, and those that arrived before it ended
/// share its outcome. Builds that a caller with a token requests do not wait here.
#[derive(Debug, Default)]
pub(super) struct RenewalQueue {
    queue: tokio::sync::Mutex<()>,
    /// Counts arrivals and failures: the earlier event has the smaller number.
    order: AtomicU64,
    /// The last failure for each signer's CRL.
    failures: Mutex<BTreeMap<IssuerId, (u64, Failure)>>,
}

/// The slot of the one reader that may request a build.
#[derive(Debug)]
pub(super) struct RenewalSlot<'a> {
    queue: &'a RenewalQueue,
    arrival: u64,
    _first: MutexGuard<'a, ()>,
}

impl RenewalQueue {
    /// Waits for the slot.
    pub(super) async fn wait(&self) -> RenewalSlot<'_> {
        let arrival = self.order.fetch_add(1, Ordering::Relaxed);
        RenewalSlot { queue: self, arrival, _first: self.queue.lock().await }
    }
}

impl RenewalSlot<'_> {
    /// The failure of the build of this signer's CRL while this reader waited, if it failed.
    pub(super) fn failure_since_arrival(&self, signer: &IssuerId) -> Option<Failure> {
        let failures = self.queue.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, why) = failures.get(signer)?;
        (*at > self.arrival).then(|| why.clone())
    }

    /// The build failed: readers that wait already do not request another one.
    pub(super) fn failed(&self, signer: IssuerId, why: Failure) {
        let at = self.queue.order.fetch_add(1, Ordering::Relaxed);
        let mut failures = self.queue.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.insert(signer, (at, why));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn waiting_readers_share_a_failure_and_a_later_one_tries_again() {
        let renewals = RenewalQueue::default();
        let first = renewals.wait().await;
        let second = renewals.wait();
        tokio::pin!(second);
        // Polled once: it has arrived and waits.
        assert!(poll_once(second.as_mut()).await.is_none());
        first.failed(IssuerId::new([1; 16]), Failure::Busy);
        assert!(first.failure_since_arrival(&IssuerId::new([1; 16])).is_some());
        drop(first);
        let second = second.await;
        assert_eq!(second.failure_since_arrival(&IssuerId::new([1; 16])), Some(Failure::Busy));
        assert_eq!(second.failure_since_arrival(&IssuerId::new([2; 16])), None);
        drop(second);
        assert_eq!(renewals.wait().await.failure_since_arrival(&IssuerId::new([1; 16])), None);
    }

    /// The outcome of one poll.
    async fn poll_once<F: Future + Unpin>(mut future: F) -> Option<F::Output> {
        std::future::poll_fn(|context| {
            std::task::Poll::Ready(match std::pin::Pin::new(&mut future).poll(context) {
                std::task::Poll::Ready(output) => Some(output),
                std::task::Poll::Pending => None,
            })
        })
        .await
    }
}
