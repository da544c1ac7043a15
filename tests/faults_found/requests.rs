//! Certificate signing requests and keys: what is parsed, refused and re-encoded.

use der::Decode;
use serde_json::{Value, json};
use x509_cert::Certificate;

use crate::support::{Answer, Server, der};

#[path = "requests/changed.rs"]
mod changed;
#[path = "requests/constraints.rs"]
mod constraints;
#[path = "requests/der.rs"]
mod der_by_hand;
#[path = "requests/extensions.rs"]
mod extensions;
#[path = "requests/keys.rs"]
mod keys;
#[path = "requests/parameters.rs"]
mod parameters;

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

/// Every path that parses a CSR refuses this CSR with this text.
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

/// The number of extensions with this identifier.
fn count(certificate: &Certificate, identifier: &str) -> usize {
    let list = certificate.tbs_certificate().extensions().unwrap();
    list.iter().filter(|extension| extension.extn_id.to_string() == identifier).count()
}

fn warned(answer: &Answer, what: &str) -> bool {
    answer.warnings().iter().any(|warning| warning.contains(what))
}
