//! Fixtures for the tests of `ca`: a leaf, authorities, generated keys.

use crate::ca::oid::ObjectIdentifier;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};

use super::cert::{Tbs, compose, compose_self_signed};
use super::certificate::Certificate;
use super::key::{Curve, KeyKind, SignaturePreference};
use super::permit::{
    AlternativeNames, BasicConstraints, IssuingUrls, KeyUsage, Permit, Subject, SubjectName,
    Template,
};
use super::public_key::PublicKey;
use super::serial::Serial;
use super::signed::{Linted, Signed, ToSign};
use super::time::Timestamp;

pub(in crate::ca) const SERVER_AUTH: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.1");
pub(in crate::ca) const CLIENT_AUTH: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.2");

/// 2026-11-22T00:00:00Z
pub(in crate::ca) const NOW: Timestamp = Timestamp::from_unix(1_795_305_600);

/// The base point of P-256 as a key: known bytes for golden files.
pub(in crate::ca) fn known_key() -> PublicKey {
    let point = data_encoding::HEXLOWER
        .decode(
            b"046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296\
              4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5",
        )
        .unwrap();
    PublicKey::new_unchecked(KeyKind::Ec(Curve::P256), &point)
}

/// An X.509-SVID such as most roles permit.
pub(in crate::ca) fn leaf() -> Template {
    Template {
        subject: composed("payments-api"),
        names: AlternativeNames {
            dns: vec!["a.example.com".to_owned()],
            uri: vec!["spiffe://example.com/payments/api".to_owned()],
            ..AlternativeNames::default()
        },
        not_before: NOW.plus(-30),
        not_after: NOW.plus(3600),
        key_usage: KeyUsage::DIGITAL_SIGNATURE.with(KeyUsage::KEY_AGREEMENT),
        extended_key_usage: vec![SERVER_AUTH, CLIENT_AUTH],
        basic_constraints: BasicConstraints::EndEntity,
        policies: Vec::new(),
        name_constraints: None,
        urls: IssuingUrls::default(),
        subject_key_identifier: None,
        verbatim_extensions: Vec::new(),
        signature: SignaturePreference::default(),
    }
}

/// An authority.
pub(in crate::ca) fn authority(name: &str) -> Template {
    Template {
        subject: composed(name),
        names: AlternativeNames::default(),
        not_after: NOW.plus(86_400),
        key_usage: KeyUsage::KEY_CERT_SIGN.with(KeyUsage::CRL_SIGN),
        extended_key_usage: Vec::new(),
        basic_constraints: BasicConstraints::Authority { path_length: None },
        ..leaf()
    }
}

pub(in crate::ca) fn composed(common_name: &str) -> SubjectName {
    let common_name = common_name.to_owned();
    SubjectName::Composed(Subject { common_name, ..Subject::default() })
}

pub(in crate::ca) fn serial(template: &Template) -> Serial {
    Serial::new(template.not_after, [7; 16])
}

/// A generated key pair.
pub(in crate::ca) struct Pair {
    pair: EcdsaKeyPair,
    pub(in crate::ca) public: PublicKey,
}

impl Pair {
    pub(in crate::ca) fn generate() -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
        let public = PublicKey::new_unchecked(KeyKind::Ec(Curve::P256), pair.public_key().as_ref());
        Self { pair, public }
    }

    pub(in crate::ca) fn sign<T: ToSign>(&self, linted: Linted<T>) -> Signed<T> {
        let message = linted.document().to_be_signed().to_vec();
        let signature = self.pair.sign(&SystemRandom::new(), &message).unwrap();
        linted.with_signature(signature.as_ref())
    }
}

/// Composes a template under an issuer.
pub(in crate::ca) fn under(template: Template, issuer: &Certificate, key: &PublicKey) -> Tbs {
    let serial = serial(&template);
    compose(Permit::new(template, Vec::new()), &issuer.issuer_view(), key, serial).unwrap()
}

/// A self-signed authority and its key.
pub(in crate::ca) fn root(name: &str) -> (Certificate, Pair) {
    let pair = Pair::generate();
    let certificate = self_signed(name, &pair);
    (certificate, pair)
}

pub(in crate::ca) fn self_signed(name: &str, pair: &Pair) -> Certificate {
    let template = authority(name);
    let serial = serial(&template);
    let tbs = compose_self_signed(Permit::new(template, Vec::new()), &pair.public, serial).unwrap();
    let linted = super::lint::lint_self_signed(tbs).unwrap();
    Certificate::parse(pair.sign(linted).into_der()).unwrap()
}

/// An authority below another.
pub(in crate::ca) fn intermediate(
    name: &str,
    pair: &Pair,
    issuer: &Certificate,
    issuer_pair: &Pair,
) -> Certificate {
    let tbs = under(authority(name), issuer, &pair.public);
    let linted = super::lint::lint(tbs, &issuer.issuer_view()).unwrap();
    Certificate::parse(issuer_pair.sign(linted).into_der()).unwrap()
}
