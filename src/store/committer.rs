//! The one writer of a durable engine: many batches, one sync.
//!
//! Batches wait in a queue. A thread takes all pending ones (it never waits for more),
//! checks each against the disk and against the batches before it in the group, writes
//! the accepted ones as one synced write, and answers each caller. A conflict fails that batch
//! alone.
//!
//! | power is lost after | on disk | the caller's answer |
//! |---|---|---|
//! | the batch was queued or checked | nothing | nothing |
//! | the write, before the sync | the whole group or nothing of it | nothing |
//! | the sync | the whole group | nothing yet |
//! | the answer | the whole group | "done" |
//!
//! When a write or its sync fails, the state of the disk is unknown (the kernel may have
//! dropped the pages, and a second sync would succeed). So the committer answers the group with
//! [`CommitError::MaybeDone`], calls `on_fatal`, and ends. That function must end the process; the
//! next start reads what the disk holds.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use tokio::sync::{mpsc, oneshot};

use super::batch::{Batch, CommitError, Revision};
use super::key::{Key, KeyRange};
use super::revision_cache::RevisionCache;
use super::watch::Publisher;

/// What the committer writes to.
pub(super) trait DurableEngine: Send + 'static {
    /// The commit that last wrote `key`, if it has a value.
    fn revision_of(&self, key: &Key) -> Result<Option<Revision>, String>;

    /// Writes all batches, in this order, as one, and returns when they survive a loss of
    /// power. The last revision is that of the group.
    fn write(&self, group: &[(Revision, Batch)]) -> Result<(), String>;
}

/// The handle of the writing thread. Dropping it writes what is queued and waits for the thread.
#[derive(Debug)]
pub(super) struct Committer {
    sender: Option<mpsc::Sender<CommitRequest>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct CommitRequest {
    batch: Batch,
    answer: CommitReply,
}

/// The batch goes back to the caller's thread, which allocated it and frees it fastest.
type CommitReply = oneshot::Sender<Result<(Revision, Batch), CommitError>>;

/// The accepted batches, and their effect on each key.
#[derive(Default)]
struct Group {
    accepted: Vec<(Revision, Batch)>,
    answers: Vec<CommitReply>,
    bytes: usize,
    keys: HashMap<Key, (Revision, KeyChange)>,
    ranges: Vec<(Revision, KeyRange)>,
}

#[derive(Clone, Copy)]
enum KeyChange {
    Written,
    Removed,
}

impl Committer {
    /// Starts the thread. `last` is the newest revision on the disk; `on_fatal` is called at most
    /// once, on that thread, when a write failed.
    pub(super) fn start(
        disk: impl DurableEngine,
        last: Revision,
        observers: (Arc<RevisionCache>, Publisher),
        on_fatal: impl FnOnce(&str) + Send + 'static,
    ) -> io::Result<Self> {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let thread = thread::Builder::new().name("committer".into()).spawn(move || {
            if let Err(reason) = run(&disk, last, &observers, receiver) {
                on_fatal(&reason);
            }
        })?;
        Ok(Self { sender: Some(sender), thread: Some(thread) })
    }

    pub(super) async fn commit(&self, batch: Batch) -> Result<Revision, CommitError> {
        let (answer, answered) = oneshot::channel();
        let sender = self.sender.as_ref().ok_or(CommitError::Closed)?;
        // A request that cannot be queued was not seen by the thread.
        sender.send(CommitRequest { batch, answer }).await.map_err(|_| CommitError::Closed)?;
        match answered.await {
            Ok(answer) => answer.map(|(revision, _)| revision),
            Err(_) => Err(CommitError::MaybeDone(ENDED.into())),
        }
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        drop(self.sender.take());
        if let Some(thread) = self.thread.take() {
            // `on_fatal` runs on the thread itself and may drop the last handle.
            if thread.thread().id() != thread::current().id() {
                // The panic hook has reported a panic of the thread.
                let _ = thread.join();
            }
        }
    }
}

/// Returns when every sender is dropped, or with the reason when a write failed.
fn run(
    disk: &impl DurableEngine,
    mut last: Revision,
    (revisions, publisher): &(Arc<RevisionCache>, Publisher),
    mut queue: mpsc::Receiver<CommitRequest>,
) -> Result<(), String> {
    // Cleared after each write and reused, so that its tables keep their capacity.
    let mut group = Group::default();
    while let Some(first) = queue.blocking_recv() {
        let mut next = Some(first);
        let mut yields = 0;
        while let Some(request) = next {
            last = group.consider(request, last, (revisions, disk));
            next = if group.is_full() { None } else { next_pending(&mut queue, &mut yields) };
        }
        if group.accepted.is_empty() {
            continue;
        }
        if let Err(reason) = disk.write(&group.accepted) {
            for answer in group.answers {
                // A caller that is gone needs no answer, here and below.
                let _ = answer.send(Err(CommitError::MaybeDone(reason.clone())));
            }
            return Err(reason);
        }
        revisions.apply(&group.accepted);
        for ((revision, batch), answer) in group.accepted.drain(..).zip(group.answers.drain(..)) {
            publisher.publish(revision, &batch);
            let _ = answer.send(Ok((revision, batch)));
        }
        group.keys.clear();
        group.ranges.clear();
        group.bytes = 0;
    }
    Ok(())
}

/// The next pending batch. An empty queue first yields the processor to tasks that are about to send
/// one: on a busy machine more batches then share a sync, on an idle one this costs nothing.
fn next_pending(
    queue: &mut mpsc::Receiver<CommitRequest>,
    yields: &mut usize,
) -> Option<CommitRequest> {
    loop {
        if let Ok(request) = queue.try_recv() {
            return Some(request);
        }
        if *yields == YIELDS_PER_GROUP {
            return None;
        }
        *yields += 1;
        thread::yield_now();
    }
}

impl Group {
    /// Accepts the batch, or answers why not. Returns the newest revision.
    fn consider(
        &mut self,
        request: CommitRequest,
        last: Revision,
        (revisions, disk): (&RevisionCache, &impl DurableEngine),
    ) -> Revision {
        let CommitRequest { batch, answer } = request;
        match batch.conflict(|key| self.revision_of(key, revisions, disk)) {
            Err(reason) => {
                let _ = answer.send(Err(CommitError::NotDone(reason)));
                last
            }
            Ok(Some(key)) => {
                let _ = answer.send(Err(CommitError::Conflict { key }));
                last
            }
            Ok(None) => {
                // A batch that writes nothing gets no revision of its own.
                let revision = if batch.is_idle() { last } else { Revision(last.0 + 1) };
                self.accept(revision, batch, answer);
                revision
            }
        }
    }

    fn accept(&mut self, revision: Revision, batch: Batch, answer: CommitReply) {
        self.ranges.extend(batch.range_deletes.iter().map(|range| (revision, range.clone())));
        for key in &batch.deletes {
            self.keys.insert(key.clone(), (revision, KeyChange::Removed));
        }
        for (key, value) in &batch.puts {
            self.bytes += key.as_bytes().len() + value.len();
            self.keys.insert(key.clone(), (revision, KeyChange::Written));
        }
        self.accepted.push((revision, batch));
        self.answers.push(answer);
    }

    fn is_full(&self) -> bool {
        self.accepted.len() >= GROUP_BATCHES || self.bytes >= GROUP_BYTES
    }

    /// The revision `key` has once the accepted batches are written.
    fn revision_of(
        &self,
        key: &Key,
        revisions: &RevisionCache,
        disk: &impl DurableEngine,
    ) -> Result<Option<Revision>, String> {
        let change = self.keys.get(key);
        let deleted = self.ranges.iter().rev().find(|(_, range)| range.contains(key));
        // Inside one batch, range deletes come before the puts and deletes of single keys.
        match (change, deleted) {
            (Some((at, change)), deleted) if deleted.is_none_or(|(deletion, _)| deletion <= at) => {
                Ok(matches!(change, KeyChange::Written).then_some(*at))
            }
            (_, Some(_)) => Ok(None),
            (_, None) => match revisions.revision(key) {
                Some(revision) => Ok(Some(revision)),
                None => disk.revision_of(key),
            },
        }
    }
}

/// Batches that may be queued before callers wait.
const QUEUE: usize = 1024;
/// The most batches and bytes of one group: they bound how long the first one waits for the last one.
const GROUP_BATCHES: usize = 512;
const GROUP_BYTES: usize = 4 * 1024 * 1024;
/// How often a group yields to tasks that are about to send a batch.
const YIELDS_PER_GROUP: usize = 2;
const ENDED: &str = "the committer ended before it answered";

#[cfg(test)]
mod tests {
    use crate::store::id::MountId;
    use std::sync::mpsc as blocking;
    use std::sync::{Arc, Mutex};

    use super::super::key;
    use super::*;

    /// A disk that keeps nothing, waits at a gate before each write and fails on demand.
    struct Gated {
        gate: blocking::Receiver<Result<(), String>>,
        groups: Arc<Mutex<Vec<usize>>>,
    }

    impl DurableEngine for Gated {
        fn revision_of(&self, _: &Key) -> Result<Option<Revision>, String> {
            Ok(None)
        }

        fn write(&self, group: &[(Revision, Batch)]) -> Result<(), String> {
            self.groups.lock().unwrap().push(group.len());
            self.gate.recv().unwrap_or(Ok(()))
        }
    }

    struct Harness {
        committer: Arc<Committer>,
        gate: blocking::Sender<Result<(), String>>,
        groups: Arc<Mutex<Vec<usize>>>,
        fatal: blocking::Receiver<String>,
    }

    fn harness() -> Harness {
        let (gate, gated) = blocking::channel();
        let (report, fatal) = blocking::channel();
        let groups = Arc::new(Mutex::new(Vec::new()));
        let disk = Gated { gate: gated, groups: Arc::clone(&groups) };
        let committer = Committer::start(
            disk,
            Revision(7),
            (Arc::default(), Publisher::new()),
            move |reason: &str| {
                report.send(reason.to_owned()).unwrap();
            },
        );
        Harness { committer: Arc::new(committer.unwrap()), gate, groups, fatal }
    }

    fn put(name: &str) -> Batch {
        Batch::new().put(key::role(&MountId::new([0; 16]), name), b"x".to_vec())
    }

    #[tokio::test]
    async fn batches_that_wait_share_one_write() {
        let harness = harness();
        let mut waiting = tokio::task::JoinSet::new();
        let commit = |name: &str| {
            let (committer, batch) = (Arc::clone(&harness.committer), put(name));
            async move { committer.commit(batch).await }
        };
        waiting.spawn(commit("first"));
        // The first group waits at the gate; batches that are sent meanwhile form the second group.
        while harness.groups.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        for name in ["a", "b", "c"] {
            waiting.spawn(commit(name));
        }
        let sender = harness.committer.sender.as_ref().unwrap();
        while sender.capacity() > QUEUE - 3 {
            tokio::task::yield_now().await;
        }
        harness.gate.send(Ok(())).unwrap();
        harness.gate.send(Ok(())).unwrap();
        let mut revisions: Vec<_> =
            waiting.join_all().await.into_iter().map(|answer| answer.unwrap().number()).collect();
        revisions.sort_unstable();
        assert_eq!(revisions, [8, 9, 10, 11]);
        assert_eq!(*harness.groups.lock().unwrap(), [1, 3]);
    }

    #[tokio::test]
    async fn a_failed_sync_is_reported_to_the_caller_and_to_on_fatal() {
        let harness = harness();
        harness.gate.send(Err("input/output error".into())).unwrap();
        let answer = harness.committer.commit(put("a")).await;
        assert_eq!(answer, Err(CommitError::MaybeDone("input/output error".into())));
        assert_eq!(harness.fatal.recv().unwrap(), "input/output error");
        let after = harness.committer.commit(put("b")).await;
        assert!(matches!(after, Err(CommitError::Closed | CommitError::MaybeDone(_))));
        assert_eq!(*harness.groups.lock().unwrap(), [1], "nothing is written after a failure");
    }

    #[test]
    fn later_batches_of_a_group_see_the_earlier_ones() {
        let (_gate, gate) = blocking::channel();
        let disk = Gated { gate, groups: Arc::default() };
        let (mut group, revisions) = (Group::default(), RevisionCache::default());
        let role = |name| key::role(&MountId::new([0; 16]), name);
        let mut last = Revision(0);
        let mut consider = |batch: Batch| {
            let (answer, mut answered) = oneshot::channel();
            last = group.consider(CommitRequest { batch, answer }, last, (&revisions, &disk));
            answered.try_recv().ok().map(Result::unwrap_err)
        };
        let conflict = |name| Some(CommitError::Conflict { key: role(name) });
        let absent = |name| put(name).expect_absent(role(name));
        assert_eq!(consider(absent("a")), None, "revision 1");
        assert_eq!(consider(absent("a")), conflict("a"));
        assert_eq!(consider(put("a").expect(role("a"), Revision(1))), None, "revision 2");
        assert_eq!(consider(put("a").expect(role("a"), Revision(1))), conflict("a"));
        assert_eq!(consider(Batch::new().delete(role("a"))), None, "revision 3");
        assert_eq!(consider(absent("a")), None, "revision 4");
        let sweep = Batch::new().delete_range(key::roles(&MountId::new([0; 16])).range());
        assert_eq!(consider(sweep.clone().put(role("b"), vec![])), None, "revision 5");
        assert_eq!(consider(absent("b")), conflict("b"));
        assert_eq!(consider(absent("a")), None, "revision 6");
        assert_eq!(consider(sweep), None, "revision 7");
        assert_eq!(consider(absent("b")), None, "revision 8");
        assert_eq!(group.accepted.len(), 8);
    }
}
