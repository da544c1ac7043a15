//! JKS: the key store of Java before 9.
//!
//! The format has no standard; it is what `sun.security.provider.JavaKeyStore` reads: a magic
//! number, a version, entries, and SHA-1 over password, a fixed text and all that precedes.
//! The key is protected by a SHA-1 keystream alone, without a work factor: an attacker who has
//! the file guesses the password quickly. So it is written only on request, never by default.
//! The reader is `src/cli/keystore/jks.rs`.

use aws_lc_rs::digest::{self, SHA1_FOR_LEGACY_USE_ONLY, SHA1_OUTPUT_LEN};
use der::asn1::{AnyRef, ObjectIdentifier, OctetStringRef};
use der::{Encode, Sequence};
use zeroize::Zeroize;

use crate::ca::algorithm_identifier::AlgorithmIdentifierRef;
use crate::ca::keystore::{KeyStoreError, Random, StoreContents, check_alias, utf16};
use crate::ca::pem;
use crate::ca::time::Timestamp;
use crate::secret::Secret;

/// The alias of the key where the caller names none: Vault's default.
pub const DEFAULT_ALIAS: &str = "1";

pub(crate) const MAGIC: u32 = 0xFEED_FEED;
pub(crate) const VERSION: u32 = 2;
pub(crate) const PRIVATE_KEY: u32 = 1;
pub(crate) const TRUSTED_CERTIFICATE: u32 = 2;
/// The text that Java hashes between the password and the content.
const WHITENER: &[u8] = b"Mighty Aphrodite";
/// Sun's own key protector, registered under its enterprise number 42.
pub(crate) const KEY_PROTECTOR: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.3.6.1.4.1.42.2.17.1.1");
pub(crate) const SALT: usize = SHA1_OUTPUT_LEN;

/// A key under Sun's protector: PKCS#8's EncryptedPrivateKeyInfo.
#[derive(Sequence)]
pub(crate) struct ProtectedKey<'a> {
    pub(crate) algorithm: AlgorithmIdentifierRef<'a>,
    pub(crate) data: &'a OctetStringRef,
}

/// Writes a key store with one private key entry, or trusted entries `1`, `2`, … where there is
/// no key. The alias is written in lower case: Java converts the alias that it looks up to lower
/// case, but not the one that it loads.
///
/// # Errors
/// [`KeyStoreError::Alias`], [`KeyStoreError::Key`], [`KeyStoreError::TooLarge`].
pub fn key_store(
    contents: StoreContents<'_>,
    alias: &str,
    password: &Secret<String>,
    now: Timestamp,
    random: Random<'_>,
) -> Result<Vec<u8>, KeyStoreError> {
    check_alias(alias)?;
    let Some(key) = contents.key else {
        return trust_store(&contents.certificates().collect::<Vec<_>>(), password, now);
    };
    let password = utf16(password.expose());
    let protected = protect(&pem::pkcs8_version_1(key.expose())?, &password, random)?;
    let mut writer = Writer::new(1);
    writer.number(PRIVATE_KEY);
    writer.text(&alias.to_lowercase())?;
    writer.instant(now);
    writer.bytes(&protected)?;
    writer.number(count(contents.certificates().count())?);
    for certificate in contents.certificates() {
        writer.certificate(certificate)?;
    }
    Ok(writer.finish(&password))
}

/// Writes a trust store whose entries are called `1`, `2`, ….
///
/// # Errors
/// [`KeyStoreError::Empty`], [`KeyStoreError::TooLarge`].
pub fn trust_store(
    roots: &[&[u8]],
    password: &Secret<String>,
    now: Timestamp,
) -> Result<Vec<u8>, KeyStoreError> {
    if roots.is_empty() {
        return Err(KeyStoreError::Empty);
    }
    let mut writer = Writer::new(count(roots.len())?);
    for (position, root) in roots.iter().enumerate() {
        writer.number(TRUSTED_CERTIFICATE);
        writer.text(&(position + 1).to_string())?;
        writer.instant(now);
        writer.certificate(root)?;
    }
    Ok(writer.finish(&utf16(password.expose())))
}

/// The digest at the end of a store: SHA-1 over password, a fixed text and the content.
pub(crate) fn integrity_digest(content: &[u8], password: &[u8]) -> [u8; SHA1_OUTPUT_LEN] {
    sha1(&[password, WHITENER, content])
}

/// SHA-1 over the parts, one after the other.
pub(crate) fn sha1(parts: &[&[u8]]) -> [u8; SHA1_OUTPUT_LEN] {
    let mut context = digest::Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
    for part in parts {
        context.update(part);
    }
    let mut output = [0; SHA1_OUTPUT_LEN];
    output.copy_from_slice(context.finish().as_ref());
    output
}

/// XORs the keystream of Sun's protector over `data`: block *i* is SHA-1(password, block *i−1*),
/// block 0 is the salt.
pub(crate) fn apply_keystream(data: &mut [u8], password: &[u8], salt: &[u8; SALT]) {
    let mut block = *salt;
    for chunk in data.chunks_mut(SHA1_OUTPUT_LEN) {
        block = sha1(&[password, &block]);
        for (byte, mask) in chunk.iter_mut().zip(block) {
            *byte ^= mask;
        }
    }
    block.zeroize();
}

fn protect(key: &[u8], password: &[u8], random: Random<'_>) -> Result<Vec<u8>, KeyStoreError> {
    let mut salt = [0; SALT];
    random(&mut salt);
    let check = sha1(&[password, key]);
    // The buffer has its full size from the start, so no plain copy of the key is left behind.
    let mut data = Vec::with_capacity(SALT + key.len() + check.len());
    data.extend_from_slice(&salt);
    data.extend_from_slice(key);
    data.extend_from_slice(&check);
    if let Some(hidden) = data.get_mut(SALT..SALT + key.len()) {
        apply_keystream(hidden, password, &salt);
    }
    let algorithm = AlgorithmIdentifierRef { oid: KEY_PROTECTOR, parameters: Some(AnyRef::NULL) };
    Ok(ProtectedKey { algorithm, data: OctetStringRef::new(&data)? }.to_der()?)
}

fn count(length: usize) -> Result<u32, KeyStoreError> {
    u32::try_from(length).map_err(|_| KeyStoreError::TooLarge)
}

/// Writes numbers and texts like Java's `DataOutputStream`.
struct Writer(Vec<u8>);

impl Writer {
    fn new(entries: u32) -> Self {
        let mut writer = Self(Vec::with_capacity(4096));
        writer.number(MAGIC);
        writer.number(VERSION);
        writer.number(entries);
        writer
    }

    fn number(&mut self, number: u32) {
        self.0.extend_from_slice(&number.to_be_bytes());
    }

    /// Milliseconds since the Unix epoch.
    fn instant(&mut self, instant: Timestamp) {
        let milliseconds = instant.unix().saturating_mul(1000);
        self.0.extend_from_slice(&milliseconds.to_be_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) -> Result<(), KeyStoreError> {
        self.number(count(bytes.len())?);
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn certificate(&mut self, certificate: &[u8]) -> Result<(), KeyStoreError> {
        self.text("X.509")?;
        self.bytes(certificate)
    }

    /// Java's modified UTF-8: each UTF-16 unit separately, and NUL in two bytes.
    fn text(&mut self, text: &str) -> Result<(), KeyStoreError> {
        let mut bytes = Vec::with_capacity(text.len());
        for unit in text.encode_utf16() {
            let [high, low] = unit.to_be_bytes();
            match unit {
                0x0001..=0x007f => bytes.push(low),
                0 | 0x0080..=0x07ff => {
                    bytes
                        .extend_from_slice(&[0xc0 | (high << 2) | (low >> 6), 0x80 | (low & 0x3f)]);
                }
                0x0800.. => bytes.extend_from_slice(&[
                    0xe0 | (high >> 4),
                    0x80 | ((high & 0x0f) << 2) | (low >> 6),
                    0x80 | (low & 0x3f),
                ]),
            }
        }
        let length = u16::try_from(bytes.len()).map_err(|_| KeyStoreError::TooLarge)?;
        self.0.extend_from_slice(&length.to_be_bytes());
        self.0.extend_from_slice(&bytes);
        Ok(())
    }

    fn finish(mut self, password: &[u8]) -> Vec<u8> {
        let digest = integrity_digest(&self.0, password);
        self.0.extend_from_slice(&digest);
        self.0
    }
}

#[cfg(test)]
mod tests;
