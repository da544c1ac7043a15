//! `config/auto-tidy`.

use serde::{Deserialize, Serialize};

/// `config/auto-tidy`. Durations in seconds, except `pause_duration`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct AutoTidyConfig {
    /// Kept for clients of Vault; no effect.
    pub acme_account_safety_buffer: i64,
    /// Whether tidy runs automatically.
    pub enabled: bool,
    /// Time from the end of a run to the next one.
    pub interval_duration: i64,
    /// Time from the expiry of an issuer to its deletion.
    pub issuer_safety_buffer: i64,
    /// Kept for clients of Vault; no effect.
    pub maintain_stored_certificate_counts: bool,
    /// Longest time from the start of the server to its first run.
    pub max_startup_backoff_duration: i64,
    /// Shortest time from the start of the server to its first run.
    pub min_startup_backoff_duration: i64,
    /// Kept for clients of Vault; no effect.
    pub page_size: i64,
    /// A Go duration. Kept for clients of Vault; no effect.
    pub pause_duration: String,
    /// Kept for clients of Vault; no effect.
    pub publish_stored_certificate_count_metrics: bool,
    /// Time from the expiry of a revoked certificate to its removal.
    pub revoked_safety_buffer: i64,
    /// Time from the expiry of a certificate to its removal.
    pub safety_buffer: i64,
    /// Kept for clients of Vault; no effect.
    pub tidy_acme: bool,
    /// Whether certificates are removed.
    pub tidy_cert_store: bool,
    /// Whether issuers are deleted.
    pub tidy_expired_issuers: bool,
    /// Kept for clients of Vault; no effect.
    pub tidy_invalid_certs: bool,
    /// Kept for clients of Vault; no effect.
    pub tidy_move_legacy_ca_bundle: bool,
    /// Kept for clients of Vault; no effect.
    pub tidy_revoked_cert_issuer_associations: bool,
    /// Whether revocations and their certificates are removed.
    pub tidy_revoked_certs: bool,
}
