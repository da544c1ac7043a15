//! Seal status, leader and initialisation: the endpoints that answer without an envelope.

use serde::{Deserialize, Serialize};

/// `sys/seal-status`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct SealStatus {
    /// Kind of seal: `static`, `shamir`, …
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether the store holds a root key.
    pub initialized: bool,
    /// Whether no value can be read now.
    pub sealed: bool,
    /// Threshold of shares.
    pub t: u32,
    /// Number of shares.
    pub n: u32,
    /// Shares given so far.
    pub progress: u32,
    /// Of the running unseal, or empty.
    pub nonce: String,
    /// Of the server.
    pub version: String,
    /// RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub build_date: Option<String>,
    /// RFC 3339; some servers say this instead of the build date.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit_date: Option<String>,
    /// Whether a change of seal runs.
    pub migration: bool,
    /// Left out while sealed.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub cluster_name: String,
    /// Left out while sealed.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub cluster_id: String,
    /// Whether the shares recover rather than unseal.
    pub recovery_seal: bool,
    /// Kind of the recovery seal, where there is one.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub recovery_seal_type: String,
    /// Engine of the store.
    pub storage_type: String,
    /// What an operator should know.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// `sys/leader`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct Leader {
    /// Whether several servers share the store.
    pub ha_enabled: bool,
    /// Whether the one that answered leads.
    #[serde(skip_serializing_if = "is_false")]
    pub is_self: bool,
    /// Since when, RFC 3339; year 1 where unknown.
    #[serde(skip_serializing_if = "is_unknown_time")]
    pub active_time: String,
    /// Where clients reach the leader.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub leader_address: String,
    /// Where its peers reach it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub leader_cluster_address: String,
}

/// Body of `PUT sys/init`; every member is always sent.
#[derive(Clone, Debug, Default, Serialize)]
pub struct InitAsk {
    /// Shares of the unseal key.
    pub secret_shares: u32,
    /// How many of them unseal.
    pub secret_threshold: u32,
    /// Keys that the shares are encrypted for; unused.
    pub pgp_keys: Option<Vec<String>>,
    /// Shares of the recovery key.
    pub recovery_shares: u32,
    /// How many of them recover.
    pub recovery_threshold: u32,
    /// Keys that the recovery shares are encrypted for; unused.
    pub recovery_pgp_keys: Option<Vec<String>>,
    /// Key that the root token is encrypted for; unused.
    pub root_token_pgp_key: String,
}

/// Answer of `PUT sys/init`. No `Debug`: it is all secrets.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub struct Init {
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

/// Answer of `GET sys/init`.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Initialized {
    /// Whether the store holds a root key.
    pub initialized: bool,
}

const fn is_false(value: &bool) -> bool {
    !*value
}

fn is_unknown_time(time: &str) -> bool {
    time.is_empty() || time.starts_with("0001-")
}
