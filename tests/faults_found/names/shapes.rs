//! Names that RFC 5280, 4.2.1.6 forbids: Go ignores them, and Java cannot parse the certificate.

use serde_json::json;

use super::{issue, merged, request, role, server, signet_warnings, with_uri};

const INVALID_URIS: &[&str] =
    &["mailto:", "x:y z", "urn:{a}", "urn:%zz", "https://example.org/?a={b}"];

#[tokio::test]
async fn r13_a_uri_that_java_cannot_read_is_refused() {
    let server = server(json!({ "use_csr_sans": true })).await;
    for uri in INVALID_URIS {
        let csr = with_uri(uri).unwrap();
        let ca = json!({ "common_name": "CA", "key_type": "ec", "uri_sans": [uri], "csr": csr });
        for (path, body) in [
            ("pki/issue/web", json!({ "uri_sans": [uri] })),
            ("pki/issue/web", json!({ "uri_sans": ["spiffe://a/b", uri] })),
            ("pki/sign/web", json!({ "csr": csr })),
            ("pki/root/generate/internal", ca.clone()),
            ("pki/intermediate/generate/internal", ca.clone()),
            ("pki/root/sign-intermediate", ca.clone()),
            ("pki/root/sign-intermediate", json!({ "csr": csr, "use_csr_values": true })),
        ] {
            server.post(path, body).await.refused(400, "is not a valid URI: ");
        }
    }
    issue(&server, json!({ "uri_sans": [""] })).await.refused(400, "it is empty");
    for uri in [
        "urn:a",
        "https://example.org/?a=%7Bb%7D#c",
        "ldap:///CN=a b,DC=c?x?base",
        "mailto:a@b.org",
        "https://[::1]:8443/",
        "https://example.org/{a}|b",
        "tag:example.org,2026:a",
        "ni:///sha-256;f4OxZX_x_FO5LcGBSKHWXfwtSx-j1ncoSt3SABJtkGk",
        "https://example.org/größe",
    ] {
        issue(&server, json!({ "uri_sans": [uri] })).await.ok();
    }
}

#[tokio::test]
async fn r13_a_relative_uri_is_signed_with_a_warning() {
    let server = server(json!({})).await;
    for uri in ["a", "//example.org/a", "spiffe", "spiffe%3a//a/b"] {
        let csr = with_uri(uri).unwrap();
        let ca = json!({ "common_name": "CA", "key_type": "ec", "uri_sans": [uri] });
        for (path, body) in [
            ("pki/issue/web", json!({ "uri_sans": ["urn:a", uri] })),
            ("pki/sign/web", json!({ "csr": csr })),
            ("pki/root/generate/internal", ca.clone()),
            ("pki/intermediate/generate/internal", ca.clone()),
            ("pki/root/sign-intermediate", merged(ca.clone(), &json!({ "csr": csr }))),
        ] {
            let warnings = signet_warnings(&server.post(path, body).await.ok()).join("\n");
            assert!(
                warnings.contains("is relative, and Java cannot read"),
                "{path} {uri}: {warnings}"
            );
        }
    }
}

#[tokio::test]
async fn r13_empty_names_of_a_csr_are_refused_and_valid_ones_signed() {
    use rcgen::SanType::{DnsName, Rfc822Name};
    let server = server(json!({ "use_csr_sans": true })).await;
    let ia5 = |text: &str| rcgen::string::Ia5String::try_from(text).unwrap();
    for text in ["", "a@", "@example.org", "a"] {
        let csr = request(|csr| csr.subject_alt_names.push(Rfc822Name(ia5(text))));
        let body = json!({ "csr": csr });
        server.post("pki/sign/web", body).await.refused(400, "is not an e-mail address");
        let body = json!({ "csr": csr, "use_csr_values": true });
        server
            .post("pki/root/sign-intermediate", body)
            .await
            .refused(400, "is not an e-mail address");
    }
    for text in ["", " ", ".", "a..b", ".a", "a b"] {
        let csr = request(|csr| csr.subject_alt_names.push(DnsName(ia5(text))));
        server.post("pki/sign/web", json!({ "csr": csr })).await.refused(400, "is not a DNS name");
    }
    for text in ["a@", "@example.org"] {
        issue(&server, json!({ "common_name": text }))
            .await
            .refused(400, "is not an e-mail address");
        let body = json!({ "common_name": "CA", "key_type": "ec", "alt_names": text });
        server
            .post("pki/root/generate/internal", body)
            .await
            .refused(400, "is not an e-mail address");
    }
    for text in ["a_b.example.org", "*.example.org", "a.example.org.", "EXAMPLE", "xn--tda.org"] {
        let csr = request(|csr| {
            csr.subject_alt_names.push(DnsName(ia5(text)));
            csr.subject_alt_names.push(Rfc822Name(ia5("\"a b\"@example.org")));
        });
        server.post("pki/sign/web", json!({ "csr": csr })).await.ok();
    }
}

#[tokio::test]
async fn r18_an_empty_user_id_is_not_a_name() {
    let server = server(json!({})).await;
    let answer = issue(&server, json!({ "user_ids": [""] })).await.ok();
    assert!(signet_warnings(&answer)[0].contains("neither a subject"), "{:?}", answer.warnings());
    role(&server, "web", json!({ "allowed_user_ids": "bob" })).await.ok();
    issue(&server, json!({ "user_ids": ["bob", "eve"] })).await.refused(400, "user_id eve");
    // The same for an empty value in a subject that is copied from the CSR.
    let csr = request(|csr| {
        csr.distinguished_name.push(rcgen::DnType::CommonName, "");
        csr.distinguished_name.push(rcgen::DnType::OrganizationName, "Example");
    });
    let body = json!({ "csr": csr, "use_csr_values": true });
    server.post("pki/root/sign-intermediate", body).await.refused(400, "a value is empty");
}

#[tokio::test]
async fn f13_an_unknown_usage_has_a_warning_when_the_role_is_written() {
    let server = server(json!({})).await;
    for (field, word) in [("key_usage", "DigitalSignture"), ("ext_key_usage", "SrverAuth")] {
        let fields = json!({ "allowed_uri_sans": "", field: ["KeyAgreement", "Any", word] });
        let warnings = signet_warnings(&role(&server, "web", fields).await.ok()).join("\n");
        let first = if field == "key_usage" { "Any" } else { "KeyAgreement" };
        assert!(
            warnings.contains(&format!("{field}: \"{first}\" is not a known usage")),
            "{warnings}"
        );
        let fields = json!({ "allowed_uri_sans": "", field: [word] });
        let warnings = signet_warnings(&role(&server, "web", fields).await.ok()).join("\n");
        assert!(
            warnings.contains(&format!("{field}: \"{word}\" is not a known usage")),
            "{warnings}"
        );
    }
    let known = json!({
        "allowed_uri_sans": "", "key_usage": "digitalsignature, KeyAgreement",
        "ext_key_usage": ["serverauth", ""],
    });
    assert_eq!(signet_warnings(&role(&server, "web", known).await.ok()), [""; 0]);
}

#[tokio::test]
async fn f15_the_example_id_in_a_warning_is_signed() {
    let server = server(json!({})).await;
    for pattern in ["spiffe://example.*/x", "spiffe://*/x", "spiffe://a*.b/*", "s*/y"] {
        let answer = role(&server, "web", json!({ "allowed_uri_sans": pattern })).await.ok();
        let warnings = signet_warnings(&answer).join("\n");
        let (_, id) = warnings.split_once("it allows ").unwrap();
        let (id, _) = id.split_once(';').unwrap();
        issue(&server, json!({ "uri_sans": id })).await.ok();
    }
}

#[tokio::test]
async fn f15_an_omitted_name_has_a_warning_on_every_path() {
    let server = server(json!({})).await;
    let names = json!({ "common_name": "x", "alt_names": "a b, c.example.org", "key_type": "ec" });
    for path in [
        "pki/issue/web",
        "pki/root/generate/internal",
        "pki/intermediate/generate/internal",
        "pki/root/sign-intermediate",
    ] {
        let body = match path {
            "pki/root/sign-intermediate" => {
                merged(names.clone(), &json!({ "csr": request(|_| {}) }))
            }
            _ => names.clone(),
        };
        let answer = server.post(path, body).await.ok();
        assert!(signet_warnings(&answer)[0].contains("\"a b\""), "{path}: {:?}", answer.warnings());
    }
}

#[tokio::test]
async fn f12_a_control_character_in_punycode_is_refused() {
    let server = server(json!({ "use_csr_sans": true })).await;
    role(&server, "api", json!({})).await.ok();
    // U+0080, U+202E before `b`, U+0085 in the middle, and an upper-case prefix.
    for label in ["xn--a", "xn--b-pin", "xn--ab-qa", "XN--a"] {
        let name = format!("{label}.example.org");
        let dns = rcgen::string::Ia5String::try_from(name.as_str()).unwrap();
        let csr = request(|csr| csr.subject_alt_names.push(rcgen::SanType::DnsName(dns)));
        let ca = json!({ "common_name": "CA", "key_type": "ec", "alt_names": name, "csr": csr });
        for (path, body) in [
            ("pki/issue/api", json!({ "common_name": name })),
            ("pki/issue/api", json!({ "alt_names": name })),
            ("pki/sign/web", json!({ "csr": csr })),
            ("pki/root/generate/internal", ca.clone()),
            ("pki/root/sign-intermediate", ca.clone()),
            ("pki/root/sign-intermediate", json!({ "csr": csr, "use_csr_values": true })),
        ] {
            let answer = server.post(path, body).await;
            answer.refused(400, "is not a DNS name");
        }
    }
    for name in ["xn--tda.org", "bücher.example.org", "xn--", "xn--fiqs8s"] {
        server.post("pki/issue/api", json!({ "alt_names": name })).await.ok();
    }
}
