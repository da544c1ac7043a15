//! A request after reading: the one thing that travels from the spine to every path.

use serde_json::{Map, Value};

use crate::auth::Capability;
use crate::ca::time::Timestamp;

/// A request after reading: what the rest of the road needs.
/// No `Debug`: passwords of key stores are among the parameters.
pub struct Call {
    /// The one instant of this request.
    pub now: Timestamp,
    /// The path behind `/v1/`, decoded.
    pub path: String,
    /// What is to be done.
    pub operation: Operation,
    /// Parameters of body or query.
    pub parameters: Map<String, Value>,
    /// The address of the request's header `Host`, for texts.
    pub head: bool,
}

/// What a method means to Vault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// GET, HEAD
    Read,
    /// LIST, or GET with `list=true`
    List,
    /// POST, PUT
    Write,
    /// PATCH
    Patch,
    /// DELETE
    Delete,
}

impl Operation {
    /// What policies call it.
    pub const fn capability(self) -> Capability {
        match self {
            Self::Read => Capability::Read,
            Self::List => Capability::List,
            Self::Write => Capability::Update,
            Self::Patch => Capability::Patch,
            Self::Delete => Capability::Delete,
        }
    }
}
