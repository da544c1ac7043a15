//! Shrinks a failing run to a short list of steps that still fails in the same way.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::Finding;
use crate::report::Tally;
use crate::run::run;
use crate::steps::Step;

/// Runs the steps; a panic is a finding like any other.
pub(crate) fn attempt(seed: u64, steps: &[Step]) -> (Tally, Result<u64, Finding>) {
    catch_unwind(AssertUnwindSafe(|| run(seed, steps)))
        .unwrap_or_else(|_| (Tally::default(), Err(Finding::new("the simulation panicked"))))
}

/// Removes and simplifies steps while the run fails in the same way.
pub(crate) fn shrink(seed: u64, steps: &[Step], finding: &Finding) -> (Vec<Step>, Finding) {
    let (mut best, mut found) = (steps.to_vec(), finding.clone());
    let same = |candidate: &[Step]| {
        attempt(seed, candidate).1.err().filter(|other| other.kind() == finding.kind())
    };
    loop {
        let before = best.clone();
        let mut length = best.len().div_ceil(2);
        while length > 0 {
            let mut at = 0;
            while at < best.len() {
                let end = best.len().min(at + length);
                let candidate = [&best[..at], &best[end..]].concat();
                match same(&candidate) {
                    Some(other) => (best, found) = (candidate, other),
                    None => at += length,
                }
            }
            length /= 2;
        }
        for at in 0..best.len() {
            for simpler in simpler(best[at]) {
                let mut candidate = best.clone();
                candidate[at] = simpler;
                if let Some(other) = same(&candidate) {
                    (best, found) = (candidate, other);
                    break;
                }
            }
        }
        if best == before {
            return (best, found);
        }
    }
}

/// Steps that do less than this one.
fn simpler(step: Step) -> Vec<Step> {
    match step {
        Step::Both { first, second, lag, jump, pace } => {
            let mut steps = vec![Step::Do(first), Step::Do(second)];
            if jump != 0 {
                steps.push(Step::Both { first, second, lag, jump: 0, pace });
            }
            if lag != 0 {
                steps.push(Step::Both { first, second, lag: lag / 2, jump, pace });
            }
            steps
        }
        Step::Cancel { op, .. } => vec![Step::Do(op)],
        Step::CrashIn { op, .. } => vec![Step::Crash, Step::Do(op)],
        Step::Jump(seconds) if seconds.abs() > 1 => vec![Step::Jump(seconds / 2)],
        Step::Pass(hours) if hours > 1 => vec![Step::Pass(hours / 2)],
        Step::Inject(nth, fault) if nth > 1 => vec![Step::Inject(nth - 1, fault)],
        _ => Vec::new(),
    }
}

/// The reproducing test, to paste into `reproductions.rs`.
pub(crate) fn as_test(seed: u64, steps: &[Step]) -> String {
    let mut text =
        format!("#[test]\nfn says_in_a_sentence_what_must_hold() {{\n    holds({seed}, &[\n");
    for step in steps {
        text.push_str(&format!("        {step:?},\n"));
    }
    text.push_str("    ]);\n}\n");
    text
}
