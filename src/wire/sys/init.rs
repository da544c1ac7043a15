//! `sys/init`.

use serde::{Deserialize, Serialize};

/// Whether the server is initialized.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct InitStatus {
    /// Whether the store holds a root key.
    pub initialized: bool,
}

/// The request to initialize a server. Every member is always sent.
#[derive(Clone, Debug, Default, Serialize)]
pub struct InitRequest {
    /// Number of shares of the unseal key.
    pub secret_shares: u32,
    /// Number of shares that unseal.
    pub secret_threshold: u32,
    /// PGP keys that encrypt the shares. Not supported.
    pub pgp_keys: Option<Vec<String>>,
    /// Number of shares of the recovery key.
    pub recovery_shares: u32,
    /// Number of shares that recover.
    pub recovery_threshold: u32,
    /// PGP keys that encrypt the recovery shares. Not supported.
    pub recovery_pgp_keys: Option<Vec<String>>,
    /// PGP key that encrypts the root token. Not supported.
    pub root_token_pgp_key: String,
}

/// The answer to an [`InitRequest`]. It has no `Debug`: every member is secret.
#[derive(Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct InitAnswer {
    /// Shares of the unseal key, hexadecimal.
    pub keys: Option<Vec<String>>,
    /// The same in base64.
    pub keys_base64: Option<Vec<String>>,
    /// Shares of the recovery key, hexadecimal.
    pub recovery_keys: Option<Vec<String>>,
    /// The same in base64.
    pub recovery_keys_base64: Option<Vec<String>>,
    /// The first token.
    pub root_token: String,
}
