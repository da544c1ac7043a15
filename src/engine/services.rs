//! What every mount shares.

use super::Env;
use super::admission::Admission;
use super::workshop::Workshop;

/// The environment of the use cases, and the limits that hold for all mounts together.
#[derive(Debug)]
pub struct Services {
    env: Env,
    pub(super) limiter: Admission,
    pub(super) cpu: Workshop,
}

impl Services {
    /// Nothing is under way yet.
    pub(super) fn new(env: Env) -> Self {
        Self { env, limiter: Admission::default(), cpu: Workshop::default() }
    }

    /// What use cases may touch.
    pub const fn env(&self) -> &Env {
        &self.env
    }
}
