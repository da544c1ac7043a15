//! Encryption at rest, around any engine (design D8).
//!
//! Values are AES-256-GCM under a data key; data keys and the salt of [`Sealed::hmac`] lie in the
//! keyring, encrypted under the root key; the root key is wrapped by a [`Seal`]. A value is
//! bound to its key: moved elsewhere, it does not open. Until [`Sealed::unseal`] no value can be
//! read or written.
//!
//! Nonces are 96 random bits, so one data key may seal 2^32 values (NIST SP 800-38D, 8.3).
//! [`Sealed::values_sealed`] counts; [`Sealed::add_data_key`] puts a new key in front, every key
//! goes on reading.
//!
//! Not promised: that someone who can write the disk cannot put back an older value of the
//! same key, or remove it; that keys of the store are hidden; that a snapshot taken before
//! [`Sealed::seal`] stops reading.

mod keyring;
mod seal;

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwapOption;

pub use self::seal::{Seal, StaticKey};

use self::keyring::{Keyring, KeyringRecord};
use self::seal::WrappedRoot;
use super::batch::{Batch, CommitError, ReadError, Revision};
use super::key::{self, Key};
use super::record;
use super::{Engine, EngineSnapshot, Entry};
use crate::entropy::Entropy;
use crate::secret::{Secret, leave_no_trace};

/// An engine whose values are encrypted, and what is needed to open it.
#[derive(Debug)]
pub struct Sealed {
    engine: Engine,
    seal: Seal,
    entropy: Entropy,
    keyring: ArcSwapOption<Keyring>,
}

/// Where a store stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// The root key and the keyring exist.
    pub initialized: bool,
    /// No value can be read.
    pub sealed: bool,
}

/// Why a store could not be initialised or unsealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SealError {
    /// There is nothing to unseal yet.
    NotInitialized,
    /// The root key exists already; another process may have made it.
    AlreadyInitialized,
    /// The root key was wrapped by another kind of seal.
    OtherSeal {
        /// What wrapped it.
        stored: String,
        /// What is configured.
        configured: &'static str,
    },
    /// The root key was wrapped by a key that was not given.
    UnknownKey {
        /// The identifier of the key that would open it.
        wanted: String,
    },
    /// The key has the right identifier, yet does not open the root key.
    WrongKey {
        /// Its identifier.
        id: String,
    },
    /// What lies in the store cannot be understood or was changed.
    Damaged(String),
    /// The engine could not be read.
    Read(ReadError),
    /// The engine could not be written.
    Commit(CommitError),
}

impl Sealed {
    /// Puts the seal around an engine. Nothing is read or written yet.
    pub fn new(engine: impl Into<Engine>, seal: Seal, entropy: Entropy) -> Arc<Self> {
        let engine = engine.into();
        Arc::new(Self { engine, seal, entropy, keyring: ArcSwapOption::empty() })
    }

    /// The name of the seal's kind: `static`, `ephemeral`.
    pub fn kind(&self) -> &'static str {
        self.seal.kind()
    }

    /// Whether there is a root key, and whether it is in use.
    ///
    /// # Errors
    /// [`ReadError::Failed`] if the engine cannot read.
    pub async fn status(&self) -> Result<Status, ReadError> {
        let root = self.engine.snapshot().get(&key::seal()).await?;
        Ok(Status { initialized: root.is_some(), sealed: self.is_sealed() })
    }

    /// Makes the root key, the first data key and the salt. The store stays sealed.
    ///
    /// # Errors
    /// [`SealError::AlreadyInitialized`] if that was done before, here or by another process.
    pub async fn initialize(&self) -> Result<(), SealError> {
        leave_no_trace(self.make_keys()).await
    }

    async fn make_keys(&self) -> Result<(), SealError> {
        let root = seal::new_root_key(&self.entropy);
        let wrapped = self.seal.wrap(&root, &self.entropy);
        let keyring = KeyringRecord::new(&self.entropy);
        let batch = Batch::new()
            .expect_absent(key::seal())
            .expect_absent(key::keyring())
            .put_record(key::seal(), &wrapped)
            .put(key::keyring(), keyring.lock(&root, &self.entropy));
        match self.engine.commit(batch).await {
            Ok(_) => Ok(()),
            Err(CommitError::Conflict { .. }) => Err(SealError::AlreadyInitialized),
            Err(error) => Err(SealError::Commit(error)),
        }
    }

    /// Opens the store. If an older key had to be used, the root key is wrapped anew under the
    /// current one.
    ///
    /// # Errors
    /// See [`SealError`]; the store stays as it was.
    pub async fn unseal(&self) -> Result<(), SealError> {
        leave_no_trace(self.take_keys()).await
    }

    async fn take_keys(&self) -> Result<(), SealError> {
        let (revision, wrapped) = self.wrapped_root().await?;
        let root = self.seal.unwrap(&wrapped)?;
        let (_, record) = self.stored_keyring(&root).await?;
        let keyring = Keyring::new(&record).map_err(SealError::Damaged)?;
        drop(record);
        if !self.seal.is_current(&wrapped) {
            let again = self.seal.wrap(&root, &self.entropy);
            let batch = Batch::new().expect(key::seal(), revision).put_record(key::seal(), &again);
            match self.engine.commit(batch).await {
                // A conflict: another process with the same keys was faster.
                Ok(_) | Err(CommitError::Conflict { .. }) => {}
                Err(error) => return Err(SealError::Commit(error)),
            }
        }
        self.keyring.store(Some(Arc::new(keyring)));
        Ok(())
    }

    /// Forgets every key. Snapshots that exist keep theirs until they are dropped.
    pub fn seal(&self) {
        self.keyring.store(None);
    }

    /// Makes a new data key; from now on it seals, and every older one still opens.
    ///
    /// # Errors
    /// See [`SealError`]; a conflict means that another process did the same: unseal again.
    pub async fn add_data_key(&self) -> Result<(), SealError> {
        leave_no_trace(self.make_data_key()).await
    }

    async fn make_data_key(&self) -> Result<(), SealError> {
        let (_, wrapped) = self.wrapped_root().await?;
        let root = self.seal.unwrap(&wrapped)?;
        let (revision, mut record) = self.stored_keyring(&root).await?;
        record.add_key(&self.entropy);
        let keyring = Keyring::new(&record).map_err(SealError::Damaged)?;
        let batch = Batch::new()
            .expect(key::keyring(), revision)
            .put(key::keyring(), record.lock(&root, &self.entropy));
        drop(record);
        self.engine.commit(batch).await.map_err(SealError::Commit)?;
        self.keyring.store(Some(Arc::new(keyring)));
        Ok(())
    }

    /// Can no value be read?
    pub fn is_sealed(&self) -> bool {
        self.keyring.load().is_none()
    }

    /// How many values the newest data key sealed since this process uses it; `None` while sealed.
    pub fn values_sealed(&self) -> Option<u64> {
        self.keyring.load().as_ref().map(|keyring| keyring.values_sealed())
    }

    /// HMAC-SHA256 under this store's salt: the name under which a token is kept.
    ///
    /// # Errors
    /// [`ReadError::Sealed`] while the store is sealed.
    pub fn hmac(&self, message: &[u8]) -> Result<[u8; 32], ReadError> {
        let keyring = self.keyring.load();
        Ok(keyring.as_ref().ok_or(ReadError::Sealed)?.hmac(message))
    }

    pub(super) const fn engine(&self) -> &Engine {
        &self.engine
    }

    pub(super) fn open_snapshot(&self) -> Result<(EngineSnapshot, Opener), ReadError> {
        let keyring = self.keyring.load_full().ok_or(ReadError::Sealed)?;
        Ok((self.engine.snapshot(), Opener(keyring)))
    }

    pub(super) async fn revision(&self, key: &Key) -> Result<Option<Revision>, ReadError> {
        if self.is_sealed() {
            return Err(ReadError::Sealed);
        }
        self.engine.revision(key).await
    }

    /// Encrypts the values of a batch, each for its place.
    pub(super) fn encrypt(&self, batch: &mut Batch) -> Result<(), CommitError> {
        let keyring = self.keyring.load_full().ok_or(CommitError::Sealed)?;
        for (key, value) in &mut batch.puts {
            *value = keyring.seal(key, value, &self.entropy).ok_or_else(|| {
                CommitError::NotDone("the value is too long to be encrypted".into())
            })?;
        }
        Ok(())
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

/// What opens the values of a snapshot.
#[derive(Debug)]
pub(super) struct Opener(Arc<Keyring>);

impl Opener {
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

impl fmt::Display for SealError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotInitialized => formatter.write_str("the store is not initialized"),
            Self::AlreadyInitialized => formatter.write_str("the store is initialized already"),
            Self::OtherSeal { stored, configured } => write!(
                formatter,
                "the store was sealed by the seal {stored:?}, and {configured:?} is configured"
            ),
            Self::UnknownKey { wanted } => write!(
                formatter,
                "the store was sealed with the key {wanted:?}, which is not among the keys given: \
                 name it as the current or the previous key"
            ),
            Self::WrongKey { id } => write!(
                formatter,
                "the key {id:?} does not open this store: it was sealed with another key of \
                 the same name"
            ),
            Self::Damaged(reason) => write!(formatter, "the seal's records are damaged: {reason}"),
            Self::Read(error) => error.fmt(formatter),
            Self::Commit(error) => error.fmt(formatter),
        }
    }
}

impl std::error::Error for SealError {}

#[cfg(test)]
mod tests;
