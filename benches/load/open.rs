//! The open loop: requests are due at fixed instants, independent of the server, and latency counts
//! from there.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::closed::Measured;
use super::connect::Caller;
use super::tally::Tally;
use super::usage::Watcher;
use super::work::{Memory, Work};

/// When requests are due.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    pub a_second: f64,
    pub length: Duration,
    /// The most requests in flight or queued; a further arrival is not sent.
    pub bound: usize,
}

impl Schedule {
    /// Every arrival is sent, no matter how long it waits for a caller.
    pub const fn patient(a_second: f64, length: Duration) -> Self {
        Self { a_second, length, bound: usize::MAX }
    }

    pub fn due(&self, number: u64) -> Duration {
        Duration::from_secs_f64(number as f64 / self.a_second)
    }

    pub fn count(&self) -> u64 {
        (self.length.as_secs_f64() * self.a_second) as u64
    }
}

/// The longest wait for answers after the last arrival.
const MAX_WAIT: Duration = Duration::from_secs(20);

/// Arrivals on their way from the clock to a caller.
struct Arrivals {
    due: Mutex<VecDeque<Instant>>,
    ready: Semaphore,
    outstanding: AtomicUsize,
    unsent: AtomicU64,
    given_up: AtomicBool,
}

pub async fn measure(
    callers: Vec<Caller>,
    work: &Work,
    process: u32,
    schedule: Schedule,
) -> Measured {
    let arrivals = Arc::new(Arrivals {
        due: Mutex::default(),
        ready: Semaphore::new(0),
        outstanding: AtomicUsize::new(0),
        unsent: AtomicU64::new(0),
        given_up: AtomicBool::new(false),
    });
    let watcher = Watcher::start(process);
    let start = Instant::now();
    let clock = {
        let arrivals = Arc::clone(&arrivals);
        // On a separate thread: the timer of the runtime has a resolution of a millisecond.
        thread::spawn(move || tick(&arrivals, schedule, start))
    };
    let sequence = Arc::new(AtomicU64::new(0));
    let mut running = JoinSet::new();
    for caller in callers {
        running.spawn(serve(caller, work.clone(), Arc::clone(&arrivals), Arc::clone(&sequence)));
    }
    let mut tally = Tally::default();
    let give_up = tokio::time::sleep(schedule.length + MAX_WAIT);
    tokio::pin!(give_up);
    loop {
        tokio::select! {
            ended = running.join_next() => match ended {
                Some(part) => tally.merge(part.expect("a caller ends")),
                None => break,
            },
            () = &mut give_up, if !arrivals.given_up.load(Ordering::Relaxed) => {
                arrivals.given_up.store(true, Ordering::Relaxed);
            }
        }
    }
    clock.join().expect("the clock ends");
    let left = arrivals.due.lock().unwrap_or_else(PoisonError::into_inner).len() as u64;
    tally.unsent += arrivals.unsent.load(Ordering::Relaxed) + left;
    Measured { tally, wall: start.elapsed(), used: watcher.used() }
}

fn tick(arrivals: &Arrivals, schedule: Schedule, start: Instant) {
    for number in 0..schedule.count() {
        let due = start + schedule.due(number);
        if let Some(left) = due.checked_duration_since(Instant::now()) {
            thread::sleep(left);
        }
        if arrivals.outstanding.load(Ordering::Relaxed) >= schedule.bound {
            arrivals.unsent.fetch_add(1, Ordering::Relaxed);
            continue;
        }
        arrivals.outstanding.fetch_add(1, Ordering::Relaxed);
        arrivals.due.lock().unwrap_or_else(PoisonError::into_inner).push_back(due);
        arrivals.ready.add_permits(1);
    }
    arrivals.ready.close();
}

async fn serve(
    mut caller: Caller,
    work: Work,
    arrivals: Arc<Arrivals>,
    sequence: Arc<AtomicU64>,
) -> Tally {
    let (mut tally, mut memory) = (Tally::default(), Memory::new());
    loop {
        // Closed means that the last request has arrived; queued ones are still sent.
        if let Ok(permit) = arrivals.ready.acquire().await {
            permit.forget();
        }
        if arrivals.given_up.load(Ordering::Relaxed) {
            return tally;
        }
        let due = arrivals.due.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let Some(due) = due else { return tally };
        let ask = work.ask(sequence.fetch_add(1, Ordering::Relaxed), &mut memory);
        let outcome = tokio::time::timeout(MAX_WAIT, caller.send(&ask)).await;
        let outcome = outcome.unwrap_or_else(|_| Err("no answer in time".to_owned()));
        if outcome.is_err() {
            caller.leave();
        }
        arrivals.outstanding.fetch_sub(1, Ordering::Relaxed);
        tally.take(outcome, ask.expect, due.elapsed(), (&work, &mut memory));
    }
}
