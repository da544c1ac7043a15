//! Settings of a mount.

use serde::{Deserialize, Serialize};

/// `config/issuers`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct IssuersConfig {
    /// Identifier of the default issuer, or empty.
    pub default: String,
    /// Whether each new issuer becomes the default.
    pub default_follows_latest_issuer: bool,
}

/// `config/keys`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct KeysConfig {
    /// Identifier of the default key, or empty.
    pub default: String,
}

/// `config/urls`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct UrlsConfig {
    /// URLs of the CRL.
    pub crl_distribution_points: Vec<String>,
    /// URLs of the delta CRL.
    pub delta_crl_distribution_points: Vec<String>,
    /// Whether the URLs are templates.
    pub enable_templating: bool,
    /// URLs of the issuer's certificate.
    pub issuing_certificates: Vec<String>,
    /// URLs of OCSP responders.
    pub ocsp_servers: Vec<String>,
}

/// `config/cluster`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct ClusterConfig {
    /// URL of the mount for the URLs in certificates.
    pub aia_path: String,
    /// URL of the mount for its API.
    pub path: String,
}
