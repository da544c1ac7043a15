//! What protects the root key.

use minicbor::{Decode, Encode};

use super::super::record::Record;
use super::SealError;
use super::keyring;
use crate::entropy::{Entropy, Purpose};
use crate::secret::Secret;

/// What protects the root key.
#[derive(Debug)]
pub enum Seal {
    /// A key from a file or the environment. With the previous key configured too, a store that was
    /// sealed with that one unseals, and its root key is wrapped again under the current one.
    Static {
        /// Wraps and opens.
        current: StaticKey,
        /// Only opens.
        previous: Option<StaticKey>,
    },
    /// A key that is lost when the process ends: for development, over the engine in memory.
    Ephemeral(Secret<[u8; 32]>),
}

/// A key of a static seal.
#[derive(Debug)]
pub struct StaticKey {
    /// Its name, kept in clear beside the wrapped root key.
    pub id: String,
    /// The key itself.
    pub key: Box<Secret<[u8; 32]>>,
}

/// The root key as it is written.
#[derive(Clone, Debug, Encode, Decode)]
#[cbor(map)]
pub(super) struct WrappedRoot {
    /// The kind of the seal.
    #[n(0)]
    kind: String,
    /// Which of its keys.
    #[n(1)]
    key_id: String,
    /// The root key, encrypted.
    #[cbor(n(2), with = "minicbor::bytes")]
    root: Vec<u8>,
}

impl Record for WrappedRoot {}

impl Seal {
    /// A seal with a random key that is not kept.
    pub fn ephemeral(entropy: &Entropy) -> Self {
        Self::Ephemeral(new_root_key(entropy))
    }

    /// The name of this kind of seal, as in the configuration.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Static { .. } => "static",
            Self::Ephemeral(_) => "ephemeral",
        }
    }

    pub(super) fn wrap(&self, root: &Secret<[u8; 32]>, entropy: &Entropy) -> WrappedRoot {
        let (id, key) = self.current();
        WrappedRoot {
            kind: self.kind().to_owned(),
            key_id: id.to_owned(),
            root: keyring::wrap(key, root, entropy),
        }
    }

    pub(super) fn is_current(&self, wrapped: &WrappedRoot) -> bool {
        wrapped.key_id == self.current().0
    }

    /// Logs that the root key is wrapped by the current key from now on.
    pub(super) fn log_change(&self) {
        let (id, _) = self.current();
        tracing::info!("the store is now sealed under {id:?}; previous_key may go");
    }

    /// Logs that the previous key is configured and not needed.
    pub(super) fn log_spare_key(&self) {
        if let Self::Static { current, previous: Some(_) } = self {
            tracing::info!("the store is sealed under {:?}; previous_key may go", current.id);
        }
    }

    pub(super) fn unwrap(&self, wrapped: &WrappedRoot) -> Result<Secret<[u8; 32]>, SealError> {
        if wrapped.kind != self.kind() {
            let stored = wrapped.kind.clone();
            return Err(SealError::OtherSeal { stored, configured: self.kind() });
        }
        let (current_id, current) = self.current();
        let key = match self {
            _ if wrapped.key_id == current_id => current,
            Self::Static { previous: Some(previous), .. } if wrapped.key_id == previous.id => {
                &previous.key
            }
            _ => return Err(SealError::UnknownKey { wanted: wrapped.key_id.clone() }),
        };
        keyring::unwrap(key, &wrapped.root)
            .ok_or_else(|| SealError::WrongKey { id: wrapped.key_id.clone() })
    }

    fn current(&self) -> (&str, &Secret<[u8; 32]>) {
        match self {
            Self::Static { current, .. } => (&current.id, &current.key),
            Self::Ephemeral(key) => ("ephemeral", key),
        }
    }
}

pub(super) fn new_root_key(entropy: &Entropy) -> Secret<[u8; 32]> {
    Secret::new(entropy.bytes(Purpose::DataKey))
}
