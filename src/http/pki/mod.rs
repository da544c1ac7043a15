//! The paths of a PKI mount: method, rest of path and parameters become a use case's request.

mod authority;
mod issued;
mod issuer;
mod leaf;
mod public;
pub mod role;
mod route;
mod settings;

use std::sync::Arc;

use crate::auth::Granted;
use crate::engine::mount::Mount;
use crate::engine::{Engine, Failure};

use super::call::{Call, Operation};
use super::reply::Reply;

pub use public::public;
pub use route::Route;

/// Answers behind the gate.
///
/// # Errors
/// What the use case refuses.
pub async fn dispatch(
    engine: &Engine,
    granted: &Granted,
    mount: &Arc<Mount>,
    route: &Route,
    call: Call,
) -> Result<Reply, Failure> {
    match (route, call.operation) {
        (Route::Issue(issuer, role), Operation::Write) => {
            leaf::issue(engine, granted, mount, (issuer.as_deref(), role), call).await
        }
        (Route::Sign(issuer, role), Operation::Write) => {
            leaf::sign(engine, granted, mount, (issuer.as_deref(), role), call).await
        }
        _ => Box::pin(rarely(engine, granted, mount, route, &call)).await,
    }
}

/// Everything but certificates. Boxed by its caller: it is seldom asked for and takes much room.
async fn rarely(
    engine: &Engine,
    granted: &Granted,
    mount: &Arc<Mount>,
    route: &Route,
    call: &Call,
) -> Result<Reply, Failure> {
    match (route, call.operation) {
        (Route::Roles, Operation::List) => role::list(engine, granted, mount).await,
        (Route::Role(name), operation) => {
            role::dispatch(engine, granted, mount, name, operation, call).await
        }
        (Route::GenerateRoot(kind, rotates), Operation::Write) => {
            authority::root(engine, granted, mount, kind, *rotates, call).await
        }
        (Route::GenerateIntermediate(kind), Operation::Write) => {
            authority::intermediate(engine, granted, mount, kind, call).await
        }
        (Route::SignIntermediate(issuer), Operation::Write) => {
            authority::sign(engine, granted, mount, issuer.as_deref(), call).await
        }
        (Route::SetSigned, Operation::Write) => {
            authority::set_signed(engine, granted, mount, call).await
        }
        (Route::Issuer(reference), operation) => {
            issuer::dispatch(engine, granted, mount, reference, operation, call).await
        }
        (Route::Keys, Operation::List) => issuer::list_keys(engine, mount).await,
        (Route::Key(reference), Operation::Read) => {
            issuer::read_key(engine, mount, reference).await
        }
        (Route::Key(reference), Operation::Delete) => {
            Ok(Reply::done(engine.delete_key(granted, mount, reference, call.now).await?))
        }
        (
            Route::ConfigIssuers | Route::ConfigKeys | Route::ConfigUrls | Route::ConfigCluster,
            Operation::Read | Operation::Write,
        ) => settings::dispatch(engine, granted, mount, route, call).await,
        (Route::Certificates, Operation::List) => {
            Reply::long_list(engine.list_certificates(granted, mount)).await
        }
        (Route::Revoke, Operation::Write) => leaf::revoke(engine, granted, mount, call).await,
        (Route::RevokeIssuer(reference), Operation::Write) => {
            issuer::revoke(engine, granted, mount, reference, call).await
        }
        (Route::RotateCrl, Operation::Read) => {
            let warnings = engine.rotate_crls(granted, mount, call.now).await?;
            Ok(Reply::with_warnings(serde_json::json!({ "success": true }), warnings))
        }
        _ => Err(Failure::UnsupportedOperation),
    }
}
