//! Latencies in a high dynamic range histogram: buckets less than a hundredth wide, merged by adding.

use std::time::Duration;

use hdrhistogram::Histogram as Buckets;
use serde_json::{Value, json};

/// How many latencies fell into each bucket, in nanoseconds.
#[derive(Clone, Debug)]
pub struct Histogram {
    buckets: Buckets<u64>,
    /// The longest latency itself: its bucket ends later.
    longest: u64,
}

/// Two significant digits: a value and the end of its bucket differ by less than a hundredth.
const DIGITS: u8 = 2;

/// Where the curve of a distribution is drawn, in percent.
const CURVE: [f64; 17] = [
    0.0, 10.0, 25.0, 50.0, 60.0, 70.0, 75.0, 80.0, 90.0, 95.0, 97.5, 99.0, 99.5, 99.9, 99.95,
    99.99, 100.0,
];

impl Default for Histogram {
    fn default() -> Self {
        let buckets = Buckets::new(DIGITS).expect("two digits are supported");
        Self { buckets, longest: 0 }
    }
}

impl Histogram {
    pub fn record(&mut self, latency: Duration) {
        let nanoseconds = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        self.buckets.record(nanoseconds).expect("the histogram grows to every value");
        self.longest = self.longest.max(nanoseconds);
    }

    pub fn merge(&mut self, other: &Self) {
        self.buckets.add(&other.buckets).expect("the histogram grows to every value");
        self.longest = self.longest.max(other.longest);
    }

    pub fn count(&self) -> u64 {
        self.buckets.len()
    }

    /// The latency that this share of all, in percent, does not exceed.
    pub fn percentile(&self, percent: f64) -> Duration {
        // At exactly 0 the library returns the start of the bucket instead of its end.
        let quantile = (percent / 100.0).max(f64::MIN_POSITIVE);
        Duration::from_nanos(self.buckets.value_at_quantile(quantile).min(self.longest))
    }

    pub fn json(&self) -> Value {
        let at = |percent| milliseconds(self.percentile(percent));
        let curve: Vec<_> =
            CURVE.into_iter().map(|percent| json!([percent, at(percent)])).collect();
        json!({
            "count": self.count(),
            "p50": at(50.0),
            "p90": at(90.0),
            "p99": at(99.0),
            "p99.9": at(99.9),
            "max": at(100.0),
            "curve": curve,
        })
    }
}

/// Milliseconds with three decimal places.
pub fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}
