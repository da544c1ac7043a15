//! Certificate revocation lists: always fresh, one number sequence per group of issuers.
//!
//! Issuers with the same subject and key share one list (`group.rs`); it lies under the identifier
//! of the issuer that signed it last. It is built when a certificate is revoked, when an issuer
//! comes or goes, when an operator rotates, and when a list is read that is past half of its life.
//! Its number only grows. Its thisUpdate goes back only where the last one lies in the future.
//!
//! A revocation is recorded first and listed next. If the power goes between the two, or the
//! second fails, the list owes an entry; so the first look at a list in a process compares it with
//! everything that is on record, and so does the first one after a failure or after a change of
//! issuers, and each renewal. Between those a list grows: the next one is the last one and what it
//! owes. A million entries are read in four seconds; a list that grows to so many is stored in one.
//!
//! Readers need no token, so they must cost little. Those that find a list that is not current wait
//! in one queue, of which one at a time asks for a build; the others take what it brings, also if
//! that is a failure. So at most one build for a reader is ahead of a revocation, and a reader
//! writes at most once in half of a list's life.

mod build;
mod group;
mod list;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::ca::time::Timestamp;
use crate::engine::Failure;
use crate::engine::identifier::format_uuid;

use super::Pki;
use super::authorities::{Authorities, Issuer};
use super::records::Id;
use super::state::Owed;

use build::Start;
pub use list::List;

/// Seconds between thisUpdate and nextUpdate: 72 hours, Vault's default `expiry`.
const LIFETIME: i64 = 72 * 3600;

/// A clock that is set back by so many seconds or fewer was not wrong: thisUpdate stays.
const CLOCK_STEP: i64 = 60;

/// The most seconds that may lie between the latest list and the next one for a reader without a
/// token.
/// Beyond that the clock is believed only of a caller with a token.
const LONGEST_SILENCE: i64 = 365 * 24 * 3600;

/// Is a list of this time in the first half of its life?
const fn is_current(this_update: i64, now: Timestamp) -> bool {
    this_update <= now.unix().saturating_add(CLOCK_STEP)
        && now.unix() < this_update.saturating_add(LIFETIME / 2)
}

/// May a reader be given this list without a build, where it names every revocation?
fn may_serve(list: &List, now: Timestamp) -> bool {
    // So that an operator hears once, and not once for each reader, why no list is made.
    static TOLD: AtomicBool = AtomicBool::new(false);
    if is_current(list.this_update(), now) {
        return true;
    }
    let silence = now.unix().saturating_sub(list.latest());
    if silence <= LONGEST_SILENCE {
        return false;
    }
    if !TOLD.swap(true, Ordering::Relaxed) {
        tracing::error!(
            this_update = list.this_update(),
            now = now.unix(),
            "the clock is more than a year past the newest revocation list; readers get that one until a certificate is revoked or crl/rotate is read"
        );
    }
    true
}

impl Pki {
    /// The CRL that covers an issuer, fresh as of `now`. `None` if no issuer here may sign it.
    ///
    /// # Errors
    /// Fails with the store, and on a reference that names nothing.
    pub async fn crl(&self, reference: &str, now: Timestamp) -> Result<Option<Arc<List>>, Failure> {
        let authorities = self.authorities().await?;
        let lister = authorities.lister(reference)?;
        let Some(signer) = authorities.list_signer(lister) else { return Ok(None) };
        if self.state.is_whole(&signer.id)
            && let Some(list) = self.published(&authorities, signer).await?
            && may_serve(&list, now)
        {
            return Ok(Some(list));
        }
        // Boxed: it is rare, and every reader carries the room of it.
        Box::pin(self.renewed(reference, now)).await
    }

    /// Waits for the build that another reader asked for, or asks for one.
    async fn renewed(&self, reference: &str, now: Timestamp) -> Result<Option<Arc<List>>, Failure> {
        let turn = self.state.renewals.turn().await;
        let authorities = self.authorities().await?;
        let lister = authorities.lister(reference)?;
        let Some(signer) = authorities.list_signer(lister) else { return Ok(None) };
        let whole = if self.state.is_whole(&signer.id) {
            self.published(&authorities, signer).await?
        } else {
            None
        };
        if let Some(list) = whole.as_ref().filter(|list| may_serve(list, now)) {
            return Ok(Some(Arc::clone(list)));
        }
        let built = match turn.failure_since_arrival(&signer.id) {
            Some(why) => Err(why),
            None => {
                let id = signer.id;
                let find =
                    |now: &Authorities| now.list_signer(now.lister(reference).ok()?).cloned();
                let built = self.build(find, now, Start::Reader).await;
                built.inspect_err(|why| turn.failed(id, why.clone()))
            }
        };
        match (built, whole) {
            // It names every revocation and is not over: better than no list while the disk is full.
            (Err(why), Some(list)) if now.unix() < list.next_update() => {
                tracing::error!(%why, "a revocation list could not be renewed");
                Ok(Some(list))
            }
            (built, _) => built,
        }
    }

    /// Builds the list that names what was just revoked, unless another build did. Revocations
    /// that come while one build runs are all in the next one, so that many cost two builds.
    /// Answers what the caller should know if no list names it.
    pub(super) async fn publish_revocation(
        &self,
        revocation: Owed,
        now: Timestamp,
    ) -> Result<Option<String>, Failure> {
        let lister = revocation.issuer;
        let signer =
            |now: &Authorities| now.list_signer(now.present_or_departed(&lister)?).cloned();
        self.state.owe(revocation.clone());
        let _one_at_a_time = self.state.crl.lock().await;
        if !self.state.is_owed(&revocation) {
            return Ok(None);
        }
        let why = match self.build_alone(signer, now, Start::LastList).await {
            Ok(Some(_)) => return Ok(None),
            Ok(None) => self.why_unlisted(&lister).await?,
            Err(Failure::Refused { text, .. }) => {
                format!("Signet: the certificate is revoked, and no list names it: {text}")
            }
            Err(why) => return Err(why),
        };
        self.state.give_up(&revocation);
        Ok(Some(why))
    }

    async fn why_unlisted(&self, lister: &Id) -> Result<String, Failure> {
        let authorities = self.authorities().await?;
        let issuer = authorities.present_or_departed(lister);
        Ok(match issuer.filter(|issuer| issuer.key.is_some()) {
            Some(issuer) => {
                let group = authorities.group_of(&issuer.certificate).map(|member| member.id);
                let group: Vec<_> = group.collect();
                // A deleted issuer stands for itself.
                let group = if group.is_empty() { vec![issuer.id] } else { group };
                format!("Warning 1 during CRL rebuild: {}", lacks_signer(&group))
            }
            None => format!(
                "Signet: the certificate is revoked, and no list names it: the key of its issuer {} is not in this mount",
                format_uuid(lister)
            ),
        })
    }

    /// Builds every list of the mount that is not whole and current; what goes wrong with one is a
    /// warning and keeps no other one back.
    pub(super) async fn rebuild_crls(&self, now: Timestamp) -> Vec<String> {
        self.build_each(now, Start::Record).await.unwrap_or_else(|why| {
            tracing::error!(%why, "revocation lists could not be rebuilt");
            vec!["Signet: the revocation lists could not be rebuilt; each is built when it is next read".to_owned()]
        })
    }

    /// Builds every list of the mount anew (`crl/rotate`); answers the warnings of the lists.
    ///
    /// # Errors
    /// Fails with the store.
    pub async fn rotate_crls(&self, now: Timestamp) -> Result<Vec<String>, Failure> {
        let mut warnings = self.build_each(now, Start::Rotation).await?;
        let groups = self.authorities().await?.groups_without_signer();
        let lacking = groups.iter().enumerate().map(|(position, group)| {
            let number = position.saturating_add(1);
            format!("Warning {number} during CRL rebuild: {}", lacks_signer(group))
        });
        warnings.extend(lacking);
        Ok(warnings)
    }

    async fn build_each(&self, now: Timestamp, start: Start) -> Result<Vec<String>, Failure> {
        let authorities = self.authorities().await?;
        let mut warnings = Vec::new();
        for signer in authorities.list_signers() {
            let id = signer.id;
            let find = move |now: &Authorities| {
                let issuer = now.present_or_departed(&id)?;
                now.list_signer(issuer).filter(|signer| signer.id == id).cloned()
            };
            match self.build(find, now, start).await {
                Ok(_) => {}
                Err(Failure::Refused { text, .. }) => warnings.push(format!("Signet: {text}")),
                Err(why) if start == Start::Rotation => return Err(why),
                Err(why) => {
                    let id = format_uuid(&id);
                    tracing::error!(%why, issuer = id, "a revocation list could not be rebuilt");
                    warnings.push(format!("Signet: the revocation list of issuer {id} could not be rebuilt; it is built when it is next read"));
                }
            }
        }
        Ok(warnings)
    }

    /// Builds one list from what is on record.
    async fn build(
        &self,
        signer: impl Fn(&Authorities) -> Option<Arc<Issuer>> + Send + Sync,
        now: Timestamp,
        start: Start,
    ) -> Result<Option<Arc<List>>, Failure> {
        let _one_at_a_time = self.state.crl.lock().await;
        self.build_alone(signer, now, start).await
    }
}

/// Vault's text for a group with a key whose issuers may not sign lists (pki-api chapter 21).
fn lacks_signer(group: &[Id]) -> String {
    let ids: Vec<_> = group.iter().map(format_uuid).collect();
    format!(
        "Issuer equivalency set with associated keys lacked an issuer with CRL Signing KeyUsage; refusing to rebuild CRL for this group of issuers: {}",
        ids.join(", ")
    )
}
