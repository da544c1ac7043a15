//! The PKI engine: one verb, one file.

pub mod authorities;
pub mod certificates;
pub mod crl;
pub mod generate;
pub mod import;
pub mod intermediate;
pub mod issue;
pub mod issuers;
pub mod output;
pub mod records;
pub mod revoke;
pub mod roles;
pub mod settings;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwapOption;

use super::mount::Mount;
use super::{Engine, Failure};
use crate::ca::role::Role;
use crate::store::{Revision, Snapshot};

pub use authorities::{Authorities, Issuer};

/// What a PKI mount keeps in memory; all of it can be read again from the store.
#[derive(Debug, Default)]
pub struct PkiState {
    authorities: ArcSwapOption<Authorities>,
    roles: Mutex<HashMap<String, (Revision, Arc<Role>)>>,
    /// One CRL build at a time.
    pub(crate) crl: tokio::sync::Mutex<()>,
    lists: Mutex<Lists>,
}

/// What this process knows of the revocation lists.
#[derive(Debug, Default)]
struct Lists {
    /// Signers whose list names every revocation that is on record.
    whole: BTreeSet<records::Id>,
    /// How often a revocation failed half-way.
    doubts: u64,
}

impl Engine {
    /// A snapshot and the authorities of the mount as of it.
    pub(crate) async fn authorities(
        &self,
        mount: &Mount,
    ) -> Result<(Snapshot, Arc<Authorities>), Failure> {
        let snapshot = self.env.store.snapshot().await?;
        let generation = snapshot
            .get(&authorities::generation_key(&mount.id))
            .await?
            .map(|(revision, _)| revision);
        if let Some(known) = mount.pki.authorities.load_full()
            && known.generation() == generation
        {
            return Ok((snapshot, known));
        }
        let loaded = Arc::new(Authorities::load(&snapshot, &mount.id, generation).await?);
        mount.pki.authorities.store(Some(Arc::clone(&loaded)));
        Ok((snapshot, loaded))
    }
}

impl PkiState {
    /// Does this signer's list name every revocation on record, as far as this process knows?
    fn owes_nothing(&self, signer: &records::Id) -> bool {
        self.lists().whole.contains(signer)
    }

    /// A list was built, and there were so many doubts when that began.
    fn list_is_whole(&self, signer: records::Id, doubts: u64) {
        let mut lists = self.lists();
        if lists.doubts == doubts {
            lists.whole.insert(signer);
        }
    }

    /// A revocation may be on record and on no list.
    fn doubt_lists(&self) {
        let mut lists = self.lists();
        lists.doubts = lists.doubts.saturating_add(1);
        lists.whole.clear();
    }

    fn lists(&self) -> MutexGuard<'_, Lists> {
        self.lists.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known_role(&self, name: &str, revision: Revision) -> Option<Arc<Role>> {
        let roles = self.roles.lock().unwrap_or_else(PoisonError::into_inner);
        roles.get(name).filter(|(known, _)| *known == revision).map(|(_, role)| Arc::clone(role))
    }

    fn remember_role(&self, name: &str, revision: Revision, role: &Arc<Role>) {
        let mut roles = self.roles.lock().unwrap_or_else(PoisonError::into_inner);
        // A bound, not a policy: compiled roles are a few kilobytes each.
        if roles.len() >= 4096 {
            roles.clear();
        }
        roles.insert(name.to_owned(), (revision, Arc::clone(role)));
    }
}
