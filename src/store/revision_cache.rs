//! Caches which commit last wrote a key of the configuration.
//!
//! A request looks up the revisions of its token, its role and its mount's generation, and reuses its
//! parsed values if they are unchanged. A reader takes a ticket for the key before it reads the
//! disk; the committer applies every write to the cache after the disk has it and before it
//! answers. So a cached revision is never older than the last commit that was acknowledged when the
//! lookup began.
//!
//! The cache is bounded: beyond the bound it evicts the least recently used key. Eviction is
//! always safe. Without a revision, the next reader reads the disk. Without its ticket, a reader fills
//! in nothing, and tickets never repeat: a read that precedes a write cannot be filled in after it.

use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};

use lru::LruCache;

use super::batch::{Batch, Revision};
use super::key::Key;

/// Keys that were looked up, with their revision once it is known. Keys without a value are not
/// kept: a client can name any number of them.
#[derive(Debug)]
pub(super) struct RevisionCache(Mutex<CachedEntries>);

#[derive(Debug)]
struct CachedEntries {
    keys: LruCache<Key, CacheState>,
    tickets: u64,
}

#[derive(Clone, Copy, Debug)]
enum CacheState {
    BeingRead(FillTicket),
    At(Revision),
}

/// Permits one reader to fill in what it reads. Only the latest ticket of a key is valid: the value that an
/// earlier reader saw may have been removed since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(super) struct FillTicket(u64);

/// An entry is about a hundred bytes.
const MAX_KEYS: usize = 65_536;

impl RevisionCache {
    fn holding(max: usize) -> Self {
        let max = NonZeroUsize::new(max).unwrap_or(NonZeroUsize::MIN);
        Self(Mutex::new(CachedEntries { keys: LruCache::sparse(max), tickets: 0 }))
    }

    /// The revision of a key that has a value, if it is cached.
    pub(super) fn revision(&self, key: &Key) -> Option<Revision> {
        match self.entries().keys.get(key) {
            Some(CacheState::At(revision)) => Some(*revision),
            Some(CacheState::BeingRead(_)) | None => None,
        }
    }

    /// Announces that this key is about to be read.
    pub(super) fn begin_fill(&self, key: &Key) -> FillTicket {
        let mut entries = self.entries();
        entries.tickets = entries.tickets.wrapping_add(1);
        let ticket = FillTicket(entries.tickets);
        match entries.keys.get_mut(key) {
            Some(CacheState::At(_)) => {}
            Some(CacheState::BeingRead(latest)) => *latest = ticket,
            None => drop(entries.keys.put(key.clone(), CacheState::BeingRead(ticket))),
        }
        ticket
    }

    /// Fills in what was read with this ticket, unless a write or a later ticket came in between.
    pub(super) fn fill(&self, key: &Key, ticket: FillTicket, read: Option<Revision>) {
        let mut entries = self.entries();
        let Some(state) = entries.keys.get_mut(key) else { return };
        if !matches!(state, CacheState::BeingRead(latest) if *latest == ticket) {
            return;
        }
        match read {
            Some(revision) => *state = CacheState::At(revision),
            None => drop(entries.keys.pop(key)),
        }
    }

    /// Applies written batches in their order; in each, range deletes, deletes, puts.
    pub(super) fn apply(&self, group: &[(Revision, Batch)]) {
        let mut entries = self.entries();
        for (revision, batch) in group {
            for range in &batch.range_deletes {
                entries.keys.retain(|key, _| !range.contains(key));
            }
            for key in &batch.deletes {
                entries.keys.pop(key);
            }
            for (key, _) in &batch.puts {
                // A write is not a use: stored certificates must not evict the keys that requests look up.
                if let Some(state) = entries.keys.peek_mut(key) {
                    *state = CacheState::At(*revision);
                }
            }
        }
    }

    fn entries(&self) -> MutexGuard<'_, CachedEntries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for RevisionCache {
    fn default() -> Self {
        Self::holding(MAX_KEYS)
    }
}

#[cfg(test)]
mod tests {
    use super::super::key;
    use super::*;
    use crate::store::id::MountId;

    fn role(name: &str) -> Key {
        key::role(&MountId::new([0; 16]), name)
    }

    #[test]
    fn what_is_written_after_a_ticket_was_given_wins() {
        let cache = RevisionCache::default();
        let ticket = cache.begin_fill(&role("a"));
        cache.apply(&[(Revision(7), Batch::new().put(role("a"), vec![]))]);
        cache.fill(&role("a"), ticket, Some(Revision(3)));
        assert_eq!(cache.revision(&role("a")), Some(Revision(7)));
    }

    #[test]
    fn a_reader_that_is_overtaken_by_a_removal_fills_nothing_in() {
        let cache = RevisionCache::default();
        for removal in [
            Batch::new().delete(role("a")),
            Batch::new().delete_range(key::roles(&MountId::new([0; 16])).range()),
        ] {
            let ticket = cache.begin_fill(&role("a"));
            cache.apply(&[(Revision(7), removal)]);
            // Another reader asks after the removal: what the first one saw is still old.
            let later = cache.begin_fill(&role("a"));
            cache.fill(&role("a"), ticket, Some(Revision(3)));
            assert_eq!(cache.revision(&role("a")), None);
            cache.fill(&role("a"), later, None);
            assert_eq!(cache.revision(&role("a")), None);
        }
    }

    #[test]
    fn inside_a_batch_a_put_comes_after_the_removal_of_its_range() {
        let cache = RevisionCache::default();
        let ticket = cache.begin_fill(&role("a"));
        cache.fill(&role("a"), ticket, Some(Revision(3)));
        assert_eq!(cache.revision(&role("a")), Some(Revision(3)));
        let range = key::roles(&MountId::new([0; 16])).range();
        let batch = Batch::new().delete_range(range).put(role("a"), vec![]);
        cache.apply(&[(Revision(7), batch)]);
        // Forgotten rather than followed: the next reader asks the disk.
        assert_eq!(cache.revision(&role("a")), None);
    }

    #[test]
    fn keys_that_hold_nothing_are_not_kept() {
        let cache = RevisionCache::default();
        let ticket = cache.begin_fill(&role("a"));
        cache.fill(&role("a"), ticket, None);
        assert!(cache.entries().keys.is_empty());
    }

    fn filled(cache: &RevisionCache, name: &str, revision: u64) {
        let ticket = cache.begin_fill(&role(name));
        cache.fill(&role(name), ticket, Some(Revision(revision)));
    }

    #[test]
    fn beyond_the_bound_the_key_that_was_used_least_recently_is_forgotten() {
        let cache = RevisionCache::holding(2);
        filled(&cache, "a", 1);
        filled(&cache, "b", 2);
        assert_eq!(cache.revision(&role("a")), Some(Revision(1)));
        // A write is not a use.
        cache.apply(&[(Revision(3), Batch::new().put(role("b"), vec![]))]);
        filled(&cache, "c", 4);
        let known = ["a", "b", "c"].map(|name| cache.revision(&role(name)));
        assert_eq!(known, [Some(Revision(1)), None, Some(Revision(4))]);
    }

    #[test]
    fn a_reader_whose_ticket_was_forgotten_fills_nothing_in() {
        let cache = RevisionCache::holding(1);
        let ticket = cache.begin_fill(&role("a"));
        filled(&cache, "b", 2);
        cache.apply(&[(Revision(7), Batch::new().put(role("a"), vec![]))]);
        cache.fill(&role("a"), ticket, Some(Revision(3)));
        assert_eq!(cache.revision(&role("a")), None);
        let later = cache.begin_fill(&role("a"));
        cache.fill(&role("a"), ticket, Some(Revision(3)));
        assert_eq!(cache.revision(&role("a")), None);
        cache.fill(&role("a"), later, Some(Revision(7)));
        assert_eq!(cache.revision(&role("a")), Some(Revision(7)));
    }
}
