//! Use cases: one verb, one file; no HTTP, no JSON.
//!
//! `engine` arranges: it reads a snapshot, lets `ca` decide, commits a batch, and answers with
//! what is in the book. [`Engine`] is what the HTTP side holds; every use case but those of
//! [`sys`] that need no token asks for a [`Granted`](crate::auth::Granted).

mod admission;
pub mod env;
pub mod failure;
pub mod identifier;
pub mod mount;
pub mod pki;
mod row;
pub mod sys;
mod workshop;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use arc_swap::ArcSwap;

use admission::Admission;
pub use env::{Env, Installation};
pub use failure::Failure;
use mount::MountTable;
use workshop::Workshop;

use crate::auth::Gate;

/// The program without its edges.
#[derive(Debug)]
pub struct Engine {
    env: Env,
    gate: Gate,
    admission: Admission,
    workshop: Workshop,
    leaves: pki::issue::Leaves,
    mounts: ArcSwap<MountTable>,
    /// The table was to be read again, and that failed.
    mounts_in_doubt: AtomicBool,
    /// One reader of the table at a time: who comes later has read something newer.
    reading_mounts: tokio::sync::Mutex<()>,
    cluster: ArcSwap<sys::Cluster>,
    installation: Installation,
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
            env,
            admission: Admission::default(),
            workshop: Workshop::default(),
            leaves: pki::issue::Leaves::default(),
            mounts: ArcSwap::from_pointee(MountTable::default()),
            mounts_in_doubt: AtomicBool::new(false),
            reading_mounts: tokio::sync::Mutex::default(),
            cluster: ArcSwap::from_pointee(sys::Cluster::default()),
            installation,
        })
    }

    /// What use cases may touch.
    pub const fn env(&self) -> &Env {
        &self.env
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
