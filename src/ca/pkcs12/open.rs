//! Reads an archive back: ours, and what others write in DER with the same algorithms.

use der::asn1::{AnyRef, ObjectIdentifier, OctetStringRef};
use der::{Decode, Reader, SliceReader, Tag, Tagged};

use super::cipher::decrypt;
use super::derivation::Password;
use super::integrity::verify;
use super::shape::{
    CERTIFICATE_BAG, CertificateBag, ContentInfo, DATA, ENCRYPTED_DATA, EncryptedData,
    EncryptedKey, FRIENDLY_NAME, LOCAL_KEY_ID, Pfx, SHROUDED_KEY_BAG, SafeBag, TRUSTED_KEY_USAGE,
    X509_CERTIFICATE,
};
use crate::ca::keystore::{KeyEntry, KeyStoreError, MAX_ARCHIVE, Opened, TrustedEntry};
use crate::secret::Secret;

/// A certificate bag, before it is known to which key it belongs.
struct Certificate {
    der: Vec<u8>,
    alias: Option<String>,
    link: Option<Vec<u8>>,
    trusted: bool,
}

struct Key {
    der: Secret<Vec<u8>>,
    alias: Option<String>,
    link: Option<Vec<u8>>,
}

#[derive(Default)]
pub(super) struct Bags {
    certificates: Vec<Certificate>,
    keys: Vec<Key>,
}

/// Opens an archive with the password of its seal and its bags. The seal is checked before
/// anything is decrypted; an archive without one is refused.
///
/// Certificates that belong to no key and are not marked as trusted follow the leaf of the one
/// key; with several keys or none they are left out, as Java does.
///
/// # Errors
/// [`KeyStoreError::Malformed`], [`KeyStoreError::Password`], [`KeyStoreError::Unsupported`],
/// [`KeyStoreError::TooCostly`], [`KeyStoreError::TooLarge`].
pub fn open(archive: &[u8], password: &Secret<String>) -> Result<Opened, KeyStoreError> {
    if archive.len() > MAX_ARCHIVE {
        return Err(KeyStoreError::TooLarge);
    }
    let mut password = Password::new(password);
    let pfx = Pfx::from_der(archive)?;
    if pfx.version != 3 || pfx.safes.kind != DATA {
        return Err(KeyStoreError::Unsupported);
    }
    let content = octets(pfx.safes.content)?;
    let mac = pfx.mac.ok_or(KeyStoreError::Unsupported)?;
    verify(&mac, content, &mut password)?;

    let mut bags = Bags::default();
    for safe in each::<ContentInfo<'_>>(content)? {
        match safe.kind {
            DATA => bags.read(octets(safe.content)?, &mut password)?,
            ENCRYPTED_DATA => {
                let data = safe.content.decode_as::<EncryptedData<'_>>()?;
                let (algorithm, bytes) = (data.content.algorithm, data.content.bytes);
                bags.read(&decrypt(algorithm, bytes.as_bytes(), &mut password)?, &mut password)?;
            }
            _ => return Err(KeyStoreError::Unsupported),
        }
    }
    Ok(bags.sorted())
}

fn octets(content: AnyRef<'_>) -> Result<&[u8], KeyStoreError> {
    Ok(content.decode_as::<&OctetStringRef>()?.as_bytes())
}

/// The elements of a SEQUENCE OF.
fn each<'a, T: Decode<'a, Error = der::Error>>(der: &'a [u8]) -> Result<Vec<T>, KeyStoreError> {
    let outer = AnyRef::from_der(der)?;
    if outer.tag() != Tag::Sequence {
        return Err(KeyStoreError::Malformed);
    }
    let mut reader = SliceReader::new(outer.value())?;
    let mut elements = Vec::new();
    while !reader.is_finished() {
        elements.push(T::decode(&mut reader)?);
    }
    Ok(elements)
}

impl Bags {
    pub(super) fn read(
        &mut self,
        safe: &[u8],
        password: &mut Password<'_>,
    ) -> Result<(), KeyStoreError> {
        for bag in each::<SafeBag<'_>>(safe)? {
            let alias = friendly_name(&bag)?;
            let link = match value(&bag, LOCAL_KEY_ID) {
                Some(link) => Some(octets(link)?.to_vec()),
                None => None,
            };
            match bag.kind {
                SHROUDED_KEY_BAG => {
                    let key = bag.value.decode_as::<EncryptedKey<'_>>()?;
                    let mut plain = decrypt(key.algorithm, key.bytes.as_bytes(), password)?;
                    let der = Secret::new(std::mem::take(&mut *plain));
                    self.keys.push(Key { der, alias, link });
                }
                CERTIFICATE_BAG => {
                    let certificate = bag.value.decode_as::<CertificateBag<'_>>()?;
                    if certificate.kind != X509_CERTIFICATE {
                        return Err(KeyStoreError::Unsupported);
                    }
                    let der = certificate.certificate.as_bytes().to_vec();
                    let trusted = value(&bag, TRUSTED_KEY_USAGE).is_some();
                    self.certificates.push(Certificate { der, alias, link, trusted });
                }
                _ => return Err(KeyStoreError::Unsupported),
            }
        }
        Ok(())
    }

    fn sorted(self) -> Opened {
        let mut opened = Opened::default();
        let alone = self.keys.len() == 1;
        for key in self.keys {
            let belongs =
                |certificate: &&Certificate| key.link.is_some() && certificate.link == key.link;
            let leaf = self.certificates.iter().filter(belongs);
            let others = self
                .certificates
                .iter()
                .filter(|certificate| alone && !certificate.trusted && !belongs(certificate));
            let chain = leaf.chain(others).map(|certificate| certificate.der.clone()).collect();
            let alias = key.alias.unwrap_or_default();
            opened.keys.push(KeyEntry { alias, key: key.der, chain });
        }
        opened.trusted = self
            .certificates
            .into_iter()
            .filter(|certificate| certificate.trusted)
            .map(|certificate| TrustedEntry {
                alias: certificate.alias.unwrap_or_default(),
                certificate: certificate.der,
            })
            .collect();
        opened
    }
}

/// The first value of the bag's attribute.
fn value<'a>(bag: &SafeBag<'a>, kind: ObjectIdentifier) -> Option<AnyRef<'a>> {
    let attribute = bag.attributes.as_ref()?.iter().find(|attribute| attribute.kind == kind)?;
    attribute.values.get(0).copied()
}

fn friendly_name(bag: &SafeBag<'_>) -> Result<Option<String>, KeyStoreError> {
    let Some(name) = value(bag, FRIENDLY_NAME) else {
        return Ok(None);
    };
    if name.tag() != Tag::BmpString || name.value().len() % 2 != 0 {
        return Err(KeyStoreError::Malformed);
    }
    let units: Vec<u16> = name
        .value()
        .chunks_exact(2)
        .filter_map(|pair| pair.try_into().ok().map(u16::from_be_bytes))
        .collect();
    String::from_utf16(&units).map(Some).map_err(|_| KeyStoreError::Malformed)
}
