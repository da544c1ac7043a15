//! The PKI engine: one verb, one file.

pub mod authorities;
pub mod certificates;
pub mod crl;
pub mod generate;
pub mod import;
mod intent;
pub mod intermediate;
pub mod issue;
pub mod issuers;
pub mod keys;
mod notices;
pub mod output;
pub mod records;
mod renewals;
pub mod revoke;
mod revoke_issuer;
pub mod roles;
pub mod settings;
mod standing;
pub mod state;
mod subject;
mod urls;

use std::sync::Arc;

use super::mount::Mount;
use super::{Engine, Failure};
use crate::store::Snapshot;

pub use authorities::{Authorities, Issuer};

impl Engine {
    /// The authorities of the mount as they are now.
    pub(crate) async fn authorities(&self, mount: &Mount) -> Result<Arc<Authorities>, Failure> {
        let generation = self.env.store.revision(&authorities::generation_key(&mount.id)).await?;
        match mount.pki.authorities.load_full() {
            Some(known) if known.generation() == generation => Ok(known),
            // Boxed: it is rare, and every request carries the room of it.
            _ => Ok(Box::pin(self.snapshot_and_authorities(mount)).await?.1),
        }
    }

    /// A snapshot and the authorities of the mount as of it.
    pub(crate) async fn snapshot_and_authorities(
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
