//! The output formats of certificates and keys (`docs/dev/vault-pki.md`, "Output formats").
//!
//! The output parameters are parsed before anything is signed ([`KeyStoreOptions`]), and
//! a key store is written before its certificate is recorded, so a refused request has issued nothing.
//! Key match and chain order are checked here, before the answer is sent.

use std::sync::Arc;

use crate::ca::certificate::Certificate;
use crate::ca::jks;
use crate::ca::keystore::{self, KeyStoreError, StoreContents};
use crate::ca::pkcs12::{self, Encoder};
use crate::ca::time::Timestamp;
use crate::engine::Failure;
use crate::entropy::Purpose;
use crate::secret::Secret;

use super::Pki;
use super::ca_state::{CaState, Issuer};

/// `format`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// PEM
    Pem,
    /// Base64 of DER.
    Der,
    /// Key, certificate and chain in one PEM text.
    PemBundle,
    /// A key store or trust store.
    Archive(ArchiveKind),
}

/// The kinds of key stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArchiveKind {
    /// A PKCS#12 key store.
    Pkcs12Bundle,
    /// A Java key store.
    JksBundle,
    /// A PKCS#12 trust store: the roots alone.
    Pkcs12Truststore,
}

impl Format {
    /// Parses the value of `format`.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "pem" => Some(Self::Pem),
            "der" => Some(Self::Der),
            "pem_bundle" => Some(Self::PemBundle),
            "pkcs12_bundle" => Some(Self::Archive(ArchiveKind::Pkcs12Bundle)),
            "jks_bundle" => Some(Self::Archive(ArchiveKind::JksBundle)),
            "pkcs12_truststore" => Some(Self::Archive(ArchiveKind::Pkcs12Truststore)),
            _ => None,
        }
    }

    /// The refusal of any other value: Vault's text, and Signet's own formats as the hint.
    pub fn unknown(text: &str) -> Failure {
        Failure::Refused { text: text.to_owned(), hint: Some(H_FORMATS.to_owned()) }
    }
}

/// Vault's text for an unknown `format`.
pub const FORMATS: &str =
    "the \"format\" path parameter must be \"pem\", \"der\", or \"pem_bundle\"";
const H_FORMATS: &str = "Signet: where a certificate is issued, \"format\" may also be \"pkcs12_bundle\", \"jks_bundle\" or \"pkcs12_truststore\"";

/// The key store parameters of a request, as they were sent.
#[derive(Debug)]
pub struct ArchiveParams {
    /// `pkcs12_password` or `jks_password`; the default is Vault's.
    pub password: Option<String>,
    /// `pkcs12_encoder`; empty means the role's, and then `auto`.
    pub encoder: String,
    /// `jks_private_key_alias`, and the friendly name in PKCS#12; 1 if it was not sent.
    pub alias: Option<String>,
    /// Whether the trust store holds the intermediates too.
    pub with_intermediates: bool,
}

/// Checked key store parameters: none of them is refused later.
#[derive(Debug)]
pub struct KeyStoreOptions {
    kind: ArchiveKind,
    password: Secret<String>,
    encoder: Option<Encoder>,
    alias: String,
    with_intermediates: bool,
}

impl KeyStoreOptions {
    /// Checks every parameter.
    ///
    /// # Errors
    /// Refuses an unknown encoder, and an alias or a password that readers of key stores do not accept.
    pub fn parse(kind: ArchiveKind, params: ArchiveParams) -> Result<Self, Failure> {
        let password = params.password.unwrap_or_else(|| DEFAULT_PASSWORD.to_owned());
        keystore::check_password(&password).map_err(store_failure)?;
        let encoder = match params.encoder.as_str() {
            "" => None,
            word => Some(Encoder::parse(word).ok_or_else(|| {
                Failure::refused(format!(
                    "unknown pkcs12_encoder {word}; possible values are auto, modern2026, modern2023 and legacy"
                ))
            })?),
        };
        let alias = params.alias.unwrap_or_else(|| jks::DEFAULT_ALIAS.to_owned());
        keystore::check_new_alias(&alias).map_err(store_failure)?;
        let password = Secret::new(password);
        Ok(Self { kind, password, encoder, alias, with_intermediates: params.with_intermediates })
    }

    /// A warning if some clients cannot open the key store.
    pub fn warning(&self) -> Option<&'static str> {
        let is_pkcs12 = !matches!(self.kind, ArchiveKind::JksBundle);
        (is_pkcs12 && !self.password.expose().is_ascii()).then_some(W_PASSWORD)
    }

    /// The kind of key store.
    pub const fn kind(&self) -> ArchiveKind {
        self.kind
    }
}

/// The password if the request has none (`docs/keystores.md`).
const DEFAULT_PASSWORD: &str = "changeit";

/// What a key store holds.
#[derive(Debug)]
pub(super) struct ArchiveContents {
    /// The certificate it is for, DER.
    leaf: Vec<u8>,
    /// Its issuer and possible issuers above that, DER.
    issuers: Vec<Vec<u8>>,
    /// The private key, PKCS#8.
    key: Option<Secret<Vec<u8>>>,
    /// The roots to trust, DER.
    roots: Vec<Vec<u8>>,
    /// The role's encoder, if it has one.
    encoder: Option<Encoder>,
}

impl ArchiveContents {
    /// A certificate of this issuer; every root of the mount is trusted.
    pub(super) fn issued(leaf: Vec<u8>, issuer: &Issuer, ca_state: &CaState) -> Self {
        let mut issuers = vec![issuer.certificate.der().to_vec()];
        issuers.extend_from_slice(&issuer.chain_der);
        Self { leaf, issuers, key: None, roots: ca_state.roots(), encoder: None }
    }

    /// A root.
    pub(super) fn root(der: Vec<u8>) -> Self {
        Self { roots: vec![der.clone()], leaf: der, issuers: Vec::new(), key: None, encoder: None }
    }

    /// With the private key of its certificate.
    pub(super) fn with_key(self, key: Option<Secret<Vec<u8>>>) -> Self {
        Self { key, ..self }
    }

    /// With the encoder that a role names.
    pub(super) fn with_encoder(self, word: &str) -> Self {
        Self { encoder: Encoder::parse(word), ..self }
    }
}

/// The key stores of one answer.
#[derive(Debug)]
pub struct KeyStores {
    /// The one that was requested.
    pub certificate: Vec<u8>,
    /// A trust store of the same state, if the mount has a root.
    pub truststore: Option<Vec<u8>>,
    /// A warning if the trust store does not verify the certificate.
    pub trust_warning: Option<&'static str>,
}

const W_PASSWORD: &str =
    "Signet: the password is not ASCII; Java opens no PKCS#12 key store with such a password";
const W_NO_ROOT: &str = "Signet: no trust store comes with this key store, because no root certificate is known here; import the root of the issuer: intermediate/set-signed";
const W_OTHER_ROOTS: &str = "Signet: the trust store does not hold the root of this certificate, because it is not known here; import it: intermediate/set-signed";

impl Pki {
    /// Writes the key store off the I/O threads: deriving keys from passwords takes milliseconds.
    ///
    /// # Errors
    /// Refuses a trust store without a root, and certificates that are too large for a key store.
    pub(super) async fn archive(
        &self,
        options: &Arc<KeyStoreOptions>,
        contents: ArchiveContents,
        now: Timestamp,
    ) -> Result<KeyStores, Failure> {
        let entropy = self.env().entropy.clone();
        let options = Arc::clone(options);
        let work = move || {
            write_archives(&options, &contents, now, &mut |salt| entropy.fill(Purpose::Salt, salt))
        };
        self.services.cpu.run(work).await?
    }
}

fn write_archives(
    options: &KeyStoreOptions,
    contents: &ArchiveContents,
    now: Timestamp,
    random: &mut dyn FnMut(&mut [u8]),
) -> Result<KeyStores, Failure> {
    let encoder = options.encoder.or(contents.encoder).unwrap_or_default();
    let issuers = contents.issuers.iter().map(|der| Certificate::parse(der.as_slice()));
    let issuers = issuers.collect::<Result<Vec<_>, _>>();
    let issuers = issuers.map_err(|error| Failure::Internal(format!("an issuer: {error}")))?;
    let path = keystore::certification_path(&issuers);
    let root_is_known =
        contents.issuers.is_empty() || path.last().is_some_and(|top| keystore::is_root(top));
    let chain: Vec<&[u8]> = path.iter().map(|certificate| certificate.der()).collect();
    let stored = StoreContents { key: contents.key.as_ref(), leaf: &contents.leaf, chain: &chain };
    // A key that does not match its certificate is never sent.
    if stored.key.is_some() && !stored.is_consistent().map_err(store_failure)? {
        return Err(Failure::Internal(
            "key, certificate and chain do not belong together".to_owned(),
        ));
    }
    let truststore = trust_store(options, contents, encoder, now, random)?;
    let certificate = match options.kind {
        ArchiveKind::JksBundle => jks::key_store(stored, &options.alias, &options.password, now, random)
            .map_err(store_failure)?,
        ArchiveKind::Pkcs12Truststore => truststore.clone().ok_or_else(|| {
            Failure::refused(
                "this mount holds no root certificate to trust; import the root, or params for pkcs12_truststore_intermediates=true",
            )
        })?,
        ArchiveKind::Pkcs12Bundle => {
            pkcs12::key_store(stored, &options.alias, &options.password, encoder, random)
                .map_err(store_failure)?
        }
    };
    let trust_warning = match (&truststore, root_is_known) {
        (None, _) => Some(W_NO_ROOT),
        (Some(_), false) => Some(W_OTHER_ROOTS),
        (Some(_), true) => None,
    };
    Ok(KeyStores { certificate, truststore, trust_warning })
}

/// The trust store with every root once; `None` without a root.
fn trust_store(
    options: &KeyStoreOptions,
    contents: &ArchiveContents,
    encoder: Encoder,
    now: Timestamp,
    random: &mut dyn FnMut(&mut [u8]),
) -> Result<Option<Vec<u8>>, Failure> {
    let trusted: Vec<&[u8]> = contents
        .roots
        .iter()
        .chain(contents.issuers.iter().filter(|_| options.with_intermediates))
        .map(Vec::as_slice)
        .fold(Vec::new(), |mut distinct, der| {
            if !distinct.contains(&der) {
                distinct.push(der);
            }
            distinct
        });
    if trusted.is_empty() {
        return Ok(None);
    }
    let written = match options.kind {
        ArchiveKind::JksBundle => jks::trust_store(&trusted, &options.password, now),
        ArchiveKind::Pkcs12Bundle | ArchiveKind::Pkcs12Truststore => {
            pkcs12::trust_store(&trusted, &options.password, encoder, random)
        }
    };
    written.map(Some).map_err(store_failure)
}

fn store_failure(error: KeyStoreError) -> Failure {
    match error {
        KeyStoreError::Alias | KeyStoreError::NewPassword | KeyStoreError::TooLarge => {
            Failure::refused(error.to_string())
        }
        other => Failure::Internal(other.to_string()),
    }
}
