//! Roots and intermediates.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// `root/generate/:exported`.
#[derive(Deserialize, Serialize)]
pub struct RootAnswer {
    /// The certificate as PEM, or base64 of DER or of a key store.
    pub certificate: String,
    /// notAfter in seconds since the Unix epoch.
    pub expiration: i64,
    /// Identifier of the new issuer.
    pub issuer_id: String,
    /// Name of the new issuer, or empty.
    pub issuer_name: String,
    /// The certificate once more.
    pub issuing_ca: String,
    /// Identifier of its key.
    pub key_id: String,
    /// Name of its key, or empty.
    pub key_name: String,
    /// Serial number in hexadecimal, bytes separated by colons.
    pub serial_number: String,
    /// The private key, if it is exported.
    #[serde(flatten)]
    pub exported: ExportedKey,
}

/// A private key, which is returned only once. It has no `Debug`.
#[derive(Default, Deserialize, Serialize)]
pub struct ExportedKey {
    /// The private key as PEM, or base64 of DER.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private_key: Option<String>,
    /// `rsa`, `ec` or `ed25519`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private_key_type: Option<String>,
}

/// `intermediate/generate/:exported`.
#[derive(Deserialize, Serialize)]
pub struct RequestAnswer {
    /// The certificate signing request as PEM, or base64 of DER.
    pub csr: String,
    /// Identifier of its key.
    pub key_id: String,
    /// The private key, if it is exported.
    #[serde(flatten)]
    pub exported: ExportedKey,
}

/// `root/sign-intermediate`.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct SignedAnswer {
    /// The certificate and the issuer's chain.
    pub ca_chain: Vec<String>,
    /// The certificate as PEM, or base64 of DER or of a key store.
    pub certificate: String,
    /// notAfter in seconds since the Unix epoch.
    pub expiration: i64,
    /// The issuer's certificate.
    pub issuing_ca: String,
    /// Serial number in hexadecimal, bytes separated by colons.
    pub serial_number: String,
}

/// `intermediate/set-signed`.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ImportAnswer {
    /// Identifiers of issuers that already existed.
    pub existing_issuers: Option<Vec<String>>,
    /// Identifiers of keys that already existed; never sent by this path.
    pub existing_keys: Option<Vec<String>>,
    /// Identifiers of new issuers.
    pub imported_issuers: Option<Vec<String>>,
    /// Identifiers of new keys; never sent by this path, which accepts no keys.
    pub imported_keys: Option<Vec<String>>,
    /// The key of each issuer, or empty, by their identifiers.
    pub mapping: BTreeMap<String, String>,
}
