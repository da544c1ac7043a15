//! A DER encoder for tests that can make any byte of a CSR or certificate wrong.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair};

use crate::support::pem;

pub(super) fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let length = u32::try_from(content.len()).unwrap().to_be_bytes();
    let mut bytes = vec![tag];
    match content.len() {
        0..=0x7f => bytes.push(length[3]),
        0x80..=0xff => bytes.extend([0x81, length[3]]),
        _ => bytes.extend([0x82, length[2], length[3]]),
    }
    [bytes, content].concat()
}

pub(super) fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    element(0x30, parts)
}

pub(super) fn oid(bytes: &[u8]) -> Vec<u8> {
    element(6, &[bytes])
}

pub(super) fn bits(content: &[u8]) -> Vec<u8> {
    element(3, &[&[0], content])
}

/// The identifier under id-ce (RFC 5280) with this last arc.
pub(super) fn ce(last: u8) -> Vec<u8> {
    vec![0x55, 0x1d, last]
}

pub(super) const SKI: u8 = 14;

pub(super) const KEY_USAGE: u8 = 15;

pub(super) const SAN: u8 = 17;

pub(super) const CONSTRAINTS: u8 = 19;

pub(super) const NAMES: u8 = 30;

pub(super) const POLICIES: u8 = 32;

pub(super) const AKI: u8 = 35;

pub(super) const EKU: u8 = 37;

pub(super) fn extension(identifier: &[u8], critical: bool, value: &[u8]) -> Vec<u8> {
    let flag: &[u8] = if critical { &[1, 1, 0xff] } else { &[] };
    sequence(&[&oid(identifier), flag, &element(4, &[value])])
}

/// A non-critical extension under id-ce.
pub(super) fn plain(last: u8, value: &[u8]) -> Vec<u8> {
    extension(&ce(last), false, value)
}

pub(super) const ED25519: &[u8] = &[0x2b, 0x65, 0x70];

pub(super) const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];

pub(super) const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];

pub(super) const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1];

pub(super) const ECDSA_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];

pub(super) fn edwards() -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap()
}

pub(super) fn edwards_key(point: &[u8]) -> Vec<u8> {
    sequence(&[&sequence(&[&oid(ED25519)]), &bits(point)])
}

pub(super) fn common_name(text: &str) -> Vec<u8> {
    let pair = sequence(&[&oid(&[0x55, 4, 3]), &element(0x0c, &[text.as_bytes()])]);
    sequence(&[&element(0x31, &[&pair])])
}

/// The signed part of a CSR (CertificationRequestInfo).
pub(super) fn request_info(subject: &[u8], key: &[u8], extensions: &[Vec<u8>]) -> Vec<u8> {
    let list = sequence(&[&extensions.concat()]);
    let attribute = sequence(&[
        &oid(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 14]),
        &element(0x31, &[&list]),
    ]);
    let attributes: &[u8] = if extensions.is_empty() { &[] } else { &attribute };
    sequence(&[&[2, 1, 0], subject, key, &element(0xa0, &[attributes])])
}

pub(super) fn request_of(info: &[u8], algorithm: &[u8], signature: &[u8]) -> Vec<u8> {
    sequence(&[info, algorithm, &bits(signature)])
}

pub(super) fn text(der: &[u8]) -> String {
    pem("CERTIFICATE REQUEST", der)
}

/// A CSR of an Ed25519 key, correctly signed.
pub(super) fn request_der(subject: &[u8], extensions: &[Vec<u8>]) -> Vec<u8> {
    let pair = edwards();
    let info = request_info(subject, &edwards_key(pair.public_key().as_ref()), extensions);
    request_of(&info, &sequence(&[&oid(ED25519)]), pair.sign(&info).as_ref())
}

pub(super) fn request(extensions: &[Vec<u8>]) -> String {
    text(&request_der(&common_name("below.example.org"), extensions))
}

/// A CSR of an EC key with these parameters and a changed point.
pub(super) fn curve_request(parameters: &[u8], change: impl Fn(&[u8]) -> Vec<u8>) -> String {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
    let point = change(pair.public_key().as_ref());
    let key = sequence(&[&sequence(&[&oid(EC), parameters]), &bits(&point)]);
    let info = request_info(&common_name("below.example.org"), &key, &[]);
    let signature = pair.sign(&SystemRandom::new(), &info).unwrap();
    text(&request_of(&info, &sequence(&[&oid(ECDSA_SHA256)]), signature.as_ref()))
}

/// A self-signed CA certificate with this key and these further extensions.
pub(super) fn authority(validity: &[u8], key: &[u8], extensions: &[Vec<u8>]) -> String {
    let pair = edwards();
    let algorithm = sequence(&[&oid(ED25519)]);
    let constraints = plain(CONSTRAINTS, &sequence(&[&[1, 1, 0xff]]));
    let usage = extension(&ce(KEY_USAGE), true, &[3, 2, 1, 6]);
    let list = sequence(&[&constraints, &usage, &extensions.concat()]);
    let info = sequence(&[
        &[0xa0, 3, 2, 1, 2, 2, 1, 1],
        &algorithm,
        &common_name("Elsewhere"),
        validity,
        &common_name("Elsewhere"),
        key,
        &element(0xa3, &[&list]),
    ]);
    let whole = sequence(&[&info, &algorithm, &bits(pair.sign(&info).as_ref())]);
    pem("CERTIFICATE", &whole)
}

pub(super) fn validity(behind: &[u8]) -> Vec<u8> {
    let time = |text: &str| element(0x17, &[text.as_bytes()]);
    sequence(&[&time("260101000000Z"), &time("360101000000Z"), behind])
}

/// permittedSubtrees or excludedSubtrees with one name.
pub(super) fn subtree(list: u8, kind: u8, name: &[u8]) -> Vec<u8> {
    sequence(&[&element(0xa0 | list, &[&sequence(&[&element(kind, &[name])])])])
}
