//! Removing keys (`docs/dev/vault-pki.md`, "Issuers and keys").

use crate::ca::time::Timestamp;
use crate::engine::{Failure, retry_on_conflict};
use crate::store::id::{KeyId, MountId};
use crate::store::{Snapshot, key, record};

use super::Pki;
use super::ca_state::CaState;
use super::generate::put_defaults;
use super::records::RevocationRecord;

/// Number of revocations on one page of a scan.
const PAGE: usize = 4096;

impl Pki {
    /// Removes a key permanently. An unknown reference is not an error.
    ///
    /// A key of deleted issuers still signs their CRL. Without it the CRL is not renewed, and a warning
    /// says how many revocations are on no CRL then.
    ///
    /// # Errors
    /// Refuses a key that an issuer uses.
    pub async fn delete_key(
        &self,
        reference: &str,
        now: Timestamp,
    ) -> Result<Vec<String>, Failure> {
        retry_on_conflict!(async {
            let (snapshot, ca_state) = self.snapshot_and_ca_state().await?;
            let Ok((id, _)) = ca_state.key(reference) else { return Ok(Vec::new()) };
            let mut users = ca_state.issuers.values();
            if let Some(user) = users.find(|issuer| issuer.record.key == Some(id)) {
                return Err(Failure::refused(format!(
                    "Failed to Delete Key.  Key in Use by Issuer: {}",
                    user.id
                )));
            }
            let mut warnings = Vec::new();
            let mut batch =
                ca_state.config_batch(self.id()).delete(key::private_key(self.id(), &id));
            let mut defaults = ca_state.defaults.clone();
            if defaults.key == Some(id) {
                defaults.key = None;
                batch = put_defaults(batch, self.id(), &defaults);
                warnings.push(format!(
                    "Deleted key {} (via key_ref {reference}); this was configured as the default key. Operations without an explicit key will not work until a new default is configured.",
                    id
                ));
            }
            let lost = live_revocations(&snapshot, &ca_state, self.id(), &id, now).await?;
            if lost > 0 {
                warnings.push(format!(
                    "Signet: key {} signed the revocation list of issuers that were deleted; {lost} revoked certificates that have not expired are on no list from now on",
                    id
                ));
            }
            self.env().store.commit(batch).await?;
            Ok(warnings)
        })
    }
}

/// Number of revoked, unexpired certificates of deleted issuers with this key.
async fn live_revocations(
    snapshot: &Snapshot,
    ca_state: &CaState,
    mount: &MountId,
    key: &KeyId,
    now: Timestamp,
) -> Result<usize, Failure> {
    let mut live = 0_usize;
    for issuer in ca_state.deleted.iter().filter(|issuer| issuer.record.key == Some(*key)) {
        let mut range = key::revoked_by(mount, &issuer.id).range();
        loop {
            let page = snapshot.scan(&range, PAGE).await?;
            for entry in &page {
                let revoked: RevocationRecord = record::decode(&entry.value)
                    .map_err(|error| Failure::Internal(error.to_string()))?;
                live = live.saturating_add(usize::from(revoked.not_after >= now.unix()));
            }
            match page.last() {
                Some(last) if page.len() == PAGE => range = range.after(&last.key),
                _ => break,
            }
        }
    }
    Ok(live)
}
