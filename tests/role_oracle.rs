//! A second implementation of the role rules as oracle: for random roles and requests, the decision of
//! `Role::permit` must equal that of `role_oracle/judge.rs`, value for value.
//!
//!     cargo test --test role_oracle
//!     cargo test --test role_oracle -- --ignored                      # a million pairs
//!     SIGNET_ORACLE_PAIRS=1000000 cargo test --test role_oracle
//!     SIGNET_ORACLE_SEED=… SIGNET_ORACLE_PAIRS=1 cargo test --test role_oracle
//!
//! A disagreement is shrunk, then printed: the seed, the role and the request as JSON, and both
//! decisions. `docs/dev/vault-pki.md` says which one is right. Each fault of the code found this way has
//! its own test beside the code.

#![expect(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "helpers of a test, where a surprise is a failure"
)]

#[path = "role_oracle/answers.rs"]
mod answers;
#[path = "role_oracle/explain.rs"]
mod explain;
#[path = "role_oracle/identities.rs"]
mod identities;
#[path = "role_oracle/judge.rs"]
mod judge;
#[path = "role_oracle/names.rs"]
mod names;
#[path = "role_oracle/near_misses.rs"]
mod near_misses;
#[path = "role_oracle/pairs.rs"]
mod pairs;
#[path = "role_oracle/rng.rs"]
mod rng;
#[path = "role_oracle/shrink.rs"]
mod shrink;
#[path = "role_oracle/times.rs"]
mod times;
#[path = "role_oracle/uris.rs"]
mod uris;

use std::collections::BTreeMap;

use answers::answer;
use explain::unexplained;
use judge::{Pair, Verdict, difference, judge};
use shrink::{shown, shrunk};

/// The first seed of an ordinary run; each pair has the next.
const FIRST_SEED: u64 = 20_261_125;

/// Pairs of an ordinary run.
const PAIRS: u64 = 20_000;

fn from_environment(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

fn seeds() -> impl Iterator<Item = u64> {
    let first = from_environment("SIGNET_ORACLE_SEED", FIRST_SEED);
    (0..from_environment("SIGNET_ORACLE_PAIRS", PAIRS)).map(move |at| first.wrapping_add(at))
}

fn disagree(pair: &Pair) -> bool {
    answer(pair) != judge(pair)
}

/// The first permitted value that no field of the role allows.
fn first_unexplained(pair: &Pair) -> Option<String> {
    match answer(pair) {
        Verdict::Permitted(leaf) => unexplained(pair, &leaf),
        Verdict::NoRole | Verdict::Refused(_) => None,
    }
}

/// The number of each verdict, and one example of each kind of failure.
#[derive(Default)]
struct Run {
    verdicts: BTreeMap<String, u64>,
    failures: BTreeMap<String, String>,
}

impl Run {
    fn compare(&mut self, seed: u64) {
        let pair = pairs::pair(seed);
        let (actual, expected) = (answer(&pair), judge(&pair));
        let verdict = match &expected {
            Verdict::NoRole => "no role".to_owned(),
            Verdict::Refused(step) => format!("refused at step {step}"),
            Verdict::Permitted(_) => "permitted".to_owned(),
        };
        *self.verdicts.entry(verdict).or_default() += 1;
        if actual != expected && self.failures.len() < 12 {
            let least = shrunk(pair, &disagree);
            let (actual, expected) = (answer(&least), judge(&least));
            // One example of each difference is enough.
            self.failures.entry(difference(&actual, &expected)).or_insert_with(|| {
                format!(
                    "seed {seed}\n{}\nthe code:   {actual:?}\nthe oracle: {expected:?}\n",
                    shown(&least)
                )
            });
        }
    }

    fn explain(&mut self, seed: u64) {
        let pair = pairs::pair(seed);
        if let Some(value) = first_unexplained(&pair)
            && self.failures.len() < 12
        {
            let least = shrunk(pair, &|pair| first_unexplained(pair).is_some());
            let actual = answer(&least);
            let report = format!("seed {seed}: {value:?}\n{}\n{actual:?}\n", shown(&least));
            self.failures.entry(value).or_insert(report);
        }
    }

    fn passes(self) -> BTreeMap<String, u64> {
        let reports: Vec<_> = self.failures.into_values().collect();
        assert!(reports.is_empty(), "{}", reports.join("\n"));
        self.verdicts
    }
}

#[test]
fn a_second_implementation_of_the_rules_agrees() {
    let mut run = Run::default();
    seeds().for_each(|seed| run.compare(seed));
    let verdicts = run.passes();
    println!("{verdicts:#?}");
    assert_all_steps_reached(&verdicts);
}

/// A run that refuses everything, or never reaches a check, proves nothing.
fn assert_all_steps_reached(verdicts: &BTreeMap<String, u64>) {
    let pairs: u64 = verdicts.values().sum();
    if pairs < PAIRS {
        return;
    }
    let count = |verdict: &str| verdicts.get(verdict).copied().unwrap_or_default();
    assert!(count("permitted") * 6 > pairs, "too few are permitted: {verdicts:?}");
    for step in [11, 12, 13, 14, 15, 16, 17, 18, 20, 24, 25, 26] {
        assert!(count(&format!("refused at step {step}")) > 0, "step {step}: {verdicts:?}");
    }
}

#[test]
fn every_permitted_value_is_allowed_by_a_field_of_the_role() {
    let mut run = Run::default();
    seeds().for_each(|seed| run.explain(seed));
    run.passes();
}

#[test]
fn uris_with_the_scheme_spiffe_are_signed_if_and_only_if_they_are_spiffe_ids() {
    let (first, count) = (
        from_environment("SIGNET_ORACLE_SEED", FIRST_SEED),
        from_environment("SIGNET_ORACLE_PAIRS", PAIRS),
    );
    let accepted = identities::count_accepted(first, count);
    // A run that accepts nothing, or everything, proves nothing.
    assert!(count < PAIRS || (accepted * 10 > count && accepted * 10 < count * 9), "{accepted}");
}

#[test]
#[ignore = "a million pairs take minutes"]
fn a_million_pairs_agree() {
    let mut run = Run::default();
    for seed in (0..1_000_000).map(|at: u64| FIRST_SEED.wrapping_mul(31).wrapping_add(at)) {
        run.compare(seed);
        run.explain(seed);
    }
    println!("{:#?}", run.passes());
}
