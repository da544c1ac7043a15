//! What jobs do in a PKI mount.

use crate::ca::time::Timestamp;
use crate::engine::Failure;
use crate::engine::jobs::plan::{Job, MountState};

use super::Pki;

impl Pki {
    /// The state from which the jobs of this mount are planned.
    pub(super) async fn state_for_jobs(&self) -> Result<MountState, Failure> {
        let lists = self.published_lists().await?;
        let snapshot = self.env().store.snapshot().await?;
        let intents = self.intents(&snapshot).await?;
        let tidy = self.stored_tidy(&snapshot).await?.state(self.id());
        Ok(MountState { id: *self.id(), lists, intents, tidy })
    }

    /// Runs a job of this mount.
    pub(super) async fn do_job(
        &self,
        job: Job,
        started: i64,
        now: Timestamp,
    ) -> Result<(), Failure> {
        match job {
            Job::RenewCrl { issuer, .. } => self.complete_list(issuer, now).await.map(drop),
            Job::RemoveIntents { .. } => self.remove_intents(started, now).await,
            Job::Tidy { .. } => self.tidy(started, now).await,
            Job::RotateDataKey => Ok(()),
        }
    }
}
