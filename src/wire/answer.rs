//! The envelope of an answer, as a client reads it.
//!
//! Members that a server leaves out read as empty. None of the types that hold key material
//! has `Debug`, so an answer cannot be logged by mistake.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The answer to a request.
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
    /// The data of the answer.
    pub data: Option<Map<String, Value>>,
    /// Warnings of a request that succeeded.
    pub warnings: Option<Vec<String>>,
    /// A token, after a login.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth: Option<Auth>,
    /// A token that holds the answer, if wrapping was requested.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wrap_info: Option<WrapInfo>,
}

/// A token and its attributes.
#[derive(Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct Auth {
    /// The token itself.
    pub client_token: String,
    /// An identifier of the token that does not grant its rights.
    pub accessor: String,
    /// Every policy of the token.
    pub policies: Option<Vec<String>>,
    /// Those attached to the token.
    pub token_policies: Option<Vec<String>>,
    /// Those of the caller's identity.
    pub identity_policies: Option<Vec<String>>,
    /// Metadata of the caller, set by the auth method.
    pub metadata: Option<Map<String, Value>>,
    /// Whether the token stays valid after its parent is revoked.
    pub orphan: bool,
    /// The identity, or empty.
    pub entity_id: String,
    /// Seconds; 0 for a token that does not expire.
    pub lease_duration: i64,
    /// Whether the token can be renewed.
    pub renewable: bool,
    /// The second factor that the login still requires.
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
    /// The path of the request.
    pub creation_path: String,
    /// The accessor of the token inside, where there is one.
    pub wrapped_accessor: String,
}

/// The body of an error.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Refusal {
    /// The messages.
    #[serde(default)]
    pub errors: Vec<String>,
    /// Hints, such as a command to paste; may be `null` or absent.
    #[serde(default)]
    pub warnings: Option<Vec<String>>,
}
