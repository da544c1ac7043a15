//! What a use case may touch: the store, the clock, the randomness. Nothing else.

use std::sync::Arc;

use crate::ca::role::TtlLimits;
use crate::clock::Clock;
use crate::entropy::Entropy;
use crate::store::{Sealed, Store};

/// What every use case runs with.
#[derive(Clone, Debug)]
pub struct Env {
    /// The sealed store.
    pub store: Store,
    /// The seal of the store.
    pub sealed: Arc<Sealed>,
    /// The clock. `http` reads it once per request.
    pub clock: Clock,
    /// The source of random bytes, by purpose.
    pub entropy: Entropy,
    /// `storage_type`, as the configuration names it.
    pub storage_type: &'static str,
    /// Lifetimes in seconds where a mount sets none: both are 768 h in Vault.
    pub lifetimes: TtlLimits,
}

/// 768 hours, Vault's default for both lifetimes of a mount (`docs/dev/vault-pki.md`, "notAfter").
pub const SYSTEM_TTL: i64 = 768 * 3600;

/// What the configuration says of this server, as clients see it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Installation {
    /// `cluster_name`; `None` shows the name that the store was initialised with.
    pub cluster_name: Option<String>,
    /// `api_addr`: the URL by which clients reach this server.
    pub api_addr: Option<String>,
}
