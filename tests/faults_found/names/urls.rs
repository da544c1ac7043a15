//! URLs in certificates.

use serde_json::json;

use super::{issue, merged, pem_text, server};
use crate::support::Answer;

const LDAP: &str = "ldap:///CN=Example%20CA,CN=CDP,DC=example,DC=com?certificateRevocationList?base?objectClass=cRLDistributionPoint";

#[tokio::test]
async fn r10_an_ldap_url_without_a_host_is_accepted_wherever_urls_are_set() {
    let server = server(json!({})).await;
    let urls = json!({ "crl_distribution_points": [LDAP] });
    server.post("pki/config/urls", urls.clone()).await.ok();
    let holds = |answer: &Answer| {
        pem_text(answer).windows(LDAP.len()).any(|window| window == LDAP.as_bytes())
    };
    let body = json!({ "common_name": "a.example.org" });
    assert!(holds(&issue(&server, body.clone()).await.ok()));
    let templated = merged(urls.clone(), &json!({ "enable_templating": true }));
    server.post("pki/config/urls", templated).await.ok();
    assert!(holds(&issue(&server, body.clone()).await.ok()));
    let none = json!({ "crl_distribution_points": [], "enable_templating": false });
    server.post("pki/config/urls", none).await.ok();
    server.call("PATCH", "pki/issuer/root", Some(&urls)).await.ok();
    assert!(holds(&issue(&server, body).await.ok()));
    // In a string its commas are separators, and the error says so.
    let text = json!({ "crl_distribution_points": LDAP });
    server.post("pki/config/urls", text).await.refused(400, "send a JSON list");
}

#[tokio::test]
async fn r12_a_url_that_a_certificate_cannot_contain_is_refused_when_it_is_written() {
    let server = server(json!({})).await;
    let fields = [
        "issuing_certificates",
        "crl_distribution_points",
        "delta_crl_distribution_points",
        "ocsp_servers",
    ];
    for url in [
        "http://crl.example.com/größe.crl",
        "http://größe.example.com/",
        "http://a/b c",
        "http://a/\n",
    ] {
        for field in fields {
            let one = json!({ field: [format!(" {url}x ")] });
            server.post("pki/config/urls", one.clone()).await.refused(400, "only ASCII");
            let templated = merged(one.clone(), &json!({ "enable_templating": true }));
            server.post("pki/config/urls", templated).await.refused(400, "only ASCII");
            let answer = server.call("PATCH", "pki/issuer/root", Some(&one)).await;
            answer.refused(400, "only ASCII");
            server.post("pki/issuer/root", one.clone()).await.refused(400, "only ASCII");
            let templated = merged(one, &json!({ "enable_aia_url_templating": true }));
            server.post("pki/issuer/root", templated).await.refused(400, "only ASCII");
        }
        for field in ["path", "aia_path"] {
            let answer =
                server.post("pki/config/cluster", json!({ field: format!("{url}x") })).await;
            assert_eq!(answer.status, 400, "{field} {url}");
        }
    }
    issue(&server, json!({ "common_name": "a.example.org" })).await.ok();
    // Templates that never expand to a URL.
    for url in ["{{x}}", "http://a/{{issuer}}", "foo", "{{issuer_id}}"] {
        let urls = json!({ "ocsp_servers": url, "enable_templating": true });
        server.post("pki/config/urls", urls).await.refused(400, "invalid URL found");
    }
    // A template whose value a new root does not have is omitted from the root.
    let urls = json!({
        "crl_distribution_points": "http://a/{{issuer_id}}/crl", "enable_templating": true,
    });
    server.post("pki/config/urls", urls).await.ok();
    let root = json!({ "common_name": "Second", "key_type": "ec" });
    server.post("pki/root/generate/internal", root).await.ok();
    issue(&server, json!({ "common_name": "a.example.org" })).await.ok();
}
