//! New tokens and their records.
//!
//! The store holds no token: a token is found under its HMAC with a sealed salt
//! (`docs/design.md`, "Values at rest are sealed").

use minicbor::{Decode, Encode};

use crate::entropy::{Entropy, Purpose};
use crate::secret::Secret;
use crate::store::sealed::Salt;
use crate::store::{Batch, Key, Record, Store, key};

/// A capability, as policies name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capability {
    /// GET
    Read,
    /// POST and PUT of what does not exist yet, on routes with an existence check
    Create,
    /// POST and PUT
    Update,
    /// LIST
    List,
    /// PATCH
    Patch,
    /// DELETE
    Delete,
}

/// A token's record.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct TokenRecord {
    /// The accessor: it identifies the token without revealing it.
    #[n(0)]
    pub accessor: String,
    /// Policies by name; `root` alone allows everything.
    #[n(1)]
    pub policies: Vec<String>,
    /// `display_name` of a look-up.
    #[n(2)]
    pub display_name: String,
    /// The path that created it.
    #[n(3)]
    pub path: String,
    /// When it was created, seconds since the Unix epoch.
    #[n(4)]
    pub created: i64,
}

impl Record for TokenRecord {}

/// The key of a token's record.
pub fn token_key(store: &Store, token: &Secret<String>) -> Option<Key> {
    store.hmac(token.expose().as_bytes()).ok().map(|hash| key::token(&hash))
}

/// Puts the record of a new token under the HMAC of the token and under that of its accessor.
pub fn put_token(batch: Batch, salt: &Salt, token: &Secret<String>, record: &TokenRecord) -> Batch {
    batch
        .put_record(key::token(&salt.hmac(token.expose().as_bytes())), record)
        .put_record(key::accessor(&salt.hmac(record.accessor.as_bytes())), record)
}

/// A new service token (`hvs.` and 24 letters and digits) and its accessor.
pub fn new_token(entropy: &Entropy) -> (Secret<String>, String) {
    (Secret::new(format!("hvs.{}", letters(entropy))), letters(entropy))
}

/// 24 letters and digits: 142 bits. Bytes from 248, the last multiple of 62, are discarded, so that every
/// character is equally likely.
fn letters(entropy: &Entropy) -> String {
    const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut text = String::with_capacity(24);
    while text.len() < 24 {
        let [byte] = entropy.bytes::<1>(Purpose::Token);
        if byte < 248
            && let Some(letter) = ALPHABET.get(usize::from(byte % 62))
        {
            text.push(char::from(*letter));
        }
    }
    text
}
