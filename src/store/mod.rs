//! The store: an ordered map of bytes, with snapshots and conditional batches
//! (`docs/design.md`, "The store is an ordered map of bytes").
//!
//! [`Store`] is the handle that all callers share. It does not interpret its contents: keys come from
//! [`key`], values from [`record`]. Read a [`Snapshot`], decide, [`Store::commit`] a [`Batch`]
//! with the revisions that were read; on [`CommitError::Conflict`] start again from a new snapshot.
//!
//! `commit` returns when the batch can be read by new snapshots and, in a durable engine,
//! survives a loss of power. The commits of one store have one order; [`Store::watch`] reports them in it.
//!
//! Not promised: that a long scan sees anything newer than its snapshot; that a batch
//! answered with [`CommitError::MaybeDone`] did not happen; that a caller that stops waiting
//! for `commit` prevents it.

mod batch;
mod committer;
pub mod id;
pub mod key;
pub mod memory;
mod parsed;
pub mod record;
mod revision_cache;
pub mod rocks;
pub mod sealed;
mod watch;

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::hmac;

pub use batch::{Batch, CommitError, Expectation, ReadError, Revision};
pub use key::{Key, KeyRange, Prefix};
pub use memory::Memory;
pub use parsed::ParsedCache;
pub use record::Record;
pub use rocks::Rocks;
pub use sealed::Sealed;
pub use watch::{Change, Watch, WatchError};

/// The ordered map. Clones are the same store.
#[derive(Clone, Debug)]
pub struct Store(Layers);

#[derive(Clone, Debug)]
enum Layers {
    Sealed(Arc<Sealed>),
    Bare(StorageEngine),
}

/// The engine that keeps the bytes. Made from a [`Memory`] or a [`Rocks`].
#[derive(Clone, Debug)]
pub enum StorageEngine {
    /// In memory, lost when the process ends.
    Memory(Memory),
    /// In a folder of this machine.
    Rocks(Rocks),
}

/// The store as it was at one moment. Keep it no longer than one request: while it exists, the
/// engine keeps what was overwritten since.
#[derive(Debug)]
pub struct Snapshot {
    engine: StorageSnapshot,
    decryptor: Option<sealed::Decryptor>,
}

/// One record of a scan.
#[derive(Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its key.
    pub key: Key,
    /// The commit that wrote it.
    pub revision: Revision,
    /// Its value, decrypted.
    pub value: Vec<u8>,
}

#[derive(Debug)]
enum StorageSnapshot {
    Memory(memory::MemorySnapshot),
    Rocks(rocks::RocksSnapshot),
}

impl Store {
    /// A store that writes its values in clear: for tests of the layers above the store.
    pub fn danger_unsealed(engine: impl Into<StorageEngine>) -> Self {
        Self(Layers::Bare(engine.into()))
    }

    /// The store as it is now.
    ///
    /// # Errors
    /// [`ReadError::Sealed`] while the store is sealed.
    #[expect(clippy::unused_async, reason = "an engine across a network must wait here")]
    pub async fn snapshot(&self) -> Result<Snapshot, ReadError> {
        match &self.0 {
            Layers::Bare(engine) => Ok(Snapshot { engine: engine.snapshot(), decryptor: None }),
            Layers::Sealed(sealed) => {
                let (engine, decryptor) = sealed.open_snapshot()?;
                Ok(Snapshot { engine, decryptor: Some(decryptor) })
            }
        }
    }

    /// The commit that last wrote `key`, if it holds a value: it lets a caller revalidate a cached
    /// value. Never older than the last commit that returned from this process.
    ///
    /// # Errors
    /// As [`Snapshot::get`].
    pub async fn revision(&self, key: &Key) -> Result<Option<Revision>, ReadError> {
        match &self.0 {
            Layers::Bare(engine) => engine.revision(key).await,
            Layers::Sealed(sealed) => sealed.revision(key).await,
        }
    }

    /// Commits the whole batch, or nothing of it, and returns its revision.
    ///
    /// # Errors
    /// See [`CommitError`]: each variant says whether something may have happened.
    pub async fn commit(&self, mut batch: Batch) -> Result<Revision, CommitError> {
        match &self.0 {
            Layers::Bare(engine) => engine.commit(batch).await,
            Layers::Sealed(sealed) => {
                sealed.encrypt(&mut batch).await?;
                sealed.engine().commit(batch).await
            }
        }
    }

    /// The commits from now on that touch `prefix`, in their order.
    pub fn watch(&self, prefix: Prefix) -> Watch {
        match &self.0 {
            Layers::Bare(engine) => engine.watch(prefix),
            Layers::Sealed(sealed) => sealed.engine().watch(prefix),
        }
    }

    /// HMAC-SHA256 under the salt of this store: tokens are stored under it. A store made by
    /// [`Store::danger_unsealed`] has an empty salt.
    ///
    /// # Errors
    /// [`ReadError::Sealed`] while the store is sealed.
    pub fn hmac(&self, message: &[u8]) -> Result<[u8; 32], ReadError> {
        match &self.0 {
            Layers::Sealed(sealed) => sealed.hmac(message),
            Layers::Bare(_) => {
                let mut tag = [0; 32];
                let saltless = hmac::Key::new(hmac::HMAC_SHA256, &[]);
                tag.copy_from_slice(hmac::sign(&saltless, message).as_ref());
                Ok(tag)
            }
        }
    }
}

impl Snapshot {
    /// The value of `key`, and the commit that wrote it.
    ///
    /// # Errors
    /// [`ReadError::Damaged`] if the value cannot be decrypted, [`ReadError::Failed`] if the engine
    /// cannot read.
    pub async fn get(&self, key: &Key) -> Result<Option<(Revision, Vec<u8>)>, ReadError> {
        let Some((revision, value)) = self.engine.get(key).await? else { return Ok(None) };
        match &self.decryptor {
            None => Ok(Some((revision, value))),
            Some(decryptor) => Ok(Some((revision, decryptor.open(key, &value)?))),
        }
    }

    /// The record under `key`, and the commit that wrote it.
    ///
    /// # Errors
    /// As [`Snapshot::get`]; [`ReadError::Damaged`] also if the record cannot be decoded.
    pub async fn record<R: Record>(&self, key: &Key) -> Result<Option<(Revision, R)>, ReadError> {
        let Some((revision, value)) = self.get(key).await? else { return Ok(None) };
        match record::decode(&value) {
            Ok(record) => Ok(Some((revision, record))),
            Err(error) => Err(ReadError::Damaged { key: key.clone(), reason: error.to_string() }),
        }
    }

    /// The first `limit` records of `range`, in the order of their keys. The next page is
    /// `range.after(&last.key)`.
    ///
    /// # Errors
    /// As [`Snapshot::get`].
    pub async fn scan(&self, range: &KeyRange, limit: usize) -> Result<Vec<Entry>, ReadError> {
        let take = |key, revision, value: &[u8]| Entry { key, revision, value: value.to_vec() };
        let entries = self.engine.scan(range, limit, take).await?;
        match &self.decryptor {
            None => Ok(entries),
            Some(decryptor) => decryptor.open_all(entries),
        }
    }

    /// The first `limit` keys of `range`; no value is decrypted.
    ///
    /// # Errors
    /// [`ReadError::Failed`] if the engine cannot read.
    pub async fn keys(&self, range: &KeyRange, limit: usize) -> Result<Vec<Key>, ReadError> {
        self.engine.scan(range, limit, |key, _, _| key).await
    }
}

impl From<Arc<Sealed>> for Store {
    fn from(sealed: Arc<Sealed>) -> Self {
        Self(Layers::Sealed(sealed))
    }
}

impl From<Memory> for StorageEngine {
    fn from(memory: Memory) -> Self {
        Self::Memory(memory)
    }
}

impl From<Rocks> for StorageEngine {
    fn from(rocks: Rocks) -> Self {
        Self::Rocks(rocks)
    }
}

impl StorageEngine {
    fn snapshot(&self) -> StorageSnapshot {
        match self {
            Self::Memory(memory) => StorageSnapshot::Memory(memory.snapshot()),
            Self::Rocks(rocks) => StorageSnapshot::Rocks(rocks.snapshot()),
        }
    }

    async fn revision(&self, key: &Key) -> Result<Option<Revision>, ReadError> {
        match self {
            Self::Memory(memory) => Ok(memory.revision(key)),
            Self::Rocks(rocks) => rocks.revision(key).await,
        }
    }

    async fn commit(&self, batch: Batch) -> Result<Revision, CommitError> {
        match self {
            Self::Memory(memory) => memory.commit(batch).await,
            Self::Rocks(rocks) => rocks.commit(batch).await,
        }
    }

    fn watch(&self, prefix: Prefix) -> Watch {
        match self {
            Self::Memory(memory) => memory.watch(prefix),
            Self::Rocks(rocks) => rocks.watch(prefix),
        }
    }

    /// An upper bound of the number of values written since the store was created. Never falls.
    fn written(&self) -> u64 {
        match self {
            Self::Memory(memory) => memory.tally().puts,
            Self::Rocks(rocks) => rocks.written(),
        }
    }
}

impl StorageSnapshot {
    async fn get(&self, key: &Key) -> Result<Option<(Revision, Vec<u8>)>, ReadError> {
        match self {
            Self::Memory(memory) => memory.get(key).await,
            Self::Rocks(rocks) => rocks.get(key).await,
        }
    }

    async fn scan<T: Send + 'static>(
        &self,
        range: &KeyRange,
        limit: usize,
        take: fn(Key, Revision, &[u8]) -> T,
    ) -> Result<Vec<T>, ReadError> {
        match self {
            Self::Memory(memory) => memory.scan(range, limit, take).await,
            Self::Rocks(rocks) => rocks.scan(range, limit, take).await,
        }
    }
}

impl fmt::Debug for Entry {
    /// Key and length; never the value, which may be a private key.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Entry")
            .field("key", &self.key)
            .field("revision", &self.revision)
            .field("value", &self.value.len())
            .finish()
    }
}

#[cfg(test)]
mod suite;
