//! Intents: the record of a CA certificate that is about to be signed.
//!
//! | the commit of the certificate | the intent |
//! |---|---|
//! | done | is deleted in the same commit |
//! | not done: a conflict, or the store refused | is deleted in a separate commit: nothing is recorded, and the certificate is dropped |
//! | unknown, or the server stopped | stays; a job logs it once, and deletes it 72 hours later (`unfinished.rs`) |

use crate::ca::serial::Serial;
use crate::ca::time::Timestamp;
use crate::engine::Failure;
use crate::store::{Batch, CommitError, key};

use super::Pki;
use super::records::IntentRecord;

impl Pki {
    /// Records what is about to be signed.
    pub(super) async fn record_intent(
        &self,
        serial: Serial,
        tbs: Vec<u8>,
        now: Timestamp,
    ) -> Result<(), Failure> {
        let key = key::intent(self.id(), serial.as_bytes());
        let record = IntentRecord { tbs, at: now.unix(), logged_at: None };
        let batch = Batch::new().expect_absent(key.clone()).put_record(key, &record);
        self.env().store.commit(batch).await?;
        Ok(())
    }

    /// Commits a signed certificate and deletes the intent in the same batch. After a conflict the use
    /// case retries with another serial number, so the intent is deleted then too.
    pub(super) async fn commit_and_delete_intent(
        &self,
        serial: Serial,
        batch: Batch,
    ) -> Result<(), Failure> {
        let intent = key::intent(self.id(), serial.as_bytes());
        let outcome = self.env().store.commit(batch.delete(intent)).await;
        if let Err(CommitError::Conflict { .. } | CommitError::NotDone(_)) = &outcome {
            self.delete_intent(serial).await;
        }
        outcome.map(drop).map_err(Failure::from)
    }

    /// Deletes an intent whose certificate is dropped and not recorded.
    pub(super) async fn delete_intent(&self, serial: Serial) {
        let intent = key::intent(self.id(), serial.as_bytes());
        if let Err(error) = self.env().store.commit(Batch::new().delete(intent)).await {
            tracing::warn!(%error, mount = self.entry.record.path, "an intent that is not needed could not be deleted");
        }
    }
}
