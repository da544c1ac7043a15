//! The state of a server: answers without an envelope, to requests without a token.

use serde::{Deserialize, Serialize};

/// `sys/health`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct Health {
    /// Whether the store holds a root key.
    pub initialized: bool,
    /// Whether the store cannot be read now.
    pub sealed: bool,
    /// Whether the server does not answer requests itself.
    pub standby: bool,
    /// Whether a standby answers reads.
    pub performance_standby: bool,
    /// `disabled`, or `unknown` while the server is sealed.
    pub replication_performance_mode: String,
    /// `disabled`, or `unknown` while the server is sealed.
    pub replication_dr_mode: String,
    /// Time of the server in seconds since the Unix epoch.
    pub server_time_utc: i64,
    /// Version of the server.
    pub version: String,
    /// Absent while the server is sealed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster_name: Option<String>,
    /// Absent while the server is sealed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster_id: Option<String>,
}

/// `sys/seal-status`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct SealStatus {
    /// Kind of the seal, such as `static` or `shamir`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether the store holds a root key.
    pub initialized: bool,
    /// Whether the store cannot be read now.
    pub sealed: bool,
    /// Number of shares that unseal.
    pub t: u32,
    /// Number of shares.
    pub n: u32,
    /// Number of shares that the running unseal has received.
    pub progress: u32,
    /// Identifier of the running unseal, or empty.
    pub nonce: String,
    /// Version of the server.
    pub version: String,
    /// Time of the build (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub build_date: Option<String>,
    /// Time of the source (RFC 3339). OpenBao sends it instead of the build date.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit_date: Option<String>,
    /// Whether a change of the seal is running.
    pub migration: bool,
    /// Whether the shares recover instead of unsealing.
    pub recovery_seal: bool,
    /// Kind of the recovery seal, if there is one.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub recovery_seal_type: String,
    /// Kind of the store.
    pub storage_type: String,
    /// Absent while the server is sealed.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub cluster_name: String,
    /// Absent while the server is sealed.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub cluster_id: String,
    /// Warnings for the operator.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// `sys/leader`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct Leader {
    /// Whether several servers share the store.
    pub ha_enabled: bool,
    /// Whether the server that answers is the leader.
    pub is_self: bool,
    /// Since when it is (RFC 3339); a time in year 1 if it is not.
    pub active_time: String,
    /// Address of the leader for clients.
    pub leader_address: String,
    /// Address of the leader for the other servers.
    pub leader_cluster_address: String,
    /// Whether the server that answers is a standby that answers reads.
    pub performance_standby: bool,
    /// Position of the replication log that a performance standby has reached.
    pub performance_standby_last_remote_wal: u64,
}
