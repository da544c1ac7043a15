//! Which jobs are due: a pure function of the job state and the current time.
//!
//! | job | due | retried |
//! |---|---|---|
//! | [`Job::RotateDataKey`] | the data key has sealed [`ROTATE_AT`] values | see below |
//! | [`Job::RenewCrl`] | half of a published CRL's lifetime is over, or its thisUpdate is in the future | |
//! | [`Job::RemoveIntents`] | an unfinished signature was not logged yet, or was logged 72 hours ago | |
//! | [`Job::Tidy`] | `interval_duration` after the last run | |
//!
//! A failed job is due again after a minute, then after twice the delay each time, up to an hour; the
//! other jobs do not wait for it.
//!
//! # A clock that jumps
//!
//! Only [`Job::Tidy`] deletes data that cannot be restored, so only it checks the clock. It runs if the
//! time of the last run is plausible: not in the future, and not further back than the longer of its
//! interval and its safety buffer. Otherwise it is put off: nothing is removed, the current time is
//! recorded as that of the last run, and the next run comes after the interval, but not within twelve
//! hours, so that an operator can correct the clock. If the safety buffer is longer than the interval,
//! one jump of the clock therefore removes nothing that is still valid.
//!
//! A CRL is renewed as for a reader without a token: not while the clock is more than a year past the
//! newest CRL.

use std::collections::BTreeMap;

use crate::ca::time::Timestamp;
use crate::engine::pki::crl::{CLOCK_STEP, MAX_READER_GAP};
use crate::store::id::{IssuerId, MountId};
use crate::store::sealed::ROTATE_AT;

/// Work that the server does without a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Job {
    /// Adds a data key to the keyring; it encrypts from then on.
    RotateDataKey,
    /// Builds the CRL that this issuer signs.
    RenewCrl {
        /// The mount.
        mount: MountId,
        /// The signer of the CRL.
        issuer: IssuerId,
    },
    /// Logs signatures that were not finished, and removes their records 72 hours later.
    RemoveIntents {
        /// The mount.
        mount: MountId,
    },
    /// Removes what has expired.
    Tidy {
        /// The mount.
        mount: MountId,
    },
}

/// What a plan is computed from.
#[derive(Clone, Debug, Default)]
pub struct JobState {
    /// When this process first looked for jobs, seconds since the Unix epoch.
    pub started: i64,
    /// Number of values that the newest data key has encrypted.
    pub values_sealed: u64,
    /// The mounts.
    pub mounts: Vec<MountState>,
    /// The jobs whose last attempt failed.
    pub failed: BTreeMap<Job, Failed>,
}

/// What may be due in one mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountState {
    /// The mount.
    pub id: MountId,
    /// The published CRLs.
    pub lists: Vec<ListState>,
    /// The signatures that were not finished.
    pub intents: Vec<IntentState>,
    /// The automatic tidy, if it is enabled.
    pub tidy: Option<TidyState>,
}

/// A published CRL. Times in seconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListState {
    /// The issuer that signs it.
    pub issuer: IssuerId,
    /// Its thisUpdate.
    pub this_update: i64,
    /// The latest thisUpdate of this CRL and all before it.
    pub latest: i64,
    /// When it must be renewed.
    pub renew_at: i64,
}

/// A signature that was not finished. Times in seconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IntentState {
    /// When it was recorded.
    pub at: i64,
    /// When it was logged.
    pub logged_at: Option<i64>,
}

/// The automatic tidy of a mount. Times in seconds since the Unix epoch, spans in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TidyState {
    /// `interval_duration`
    pub interval: i64,
    /// The shortest of the safety buffers that apply.
    pub buffer: i64,
    /// The time from the start of the server to its first run at the earliest.
    pub startup_backoff: i64,
    /// When it last ran, was put off or was enabled; `None` if that is not on record.
    pub last: Option<i64>,
    /// It was put off the last time.
    pub put_off: bool,
}

/// A job whose last attempt failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failed {
    /// Number of failures in succession.
    pub times: u32,
    /// When it failed last, seconds since the Unix epoch.
    pub at: i64,
}

/// The jobs to run now, and when to plan again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The jobs that are due; the slowest ones are last.
    pub due: Vec<Job>,
    /// When the next one becomes due; after [`LONGEST_WAIT`] at the latest.
    pub next: Timestamp,
}

/// The longest time until the next plan, in seconds. Changes by requests are noticed within it.
pub const LONGEST_WAIT: i64 = 60;

/// How long an intent stays after it was logged, in seconds.
pub const INTENT_KEPT: i64 = 72 * HOUR;

/// A signature that was recorded longer ago than this is not in progress any more.
const LONGEST_SIGNATURE: i64 = HOUR;

/// The shortest time between a tidy that was put off and the next run.
const MIN_DELAY_AFTER_PUT_OFF: i64 = 12 * HOUR;

/// How much later than planned a run may start.
const MAX_DELAY: i64 = HOUR;

/// The first and the longest time between two attempts of a job that fails.
const RETRY_DELAYS: (i64, i64) = (60, HOUR);

const HOUR: i64 = 3600;

/// When something is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Now,
    At(i64),
    /// Not at the current time, and it is not known when.
    Unknown,
}

/// Decides what is due at `now`.
pub fn plan(state: &JobState, now: Timestamp) -> Plan {
    let now_unix = now.unix();
    let mut jobs = vec![(Job::RotateDataKey, data_key(state.values_sealed))];
    for mount in &state.mounts {
        jobs.extend(mount.lists.iter().map(|list| {
            (Job::RenewCrl { mount: mount.id, issuer: list.issuer }, list.due(now_unix))
        }));
    }
    for mount in &state.mounts {
        let earliest = mount.intents.iter().map(|intent| intent.due(state.started, now_unix)).min();
        jobs.extend(earliest.map(|due| (Job::RemoveIntents { mount: mount.id }, due)));
    }
    for mount in &state.mounts {
        let tidy = mount.tidy.map(|tidy| tidy.due(state.started, now_unix));
        jobs.extend(tidy.map(|due| (Job::Tidy { mount: mount.id }, due)));
    }
    let mut due = Vec::new();
    let mut next = now_unix.saturating_add(LONGEST_WAIT);
    for (job, when) in jobs {
        let retry = state.failed.get(&job).map_or(Due::Now, |failed| failed.due(now_unix));
        match when.max(retry) {
            Due::Now => due.push(job),
            Due::At(at) => next = next.min(at),
            Due::Unknown => {}
        }
    }
    Plan { due, next: Timestamp::from_unix(next) }
}

const fn data_key(values_sealed: u64) -> Due {
    if values_sealed >= ROTATE_AT { Due::Now } else { Due::Unknown }
}

/// Whether this time is further in the future than a small correction of the clock explains.
const fn is_ahead(at: i64, now: i64) -> bool {
    at > now.saturating_add(CLOCK_STEP)
}

const fn at_or_now(at: i64, now: i64) -> Due {
    if at <= now { Due::Now } else { Due::At(at) }
}

impl ListState {
    const fn due(&self, now: i64) -> Due {
        if is_ahead(self.this_update, now) {
            return Due::Now;
        }
        if now.saturating_sub(self.latest) > MAX_READER_GAP {
            return Due::Unknown;
        }
        at_or_now(self.renew_at, now)
    }
}

impl IntentState {
    const fn due(&self, started: i64, now: i64) -> Due {
        match self.logged_at {
            Some(logged_at) if !is_ahead(logged_at, now) => {
                at_or_now(logged_at.saturating_add(INTENT_KEPT), now)
            }
            _ if self.at < started || is_ahead(self.at, now) => Due::Now,
            _ => at_or_now(self.at.saturating_add(LONGEST_SIGNATURE), now),
        }
    }

    /// Whether it must be logged at `now`.
    pub fn must_be_logged(&self, started: i64, now: i64) -> bool {
        self.logged_at.is_none_or(|logged_at| is_ahead(logged_at, now))
            && self.due(started, now) == Due::Now
    }

    /// Whether it must be removed at `now`.
    pub fn is_over(&self, started: i64, now: i64) -> bool {
        self.logged_at.is_some_and(|logged_at| !is_ahead(logged_at, now))
            && self.due(started, now) == Due::Now
    }
}

/// What a tidy does at an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TidyStep {
    /// It is not due before this instant, seconds since the Unix epoch.
    Wait(i64),
    /// It removes what has expired.
    Run,
    /// It only records the time, because the time since the last run is not plausible.
    PutOff,
}

impl TidyState {
    /// The step at `now`.
    pub fn step(&self, started: i64, now: i64) -> TidyStep {
        let Some(last) = self.last.filter(|last| !is_ahead(*last, now)) else {
            return TidyStep::PutOff;
        };
        let interval =
            if self.put_off { self.interval.max(MIN_DELAY_AFTER_PUT_OFF) } else { self.interval };
        let backoff = started.saturating_add(self.startup_backoff);
        // A start in the future is not used.
        let backoff = if is_ahead(started, now) { i64::MIN } else { backoff };
        let until = last.saturating_add(interval).max(backoff);
        if now < until {
            return TidyStep::Wait(until);
        }
        let expected = interval.saturating_add(self.startup_backoff).saturating_add(MAX_DELAY);
        if now.saturating_sub(last) > expected.max(self.buffer) {
            return TidyStep::PutOff;
        }
        TidyStep::Run
    }

    fn due(&self, started: i64, now: i64) -> Due {
        match self.step(started, now) {
            TidyStep::Wait(until) => Due::At(until),
            TidyStep::Run | TidyStep::PutOff => Due::Now,
        }
    }
}

impl Failed {
    /// A failure at `now`, after the earlier ones, if any.
    pub const fn after(before: Option<Self>, now: Timestamp) -> Self {
        let times = match before {
            Some(before) => before.times.saturating_add(1),
            None => 1,
        };
        Self { times, at: now.unix() }
    }

    /// The time to the next attempt, in seconds.
    pub fn delay(&self) -> i64 {
        let (first, longest) = RETRY_DELAYS;
        let doublings = self.times.saturating_sub(1).min(16);
        first.saturating_mul(1 << doublings).min(longest)
    }

    fn due(&self, now: i64) -> Due {
        if is_ahead(self.at, now) {
            return Due::Now;
        }
        at_or_now(self.at.saturating_add(self.delay()), now)
    }
}

#[cfg(test)]
mod tests;
