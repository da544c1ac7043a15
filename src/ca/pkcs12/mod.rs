//! PKCS#12 key stores and trust stores (RFC 7292), which Java, OpenSSL and NSS load.
//!
//! This module writes the format rather than the crate `p12-keystore`: that crate takes its salts
//! from its own generator, which this layer may not have, and does not write PBMAC1 (RFC 9579). The
//! crate reads archives in the command line (`src/cli/keystore`) and checks those written here in
//! tests.
//!
//! An archive has two safes: the encrypted certificates, then the key in a shrouded bag. The
//! order of the certificates is kept: leaf, its issuer, and so on. `localKeyId` ties the leaf to
//! the key. Each part is encrypted under a salt of its own, and a MAC protects the archive: NSS and
//! Node refuse a store without one, and Java shows it as empty.
//!
//! A password outside ASCII is written as the standards say (UTF-8 for PBES2, BMPString for the
//! MAC) and opens in OpenSSL and Java 25 (`legacy`: in OpenSSL alone); Java up to 21 refuses such
//! a password for every PKCS#12 file, also its own.

mod cipher;
mod derivation;
mod integrity;
pub(crate) mod shape;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use der::asn1::{AnyRef, ObjectIdentifier, OctetStringRef, SetOfVec};
use der::{Decode, Encode, Tag, Tagged};

use crate::ca::keystore::{KeyStoreError, MAX_ARCHIVE, Random, StoreContents, check_alias, utf16};
use crate::ca::pem;
use crate::secret::Secret;
use cipher::Scheme;
use derivation::{KdfHash, Password};
use integrity::Integrity;
use shape::{
    ANY_EXTENDED_KEY_USAGE, BagAttribute, CERTIFICATE_BAG, CertificateBag, ContentInfo, DATA,
    ENCRYPTED_DATA, EncryptedContent, EncryptedData, EncryptedKey, FRIENDLY_NAME, LOCAL_KEY_ID,
    MacData, Pfx, SHROUDED_KEY_BAG, SafeBag, TRUSTED_KEY_USAGE, X509_CERTIFICATE,
};

/// Iterations of `auto` and `legacy`: what Java itself writes since 16. Measured on a core with SHA
/// instructions, one archive with a key costs 4 ms (`legacy`: 9 ms); the modern ones 1 ms.
pub const ITERATIONS: u32 = 10_000;

/// Iterations of `modern2023` and `modern2026`: as in the Go encoders of these
/// names.
pub const MODERN_ITERATIONS: u32 = 2_048;

/// Which algorithms an archive is written with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Encoder {
    /// AES-256-CBC under PBKDF2 with HMAC-SHA-256, and an HMAC-SHA-256: what `keytool`
    /// itself writes since Java 16, and every updated Java since 8u301, 11.0.12 and 16 reads
    /// (JDK-8076190 was backported to 8u301). Only Java 8 that was not updated since July
    /// 2021 needs `Legacy`. OpenSSL since 1.0 and NSS read it too.
    #[default]
    Auto,
    /// `Auto` with PBMAC1 (RFC 9579): Java 26, OpenSSL 3.4. Vault's default.
    Modern2026,
    /// `Auto` with fewer iterations: the same structure as Vault's encoder of this name.
    Modern2023,
    /// Triple DES and an HMAC-SHA-1: Java 8 before 8u301 and other software of that age. OpenSSL 3
    /// reads it only with `-legacy`.
    Legacy,
}

impl Encoder {
    /// The encoder of this name on the wire.
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "auto" => Self::Auto,
            "modern2026" => Self::Modern2026,
            "modern2023" => Self::Modern2023,
            "legacy" => Self::Legacy,
            _ => return None,
        })
    }

    /// Its name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Modern2026 => "modern2026",
            Self::Modern2023 => "modern2023",
            Self::Legacy => "legacy",
        }
    }

    const fn scheme(self) -> Scheme {
        match self {
            Self::Auto => Scheme::Aes256 { iterations: ITERATIONS },
            Self::Legacy => Scheme::TripleDes { iterations: ITERATIONS },
            Self::Modern2026 | Self::Modern2023 => Scheme::Aes256 { iterations: MODERN_ITERATIONS },
        }
    }

    const fn integrity(self) -> Integrity {
        match self {
            Self::Auto => Integrity::Classic { hash: KdfHash::Sha256, iterations: ITERATIONS },
            Self::Legacy => Integrity::Classic { hash: KdfHash::Sha1, iterations: ITERATIONS },
            Self::Modern2026 => Integrity::Pbmac1 { iterations: MODERN_ITERATIONS },
            Self::Modern2023 => {
                Integrity::Classic { hash: KdfHash::Sha256, iterations: MODERN_ITERATIONS }
            }
        }
    }
}

/// Writes a key store: the key under `alias`, its certificate and the chain.
///
/// Without a key the store holds the certificates alone, as trusted entries `1`, `2`, …: a
/// certificate without a key that is not marked so is invisible to Java.
///
/// # Errors
/// [`KeyStoreError::Alias`], [`KeyStoreError::Key`], [`KeyStoreError::TooLarge`],
/// [`KeyStoreError::Malformed`] where a certificate is not DER.
pub fn key_store(
    contents: StoreContents<'_>,
    alias: &str,
    password: &Secret<String>,
    encoder: Encoder,
    random: Random<'_>,
) -> Result<Vec<u8>, KeyStoreError> {
    check_alias(alias)?;
    let Some(key) = contents.key else {
        let certificates: Vec<_> = contents.certificates().collect();
        return trust_store(&certificates, password, encoder, random);
    };
    let password = Password::new(password);
    let name = utf16(alias);
    // Any value that both bags share would do; OpenSSL and Go use this one.
    let link = digest(&SHA1_FOR_LEGACY_USE_ONLY, contents.leaf);
    let attributes = || -> Result<Vec<BagAttribute<'_>>, KeyStoreError> {
        Ok(vec![
            attribute(FRIENDLY_NAME, AnyRef::new(Tag::BmpString, &name)?)?,
            attribute(LOCAL_KEY_ID, AnyRef::new(Tag::OctetString, link.as_ref())?)?,
        ])
    };
    let mut bags = vec![certificate_bag(contents.leaf, attributes()?)?];
    for certificate in contents.chain {
        bags.push(certificate_bag(certificate, Vec::new())?);
    }
    let certificates = encrypted_safe(&bags, encoder, &password, random)?;

    let key = pem::pkcs8_version_1(key.expose())?;
    let encrypted = encoder.scheme().encrypt(&key, &password, random)?;
    let shrouded = EncryptedKey {
        algorithm: encrypted.algorithm()?,
        bytes: OctetStringRef::new(&encrypted.bytes)?,
    }
    .to_der()?;
    let bag = bag(SHROUDED_KEY_BAG, &shrouded, attributes()?)?;
    let safe = sequence(&[bag])?;
    let keys =
        ContentInfo { kind: DATA, content: AnyRef::new(Tag::OctetString, &safe)? }.to_der()?;
    archive(&[certificates, keys], encoder, &password, random)
}

/// Writes a trust store whose entries are called `1`, `2`, …, each with the attribute that
/// marks the certificate as trusted for Java (else `keytool -list` shows no entry).
///
/// # Errors
/// [`KeyStoreError::Empty`], [`KeyStoreError::TooLarge`], [`KeyStoreError::Malformed`] where a
/// certificate is not DER.
pub fn trust_store(
    roots: &[&[u8]],
    password: &Secret<String>,
    encoder: Encoder,
    random: Random<'_>,
) -> Result<Vec<u8>, KeyStoreError> {
    if roots.is_empty() {
        return Err(KeyStoreError::Empty);
    }
    let password = Password::new(password);
    let any_usage = ANY_EXTENDED_KEY_USAGE.to_der()?;
    let mut bags = Vec::with_capacity(roots.len());
    for (position, root) in roots.iter().enumerate() {
        let name = utf16(&(position + 1).to_string());
        bags.push(certificate_bag(
            root,
            vec![
                attribute(FRIENDLY_NAME, AnyRef::new(Tag::BmpString, &name)?)?,
                attribute(TRUSTED_KEY_USAGE, AnyRef::from_der(&any_usage)?)?,
            ],
        )?);
    }
    let safe = encrypted_safe(&bags, encoder, &password, random)?;
    archive(&[safe], encoder, &password, random)
}

fn attribute(kind: ObjectIdentifier, value: AnyRef<'_>) -> Result<BagAttribute<'_>, KeyStoreError> {
    Ok(BagAttribute { kind, values: SetOfVec::try_from(vec![value])? })
}

fn bag(
    kind: ObjectIdentifier,
    value: &[u8],
    attributes: Vec<BagAttribute<'_>>,
) -> Result<Vec<u8>, KeyStoreError> {
    let attributes = match attributes.is_empty() {
        true => None,
        false => Some(SetOfVec::try_from(attributes)?),
    };
    Ok(SafeBag { kind, value: AnyRef::from_der(value)?, attributes }.to_der()?)
}

fn certificate_bag(
    certificate: &[u8],
    attributes: Vec<BagAttribute<'_>>,
) -> Result<Vec<u8>, KeyStoreError> {
    // Checked here, because otherwise only the reader of the store would notice.
    if AnyRef::from_der(certificate)?.tag() != Tag::Sequence {
        return Err(KeyStoreError::Malformed);
    }
    let value =
        CertificateBag { kind: X509_CERTIFICATE, certificate: OctetStringRef::new(certificate)? };
    bag(CERTIFICATE_BAG, &value.to_der()?, attributes)
}

/// A SEQUENCE of encoded parts.
fn sequence(parts: &[Vec<u8>]) -> Result<Vec<u8>, KeyStoreError> {
    Ok(AnyRef::new(Tag::Sequence, &parts.concat())?.to_der()?)
}

fn encrypted_safe(
    bags: &[Vec<u8>],
    encoder: Encoder,
    password: &Password<'_>,
    random: Random<'_>,
) -> Result<Vec<u8>, KeyStoreError> {
    let encrypted = encoder.scheme().encrypt(&sequence(bags)?, password, random)?;
    let content = EncryptedContent {
        kind: DATA,
        algorithm: encrypted.algorithm()?,
        bytes: OctetStringRef::new(&encrypted.bytes)?,
    };
    let data = EncryptedData { version: 0, content }.to_der()?;
    Ok(ContentInfo { kind: ENCRYPTED_DATA, content: AnyRef::from_der(&data)? }.to_der()?)
}

fn archive(
    safes: &[Vec<u8>],
    encoder: Encoder,
    password: &Password<'_>,
    random: Random<'_>,
) -> Result<Vec<u8>, KeyStoreError> {
    let content = sequence(safes)?;
    let mac = encoder.integrity().mac_data(&content, password, random)?;
    let safes = ContentInfo { kind: DATA, content: AnyRef::new(Tag::OctetString, &content)? };
    let archive = Pfx { version: 3, safes, mac: Some(MacData::from_der(&mac)?) }.to_der()?;
    if archive.len() > MAX_ARCHIVE { Err(KeyStoreError::TooLarge) } else { Ok(archive) }
}

#[cfg(test)]
mod tests;
