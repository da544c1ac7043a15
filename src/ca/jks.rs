//! JKS: the key store of Java before 9.
//!
//! The format has no standard; it is what `sun.security.provider.JavaKeyStore` reads: a magic
//! number, a version, entries, and SHA-1 over password, a fixed text and all that precedes.
//! The key is hidden by a SHA-1 keystream alone, without a work factor: whoever holds the file
//! guesses the password quickly. So it is written when it is asked for by name, never by
//! default.

use std::fmt;

use aws_lc_rs::digest::{self, SHA1_FOR_LEGACY_USE_ONLY, SHA1_OUTPUT_LEN};
use der::asn1::{AnyRef, ObjectIdentifier, OctetStringRef};
use der::{Decode, Encode, Sequence};
use subtle::ConstantTimeEq;
use x509_cert::spki::AlgorithmIdentifierRef;
use zeroize::{Zeroize, Zeroizing};

use crate::ca::keystore::{
    KeyEntry, KeyStoreError, MAX_ARCHIVE, Opened, Random, StoreContents, TrustedEntry, check_alias,
    utf16,
};
use crate::ca::pem;
use crate::ca::time::Timestamp;
use crate::secret::Secret;

/// The alias of the key where the caller names none: Vault's default.
pub const DEFAULT_ALIAS: &str = "1";

const MAGIC: u32 = 0xFEED_FEED;
const VERSION: u32 = 2;
const PRIVATE_KEY: u32 = 1;
const TRUSTED_CERTIFICATE: u32 = 2;
/// What Java mixes between the password and the content.
const WHITENER: &[u8] = b"Mighty Aphrodite";
/// Sun's own key protector, registered under its enterprise number 42.
const KEY_PROTECTOR: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.42.2.17.1.1");
const SALT: usize = SHA1_OUTPUT_LEN;

#[derive(Sequence)]
struct ProtectedKey<'a> {
    algorithm: AlgorithmIdentifierRef<'a>,
    data: &'a OctetStringRef,
}

/// Writes a key store with one private key entry, or trusted entries `1`, `2`, … where there is
/// no key. The alias is written in lower case: Java lowers what it looks up, not what it loads.
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
    Ok(writer.seal(&password))
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
    Ok(writer.seal(&utf16(password.expose())))
}

/// Reads a store that [`key_store`], [`trust_store`] or Java wrote with one password for the
/// store and its keys.
///
/// # Errors
/// [`KeyStoreError::Malformed`], [`KeyStoreError::Password`], [`KeyStoreError::Unsupported`].
pub fn open(archive: &[u8], password: &Secret<String>) -> Result<Opened, KeyStoreError> {
    if archive.len() > MAX_ARCHIVE {
        return Err(KeyStoreError::TooLarge);
    }
    let password = utf16(password.expose());
    let (content, seal) =
        archive.split_last_chunk::<SHA1_OUTPUT_LEN>().ok_or(KeyStoreError::Malformed)?;
    let mut reader = Reader(content);
    if reader.number()? != MAGIC {
        return Err(KeyStoreError::Malformed);
    }
    if reader.number()? != VERSION {
        return Err(KeyStoreError::Unsupported);
    }
    if !bool::from(sha1(&[&password, WHITENER, content]).ct_eq(seal)) {
        return Err(KeyStoreError::Password);
    }
    let mut opened = Opened::default();
    for _ in 0..reader.number()? {
        reader.entry(&password, &mut opened)?;
    }
    if reader.0.is_empty() { Ok(opened) } else { Err(KeyStoreError::Malformed) }
}

fn sha1(parts: &[&[u8]]) -> [u8; SHA1_OUTPUT_LEN] {
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
fn apply_keystream(data: &mut [u8], password: &[u8], salt: &[u8; SALT]) {
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

fn uncover(protected: &[u8], password: &[u8]) -> Result<Secret<Vec<u8>>, KeyStoreError> {
    let protected = ProtectedKey::from_der(protected)?;
    if protected.algorithm.oid != KEY_PROTECTOR {
        return Err(KeyStoreError::Unsupported);
    }
    let (salt, rest) =
        protected.data.as_bytes().split_first_chunk::<SALT>().ok_or(KeyStoreError::Malformed)?;
    let (hidden, check) =
        rest.split_last_chunk::<SHA1_OUTPUT_LEN>().ok_or(KeyStoreError::Malformed)?;
    let mut key = Zeroizing::new(hidden.to_vec());
    apply_keystream(&mut key, password, salt);
    if !bool::from(sha1(&[password, &key]).ct_eq(check)) {
        return Err(KeyStoreError::Password);
    }
    Ok(Secret::new(std::mem::take(&mut *key)))
}

fn count(length: usize) -> Result<u32, KeyStoreError> {
    u32::try_from(length).map_err(|_| KeyStoreError::TooLarge)
}

/// Java's `DataOutputStream`.
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

    /// Java's modified UTF-8: each UTF-16 unit by itself, and NUL in two bytes.
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

    fn seal(mut self, password: &[u8]) -> Vec<u8> {
        let seal = sha1(&[password, WHITENER, &self.0]);
        self.0.extend_from_slice(&seal);
        self.0
    }
}

/// Java's `DataInputStream` over a slice that never reads past its end.
struct Reader<'a>(&'a [u8]);

impl fmt::Debug for Reader<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Reader({} bytes left)", self.0.len())
    }
}

impl<'a> Reader<'a> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], KeyStoreError> {
        let (array, rest) = self.0.split_first_chunk::<N>().ok_or(KeyStoreError::Malformed)?;
        self.0 = rest;
        Ok(*array)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], KeyStoreError> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(KeyStoreError::Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    fn number(&mut self) -> Result<u32, KeyStoreError> {
        self.array().map(u32::from_be_bytes)
    }

    fn bytes(&mut self) -> Result<&'a [u8], KeyStoreError> {
        let length = usize::try_from(self.number()?).map_err(|_| KeyStoreError::Malformed)?;
        self.take(length)
    }

    fn certificate(&mut self) -> Result<Vec<u8>, KeyStoreError> {
        match self.text()?.as_str() {
            "X.509" | "X509" => self.bytes().map(<[u8]>::to_vec),
            _ => Err(KeyStoreError::Unsupported),
        }
    }

    fn text(&mut self) -> Result<String, KeyStoreError> {
        let length = usize::from(u16::from_be_bytes(self.array()?));
        let mut bytes = self.take(length)?.iter().map(|byte| u16::from(*byte));
        let mut units = Vec::with_capacity(length);
        let follow = |bytes: &mut dyn Iterator<Item = u16>| match bytes.next() {
            Some(byte) if byte & 0xc0 == 0x80 => Ok(byte & 0x3f),
            _ => Err(KeyStoreError::Malformed),
        };
        while let Some(first) = bytes.next() {
            units.push(match first {
                0x00..=0x7f => first,
                0xc0..=0xdf => ((first & 0x1f) << 6) | follow(&mut bytes)?,
                0xe0..=0xef => {
                    let middle = follow(&mut bytes)?;
                    ((first & 0x0f) << 12) | (middle << 6) | follow(&mut bytes)?
                }
                _ => return Err(KeyStoreError::Malformed),
            });
        }
        String::from_utf16(&units).map_err(|_| KeyStoreError::Malformed)
    }

    fn entry(&mut self, password: &[u8], opened: &mut Opened) -> Result<(), KeyStoreError> {
        let kind = self.number()?;
        let alias = self.text()?;
        let _created = self.array::<8>()?;
        match kind {
            PRIVATE_KEY => {
                let key = uncover(self.bytes()?, password)?;
                let mut chain = Vec::new();
                for _ in 0..self.number()? {
                    chain.push(self.certificate()?);
                }
                opened.keys.push(KeyEntry { alias, key, chain });
            }
            TRUSTED_CERTIFICATE => {
                opened.trusted.push(TrustedEntry { alias, certificate: self.certificate()? });
            }
            _ => return Err(KeyStoreError::Unsupported),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
