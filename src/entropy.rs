//! The only file that asks for randomness.
//!
//! Serial numbers, identifiers, tokens, salts and nonces come from here. A seeded source has a
//! separate stream for each purpose, so that one more serial number does
//! not change every token of a golden file. aws-lc makes keys and signature nonces itself and cannot be
//! seeded (`docs/design.md`, "aws-lc-rs for all cryptography"). Only Ed25519 keys of tests come from here,
//! because such a key is its seed.

use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::digest;
use uuid::Uuid;

use crate::secret::Secret;

/// What random bytes are for; a seeded source has a separate stream for each purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Purpose {
    /// Certificate serial numbers.
    Serial = 1,
    /// Issuer, key, mount and request identifiers.
    Identifier = 2,
    /// Tokens and their accessors.
    Token = 3,
    /// Salts of key derivations.
    Salt = 4,
    /// Nonces of authenticated encryption.
    Nonce = 5,
    /// Keys that encrypt the store.
    DataKey = 6,
    /// Signing keys of a simulation.
    SigningKey = 7,
}

/// A source of random bytes.
#[derive(Clone, Debug)]
pub enum Entropy {
    /// The generator of the operating system, by way of aws-lc.
    System,
    /// Reproducible bytes for tests: SHA-256 over seed, purpose and counter. Never a default.
    DangerSeeded(Arc<Mutex<Seeded>>),
}

/// The state of a seeded source.
#[derive(Debug)]
pub struct Seeded {
    seed: u64,
    counters: [u64; 8],
}

impl Entropy {
    /// A reproducible source, for tests only.
    pub fn danger_seeded(seed: u64) -> Self {
        Self::DangerSeeded(Arc::new(Mutex::new(Seeded { seed, counters: [0; 8] })))
    }

    /// Fills `target` with random bytes.
    #[expect(
        clippy::expect_used,
        clippy::disallowed_methods,
        reason = "the only file that asks for randomness; a system without it cannot continue"
    )]
    pub fn fill(&self, purpose: Purpose, target: &mut [u8]) {
        match self {
            Self::System => aws_lc_rs::rand::fill(target).expect("the system gives random bytes"),
            Self::DangerSeeded(state) => {
                let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
                for chunk in target.chunks_mut(32) {
                    chunk.copy_from_slice(state.block(purpose).get(..chunk.len()).unwrap_or(&[]));
                }
            }
        }
    }

    /// `N` random bytes.
    pub fn bytes<const N: usize>(&self, purpose: Purpose) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(purpose, &mut bytes);
        bytes
    }

    /// The seed of a reproducible Ed25519 key in tests; `None` in production.
    pub fn key_seed(&self) -> Option<Secret<[u8; 32]>> {
        match self {
            Self::System => None,
            Self::DangerSeeded(_) => Some(Secret::new(self.bytes(Purpose::SigningKey))),
        }
    }

    /// 16 random bytes in the layout of a UUID, lower-case. Version and variant bits are not
    /// set, as in Vault's identifiers.
    pub fn uuid(&self) -> String {
        Uuid::from_bytes(self.bytes(Purpose::Identifier)).to_string()
    }
}

impl Seeded {
    fn block(&mut self, purpose: Purpose) -> [u8; 32] {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(&self.seed.to_be_bytes());
        context.update(&[purpose as u8]);
        if let Some(counter) = self.counters.get_mut(purpose as usize) {
            context.update(&counter.to_be_bytes());
            *counter = counter.wrapping_add(1);
        }
        let mut block = [0; 32];
        block.copy_from_slice(context.finish().as_ref());
        block
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_bytes_again_and_purposes_are_independent() {
        let one = Entropy::danger_seeded(7);
        let other = Entropy::danger_seeded(7);
        let _token: [u8; 40] = other.bytes(Purpose::Token);
        assert_eq!(one.bytes::<16>(Purpose::Serial), other.bytes::<16>(Purpose::Serial));
        assert_ne!(one.bytes::<16>(Purpose::Serial), other.bytes::<16>(Purpose::Salt));
    }

    #[test]
    fn a_uuid_has_the_five_groups() {
        let groups: Vec<_> = Entropy::danger_seeded(1).uuid().split('-').map(str::len).collect();
        assert_eq!(groups, [8, 4, 4, 4, 12]);
    }
}
