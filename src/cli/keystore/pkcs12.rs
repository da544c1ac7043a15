//! Opens PKCS#12 archives with the crate `p12-keystore`, after the outer structure was checked
//! here. PBMAC1 (RFC 9579), which the crate does not know, is verified here; the crate then
//! receives the archive without its MAC.

use std::num::NonZeroU32;

use aws_lc_rs::{hmac, pbkdf2};
use der::asn1::{AnyRef, ObjectIdentifier, OctetStringRef};
use der::{Decode, Encode, Reader, SliceReader, Tag, Tagged};
use p12_keystore::error::Error;
use p12_keystore::{CertificateBag, Pkcs12Archive, PrivateKeyBag};
use zeroize::Zeroizing;

use super::algorithms::{Algorithm, Derivation};
use super::opened::{CertificateEntry, KeyEntry, KeyStoreOpenError, Opened, OtherFile};
use super::order;
use crate::ca::certificate::{Certificate, CertificateFields};
use crate::ca::keystore::{MAX_ARCHIVE, StoreContents};
use crate::ca::pkcs12::shape::{
    ContentInfo, DATA, ENCRYPTED_DATA, EncryptedData, EncryptedKey, FRIENDLY_NAME, HMAC_SHA1,
    HMAC_SHA256, HMAC_SHA384, HMAC_SHA512, MacData, PBMAC1, Pbmac1Parameters, Pfx,
    SHROUDED_KEY_BAG, SafeBag,
};
use crate::secret::Secret;

/// The most iterations of one key derivation; the limit of `p12-keystore` too. Java before 8u301
/// wrote 150,000.
pub(super) const MAX_ITERATIONS: u32 = 1_000_000;

const KEY_BAG: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.10.1.1");

/// What can be read of an archive without its password.
#[derive(Debug, Default)]
pub(super) struct Outline {
    pub(super) mac: Option<Algorithm>,
    /// The ciphers of the encrypted parts, each once, with the name of the part.
    pub(super) ciphers: Vec<(&'static str, Algorithm)>,
    /// Whether a private key is stored without encryption of its own.
    pub(super) has_plain_key: bool,
    /// The names of the keys outside encrypted parts, in their order.
    names: Vec<Option<String>>,
}

impl Outline {
    fn algorithms(&self) -> impl Iterator<Item = &Algorithm> {
        self.mac.iter().chain(self.ciphers.iter().map(|(_, cipher)| cipher))
    }

    fn add(&mut self, part: &'static str, cipher: Algorithm) {
        let cipher = (part, cipher);
        if !self.ciphers.contains(&cipher) {
            self.ciphers.push(cipher);
        }
    }
}

/// Opens an archive whose MAC and parts have one password. An archive without a MAC is opened too.
///
/// # Errors
/// Any [`KeyStoreOpenError`].
pub fn open(archive: &[u8], password: &Secret<String>) -> Result<Opened, KeyStoreOpenError> {
    let pfx = read(archive)?;
    let outline = outline(&pfx)?;
    open_as(archive, &pfx, &outline, password)
}

/// The same for an archive that [`read`] and [`outline`] read before.
pub(super) fn open_as(
    archive: &[u8],
    pfx: &Pfx<'_>,
    outline: &Outline,
    password: &Secret<String>,
) -> Result<Opened, KeyStoreOpenError> {
    let password = password.expose();
    // RFC 7292, B.1: the password is a BMPString, which holds no other characters.
    let is_bmp = password.chars().all(|character| u32::from(character) < 0xffff);
    if !is_bmp && outline.algorithms().any(|algorithm| algorithm.takes_bmp) {
        return Err(KeyStoreOpenError::Unsupported("algorithms that take no password with characters outside the Basic Multilingual Plane (RFC 7292, B.1)".to_owned()));
    }
    let without_mac;
    let archive = match &pfx.mac {
        Some(mac) if mac.mac.algorithm.oid == PBMAC1 => {
            verify_pbmac1(mac, content(pfx.safes.content)?, password)?;
            let safes = ContentInfo { kind: pfx.safes.kind, content: pfx.safes.content };
            without_mac =
                Pfx { version: pfx.version, safes, mac: None }.to_der().map_err(damaged)?;
            &without_mac
        }
        _ => archive,
    };
    let found = Pkcs12Archive::from_pkcs12(archive, password)
        .map_err(|error| cause(&error, pfx.mac.is_some()))?;
    Ok(sorted(found, outline))
}

fn damaged(error: der::Error) -> KeyStoreOpenError {
    KeyStoreOpenError::Malformed(error.to_string())
}

/// The outer structure of an archive.
///
/// # Errors
/// What is not an archive of version 3 in DER, by the form that it has instead.
pub(super) fn read(archive: &[u8]) -> Result<Pfx<'_>, KeyStoreOpenError> {
    if archive.len() > MAX_ARCHIVE {
        return Err(KeyStoreOpenError::TooLarge);
    }
    match declared_length(archive) {
        Declared::Longer => return Err(KeyStoreOpenError::Truncated),
        Declared::Shorter => {
            return Err(KeyStoreOpenError::Malformed("bytes follow its end".to_owned()));
        }
        Declared::Indefinite => {
            return Err(KeyStoreOpenError::Unsupported(
                "BER with indefinite lengths instead of DER".to_owned(),
            ));
        }
        Declared::Exact => {}
        Declared::Other => return Err(KeyStoreOpenError::OtherFile(OtherFile::Unknown)),
    }
    let pfx = match Pfx::from_der(archive) {
        Ok(pfx) => pfx,
        Err(_) if CertificateFields::read(archive).is_ok() => {
            return Err(KeyStoreOpenError::OtherFile(OtherFile::Certificate));
        }
        // Every archive begins with its version, 3 (RFC 7292, section 4).
        Err(_) if !begins_with_version(archive) => {
            return Err(KeyStoreOpenError::OtherFile(OtherFile::Unknown));
        }
        Err(error) => return Err(damaged(error)),
    };
    if pfx.version != 3 {
        return Err(KeyStoreOpenError::Unsupported(format!("version {} of PKCS#12", pfx.version)));
    }
    if pfx.safes.kind != DATA {
        return Err(KeyStoreOpenError::Unsupported("a signature instead of a password".to_owned()));
    }
    Ok(pfx)
}

fn begins_with_version(archive: &[u8]) -> bool {
    let outer = AnyRef::from_der(archive);
    outer.is_ok_and(|outer| outer.value().starts_with(&[2, 1, 3]))
}

/// The length that the first element declares, against the length of the file.
enum Declared {
    Exact,
    Longer,
    Shorter,
    Indefinite,
    Other,
}

fn declared_length(archive: &[u8]) -> Declared {
    let (first, rest) = match archive {
        [0x30, 0x80, ..] => return Declared::Indefinite,
        [0x30, first, rest @ ..] => (*first, rest),
        [0x30] => return Declared::Longer,
        _ => return Declared::Other,
    };
    let (declared, present) = if first < 0x80 {
        (u64::from(first), rest.len())
    } else {
        let count = usize::from(first & 0x7f);
        let Some((length, content)) = rest.split_at_checked(count) else {
            return Declared::Longer;
        };
        if count > 4 {
            return Declared::Other;
        }
        let length = length.iter().fold(0, |sum, byte| (sum << 8) | u64::from(*byte));
        (length, content.len())
    };
    match declared.cmp(&(present as u64)) {
        std::cmp::Ordering::Equal => Declared::Exact,
        std::cmp::Ordering::Greater => Declared::Longer,
        std::cmp::Ordering::Less => Declared::Shorter,
    }
}

fn content(any: AnyRef<'_>) -> Result<&[u8], KeyStoreOpenError> {
    Ok(any.decode_as::<&OctetStringRef>().map_err(damaged)?.as_bytes())
}

/// The elements of a SEQUENCE OF.
fn each<'a, T: Decode<'a, Error = der::Error>>(der: &'a [u8]) -> Result<Vec<T>, der::Error> {
    let outer = AnyRef::from_der(der)?;
    outer.tag().assert_eq(Tag::Sequence)?;
    let mut reader = SliceReader::new(outer.value())?;
    let mut elements = Vec::new();
    while !reader.is_finished() {
        elements.push(T::decode(&mut reader)?);
    }
    Ok(elements)
}

/// MAC and ciphers of an archive; each must be read here and stay within the limit.
///
/// # Errors
/// [`KeyStoreOpenError::Unsupported`], [`KeyStoreOpenError::TooCostly`], [`KeyStoreOpenError::Malformed`].
pub(super) fn outline(pfx: &Pfx<'_>) -> Result<Outline, KeyStoreOpenError> {
    let mut outline =
        Outline { mac: pfx.mac.as_ref().map(Algorithm::of_mac), ..Outline::default() };
    for safe in each::<ContentInfo<'_>>(content(pfx.safes.content)?).map_err(damaged)? {
        match safe.kind {
            DATA => outline_bags(&mut outline, content(safe.content)?)?,
            ENCRYPTED_DATA => {
                let data = safe.content.decode_as::<EncryptedData<'_>>().map_err(damaged)?;
                outline.add("Encrypted part", Algorithm::of_cipher(data.content.algorithm));
            }
            other => {
                return Err(KeyStoreOpenError::Unsupported(format!("a part of the kind {other}")));
            }
        }
    }
    for algorithm in outline.algorithms() {
        if algorithm.iterations.is_some_and(|iterations| iterations > MAX_ITERATIONS) {
            return Err(KeyStoreOpenError::TooCostly(algorithm.iterations));
        }
        if !algorithm.is_read {
            return Err(KeyStoreOpenError::Unsupported(format!(
                "the algorithm {}",
                algorithm.name
            )));
        }
    }
    Ok(outline)
}

fn outline_bags(outline: &mut Outline, bags: &[u8]) -> Result<(), KeyStoreOpenError> {
    for bag in each::<SafeBag<'_>>(bags).map_err(damaged)? {
        match bag.kind {
            SHROUDED_KEY_BAG => {
                let key = bag.value.decode_as::<EncryptedKey<'_>>().map_err(damaged)?;
                outline.add("Private key", Algorithm::of_cipher(key.algorithm));
                outline.names.push(friendly_name(&bag));
            }
            KEY_BAG => {
                outline.has_plain_key = true;
                outline.names.push(friendly_name(&bag));
            }
            _ => {}
        }
    }
    Ok(())
}

/// The name of a bag. `p12-keystore` drops names with characters outside the Basic Multilingual
/// Plane, which Java writes as surrogate pairs.
fn friendly_name(bag: &SafeBag<'_>) -> Option<String> {
    let attributes = bag.attributes.as_ref()?;
    let name = attributes.iter().find(|attribute| attribute.kind == FRIENDLY_NAME)?;
    let name = name.values.get(0)?;
    let (pairs, rest) = name.value().as_chunks::<2>();
    let units: Vec<u16> = pairs.iter().copied().map(u16::from_be_bytes).collect();
    (name.tag() == Tag::BmpString && rest.is_empty()).then(|| String::from_utf16(&units).ok())?
}

/// RFC 9579, section 5: HMAC over the content under a key from PBKDF2.
fn verify_pbmac1(
    mac: &MacData<'_>,
    content: &[u8],
    password: &str,
) -> Result<(), KeyStoreOpenError> {
    let wrong = |what: &str| KeyStoreOpenError::Malformed(format!("PBMAC1 {what}"));
    let parameters = mac.mac.algorithm.parameters.ok_or_else(|| wrong("has no parameters"))?;
    let parameters = parameters.decode_as::<Pbmac1Parameters<'_>>().map_err(damaged)?;
    let derivation = Derivation::read(parameters.derivation)
        .ok_or_else(|| KeyStoreOpenError::Unsupported("PBMAC1 without PBKDF2".to_owned()))?;
    let function = match derivation.function {
        "HMAC-SHA-1" => pbkdf2::PBKDF2_HMAC_SHA1,
        "HMAC-SHA-256" => pbkdf2::PBKDF2_HMAC_SHA256,
        "HMAC-SHA-384" => pbkdf2::PBKDF2_HMAC_SHA384,
        "HMAC-SHA-512" => pbkdf2::PBKDF2_HMAC_SHA512,
        other => return Err(KeyStoreOpenError::Unsupported(format!("PBMAC1 under {other}"))),
    };
    let algorithm = match parameters.mac.oid {
        HMAC_SHA1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        HMAC_SHA256 => hmac::HMAC_SHA256,
        HMAC_SHA384 => hmac::HMAC_SHA384,
        HMAC_SHA512 => hmac::HMAC_SHA512,
        other => return Err(KeyStoreOpenError::Unsupported(format!("PBMAC1 with {other}"))),
    };
    let rounds = NonZeroU32::new(derivation.iterations).ok_or_else(|| wrong("iterates never"))?;
    // The key's length must be given (RFC 9579, section 5); no digest has more than 64 bytes.
    let length = derivation.key_length.and_then(|length| usize::try_from(length).ok());
    let length = length.filter(|length| (1..=64).contains(length));
    let mut key = Zeroizing::new([0; 64]);
    let key = length
        .and_then(|length| key.get_mut(..length))
        .ok_or_else(|| wrong("has a key of an unknown length"))?;
    pbkdf2::derive(function, rounds, derivation.salt, password.as_bytes(), key);
    hmac::verify(&hmac::Key::new(algorithm, key), content, mac.mac.digest.as_bytes())
        .map_err(|_| KeyStoreOpenError::Password)
}

/// What an error of `p12-keystore` means for the archive.
fn cause(error: &Error, has_mac: bool) -> KeyStoreOpenError {
    match error {
        Error::MacError(_) => KeyStoreOpenError::Password,
        Error::InvalidParameters => KeyStoreOpenError::TooCostly(None),
        // The MAC proves the password of the archive, so a part has another one.
        Error::Pkcs5Error(_) | Error::UnpadError if has_mac => {
            KeyStoreOpenError::Unsupported("a part with another password than its MAC".to_owned())
        }
        // Without a MAC, a wrong password shows as padding or content that is wrong.
        _ if !has_mac => KeyStoreOpenError::Password,
        Error::UnsupportedEncryptionScheme => {
            KeyStoreOpenError::Unsupported("an algorithm that is not known here".to_owned())
        }
        Error::UnsupportedCertificateType => {
            KeyStoreOpenError::Unsupported("a certificate that is not X.509".to_owned())
        }
        Error::X509Error(_) => {
            KeyStoreOpenError::Malformed("one of its certificates cannot be read".to_owned())
        }
        other => KeyStoreOpenError::Malformed(other.to_string()),
    }
}

fn sorted(found: Pkcs12Archive, outline: &Outline) -> Opened {
    let Pkcs12Archive { keys, certs, secrets } = found;
    let (trusted, rest): (Vec<_>, Vec<_>) = certs.into_iter().partition(|bag| bag.trusted);
    let mut used = vec![false; rest.len()];
    let mut opened = Opened::default();
    let names = Some(&outline.names).filter(|names| names.len() == keys.len());
    let is_only = keys.len() == 1;
    for (position, key) in keys.into_iter().enumerate() {
        let leaf = leaf_of(&key, &rest, is_only);
        let chain = leaf.map_or_else(Vec::new, |leaf| chain_of(leaf, &rest, is_only));
        for member in &chain {
            if let Some(used) = used.get_mut(*member) {
                *used = true;
            }
        }
        let name = names.and_then(|names| names.get(position).cloned().flatten());
        opened.keys.push(KeyEntry {
            alias: key.friendly_name.or(name).unwrap_or_default(),
            key: Some(Secret::new(key.key.as_der().to_vec())),
            leaf_first: leaf.is_none_or(|leaf| chain.iter().all(|member| *member >= leaf)),
            chain: chain.iter().filter_map(|at| rest.get(*at)).map(der_of).collect(),
            created: None,
        });
    }
    opened.trusted = trusted.iter().map(entry).collect();
    let unused = rest.iter().zip(used).filter(|(_, used)| !used);
    opened.unmarked = unused.map(|(bag, _)| entry(bag)).collect();
    let aliases = secrets.into_iter().map(|secret| secret.friendly_name.unwrap_or_default());
    opened.secret_keys = aliases.collect();
    opened
}

fn der_of(bag: &CertificateBag) -> Vec<u8> {
    bag.cert.as_der().to_vec()
}

fn entry(bag: &CertificateBag) -> CertificateEntry {
    CertificateEntry {
        alias: bag.friendly_name.clone().unwrap_or_default(),
        certificate: der_of(bag),
        created: None,
    }
}

/// The position of the key's certificate: the one with its `localKeyId`, else the one of its
/// public key if it is the only key.
fn leaf_of(key: &PrivateKeyBag, certificates: &[CertificateBag], is_only: bool) -> Option<usize> {
    if let Some(id) = &key.local_key_id {
        let linked = |bag: &CertificateBag| bag.local_key_id.as_deref() == Some(id.as_ref());
        if let Some(leaf) = certificates.iter().position(linked) {
            return Some(leaf);
        }
    }
    let secret = Secret::new(key.key.as_der().to_vec());
    let belongs = |bag: &CertificateBag| {
        let leaf = bag.cert.as_der();
        StoreContents { key: Some(&secret), leaf, chain: &[] }.is_consistent() == Ok(true)
    };
    is_only.then(|| certificates.iter().position(belongs))?
}

/// The positions of a chain. A single key has all certificates; each of several keys has those that
/// lead to its root.
fn chain_of(leaf: usize, certificates: &[CertificateBag], is_only: bool) -> Vec<usize> {
    let others = (0..certificates.len()).filter(|position| *position != leaf);
    let all: Vec<usize> = std::iter::once(leaf).chain(others).collect();
    if is_only {
        return all;
    }
    let parsed: Vec<(usize, Certificate)> = all
        .iter()
        .filter_map(|at| {
            Some((*at, Certificate::parse(certificates.get(*at)?.cert.as_der()).ok()?))
        })
        .collect();
    if parsed.first().is_none_or(|(first, _)| *first != leaf) {
        return vec![leaf];
    }
    order::path_of(&parsed)
}
