//! Issuers.

use serde::{Deserialize, Serialize};

use super::List;

/// `issuer/:issuer_ref`.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct IssuerAnswer {
    /// The chain as PEM, the issuer first. Each entry ends with a newline.
    pub ca_chain: Vec<String>,
    /// The certificate as PEM, with a newline at its end.
    pub certificate: String,
    /// URLs of the CRL.
    pub crl_distribution_points: Vec<String>,
    /// URLs of the delta CRL.
    pub delta_crl_distribution_points: Vec<String>,
    /// Whether the URLs are templates; absent if the issuer has no URLs of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enable_aia_url_templating: Option<bool>,
    /// Identifier.
    pub issuer_id: String,
    /// Name, or empty.
    pub issuer_name: String,
    /// URLs of the issuer's certificate.
    pub issuing_certificates: Vec<String>,
    /// Identifier of its key; empty if the mount does not hold it.
    pub key_id: String,
    /// `err`, `truncate` or `permit`: what happens to a leaf that would outlive the issuer.
    pub leaf_not_after_behavior: String,
    /// Identifiers of the chain, if an operator set it.
    pub manual_chain: Option<Vec<String>>,
    /// URLs of OCSP responders.
    pub ocsp_servers: Vec<String>,
    /// Algorithm of the signature of CRLs; empty for the default of the key.
    pub revocation_signature_algorithm: String,
    /// Whether it is revoked.
    pub revoked: bool,
    /// Time of the revocation in seconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revocation_time: Option<i64>,
    /// The same time (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revocation_time_rfc3339: Option<String>,
    /// Permitted uses, separated by commas.
    pub usage: String,
}

/// Every issuer of a mount.
pub type IssuerList = List<IssuerInfo>;

/// An issuer in a list.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct IssuerInfo {
    /// Whether it is the default issuer.
    pub is_default: bool,
    /// Name, or empty.
    pub issuer_name: String,
    /// Identifier of its key; empty if the mount does not hold it.
    pub key_id: String,
    /// Serial number of its certificate: hexadecimal bytes, separated by colons.
    pub serial_number: String,
}
