//! The kind of a key in words: `RSA 2048`, `EC P-256`, `Ed25519`.

use aws_lc_rs::rsa;
use der::asn1::{AnyRef, ObjectIdentifier};
use der::{Decode, SliceReader};

use crate::ca::algorithm_identifier::AlgorithmIdentifierRef;
use crate::ca::key::KeyKind;
use crate::secret::Secret;

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const NAMES: [(ObjectIdentifier, &str); 6] = [
    (ObjectIdentifier::new_unwrap("1.3.101.112"), "Ed25519"),
    (ObjectIdentifier::new_unwrap("1.3.101.113"), "Ed448"),
    (ObjectIdentifier::new_unwrap("1.2.840.10040.4.1"), "DSA"),
    (ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7"), "EC P-256"),
    (ObjectIdentifier::new_unwrap("1.3.132.0.34"), "EC P-384"),
    (ObjectIdentifier::new_unwrap("1.3.132.0.35"), "EC P-521"),
];

/// The kind of a public key.
pub(super) fn name(kind: KeyKind) -> String {
    match kind {
        KeyKind::Rsa(bits) => format!("RSA {bits}"),
        KeyKind::Ec(curve) => format!("EC P-{}", curve.bits()),
        KeyKind::Ed25519 => "Ed25519".to_owned(),
    }
}

/// The kind of a private key in PKCS#8, by its algorithm identifier (RFC 5208, section 5).
pub(super) fn of(pkcs8: &Secret<Vec<u8>>) -> String {
    let unknown = || "of an unknown kind".to_owned();
    let pkcs8 = pkcs8.expose();
    let Some(algorithm) = algorithm(pkcs8) else { return unknown() };
    let named = |oid: ObjectIdentifier| NAMES.iter().find(|known| known.0 == oid);
    match algorithm.oid {
        RSA => rsa::KeyPair::from_pkcs8(pkcs8).map_or_else(
            |_| "RSA".to_owned(),
            |pair| format!("RSA {}", 8 * pair.public_modulus_len()),
        ),
        EC => {
            let curve = algorithm.parameters.and_then(|any| any.decode_as().ok());
            curve.and_then(named).map_or_else(|| "EC".to_owned(), |known| known.1.to_owned())
        }
        other => named(other).map_or_else(unknown, |known| known.1.to_owned()),
    }
}

fn algorithm(pkcs8: &[u8]) -> Option<AlgorithmIdentifierRef<'_>> {
    let info = AnyRef::from_der(pkcs8).ok()?;
    let mut fields = SliceReader::new(info.value()).ok()?;
    let _version = u8::decode(&mut fields).ok()?;
    AlgorithmIdentifierRef::decode(&mut fields).ok()
}
