//! Which path of a PKI mount is meant, and with which parameters.

use serde_json::{Map, Value};

use crate::engine::Failure;
use crate::engine::pki::generate::is_name;
use crate::http::call::{Call, Operation};
use crate::http::fields::{FieldError, Fields, Schema};

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
    /// `issuer/:ref/revoke`
    RevokeIssuer(String),
    /// `crl/rotate`
    RotateCrl,
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
            ["issuer", issuer, "revoke"] => Self::RevokeIssuer(name(issuer)?),
            ["crl", "rotate"] => Self::RotateCrl,
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

/// The parameters of a call, typed; `path` are those that the path captured.
pub(super) fn fields(
    call: &Call,
    path: &[(&str, &str)],
    schemas: &[Schema],
) -> Result<Fields, Failure> {
    typed(call.parameters.clone(), path, schemas)
}

/// The same for parameters that are handed over.
pub(super) fn typed(
    parameters: Map<String, Value>,
    path: &[(&str, &str)],
    schemas: &[Schema],
) -> Result<Fields, Failure> {
    Fields::read(parameters, path, schemas).map_err(|FieldError(text)| Failure::refused(text))
}
