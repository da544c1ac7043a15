//! The data keys and the salt, and the encryption of values.
//!
//! An encrypted value: format (1 byte), number of the data key (4), nonce (12), ciphertext, tag (16).
//! Associated data: length of the store's key (4 bytes), that key, then the first five bytes of
//! the value. All numbers are big-endian.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hmac;
use minicbor::{Decode, Encode};
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::super::key::{self, Key};
use super::super::record::{self, Record};
use super::usage::Usage;
use crate::entropy::{Entropy, Purpose};
use crate::secret::Secret;

/// The keys in use, newest first; at least one. The bytes they were made from are not kept.
pub(super) struct Keyring {
    newest: DataKey,
    older: Vec<DataKey>,
    salt: Salt,
    usage: Arc<Usage>,
}

/// The key of [`Store::hmac`](crate::store::Store::hmac), under which tokens are stored.
#[derive(Debug)]
pub struct Salt(hmac::Key);

struct DataKey {
    number: u32,
    key: LessSafeKey,
}

/// The keyring as it is written, before encryption.
#[derive(Encode, Decode, Zeroize, ZeroizeOnDrop)]
#[cbor(map)]
pub(super) struct KeyringRecord {
    #[cbor(n(0), with = "minicbor::bytes")]
    salt: [u8; 32],
    #[n(1)]
    keys: Vec<DataKeyRecord>,
}

#[derive(Encode, Decode, Zeroize, ZeroizeOnDrop)]
#[cbor(map)]
struct DataKeyRecord {
    #[n(0)]
    number: u32,
    #[cbor(n(1), with = "minicbor::bytes")]
    key: [u8; 32],
}

impl Record for KeyringRecord {}

impl KeyringRecord {
    /// The number of the newest key; 0 without keys.
    pub(super) fn newest(&self) -> u32 {
        self.keys.first().map_or(0, |key| key.number)
    }

    /// A new salt and a new data key.
    pub(super) fn new(entropy: &Entropy) -> Self {
        let first = DataKeyRecord { number: 1, key: entropy.bytes(Purpose::DataKey) };
        Self { salt: entropy.bytes(Purpose::Salt), keys: vec![first] }
    }

    /// Puts a new key in front and returns its number. `None` if no number is left: with two keys
    /// of one number, some values would not decrypt.
    pub(super) fn add_key(&mut self, entropy: &Entropy) -> Option<u32> {
        let number = self.newest().checked_add(1)?;
        self.keys.insert(0, DataKeyRecord { number, key: entropy.bytes(Purpose::DataKey) });
        Some(number)
    }

    /// The keyring as it is stored, encrypted under the root key.
    pub(super) fn lock(&self, root: &Secret<[u8; 32]>, entropy: &Entropy) -> Vec<u8> {
        let mut plain = record::encode(self);
        // The keyring is far below the length limit of AES-GCM.
        encrypt(&aead(root.expose()), ROOT, &key::keyring(), &mut plain, entropy)
            .unwrap_or_default()
    }

    /// Decrypts what [`KeyringRecord::lock`] encrypted.
    pub(super) fn unlock(bytes: &[u8], root: &Secret<[u8; 32]>) -> Result<Self, String> {
        let sealed = SealedValue::parse(bytes)?;
        if sealed.number != ROOT {
            return Err("the keyring is not sealed by the root key".into());
        }
        let plain = Secret::new(sealed.decrypt(&aead(root.expose()), &key::keyring())?);
        record::decode(plain.expose()).map_err(|error| error.to_string())
    }
}

impl Keyring {
    /// The keys of the record, ready for use; `usage` belongs to the newest one.
    pub(super) fn new(record: &KeyringRecord, usage: Arc<Usage>) -> Result<Self, String> {
        let mut keys = record.keys.iter().map(DataKey::new);
        let newest = keys.next().ok_or("the keyring is empty")?;
        let older = keys.collect();
        let salt = Salt(hmac::Key::new(hmac::HMAC_SHA256, &record.salt));
        Ok(Self { newest, older, salt, usage })
    }

    /// Encrypts a value under its key, in place. The caller has claimed a nonce for it
    /// ([`Usage::claim`]). `None` if the value is longer than AES-GCM allows.
    pub(super) fn seal(&self, key: &Key, value: &mut [u8], entropy: &Entropy) -> Option<Vec<u8>> {
        encrypt(&self.newest.key, self.newest.number, key, value, entropy)
    }

    /// Decrypts the value of `key`, or returns why not.
    pub(super) fn open(&self, key: &Key, bytes: &[u8]) -> Result<Vec<u8>, String> {
        let sealed = SealedValue::parse(bytes)?;
        let data_key = std::iter::once(&self.newest)
            .chain(&self.older)
            .find(|data_key| data_key.number == sealed.number)
            .ok_or("the value is sealed by a data key that the keyring does not hold")?;
        sealed.decrypt(&data_key.key, key)
    }

    pub(super) const fn salt(&self) -> &Salt {
        &self.salt
    }

    /// The number of the key that encrypts.
    pub(super) const fn newest(&self) -> u32 {
        self.newest.number
    }

    /// The usage of the key that encrypts.
    pub(super) const fn usage(&self) -> &Arc<Usage> {
        &self.usage
    }
}

impl Salt {
    /// HMAC-SHA256 under the salt.
    pub fn hmac(&self, message: &[u8]) -> [u8; 32] {
        let mut tag = [0; 32];
        tag.copy_from_slice(hmac::sign(&self.0, message).as_ref());
        tag
    }
}

impl DataKey {
    fn new(record: &DataKeyRecord) -> Self {
        Self { number: record.number, key: aead(&record.key) }
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Keyring").field("newest", &self.newest.number).finish()
    }
}

/// The parts of an encrypted value.
struct SealedValue<'bytes> {
    head: [u8; 5],
    number: u32,
    nonce: [u8; 12],
    body: &'bytes [u8],
}

impl<'bytes> SealedValue<'bytes> {
    fn parse(bytes: &'bytes [u8]) -> Result<Self, String> {
        let short = "the value is too short to be sealed";
        let (head, rest) = bytes.split_first_chunk::<5>().ok_or(short)?;
        let (nonce, body) = rest.split_first_chunk::<12>().ok_or(short)?;
        let [format, number @ ..] = *head;
        if format != FORMAT {
            return Err(format!(
                "the value is sealed in format {format}, which this program does not know"
            ));
        }
        Ok(Self { head: *head, number: u32::from_be_bytes(number), nonce: *nonce, body })
    }

    fn decrypt(&self, aead: &LessSafeKey, key: &Key) -> Result<Vec<u8>, String> {
        let mut bytes = self.body.to_vec();
        let nonce = Nonce::assume_unique_for_key(self.nonce);
        let length = aead
            .open_in_place(nonce, Aad::from(associated_data(key, self.head)), &mut bytes)
            .map(|plain| plain.len())
            .map_err(|_| "the value does not open: it was changed, moved or sealed elsewhere")?;
        bytes.truncate(length);
        Ok(bytes)
    }
}

fn encrypt(
    aead: &LessSafeKey,
    number: u32,
    key: &Key,
    value: &mut [u8],
    entropy: &Entropy,
) -> Option<Vec<u8>> {
    let [first, second, third, fourth] = number.to_be_bytes();
    let head = [FORMAT, first, second, third, fourth];
    let nonce: [u8; 12] = entropy.bytes(Purpose::Nonce);
    let tag = aead
        .seal_in_place_separate_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(associated_data(key, head)),
            value,
        )
        .ok()?;
    let mut bytes = Vec::with_capacity(OVERHEAD + value.len());
    bytes.extend_from_slice(&head);
    bytes.extend_from_slice(&nonce);
    bytes.extend_from_slice(value);
    bytes.extend_from_slice(tag.as_ref());
    Some(bytes)
}

/// The associated data that binds a value to its key and format.
fn associated_data(key: &Key, head: [u8; 5]) -> Vec<u8> {
    let length = u32::try_from(key.as_bytes().len()).unwrap_or(u32::MAX);
    let mut place = Vec::with_capacity(4 + key.as_bytes().len() + head.len());
    place.extend_from_slice(&length.to_be_bytes());
    place.extend_from_slice(key.as_bytes());
    place.extend_from_slice(&head);
    place
}

#[expect(clippy::expect_used, reason = "invariant: AES-256 takes exactly 32 bytes")]
fn aead(key: &[u8; 32]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).expect("32 bytes are an AES-256 key"))
}

/// Encrypts a root key under the key of a seal.
pub(super) fn wrap(with: &Secret<[u8; 32]>, root: &Secret<[u8; 32]>, entropy: &Entropy) -> Vec<u8> {
    let mut value = *root.expose();
    // 32 bytes are never too long.
    encrypt(&aead(with.expose()), ROOT, &key::seal(), &mut value, entropy).unwrap_or_default()
}

/// The root key that [`wrap`] encrypted, if this key decrypts it.
pub(super) fn unwrap(with: &Secret<[u8; 32]>, wrapped: &[u8]) -> Option<Secret<[u8; 32]>> {
    let sealed = SealedValue::parse(wrapped).ok()?;
    let plain = Secret::new(sealed.decrypt(&aead(with.expose()), &key::seal()).ok()?);
    plain.expose().as_slice().try_into().ok().map(Secret::new)
}

const FORMAT: u8 = 1;
/// Stands for a key that is not a data key: the root key, or the key of a seal.
const ROOT: u32 = 0;
const OVERHEAD: usize = 5 + 12 + 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_number_of_a_data_key_has_no_successor() {
        let entropy = Entropy::danger_seeded(5);
        let mut record = KeyringRecord::new(&entropy);
        assert_eq!(record.add_key(&entropy), Some(2));
        record.keys.iter_mut().for_each(|key| key.number = u32::MAX);
        assert_eq!(record.add_key(&entropy), None);
    }
}
