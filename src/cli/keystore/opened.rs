//! The content of an opened key store, and why a file is not opened.

use std::fmt;

use crate::ca::time::Timestamp;
use crate::secret::Secret;

/// A private key with its certificates.
#[derive(Debug)]
pub struct KeyEntry {
    /// The name under which Java finds the entry.
    pub alias: String,
    /// PKCS#8 DER. `None` where the key has another password than the store, which JKS allows.
    pub key: Option<Secret<Vec<u8>>>,
    /// DER certificates: leaf first, then the others in the order of the file.
    pub chain: Vec<Vec<u8>>,
    /// Whether the file, too, holds the leaf before the others.
    pub leaf_first: bool,
    /// When the entry was made; PKCS#12 does not record it.
    pub created: Option<Timestamp>,
}

impl KeyEntry {
    /// Whether this is the private key of the entry, compared in constant time.
    pub fn has_key(&self, pkcs8: &[u8]) -> bool {
        self.key.as_ref().is_some_and(|key| key.matches(pkcs8))
    }
}

/// A certificate that is not part of a key's chain.
#[derive(Debug, PartialEq, Eq)]
pub struct CertificateEntry {
    /// The name under which Java finds the entry.
    pub alias: String,
    /// DER.
    pub certificate: Vec<u8>,
    /// When the entry was made; PKCS#12 does not record it.
    pub created: Option<Timestamp>,
}

/// An opened key store.
#[derive(Debug, Default)]
pub struct Opened {
    /// The entries with a private key.
    pub keys: Vec<KeyEntry>,
    /// The certificates that are marked as trusted.
    pub trusted: Vec<CertificateEntry>,
    /// The certificates of a PKCS#12 archive that belong to no key and are not marked as trusted.
    pub unmarked: Vec<CertificateEntry>,
    /// The aliases of secret (symmetric) keys.
    pub secret_keys: Vec<String>,
}

/// Why a file is not opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyStoreOpenError {
    /// The file has no bytes.
    Empty,
    /// The file is larger than what is read.
    TooLarge,
    /// The file ends too early.
    Truncated,
    /// The file is something else.
    OtherFile(OtherFile),
    /// The file starts as a key store, but its structure is wrong; the text says where.
    Malformed(String),
    /// A part of the file has a form that is not read; the text names it.
    Unsupported(String),
    /// The file asks for this number of key derivation iterations, or for too much work in total.
    TooCostly(Option<u32>),
    /// The password is wrong, or the bytes were changed.
    Password,
}

/// A file that is often taken for a key store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OtherFile {
    /// Text between `-----BEGIN` and `-----END`.
    Pem,
    /// A key store in base64, as the API returns it.
    Base64,
    /// One certificate in DER.
    Certificate,
    /// Anything else.
    Unknown,
}

impl fmt::Display for KeyStoreOpenError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => formatter.write_str("the file is empty"),
            Self::TooLarge => formatter.write_str("the file is larger than 8 MiB"),
            Self::Truncated => {
                formatter.write_str("the file ends too early: it is truncated or damaged")
            }
            Self::OtherFile(OtherFile::Pem) => {
                formatter.write_str("the file is PEM text, not a key store")
            }
            Self::OtherFile(OtherFile::Base64) => {
                formatter.write_str("the file is the base64 text of a key store")
            }
            Self::OtherFile(OtherFile::Certificate) => {
                formatter.write_str("the file is one certificate in DER, not a key store")
            }
            Self::OtherFile(OtherFile::Unknown) => {
                formatter.write_str("the file is not a key store: neither PKCS#12 nor JKS")
            }
            Self::Malformed(what) => write!(formatter, "the key store is damaged: {what}"),
            Self::Unsupported(what) => write!(formatter, "the key store has {what}"),
            Self::TooCostly(Some(iterations)) => {
                write!(formatter, "the key store asks for {iterations} iterations")
            }
            Self::TooCostly(None) => {
                formatter.write_str("the key store asks for too much key derivation")
            }
            Self::Password => formatter.write_str("the password is wrong, or the file was changed"),
        }
    }
}

impl std::error::Error for KeyStoreOpenError {}

impl KeyStoreOpenError {
    /// The next step, as a sentence; `file` is the name that was typed.
    pub(super) fn remedy(&self, file: &str) -> String {
        match self {
            Self::Empty | Self::Truncated | Self::Malformed(_) => {
                "Copy it again from where it was made, in binary mode.".to_owned()
            }
            Self::TooLarge => "Split it into smaller stores with keytool -importkeystore.".to_owned(),
            Self::OtherFile(OtherFile::Pem) => {
                format!("Show it with: openssl x509 -in {file} -noout -text")
            }
            Self::OtherFile(OtherFile::Base64) => {
                format!("Decode it first: base64 -d {file} > keystore.p12")
            }
            Self::OtherFile(OtherFile::Certificate) => {
                format!("Show it with: openssl x509 -inform DER -in {file} -noout -text")
            }
            Self::OtherFile(OtherFile::Unknown) => {
                "Name a .p12, .pfx or .jks file.".to_owned()
            }
            Self::Unsupported(_) => format!(
                "Convert it: keytool -importkeystore -srckeystore {file} -destkeystore new.p12 -deststoretype PKCS12, or: openssl pkcs12 -legacy -in {file} -nodes | openssl pkcs12 -export -out new.p12"
            ),
            Self::TooCostly(_) => {
                "The limits are 1000000 iterations and 20 seconds for a file. Write the store again with fewer iterations, for example: openssl pkcs12 -export -iter 10000".to_owned()
            }
            Self::Password => {
                "Give the password of the store with -password-file=FILE or SIGNET_KEYSTORE_PASSWORD; the default of Java and of Signet is changeit.".to_owned()
            }
        }
    }
}
