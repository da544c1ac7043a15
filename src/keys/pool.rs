//! RSA key pairs, generated before they are requested.
//!
//! One takes from a tenth of a second (2048 bits) to seconds (4096), too long for a burst of
//! requests. A background thread of idle priority generates them. It starts with the first request for an
//! RSA key: a server that issues only EC keys has neither the thread nor the keys.
//!
//! Keys in the pool are secrets like any other: they are overwritten when they are dropped.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use thread_priority::ThreadPriority;
use thread_priority::unix::{
    NormalThreadSchedulePolicy, ThreadSchedulePolicy, set_thread_priority_and_policy,
    thread_native_id,
};

use super::SubjectKey;
use crate::ca::key::KeyKind;

/// Key pairs without a subject. Dropping the pool ends its thread after the key in progress.
#[derive(Debug, Default)]
pub struct KeyPool(Arc<PoolState>);

#[derive(Debug, Default)]
struct PoolState {
    buckets: Mutex<Buckets>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Buckets {
    keys: [Vec<SubjectKey>; SIZES.len()],
    wanted: [bool; SIZES.len()],
    running: bool,
    closed: bool,
}

/// Modulus in bits, and how many keys of it are kept. 128 keys of 2048 bits are a burst of 64
/// and the next one, a third of a megabyte, and some ten seconds of one idle core.
const SIZES: [(u32, usize); 3] = [(2048, 128), (3072, 32), (4096, 16)];

impl KeyPool {
    /// Generates keys of this kind in the background from now on.
    pub fn prefetch(&self, kind: KeyKind) {
        let Some(bucket) = bucket_of(kind) else { return };
        let mut buckets = self.0.buckets();
        if let Some(wanted) = buckets.wanted.get_mut(bucket) {
            *wanted = true;
        }
        if !buckets.running {
            buckets.running = true;
            let shared = Arc::clone(&self.0);
            // Without the thread every key is generated while its caller waits.
            if let Err(error) =
                thread::Builder::new().name("key-pool".into()).spawn(move || shared.fill())
            {
                tracing::warn!(%error, "the pool of RSA keys has no thread");
            }
        }
        self.0.changed.notify_one();
    }

    /// A prepared key pair, if there is one; the background thread replaces it.
    pub fn take(&self, kind: KeyKind) -> Option<SubjectKey> {
        let bucket = bucket_of(kind)?;
        self.prefetch(kind);
        let mut buckets = self.0.buckets();
        let taken = buckets.keys.get_mut(bucket)?.pop();
        if taken.is_some() && buckets.keys.get(bucket).is_some_and(Vec::is_empty) {
            tracing::info!(bits = kind.bits(), "the pool of RSA keys is empty");
        }
        taken
    }

    /// The number of prepared keys of this kind.
    pub fn level(&self, kind: KeyKind) -> usize {
        let buckets = self.0.buckets();
        bucket_of(kind).and_then(|bucket| buckets.keys.get(bucket)).map_or(0, Vec::len)
    }
}

impl Drop for KeyPool {
    fn drop(&mut self) {
        self.0.buckets().closed = true;
        self.0.changed.notify_one();
    }
}

impl PoolState {
    fn buckets(&self) -> MutexGuard<'_, Buckets> {
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fill(&self) {
        // SCHED_IDLE (sched(7)): any thread that wakes up preempts this one at once. With the lowest nice
        // value a request would wait for the end of this thread's time slice, which is milliseconds.
        let idle = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
        if let Err(why) =
            set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, idle)
        {
            tracing::warn!(?why, "the pool of RSA keys is filled at ordinary priority");
        }
        while let Some(bucket) = self.next() {
            let Some((bits, most)) = SIZES.get(bucket).copied() else { return };
            let Ok(made) = SubjectKey::generate(KeyKind::Rsa(bits)) else {
                tracing::error!(
                    bits,
                    "generating an RSA key failed; the pool is not filled further"
                );
                return;
            };
            let mut buckets = self.buckets();
            let Some(keys) = buckets.keys.get_mut(bucket) else { return };
            keys.push(made);
            if keys.len() == most {
                tracing::info!(bits, keys = most, "the pool of RSA keys is full");
            }
        }
    }

    /// The requested bucket that is filled least; waits while all are full. `None` once the pool is
    /// dropped.
    fn next(&self) -> Option<usize> {
        let mut buckets = self.buckets();
        loop {
            if buckets.closed {
                return None;
            }
            let emptiest = (0..SIZES.len())
                .filter(|bucket| buckets.wanted.get(*bucket) == Some(&true))
                .filter_map(|bucket| {
                    let held = buckets.keys.get(bucket)?.len();
                    let (_, most) = SIZES.get(bucket)?;
                    (held < *most).then(|| (held.saturating_mul(1024) / *most, bucket))
                })
                .min();
            if let Some((_, bucket)) = emptiest {
                return Some(bucket);
            }
            buckets = self.changed.wait(buckets).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

fn bucket_of(kind: KeyKind) -> Option<usize> {
    SIZES.iter().position(|(bits, _)| kind == KeyKind::Rsa(*bits))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ca::key::Curve;

    #[test]
    fn a_request_for_an_rsa_key_starts_generation_in_the_background() {
        let pool = KeyPool::default();
        let kind = KeyKind::Rsa(2048);
        assert!(pool.take(kind).is_none());
        while pool.level(kind) == 0 {
            thread::yield_now();
        }
        let key = pool.take(kind).unwrap();
        assert_eq!(key.public().kind(), kind);
    }

    #[test]
    fn other_keys_start_no_thread() {
        let pool = KeyPool::default();
        for kind in [KeyKind::Ec(Curve::P256), KeyKind::Ed25519, KeyKind::Rsa(2049)] {
            pool.prefetch(kind);
            assert!(pool.take(kind).is_none());
        }
        assert!(!pool.0.buckets().running);
    }

    #[test]
    fn no_two_subjects_get_the_same_key() {
        let pool = KeyPool::default();
        let kind = KeyKind::Rsa(2048);
        pool.prefetch(kind);
        while pool.level(kind) < 2 {
            thread::yield_now();
        }
        let (one, other) = (pool.take(kind).unwrap(), pool.take(kind).unwrap());
        assert_ne!(one.public(), other.public());
    }
}
