//! What a PKI mount keeps in memory.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwapOption;

use super::authorities::Authorities;
use crate::ca::role::Role;
use crate::store::Revision;

/// What a PKI mount keeps in memory; all of it can be read again from the store.
#[derive(Debug, Default)]
pub struct PkiState {
    pub(super) authorities: ArcSwapOption<Authorities>,
    roles: Mutex<HashMap<String, (Revision, Arc<Role>)>>,
    /// One CRL build at a time.
    pub(crate) crl: tokio::sync::Mutex<()>,
}

impl PkiState {
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
