//! CA certificates of other software: each unusual shape is imported or refused with a reason, and
//! does not affect other issuers.

use data_encoding::BASE64;
use der::{Decode, Encode};
use serde_json::{Value, json};
use signet::cli::keystore::{jks, pkcs12};
use signet::secret::Secret;
use signet::store::memory::CommitFault;

use super::{crl, imported, issue, list, read, revoke, server, set};
use crate::support::{Answer, Server, der, pem};

/// A CA certificate that was made by other software.
#[derive(Clone)]
pub(super) struct Shape {
    version: Option<u8>,
    serial: Vec<u8>,
    pub(super) algorithm: Vec<u8>,
    subject: Vec<u8>,
    validity: (&'static str, &'static str),
    key: Vec<u8>,
    basic_constraints: Option<Vec<u8>>,
    key_usage: Option<Vec<u8>>,
    key_identifier: Option<Vec<u8>>,
}

fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let mut bytes = vec![tag];
    match content.len() {
        short @ 0..=0x7f => bytes.push(short as u8),
        long => {
            let length: Vec<u8> =
                long.to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect();
            bytes.push(0x80 | length.len() as u8);
            bytes.extend(length);
        }
    }
    bytes.extend(content);
    bytes
}

fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    element(0x30, parts)
}

fn name(common_name: &str) -> Vec<u8> {
    let attribute = sequence(&[&[6, 3, 0x55, 4, 3], &element(12, &[common_name.as_bytes()])]);
    sequence(&[&element(0x31, &[&attribute])])
}

fn extension(last: u8, value: &[u8]) -> Vec<u8> {
    sequence(&[&[6, 3, 0x55, 0x1d, last], &element(4, &[value])])
}

const ECDSA_SHA256: &[u8] = &[6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
pub(super) const RSA_SHA1: &[u8] = &[6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 5, 5, 0];
const UNKNOWN: &[u8] = &[6, 3, 0x2a, 3, 4];

impl Shape {
    pub(super) fn new(key: &[u8]) -> Self {
        Self {
            version: Some(2),
            serial: vec![0x51, 2, 3],
            algorithm: ECDSA_SHA256.to_vec(),
            subject: name("Made Elsewhere"),
            validity: ("261101000000Z", "361101000000Z"),
            key: key.to_vec(),
            basic_constraints: Some(vec![0x30, 3, 1, 1, 0xff]),
            key_usage: Some(vec![3, 2, 1, 6]),
            key_identifier: Some(vec![4, 4, 1, 2, 3, 4]),
        }
    }

    pub(super) fn pem(&self) -> String {
        let version = self.version.map(|version| element(0xa0, &[&[2, 1, version]]));
        let algorithm = sequence(&[&self.algorithm]);
        let (from, until) = self.validity;
        let validity =
            sequence(&[&element(23, &[from.as_bytes()]), &element(23, &[until.as_bytes()])]);
        let extensions: Vec<_> =
            [(19, &self.basic_constraints), (15, &self.key_usage), (14, &self.key_identifier)]
                .into_iter()
                .filter_map(|(last, value)| Some(extension(last, value.as_ref()?)))
                .collect();
        let extensions =
            (!extensions.is_empty()).then(|| element(0xa3, &[&sequence(&[&extensions.concat()])]));
        let body = sequence(&[
            &version.unwrap_or_default(),
            &element(2, &[&self.serial]),
            &algorithm,
            &name("Another Issuer"),
            &validity,
            &self.subject,
            &self.key,
            &extensions.unwrap_or_default(),
        ]);
        let signature = element(3, &[&[0], &sequence(&[&[2, 1, 1, 2, 1, 1]])]);
        pem("CERTIFICATE", &sequence(&[&body, &algorithm, &signature]))
    }
}

/// The SubjectPublicKeyInfo of a key that the server does not hold.
pub(super) fn foreign_key() -> Vec<u8> {
    let key = rcgen::KeyPair::generate().unwrap();
    rcgen::PublicKeyData::subject_public_key_info(&key)
}

/// The SubjectPublicKeyInfo of a key of the mount.
pub(super) async fn own_key(server: &Server, kind: &str) -> Vec<u8> {
    let body = json!({ "common_name": "x", "key_type": kind });
    let csr = server.post("pki/intermediate/generate/internal", body).await.ok().text("csr");
    let request = x509_cert::request::CertReq::from_der(&der(&csr)).unwrap();
    request.info.public_key.to_der().unwrap()
}

/// An RSA key with a modulus of `bytes` bytes and the exponent 65537.
fn rsa_key(bytes: usize) -> Vec<u8> {
    let modulus = [&[0][..], &vec![0xc5; bytes]].concat();
    let key = sequence(&[&element(2, &[&modulus]), &[2, 3, 1, 0, 1]]);
    let algorithm = sequence(&[&[6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 5, 0]]);
    sequence(&[&algorithm, &element(3, &[&[0], &key])])
}

fn p224_key() -> Vec<u8> {
    let algorithm =
        sequence(&[&[6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1], &[6, 5, 0x2b, 0x81, 4, 0, 33]]);
    sequence(&[&algorithm, &element(3, &[&[0, 4], &[7; 56]])])
}

/// Every unusual shape, with a description.
fn unusual_shapes(key: &[u8]) -> Vec<(&'static str, Shape)> {
    let usual = Shape::new(key);
    let with = |change: &dyn Fn(&mut Shape)| {
        let mut shape = usual.clone();
        change(&mut shape);
        shape
    };
    vec![
        ("nothing", usual.clone()),
        ("no key identifier", with(&|shape| shape.key_identifier = None)),
        ("empty key identifier", with(&|shape| shape.key_identifier = Some(vec![4, 0]))),
        (
            "long key identifier",
            with(&|shape| shape.key_identifier = Some(element(4, &[&[9; 5000]]))),
        ),
        ("no key usage", with(&|shape| shape.key_usage = None)),
        ("key usage of no bit", with(&|shape| shape.key_usage = Some(vec![3, 1, 0]))),
        ("digitalSignature alone", with(&|shape| shape.key_usage = Some(vec![3, 2, 7, 0x80]))),
        ("keyCertSign alone", with(&|shape| shape.key_usage = Some(vec![3, 2, 2, 4]))),
        ("cRLSign alone", with(&|shape| shape.key_usage = Some(vec![3, 2, 1, 2]))),
        ("signed with SHA-1", with(&|shape| shape.algorithm = RSA_SHA1.to_vec())),
        ("unknown algorithm", with(&|shape| shape.algorithm = UNKNOWN.to_vec())),
        (
            "version 1",
            with(&|shape| {
                shape.version = None;
                shape.basic_constraints = None;
                shape.key_usage = None;
                shape.key_identifier = None;
            }),
        ),
        ("version 1 with extensions", with(&|shape| shape.version = None)),
        ("no basic constraints", with(&|shape| shape.basic_constraints = None)),
        ("no CA", with(&|shape| shape.basic_constraints = Some(vec![0x30, 0]))),
        (
            "path length 0",
            with(&|shape| shape.basic_constraints = Some(vec![0x30, 6, 1, 1, 0xff, 2, 1, 0])),
        ),
        ("negative serial number", with(&|shape| shape.serial = vec![0xff])),
        ("serial number 0", with(&|shape| shape.serial = vec![0])),
        ("long serial number", with(&|shape| shape.serial = vec![0x11; 300])),
        ("empty subject", with(&|shape| shape.subject = sequence(&[]))),
        ("huge subject", with(&|shape| shape.subject = name(&"x".repeat(100_000)))),
        ("expired", with(&|shape| shape.validity = ("200101000000Z", "210101000000Z"))),
        ("not yet valid", with(&|shape| shape.validity = ("350101000000Z", "360101000000Z"))),
        (
            "ends before it begins",
            with(&|shape| shape.validity = ("360101000000Z", "200101000000Z")),
        ),
    ]
}

#[tokio::test]
async fn r01_no_shape_of_an_imported_certificate_affects_other_issuers() {
    let keys = server().await;
    for kind in ["ec", "ed25519"] {
        let count = unusual_shapes(&own_key(&keys, kind).await).len();
        for at in 0..count {
            let server = server().await;
            let key = own_key(&server, kind).await;
            let (what, shape) = unusual_shapes(&key).swap_remove(at);
            try_shape(&server, &format!("{what}, {kind}"), &shape).await;
        }
    }
    let unusual_keys = [
        ("P-224", p224_key()),
        ("RSA 1024", rsa_key(128)),
        ("RSA 512", rsa_key(64)),
        ("RSA 16384", rsa_key(2048)),
    ];
    for (what, key) in unusual_keys {
        try_shape(&server().await, what, &Shape::new(&key)).await;
    }
}

/// Imports the certificate and sends every request that involves an issuer.
async fn try_shape(server: &Server, what: &str, shape: &Shape) {
    let leaf = issue(server, "pki/issuer/root/issue/web").await;
    let issuers = server.list("pki/issuers").await.body;
    let body = json!({ "certificate": shape.pem() });
    let answer = server.post("pki/intermediate/set-signed", body).await;
    let fine = |answer: &Answer| assert!(answer.status < 500, "{what}: {answer:?}");
    fine(&answer);
    if answer.status == 400 {
        assert!(answer.errors()[0].len() > 20, "{what}: a reason: {answer:?}");
        assert_eq!(server.list("pki/issuers").await.data()["keys"], {
            let before: Value = serde_json::from_slice(&issuers).unwrap();
            before["data"]["keys"].clone()
        });
        return;
    }
    let id = imported(&answer);
    let csr = json!({ "common_name": "y", "key_type": "ec" });
    let csr = server.post("pki/intermediate/generate/internal", csr).await.ok().text("csr");
    let issued = server
        .post(&format!("pki/issuer/{id}/issue/web"), json!({ "common_name": "a.example.org" }))
        .await;
    fine(&issued);
    let below = server
        .post(
            &format!("pki/issuer/{id}/sign-intermediate"),
            json!({ "csr": csr, "common_name": "y", "ttl": "1h" }),
        )
        .await;
    fine(&below);
    for made in [&issued, &below].into_iter().filter(|made| made.status == 200) {
        let serial = made.text("serial_number");
        let revoked = revoke(server, &serial).await.ok();
        let listed = read(server, &format!("pki/issuer/{id}/crl/der")).await;
        let named = listed.status == 200 && list(&listed.body).serials.contains(&serial);
        assert!(named || !revoked.warnings().is_empty(), "{what}: no warning: {revoked:?}");
    }
    for form in ["", "/der", "/pem"] {
        fine(&read(server, &format!("pki/issuer/{id}/crl{form}")).await);
    }
    revoke(server, &leaf).await.ok();
    assert_eq!(crl(server, "pki/issuer/root/crl/der").await.serials, [leaf], "{what}");
    server.get("pki/crl/rotate").await.ok();
    let root = json!({ "common_name": "Second", "key_type": "ec" });
    server.post("pki/root/generate/internal", root).await.ok();
    server.post("pki/config/issuers", json!({ "default": id })).await.ok();
    for path in ["pki/crl", "pki/crl/pem", "pki/cert/crl", "pki/ca", "pki/ca_chain", "pki/cert/ca"]
    {
        fine(&read(server, path).await);
    }
    fine(&server.post(&format!("pki/issuer/{id}/revoke"), json!({})).await.ok());
    fine(&server.delete(&format!("pki/issuer/{id}")).await.ok());
    server.get("pki/crl/rotate").await.ok();
}

#[tokio::test]
async fn r01_a_certificate_without_key_identifier_is_imported_with_a_warning_and_has_a_crl() {
    let server = server().await;
    let mut shape = Shape::new(&own_key(&server, "ec").await);
    shape.key_identifier = None;
    let answer = set(&server, &shape.pem()).await;
    let warned = |text: &String| text.starts_with("Signet: ") && text.contains("4.2.1.2");
    assert!(answer.warnings().iter().any(warned), "{answer:?}");
    let id = imported(&answer);
    let serial = issue(&server, &format!("pki/issuer/{id}/issue/web")).await;
    assert_eq!(revoke(&server, &serial).await.ok().warnings(), Vec::<String>::new());
    assert_eq!(crl(&server, &format!("pki/issuer/{id}/crl/der")).await.serials, [serial]);
    assert_eq!(read(&server, "pki/crl/pem").await.status, 200);
    let root = json!({ "common_name": "Second", "key_type": "ec" });
    server.post("pki/root/generate/internal", root).await.ok();
}

#[tokio::test]
async fn r01_a_failed_crl_build_is_a_warning() {
    let server = server().await;
    let root = json!({ "common_name": "Second", "key_type": "ec", "issuer_name": "second" });
    // The commits: the intent, the root, and then its CRL.
    server.memory.danger_inject(3, CommitFault::FailedNotDone);
    let answer = server.post("pki/root/generate/internal", root).await.ok();
    assert!(answer.warnings().iter().any(|text| text.starts_with("Signet: ")), "{answer:?}");
    assert_eq!(read(&server, "pki/issuer/second/crl/der").await.status, 200);
}

#[tokio::test]
async fn r03_a_root_that_is_signed_with_sha1_is_in_the_trust_stores() {
    let server = server().await;
    let mut shape = Shape::new(&foreign_key());
    shape.subject = name("Another Issuer");
    shape.algorithm = RSA_SHA1.to_vec();
    let root = shape.pem();
    let answer = set(&server, &root).await.ok();
    let warnings = answer.warnings();
    assert!(
        !warnings.iter().any(|text| text.contains("no chain is built above it")),
        "{warnings:?}"
    );
    let role = json!({ "allow_any_name": true, "key_type": "ec" });
    server.post("pki/roles/store", role).await.ok();
    for format in ["pkcs12_truststore", "jks_bundle"] {
        let body = json!({ "common_name": "a.example.org", "format": format });
        let answer = server.post("pki/issue/store", body).await.ok();
        let member = if format == "jks_bundle" { "truststore" } else { "certificate" };
        let bytes = BASE64.decode(answer.text(member).as_bytes()).unwrap();
        let password = Secret::new("changeit".to_owned());
        let store = match format {
            "jks_bundle" => jks::open(&bytes, &password),
            _ => pkcs12::open(&bytes, &password),
        };
        let trusted = store.unwrap().trusted;
        assert!(trusted.iter().any(|entry| entry.certificate == der(&root)), "{format}");
    }
}

#[tokio::test]
async fn r01_an_imported_issuer_whose_certificates_verifiers_reject_has_a_warning() {
    let server = server().await;
    let attribute = |tag: u8, text: &[u8]| {
        let attribute = sequence(&[&[6, 3, 0x55, 4, 3], &element(tag, &[text])]);
        sequence(&[&element(0x31, &[&attribute])])
    };
    for (subject, expected) in [
        (sequence(&[]), "has no subject"),
        (attribute(0x13, b"a@b"), "is not sound"),
        (attribute(0x1c, &[0, 0, 0, b'a']), "is not sound"),
    ] {
        let mut shape = Shape::new(&foreign_key());
        shape.subject = subject;
        let warnings = set(&server, &shape.pem()).await.ok().warnings();
        assert!(warnings.iter().any(|warning| warning.contains(expected)), "{warnings:?}");
    }
    let usual = set(&server, &Shape::new(&foreign_key()).pem()).await.ok().warnings();
    assert!(!usual.iter().any(|warning| warning.contains("subject")), "{usual:?}");
}
