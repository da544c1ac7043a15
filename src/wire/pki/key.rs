//! Keys of issuers.

use serde::{Deserialize, Serialize};

use super::List;

/// `key/:key_ref`.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct KeyAnswer {
    /// Identifier.
    pub key_id: String,
    /// Name, or empty.
    pub key_name: String,
    /// `rsa`, `ec` or `ed25519`.
    pub key_type: String,
    /// Identifier of the public key in certificates: hexadecimal bytes, separated by colons.
    pub subject_key_id: String,
}

/// Every key of a mount.
pub type KeyList = List<KeyInfo>;

/// A key in a list.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct KeyInfo {
    /// Whether it is the default key.
    pub is_default: bool,
    /// Name, or empty.
    pub key_name: String,
}
