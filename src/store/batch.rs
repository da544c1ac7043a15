//! The plain data that goes into and comes out of a store: batches, revisions, errors.

use std::fmt;

use super::key::{Key, KeyRange};
use super::record::{self, Record};

/// The number of the commit that last wrote a key. It never falls and never repeats, across restarts
/// too; the first commit of a store is 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub(super) u64);

/// What must be true of a key for a batch to be committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expectation {
    /// The key has no value.
    Absent,
    /// The key was last written by this commit.
    Revision(Revision),
}

/// Writes that are committed together or not at all.
///
/// Whatever the order of the calls, range deletes come first, then deletes, then puts: a batch can
/// clear a range and write into it. Two puts of one key: the later call wins.
#[derive(Clone, Default, PartialEq, Eq)]
#[must_use = "a batch does nothing until it is committed"]
pub struct Batch {
    /// What must be true, else nothing is written.
    pub expectations: Vec<(Key, Expectation)>,
    /// Values to write.
    pub puts: Vec<(Key, Vec<u8>)>,
    /// Keys to remove; a key without a value is not an error.
    pub deletes: Vec<Key>,
    /// Ranges to remove.
    pub range_deletes: Vec<KeyRange>,
}

/// Why a batch was not committed, and what the caller may conclude from that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommitError {
    /// Nothing was written: this key is not as the batch expected. Read again and decide again.
    Conflict {
        /// The first key that was not as expected.
        key: Key,
    },
    /// Nothing was written: the store is sealed.
    Sealed,
    /// Nothing was written: the store is closed.
    Closed,
    /// Nothing was written, for a reason that an operator must look at.
    NotDone(String),
    /// The batch was written or not: only reading again shows which.
    MaybeDone(String),
}

/// Why a read failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadError {
    /// The store is sealed.
    Sealed,
    /// The value of this key cannot be decoded, or was changed outside of this program.
    Damaged {
        /// The key.
        key: Key,
        /// What is wrong with it.
        reason: String,
    },
    /// The engine failed.
    Failed(String),
}

impl Revision {
    /// The number itself.
    pub const fn number(self) -> u64 {
        self.0
    }
}

impl Expectation {
    /// Whether a key that was last written by `current` (or has no value) is as expected.
    pub(super) fn holds(self, current: Option<Revision>) -> bool {
        match self {
            Self::Absent => current.is_none(),
            Self::Revision(revision) => current == Some(revision),
        }
    }
}

impl Batch {
    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// The key must have no value.
    pub fn expect_absent(mut self, key: Key) -> Self {
        self.expectations.push((key, Expectation::Absent));
        self
    }

    /// The key must still have this revision.
    pub fn expect(mut self, key: Key, revision: Revision) -> Self {
        self.expectations.push((key, Expectation::Revision(revision)));
        self
    }

    /// The key must be as it was read: at that revision, or absent.
    pub fn expect_unchanged(self, key: Key, read: Option<Revision>) -> Self {
        match read {
            Some(revision) => self.expect(key, revision),
            None => self.expect_absent(key),
        }
    }

    /// Writes `value` under `key`.
    pub fn put(mut self, key: Key, value: Vec<u8>) -> Self {
        self.puts.push((key, value));
        self
    }

    /// Writes a record under `key`.
    pub fn put_record<R: Record>(self, key: Key, record: &R) -> Self {
        self.put(key, record::encode(record))
    }

    /// Removes `key`.
    pub fn delete(mut self, key: Key) -> Self {
        self.deletes.push(key);
        self
    }

    /// Removes every key of `range`.
    pub fn delete_range(mut self, range: KeyRange) -> Self {
        self.range_deletes.push(range);
        self
    }

    /// Does it remove nothing?
    pub(super) fn only_puts(&self) -> bool {
        self.deletes.is_empty() && self.range_deletes.iter().all(KeyRange::is_empty)
    }

    /// Would a commit change nothing?
    pub(super) fn is_idle(&self) -> bool {
        self.puts.is_empty() && self.only_puts()
    }

    /// The first expectation that does not hold, given the revision of each key.
    pub(super) fn conflict<E>(
        &self,
        mut current: impl FnMut(&Key) -> Result<Option<Revision>, E>,
    ) -> Result<Option<Key>, E> {
        for (key, expectation) in &self.expectations {
            if !expectation.holds(current(key)?) {
                return Ok(Some(key.clone()));
            }
        }
        Ok(None)
    }
}

impl fmt::Debug for Batch {
    /// Keys and lengths; never a value, which may be a private key.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let puts: Vec<_> = self.puts.iter().map(|(key, value)| (key, value.len())).collect();
        formatter
            .debug_struct("Batch")
            .field("expectations", &self.expectations)
            .field("puts", &puts)
            .field("deletes", &self.deletes)
            .field("range_deletes", &self.range_deletes)
            .finish()
    }
}

impl fmt::Display for CommitError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Conflict { key } => write!(formatter, "key {key} was changed by another"),
            Self::Sealed => formatter.write_str("the store is sealed"),
            Self::Closed => formatter.write_str("the store is closed"),
            Self::NotDone(reason) => write!(formatter, "nothing was written: {reason}"),
            Self::MaybeDone(reason) => {
                write!(formatter, "unknown whether it was written: {reason}")
            }
        }
    }
}

impl std::error::Error for CommitError {}

impl fmt::Display for ReadError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sealed => formatter.write_str("the store is sealed"),
            Self::Damaged { key, reason } => write!(formatter, "key {key}: {reason}"),
            Self::Failed(reason) => write!(formatter, "the store cannot be read: {reason}"),
        }
    }
}

impl std::error::Error for ReadError {}
