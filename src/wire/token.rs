//! `auth/token`: tokens as their holders see them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// `auth/token/lookup-self`. Durations are seconds. It has no `Debug`: it names the token.
#[derive(Clone, Deserialize, Serialize)]
pub struct TokenAnswer {
    /// The handle by which the token can be named without being known.
    pub accessor: String,
    /// When it was made, in seconds since the Unix epoch.
    pub creation_time: i64,
    /// The lifetime that it was made with; 0 for none.
    pub creation_ttl: i64,
    /// Name in logs.
    pub display_name: String,
    /// Identifier of the caller's entity, or empty.
    pub entity_id: String,
    /// When it expires (RFC 3339).
    pub expire_time: Option<String>,
    /// The longest lifetime; 0 for none.
    pub explicit_max_ttl: i64,
    /// The token.
    pub id: String,
    /// What the login noted.
    pub meta: Option<BTreeMap<String, String>>,
    /// Uses that are left; 0 for no limit.
    pub num_uses: i64,
    /// Whether it outlives its parent.
    pub orphan: bool,
    /// The path that made it.
    pub path: String,
    /// Names of its policies.
    pub policies: Vec<String>,
    /// Whether it can be renewed.
    pub renewable: bool,
    /// Lifetime that is left; 0 for no end.
    pub ttl: i64,
    /// `service` or `batch`.
    #[serde(rename = "type")]
    pub kind: String,
}
