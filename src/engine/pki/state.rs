//! What a PKI mount keeps in memory.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwapOption;

use super::authorities::Authorities;
use super::records::Id;
use crate::ca::role::Role;
use crate::store::Revision;

/// What a PKI mount keeps in memory; all of it can be read again from the store.
#[derive(Debug, Default)]
pub struct PkiState {
    pub(super) authorities: ArcSwapOption<Authorities>,
    roles: Mutex<HashMap<String, (Revision, Arc<Role>)>>,
    /// One CRL build at a time.
    pub(crate) crl: tokio::sync::Mutex<()>,
    lists: Mutex<Lists>,
}

/// What this process knows of the revocation lists.
#[derive(Debug, Default)]
pub(super) struct Lists {
    /// Signers whose list names every revocation that is on record.
    whole: BTreeSet<Id>,
    /// How often a revocation failed half-way.
    pub(super) doubts: u64,
}

impl PkiState {
    /// Does this signer's list name every revocation on record, as far as this process knows?
    pub(super) fn owes_nothing(&self, signer: &Id) -> bool {
        self.lists().whole.contains(signer)
    }

    /// A list was built, and there were so many doubts when that began.
    pub(super) fn list_is_whole(&self, signer: Id, doubts: u64) {
        let mut lists = self.lists();
        if lists.doubts == doubts {
            lists.whole.insert(signer);
        }
    }

    /// A revocation may be on record and on no list.
    pub(super) fn doubt_lists(&self) {
        let mut lists = self.lists();
        lists.doubts = lists.doubts.saturating_add(1);
        lists.whole.clear();
    }

    pub(super) fn lists(&self) -> MutexGuard<'_, Lists> {
        self.lists.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn known_role(&self, name: &str, revision: Revision) -> Option<Arc<Role>> {
        let roles = self.roles.lock().unwrap_or_else(PoisonError::into_inner);
        roles.get(name).filter(|(known, _)| *known == revision).map(|(_, role)| Arc::clone(role))
    }

    pub(super) fn remember_role(&self, name: &str, revision: Revision, role: &Arc<Role>) {
        let mut roles = self.roles.lock().unwrap_or_else(PoisonError::into_inner);
        // A bound, not a policy: compiled roles are a few kilobytes each.
        if roles.len() >= 4096 {
            roles.clear();
        }
        roles.insert(name.to_owned(), (revision, Arc::clone(role)));
    }
}
