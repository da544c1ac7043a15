//! `issuer/:ref/revoke`: an issuer stops issuing permanently, and the CRLs of the issuers that signed
//! its certificate name it. It continues to sign its own CRL: what it revoked stays revoked.

use std::sync::Arc;

use crate::ca::time::Timestamp;
use crate::engine::{Failure, retry_on_conflict};
use crate::store::id::IssuerId;
use crate::store::key;

use super::Pki;
use super::ca_state::{CaState, Issuer};
use super::certificates::certificate_key;
use super::records::{CertificateRecord, RevocationRecord};
use super::state::PendingRevocation;

const W_SELF_SIGNED: &str = "This issuer is a self-signed (potentially root) certificate. This means it may not be considered revoked if there is not an external, cross-signed variant of this certificate. This issuer's serial number will not appear on its own CRL.";
const W_NO_PARENT: &str = "This issuer lacks another parent issuer within the mount. This means it will not appear on any other CRLs and may not be considered revoked by clients. Consider adding this issuer to its issuer's CRL as well if it is not self-signed.";
const W_DEFAULT: &str = "This issuer is currently configured as the default issuer for this mount; operations such as certificate issuance may not work until a new default issuer is selected.";

/// A recorded revocation of an issuer.
struct RevokedIssuer {
    issuer: IssuerId,
    pending: Vec<PendingRevocation>,
    warnings: Vec<String>,
}

impl Pki {
    /// Revokes an issuer; returns it with warnings. An issuer that is already revoked is returned as it
    /// is.
    ///
    /// # Errors
    /// Fails with the store, and on a reference that names nothing.
    pub async fn revoke_issuer(
        &self,
        reference: &str,
        now: Timestamp,
    ) -> Result<(Arc<Issuer>, Vec<String>), Failure> {
        let outcome = self.revoke_issuer_and_publish(reference, now).await;
        if let Err(Failure::Internal(_) | Failure::Busy | Failure::Sealed) = outcome {
            self.state.invalidate();
        }
        outcome
    }

    async fn revoke_issuer_and_publish(
        &self,
        reference: &str,
        now: Timestamp,
    ) -> Result<(Arc<Issuer>, Vec<String>), Failure> {
        let RevokedIssuer { issuer, pending, mut warnings } =
            retry_on_conflict!(async { self.mark_issuer_revoked(reference, now).await })?;
        for revocation in pending {
            warnings.extend(self.publish_revocation(revocation, now).await?);
        }
        let ca_state = self.ca_state().await?;
        let issuer = ca_state.issuers.get(&issuer).cloned().ok_or(Failure::NotFound)?;
        Ok((issuer, warnings))
    }

    async fn mark_issuer_revoked(
        &self,
        reference: &str,
        now: Timestamp,
    ) -> Result<RevokedIssuer, Failure> {
        let (snapshot, ca_state) = self.snapshot_and_ca_state().await?;
        let issuer = ca_state.issuer(reference)?;
        let at = issuer.revoked.unwrap_or(now);
        let serial = issuer.certificate.serial();
        let on_crl_of = |parent: IssuerId| PendingRevocation {
            issuer: parent,
            serial: serial.to_vec(),
            at: at.whole(),
        };
        let stored =
            snapshot.record::<CertificateRecord>(&certificate_key(self.id(), serial)).await?;
        let stored = stored.filter(|(_, record)| record.der == issuer.certificate.der());
        let parents = parents(&ca_state, issuer, stored.map(|(_, record)| record.issuer));
        if issuer.record.revoked.is_some() {
            // The store may have failed between recording and publishing it.
            let pending = parents.into_iter().map(on_crl_of).collect();
            return Ok(RevokedIssuer { issuer: issuer.id, pending, warnings: Vec::new() });
        }
        let mut record = issuer.record.clone();
        record.revoked = Some(at.into());
        record.may_issue = false;
        let mut batch = ca_state
            .config_batch(self.id())
            .put_record(key::issuer(self.id(), &issuer.id), &record);
        let entry = RevocationRecord {
            seconds: at.unix(),
            nanoseconds: at.nanoseconds(),
            not_after: issuer.certificate.not_after().unix(),
        };
        for parent in &parents {
            let entry_key = key::revoked(self.id(), parent, serial);
            if snapshot.get(&entry_key).await?.is_none() {
                batch = batch.expect_absent(entry_key.clone()).put_record(entry_key, &entry);
            }
        }
        self.env().store.commit(batch).await?;
        let warnings = [
            (issuer.is_root, W_SELF_SIGNED),
            (parents.is_empty(), W_NO_PARENT),
            (ca_state.defaults.issuer == Some(issuer.id), W_DEFAULT),
        ];
        let warnings = warnings.into_iter().filter(|(holds, _)| *holds);
        Ok(RevokedIssuer {
            issuer: issuer.id,
            pending: parents.into_iter().map(on_crl_of).collect(),
            warnings: warnings.map(|(_, text)| text.to_owned()).collect(),
        })
    }
}

/// The issuers whose CRLs must name it: the others that signed it, including deleted ones whose CRL
/// continues; one for each name and key, preferably the one under which its certificate is stored.
fn parents(ca_state: &CaState, issuer: &Issuer, stored_under: Option<IssuerId>) -> Vec<IssuerId> {
    let certificate = &issuer.certificate;
    let signed_it = |other: &&Arc<Issuer>| {
        other.id != issuer.id
            && other.certificate.der() != certificate.der()
            && other.certificate.subject() == certificate.issuer()
            && certificate.verify_signed_by(other.certificate.public_key())
    };
    let mut all: Vec<_> =
        ca_state.issuers.values().chain(&ca_state.deleted).filter(signed_it).collect();
    all.sort_by_key(|other| Some(other.id) != stored_under);
    let mut groups: Vec<(&[u8], IssuerId)> = Vec::new();
    for other in all {
        let key = other.certificate.public_key().spki();
        if groups.iter().all(|(known, _)| *known != key) {
            groups.push((key, other.id));
        }
    }
    groups.into_iter().map(|(_, id)| id).collect()
}
