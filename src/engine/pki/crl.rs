//! Certificate revocation lists: always current, one number sequence per group of issuers.
//!
//! Issuers with the same subject and key share one CRL (`group.rs`), stored under the identifier of
//! the issuer that signed it last. It is built when a certificate is revoked, when an issuer is added
//! or deleted, when an operator rotates it, and past half of its lifetime: by a job, or for a reader.
//! Its number only grows. Its thisUpdate goes back only if the last one lies in the future.
//!
//! A revocation is committed first and published next; a crash or a failure in between leaves it
//! unpublished. So the first build after a start, a failure or an issuer change reads all
//! revocations, as do renewals; other builds append the pending ones to the previous CRL.
//!
//! A CRL may name more certificates than are on record: tidy removes revocations of certificates
//! that have expired, and their entries are dropped at the next renewal.
//!
//! Readers need no token, so they must cost little. Those that find no current CRL wait in one queue
//! (`renewals.rs`): one at a time requests a build, and the others share its outcome, also a
//! failure. So at most one reader's build is ahead of a revocation, and readers cause at most one
//! write per half of a CRL's lifetime.

mod build;
mod group;
mod jobs;
mod list;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::ca::time::Timestamp;
use crate::engine::Failure;
use crate::store::id::IssuerId;

use super::Pki;
use super::ca_state::{CaState, Issuer};
use super::state::PendingRevocation;

use build::BuildMode;
pub use list::SignedCrl;

/// Seconds between thisUpdate and nextUpdate: 72 hours, Vault's default `expiry`.
const LIFETIME: i64 = 72 * 3600;

/// If the clock is set back by at most this many seconds, thisUpdate stays.
pub(in crate::engine) const CLOCK_STEP: i64 = 60;

/// The most seconds between the latest CRL and the next one that a reader without a token causes.
/// Beyond that, the clock is trusted only for a caller with a token.
pub(in crate::engine) const MAX_READER_GAP: i64 = 365 * 24 * 3600;

/// Whether a CRL of this time is in the first half of its lifetime.
const fn is_current(this_update: i64, now: Timestamp) -> bool {
    this_update <= now.unix().saturating_add(CLOCK_STEP)
        && now.unix() < this_update.saturating_add(LIFETIME / 2)
}

/// Whether a reader gets this complete CRL without a build.
fn may_serve(list: &SignedCrl, now: Timestamp) -> bool {
    // Logged once, not once per reader.
    static LOGGED: AtomicBool = AtomicBool::new(false);
    if is_current(list.this_update(), now) {
        return true;
    }
    let gap = now.unix().saturating_sub(list.latest());
    if gap <= MAX_READER_GAP {
        return false;
    }
    if !LOGGED.swap(true, Ordering::Relaxed) {
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
    pub async fn crl(
        &self,
        reference: &str,
        now: Timestamp,
    ) -> Result<Option<Arc<SignedCrl>>, Failure> {
        let ca_state = self.ca_state().await?;
        let issuer = ca_state.crl_issuer_of(reference)?;
        let Some(signer) = ca_state.list_signer(issuer) else { return Ok(None) };
        if self.state.is_complete(&signer.id)
            && let Some(list) = self.published(&ca_state, signer).await?
            && may_serve(&list, now)
        {
            return Ok(Some(list));
        }
        // Boxed, because it is rare and would enlarge the future of every reader.
        Box::pin(self.renewed(reference, now)).await
    }

    /// Waits for the build that another reader requested, or requests one.
    async fn renewed(
        &self,
        reference: &str,
        now: Timestamp,
    ) -> Result<Option<Arc<SignedCrl>>, Failure> {
        let slot = self.state.renewals.wait().await;
        let ca_state = self.ca_state().await?;
        let issuer = ca_state.crl_issuer_of(reference)?;
        let Some(signer) = ca_state.list_signer(issuer) else { return Ok(None) };
        let complete = if self.state.is_complete(&signer.id) {
            self.published(&ca_state, signer).await?
        } else {
            None
        };
        if let Some(list) = complete.as_ref().filter(|list| may_serve(list, now)) {
            return Ok(Some(Arc::clone(list)));
        }
        let built = match slot.failure_since_arrival(&signer.id) {
            Some(why) => Err(why),
            None => {
                let id = signer.id;
                let find =
                    |now: &CaState| now.list_signer(now.crl_issuer_of(reference).ok()?).cloned();
                let built = self.build(find, now, BuildMode::Reader).await;
                built.inspect_err(|why| slot.failed(id, why.clone()))
            }
        };
        match (built, complete) {
            // It is complete and has not expired: better than no CRL while the disk is full.
            (Err(why), Some(list)) if now.unix() < list.next_update() => {
                tracing::error!(%why, "a revocation list could not be renewed");
                Ok(Some(list))
            }
            (built, _) => built,
        }
    }

    /// Builds the CRL that names a new revocation, unless another build did. All revocations that
    /// arrive during a build are in the next one, so many at once cost two builds. Returns a warning
    /// if no CRL names it.
    pub(super) async fn publish_revocation(
        &self,
        revocation: PendingRevocation,
        now: Timestamp,
    ) -> Result<Option<String>, Failure> {
        let issuer = revocation.issuer;
        let signer = |now: &CaState| now.list_signer(now.present_or_deleted(&issuer)?).cloned();
        self.state.add_pending(revocation.clone());
        let _one_build = self.state.crl.lock().await;
        if !self.state.is_pending(&revocation) {
            return Ok(None);
        }
        let why = match self.build_alone(signer, now, BuildMode::Incremental).await {
            Ok(Some(_)) => return Ok(None),
            Ok(None) => self.why_unlisted(&issuer).await?,
            Err(Failure::Refused { text, .. }) => {
                format!("Signet: the certificate is revoked, and no list names it: {text}")
            }
            Err(why) => return Err(why),
        };
        self.state.abandon(&revocation);
        Ok(Some(why))
    }

    async fn why_unlisted(&self, id: &IssuerId) -> Result<String, Failure> {
        let ca_state = self.ca_state().await?;
        let issuer = ca_state.present_or_deleted(id);
        Ok(match issuer.filter(|issuer| issuer.key.is_some()) {
            Some(issuer) => {
                let group = ca_state.group_of(&issuer.certificate).map(|member| member.id);
                let group: Vec<_> = group.collect();
                // A deleted issuer is in no group.
                let group = if group.is_empty() { vec![issuer.id] } else { group };
                format!("Warning 1 during CRL rebuild: {}", lacks_signer(&group))
            }
            None => format!(
                "Signet: the certificate is revoked, and no list names it: the key of its issuer {} is not in this mount",
                id
            ),
        })
    }

    /// Builds every CRL of the mount that is not complete and current. The failure of one is a warning
    /// and does not stop the others.
    pub(super) async fn rebuild_crls(&self, now: Timestamp) -> Vec<String> {
        self.build_each(now, BuildMode::Full).await.unwrap_or_else(|why| {
            tracing::error!(%why, "revocation lists could not be rebuilt");
            vec!["Signet: the revocation lists could not be rebuilt; each is built when it is next read".to_owned()]
        })
    }

    /// Rebuilds every CRL of the mount (`crl/rotate`); returns their warnings.
    ///
    /// # Errors
    /// Fails with the store.
    pub async fn rotate_crls(&self, now: Timestamp) -> Result<Vec<String>, Failure> {
        let mut warnings = self.build_each(now, BuildMode::Rotation).await?;
        let groups = self.ca_state().await?.groups_without_signer();
        let lacking = groups.iter().enumerate().map(|(position, group)| {
            let number = position.saturating_add(1);
            format!("Warning {number} during CRL rebuild: {}", lacks_signer(group))
        });
        warnings.extend(lacking);
        Ok(warnings)
    }

    async fn build_each(&self, now: Timestamp, mode: BuildMode) -> Result<Vec<String>, Failure> {
        let ca_state = self.ca_state().await?;
        let mut warnings = Vec::new();
        for signer in ca_state.list_signers() {
            let id = signer.id;
            let find = move |now: &CaState| {
                let issuer = now.present_or_deleted(&id)?;
                now.list_signer(issuer).filter(|signer| signer.id == id).cloned()
            };
            match self.build(find, now, mode).await {
                Ok(_) => {}
                Err(Failure::Refused { text, .. }) => warnings.push(format!("Signet: {text}")),
                Err(why) if mode == BuildMode::Rotation => return Err(why),
                Err(why) => {
                    let id = id.to_string();
                    tracing::error!(%why, issuer = id, "a revocation list could not be rebuilt");
                    warnings.push(format!("Signet: the revocation list of issuer {id} could not be rebuilt; it is built when it is next read"));
                }
            }
        }
        Ok(warnings)
    }

    /// Builds one CRL while no other build runs.
    async fn build(
        &self,
        signer: impl Fn(&CaState) -> Option<Arc<Issuer>> + Send + Sync,
        now: Timestamp,
        mode: BuildMode,
    ) -> Result<Option<Arc<SignedCrl>>, Failure> {
        let _one_build = self.state.crl.lock().await;
        self.build_alone(signer, now, mode).await
    }
}

/// Vault's text for a group with a key whose issuers may not sign CRLs.
fn lacks_signer(group: &[IssuerId]) -> String {
    let ids: Vec<_> = group.iter().map(ToString::to_string).collect();
    format!(
        "Issuer equivalency set with associated keys lacked an issuer with CRL Signing KeyUsage; refusing to rebuild CRL for this group of issuers: {}",
        ids.join(", ")
    )
}
