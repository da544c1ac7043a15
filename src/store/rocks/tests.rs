use std::os::unix::fs::PermissionsExt;

use super::super::sealed::{Seal, StaticKey};
use super::super::{Sealed, Store};
use super::*;
use crate::entropy::Entropy;
use crate::secret::Secret;
use crate::store::id::{KeyId, MountId};

const MOUNT: &MountId = &MountId::new([7; 16]);

fn open(folder: &Path) -> Store {
    Store::danger_unsealed(Rocks::open(folder, |reason: &str| panic!("{reason}")).unwrap())
}

fn put(name: &str) -> Batch {
    Batch::new().put(key::role(MOUNT, name), name.as_bytes().to_vec())
}

#[tokio::test]
async fn revisions_and_values_survive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (mut last, mut newest) = (Revision(0), Revision(0));
    for round in 0..3 {
        let store = open(folder.path());
        let snapshot = store.snapshot().await.unwrap();
        let roles = snapshot.scan(&key::roles(MOUNT).range(), 10).await.unwrap();
        assert_eq!(roles.len(), round);
        assert_eq!(roles.iter().map(|role| role.revision).max().unwrap_or_default(), last);
        last = store.commit(put(&round.to_string())).await.unwrap();
        assert!(last > newest, "{last:?} was given before");
        // A removal raises the revision too, and leaves no record that says so.
        store.commit(put("gone")).await.unwrap();
        newest = store.commit(Batch::new().delete(key::role(MOUNT, "gone"))).await.unwrap();
        assert_eq!(newest.number(), last.number() + 2);
        // A batch that writes nothing gets no revision of its own: RocksDB does not count it either.
        let looked = store.commit(Batch::new().expect_absent(key::role(MOUNT, "gone"))).await;
        assert_eq!(looked.unwrap(), newest);
    }
}

#[tokio::test]
async fn revisions_of_the_first_format_are_never_reused() {
    let folder = tempfile::tempdir().unwrap();
    let header = [&[FIRST_FORMAT][..], &1000_u64.to_be_bytes()].concat();
    DB::open(&options(), folder.path()).unwrap().put(key::header().as_bytes(), header).unwrap();
    let mut last = Revision(1000);
    for _ in 0..3 {
        let next = open(folder.path()).commit(put("web")).await.unwrap();
        assert!(next > last, "{next:?} after {last:?}");
        last = next;
    }
}

#[tokio::test]
async fn a_group_is_written_in_the_order_of_its_batches_where_that_matters() {
    let folder = tempfile::tempdir().unwrap();
    let database = {
        let lock = lock(folder.path()).unwrap();
        Arc::new(Database { rocksdb: DB::open(&options(), folder.path()).unwrap(), _lock: lock })
    };
    let value = |text: &str| Batch::new().put(key::role(MOUNT, "a"), text.into());
    database.write(&[(Revision(1), value("old")), (Revision(2), value("new"))]).unwrap();
    let stored = |name| database.revision_of(&key::role(MOUNT, name)).unwrap();
    assert_eq!(stored("a"), Some(Revision(2)), "of two puts the later one");
    let removal = Batch::new().delete(key::role(MOUNT, "a"));
    database.write(&[(Revision(3), put("b")), (Revision(4), removal.clone())]).unwrap();
    assert_eq!((stored("a"), stored("b")), (None, Some(Revision(3))));
    database.write(&[(Revision(5), removal), (Revision(6), value("again"))]).unwrap();
    assert_eq!(stored("a"), Some(Revision(6)));
}

#[tokio::test]
async fn opening_a_store_twice_fails_with_a_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let refused = Rocks::open(folder.path(), |_: &str| {}).unwrap_err();
    assert!(matches!(refused, OpenError::InUse(_)));
    assert!(refused.to_string().contains("give this one another storage path"));
    drop(store);
    open(folder.path());
}

#[test]
fn a_new_folder_is_for_its_owner_alone() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("data");
    open(&folder);
    let mode = fs::metadata(&folder).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[test]
fn refuses_a_folder_that_cannot_be_created_a_database_of_another_program_and_a_newer_format() {
    let parent = tempfile::tempdir().unwrap();
    let file = parent.path().join("file");
    fs::write(&file, b"").unwrap();
    let refused = Rocks::open(&file.join("data"), |_: &str| {}).unwrap_err();
    assert!(matches!(refused, OpenError::Folder(..)));

    let strange = parent.path().join("strange");
    DB::open(&options(), &strange).unwrap().put(b"a", b"b").unwrap();
    let refused = Rocks::open(&strange, |_: &str| {}).unwrap_err();
    assert!(matches!(refused, OpenError::Foreign(_)));

    let newer = parent.path().join("newer");
    DB::open(&options(), &newer).unwrap().put(key::header().as_bytes(), [3, 0]).unwrap();
    let refused = Rocks::open(&newer, |_: &str| {}).unwrap_err();
    assert!(matches!(refused, OpenError::UnknownFormat(_, 3)));
}

#[tokio::test]
async fn a_record_shorter_than_its_revision_is_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let role = key::role(MOUNT, "web");
    drop(open(folder.path()));
    DB::open(&options(), folder.path()).unwrap().put(role.as_bytes(), [1, 2, 3]).unwrap();
    let store = open(folder.path());
    let snapshot = store.snapshot().await.unwrap();
    let refused = snapshot.get(&role).await;
    assert!(matches!(refused, Err(ReadError::Damaged { .. })), "{refused:?}");
    let refused = store.commit(put("a").expect_absent(role)).await;
    assert!(matches!(refused, Err(CommitError::NotDone(_))), "{refused:?}");
}

#[tokio::test]
async fn evicted_blocks_are_read_from_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for number in 0..50_u32 {
        let mut batch = Batch::new();
        for index in 0..20_u32 {
            let serial = [number.to_be_bytes(), index.to_be_bytes()].concat();
            batch = batch.put(key::intent(MOUNT, &serial), vec![7; 2000]);
        }
        store.commit(batch).await.unwrap();
    }
    drop(store);
    let rocks = Rocks::open(folder.path(), |_: &str| {}).unwrap();
    rocks.flush().unwrap();
    drop(rocks);
    // An empty cache: the first read must go to the disk.
    let store = open(folder.path());
    let snapshot = store.snapshot().await.unwrap();
    let one = key::intent(MOUNT, &[0, 0, 0, 31, 0, 0, 0, 7]);
    assert_eq!(snapshot.get(&one).await.unwrap().unwrap().1, vec![7; 2000]);
    let intents = key::intents(MOUNT).range();
    assert_eq!(snapshot.scan(&intents, 100).await.unwrap().len(), 100);
    assert_eq!(snapshot.keys(&intents, usize::MAX).await.unwrap().len(), 1000);
}

/// The seal of the databases in `testdata/`: 32 bytes of 42.
fn sample_seal() -> Seal {
    let current = StaticKey { id: "sample".into(), key: Secret::boxed(&[42; 32]) };
    Seal::Static { current, previous: None }
}

fn sample_folder(format: u8) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("testdata/store-v{format}"))
}

fn sample_keys() -> [Key; 5] {
    [
        key::cluster(),
        key::mount(MOUNT),
        key::role(MOUNT, "web"),
        key::private_key(MOUNT, &KeyId::new([9; 16])),
        key::certificate(MOUNT, &[0x11; 20]),
    ]
}

async fn sample(folder: &Path) -> (Rocks, Store) {
    let rocks = Rocks::open(folder, |reason: &str| panic!("{reason}")).unwrap();
    let sealed = Sealed::new(rocks.clone(), sample_seal(), Entropy::System);
    if !sealed.status().await.unwrap().initialized {
        sealed.initialize(|_| Batch::new()).await.unwrap();
    }
    sealed.unseal().await.unwrap();
    (rocks, sealed.into())
}

#[tokio::test]
async fn a_database_of_every_format_loads() {
    for format in FIRST_FORMAT..=FORMAT {
        let copy = tempfile::tempdir().unwrap();
        for entry in fs::read_dir(sample_folder(format)).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
        }
        let (_rocks, store) = sample(copy.path()).await;
        let snapshot = store.snapshot().await.unwrap();
        let mut newest = Revision(0);
        for (number, key) in sample_keys().into_iter().enumerate() {
            let (revision, value) = snapshot.get(&key).await.unwrap().unwrap();
            assert_eq!(value, format!("sample {number}").into_bytes(), "format {format}");
            assert!(revision > newest);
            newest = revision;
        }
        let token = store.hmac(b"hvs.sample").unwrap();
        let (revision, _) = snapshot.get(&key::token(&token)).await.unwrap().unwrap();
        assert!(revision > newest);
        assert!(store.commit(put("next")).await.unwrap() > revision);
    }
}

/// Writes `testdata/store-v…`. Only for a new format, into a new folder: the old ones stay.
#[tokio::test]
#[ignore = "writes testdata; run by hand when the format rises"]
async fn makes_the_sample_database() {
    let work = tempfile::tempdir().unwrap();
    let (rocks, store) = sample(work.path()).await;
    for (number, key) in sample_keys().into_iter().enumerate() {
        let value = format!("sample {number}").into_bytes();
        store.commit(Batch::new().put(key, value)).await.unwrap();
    }
    let token = key::token(&store.hmac(b"hvs.sample").unwrap());
    store.commit(Batch::new().put(token, vec![])).await.unwrap();
    rocks.flush().unwrap();
    drop((rocks, store));
    fs::create_dir(sample_folder(FORMAT)).unwrap();
    for entry in fs::read_dir(work.path()).unwrap() {
        let (name, path) = entry.map(|entry| (entry.file_name(), entry.path())).unwrap();
        let text = name.to_string_lossy().into_owned();
        let kept = ["CURRENT", "IDENTITY", "MANIFEST"].iter().any(|start| text.starts_with(start));
        if kept || text.ends_with(".sst") {
            fs::copy(path, sample_folder(FORMAT).join(name)).unwrap();
        }
    }
}
