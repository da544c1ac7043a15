use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};

use super::*;
use crate::ca::asn1::Unsigned;

const P256_PREFIX: [u8; 27] = [
    0x30, 0x59, 0x30, 0x13, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 8, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 3, 1, 7, 3, 0x42, 0, 4,
];

fn p256() -> (EcdsaKeyPair, Vec<u8>) {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
    let mut spki = P256_PREFIX.to_vec();
    spki.extend_from_slice(&pair.public_key().as_ref()[1..]);
    (pair, spki)
}

#[test]
fn verifies_only_signatures_of_its_private_key() {
    let (pair, spki) = p256();
    let key = PublicKey::parse(&spki).unwrap();
    assert_eq!(key.kind(), KeyKind::Ec(Curve::P256));
    let signature = pair.sign(&SystemRandom::new(), b"message").unwrap();
    let ecdsa = SignatureAlgorithm::Ecdsa(SignatureHash::Sha256);
    assert!(key.verify(ecdsa, b"message", signature.as_ref()));
    assert!(!key.verify(ecdsa, b"massage", signature.as_ref()));
    assert!(!key.verify(SignatureAlgorithm::Ed25519, b"message", signature.as_ref()));
}

#[test]
fn refuses_a_point_beside_the_curve() {
    let (_, mut spki) = p256();
    *spki.last_mut().unwrap() ^= 1;
    assert_eq!(
        PublicKey::parse(&spki).unwrap_err().to_string(),
        "ecdsa: invalid uncompressed public key"
    );
}

#[test]
fn refuses_trailing_bytes() {
    let (_, mut spki) = p256();
    spki.push(0);
    assert!(PublicKey::parse(&spki).is_err());
}

#[test]
fn refuses_unsupported_algorithms_and_curves() {
    let ed448 = [&[0x30, 0x43, 0x30, 5, 6, 3, 0x2b, 0x65, 0x71, 3, 0x3a, 0][..], &[7; 57]].concat();
    assert_eq!(PublicKey::parse(&ed448), Err(PublicKeyError::UnknownAlgorithm));
    let (_, mut k256) = p256();
    k256[22] = 9;
    assert_eq!(PublicKey::parse(&k256), Err(PublicKeyError::UnsupportedCurve));
}

#[test]
fn refuses_rsa_without_null_and_ed25519_with_parameters() {
    let rsa = [0x30, 16, 0x30, 11, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 3, 1, 0];
    assert_eq!(
        PublicKey::parse(&rsa).unwrap_err().to_string(),
        "x509: RSA key missing NULL parameters"
    );
    let edwards =
        [&[0x30, 44, 0x30, 7, 6, 3, 0x2b, 0x65, 0x70, 5, 0, 3, 33, 0][..], &[7; 32]].concat();
    assert_eq!(
        PublicKey::parse(&edwards).unwrap_err().to_string(),
        "x509: Ed25519 key encoded with illegal parameters"
    );
}

/// A modulus of this length, with its first bit set and without a small factor.
fn modulus(bytes: usize) -> Vec<u8> {
    let mut modulus = vec![0; bytes];
    modulus[0] = 0x80;
    for low in (1..=u16::MAX).step_by(2) {
        modulus[bytes - 2..].copy_from_slice(&low.to_be_bytes());
        if small_factor(&modulus).is_none() {
            break;
        }
    }
    modulus
}

fn rsa_bits(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    encode(&[Unsigned(modulus), Unsigned(exponent)])
}

/// A key as it is parsed from a request.
fn read_rsa(modulus: &[u8], exponent: &[u8]) -> Result<PublicKey, PublicKeyError> {
    let key = PublicKey::new_unchecked(KeyKind::Rsa(2048), &rsa_bits(modulus, exponent));
    PublicKey::parse(key.spki())
}

#[test]
fn the_size_of_an_rsa_key_is_that_of_its_modulus() {
    assert_eq!(read_rsa(&modulus(128), &[1, 0, 1]).unwrap().kind(), KeyKind::Rsa(1024));
    assert_eq!(read_rsa(&modulus(256), &[3]).unwrap().kind(), KeyKind::Rsa(2048));
}

#[test]
fn an_rsa_key_with_the_exponent_one_proves_nothing() {
    let sound = modulus(256);
    // With the exponent 1 a signature is the padded digest itself, which anyone can compute.
    for exponent in [&[1][..], &[2], &[4], &[1, 0, 0], &[1, 0, 0, 0, 1]] {
        let refused = read_rsa(&sound, exponent).unwrap_err().to_string();
        assert!(refused.contains("RSA public exponent"), "{exponent:?}: {refused}");
    }
    let even = [&sound[..255], &[sound[255] ^ 1]].concat();
    assert!(read_rsa(&even, &[1, 0, 1]).unwrap_err().to_string().contains("even"));
    for prime in [3, 5, 7, 251, 743, 751] {
        // 2^2047 plus the number that makes the sum divisible.
        let mut divisible = vec![0; 256];
        divisible[0] = 0x80;
        let rest =
            divisible.iter().fold(0_u32, |rest, byte| ((rest << 8) | u32::from(*byte)) % prime);
        let low = prime - rest + if (prime - rest) % 2 == 0 { prime } else { 0 };
        divisible[254..].copy_from_slice(&u16::try_from(low).unwrap().to_be_bytes());
        assert!(small_factor(&divisible).is_some_and(|found| found <= u64::from(prime)), "{prime}");
        assert!(read_rsa(&divisible, &[1, 0, 1]).unwrap_err().to_string().contains("divisible"));
    }
}

#[test]
fn an_ed25519_key_of_small_order_is_refused_because_one_signature_fits_every_message() {
    let mut identity = [0; 32];
    identity[0] = 1;
    let mut signature = [0; 64];
    signature[0] = 1;
    let unchecked = PublicKey::new_unchecked(KeyKind::Ed25519, &identity);
    for message in [&b"one"[..], b"another"] {
        assert!(unchecked.verify(SignatureAlgorithm::Ed25519, message, &signature));
    }
    for point in SMALL_ORDER {
        for sign in [0, 0x80] {
            let mut point = point;
            point[31] |= sign;
            let key = PublicKey::new_unchecked(KeyKind::Ed25519, &point);
            let refused = PublicKey::parse(key.spki()).unwrap_err().to_string();
            assert_eq!(refused, "x509: Ed25519 public key has small order");
        }
    }
    for first in 0xed..=0xff {
        let mut point = edge(first, 0xff, 0x7f);
        for _ in 0..2 {
            let key = PublicKey::new_unchecked(KeyKind::Ed25519, &point);
            let refused = PublicKey::parse(key.spki()).unwrap_err().to_string();
            assert_eq!(refused, "x509: Ed25519 public key is not canonical");
            point[31] |= 0x80;
        }
    }
    // One below p - 1, and one whose last byte alone is that of p.
    for point in [edge(0xeb, 0xff, 0x7f), edge(0xff, 0, 0x7f)] {
        let key = PublicKey::new_unchecked(KeyKind::Ed25519, &point);
        assert_eq!(PublicKey::parse(key.spki()).unwrap().spki(), key.spki());
    }
}

#[test]
fn a_parsed_key_is_encoded_again_without_bytes_after_the_curve() {
    let (_, spki) = p256();
    assert_eq!(PublicKey::parse(&spki).unwrap().spki(), spki);
    for extra in [&[5, 0][..], &[4, 1, 0]] {
        let mut longer = spki.clone();
        longer.splice(23..23, extra.iter().copied());
        longer[1] += u8::try_from(extra.len()).unwrap();
        longer[3] += u8::try_from(extra.len()).unwrap();
        let refused = PublicKey::parse(&longer).unwrap_err().to_string();
        assert_eq!(refused, "x509: invalid ECDSA parameters");
    }
}
