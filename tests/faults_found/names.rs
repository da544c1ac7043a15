//! Names and roles: SPIFFE IDs, host names, and role settings that are validated before they are stored.

#[path = "names/lines.rs"]
mod lines;
#[path = "names/shapes.rs"]
mod shapes;
#[path = "names/urls.rs"]
mod urls;

use serde_json::{Value, json};

use crate::support::{Answer, Server, der, pem};

/// A server with a root and a permissive role `web`, changed by these fields.
async fn server(fields: Value) -> Server {
    let server = Server::with_root().await;
    role(&server, "web", fields).await.ok();
    server
}

async fn role(server: &Server, name: &str, fields: Value) -> Answer {
    let mut role = json!({
        "key_type": "ec", "allow_any_name": true, "enforce_hostnames": false, "require_cn": false,
        "allowed_uri_sans": "*", "allowed_other_sans": "*", "allowed_user_ids": "*",
        "allowed_serial_numbers": "*", "ttl": "1h",
    });
    role.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    server.post(&format!("pki/roles/{name}"), role).await
}

async fn issue(server: &Server, body: Value) -> Answer {
    server.post("pki/issue/web", body).await
}

fn merged(mut one: Value, other: &Value) -> Value {
    one.as_object_mut().unwrap().extend(other.as_object().unwrap().clone());
    one
}

/// A CSR; `change` sets what it asks for.
fn request(change: impl FnOnce(&mut rcgen::CertificateParams)) -> String {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
    change(&mut parameters);
    pem("CERTIFICATE REQUEST", parameters.serialize_request(&key).unwrap().der())
}

fn with_uri(uri: &str) -> Option<String> {
    let name = rcgen::SanType::URI(rcgen::string::Ia5String::try_from(uri).ok()?);
    Some(request(|parameters| parameters.subject_alt_names.push(name)))
}

/// The URIs of the first certificate of an answer.
fn uris(answer: &Answer) -> Vec<String> {
    use der::Decode;
    use x509_cert::ext::pkix::SubjectAltName;
    use x509_cert::ext::pkix::name::GeneralName;
    let certificate = x509_cert::Certificate::from_der(&der(&answer.text("certificate"))).unwrap();
    let names = certificate.tbs_certificate().get_extension::<SubjectAltName>().unwrap();
    let names = names.map(|(_, names)| names.0).unwrap_or_default();
    let uri = |name: &GeneralName| match name {
        GeneralName::UniformResourceIdentifier(uri) => Some(uri.to_string()),
        _ => None,
    };
    names.iter().filter_map(uri).collect()
}

fn signet_warnings(answer: &Answer) -> Vec<String> {
    answer.warnings().into_iter().filter(|text| text.starts_with("Signet: ")).collect()
}

/// URIs with the scheme `spiffe` that are not SPIFFE IDs.
const INVALID_IDS: &[&str] = &[
    "spiffe://example.org/team-a/%2e%2e/team-b/api",
    "spiffe://example.org/team-a/..%2fteam-b",
    "spiffe://example.org/team-a/x%2f/",
    "spiffe://example.org/team-a/x%00y",
    "spiffe://example.org/team-a/x%0d%0ay",
    "spiffe://example.org/team-a/../team-b",
    "spiffe://example.org/team-a/a~b",
    "spiffe://example.org/team-a/a:b",
    "spiffe://example.org/team-a//x",
    "spiffe://example.org/team-a/",
    "spiffe://example.org/team-a?x",
    "spiffe://example.org/team-a#",
    "spiffe://u@example.org/team-a",
    "spiffe://example.org:1/team-a",
    "spiffe://Example.org/team-a",
    "SPIFFE://example.org/team-a",
    "spiffe:team-a",
];

#[tokio::test]
async fn f05_percent_encoded_spiffe_ids_are_refused() {
    let server = server(json!({})).await;
    role(&server, "team", json!({ "allowed_uri_sans": "spiffe://example.org/team-a/*" }))
        .await
        .ok();
    for uri in INVALID_IDS {
        let csr = with_uri(uri).unwrap();
        for (path, body) in [
            ("pki/issue/web", json!({ "uri_sans": [uri] })),
            ("pki/issue/web", json!({ "uri_sans": ["https://example.org/", uri] })),
            ("pki/issue/team", json!({ "uri_sans": [uri] })),
            ("pki/sign/web", json!({ "csr": csr })),
            ("pki/sign/team", json!({ "csr": csr })),
            ("pki/root/generate/internal", json!({ "common_name": "R", "uri_sans": [uri] })),
            (
                "pki/intermediate/generate/internal",
                json!({ "common_name": "I", "uri_sans": [uri] }),
            ),
            (
                "pki/root/sign-intermediate",
                json!({ "common_name": "I", "uri_sans": [uri], "csr": csr }),
            ),
        ] {
            let answer = server.post(path, merged(body, &json!({ "key_type": "ec" }))).await;
            assert_eq!(answer.status, 400, "{path} {uri}: {:?}", answer.errors());
        }
    }
    let good = issue(&server, json!({ "uri_sans": "spiffe://example.org/team-a/api" })).await.ok();
    assert_eq!(uris(&good), ["spiffe://example.org/team-a/api"]);
    // The role is checked first.
    let other = json!({ "uri_sans": "spiffe://example.org/team-b/%2e" });
    server.post("pki/issue/team", other).await.refused(400, "which are not valid for this role");
}

#[tokio::test]
async fn f05_an_id_has_at_most_2048_bytes_and_several_uris_stay_signed() {
    let server = server(json!({})).await;
    let of = |length: usize| format!("spiffe://example.org/{}", "a".repeat(length - 21));
    for length in [2049, 100_000, 1_000_000] {
        let answer = issue(&server, json!({ "uri_sans": [of(length)] })).await;
        answer.refused(400, "longer than 2048 bytes");
        assert!(answer.body.len() < 5_000);
    }
    issue(&server, json!({ "uri_sans": [of(2048)] })).await.ok();
    let several = ["spiffe://example.org/a", "spiffe://other.org/b", "https://example.org/c?d"];
    let answer = issue(&server, json!({ "uri_sans": several })).await.ok();
    assert_eq!(uris(&answer), several);
    assert!(signet_warnings(&answer)[0].contains("its only URI SAN"), "{:?}", answer.warnings());
}

#[tokio::test]
async fn f05_the_spiffe_id_of_a_leaf_has_a_path_and_that_of_a_ca_does_not() {
    let server = server(json!({})).await;
    let answer = issue(&server, json!({ "uri_sans": "spiffe://example.org" })).await;
    answer.refused(400, "is not a valid SPIFFE ID of a leaf: it has no path");
    for path in ["pki/root/generate/internal", "pki/intermediate/generate/internal"] {
        let body = |uri| json!({ "common_name": "CA", "key_type": "ec", "uri_sans": uri });
        let answer = server.post(path, body("spiffe://example.org/ca")).await;
        answer.refused(
            400,
            "of an authority: it has a path (X509-SVID, 3.2); use spiffe://example.org",
        );
        server.post(path, body("spiffe://example.org")).await.ok();
    }
    let csr = request(|_| {});
    let body = |uri| json!({ "common_name": "CA", "csr": csr, "uri_sans": uri });
    server
        .post("pki/root/sign-intermediate", body("spiffe://example.org/ca"))
        .await
        .refused(400, "it has a path");
    server.post("pki/root/sign-intermediate", body("spiffe://example.org")).await.ok();
}

#[tokio::test]
async fn f07_backdating_needs_the_permission_of_the_role() {
    let server = server(json!({})).await;
    role(&server, "old", json!({ "allow_backdating": true })).await.ok();
    let read = |answer: Answer| answer.data().get("allow_backdating").and_then(Value::as_bool);
    assert_eq!(read(server.get("pki/roles/web").await), Some(false));
    assert_eq!(read(server.get("pki/roles/old").await), Some(true));
    for start in ["0001-01-01T00:00:00Z", "2026-11-22T11:59:29Z", "2020-01-01T00:00:00+02:00"] {
        let body = json!({ "common_name": "a.example.org", "not_before": start });
        let answer = issue(&server, body.clone()).await;
        answer.refused(400, "allow_backdating=true");
        server.post("pki/issue/old", body).await.ok();
        let body = json!({ "csr": request(|_| {}), "common_name": "a", "not_before": start });
        server.post("pki/sign/web", body).await.refused(400, "allow_backdating=true");
    }
    let body = json!({ "common_name": "a.example.org", "not_before": "2026-11-22T11:59:30Z" });
    issue(&server, body).await.ok();
    // A patch sets the permission and removes it.
    let old = json!({ "common_name": "a.example.org", "not_before": "2020-01-01T00:00:00Z" });
    for (allowed, status) in [(true, 200), (false, 400)] {
        let patch = json!({ "allow_backdating": allowed });
        server.call("PATCH", "pki/roles/web", Some(&patch)).await.ok();
        assert_eq!(issue(&server, old.clone()).await.status, status);
    }
}

#[tokio::test]
async fn f12_no_role_allows_a_control_character_in_a_name() {
    let server = server(json!({})).await;
    for odd in ["\0", "\n", "\r", "\t", "\u{7f}", "\u{85}", "\u{2028}", "\u{202e}"] {
        let name = format!("evil.com{odd}.example.org");
        let upn = format!("1.3.6.1.4.1.311.20.2.3;UTF8:me{odd}@example.org");
        for body in [
            json!({ "common_name": name }),
            json!({ "common_name": name, "exclude_cn_from_sans": true }),
            json!({ "common_name": "a.example.org", "alt_names": name }),
            json!({ "common_name": "a.example.org", "alt_names": format!("x@{name}") }),
            json!({ "common_name": "a.example.org", "other_sans": upn }),
            json!({ "common_name": "a.example.org", "serial_number": name }),
            json!({ "common_name": "a.example.org", "user_ids": name }),
            json!({ "common_name": "a.example.org", "uri_sans": format!("spiffe://a/b{odd}c") }),
            json!({ "common_name": "a.example.org", "uri_sans": format!("urn:a{odd}c") }),
        ] {
            let answer = issue(&server, body.clone()).await;
            assert_eq!(answer.status, 400, "{body}: {:?}", answer.errors());
        }
        for field in [
            "common_name",
            "ou",
            "organization",
            "country",
            "locality",
            "province",
            "street_address",
            "postal_code",
            "serial_number",
            "alt_names",
        ] {
            let body = merged(
                json!({ "common_name": "CA", "key_type": "ec", "csr": request(|_| {}) }),
                &json!({ field: name }),
            );
            for path in [
                "pki/root/generate/internal",
                "pki/intermediate/generate/internal",
                "pki/root/sign-intermediate",
            ] {
                server.post(path, body.clone()).await.refused(400, "control character");
            }
            if !["common_name", "serial_number", "alt_names"].contains(&field) {
                role(&server, "odd", json!({ field: name }))
                    .await
                    .refused(400, "control character");
            }
        }
    }
}

#[tokio::test]
async fn f12_no_control_character_is_copied_from_a_csr() {
    use rcgen::DnType::{CommonName, CustomDnType, OrganizationName};
    let server = server(json!({})).await;
    role(&server, "names", json!({ "use_csr_sans": true, "use_csr_common_name": true })).await.ok();
    let text = |text: &str| rcgen::DnValue::Utf8String(text.to_owned());
    let ia5 = |text: &str| rcgen::string::Ia5String::try_from(text).unwrap();
    for odd in ["\0", "\n", "\u{7f}"] {
        let name = format!("evil.com{odd}.example.org");
        let named =
            |kind: rcgen::DnType| request(|csr| csr.distinguished_name.push(kind, text(&name)));
        let uid = CustomDnType(vec![0, 9, 2342, 19_200_300, 100, 1, 1]);
        let upn = (
            vec![1, 3, 6, 1, 4, 1, 311, 20, 2, 3],
            rcgen::OtherNameValue::Utf8String(name.clone()),
        );
        for csr in [
            named(CommonName),
            named(CustomDnType(vec![2, 5, 4, 5])),
            named(uid),
            request(|csr| csr.subject_alt_names.push(rcgen::SanType::DnsName(ia5(&name)))),
            request(|csr| {
                csr.subject_alt_names.push(rcgen::SanType::Rfc822Name(ia5(&format!("a@{name}"))))
            }),
            request(|csr| {
                csr.subject_alt_names.push(rcgen::SanType::URI(ia5(&format!("urn:{name}"))))
            }),
            request(|csr| csr.subject_alt_names.push(rcgen::SanType::OtherName(upn.clone()))),
        ] {
            let answer = server.post("pki/sign/names", json!({ "csr": csr })).await;
            assert_eq!(answer.status, 400, "{odd:?}: {answer:?}");
        }
        // Values that `use_csr_values` copies are checked as well.
        for kind in [CommonName, OrganizationName] {
            let body = json!({ "csr": named(kind), "use_csr_values": true });
            let answer = server.post("pki/root/sign-intermediate", body).await;
            answer.refused(400, "control character");
        }
        let csr = request(|csr| {
            csr.distinguished_name.push(CommonName, "Below");
            csr.subject_alt_names.push(rcgen::SanType::DnsName(ia5(&name)));
        });
        let body = json!({ "csr": csr, "use_csr_values": true });
        server.post("pki/root/sign-intermediate", body).await.refused(400, "control character");
    }
}

#[tokio::test]
async fn f13_ca_key_usages_with_spiffe_ids_are_refused_with_the_reason() {
    let server = server(json!({})).await;
    for usage in ["CertSign", "CRLSign"] {
        let usages = ["DigitalSignature", usage];
        let spiffe = json!({ "key_usage": usages, "allowed_uri_sans": "spiffe://example.org/*" });
        let answer = role(&server, "bad", spiffe).await;
        answer.refused(400, "key_usage holds CertSign or CRLSign");
        assert_eq!(server.get("pki/roles/bad").await.status, 404);
        // A role for other URIs may have this usage, but then it does not sign SPIFFE IDs.
        role(&server, "web", json!({ "key_usage": usages })).await.ok();
        issue(&server, json!({ "uri_sans": "https://example.org/" })).await.ok();
        issue(&server, json!({ "common_name": "a.example.org" })).await.ok();
        let answer = issue(&server, json!({ "uri_sans": "spiffe://example.org/a" })).await;
        answer.refused(400, "leave CertSign and CRLSign out of key_usage of role web");
    }
    let patch = json!({ "allowed_uri_sans": "spiffe://example.org/*" });
    let answer = server.call("PATCH", "pki/roles/web", Some(&patch)).await;
    answer.refused(400, "key_usage holds CertSign or CRLSign");
}

#[tokio::test]
async fn r04_certsign_with_a_spiffe_id_is_a_client_error() {
    let server = server(json!({ "key_usage": ["DigitalSignature", "CertSign"] })).await;
    let answer = issue(&server, json!({ "uri_sans": "spiffe://example.org/a" })).await;
    answer.refused(400, "an SVID asserts neither keyCertSign nor cRLSign (X509-SVID, 4.3)");
    let csr = with_uri("spiffe://example.org/a").unwrap();
    server.post("pki/sign/web", json!({ "csr": csr })).await.refused(400, "X509-SVID, 4.3");
}

#[tokio::test]
async fn f13_no_role_of_any_shape_ends_in_5xx() {
    let server = Server::with_root().await;
    let usages = [
        json!([]),
        json!(["CertSign"]),
        json!(["CRLSign", "EncipherOnly", "DecipherOnly"]),
        json!(["KeyAgreement"]),
        json!(["nonsense"]),
    ];
    let settings = [
        json!({ "ext_key_usage_oids": "1.2.3" }),
        json!({ "server_flag": false, "client_flag": false }),
        json!({ "basic_constraints_valid_for_non_ca": true }),
        json!({ "not_before": "2026-11-22T00:00:00Z", "not_after": "2026-11-23T00:00:00Z" }),
        json!({ "not_before_duration": "87600000h" }),
        json!({ "not_after": "garbage" }),
        json!({ "policy_identifiers": ["1.2.3"] }),
        json!({ "country": ["", "Deutschland"], "ou": ["x".repeat(10_000)] }),
        json!({ "cn_from_spiffe_path": true }),
        json!({ "use_pss": true, "signature_bits": 512 }),
    ];
    let csr = with_uri("spiffe://example.org/a").unwrap();
    for usage in &usages {
        for setting in &settings {
            let fields = merged(json!({ "key_usage": usage }), setting);
            let written = role(&server, "web", fields.clone()).await;
            assert!(written.status < 500, "{fields}: {written:?}");
            for body in [
                json!({}),
                json!({ "uri_sans": "spiffe://example.org/a" }),
                json!({ "uri_sans": "https://example.org/a", "common_name": "a" }),
                json!({ "uri_sans": "spiffe://example.org/a", "common_name": "a", "ttl": "1s" }),
                json!({ "other_sans": "1.2.3;UTF8:", "alt_names": "x" }),
            ] {
                let answer = issue(&server, body.clone()).await;
                assert!(answer.status < 500, "{fields} {body}: {answer:?}");
            }
            let answer = server.post("pki/sign/web", json!({ "csr": csr })).await;
            assert!(answer.status < 500, "{fields}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn f15_a_pattern_that_crosses_the_trust_domain_has_a_warning_with_an_example() {
    let server = server(json!({})).await;
    for (pattern, id) in [
        ("spiffe://*.example.org/*", "spiffe://other.example/x.example.org/x"),
        ("spiffe://example.org*", "spiffe://example.org.other.example/x"),
        ("*", "spiffe://other.example/x"),
    ] {
        let answer = role(&server, "web", json!({ "allowed_uri_sans": pattern })).await.ok();
        assert!(signet_warnings(&answer)[0].contains(id), "{pattern}: {:?}", answer.warnings());
        issue(&server, json!({ "uri_sans": id })).await.ok();
        let patch = json!({ "allowed_uri_sans": ["spiffe://example.org/a", pattern] });
        let answer = server.call("PATCH", "pki/roles/web", Some(&patch)).await.ok();
        assert!(signet_warnings(&answer)[0].contains(id), "{pattern}: {:?}", answer.warnings());
    }
    let answer =
        role(&server, "web", json!({ "allowed_uri_sans": "spiffe://example.org/*" })).await;
    assert_eq!(signet_warnings(&answer.ok()), [""; 0]);
}

#[tokio::test]
async fn f15_spaces_between_listed_names_are_ignored() {
    let server = server(json!({})).await;
    let body = json!({
        "common_name": "x.example.org", "alt_names": "a.example.org, b.example.org",
        "ip_sans": "10.0.0.1, 10.0.0.2", "uri_sans": "spiffe://example.org/a, urn:b",
        "other_sans": "1.2.3;UTF8:a, 1.2.3;UTF8:b",
    });
    let read = |answer: Answer| {
        let text = pem_text(&answer);
        for name in ["a.example.org", "b.example.org", "spiffe://example.org/a", "urn:b"] {
            assert!(text.windows(name.len()).any(|window| window == name.as_bytes()), "{name}");
        }
        for address in [[10, 0, 0, 1], [10, 0, 0, 2]] {
            assert!(text.windows(4).any(|window| window == address), "{address:?}");
        }
    };
    read(issue(&server, body.clone()).await.ok());
    let csr = request(|_| {});
    let body = merged(body, &json!({ "uri_sans": "spiffe://example.org, urn:b", "csr": csr }));
    let answer = server.post("pki/root/sign-intermediate", body).await.ok();
    assert_eq!(uris(&answer), ["spiffe://example.org", "urn:b"]);
    let text = pem_text(&answer);
    assert!(text.windows(13).any(|window| window == b"b.example.org"));
}

fn pem_text(answer: &Answer) -> Vec<u8> {
    der(&answer.text("certificate"))
}

#[tokio::test]
async fn r13_svids_that_spiffe_clients_reject_have_a_warning() {
    let server = server(json!({})).await;
    for (fields, words) in [
        (json!({ "key_usage": [] }), "asserts digitalSignature"),
        (json!({ "key_usage": ["KeyAgreement"] }), "asserts digitalSignature"),
        (json!({ "key_usage": ["KeyEncipherment"] }), "has a critical key usage"),
        (json!({ "server_flag": false }), "both serverAuth and clientAuth"),
        (json!({ "client_flag": false }), "both serverAuth and clientAuth"),
        (json!({ "server_flag": false, "client_flag": false }), "both serverAuth and clientAuth"),
    ] {
        role(&server, "web", fields.clone()).await.ok();
        let svid = issue(&server, json!({ "uri_sans": "spiffe://example.org/a" })).await.ok();
        let warnings = signet_warnings(&svid);
        assert!(warnings.iter().any(|text| text.contains(words)), "{fields}: {warnings:?}");
        assert!(warnings.iter().all(|text| text.contains("of role web")), "{fields}: {warnings:?}");
        let csr = with_uri("spiffe://example.org/a").unwrap();
        let signed = server.post("pki/sign/web", json!({ "csr": csr })).await.ok();
        assert_eq!(signet_warnings(&signed), warnings, "{fields}");
        let other = issue(&server, json!({ "common_name": "a.example.org" })).await.ok();
        assert_eq!(signet_warnings(&other), [""; 0], "{fields}");
    }
    role(&server, "web", json!({})).await.ok();
    let svid = issue(&server, json!({ "uri_sans": "spiffe://example.org/a" })).await.ok();
    assert_eq!(signet_warnings(&svid), [""; 0]);
}

#[tokio::test]
async fn r18_a_certificate_with_neither_subject_nor_names_has_a_warning() {
    let server = server(json!({})).await;
    let csr = request(|csr| csr.distinguished_name = rcgen::DistinguishedName::new());
    for answer in [
        issue(&server, json!({})).await.ok(),
        server.post("pki/sign/web", json!({ "csr": csr })).await.ok(),
    ] {
        assert!(
            signet_warnings(&answer)[0].contains("neither a subject"),
            "{:?}",
            answer.warnings()
        );
    }
    let named = issue(&server, json!({ "user_ids": "bob" })).await.ok();
    assert_eq!(signet_warnings(&named), [""; 0]);
}

#[tokio::test]
async fn n07_a_refused_uri_is_explained_with_role_pattern_and_a_command_to_paste() {
    let server = server(json!({})).await;
    role(&server, "corp", json!({ "allowed_uri_sans": "spiffe://corp.example/*" })).await.ok();
    let body = json!({ "uri_sans": "spiffe://other.example/payments" });
    let answer = server.post("pki/issue/corp", body.clone()).await;
    assert_eq!(
        answer.errors(),
        [
            "URI Subject Alternative Names were provided via the API which are not valid for this role"
        ]
    );
    let line = "signet patch pki/roles/corp allowed_uri_sans='spiffe://corp.example/*,spiffe://other.example/payments'";
    assert_eq!(
        answer.warnings(),
        [format!(
            "Signet: spiffe://other.example/payments is not among spiffe://corp.example/* of role corp; to allow it: {line}"
        )]
    );
    let csr = with_uri("spiffe://other.example/payments").unwrap();
    let signed = server.post("pki/sign/corp", json!({ "csr": csr })).await;
    assert_eq!(signed.warnings(), answer.warnings());
    // The command works.
    let patch =
        json!({ "allowed_uri_sans": "spiffe://corp.example/*,spiffe://other.example/payments" });
    server.call("PATCH", "pki/roles/corp", Some(&patch)).await.ok();
    server.post("pki/issue/corp", body).await.ok();
    // An ID that a CA must not have: the error contains it and the ID to use instead.
    let ca =
        json!({ "common_name": "CA", "key_type": "ec", "uri_sans": "spiffe://corp.example/ca" });
    let answer = server.post("pki/root/generate/internal", ca).await;
    answer.refused(400, "\"spiffe://corp.example/ca\"");
    answer.refused(400, "use spiffe://corp.example");
}
