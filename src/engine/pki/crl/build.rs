//! Building one list: what it names, when it says it was made, and whether it is needed at all.

use std::sync::Arc;

use crate::ca::crl::{CrlValues, Entries, compose_crl};
use crate::ca::lint;
use crate::ca::time::Timestamp;
use crate::engine::identifier::{MountId, format_uuid};
use crate::engine::pki::Pki;
use crate::engine::pki::authorities::{Authorities, Issuer};
use crate::engine::pki::records::{CrlRecord, Id, RevocationRecord};
use crate::engine::pki::state::{Before, Owed, Published};
use crate::engine::{Failure, repeatedly};
use crate::store::{Revision, Snapshot, key, record};

use super::{CLOCK_STEP, LIFETIME, LONGEST_SILENCE, List};

/// How many revocations one page of a scan holds.
const PAGE: usize = 4096;

/// The bytes of a list that is made in less than a millisecond.
const SHORT: usize = 256 * 1024;

/// What a build begins with, and who asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// Every revocation on record, for a reader without a token.
    Reader,
    /// Every revocation on record.
    Record,
    /// The same, and a new list even if the last one names them all.
    Rotation,
    /// The last list, where that is known to lack nothing but what it owes.
    LastList,
}

impl Pki {
    /// Builds one list, if the last one is not whole and current; the caller sees to it that
    /// no other build runs. Who signs is decided at each attempt: an issuer may go while another
    /// use case waits. `None` if no issuer signs it.
    pub(super) async fn build_alone(
        &self,
        signer: impl Fn(&Authorities) -> Option<Arc<Issuer>> + Send + Sync,
        now: Timestamp,
        start: Start,
    ) -> Result<Option<Arc<List>>, Failure> {
        repeatedly!({
            let before = self.state.before_the_list();
            let (snapshot, authorities) = self.snapshot_and_authorities().await?;
            let Some(issuer) = signer(&authorities) else { return Ok(None) };
            let generation = authorities.generation();
            let is_listed_here = |owed: &Owed| {
                let lister = authorities.present_or_departed(&owed.issuer);
                lister
                    .and_then(|lister| authorities.list_signer(lister))
                    .is_some_and(|signer| signer.id == issuer.id)
            };
            let stored = stored_lists(&snapshot, &authorities, self.id(), &issuer).await?;
            let last = stored.newest.as_ref();
            let number = last.map_or(0, |last| last.number).saturating_add(1);
            let at = instant(now, last, start);
            let latest = last.map_or(i64::MIN, CrlRecord::latest).max(at.unix());
            let may_grow = start == Start::LastList
                && stored.others.is_empty()
                && self.state.may_grow(&issuer.id, generation);
            let may_stay = start != Start::Rotation
                && stored.others.is_empty()
                && last.is_some_and(|last| super::is_current(last.this_update, at));
            let revoked = match stored.newest {
                Some(last) if may_grow => {
                    Revoked::Since { owed: owed_entries(&before, is_listed_here)?, last }
                }
                last => {
                    let ever = revoked_entries(&snapshot, &authorities, self.id(), &issuer).await?;
                    Revoked::Ever { entries: ever, last: last.filter(|_| may_stay) }
                }
            };
            let next = Next { issuer: Arc::clone(&issuer), revoked, number, at, latest };
            let (record, revision) = match next.list().await? {
                // It lies at its signer's place: a list elsewhere is replaced.
                Made::Last(last) => (last, stored.own),
                Made::New(record) => {
                    let place = key::crl(self.id(), &issuer.id);
                    let mut batch = authorities
                        .guarded(self.id())
                        .expect_unchanged(place.clone(), stored.own)
                        .put_record(place, &record);
                    for other in stored.others {
                        batch = batch.delete(key::crl(self.id(), &other));
                    }
                    (record, Some(self.env().store.commit(batch).await?))
                }
            };
            self.state.list_is_whole(issuer.id, generation, &before, is_listed_here);
            let list = Arc::new(List::from(record));
            if let Some(revision) = revision {
                let (list, place) = (Arc::clone(&list), issuer.id);
                self.state.publish(issuer.id, Published { list, generation, place, revision });
            }
            Ok(Some(list))
        })
    }

    /// The newest list of a signer's group that is stored, from memory if it is the one there.
    pub(super) async fn published(
        &self,
        authorities: &Arc<Authorities>,
        signer: &Issuer,
    ) -> Result<Option<Arc<List>>, Failure> {
        let generation = authorities.generation();
        let known = self.state.published(&signer.id).filter(|known| known.generation == generation);
        if let Some(known) = known {
            let stored = self.env().store.revision(&key::crl(self.id(), &known.place)).await?;
            if stored == Some(known.revision) {
                return Ok(Some(known.list));
            }
        }
        let (snapshot, authorities) = self.snapshot_and_authorities().await?;
        let stored = stored_lists(&snapshot, &authorities, self.id(), signer).await?;
        let (Some(record), Some((place, revision))) = (stored.newest, stored.place) else {
            return Ok(None);
        };
        let list = Arc::new(List::from(record));
        let (known, generation) = (Arc::clone(&list), authorities.generation());
        self.state.publish(signer.id, Published { list: known, generation, place, revision });
        Ok(Some(list))
    }
}

/// When the next list says that it was made. Its time does not go back where a clock is set by
/// less than [`CLOCK_STEP`]. Where the last list lies further in the future, the clock was wrong
/// then: a verifier refuses that list until its time has come, so the next one carries the present
/// and a higher number. A reader without a token moves the time on by no more than
/// [`LONGEST_SILENCE`] past the latest list: after that the clock is more likely wrong than right.
fn instant(now: Timestamp, last: Option<&CrlRecord>, start: Start) -> Timestamp {
    let Some(last) = last else { return now };
    let before = Timestamp::from_unix(last.this_update);
    let since = now.unix().saturating_sub(last.this_update);
    let silence = now.unix().saturating_sub(last.latest());
    if start == Start::Reader && silence > LONGEST_SILENCE {
        before
    } else if since < -CLOCK_STEP {
        now
    } else {
        now.max(before)
    }
}

/// The list to be made.
struct Next {
    issuer: Arc<Issuer>,
    revoked: Revoked,
    number: u64,
    at: Timestamp,
    latest: i64,
}

/// What it names.
enum Revoked {
    /// What is on record; the last list, if that may stay where it names the same.
    Ever { entries: Entries, last: Option<CrlRecord> },
    /// What the last list names, and what it owes.
    Since { last: CrlRecord, owed: Entries },
}

/// What became of it.
enum Made {
    New(CrlRecord),
    /// The last list has them all.
    Last(CrlRecord),
}

impl Next {
    /// Makes it, away from the I/O threads if it is long.
    async fn list(self) -> Result<Made, Failure> {
        let bytes = match &self.revoked {
            Revoked::Ever { entries, .. } => entries.octets(),
            Revoked::Since { last, .. } => last.der.len(),
        };
        if bytes < SHORT {
            return self.made();
        }
        let made = tokio::task::spawn_blocking(|| self.made()).await;
        made.map_err(|error| Failure::Fault(error.to_string()))?
    }

    fn made(self) -> Result<Made, Failure> {
        let entries = match self.revoked {
            Revoked::Ever { entries, last: None } => entries,
            Revoked::Ever { entries, last: Some(last) } => {
                let listed = Entries::of(&last.der).map_err(Failure::Fault)?;
                if listed.names_the_same_as(&entries).map_err(Failure::Fault)? {
                    return Ok(Made::Last(last));
                }
                entries
            }
            Revoked::Since { last, owed } => {
                let mut entries = Entries::of(&last.der).map_err(Failure::Fault)?;
                if entries.complete(&owed).map_err(Failure::Fault)? == 0 {
                    return Ok(Made::Last(last));
                }
                entries
            }
        };
        let mut record = sign_crl(&self.issuer, self.number, &entries, self.at)?;
        record.latest = Some(self.latest);
        Ok(Made::New(record))
    }
}

/// # Errors
/// [`Failure::Refused`] where this issuer, or this instant, can have no list; that is nothing
/// that trying again mends.
fn sign_crl(
    issuer: &Issuer,
    number: u64,
    entries: &Entries,
    now: Timestamp,
) -> Result<CrlRecord, Failure> {
    let unlistable = |why: String| {
        let id = format_uuid(&issuer.id);
        Failure::refused(format!("unable to build a revocation list of issuer {id}: {why}"))
    };
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
        compose_crl(&view, &values, entries).map_err(|error| unlistable(error.to_string()))?;
    let linted =
        lint::lint_crl(composed, &view).map_err(|findings| unlistable(findings.to_string()))?;
    let fault = |text: String| Failure::Fault(text);
    let key = issuer.key.as_ref().ok_or_else(|| fault("a CRL's issuer has no key".to_owned()))?;
    let signed = key.sign(linted).map_err(|error| fault(error.to_string()))?;
    Ok(CrlRecord {
        der: signed.into_der(),
        number,
        this_update: now.unix(),
        next_update: next_update.unix(),
        latest: None,
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
    /// Where that lies, and the commit that wrote it.
    place: Option<(Id, Revision)>,
    /// The commit that wrote the signer's own.
    own: Option<Revision>,
    /// Members whose list the next one replaces.
    others: Vec<Id>,
}

async fn stored_lists(
    snapshot: &Snapshot,
    authorities: &Authorities,
    mount: &MountId,
    signer: &Issuer,
) -> Result<StoredLists, Failure> {
    let mut found = StoredLists { newest: None, place: None, own: None, others: Vec::new() };
    for id in authorities.members_of(&signer.certificate) {
        let stored = snapshot.record::<CrlRecord>(&key::crl(mount, &id)).await?;
        let Some((revision, record)) = stored else { continue };
        if id == signer.id {
            found.own = Some(revision);
        } else {
            found.others.push(id);
        }
        if found.newest.as_ref().is_none_or(|newest| newest.number < record.number) {
            found.newest = Some(record);
            found.place = Some((id, revision));
        }
    }
    Ok(found)
}

/// The entries of every issuer of the group, encoded.
async fn revoked_entries(
    snapshot: &Snapshot,
    authorities: &Authorities,
    mount: &MountId,
    signer: &Issuer,
) -> Result<Entries, Failure> {
    let mut entries = Entries::default();
    for id in authorities.members_of(&signer.certificate) {
        let prefix = key::revoked_by(mount, &id);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_goes_back_only_from_a_future_that_no_clock_step_explains() {
        let mut last = CrlRecord {
            der: Vec::new(),
            number: 1,
            this_update: 1000,
            next_update: 0,
            latest: None,
        };
        let at = |now: i64, start| instant(Timestamp::from_unix(now), Some(&last), start).unix();
        for start in [Start::Reader, Start::Record, Start::Rotation, Start::LastList] {
            assert_eq!(at(1001, start), 1001);
            assert_eq!(at(1000 - CLOCK_STEP, start), 1000, "a small step");
            assert_eq!(at(999 - CLOCK_STEP, start), 999 - CLOCK_STEP, "it lay in the future");
            assert_eq!(at(1000 + LONGEST_SILENCE, start), 1000 + LONGEST_SILENCE);
        }
        let late = 1001 + LONGEST_SILENCE;
        assert_eq!(at(late, Start::Reader), 1000, "not for a reader");
        assert_eq!(at(late, Start::Rotation), late, "an operator is believed");
        last.latest = Some(2000);
        let recovered = instant(Timestamp::from_unix(late), Some(&last), Start::Reader);
        assert_eq!(recovered.unix(), late, "the clock had gone back, and is right again");
        let first = instant(Timestamp::from_unix(late), None, Start::Reader);
        assert_eq!(first.unix(), late, "there is nothing to compare with");
    }
}
