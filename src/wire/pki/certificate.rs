//! Certificates and revocation lists that need no token.

use serde::{Deserialize, Serialize};

/// `cert/:serial`, `cert/ca`, `cert/ca_chain`, `cert/crl`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct CertificateAnswer {
    /// The chain, if a chain was requested.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_chain: Option<String>,
    /// The certificate, the chain or the revocation list as PEM.
    pub certificate: String,
    /// Time of the revocation in seconds since the Unix epoch; 0 if it is not revoked.
    pub revocation_time: i64,
    /// The same time (RFC 3339), or empty.
    pub revocation_time_rfc3339: String,
    /// Identifier of the issuer of a revoked certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer_id: Option<String>,
}

/// `issuer/:issuer_ref/json`.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct PublicIssuerAnswer {
    /// The chain as PEM, the issuer first. Each entry ends with a newline.
    pub ca_chain: Vec<String>,
    /// The certificate as PEM, with a newline at its end.
    pub certificate: String,
    /// Identifier.
    pub issuer_id: String,
    /// Name, or empty.
    pub issuer_name: String,
}

/// `issuer/:issuer_ref/crl`.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct CrlAnswer {
    /// The revocation list as PEM.
    pub crl: String,
}

/// `revoke`.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct RevokedAnswer {
    /// Time of the revocation in seconds since the Unix epoch.
    pub revocation_time: i64,
    /// The same time (RFC 3339).
    pub revocation_time_rfc3339: String,
    /// `revoked`
    pub state: String,
}

/// `crl/rotate`.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct RotatedAnswer {
    /// Always true: a failure is an error status.
    pub success: bool,
}
