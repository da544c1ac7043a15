//! The system itself: initialising, unsealing, health.

mod development;

use std::sync::Arc;

use minicbor::{Decode, Encode};

use crate::auth::{TokenRecord, new_token, put_token};
use crate::ca::time::Timestamp;
use crate::entropy::Entropy;
use crate::secret::Secret;
use crate::store::sealed::{Salt, SealError};
use crate::store::{Batch, Record, key};

use super::mount::MountRecord;
use super::{Engine, Failure};

/// The name and identifier of this cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Cluster {
    /// `cluster_name`
    #[n(0)]
    pub name: String,
    /// `cluster_id`
    #[n(1)]
    pub id: String,
}

impl Record for Cluster {}

/// The state of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The store has a root key.
    pub initialized: bool,
    /// No value can be read.
    pub sealed: bool,
    /// Empty while sealed.
    pub cluster: Cluster,
}

impl Engine {
    /// The state of the server. A store that cannot be read counts as sealed.
    pub async fn status(&self) -> Status {
        let (initialized, sealed) = match self.env().sealed.status().await {
            Ok(status) => (status.initialized, status.sealed),
            Err(_) => (true, true),
        };
        let cluster = if sealed { Cluster::default() } else { (**self.cluster.load()).clone() };
        Status { initialized, sealed, cluster }
    }

    /// Opens the store if it was initialised, and reads what every request needs.
    ///
    /// # Errors
    /// Fails with a sentence for the operator: a wrong key, or a damaged store.
    pub async fn start(&self) -> Result<Status, Failure> {
        match self.env().sealed.unseal().await {
            Ok(()) => self.load().await?,
            Err(SealError::NotInitialized) => {}
            Err(half @ SealError::HalfInitialized) => {
                tracing::warn!("{half}: `signet operator init` creates new keys and a root token");
            }
            Err(error) => return Err(Failure::Internal(error.to_string())),
        }
        Ok(self.status().await)
    }

    async fn load(&self) -> Result<(), Failure> {
        let snapshot = self.env().store.snapshot().await?;
        let found = snapshot.record::<Cluster>(&key::cluster()).await?;
        let mut cluster = found.map(|(_, cluster)| cluster).unwrap_or_default();
        if let Some(name) = &self.installation.cluster_name {
            cluster.name.clone_from(name);
        }
        self.cluster.store(Arc::new(cluster));
        self.load_mounts().await?;
        if snapshot.keys(&key::tokens().range(), 1).await?.is_empty() {
            tracing::error!(
                "the store is initialized and holds no token, so no request can be authorized: put back \
                 a copy of the storage folder that has one"
            );
        }
        Ok(())
    }

    /// Creates the root key, the cluster's name and the root token in one commit, so an initialised
    /// store has a token.
    ///
    /// # Errors
    /// Refuses an initialised store.
    pub async fn initialize(
        &self,
        cluster_name: Option<&str>,
        root_token: Option<&str>,
        now: Timestamp,
    ) -> Result<Secret<String>, Failure> {
        let entropy = &self.env().entropy;
        let id = entropy.uuid();
        let suffix = id.get(..8).unwrap_or_default();
        let name = cluster_name
            .or(self.installation.cluster_name.as_deref())
            .map_or_else(|| format!("signet-cluster-{suffix}"), str::to_owned);
        let (generated, accessor) = new_token(entropy);
        let token = root_token.map_or(generated, |given| Secret::new(given.to_owned()));
        let record = TokenRecord {
            accessor,
            policies: vec!["root".to_owned()],
            display_name: "root".to_owned(),
            path: "auth/token/root".to_owned(),
            created: now.unix(),
        };
        let cluster = Cluster { name, id };
        let first = |salt: &Salt| {
            let batch = Batch::new().put_record(key::cluster(), &cluster);
            put_token(batch, salt, &token, &record)
        };
        self.env().sealed.initialize(first).await.map_err(|error| match error {
            SealError::AlreadyInitialized => Failure::refused("Vault is already initialized"),
            other => Failure::Internal(other.to_string()),
        })?;
        // Nothing is read back: a failure now would lose the only token. A new store has no mounts.
        tracing::info!(cluster = cluster.name, "store initialized");
        self.cluster.store(Arc::new(cluster));
        Ok(token)
    }
}

/// A new mount with Vault's defaults.
pub fn new_mount(entropy: &Entropy, path: &str, kind: &str) -> MountRecord {
    let uuid = entropy.uuid();
    let accessor: String =
        entropy.uuid().chars().filter(|character| *character != '-').take(8).collect();
    MountRecord {
        path: path.to_owned(),
        kind: kind.to_owned(),
        uuid,
        accessor: format!("{kind}_{accessor}"),
        description: String::new(),
        default_lease_ttl: 0,
        max_lease_ttl: 0,
        options: std::collections::BTreeMap::new(),
        lists: std::collections::BTreeMap::new(),
        listing_visibility: String::new(),
        local: false,
        seal_wrap: false,
        force_no_cache: false,
        external_entropy_access: false,
    }
}
