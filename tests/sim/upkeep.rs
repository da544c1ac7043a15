//! Background jobs, and what they may remove.

use serde_json::{Value, json};
use signet::ca::time::Timestamp;
use signet::engine::pki::Pki;
use signet::engine::pki::auto_tidy::AutoTidyChange;
use signet::engine::{Engine, Failure};

use crate::outcomes::Tracked;
use crate::requests::MOUNTS;
use crate::world::{Answer, Request};

/// The method of a request that runs the jobs that are due.
pub(crate) const JOBS: &str = "JOBS";

/// The method of a request that writes `config/auto-tidy`.
pub(crate) const AUTO_TIDY: &str = "AUTO-TIDY";

/// `config/auto-tidy` of a mount. Durations in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tidy {
    pub(crate) certificates: bool,
    pub(crate) revocations: bool,
    pub(crate) interval: i64,
    pub(crate) buffer: i64,
    pub(crate) revoked_buffer: i64,
    pub(crate) backoff: i64,
}

impl Tidy {
    /// The default configuration.
    pub(crate) const OFF: Self = Self {
        certificates: false,
        revocations: false,
        interval: 43_200,
        buffer: 259_200,
        revoked_buffer: 259_200,
        backoff: 300,
    };

    pub(crate) fn any(bits: u64) -> Self {
        let pick = |shift: u32, choices: [i64; 4]| {
            choices[usize::try_from(bits >> shift & 3).unwrap_or_default()]
        };
        Self {
            certificates: bits & 7 > 0,
            revocations: bits >> 3 & 3 > 0,
            interval: pick(8, [0, 0, 3600, 43_200]),
            buffer: pick(10, [1, 60, 3600, 86_400]),
            revoked_buffer: pick(12, [1, 3600, 86_400, 259_200]),
            backoff: pick(14, [0, 0, 0, 300]),
        }
    }

    pub(crate) fn body(self) -> Value {
        json!([
            self.certificates,
            self.revocations,
            self.interval,
            self.buffer,
            self.revoked_buffer,
            self.backoff,
        ])
    }

    fn change(body: &Value) -> AutoTidyChange {
        let (flag, number) = (|at: usize| body[at].as_bool(), |at: usize| body[at].as_i64());
        AutoTidyChange {
            enabled: Some(flag(0) == Some(true) || flag(1) == Some(true)),
            tidy_cert_store: flag(0),
            tidy_revoked_certs: flag(1),
            interval_duration: number(2),
            safety_buffer: number(3),
            revoked_safety_buffer: number(4),
            min_startup_backoff_duration: number(5),
            max_startup_backoff_duration: number(5),
            ..AutoTidyChange::default()
        }
    }
}

/// Certificates and revocations that expired before these instants may have been removed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Removed {
    pub(crate) certificates: i64,
    pub(crate) revocations: i64,
}

impl Default for Removed {
    fn default() -> Self {
        Self { certificates: i64::MIN, revocations: i64::MIN }
    }
}

impl Removed {
    /// Records that jobs ran at `now` or before.
    pub(crate) fn extend(&mut self, tidy: &Tracked<Tidy>, now: i64) {
        tidy.during.each(|tidy| {
            if tidy.certificates {
                self.certificates = self.certificates.max(now - tidy.buffer);
            }
            if tidy.revocations {
                self.revocations = self.revocations.max(now - tidy.revoked_buffer);
                self.certificates = self.certificates.max(now - tidy.revoked_buffer);
            }
        });
    }
}

/// Runs the due jobs. A CRL that cannot be signed is not a failure of the job.
pub(crate) async fn run_jobs(engine: &Engine, now: Timestamp) -> Answer {
    let outcome = engine.run_due_jobs(now).await;
    let refused = |why: &Failure| matches!(why, Failure::Refused { .. });
    let failed = !outcome.unread.is_empty() || outcome.failed.iter().any(|(_, why)| !refused(why));
    answer(if failed { 500 } else { 200 }, format!("done: {:?}", outcome.done))
}

pub(crate) async fn write_auto_tidy(engine: &Engine, request: Request, now: Timestamp) -> Answer {
    let path = MOUNTS.iter().find(|mount| request.path.starts_with(*mount));
    let mounts = match engine.current_mounts().await {
        Ok(mounts) => mounts,
        Err(why) => return answer(500, why.to_string()),
    };
    let mount = mounts.at(&format!("{}/", path.unwrap_or(&"")));
    let Some(pki) = mount.and_then(|mount| mount.core::<Pki>()) else {
        return answer(404, String::new());
    };
    match pki.write_auto_tidy(&Tidy::change(&request.body.unwrap_or_default()), now).await {
        Ok(_) => answer(200, String::new()),
        Err(why @ (Failure::Refused { .. } | Failure::NotFound)) => answer(400, why.to_string()),
        Err(why) => answer(500, why.to_string()),
    }
}

fn answer(status: u16, body: String) -> Answer {
    Answer { status, content_type: String::new(), body: body.into() }
}
