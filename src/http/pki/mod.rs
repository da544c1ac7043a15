//! The paths of a PKI mount: method, rest of path and parameters become a use case's request.

mod authority;
mod issuer;
mod leaf;
mod public;
mod role;
mod settings;

use std::sync::Arc;

use crate::auth::Granted;
use crate::engine::mount::Mount;
use crate::engine::pki::generate::is_name;
use crate::engine::{Engine, Failure};

use super::fields::{FieldError, Fields, Schema};
use super::reply::Reply;
use super::v1::{Call, Operation};

pub use public::public;

/// A path of a PKI mount (pki-api chapter 1), with what it captures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// `roles`
    Roles,
    /// `roles/:name`
    Role(String),
    /// `issue/:role`, `issuer/:ref/issue/:role`
    Issue(Option<String>, String),
    /// `sign/:role`, `issuer/:ref/sign/:role`
    Sign(Option<String>, String),
    /// `root/generate/:type` and its two other spellings; the last names the issuer `next`.
    GenerateRoot(String, bool),
    /// `intermediate/generate/:type`, `issuers/generate/intermediate/:type`
    GenerateIntermediate(String),
    /// `intermediate/set-signed`
    SetSigned,
    /// `root/sign-intermediate`, `issuer/:ref/sign-intermediate`
    SignIntermediate(Option<String>),
    /// `issuers`
    Issuers,
    /// `issuer/:ref`
    Issuer(String),
    /// `issuer/:ref/json`, `/der`, `/pem`
    IssuerRaw(String, String),
    /// `issuer/:ref/crl`, `/crl/der`, `/crl/pem`
    IssuerCrl(String, Option<String>),
    /// `keys`
    Keys,
    /// `key/:ref`
    Key(String),
    /// `config/issuers`
    ConfigIssuers,
    /// `config/keys`
    ConfigKeys,
    /// `config/urls`
    ConfigUrls,
    /// `config/cluster`
    ConfigCluster,
    /// `certs`
    Certificates,
    /// `cert/:serial` and `cert/ca`, `cert/ca_chain`, `cert/crl`, with the raw forms.
    Certificate(String, Option<String>),
    /// `ca`, `ca/pem`
    Authority(Option<String>),
    /// `ca_chain`
    AuthorityChain,
    /// `crl`, `crl/pem`
    Crl(Option<String>),
    /// `revoke`
    Revoke,
}

impl Route {
    /// The route of a path behind the mount, if the engine knows it.
    pub fn parse(rest: &str) -> Option<Self> {
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let segments: Vec<&str> = rest.split('/').collect();
        let name = |text: &&str| is_name(text).then(|| (*text).to_owned());
        let some = |text: &&str| Some((*text).to_owned());
        Some(match segments.as_slice() {
            ["roles"] => Self::Roles,
            ["roles", role] => Self::Role(name(role)?),
            ["issue", role] => Self::Issue(None, name(role)?),
            ["issuer", issuer, "issue", role] => Self::Issue(Some(name(issuer)?), name(role)?),
            ["sign", role] => Self::Sign(None, name(role)?),
            ["issuer", issuer, "sign", role] => Self::Sign(Some(name(issuer)?), name(role)?),
            ["root", "generate", kind] | ["issuers", "generate", "root", kind] => {
                Self::GenerateRoot((*kind).to_owned(), false)
            }
            ["root", "rotate", kind] => Self::GenerateRoot((*kind).to_owned(), true),
            ["intermediate", "generate", kind] | ["issuers", "generate", "intermediate", kind] => {
                Self::GenerateIntermediate((*kind).to_owned())
            }
            ["intermediate", "cross-sign"] => Self::GenerateIntermediate("existing".to_owned()),
            ["intermediate", "set-signed"] => Self::SetSigned,
            ["root", "sign-intermediate"] => Self::SignIntermediate(None),
            ["issuer", issuer, "sign-intermediate"] => Self::SignIntermediate(some(issuer)),
            ["issuers"] => Self::Issuers,
            ["issuer", issuer] => Self::Issuer(name(issuer)?),
            ["issuer", issuer, form @ ("json" | "der" | "pem")] => {
                Self::IssuerRaw(name(issuer)?, (*form).to_owned())
            }
            ["issuer", issuer, "crl"] => Self::IssuerCrl(name(issuer)?, None),
            ["issuer", issuer, "crl", form @ ("der" | "pem")] => {
                Self::IssuerCrl(name(issuer)?, some(form))
            }
            ["keys"] => Self::Keys,
            ["key", reference] => Self::Key(name(reference)?),
            ["config", "issuers"] => Self::ConfigIssuers,
            ["config", "keys"] => Self::ConfigKeys,
            ["config", "urls"] => Self::ConfigUrls,
            ["config", "cluster"] => Self::ConfigCluster,
            ["certs"] => Self::Certificates,
            ["cert", serial] => Self::Certificate(serial_word(serial)?, None),
            ["cert", serial, "raw"] => Self::Certificate(raw_word(serial)?, some(&"der")),
            ["cert", serial, "raw", "pem"] => Self::Certificate(raw_word(serial)?, some(&"pem")),
            ["ca"] => Self::Authority(None),
            ["ca", "pem"] => Self::Authority(some(&"pem")),
            ["ca_chain"] => Self::AuthorityChain,
            ["crl"] => Self::Crl(None),
            ["crl", "pem"] => Self::Crl(some(&"pem")),
            ["revoke"] => Self::Revoke,
            _ => return None,
        })
    }

    /// Does this need no token?
    pub fn is_public(&self, operation: Operation) -> bool {
        match self {
            Self::Issuers => operation == Operation::List,
            Self::IssuerRaw(..)
            | Self::IssuerCrl(..)
            | Self::Certificate(..)
            | Self::Authority(_)
            | Self::AuthorityChain
            | Self::Crl(_) => true,
            _ => false,
        }
    }
}

/// What may stand for a serial number in `cert/:serial`.
fn serial_word(text: &str) -> Option<String> {
    let hexadecimal = |byte: u8| byte.is_ascii_hexdigit() || matches!(byte, b'-' | b':');
    let special = matches!(text, "ca" | "ca_chain" | "crl");
    (special || (!text.is_empty() && text.bytes().all(hexadecimal))).then(|| text.to_owned())
}

/// The same in the raw forms: `ca` happens to be hexadecimal, `crl` does not exist there.
fn raw_word(text: &str) -> Option<String> {
    serial_word(text).filter(|word| !matches!(word.as_str(), "crl" | "ca_chain"))
}

/// Answers behind the gate.
///
/// # Errors
/// What the use case refuses.
pub async fn dispatch(
    engine: &Engine,
    granted: &Granted,
    mount: &Arc<Mount>,
    route: &Route,
    call: &Call,
) -> Result<Reply, Failure> {
    match (route, call.operation) {
        (Route::Roles, Operation::List) => role::list(engine, mount).await,
        (Route::Role(name), operation) => {
            role::dispatch(engine, granted, mount, name, operation, call).await
        }
        (Route::Issue(issuer, role), Operation::Write) => {
            leaf::issue(engine, granted, mount, issuer.as_deref(), role, call).await
        }
        (Route::Sign(issuer, role), Operation::Write) => {
            leaf::sign(engine, granted, mount, issuer.as_deref(), role, call).await
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
            issuer::dispatch(engine, mount, reference, operation, call).await
        }
        (Route::Keys, Operation::List) => issuer::list_keys(engine, mount).await,
        (Route::Key(reference), Operation::Read) => {
            issuer::read_key(engine, mount, reference).await
        }
        (
            Route::ConfigIssuers | Route::ConfigKeys | Route::ConfigUrls | Route::ConfigCluster,
            Operation::Read | Operation::Write,
        ) => settings::dispatch(engine, mount, route, call).await,
        (Route::Certificates, Operation::List) => {
            Reply::list(&engine.list_certificates(mount).await?, None)
        }
        (Route::Revoke, Operation::Write) => leaf::revoke(engine, granted, mount, call).await,
        _ => Err(Failure::UnsupportedOperation),
    }
}

/// The parameters of a call, typed; `path` are those that the path captured.
fn fields(call: &Call, path: &[(&str, &str)], schemas: &[Schema]) -> Result<Fields, Failure> {
    Fields::read(call.parameters.clone(), path, schemas)
        .map_err(|FieldError(text)| Failure::refused(text))
}
