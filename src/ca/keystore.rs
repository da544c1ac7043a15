//! What the key-store formats share: their content and their errors.
//!
//! Two formats write it: [`crate::ca::pkcs12`] and [`crate::ca::jks`]. Both receive their
//! salts from the caller ([`Random`]), since this layer has no generator. The server writes key
//! stores and never reads one: the readers are in the command line (`src/cli/keystore`).

use std::fmt;

use aws_lc_rs::rsa;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_P521_SHA512_ASN1_SIGNING,
    EcdsaKeyPair, Ed25519KeyPair, KeyPair,
};
use zeroize::Zeroizing;

use crate::ca::certificate::Certificate;
use crate::secret::Secret;

/// Fills the slice with random bytes: salts and initialisation vectors come from here.
pub type Random<'a> = &'a mut dyn FnMut(&mut [u8]);

/// The largest archive that is written or read, in bytes. A usual key store has a few kilobytes; a
/// trust store of every public root is below one megabyte.
pub const MAX_ARCHIVE: usize = 8 * 1024 * 1024;

/// The longest alias, in characters. Long enough for a SPIFFE ID's path, short enough for a list.
pub const MAX_ALIAS: usize = 255;

/// The longest password, in characters. JKS hashes all of it for every 20 bytes of a key.
pub const MAX_PASSWORD: usize = 1024;

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
    /// Called before an archive is returned: no later step notices a wrong pair.
    ///
    /// # Errors
    /// [`KeyStoreError::Malformed`] where a certificate cannot be parsed, [`KeyStoreError::Key`]
    /// where the key cannot.
    pub fn is_consistent(&self) -> Result<bool, KeyStoreError> {
        let certificates = self.certificates().map(Certificate::parse);
        let certificates = certificates.collect::<Result<Vec<_>, _>>();
        let certificates = certificates.map_err(|_| KeyStoreError::Malformed)?;
        let ordered = certificates
            .iter()
            .zip(certificates.iter().skip(1))
            .all(|(below, above)| below.issuer() == above.subject());
        let (Some(key), Some(leaf)) = (self.key, certificates.first()) else {
            return Ok(ordered);
        };
        Ok(ordered && leaf.public_key().subject_public_key() == public_key(key.expose())?)
    }
}

/// The path that a key store presents: the first certificate, its issuer, and so on, up to a
/// self-signed one if there is one among them.
///
/// A manual chain can contain any certificates in any order: those of a second root, cross-signed
/// ones, an issuer without its root. Each of them is on the path at most once, and only above one
/// that it signed (RFC 5246, 7.4.2: "each following certificate MUST directly certify the one
/// preceding it").
pub fn certification_path(certificates: &[Certificate]) -> Vec<&Certificate> {
    let Some(first) = certificates.first() else { return Vec::new() };
    let mut path = vec![first];
    let mut longest = Vec::new();
    let mut rest: Vec<&Certificate> = certificates.iter().collect();
    // Roots first: the shortest path among cross-signed certificates.
    rest.sort_by_key(|certificate| !is_root(certificate));
    while let Some(last) = path.last().copied() {
        rest.retain(|other| other.der() != last.der());
        if is_root(last) {
            return path;
        }
        if let Some(above) = rest.iter().find(|above| certifies(above, last)) {
            path.push(above);
            continue;
        }
        if path.len() > longest.len() {
            longest.clone_from(&path);
        }
        path.pop();
    }
    longest
}

/// Whether the certificate is issued by itself: a path ends here.
pub fn is_root(certificate: &Certificate) -> bool {
    certifies(certificate, certificate)
}

/// Whether `below` is issued by `above`. Where Signet cannot verify the signature's algorithm, the
/// names decide.
pub fn certifies(above: &Certificate, below: &Certificate) -> bool {
    below.issuer() == above.subject()
        && (below.signature_algorithm().is_none() || below.verify_signed_by(above.public_key()))
}

/// The public key in the form of a certificate's BIT STRING, computed from the private key.
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

/// Why a store could not be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyStoreError {
    /// The alias is empty, longer than [`MAX_ALIAS`] characters, or holds a control character.
    Alias,
    /// The new password is longer than [`MAX_PASSWORD`] characters or holds a control character.
    NewPassword,
    /// The private key is not PKCS#8 of a supported kind.
    Key,
    /// Something to be stored is too large for the format.
    TooLarge,
    /// There is nothing to put into the store.
    Empty,
    /// A certificate is not DER.
    Malformed,
}

impl fmt::Display for KeyStoreError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Alias => "the alias must have 1 to 255 characters, and no control characters",
            Self::NewPassword => {
                "the password of a key store must have at most 1024 characters, and no control characters"
            }
            Self::Key => "the private key is not PKCS#8 of a known kind",
            Self::TooLarge => "too large for a key store",
            Self::Empty => "a key store needs at least one certificate",
            Self::Malformed => "the content of the key store is not DER",
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

/// Refuses an alias that cannot be written, and one that cannot be typed.
///
/// # Errors
/// [`KeyStoreError::Alias`]
pub fn check_new_alias(alias: &str) -> Result<(), KeyStoreError> {
    check_alias(alias)?;
    if alias.chars().any(char::is_control) { Err(KeyStoreError::Alias) } else { Ok(()) }
}

/// Refuses a password that cannot be typed: a newline comes from a file, and C programs stop
/// reading at a NUL. An empty password is accepted; keytool and OpenSSL open such stores.
///
/// # Errors
/// [`KeyStoreError::NewPassword`]
pub fn check_password(password: &str) -> Result<(), KeyStoreError> {
    let fits = password.chars().take(MAX_PASSWORD + 1).count() <= MAX_PASSWORD;
    let is_typed = !password.chars().any(char::is_control);
    if fits && is_typed { Ok(()) } else { Err(KeyStoreError::NewPassword) }
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
    use crate::ca::for_tests::{self, Pair};

    #[test]
    fn refuses_an_alias_that_java_could_not_show() {
        assert_eq!(check_alias(""), Err(KeyStoreError::Alias));
        assert_eq!(check_alias(&"ä".repeat(256)), Err(KeyStoreError::Alias));
        assert_eq!(check_alias(&"ä".repeat(255)), Ok(()));
        assert_eq!(check_new_alias(""), Err(KeyStoreError::Alias));
        assert_eq!(check_new_alias("a\0b"), Err(KeyStoreError::Alias));
        assert_eq!(check_new_alias("päyments 😀"), Ok(()));
    }

    #[test]
    fn refuses_a_password_that_cannot_be_typed() {
        for password in ["a\n", "a\0b", "\u{7f}", "\u{85}", &"ä".repeat(1025)] {
            assert_eq!(check_password(password), Err(KeyStoreError::NewPassword), "{password:?}");
        }
        for password in ["", "changeit", "pässwörd… 😀", &"😀".repeat(1024)] {
            assert_eq!(check_password(password), Ok(()), "{password:?}");
        }
    }

    #[test]
    fn a_path_leads_from_certificate_to_issuer_in_any_order_and_among_others() {
        let (old, old_pair) = for_tests::root("old");
        let (new, new_pair) = for_tests::root("new");
        let (namesake, _) = for_tests::root("old");
        let (own, lower) = (Pair::generate(), Pair::generate());
        let by_old = for_tests::intermediate("middle", &own, &old, &old_pair);
        let by_new = for_tests::intermediate("middle", &own, &new, &new_pair);
        let crossed = for_tests::intermediate("new", &new_pair, &old, &old_pair);
        let back = for_tests::intermediate("old", &old_pair, &new, &new_pair);
        let last = for_tests::intermediate("last", &lower, &by_old, &own);
        let shown = |certificates: &[&Certificate]| {
            let certificates: Vec<_> = certificates.iter().map(|one| (*one).clone()).collect();
            certification_path(&certificates)
                .into_iter()
                .map(|one| one.der().to_vec())
                .collect::<Vec<_>>()
        };
        for (given, wanted) in [
            // The rotation of a root: both certificates of one key, then both roots.
            (vec![&by_old, &by_new, &old, &new], vec![&by_old, &old]),
            (vec![&by_new, &by_old, &old, &new], vec![&by_new, &new]),
            // Odd orders, the same twice, a root of the same name with another key.
            (vec![&last, &new, &namesake, &old, &by_old], vec![&last, &by_old, &old]),
            (vec![&last, &last, &by_old, &by_old, &old, &old], vec![&last, &by_old, &old]),
            (vec![&by_old, &namesake], vec![&by_old]),
            // Without the root, with an unrelated root, alone.
            (vec![&last, &by_old], vec![&last, &by_old]),
            (vec![&last, &old], vec![&last]),
            (vec![&old, &new, &by_old], vec![&old]),
            // Cross-signed: up to a root if there is one, else each certificate once.
            (vec![&by_new, &crossed, &back, &old], vec![&by_new, &crossed, &old]),
            (vec![&by_new, &crossed, &back, &new], vec![&by_new, &new]),
            (vec![&by_new, &crossed, &back], vec![&by_new, &crossed, &back]),
            (vec![], vec![]),
        ] {
            let wanted: Vec<_> = wanted.into_iter().map(|one| one.der().to_vec()).collect();
            assert_eq!(shown(&given), wanted);
        }
    }

    #[test]
    fn a_password_outside_the_basic_plane_becomes_a_surrogate_pair() {
        assert_eq!(utf16("a😀").as_slice(), [0, 0x61, 0xd8, 0x3d, 0xde, 0x00]);
    }
}
