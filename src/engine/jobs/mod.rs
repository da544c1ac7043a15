//! Jobs: what the server does without a request. [`plan`] decides which are due, without I/O; they run
//! one after the other.
//!
//! [`Engine::run_due_jobs`] reads no clock: the server calls it at the time that the last run returned
//! (`server/jobs.rs`), tests and the simulation at any time. A job can be stopped at any point and run
//! again: its effect and the record of the run are one commit. Only failed attempts are kept in memory.

pub mod plan;

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use tokio::sync::Notify;

use crate::ca::time::Timestamp;
use crate::engine::mount::Mount;
use crate::engine::{Engine, Failure};
use crate::store::id::MountId;
use plan::{Failed, Job, JobState, LONGEST_WAIT};

/// What is kept between two runs.
#[derive(Debug, Default)]
pub(super) struct Jobs {
    /// When this process first looked for jobs, seconds since the Unix epoch.
    started: OnceLock<i64>,
    failed: Mutex<BTreeMap<Job, Failed>>,
    running: tokio::sync::Mutex<()>,
    changed: Notify,
}

/// What a run did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The jobs that were done.
    pub done: Vec<Job>,
    /// The jobs that failed, and why.
    pub failed: Vec<(Job, Failure)>,
    /// Why the jobs of the mount table or of a mount could not be read.
    pub unread: Vec<Failure>,
    /// When to run again.
    pub next: Timestamp,
}

impl Job {
    /// Its name in the log.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::RotateDataKey => "rotate-data-key",
            Self::RenewCrl { .. } => "renew-crl",
            Self::RemoveIntents { .. } => "remove-intents",
            Self::Tidy { .. } => "tidy",
        }
    }

    const fn mount(&self) -> Option<&MountId> {
        match self {
            Self::RotateDataKey => None,
            Self::RenewCrl { mount, .. } | Self::RemoveIntents { mount } | Self::Tidy { mount } => {
                Some(mount)
            }
        }
    }

    /// What an operator can do if it keeps failing.
    const fn advice(&self) -> &'static str {
        match self {
            Self::RotateDataKey => {
                "make the store writable: at 2^32 values the server refuses every write"
            }
            Self::RenewCrl { .. } => {
                "the published CRL expires at its nextUpdate: correct the cause, then read crl/rotate of the mount"
            }
            Self::RemoveIntents { .. } => "nothing is lost: the records stay until this succeeds",
            Self::Tidy { .. } => "nothing is lost: what has expired stays until this succeeds",
        }
    }
}

impl Jobs {
    /// A change may have made a job due: starts the next run at once.
    pub(super) fn wake(&self) {
        self.changed.notify_one();
    }

    fn failed(&self) -> MutexGuard<'_, BTreeMap<Job, Failed>> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Engine {
    /// Waits until something changes that may make a job due.
    pub async fn jobs_changed(&self) {
        self.services.jobs.changed.notified().await;
    }

    /// Runs the jobs that are due at `now`. A failed job is logged and does not delay the others. While
    /// the store is sealed, no job is due.
    pub async fn run_due_jobs(&self, now: Timestamp) -> Outcome {
        let jobs = &self.services.jobs;
        let _one_at_a_time = jobs.running.lock().await;
        let started = *jobs.started.get_or_init(|| now.unix());
        let mut outcome = Outcome {
            done: Vec::new(),
            failed: Vec::new(),
            unread: Vec::new(),
            next: now.plus(LONGEST_WAIT),
        };
        let Some(values_sealed) = self.env().sealed.values_sealed() else { return outcome };
        let mut state =
            JobState { started, values_sealed, mounts: Vec::new(), failed: jobs.failed().clone() };
        let mounts = match self.current_mounts().await {
            Ok(mounts) => mounts,
            Err(why) => {
                tracing::error!(%why, "the mount table cannot be read; its jobs wait");
                outcome.unread.push(why);
                return outcome;
            }
        };
        for mount in mounts.iter() {
            match mount.job_state().await {
                Ok(found) => state.mounts.extend(found),
                Err(why) => {
                    let mount = &mount.entry.record.path;
                    tracing::error!(%why, mount, "a mount cannot be read; its jobs wait");
                    outcome.unread.push(why);
                }
            }
        }
        let plan = plan::plan(&state, now);
        outcome.next = plan.next;
        for job in plan.due {
            let mount =
                job.mount().and_then(|id| mounts.iter().find(|mount| mount.entry.id == *id));
            match self.run_job(job, mount, started, now).await {
                Ok(()) => outcome.done.push(job),
                Err(why) => outcome.failed.push((job, why)),
            }
        }
        outcome
    }

    async fn run_job(
        &self,
        job: Job,
        mount: Option<&std::sync::Arc<Mount>>,
        started: i64,
        now: Timestamp,
    ) -> Result<(), Failure> {
        let done = match (job, mount) {
            (Job::RotateDataKey, _) => self.rotate_data_key().await,
            (_, Some(mount)) => mount.run_job(job, started, now).await,
            (_, None) => Ok(()),
        };
        let mut failed = self.services.jobs.failed();
        let Err(why) = &done else {
            failed.remove(&job);
            return done;
        };
        let failure = Failed::after(failed.get(&job).copied(), now);
        failed.insert(job, failure);
        drop(failed);
        let issuer = match job {
            Job::RenewCrl { issuer, .. } => Some(issuer.to_string()),
            _ => None,
        };
        tracing::error!(
            job = job.as_str(),
            mount = mount.map(|mount| &mount.entry.record.path),
            issuer,
            %why,
            times = failure.times,
            retried_in_seconds = failure.delay(),
            "a job failed: {}",
            job.advice()
        );
        done
    }

    async fn rotate_data_key(&self) -> Result<(), Failure> {
        let sealed = &self.env().sealed;
        let values = sealed.values_sealed();
        sealed.add_data_key().await.map_err(|error| Failure::Internal(error.to_string()))?;
        tracing::info!(
            values,
            "a new data key encrypts from now on, because the last one has encrypted half of the values that \
             one key may encrypt; the older keys still decrypt what they encrypted"
        );
        Ok(())
    }
}
