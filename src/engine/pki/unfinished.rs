//! Unfinished signatures: intents that no commit deleted (see `intent.rs`).
//!
//! Each is logged once, with the subject of the certificate, and deleted 72 hours later. The record
//! stores when it was logged, so a restart does not log it again.

use x509_cert::certificate::{Rfc5280, TbsCertificateInner};
use x509_cert::der::Decode;

use crate::ca::serial::colon_hex;
use crate::ca::time::Timestamp;
use crate::engine::Failure;
use crate::engine::jobs::plan::IntentState;
use crate::store::{Batch, CommitError, Entry, Snapshot, key, record};

use super::Pki;
use super::records::IntentRecord;

/// The most intents that one run reads. Each crash while a CA certificate is signed leaves one.
const MAX_INTENTS: usize = 128;

impl Pki {
    /// The stored intents: the first [`MAX_INTENTS`] in the order of serial numbers.
    pub(super) async fn intents(&self, snapshot: &Snapshot) -> Result<Vec<IntentState>, Failure> {
        let found = snapshot.scan(&key::intents(self.id()).range(), MAX_INTENTS).await?;
        found.iter().map(|entry| Ok(state_of(&decoded(entry)?))).collect()
    }

    /// Logs the intents that were not logged yet, and deletes those that were logged 72 hours ago.
    ///
    /// # Errors
    /// Fails only with the store.
    pub(super) async fn remove_intents(&self, started: i64, now: Timestamp) -> Result<(), Failure> {
        let snapshot = self.env().store.snapshot().await?;
        let found = snapshot.scan(&key::intents(self.id()).range(), MAX_INTENTS).await?;
        drop(snapshot);
        for entry in &found {
            let mut intent = decoded(entry)?;
            let state = state_of(&intent);
            let batch = Batch::new().expect(entry.key.clone(), entry.revision);
            let is_over = state.is_over(started, now.unix());
            let batch = if is_over {
                batch.delete(entry.key.clone())
            } else if state.must_be_logged(started, now.unix()) {
                intent.logged_at = Some(now.unix());
                batch.put_record(entry.key.clone(), &intent)
            } else {
                continue;
            };
            match self.env().store.commit(batch).await {
                Ok(_) => self.log_unfinished(entry, &intent, is_over),
                // It was finished meanwhile.
                Err(CommitError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn log_unfinished(&self, entry: &Entry, intent: &IntentRecord, is_over: bool) {
        let (mount, recorded) = (&self.entry.record.path, Timestamp::from_unix(intent.at));
        let serial = key::intents(self.id()).rest(&entry.key).map(colon_hex).unwrap_or_default();
        let subject = subject_of(&intent.tbs);
        if is_over {
            tracing::info!(
                mount,
                serial,
                subject,
                recorded = recorded.to_string(),
                "the record of an unfinished CA certificate is deleted"
            );
        } else {
            tracing::warn!(
                mount,
                serial,
                subject,
                recorded = recorded.to_string(),
                "a CA certificate was about to be signed when the server stopped; no copy of it was sent: \
                 repeat the request; its record is deleted in 72 hours"
            );
        }
    }
}

fn state_of(intent: &IntentRecord) -> IntentState {
    IntentState { at: intent.at, logged_at: intent.logged_at }
}

fn decoded(entry: &Entry) -> Result<IntentRecord, Failure> {
    record::decode(&entry.value).map_err(|error| Failure::Internal(error.to_string()))
}

fn subject_of(tbs: &[u8]) -> String {
    TbsCertificateInner::<Rfc5280>::from_der(tbs)
        .map_or_else(|error| format!("unreadable: {error}"), |tbs| tbs.subject().to_string())
}
