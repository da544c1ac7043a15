//! Reads JKS, which `src/ca/jks.rs` describes and writes.

use aws_lc_rs::digest::SHA1_OUTPUT_LEN;
use der::Decode;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::opened::{CertificateEntry, KeyEntry, KeyStoreOpenError, Opened};
use crate::ca::jks::{
    KEY_PROTECTOR, MAGIC, PRIVATE_KEY, ProtectedKey, SALT, TRUSTED_CERTIFICATE, VERSION,
    apply_keystream, integrity_digest, sha1,
};
use crate::ca::keystore::{MAX_ARCHIVE, utf16};
use crate::ca::time::Timestamp;
use crate::secret::Secret;

/// Opens a store with its password. A key with another password is not decrypted, the rest is read.
///
/// # Errors
/// Any [`KeyStoreOpenError`]. The structure is checked before the password, since it is not encrypted.
pub fn open(store: &[u8], password: &Secret<String>) -> Result<Opened, KeyStoreOpenError> {
    if store.len() > MAX_ARCHIVE {
        return Err(KeyStoreOpenError::TooLarge);
    }
    let (content, found) =
        store.split_last_chunk::<SHA1_OUTPUT_LEN>().ok_or(KeyStoreOpenError::Truncated)?;
    let entries = entries(content)?;
    let password = utf16(password.expose());
    if !bool::from(integrity_digest(content, &password).ct_eq(found)) {
        return Err(KeyStoreOpenError::Password);
    }
    let mut opened = Opened::default();
    for entry in entries {
        let created = Some(entry.created);
        let alias = entry.alias;
        match entry.content {
            Content::Key(protected, chain) => opened.keys.push(KeyEntry {
                alias,
                key: uncover(protected, &password),
                chain: chain.into_iter().map(<[u8]>::to_vec).collect(),
                leaf_first: true,
                created,
            }),
            Content::Trusted(certificate) => opened.trusted.push(CertificateEntry {
                alias,
                certificate: certificate.to_vec(),
                created,
            }),
        }
    }
    Ok(opened)
}

/// An entry as it is in the file.
struct JksEntry<'a> {
    alias: String,
    created: Timestamp,
    content: Content<'a>,
}

enum Content<'a> {
    Key(&'a [u8], Vec<&'a [u8]>),
    Trusted(&'a [u8]),
}

fn entries(content: &[u8]) -> Result<Vec<JksEntry<'_>>, KeyStoreOpenError> {
    let mut reader = JavaReader(content);
    if reader.number()? != MAGIC {
        return Err(KeyStoreOpenError::Malformed(
            "it does not begin with the mark of JKS".to_owned(),
        ));
    }
    match reader.number()? {
        VERSION => {}
        other => return Err(KeyStoreOpenError::Unsupported(format!("version {other} of JKS"))),
    }
    // No capacity in advance: the file may state a wrong number.
    let mut entries = Vec::new();
    for _ in 0..reader.number()? {
        entries.push(reader.entry()?);
    }
    if reader.0.is_empty() {
        Ok(entries)
    } else {
        Err(KeyStoreOpenError::Malformed("bytes follow its last entry".to_owned()))
    }
}

/// The key, or `None` where its password or its protection differs.
fn uncover(protected: &[u8], password: &[u8]) -> Option<Secret<Vec<u8>>> {
    let protected = ProtectedKey::from_der(protected).ok()?;
    if protected.algorithm.oid != KEY_PROTECTOR {
        return None;
    }
    let (salt, rest) = protected.data.as_bytes().split_first_chunk::<SALT>()?;
    let (hidden, check) = rest.split_last_chunk::<SHA1_OUTPUT_LEN>()?;
    let mut key = Zeroizing::new(hidden.to_vec());
    apply_keystream(&mut key, password, salt);
    let is_right = bool::from(sha1(&[password, &key]).ct_eq(check));
    is_right.then(|| Secret::new(std::mem::take(&mut *key)))
}

/// Java's `DataInputStream` over a slice; it never reads past the end.
struct JavaReader<'a>(&'a [u8]);

impl<'a> JavaReader<'a> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], KeyStoreOpenError> {
        let (array, rest) = self.0.split_first_chunk::<N>().ok_or(KeyStoreOpenError::Truncated)?;
        self.0 = rest;
        Ok(*array)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], KeyStoreOpenError> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(KeyStoreOpenError::Truncated)?;
        self.0 = rest;
        Ok(taken)
    }

    fn number(&mut self) -> Result<u32, KeyStoreOpenError> {
        self.array().map(u32::from_be_bytes)
    }

    fn bytes(&mut self) -> Result<&'a [u8], KeyStoreOpenError> {
        let length = usize::try_from(self.number()?).map_err(|_| KeyStoreOpenError::Truncated)?;
        self.take(length)
    }

    fn certificate(&mut self) -> Result<&'a [u8], KeyStoreOpenError> {
        match self.text()?.as_str() {
            "X.509" | "X509" => self.bytes(),
            _ => Err(KeyStoreOpenError::Unsupported("a certificate that is not X.509".to_owned())),
        }
    }

    /// Java's modified UTF-8, which encodes each UTF-16 unit on its own, and NUL in two bytes.
    fn text(&mut self) -> Result<String, KeyStoreOpenError> {
        let wrong = || KeyStoreOpenError::Malformed("a name in it is not Java's UTF-8".to_owned());
        let length = usize::from(u16::from_be_bytes(self.array()?));
        let mut bytes = self.take(length)?.iter().map(|byte| u16::from(*byte));
        let mut units = Vec::with_capacity(length);
        let follow = |bytes: &mut dyn Iterator<Item = u16>| match bytes.next() {
            Some(byte) if byte & 0xc0 == 0x80 => Ok(byte & 0x3f),
            _ => Err(wrong()),
        };
        while let Some(first) = bytes.next() {
            units.push(match first {
                0x00..=0x7f => first,
                0xc0..=0xdf => ((first & 0x1f) << 6) | follow(&mut bytes)?,
                0xe0..=0xef => {
                    let middle = follow(&mut bytes)?;
                    ((first & 0x0f) << 12) | (middle << 6) | follow(&mut bytes)?
                }
                _ => return Err(wrong()),
            });
        }
        String::from_utf16(&units).map_err(|_| wrong())
    }

    fn entry(&mut self) -> Result<JksEntry<'a>, KeyStoreOpenError> {
        let kind = self.number()?;
        let alias = self.text()?;
        let milliseconds = i64::from_be_bytes(self.array()?);
        let created = Timestamp::from_unix(milliseconds.div_euclid(1000));
        let content = match kind {
            PRIVATE_KEY => {
                let key = self.bytes()?;
                let mut chain = Vec::new();
                for _ in 0..self.number()? {
                    chain.push(self.certificate()?);
                }
                Content::Key(key, chain)
            }
            TRUSTED_CERTIFICATE => Content::Trusted(self.certificate()?),
            other => {
                return Err(KeyStoreOpenError::Unsupported(format!("an entry of kind {other}")));
            }
        };
        Ok(JksEntry { alias, created, content })
    }
}
