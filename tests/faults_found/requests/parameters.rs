//! Parameters that are honoured or refused, and accurate error messages.

use aws_lc_rs::signature::KeyPair;
use x509_cert::ext::pkix::BasicConstraints;

use super::der_by_hand::*;
use super::*;

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
async fn f22_signature_bits_are_honoured_or_have_a_warning() {
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
    // A root uses the hash of its curve, as Vault does, with a warning.
    let root = json!({ "common_name": "R", "key_type": "ec", "signature_bits": 512 });
    let answer = server.post("pki/root/generate/internal", root).await.ok();
    assert_eq!(signature_algorithm(&answer), "1.2.840.10045.4.3.2");
    assert!(warned(&answer, "Signet: signature_bits has no effect"), "{:?}", answer.warnings());
    let answer = sign_with(&server, &csr, json!({ "use_pss": true })).await.ok();
    assert!(warned(&answer, "Signet: use_pss has no effect"), "{:?}", answer.warnings());
}

#[tokio::test]
async fn f22_a_crl_is_signed_with_the_hash_that_its_issuer_sets() {
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
async fn r07_and_r19_every_path_names_the_unsupported_algorithm() {
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
    // P-224, from the recorded requests.
    let recorded = include_str!("../../../src/ca/csr/recorded.txt");
    let p224 = recorded.lines().find_map(|line| line.strip_prefix("ec224 ")).unwrap();
    let p224 = data_encoding::BASE64.decode(p224.as_bytes()).unwrap();
    refused_everywhere(&server, &text(&p224), "P-224 keys are not supported").await;
}

#[tokio::test]
async fn r11_a_ca_without_a_subject_is_signed_with_a_warning() {
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

#[tokio::test]
async fn r18_an_omitted_name_of_a_ca_has_a_warning_on_every_path() {
    let server = server().await;
    let body = json!({
        "csr": request(&[]), "common_name": "Below", "alt_names": "a b", "key_type": "ec",
    });
    for path in
        ["intermediate/generate/internal", "root/sign-intermediate", "root/generate/internal"]
    {
        let answer = server.post(&format!("pki/{path}"), body.clone()).await.ok();
        assert!(warned(&answer, "alt_names: \"a b\""), "{path}: {:?}", answer.warnings());
    }
}
