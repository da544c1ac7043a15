//! Weak keys, and trailing bytes.

use aws_lc_rs::signature::KeyPair;
use signet::engine::pki::records::CertificateRecord;
use signet::store::{Batch, key};

use super::der_by_hand::*;
use super::*;

#[tokio::test]
async fn f08_ed25519_keys_of_small_order_and_in_other_forms_are_refused() {
    let server = server().await;
    let mut points: Vec<[u8; 32]> = Vec::new();
    let mut edge = |first: u8, between: u8, last: u8| {
        let mut point = [between; 32];
        (point[0], point[31]) = (first, last);
        points.push(point);
    };
    // 0, 1 and -1, and every y from p to 2^255 - 1.
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
    // The signature that verifies for every message under the identity point.
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

/// Changes a point.
type Change = fn(&[u8]) -> Vec<u8>;

#[tokio::test]
async fn f08_points_that_are_not_on_the_curve_are_refused() {
    let server = server().await;
    let curve = oid(P256);
    let changes: [Change; 7] = [
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

/// A CSR with this RSA key and an arbitrary signature.
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
async fn f08_weak_rsa_keys_are_refused() {
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
    // An acceptable key is rejected only for its signature.
    refused_everywhere(&server, &rsa_request(&[5, 0], &sound, &[3]), "signature invalid").await;
}

#[tokio::test]
async fn f09_trailing_bytes_are_refused_in_every_csr_and_certificate() {
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
    // The same in a certificate: after its validity, and inside the parsed extensions.
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
async fn f09_the_attributes_of_a_csr_are_parsed_completely() {
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

#[tokio::test]
async fn f09_a_leaf_that_an_earlier_version_certified_with_such_a_key_is_revoked() {
    let server = Server::with_root().await;
    server.post("pki/roles/web", json!({ "allow_any_name": true, "key_type": "ec" })).await.ok();
    let leaf = server.post("pki/issue/web", json!({ "common_name": "a.example.org" })).await.ok();
    let bytes = signet::ca::serial::parse(&leaf.text("serial_number")).unwrap();
    let bytes: [u8; 20] = bytes.try_into().unwrap();
    let mount = server.engine.mounts().at("pki/").unwrap().entry.id;
    let record_key = key::certificate(&mount, &bytes);
    let store = &server.engine.env().store;
    let snapshot = store.snapshot().await.unwrap();
    let (_, mut record) = snapshot.record::<CertificateRecord>(&record_key).await.unwrap().unwrap();
    let curve = [0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
    let at = record.der.windows(8).position(|window| window == curve).unwrap();
    record.der[at + 7] = 0x80;
    store.commit(Batch::new().put_record(record_key, &record)).await.unwrap();
    let body = json!({ "serial_number": leaf.text("serial_number") });
    server.post("pki/revoke", body).await.ok();
    let list = server.get("pki/issuer/root/crl/der").await.ok();
    assert!(list.body.windows(bytes.len()).any(|window| window == bytes));
}
