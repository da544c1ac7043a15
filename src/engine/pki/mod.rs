//! The PKI engine: one verb, one file.

pub mod auto_tidy;
pub mod ca_state;
pub mod certificates;
pub mod crl;
pub mod generate;
pub mod import;
mod intent;
pub mod intermediate;
pub mod issue;
mod issuer_status;
pub mod issuers;
mod jobs;
pub mod keys;
mod notices;
pub mod output;
pub mod records;
mod renewals;
pub mod revoke;
mod revoke_issuer;
pub mod roles;
pub mod settings;
pub mod state;
mod subject;
mod tidy;
mod unfinished;
mod urls;

use std::sync::Arc;

use super::jobs::plan::{Job, MountState};
use super::mount::{BoxFuture, MountCore, MountEntry};
use super::services::Services;
use super::{Env, Failure};
use crate::ca::role::{Role, RoleFields, TtlLimits};
use crate::ca::time::Timestamp;
use crate::store::id::MountId;
use crate::store::{Revision, Snapshot, key};

pub use ca_state::{CaState, Issuer};
use state::PkiState;

/// One PKI mount: its use cases are its methods.
#[derive(Clone, Debug)]
pub struct Pki {
    services: Arc<Services>,
    entry: Arc<MountEntry>,
    /// The mount's lifetimes, with the system's filled in.
    lifetimes: TtlLimits,
    state: Arc<PkiState>,
}

impl MountCore for Pki {
    fn with_entry(&self, entry: Arc<MountEntry>) -> Arc<dyn MountCore> {
        let lifetimes = entry.lifetimes(self.env().lifetimes);
        Arc::new(Self { entry, lifetimes, ..self.clone() })
    }

    fn job_state(&self) -> BoxFuture<'_, Result<Option<MountState>, Failure>> {
        Box::pin(async { self.state_for_jobs().await.map(Some) })
    }

    fn run_job(
        &self,
        job: Job,
        started: i64,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(self.do_job(job, started, now))
    }
}

impl Pki {
    /// The `type` of these mounts.
    pub const KIND: &str = "pki";

    /// A mount with empty caches.
    pub(super) fn open(services: Arc<Services>, entry: Arc<MountEntry>) -> Arc<dyn MountCore> {
        let lifetimes = entry.lifetimes(services.env.lifetimes);
        Arc::new(Self { services, entry, lifetimes, state: Arc::default() })
    }

    /// What its use cases may touch.
    fn env(&self) -> &Env {
        &self.services.env
    }

    /// What every mount shares.
    pub fn services(&self) -> &Services {
        &self.services
    }

    fn id(&self) -> &MountId {
        &self.entry.id
    }

    /// The CA state of the mount as it is now.
    pub(crate) async fn ca_state(&self) -> Result<Arc<CaState>, Failure> {
        let generation = self.env().store.revision(&ca_state::generation_key(self.id())).await?;
        match self.state.ca_state.load_full() {
            Some(known) if known.generation() == generation => Ok(known),
            // Boxed, because it is rare and would enlarge the future of every request.
            _ => Ok(Box::pin(self.snapshot_and_ca_state()).await?.1),
        }
    }

    /// A snapshot and the CA state of the mount in it.
    pub(crate) async fn snapshot_and_ca_state(&self) -> Result<(Snapshot, Arc<CaState>), Failure> {
        let snapshot = self.env().store.snapshot().await?;
        let generation =
            snapshot.get(&ca_state::generation_key(self.id())).await?.map(|(revision, _)| revision);
        if let Some(known) = self.state.ca_state.load_full()
            && known.generation() == generation
        {
            return Ok((snapshot, known));
        }
        let loaded = Arc::new(CaState::load(&snapshot, self.id(), generation).await?);
        self.state.ca_state.store(Some(Arc::clone(&loaded)));
        Ok((snapshot, loaded))
    }

    /// The compiled role of this name, if it exists, and the commit that wrote it.
    pub(crate) async fn role(&self, name: &str) -> Result<Option<(Revision, Arc<Role>)>, Failure> {
        let key = key::role(self.id(), name);
        let Some(revision) = self.env().store.revision(&key).await? else { return Ok(None) };
        if let Some(role) = self.state.roles.get(name, revision) {
            return Ok(Some((revision, role)));
        }
        let snapshot = self.env().store.snapshot().await?;
        let Some((revision, fields)) = snapshot.record::<RoleFields>(&key).await? else {
            return Ok(None);
        };
        // It was valid when it was stored, but an earlier version may have checked less.
        let (role, _) = fields.compile(name).map_err(|error| {
            Failure::refused(format!("role {name} cannot be used until it is corrected: {error}"))
        })?;
        self.prefetch_keys_for(&role);
        let role = Arc::new(role);
        self.state.roles.insert(name.to_owned(), revision, Arc::clone(&role));
        Ok(Some((revision, role)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ca::time::Timestamp;
    use crate::clock::Clock;
    use crate::engine::Engine;
    use crate::engine::env::SYSTEM_TTL;
    use crate::engine::mount::MountRecord;
    use crate::engine::sys::new_mount;
    use crate::entropy::Entropy;
    use crate::store::sealed::Seal;
    use crate::store::{Memory, Sealed, Store};

    /// An engine with two PKI mounts whose caches are filled.
    async fn engine() -> Arc<Engine> {
        let entropy = Entropy::System;
        let sealed = Sealed::new(Memory::new(), Seal::ephemeral(&entropy), entropy.clone());
        let engine = Engine::new(Env {
            store: Store::from(Arc::clone(&sealed)),
            sealed,
            clock: Clock::manual(0).0,
            entropy,
            storage_type: "inmem",
            lifetimes: TtlLimits { default: SYSTEM_TTL, max: SYSTEM_TTL },
        });
        engine.initialize(None, None, Timestamp::from_unix(0)).await.unwrap();
        for path in ["one/", "two/"] {
            engine.mount(new_mount(&Entropy::System, path, Pki::KIND)).await.unwrap();
            pki(&engine, path).ca_state().await.unwrap();
        }
        engine
    }

    fn pki(engine: &Engine, path: &str) -> Pki {
        engine.mounts().at(path).unwrap().core::<Pki>().unwrap().clone()
    }

    /// Limits lifetimes to a minute.
    fn limit_to_a_minute(record: &mut MountRecord) -> Result<(), Failure> {
        record.max_lease_ttl = 60;
        Ok(())
    }

    #[tokio::test]
    async fn a_mount_keeps_its_caches_when_it_or_another_one_is_configured() {
        let engine = engine().await;
        let before = [pki(&engine, "one/"), pki(&engine, "two/")];
        engine.remount("one/", limit_to_a_minute).await.unwrap();
        let after = [pki(&engine, "one/"), pki(&engine, "two/")];
        assert_eq!([&after[0], &after[1]].map(|pki| pki.lifetimes.max), [60, SYSTEM_TTL]);
        for (before, after) in before.iter().zip(&after) {
            assert!(Arc::ptr_eq(&before.state, &after.state));
        }
    }

    #[tokio::test]
    async fn sealing_leaves_nothing_of_a_mount_in_memory() {
        let engine = engine().await;
        let state = Arc::downgrade(&pki(&engine, "one/").state);
        assert!(state.upgrade().is_some_and(|state| state.ca_state.load().is_some()));
        engine.seal().await;
        assert!(state.upgrade().is_none());
        assert!(matches!(engine.current_mounts().await, Err(Failure::Sealed)));
        assert_eq!(engine.unmount("one/").await, Err(Failure::Sealed));
        engine.start().await.unwrap();
        assert!(engine.mounts().at("one/").is_some() && engine.mounts().at("two/").is_some());
    }

    #[tokio::test]
    async fn a_mount_of_an_unknown_kind_is_listed_and_has_no_use_cases() {
        let engine = engine().await;
        engine.mount(new_mount(&Entropy::System, "later/", "later")).await.unwrap();
        assert!(engine.mounts().at("later/").unwrap().core::<Pki>().is_none());
        engine.remount("later/", limit_to_a_minute).await.unwrap();
        assert_eq!(engine.mounts().at("later/").unwrap().entry.record.max_lease_ttl, 60);
    }
}
