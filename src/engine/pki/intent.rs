//! Intents: what is about to be signed for an authority, recorded before it is (design D6).
//!
//! | the commit of what was signed | what becomes of the intent |
//! |---|---|
//! | done | it goes in the same commit |
//! | not done: a conflict, or the store refused | it goes in a commit of its own: nothing is recorded, and what was signed is dropped |
//! | unknown, or the server stopped | it stays, and each start tells of it |

use crate::ca::serial::Serial;
use crate::ca::time::Timestamp;
use crate::engine::Failure;
use crate::store::{Batch, CommitError, key};

use super::Pki;
use super::records::IntentRecord;

impl Pki {
    /// Says what is about to be signed, before it is.
    pub(super) async fn record_intent(
        &self,
        serial: Serial,
        tbs: Vec<u8>,
        now: Timestamp,
    ) -> Result<(), Failure> {
        let key = key::intent(self.id(), serial.as_bytes());
        let record = IntentRecord { tbs, at: now.unix() };
        let batch = Batch::new().expect_absent(key.clone()).put_record(key, &record);
        self.env().store.commit(batch).await?;
        Ok(())
    }

    /// Commits what was signed, and takes the intent away with it. A use case that meets a conflict
    /// begins again under another serial number, so the intent goes then too.
    pub(super) async fn fulfil_intent(&self, serial: Serial, batch: Batch) -> Result<(), Failure> {
        let intent = key::intent(self.id(), serial.as_bytes());
        let outcome = self.env().store.commit(batch.delete(intent)).await;
        if let Err(CommitError::Conflict { .. } | CommitError::NotDone(_)) = &outcome {
            self.withdraw_intent(serial).await;
        }
        outcome.map(drop).map_err(Failure::from)
    }

    /// Takes an intent away: nothing is recorded under it, and what was signed is dropped.
    pub(super) async fn withdraw_intent(&self, serial: Serial) {
        let intent = key::intent(self.id(), serial.as_bytes());
        if let Err(error) = self.env().store.commit(Batch::new().delete(intent)).await {
            tracing::warn!(%error, mount = self.entry.record.path, "an intent that is not needed stays");
        }
    }
}
