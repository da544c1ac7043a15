//! The driver of the jobs: calls them when they are due, until the server stops.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::engine::Engine;

/// How long a run may go on after the stop signal. It can be interrupted at any point.
const GRACE: Duration = Duration::from_secs(5);

/// Runs jobs until `stop` is signalled.
pub(super) async fn run(engine: Arc<Engine>, stop: watch::Receiver<bool>) {
    loop {
        let now = engine.env().clock.now();
        let outcome = tokio::select! {
            outcome = engine.run_due_jobs(now) => outcome,
            () = grace_after(stop.clone()) => return,
        };
        // The clock may have been set meanwhile; the plan holds the latest time of the next check.
        let seconds = outcome.next.unix().saturating_sub(now.unix());
        let wait = Duration::from_secs(u64::try_from(seconds).unwrap_or_default().max(1));
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = engine.jobs_changed() => {}
            () = stopped(stop.clone()) => return,
        }
    }
}

/// Returns when a stop is signalled, or the sender is dropped.
async fn stopped(mut stop: watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

async fn grace_after(stop: watch::Receiver<bool>) {
    stopped(stop).await;
    tokio::time::sleep(GRACE).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ca::role::TtlLimits;
    use crate::clock::Clock;
    use crate::engine::Env;
    use crate::engine::env::SYSTEM_TTL;
    use crate::entropy::Entropy;
    use crate::store::sealed::Seal;
    use crate::store::{Memory, Sealed, Store};

    fn engine() -> Arc<Engine> {
        let entropy = Entropy::danger_seeded(1);
        let sealed = Sealed::new(Memory::new(), Seal::ephemeral(&entropy), entropy.clone());
        Engine::new(Env {
            store: Store::from(Arc::clone(&sealed)),
            sealed,
            clock: Clock::manual(0).0,
            entropy,
            storage_type: "inmem",
            lifetimes: TtlLimits { default: SYSTEM_TTL, max: SYSTEM_TTL },
        })
    }

    #[tokio::test]
    async fn the_driver_ends_on_a_stop_signal_or_a_dropped_sender() {
        for sends in [true, false] {
            let (stop, stopped) = watch::channel(false);
            let driver = tokio::spawn(run(engine(), stopped));
            tokio::task::yield_now().await;
            assert!(!driver.is_finished());
            if sends {
                stop.send_replace(true);
            }
            drop(stop);
            tokio::time::timeout(GRACE, driver).await.unwrap().unwrap();
        }
    }
}
