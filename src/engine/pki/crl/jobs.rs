//! CRLs that a job renews, before a reader finds them past half of their lifetime.

use std::sync::Arc;

use crate::ca::time::Timestamp;
use crate::engine::Failure;
use crate::engine::jobs::plan::ListState;
use crate::engine::pki::{CaState, Issuer, Pki};
use crate::store::id::IssuerId;

use super::build::BuildMode;
use super::{LIFETIME, SignedCrl};

impl Pki {
    /// The published CRLs. One that was never published is built for its first reader.
    pub(in crate::engine::pki) async fn published_lists(&self) -> Result<Vec<ListState>, Failure> {
        let ca_state = self.ca_state().await?;
        let mut found = Vec::new();
        for signer in ca_state.list_signers() {
            let published = self.published(&ca_state, signer).await?;
            found.extend(published.map(|list| ListState {
                issuer: signer.id,
                this_update: list.this_update(),
                latest: list.latest(),
                renew_at: list.this_update().saturating_add(LIFETIME / 2),
            }));
        }
        Ok(found)
    }

    /// The CRL that this issuer signs, with every recorded revocation; it is rebuilt if it is not
    /// current. As for a reader without a token, a clock that is more than a year past the newest CRL
    /// is not trusted. `None` if the issuer signs no CRL.
    ///
    /// # Errors
    /// Fails with the store; [`Failure::Refused`] if a CRL cannot be built.
    pub(in crate::engine::pki) async fn complete_list(
        &self,
        signer: IssuerId,
        now: Timestamp,
    ) -> Result<Option<Arc<SignedCrl>>, Failure> {
        let find = move |now: &CaState| -> Option<Arc<Issuer>> {
            let issuer = now.present_or_deleted(&signer)?;
            now.list_signer(issuer).filter(|found| found.id == signer).cloned()
        };
        self.build(find, now, BuildMode::Reader).await
    }
}
