//! What a use case may touch: the store, the clock, the randomness. Nothing else.

use std::sync::Arc;

use crate::ca::role::TtlLimits;
use crate::clock::Clock;
use crate::entropy::Entropy;
use crate::store::{Sealed, Store};

/// The surroundings of every use case.
#[derive(Clone, Debug)]
pub struct Env {
    /// The sealed store.
    pub store: Store,
    /// Its seal.
    pub sealed: Arc<Sealed>,
    /// The clock that the spine reads once a request.
    pub clock: Clock,
    /// Randomness by purpose.
    pub entropy: Entropy,
    /// `storage_type`, as the configuration names it.
    pub storage_type: &'static str,
    /// Lifetimes, in seconds, where a mount says nothing: 768 h both in Vault.
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
