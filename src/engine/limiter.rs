//! How many certificates are issued at once.
//!
//! Excess requests wait in a bounded queue before any work is done, so a flood delays issuance only:
//! health checks and revocations do not wait here. Requests that would wait longer than
//! [`MAX_QUEUE_WAIT`] are refused as busy, after that wait: an immediate refusal invites an immediate
//! retry, which costs as much as a certificate.

use std::num::NonZero;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::Failure;

/// Limits the certificates in flight, with a queue for the requests beyond the limit.
#[derive(Debug)]
pub struct IssuanceLimiter {
    in_flight: Arc<Semaphore>,
    queue: Semaphore,
    max_wait: Duration,
}

/// The permission to issue one certificate; dropping it lets the next request in.
#[derive(Debug)]
#[must_use]
pub struct IssuanceSlot {
    _permit: OwnedSemaphorePermit,
}

/// Enough for the certificates that wait for the disk: at 10,000 a second, those of 12 ms.
const SLOTS_PER_CORE: usize = 128;
/// Bounds the memory; a waiting request takes some kilobytes.
const MAX_QUEUED: usize = 8_192;
/// How long a request waits in the queue.
const MAX_QUEUE_WAIT: Duration = Duration::from_secs(1);

impl Default for IssuanceLimiter {
    fn default() -> Self {
        let cores = available_parallelism().map_or(1, NonZero::get);
        Self::new(cores.saturating_mul(SLOTS_PER_CORE), MAX_QUEUE_WAIT)
    }
}

impl IssuanceLimiter {
    fn new(slots: usize, max_wait: Duration) -> Self {
        Self {
            in_flight: Arc::new(Semaphore::new(slots)),
            queue: Semaphore::new(MAX_QUEUED),
            max_wait,
        }
    }

    /// Waits for a slot, in the order of arrival.
    ///
    /// # Errors
    /// [`Failure::Busy`]: nothing was done.
    pub async fn acquire(&self) -> Result<IssuanceSlot, Failure> {
        // The semaphore hands free permits to its waiters first, so this overtakes no request.
        let permit = match Arc::clone(&self.in_flight).try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => Box::pin(self.wait()).await?,
        };
        Ok(IssuanceSlot { _permit: permit })
    }

    async fn wait(&self) -> Result<OwnedSemaphorePermit, Failure> {
        let _queued = self.queue.try_acquire().map_err(|_| Failure::Busy)?;
        match timeout(self.max_wait, Arc::clone(&self.in_flight).acquire_owned()).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) | Err(_) => Err(Failure::Busy),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::{Pin, pin};
    use std::task::{Context, Poll, Waker};

    use super::*;

    fn poll_once<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    #[tokio::test]
    async fn requests_beyond_the_limit_wait_in_the_order_of_arrival() {
        let limiter = IssuanceLimiter::new(1, MAX_QUEUE_WAIT);
        let slot = limiter.acquire().await.unwrap();
        let (mut first, mut second) = (pin!(limiter.acquire()), pin!(limiter.acquire()));
        assert!(poll_once(first.as_mut()).is_pending() && poll_once(second.as_mut()).is_pending());
        drop(slot);
        assert!(poll_once(second.as_mut()).is_pending(), "the slot belongs to the first one");
        let slot = first.await.unwrap();
        drop(slot);
        assert!(second.await.is_ok());
    }

    #[tokio::test]
    async fn a_request_that_waits_too_long_is_refused_as_busy() {
        let limiter = IssuanceLimiter::new(1, Duration::from_millis(1));
        let _slot = limiter.acquire().await.unwrap();
        assert_eq!(limiter.acquire().await.err(), Some(Failure::Busy));
    }

    #[tokio::test]
    async fn a_request_that_finds_the_queue_full_is_refused_as_busy() {
        let limiter = IssuanceLimiter::new(0, MAX_QUEUE_WAIT);
        let queue = limiter.queue.try_acquire_many(u32::try_from(MAX_QUEUED).unwrap());
        assert!(queue.is_ok());
        assert_eq!(limiter.acquire().await.err(), Some(Failure::Busy));
    }
}
