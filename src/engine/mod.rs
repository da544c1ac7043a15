//! Use cases: one verb, one file; no HTTP, no JSON.
//!
//! `engine` arranges: it reads a snapshot, lets `ca` decide, commits a batch, and answers with
//! what is recorded. [`Engine`] is what the HTTP side holds: the system and the table of mounts. The
//! use cases of a mount are methods of its kind, as [`pki::Pki`].

mod admission;
pub mod env;
pub mod failure;
pub mod identifier;
pub mod kinds;
pub mod limiter;
pub mod mount;
pub mod pki;
mod row;
pub mod services;
pub mod sys;
pub mod token;
mod workshop;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use arc_swap::ArcSwap;

pub use env::{Env, Installation};
pub use failure::Failure;
use mount::MountTable;
use services::Services;

use crate::auth::Gate;

/// The program without its edges.
#[derive(Debug)]
pub struct Engine {
    services: Arc<Services>,
    gate: Gate,
    mounts: ArcSwap<MountTable>,
    /// The table was to be read again, and that failed.
    mounts_in_doubt: AtomicBool,
    /// One reader of the table at a time: who comes later has read something newer.
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

    /// The same, under the name and the address of a configuration.
    pub fn installed(env: Env, installation: Installation) -> Arc<Self> {
        Arc::new(Self {
            gate: Gate::new(env.store.clone()),
            services: Arc::new(Services::new(env)),
            mounts: ArcSwap::from_pointee(MountTable::default()),
            mounts_in_doubt: AtomicBool::new(false),
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

    /// SHIM
    pub async fn current_mounts(&self) -> Result<Arc<MountTable>, Failure> {
        self.settled_mounts().await
    }
    /// SHIM
    pub fn limiter(&self) -> limiter::IssuanceLimiter {
        limiter::IssuanceLimiter
    }

    /// The name and the address of the configuration.
    pub const fn installation(&self) -> &Installation {
        &self.installation
    }

    /// Who is calling, and what may they touch?
    pub const fn gate(&self) -> &Gate {
        &self.gate
    }
}

/// How often a use case starts again when its batch met another one.
pub(crate) const ATTEMPTS: usize = 16;

/// Repeats read, decide, commit while another commit comes between. A macro, because a future
/// that borrows its surroundings through an async closure cannot yet be shown to be `Send`.
macro_rules! repeatedly {
    ($attempt:block) => {{
        let mut outcome = Err($crate::engine::Failure::Busy);
        for _ in 0..$crate::engine::ATTEMPTS {
            match async { $attempt }.await {
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
pub(crate) use repeatedly;
