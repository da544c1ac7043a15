//! Tidy: removes certificates, revocations and issuers that expired longer ago than their safety
//! buffer.
//!
//! Serial numbers begin with the minute of expiry (`ca/serial.rs`), so certificates are stored in the
//! order of their expiry, and each page removes one range of keys, except for these:
//!
//! | what | how long it stays |
//! |---|---|
//! | a certificate of a present or deleted issuer | permanently: its revocation may block other issuers |
//! | a revoked certificate | until the safety buffer of revoked certificates is over, too |
//! | a certificate that expires in the last minute that a serial number can encode (year 6053), or later | permanently |
//! | a certificate whose serial number is not Signet's | permanently: it has another key range (`store/key.rs`) |
//! | the revocation of a certificate | until a CRL whose thisUpdate is after the certificate's notAfter has named it (RFC 5280, 3.3); without `tidy_revoked_certs`, permanently |
//!
//! A CRL keeps the entries of removed revocations until it is renewed: tidy builds only CRLs that are not
//! current.
//!
//! A run commits page by page; the last page carries the record of the run. If the server stops
//! between two pages, the next run starts from the beginning and finds fewer keys. `jobs/plan.rs`
//! decides whether it runs.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::ca::serial::Serial;
use crate::ca::time::Timestamp;
use crate::engine::jobs::plan::TidyStep;
use crate::engine::{Failure, retry_on_conflict};
use crate::store::id::{IssuerId, MountId};
use crate::store::{Batch, Key, KeyRange, Snapshot, key, record};

use super::auto_tidy::{AutoTidyRecord, StoredTidy, TidyRunRecord};
use super::certificates::certificate_key;
use super::records::RevocationRecord;
use super::{CaState, Pki};

/// Number of keys on one page of a scan.
const PAGE: usize = 4096;

/// What expired before these times is removed. Seconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cutoffs {
    certificates: i64,
    revocations: i64,
    issuers: i64,
}

impl Cutoffs {
    fn of(config: &AutoTidyRecord, now: Timestamp) -> Self {
        let before = |buffer: i64| now.unix().saturating_sub(buffer);
        Self {
            certificates: before(config.safety_buffer),
            revocations: before(config.revoked_safety_buffer()),
            issuers: before(config.issuer_safety_buffer),
        }
    }
}

/// What a run removed, and the batch of its last page, which is not committed yet.
#[derive(Debug, Default)]
struct Removal {
    pending: Batch,
    certificates: usize,
    revocations: usize,
    issuers: usize,
}

/// The ranges of adjacent keys that are removed, and the number of keys in them.
fn ranges<'key>(page: impl Iterator<Item = (&'key Key, bool)>) -> (Vec<KeyRange>, usize) {
    let (mut found, mut count) = (Vec::new(), 0_usize);
    let mut current: Option<(&Key, &Key)> = None;
    for (key, is_removed) in page {
        if is_removed {
            count = count.saturating_add(1);
            current = Some((current.map_or(key, |(first, _)| first), key));
        } else {
            found.extend(current.take().map(|(first, last)| KeyRange::spanning(first, last)));
        }
    }
    found.extend(current.map(|(first, last)| KeyRange::spanning(first, last)));
    (found, count)
}

impl Pki {
    /// Runs, is put off or waits, as the plan decides for `now`.
    ///
    /// # Errors
    /// Fails with the store; what was removed so far stays removed.
    pub(super) async fn tidy(&self, started: i64, now: Timestamp) -> Result<(), Failure> {
        retry_on_conflict!(async {
            let snapshot = self.env().store.snapshot().await?;
            let stored = self.stored_tidy(&snapshot).await?;
            drop(snapshot);
            let state = stored.state(self.id());
            let step = state.map(|state| state.step(started, now.unix()));
            match step {
                None | Some(TidyStep::Wait(_)) => Ok(()),
                Some(TidyStep::Run) => self.remove_expired(&stored, now).await,
                Some(TidyStep::PutOff) => {
                    self.put_off_tidy(&stored, state.and_then(|state| state.last), now).await
                }
            }
        })
    }

    async fn put_off_tidy(
        &self,
        stored: &StoredTidy,
        last: Option<i64>,
        now: Timestamp,
    ) -> Result<(), Failure> {
        let run = TidyRunRecord { at: now.unix(), put_off: true };
        let batch = self.ca_state().await?.batch_if_unchanged(self.id());
        self.env().store.commit(stored.put_run(self.id(), batch, run)).await?;
        tracing::warn!(
            mount = self.entry.record.path,
            last = last.map(|last| Timestamp::from_unix(last).to_string()),
            now = now.to_string(),
            "nothing was tidied: the time since the last run is not plausible, so what looks expired may \
             still be valid; the next run comes after the interval, at the earliest in 12 hours; if \
             the clock is wrong, correct it before that"
        );
        Ok(())
    }

    async fn remove_expired(&self, stored: &StoredTidy, now: Timestamp) -> Result<(), Failure> {
        let (config, limits) = (&stored.config, Cutoffs::of(&stored.config, now));
        let mut removal = Removal::default();
        if config.tidy_expired_issuers {
            removal.issuers = self.remove_expired_issuers(limits.issuers, now).await?;
        }
        let (snapshot, ca_state) = self.snapshot_and_ca_state().await?;
        if config.tidy_revoked_certs {
            self.remove_revocations(&snapshot, &ca_state, limits.revocations, &mut removal, now)
                .await?;
        }
        if config.tidy_cert_store {
            self.remove_certificates(&snapshot, &ca_state, limits, &mut removal).await?;
        }
        drop(snapshot);
        let run = TidyRunRecord { at: now.unix(), put_off: false };
        let unchanged = ca_state.batch_if_unchanged(self.id());
        self.remove(&mut removal, stored.put_run(self.id(), unchanged, run)).await?;
        self.env().store.commit(std::mem::take(&mut removal.pending)).await?;
        let Removal { certificates, revocations, issuers, .. } = removal;
        if certificates > 0 || revocations > 0 || issuers > 0 {
            tracing::info!(
                mount = self.entry.record.path,
                certificates,
                revocations,
                issuers,
                "removed expired certificates, revocations and issuers"
            );
        }
        Ok(())
    }

    /// Adds a page to the pending batch, which is committed first if it is full.
    async fn remove(&self, removal: &mut Removal, mut page: Batch) -> Result<(), Failure> {
        let pending = &mut removal.pending;
        let length = pending.deletes.len().saturating_add(pending.range_deletes.len());
        if length >= PAGE {
            self.env().store.commit(std::mem::take(pending)).await?;
        }
        let pending = &mut removal.pending;
        pending.expectations.append(&mut page.expectations);
        pending.puts.append(&mut page.puts);
        pending.deletes.append(&mut page.deletes);
        pending.range_deletes.append(&mut page.range_deletes);
        Ok(())
    }

    /// Removes certificates except those that stay (see the top of this file). No value is read.
    async fn remove_certificates(
        &self,
        snapshot: &Snapshot,
        ca_state: &Arc<CaState>,
        limits: Cutoffs,
        removal: &mut Removal,
    ) -> Result<(), Failure> {
        let mut kept = own_certificates(ca_state, self.id());
        if limits.revocations < limits.certificates {
            kept.extend(self.revoked_between(snapshot, limits).await?);
        }
        let mut rest = key::certificates_before(
            self.id(),
            Serial::minute(Timestamp::from_unix(limits.certificates)),
        );
        loop {
            let page = snapshot.keys(&rest, PAGE).await?;
            let (removed, count) = ranges(page.iter().map(|key| (key, !kept.contains(key))));
            if count > 0 {
                let unchanged = ca_state.batch_if_unchanged(self.id());
                let batch = removed.into_iter().fold(unchanged, Batch::delete_range);
                self.remove(removal, batch).await?;
                removal.certificates = removal.certificates.saturating_add(count);
            }
            match page.last() {
                Some(last) if page.len() == PAGE => rest = rest.after(last),
                _ => return Ok(()),
            }
        }
    }

    /// The revoked certificates whose safety buffer is not over.
    async fn revoked_between(
        &self,
        snapshot: &Snapshot,
        limits: Cutoffs,
    ) -> Result<BTreeSet<Key>, Failure> {
        let (mut rest, mut found) = (Some(key::revocations(self.id()).range()), BTreeSet::new());
        while let Some(page) = self.next_revocations(snapshot, &mut rest).await? {
            let between = limits.revocations..limits.certificates;
            let kept = page.into_iter().filter(|revoked| between.contains(&revoked.not_after));
            found.extend(kept.map(|revoked| revoked.certificate));
        }
        Ok(found)
    }

    /// Removes revocations and the revoked certificates. Revocations for which no issuer signs a CRL stay.
    async fn remove_revocations(
        &self,
        snapshot: &Snapshot,
        ca_state: &Arc<CaState>,
        limit: i64,
        removal: &mut Removal,
        now: Timestamp,
    ) -> Result<(), Failure> {
        let kept = own_certificates(ca_state, self.id());
        let expired =
            |one: &StoredRevocation| one.not_after < limit && !kept.contains(&one.certificate);
        for signer in ca_state.list_signers() {
            let mut listed_until = None;
            for issuer in ca_state.members_of(&signer.certificate) {
                let mut rest = Some(key::revoked_by(self.id(), &issuer).range());
                while let Some(page) = self.next_revocations(snapshot, &mut rest).await? {
                    if listed_until.is_none() && page.iter().any(expired) {
                        // This CRL is newer than the snapshot, so it names every revocation in it.
                        listed_until = Some(self.listed_until(signer.id, now).await?);
                    }
                    let is_removed = |one: &StoredRevocation| {
                        expired(one) && listed_until.is_some_and(|until| one.not_after < until)
                    };
                    let (removed, count) =
                        ranges(page.iter().map(|one| (&one.entry, is_removed(one))));
                    let unchanged = ca_state.batch_if_unchanged(self.id());
                    let batch = removed.into_iter().fold(unchanged, Batch::delete_range);
                    let certificates = page.iter().filter(|one| is_removed(one));
                    let batch = certificates
                        .fold(batch, |batch, one| batch.delete(one.certificate.clone()));
                    self.remove(removal, batch).await?;
                    removal.revocations = removal.revocations.saturating_add(count);
                }
            }
        }
        Ok(())
    }

    /// The next page of revocations; `rest` becomes the range after it.
    async fn next_revocations(
        &self,
        snapshot: &Snapshot,
        rest: &mut Option<KeyRange>,
    ) -> Result<Option<Vec<StoredRevocation>>, Failure> {
        let Some(range) = rest.take() else { return Ok(None) };
        let page = snapshot.scan(&range, PAGE).await?;
        let last = page.last().filter(|_| page.len() == PAGE);
        *rest = last.map(|last| range.after(&last.key));
        let prefix = key::revocations(self.id());
        let revoked = page.into_iter().map(|entry| {
            let record: RevocationRecord = record::decode(&entry.value)
                .map_err(|error| Failure::Internal(error.to_string()))?;
            let serial = prefix.rest(&entry.key).and_then(|rest| rest.get(ISSUER_LENGTH..));
            let certificate = certificate_key(self.id(), serial.unwrap_or_default());
            Ok(StoredRevocation { entry: entry.key, certificate, not_after: record.not_after })
        });
        revoked.collect::<Result<_, _>>().map(Some)
    }

    /// Revoked certificates that expired before the returned time were on a CRL issued after their expiry.
    async fn listed_until(&self, signer: IssuerId, now: Timestamp) -> Result<i64, Failure> {
        let list = match self.complete_list(signer, now).await {
            Ok(list) => list,
            // This CRL cannot be built now: its revocations stay.
            Err(Failure::Refused { text, .. }) => {
                let issuer = signer.to_string();
                tracing::warn!(
                    issuer,
                    why = text,
                    "revocations are not removed, because the CRL of their issuer cannot be built"
                );
                None
            }
            Err(why) => return Err(why),
        };
        let at = list.map(|list| list.this_update()).filter(|at| *at <= now.unix());
        Ok(at.unwrap_or(i64::MIN))
    }

    /// Deletes expired issuers except the default one. Keys stay.
    async fn remove_expired_issuers(&self, limit: i64, now: Timestamp) -> Result<usize, Failure> {
        let ca_state = self.ca_state().await?;
        let expired: Vec<_> = ca_state
            .issuers
            .values()
            .filter(|issuer| issuer.certificate.not_after().unix() < limit)
            .filter(|issuer| ca_state.defaults.issuer != Some(issuer.id))
            .map(|issuer| issuer.id.to_string())
            .collect();
        for issuer in &expired {
            tracing::info!(
                mount = self.entry.record.path,
                issuer,
                "deleting an expired issuer; its key stays"
            );
            self.delete_issuer(issuer, now).await?;
        }
        Ok(expired.len())
    }
}

/// Length in bytes of an issuer's identifier, which precedes the serial number in a revocation's key.
const ISSUER_LENGTH: usize = 16;

/// The keys in the store of the certificates of the mount's issuers, including deleted ones.
fn own_certificates(ca_state: &CaState, mount: &MountId) -> BTreeSet<Key> {
    let issuers = ca_state.issuers.values().chain(&ca_state.deleted);
    issuers.map(|issuer| certificate_key(mount, issuer.certificate.serial())).collect()
}

/// A stored revocation.
struct StoredRevocation {
    entry: Key,
    /// The key of the certificate, if it is stored.
    certificate: Key,
    /// notAfter of the certificate, seconds since the Unix epoch.
    not_after: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: u8) -> Key {
        key::certificate(&MountId::new([7; 16]), &[name; 20])
    }

    #[test]
    fn adjacent_keys_are_one_range() {
        let (keys, is_removed) =
            ([1, 2, 3, 4, 5, 6].map(key), [true, true, false, true, false, true]);
        let (found, count) = ranges(keys.iter().zip(is_removed));
        let expected = [(0, 1), (3, 3), (5, 5)];
        let expected: Vec<_> = expected
            .iter()
            .map(|(from, to)| KeyRange::spanning(&keys[*from], &keys[*to]))
            .collect();
        assert_eq!((found, count), (expected, 4));
        for (key, is_removed) in keys.iter().zip(is_removed) {
            let (found, _) = ranges([(key, is_removed)].into_iter());
            assert_eq!(found.iter().any(|range| range.contains(key)), is_removed);
        }
        assert_eq!(ranges(std::iter::empty()), (vec![], 0));
    }

    #[test]
    fn each_kind_has_its_own_buffer() {
        let config = AutoTidyRecord {
            safety_buffer: 10,
            revoked_safety_buffer: Some(20),
            issuer_safety_buffer: 30,
            ..AutoTidyRecord::default()
        };
        let limits = Cutoffs::of(&config, Timestamp::from_unix(100));
        assert_eq!(limits, Cutoffs { certificates: 90, revocations: 80, issuers: 70 });
    }
}
