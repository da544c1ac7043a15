//! The one writer of a durable engine: many batches, one sync.
//!
//! Batches wait in a queue. A thread of its own takes all that wait (it never waits for more),
//! checks each against the disk and against the batches before it in the group, writes
//! the accepted ones as one synced write, and answers each caller. A conflict fails that batch
//! alone.
//!
//! | power goes after | on disk | the caller was told |
//! |---|---|---|
//! | the batch was queued or checked | nothing | nothing |
//! | the write, before the sync | the whole group or nothing of it | nothing |
//! | the sync | the whole group | nothing yet |
//! | the answer | the whole group | "done" |
//!
//! When a write or its sync fails, nobody can say what the disk holds (the kernel may have
//! dropped the pages and a second sync would succeed). So the committer tells the group that
//! nothing is known, calls the one function given for that, and ends. Whoever
//! gave that function must end the process; the next start reads what is really there.

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
    /// The commit that last wrote `key`, if it holds something.
    fn revision_of(&self, key: &Key) -> Result<Option<Revision>, String>;

    /// Writes all batches, in this order, as one, and returns when they survive a loss of
    /// power. The last revision is that of the group.
    fn write(&self, group: &[(Revision, Batch)]) -> Result<(), String>;
}

/// The way to the writing thread. Dropping it finishes what is queued and waits for the thread.
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

/// What was written goes back to the caller's thread, which made it and is the fastest to free it.
type CommitReply = oneshot::Sender<Result<(Revision, Batch), CommitError>>;

/// Batches that were accepted, and what they will have done to each key.
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
        told: (Arc<RevisionCache>, Publisher),
        on_fatal: impl FnOnce(&str) + Send + 'static,
    ) -> io::Result<Self> {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let thread = thread::Builder::new().name("committer".into()).spawn(move || {
            if let Err(reason) = run(&disk, last, &told, receiver) {
                on_fatal(&reason);
            }
        })?;
        Ok(Self { sender: Some(sender), thread: Some(thread) })
    }

    pub(super) async fn commit(&self, batch: Batch) -> Result<Revision, CommitError> {
        let (answer, answered) = oneshot::channel();
        let sender = self.sender.as_ref().ok_or(CommitError::Closed)?;
        // What cannot be queued was not seen by the thread.
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
            // `on_fatal` runs on the thread itself and may be what drops the last handle.
            if thread.thread().id() != thread::current().id() {
                // A panic of the thread was reported by the panic hook already.
                let _ = thread.join();
            }
        }
    }
}

/// Ends well when every sender is gone, badly when a write failed.
fn run(
    disk: &impl DurableEngine,
    mut last: Revision,
    (revisions, publisher): &(Arc<RevisionCache>, Publisher),
    mut queue: mpsc::Receiver<CommitRequest>,
) -> Result<(), String> {
    // Emptied after each write; its tables have grown to what a group needs.
    let mut group = Group::default();
    while let Some(first) = queue.blocking_recv() {
        let mut next = Some(first);
        let mut turns = 0;
        while let Some(request) = next {
            last = group.consider(request, last, (revisions, disk));
            next = if group.is_full() { None } else { waiting(&mut queue, &mut turns) };
        }
        if group.accepted.is_empty() {
            continue;
        }
        if let Err(reason) = disk.write(&group.accepted) {
            for answer in group.answers {
                // A caller who went away needs no answer, here and below.
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

/// The next batch that waits. When none does, whoever is about to send one gets the processor
/// first: on a busy machine a sync is then shared by many, on an idle one this costs nothing.
fn waiting(queue: &mut mpsc::Receiver<CommitRequest>, turns: &mut usize) -> Option<CommitRequest> {
    loop {
        if let Ok(request) = queue.try_recv() {
            return Some(request);
        }
        if *turns == YIELDS_PER_GROUP {
            return None;
        }
        *turns += 1;
        thread::yield_now();
    }
}

impl Group {
    /// Takes the batch in, or answers why not. The newest revision is the result.
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
                // What writes nothing has no commit of its own.
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
        let named = self.keys.get(key);
        let swept = self.ranges.iter().rev().find(|(_, range)| range.contains(key));
        // Inside one batch a range delete comes before what names the key.
        match (named, swept) {
            (Some((at, touch)), swept) if swept.is_none_or(|(sweep, _)| sweep <= at) => {
                Ok(matches!(touch, KeyChange::Written).then_some(*at))
            }
            (_, Some(_)) => Ok(None),
            (_, None) => match revisions.revision(key) {
                Some(revision) => Ok(Some(revision)),
                None => disk.revision_of(key),
            },
        }
    }
}

/// Batches that may wait before callers have to.
const QUEUE: usize = 1024;
/// Most batches and bytes of one group: bounds how long the first one waits for the last one.
const GROUP_BATCHES: usize = 512;
const GROUP_BYTES: usize = 4 * 1024 * 1024;
/// How often a group gives way to those who are about to join it.
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

    struct Bench {
        committer: Arc<Committer>,
        gate: blocking::Sender<Result<(), String>>,
        groups: Arc<Mutex<Vec<usize>>>,
        fatal: blocking::Receiver<String>,
    }

    fn bench() -> Bench {
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
        Bench { committer: Arc::new(committer.unwrap()), gate, groups, fatal }
    }

    fn put(name: &str) -> Batch {
        Batch::new().put(key::role(&MountId::new([0; 16]), name), b"x".to_vec())
    }

    #[tokio::test]
    async fn batches_that_wait_share_one_write() {
        let bench = bench();
        let mut waiting = tokio::task::JoinSet::new();
        let commit = |name: &str| {
            let (committer, batch) = (Arc::clone(&bench.committer), put(name));
            async move { committer.commit(batch).await }
        };
        waiting.spawn(commit("first"));
        // The first group stands at the gate; what comes meanwhile is the second group.
        while bench.groups.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        for name in ["a", "b", "c"] {
            waiting.spawn(commit(name));
        }
        let sender = bench.committer.sender.as_ref().unwrap();
        while sender.capacity() > QUEUE - 3 {
            tokio::task::yield_now().await;
        }
        bench.gate.send(Ok(())).unwrap();
        bench.gate.send(Ok(())).unwrap();
        let mut revisions: Vec<_> =
            waiting.join_all().await.into_iter().map(|answer| answer.unwrap().number()).collect();
        revisions.sort_unstable();
        assert_eq!(revisions, [8, 9, 10, 11]);
        assert_eq!(*bench.groups.lock().unwrap(), [1, 3]);
    }

    #[tokio::test]
    async fn a_failed_sync_is_told_to_the_caller_and_to_the_one_function() {
        let bench = bench();
        bench.gate.send(Err("input/output error".into())).unwrap();
        let answer = bench.committer.commit(put("a")).await;
        assert_eq!(answer, Err(CommitError::MaybeDone("input/output error".into())));
        assert_eq!(bench.fatal.recv().unwrap(), "input/output error");
        let after = bench.committer.commit(put("b")).await;
        assert!(matches!(after, Err(CommitError::Closed | CommitError::MaybeDone(_))));
        assert_eq!(*bench.groups.lock().unwrap(), [1], "nothing is written after a failure");
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
