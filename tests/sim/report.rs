//! Counts of what a run did.

use std::collections::BTreeMap;
use std::fmt;

use crate::steps::{Op, StoreFault};

/// Counts of one or more runs.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) steps: u64,
    pub(crate) crashes: u64,
    pub(crate) jumps: u64,
    /// Commits and reads that failed because of an injected fault.
    pub(crate) failures: u64,
    /// Reads of certificates that tidy had removed.
    pub(crate) removed: u64,
    /// Operations without a subject to refer to.
    pub(crate) skipped: u64,
    /// By operation: succeeded, refused, failed, unanswered.
    operations: BTreeMap<String, [u64; 4]>,
    injected: BTreeMap<String, u64>,
}

impl Tally {
    pub(crate) fn answered(&mut self, op: Op, status: Option<u16>) {
        if matches!((op, status), (Op::ReadCertificate { .. }, Some(404))) {
            self.removed += 1;
        }
        let column = match status {
            Some(..300) => 0,
            Some(..500) => 1,
            Some(_) => 2,
            None => 3,
        };
        self.operations.entry(variant_name(&op)).or_default()[column] += 1;
    }

    pub(crate) fn injected(&mut self, fault: StoreFault) {
        *self.injected.entry(variant_name(&fault)).or_default() += 1;
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.steps += other.steps;
        self.crashes += other.crashes;
        self.jumps += other.jumps;
        self.failures += other.failures;
        self.removed += other.removed;
        self.skipped += other.skipped;
        for (name, counts) in &other.operations {
            let own = self.operations.entry(name.clone()).or_default();
            own.iter_mut().zip(counts).for_each(|(own, more)| *own += more);
        }
        for (name, count) in &other.injected {
            *self.injected.entry(name.clone()).or_default() += count;
        }
    }

    /// The number of requests of this kind that succeeded.
    pub(crate) fn succeeded(&self, name: &str) -> u64 {
        self.operations.get(name).map_or(0, |counts| counts[0])
    }
}

/// The name of a variant.
fn variant_name(variant: &dyn fmt::Debug) -> String {
    let text = format!("{variant:?}");
    text.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default().to_owned()
}

impl fmt::Display for Tally {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            formatter,
            "{:<20}{:>10}{:>10}{:>10}{:>12}",
            "operation", "done", "refused", "failed", "unanswered"
        )?;
        for (name, [done, refused, failed, unanswered]) in &self.operations {
            writeln!(formatter, "{name:<20}{done:>10}{refused:>10}{failed:>10}{unanswered:>12}")?;
        }
        writeln!(formatter, "\n{:<20}{:>10}", "fault of the store", "injected")?;
        for (name, count) in &self.injected {
            writeln!(formatter, "{name:<20}{count:>10}")?;
        }
        writeln!(
            formatter,
            "\n{} steps, {} losses of power, {} jumps of the clock, {} failures of the store, {} reads of removed certificates, {} operations without a subject",
            self.steps, self.crashes, self.jumps, self.failures, self.removed, self.skipped
        )
    }
}
