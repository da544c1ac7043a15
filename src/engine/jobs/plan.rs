//! Which jobs are due: decided from what is known and the present instant, and from nothing else.
//!
//! | job | due | retried |
//! |---|---|---|
//! | [`Job::RotateDataKey`] | the data key has sealed [`ROTATE_AT`] values | see below |
//! | [`Job::RenewCrl`] | half of a published list's life is over, or it lies in the future | |
//! | [`Job::RemoveIntents`] | an unfinished signature was not told yet, or was told 72 hours ago | |
//! | [`Job::Tidy`] | `interval_duration` after the last run | |
//!
//! A job that failed is due again after a minute, then after twice as long each time, up to an hour;
//! the others do not wait for it.
//!
//! # A clock that jumps
//!
//! Only [`Job::Tidy`] destroys what cannot be made again, so only it distrusts the clock. It runs if
//! the last run lies where a clock that was right then and is right now can have left it: not in the
//! future, and not further back than the longer of its interval and its safety buffer. Otherwise it
//! is put off: nothing is removed, the present is noted as the time of the last run, and the next run
//! comes after the interval, at the earliest after twelve hours, in which an operator can set the
//! clock right. So, where the safety buffer is longer than the interval, one jump of the clock
//! removes nothing that is still valid.
//!
//! A list is renewed as for a reader without a token: not while the clock is more than a year past
//! the newest list.

use std::collections::BTreeMap;

use crate::ca::time::Timestamp;
use crate::engine::pki::crl::{CLOCK_STEP, MAX_READER_GAP};
use crate::store::id::{IssuerId, MountId};
use crate::store::sealed::ROTATE_AT;

/// Something that the server does on its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Job {
    /// Puts a new data key in front of the keyring.
    RotateDataKey,
    /// Builds the list that this issuer signs.
    RenewCrl {
        /// The mount.
        mount: MountId,
        /// The signer of the list.
        issuer: IssuerId,
    },
    /// Tells of signatures that were not finished, and removes those that were told long ago.
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

/// What a plan is made from.
#[derive(Clone, Debug, Default)]
pub struct JobState {
    /// The first time that this process looked for jobs, seconds since the Unix epoch.
    pub started: i64,
    /// How many values the newest data key has sealed.
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
    /// The lists that were published.
    pub lists: Vec<ListState>,
    /// The signatures that were not finished.
    pub intents: Vec<IntentState>,
    /// The automatic tidy, if it is enabled.
    pub tidy: Option<TidyState>,
}

/// A list that was published. Times in seconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListState {
    /// The issuer that signs it.
    pub issuer: IssuerId,
    /// When it says that it was made.
    pub this_update: i64,
    /// The latest thisUpdate of this list and all before it.
    pub latest: i64,
    /// When it is to be renewed.
    pub renew_at: i64,
}

/// The intent of a signature. Times in seconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IntentState {
    /// When it was recorded.
    pub at: i64,
    /// When the log told of it.
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
    /// How often in succession.
    pub times: u32,
    /// When it failed last, seconds since the Unix epoch.
    pub at: i64,
}

/// What is to be done now, and when to plan again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The jobs that are due, those that take longest at the end.
    pub due: Vec<Job>,
    /// When the next one becomes due; after [`LONGEST_WAIT`] at the latest.
    pub next: Timestamp,
}

/// The longest time until the next plan, in seconds: what requests change is seen after that.
pub const LONGEST_WAIT: i64 = 60;

/// How long an intent stays after the log told of it.
pub const INTENT_KEPT: i64 = 72 * HOUR;

/// A signature that took longer than this is not under way any more.
const LONGEST_SIGNATURE: i64 = HOUR;

/// The shortest time between a tidy that was put off and the next run.
const MIN_DELAY_AFTER_PUT_OFF: i64 = 12 * HOUR;

/// How much later than planned a run may come.
const MAX_DELAY: i64 = HOUR;

/// The first and the longest time between two attempts of a job that fails.
const RETRY_DELAYS: (i64, i64) = (60, HOUR);

const HOUR: i64 = 3600;

/// When something is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Now,
    At(i64),
    /// Not while the clock says what it says.
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

/// Does this instant lie further in the future than a small correction of the clock explains?
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

    /// Is the log to tell of it at `now`?
    pub fn must_be_logged(&self, started: i64, now: i64) -> bool {
        self.logged_at.is_none_or(|logged_at| is_ahead(logged_at, now))
            && self.due(started, now) == Due::Now
    }

    /// Is it to be removed at `now`?
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
    /// It only notes the time, because the clock does not go on from the last run.
    PutOff,
}

impl TidyState {
    /// What is to be done at `now`.
    pub fn step(&self, started: i64, now: i64) -> TidyStep {
        let Some(last) = self.last.filter(|last| !is_ahead(*last, now)) else {
            return TidyStep::PutOff;
        };
        let interval =
            if self.put_off { self.interval.max(MIN_DELAY_AFTER_PUT_OFF) } else { self.interval };
        let backoff = started.saturating_add(self.startup_backoff);
        // A start that lies in the future tells nothing.
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
    /// The job failed at `now`, after these failures if there were any.
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
