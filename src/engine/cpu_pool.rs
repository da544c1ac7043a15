//! Work that takes milliseconds or more: off the I/O threads, at most one task per processor at a
//! time, behind a queue no longer than can be served before its callers give up.

use std::num::NonZero;
use std::thread::available_parallelism;

use tokio::sync::Semaphore;

use super::Failure;
use crate::ca::key::KeyKind;
use crate::keys::{KeyError, KeyPool, SubjectKey};

/// Generates RSA keys and writes key stores.
#[derive(Debug)]
pub(super) struct CpuPool {
    /// Tasks that run or wait.
    pending: Semaphore,
    workers: Semaphore,
    keys: KeyPool,
}

/// 128 RSA keys of 2048 bits take about ten seconds of one core.
const MAX_PENDING: usize = 128;

impl Default for CpuPool {
    fn default() -> Self {
        let workers = available_parallelism().map_or(1, NonZero::get);
        Self {
            pending: Semaphore::new(MAX_PENDING),
            workers: Semaphore::new(workers),
            keys: KeyPool::default(),
        }
    }
}

impl CpuPool {
    /// Runs a task, or refuses it at once if too many are pending.
    ///
    /// # Errors
    /// [`Failure::Busy`]: nothing was done.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        task: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Failure> {
        let internal = |error: &dyn std::fmt::Display| Failure::Internal(error.to_string());
        let _pending = self.pending.try_acquire().map_err(|_| Failure::Busy)?;
        let _worker = self.workers.acquire().await.map_err(|error| internal(&error))?;
        tokio::task::spawn_blocking(task).await.map_err(|error| internal(&error))
    }

    /// Generates RSA keys of this kind in the background, before they are requested.
    pub(super) fn prefetch(&self, kind: KeyKind) {
        self.keys.prefetch(kind);
    }

    /// An RSA key pair: one generated before, else a new one.
    ///
    /// # Errors
    /// [`Failure::Busy`]; [`Failure::Refused`] for an unsupported size.
    pub(super) async fn rsa_key(&self, kind: KeyKind) -> Result<SubjectKey, Failure> {
        match self.keys.take(kind) {
            Some(key) => Ok(key),
            None => Ok(self.run(move || SubjectKey::generate(kind)).await??),
        }
    }
}

impl From<KeyError> for Failure {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::Unsupported => Self::refused(error.to_string()),
            KeyError::Rejected | KeyError::Failed => Self::Internal(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn a_task_beyond_the_limit_is_refused_at_once() {
        let pool = Arc::new(CpuPool::default());
        let (open, gate) = std::sync::mpsc::channel::<()>();
        let gate = Arc::new(std::sync::Mutex::new(gate));
        let mut pending = tokio::task::JoinSet::new();
        for _ in 0..MAX_PENDING {
            let (pool, gate) = (Arc::clone(&pool), Arc::clone(&gate));
            pending.spawn(async move { pool.run(move || gate.lock().unwrap().recv()).await });
        }
        while pool.pending.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(pool.run(|| ()).await, Err(Failure::Busy));
        drop(open);
        while let Some(done) = pending.join_next().await {
            assert!(done.unwrap().is_ok());
        }
        assert_eq!(pool.run(|| 7).await, Ok(7));
    }

    #[tokio::test]
    async fn an_unsupported_size_is_refused() {
        let refused = CpuPool::default().rsa_key(KeyKind::Rsa(2049)).await;
        assert!(matches!(refused, Err(Failure::Refused { .. })));
    }
}
