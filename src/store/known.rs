//! Which commit last wrote a key of the configuration, without asking the disk.
//!
//! A request asks this of its token, its role and its mount's generation, and uses what it has
//! parsed already if nothing changed. A reader announces the key before it looks at the disk; the
//! committer corrects every announced key after its write and before it answers. So an answer
//! from here is never older than the last commit that was acknowledged when it was asked for.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::batch::{Batch, Revision};
use super::key::Key;

/// Keys that were asked for, with their revision once it is known. Keys that hold nothing are not
/// kept: a caller can think of any number of them.
#[derive(Debug, Default)]
pub(super) struct Known(Mutex<Entries>);

#[derive(Debug, Default)]
struct Entries {
    keys: HashMap<Key, State>,
    announcements: u64,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Announced(Announcement),
    At(Revision),
}

/// One reader's word that it is about to read. Only the latest one of a key counts: what an
/// earlier reader saw may have been removed since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(super) struct Announcement(u64);

/// A bound, not a policy: an entry is a hundred octets.
const MOST: usize = 65_536;

impl Known {
    /// The revision of a key that holds something, if it is known.
    pub(super) fn revision(&self, key: &Key) -> Option<Revision> {
        match self.entries().keys.get(key) {
            Some(State::At(revision)) => Some(*revision),
            Some(State::Announced(_)) | None => None,
        }
    }

    /// This key is about to be read.
    pub(super) fn announce(&self, key: &Key) -> Announcement {
        let mut entries = self.entries();
        if entries.keys.len() >= MOST {
            entries.keys.clear();
        }
        entries.announcements = entries.announcements.wrapping_add(1);
        let announcement = Announcement(entries.announcements);
        let state = State::Announced(announcement);
        let entry = entries.keys.entry(key.clone()).or_insert(state);
        if matches!(entry, State::Announced(_)) {
            *entry = state;
        }
        announcement
    }

    /// What was read after the announcement. It counts only if nobody wrote or announced meanwhile.
    pub(super) fn learn(&self, key: &Key, announced: Announcement, read: Option<Revision>) {
        let mut entries = self.entries();
        let Some(State::Announced(latest)) = entries.keys.get(key) else { return };
        if *latest != announced {
            return;
        }
        match read {
            Some(revision) => drop(entries.keys.insert(key.clone(), State::At(revision))),
            None => drop(entries.keys.remove(key)),
        }
    }

    /// What a write did, in the order of its batches: range deletes, deletes, puts.
    pub(super) fn correct(&self, group: &[(Revision, Batch)]) {
        let mut entries = self.entries();
        for (revision, batch) in group {
            for range in &batch.range_deletes {
                entries.keys.retain(|key, _| !range.contains(key));
            }
            for key in &batch.deletes {
                entries.keys.remove(key);
            }
            for (key, _) in &batch.puts {
                if let Some(entry) = entries.keys.get_mut(key) {
                    *entry = State::At(*revision);
                }
            }
        }
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::super::key;
    use super::*;

    fn role(name: &str) -> Key {
        key::role(&[0; 16], name)
    }

    #[test]
    fn what_was_written_after_the_announcement_wins() {
        let known = Known::default();
        let announced = known.announce(&role("a"));
        known.correct(&[(Revision(7), Batch::new().put(role("a"), vec![]))]);
        known.learn(&role("a"), announced, Some(Revision(3)));
        assert_eq!(known.revision(&role("a")), Some(Revision(7)));
    }

    #[test]
    fn a_reader_who_was_overtaken_by_a_removal_teaches_nothing() {
        let known = Known::default();
        for removal in [
            Batch::new().delete(role("a")),
            Batch::new().delete_range(key::roles(&[0; 16]).range()),
        ] {
            let announced = known.announce(&role("a"));
            known.correct(&[(Revision(7), removal)]);
            // Somebody else asks after the removal: the first reader's word is still an old one.
            let later = known.announce(&role("a"));
            known.learn(&role("a"), announced, Some(Revision(3)));
            assert_eq!(known.revision(&role("a")), None);
            known.learn(&role("a"), later, None);
            assert_eq!(known.revision(&role("a")), None);
        }
    }

    #[test]
    fn inside_a_batch_a_put_comes_after_the_removal_of_its_range() {
        let known = Known::default();
        let announced = known.announce(&role("a"));
        known.learn(&role("a"), announced, Some(Revision(3)));
        assert_eq!(known.revision(&role("a")), Some(Revision(3)));
        let range = key::roles(&[0; 16]).range();
        let batch = Batch::new().delete_range(range).put(role("a"), vec![]);
        known.correct(&[(Revision(7), batch)]);
        // Forgotten rather than followed: the next reader asks the disk.
        assert_eq!(known.revision(&role("a")), None);
    }

    #[test]
    fn keys_that_hold_nothing_are_not_kept() {
        let known = Known::default();
        let announced = known.announce(&role("a"));
        known.learn(&role("a"), announced, None);
        assert!(known.entries().keys.is_empty());
    }
}
