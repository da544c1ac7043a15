//! The simulation: the whole server without its sockets, on a clock that a hand moves, with
//! randomness from a seed, over a store that fails in every way a real one can.
//!
//! A run is a list of steps (`sim/steps.rs`): requests, requests that overlap, callers that hang
//! up, losses of power, jumps of the clock, faults of the store. A model (`sim/model.rs`) notes
//! what was answered; after each step it must still be true:
//!
//! - a certificate that was answered under a role that stores is on record, octet for octet;
//! - no serial number is given twice;
//! - an acknowledged revocation is on the list, with its time; numbers of lists only grow,
//!   thisUpdate goes back only from a future that the clock left, and one number is one list;
//! - what a tidy may have removed is gone only past its end and its safety buffer, by the latest
//!   reading of the clock at which jobs ran;
//! - no leaf is signed by an issuer that is revoked or not valid;
//! - no leaf outlives its issuer unless the issuer permits it, none outlives its role;
//! - no name was signed that no role in force allows, by a second judgement;
//! - a failure is a status and `errors`, an answer is whole, and every request ends;
//! - nothing fails while the store does not, whatever the shape of roles, requests and issuers
//!   (`sim/odd.rs`): no answer is 5xx; a mount that is gone leaves nothing.
//!
//! One thread, no time, no sockets, keys from the seed: a seed repeats itself octet for octet.
//! `scripts/simulate` runs as many steps as one likes. A run that fails is made shorter and
//! printed as a test for `sim/reproductions.rs`.

#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test, told by the environment, where a surprise is a failure"
)]

#[path = "sim/certificates.rs"]
mod certificates;
#[path = "sim/chance.rs"]
mod chance;
#[path = "sim/judge.rs"]
mod judge;
#[path = "sim/model.rs"]
mod model;
#[path = "sim/names.rs"]
mod names;
#[path = "sim/odd.rs"]
mod odd;
#[path = "sim/possible.rs"]
mod possible;
#[path = "sim/report.rs"]
mod report;
#[path = "sim/reproductions.rs"]
mod reproductions;
#[path = "sim/requests.rs"]
mod requests;
#[path = "sim/revocations.rs"]
mod revocations;
#[path = "sim/run.rs"]
mod run;
#[path = "sim/shape.rs"]
mod shape;
#[path = "sim/shrink.rs"]
mod shrink;
#[path = "sim/steps.rs"]
mod steps;
#[path = "sim/upkeep.rs"]
mod upkeep;
#[path = "sim/world.rs"]
mod world;

use std::fmt;
use std::time::{Duration, Instant};

use report::Tally;
use shrink::{as_test, attempt, shrink};
use steps::generate;

/// Steps of one run: long enough to get somewhere, short enough to be made shorter.
const LENGTH: usize = 200;

/// Steps of the run that belongs to every change.
const FEW: u64 = 20_000;

/// Something that must hold and does not.
#[derive(Clone, Debug)]
pub(crate) struct Finding(String);

impl Finding {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The sentence without what it is about.
    pub(crate) fn kind(&self) -> &str {
        self.0.split(':').next().unwrap_or_default()
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Runs until so many steps are done; each run has the next seed.
fn simulate(steps: u64, seed: u64, tells: bool) -> Tally {
    let (start, mut told) = (Instant::now(), Duration::ZERO);
    let mut total = Tally::default();
    for seed in seed.. {
        if total.steps >= steps {
            break;
        }
        let list = generate(seed, LENGTH);
        let (tally, outcome) = attempt(seed, &list);
        if let Err(finding) = outcome {
            let (list, finding) = shrink(seed, &list, &finding);
            panic!("{finding}\n\nseed {seed}:\n\n{}", as_test(seed, &list));
        }
        total.add(&tally);
        let elapsed = start.elapsed();
        if tells && elapsed - told > Duration::from_secs(10) {
            told = elapsed;
            println!("{:>9} steps, {:>6.0} a second", total.steps, rate(&total, elapsed));
        }
    }
    if tells {
        println!("\n{total}{:.0} steps a second", rate(&total, start.elapsed()));
    }
    total
}

#[expect(clippy::cast_precision_loss, reason = "a rate for people")]
fn rate(total: &Tally, elapsed: Duration) -> f64 {
    total.steps as f64 / elapsed.as_secs_f64().max(0.001)
}

#[test]
fn what_was_answered_stays_true_whatever_happens() {
    let total = simulate(FEW, 1, false);
    // A simulation in which nothing succeeds finds nothing either.
    for (kind, at_least) in [
        ("Issue", 700),
        ("Sign", 150),
        ("Revoke", 500),
        ("ReadCrl", 1500),
        ("Odd", 200),
        ("Jobs", 500),
    ] {
        let succeeded = total.succeeded(kind);
        assert!(succeeded >= at_least, "only {succeeded} of {kind} succeeded\n{total}");
    }
    assert!(total.removed >= 300, "only {} certificates were removed\n{total}", total.removed);
}

#[test]
fn no_shape_of_a_role_a_request_or_an_issuer_ends_in_a_failure() {
    let (tally, outcome) = attempt(1, &odd::all_of_them());
    if let Err(finding) = outcome {
        panic!("{finding}");
    }
    let succeeded = tally.succeeded("Odd");
    assert!(succeeded >= 500, "only {succeeded} of them succeeded\n{tally}");
}

#[test]
fn a_seed_repeats_itself_octet_for_octet() {
    let list = generate(7, LENGTH);
    let [one, other] = [0, 1].map(|_| attempt(7, &list).1.expect("a run without a finding"));
    assert_eq!(one, other);
}

#[test]
#[ignore = "as long as one likes; scripts/simulate runs it"]
fn as_many_steps_as_one_likes() {
    let variable = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let steps = variable("SIGNET_SIM_STEPS").unwrap_or(1_000_000);
    let seed = variable("SIGNET_SIM_SEED").unwrap_or(1);
    println!("{steps} steps, SIGNET_SIM_SEED={seed}");
    simulate(steps, seed, true);
}
