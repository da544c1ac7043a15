//! Certificate signing requests and keys: what is read, refused and written again.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair};
use der::Decode;
use serde_json::{Value, json};
use x509_cert::Certificate;
use x509_cert::ext::pkix::{BasicConstraints, NameConstraints, SubjectAltName};

use crate::support::{Answer, Server, der, pem};

// DER, written by hand, so that every byte can be wrong.

fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
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

fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    element(0x30, parts)
}

fn oid(bytes: &[u8]) -> Vec<u8> {
    element(6, &[bytes])
}

fn bits(content: &[u8]) -> Vec<u8> {
    element(3, &[&[0], content])
}

/// The identifier-ce of RFC 5280 with this last arc.
fn ce(last: u8) -> Vec<u8> {
    vec![0x55, 0x1d, last]
}

const SKI: u8 = 14;
const KEY_USAGE: u8 = 15;
const SAN: u8 = 17;
const CONSTRAINTS: u8 = 19;
const NAMES: u8 = 30;
const POLICIES: u8 = 32;
const AKI: u8 = 35;
const EKU: u8 = 37;

fn extension(identifier: &[u8], critical: bool, value: &[u8]) -> Vec<u8> {
    let flag: &[u8] = if critical { &[1, 1, 0xff] } else { &[] };
    sequence(&[&oid(identifier), flag, &element(4, &[value])])
}

/// An extension with the usual identifier, not critical.
fn plain(last: u8, value: &[u8]) -> Vec<u8> {
    extension(&ce(last), false, value)
}

const ED25519: &[u8] = &[0x2b, 0x65, 0x70];
const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1];
const ECDSA_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];

fn edwards() -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap()
}

fn edwards_key(point: &[u8]) -> Vec<u8> {
    sequence(&[&sequence(&[&oid(ED25519)]), &bits(point)])
}

fn common_name(text: &str) -> Vec<u8> {
    let pair = sequence(&[&oid(&[0x55, 4, 3]), &element(0x0c, &[text.as_bytes()])]);
    sequence(&[&element(0x31, &[&pair])])
}

/// What is signed of a request.
fn request_info(subject: &[u8], key: &[u8], extensions: &[Vec<u8>]) -> Vec<u8> {
    let list = sequence(&[&extensions.concat()]);
    let attribute = sequence(&[
        &oid(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 14]),
        &element(0x31, &[&list]),
    ]);
    let attributes: &[u8] = if extensions.is_empty() { &[] } else { &attribute };
    sequence(&[&[2, 1, 0], subject, key, &element(0xa0, &[attributes])])
}

fn request_of(info: &[u8], algorithm: &[u8], signature: &[u8]) -> Vec<u8> {
    sequence(&[info, algorithm, &bits(signature)])
}

fn text(der: &[u8]) -> String {
    pem("CERTIFICATE REQUEST", der)
}

/// A request of an Ed25519 key, signed as it stands.
fn request_der(subject: &[u8], extensions: &[Vec<u8>]) -> Vec<u8> {
    let pair = edwards();
    let info = request_info(subject, &edwards_key(pair.public_key().as_ref()), extensions);
    request_of(&info, &sequence(&[&oid(ED25519)]), pair.sign(&info).as_ref())
}

fn request(extensions: &[Vec<u8>]) -> String {
    text(&request_der(&common_name("below.example.org"), extensions))
}

/// A request of an EC key with these parameters and this point in place of its own.
fn curve_request(parameters: &[u8], change: impl Fn(&[u8]) -> Vec<u8>) -> String {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
    let point = change(pair.public_key().as_ref());
    let key = sequence(&[&sequence(&[&oid(EC), parameters]), &bits(&point)]);
    let info = request_info(&common_name("below.example.org"), &key, &[]);
    let signature = pair.sign(&SystemRandom::new(), &info).unwrap();
    text(&request_of(&info, &sequence(&[&oid(ECDSA_SHA256)]), signature.as_ref()))
}

/// A self-signed certificate of an authority with this key and these further extensions.
fn authority(validity: &[u8], key: &[u8], extensions: &[Vec<u8>]) -> String {
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

fn validity(behind: &[u8]) -> Vec<u8> {
    let time = |text: &str| element(0x17, &[text.as_bytes()]);
    sequence(&[&time("260101000000Z"), &time("360101000000Z"), behind])
}

// The server.

async fn server() -> Server {
    let server = Server::with_root().await;
    let role = json!({
        "key_type": "any", "allow_any_name": true, "require_cn": false, "allowed_uri_sans": "*",
        "allowed_other_sans": "*", "enforce_hostnames": false,
    });
    server.post("pki/roles/web", role).await.ok();
    server
}

const READERS: [&str; 4] = [
    "pki/sign/web",
    "pki/issuer/root/sign/web",
    "pki/root/sign-intermediate",
    "pki/issuer/root/sign-intermediate",
];

/// Every path that reads a request refuses this one with this text.
async fn refused_everywhere(server: &Server, csr: &str, why: &str) {
    for path in READERS {
        for own in [false, true] {
            let body = json!({ "csr": csr, "common_name": "b.example.org", "use_csr_values": own });
            server.post(path, body).await.refused(400, why);
        }
    }
}

async fn sign_own(server: &Server, csr: &str) -> Answer {
    let body = json!({ "csr": csr, "use_csr_values": true });
    server.post("pki/root/sign-intermediate", body).await
}

async fn sign_with(server: &Server, csr: &str, more: Value) -> Answer {
    let mut body = json!({ "csr": csr, "common_name": "Below" });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    server.post("pki/root/sign-intermediate", body).await
}

fn certificate(answer: &Answer) -> Certificate {
    Certificate::from_der(&der(&answer.text("certificate"))).unwrap()
}

fn signature_algorithm(answer: &Answer) -> String {
    certificate(answer).signature_algorithm().oid.to_string()
}

/// How often an extension is there, by its identifier.
fn count(certificate: &Certificate, identifier: &str) -> usize {
    let list = certificate.tbs_certificate().extensions().unwrap();
    list.iter().filter(|extension| extension.extn_id.to_string() == identifier).count()
}

fn warned(answer: &Answer, what: &str) -> bool {
    answer.warnings().iter().any(|warning| warning.contains(what))
}

#[tokio::test]
async fn f08_ed25519_keys_of_small_order_and_in_other_forms_are_refused() {
    let server = server().await;
    let mut points: Vec<[u8; 32]> = Vec::new();
    let mut edge = |first: u8, between: u8, last: u8| {
        let mut point = [between; 32];
        (point[0], point[31]) = (first, last);
        points.push(point);
    };
    // 0, 1 and -1, and every y from p through 2^255 - 1.
    for (first, between, last) in [(0, 0, 0), (1, 0, 0), (0xec, 0xff, 0x7f)] {
        edge(first, between, last);
    }
    (0xed..=0xff).for_each(|first| edge(first, 0xff, 0x7f));
    for order_8 in [
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    ] {
        let point = data_encoding::HEXLOWER.decode(order_8.as_bytes()).unwrap();
        points.push(point.try_into().unwrap());
    }
    // The signature that verifies over any message under the identity.
    let mut signature = [0; 64];
    signature[0] = 1;
    for mut point in points {
        for sign in [0, 0x80] {
            point[31] = (point[31] & 0x7f) | sign;
            let info = request_info(&common_name("x"), &edwards_key(&point), &[]);
            let csr = text(&request_of(&info, &sequence(&[&oid(ED25519)]), &signature));
            refused_everywhere(&server, &csr, "x509: Ed25519 public key").await;
            let imported = authority(&validity(&[]), &edwards_key(&point), &[]);
            let answer = server
                .post("pki/intermediate/set-signed", json!({ "certificate": imported }))
                .await;
            answer.refused(400, "x509: Ed25519 public key");
        }
    }
    let sound = authority(&validity(&[]), &edwards_key(edwards().public_key().as_ref()), &[]);
    server.post("pki/intermediate/set-signed", json!({ "certificate": sound })).await.ok();
    server.post("pki/sign/web", json!({ "csr": request(&[]) })).await.ok();
}

#[tokio::test]
async fn f08_points_that_are_no_points_of_the_curve_are_refused() {
    let server = server().await;
    let curve = oid(P256);
    let changes: [fn(&[u8]) -> Vec<u8>; 7] = [
        |_| vec![0],
        |point| [&[2 + (point[64] & 1)], &point[1..33]].concat(),
        |point| [&[6 + (point[64] & 1)], &point[1..]].concat(),
        |point| [&point[..64], &[point[64] ^ 1]].concat(),
        |_| [&[4][..], &[0; 64]].concat(),
        |_| [&[4][..], &[0xff; 64]].concat(),
        |point| [point, &[0]].concat(),
    ];
    for change in changes {
        let csr = curve_request(&curve, change);
        refused_everywhere(&server, &csr, "ecdsa: invalid uncompressed public key").await;
    }
    let csr = curve_request(&curve, <[u8]>::to_vec);
    server.post("pki/sign/web", json!({ "csr": csr })).await.ok();
}

/// A request with this RSA key; its signature is of no matter.
fn rsa_request(parameters: &[u8], modulus: &[u8], exponent: &[u8]) -> String {
    let key = sequence(&[&element(2, &[modulus]), &element(2, &[exponent])]);
    let key = sequence(&[&sequence(&[&oid(RSA), parameters]), &bits(&key)]);
    let info = request_info(&common_name("x"), &key, &[]);
    let algorithm = sequence(&[&oid(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 11]), &[5, 0]]);
    text(&request_of(&info, &algorithm, &[1; 256]))
}

/// A modulus of 2,048 bits without a factor below 752: 2^2047 and a small odd number.
fn modulus() -> Vec<u8> {
    let mut modulus = vec![0; 257];
    modulus[1] = 0x80;
    let has_factor = |modulus: &[u8]| {
        (3..752_u32).step_by(2).any(|divisor| {
            modulus.iter().fold(0, |rest, byte| ((rest << 8) | u32::from(*byte)) % divisor) == 0
        })
    };
    for low in (1..=u16::MAX).step_by(2) {
        modulus[255..].copy_from_slice(&low.to_be_bytes());
        if !has_factor(&modulus) {
            break;
        }
    }
    modulus
}

#[tokio::test]
async fn f08_rsa_keys_that_prove_nothing_are_refused() {
    let server = server().await;
    let sound = modulus();
    let mut even = sound.clone();
    even[256] ^= 1;
    let by_three = [&[0][..], &[0xff; 256]].concat();
    let negative = [&[0x80][..], &[1; 255]].concat();
    let padded = [&[0][..], &[0x7f], &[1; 255]].concat();
    for (modulus, exponent, why) in [
        (&even, &[1, 0, 1][..], "modulus is even"),
        (&by_three, &[1, 0, 1], "divisible by 3"),
        (&negative, &[1, 0, 1], "modulus is not a positive number"),
        (&padded, &[1, 0, 1], "invalid RSA modulus"),
        (&vec![0], &[1, 0, 1], "modulus is not a positive number"),
        (&sound, &[1], "exponent must be an odd number"),
        (&sound, &[2], "exponent must be an odd number"),
        (&sound, &[1, 0, 0], "exponent must be an odd number"),
        (&sound, &[0], "exponent is not a positive number"),
        (&sound, &[0xff], "exponent is not a positive number"),
        (&sound, &[0, 3], "invalid RSA public exponent"),
        (&sound, &[1, 0, 0, 0, 1], "exponent is larger"),
    ] {
        refused_everywhere(&server, &rsa_request(&[5, 0], modulus, exponent), why).await;
    }
    let huge = [&[0][..], &[0xff; 1100], &sound[1..]].concat();
    let why =
        if huge.len() > 1024 { "RSA keys of more than 8192 bits are not supported" } else { "" };
    let csr = rsa_request(&[5, 0], &huge, &[1, 0, 1]);
    let answer = server.post("pki/sign/web", json!({ "csr": csr })).await;
    assert!(answer.status == 400, "{answer:?}");
    let divisible = answer.errors()[0].contains("divisible");
    assert!(divisible || answer.errors()[0].contains(why), "{answer:?}");
    // What is left is judged by its signature.
    refused_everywhere(&server, &rsa_request(&[5, 0], &sound, &[3]), "signature invalid").await;
}

#[tokio::test]
async fn f09_bytes_behind_a_value_are_refused_wherever_a_request_or_certificate_is_read() {
    let server = server().await;
    for behind in [&[5, 0][..], &[4, 1, 0], &[0]] {
        let csr = curve_request(&[&oid(P256), behind].concat(), <[u8]>::to_vec);
        refused_everywhere(&server, &csr, "invalid ECDSA parameters").await;
        let csr = rsa_request(&[&[5, 0], behind].concat(), &modulus(), &[1, 0, 1]);
        refused_everywhere(&server, &csr, "RSA key missing NULL parameters").await;
    }
    refused_everywhere(&server, &rsa_request(&[], &modulus(), &[3]), "missing NULL").await;
    refused_everywhere(&server, &rsa_request(&[5, 1, 0], &modulus(), &[3]), "missing NULL").await;
    let point = edwards().public_key().as_ref().to_vec();
    for key in [
        sequence(&[&sequence(&[&oid(ED25519), &[5, 0]]), &bits(&point)]),
        sequence(&[&sequence(&[&oid(ED25519)]), &bits(&point), &[5, 0]]),
        sequence(&[&sequence(&[&oid(ED25519)]), &bits(&[&point[..], &[0]].concat())]),
        sequence(&[&sequence(&[&oid(&[0x2b, 0x65, 0x80, 0x70])]), &bits(&point)]),
    ] {
        let info = request_info(&common_name("x"), &key, &[]);
        let signature = edwards().sign(&info);
        let csr = text(&request_of(&info, &sequence(&[&oid(ED25519)]), signature.as_ref()));
        refused_everywhere(&server, &csr, "certificate request could not be parsed").await;
        let imported = json!({ "certificate": authority(&validity(&[]), &key, &[]) });
        let answer = server.post("pki/intermediate/set-signed", imported).await;
        answer.refused(400, "unable to parse certificate");
    }
    // The same in a certificate: behind its validity, and inside the extensions that are read.
    let key = edwards_key(&point);
    for (validity, list) in [
        (validity(&[5, 0]), vec![]),
        (validity(&[]), vec![plain(SKI, &[4, 1, 1, 0])]),
        (validity(&[]), vec![plain(AKI, &sequence(&[&[0x80, 1, 1, 0x83, 0]]))]),
        (validity(&[]), vec![plain(AKI, &[0x30, 0, 0])]),
        (validity(&[]), vec![plain(EKU, &[0x30, 0, 0])]),
        (validity(&[]), vec![plain(SAN, &[0x30, 3, 0x82, 1, b'a', 0])]),
    ] {
        let imported = json!({ "certificate": authority(&validity, &key, &list) });
        let answer = server.post("pki/intermediate/set-signed", imported).await;
        answer.refused(400, "unable to parse certificate");
    }
}

#[tokio::test]
async fn f09_the_attributes_of_a_request_are_read_to_their_end() {
    let server = server().await;
    let san = plain(SAN, &sequence(&[&element(0x82, &[b"a.example.org"])]));
    let list = sequence(&[&san]);
    let kind = oid(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 14]);
    let padded = oid(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 0x80, 14]);
    let pair = edwards();
    for attribute in [
        sequence(&[&kind, &element(0x31, &[&list]), &[5, 0]]),
        sequence(&[&kind, &element(0x31, &[&list, &list])]),
        sequence(&[&kind, &element(0x31, &[&list, &[0]])]),
        sequence(&[&padded, &element(0x31, &[&list])]),
        sequence(&[&kind]),
        vec![0x31, 0],
    ] {
        let key = edwards_key(pair.public_key().as_ref());
        let attributes = element(0xa0, &[&attribute]);
        let info = sequence(&[&[2, 1, 0], &common_name("x"), &key, &attributes]);
        let csr = request_of(&info, &sequence(&[&oid(ED25519)]), pair.sign(&info).as_ref());
        refused_everywhere(&server, &text(&csr), "could not be parsed").await;
    }
}

/// permittedSubtrees or excludedSubtrees with one name.
fn subtree(list: u8, kind: u8, name: &[u8]) -> Vec<u8> {
    sequence(&[&element(0xa0 | list, &[&sequence(&[&element(kind, &[name])])])])
}

#[tokio::test]
async fn f10_the_name_constraints_of_a_request_do_not_replace_those_of_the_caller() {
    let server = server().await;
    let csr = request(&[plain(NAMES, &subtree(0, 0x82, b"evil.example.com"))]);
    for parameter in ["permitted_dns_domains", "excluded_dns_domains"] {
        let mut body = json!({ "csr": csr, "use_csr_values": true });
        body.as_object_mut().unwrap().insert(parameter.to_owned(), json!("example.org"));
        let answer = server.post("pki/root/sign-intermediate", body).await;
        answer.refused(400, "both bring name constraints");
    }
    // Alone they are read, and critical whatever the request says.
    let answer = sign_own(&server, &csr).await.ok();
    let (critical, constraints): (bool, NameConstraints) =
        certificate(&answer).tbs_certificate().get_extension().unwrap().unwrap();
    assert!(critical && constraints.permitted_subtrees.unwrap().len() == 1);
    for value in [
        &[0x30, 0][..],
        &[5, 0],
        &subtree(0, 0x88, &[0x2a]),
        &subtree(0, 0xa0, &[]),
        &subtree(0, 0x87, &[10, 0, 0, 0]),
        &subtree(0, 0x87, &[10, 0, 0, 0, 255, 0, 255, 0]),
        &subtree(2, 0x82, b"a"),
        &sequence(&[&element(0xa0, &[&sequence(&[&[0x82, 1, b'a', 0x80, 1, 1]])])]),
        &[subtree(0, 0x82, b"a"), vec![0]].concat(),
    ] {
        sign_own(&server, &request(&[plain(NAMES, value)])).await.refused(400, "name constraints");
    }
}

#[tokio::test]
async fn f10_what_the_caller_sends_is_not_replaced_by_the_request() {
    let server = server().await;
    let usage = sequence(&[&oid(&[0x2b, 6, 1, 5, 5, 7, 3, 1])]);
    let csr = request(&[plain(EKU, &usage), extension(&ce(KEY_USAGE), true, &[3, 2, 0, 0xff])]);
    let body = json!({
        "csr": csr, "use_csr_values": true, "ext_key_usage": "ClientAuth", "key_usage": "CertSign",
        "uri_sans": "spiffe://example.org",
    });
    let answer = server.post("pki/root/sign-intermediate", body).await.ok();
    let bytes = der(&answer.text("certificate"));
    let holds = |part: &[u8]| bytes.windows(part.len()).any(|window| window == part);
    assert!(holds(&[0x2b, 6, 1, 5, 5, 7, 3, 2]) && !holds(&[0x2b, 6, 1, 5, 5, 7, 3, 1]));
    assert!(holds(&[3, 2, 1, 6]) && !holds(&[3, 2, 0, 0xff]));
    for told in ["extended key usage", "key usage", "uri_sans"] {
        assert!(warned(&answer, told), "{told}: {:?}", answer.warnings());
    }
    let certificate = certificate(&answer);
    assert!(count(&certificate, "2.5.29.37") == 1 && count(&certificate, "2.5.29.15") == 1);
}

#[tokio::test]
async fn f10_an_identifier_with_padding_is_refused() {
    let server = server().await;
    let authority = sequence(&[&[1, 1, 0xff, 2, 1, 9]]);
    for identifier in [&[0x55, 0x1d, 0x80, CONSTRAINTS][..], &[0x80, 0x55, 0x1d, CONSTRAINTS]] {
        let csr = request(&[extension(identifier, true, &authority)]);
        refused_everywhere(&server, &csr, "base 128 integer is not minimally encoded").await;
    }
    let answer = sign_own(&server, &request(&[plain(CONSTRAINTS, &authority)])).await.ok();
    let certificate = certificate(&answer);
    assert_eq!(count(&certificate, "2.5.29.19"), 1);
    let (_, constraints): (bool, BasicConstraints) =
        certificate.tbs_certificate().get_extension().unwrap().unwrap();
    assert!(constraints.ca && constraints.path_len_constraint.is_none());
}

#[tokio::test]
async fn f10_a_key_usage_counts_by_the_bits_that_it_uses() {
    let server = server().await;
    for value in [
        &[3, 2, 3, 4][..],
        &[3, 2, 7, 0x84],
        &[3, 2, 8, 4],
        &[3, 0],
        &[3, 2, 0, 4, 0],
        &[4, 2, 0, 4],
        &[3, 4, 0, 4, 0, 1],
        &[3, 3, 0, 4, 1],
    ] {
        let csr = request(&[extension(&ce(KEY_USAGE), true, value)]);
        sign_own(&server, &csr).await.refused(400, "key usage");
    }
    sign_own(&server, &request(&[plain(KEY_USAGE, &[3, 2, 7, 0x80])]))
        .await
        .refused(400, "lacks keyCertSign");
    // Zeros at the end are cut (X.690, 11.2.2).
    let answer = sign_own(&server, &request(&[plain(KEY_USAGE, &[3, 3, 0, 6, 0])])).await.ok();
    let usage = der(&answer.text("certificate"));
    assert!(usage.windows(4).any(|window| window == [3, 2, 1, 6]));
}

#[tokio::test]
async fn f10_malformed_extensions_of_a_request_are_the_callers_mistake() {
    let server = server().await;
    let policy = |qualifiers: &[u8]| sequence(&[&sequence(&[&oid(&[0x2a, 3]), qualifiers])]);
    let twice = sequence(&[&sequence(&[&oid(&[0x2a, 3])]), &sequence(&[&oid(&[0x2a, 3])])]);
    for (identifier, value) in [
        (SKI, &[][..]),
        (SKI, &[4, 0]),
        (SKI, &[4, 1, 1, 0]),
        (SKI, &[5, 0]),
        (SKI, &element(4, &[&[1; 65]])),
        (EKU, &[0x30, 0]),
        (EKU, &sequence(&[&[5, 0]])),
        (EKU, &[5, 0]),
        (POLICIES, &[0x30, 0]),
        (POLICIES, &twice),
        (POLICIES, &policy(&sequence(&[&sequence(&[&oid(&[0x2a, 4]), &[5, 0]])]))),
        (31, &[0x30, 0]),
        (31, &sequence(&[&[0x30, 0]])),
        (54, &[2, 2, 0, 1]),
        (36, &[]),
        (9, &[0x30, 2, 5]),
    ] {
        let csr = request(&[plain(identifier, value)]);
        sign_own(&server, &csr).await.refused(400, "cannot be taken into the certificate");
        let role = json!({ "csr": csr, "common_name": "b.example.org" });
        assert!(server.post("pki/sign/web", role.clone()).await.status < 500);
        assert!(server.post("pki/root/sign-intermediate", role).await.status < 500);
    }
}

#[tokio::test]
async fn f11_a_path_length_is_honoured_or_refused() {
    let server = server().await;
    let csr = request(&[]);
    for asked in [256, 257, 65_536, 1 << 31, 1 << 32, i64::MAX] {
        let root = json!({ "common_name": "R", "key_type": "ec", "max_path_length": asked });
        server.post("pki/root/generate/internal", root).await.refused(400, "max_path_length");
        let answer = sign_with(&server, &csr, json!({ "max_path_length": asked })).await;
        answer.refused(400, &format!("max_path_length {asked} is too large"));
    }
    for (asked, written) in
        [(0, Some(0)), (255, Some(255)), (-1, None), (-2, None), (i64::MIN, None)]
    {
        let root = json!({ "common_name": "R", "key_type": "ec", "max_path_length": asked });
        let root = server.post("pki/root/generate/internal", root).await.ok();
        let below = sign_with(&server, &csr, json!({ "max_path_length": asked })).await.ok();
        for answer in [root, below] {
            let (_, constraints): (bool, BasicConstraints) =
                certificate(&answer).tbs_certificate().get_extension().unwrap().unwrap();
            assert_eq!(constraints.path_len_constraint, written, "{asked}");
        }
    }
}

#[tokio::test]
async fn f22_signature_bits_are_followed_or_told() {
    let server = server().await;
    let csr = request(&[]);
    let issuer = |bits: i64| {
        json!({
            "common_name": "R", "key_type": "ec", "key_bits": bits, "issuer_name": format!("ec{bits}"),
        })
    };
    for curve in [256, 384, 521] {
        server.post("pki/root/generate/internal", issuer(curve)).await.ok();
        let path = format!("pki/issuer/ec{curve}/sign-intermediate");
        for (asked, last) in [(256, 2), (384, 3), (512, 4)] {
            let body = json!({ "csr": csr, "common_name": "B", "signature_bits": asked });
            let answer = server.post(&path, body).await.ok();
            assert_eq!(
                signature_algorithm(&answer),
                format!("1.2.840.10045.4.3.{last}"),
                "{curve}"
            );
            let role = json!({ "key_type": "ec", "allow_any_name": true, "signature_bits": asked });
            server.post("pki/roles/hash", role).await.ok();
            let own = curve_request(&oid(P256), <[u8]>::to_vec);
            let leaf = json!({ "csr": own, "common_name": "a.example.org" });
            let answer = server.post(&format!("pki/issuer/ec{curve}/sign/hash"), leaf).await.ok();
            assert_eq!(
                signature_algorithm(&answer),
                format!("1.2.840.10045.4.3.{last}"),
                "{curve}"
            );
        }
    }
    for asked in [1, 224, -1, 512_000] {
        let answer = sign_with(&server, &csr, json!({ "signature_bits": asked })).await;
        answer.refused(400, "unsupported hash signature algorithm");
        let root = json!({ "common_name": "R", "key_type": "ec", "signature_bits": asked });
        let answer = server.post("pki/root/generate/internal", root).await;
        answer.refused(400, "unsupported hash signature algorithm");
    }
    // A root follows its curve, as recorded, and says so.
    let root = json!({ "common_name": "R", "key_type": "ec", "signature_bits": 512 });
    let answer = server.post("pki/root/generate/internal", root).await.ok();
    assert_eq!(signature_algorithm(&answer), "1.2.840.10045.4.3.2");
    assert!(warned(&answer, "Signet: signature_bits has no effect"), "{:?}", answer.warnings());
    let answer = sign_with(&server, &csr, json!({ "use_pss": true })).await.ok();
    assert!(warned(&answer, "Signet: use_pss has no effect"), "{:?}", answer.warnings());
}

#[tokio::test]
async fn f22_a_revocation_list_is_signed_with_the_hash_that_its_issuer_names() {
    let server = server().await;
    for (word, last) in [("ECDSAWithSHA384", 3), ("ECDSAWithSHA512", 4), ("ECDSAWithSHA256", 2)] {
        let change = json!({ "revocation_signature_algorithm": word, "issuer_name": "root" });
        server.post("pki/issuer/root", change).await.ok();
        let leaf = server
            .post("pki/issue/web", json!({ "common_name": "a.example.org", "key_type": "ec" }))
            .await
            .ok();
        let serial = json!({ "serial_number": leaf.text("serial_number") });
        server.post("pki/revoke", serial).await.ok();
        let list = server.get("pki/crl").await.body;
        let wanted = [0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, last];
        assert!(list.windows(8).any(|window| window == wanted), "{word}");
    }
}

#[tokio::test]
async fn r02_the_authority_key_identifier_of_a_request_is_replaced_by_ours() {
    let server = server().await;
    let root = Certificate::from_der(&server.get("pki/ca").await.body).unwrap();
    let (_, wanted): (bool, x509_cert::ext::pkix::SubjectKeyIdentifier) =
        root.tbs_certificate().get_extension().unwrap().unwrap();
    for value in [sequence(&[&element(0x80, &[&[9; 20]])]), vec![0x30, 0], vec![5, 0], Vec::new()] {
        let answer = sign_own(&server, &request(&[plain(AKI, &value)])).await.ok();
        let certificate = certificate(&answer);
        assert_eq!(count(&certificate, "2.5.29.35"), 1);
        let (_, found): (bool, x509_cert::ext::pkix::AuthorityKeyIdentifier) =
            certificate.tbs_certificate().get_extension().unwrap().unwrap();
        assert_eq!(found.key_identifier.unwrap().as_bytes(), wanted.0.as_bytes());
        assert!(warned(&answer, "the CSR's authority key identifier is not in the certificate"));
    }
    // The skid of the caller counts, and not the request's.
    let csr = request(&[plain(SKI, &element(4, &[&[9; 20]]))]);
    let body = json!({ "csr": csr, "use_csr_values": true, "skid": "0102" });
    let answer = server.post("pki/root/sign-intermediate", body).await.ok();
    let (_, found): (bool, x509_cert::ext::pkix::SubjectKeyIdentifier) =
        certificate(&answer).tbs_certificate().get_extension().unwrap().unwrap();
    assert_eq!(found.0.as_bytes(), [1, 2]);
}

#[tokio::test]
async fn r07_and_r19_every_reader_names_the_algorithm_that_is_not_accepted() {
    let server = server().await;
    let key = edwards_key(edwards().public_key().as_ref());
    let info = request_info(&common_name("x"), &key, &[]);
    let rsa = |last: u8| vec![0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, last];
    let nist = |last: u8| vec![0x60, 0x86, 0x48, 1, 0x65, 3, 4, 3, last];
    for (identifier, parameters, name) in [
        (rsa(5), &[5, 0][..], "SHA1-RSA"),
        (rsa(5), &[], "SHA1-RSA"),
        (rsa(4), &[5, 0], "MD5-RSA"),
        (rsa(2), &[5, 0], "MD2-RSA"),
        (rsa(14), &[5, 0], "SHA224-RSA"),
        (rsa(10), &[0x30, 0], "RSA-PSS with these parameters"),
        (rsa(10), &[], "RSA-PSS with these parameters"),
        (rsa(11), &[4, 0], "1.2.840.113549.1.1.11 with these parameters"),
        (vec![0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 1], &[], "ECDSA-SHA1"),
        (vec![0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 1], &[], "ECDSA-SHA224"),
        (ECDSA_SHA256.to_vec(), &[5, 0], "1.2.840.10045.4.3.2 with these parameters"),
        (ED25519.to_vec(), &[5, 0], "1.3.101.112 with these parameters"),
        (vec![0x2b, 0x65, 0x71], &[], "Ed448"),
        (vec![0x2a, 0x86, 0x48, 0xce, 0x38, 4, 3], &[], "DSA-SHA1"),
        (nist(2), &[], "DSA-SHA256"),
        (nist(18), &[], "ML-DSA-65"),
        (vec![0x2a, 3], &[], "1.2.3"),
    ] {
        let algorithm = sequence(&[&oid(&identifier), parameters]);
        let csr = text(&request_of(&info, &algorithm, &[0; 64]));
        let why = format!("the CSR is signed with {name}, which is not accepted");
        refused_everywhere(&server, &csr, &why).await;
    }
    let csr = text(&request_of(&info, &sequence(&[&oid(ED25519)]), &[0; 64]));
    refused_everywhere(&server, &csr, "request signature invalid").await;
    // P-224, as a client wrote it.
    let recorded = include_str!("../../src/ca/csr/recorded.txt");
    let p224 = recorded.lines().find_map(|line| line.strip_prefix("ec224 ")).unwrap();
    let p224 = data_encoding::BASE64.decode(p224.as_bytes()).unwrap();
    refused_everywhere(&server, &text(&p224), "P-224 keys are not supported").await;
}

#[tokio::test]
async fn r11_an_authority_without_a_subject_is_signed_with_the_warning() {
    const WARNING: &str = "This issuer certificate was generated without a Subject; this makes it likely that issuing leaf certs with this certificate will cause TLS validation libraries to reject this certificate.";
    let server = server().await;
    let san = plain(SAN, &sequence(&[&element(0x86, &[b"spiffe://example.org"])]));
    let csr = text(&request_der(&[0x30, 0], &[san]));
    for body in [
        json!({ "csr": csr }),
        json!({ "csr": csr, "use_csr_values": true }),
        json!({ "csr": csr, "uri_sans": "spiffe://example.org" }),
    ] {
        let answer = server.post("pki/root/sign-intermediate", body).await.ok();
        assert!(answer.warnings().contains(&WARNING.to_owned()), "{:?}", answer.warnings());
    }
    let named = json!({ "csr": csr, "common_name": "Below" });
    let answer = server.post("pki/root/sign-intermediate", named).await.ok();
    assert!(!answer.warnings().contains(&WARNING.to_owned()));
}

/// A root with these constraints, by its name.
async fn limited(server: &Server, name: &str, asked: Value) -> Answer {
    let mut root = json!({ "common_name": "R", "key_type": "ec", "issuer_name": name });
    root.as_object_mut().unwrap().extend(asked.as_object().unwrap().clone());
    server.post("pki/root/generate/internal", root).await
}

#[tokio::test]
async fn r14_name_constraints_of_every_kind_are_built_for_roots_and_intermediates() {
    let server = server().await;
    let all = json!({
        "permitted_dns_domains": "example.org,.example.org",
        "excluded_dns_domains": ["evil.example.org"],
        "permitted_ip_ranges": "10.0.0.0/8, 2001:db8::/32",
        "excluded_ip_ranges": "10.1.2.3/16",
        "permitted_email_addresses": "a@example.org,example.org",
        "excluded_email_addresses": ".example.org",
        "permitted_uri_domains": "example.org",
        "excluded_uri_domains": ".example.org",
    });
    let root = limited(&server, "all", all.clone()).await.ok();
    let below = sign_with(&server, &request(&[]), all).await.ok();
    for answer in [root, below] {
        let (critical, constraints): (bool, NameConstraints) =
            certificate(&answer).tbs_certificate().get_extension().unwrap().unwrap();
        assert!(critical);
        let shown = |list: Option<Vec<x509_cert::ext::pkix::constraints::name::GeneralSubtree>>| {
            let shown = list.unwrap().into_iter().map(|tree| format!("{:?}", tree.base));
            shown.collect::<Vec<_>>().join(" ")
        };
        let permitted = shown(constraints.permitted_subtrees);
        let excluded = shown(constraints.excluded_subtrees);
        for part in ["DnsName", "IpAddress", "Rfc822Name", "UniformResourceIdentifier"] {
            assert!(permitted.contains(part) && excluded.contains(part), "{part}");
        }
        assert!(!answer.warnings().iter().any(|text| text.contains("ignored")));
        let bytes = der(&answer.text("certificate"));
        let holds = |part: &[u8]| bytes.windows(part.len()).any(|window| window == part);
        assert!(holds(&[0x87, 8, 10, 0, 0, 0, 255, 0, 0, 0]));
        assert!(holds(&[0x87, 8, 10, 1, 0, 0, 255, 255, 0, 0]));
        assert!(holds(&[0x87, 32, 0x20, 1, 0x0d, 0xb8]));
    }
}

#[tokio::test]
async fn r14_a_limit_that_is_not_understood_is_refused() {
    let server = server().await;
    for (kind, wrong) in [
        (
            "dns_domains",
            &["", "*.example.org", "https://example.org", "a b", "10.0.0.1", "a..b"][..],
        ),
        ("ip_ranges", &["", "10.0.0.0", "10.0.0.0/33", "example.org", "10.0.0.0/255.0.0.0"]),
        ("email_addresses", &["", "@example.org", "a@", "a@b@c", "*@example.org,"]),
        ("uri_domains", &["", "spiffe://example.org", "example.org/a", "example.org:443", "*"]),
    ] {
        for list in ["permitted", "excluded"] {
            let parameter = format!("{list}_{kind}");
            for value in wrong {
                let asked = json!({ parameter.clone(): [value] });
                let answer = limited(&server, "wrong", asked.clone()).await;
                answer.refused(400, &format!("{parameter}: "));
                let answer = sign_with(&server, &request(&[]), asked).await;
                answer.refused(400, &format!("{parameter}: "));
            }
        }
    }
}

#[tokio::test]
async fn r14_the_constraints_of_the_issuer_are_checked_before_anything_is_signed() {
    let server = server().await;
    let limits = json!({
        "permitted_dns_domains": "example.org", "excluded_dns_domains": "no.example.org",
        "permitted_ip_ranges": "10.0.0.0/8", "excluded_ip_ranges": "10.1.0.0/16,::/0",
        "permitted_email_addresses": "example.org", "excluded_email_addresses": "x@example.org",
        "permitted_uri_domains": "example.org", "excluded_uri_domains": "no.example.org",
    });
    limited(&server, "lim", limits).await.ok();
    let leaf = async |body: Value| {
        let mut asked = json!({ "key_type": "ec", "exclude_cn_from_sans": true });
        asked.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
        server.post("pki/issuer/lim/issue/web", asked).await
    };
    for body in [
        json!({ "alt_names": "example.org,a.example.org,A.EXAMPLE.ORG,*.a.example.org" }),
        json!({ "ip_sans": "10.0.0.1" }),
        json!({ "alt_names": "a@example.org" }),
        json!({ "uri_sans": "spiffe://example.org/a" }),
        json!({ "common_name": "no host" }),
        json!({ "common_name": "a.example.org" }),
    ] {
        leaf(body).await.ok();
    }
    let before = server.list("pki/certs").await.ok().data()["keys"].as_array().unwrap().len();
    for body in [
        json!({ "alt_names": "example.com" }),
        json!({ "alt_names": "notexample.org" }),
        json!({ "alt_names": "no.example.org" }),
        json!({ "alt_names": "a.no.example.org" }),
        json!({ "alt_names": "*.example.org" }),
        json!({ "ip_sans": "11.0.0.1" }),
        json!({ "ip_sans": "10.1.0.1" }),
        json!({ "ip_sans": "2001:db8::1" }),
        json!({ "ip_sans": "::ffff:11.0.0.1" }),
        json!({ "alt_names": "a@example.com" }),
        json!({ "alt_names": "a@sub.example.org" }),
        json!({ "alt_names": "x@example.org" }),
        json!({ "uri_sans": "spiffe://example.com/a" }),
        json!({ "uri_sans": "spiffe://sub.example.org/a" }),
        json!({ "uri_sans": "https://no.example.org/a" }),
        json!({ "uri_sans": "https://10.0.0.1/a" }),
        json!({ "uri_sans": "urn:uuid:1" }),
        json!({ "common_name": "example.com" }),
    ] {
        let answer = leaf(body.clone()).await;
        assert_eq!(answer.status, 400, "{body}: {answer:?}");
        assert!(answer.errors()[0].contains("the issuer's name constraints"), "{body}: {answer:?}");
    }
    let bad = plain(SAN, &sequence(&[&element(0x82, &[b"example.com"])]));
    for path in ["pki/issuer/lim/sign/web", "pki/issuer/lim/sign-intermediate"] {
        let body = json!({ "csr": request(&[bad.clone()]), "use_csr_values": true });
        server.post(path, body).await.refused(400, "do not permit the DNS name");
    }
    let body = json!({ "csr": request(&[]), "common_name": "below.example.com" });
    let answer = server.post("pki/issuer/lim/sign-intermediate", body).await;
    answer.refused(400, "do not permit the DNS name \"below.example.com\"");
    let after = server.list("pki/certs").await.ok().data()["keys"].as_array().unwrap().len();
    assert_eq!(before, after);
}

/// A key of the mount certified elsewhere, with these extensions, as an issuer of the mount.
async fn imported(server: &Server, name: &str, extensions: &[Vec<u8>]) -> Answer {
    let made = json!({ "common_name": name, "key_type": "ec" });
    let csr = server.post("pki/intermediate/generate/internal", made).await.ok();
    let csr = der(&csr.text("csr"));
    // SubjectPublicKeyInfo of P-256: 91 bytes from the identifier on.
    let at = csr.windows(EC.len()).position(|window| window == EC).unwrap() - 6;
    let text = authority(&validity(&[]), &csr[at..at + 91], extensions);
    let set = json!({ "certificate": text });
    let answer = server.post("pki/intermediate/set-signed", set).await.ok();
    let id = answer.data()["imported_issuers"][0].as_str().unwrap().to_owned();
    server.post(&format!("pki/issuer/{id}"), json!({ "issuer_name": name })).await.ok()
}

#[tokio::test]
async fn r14_an_issuer_whose_constraints_are_not_understood_signs_nothing() {
    let server = server().await;
    let identified = plain(SKI, &element(4, &[&[1; 20]]));
    for (name, value) in [
        ("registered", subtree(0, 0x88, &[0x2a])),
        ("other", subtree(1, 0xa0, &[6, 1, 0x2a, 0xa0, 2, 0x0c, 0])),
        ("minimum", sequence(&[&element(0xa0, &[&sequence(&[&[0x82, 1, b'a', 0x80, 1, 1]])])])),
        ("mask", subtree(0, 0x87, &[10, 0, 0, 0, 255, 0, 255, 0])),
        ("empty", vec![0x30, 0]),
        ("broken", vec![0x30, 5]),
    ] {
        let list = [identified.clone(), extension(&ce(NAMES), true, &value)];
        imported(&server, name, &list).await;
        let leaf = json!({ "common_name": "a.example.org", "key_type": "ec" });
        let answer = server.post(&format!("pki/issuer/{name}/issue/web"), leaf).await;
        answer.refused(400, "its name constraints are critical and cannot be checked");
        let body = json!({ "csr": request(&[]), "common_name": "Below" });
        let answer = server.post(&format!("pki/issuer/{name}/sign-intermediate"), body).await;
        answer.refused(400, "its name constraints are critical and cannot be checked");
    }
    // Directory names are compared with the subject.
    let attribute = sequence(&[&oid(&[0x55, 4, 10]), &element(0x0c, &[b"Example  Corp"])]);
    let name = sequence(&[&element(0x31, &[&attribute])]);
    let list = [identified, extension(&ce(NAMES), true, &subtree(0, 0xa4, &name))];
    imported(&server, "directory", &list).await;
    let path = "pki/issuer/directory/sign-intermediate";
    let ask = |organization: &str| {
        json!({
            "csr": request(&[]), "common_name": "B", "organization": organization,
        })
    };
    server.post(path, ask("EXAMPLE corp")).await.ok();
    server.post(path, ask("Another")).await.refused(400, "do not permit the subject");
}

#[tokio::test]
async fn r14_the_certificates_above_an_issuer_count_too() {
    let server = server().await;
    let limits = json!({ "permitted_dns_domains": "example.org", "max_path_length": 1 });
    limited(&server, "top", limits).await.ok();
    let made = json!({ "common_name": "Middle CA", "key_type": "ec" });
    let csr = server.post("pki/intermediate/generate/internal", made).await.ok().text("csr");
    // The caller asks for more than the root leaves: it is written, told, and of no use.
    let body = json!({ "csr": csr, "common_name": "Middle CA", "max_path_length": 5 });
    let answer = server.post("pki/issuer/top/sign-intermediate", body).await.ok();
    assert!(warned(&answer, "Signet: max_path_length is more than the issuer leaves"));
    let set = json!({ "certificate": answer.text("certificate") });
    let answer = server.post("pki/intermediate/set-signed", set).await.ok();
    let id = answer.data()["imported_issuers"][0].as_str().unwrap().to_owned();
    let leaf = |name: &str| json!({ "common_name": name, "key_type": "ec" });
    let path = format!("pki/issuer/{id}/issue/web");
    server.post(&path, leaf("a.example.org")).await.ok();
    server.post(&path, leaf("example.com")).await.refused(400, "do not permit the DNS name");
    let body = json!({ "csr": request(&[]), "common_name": "Below CA" });
    let answer = server.post(&format!("pki/issuer/{id}/sign-intermediate"), body).await;
    answer.refused(400, "signing certificate has a max path length of zero");
}

#[tokio::test]
async fn r14_openssl_accepts_what_the_constraints_permit() {
    let found = std::process::Command::new("openssl").arg("version").output().is_ok();
    if !found {
        return;
    }
    let server = server().await;
    let limits = json!({
        "permitted_dns_domains": "example.org", "permitted_ip_ranges": "10.0.0.0/8,2001:db8::/32",
        "permitted_email_addresses": "example.org", "permitted_uri_domains": "example.org",
        "excluded_dns_domains": "no.example.org", "excluded_uri_domains": ".example.org",
    });
    let root = limited(&server, "judged", limits).await.ok();
    let leaf = json!({
        "common_name": "a.example.org", "alt_names": "x@example.org", "key_type": "ec",
        "ip_sans": "10.0.0.1,2001:db8::1", "uri_sans": "spiffe://example.org/a",
    });
    let leaf = server.post("pki/issuer/judged/issue/web", leaf).await.ok();
    let folder = tempfile::tempdir().unwrap();
    for (name, answer) in [("root.pem", &root), ("leaf.pem", &leaf)] {
        std::fs::write(folder.path().join(name), answer.text("certificate")).unwrap();
    }
    let at = server.now().to_string();
    let output = std::process::Command::new("openssl")
        .current_dir(folder.path())
        .args(["verify", "-attime", &at, "-x509_strict", "-CAfile", "root.pem", "leaf.pem"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[tokio::test]
async fn r16_the_names_of_a_request_are_read_and_written_again_or_refused() {
    let server = server().await;
    let uri = |text: &str| element(0x86, &[text.as_bytes()]);
    for names in [
        vec![],
        uri("spiffe://example.org/../x"),
        uri("spiffe://example.org/a/./b"),
        uri("spiffe://example.org?x=1"),
        uri("spiffe://example.org#x"),
        uri("spiffe://example.org/"),
        uri("spiffe://example.org/workload"),
        uri("spiffe://example.org/a//b"),
        vec![0x89, 0],
        vec![0x9f, 0x1f, 0],
        vec![0xa3, 0],
        vec![0xa4, 2, 0x30, 0],
        vec![0x88, 1, 0x2a],
        vec![0xa0, 0],
        vec![0xa0, 7, 6, 1, 0x2a, 0xa0, 2, 5, 0],
        element(0x82, &[b"a\0b"]),
        element(0x82, &[b"a b"]),
        vec![0x82, 0],
        element(0x82, &[b"a..b"]),
        element(0x81, &[b"a\n@example.org"]),
        element(0x81, &[b"nobody"]),
        vec![0x87, 3, 1, 2, 3],
    ] {
        let csr = request(&[plain(SAN, &sequence(&[&names]))]);
        let answer = sign_own(&server, &csr).await;
        assert_eq!(answer.status, 400, "{names:02x?}: {answer:?}");
        assert!(!answer.errors()[0].contains("lint"), "{answer:?}");
    }
    for value in [&[][..], &[5, 0], &[0x30, 1], &[0x30, 0, 0], &[0x30, 3, 0x82, 5, b'a']] {
        let answer = sign_own(&server, &request(&[plain(SAN, value)])).await;
        assert_eq!(answer.status, 400, "{value:02x?}");
    }
    // Neither name: nothing is certified.
    let csr = text(&request_der(&[0x30, 0], &[]));
    sign_own(&server, &csr).await.refused(400, "neither a subject nor subject alternative names");
    // Not critical in the request, and critical where it is the only name.
    let san = plain(SAN, &sequence(&[&uri("spiffe://example.org")]));
    let answer = sign_own(&server, &text(&request_der(&[0x30, 0], &[san]))).await.ok();
    let (critical, names): (bool, SubjectAltName) =
        certificate(&answer).tbs_certificate().get_extension().unwrap().unwrap();
    assert!(critical && names.0.len() == 1);
}

#[tokio::test]
async fn r16_a_subject_that_is_taken_byte_for_byte_is_sound() {
    let server = server().await;
    let attribute =
        |tag: u8, value: &[u8]| sequence(&[&oid(&[0x55, 4, 3]), &element(tag, &[value])]);
    for content in [
        element(0x31, &[]),
        element(0x31, &[&attribute(0x0c, b"a\0b")]),
        element(0x31, &[&attribute(0x0c, b"a\nb")]),
        element(0x31, &[&attribute(0x1e, b"\0a\0\0")]),
        element(0x31, &[&attribute(0x13, b"a@b")]),
        element(0x31, &[&attribute(0x12, b"a")]),
        element(0x31, &[&attribute(0x16, &[0xc3, 0xbc])]),
        element(0x31, &[&attribute(2, &[1])]),
        element(0x31, &[&attribute(0x30, &[])]),
        element(0x31, &[&attribute(0x0c, b"b"), &attribute(0x0c, b"a")]),
    ] {
        let csr = text(&request_der(&sequence(&[&content]), &[]));
        sign_own(&server, &csr).await.refused(400, "the CSR's subject cannot be taken");
    }
    // A common name that is taken without the rest of the subject.
    let csr = text(&request_der(&sequence(&[&element(0x31, &[&attribute(0x0c, b"a\0b")])]), &[]));
    let body = json!({ "csr": csr, "exclude_cn_from_sans": true });
    let answer = server.post("pki/root/sign-intermediate", body).await;
    answer.refused(400, "holds a control character");
}

#[tokio::test]
async fn what_a_request_asks_for_and_does_not_get_is_told() {
    let server = server().await;
    let role = json!({
        "key_type": "any", "allow_any_name": true, "use_csr_sans": false,
        "use_csr_common_name": false,
    });
    server.post("pki/roles/strict", role).await.ok();
    let names = [element(0x82, &[b"lost.example.org"]), element(0xa4, &[&[0x30, 0]])].concat();
    let csr = request(&[
        plain(SAN, &sequence(&[&names])),
        plain(KEY_USAGE, &[3, 2, 1, 6]),
        extension(&[0x2a, 3, 4], false, &[5, 0]),
    ]);
    let body = json!({ "csr": csr, "common_name": "a.example.org" });
    let answer = server.post("pki/sign/strict", body.clone()).await.ok();
    for lost in ["lost.example.org", "directoryName", "1.2.3.4", "2.5.29.15", "common name"] {
        assert!(warned(&answer, lost), "{lost}: {:?}", answer.warnings());
    }
    let answer = server.post("pki/sign/web", body.clone()).await.ok();
    assert!(warned(&answer, "directoryName") && !warned(&answer, "lost.example.org"));
    let answer = server.post("pki/root/sign-intermediate", body).await.ok();
    assert!(warned(&answer, "lost.example.org") && warned(&answer, "1.2.3.4"));
    // Nothing is lost, nothing is said.
    let csr = request(&[plain(SAN, &sequence(&[&element(0x82, &[b"a.example.org"])]))]);
    let body = json!({ "csr": csr, "common_name": "a.example.org" });
    let answer = server.post("pki/sign/web", body).await.ok();
    assert!(!warned(&answer, "Signet: "), "{:?}", answer.warnings());
}

/// The shapes of a request that a change of it may reach.
fn shapes() -> Vec<Vec<u8>> {
    let san = plain(
        SAN,
        &sequence(&[
            &element(0x82, &[b"a.example.org"]),
            &element(0x81, &[b"a@example.org"]),
            &element(0x87, &[&[10, 0, 0, 1]]),
            &element(0x86, &[b"spiffe://example.org"]),
            &element(0xa0, &[&oid(&[0x2a, 3]), &element(0xa0, &[&[0x0c, 1, b'x']])]),
        ]),
    );
    let everything = [
        san,
        plain(SKI, &element(4, &[&[9; 20]])),
        extension(&ce(KEY_USAGE), true, &[3, 2, 1, 6]),
        extension(&ce(CONSTRAINTS), true, &sequence(&[&[1, 1, 0xff]])),
        plain(EKU, &sequence(&[&oid(&[0x2b, 6, 1, 5, 5, 7, 3, 1])])),
        plain(NAMES, &subtree(0, 0x82, b"example.org")),
        plain(POLICIES, &sequence(&[&sequence(&[&oid(&[0x2a, 3])])])),
        plain(AKI, &sequence(&[&element(0x80, &[&[9; 20]])])),
    ];
    vec![
        request_der(&common_name("below.example.org"), &[]),
        request_der(&common_name("below.example.org"), &everything),
        request_der(&[0x30, 0], &everything[..1]),
    ]
}

/// A request whose signed part was changed is signed again, so that what is read of it counts.
fn signed_again(changed: &[u8], at: usize) -> Option<Vec<u8>> {
    let info = changed.get(at..)?;
    let length = match info {
        [0x30, length @ 0..=0x7f, ..] => usize::from(*length) + 2,
        [0x30, 0x81, length, ..] => usize::from(*length) + 3,
        [0x30, 0x82, high, low, ..] => usize::from(u16::from_be_bytes([*high, *low])) + 4,
        _ => return None,
    };
    let info = info.get(..length)?;
    Some(request_of(info, &sequence(&[&oid(ED25519)]), edwards().sign(info).as_ref()))
}

#[tokio::test]
async fn no_changed_request_brings_an_answer_of_500() {
    let server = server().await;
    let odd = json!({
        "key_type": "any", "allow_any_name": true, "require_cn": false, "use_csr_sans": true,
        "allowed_uri_sans": "*", "allowed_other_sans": "*", "key_usage": [], "ext_key_usage": [],
        "basic_constraints_valid_for_non_ca": true, "server_flag": false, "client_flag": false,
        "serial_number_source": "json-csr", "allowed_serial_numbers": "*", "allowed_user_ids": "*",
        "no_store": true,
    });
    server.post("pki/roles/odd", odd).await.ok();
    for (at, asked) in [
        ("plain", json!({})),
        (
            "limited",
            json!({
                "permitted_dns_domains": "example.org", "excluded_ip_ranges": "0.0.0.0/0",
                "permitted_uri_domains": "example.org", "max_path_length": 1,
            }),
        ),
    ] {
        let mut root = json!({ "common_name": "R", "key_type": "ec", "issuer_name": at });
        root.as_object_mut().unwrap().extend(asked.as_object().unwrap().clone());
        server.post("pki/root/generate/internal", root).await.ok();
    }
    let mut turn = 0_usize;
    for shape in shapes() {
        let at = match shape[1] {
            0x81 => 3,
            0x82 => 4,
            _ => 2,
        };
        let changes = (0..shape.len()).flat_map(|place| [1, 0x20, 0x80].map(|flip| (place, flip)));
        for (place, flip) in changes {
            let mut changed = shape.clone();
            changed[place] ^= flip;
            let csr = match turn % 4 {
                0 => Some(changed),
                1 => Some(changed[..place].to_vec()),
                2 => Some([&changed[..], &shape[place..]].concat()),
                _ => signed_again(&changed, at),
            };
            // Each change that keeps the frame whole is also signed again.
            let mut again = shape.clone();
            again[place] ^= flip;
            let again = signed_again(&again, at);
            for csr in csr.into_iter().chain(again) {
                turn += 1;
                let (path, own) = [
                    ("pki/root/sign-intermediate", true),
                    ("pki/issuer/limited/sign-intermediate", true),
                    ("pki/issuer/limited/sign/odd", false),
                    ("pki/sign/odd", false),
                    ("pki/root/sign-intermediate", false),
                ][turn % 5];
                let body = json!({ "csr": text(&csr), "use_csr_values": own });
                let answer = server.post(path, body).await;
                assert!(answer.status < 500, "{path} {place} {flip:02x} {csr:02x?}: {answer:?}");
            }
        }
    }
}
