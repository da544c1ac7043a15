//! The closed loop: each caller sends its next request when the last one is answered. It measures
//! the rate and the processor time of a request, not its latency.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::connect::Caller;
use super::tally::Tally;
use super::usage::{Used, Watcher};
use super::work::{Memory, Work};

/// What a measurement found.
pub struct Measured {
    pub tally: Tally,
    pub wall: Duration,
    pub used: Used,
}

/// Runs every caller for `warm`, whose answers are discarded, then for `length`.
pub async fn measure(
    callers: Vec<Caller>,
    work: &Work,
    process: u32,
    (warm, length): (Duration, Duration),
) -> Measured {
    let sequence = Arc::new(AtomicU64::new(0));
    let (callers, _) = run(callers, work, &sequence, warm).await;
    let watcher = Watcher::start(process);
    let start = Instant::now();
    let (_, tally) = run(callers, work, &sequence, length).await;
    Measured { tally, wall: start.elapsed(), used: watcher.used() }
}

/// Sends one request from every caller, all at the same instant.
pub async fn once(callers: Vec<Caller>, work: &Work, process: u32) -> Measured {
    let (watcher, start) = (Watcher::start(process), Instant::now());
    let (_, tally) = run(callers, work, &Arc::default(), Duration::ZERO).await;
    Measured { tally, wall: start.elapsed(), used: watcher.used() }
}

/// Each caller sends at least one request. Returns the callers with their connections.
pub async fn run(
    callers: Vec<Caller>,
    work: &Work,
    sequence: &Arc<AtomicU64>,
    length: Duration,
) -> (Vec<Caller>, Tally) {
    let end = Instant::now() + length;
    let mut running = JoinSet::new();
    for mut caller in callers {
        let (work, sequence) = (work.clone(), Arc::clone(sequence));
        running.spawn(async move {
            let (mut tally, mut memory) = (Tally::default(), Memory::new());
            loop {
                let ask = work.ask(sequence.fetch_add(1, Ordering::Relaxed), &mut memory);
                let start = Instant::now();
                let outcome = caller.send(&ask).await;
                if outcome.is_err() {
                    caller.leave();
                }
                tally.take(outcome, ask.expect, start.elapsed(), (&work, &mut memory));
                if Instant::now() >= end {
                    return (caller, tally);
                }
            }
        });
    }
    let (mut back, mut sum) = (Vec::new(), Tally::default());
    for (caller, tally) in running.join_all().await {
        back.push(caller);
        sum.merge(tally);
    }
    (back, sum)
}
