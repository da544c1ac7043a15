//! OpenSSL verifies what Signet signs, for every kind of issuer.
//!
//! Skipped where `openssl` is not installed, unless `SIGNET_REQUIRE_TOOLS=1`.

#![expect(clippy::unwrap_used, reason = "a test stops where something is wrong")]

use std::path::Path;
use std::process::{Command, Output};

use data_encoding::BASE64;
use signet::ca::authority::CaCertificateParams;
use signet::ca::cert::{compose, compose_self_signed};
use signet::ca::certificate::Certificate;
use signet::ca::crl::{CrlEntries, CrlValues, compose_crl};
use signet::ca::key::{Curve, KeyKind, SignatureAlgorithm, SignaturePreference};
use signet::ca::lint::{lint, lint_crl, lint_request, lint_self_signed};
use signet::ca::permit::{AlternativeNames, IssuingUrls, KeyUsage, SubjectName};
use signet::ca::request::{RequestValues, compose_request};
use signet::ca::role::{
    CertificateParams, IssuanceLimits, LeafNotAfterBehavior, RoleFields, TtlLimits,
};
use signet::ca::serial::Serial;
use signet::ca::time::Timestamp;
use signet::keys::{PrivateKey, SubjectKey};

/// 2026-11-22T00:00:00Z
const NOW: Timestamp = Timestamp::from_unix(1_795_305_600);
const LIMITS: TtlLimits = TtlLimits { default: 3600, max: 86_400 };

const fn signature(bits: u32, pss: bool) -> SignaturePreference {
    SignaturePreference { bits, pss, ec_takes_bits: false }
}

/// The kinds of issuer keys, with the signature preferences of RSA.
const ISSUERS: [(KeyKind, SignaturePreference); 6] = [
    (KeyKind::Ec(Curve::P256), signature(0, false)),
    (KeyKind::Ec(Curve::P384), signature(0, false)),
    (KeyKind::Ec(Curve::P521), signature(0, false)),
    (KeyKind::Ed25519, signature(0, false)),
    (KeyKind::Rsa(2048), signature(384, false)),
    (KeyKind::Rsa(2048), signature(512, true)),
];

#[expect(clippy::disallowed_methods, reason = "a test asks whether a missing tool is a failure")]
fn has_openssl() -> bool {
    let found = Command::new("openssl").arg("version").output().is_ok();
    let required = std::env::var("SIGNET_REQUIRE_TOOLS").is_ok_and(|value| value == "1");
    assert!(found || !required, "openssl is required but not installed");
    found
}

fn openssl(folder: &Path, arguments: &[&str]) -> Output {
    Command::new("openssl").current_dir(folder).args(arguments).output().unwrap()
}

/// Runs `openssl`, which must succeed, and returns its output.
fn accepts(folder: &Path, arguments: &[&str]) -> String {
    let output = openssl(folder, arguments);
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    assert!(output.status.success(), "openssl {arguments:?}: {text}");
    text
}

fn write(folder: &Path, name: &str, label: &str, der: &[u8]) {
    let mut text = format!("-----BEGIN {label}-----\n");
    for line in BASE64.encode(der).as_bytes().chunks(64) {
        text.push_str(std::str::from_utf8(line).unwrap());
        text.push('\n');
    }
    text.push_str(&format!("-----END {label}-----\n"));
    std::fs::write(folder.join(name), text).unwrap();
}

fn root(key: &PrivateKey, signature: SignaturePreference) -> Certificate {
    let mut params = CaCertificateParams {
        signature_bits: signature.bits.into(),
        use_pss: signature.pss,
        ..CaCertificateParams::default()
    };
    params.params.common_name = "Root".to_owned();
    params.params.ttl = 86_400;
    let permit = params.permit_root(LIMITS, IssuingUrls::default(), NOW).unwrap();
    let serial = Serial::new(permit.template().not_after, [1; 16]);
    let tbs = compose_self_signed(permit, key.public(), serial).unwrap();
    let signed = key.sign(lint_self_signed(tbs).unwrap()).unwrap();
    Certificate::parse(signed.into_der()).unwrap()
}

/// A leaf of this issuer: its DER and its serial number.
fn leaf(issuer: &Certificate, key: &PrivateKey, subject: &SubjectKey) -> (Vec<u8>, Serial) {
    let mut fields = RoleFields::unspecified();
    fields.allowed_uri_sans = vec!["spiffe://example.com/*".to_owned()];
    fields.allow_any_name = true;
    fields.key_type = "any".to_owned();
    let (role, _) = fields.compile("svid").unwrap();
    let ask = CertificateParams {
        common_name: "a.example.com".to_owned(),
        uri_sans: vec!["spiffe://example.com/payments/api".to_owned()],
        ..CertificateParams::default()
    };
    let bounds = IssuanceLimits {
        issuer_end: issuer.not_after(),
        behavior: LeafNotAfterBehavior::Err,
        mount: LIMITS,
        urls: IssuingUrls::default(),
    };
    let permit = role.permit(&ask, None, subject.public().kind(), &bounds, NOW).unwrap();
    let serial = Serial::new(permit.template().not_after, [2; 16]);
    let view = issuer.issuer_view();
    let tbs = compose(permit, &view, subject.public(), serial).unwrap();
    (key.sign(lint(tbs, &view).unwrap()).unwrap().into_der(), serial)
}

fn list(issuer: &Certificate, key: &PrivateKey, serials: &[Serial]) -> Vec<u8> {
    let mut entries = CrlEntries::default();
    for serial in serials {
        entries.push(serial.as_bytes(), NOW).unwrap();
    }
    let values = CrlValues {
        number: 1,
        this_update: NOW,
        next_update: NOW.plus(3600),
        algorithm: SignatureAlgorithm::choose(key.kind(), SignaturePreference::default()),
        freshest_crl: &[],
    };
    let view = issuer.issuer_view();
    let crl = compose_crl(&view, &values, &entries).unwrap();
    key.sign(lint_crl(crl, &view).unwrap()).unwrap().into_der()
}

#[test]
fn openssl_verifies_leaf_root_and_crl_of_every_kind_of_issuer() {
    if !has_openssl() {
        return;
    }
    for (kind, preference) in ISSUERS {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let key = PrivateKey::generate(kind).unwrap();
        let root = root(&key, preference);
        let subject = SubjectKey::generate(KeyKind::Ec(Curve::P256)).unwrap();
        let (leaf, serial) = leaf(&root, &key, &subject);
        write(folder, "root.pem", "CERTIFICATE", root.der());
        write(folder, "leaf.pem", "CERTIFICATE", &leaf);
        write(folder, "key.pem", "PRIVATE KEY", subject.pkcs8().expose());
        write(folder, "none.crl", "X509 CRL", &list(&root, &key, &[]));
        write(folder, "leaf.crl", "X509 CRL", &list(&root, &key, &[serial]));
        let at = NOW.unix().to_string();
        let verify = ["verify", "-x509_strict", "-check_ss_sig", "-attime", &at];
        let verify = [&verify[..], &["-CAfile", "root.pem"]].concat();
        accepts(folder, &[&verify[..], &["leaf.pem"]].concat());
        accepts(folder, &[&verify[..], &["root.pem"]].concat());
        let checked = ["-crl_check", "-CRLfile", "none.crl", "leaf.pem"];
        accepts(folder, &[&verify[..], &checked].concat());
        let revoked = ["-crl_check", "-CRLfile", "leaf.crl", "leaf.pem"];
        let refused = openssl(folder, &[&verify[..], &revoked].concat());
        assert!(!refused.status.success(), "{kind:?}: a revoked certificate was accepted");
        let text = accepts(folder, &["x509", "-in", "leaf.pem", "-noout", "-text"]);
        assert!(text.contains("URI:spiffe://example.com/payments/api"), "{text}");
        let certified = accepts(folder, &["x509", "-in", "leaf.pem", "-noout", "-pubkey"]);
        let public = accepts(folder, &["pkey", "-in", "key.pem", "-pubout"]);
        assert_eq!(certified, public, "the key matches the certificate");
    }
}

#[test]
fn openssl_verifies_the_csrs() {
    if !has_openssl() {
        return;
    }
    for (kind, preference) in ISSUERS {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let key = PrivateKey::generate(kind).unwrap();
        let values = RequestValues {
            subject: SubjectName::Composed(Default::default()),
            names: AlternativeNames {
                uri: vec!["spiffe://example.com".to_owned()],
                ..AlternativeNames::default()
            },
            basic_constraints: true,
            key_usage: KeyUsage::KEY_CERT_SIGN,
        };
        let algorithm = SignatureAlgorithm::choose(kind, preference);
        let request = compose_request(&values, key.public(), algorithm).unwrap();
        let signed = key.sign(lint_request(request).unwrap()).unwrap();
        write(folder, "request.pem", "CERTIFICATE REQUEST", signed.der());
        let text = accepts(folder, &["req", "-in", "request.pem", "-noout", "-verify", "-text"]);
        assert!(text.contains("CA:TRUE"), "{text}");
    }
}
