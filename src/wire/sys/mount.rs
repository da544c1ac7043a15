//! `sys/mounts`: mounted engines.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A mounted engine.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct MountAnswer {
    /// Name of the mount in policies and logs.
    pub accessor: String,
    /// Settings that can be tuned.
    pub config: MountConfig,
    /// `supported`, `deprecated` and so on; absent for the system's own mounts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deprecation_status: Option<String>,
    /// Description for people.
    pub description: String,
    /// Whether the engine may use an external source of randomness.
    pub external_entropy_access: bool,
    /// Whether the mount stays on this cluster.
    pub local: bool,
    /// Options of the engine, if there are any.
    pub options: Option<BTreeMap<String, String>>,
    /// Version of the plugin that was requested.
    pub plugin_version: String,
    /// Version of the plugin that runs.
    pub running_plugin_version: String,
    /// Digest of the plugin's file; empty for a built-in engine.
    pub running_sha256: String,
    /// Whether the seal wraps the values of the mount once more.
    pub seal_wrap: bool,
    /// Kind of engine.
    #[serde(rename = "type")]
    pub kind: String,
    /// Unique identifier.
    pub uuid: String,
}

/// A mounted engine with its path, as `sys/internal/ui/mounts/:path` answers.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct MountAtPath {
    /// The mount.
    #[serde(flatten)]
    pub mount: MountAnswer,
    /// Its path, with a slash at its end.
    pub path: String,
}

/// Settings of a mount that can be tuned.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct MountConfig {
    /// Default lease in seconds; 0 for that of the server.
    pub default_lease_ttl: i64,
    /// Whether values are not cached.
    pub force_no_cache: bool,
    /// Longest lease in seconds; 0 for that of the server.
    pub max_lease_ttl: i64,
    /// Settings that are absent unless they are set.
    #[serde(flatten)]
    pub settings: MountSettings,
}

/// Settings of a mount that are absent unless they are set.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct MountSettings {
    /// Managed keys that the mount may use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed_managed_keys: Option<Vec<String>>,
    /// Response headers that reach the client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed_response_headers: Option<Vec<String>>,
    /// Request members that the audit log shows in clear.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audit_non_hmac_request_keys: Option<Vec<String>>,
    /// Response members that the audit log shows in clear.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audit_non_hmac_response_keys: Option<Vec<String>>,
    /// Accessors of authentication mounts that the engine may log in at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delegated_auth_accessors: Option<Vec<String>>,
    /// Request headers that reach the engine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub passthrough_request_headers: Option<Vec<String>>,
    /// `unauth` or `hidden`: whether a caller without a token sees the mount.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listing_visibility: Option<String>,
}

/// `sys/mounts/:path/tune`: the settings that are in effect.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct TuneAnswer {
    /// Default lease in seconds.
    pub default_lease_ttl: i64,
    /// Description for people.
    pub description: String,
    /// Whether values are not cached.
    pub force_no_cache: bool,
    /// Longest lease in seconds.
    pub max_lease_ttl: i64,
    /// Settings that are absent unless they are set.
    #[serde(flatten)]
    pub settings: MountSettings,
    /// Options of the engine, if there are any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub options: Option<BTreeMap<String, String>>,
}

/// `sys/internal/ui/mounts`: the mounts that the caller may see, by path.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct VisibleMounts {
    /// Authentication methods.
    pub auth: BTreeMap<String, AuthMountAnswer>,
    /// Engines.
    pub secret: BTreeMap<String, MountAnswer>,
}

/// A mounted authentication method.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct AuthMountAnswer {
    /// Name of the mount in policies and logs.
    pub accessor: String,
    /// Settings that can be tuned.
    pub config: MountConfig,
    /// Description for people.
    pub description: String,
    /// Kind of authentication method.
    #[serde(rename = "type")]
    pub kind: String,
}

/// The settings of a new mount, or a change of the settings of a mount.
#[derive(Clone, Debug, Default, Serialize)]
pub struct TuneRequest {
    /// A duration in Go's form, `system`, or empty for no change.
    pub default_lease_ttl: String,
    /// Description for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// A duration in Go's form, `system`, or empty for no change.
    pub max_lease_ttl: String,
    /// Whether values are not cached.
    pub force_no_cache: bool,
    /// Options of the engine.
    pub options: Option<BTreeMap<String, String>>,
    /// Settings that are absent unless they are set.
    #[serde(flatten)]
    pub settings: MountSettings,
}

/// `POST sys/mounts/:path`.
#[derive(Clone, Debug, Serialize)]
pub struct EnableRequest {
    /// Kind of engine.
    #[serde(rename = "type")]
    pub kind: String,
    /// Description for people.
    pub description: String,
    /// Settings that can be tuned later.
    pub config: TuneRequest,
    /// Whether the mount stays on this cluster.
    pub local: bool,
    /// Whether the seal wraps the values of the mount once more.
    pub seal_wrap: bool,
    /// Whether the engine may use an external source of randomness.
    pub external_entropy_access: bool,
    /// Options of the engine.
    pub options: Option<BTreeMap<String, String>>,
}
