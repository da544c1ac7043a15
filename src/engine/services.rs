//! What every mount shares.

use super::Env;
use super::cpu_pool::CpuPool;
use super::jobs::Jobs;
use super::limiter::IssuanceLimiter;

/// The environment of the use cases, and the limits that apply to all mounts together.
#[derive(Debug)]
pub struct Services {
    pub(super) env: Env,
    limiter: IssuanceLimiter,
    pub(super) cpu: CpuPool,
    pub(super) jobs: Jobs,
}

impl Services {
    pub(super) fn new(env: Env) -> Self {
        Self {
            env,
            limiter: IssuanceLimiter::default(),
            cpu: CpuPool::default(),
            jobs: Jobs::default(),
        }
    }

    /// What use cases may touch.
    pub const fn env(&self) -> &Env {
        &self.env
    }

    /// Limits how many certificates are issued at once; the caller of a use case that issues one
    /// holds a slot.
    pub const fn limiter(&self) -> &IssuanceLimiter {
        &self.limiter
    }
}
