//! The simulation: the whole server without its sockets, with a clock that the test sets, randomness
//! from a seed, and a store that fails in every way a real one can.
//!
//! A run is a list of steps (`sim/steps.rs`): requests, overlapping requests, callers that
//! disconnect, losses of power, jumps of the clock, faults of the store. A model (`sim/model.rs`)
//! records what was answered; these invariants hold after each step:
//!
//! - a certificate that was returned under a role that stores is in the store, byte for byte;
//! - no serial number is used twice;
//! - an acknowledged revocation is on the CRL, with its time; CRL numbers only grow, thisUpdate
//!   goes back only if the clock was set back, and one number is one CRL;
//! - tidy removes an entry only after its notAfter and its safety buffer, by the latest reading of
//!   the clock at which jobs ran;
//! - no leaf is signed by an issuer that is revoked or not valid;
//! - no leaf expires after its issuer unless the issuer permits it, or exceeds the TTL of its role;
//! - every signed name is allowed by a role in force, by an independent check;
//! - a failure is a status and `errors`, an answer is complete, and every request ends;
//! - without a fault of the store no answer is 5xx, whatever the shape of roles, requests and
//!   issuers (`sim/odd.rs`); a disabled mount leaves no records.
//!
//! One thread, no real time, no sockets, keys from the seed: a seed yields the same bytes in each
//! run. `scripts/simulate` runs any number of steps. A failing run is shrunk and printed as a test
//! for `sim/reproductions.rs`.

#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test, configured by the environment, where a surprise is a failure"
)]

#[path = "sim/certificates.rs"]
mod certificates;
#[path = "sim/judge.rs"]
mod judge;
#[path = "sim/model.rs"]
mod model;
#[path = "sim/names.rs"]
mod names;
#[path = "sim/odd.rs"]
mod odd;
#[path = "sim/outcomes.rs"]
mod outcomes;
#[path = "sim/report.rs"]
mod report;
#[path = "sim/reproductions.rs"]
mod reproductions;
#[path = "sim/requests.rs"]
mod requests;
#[path = "sim/revocations.rs"]
mod revocations;
#[path = "sim/rng.rs"]
mod rng;
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

/// Steps of one run: enough to build up state, and few enough to shrink.
const LENGTH: usize = 200;

/// Steps of the default test run.
const DEFAULT_STEPS: u64 = 20_000;

/// A violated invariant.
#[derive(Clone, Debug)]
pub(crate) struct Finding(String);

impl Finding {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The kind of violation, without its details.
    pub(crate) fn kind(&self) -> &str {
        self.0.split(':').next().unwrap_or_default()
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Runs until at least `steps` steps are done; each run has the next seed.
fn simulate(steps: u64, seed: u64, prints: bool) -> Tally {
    let (start, mut printed) = (Instant::now(), Duration::ZERO);
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
        if prints && elapsed - printed > Duration::from_secs(10) {
            printed = elapsed;
            println!("{:>9} steps, {:>6.0} a second", total.steps, rate(&total, elapsed));
        }
    }
    if prints {
        println!("\n{total}{:.0} steps a second", rate(&total, start.elapsed()));
    }
    total
}

#[expect(clippy::cast_precision_loss, reason = "a rate to display")]
fn rate(total: &Tally, elapsed: Duration) -> f64 {
    total.steps as f64 / elapsed.as_secs_f64().max(0.001)
}

#[test]
fn the_invariants_hold_whatever_happens() {
    let total = simulate(DEFAULT_STEPS, 1, false);
    // A simulation in which nothing succeeds finds nothing.
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
fn no_shape_of_a_role_a_request_or_an_issuer_causes_an_internal_error() {
    let (tally, outcome) = attempt(1, &odd::all_shapes());
    if let Err(finding) = outcome {
        panic!("{finding}");
    }
    let succeeded = tally.succeeded("Odd");
    assert!(succeeded >= 500, "only {succeeded} of them succeeded\n{tally}");
}

#[test]
fn a_seed_yields_the_same_bytes_in_each_run() {
    let list = generate(7, LENGTH);
    let [one, other] = [0, 1].map(|_| attempt(7, &list).1.expect("a run without a finding"));
    assert_eq!(one, other);
}

#[test]
#[ignore = "takes any time; scripts/simulate runs it"]
fn any_number_of_steps() {
    let variable = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let steps = variable("SIGNET_SIM_STEPS").unwrap_or(1_000_000);
    let seed = variable("SIGNET_SIM_SEED").unwrap_or(1);
    println!("{steps} steps, SIGNET_SIM_SEED={seed}");
    simulate(steps, seed, true);
}
