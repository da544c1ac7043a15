//! Work that takes milliseconds and more: off the I/O threads, as many at once as there are
//! processors, and no longer a queue than can be served before the callers give up.

use std::num::NonZero;
use std::thread::available_parallelism;

use tokio::sync::Semaphore;

use super::Failure;
use crate::ca::key::KeyKind;
use crate::keys::{KeyError, KeyPool, SubjectKey};

/// Where keys are made and key stores are written.
#[derive(Debug)]
pub(super) struct Workshop {
    /// Who is let in: to work or to wait.
    door: Semaphore,
    benches: Semaphore,
    pool: KeyPool,
}

/// A bound, not a policy: so many RSA keys of 2048 bits are some ten seconds of one core.
const MOST_INSIDE: usize = 128;

impl Default for Workshop {
    fn default() -> Self {
        let benches = available_parallelism().map_or(1, NonZero::get);
        Self {
            door: Semaphore::new(MOST_INSIDE),
            benches: Semaphore::new(benches),
            pool: KeyPool::default(),
        }
    }
}

impl Workshop {
    /// Does this piece of work, or says at once that there is too much to do.
    ///
    /// # Errors
    /// [`Failure::Busy`]: nothing was done.
    pub(super) async fn work<T: Send + 'static>(
        &self,
        piece: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Failure> {
        let fault = |error: &dyn std::fmt::Display| Failure::Fault(error.to_string());
        let _inside = self.door.try_acquire().map_err(|_| Failure::Busy)?;
        let _bench = self.benches.acquire().await.map_err(|error| fault(&error))?;
        tokio::task::spawn_blocking(piece).await.map_err(|error| fault(&error))
    }

    /// Keys of this kind will be wanted.
    pub(super) fn expect(&self, kind: KeyKind) {
        self.pool.expect(kind);
    }

    /// An RSA key pair from the pool, or else made here.
    ///
    /// # Errors
    /// [`Failure::Busy`], and a refusal of sizes that are not made.
    pub(super) async fn rsa_key(&self, kind: KeyKind) -> Result<SubjectKey, Failure> {
        match self.pool.take(kind) {
            Some(key) => Ok(key),
            None => Ok(self.work(move || SubjectKey::generate(kind)).await??),
        }
    }
}

impl From<KeyError> for Failure {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::Unsupported => Self::refused(error.to_string()),
            KeyError::Rejected | KeyError::Failed => Self::Fault(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn who_finds_the_workshop_full_is_told_at_once() {
        let shop = Arc::new(Workshop::default());
        let (open, gate) = std::sync::mpsc::channel::<()>();
        let gate = Arc::new(std::sync::Mutex::new(gate));
        let mut inside = tokio::task::JoinSet::new();
        for _ in 0..MOST_INSIDE {
            let (shop, gate) = (Arc::clone(&shop), Arc::clone(&gate));
            inside.spawn(async move { shop.work(move || gate.lock().unwrap().recv()).await });
        }
        while shop.door.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(shop.work(|| ()).await, Err(Failure::Busy));
        drop(open);
        while let Some(done) = inside.join_next().await {
            assert!(done.unwrap().is_ok());
        }
        assert_eq!(shop.work(|| 7).await, Ok(7));
    }

    #[tokio::test]
    async fn what_is_not_made_is_refused() {
        let refused = Workshop::default().rsa_key(KeyKind::Rsa(2049)).await;
        assert!(matches!(refused, Err(Failure::Refused { .. })));
    }
}
