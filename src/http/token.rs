//! `auth/token/lookup-self` and `renew-self` (vault-core-api 7).

use serde_json::json;

use crate::auth::Granted;
use crate::engine::Failure;

use super::call::{Call, Operation};
use super::reply::Reply;

/// Answers for the caller's own token.
///
/// # Errors
/// Paths and operations that do not exist.
pub fn dispatch(granted: &Granted, call: &Call) -> Result<Reply, Failure> {
    match (call.path.as_str(), call.operation) {
        ("auth/token/lookup-self", Operation::Read) => Ok(Reply::data(lookup(granted))),
        // A root token does not expire, so there is no lease to renew.
        ("auth/token/renew-self", Operation::Write) => {
            Err(Failure::refused("lease is not renewable"))
        }
        ("auth/token/lookup-self" | "auth/token/renew-self", _) => {
            Err(Failure::UnsupportedOperation)
        }
        _ => Err(Failure::UnsupportedPath),
    }
}

fn lookup(granted: &Granted) -> serde_json::Value {
    let token = granted.token();
    json!({
        "accessor": token.accessor,
        "creation_time": token.created,
        "creation_ttl": 0,
        "display_name": token.display_name,
        "entity_id": "",
        "expire_time": null,
        "explicit_max_ttl": 0,
        "id": granted.presented().expose(),
        "meta": null,
        "num_uses": 0,
        "orphan": true,
        "path": token.path,
        "policies": token.policies,
        "renewable": false,
        "ttl": 0,
        "type": "service",
    })
}
