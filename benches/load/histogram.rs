//! Latencies in buckets that are less than a hundredth wide: log-linear, merged by adding.

use std::time::Duration;

use serde_json::{Value, json};

/// How many latencies fell into each bucket.
#[derive(Clone, Debug, Default)]
pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
    longest: u64,
}

/// Buckets for each doubling: 2^7.
const BITS: u32 = 7;

/// Where the curve of a distribution is drawn, in percent.
const CURVE: [f64; 17] = [
    0.0, 10.0, 25.0, 50.0, 60.0, 70.0, 75.0, 80.0, 90.0, 95.0, 97.5, 99.0, 99.5, 99.9, 99.95,
    99.99, 100.0,
];

impl Histogram {
    pub fn record(&mut self, latency: Duration) {
        let nanoseconds = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        let place = place(nanoseconds);
        if self.counts.len() <= place {
            self.counts.resize(place + 1, 0);
        }
        self.counts[place] += 1;
        self.total += 1;
        self.longest = self.longest.max(nanoseconds);
    }

    pub fn merge(&mut self, other: &Self) {
        if self.counts.len() < other.counts.len() {
            self.counts.resize(other.counts.len(), 0);
        }
        for (own, more) in self.counts.iter_mut().zip(&other.counts) {
            *own += more;
        }
        self.total += other.total;
        self.longest = self.longest.max(other.longest);
    }

    pub const fn count(&self) -> u64 {
        self.total
    }

    /// The latency that this share of all, in percent, does not exceed.
    pub fn percentile(&self, percent: f64) -> Duration {
        let rank = (self.total as f64 * percent / 100.0).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (place, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return Duration::from_nanos(end(place).min(self.longest));
            }
        }
        Duration::from_nanos(self.longest)
    }

    pub fn json(&self) -> Value {
        let at = |percent| milliseconds(self.percentile(percent));
        let curve: Vec<_> =
            CURVE.into_iter().map(|percent| json!([percent, at(percent)])).collect();
        json!({
            "count": self.total,
            "p50": at(50.0),
            "p90": at(90.0),
            "p99": at(99.0),
            "p99.9": at(99.9),
            "max": at(100.0),
            "curve": curve,
        })
    }
}

/// Milliseconds with three digits behind the point: what a result holds.
pub fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

/// Below 2^8 each value has a bucket of its own; above, each doubling has 2^7.
fn place(nanoseconds: u64) -> usize {
    let shift = (u64::BITS - nanoseconds.leading_zeros()).saturating_sub(BITS + 1);
    ((shift as usize) << BITS) + (nanoseconds >> shift) as usize
}

/// The last value of a bucket.
fn end(place: usize) -> u64 {
    let shift = (place >> BITS).saturating_sub(1);
    let within = (place - (shift << BITS)) as u64;
    within.saturating_add(1).checked_shl(shift as u32).map_or(u64::MAX, |end| end - 1)
}
