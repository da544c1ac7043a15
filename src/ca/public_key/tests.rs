use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};

use super::*;

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
fn verifies_what_its_private_half_signed_and_nothing_else() {
    let (pair, spki) = p256();
    let key = PublicKey::parse(&spki).unwrap();
    assert_eq!(key.kind(), KeyKind::Ec(Curve::P256));
    let signature = pair.sign(&SystemRandom::new(), b"message").unwrap();
    let ecdsa = SignatureAlgorithm::Ecdsa(Hash::Sha256);
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
fn refuses_bytes_behind_the_key() {
    let (_, mut spki) = p256();
    spki.push(0);
    assert!(PublicKey::parse(&spki).is_err());
}

#[test]
fn names_what_it_does_not_know() {
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

#[test]
fn measures_rsa_by_its_modulus() {
    let modulus = [&[2, 0x81, 129, 0][..], &[0xff; 128]].concat();
    let key = [&[0x30, 0x81, 137][..], &modulus, &[2, 3, 1, 0, 1]].concat();
    let spki = [
        &[0x30, 0x81, 159, 0x30, 13, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 5, 0][..],
        &[3, 0x81, 141, 0],
        &key,
    ]
    .concat();
    assert_eq!(PublicKey::parse(&spki).unwrap().kind(), KeyKind::Rsa(1024));
}

#[test]
fn an_rsa_key_with_the_exponent_one_proves_nothing() {
    // With it everybody can write the signature: it is the padded digest itself.
    let modulus = [&[2, 0x82, 1, 1, 0][..], &[0xff; 256]].concat();
    let key = |exponent: u8| {
        let key = [&[0x30, 0x82, 1, 8][..], &modulus, &[2, 1, exponent]].concat();
        PublicKey::of_our_own(KeyKind::Rsa(2048), &key)
    };
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, b"message");
    let information = [
        &[0x30, 0x31, 0x30, 13, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1, 5, 0, 4, 32][..],
        digest.as_ref(),
    ]
    .concat();
    let padding = vec![0xff; 256 - 3 - information.len()];
    let forged = [&[0, 1][..], &padding, &[0], &information].concat();
    for exponent in [1, 2, 3] {
        let algorithm = SignatureAlgorithm::RsaPkcs1(Hash::Sha256);
        assert!(!key(exponent).verify(algorithm, b"message", &forged), "{exponent}");
    }
}
