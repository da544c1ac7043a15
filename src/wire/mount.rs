//! Mounted engines, as `sys/mounts` lists them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One mounted engine.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct Mount {
    /// Of this mount alone.
    pub uuid: String,
    /// Kind of engine.
    #[serde(rename = "type")]
    pub kind: String,
    /// For people.
    pub description: String,
    /// Names the mount in policies and logs.
    pub accessor: String,
    /// What can be tuned.
    pub config: MountConfig,
    /// Of the engine.
    pub options: Option<BTreeMap<String, String>>,
    /// Whether it stays on this cluster.
    pub local: bool,
    /// Whether its values are wrapped by the seal once more.
    pub seal_wrap: bool,
    /// Whether it may use a source of randomness outside.
    pub external_entropy_access: bool,
    /// Asked for.
    pub plugin_version: String,
    /// In use.
    pub running_plugin_version: String,
    /// Of the plugin's file.
    pub running_sha256: String,
    /// `supported`, `deprecated`, …
    pub deprecation_status: String,
}

/// What can be tuned of a mount, as it is read back.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct MountConfig {
    /// Seconds; 0 for the system's.
    pub default_lease_ttl: i64,
    /// Seconds; 0 for the system's.
    pub max_lease_ttl: i64,
    /// Whether nothing is cached.
    pub force_no_cache: bool,
    /// Shown in clear in the audit log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audit_non_hmac_request_keys: Option<Vec<String>>,
    /// Shown in clear in the audit log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audit_non_hmac_response_keys: Option<Vec<String>>,
    /// `unauth`, `hidden`, or nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listing_visibility: Option<String>,
    /// Handed to the engine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub passthrough_request_headers: Option<Vec<String>>,
    /// Let through to the client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed_response_headers: Option<Vec<String>>,
}

/// What a client asks of a new mount, or of tuning one.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Tuning {
    /// Go's duration, `system`, or empty for no change.
    pub default_lease_ttl: String,
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Go's duration, `system`, or empty for no change.
    pub max_lease_ttl: String,
    /// Whether nothing is cached.
    pub force_no_cache: bool,
    /// Of the engine.
    pub options: Option<BTreeMap<String, String>>,
    /// Shown in clear in the audit log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audit_non_hmac_request_keys: Option<Vec<String>>,
    /// Shown in clear in the audit log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audit_non_hmac_response_keys: Option<Vec<String>>,
    /// `unauth` or `hidden`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listing_visibility: Option<String>,
    /// Handed to the engine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub passthrough_request_headers: Option<Vec<String>>,
    /// Let through to the client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed_response_headers: Option<Vec<String>>,
}

/// Body of `POST sys/mounts/:path`.
#[derive(Clone, Debug, Serialize)]
pub struct Enable {
    /// Kind of engine.
    #[serde(rename = "type")]
    pub kind: String,
    /// For people.
    pub description: String,
    /// What can be tuned later.
    pub config: Tuning,
    /// Whether it stays on this cluster.
    pub local: bool,
    /// Whether its values are wrapped by the seal once more.
    pub seal_wrap: bool,
    /// Whether it may use a source of randomness outside.
    pub external_entropy_access: bool,
    /// Of the engine.
    pub options: Option<BTreeMap<String, String>>,
}
