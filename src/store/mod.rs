//! The store: an ordered map of bytes, with snapshots and conditional batches (design D4).
//!
//! [`Store`] is what everybody holds. It knows nothing of what it keeps: keys come from
//! [`key`], values from [`record`]. Read a [`Snapshot`], decide, [`Store::commit`] a [`Batch`]
//! with the revisions that were read; on [`CommitError::Conflict`] start again from the snapshot.
//!
//! `commit` answers when the batch can be read by new snapshots and, in a durable engine,
//! survives the loss of power. Commits of one store have one order; [`Store::watch`] tells it.
//!
//! Not promised: that a long scan sees anything newer than its snapshot; that a batch
//! answered with [`CommitError::MaybeDone`] did not happen; that a caller who stops waiting
//! for `commit` prevents it.

mod batch;
pub mod key;
pub mod memory;
pub mod record;
mod watch;

pub use batch::{Batch, CommitError, Expectation, ReadError, Revision};
pub use key::{Key, KeyRange, Prefix};
pub use memory::Memory;
pub use record::Record;
pub use watch::{Change, Watch, WatchError};

/// The ordered map. Clones are the same store.
#[derive(Clone, Debug)]
pub struct Store {
    engine: Engine,
}

/// What really keeps the bytes.
#[derive(Clone, Debug)]
pub(crate) enum Engine {
    /// In memory, gone with the process.
    Memory(Memory),
}

/// The store as it was at one moment. Keep it no longer than one request: it holds back the
/// disposal of what was overwritten since.
#[derive(Debug)]
pub struct Snapshot {
    engine: EngineSnapshot,
}

/// One record of a scan.
#[derive(Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where it lies.
    pub key: Key,
    /// The commit that wrote it.
    pub revision: Revision,
    /// What it says.
    pub value: Vec<u8>,
}

#[derive(Debug)]
enum EngineSnapshot {
    Memory(memory::MemorySnapshot),
}

impl Store {
    /// The store as it is now.
    ///
    /// # Errors
    /// [`ReadError::Sealed`] while the store is sealed.
    #[expect(clippy::unused_async, reason = "an engine across a network must wait here")]
    pub async fn snapshot(&self) -> Result<Snapshot, ReadError> {
        Ok(Snapshot { engine: self.engine.snapshot() })
    }

    /// Makes the whole batch happen, or nothing of it. Its revision is the answer.
    ///
    /// # Errors
    /// See [`CommitError`]: each variant says whether something may have happened.
    pub async fn commit(&self, batch: Batch) -> Result<Revision, CommitError> {
        self.engine.commit(batch).await
    }

    /// The commits from now on that touch `prefix`, in their order.
    pub fn watch(&self, prefix: Prefix) -> Watch {
        match &self.engine {
            Engine::Memory(memory) => memory.watch(prefix),
        }
    }
}

impl Snapshot {
    /// What lies under `key`, and the commit that wrote it.
    ///
    /// # Errors
    /// [`ReadError::Damaged`] if the value cannot be opened, [`ReadError::Failed`] if the engine
    /// cannot read.
    #[expect(clippy::unused_async, reason = "an engine across a network must wait here")]
    pub async fn get(&self, key: &Key) -> Result<Option<(Revision, Vec<u8>)>, ReadError> {
        match &self.engine {
            EngineSnapshot::Memory(memory) => Ok(memory.get(key)),
        }
    }

    /// The record under `key`, and the commit that wrote it.
    ///
    /// # Errors
    /// As [`Snapshot::get`]; [`ReadError::Damaged`] also if the record cannot be understood.
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
    #[expect(clippy::unused_async, reason = "an engine across a network must wait here")]
    pub async fn scan(&self, range: &KeyRange, limit: usize) -> Result<Vec<Entry>, ReadError> {
        match &self.engine {
            EngineSnapshot::Memory(memory) => {
                Ok(memory.scan(range, limit, |key, revision, value| Entry {
                    key,
                    revision,
                    value: value.to_vec(),
                }))
            }
        }
    }

    /// The first `limit` keys of `range`; no value is opened.
    ///
    /// # Errors
    /// [`ReadError::Failed`] if the engine cannot read.
    #[expect(clippy::unused_async, reason = "an engine across a network must wait here")]
    pub async fn keys(&self, range: &KeyRange, limit: usize) -> Result<Vec<Key>, ReadError> {
        match &self.engine {
            EngineSnapshot::Memory(memory) => Ok(memory.scan(range, limit, |key, _, _| key)),
        }
    }
}

impl From<Memory> for Store {
    fn from(memory: Memory) -> Self {
        Self { engine: Engine::Memory(memory) }
    }
}

impl Engine {
    fn snapshot(&self) -> EngineSnapshot {
        match self {
            Self::Memory(memory) => EngineSnapshot::Memory(memory.snapshot()),
        }
    }

    async fn commit(&self, batch: Batch) -> Result<Revision, CommitError> {
        match self {
            Self::Memory(memory) => memory.commit(batch).await,
        }
    }
}

impl std::fmt::Debug for Entry {
    /// Key and length; never the value, which may be a private key.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Entry")
            .field("key", &self.key)
            .field("revision", &self.revision)
            .field("value", &self.value.len())
            .finish()
    }
}
