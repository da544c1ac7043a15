//! The gate: token, path and capability in, [`Granted`] out. Absent means no.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::token::{Capability, TokenRecord, token_key};
use crate::secret::Secret;
use crate::store::{Key, ReadError, Revision, Store};

/// The proof that a caller may do what it asked for. Made only here.
#[derive(Debug)]
#[must_use]
pub struct Granted {
    presented: Secret<String>,
    token: Arc<TokenRecord>,
    capability: Capability,
}

impl Granted {
    /// The token as the caller sent it, for the two answers that repeat it.
    pub const fn presented(&self) -> &Secret<String> {
        &self.presented
    }

    /// The record of the caller's token.
    pub fn token(&self) -> &TokenRecord {
        &self.token
    }

    /// What was granted.
    pub const fn capability(&self) -> Capability {
        self.capability
    }
}

/// Why a caller stays outside.
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

/// The gate itself.
#[derive(Clone, Debug)]
pub struct Gate {
    store: Store,
    tokens: Arc<Mutex<Tokens>>,
}

/// Records that were read before, with the commit that wrote them.
type Tokens = HashMap<Key, (Revision, Arc<TokenRecord>)>;

/// A bound, not a policy: a record is a few hundred octets.
const MOST_TOKENS: usize = 16_384;

impl Gate {
    /// A gate that looks tokens up in this store.
    pub fn new(store: Store) -> Self {
        Self { store, tokens: Arc::default() }
    }

    /// Admits the caller or says why not.
    ///
    /// # Errors
    /// See [`Denied`].
    pub async fn admit(
        &self,
        token: Option<Secret<String>>,
        capability: Capability,
    ) -> Result<Granted, Denied> {
        let presented = token.filter(|token| !token.expose().is_empty()).ok_or(Denied::NoToken)?;
        let key = token_key(&self.store, &presented).ok_or(Denied::Sealed)?;
        let token = self.find(&key).await?.ok_or(Denied::InvalidToken)?;
        if !token.policies.iter().any(|policy| policy == "root") {
            return Err(Denied::Policy);
        }
        Ok(Granted { presented, token, capability })
    }

    async fn find(&self, key: &Key) -> Result<Option<Arc<TokenRecord>>, ReadError> {
        let Some(revision) = self.store.revision(key).await? else { return Ok(None) };
        if let Some((at, token)) = self.tokens().get(key)
            && *at == revision
        {
            return Ok(Some(Arc::clone(token)));
        }
        let found = self.store.snapshot().await?.record::<TokenRecord>(key).await?;
        Ok(found.map(|(revision, token)| {
            let token = Arc::new(token);
            let mut tokens = self.tokens();
            if tokens.len() >= MOST_TOKENS {
                tokens.clear();
            }
            tokens.insert(key.clone(), (revision, Arc::clone(&token)));
            token
        }))
    }

    fn tokens(&self) -> MutexGuard<'_, Tokens> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
