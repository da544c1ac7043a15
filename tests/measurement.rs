//! The instrument itself: does the histogram of `benches/load` tell the truth?

#[path = "../benches/load/histogram.rs"]
#[allow(unreachable_pub, clippy::indexing_slicing, reason = "a part of another program")]
mod histogram;

use std::time::Duration;

use histogram::Histogram;
use proptest::prelude::*;

/// The same by sorting.
fn exact(sorted: &[u64], percent: f64) -> u64 {
    let rank = (sorted.len() as f64 * percent / 100.0).ceil().max(1.0) as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

proptest! {
    #[test]
    fn a_percentile_is_never_below_the_exact_one_and_less_than_a_hundredth_above(
        mut values in prop::collection::vec(0_u64..100_000_000_000, 1..300),
        percent in 0.0..100.0_f64,
    ) {
        let mut histogram = Histogram::default();
        values.iter().for_each(|value| histogram.record(Duration::from_nanos(*value)));
        values.sort_unstable();
        let (exact, found) = (exact(&values, percent), histogram.percentile(percent));
        let found = u64::try_from(found.as_nanos()).unwrap_or(u64::MAX);
        prop_assert!(exact <= found && found as f64 <= exact as f64 * 1.01, "{exact} {found}");
    }

    #[test]
    fn merging_is_recording_everything_in_one(
        left in prop::collection::vec(0_u64..1_000_000, 1..50),
        right in prop::collection::vec(0_u64..1_000_000_000, 1..50),
    ) {
        let of = |values: &[u64]| {
            let mut histogram = Histogram::default();
            values.iter().for_each(|value| histogram.record(Duration::from_nanos(*value)));
            histogram
        };
        let mut merged = of(&left);
        merged.merge(&of(&right));
        let whole = of(&[left, right].concat());
        prop_assert_eq!(merged.count(), whole.count());
        prop_assert_eq!(merged.json(), whole.json());
    }
}

#[test]
fn the_greatest_is_exact() {
    let mut histogram = Histogram::default();
    histogram.record(Duration::from_nanos(123_456_789));
    assert_eq!(histogram.percentile(100.0), Duration::from_nanos(123_456_789));
    assert_eq!(histogram::milliseconds(Duration::from_nanos(123_456_789)), 123.457);
}
