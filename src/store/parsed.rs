//! Caches values that were parsed from records, with the commit that wrote each record.
//!
//! Used with [`Store::revision`](super::Store::revision): a value is reused as long as its
//! record has not been written since. The cache is bounded and evicts the least recently used entry
//! first, so that many new keys do not evict the ones in use.

use std::borrow::Borrow;
use std::hash::Hash;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lru::LruCache;

use super::batch::Revision;

/// At most `MAX` values, each under its key.
#[derive(Debug)]
pub struct ParsedCache<K: Hash + Eq, V, const MAX: usize>(Mutex<ParsedEntries<K, V>>);

type ParsedEntries<K, V> = LruCache<K, (Revision, Arc<V>)>;

impl<K: Hash + Eq, V, const MAX: usize> ParsedCache<K, V, MAX> {
    /// The value that was parsed from this revision of the record.
    pub fn get<Q>(&self, key: &Q, revision: Revision) -> Option<Arc<V>>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let mut entries = self.entries();
        let (parsed, value) = entries.get(key)?;
        (*parsed == revision).then(|| Arc::clone(value))
    }

    /// Keeps what was parsed from this revision of the record.
    pub fn insert(&self, key: K, revision: Revision, value: Arc<V>) {
        let replaced = self.entries().push(key, (revision, value));
        // Dropped here, after the lock is released: other requests do not wait for it.
        drop(replaced);
    }

    fn entries(&self) -> MutexGuard<'_, ParsedEntries<K, V>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Hash + Eq, V, const MAX: usize> Default for ParsedCache<K, V, MAX> {
    fn default() -> Self {
        let max = NonZeroUsize::new(MAX).unwrap_or(NonZeroUsize::MIN);
        Self(Mutex::new(LruCache::sparse(max)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_found_only_at_the_revision_of_its_record() {
        let cache = ParsedCache::<String, u8, 2>::default();
        cache.insert("a".to_owned(), Revision(3), Arc::new(7));
        assert_eq!(cache.get("a", Revision(3)).as_deref(), Some(&7));
        assert_eq!(cache.get("a", Revision(4)), None);
        assert_eq!(cache.get("b", Revision(3)), None);
        cache.insert("a".to_owned(), Revision(4), Arc::new(8));
        assert_eq!(cache.get("a", Revision(4)).as_deref(), Some(&8));
    }

    #[test]
    fn beyond_the_bound_the_value_that_was_used_least_recently_is_forgotten() {
        let cache = ParsedCache::<String, u8, 2>::default();
        for (name, value) in [("a", 1), ("b", 2)] {
            cache.insert(name.to_owned(), Revision(1), Arc::new(value));
        }
        assert!(cache.get("a", Revision(1)).is_some());
        cache.insert("c".to_owned(), Revision(1), Arc::new(3));
        let kept = ["a", "b", "c"].map(|name| cache.get(name, Revision(1)).is_some());
        assert_eq!(kept, [true, false, true]);
    }
}
