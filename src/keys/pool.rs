//! RSA key pairs, made before anybody asks for them.
//!
//! One takes a tenth of a second (2048 bits) to seconds (4096): a burst of requests cannot wait for
//! that. A thread that the system runs when a processor has nothing else to do makes them (design
//! D10). It begins with the first wish for an RSA key; a server that issues
//! EC keys only has neither thread nor keys.
//!
//! Keys on a shelf are secrets like any other: overwritten when they are dropped.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use thread_priority::ThreadPriority;
use thread_priority::unix::{
    NormalThreadSchedulePolicy, ThreadSchedulePolicy, set_thread_priority_and_policy,
    thread_native_id,
};

use super::SubjectKey;
use crate::ca::key::KeyKind;

/// Key pairs that wait for their subject. Dropping it ends the thread after the key in hand.
#[derive(Debug, Default)]
pub struct KeyPool(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    shelves: Mutex<Shelves>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Shelves {
    keys: [Vec<SubjectKey>; SIZES.len()],
    wanted: [bool; SIZES.len()],
    running: bool,
    closed: bool,
}

/// Modulus in bits, and how many keys of it are kept. 128 keys of 2048 bits are a burst of 64
/// and the next one, a third of a megabyte, and some ten seconds of one idle core.
const SIZES: [(u32, usize); 3] = [(2048, 128), (3072, 32), (4096, 16)];

impl KeyPool {
    /// Keys of this kind will be wanted.
    pub fn expect(&self, kind: KeyKind) {
        let Some(shelf) = shelf_of(kind) else { return };
        let mut shelves = self.0.shelves();
        if let Some(wanted) = shelves.wanted.get_mut(shelf) {
            *wanted = true;
        }
        if !shelves.running {
            shelves.running = true;
            let shared = Arc::clone(&self.0);
            // Without the thread every key is made while its caller waits, as without the pool.
            if let Err(error) =
                thread::Builder::new().name("key-pool".into()).spawn(move || shared.fill())
            {
                tracing::warn!(%error, "the pool of RSA keys has no thread");
            }
        }
        self.0.changed.notify_one();
    }

    /// A key pair that was made before, if there is one; it is replaced in the background.
    pub fn take(&self, kind: KeyKind) -> Option<SubjectKey> {
        let shelf = shelf_of(kind)?;
        self.expect(kind);
        let mut shelves = self.0.shelves();
        let taken = shelves.keys.get_mut(shelf)?.pop();
        if taken.is_some() && shelves.keys.get(shelf).is_some_and(Vec::is_empty) {
            tracing::info!(bits = kind.bits(), "the pool of RSA keys is empty");
        }
        taken
    }

    /// How many keys of this kind wait.
    pub fn level(&self, kind: KeyKind) -> usize {
        let shelves = self.0.shelves();
        shelf_of(kind).and_then(|shelf| shelves.keys.get(shelf)).map_or(0, Vec::len)
    }
}

impl Drop for KeyPool {
    fn drop(&mut self) {
        self.0.shelves().closed = true;
        self.0.changed.notify_one();
    }
}

impl Shared {
    fn shelves(&self) -> MutexGuard<'_, Shelves> {
        self.shelves.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fill(&self) {
        // SCHED_IDLE (sched(7)): whoever wakes up runs at once. The lowest nice value would not do: a
        // request would wait for the end of this thread's slice, which is milliseconds.
        let idle = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
        if let Err(why) =
            set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, idle)
        {
            tracing::warn!(?why, "the pool of RSA keys is filled at ordinary priority");
        }
        while let Some(shelf) = self.next() {
            let Some((bits, most)) = SIZES.get(shelf).copied() else { return };
            let Ok(made) = SubjectKey::generate(KeyKind::Rsa(bits)) else {
                tracing::error!(bits, "the library makes no RSA key; the pool stays as it is");
                return;
            };
            let mut shelves = self.shelves();
            let Some(keys) = shelves.keys.get_mut(shelf) else { return };
            keys.push(made);
            if keys.len() == most {
                tracing::info!(bits, keys = most, "the pool of RSA keys is full");
            }
        }
    }

    /// The wanted shelf that lacks most of what it should hold; waits while none lacks anything.
    /// `None` when the pool is gone.
    fn next(&self) -> Option<usize> {
        let mut shelves = self.shelves();
        loop {
            if shelves.closed {
                return None;
            }
            let emptiest = (0..SIZES.len())
                .filter(|shelf| shelves.wanted.get(*shelf) == Some(&true))
                .filter_map(|shelf| {
                    let held = shelves.keys.get(shelf)?.len();
                    let (_, most) = SIZES.get(shelf)?;
                    (held < *most).then(|| (held.saturating_mul(1024) / *most, shelf))
                })
                .min();
            if let Some((_, shelf)) = emptiest {
                return Some(shelf);
            }
            shelves = self.changed.wait(shelves).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

fn shelf_of(kind: KeyKind) -> Option<usize> {
    SIZES.iter().position(|(bits, _)| kind == KeyKind::Rsa(*bits))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ca::key::Curve;

    #[test]
    fn a_wish_for_an_rsa_key_is_remembered_and_fulfilled_later() {
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
            pool.expect(kind);
            assert!(pool.take(kind).is_none());
        }
        assert!(!pool.0.shelves().running);
    }

    #[test]
    fn no_two_subjects_get_the_same_key() {
        let pool = KeyPool::default();
        let kind = KeyKind::Rsa(2048);
        pool.expect(kind);
        while pool.level(kind) < 2 {
            thread::yield_now();
        }
        let (one, other) = (pool.take(kind).unwrap(), pool.take(kind).unwrap());
        assert_ne!(one.public(), other.public());
    }
}
