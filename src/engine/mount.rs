//! Mounts: which engine handles which path.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use minicbor::{Decode, Encode};

use super::jobs::plan::{Job, MountState};
use super::{Engine, Failure, kinds, retry_on_conflict};
use crate::ca::role::TtlLimits;
use crate::ca::time::Timestamp;
use crate::store::id::MountId;
use crate::store::{Batch, CommitError, Key, Record, Revision, key};

/// A mount as it was configured. TTLs in seconds; 0 means the system's.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct MountRecord {
    /// With its slash: `pki/`.
    #[n(0)]
    pub path: String,
    /// `pki`
    #[n(1)]
    pub kind: String,
    /// 16 bytes in UUID form.
    #[n(2)]
    pub uuid: String,
    /// `pki_5f3c0f1a`
    #[n(3)]
    pub accessor: String,
    /// Free text for the operator.
    #[n(4)]
    pub description: String,
    /// Default lease TTL.
    #[n(5)]
    pub default_lease_ttl: i64,
    /// Longest lease TTL.
    #[n(6)]
    pub max_lease_ttl: i64,
    /// `options`
    #[n(7)]
    pub options: BTreeMap<String, String>,
    /// Settings that are lists, by Vault's name: `allowed_response_headers` and the like.
    #[n(8)]
    pub lists: BTreeMap<String, Vec<String>>,
    /// `listing_visibility`
    #[n(9)]
    pub listing_visibility: String,
    /// `local`
    #[n(10)]
    pub local: bool,
    /// `seal_wrap`
    #[n(11)]
    pub seal_wrap: bool,
    /// `force_no_cache`
    #[n(12)]
    pub force_no_cache: bool,
    /// `external_entropy_access`
    #[n(13)]
    pub external_entropy_access: bool,
}

impl Record for MountRecord {}

/// A stored mount.
#[derive(Debug)]
pub struct MountEntry {
    /// Its identifier: the prefix of the keys of everything in it.
    pub id: MountId,
    /// Its configuration.
    pub record: MountRecord,
    /// The commit that wrote the configuration.
    revision: Revision,
}

impl MountEntry {
    /// Lifetimes with the system's filled in.
    pub fn lifetimes(&self, system: TtlLimits) -> TtlLimits {
        let or = |own: i64, otherwise: i64| if own > 0 { own } else { otherwise };
        TtlLimits {
            default: or(self.record.default_lease_ttl, system.default),
            max: or(self.record.max_lease_ttl, system.max),
        }
    }
}

/// The use cases of one mount, with their caches.
pub trait MountCore: Any + Debug + Send + Sync {
    /// The same mount with the same caches and a changed configuration.
    fn with_entry(&self, entry: Arc<MountEntry>) -> Arc<dyn MountCore>;

    /// The state from which its jobs are planned; `None` for a kind without jobs.
    fn job_state(&self) -> BoxFuture<'_, Result<Option<MountState>, Failure>> {
        Box::pin(async { Ok(None) })
    }

    /// Runs a job of this mount. `started` is when this process first looked for jobs, seconds since
    /// the Unix epoch.
    fn run_job(
        &self,
        job: Job,
        started: i64,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<(), Failure>> {
        let _ = (job, started, now);
        Box::pin(async { Ok(()) })
    }
}

/// A future of a trait's method.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A mount that serves requests.
#[derive(Debug)]
pub struct Mount {
    /// Its stored configuration.
    pub entry: Arc<MountEntry>,
    core: Arc<dyn MountCore>,
}

impl Mount {
    /// Its use cases, for a caller that downcasts them to a kind's type.
    pub fn shared_core(&self) -> Arc<dyn Any + Send + Sync> {
        Arc::<dyn MountCore>::clone(&self.core)
    }

    /// The state from which its jobs are planned.
    pub(super) async fn job_state(&self) -> Result<Option<MountState>, Failure> {
        self.core.job_state().await
    }

    /// Runs a job of this mount.
    pub(super) async fn run_job(
        &self,
        job: Job,
        started: i64,
        now: Timestamp,
    ) -> Result<(), Failure> {
        self.core.run_job(job, started, now).await
    }

    /// Its use cases, if it is of this kind.
    pub fn core<C: MountCore>(&self) -> Option<&C> {
        let core: &dyn Any = &*self.core;
        core.downcast_ref()
    }
}

/// Every mount, by path.
#[derive(Debug, Default)]
pub struct MountTable {
    by_path: BTreeMap<String, Arc<Mount>>,
    generation: Option<Revision>,
}

impl MountTable {
    /// The mount with the longest prefix of this path, and the rest of the path.
    pub fn resolve<'p>(&self, path: &'p str) -> Option<(&Arc<Mount>, &'p str)> {
        let slashes = path.match_indices('/').map(|(at, _)| at);
        let mut best = None;
        for at in slashes {
            let (prefix, rest) = path.split_at(at.saturating_add(1));
            if let Some(mount) = self.by_path.get(prefix) {
                best = Some((mount, rest));
            }
        }
        best
    }

    /// The mount at exactly this path (with its slash).
    pub fn at(&self, path: &str) -> Option<&Arc<Mount>> {
        self.by_path.get(path)
    }

    /// Every mount, in the order of the paths.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Mount>> {
        self.by_path.values()
    }

    /// A mount whose path is a prefix of `path` or begins with it.
    fn overlapping_mount(&self, path: &str) -> Option<&Arc<Mount>> {
        self.iter().find(|mount| {
            let other = &mount.entry.record.path;
            other.starts_with(path) || path.starts_with(other)
        })
    }
}

impl Engine {
    /// The mount table in memory.
    pub fn mounts(&self) -> Arc<MountTable> {
        self.mounts.load_full()
    }

    /// The same, read from the store first if it is stale: a deleted mount must not serve requests.
    ///
    /// # Errors
    /// Fails only with the store.
    pub async fn current_mounts(&self) -> Result<Arc<MountTable>, Failure> {
        if self.mounts_stale.load(Ordering::Acquire) {
            // Boxed, because it is rare and would enlarge the future of every request.
            Box::pin(self.load_mounts()).await?;
        }
        Ok(self.mounts())
    }

    /// Reads the table from the store. Each mount keeps its caches.
    pub(crate) async fn load_mounts(&self) -> Result<(), Failure> {
        let _one_at_a_time = self.reading_mounts.lock().await;
        self.mounts_stale.store(true, Ordering::Release);
        let snapshot = self.env().store.snapshot().await?;
        let before = self.mounts.load_full();
        let known: BTreeMap<_, _> = before.iter().map(|mount| (mount.entry.id, mount)).collect();
        let mut by_path = BTreeMap::new();
        let generation = snapshot.get(&generation_key()).await?.map(|(revision, _)| revision);
        for entry in snapshot.scan(&key::mounts().range(), usize::MAX).await? {
            if entry.key == generation_key() {
                continue;
            }
            let Some(id) = key::mounts().rest(&entry.key).and_then(|id| id.try_into().ok()) else {
                return Err(Failure::Internal("a mount's key has no identifier".to_owned()));
            };
            let record: MountRecord = crate::store::record::decode(&entry.value)
                .map_err(|error| Failure::Internal(error.to_string()))?;
            let entry = MountEntry { id, record, revision: entry.revision };
            let mount = self.opened(known.get(&id).copied(), entry);
            by_path.insert(mount.entry.record.path.clone(), mount);
        }
        self.mounts.store(Arc::new(MountTable { by_path, generation }));
        self.mounts_stale.store(false, Ordering::Release);
        Ok(())
    }

    /// The mount of a stored entry; a known one keeps what it has in memory.
    fn opened(&self, known: Option<&Arc<Mount>>, entry: MountEntry) -> Arc<Mount> {
        if let Some(known) = known.filter(|known| known.entry.revision == entry.revision) {
            return Arc::clone(known);
        }
        let entry = Arc::new(entry);
        let core = match known {
            Some(known) => known.core.with_entry(Arc::clone(&entry)),
            None => kinds::open(&self.services, &entry),
        };
        Arc::new(Mount { entry, core })
    }

    /// Seals the store and drops every mount, so that no parsed key of an authority stays in memory.
    /// Requests in progress end with [`Failure::Sealed`], or with what they have read before.
    pub async fn seal(&self) {
        self.env().sealed.seal();
        // The table is not read while it is emptied: a reader would put its mounts back.
        let _one_at_a_time = self.reading_mounts.lock().await;
        // Stale, so that requests are answered "sealed" and not "nothing is mounted".
        self.mounts_stale.store(true, Ordering::Release);
        self.mounts.store(Arc::default());
    }

    /// Enables a mount.
    ///
    /// # Errors
    /// Refuses a path that overlaps another mount.
    pub async fn mount(&self, record: MountRecord) -> Result<(), Failure> {
        let id = MountId::parse(&record.uuid)
            .ok_or_else(|| Failure::Internal("a mount's identifier is malformed".to_owned()))?;
        retry_on_conflict!(async {
            let table = self.current_mounts().await?;
            if let Some(other) = table.overlapping_mount(&record.path) {
                return Err(Failure::refused(format!(
                    "path is already in use at {}",
                    other.entry.record.path
                )));
            }
            // The generation prevents two requests from taking the same path.
            let batch = Batch::new()
                .expect_unchanged(generation_key(), table.generation)
                .put(generation_key(), Vec::new())
                .put_record(key::mount(&id), &record);
            let outcome = self.env().store.commit(batch).await;
            self.read_after(outcome).await
        })
    }

    /// Changes a mount's configuration.
    ///
    /// # Errors
    /// [`Failure::NotFound`] if nothing is mounted there; what `change` refuses.
    pub async fn remount(
        &self,
        path: &str,
        change: impl Fn(&mut MountRecord) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        retry_on_conflict!(async {
            let mount = self.current_mounts().await?.at(path).cloned().ok_or(Failure::NotFound)?;
            let mut record = mount.entry.record.clone();
            change(&mut record)?;
            let key = key::mount(&mount.entry.id);
            let batch =
                Batch::new().expect(key.clone(), mount.entry.revision).put_record(key, &record);
            let outcome = self.env().store.commit(batch).await;
            self.read_after(outcome).await
        })
    }

    /// Disables a mount and deletes everything in it, in one batch. A path without a mount is not an
    /// error.
    ///
    /// # Errors
    /// Fails only with the store.
    pub async fn unmount(&self, path: &str) -> Result<(), Failure> {
        let Some(mount) = self.current_mounts().await?.at(path).cloned() else { return Ok(()) };
        let batch = Batch::new()
            .delete(key::mount(&mount.entry.id))
            .delete_range(key::everything_in(&mount.entry.id).range());
        let outcome = self.env().store.commit(batch).await;
        self.read_after(outcome).await
    }

    /// Reads the table after a commit, also after a failed one, which may have been stored. If the table
    /// cannot be read, a successful commit is still answered as such: the table is stale then, and the
    /// next request reads it.
    async fn read_after(&self, outcome: Result<Revision, CommitError>) -> Result<(), Failure> {
        let read = self.load_mounts().await;
        match outcome {
            Ok(_) => Ok(()),
            Err(CommitError::Conflict { .. }) => read.and(Err(Failure::Conflict)),
            Err(error) => Err(error.into()),
        }
    }
}

/// Written by every new mount: the prefix itself, which is not the key of any mount.
fn generation_key() -> Key {
    key::mounts().with(&[])
}
