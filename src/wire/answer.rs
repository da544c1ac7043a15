//! The envelope of an answer, as a client reads it.
//!
//! Members that a server leaves out read as empty. None of the types that hold key material
//! has `Debug`: an answer cannot slip into a log.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What a request was answered with.
#[derive(Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct Answer {
    /// The identifier of the request, as the server logged it.
    pub request_id: String,
    /// The lease, or empty.
    pub lease_id: String,
    /// Seconds.
    pub lease_duration: i64,
    /// Whether the lease can be renewed.
    pub renewable: bool,
    /// What the endpoint answered.
    pub data: Option<Map<String, Value>>,
    /// What the caller should know although the request succeeded.
    pub warnings: Option<Vec<String>>,
    /// A token, after a login.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth: Option<Auth>,
    /// A token that holds the answer, where wrapping was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wrap_info: Option<WrapInfo>,
}

/// A token and what belongs to it.
#[derive(Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct Auth {
    /// The token itself.
    pub client_token: String,
    /// Names the token without being it.
    pub accessor: String,
    /// Every policy of the token.
    pub policies: Option<Vec<String>>,
    /// Those attached to the token.
    pub token_policies: Option<Vec<String>>,
    /// Those that come from the identity behind it.
    pub identity_policies: Option<Vec<String>>,
    /// What the auth method says of the caller.
    pub metadata: Option<Map<String, Value>>,
    /// Whether the token outlives the one that made it.
    pub orphan: bool,
    /// The identity, or empty.
    pub entity_id: String,
    /// Seconds; 0 for a token that does not expire.
    pub lease_duration: i64,
    /// Whether the token can be renewed.
    pub renewable: bool,
    /// A second factor that is still missing.
    pub mfa_requirement: Option<Value>,
}

/// A wrapped answer.
#[derive(Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct WrapInfo {
    /// The wrapping token.
    pub token: String,
    /// Its accessor.
    pub accessor: String,
    /// Seconds.
    pub ttl: i64,
    /// RFC 3339.
    pub creation_time: String,
    /// The path that was asked.
    pub creation_path: String,
    /// The accessor of the token inside, where there is one.
    pub wrapped_accessor: String,
}

/// The body of a refusal.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Refusal {
    /// One text each.
    #[serde(default)]
    pub errors: Vec<String>,
    /// What would help, such as a line to paste; `null` or absent where there is nothing.
    #[serde(default)]
    pub warnings: Option<Vec<String>>,
}
