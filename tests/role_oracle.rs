//! A second implementation of the role rules as judge: random roles and requests, and what
//! `Role::permit` says must be what `role_oracle/judge.rs` says, value for value.
//!
//!     cargo test --test role_oracle
//!     cargo test --test role_oracle -- --ignored                      # a million pairs
//!     SIGNET_ORACLE_PAIRS=1000000 cargo test --test role_oracle
//!     SIGNET_ORACLE_SEED=… SIGNET_ORACLE_PAIRS=1 cargo test --test role_oracle
//!
//! A disagreement is made small, then printed: the seed, the role and the request as JSON, and
//! both answers. `docs/dev/vault-pki.md` says which one is right; where the code was wrong, a test beside it
//! has a name.

#![expect(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "helpers of a test, where a surprise is a failure"
)]

#[path = "role_oracle/answers.rs"]
mod answers;
#[path = "role_oracle/bent.rs"]
mod bent;
#[path = "role_oracle/dice.rs"]
mod dice;
#[path = "role_oracle/identities.rs"]
mod identities;
#[path = "role_oracle/judge.rs"]
mod judge;
#[path = "role_oracle/names.rs"]
mod names;
#[path = "role_oracle/pairs.rs"]
mod pairs;
#[path = "role_oracle/small.rs"]
mod small;
#[path = "role_oracle/times.rs"]
mod times;
#[path = "role_oracle/uris.rs"]
mod uris;
#[path = "role_oracle/witness.rs"]
mod witness;

use std::collections::BTreeMap;

use answers::answer;
use judge::{Pair, Verdict, difference, judge};
use small::{shown, shrunk};
use witness::unexplained;

/// The first seed of an ordinary run; each pair has the next.
const FIRST_SEED: u64 = 20_261_125;

/// Pairs of an ordinary run.
const PAIRS: u64 = 20_000;

fn from_environment(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap())
}

fn seeds() -> impl Iterator<Item = u64> {
    let first = from_environment("SIGNET_ORACLE_SEED", FIRST_SEED);
    (0..from_environment("SIGNET_ORACLE_PAIRS", PAIRS)).map(move |at| first.wrapping_add(at))
}

fn disagree(pair: &Pair) -> bool {
    answer(pair) != judge(pair)
}

/// Something was permitted that the role's fields do not answer for.
fn oversteps(pair: &Pair) -> Option<String> {
    match answer(pair) {
        Verdict::Permitted(leaf) => unexplained(pair, &leaf),
        Verdict::NoRole | Verdict::Refused(_) => None,
    }
}

/// How often each verdict was given, and each kind of failure once.
#[derive(Default)]
struct Run {
    verdicts: BTreeMap<String, u64>,
    failures: BTreeMap<String, String>,
}

impl Run {
    fn compare(&mut self, seed: u64) {
        let pair = pairs::pair(seed);
        let (said, judged) = (answer(&pair), judge(&pair));
        let word = match &judged {
            Verdict::NoRole => "no role".to_owned(),
            Verdict::Refused(step) => format!("refused at step {step}"),
            Verdict::Permitted(_) => "permitted".to_owned(),
        };
        *self.verdicts.entry(word).or_default() += 1;
        if said != judged && self.failures.len() < 12 {
            let least = shrunk(pair, &disagree);
            let (said, judged) = (answer(&least), judge(&least));
            // The same fault in another dress is told once.
            self.failures.entry(difference(&said, &judged)).or_insert_with(|| {
                format!(
                    "seed {seed}\n{}\nthe code:  {said:?}\nthe judge: {judged:?}\n",
                    shown(&least)
                )
            });
        }
    }

    fn explain(&mut self, seed: u64) {
        let pair = pairs::pair(seed);
        if let Some(value) = oversteps(&pair)
            && self.failures.len() < 12
        {
            let least = shrunk(pair, &|pair| oversteps(pair).is_some());
            let said = answer(&least);
            let told = format!("seed {seed}: {value:?}\n{}\n{said:?}\n", shown(&least));
            self.failures.entry(value).or_insert(told);
        }
    }

    fn passes(self) -> BTreeMap<String, u64> {
        let told: Vec<_> = self.failures.into_values().collect();
        assert!(told.is_empty(), "{}", told.join("\n"));
        self.verdicts
    }
}

#[test]
fn a_second_implementation_of_the_rules_agrees() {
    let mut run = Run::default();
    seeds().for_each(|seed| run.compare(seed));
    let verdicts = run.passes();
    println!("{verdicts:#?}");
    covers_everything(&verdicts);
}

/// A run that refuses everything, or never reaches a check, would agree with anybody.
fn covers_everything(verdicts: &BTreeMap<String, u64>) {
    let pairs: u64 = verdicts.values().sum();
    if pairs < PAIRS {
        return;
    }
    let count = |word: &str| verdicts.get(word).copied().unwrap_or_default();
    assert!(count("permitted") * 6 > pairs, "too few are permitted: {verdicts:?}");
    for step in [11, 12, 13, 14, 15, 16, 17, 18, 20, 24, 25, 26] {
        assert!(count(&format!("refused at step {step}")) > 0, "step {step}: {verdicts:?}");
    }
}

#[test]
fn nothing_is_permitted_that_the_fields_of_the_role_do_not_answer_for() {
    let mut run = Run::default();
    seeds().for_each(|seed| run.explain(seed));
    run.passes();
}

#[test]
fn uris_of_the_scheme_spiffe_are_signed_exactly_where_the_standard_calls_them_ids() {
    let (first, count) = (
        from_environment("SIGNET_ORACLE_SEED", FIRST_SEED),
        from_environment("SIGNET_ORACLE_PAIRS", PAIRS),
    );
    let accepted = identities::try_them(first, count);
    // A run that accepts nothing, or everything, shows nothing.
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
