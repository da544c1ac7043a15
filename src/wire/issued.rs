//! `data` of `issue` and `sign`, as the server writes it (pki-api 17.1).

use std::sync::Arc;

use serde::Serialize;
use serde_json::value::RawValue;

/// The members in the order of their names. No `Debug`: one may be a private key.
#[derive(Serialize)]
pub struct Issued {
    /// The issuer's chain, the issuer first; PEM or base64 of DER, as everything here. JSON
    /// already: it is the same in every answer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ca_chain: Vec<Arc<RawValue>>,
    /// The certificate, a bundle, or a key store.
    pub certificate: Box<RawValue>,
    /// notAfter, seconds since the Unix epoch.
    pub expiration: i64,
    /// The issuer's certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuing_ca: Option<Arc<RawValue>>,
    /// notBefore, seconds since the Unix epoch.
    pub not_before: i64,
    /// The private key, where the server made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub private_key: Option<Box<RawValue>>,
    /// `rsa`, `ec`, `ed25519`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub private_key_type: Option<&'static str>,
    /// In colon form.
    pub serial_number: String,
    /// A trust store of the same moment, beside a key store.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub truststore: Option<String>,
}
