//! The reference engine: everything in memory, lost when the process ends.
//!
//! It defines what the other engines must do, and tests can make it fail in every way a
//! real one can. Each key keeps the versions that an existing snapshot may still read.
//!
//! Not promised: durability.

mod faults;

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::batch::{Batch, CommitError, ReadError, Revision};
use super::key::{Key, KeyRange, Prefix};
use super::watch::{Publisher, Watch};
use faults::{FaultPlan, pending};

pub use faults::{CommitFault, ReadFault};

/// A store in memory. Clones are the same store.
#[derive(Clone, Debug)]
pub struct Memory {
    shared: Arc<Mutex<MemoryState>>,
    publisher: Publisher,
}

/// Counts of what was committed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Commits that were requested, failed ones included.
    pub batches: u64,
    /// Values written.
    pub puts: u64,
    /// Keys removed by name.
    pub deletes: u64,
    /// Ranges removed.
    pub range_deletes: u64,
}

/// The store as it was at one moment.
#[derive(Debug)]
pub(super) struct MemorySnapshot {
    shared: Arc<Mutex<MemoryState>>,
    at: Revision,
}

#[derive(Debug, Default)]
struct MemoryState {
    revision: u64,
    keys: BTreeMap<Key, Vec<Version>>,
    /// Existing snapshots by revision, and how many there are of each.
    snapshots: BTreeMap<Revision, usize>,
    /// Keys whose newest version is a removal; dropped when no snapshot needs them.
    removed: Vec<Key>,
    plan: FaultPlan,
    tally: Tally,
}

/// The value that a commit gave to a key; `None` is a removal. Newest last.
#[derive(Debug)]
struct Version {
    revision: Revision,
    value: Option<Arc<[u8]>>,
}

impl Memory {
    /// An empty store.
    pub fn new() -> Self {
        Self { shared: Arc::default(), publisher: Publisher::new() }
    }

    /// Makes the `nth` commit from now fail; 1 is the next one. For tests and simulations.
    pub fn danger_inject(&self, nth: u64, fault: CommitFault) {
        lock(&self.shared).plan.fail_commit(nth, fault);
    }

    /// Makes the `nth` read from now fail: a value or a scan, not a snapshot.
    pub fn danger_inject_read(&self, nth: u64, fault: ReadFault) {
        lock(&self.shared).plan.fail_read(nth, fault);
    }

    /// From now on each commit and read is polled up to `most` times more than it needs, chosen
    /// by `seed`, so that requests overtake each other. 0 switches this off.
    pub fn danger_pace(&self, seed: u64, most: u32) {
        lock(&self.shared).plan.set_pace(seed, most);
    }

    /// Cancels every planned fault that has not happened yet.
    pub fn danger_heal(&self) {
        lock(&self.shared).plan.forget();
    }

    /// How many commits and reads were answered with an injected failure so far.
    pub fn failures(&self) -> u64 {
        lock(&self.shared).plan.failures()
    }

    /// Counts of what was committed since the store was created.
    pub fn tally(&self) -> Tally {
        lock(&self.shared).tally
    }

    pub(super) fn snapshot(&self) -> MemorySnapshot {
        let mut state = lock(&self.shared);
        let at = Revision(state.revision);
        *state.snapshots.entry(at).or_default() += 1;
        MemorySnapshot { shared: Arc::clone(&self.shared), at }
    }

    pub(super) fn revision(&self, key: &Key) -> Option<Revision> {
        lock(&self.shared).current(key).map(|(revision, _)| revision)
    }

    pub(super) fn watch(&self, prefix: Prefix) -> Watch {
        self.publisher.watch(prefix)
    }

    pub(super) async fn commit(&self, batch: Batch) -> Result<Revision, CommitError> {
        let course = {
            let mut state = lock(&self.shared);
            state.tally.batches += 1;
            state.plan.next_commit()
        };
        pending(course.before).await;
        let outcome = match course.fault {
            None | Some(CommitFault::Pending(_) | CommitFault::Late(_)) => self.apply(&batch),
            Some(CommitFault::Conflict) => match batch.first_key() {
                Some(key) => Err(CommitError::Conflict { key }),
                None => self.apply(&batch),
            },
            Some(CommitFault::FailedNotDone) => Err(CommitError::NotDone(INJECTED.into())),
            Some(CommitFault::LostRequest) => Err(CommitError::MaybeDone(INJECTED.into())),
            Some(CommitFault::LostResponse) => {
                self.apply(&batch).and(Err(CommitError::MaybeDone(INJECTED.into())))
            }
            Some(CommitFault::Slow(gate)) => {
                gate.notified().await;
                self.apply(&batch)
            }
        };
        pending(course.after).await;
        outcome
    }

    fn apply(&self, batch: &Batch) -> Result<Revision, CommitError> {
        let mut state = lock(&self.shared);
        let conflict =
            batch.conflict(|key| Ok::<_, CommitError>(state.current(key).map(|(at, _)| at)))?;
        if let Some(key) = conflict {
            return Err(CommitError::Conflict { key });
        }
        let revision = state.write(batch);
        // Still under the lock: watchers are notified in the order of the commits.
        self.publisher.publish(revision, batch);
        Ok(revision)
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

impl MemorySnapshot {
    pub(super) async fn get(&self, key: &Key) -> Result<Option<(Revision, Vec<u8>)>, ReadError> {
        self.read().await?;
        let state = lock(&self.shared);
        let version = state.keys.get(key).and_then(|versions| visible(versions, self.at));
        Ok(version.and_then(|version| Some((version.revision, version.value.as_ref()?.to_vec()))))
    }

    /// At most `limit` existing keys of `range`, each passed to `take` with revision and value.
    pub(super) async fn scan<T>(
        &self,
        range: &KeyRange,
        limit: usize,
        take: fn(Key, Revision, &[u8]) -> T,
    ) -> Result<Vec<T>, ReadError> {
        self.read().await?;
        if range.is_empty() {
            return Ok(Vec::new());
        }
        let state = lock(&self.shared);
        let found = state
            .range(range)
            .filter_map(|(key, versions)| {
                let version = visible(versions, self.at)?;
                Some(take(key.clone(), version.revision, version.value.as_ref()?))
            })
            .take(limit)
            .collect();
        Ok(found)
    }

    /// Waits or fails as the plan says.
    async fn read(&self) -> Result<(), ReadError> {
        let course = lock(&self.shared).plan.next_read();
        pending(course.before).await;
        match course.fault {
            Some(ReadFault::Failed) => Err(ReadError::Failed(INJECTED.into())),
            None | Some(ReadFault::Pending(_)) => Ok(()),
        }
    }
}

impl Drop for MemorySnapshot {
    fn drop(&mut self) {
        let mut state = lock(&self.shared);
        if let Some(count) = state.snapshots.get_mut(&self.at) {
            *count -= 1;
            if *count == 0 {
                state.snapshots.remove(&self.at);
            }
        }
    }
}

impl MemoryState {
    fn current(&self, key: &Key) -> Option<(Revision, &Arc<[u8]>)> {
        let newest = self.keys.get(key)?.last()?;
        Some((newest.revision, newest.value.as_ref()?))
    }

    fn range(&self, range: &KeyRange) -> impl Iterator<Item = (&Key, &Vec<Version>)> {
        let from = Key::from_stored(range.from());
        let to = Key::from_stored(range.to());
        self.keys.range((Bound::Included(from), Bound::Excluded(to)))
    }

    fn write(&mut self, batch: &Batch) -> Revision {
        self.revision += 1;
        let revision = Revision(self.revision);
        // A snapshot taken before this commit is at most one revision behind; versions that no snapshot
        // can see are dropped now.
        let oldest = self.snapshots.keys().next().copied().unwrap_or(revision);
        self.forget_removed(oldest);
        for range in batch.range_deletes.iter().filter(|range| !range.is_empty()) {
            let inside: Vec<Key> = self.range(range).map(|(key, _)| key.clone()).collect();
            for key in inside {
                self.remove(key, revision, oldest);
            }
        }
        for key in &batch.deletes {
            if self.keys.contains_key(key) {
                self.remove(key.clone(), revision, oldest);
            }
        }
        for (key, value) in &batch.puts {
            let value = Some(Arc::from(value.as_slice()));
            self.push(key.clone(), Version { revision, value }, oldest);
        }
        self.tally.puts += batch.puts.len() as u64;
        self.tally.deletes += batch.deletes.len() as u64;
        self.tally.range_deletes += batch.range_deletes.len() as u64;
        revision
    }

    fn remove(&mut self, key: Key, revision: Revision, oldest: Revision) {
        self.removed.push(key.clone());
        self.push(key, Version { revision, value: None }, oldest);
    }

    fn push(&mut self, key: Key, version: Version, oldest: Revision) {
        let versions = self.keys.entry(key).or_default();
        if versions.last().is_some_and(|newest| newest.revision == version.revision) {
            versions.pop();
        }
        versions.push(version);
        // All but the newest version that the oldest snapshot can see.
        let needless = versions.partition_point(|version| version.revision <= oldest);
        versions.drain(..needless.saturating_sub(1));
    }

    fn forget_removed(&mut self, oldest: Revision) {
        let keys = &mut self.keys;
        self.removed.retain(|key| {
            let Some([only]) = keys.get_mut(key).map(|versions| {
                let needless = versions.partition_point(|version| version.revision <= oldest);
                versions.drain(..needless.saturating_sub(1));
                versions.as_slice()
            }) else {
                return keys.contains_key(key);
            };
            if only.value.is_some() {
                return false;
            }
            if only.revision <= oldest {
                keys.remove(key);
                return false;
            }
            true
        });
    }
}

impl Batch {
    fn first_key(&self) -> Option<Key> {
        let expected = self.expectations.first().map(|(key, _)| key);
        expected.or_else(|| self.puts.first().map(|(key, _)| key)).cloned()
    }
}

fn visible(versions: &[Version], at: Revision) -> Option<&Version> {
    versions.iter().rev().find(|version| version.revision <= at)
}

fn lock(shared: &Mutex<MemoryState>) -> MutexGuard<'_, MemoryState> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

const INJECTED: &str = "a fault injected by a test";

#[cfg(test)]
mod tests {
    use crate::store::id::MountId;
    use tokio::sync::Notify;

    use super::super::{Store, key};
    use super::*;

    fn put(name: &str) -> Batch {
        Batch::new().put(key::role(&MountId::new([0; 16]), name), b"x".to_vec())
    }

    async fn names(store: &Store) -> usize {
        let range = key::roles(&MountId::new([0; 16])).range();
        store.snapshot().await.unwrap().keys(&range, 10).await.unwrap().len()
    }

    #[tokio::test]
    async fn every_injected_fault_has_its_documented_effect() {
        let conflict = CommitError::Conflict { key: key::role(&MountId::new([0; 16]), "b") };
        let table = [
            (CommitFault::Conflict, conflict, 1),
            (CommitFault::FailedNotDone, CommitError::NotDone(INJECTED.into()), 1),
            (CommitFault::LostRequest, CommitError::MaybeDone(INJECTED.into()), 1),
            (CommitFault::LostResponse, CommitError::MaybeDone(INJECTED.into()), 2),
        ];
        for (fault, expected, written) in table {
            let memory = Memory::new();
            let store = Store::danger_unsealed(memory.clone());
            memory.danger_inject(2, fault);
            store.commit(put("a")).await.unwrap();
            assert_eq!(store.commit(put("b")).await, Err(expected));
            assert_eq!(names(&store).await, written);
            store.commit(put("c")).await.unwrap();
            assert_eq!(names(&store).await, written + 1);
        }
    }

    #[tokio::test]
    async fn a_slow_commit_is_overtaken_and_is_written_when_it_is_notified() {
        let memory = Memory::new();
        let store = Store::danger_unsealed(memory.clone());
        let gate = Arc::new(Notify::new());
        memory.danger_inject(1, CommitFault::Slow(Arc::clone(&gate)));
        let slow = tokio::spawn({
            let store = store.clone();
            async move { store.commit(put("slow")).await.unwrap() }
        });
        while memory.tally().batches == 0 {
            tokio::task::yield_now().await;
        }
        let fast = store.commit(put("fast")).await.unwrap();
        gate.notify_one();
        assert!(slow.await.unwrap() > fast);
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_commit_is_slow_before_or_after_it_is_written() {
        for (fault, written) in [(CommitFault::Pending(200), 0), (CommitFault::Late(200), 1)] {
            let memory = Memory::new();
            let store = Store::danger_unsealed(memory.clone());
            memory.danger_inject(1, fault);
            let slow = tokio::spawn({
                let store = store.clone();
                async move { store.commit(put("slow")).await }
            });
            tokio::task::yield_now().await;
            assert_eq!(names(&store).await, written);
            slow.await.unwrap().unwrap();
            assert_eq!((names(&store).await, memory.failures()), (1, 0));
        }
    }

    #[tokio::test]
    async fn an_injected_read_fault_fails_one_read() {
        let memory = Memory::new();
        let store = Store::danger_unsealed(memory.clone());
        store.commit(put("a")).await.unwrap();
        memory.danger_inject_read(2, ReadFault::Failed);
        memory.danger_inject_read(3, ReadFault::Pending(2));
        let snapshot = store.snapshot().await.unwrap();
        let key = key::role(&MountId::new([0; 16]), "a");
        assert!(snapshot.get(&key).await.unwrap().is_some());
        assert_eq!(snapshot.get(&key).await, Err(ReadError::Failed(INJECTED.into())));
        assert!(snapshot.get(&key).await.unwrap().is_some());
        assert_eq!(memory.failures(), 1);
    }

    #[tokio::test]
    async fn the_writes_of_a_use_case_are_counted() {
        let memory = Memory::new();
        let store = Store::danger_unsealed(memory.clone());
        store.commit(put("a").delete(key::role(&MountId::new([0; 16]), "b"))).await.unwrap();
        let refused = put("c").expect_absent(key::role(&MountId::new([0; 16]), "a"));
        assert!(store.commit(refused).await.is_err());
        let expected = Tally { batches: 2, puts: 1, deletes: 1, range_deletes: 0 };
        assert_eq!(memory.tally(), expected);
    }

    #[tokio::test]
    async fn versions_that_no_snapshot_can_see_are_dropped() {
        let memory = Memory::new();
        let store = Store::danger_unsealed(memory.clone());
        for name in ["a", "b", "a"] {
            let _held = store.snapshot().await.unwrap();
            store.commit(put(name)).await.unwrap();
        }
        store
            .commit(Batch::new().delete_range(key::roles(&MountId::new([0; 16])).range()))
            .await
            .unwrap();
        store.commit(put("c")).await.unwrap();
        let state = lock(&memory.shared);
        assert_eq!(state.keys.len(), 1);
        assert!(state.snapshots.is_empty() && state.removed.is_empty());
    }
}
