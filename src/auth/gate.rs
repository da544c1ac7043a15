//! The gate: token, path and capability in, [`Granted`] out. Absent means no.

use super::token::{Capability, TokenRecord, token_key};
use crate::secret::Secret;
use crate::store::{ReadError, Snapshot, Store};

/// The proof that a caller may do what it asked for. Made only here.
#[derive(Debug)]
#[must_use]
pub struct Granted {
    presented: Secret<String>,
    token: TokenRecord,
    capability: Capability,
}

impl Granted {
    /// The token as the caller sent it, for the two answers that repeat it.
    pub const fn presented(&self) -> &Secret<String> {
        &self.presented
    }

    /// The record of the caller's token.
    pub const fn token(&self) -> &TokenRecord {
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

/// The gate itself.
#[derive(Clone, Debug)]
pub struct Gate {
    store: Store,
}

impl Gate {
    /// A gate that looks tokens up in this store.
    pub const fn new(store: Store) -> Self {
        Self { store }
    }

    /// Admits the caller or says why not.
    ///
    /// # Errors
    /// See [`Denied`].
    pub async fn admit(
        &self,
        snapshot: &Snapshot,
        token: Option<Secret<String>>,
        capability: Capability,
    ) -> Result<Granted, Denied> {
        let presented = token.filter(|token| !token.expose().is_empty()).ok_or(Denied::NoToken)?;
        let key = token_key(&self.store, &presented).ok_or(Denied::Sealed)?;
        let found = snapshot.record::<TokenRecord>(&key).await.map_err(|error| match error {
            ReadError::Sealed => Denied::Sealed,
            other => Denied::Fault(other.to_string()),
        })?;
        let (_, token) = found.ok_or(Denied::InvalidToken)?;
        if !token.policies.iter().any(|policy| policy == "root") {
            return Err(Denied::Policy);
        }
        Ok(Granted { presented, token, capability })
    }
}
