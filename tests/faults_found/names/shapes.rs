//! Names that Go passes over and with which Java cannot read the certificate: RFC 5280, 4.2.1.6
//! leaves no place for them.

use serde_json::json;

use super::{issue, ours, request, role, server, with_uri};

const NO_URIS: &[&str] = &[
    "a",
    "//example.org/a",
    "spiffe",
    "spiffe%3a//a/b",
    "mailto:",
    "x:y z",
    "urn:{a}",
    "urn:%zz",
    "https://example.org/?a={b}",
];

#[tokio::test]
async fn r13_a_uri_that_java_cannot_read_is_refused() {
    let server = server(json!({ "use_csr_sans": true })).await;
    for uri in NO_URIS {
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
    issue(&server, json!({ "uri_sans": [""] })).await.refused(400, "it is relative");
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
async fn r13_empty_names_of_a_request_are_refused_and_whole_ones_signed() {
    use rcgen::SanType::{DnsName, Rfc822Name};
    let server = server(json!({ "use_csr_sans": true })).await;
    let ia5 = |text: &str| rcgen::string::Ia5String::try_from(text).unwrap();
    for text in ["", "a@", "@example.org", "a"] {
        let csr = request(|csr| csr.subject_alt_names.push(Rfc822Name(ia5(text))));
        let body = json!({ "csr": csr });
        server.post("pki/sign/web", body).await.refused(400, "is no e-mail address");
        let body = json!({ "csr": csr, "use_csr_values": true });
        server.post("pki/root/sign-intermediate", body).await.refused(400, "is no e-mail address");
    }
    for text in ["", " ", ".", "a..b", ".a", "a b"] {
        let csr = request(|csr| csr.subject_alt_names.push(DnsName(ia5(text))));
        server.post("pki/sign/web", json!({ "csr": csr })).await.refused(400, "is no DNS name");
    }
    for text in ["a@", "@example.org"] {
        issue(&server, json!({ "common_name": text })).await.refused(400, "is no e-mail address");
        let body = json!({ "common_name": "CA", "key_type": "ec", "alt_names": text });
        server.post("pki/root/generate/internal", body).await.refused(400, "is no e-mail address");
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
async fn r18_an_empty_user_id_names_nothing() {
    let server = server(json!({})).await;
    let answer = issue(&server, json!({ "user_ids": [""] })).await.ok();
    assert!(ours(&answer)[0].contains("neither a subject"), "{:?}", answer.warnings());
    role(&server, "web", json!({ "allowed_user_ids": "bob" })).await.ok();
    issue(&server, json!({ "user_ids": ["bob", "eve"] })).await.refused(400, "user_id eve");
    // Nor does the empty name of a subject that is taken as it is.
    let csr = request(|csr| {
        csr.distinguished_name.push(rcgen::DnType::CommonName, "");
        csr.distinguished_name.push(rcgen::DnType::OrganizationName, "Example");
    });
    let body = json!({ "csr": csr, "use_csr_values": true });
    server.post("pki/root/sign-intermediate", body).await.refused(400, "a value is empty");
}
