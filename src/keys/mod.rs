//! Custody: the private key of an authority never comes out, but for the sealed store.
//!
//! A key signs only what was linted ([`crate::ca::signed::ToSign`] is closed), and it checks its own signature
//! where an error is costly (`docs/design.md`, "Check signatures of our own where an error is costly").

mod pool;
pub mod software;
#[cfg(test)]
mod suite;

use std::fmt;

pub use pool::KeyPool;
pub use software::{PrivateKey, SubjectKey};

/// Why a key could not be created or read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyError {
    /// A kind or size that is not supported: P-224, or RSA of an unusual size.
    Unsupported,
    /// The bytes are not PKCS#8 of a supported key.
    Rejected,
    /// The library failed.
    Failed,
}

impl fmt::Display for KeyError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Unsupported => "keys of this kind and size are not supported",
            Self::Rejected => "the private key cannot be read",
            Self::Failed => "the key could not be generated",
        })
    }
}

impl std::error::Error for KeyError {}

/// Why signing failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignError {
    /// The bytes name an algorithm that this key does not sign with.
    Unfit,
    /// The library failed.
    Failed,
    /// The new signature does not verify: nothing is returned.
    Wrong,
}

impl fmt::Display for SignError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Unfit => "the key does not sign with this algorithm",
            Self::Failed => "signing failed",
            Self::Wrong => "the new signature does not verify",
        })
    }
}

impl std::error::Error for SignError {}
