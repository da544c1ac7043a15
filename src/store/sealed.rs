//! Encryption at rest, around any engine (`docs/design.md`, "Values at rest are sealed").
//!
//! Values are encrypted with AES-256-GCM under a data key. The data keys and the salt of [`Sealed::hmac`]
//! are in the keyring, encrypted under the root key; the root key is wrapped by a [`Seal`]. A value is
//! bound to its key: under another key it does not decrypt. Until [`Sealed::unseal`] no value can be
//! read or written.
//!
//! Nonces are 96 random bits, so one data key may seal 2^32 values (NIST SP 800-38D, 8.3). An
//! estimate of their number is stored (`usage`). At [`ROTATE_AT`] values a job calls
//! [`Sealed::add_data_key`], which puts a new key in front; every older key still decrypts. If that
//! fails, the log warns when the number comes near the bound, and at the bound nothing
//! more is written. The root key encrypts once for each data key, of which there are fewer than
//! 2^32; the key of a seal once for each new store and each change of the seal, at most once a start. So
//! neither of the two needs a count.
//!
//! Not promised: that an attacker who can write to the disk cannot put back an older value of the
//! same key, or remove it; that keys of the store are hidden; that a snapshot taken before
//! [`Sealed::seal`] stops reading.

mod error;
mod keyring;
mod seal;
mod usage;

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use tokio::sync::Mutex;

pub use self::error::SealError;
pub use self::keyring::Salt;
pub use self::seal::{Seal, StaticKey};
pub use self::usage::ROTATE_AT;

use self::keyring::{Keyring, KeyringRecord};
use self::seal::WrappedRoot;
use self::usage::{BOUND, Usage, UsageRecord, share_passed};
use super::batch::{Batch, CommitError, ReadError, Revision};
use super::key::{self, Key};
use super::record;
use super::{Entry, StorageEngine, StorageSnapshot};
use crate::entropy::Entropy;
use crate::secret::{Secret, with_stack_wiped};

/// An engine whose values are encrypted, and what is needed to open it.
#[derive(Debug)]
pub struct Sealed {
    engine: StorageEngine,
    seal: Seal,
    entropy: Entropy,
    keyring: ArcSwapOption<Keyring>,
    /// Serialises changes of the records of the data keys.
    changing: Mutex<()>,
}

/// The state of the seal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreStatus {
    /// The root key and the keyring exist.
    pub initialized: bool,
    /// No value can be read.
    pub sealed: bool,
}

/// The records that the store has of its keys.
enum KeyRecords {
    Nothing,
    /// A root key and a keyring and nothing else, with their revisions: an earlier version of this program
    /// wrote these two first, and stopped before it wrote the rest.
    KeysAlone(Revision, Option<Revision>),
    Whole,
}

impl Sealed {
    /// Puts the seal around an engine. Reads and writes nothing.
    pub fn new(engine: impl Into<StorageEngine>, seal: Seal, entropy: Entropy) -> Arc<Self> {
        let engine = engine.into();
        let (keyring, changing) = (ArcSwapOption::empty(), Mutex::new(()));
        Arc::new(Self { engine, seal, entropy, keyring, changing })
    }

    /// The kind of the seal: `static`, `ephemeral`.
    pub fn kind(&self) -> &'static str {
        self.seal.kind()
    }

    /// Whether there is a root key, and whether it is in use.
    ///
    /// # Errors
    /// [`ReadError::Failed`] if the engine cannot read.
    pub async fn status(&self) -> Result<StoreStatus, ReadError> {
        let initialized = matches!(self.found().await?, KeyRecords::Whole);
        Ok(StoreStatus { initialized, sealed: self.is_sealed() })
    }

    async fn found(&self) -> Result<KeyRecords, ReadError> {
        let snapshot = self.engine.snapshot();
        let Some((seal, _)) = snapshot.get(&key::seal()).await? else {
            return Ok(KeyRecords::Nothing);
        };
        // An unsealed store has all its records.
        let whole = !self.is_sealed()
            || !snapshot.scan(&key::contents(), 1, |key, _, _| key).await?.is_empty();
        if whole {
            return Ok(KeyRecords::Whole);
        }
        let keyring = snapshot.get(&key::keyring()).await?;
        Ok(KeyRecords::KeysAlone(seal, keyring.map(|(revision, _)| revision)))
    }

    /// Creates the root key, the first data key and the salt, and stores them together with `first`,
    /// the first records of the store, in one commit. The store is unsealed then.
    ///
    /// # Errors
    /// [`SealError::AlreadyInitialized`] if the store has a root key, from this or another process.
    pub async fn initialize(
        &self,
        first: impl FnOnce(&Salt) -> Batch + Send,
    ) -> Result<(), SealError> {
        with_stack_wiped(self.create_store(first)).await
    }

    async fn create_store(
        &self,
        first: impl FnOnce(&Salt) -> Batch + Send,
    ) -> Result<(), SealError> {
        let _one_at_a_time = self.changing.lock().await;
        // Checked before anything is encrypted: `sys/init` needs no token, and a refused request
        // must use no nonce of the seal's key.
        let guarded = match self.found().await.map_err(SealError::Read)? {
            KeyRecords::Nothing => {
                Batch::new().expect_absent(key::seal()).expect_absent(key::keyring())
            }
            KeyRecords::KeysAlone(seal, keyring) => {
                Batch::new().expect(key::seal(), seal).expect_unchanged(key::keyring(), keyring)
            }
            KeyRecords::Whole => return Err(SealError::AlreadyInitialized),
        };
        let (keyring, batch) = self.new_store(guarded, first)?;
        match self.engine.commit(batch).await {
            Ok(_) => {
                self.keyring.store(Some(Arc::new(keyring)));
                Ok(())
            }
            Err(CommitError::Conflict { .. }) => Err(SealError::AlreadyInitialized),
            Err(error) => Err(SealError::Commit(error)),
        }
    }

    /// The keys of a new store, and the batch that creates it.
    fn new_store(
        &self,
        guarded: Batch,
        first: impl FnOnce(&Salt) -> Batch,
    ) -> Result<(Keyring, Batch), SealError> {
        let root = seal::new_root_key(&self.entropy);
        let record = KeyringRecord::new(&self.entropy);
        let number = record.newest();
        let usage = Arc::new(Usage::of_new_store(0));
        let keyring = Keyring::new(&record, Arc::clone(&usage)).map_err(SealError::Damaged)?;
        let mut first = first(keyring.salt());
        let count = first.puts.len() as u64;
        if !usage.claim(count) {
            let reason = "a new store has fewer first records".to_owned();
            return Err(SealError::Commit(CommitError::NotDone(reason)));
        }
        self.seal_values(&keyring, &mut first).map_err(SealError::Commit)?;
        let block = UsageRecord {
            key: number,
            before: 0,
            block: usage.reserved(),
            written: self.engine.written(),
        };
        let mut batch = guarded
            .put_record(key::seal(), &self.seal.wrap(&root, &self.entropy))
            .put(key::keyring(), record.lock(&root, &self.entropy))
            .put_record(key::usage(), &block);
        batch.expectations.append(&mut first.expectations);
        batch.puts.append(&mut first.puts);
        Ok((keyring, batch))
    }

    /// Unseals the store. If the previous key had to be used, the root key is wrapped again under the
    /// current one, and the log says so.
    ///
    /// # Errors
    /// See [`SealError`]; the store stays as it was.
    pub async fn unseal(&self) -> Result<(), SealError> {
        with_stack_wiped(self.load_keyring()).await
    }

    async fn load_keyring(&self) -> Result<(), SealError> {
        let _one_at_a_time = self.changing.lock().await;
        match self.found().await.map_err(SealError::Read)? {
            KeyRecords::Nothing => return Err(SealError::NotInitialized),
            KeyRecords::KeysAlone(..) => return Err(SealError::HalfInitialized),
            KeyRecords::Whole => {}
        }
        let (revision, wrapped) = self.wrapped_root().await?;
        let root = self.seal.unwrap(&wrapped)?;
        let (_, record) = self.stored_keyring(&root).await?;
        let usage = self.usage_of(record.newest()).await?;
        let keyring = Keyring::new(&record, usage).map_err(SealError::Damaged)?;
        drop(record);
        if !self.seal.is_current(&wrapped) {
            let again = self.seal.wrap(&root, &self.entropy);
            let batch = Batch::new().expect(key::seal(), revision).put_record(key::seal(), &again);
            match self.engine.commit(batch).await {
                // A conflict: another process with the same keys wrapped it first.
                Ok(_) | Err(CommitError::Conflict { .. }) => {}
                Err(error) => return Err(SealError::Commit(error)),
            }
            self.seal.log_change();
        } else {
            self.seal.log_spare_key();
        }
        self.keyring.store(Some(Arc::new(keyring)));
        Ok(())
    }

    /// The usage of the data key of this number: as this process counted it, or else as the store has it.
    async fn usage_of(&self, number: u32) -> Result<Arc<Usage>, SealError> {
        if let Some(keyring) = self.keyring.load_full().filter(|open| open.newest() == number) {
            return Ok(Arc::clone(keyring.usage()));
        }
        let stored = self.stored_usage().await.map_err(SealError::Read)?;
        let record = stored.as_ref().map(|(_, record)| record);
        let used = UsageRecord::estimate(record, number, self.engine.written());
        log_share(0, used);
        Ok(Arc::new(Usage::after(used)))
    }

    async fn stored_usage(&self) -> Result<Option<(Revision, UsageRecord)>, ReadError> {
        let key = key::usage();
        let Some((revision, bytes)) = self.engine.snapshot().get(&key).await? else {
            return Ok(None);
        };
        match record::decode(&bytes) {
            Ok(record) => Ok(Some((revision, record))),
            Err(error) => Err(ReadError::Damaged { key, reason: error.to_string() }),
        }
    }

    /// Drops every key. Existing snapshots keep theirs until they are dropped.
    pub fn seal(&self) {
        self.keyring.store(None);
    }

    /// Creates a data key, which encrypts from now on; every older one still decrypts. If the commit may
    /// have been written, or another process added a key first, the keyring is read again.
    ///
    /// # Errors
    /// See [`SealError`]; the current key stays in use then.
    pub async fn add_data_key(&self) -> Result<(), SealError> {
        with_stack_wiped(self.create_data_key()).await
    }

    async fn create_data_key(&self) -> Result<(), SealError> {
        let _one_at_a_time = self.changing.lock().await;
        let in_use = self.keyring.load_full();
        let Some(newest) = in_use.as_ref().map(|keyring| keyring.newest()) else {
            return Err(SealError::Read(ReadError::Sealed));
        };
        let (_, wrapped) = self.wrapped_root().await?;
        let root = self.seal.unwrap(&wrapped)?;
        let (revision, mut record) = self.stored_keyring(&root).await?;
        let all_used = || SealError::Damaged("the keyring has no number for another key".into());
        let number = record.add_key(&self.entropy).ok_or_else(all_used)?;
        let written = self.engine.written();
        let unused = UsageRecord { key: number, before: 0, block: 0, written };
        let batch = Batch::new()
            .expect(key::keyring(), revision)
            .put(key::keyring(), record.lock(&root, &self.entropy))
            .put_record(key::usage(), &unused);
        let usage = match self.engine.commit(batch).await {
            Ok(_) => Arc::new(Usage::after(0)),
            Err(error @ (CommitError::Conflict { .. } | CommitError::MaybeDone(_))) => {
                record = self.stored_keyring(&root).await?.1;
                if record.newest() == newest {
                    return Err(SealError::Commit(error));
                }
                self.usage_of(record.newest()).await?
            }
            Err(error) => return Err(SealError::Commit(error)),
        };
        let keyring = Keyring::new(&record, usage).map_err(SealError::Damaged)?;
        // A store that was sealed in the meantime stays sealed.
        self.keyring.compare_and_swap(&in_use, Some(Arc::new(keyring)));
        Ok(())
    }

    /// True while no value can be read or written.
    pub fn is_sealed(&self) -> bool {
        self.keyring.load().is_none()
    }

    /// An upper bound of the values that the newest data key has encrypted, in this process and before
    /// it; `None` while sealed.
    pub fn values_sealed(&self) -> Option<u64> {
        self.keyring.load().as_ref().map(|keyring| keyring.usage().used())
    }

    /// HMAC-SHA256 under this store's salt: tokens are stored under it.
    ///
    /// # Errors
    /// [`ReadError::Sealed`] while the store is sealed.
    pub fn hmac(&self, message: &[u8]) -> Result<[u8; 32], ReadError> {
        let keyring = self.keyring.load();
        Ok(keyring.as_ref().ok_or(ReadError::Sealed)?.salt().hmac(message))
    }

    pub(super) const fn engine(&self) -> &StorageEngine {
        &self.engine
    }

    pub(super) fn open_snapshot(&self) -> Result<(StorageSnapshot, Decryptor), ReadError> {
        let keyring = self.keyring.load_full().ok_or(ReadError::Sealed)?;
        Ok((self.engine.snapshot(), Decryptor(keyring)))
    }

    pub(super) async fn revision(&self, key: &Key) -> Result<Option<Revision>, ReadError> {
        if self.is_sealed() {
            return Err(ReadError::Sealed);
        }
        self.engine.revision(key).await
    }

    /// Encrypts the values of a batch, each bound to its key.
    ///
    /// # Errors
    /// [`CommitError::Sealed`]; [`CommitError::NotDone`] when the data key has reached its bound.
    pub(super) async fn encrypt(&self, batch: &mut Batch) -> Result<(), CommitError> {
        let count = batch.puts.len() as u64;
        let mut keyring = self.keyring.load_full().ok_or(CommitError::Sealed)?;
        if !keyring.usage().claim(count) {
            // Boxed: rare, and it would enlarge the future of every commit.
            keyring = Box::pin(self.reserve(count)).await?;
        }
        self.seal_values(&keyring, batch)
    }

    fn seal_values(&self, keyring: &Keyring, batch: &mut Batch) -> Result<(), CommitError> {
        for (key, value) in &mut batch.puts {
            *value = keyring.seal(key, value, &self.entropy).ok_or_else(|| {
                CommitError::NotDone("the value is too long to be encrypted".into())
            })?;
        }
        Ok(())
    }

    /// Reserves a block of nonces and claims the first `count` of it.
    async fn reserve(&self, count: u64) -> Result<Arc<Keyring>, CommitError> {
        let _one_at_a_time = self.changing.lock().await;
        for _ in 0..ATTEMPTS {
            let keyring = self.keyring.load_full().ok_or(CommitError::Sealed)?;
            let usage = keyring.usage();
            if usage.claim(count) {
                return Ok(keyring);
            }
            let not_done = |why: &dyn fmt::Display| CommitError::NotDone(why.to_string());
            let stored = self.stored_usage().await.map_err(|error| not_done(&error))?;
            let (revision, record) = stored.unzip();
            let written = self.engine.written();
            let estimate = UsageRecord::estimate(record.as_ref(), keyring.newest(), written);
            // The record may belong to a newer key that this process does not have yet.
            let before = estimate.max(usage.reserved());
            let block = usage.next_block(before, count).ok_or_else(|| not_done(&EXHAUSTED))?;
            // The record itself is written in clear and uses no nonce.
            let written = written.saturating_add(1);
            let record = UsageRecord { key: keyring.newest(), before, block, written };
            let batch = Batch::new()
                .expect_unchanged(key::usage(), revision)
                .put_record(key::usage(), &record);
            match self.engine.commit(batch).await {
                Ok(_) => {
                    log_share(before, before.saturating_add(block));
                    usage.grant(before, block, count);
                    return Ok(keyring);
                }
                // Another process reserved a block: the next one begins after it.
                Err(CommitError::Conflict { .. }) => {}
                Err(CommitError::Closed) => return Err(CommitError::Closed),
                Err(error) => return Err(not_done(&error)),
            }
        }
        Err(CommitError::Conflict { key: key::usage() })
    }

    async fn wrapped_root(&self) -> Result<(Revision, WrappedRoot), SealError> {
        let stored = self.engine.snapshot().get(&key::seal()).await.map_err(SealError::Read)?;
        let (revision, bytes) = stored.ok_or(SealError::NotInitialized)?;
        let wrapped =
            record::decode(&bytes).map_err(|error| SealError::Damaged(error.to_string()))?;
        Ok((revision, wrapped))
    }

    async fn stored_keyring(
        &self,
        root: &Secret<[u8; 32]>,
    ) -> Result<(Revision, KeyringRecord), SealError> {
        let stored = self.engine.snapshot().get(&key::keyring()).await.map_err(SealError::Read)?;
        let missing = || SealError::Damaged("the keyring is missing".into());
        let (revision, bytes) = stored.ok_or_else(missing)?;
        Ok((revision, KeyringRecord::unlock(&bytes, root).map_err(SealError::Damaged)?))
    }
}

/// Logs when the estimate passes a share of the bound.
fn log_share(from: u64, to: u64) {
    if let Some(percent) = share_passed(from, to) {
        tracing::warn!(
            values = to,
            "the data key of the store has sealed up to {percent} % of the {BOUND} values that one key \
             may seal; at 100 % the server refuses every write"
        );
    }
}

/// How often a reservation is tried while other processes reserve theirs.
const ATTEMPTS: usize = 16;
const EXHAUSTED: &str = "the data key of the store has sealed all the values that one key may seal \
    (2^32): it needs a new data key";

/// Decrypts the values of a snapshot.
#[derive(Debug)]
pub(super) struct Decryptor(Arc<Keyring>);

impl Decryptor {
    pub(super) fn open(&self, key: &Key, value: &[u8]) -> Result<Vec<u8>, ReadError> {
        self.0.open(key, value).map_err(|reason| ReadError::Damaged { key: key.clone(), reason })
    }

    pub(super) fn open_all(&self, entries: Vec<Entry>) -> Result<Vec<Entry>, ReadError> {
        let open = |entry: Entry| -> Result<Entry, ReadError> {
            Ok(Entry { value: self.open(&entry.key, &entry.value)?, ..entry })
        };
        entries.into_iter().map(open).collect()
    }
}

#[cfg(test)]
mod tests;
