//! The state of the server, and `sys/init`: routes that need neither a token nor an unsealed store.

use http::StatusCode;
use serde::Serialize;
use std::sync::Arc;

use crate::backend::call::Call;
use crate::backend::call::params;
use crate::backend::response::Response;
use crate::engine::{Engine, Failure};
use crate::wire::sys::{Health, InitAnswer, InitStatus, Leader, SealStatus};

/// The version that clients see. It begins with the version of Vault whose PKI API this server has, because
/// clients enable features by it; the build metadata is Signet's.
pub const VERSION: &str = concat!("2.1.0+signet.", env!("CARGO_PKG_VERSION"));

params! {
    /// The status codes that a health check asks for.
    pub(super) struct Codes {
        /// Status code of an active server.
        activecode: Option<String>,
        /// Status code of a sealed server.
        sealedcode: Option<String>,
        /// Status code of a server that is not initialized.
        uninitcode: Option<String>,
        /// Status code of a standby; this server is never one.
        standbycode: Option<String>,
        /// Status code of a disaster-recovery secondary; this server is never one.
        drsecondarycode: Option<String>,
        /// Status code of a performance standby; this server is never one.
        performancestandbycode: Option<String>,
        /// Status code of a server without an active peer; this server is never one.
        haunhealthycode: Option<String>,
        /// Status code of a removed peer; this server is never one.
        removedcode: Option<String>,
    }
}

/// The answer to a text that is not a status code: Vault's, which says nothing more.
#[derive(Serialize)]
struct Errors {
    errors: [&'static str; 0],
}

impl Codes {
    fn all(&self) -> [&Option<String>; 8] {
        [
            &self.activecode,
            &self.sealedcode,
            &self.uninitcode,
            &self.standbycode,
            &self.drsecondarycode,
            &self.performancestandbycode,
            &self.haunhealthycode,
            &self.removedcode,
        ]
    }
}

/// A code that a parameter asks for: a number from 200 to 599, since codes below are not final answers
/// (RFC 9110, section 15.2).
fn code(text: &str) -> Option<StatusCode> {
    let code = text.parse().ok().filter(|code: &u16| (200..600).contains(code));
    code.and_then(|code| StatusCode::from_u16(code).ok())
}

pub(super) async fn health(engine: Arc<Engine>, mut call: Call) -> Result<Response, Failure> {
    let status = engine.status().await;
    let codes: Codes = call.read();
    if codes.all().into_iter().flatten().any(|text| code(text).is_none()) {
        return Ok(Response::plain(StatusCode::BAD_REQUEST, Errors { errors: [] }));
    }
    let (asked, usual) = if !status.initialized {
        (&codes.uninitcode, StatusCode::NOT_IMPLEMENTED)
    } else if status.sealed {
        (&codes.sealedcode, StatusCode::SERVICE_UNAVAILABLE)
    } else {
        (&codes.activecode, StatusCode::OK)
    };
    let code = asked.as_deref().and_then(code).unwrap_or(usual);
    if matches!(code.as_u16(), 204 | 205 | 304) {
        // Responses with these codes have no body (RFC 9110, sections 15.3.5, 15.3.6 and 15.4.5).
        return Ok(Response::Status(code));
    }
    let ready = status.initialized && !status.sealed;
    let replication = if ready { "disabled" } else { "unknown" };
    let health = Health {
        initialized: status.initialized,
        sealed: status.sealed,
        standby: !ready,
        performance_standby: false,
        replication_performance_mode: replication.to_owned(),
        replication_dr_mode: replication.to_owned(),
        server_time_utc: engine.env().clock.now().unix(),
        version: VERSION.to_owned(),
        cluster_name: ready.then_some(status.cluster.name),
        cluster_id: ready.then_some(status.cluster.id),
    };
    Ok(Response::plain(code, health))
}

pub(super) async fn seal_status(engine: Arc<Engine>, _call: Call) -> Result<Response, Failure> {
    let status = engine.status().await;
    // A seal that opens by itself counts as one share.
    let shares = u32::from(status.initialized);
    let seal = SealStatus {
        kind: engine.env().sealed.kind().to_owned(),
        initialized: status.initialized,
        sealed: status.sealed,
        t: shares,
        n: shares,
        version: VERSION.to_owned(),
        build_date: Some(String::new()),
        recovery_seal: true,
        storage_type: engine.env().storage_type.to_owned(),
        // Both are empty while the store is sealed.
        cluster_name: status.cluster.name,
        cluster_id: status.cluster.id,
        ..SealStatus::default()
    };
    Ok(Response::plain(StatusCode::OK, seal))
}

/// Without high availability. The address is that of the configuration.
pub(super) async fn leader(engine: Arc<Engine>, _call: Call) -> Result<Response, Failure> {
    let leader = Leader {
        active_time: "0001-01-01T00:00:00Z".to_owned(),
        leader_address: engine.installation().api_addr.clone().unwrap_or_default(),
        ..Leader::default()
    };
    Ok(Response::plain(StatusCode::OK, leader))
}

pub(super) async fn initialized(engine: Arc<Engine>, _call: Call) -> Result<Response, Failure> {
    let initialized = engine.status().await.initialized;
    Ok(Response::plain(StatusCode::OK, InitStatus { initialized }))
}

params! {
    /// How a store is initialised.
    pub(super) struct Init {
        /// Number of key shares; a seal that opens by itself has none.
        secret_shares: i64,
        /// Number of shares that unseal; a seal that opens by itself has none.
        secret_threshold: i64,
        /// PGP keys that encrypt the shares; not supported.
        pgp_keys: Vec<String>,
        /// PGP keys that encrypt the recovery shares; not supported.
        recovery_pgp_keys: Vec<String>,
        /// PGP key that encrypts the root token; not supported.
        root_token_pgp_key: String,
    } accepts {
        /// Number of shares that the server stores.
        stored_shares: i64,
        /// Number of recovery shares.
        recovery_shares: i64,
        /// Number of recovery shares that are needed.
        recovery_threshold: i64,
    }
}

/// The seal opens by itself: there are no key shares, and the answer is the only one with the root token.
pub(super) async fn init(engine: Arc<Engine>, mut call: Call) -> Result<Response, Failure> {
    let init: Init = call.read();
    if init.secret_shares > 0 || init.secret_threshold > 0 {
        return Err(Failure::refused(format!(
            "parameters secret_shares,secret_threshold not applicable to seal type {}",
            engine.env().sealed.kind()
        )));
    }
    for (name, is_set) in [
        ("root_token_pgp_key", !init.root_token_pgp_key.is_empty()),
        ("pgp_keys", !init.pgp_keys.is_empty()),
        ("recovery_pgp_keys", !init.recovery_pgp_keys.is_empty()),
    ] {
        if is_set {
            return Err(Failure::refused(format!("{name} is not supported")));
        }
    }
    let token = engine.initialize(None, None, call.now).await?;
    let none = || Some(Vec::new());
    let answer = InitAnswer {
        keys: none(),
        keys_base64: none(),
        recovery_keys: none(),
        recovery_keys_base64: none(),
        root_token: token.expose().clone(),
    };
    Ok(Response::plain(StatusCode::OK, answer))
}
