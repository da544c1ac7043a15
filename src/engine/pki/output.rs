//! How certificates and keys are written out (pki-api chapter 17).
//!
//! Key match and chain order are checked here, before an answer leaves.

use crate::ca::jks;
use crate::ca::keystore::{KeyStoreError, StoreContents};
use crate::ca::pem::{self, KeyForm};
use crate::ca::pkcs12::{self, Encoder};
use crate::ca::time::Timestamp;
use crate::engine::{Engine, Failure};
use crate::entropy::Purpose;
use crate::secret::Secret;

/// `format`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// PEM
    Pem,
    /// Base64 of DER.
    Der,
    /// Key, certificate and chain in one PEM text.
    PemBundle,
    /// A PKCS#12 key store.
    Pkcs12Bundle,
    /// A Java key store.
    JksBundle,
    /// A PKCS#12 trust store: the roots alone.
    Pkcs12Truststore,
}

impl Format {
    /// Reads the word of `format`.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "pem" => Some(Self::Pem),
            "der" => Some(Self::Der),
            "pem_bundle" => Some(Self::PemBundle),
            "pkcs12_bundle" => Some(Self::Pkcs12Bundle),
            "jks_bundle" => Some(Self::JksBundle),
            "pkcs12_truststore" => Some(Self::Pkcs12Truststore),
            _ => None,
        }
    }

    /// Is the certificate wrapped in an archive?
    pub const fn is_archive(self) -> bool {
        matches!(self, Self::Pkcs12Bundle | Self::JksBundle | Self::Pkcs12Truststore)
    }
}

/// What a request says about its archive.
#[derive(Debug)]
pub struct ArchiveWish {
    /// Which.
    pub format: Format,
    /// `pkcs12_password` or `jks_password`.
    pub password: Secret<String>,
    /// `pkcs12_encoder`; empty means the role's, and then `auto`.
    pub encoder: String,
    /// `jks_private_key_alias`, and the friendly name in PKCS#12.
    pub alias: String,
    /// Trust the intermediates too.
    pub with_intermediates: bool,
}

/// What goes into an archive.
#[derive(Debug)]
pub struct ArchiveContents {
    /// The leaf, DER.
    pub leaf: Vec<u8>,
    /// The issuer's chain, DER, issuer first.
    pub chain: Vec<Vec<u8>>,
    /// The private key, PKCS#8.
    pub key: Option<Secret<Vec<u8>>>,
    /// Every root of the mount, DER.
    pub roots: Vec<Vec<u8>>,
}

/// The archives of one answer.
#[derive(Debug)]
pub struct Archives {
    /// The one that was asked for.
    pub certificate: Vec<u8>,
    /// A trust store of the same moment, if there is a root to trust.
    pub truststore: Option<Vec<u8>>,
}

impl Engine {
    /// Writes the archive off the I/O threads: deriving keys from passwords takes milliseconds.
    ///
    /// # Errors
    /// Refuses an unknown encoder, and a trust store without a root.
    pub async fn archive(
        &self,
        wish: ArchiveWish,
        contents: ArchiveContents,
        now: Timestamp,
    ) -> Result<Archives, Failure> {
        let encoder = match wish.encoder.as_str() {
            "" => Encoder::Auto,
            word => Encoder::named(word).ok_or_else(|| {
                Failure::refused(format!(
                    "unknown pkcs12_encoder {word}; possible values are auto, modern2026, modern2023 and legacy"
                ))
            })?,
        };
        let entropy = self.env.entropy.clone();
        let work = move || {
            write_archives(&wish, &contents, encoder, now, &mut |salt| {
                entropy.fill(Purpose::Salt, salt);
            })
        };
        self.workshop.work(work).await?
    }
}

fn write_archives(
    wish: &ArchiveWish,
    contents: &ArchiveContents,
    encoder: Encoder,
    now: Timestamp,
    random: &mut dyn FnMut(&mut [u8]),
) -> Result<Archives, Failure> {
    let chain: Vec<&[u8]> = contents.chain.iter().map(Vec::as_slice).collect();
    let stored = StoreContents { key: contents.key.as_ref(), leaf: &contents.leaf, chain: &chain };
    // A key that does not fit its certificate, or a chain out of order, never leaves.
    if !stored.belong_together().map_err(store_failure)? {
        return Err(Failure::Fault("key, certificate and chain do not belong together".to_owned()));
    }
    let trusted: Vec<&[u8]> = contents
        .roots
        .iter()
        .chain(contents.chain.iter().filter(|_| wish.with_intermediates))
        .map(Vec::as_slice)
        .fold(Vec::new(), |mut distinct, der| {
            if !distinct.contains(&der) {
                distinct.push(der);
            }
            distinct
        });
    let truststore = if trusted.is_empty() {
        None
    } else {
        let written = if wish.format == Format::JksBundle {
            jks::trust_store(&trusted, &wish.password, now)
        } else {
            pkcs12::trust_store(&trusted, &wish.password, encoder, random)
        };
        Some(written.map_err(store_failure)?)
    };
    let certificate = match wish.format {
        Format::JksBundle => jks::key_store(stored, &wish.alias, &wish.password, now, random)
            .map_err(store_failure)?,
        Format::Pkcs12Truststore => truststore.clone().ok_or_else(|| {
            Failure::refused(
                "this mount holds no root certificate to trust; import the root, or ask for pkcs12_truststore_intermediates=true",
            )
        })?,
        _ => pkcs12::key_store(stored, &wish.alias, &wish.password, encoder, random)
            .map_err(store_failure)?,
    };
    Ok(Archives { certificate, truststore })
}

fn store_failure(error: KeyStoreError) -> Failure {
    match error {
        KeyStoreError::Alias | KeyStoreError::TooLarge => Failure::refused(error.to_string()),
        other => Failure::Fault(other.to_string()),
    }
}

/// A private key in the form that was asked for (pki-api 17.2): label and DER.
///
/// # Errors
/// Fails only on bytes that are no key.
pub fn private_key(pkcs8: &Secret<Vec<u8>>, form: KeyForm) -> Result<pem::EncodedKey, Failure> {
    pem::private_key(pkcs8.expose(), form).map_err(|error| Failure::Fault(error.to_string()))
}
