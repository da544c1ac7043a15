//! Certificate revocation lists: always fresh, one number sequence per group of issuers.
//!
//! Issuers with the same subject and key share one list (pki-api chapter 21), those that were
//! deleted among them; it lies under the identifier of whoever signed it last. It is built when
//! a certificate is revoked or an issuer comes or goes, and when somebody reads one that is past
//! half of its life. Its number only grows and its thisUpdate never goes back, whoever signs and
//! whatever the clock does.
//!
//! A revocation is recorded first and listed next. If the power goes between the two, or the
//! second fails, the list owes an entry; so the first build of a process reads everything that is
//! on record, and so does the first one after a failure or after a change of issuers, and each
//! renewal. Between those a list grows: the next one is the last one and what it owes. A million
//! entries are read in four seconds; a list that grows to so many is stored in one.

use std::sync::Arc;

use crate::ca::certificate::Certificate;
use crate::ca::crl::{CrlValues, Entries, compose_crl};
use crate::ca::lint;
use crate::ca::time::Timestamp;
use crate::engine::identifier::format_uuid;
use crate::engine::mount::Mount;
use crate::engine::{Engine, Failure, repeatedly};
use crate::store::{Revision, Snapshot, key, record};

use super::authorities::{Authorities, Issuer};
use super::records::{CrlRecord, Id, RevocationRecord};
use super::state::{Before, Owed};

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
        let stored = stored_lists(&snapshot, &authorities, mount, signer).await?;
        let whole = stored.newest.filter(|_| mount.pki.is_whole(&signer.id));
        let signer = |now: &Authorities| signer_of(now, now.issuer(reference).ok()?).cloned();
        match whole {
            Some(list) if now.unix() < list.this_update.saturating_add(LIFETIME / 2) => {
                Ok(Some(list.der))
            }
            older => match (self.build_crl(mount, signer, now).await, older) {
                (Ok(list), _) => Ok(list.map(|list| list.der)),
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
        revocation: Owed,
        now: Timestamp,
    ) -> Result<(), Failure> {
        let signer =
            |now: &Authorities| signer_of(now, lister_of(now, &revocation.issuer)?).cloned();
        mount.pki.owe(revocation.clone());
        let _one_at_a_time = mount.pki.crl.lock().await;
        if mount.pki.is_owed(&revocation)
            && self.build_alone(mount, signer, now, Start::LastList).await?.is_none()
        {
            mount.pki.give_up(&revocation);
        }
        Ok(())
    }

    /// Builds every list of the mount.
    pub(super) async fn rebuild_crls(&self, mount: &Mount, now: Timestamp) -> Result<(), Failure> {
        let authorities = self.authorities(mount).await?;
        for id in authorities.issuers.keys() {
            let signer = |now: &Authorities| {
                let issuer = now.issuers.get(id)?;
                signer_of(now, issuer).filter(|signer| signer.id == *id).cloned()
            };
            self.build_crl(mount, signer, now).await?;
        }
        Ok(())
    }

    /// Builds one list from what is on record.
    async fn build_crl(
        &self,
        mount: &Mount,
        signer: impl Fn(&Authorities) -> Option<Arc<Issuer>> + Send + Sync,
        now: Timestamp,
    ) -> Result<Option<CrlRecord>, Failure> {
        let _one_at_a_time = mount.pki.crl.lock().await;
        self.build_alone(mount, signer, now, Start::Record).await
    }

    /// Builds one list; the caller sees to it that nobody else does. Who signs is decided at
    /// each attempt: an issuer may go while another use case waits. `None` if nobody does.
    async fn build_alone(
        &self,
        mount: &Mount,
        signer: impl Fn(&Authorities) -> Option<Arc<Issuer>> + Send + Sync,
        now: Timestamp,
        start: Start,
    ) -> Result<Option<CrlRecord>, Failure> {
        repeatedly!({
            let before = mount.pki.before_the_list();
            let (snapshot, authorities) = self.snapshot_and_authorities(mount).await?;
            let Some(issuer) = signer(&authorities) else { return Ok(None) };
            let generation = authorities.generation();
            let is_listed_here = |owed: &Owed| {
                let lister = lister_of(&authorities, &owed.issuer);
                lister
                    .and_then(|lister| signer_of(&authorities, lister))
                    .is_some_and(|signer| signer.id == issuer.id)
            };
            let stored = stored_lists(&snapshot, &authorities, mount, &issuer).await?;
            let last = stored.newest.as_ref();
            let (number, earliest) =
                last.map_or((0, i64::MIN), |last| (last.number, last.this_update));
            let may_grow = start == Start::LastList
                && stored.others.is_empty()
                && mount.pki.may_grow(&issuer.id, generation);
            let revoked = match stored.newest.filter(|_| may_grow) {
                Some(last) => Revoked::Since { owed: owed_entries(&before, is_listed_here)?, last },
                None => {
                    Revoked::Ever(revoked_entries(&snapshot, &authorities, mount, &issuer).await?)
                }
            };
            let next = Next {
                issuer: Arc::clone(&issuer),
                revoked,
                number: number.saturating_add(1),
                at: now.max(Timestamp::from_unix(earliest)),
            };
            let record = match next.list().await? {
                Made::Last(last) => last,
                Made::New(record) => {
                    let place = key::crl(&mount.id, &issuer.id);
                    let mut batch = authorities
                        .guarded(&mount.id)
                        .expect_unchanged(place.clone(), stored.own)
                        .put_record(place, &record);
                    for other in stored.others {
                        batch = batch.delete(key::crl(&mount.id, &other));
                    }
                    self.env.store.commit(batch).await?;
                    record
                }
            };
            mount.pki.list_is_whole(issuer.id, generation, &before, is_listed_here);
            Ok(Some(record))
        })
    }
}

/// What a build begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Start {
    /// Every revocation on record.
    Record,
    /// The last list, where that is known to lack nothing but what it owes.
    LastList,
}

/// The list to be made.
struct Next {
    issuer: Arc<Issuer>,
    revoked: Revoked,
    number: u64,
    at: Timestamp,
}

/// What it names.
enum Revoked {
    Ever(Entries),
    Since { last: CrlRecord, owed: Entries },
}

/// What became of it.
enum Made {
    New(CrlRecord),
    /// The last list has them all.
    Last(CrlRecord),
}

/// The octets of a list that is made in less than a millisecond.
const SHORT: usize = 256 * 1024;

impl Next {
    /// Makes it, away from the I/O threads if it is long.
    async fn list(self) -> Result<Made, Failure> {
        let octets = match &self.revoked {
            Revoked::Ever(entries) => entries.octets(),
            Revoked::Since { last, .. } => last.der.len(),
        };
        if octets < SHORT {
            return self.made();
        }
        let made = tokio::task::spawn_blocking(|| self.made()).await;
        made.map_err(|error| Failure::Fault(error.to_string()))?
    }

    fn made(self) -> Result<Made, Failure> {
        let entries = match self.revoked {
            Revoked::Ever(entries) => entries,
            Revoked::Since { last, owed } => {
                let mut entries = Entries::of(&last.der).map_err(Failure::Fault)?;
                if entries.complete(&owed).map_err(Failure::Fault)? == 0 {
                    return Ok(Made::Last(last));
                }
                entries
            }
        };
        sign_crl(&self.issuer, self.number, &entries, self.at).map(Made::New)
    }
}

fn sign_crl(
    issuer: &Issuer,
    number: u64,
    entries: &Entries,
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
    let holder = || format!("issuer {}", format_uuid(&issuer.id));
    let linted = lint::lint_crl(composed, &view)
        .map_err(|findings| Failure::of_lint(&findings, &holder()))?;
    let key = issuer.key.as_ref().ok_or_else(|| fault("a CRL's issuer has no key".to_owned()))?;
    let signed = key.sign(linted).map_err(|error| fault(error.to_string()))?;
    Ok(CrlRecord {
        der: signed.into_der(),
        number,
        this_update: now.unix(),
        next_update: next_update.unix(),
    })
}

/// Those of the owed revocations that a list must name.
fn owed_entries(
    before: &Before,
    is_listed_here: impl Fn(&Owed) -> bool,
) -> Result<Entries, Failure> {
    let mut entries = Entries::default();
    for owed in before.owed.iter().filter(|owed| is_listed_here(owed)) {
        push(&mut entries, &owed.serial, owed.at)?;
    }
    Ok(entries)
}

fn push(entries: &mut Entries, serial: &[u8], at: Timestamp) -> Result<(), Failure> {
    entries.push(serial, at.whole()).map_err(|error| Failure::Fault(error.to_string()))
}

/// The lists that a group has in the store: the newest one, and where others lie.
struct StoredLists {
    newest: Option<CrlRecord>,
    /// The commit that wrote the signer's own.
    own: Option<Revision>,
    /// Members whose list the next one replaces.
    others: Vec<Id>,
}

async fn stored_lists(
    snapshot: &Snapshot,
    authorities: &Authorities,
    mount: &Mount,
    signer: &Issuer,
) -> Result<StoredLists, Failure> {
    let mut found = StoredLists { newest: None, own: None, others: Vec::new() };
    for id in members_of(authorities, &signer.certificate) {
        let stored = snapshot.record::<CrlRecord>(&key::crl(&mount.id, &id)).await?;
        let Some((revision, record)) = stored else { continue };
        if id == signer.id {
            found.own = Some(revision);
        } else {
            found.others.push(id);
        }
        if found.newest.as_ref().is_none_or(|newest| newest.number < record.number) {
            found.newest = Some(record);
        }
    }
    Ok(found)
}

/// The entries of every issuer of the group, encoded. The default issuer's list also has those of
/// issuers that left nobody behind.
async fn revoked_entries(
    snapshot: &Snapshot,
    authorities: &Authorities,
    mount: &Mount,
    signer: &Issuer,
) -> Result<Entries, Failure> {
    let mut members = members_of(authorities, &signer.certificate);
    let is_default = |issuer: &Arc<Issuer>| authorities.defaults.issuer == Some(issuer.id);
    if group_of(authorities, &signer.certificate).any(is_default) {
        let alone = authorities
            .departed
            .iter()
            .filter(|(_, certificate)| group_of(authorities, certificate).next().is_none());
        members.extend(alone.map(|(id, _)| *id));
    }
    let mut entries = Entries::default();
    for id in members {
        let prefix = key::revoked_by(&mount.id, &id);
        let mut range = prefix.range();
        loop {
            let page = snapshot.scan(&range, PAGE).await?;
            for entry in &page {
                let revoked: RevocationRecord = record::decode(&entry.value)
                    .map_err(|error| Failure::Fault(error.to_string()))?;
                let serial = prefix.rest(&entry.key).unwrap_or_default();
                push(&mut entries, serial, Timestamp::from_unix(revoked.seconds))?;
            }
            match page.last() {
                Some(last) if page.len() == PAGE => range = range.after(&last.key),
                _ => break,
            }
        }
    }
    Ok(entries)
}

/// The issuers with this subject and key.
fn group_of<'a>(
    authorities: &'a Authorities,
    certificate: &'a Certificate,
) -> impl Iterator<Item = &'a Arc<Issuer>> {
    let mut all = authorities.issuers.values();
    std::iter::from_fn(move || all.find(|other| are_one(&other.certificate, certificate)))
}

/// The identifiers of those issuers, and of those that were deleted.
fn members_of(authorities: &Authorities, certificate: &Certificate) -> Vec<Id> {
    let departed = authorities.departed.iter().filter(|(_, other)| are_one(other, certificate));
    let present = group_of(authorities, certificate).map(|issuer| issuer.id);
    present.chain(departed.map(|(id, _)| *id)).collect()
}

fn are_one(one: &Certificate, other: &Certificate) -> bool {
    one.subject() == other.subject() && one.public_key().spki() == other.public_key().spki()
}

/// On whose list a certificate of this issuer stands: its own, that of its name and key, or the
/// default issuer's if it was deleted and left nobody behind.
fn lister_of<'a>(authorities: &'a Authorities, issuer: &Id) -> Option<&'a Arc<Issuer>> {
    let departed = authorities.departed.iter().find(|(id, _)| id == issuer);
    authorities
        .issuers
        .get(issuer)
        .or_else(|| departed.and_then(|(_, old)| group_of(authorities, old).next()))
        .or_else(|| authorities.defaults.issuer.and_then(|id| authorities.issuers.get(&id)))
}

/// Who signs the list of this issuer's group: the first that has the key and may.
fn signer_of<'a>(authorities: &'a Authorities, issuer: &'a Issuer) -> Option<&'a Arc<Issuer>> {
    group_of(authorities, &issuer.certificate)
        .find(|other| other.key.is_some() && other.record.may_sign_crls)
}
