//! How many values a data key may have encrypted: an estimate that survives restarts.
//!
//! Nonces are 96 random bits, so one key may seal 2^32 values (NIST SP 800-38D, 8.3). Every nonce
//! is counted before it is drawn, those of batches that fail later too. Counts are reserved in
//! blocks: the record of a block is on the disk before its first nonce is drawn, so after a
//! crash the estimate is too high by at most one block, and never too low.
//!
//! The record is stored in clear beside the seal's records: counting uses no nonce.
//!
//! An older version that does not know the record encrypts values without counting. The engine's own number
//! of writes bounds how many these can be, apart from batches that failed.

use std::sync::atomic::{AtomicU64, Ordering};

use minicbor::{Decode, Encode};

use super::super::record::Record;

/// The most values that one data key may encrypt.
pub(super) const BOUND: u64 = 1 << 32;
/// A data key that has encrypted this many values is due for replacement. Half of the bound: with random
/// nonces the probability that two of n values share one grows with n² (NIST SP 800-38D, 8.3), so here it
/// is a quarter of what the bound allows, and the other half is left for the time until the new key
/// is stored.
pub const ROTATE_AT: u64 = BOUND / 2;
/// The first block of a new store, and the largest block: one write for a million values.
const LARGEST: u64 = 1 << 20;
/// The first block of a process that opens an existing store: a server that restarts again and again, and
/// writes one value each time, reaches the bound after four million starts.
const FIRST: u64 = 1 << 10;
/// The shares of the bound, in percent, at which the log warns. A key reaches the first
/// of them only if it could not be replaced at [`ROTATE_AT`].
const SHARES: [u64; 4] = [75, 90, 95, 99];

/// The block that was reserved last, as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(super) struct UsageRecord {
    /// The number of the data key.
    #[n(0)]
    pub(super) key: u32,
    /// An upper bound of the values that the key encrypted before this block.
    #[n(1)]
    pub(super) before: u64,
    /// The length of the block.
    #[n(2)]
    pub(super) block: u64,
    /// The engine's number of written values at that time.
    #[n(3)]
    pub(super) written: u64,
}

impl Record for UsageRecord {}

impl UsageRecord {
    /// An upper bound of the values that the data key `key` has encrypted; `written` is the engine's number of
    /// written values now.
    pub(super) fn estimate(stored: Option<&Self>, key: u32, written: u64) -> u64 {
        match stored {
            // Doubled for batches that failed: the version that wrote these values kept no count.
            None => written.saturating_mul(2),
            Some(record) => {
                let since = written.saturating_sub(record.written);
                if record.key == key {
                    record.before.saturating_add(record.block.max(since))
                } else {
                    since
                }
            }
        }
    }
}

/// The nonces that this process may draw under one data key.
#[derive(Debug)]
pub(super) struct Usage {
    /// Nonces drawn, by this process or before it.
    used: AtomicU64,
    /// Nonces that may be drawn: the end of the block that the record on the disk reserves.
    reserved: AtomicU64,
    /// The length of the newest block.
    block: AtomicU64,
}

impl Usage {
    /// For a key that has encrypted at most `used` values. Nothing is reserved.
    pub(super) const fn after(used: u64) -> Self {
        Self {
            used: AtomicU64::new(used),
            reserved: AtomicU64::new(used),
            block: AtomicU64::new(0),
        }
    }

    /// For a key that is about to be stored together with its first `count` values, and its block.
    pub(super) fn of_new_store(count: u64) -> Self {
        let block = LARGEST.max(count);
        Self {
            used: AtomicU64::new(count),
            reserved: AtomicU64::new(block),
            block: AtomicU64::new(block),
        }
    }

    /// An upper bound of the values encrypted so far.
    pub(super) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    pub(super) fn reserved(&self) -> u64 {
        self.reserved.load(Ordering::Acquire)
    }

    /// Counts `count` nonces, if they are reserved.
    pub(super) fn claim(&self, count: u64) -> bool {
        let reserved = self.reserved();
        let end = |used: u64| used.checked_add(count).filter(|end| *end <= reserved);
        self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, end).is_ok()
    }

    /// The length of the block to reserve next, when `count` nonces are needed and `before` may have
    /// been drawn. `None` if the bound does not allow it.
    pub(super) fn next_block(&self, before: u64, count: u64) -> Option<u64> {
        let room = BOUND.checked_sub(before)?;
        let longer = self.block.load(Ordering::Relaxed).saturating_mul(2);
        let block = longer.clamp(FIRST, LARGEST).max(count).min(room);
        (block >= count).then_some(block)
    }

    /// Records that a block is on the disk, and counts its first `count` nonces. A nonce of an older
    /// block that another thread claims at the same time precedes this block.
    pub(super) fn grant(&self, before: u64, block: u64, count: u64) {
        self.block.store(block, Ordering::Relaxed);
        self.used.store(before.saturating_add(count), Ordering::Relaxed);
        self.reserved.store(before.saturating_add(block), Ordering::Release);
    }
}

/// The highest share of the bound, in percent, between `from` and `to`.
pub(super) fn share_passed(from: u64, to: u64) -> Option<u64> {
    let passed = |share: &u64| {
        let limit = BOUND / 100 * share;
        from < limit && limit <= to
    };
    SHARES.into_iter().rev().find(passed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(before: u64, block: u64, written: u64) -> UsageRecord {
        UsageRecord { key: 1, before, block, written }
    }

    #[test]
    fn the_estimate_is_never_below_what_can_have_been_sealed() {
        let estimate =
            |record: UsageRecord, key, written| UsageRecord::estimate(Some(&record), key, written);
        assert_eq!(estimate(record(100, 50, 7), 1, 20), 150, "the whole block may be used");
        assert_eq!(
            estimate(record(100, 50, 7), 1, 207),
            300,
            "and more by a program without a count"
        );
        assert_eq!(estimate(record(100, 50, 7), 2, 20), 13, "a newer key");
        assert_eq!(UsageRecord::estimate(None, 1, 20), 40, "no count was kept");
        assert_eq!(estimate(record(u64::MAX, 50, 7), 1, 0), u64::MAX);
    }

    #[test]
    fn nothing_is_claimed_that_is_not_reserved() {
        let usage = Usage::after(7);
        assert!(usage.claim(0) && !usage.claim(1));
        let block = usage.next_block(7, 3).unwrap();
        assert_eq!(block, FIRST);
        usage.grant(7, block, 3);
        assert_eq!((usage.used(), usage.reserved()), (10, 7 + FIRST));
        assert!(usage.claim(FIRST - 3) && !usage.claim(1));
        assert_eq!(usage.next_block(usage.reserved(), 1), Some(2 * FIRST));
        assert_eq!(usage.next_block(0, 3 * LARGEST), Some(3 * LARGEST));
    }

    #[test]
    fn the_last_block_ends_at_the_bound() {
        let usage = Usage::after(0);
        assert_eq!(usage.next_block(BOUND - 10, 10), Some(10));
        assert_eq!(usage.next_block(BOUND - 10, 11), None);
        assert_eq!(usage.next_block(BOUND, 1), None);
        assert_eq!(usage.next_block(u64::MAX, 1), None);
    }

    #[test]
    fn each_share_is_told_once_and_of_several_the_highest() {
        let share = BOUND / 100 * 75;
        assert_eq!(share_passed(0, share - 1), None);
        assert_eq!(share_passed(share - 1, share), Some(75));
        assert_eq!(share_passed(share, share + 1), None);
        assert_eq!(share_passed(0, BOUND), Some(99));
    }
}
