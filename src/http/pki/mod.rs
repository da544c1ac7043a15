//! The paths of a PKI mount: method, rest of path and parameters become a use case's request.

mod authority;
mod issued;
mod issuer;
mod leaf;
mod public;
pub mod role;
mod route;
mod settings;

use crate::engine::Failure;
use crate::engine::pki::Pki;

use super::call::{Call, Operation};
use super::reply::Reply;

pub use public::public;
pub use route::Route;

/// Answers behind the gate.
///
/// # Errors
/// What the use case refuses.
pub async fn dispatch(pki: &Pki, route: &Route, call: Call) -> Result<Reply, Failure> {
    match (route, call.operation) {
        (Route::Issue(issuer, role), Operation::Write) => {
            leaf::issue(pki, (issuer.as_deref(), role), call).await
        }
        (Route::Sign(issuer, role), Operation::Write) => {
            leaf::sign(pki, (issuer.as_deref(), role), call).await
        }
        _ => Box::pin(rarely(pki, route, &call)).await,
    }
}

/// Everything but certificates. Boxed by its caller: it is seldom asked for and takes much room.
async fn rarely(pki: &Pki, route: &Route, call: &Call) -> Result<Reply, Failure> {
    match (route, call.operation) {
        (Route::Roles, Operation::List) => role::list(pki).await,
        (Route::Role(name), operation) => role::dispatch(pki, name, operation, call).await,
        (Route::GenerateRoot(kind, rotates), Operation::Write) => {
            authority::root(pki, kind, *rotates, call).await
        }
        (Route::GenerateIntermediate(kind), Operation::Write) => {
            authority::intermediate(pki, kind, call).await
        }
        (Route::SignIntermediate(issuer), Operation::Write) => {
            authority::sign(pki, issuer.as_deref(), call).await
        }
        (Route::SetSigned, Operation::Write) => authority::set_signed(pki, call).await,
        (Route::Issuer(reference), operation) => {
            issuer::dispatch(pki, reference, operation, call).await
        }
        (Route::Keys, Operation::List) => issuer::list_keys(pki).await,
        (Route::Key(reference), Operation::Read) => issuer::read_key(pki, reference).await,
        (Route::Key(reference), Operation::Delete) => {
            Ok(Reply::done(pki.delete_key(reference, call.now).await?))
        }
        (
            Route::ConfigIssuers | Route::ConfigKeys | Route::ConfigUrls | Route::ConfigCluster,
            Operation::Read | Operation::Write,
        ) => settings::dispatch(pki, route, call).await,
        (Route::Certificates, Operation::List) => Reply::long_list(pki.list_certificates()).await,
        (Route::Revoke, Operation::Write) => leaf::revoke(pki, call).await,
        (Route::RevokeIssuer(reference), Operation::Write) => {
            issuer::revoke(pki, reference, call).await
        }
        (Route::RotateCrl, Operation::Read) => {
            let warnings = pki.rotate_crls(call.now).await?;
            Ok(Reply::with_warnings(serde_json::json!({ "success": true }), warnings))
        }
        _ => Err(Failure::UnsupportedOperation),
    }
}
