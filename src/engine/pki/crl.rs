//! Certificate revocation lists: always fresh, one number sequence per group of issuers.
//!
//! Issuers with the same subject and key share one list (pki-api chapter 21); the list lies
//! under the lowest identifier of the group. It is built when a certificate is revoked or an
//! issuer comes or goes, and when somebody reads one that is past half of its life.
//!
//! A revocation is recorded first and listed next. If the power goes between the two, or the
//! second fails, the list owes an entry; so the first read of a process builds it anew, and so
//! does the first one after a failure.

use std::sync::Arc;

use crate::ca::crl::{CrlValues, compose_crl, encode_entry};
use crate::ca::lint;
use crate::ca::time::Timestamp;
use crate::engine::mount::Mount;
use crate::engine::{Engine, Failure, repeatedly};
use crate::store::{Snapshot, key, record};

use super::authorities::{Authorities, Issuer};
use super::records::{CrlRecord, Id, RevocationRecord};

/// Seconds between thisUpdate and nextUpdate: 72 hours, Vault's default `expiry`.
const LIFETIME: i64 = 72 * 3600;

/// How many revocations one page of a scan holds.
const PAGE: usize = 4096;

impl Engine {
    /// The CRL that covers an issuer, fresh as of `now`. `None` if nobody here may sign it.
    ///
    /// # Errors
    /// Fails with the store, and on a reference that names nothing.
    pub async fn crl(
        &self,
        mount: &Mount,
        reference: &str,
        now: Timestamp,
    ) -> Result<Option<Vec<u8>>, Failure> {
        let (snapshot, authorities) = self.snapshot_and_authorities(mount).await?;
        let issuer = authorities.issuer(reference)?;
        let Some(signer) = signer_of(&authorities, issuer) else { return Ok(None) };
        let place = key::crl(&mount.id, &signer.id);
        let kept = snapshot.record::<CrlRecord>(&place).await?.map(|(_, record)| record);
        let whole = kept.filter(|_| mount.pki.owes_nothing(&signer.id));
        match whole {
            Some(list) if now.unix() < list.this_update.saturating_add(LIFETIME / 2) => {
                Ok(Some(list.der))
            }
            older => match (self.build_crl(mount, &signer.id, now, None).await, older) {
                (Ok(list), _) => Ok(Some(list.der)),
                // It names every revocation and is not over: better than none while the disk is full.
                (Err(why), Some(list)) if now.unix() < list.next_update => {
                    tracing::error!(%why, "a revocation list could not be renewed");
                    Ok(Some(list.der))
                }
                (Err(why), _) => Err(why),
            },
        }
    }

    /// Builds the list that names what was just revoked, unless another build did. Revocations
    /// that come while one build runs are all in the next one, so that many cost two builds.
    pub(super) async fn publish_revocation(
        &self,
        mount: &Mount,
        issuer: &Id,
        (serial, at): (&[u8], Timestamp),
        now: Timestamp,
    ) -> Result<(), Failure> {
        let authorities = self.authorities(mount).await?;
        let group = authorities
            .issuers
            .get(issuer)
            .or_else(|| authorities.defaults.issuer.and_then(|id| authorities.issuers.get(&id)));
        let Some(signer) = group.and_then(|issuer| signer_of(&authorities, issuer)) else {
            return Ok(());
        };
        let entry =
            encode_entry(serial, at.whole()).map_err(|error| Failure::Fault(error.to_string()))?;
        self.build_crl(mount, &signer.id, now, Some(&entry)).await?;
        Ok(())
    }

    /// Builds every list of the mount.
    pub(super) async fn rebuild_crls(&self, mount: &Mount, now: Timestamp) -> Result<(), Failure> {
        let authorities = self.authorities(mount).await?;
        for issuer in authorities.issuers.values() {
            if signer_of(&authorities, issuer).is_some_and(|signer| signer.id == issuer.id) {
                self.build_crl(mount, &issuer.id, now, None).await?;
            }
        }
        Ok(())
    }

    /// Builds one list, unless it is there and holds `wanted` already.
    async fn build_crl(
        &self,
        mount: &Mount,
        signer: &Id,
        now: Timestamp,
        wanted: Option<&[u8]>,
    ) -> Result<CrlRecord, Failure> {
        let _one_at_a_time = mount.pki.crl.lock().await;
        repeatedly!({
            let doubts = mount.pki.lists().doubts;
            let (snapshot, authorities) = self.snapshot_and_authorities(mount).await?;
            let place = key::crl(&mount.id, signer);
            let before = snapshot.record::<CrlRecord>(&place).await?;
            if let (Some(entry), Some((_, built))) = (wanted, &before)
                && built.der.windows(entry.len()).any(|window| window == entry)
            {
                return Ok(built.clone());
            }
            let issuer = authorities.issuers.get(signer).ok_or(Failure::Missing)?;
            let entries = revoked_entries(&snapshot, &authorities, mount, issuer).await?;
            let number = before.as_ref().map_or(0, |(_, crl)| crl.number).saturating_add(1);
            let record = sign_crl(issuer, number, &entries, now)?;
            let batch = authorities
                .guarded(&mount.id)
                .expect_unchanged(place.clone(), before.map(|(revision, _)| revision))
                .put_record(place, &record);
            self.env.store.commit(batch).await?;
            mount.pki.list_is_whole(*signer, doubts);
            Ok(record)
        })
    }
}

fn sign_crl(
    issuer: &Arc<Issuer>,
    number: u64,
    entries: &[Vec<u8>],
    now: Timestamp,
) -> Result<CrlRecord, Failure> {
    let fault = |text: String| Failure::Fault(text);
    let view = issuer.certificate.issuer_view();
    let next_update = now.plus(LIFETIME).whole();
    let values = CrlValues {
        number,
        this_update: now.whole(),
        next_update,
        algorithm: issuer.revocation_algorithm(),
        freshest_crl: &[],
    };
    let composed =
        compose_crl(&view, &values, entries).map_err(|error| fault(error.to_string()))?;
    let linted = lint::lint_crl(composed, &view).map_err(|findings| fault(findings.to_string()))?;
    let key = issuer.key.as_ref().ok_or_else(|| fault("a CRL's issuer has no key".to_owned()))?;
    let signed = key.sign(linted).map_err(|error| fault(error.to_string()))?;
    Ok(CrlRecord {
        der: signed.into_der(),
        number,
        this_update: now.unix(),
        next_update: next_update.unix(),
    })
}

/// The entries of every issuer of the group, encoded, in the order of serial numbers.
async fn revoked_entries(
    snapshot: &Snapshot,
    authorities: &Authorities,
    mount: &Mount,
    signer: &Issuer,
) -> Result<Vec<Vec<u8>>, Failure> {
    let mut entries = Vec::new();
    for issuer in group_of(authorities, signer) {
        let prefix = key::revoked_by(&mount.id, &issuer.id);
        let mut range = prefix.range();
        loop {
            let page = snapshot.scan(&range, PAGE).await?;
            for entry in &page {
                let revoked: RevocationRecord = record::decode(&entry.value)
                    .map_err(|error| Failure::Fault(error.to_string()))?;
                let serial = prefix.rest(&entry.key).unwrap_or_default();
                let at = Timestamp::from_unix(revoked.seconds);
                entries.push(
                    encode_entry(serial, at).map_err(|error| Failure::Fault(error.to_string()))?,
                );
            }
            match page.last() {
                Some(last) if page.len() == PAGE => range = range.after(&last.key),
                _ => break,
            }
        }
    }
    Ok(entries)
}

fn group_of<'a>(
    authorities: &'a Authorities,
    issuer: &'a Issuer,
) -> impl Iterator<Item = &'a Arc<Issuer>> {
    let (subject, key) = (issuer.certificate.subject(), issuer.certificate.public_key().spki());
    authorities.issuers.values().filter(move |other| {
        other.certificate.subject() == subject && other.certificate.public_key().spki() == key
    })
}

/// Who signs the list of this issuer's group: the first that has the key and may.
fn signer_of<'a>(authorities: &'a Authorities, issuer: &'a Issuer) -> Option<&'a Arc<Issuer>> {
    group_of(authorities, issuer).find(|other| other.key.is_some() && other.record.may_sign_crls)
}
