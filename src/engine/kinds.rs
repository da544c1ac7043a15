//! The table of the kinds of mounts.

use std::sync::Arc;

use super::mount::{MountCore, MountEntry};
use super::pki::Pki;
use super::services::Services;

/// Opens a mount: returns its use cases, with empty caches.
type Open = fn(Arc<Services>, Arc<MountEntry>) -> Arc<dyn MountCore>;

/// Every kind, by the `type` that a mount is enabled with.
const KINDS: &[(&str, Open)] = &[(Pki::KIND, Pki::open)];

/// Whether mounts of this `type` can be enabled.
pub fn is_known(kind: &str) -> bool {
    KINDS.iter().any(|(known, _)| *known == kind)
}

/// Opens a stored mount.
pub(super) fn open(services: &Arc<Services>, entry: &Arc<MountEntry>) -> Arc<dyn MountCore> {
    let kind = KINDS.iter().find(|(known, _)| *known == entry.record.kind);
    match kind {
        Some((_, open)) => open(Arc::clone(services), Arc::clone(entry)),
        None => Arc::new(Unknown),
    }
}

/// A mount of a kind that this version does not have: it is listed, and no path in it is supported.
#[derive(Debug)]
struct Unknown;

impl MountCore for Unknown {
    fn with_entry(&self, _entry: Arc<MountEntry>) -> Arc<dyn MountCore> {
        Arc::new(Self)
    }
}
