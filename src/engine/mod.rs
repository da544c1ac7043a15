//! Use cases: one verb, one file; no HTTP, no JSON.
//!
//! `engine` arranges: it reads a snapshot, lets `ca` decide, commits a batch, and returns what is
//! recorded. `http` holds an [`Engine`]: the system and the mount table. The use cases of a mount are
//! methods of its kind, such as [`pki::Pki`].

mod batcher;
mod cpu_pool;
pub mod env;
pub mod failure;
pub mod jobs;
pub mod kinds;
pub mod limiter;
pub mod mount;
pub mod pki;
pub mod services;
pub mod sys;
pub mod token;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use arc_swap::ArcSwap;

pub use crate::store::id::{IssuerId, KeyId, MountId};
pub use env::{Env, Installation};
pub use failure::Failure;
use mount::MountTable;
use services::Services;

use crate::auth::Gate;

/// The server without its listeners.
#[derive(Debug)]
pub struct Engine {
    services: Arc<Services>,
    gate: Gate,
    mounts: ArcSwap<MountTable>,
    /// The table may differ from the store: reading it failed, or the store was sealed.
    mounts_stale: AtomicBool,
    /// One reader of the table at a time, so that an older table never replaces a newer one.
    reading_mounts: tokio::sync::Mutex<()>,
    cluster: ArcSwap<sys::Cluster>,
    installation: Installation,
    tokens: Arc<token::Tokens>,
}

impl Engine {
    /// An engine over a store that may still be uninitialised or sealed.
    pub fn new(env: Env) -> Arc<Self> {
        Self::installed(env, Installation::default())
    }

    /// The same, with the name and the address of a configuration.
    pub fn installed(env: Env, installation: Installation) -> Arc<Self> {
        Arc::new(Self {
            gate: Gate::new(env.store.clone()),
            services: Arc::new(Services::new(env)),
            mounts: ArcSwap::from_pointee(MountTable::default()),
            mounts_stale: AtomicBool::new(false),
            reading_mounts: tokio::sync::Mutex::default(),
            cluster: ArcSwap::from_pointee(sys::Cluster::default()),
            installation,
            tokens: Arc::default(),
        })
    }

    /// What use cases may touch.
    pub fn env(&self) -> &Env {
        self.services.env()
    }

    /// The store of tokens.
    pub const fn tokens(&self) -> &Arc<token::Tokens> {
        &self.tokens
    }

    /// What every mount shares.
    pub fn services(&self) -> &Services {
        &self.services
    }

    /// The name and the address of the configuration.
    pub const fn installation(&self) -> &Installation {
        &self.installation
    }

    /// Checks tokens.
    pub const fn gate(&self) -> &Gate {
        &self.gate
    }
}

/// How often a use case is attempted while its batch conflicts with others.
pub(crate) const ATTEMPTS: usize = 16;

/// Repeats read, decide, commit while the commit conflicts with another one. A macro, because the
/// compiler cannot yet prove that a future that borrows through an async closure is `Send`.
macro_rules! retry_on_conflict {
    ($attempt:expr) => {{
        let mut outcome = Err($crate::engine::Failure::Busy);
        for _ in 0..$crate::engine::ATTEMPTS {
            match $attempt.await {
                Err($crate::engine::Failure::Conflict) => {}
                other => {
                    outcome = other;
                    break;
                }
            }
        }
        outcome
    }};
}
pub(crate) use retry_on_conflict;
