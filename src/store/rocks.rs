//! The embedded engine: RocksDB with one committer (`docs/design.md`, "One writer, one sync per group").
//!
//! A value on disk is the revision that wrote it, 8 bytes big-endian, then the bytes. The
//! header under the engine's own key holds the format of the database. Revisions follow RocksDB's
//! own sequence numbers, so they never fall. Start reading at [`Rocks::open`].
//!
//! Memory is bounded: memtables are charged to the block cache, indexes and filters are in
//! it. Bloom filters over whole keys show that a serial is new without a read.
//!
//! Not promised: protection from an attacker who can write to the folder.

use std::fmt;
use std::fs::{self, DirBuilder, File, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rocksdb::{DB, ErrorKind, ReadOptions, ReadTier, Snapshot as Frozen, WriteBatch};
use rustix::fs::OFlags;
use self_cell::self_cell;

use super::batch::{Batch, CommitError, ReadError, Revision};
use super::committer::{Committer, DurableEngine};
use super::key::{self, Key, KeyRange, Prefix};
use super::revision_cache::RevisionCache;
use super::watch::{Publisher, Watch};

mod journal;
mod tuning;

use tuning::{options, synced};

/// A store in a folder of this machine. Clones are the same store; dropping the last one,
/// and the last snapshot, finishes what is queued and closes the database.
#[derive(Clone, Debug)]
pub struct Rocks {
    // Dropped first: the committer ends before the database closes.
    committer: Arc<Committer>,
    database: Arc<Database>,
    revisions: Arc<RevisionCache>,
    publisher: Publisher,
}

/// Why a folder could not be opened as a store.
#[derive(Debug)]
pub enum OpenError {
    /// Another process has it open.
    InUse(PathBuf),
    /// The folder could not be created or locked.
    Folder(PathBuf, io::Error),
    /// RocksDB could not open it.
    Engine(PathBuf, String),
    /// It is a RocksDB database of another program.
    Foreign(PathBuf),
    /// Its format is unknown to this version.
    UnknownFormat(PathBuf, u8),
    /// This file of it is damaged from this byte on.
    Damaged(PathBuf, usize),
}

/// The store as it was at one moment.
#[derive(Clone, Debug)]
pub(super) struct RocksSnapshot(Arc<OwnedSnapshot>);

/// The open database and the lock on its folder; the lock is released last.
struct Database {
    rocksdb: DB,
    _lock: File,
}

self_cell!(
    struct OwnedSnapshot {
        owner: Arc<Database>,
        #[covariant]
        dependent: Frozen,
    }
);

/// Whether a read may block.
#[derive(Clone, Copy)]
enum Effort {
    /// Reads memory only and never blocks the thread.
    Memory,
    /// Reads the disk too.
    DurableEngine,
}

impl Rocks {
    /// Opens the store in `folder`, which is created with mode 0700 if it does not exist. Blocks.
    ///
    /// `on_fatal` is called when a write failed and the state of the disk is unknown: it must
    /// end the process.
    ///
    /// # Errors
    /// See [`OpenError`]; each text names what to do.
    pub fn open(
        folder: &Path,
        on_fatal: impl FnOnce(&str) + Send + 'static,
    ) -> Result<Self, OpenError> {
        let lock = lock(folder)?;
        let engine =
            |error: &dyn fmt::Display| OpenError::Engine(folder.to_owned(), error.to_string());
        journal::check(folder)?;
        let rocksdb = DB::open(&options(), folder).map_err(|error| engine(&error))?;
        let database = Arc::new(Database { rocksdb, _lock: lock });
        let last = database.prepare(folder)?;
        let publisher = Publisher::new();
        let revisions = Arc::new(RevisionCache::default());
        let observers = (Arc::clone(&revisions), publisher.clone());
        let committer = Committer::start(Arc::clone(&database), last, observers, on_fatal)
            .map_err(|error| engine(&error))?;
        Ok(Self { committer: Arc::new(committer), database, revisions, publisher })
    }

    pub(super) fn snapshot(&self) -> RocksSnapshot {
        let database = Arc::clone(&self.database);
        RocksSnapshot(Arc::new(OwnedSnapshot::new(database, |database| {
            database.rocksdb.snapshot()
        })))
    }

    pub(super) async fn revision(&self, key: &Key) -> Result<Option<Revision>, ReadError> {
        if let Some(revision) = self.revisions.revision(key) {
            return Ok(Some(revision));
        }
        let ticket = self.revisions.begin_fill(key);
        let read = self.snapshot().get(key).await?.map(|(revision, _)| revision);
        self.revisions.fill(key, ticket, read);
        Ok(read)
    }

    pub(super) fn watch(&self, prefix: Prefix) -> Watch {
        self.publisher.watch(prefix)
    }

    pub(super) async fn commit(&self, batch: Batch) -> Result<Revision, CommitError> {
        self.committer.commit(batch).await
    }

    /// An upper bound of the values that were ever written: RocksDB numbers every write and removal.
    pub(super) fn written(&self) -> u64 {
        self.database.rocksdb.latest_sequence_number()
    }

    /// Writes what is in memory into table files, so that the log is empty: before the folder
    /// is copied. Blocks.
    ///
    /// # Errors
    /// The engine's text, if the disk refuses.
    pub fn flush(&self) -> Result<(), String> {
        self.database.rocksdb.flush().map_err(|error| error.to_string())
    }
}

impl RocksSnapshot {
    pub(super) async fn get(&self, key: &Key) -> Result<Option<(Revision, Vec<u8>)>, ReadError> {
        if let Some(answer) = self.look_up(key, Effort::Memory)? {
            return Ok(answer);
        }
        let (snapshot, key) = (self.clone(), key.clone());
        on_the_disk(move || Ok(snapshot.look_up(&key, Effort::DurableEngine)?.flatten())).await
    }

    /// At most `limit` keys of `range`, each passed to `take` with revision and value.
    pub(super) async fn scan<T: Send + 'static>(
        &self,
        range: &KeyRange,
        limit: usize,
        take: fn(Key, Revision, &[u8]) -> T,
    ) -> Result<Vec<T>, ReadError> {
        if range.is_empty() {
            return Ok(Vec::new());
        }
        if limit <= SHORT_SCAN
            && let Some(found) = self.walk(range, limit, take, Effort::Memory)?
        {
            return Ok(found);
        }
        let (snapshot, range) = (self.clone(), range.clone());
        on_the_disk(move || {
            Ok(snapshot.walk(&range, limit, take, Effort::DurableEngine)?.unwrap_or_default())
        })
        .await
    }

    /// The outer `None` means that the answer needs the disk.
    #[expect(clippy::type_complexity, reason = "found, absent, and unknown without the disk")]
    fn look_up(
        &self,
        key: &Key,
        effort: Effort,
    ) -> Result<Option<Option<(Revision, Vec<u8>)>>, ReadError> {
        let found = self.0.borrow_dependent().get_pinned_opt(key.as_bytes(), effort.options());
        match found {
            Ok(None) => Ok(Some(None)),
            Ok(Some(stored)) => {
                let (revision, value) = split(key.as_bytes(), &stored)?;
                Ok(Some(Some((revision, value.to_vec()))))
            }
            Err(error) if error.kind() == ErrorKind::Incomplete => Ok(None),
            Err(error) => Err(ReadError::Failed(error.to_string())),
        }
    }

    /// `None` means that the answer needs the disk.
    fn walk<T>(
        &self,
        range: &KeyRange,
        limit: usize,
        take: fn(Key, Revision, &[u8]) -> T,
        effort: Effort,
    ) -> Result<Option<Vec<T>>, ReadError> {
        let mut options = effort.options();
        options.set_iterate_upper_bound(range.to());
        // A long scan must not evict hot blocks.
        options.fill_cache(limit <= SHORT_SCAN);
        let mut iterator = self.0.borrow_dependent().raw_iterator_opt(options);
        iterator.seek(range.from());
        let mut found = Vec::new();
        while found.len() < limit
            && let Some((key, stored)) = iterator.item()
        {
            let (revision, value) = split(key, stored)?;
            found.push(take(Key::from_stored(key), revision, value));
            iterator.next();
        }
        match iterator.status() {
            Ok(()) => Ok(Some(found)),
            Err(error) if error.kind() == ErrorKind::Incomplete => Ok(None),
            Err(error) => Err(ReadError::Failed(error.to_string())),
        }
    }
}

impl Database {
    /// The newest revision; a new database gets its header.
    ///
    /// RocksDB's sequence number grows at least as fast as the revision, so `sequence + offset ≥ revision`
    /// holds for good once it holds at open. So no group has to store its revision: one key that every
    /// group rewrites would make every table overlap every other, and each compaction rewrite the
    /// whole store.
    fn prepare(&self, folder: &Path) -> Result<Revision, OpenError> {
        let engine =
            |error: rocksdb::Error| OpenError::Engine(folder.to_owned(), error.to_string());
        let foreign = || OpenError::Foreign(folder.to_owned());
        let header = self.rocksdb.get(key::header().as_bytes()).map_err(engine)?;
        let (format, number) = match header.as_deref().map(<[u8]>::split_first) {
            Some(Some((&format @ (FORMAT | FIRST_FORMAT), number))) => {
                let number = <[u8; 8]>::try_from(number).map_err(|_| foreign())?;
                (format, u64::from_be_bytes(number))
            }
            Some(Some((&format, _))) => {
                return Err(OpenError::UnknownFormat(folder.to_owned(), format));
            }
            Some(None) => return Err(foreign()),
            // A new database is upgraded like an empty one of the first format.
            None if self.is_empty().map_err(engine)? => (FIRST_FORMAT, 0),
            None => return Err(foreign()),
        };
        let ahead = if format == FORMAT {
            number
        } else {
            // The first format stored the newest revision itself.
            let ahead = number.saturating_sub(self.rocksdb.latest_sequence_number());
            let mut header = vec![FORMAT];
            header.extend_from_slice(&ahead.to_be_bytes());
            let mut batch = WriteBatch::default();
            batch.put(key::header().as_bytes(), header);
            self.rocksdb.write_opt(batch, &synced()).map_err(engine)?;
            ahead
        };
        Ok(Revision(self.rocksdb.latest_sequence_number().saturating_add(ahead)))
    }

    fn is_empty(&self) -> Result<bool, rocksdb::Error> {
        let mut iterator = self.rocksdb.raw_iterator();
        iterator.seek_to_first();
        iterator.status()?;
        Ok(!iterator.valid())
    }
}

impl DurableEngine for Arc<Database> {
    fn revision_of(&self, key: &Key) -> Result<Option<Revision>, String> {
        match self.rocksdb.get_pinned(key.as_bytes()) {
            Ok(None) => Ok(None),
            Ok(Some(stored)) => match split(key.as_bytes(), &stored) {
                Ok((revision, _)) => Ok(Some(revision)),
                Err(error) => Err(error.to_string()),
            },
            Err(error) => Err(error.to_string()),
        }
    }

    fn write(&self, group: &[(Revision, Batch)]) -> Result<(), String> {
        let mut writes = WriteBatch::default();
        let mut stored = Vec::new();
        let mut put = |writes: &mut WriteBatch, revision: Revision, key: &Key, value: &[u8]| {
            stored.clear();
            stored.extend_from_slice(&revision.0.to_be_bytes());
            stored.extend_from_slice(value);
            writes.put(key.as_bytes(), &stored);
        };
        if group.iter().all(|(_, batch)| batch.only_puts()) {
            // Sorted: inserts into the memtable are then adjacent. The sort is stable, so that two
            // writes of one key keep the order of their batches.
            let puts = group.iter().flat_map(|(revision, batch)| {
                batch.puts.iter().map(|(key, value)| (key, *revision, value))
            });
            let mut puts: Vec<_> = puts.collect();
            puts.sort_by_key(|(key, ..)| *key);
            for (key, revision, value) in puts {
                put(&mut writes, revision, key, value);
            }
        } else {
            for (revision, batch) in group {
                for range in batch.range_deletes.iter().filter(|range| !range.is_empty()) {
                    writes.delete_range(range.from(), range.to());
                }
                for key in &batch.deletes {
                    writes.delete(key.as_bytes());
                }
                for (key, value) in &batch.puts {
                    put(&mut writes, *revision, key, value);
                }
            }
        }
        self.rocksdb.write_opt(writes, &synced()).map_err(|error| error.to_string())
    }
}

impl Effort {
    fn options(self) -> ReadOptions {
        let mut options = ReadOptions::default();
        if matches!(self, Self::Memory) {
            options.set_read_tier(ReadTier::BlockCache);
        }
        options
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Database").field(&self.rocksdb.path()).finish()
    }
}

impl fmt::Debug for OwnedSnapshot {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("OwnedSnapshot")
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse(folder) => write!(
                formatter,
                "the store in {} is in use by another process: stop that one, or give this one \
                 another storage path",
                folder.display()
            ),
            Self::Folder(folder, error) => write!(
                formatter,
                "the storage folder {} cannot be used: {error}; it must be a folder that this \
                 user may write",
                folder.display()
            ),
            Self::Engine(folder, reason) => {
                write!(formatter, "the store in {} cannot be opened: {reason}", folder.display())
            }
            Self::Foreign(folder) => write!(
                formatter,
                "the folder {} holds a database of another program: name another storage path",
                folder.display()
            ),
            Self::Damaged(file, at) => write!(
                formatter,
                "the file {} is damaged at byte {at}, and what follows would be lost: nothing was \
                 changed; check the disk, and put back a copy of the whole folder",
                file.display()
            ),
            Self::UnknownFormat(folder, format) => write!(
                formatter,
                "the store in {} has format {format}, which this program does not know: use \
                 the newer program that wrote it",
                folder.display()
            ),
        }
    }
}

impl std::error::Error for OpenError {}

impl From<journal::JournalError> for OpenError {
    fn from(fault: journal::JournalError) -> Self {
        match fault {
            journal::JournalError::Unreadable(path, error) => Self::Folder(path, error),
            journal::JournalError::Damaged(file, at) => Self::Damaged(file, at),
        }
    }
}

/// Creates the folder and locks it for this process.
fn lock(folder: &Path) -> Result<File, OpenError> {
    let failed = |error| OpenError::Folder(folder.to_owned(), error);
    create_folder(folder).map_err(failed)?;
    // A symbolic link under this name would create a file elsewhere.
    let flags = i32::try_from(OFlags::NOFOLLOW.bits()).map_err(io::Error::other).map_err(failed)?;
    let file = fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .custom_flags(flags)
        .open(folder.join(LOCK_FILE))
        .map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse(folder.to_owned())),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

/// Creates the folder durably. RocksDB syncs the files in it; the folder itself survives a loss of power
/// once its parent is synced, and so on up to the first folder that existed.
fn create_folder(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty());
    if let Some(parent) = parent {
        create_folder(parent)?;
    }
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => File::open(parent.unwrap_or(Path::new(".")))?.sync_all(),
    }
}

async fn on_the_disk<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, ReadError> + Send + 'static,
) -> Result<T, ReadError> {
    match tokio::task::spawn_blocking(read).await {
        Ok(answer) => answer,
        Err(error) => Err(ReadError::Failed(error.to_string())),
    }
}

/// Revision and value of `key`.
fn split<'stored>(
    key: &[u8],
    stored: &'stored [u8],
) -> Result<(Revision, &'stored [u8]), ReadError> {
    match stored.split_first_chunk() {
        Some((revision, value)) => Ok((Revision(u64::from_be_bytes(*revision)), value)),
        None => Err(ReadError::Damaged {
            key: Key::from_stored(key),
            reason: "the record is shorter than its revision".into(),
        }),
    }
}

/// The format of the whole database: the header holds how far revisions are ahead of RocksDB's
/// sequence numbers.
const FORMAT: u8 = 2;
/// In this format every group wrote the newest revision into the header.
const FIRST_FORMAT: u8 = 1;
/// The longest scan that may run on the calling thread.
const SHORT_SCAN: usize = 128;
const LOCK_FILE: &str = "signet.lock";

#[cfg(test)]
mod tests;
