//! Notifications of writes, in the order of the commits.

use std::sync::Arc;

use tokio::sync::broadcast::{self, error::RecvError};

use super::batch::{Batch, Revision};
use super::key::{Key, KeyRange, Prefix};

/// One commit, as far as it touched the watched prefix. It has no values: read them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The commit.
    pub revision: Revision,
    /// Keys that have a new value.
    pub written: Vec<Key>,
    /// Keys that were removed by name.
    pub deleted: Vec<Key>,
    /// Ranges that were removed; a key in `written` may lie inside and exists.
    pub deleted_ranges: Vec<KeyRange>,
}

/// Why there is no next change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatchError {
    /// Changes were missed because they were not read in time: drop everything that was cached.
    Lagged,
    /// The store is closed: no change will come.
    Closed,
}

/// The changes under one prefix, in commit order.
#[derive(Debug)]
pub struct Watch {
    prefix: Prefix,
    receiver: broadcast::Receiver<Arc<Change>>,
}

/// The engine's end of every [`Watch`].
#[derive(Clone, Debug)]
pub(super) struct Publisher(broadcast::Sender<Arc<Change>>);

impl Watch {
    /// The next commit that touched the prefix.
    ///
    /// # Errors
    /// [`WatchError::Lagged`] once when changes were missed; the next call continues after them.
    pub async fn next(&mut self) -> Result<Change, WatchError> {
        loop {
            match self.receiver.recv().await {
                Ok(change) => {
                    if let Some(change) = change.under(&self.prefix) {
                        return Ok(change);
                    }
                }
                Err(RecvError::Lagged(_)) => return Err(WatchError::Lagged),
                Err(RecvError::Closed) => return Err(WatchError::Closed),
            }
        }
    }
}

impl Publisher {
    pub(super) fn new() -> Self {
        Self(broadcast::Sender::new(CAPACITY))
    }

    pub(super) fn watch(&self, prefix: Prefix) -> Watch {
        Watch { prefix, receiver: self.0.subscribe() }
    }

    /// Notifies every watcher. Must be called in commit order, when the commit can be read.
    pub(super) fn publish(&self, revision: Revision, batch: &Batch) {
        if self.0.receiver_count() == 0 {
            return;
        }
        let change = Change {
            revision,
            written: batch.puts.iter().map(|(key, _)| key.clone()).collect(),
            deleted: batch.deletes.clone(),
            deleted_ranges: batch.range_deletes.clone(),
        };
        // An error means that no watcher is left.
        let _ = self.0.send(Arc::new(change));
    }
}

impl Change {
    fn under(&self, prefix: &Prefix) -> Option<Self> {
        let range = prefix.range();
        let keys = |keys: &[Key]| -> Vec<Key> {
            keys.iter().filter(|key| prefix.covers(key)).cloned().collect()
        };
        let change = Self {
            revision: self.revision,
            written: keys(&self.written),
            deleted: keys(&self.deleted),
            deleted_ranges: self
                .deleted_ranges
                .iter()
                .filter(|deleted| deleted.overlaps(&range))
                .cloned()
                .collect(),
        };
        let touched = !(change.written.is_empty()
            && change.deleted.is_empty()
            && change.deleted_ranges.is_empty());
        touched.then_some(change)
    }
}

/// Commits that a watcher may be behind before it gets [`WatchError::Lagged`].
const CAPACITY: usize = 1024;
