//! One suite of tests for every implementation of custody.

use crate::ca::key::{Curve, KeyKind, SignatureAlgorithm, SignaturePreference};
use crate::ca::lint::lint_request;
use crate::ca::permit::{AlternativeNames, KeyUsage, Subject, SubjectName};
use crate::ca::request::{RequestValues, TbsRequest, compose_request};
use crate::ca::signed::Linted;

use super::{KeyError, PrivateKey, SignError, SubjectKey};

const KINDS: [KeyKind; 5] = [
    KeyKind::Ec(Curve::P256),
    KeyKind::Ec(Curve::P384),
    KeyKind::Ec(Curve::P521),
    KeyKind::Ed25519,
    KeyKind::Rsa(2048),
];

fn request(key: &PrivateKey, algorithm: SignatureAlgorithm) -> Linted<TbsRequest> {
    let values = RequestValues {
        subject: SubjectName::Composed(Subject::default()),
        names: AlternativeNames::default(),
        basic_constraints: false,
        key_usage: KeyUsage::default(),
    };
    lint_request(compose_request(&values, key.public(), algorithm).unwrap()).unwrap()
}

fn signs(key: &PrivateKey, algorithm: SignatureAlgorithm) {
    let signed = key.sign(request(key, algorithm)).unwrap();
    let parsed = crate::ca::csr::ParsedCsr::parse(signed.der()).unwrap();
    assert_eq!(parsed.verify().unwrap().public_key(), key.public(), "{algorithm}");
}

#[test]
fn every_kind_signs_before_and_after_it_is_stored() {
    for kind in KINDS {
        let key = PrivateKey::generate(kind).unwrap();
        assert_eq!(key.kind(), kind);
        let again = PrivateKey::from_pkcs8(&key.to_pkcs8().unwrap()).unwrap();
        assert_eq!(again.public(), key.public());
        signs(&again, SignatureAlgorithm::choose(kind, SignaturePreference::default()));
    }
}

#[test]
fn rsa_signs_with_every_hash_and_both_paddings() {
    let key = PrivateKey::generate(KeyKind::Rsa(2048)).unwrap();
    for bits in [256, 384, 512] {
        for pss in [false, true] {
            let preference = SignaturePreference { bits, pss, ec_takes_bits: false };
            signs(&key, SignatureAlgorithm::choose(key.kind(), preference));
        }
    }
}

#[test]
fn every_curve_signs_with_every_hash() {
    for curve in [Curve::P256, Curve::P384, Curve::P521] {
        let key = PrivateKey::generate(KeyKind::Ec(curve)).unwrap();
        for bits in [256, 384, 512] {
            let preference = SignaturePreference { bits, pss: false, ec_takes_bits: true };
            let algorithm = SignatureAlgorithm::choose(key.kind(), preference);
            assert!(algorithm.as_str().ends_with(&bits.to_string()), "{algorithm}");
            signs(&key, algorithm);
        }
    }
}

#[test]
fn refuses_an_algorithm_of_another_key() {
    let key = PrivateKey::generate(KeyKind::Ec(Curve::P384)).unwrap();
    for algorithm in SignatureAlgorithm::ALL {
        let fits = matches!(algorithm, SignatureAlgorithm::Ecdsa(_));
        let result = key.sign(request(&key, algorithm));
        assert_eq!(result.err(), (!fits).then_some(SignError::Unfit), "{algorithm}");
    }
}

#[test]
fn refuses_unsupported_kinds() {
    for kind in [KeyKind::Ec(Curve::P224), KeyKind::Rsa(1024), KeyKind::Rsa(2049)] {
        assert_eq!(PrivateKey::generate(kind).err(), Some(KeyError::Unsupported));
        assert_eq!(SubjectKey::generate(kind).err(), Some(KeyError::Unsupported));
    }
}

#[test]
fn refuses_bytes_that_are_not_a_key() {
    for bytes in [&[][..], &[0x30, 0], b"-----BEGIN PRIVATE KEY-----"] {
        let bytes = bytes.to_vec().into();
        assert_eq!(PrivateKey::from_pkcs8(&bytes).err(), Some(KeyError::Rejected));
    }
}

#[test]
fn the_two_halves_of_a_subject_key_belong_together() {
    for kind in KINDS {
        let subject = SubjectKey::generate(kind).unwrap();
        let key = PrivateKey::from_pkcs8(subject.pkcs8()).unwrap();
        assert_eq!(key.public(), subject.public());
        let parsed = crate::ca::public_key::PublicKey::parse(subject.public().spki()).unwrap();
        assert_eq!(&parsed, subject.public());
    }
}

#[test]
fn a_key_is_never_printed() {
    let key = PrivateKey::generate(KeyKind::Ed25519).unwrap();
    assert_eq!(format!("{key:?}"), "PrivateKey(Ed25519)");
}

#[test]
fn a_key_is_shared_between_threads() {
    const fn shared<T: Send + Sync + Clone>() {}
    shared::<PrivateKey>();
}
