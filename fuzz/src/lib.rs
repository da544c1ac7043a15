//! Shared by several targets: a DER writer, and requests and certificates around any content, so that
//! the fuzzer need not find lengths and signatures.

pub mod der;
pub mod server;
pub mod walk;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use signet::secret::Secret;

use der::{
    BIT_STRING, BOOLEAN, INTEGER, OBJECT_IDENTIFIER, OCTET_STRING, SEQUENCE, SET, UTF8_STRING,
    element,
};

/// The key of all targets.
pub fn key_pair() -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("32 bytes are a seed")
}

/// AlgorithmIdentifier of Ed25519 (RFC 8410, 3).
pub fn ed25519() -> Vec<u8> {
    element(SEQUENCE, &[&element(OBJECT_IDENTIFIER, &[&[0x2b, 0x65, 0x70]])])
}

/// The SubjectPublicKeyInfo of [`key_pair`].
pub fn public_key_info() -> Vec<u8> {
    let bits = element(BIT_STRING, &[&[0], key_pair().public_key().as_ref()]);
    element(SEQUENCE, &[&ed25519(), &bits])
}

/// The content with its algorithm and a signature by [`key_pair`].
pub fn signed(content: &[u8]) -> Vec<u8> {
    let signature = element(BIT_STRING, &[&[0], key_pair().sign(content).as_ref()]);
    element(SEQUENCE, &[content, &ed25519(), &signature])
}

/// A signed request with this content of its subject and of its attributes.
pub fn request(subject: &[u8], attributes: &[u8]) -> Vec<u8> {
    let version = element(INTEGER, &[&[0]]);
    let subject = element(SEQUENCE, &[subject]);
    let attributes = element(der::explicit(0), &[attributes]);
    signed(&element(SEQUENCE, &[&version, &subject, &public_key_info(), &attributes]))
}

/// A self-signed CA certificate with this content of its subject, and these extensions after basic
/// constraints.
pub fn certificate(subject: &[u8], extensions: &[u8]) -> Vec<u8> {
    let name = element(SEQUENCE, &[subject]);
    let time = |text: &str| element(der::UTC_TIME, &[text.as_bytes()]);
    let validity = element(SEQUENCE, &[&time("260101000000Z"), &time("360101000000Z")]);
    let authority = element(SEQUENCE, &[&element(BOOLEAN, &[&[0xff]])]);
    let basic_constraints = extension(&[0x55, 0x1d, 0x13], &authority);
    let extensions = element(SEQUENCE, &[&basic_constraints, extensions]);
    signed(&element(
        SEQUENCE,
        &[
            &element(der::explicit(0), &[&element(INTEGER, &[&[2]])]),
            &element(INTEGER, &[&[1]]),
            &ed25519(),
            &name,
            &validity,
            &name,
            &public_key_info(),
            &element(der::explicit(3), &[&extensions]),
        ],
    ))
}

/// A certificate with this common name.
pub fn certificate_of(name: &str) -> Vec<u8> {
    let common_name = element(OBJECT_IDENTIFIER, &[&[0x55, 4, 3]]);
    let attribute = element(SEQUENCE, &[&common_name, &element(UTF8_STRING, &[name.as_bytes()])]);
    certificate(&element(SET, &[&attribute]), &[])
}

/// One extension, not critical.
pub fn extension(oid: &[u8], value: &[u8]) -> Vec<u8> {
    element(SEQUENCE, &[&element(OBJECT_IDENTIFIER, &[oid]), &element(OCTET_STRING, &[value])])
}

/// A PKCS#8 key of the Ed25519 algorithm around any bytes.
pub fn private_key_info(bytes: &[u8]) -> Secret<Vec<u8>> {
    let key = element(OCTET_STRING, &[bytes]);
    Secret::new(element(SEQUENCE, &[&element(INTEGER, &[&[0]]), &ed25519(), &key]))
}

/// Splits the data in two parts; the first byte is the length of the first part.
pub fn halves(data: &[u8]) -> (&[u8], &[u8]) {
    let Some((cut, rest)) = data.split_first() else { return (data, data) };
    rest.split_at(usize::from(*cut).min(rest.len()))
}
