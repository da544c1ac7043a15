//! Building one CRL: its entries, its time, and whether it is needed.

use std::sync::Arc;

use crate::ca::crl::{CrlEntries, CrlValues, compose_crl};
use crate::ca::lint;
use crate::ca::time::Timestamp;
use crate::engine::pki::Pki;
use crate::engine::pki::ca_state::{CaState, Issuer};
use crate::engine::pki::records::{CrlRecord, RevocationRecord};
use crate::engine::pki::state::{BuildStart, PendingRevocation, Published};
use crate::engine::{Failure, retry_on_conflict};
use crate::store::id::{IssuerId, MountId};
use crate::store::{Revision, Snapshot, key, record};

use super::{CLOCK_STEP, LIFETIME, MAX_READER_GAP, SignedCrl};

/// Number of revocations on one page of a scan.
const PAGE: usize = 4096;

/// A CRL below this size, in bytes, is built in less than a millisecond.
const SMALL_CRL: usize = 256 * 1024;

/// What a build reads, and for which caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BuildMode {
    /// Every recorded revocation, for a reader without a token.
    Reader,
    /// Every recorded revocation.
    Full,
    /// The same, and a new CRL even if the last one names them all.
    Rotation,
    /// The last CRL and the pending revocations, if it lacks no others.
    Incremental,
}

impl Pki {
    /// Builds one CRL, unless the last one is complete and current. The caller holds the lock of the
    /// builds. `signer` is called at each attempt, because an issuer may be deleted meanwhile. `None`
    /// if no issuer signs it.
    pub(super) async fn build_alone(
        &self,
        signer: impl Fn(&CaState) -> Option<Arc<Issuer>> + Send + Sync,
        now: Timestamp,
        mode: BuildMode,
    ) -> Result<Option<Arc<SignedCrl>>, Failure> {
        retry_on_conflict!(async {
            let start = self.state.begin_build();
            let (snapshot, ca_state) = self.snapshot_and_ca_state().await?;
            let Some(issuer) = signer(&ca_state) else { return Ok(None) };
            let generation = ca_state.generation();
            let is_named_here = |revocation: &PendingRevocation| {
                let certified_by = ca_state.present_or_deleted(&revocation.issuer);
                certified_by
                    .and_then(|issuer| ca_state.list_signer(issuer))
                    .is_some_and(|signer| signer.id == issuer.id)
            };
            let stored = stored_lists(&snapshot, &ca_state, self.id(), &issuer).await?;
            let last = stored.newest.as_ref();
            let number = last.map_or(0, |last| last.number).saturating_add(1);
            let at = build_time(now, last, mode);
            let latest = last.map_or(i64::MIN, CrlRecord::latest).max(at.unix());
            let can_extend = mode == BuildMode::Incremental
                && stored.others.is_empty()
                && self.state.can_extend(&issuer.id, generation);
            let can_reuse = mode != BuildMode::Rotation
                && stored.others.is_empty()
                && last.is_some_and(|last| super::is_current(last.this_update, at));
            let entries = match stored.newest {
                Some(last) if can_extend => {
                    BuildEntries::Added { pending: pending_entries(&start, is_named_here)?, last }
                }
                last => {
                    let all = revoked_entries(&snapshot, &ca_state, self.id(), &issuer).await?;
                    BuildEntries::All { entries: all, last: last.filter(|_| can_reuse) }
                }
            };
            let build = CrlBuild { issuer: Arc::clone(&issuer), entries, number, at, latest };
            let (record, revision) = match build.run().await? {
                // It is stored under its signer: one stored elsewhere would be replaced.
                BuildOutcome::Unchanged(last) => (last, stored.own),
                BuildOutcome::Rebuilt(record) => {
                    let key = key::crl(self.id(), &issuer.id);
                    let mut batch = ca_state
                        .batch_if_unchanged(self.id())
                        .expect_unchanged(key.clone(), stored.own)
                        .put_record(key, &record);
                    for other in stored.others {
                        batch = batch.delete(key::crl(self.id(), &other));
                    }
                    (record, Some(self.env().store.commit(batch).await?))
                }
            };
            self.state.mark_published(issuer.id, generation, &start, is_named_here);
            let list = Arc::new(SignedCrl::from(record));
            if let Some(revision) = revision {
                let (list, stored_under) = (Arc::clone(&list), issuer.id);
                self.state
                    .publish(issuer.id, Published { list, generation, stored_under, revision });
            }
            Ok(Some(list))
        })
    }

    /// The newest stored CRL of a signer's group, from memory if it is the stored one.
    pub(super) async fn published(
        &self,
        ca_state: &Arc<CaState>,
        signer: &Issuer,
    ) -> Result<Option<Arc<SignedCrl>>, Failure> {
        let generation = ca_state.generation();
        let known = self.state.published(&signer.id).filter(|known| known.generation == generation);
        if let Some(known) = known {
            let stored =
                self.env().store.revision(&key::crl(self.id(), &known.stored_under)).await?;
            if stored == Some(known.revision) {
                return Ok(Some(known.list));
            }
        }
        let (snapshot, ca_state) = self.snapshot_and_ca_state().await?;
        let stored = stored_lists(&snapshot, &ca_state, self.id(), signer).await?;
        let (Some(record), Some((stored_under, revision))) = (stored.newest, stored.newest_at)
        else {
            return Ok(None);
        };
        let list = Arc::new(SignedCrl::from(record));
        let (known, generation) = (Arc::clone(&list), ca_state.generation());
        self.state
            .publish(signer.id, Published { list: known, generation, stored_under, revision });
        Ok(Some(list))
    }
}

/// The thisUpdate of the next CRL. It does not go back if the clock is set back by less than
/// [`CLOCK_STEP`]. If the last CRL lies further in the future, the clock was wrong then: a verifier
/// refuses that CRL until that time, so the next one has the current time and a higher number. A reader without a token advances the time by no more than [`MAX_READER_GAP`] past the
/// latest CRL: after that the clock is more likely wrong than right.
fn build_time(now: Timestamp, last: Option<&CrlRecord>, mode: BuildMode) -> Timestamp {
    let Some(last) = last else { return now };
    let before = Timestamp::from_unix(last.this_update);
    let since = now.unix().saturating_sub(last.this_update);
    let gap = now.unix().saturating_sub(last.latest());
    if mode == BuildMode::Reader && gap > MAX_READER_GAP {
        before
    } else if since < -CLOCK_STEP {
        now
    } else {
        now.max(before)
    }
}

/// A CRL to be built.
struct CrlBuild {
    issuer: Arc<Issuer>,
    entries: BuildEntries,
    number: u64,
    at: Timestamp,
    latest: i64,
}

/// Its entries.
enum BuildEntries {
    /// Every recorded revocation; and the last CRL, which is reused if it names them all.
    All { entries: CrlEntries, last: Option<CrlRecord> },
    /// Those of the last CRL, and the pending ones.
    Added { last: CrlRecord, pending: CrlEntries },
}

/// The result of a build.
enum BuildOutcome {
    Rebuilt(CrlRecord),
    /// The last CRL names every entry.
    Unchanged(CrlRecord),
}

impl CrlBuild {
    /// Builds it, off the I/O threads if it is long.
    async fn run(self) -> Result<BuildOutcome, Failure> {
        let bytes = match &self.entries {
            BuildEntries::All { entries, .. } => entries.byte_length(),
            BuildEntries::Added { last, .. } => last.der.len(),
        };
        if bytes < SMALL_CRL {
            return self.build();
        }
        let built = tokio::task::spawn_blocking(|| self.build()).await;
        built.map_err(|error| Failure::Internal(error.to_string()))?
    }

    fn build(self) -> Result<BuildOutcome, Failure> {
        let entries = match self.entries {
            BuildEntries::All { entries, last: None } => entries,
            BuildEntries::All { entries, last: Some(last) } => {
                // It may name more: tidy removes revocations of certificates that have expired.
                let mut listed = CrlEntries::from_crl(&last.der).map_err(Failure::Internal)?;
                if listed.add_missing(&entries).map_err(Failure::Internal)? == 0 {
                    return Ok(BuildOutcome::Unchanged(last));
                }
                entries
            }
            BuildEntries::Added { last, pending } => {
                let mut entries = CrlEntries::from_crl(&last.der).map_err(Failure::Internal)?;
                if entries.add_missing(&pending).map_err(Failure::Internal)? == 0 {
                    return Ok(BuildOutcome::Unchanged(last));
                }
                entries
            }
        };
        let mut record = sign_crl(&self.issuer, self.number, &entries, self.at)?;
        record.latest = Some(self.latest);
        Ok(BuildOutcome::Rebuilt(record))
    }
}

/// # Errors
/// [`Failure::Refused`] if this issuer, or this time, cannot have a CRL; a retry does not help.
fn sign_crl(
    issuer: &Issuer,
    number: u64,
    entries: &CrlEntries,
    now: Timestamp,
) -> Result<CrlRecord, Failure> {
    let refused = |why: String| {
        let id = issuer.id.to_string();
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
        compose_crl(&view, &values, entries).map_err(|error| refused(error.to_string()))?;
    let linted =
        lint::lint_crl(composed, &view).map_err(|findings| refused(findings.to_string()))?;
    let internal = |text: String| Failure::Internal(text);
    let key =
        issuer.key.as_ref().ok_or_else(|| internal("a CRL's issuer has no key".to_owned()))?;
    let signed = key.sign(linted).map_err(|error| internal(error.to_string()))?;
    Ok(CrlRecord {
        der: signed.into_der(),
        number,
        this_update: now.unix(),
        next_update: next_update.unix(),
        latest: None,
    })
}

/// The pending revocations that this CRL must name.
fn pending_entries(
    start: &BuildStart,
    is_named: impl Fn(&PendingRevocation) -> bool,
) -> Result<CrlEntries, Failure> {
    let mut entries = CrlEntries::default();
    for revocation in start.pending.iter().filter(|revocation| is_named(revocation)) {
        push(&mut entries, &revocation.serial, revocation.at)?;
    }
    Ok(entries)
}

fn push(entries: &mut CrlEntries, serial: &[u8], at: Timestamp) -> Result<(), Failure> {
    entries.push(serial, at.whole()).map_err(|error| Failure::Internal(error.to_string()))
}

/// The stored CRLs of a group: the newest one, and the members under which others are stored.
struct StoredLists {
    newest: Option<CrlRecord>,
    /// The issuer that it is stored under, and the commit that wrote it.
    newest_at: Option<(IssuerId, Revision)>,
    /// The commit that wrote the one under the signer.
    own: Option<Revision>,
    /// Other members under which the group has a CRL, which the next one replaces.
    others: Vec<IssuerId>,
}

async fn stored_lists(
    snapshot: &Snapshot,
    ca_state: &CaState,
    mount: &MountId,
    signer: &Issuer,
) -> Result<StoredLists, Failure> {
    let mut found = StoredLists { newest: None, newest_at: None, own: None, others: Vec::new() };
    for id in ca_state.members_of(&signer.certificate) {
        let stored = snapshot.record::<CrlRecord>(&key::crl(mount, &id)).await?;
        let Some((revision, record)) = stored else { continue };
        if id == signer.id {
            found.own = Some(revision);
        } else {
            found.others.push(id);
        }
        if found.newest.as_ref().is_none_or(|newest| newest.number < record.number) {
            found.newest = Some(record);
            found.newest_at = Some((id, revision));
        }
    }
    Ok(found)
}

/// The entries of every issuer of the group, encoded.
async fn revoked_entries(
    snapshot: &Snapshot,
    ca_state: &CaState,
    mount: &MountId,
    signer: &Issuer,
) -> Result<CrlEntries, Failure> {
    let mut entries = CrlEntries::default();
    for id in ca_state.members_of(&signer.certificate) {
        let prefix = key::revoked_by(mount, &id);
        let mut range = prefix.range();
        loop {
            let page = snapshot.scan(&range, PAGE).await?;
            for entry in &page {
                let revoked: RevocationRecord = record::decode(&entry.value)
                    .map_err(|error| Failure::Internal(error.to_string()))?;
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
    fn this_update_goes_back_only_if_the_last_one_lies_further_in_the_future_than_a_clock_step() {
        let mut last = CrlRecord {
            der: Vec::new(),
            number: 1,
            this_update: 1000,
            next_update: 0,
            latest: None,
        };
        let at = |now: i64, mode| build_time(Timestamp::from_unix(now), Some(&last), mode).unix();
        for mode in
            [BuildMode::Reader, BuildMode::Full, BuildMode::Rotation, BuildMode::Incremental]
        {
            assert_eq!(at(1001, mode), 1001);
            assert_eq!(at(1000 - CLOCK_STEP, mode), 1000, "a small step");
            assert_eq!(at(999 - CLOCK_STEP, mode), 999 - CLOCK_STEP, "it was in the future");
            assert_eq!(at(1000 + MAX_READER_GAP, mode), 1000 + MAX_READER_GAP);
        }
        let late = 1001 + MAX_READER_GAP;
        assert_eq!(at(late, BuildMode::Reader), 1000, "not for a reader");
        assert_eq!(at(late, BuildMode::Rotation), late, "the clock is trusted for an operator");
        last.latest = Some(2000);
        let recovered = build_time(Timestamp::from_unix(late), Some(&last), BuildMode::Reader);
        assert_eq!(recovered.unix(), late, "the clock had been set back, and is correct again");
        let first = build_time(Timestamp::from_unix(late), None, BuildMode::Reader);
        assert_eq!(first.unix(), late, "without an earlier CRL");
    }
}
