//! What a PKI mount keeps in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwapOption;

use super::authorities::Authorities;
use super::crl::List;
use super::issue::Leaves;
use super::records::Id;
use super::renewals::Renewals;
use crate::ca::role::Role;
use crate::ca::time::Timestamp;
use crate::store::{ParsedCache, Revision};

/// What a PKI mount keeps in memory; all of it can be read again from the store.
#[derive(Debug, Default)]
pub struct PkiState {
    pub(super) authorities: ArcSwapOption<Authorities>,
    /// Certificates that wait for their batch.
    pub(super) leaves: Leaves,
    roles: ParsedCache<String, Role, MAX_ROLES>,
    /// One CRL build at a time.
    pub(crate) crl: tokio::sync::Mutex<()>,
    /// Readers that wait for one.
    pub(super) renewals: Renewals,
    lists: Mutex<Lists>,
}

/// The most compiled roles that are kept in memory: a role is a few kilobytes.
const MAX_ROLES: usize = 4096;

/// What this process knows of the revocation lists.
#[derive(Debug, Default)]
struct Lists {
    /// Signers whose list names every revocation on record but for those owed, and the mount's
    /// generation when that was so.
    whole: BTreeMap<Id, Option<Revision>>,
    /// On record, and on no list as far as this process knows.
    owed: BTreeSet<Owed>,
    /// How often a revocation failed half-way.
    doubts: u64,
    /// The lists that are stored, by signer.
    published: BTreeMap<Id, Published>,
}

/// A list that is stored, the newest one of its group.
#[derive(Clone, Debug)]
pub(super) struct Published {
    /// The list.
    pub(super) list: Arc<List>,
    /// The mount's generation when that was so.
    pub(super) generation: Option<Revision>,
    /// Whose list it lies as: where another issuer of the group may sign since, not its signer's.
    pub(super) place: Id,
    /// The commit that wrote the list.
    pub(super) revision: Revision,
}

/// A revocation that a list owes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Owed {
    /// Who issued the certificate.
    pub(super) issuer: Id,
    /// Its serial number.
    pub(super) serial: Vec<u8>,
    /// When it was revoked.
    pub(super) at: Timestamp,
}

/// What was known before a list was built.
#[derive(Debug)]
pub(super) struct Before {
    /// What the lists owe.
    pub(super) owed: Vec<Owed>,
    doubts: u64,
}

impl PkiState {
    /// Does this signer's list name every revocation on record, as far as this process knows?
    pub(super) fn is_whole(&self, signer: &Id) -> bool {
        self.lists().whole.contains_key(signer)
    }

    /// The list of this signer as it was last stored or read.
    pub(super) fn published(&self, signer: &Id) -> Option<Published> {
        self.lists().published.get(signer).cloned()
    }

    /// This list was stored, or read. The last one of a signer that signs no more goes with the
    /// next change of issuers.
    pub(super) fn publish(&self, signer: Id, published: Published) {
        let mut lists = self.lists();
        let generation = published.generation;
        lists.published.retain(|_, other| other.generation == generation);
        lists.published.insert(signer, published);
    }

    /// Does it but for those owed, and have the mount's issuers been the same since?
    pub(super) fn may_grow(&self, signer: &Id, generation: Option<Revision>) -> bool {
        self.lists().whole.get(signer) == Some(&generation)
    }

    /// This revocation is on record: some list owes it.
    pub(super) fn owe(&self, revocation: Owed) {
        self.lists().owed.insert(revocation);
    }

    /// Is it still owed?
    pub(super) fn is_owed(&self, revocation: &Owed) -> bool {
        self.lists().owed.contains(revocation)
    }

    /// To be asked before the snapshot is taken from which a list is built.
    pub(super) fn before_the_list(&self) -> Before {
        let lists = self.lists();
        Before { owed: lists.owed.iter().cloned().collect(), doubts: lists.doubts }
    }

    /// A list was written, and names of what was owed before that for which `paid` holds.
    pub(super) fn list_is_whole(
        &self,
        signer: Id,
        generation: Option<Revision>,
        before: &Before,
        paid: impl Fn(&Owed) -> bool,
    ) {
        let mut lists = self.lists();
        for owed in before.owed.iter().filter(|owed| paid(owed)) {
            lists.owed.remove(owed);
        }
        if lists.doubts == before.doubts {
            lists.whole.insert(signer, generation);
        }
    }

    /// A revocation may be on record, on no list, and not known to be owed.
    pub(super) fn doubt_lists(&self) {
        let mut lists = self.lists();
        lists.doubts = lists.doubts.saturating_add(1);
        lists.whole.clear();
    }

    /// Nobody can sign this one's list: whoever can one day begins from what is on record.
    pub(super) fn give_up(&self, revocation: &Owed) {
        self.doubt_lists();
        self.lists().owed.remove(revocation);
    }

    fn lists(&self) -> MutexGuard<'_, Lists> {
        self.lists.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn known_role(&self, name: &str, revision: Revision) -> Option<Arc<Role>> {
        self.roles.get(name, revision)
    }

    pub(super) fn remember_role(&self, name: &str, revision: Revision, role: &Arc<Role>) {
        self.roles.insert(name.to_owned(), revision, Arc::clone(role));
    }
}
