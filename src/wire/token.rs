//! `auth/token`: tokens as their holders see them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// `auth/token/lookup-self`. Durations are seconds. It has no `Debug`: it names the token.
#[derive(Clone, Deserialize, Serialize)]
pub struct TokenAnswer {
    /// An identifier of the token that does not grant its rights.
    pub accessor: String,
    /// When it was created, in seconds since the Unix epoch.
    pub creation_time: i64,
    /// Its lifetime at creation; 0 for no limit.
    pub creation_ttl: i64,
    /// Name in logs.
    pub display_name: String,
    /// Identifier of the caller's entity, or empty.
    pub entity_id: String,
    /// When it expires (RFC 3339).
    pub expire_time: Option<String>,
    /// The longest lifetime; 0 for no limit.
    pub explicit_max_ttl: i64,
    /// The token.
    pub id: String,
    /// Metadata of the login.
    pub meta: Option<BTreeMap<String, String>>,
    /// Remaining uses; 0 for no limit.
    pub num_uses: i64,
    /// Whether it stays valid after its parent is revoked.
    pub orphan: bool,
    /// The path that created it.
    pub path: String,
    /// Names of its policies.
    pub policies: Vec<String>,
    /// Whether it can be renewed.
    pub renewable: bool,
    /// Remaining lifetime; 0 for no limit.
    pub ttl: i64,
    /// `service` or `batch`.
    #[serde(rename = "type")]
    pub kind: String,
}
