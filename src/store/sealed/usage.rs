//! How many values a data key may have sealed: an estimate that outlives the process.
//!
//! Nonces are 96 random bits, so one key may seal 2^32 values (NIST SP 800-38D, 8.3). Every nonce
//! is counted before it is drawn, also those of batches that fail later. Counts are reserved in
//! blocks: the record of a block is on the disk before the first nonce of it is drawn, so after a
//! crash the estimate is too high by at most one block, and never too low.
//!
//! The record lies in clear beside the seal's records: to count costs no nonce.
//!
//! A program that does not know the record seals values without counting. The engine's own number
//! of writes tells how many these can be, apart from batches that failed.

use std::sync::atomic::{AtomicU64, Ordering};

use minicbor::{Decode, Encode};

use super::super::record::Record;

/// The most values that one data key may seal.
pub(super) const BOUND: u64 = 1 << 32;
/// A data key that has sealed so many values is due for replacement. Half of the bound: with random
/// nonces the chance that two of n values share one grows with n² (NIST SP 800-38D, 8.3), so here it
/// is a quarter of what the bound allows, and the other half is left for the time until the new key
/// is stored.
pub const ROTATE_AT: u64 = BOUND / 2;
/// The block that a new store begins with, and the largest one: it is written once in a million
/// values.
const LARGEST: u64 = 1 << 20;
/// The first block of a process that opens a store: a server that starts again and again, and writes
/// a value each time, reaches the bound after four million starts.
const FIRST: u64 = 1 << 10;
/// Each of these shares of the bound is worth a line in the log, in percent. A key reaches the first
/// of them only if it could not be replaced at [`ROTATE_AT`].
const SHARES: [u64; 4] = [75, 90, 95, 99];

/// The block that was reserved last, as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(super) struct UsageRecord {
    /// The number of the data key.
    #[n(0)]
    pub(super) key: u32,
    /// The most values that the key sealed before this block.
    #[n(1)]
    pub(super) before: u64,
    /// The length of the block.
    #[n(2)]
    pub(super) block: u64,
    /// How many values the engine had written at that time.
    #[n(3)]
    pub(super) written: u64,
}

impl Record for UsageRecord {}

impl UsageRecord {
    /// The most values that the data key `key` has sealed, if the engine has written so many by now.
    pub(super) fn estimate(stored: Option<&Self>, key: u32, written: u64) -> u64 {
        match stored {
            // As many again for batches that failed: the program that wrote these values kept no
            // count.
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
    /// How many were drawn, by this process or before it.
    used: AtomicU64,
    /// How many may be drawn: so far the record on the disk reaches.
    reserved: AtomicU64,
    /// The length of the newest block.
    block: AtomicU64,
}

impl Usage {
    /// For a key that has sealed at most `used` values. Nothing is reserved.
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

    /// The most values that were sealed so far.
    pub(super) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    pub(super) fn reserved(&self) -> u64 {
        self.reserved.load(Ordering::Acquire)
    }

    /// Counts so many nonces, if they are reserved.
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

    /// A block is on the disk; its first `count` nonces are counted at once. A nonce of an older
    /// block that another thread claims meanwhile lies before this one.
    pub(super) fn grant(&self, before: u64, block: u64, count: u64) {
        self.block.store(block, Ordering::Relaxed);
        self.used.store(before.saturating_add(count), Ordering::Relaxed);
        self.reserved.store(before.saturating_add(block), Ordering::Release);
    }
}

/// The highest share of the bound, in percent, that was passed on the way from `from` to `to`.
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
