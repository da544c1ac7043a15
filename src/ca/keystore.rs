//! What the key-store formats share: what goes in, what comes out, what can be wrong.
//!
//! Two formats write it: [`crate::ca::pkcs12`] and [`crate::ca::jks`]. Both are given their
//! salts by the caller ([`Random`]), since this floor has no generator.

use std::fmt;

use aws_lc_rs::rsa;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_P521_SHA512_ASN1_SIGNING,
    EcdsaKeyPair, Ed25519KeyPair, KeyPair,
};
use der::Decode;
use x509_cert::Certificate;
use zeroize::Zeroizing;

use crate::secret::Secret;

/// Fills the slice with random bytes: salts and initialisation vectors come from here.
pub type Random<'a> = &'a mut dyn FnMut(&mut [u8]);

/// The largest archive that is read, in bytes. Ours are a few kilobytes; a trust store of every
/// public root is below one megabyte.
pub const MAX_ARCHIVE: usize = 8 * 1024 * 1024;

/// The longest alias, in characters. Long enough for a SPIFFE ID's path, short enough for a list.
pub const MAX_ALIAS: usize = 255;

/// What a key store holds.
#[derive(Clone, Copy, Debug)]
pub struct StoreContents<'a> {
    /// The private key, PKCS#8 DER. Without it the store holds certificates only.
    pub key: Option<&'a Secret<Vec<u8>>>,
    /// The certificate of the key, DER.
    pub leaf: &'a [u8],
    /// The leaf's issuer, that one's issuer, and so on to the root; DER each.
    pub chain: &'a [&'a [u8]],
}

impl<'a> StoreContents<'a> {
    /// Leaf first, then the chain, in the order in which they are presented.
    pub fn certificates(&self) -> impl Iterator<Item = &'a [u8]> {
        std::iter::once(self.leaf).chain(self.chain.iter().copied())
    }
}

impl StoreContents<'_> {
    /// Whether the key is that of the leaf and each certificate names the next one as its issuer.
    /// To be asked before an archive leaves the house: a wrong pair is noticed nowhere else.
    ///
    /// # Errors
    /// [`KeyStoreError::Malformed`] where a certificate cannot be parsed, [`KeyStoreError::Key`]
    /// where the key cannot.
    pub fn belong_together(&self) -> Result<bool, KeyStoreError> {
        let certificates =
            self.certificates().map(Certificate::from_der).collect::<Result<Vec<_>, _>>()?;
        let ordered = certificates.iter().zip(certificates.iter().skip(1)).all(|(below, above)| {
            below.tbs_certificate().issuer() == above.tbs_certificate().subject()
        });
        let (Some(key), Some(leaf)) = (self.key, certificates.first()) else {
            return Ok(ordered);
        };
        let certified = leaf.tbs_certificate().subject_public_key_info();
        Ok(ordered && certified.subject_public_key.raw_bytes() == public_key(key.expose())?)
    }
}

/// The public key as a certificate's BIT STRING has it, computed from the private one.
fn public_key(pkcs8: &[u8]) -> Result<Vec<u8>, KeyStoreError> {
    if let Ok(pair) = Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8) {
        return Ok(pair.public_key().as_ref().to_vec());
    }
    for algorithm in [
        &ECDSA_P256_SHA256_ASN1_SIGNING,
        &ECDSA_P384_SHA384_ASN1_SIGNING,
        &ECDSA_P521_SHA512_ASN1_SIGNING,
    ] {
        if let Ok(pair) = EcdsaKeyPair::from_pkcs8(algorithm, pkcs8) {
            return Ok(pair.public_key().as_ref().to_vec());
        }
    }
    let pair = rsa::KeyPair::from_pkcs8(pkcs8).map_err(|_| KeyStoreError::Key)?;
    Ok(pair.public_key().as_ref().to_vec())
}

/// A private key read from a store, with its certificates.
#[derive(Debug)]
pub struct KeyEntry {
    /// The name under which Java finds the entry.
    pub alias: String,
    /// PKCS#8 DER.
    pub key: Secret<Vec<u8>>,
    /// DER certificates: leaf first, then its issuers in the order of the archive.
    pub chain: Vec<Vec<u8>>,
}

/// A certificate that the reader of the store is asked to trust.
#[derive(Debug, PartialEq, Eq)]
pub struct TrustedEntry {
    /// The name under which Java finds the entry.
    pub alias: String,
    /// DER.
    pub certificate: Vec<u8>,
}

/// A store as read back.
#[derive(Debug, Default)]
pub struct Opened {
    /// The entries with a private key; we write one at most.
    pub keys: Vec<KeyEntry>,
    /// The entries that are trusted as they are.
    pub trusted: Vec<TrustedEntry>,
}

/// Why a store could not be written or read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyStoreError {
    /// The alias is empty or longer than [`MAX_ALIAS`] characters.
    Alias,
    /// The private key is not PKCS#8 of a kind that we know.
    Key,
    /// Something to be stored is too large for the format.
    TooLarge,
    /// There is nothing to put into the store.
    Empty,
    /// The bytes are not an archive of this format.
    Malformed,
    /// The archive asks for an algorithm that we do not read.
    Unsupported,
    /// The archive asks for more key derivation than we are willing to do.
    TooCostly,
    /// The integrity check failed: the password is wrong or the bytes were changed.
    Password,
}

impl fmt::Display for KeyStoreError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Alias => "the alias must have 1 to 255 characters",
            Self::Key => "the private key is not PKCS#8 of a known kind",
            Self::TooLarge => "too large for a key store",
            Self::Empty => "a key store needs at least one certificate",
            Self::Malformed => "not a key store of this format",
            Self::Unsupported => "the key store uses an algorithm that is not supported",
            Self::TooCostly => "the key store asks for too many iterations",
            Self::Password => "the password of the key store is wrong, or its bytes were changed",
        })
    }
}

impl std::error::Error for KeyStoreError {}

impl From<der::Error> for KeyStoreError {
    fn from(_: der::Error) -> Self {
        Self::Malformed
    }
}

impl From<aws_lc_rs::error::Unspecified> for KeyStoreError {
    fn from(_: aws_lc_rs::error::Unspecified) -> Self {
        Self::Malformed
    }
}

impl From<crate::ca::pem::UnknownKey> for KeyStoreError {
    fn from(_: crate::ca::pem::UnknownKey) -> Self {
        Self::Key
    }
}

/// Refuses an alias that Java could not show or find.
pub(crate) fn check_alias(alias: &str) -> Result<(), KeyStoreError> {
    let count = alias.chars().take(MAX_ALIAS + 1).count();
    if count == 0 || count > MAX_ALIAS { Err(KeyStoreError::Alias) } else { Ok(()) }
}

/// UTF-16, big-endian, without a terminator: how Java feeds a password to a digest.
pub(crate) fn utf16(text: &str) -> Zeroizing<Vec<u8>> {
    // No character takes more than twice its UTF-8 length, so the buffer never moves and
    // leaves no copy behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len() * 2 + 2));
    for unit in text.encode_utf16() {
        bytes.extend_from_slice(&unit.to_be_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_an_alias_that_java_could_not_show() {
        assert_eq!(check_alias(""), Err(KeyStoreError::Alias));
        assert_eq!(check_alias(&"ä".repeat(256)), Err(KeyStoreError::Alias));
        assert_eq!(check_alias(&"ä".repeat(255)), Ok(()));
    }

    #[test]
    fn a_password_outside_the_basic_plane_becomes_a_surrogate_pair() {
        assert_eq!(utf16("a😀").as_slice(), [0, 0x61, 0xd8, 0x3d, 0xde, 0x00]);
    }
}
