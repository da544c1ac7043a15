//! Custody: the private key of an authority never comes out, but for the sealed store.
//!
//! A key signs only what was linted ([`crate::ca::signed::ToSign`] is closed), and it checks its own signature
//! where that is grave or cheap (design D7).

mod pool;
pub mod software;
#[cfg(test)]
mod suite;

use std::fmt;

pub use pool::KeyPool;
pub use software::{PrivateKey, SubjectKey};

/// Why there is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyError {
    /// A kind or size that is not made here: P-224, or RSA of an odd size.
    Unsupported,
    /// The bytes are not the PKCS#8 of a key that we know.
    Rejected,
    /// The library failed.
    Failed,
}

impl fmt::Display for KeyError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Unsupported => "keys of this kind and size are not supported",
            Self::Rejected => "the private key cannot be read",
            Self::Failed => "the key could not be made",
        })
    }
}

impl std::error::Error for KeyError {}

/// Why nothing was signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignError {
    /// The bytes name an algorithm that this key does not sign with.
    Unfit,
    /// The library failed.
    Failed,
    /// Our own signature does not verify: nothing leaves the house.
    Wrong,
}

impl fmt::Display for SignError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Unfit => "the key does not sign with this algorithm",
            Self::Failed => "signing failed",
            Self::Wrong => "the signature that was made does not verify",
        })
    }
}

impl std::error::Error for SignError {}
