//! Name constraints: building them, and obeying those of an issuer.

use x509_cert::ext::pkix::NameConstraints;

use super::der_by_hand::*;
use super::*;

/// Generates a root with this name and these constraints.
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
async fn r14_a_malformed_constraint_is_refused() {
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
        let body = json!({ "csr": request(std::slice::from_ref(&bad)), "use_csr_values": true });
        server.post(path, body).await.refused(400, "do not permit the DNS name");
    }
    let body = json!({ "csr": request(&[]), "common_name": "below.example.com" });
    let answer = server.post("pki/issuer/lim/sign-intermediate", body).await;
    answer.refused(400, "do not permit the DNS name \"below.example.com\"");
    let after = server.list("pki/certs").await.ok().data()["keys"].as_array().unwrap().len();
    assert_eq!(before, after);
}

/// Imports a certificate of another CA for a key of the mount, with these extensions.
async fn imported(server: &Server, name: &str, extensions: &[Vec<u8>]) -> Answer {
    let made = json!({ "common_name": name, "key_type": "ec" });
    let csr = server.post("pki/intermediate/generate/internal", made).await.ok();
    let csr = der(&csr.text("csr"));
    // SubjectPublicKeyInfo of P-256: 91 bytes.
    let at = csr.windows(EC.len()).position(|window| window == EC).unwrap() - 6;
    let text = authority(&validity(&[]), &csr[at..at + 91], extensions);
    let set = json!({ "certificate": text });
    let answer = server.post("pki/intermediate/set-signed", set).await.ok();
    let id = answer.data()["imported_issuers"][0].as_str().unwrap().to_owned();
    server.post(&format!("pki/issuer/{id}"), json!({ "issuer_name": name })).await.ok()
}

#[tokio::test]
async fn r14_an_issuer_with_unsupported_critical_constraints_does_not_sign() {
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
async fn r14_the_constraints_of_every_certificate_in_the_chain_apply() {
    let server = server().await;
    let limits = json!({ "permitted_dns_domains": "example.org", "max_path_length": 1 });
    limited(&server, "top", limits).await.ok();
    let made = json!({ "common_name": "Middle CA", "key_type": "ec" });
    let csr = server.post("pki/intermediate/generate/internal", made).await.ok().text("csr");
    // A longer path than the root allows is written with a warning, and has no effect.
    let body = json!({ "csr": csr, "common_name": "Middle CA", "max_path_length": 5 });
    let answer = server.post("pki/issuer/top/sign-intermediate", body).await.ok();
    assert!(warned(&answer, "Signet: max_path_length exceeds what the issuer allows"));
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
    let root = limited(&server, "verified", limits).await.ok();
    let leaf = json!({
        "common_name": "a.example.org", "alt_names": "x@example.org", "key_type": "ec",
        "ip_sans": "10.0.0.1,2001:db8::1", "uri_sans": "spiffe://example.org/a",
    });
    let leaf = server.post("pki/issuer/verified/issue/web", leaf).await.ok();
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
async fn r14_names_that_verifiers_compare_differently_are_not_signed_below_constraints() {
    let server = server().await;
    limited(&server, "dns", json!({ "permitted_dns_domains": "example.org" })).await.ok();
    limited(&server, "uri", json!({ "excluded_uri_domains": "example.org" })).await.ok();
    for (issuer, ask, why) in [
        ("dns", json!({ "common_name": "a.example.org." }), "ends with a dot"),
        // Without DNS names OpenSSL treats these as host names, which the constraints do not permit.
        ("dns", json!({ "common_name": "10.0.0.1" }), "do not permit the DNS name"),
        ("dns", json!({ "common_name": "a_b.example.com" }), "do not permit the DNS name"),
        (
            "uri",
            json!({ "uri_sans": "https://example.org:x@example.com/" }),
            "verifiers find different hosts",
        ),
        ("uri", json!({ "uri_sans": "https://u@example.com/" }), "verifiers find different hosts"),
        ("uri", json!({ "uri_sans": "https://example.com?x" }), "verifiers find different hosts"),
    ] {
        let mut body = json!({ "common_name": "A Service", "key_type": "ec" });
        let is_host = ask.get("common_name").is_some_and(|name| name != "a.example.org.");
        body.as_object_mut().unwrap().extend(ask.as_object().unwrap().clone());
        body["exclude_cn_from_sans"] = json!(is_host);
        server.post(&format!("pki/issuer/{issuer}/issue/web"), body).await.refused(400, why);
    }
    for uri in ["https://example.com/", "https://example.com:8443/a@b?c#d", "spiffe://a/b"] {
        let body = json!({ "common_name": "A Service", "key_type": "ec", "uri_sans": uri });
        server.post("pki/issuer/uri/issue/web", body).await.ok();
    }
    for name in ["A. Service", "a", "Dr. No.", "a.example.org"] {
        let body = json!({ "common_name": name, "key_type": "ec", "exclude_cn_from_sans": true });
        server.post("pki/issuer/dns/issue/web", body).await.ok();
    }
}
