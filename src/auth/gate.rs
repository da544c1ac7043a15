//! Token in, [`Authenticated`] out; path, operation and mount in, [`Granted`] out. Absent means no.

use std::sync::Arc;

use super::token::{Capability, TokenRecord, token_key};
use crate::ca::time::Timestamp;
use crate::secret::Secret;
use crate::store::id::MountId;
use crate::store::{Key, ParsedCache, ReadError, Store};

/// What a caller requests: one capability on one path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
    /// The path behind `/v1/`.
    pub path: String,
    /// The mount of the path; `None` where nothing is mounted.
    pub mount: Option<MountId>,
    /// The requested capability.
    pub capability: Capability,
    /// The route also needs the capability `sudo`.
    pub needs_sudo: bool,
}

/// A caller whose token is valid now. Not `Clone`, so that each use of a token is counted once.
#[must_use]
pub struct Authenticated {
    presented: Secret<String>,
    token: Arc<TokenRecord>,
}

/// The proof that a caller may use one capability on one path of one mount. Only [`Gate::authorize`] and
/// [`Gate::admit_unauthenticated`] make it, and it is not `Clone`.
#[must_use]
pub struct Granted {
    caller: Option<Authenticated>,
    action: Action,
}

impl Granted {
    /// The record of the caller's token; `None` on routes that need none.
    pub fn token(&self) -> Option<&TokenRecord> {
        self.caller.as_ref().map(|caller| &*caller.token)
    }

    /// The token as the caller sent it, for answers that repeat it.
    pub fn presented(&self) -> Option<&Secret<String>> {
        self.caller.as_ref().map(|caller| &caller.presented)
    }

    /// The granted action.
    pub const fn action(&self) -> &Action {
        &self.action
    }
}

/// Why a caller is denied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Denied {
    /// No token was sent.
    NoToken,
    /// The token is unknown, expired or revoked.
    InvalidToken,
    /// The token's policies do not allow it.
    Policy,
    /// The store is sealed.
    Sealed,
    /// The store cannot be read.
    Fault(String),
}

impl From<ReadError> for Denied {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Sealed => Self::Sealed,
            other => Self::Fault(other.to_string()),
        }
    }
}

/// Authenticates and authorises callers.
#[derive(Clone, Debug)]
pub struct Gate {
    store: Store,
    tokens: Arc<ParsedCache<Key, TokenRecord, MAX_TOKENS>>,
}

/// The most tokens whose records are kept in memory: a record is a few hundred bytes.
const MAX_TOKENS: usize = 16_384;

impl Gate {
    /// A gate that looks tokens up in this store.
    pub fn new(store: Store) -> Self {
        Self { store, tokens: Arc::default() }
    }

    /// Looks up the caller's token.
    ///
    /// # Errors
    /// See [`Denied`].
    pub async fn authenticate(
        &self,
        token: Option<Secret<String>>,
        _now: Timestamp,
    ) -> Result<Authenticated, Denied> {
        let presented = token.filter(|token| !token.expose().is_empty()).ok_or(Denied::NoToken)?;
        let key = token_key(&self.store, &presented).ok_or(Denied::Sealed)?;
        let token = self.find(&key).await?.ok_or(Denied::InvalidToken)?;
        Ok(Authenticated { presented, token })
    }

    /// Decides whether the policies of the caller's token allow the action.
    ///
    /// # Errors
    /// [`Denied::Policy`]
    pub fn authorize(&self, caller: Authenticated, action: Action) -> Result<Granted, Denied> {
        // `root` is the only policy today; it allows everything, `sudo` included.
        if !caller.token.policies.iter().any(|policy| policy == "root") {
            return Err(Denied::Policy);
        }
        Ok(Granted { caller: Some(caller), action })
    }

    /// Admits a caller without a token, where a route says that it needs none.
    pub const fn admit_unauthenticated(&self, action: Action) -> Granted {
        Granted { caller: None, action }
    }

    async fn find(&self, key: &Key) -> Result<Option<Arc<TokenRecord>>, ReadError> {
        let Some(revision) = self.store.revision(key).await? else { return Ok(None) };
        if let Some(token) = self.tokens.get(key, revision) {
            return Ok(Some(token));
        }
        let found = self.store.snapshot().await?.record::<TokenRecord>(key).await?;
        Ok(found.map(|(revision, token)| {
            let token = Arc::new(token);
            self.tokens.insert(key.clone(), revision, Arc::clone(&token));
            token
        }))
    }
}
