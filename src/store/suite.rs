//! One suite of tests for every engine, bare and sealed.

use std::collections::BTreeMap;

use proptest::prelude::*;
use tempfile::TempDir;

use super::sealed::Seal;
use super::*;
use crate::entropy::Entropy;
use crate::store::id::{IssuerId, MountId};

/// A store under test, and its folder if it has one.
pub(super) struct Subject {
    store: Store,
    _folder: Option<TempDir>,
}

impl Subject {
    fn memory() -> (StorageEngine, Option<TempDir>) {
        (Memory::new().into(), None)
    }

    fn rocks() -> (StorageEngine, Option<TempDir>) {
        let folder = tempfile::tempdir().unwrap();
        let rocks = Rocks::open(folder.path(), |reason: &str| panic!("{reason}")).unwrap();
        (rocks.into(), Some(folder))
    }

    fn bare((engine, folder): (StorageEngine, Option<TempDir>)) -> Self {
        Self { store: Store::danger_unsealed(engine), _folder: folder }
    }

    async fn sealed((engine, folder): (StorageEngine, Option<TempDir>)) -> Self {
        let entropy = Entropy::danger_seeded(1);
        let sealed = Sealed::new(engine, Seal::ephemeral(&entropy), entropy);
        sealed.initialize(|_| Batch::new()).await.unwrap();
        sealed.unseal().await.unwrap();
        Self { store: sealed.into(), _folder: folder }
    }
}

macro_rules! suite {
    ($($name:ident)*) => {
        mod memory {
            use super::*;
            $(#[tokio::test] async fn $name() {
                super::$name(Subject::bare(Subject::memory()).store).await;
            })*
        }
        mod rocks {
            use super::*;
            $(#[tokio::test] async fn $name() {
                let subject = Subject::bare(Subject::rocks());
                super::$name(subject.store.clone()).await;
            })*
        }
        mod sealed_memory {
            use super::*;
            $(#[tokio::test] async fn $name() {
                super::$name(Subject::sealed(Subject::memory()).await.store).await;
            })*
        }
        mod sealed_rocks {
            use super::*;
            $(#[tokio::test] async fn $name() {
                let subject = Subject::sealed(Subject::rocks()).await;
                super::$name(subject.store.clone()).await;
            })*
        }
    };
}

suite! {
    a_committed_value_is_read_with_its_revision
    the_revision_of_a_key_follows_every_acknowledged_commit
    revisions_grow_by_commits_and_not_by_keys
    a_conflict_writes_nothing_and_names_the_key
    an_expectation_of_absence_holds_again_after_a_removal
    a_snapshot_does_not_change
    a_scan_is_ordered_and_bounded_and_continues_after_the_last_key
    keys_are_listed_in_the_order_of_a_scan
    a_scan_longer_than_what_memory_answers_is_complete
    a_range_delete_removes_a_mount_and_nothing_else
    a_batch_clears_a_range_before_it_writes_into_it
    an_empty_batch_and_an_empty_range_change_nothing
    of_many_batches_that_expect_absence_exactly_one_commits
    of_many_batches_that_expect_one_revision_exactly_one_commits
    a_watcher_gets_the_changes_of_its_prefix_in_commit_order
    a_watcher_that_lags_gets_an_error
    a_record_is_read_as_it_was_written
    a_value_may_be_empty_or_long
}

const MOUNT: &MountId = &MountId::new([7; 16]);
const OTHER: &MountId = &MountId::new([8; 16]);

fn role(name: &str) -> Key {
    key::role(MOUNT, name)
}

fn put(name: &str, value: &str) -> Batch {
    Batch::new().put(role(name), value.as_bytes().to_vec())
}

async fn read(store: &Store, key: &Key) -> Option<(Revision, Vec<u8>)> {
    store.snapshot().await.unwrap().get(key).await.unwrap()
}

async fn names(store: &Store) -> Vec<String> {
    let prefix = key::roles(MOUNT);
    let keys = store.snapshot().await.unwrap().keys(&prefix.range(), 100).await.unwrap();
    keys.iter().map(|key| String::from_utf8(prefix.rest(key).unwrap().to_vec()).unwrap()).collect()
}

async fn a_committed_value_is_read_with_its_revision(store: Store) {
    assert_eq!(read(&store, &role("a")).await, None);
    let revision = store.commit(put("a", "1")).await.unwrap();
    assert_eq!(read(&store, &role("a")).await, Some((revision, b"1".to_vec())));
    let later = store.commit(put("a", "2")).await.unwrap();
    assert!(later > revision);
    assert_eq!(read(&store, &role("a")).await, Some((later, b"2".to_vec())));
    store.commit(Batch::new().delete(role("a"))).await.unwrap();
    assert_eq!(read(&store, &role("a")).await, None);
}

async fn the_revision_of_a_key_follows_every_acknowledged_commit(store: Store) {
    assert_eq!(store.revision(&role("a")).await.unwrap(), None);
    for batch in [put("a", "1"), put("a", "2").put(role("b"), vec![]), put("c", "3")] {
        store.commit(batch).await.unwrap();
        for name in ["a", "b", "c"] {
            let read = read(&store, &role(name)).await.map(|(revision, _)| revision);
            // Read twice: the second answer may come from memory.
            assert_eq!(store.revision(&role(name)).await.unwrap(), read, "{name}");
            assert_eq!(store.revision(&role(name)).await.unwrap(), read, "{name}");
        }
    }
    store.commit(Batch::new().delete(role("a"))).await.unwrap();
    assert_eq!(store.revision(&role("a")).await.unwrap(), None);
    store.commit(Batch::new().delete_range(key::roles(MOUNT).range())).await.unwrap();
    assert_eq!(store.revision(&role("b")).await.unwrap(), None);
}

async fn revisions_grow_by_commits_and_not_by_keys(store: Store) {
    let one = store.commit(put("a", "1").put(role("b"), vec![2])).await.unwrap();
    assert_eq!(read(&store, &role("b")).await.unwrap().0, one);
    let conflict = store.commit(put("a", "2").expect_absent(role("a"))).await;
    assert!(conflict.is_err());
    let other = store.commit(put("c", "3")).await.unwrap();
    assert_eq!(other.number(), one.number() + 1);
    assert_eq!(read(&store, &role("a")).await.unwrap().0, one);
}

async fn a_conflict_writes_nothing_and_names_the_key(store: Store) {
    let first = store.commit(put("a", "1")).await.unwrap();
    let later = store.commit(put("a", "2")).await.unwrap();
    let refused = [
        (put("x", "1").expect_absent(role("a")), "a"),
        (put("x", "1").expect(role("a"), first), "a"),
        (put("x", "1").expect(role("b"), first), "b"),
        (put("x", "1").expect(role("a"), later).expect_absent(role("a")), "a"),
        (Batch::new().delete(role("a")).expect_unchanged(role("a"), None), "a"),
    ];
    for (batch, name) in refused {
        let conflict = CommitError::Conflict { key: role(name) };
        assert_eq!(store.commit(batch).await, Err(conflict));
    }
    assert_eq!(names(&store).await, ["a"]);
    let batch = put("x", "1").expect_unchanged(role("a"), Some(later)).expect_absent(role("x"));
    store.commit(batch).await.unwrap();
    assert_eq!(names(&store).await, ["a", "x"]);
}

async fn an_expectation_of_absence_holds_again_after_a_removal(store: Store) {
    for removal in
        [Batch::new().delete(role("a")), Batch::new().delete_range(key::roles(MOUNT).range())]
    {
        store.commit(put("a", "1").expect_absent(role("a"))).await.unwrap();
        store.commit(removal).await.unwrap();
    }
    store.commit(put("a", "1").expect_absent(role("a"))).await.unwrap();
}

async fn a_snapshot_does_not_change(store: Store) {
    let revision = store.commit(put("a", "1").put(role("b"), vec![1])).await.unwrap();
    let snapshot = store.snapshot().await.unwrap();
    store.commit(put("a", "2").put(role("c"), vec![1]).delete(role("b"))).await.unwrap();
    store.commit(Batch::new().delete_range(key::roles(MOUNT).range())).await.unwrap();
    store.commit(put("a", "3")).await.unwrap();
    assert_eq!(snapshot.get(&role("a")).await.unwrap(), Some((revision, b"1".to_vec())));
    let keys = snapshot.keys(&key::roles(MOUNT).range(), 10).await.unwrap();
    assert_eq!(keys, [role("a"), role("b")]);
    drop(snapshot);
    store.commit(put("d", "4")).await.unwrap();
    assert_eq!(names(&store).await, ["a", "d"]);
}

async fn a_scan_is_ordered_and_bounded_and_continues_after_the_last_key(store: Store) {
    for name in ["c", "a", "bb", "b"] {
        store
            .commit(put(name, name).put(key::issuer(MOUNT, &IssuerId::new([8; 16])), vec![]))
            .await
            .unwrap();
    }
    let snapshot = store.snapshot().await.unwrap();
    let range = key::roles(MOUNT).range();
    let page = snapshot.scan(&range, 3).await.unwrap();
    let values: Vec<_> = page.iter().map(|entry| entry.value.clone()).collect();
    assert_eq!(values, [b"a".to_vec(), b"b".to_vec(), b"bb".to_vec()]);
    let rest = snapshot.scan(&range.after(&page[2].key), 3).await.unwrap();
    assert_eq!(rest.len(), 1);
    assert_eq!((&rest[0].key, rest[0].value.as_slice()), (&role("c"), b"c".as_slice()));
    assert!(snapshot.scan(&key::roles(MOUNT).range(), 0).await.unwrap().is_empty());
}

async fn keys_are_listed_in_the_order_of_a_scan(store: Store) {
    store.commit(put("a", "1").put(role("b"), vec![])).await.unwrap();
    let snapshot = store.snapshot().await.unwrap();
    let range = key::everything_in(MOUNT).range();
    let entries = snapshot.scan(&range, 10).await.unwrap();
    let keys: Vec<_> = entries.into_iter().map(|entry| entry.key).collect();
    assert_eq!(snapshot.keys(&range, 10).await.unwrap(), keys);
    assert_eq!(snapshot.keys(&range, 1).await.unwrap(), keys[..1]);
}

async fn a_scan_longer_than_what_memory_answers_is_complete(store: Store) {
    let mut batch = Batch::new();
    for number in 0..1000_u32 {
        batch = batch.put(key::intent(MOUNT, &number.to_be_bytes()), vec![0; 100]);
    }
    store.commit(batch).await.unwrap();
    let snapshot = store.snapshot().await.unwrap();
    let range = key::intents(MOUNT).range();
    assert_eq!(snapshot.scan(&range, usize::MAX).await.unwrap().len(), 1000);
    assert_eq!(snapshot.keys(&range, 999).await.unwrap().len(), 999);
}

async fn a_range_delete_removes_a_mount_and_nothing_else(store: Store) {
    let mine = [role("a"), key::config(MOUNT, "urls"), key::certificate(MOUNT, &[0xff; 20])];
    let others = [key::role(OTHER, "a"), key::mount(MOUNT), key::role(&MountId::new([6; 16]), "z")];
    let mut batch = Batch::new();
    for key in mine.iter().chain(&others) {
        batch = batch.put(key.clone(), b"x".to_vec());
    }
    store.commit(batch).await.unwrap();
    store.commit(Batch::new().delete_range(key::everything_in(MOUNT).range())).await.unwrap();
    for key in &mine {
        assert_eq!(read(&store, key).await, None);
    }
    for key in &others {
        assert!(read(&store, key).await.is_some());
    }
}

async fn a_batch_clears_a_range_before_it_writes_into_it(store: Store) {
    store.commit(put("a", "1").put(role("b"), vec![])).await.unwrap();
    let batch = put("a", "2").delete(role("a")).delete_range(key::roles(MOUNT).range());
    let revision = store.commit(batch.put(role("a"), b"3".to_vec())).await.unwrap();
    assert_eq!(names(&store).await, ["a"]);
    assert_eq!(read(&store, &role("a")).await, Some((revision, b"3".to_vec())));
    // The next batch must expect the revision of the value written into the range.
    store.commit(put("a", "4").expect(role("a"), revision)).await.unwrap();
}

async fn an_empty_batch_and_an_empty_range_change_nothing(store: Store) {
    store.commit(put("a", "1")).await.unwrap();
    store.commit(Batch::new()).await.unwrap();
    let nothing = key::roles(MOUNT).range().after(&key::config(OTHER, "z"));
    assert!(nothing.is_empty());
    store.commit(Batch::new().delete_range(nothing.clone())).await.unwrap();
    let snapshot = store.snapshot().await.unwrap();
    assert!(snapshot.keys(&nothing, 10).await.unwrap().is_empty());
    assert_eq!(names(&store).await, ["a"]);
}

async fn of_many_batches_that_expect_absence_exactly_one_commits(store: Store) {
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..32 {
        let store = store.clone();
        let batch = put("a", &number.to_string()).expect_absent(role("a"));
        tasks.spawn(async move { store.commit(batch).await });
    }
    let answers = tasks.join_all().await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
    let conflict = Err(CommitError::Conflict { key: role("a") });
    assert_eq!(answers.iter().filter(|answer| **answer == conflict).count(), 31);
}

async fn of_many_batches_that_expect_one_revision_exactly_one_commits(store: Store) {
    store.commit(put("counter", "")).await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let store = store.clone();
        tasks.spawn(async move {
            // Read, decide, commit; start again with a new snapshot on a conflict.
            loop {
                let snapshot = store.snapshot().await.unwrap();
                let (revision, mut value) = snapshot.get(&role("counter")).await.unwrap().unwrap();
                value.push(b'|');
                let batch = Batch::new().put(role("counter"), value);
                match store.commit(batch.expect(role("counter"), revision)).await {
                    Ok(_) => break,
                    Err(CommitError::Conflict { .. }) => tokio::task::yield_now().await,
                    Err(error) => panic!("{error}"),
                }
            }
        });
    }
    tasks.join_all().await;
    assert_eq!(read(&store, &role("counter")).await.unwrap().1, b"||||||||");
}

async fn a_watcher_gets_the_changes_of_its_prefix_in_commit_order(store: Store) {
    let mut watch = store.watch(key::roles(MOUNT));
    let mut elsewhere = store.watch(key::roles(OTHER));
    let first = store.commit(put("a", "1").put(key::role(OTHER, "x"), vec![])).await.unwrap();
    store.commit(Batch::new().put(key::config(MOUNT, "urls"), vec![])).await.unwrap();
    let third = store.commit(Batch::new().delete(role("a")).delete(role("b"))).await.unwrap();
    let whole = key::everything_in(MOUNT).range();
    let fourth = store.commit(Batch::new().delete_range(whole.clone())).await.unwrap();
    let change =
        |revision| Change { revision, written: vec![], deleted: vec![], deleted_ranges: vec![] };
    let expected = [
        Change { written: vec![role("a")], ..change(first) },
        Change { deleted: vec![role("a"), role("b")], ..change(third) },
        Change { deleted_ranges: vec![whole], ..change(fourth) },
    ];
    for expected in expected {
        assert_eq!(watch.next().await.unwrap(), expected);
    }
    assert_eq!(elsewhere.next().await.unwrap().written, [key::role(OTHER, "x")]);
}

async fn a_watcher_that_lags_gets_an_error(store: Store) {
    let mut watch = store.watch(key::roles(MOUNT));
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..1500 {
        let store = store.clone();
        tasks.spawn(async move { store.commit(put(&number.to_string(), "")).await.unwrap() });
    }
    let newest = tasks.join_all().await.into_iter().max().unwrap();
    assert_eq!(watch.next().await, Err(WatchError::Lagged));
    let mut last = watch.next().await.unwrap().revision;
    while last < newest {
        let next = watch.next().await.unwrap().revision;
        assert!(next > last);
        last = next;
    }
}

async fn a_record_is_read_as_it_was_written(store: Store) {
    #[derive(Debug, PartialEq, minicbor::Encode, minicbor::Decode)]
    #[cbor(map)]
    struct Sample {
        #[n(0)]
        name: String,
    }
    impl Record for Sample {}
    let sample = Sample { name: "web".into() };
    let revision = store.commit(Batch::new().put_record(role("a"), &sample)).await.unwrap();
    store.commit(put("b", "\u{2}")).await.unwrap();
    let snapshot = store.snapshot().await.unwrap();
    assert_eq!(snapshot.record(&role("a")).await.unwrap(), Some((revision, sample)));
    assert_eq!(snapshot.record::<Sample>(&role("c")).await.unwrap(), None);
    let damaged = snapshot.record::<Sample>(&role("b")).await.unwrap_err();
    assert!(matches!(damaged, ReadError::Damaged { key, .. } if key == role("b")));
}

async fn a_value_may_be_empty_or_long(store: Store) {
    let long = vec![0xa5; 3 << 20];
    let batch = Batch::new().put(role("empty"), vec![]).put(role("long"), long.clone());
    store.commit(batch).await.unwrap();
    assert_eq!(read(&store, &role("empty")).await.unwrap().1, b"");
    assert!(read(&store, &role("long")).await.unwrap().1 == long);
}

#[derive(Clone, Debug)]
enum Step {
    Put(u8, u8),
    Delete(u8),
    DeleteAfter(u8),
}

fn steps() -> impl Strategy<Value = Vec<Vec<Step>>> {
    let step = prop_oneof![
        4 => (0u8..8, any::<u8>()).prop_map(|(name, value)| Step::Put(name, value)),
        2 => (0u8..8).prop_map(Step::Delete),
        1 => (0u8..8).prop_map(Step::DeleteAfter),
    ];
    proptest::collection::vec(proptest::collection::vec(step, 0..4), 1..30)
}

fn apply(model: &mut BTreeMap<Vec<u8>, u8>, steps: &[Step]) -> Batch {
    let family = key::roles(MOUNT);
    let mut batch = Batch::new();
    for step in steps {
        batch = match step {
            Step::Put(name, value) => batch.put(family.with(&[*name]), vec![*value]),
            Step::Delete(name) => batch.delete(family.with(&[*name])),
            Step::DeleteAfter(name) => {
                batch.delete_range(family.range().after(&family.with(&[*name])))
            }
        };
    }
    for range in &batch.range_deletes {
        model.retain(|name, _| !range.contains(&family.with(name)));
    }
    for key in &batch.deletes {
        model.remove(family.rest(key).unwrap());
    }
    for (key, value) in &batch.puts {
        model.insert(family.rest(key).unwrap().to_vec(), value[0]);
    }
    batch
}

async fn agrees_with_the_model(subject: Subject, batches: Vec<Vec<Step>>) {
    let family = key::roles(MOUNT);
    let mut model = BTreeMap::new();
    let mut kept = Vec::new();
    for steps in &batches {
        subject.store.commit(apply(&mut model, steps)).await.unwrap();
        for name in 0..8 {
            let found = subject.store.revision(&family.with(&[name])).await.unwrap();
            assert_eq!(found.is_some(), model.contains_key(&[name][..]));
        }
        kept.push((subject.store.snapshot().await.unwrap(), model.clone()));
        if kept.len() > 3 {
            kept.remove(0);
        }
    }
    for (snapshot, model) in kept {
        let entries = snapshot.scan(&family.range(), 100).await.unwrap();
        let found: BTreeMap<_, _> = entries
            .iter()
            .map(|entry| (family.rest(&entry.key).unwrap().to_vec(), entry.value[0]))
            .collect();
        assert_eq!(found, model);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn every_engine_agrees_with_a_plain_map(batches in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            agrees_with_the_model(Subject::bare(Subject::memory()), batches.clone()).await;
            agrees_with_the_model(Subject::bare(Subject::rocks()), batches.clone()).await;
            agrees_with_the_model(Subject::sealed(Subject::rocks()).await, batches).await;
        });
    }
}

#[tokio::test]
async fn a_watcher_of_a_closed_store_gets_an_error() {
    for (engine, _folder) in [Subject::memory(), Subject::rocks()] {
        let store = Store::danger_unsealed(engine);
        let mut watch = store.watch(key::roles(MOUNT));
        drop(store);
        assert_eq!(watch.next().await, Err(WatchError::Closed));
    }
}

#[test]
fn a_batch_and_an_entry_never_print_a_value() {
    let batch = put("a", "hunter2");
    assert!(!format!("{batch:?}").contains("hunter2"));
    assert!(!format!("{batch:?}").contains("104, 117"));
    let entry = Entry { key: role("a"), revision: Revision(1), value: b"hunter2".to_vec() };
    assert!(format!("{entry:?}").ends_with("value: 7 }"));
}
