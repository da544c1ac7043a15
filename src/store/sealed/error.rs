//! Why a store could not be initialised or unsealed.

use std::fmt;

use super::super::batch::{CommitError, ReadError};

/// Why a store could not be initialised or unsealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SealError {
    /// There is nothing to unseal yet.
    NotInitialized,
    /// An earlier version stopped in the middle of the initialisation: the store has keys, and no value is
    /// encrypted with them. [`Sealed::initialize`] starts again with new keys.
    HalfInitialized,
    /// The root key exists already; another process may have created it.
    AlreadyInitialized,
    /// The root key was wrapped by another kind of seal.
    OtherSeal {
        /// The kind that wrapped it.
        stored: String,
        /// The configured kind.
        configured: &'static str,
    },
    /// The root key was wrapped by a key that is not configured.
    UnknownKey {
        /// The identifier of the key that unwraps it.
        wanted: String,
    },
    /// The key has the right identifier, yet does not unwrap the root key.
    WrongKey {
        /// Its identifier.
        id: String,
    },
    /// A record of the seal cannot be decoded or was changed.
    Damaged(String),
    /// The engine could not be read.
    Read(ReadError),
    /// The engine could not be written.
    Commit(CommitError),
}

impl fmt::Display for SealError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotInitialized => formatter.write_str("the store is not initialized"),
            Self::HalfInitialized => formatter.write_str(
                "the initialization of this store was interrupted: it holds keys, but no token and \
                 no mount; initialize it again",
            ),
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
