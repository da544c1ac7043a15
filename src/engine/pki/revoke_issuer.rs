//! `issuer/:ref/revoke` (pki-api 6.6): an issuer stops issuing for good, and the lists of those
//! that signed its certificate name it. It goes on signing its own list: what it revoked stays
//! revoked.

use std::sync::Arc;

use crate::ca::time::Timestamp;
use crate::engine::{Failure, repeatedly};
use crate::store::key;

use super::Pki;
use super::authorities::{Authorities, Issuer};
use super::certificates::place;
use super::records::{CertificateRecord, Id, RevocationRecord};
use super::state::Owed;

const W_SELF_SIGNED: &str = "This issuer is a self-signed (potentially root) certificate. This means it may not be considered revoked if there is not an external, cross-signed variant of this certificate. This issuer's serial number will not appear on its own CRL.";
const W_NO_PARENT: &str = "This issuer lacks another parent issuer within the mount. This means it will not appear on any other CRLs and may not be considered revoked by clients. Consider adding this issuer to its issuer's CRL as well if it is not self-signed.";
const W_DEFAULT: &str = "This issuer is currently configured as the default issuer for this mount; operations such as certificate issuance may not work until a new default issuer is selected.";

/// What a revocation of an issuer wrote.
struct Marked {
    issuer: Id,
    owed: Vec<Owed>,
    warnings: Vec<String>,
}

impl Pki {
    /// Revokes an issuer; answers with it and what the operator should know. Once it is revoked,
    /// it is answered as it is.
    ///
    /// # Errors
    /// Fails with the store, and on a reference that names nothing.
    pub async fn revoke_issuer(
        &self,
        reference: &str,
        now: Timestamp,
    ) -> Result<(Arc<Issuer>, Vec<String>), Failure> {
        let _pressing = self.services.limiter.pressing();
        let outcome = self.revoke_issuer_and_publish(reference, now).await;
        if let Err(Failure::Fault(_) | Failure::Busy | Failure::Sealed) = outcome {
            self.state.doubt_lists();
        }
        outcome
    }

    async fn revoke_issuer_and_publish(
        &self,
        reference: &str,
        now: Timestamp,
    ) -> Result<(Arc<Issuer>, Vec<String>), Failure> {
        let Marked { issuer, owed, mut warnings } =
            repeatedly!({ self.mark_issuer_revoked(reference, now).await })?;
        for one in owed {
            warnings.extend(self.publish_revocation(one, now).await?);
        }
        let authorities = self.authorities().await?;
        let issuer = authorities.issuers.get(&issuer).cloned().ok_or(Failure::Missing)?;
        Ok((issuer, warnings))
    }

    async fn mark_issuer_revoked(
        &self,
        reference: &str,
        now: Timestamp,
    ) -> Result<Marked, Failure> {
        let (snapshot, authorities) = self.snapshot_and_authorities().await?;
        let issuer = authorities.issuer(reference)?;
        let at = issuer.revoked.unwrap_or(now);
        let serial = issuer.certificate.serial();
        let owe = |lister: Id| Owed { issuer: lister, serial: serial.to_vec(), at: at.whole() };
        let stored = snapshot.record::<CertificateRecord>(&place(self.id(), serial)).await?;
        let stored = stored.filter(|(_, record)| record.der == issuer.certificate.der());
        let listers = listers(&authorities, issuer, stored.map(|(_, record)| record.issuer));
        if issuer.record.revoked.is_some() {
            // It may have been recorded and not listed, if the store failed then.
            let owed = listers.into_iter().map(owe).collect();
            return Ok(Marked { issuer: issuer.id, owed, warnings: Vec::new() });
        }
        let mut record = issuer.record.clone();
        record.revoked = Some(at.into());
        record.may_issue = false;
        let mut batch =
            authorities.change(self.id()).put_record(key::issuer(self.id(), &issuer.id), &record);
        let entry = RevocationRecord {
            seconds: at.unix(),
            nanoseconds: at.nanoseconds(),
            not_after: issuer.certificate.not_after().unix(),
        };
        for lister in &listers {
            let place = key::revoked(self.id(), lister, serial);
            if snapshot.get(&place).await?.is_none() {
                batch = batch.expect_absent(place.clone()).put_record(place, &entry);
            }
        }
        self.env().store.commit(batch).await?;
        let warnings = [
            (issuer.is_root, W_SELF_SIGNED),
            (listers.is_empty(), W_NO_PARENT),
            (authorities.defaults.issuer == Some(issuer.id), W_DEFAULT),
        ];
        let warnings = warnings.into_iter().filter(|(holds, _)| *holds);
        Ok(Marked {
            issuer: issuer.id,
            owed: listers.into_iter().map(owe).collect(),
            warnings: warnings.map(|(_, text)| text.to_owned()).collect(),
        })
    }
}

/// The issuers on whose lists it stands: those that signed it, itself left out, also where they
/// were deleted and their list goes on; one for each name and key, and rather the one under which
/// its certificate is stored.
fn listers(authorities: &Authorities, issuer: &Issuer, stored_under: Option<Id>) -> Vec<Id> {
    let certificate = &issuer.certificate;
    let signed_it = |other: &&Arc<Issuer>| {
        other.id != issuer.id
            && other.certificate.der() != certificate.der()
            && other.certificate.subject() == certificate.issuer()
            && certificate.verify_signed_by(other.certificate.public_key())
    };
    let mut all: Vec<_> =
        authorities.issuers.values().chain(&authorities.departed).filter(signed_it).collect();
    all.sort_by_key(|other| Some(other.id) != stored_under);
    let mut groups: Vec<(&[u8], Id)> = Vec::new();
    for other in all {
        let key = other.certificate.public_key().spki();
        if groups.iter().all(|(known, _)| *known != key) {
            groups.push((key, other.id));
        }
    }
    groups.into_iter().map(|(_, id)| id).collect()
}
