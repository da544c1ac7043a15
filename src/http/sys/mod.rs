//! `sys/`: what needs no token and no unsealed store, and the mounts (vault-core-api 3 and 4).

mod mounts;

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Map, Value, json};

use crate::engine::{Engine, Failure};
use crate::http::fields::{FieldError, Fields, Kind, Schema};

use super::call::{Call, Operation};
use super::reply::Reply;

/// The version that clients see. Vault's line whose PKI surface is spoken comes first, because
/// clients gate features on it (clients.md 6.2); the build metadata is ours.
pub const VERSION: &str = concat!("2.1.0+signet.", env!("CARGO_PKG_VERSION"));

/// Does this path of `sys/` need no token?
pub fn is_public(path: &str) -> bool {
    matches!(path, "sys/health" | "sys/seal-status" | "sys/leader" | "sys/init")
}

/// Answers of `sys/` that need no token.
///
/// # Errors
/// What the use case refuses.
pub async fn public(engine: &Engine, call: &Call) -> Result<Reply, Failure> {
    match (call.path.as_str(), call.operation) {
        ("sys/health", Operation::Read) => Ok(health(engine, &call.parameters).await),
        ("sys/seal-status", Operation::Read) => Ok(seal_status(engine).await),
        ("sys/leader", Operation::Read) => Ok(leader(engine)),
        ("sys/init", Operation::Read) => {
            let initialized = engine.status().await.initialized;
            Ok(Reply::Plain(StatusCode::OK, json!({ "initialized": initialized })))
        }
        ("sys/init", Operation::Write) => init(engine, call).await,
        _ => Err(Failure::UnsupportedOperation),
    }
}

/// Answers of `sys/` behind the gate.
///
/// # Errors
/// What the use case refuses.
pub async fn dispatch(engine: &Engine, call: &Call) -> Result<Reply, Failure> {
    let path = call.path.strip_prefix("sys/").unwrap_or_default();
    let path = path.strip_suffix('/').unwrap_or(path);
    if path == "mounts" && call.operation == Operation::Read {
        return Ok(mounts::list(engine));
    }
    if let Some(mount) = path.strip_prefix("mounts/") {
        return mounts::dispatch(engine, mount, call).await;
    }
    match (path, call.operation) {
        ("internal/ui/mounts", Operation::Read) => Ok(mounts::visible(engine)),
        (path, Operation::Read) if path.starts_with("internal/ui/mounts/") => {
            let wanted = path.strip_prefix("internal/ui/mounts/").unwrap_or_default();
            mounts::preflight(engine, wanted)
        }
        _ => Err(Failure::UnsupportedPath),
    }
}

/// The parameters by which a health check asks for a status code, a number from 200 to 599: codes below
/// are no final answer (RFC 9110, 15.2).
const CODES: [&str; 8] = [
    "activecode",
    "sealedcode",
    "uninitcode",
    "standbycode",
    "drsecondarycode",
    "performancestandbycode",
    "haunhealthycode",
    "removedcode",
];

/// The code that a parameter asks for; an error if it is no such number.
fn code(parameters: &Map<String, Value>, name: &str) -> Option<Result<StatusCode, ()>> {
    let text = parameters.get(name)?.as_str().unwrap_or_default();
    let code = text.parse().ok().filter(|code: &u16| (200..600).contains(code));
    Some(code.and_then(|code| StatusCode::from_u16(code).ok()).ok_or(()))
}

async fn health(engine: &Engine, parameters: &Map<String, Value>) -> Reply {
    let status = engine.status().await;
    if CODES.iter().any(|name| matches!(code(parameters, name), Some(Err(())))) {
        return Reply::Plain(StatusCode::BAD_REQUEST, json!({ "errors": [] }));
    }
    let (name, usual) = if !status.initialized {
        ("uninitcode", StatusCode::NOT_IMPLEMENTED)
    } else if status.sealed {
        ("sealedcode", StatusCode::SERVICE_UNAVAILABLE)
    } else {
        ("activecode", StatusCode::OK)
    };
    let code = code(parameters, name).and_then(Result::ok).unwrap_or(usual);
    if matches!(code.as_u16(), 204 | 205 | 304) {
        // These codes say that there is no body (RFC 9110, 15.3.5, 15.3.6 and 15.4.5).
        return Reply::Raw(code, "application/json", Bytes::new());
    }
    let ready = status.initialized && !status.sealed;
    let replication = if ready { "disabled" } else { "unknown" };
    let mut body = Map::new();
    body.insert("initialized".to_owned(), status.initialized.into());
    body.insert("sealed".to_owned(), status.sealed.into());
    body.insert("standby".to_owned(), (!ready).into());
    body.insert("performance_standby".to_owned(), false.into());
    body.insert("replication_performance_mode".to_owned(), replication.into());
    body.insert("replication_dr_mode".to_owned(), replication.into());
    body.insert("server_time_utc".to_owned(), engine.env().clock.now().unix().into());
    body.insert("version".to_owned(), VERSION.into());
    if ready {
        body.insert("cluster_name".to_owned(), status.cluster.name.into());
        body.insert("cluster_id".to_owned(), status.cluster.id.into());
    }
    Reply::Plain(code, Value::Object(body))
}

async fn seal_status(engine: &Engine) -> Reply {
    let status = engine.status().await;
    let keys = i32::from(status.initialized);
    let mut body = json!({
        "type": engine.env().sealed.kind(),
        "initialized": status.initialized,
        "sealed": status.sealed,
        "t": keys,
        "n": keys,
        "progress": 0,
        "nonce": "",
        "version": VERSION,
        "build_date": "",
        "migration": false,
        "recovery_seal": true,
        "storage_type": engine.env().storage_type,
    });
    if let (false, Some(members)) = (status.sealed, body.as_object_mut()) {
        members.insert("cluster_name".to_owned(), status.cluster.name.into());
        members.insert("cluster_id".to_owned(), status.cluster.id.into());
    }
    Reply::Plain(StatusCode::OK, body)
}

/// Without high availability; the address is that of the configuration.
fn leader(engine: &Engine) -> Reply {
    Reply::Plain(
        StatusCode::OK,
        json!({
            "ha_enabled": false,
            "is_self": false,
            "active_time": "0001-01-01T00:00:00Z",
            "leader_address": engine.installation().api_addr.as_deref().unwrap_or_default(),
            "leader_cluster_address": "",
            "performance_standby": false,
            "performance_standby_last_remote_wal": 0,
        }),
    )
}

const INIT: Schema = &[
    ("secret_shares", Kind::Integer),
    ("secret_threshold", Kind::Integer),
    ("stored_shares", Kind::Integer),
    ("pgp_keys", Kind::Words),
    ("recovery_shares", Kind::Integer),
    ("recovery_threshold", Kind::Integer),
    ("recovery_pgp_keys", Kind::Words),
    ("root_token_pgp_key", Kind::Text),
];

/// The seal opens by itself: there are no key shares to hand out, and the root token is told
/// once.
async fn init(engine: &Engine, call: &Call) -> Result<Reply, Failure> {
    let fields = Fields::read(call.parameters.clone(), &[], &[INIT])
        .map_err(|FieldError(text)| Failure::refused(text))?;
    if fields.integer("secret_shares") > 0 || fields.integer("secret_threshold") > 0 {
        return Err(Failure::refused(format!(
            "parameters secret_shares,secret_threshold not applicable to seal type {}",
            engine.env().sealed.kind()
        )));
    }
    for unsupported in ["root_token_pgp_key", "pgp_keys", "recovery_pgp_keys"] {
        if !fields.text(unsupported).is_empty() || !fields.words(unsupported).is_empty() {
            return Err(Failure::refused(format!("{unsupported} is not supported")));
        }
    }
    let token = engine.initialize(None, None, call.now).await?;
    Ok(Reply::Plain(
        StatusCode::OK,
        json!({
            "keys": [],
            "keys_base64": [],
            "recovery_keys": [],
            "recovery_keys_base64": [],
            "root_token": token.expose(),
        }),
    ))
}
