//! What a PKI mount keeps in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwapOption;

use super::ca_state::CaState;
use super::crl::SignedCrl;
use super::issue::LeafBatcher;
use super::renewals::RenewalQueue;
use crate::ca::role::Role;
use crate::ca::time::Timestamp;
use crate::store::id::IssuerId;
use crate::store::{ParsedCache, Revision};

/// The caches and queues of a PKI mount; everything can be read again from the store.
#[derive(Debug, Default)]
pub struct PkiState {
    pub(super) ca_state: ArcSwapOption<CaState>,
    pub(super) leaves: LeafBatcher,
    /// Compiled roles by name.
    pub(super) roles: ParsedCache<String, Role, MAX_ROLES>,
    /// One CRL build at a time.
    pub(super) crl: tokio::sync::Mutex<()>,
    /// Readers that wait for a build.
    pub(super) renewals: RenewalQueue,
    crls: Mutex<CrlStatus>,
}

/// The most compiled roles that are kept in memory: a role is a few kilobytes.
const MAX_ROLES: usize = 4096;

/// What this process knows of the stored CRLs.
#[derive(Debug, Default)]
struct CrlStatus {
    /// Signers whose CRL names every recorded revocation but the pending ones, with the mount's
    /// generation at that time.
    complete: BTreeMap<IssuerId, Option<Revision>>,
    /// Recorded, and on no CRL as far as this process knows.
    pending: BTreeSet<PendingRevocation>,
    /// How often a revocation failed between its commit and its publication.
    invalidations: u64,
    /// The stored CRLs, by signer.
    published: BTreeMap<IssuerId, Published>,
}

/// A stored CRL, the newest one of its group.
#[derive(Clone, Debug)]
pub(super) struct Published {
    /// The CRL.
    pub(super) list: Arc<SignedCrl>,
    /// The mount's generation when it was read or written.
    pub(super) generation: Option<Revision>,
    /// The issuer whose key of the store holds it. That is not the signer if another issuer of the
    /// group signed it.
    pub(super) stored_under: IssuerId,
    /// The commit that wrote it.
    pub(super) revision: Revision,
}

/// A recorded revocation that no CRL names yet.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct PendingRevocation {
    /// The issuer of the certificate.
    pub(super) issuer: IssuerId,
    /// The certificate's serial number.
    pub(super) serial: Vec<u8>,
    /// When it was revoked.
    pub(super) at: Timestamp,
}

/// What was known when the build of a CRL began.
#[derive(Debug)]
pub(super) struct BuildStart {
    /// The pending revocations.
    pub(super) pending: Vec<PendingRevocation>,
    invalidations: u64,
}

impl PkiState {
    /// Whether this signer's CRL names every recorded revocation but the pending ones.
    pub(super) fn is_complete(&self, signer: &IssuerId) -> bool {
        self.crls().complete.contains_key(signer)
    }

    /// This signer's CRL as it was last stored or read.
    pub(super) fn published(&self, signer: &IssuerId) -> Option<Published> {
        self.crls().published.get(signer).cloned()
    }

    /// Remembers a CRL that was stored or read. CRLs of an older generation are dropped, and with
    /// them those of signers that no longer sign.
    pub(super) fn publish(&self, signer: IssuerId, published: Published) {
        let mut crls = self.crls();
        let generation = published.generation;
        crls.published.retain(|_, other| other.generation == generation);
        crls.published.insert(signer, published);
    }

    /// Whether the CRL is complete except for pending revocations, and the issuers have not changed.
    pub(super) fn can_extend(&self, signer: &IssuerId, generation: Option<Revision>) -> bool {
        self.crls().complete.get(signer) == Some(&generation)
    }

    /// A revocation was recorded, and a CRL must name it.
    pub(super) fn add_pending(&self, revocation: PendingRevocation) {
        self.crls().pending.insert(revocation);
    }

    /// Whether no CRL names this revocation yet.
    pub(super) fn is_pending(&self, revocation: &PendingRevocation) -> bool {
        self.crls().pending.contains(revocation)
    }

    /// Call this before taking the snapshot from which a CRL is built.
    pub(super) fn begin_build(&self) -> BuildStart {
        let crls = self.crls();
        BuildStart {
            pending: crls.pending.iter().cloned().collect(),
            invalidations: crls.invalidations,
        }
    }

    /// This signer's CRL was stored; it names the revocations that were pending at `start` and for
    /// which `is_named` holds.
    pub(super) fn mark_published(
        &self,
        signer: IssuerId,
        generation: Option<Revision>,
        start: &BuildStart,
        is_named: impl Fn(&PendingRevocation) -> bool,
    ) {
        let mut crls = self.crls();
        for revocation in start.pending.iter().filter(|revocation| is_named(revocation)) {
            crls.pending.remove(revocation);
        }
        if crls.invalidations == start.invalidations {
            crls.complete.insert(signer, generation);
        }
    }

    /// A revocation may be recorded that is neither on a CRL nor pending: the next build of each CRL
    /// reads every recorded revocation.
    pub(super) fn invalidate(&self) {
        let mut crls = self.crls();
        crls.invalidations = crls.invalidations.saturating_add(1);
        crls.complete.clear();
    }

    /// No issuer can sign this CRL; rebuild it from the store once one can.
    pub(super) fn abandon(&self, revocation: &PendingRevocation) {
        self.invalidate();
        self.crls().pending.remove(revocation);
    }

    fn crls(&self) -> MutexGuard<'_, CrlStatus> {
        self.crls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
