//! The answers that one caller received, and their sum over all callers.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use bytes::Bytes;

use super::connect::Answer;
use super::histogram::Histogram;
use super::work::{Expect, Memory, Work};

/// One answer in this many is kept and checked after the run.
const SAMPLE: u64 = 100;

#[derive(Debug, Default)]
pub struct Tally {
    /// Of good answers only.
    pub latencies: Histogram,
    pub answers: u64,
    pub good: u64,
    /// Everything else, by status or by the text of the failure.
    pub bad: BTreeMap<String, u64>,
    pub retry_after: u64,
    /// Arrivals that were never sent: every caller was busy.
    pub unsent: u64,
    pub samples: Vec<(Expect, Bytes)>,
    serials: HashSet<Bytes>,
    pub repeated_serials: u64,
}

impl Tally {
    pub fn take(
        &mut self,
        outcome: Result<Answer, String>,
        expect: Expect,
        latency: Duration,
        (work, memory): (&Work, &mut Memory),
    ) {
        self.answers += 1;
        let answer = match outcome {
            Ok(answer) => answer,
            Err(why) => return *self.bad.entry(why).or_default() += 1,
        };
        if !answer.status.is_success() {
            self.retry_after += u64::from(answer.retry_after);
            *self.bad.entry(answer.status.as_u16().to_string()).or_default() += 1;
            return;
        }
        self.good += 1;
        self.latencies.record(latency);
        if matches!(expect, Expect::Success) {
            return;
        }
        match serial(&answer.body) {
            Some(serial) => {
                work.remember(&serial, memory);
                self.repeated_serials += u64::from(!self.serials.insert(serial));
            }
            None => *self.bad.entry("no serial number".to_owned()).or_default() += 1,
        }
        if self.good % SAMPLE == 1 {
            self.samples.push((expect, answer.body));
        }
    }

    pub fn merge(&mut self, other: Self) {
        self.latencies.merge(&other.latencies);
        self.answers += other.answers;
        self.good += other.good;
        for (what, count) in other.bad {
            *self.bad.entry(what).or_default() += count;
        }
        self.retry_after += other.retry_after;
        self.unsent += other.unsent;
        self.samples.extend(other.samples);
        self.repeated_serials += other.repeated_serials;
        for serial in other.serials {
            self.repeated_serials += u64::from(!self.serials.insert(serial));
        }
    }
}

/// The serial number of an answer, found without reading the whole of it. A copy: a part would
/// keep the answer in memory.
fn serial(body: &[u8]) -> Option<Bytes> {
    const MARK: &[u8] = b"\"serial_number\":\"";
    let start = body.windows(MARK.len()).rposition(|part| part == MARK)? + MARK.len();
    let rest = &body[start..];
    let length = rest.iter().position(|byte| *byte == b'"')?;
    Some(Bytes::copy_from_slice(&rest[..length]))
}
