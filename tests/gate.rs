//! Nothing behind the gate answers without a token, and nothing that answers tells more than
//! it must.

mod support;

use bytes::Bytes;
use serde_json::json;
use support::{ROOT_TOKEN, Server};

/// Every path of the API: method, path, and whether it answers without a token.
const ROUTES: &[(&str, &str, bool)] = &[
    ("GET", "sys/health", true),
    ("HEAD", "sys/health", true),
    ("GET", "sys/seal-status", true),
    ("GET", "sys/leader", true),
    ("GET", "sys/init", true),
    ("GET", "sys/mounts", false),
    ("GET", "sys/mounts/pki", false),
    ("POST", "sys/mounts/other", false),
    ("DELETE", "sys/mounts/pki", false),
    ("GET", "sys/mounts/pki/tune", false),
    ("POST", "sys/mounts/pki/tune", false),
    ("GET", "sys/internal/ui/mounts", false),
    ("GET", "sys/internal/ui/mounts/pki", false),
    ("GET", "auth/token/lookup-self", false),
    ("POST", "auth/token/renew-self", false),
    ("LIST", "pki/roles", false),
    ("GET", "pki/roles/web", false),
    ("POST", "pki/roles/web", false),
    ("PATCH", "pki/roles/web", false),
    ("DELETE", "pki/roles/web", false),
    ("POST", "pki/issue/web", false),
    ("POST", "pki/sign/web", false),
    ("POST", "pki/issuer/root/issue/web", false),
    ("POST", "pki/issuer/root/sign/web", false),
    ("POST", "pki/root/generate/internal", false),
    ("POST", "pki/root/generate/exported", false),
    ("POST", "pki/root/rotate/internal", false),
    ("POST", "pki/issuers/generate/root/internal", false),
    ("POST", "pki/intermediate/generate/internal", false),
    ("POST", "pki/issuers/generate/intermediate/internal", false),
    ("POST", "pki/intermediate/cross-sign", false),
    ("POST", "pki/intermediate/set-signed", false),
    ("POST", "pki/root/sign-intermediate", false),
    ("POST", "pki/issuer/root/sign-intermediate", false),
    ("LIST", "pki/issuers", true),
    ("GET", "pki/issuer/root", false),
    ("POST", "pki/issuer/root", false),
    ("PATCH", "pki/issuer/root", false),
    ("DELETE", "pki/issuer/root", false),
    ("GET", "pki/issuer/root/json", true),
    ("GET", "pki/issuer/root/der", true),
    ("GET", "pki/issuer/root/pem", true),
    ("GET", "pki/issuer/root/crl", true),
    ("GET", "pki/issuer/root/crl/der", true),
    ("GET", "pki/issuer/root/crl/pem", true),
    ("LIST", "pki/keys", false),
    ("GET", "pki/key/default", false),
    ("DELETE", "pki/key/default", false),
    ("GET", "pki/config/issuers", false),
    ("POST", "pki/config/issuers", false),
    ("GET", "pki/config/keys", false),
    ("POST", "pki/config/keys", false),
    ("GET", "pki/config/urls", false),
    ("POST", "pki/config/urls", false),
    ("GET", "pki/config/cluster", false),
    ("POST", "pki/config/cluster", false),
    ("LIST", "pki/certs", false),
    ("GET", "pki/cert/ca", true),
    ("GET", "pki/cert/ca_chain", true),
    ("GET", "pki/cert/crl", true),
    ("GET", "pki/ca", true),
    ("GET", "pki/ca/pem", true),
    ("GET", "pki/ca_chain", true),
    ("GET", "pki/crl", true),
    ("GET", "pki/crl/pem", true),
    ("POST", "pki/revoke", false),
    ("POST", "pki/issuer/root/revoke", false),
    ("GET", "pki/crl/rotate", false),
    // What does not exist looks the same from outside.
    ("GET", "nothing/here", false),
    ("GET", "pki/nothing", false),
    ("GET", "sys/nothing", false),
    ("POST", "sys/seal", false),
    ("GET", "auth/token/nothing", false),
    ("GET", "", false),
];

async fn server() -> Server {
    let server = Server::with_root().await;
    server.post("pki/roles/web", json!({ "allow_any_name": true, "key_type": "ec" })).await.ok();
    server
}

fn body() -> Bytes {
    Bytes::from_static(b"{}")
}

#[tokio::test]
async fn no_route_behind_the_gate_answers_without_a_token() {
    let server = server().await;
    let batches = server.memory.tally().batches;
    for (method, path, public) in ROUTES {
        let bare = server.send(method, path, None, &[], body()).await;
        if *public {
            assert!(bare.status < 400, "{method} {path}: {bare:?}");
            continue;
        }
        assert_eq!(bare.status, 403, "{method} {path}: {bare:?}");
        assert_eq!(bare.errors(), ["permission denied"], "{method} {path}");
    }
    assert_eq!(server.memory.tally().batches, batches, "nothing was written");
}

#[tokio::test]
async fn a_wrong_token_is_no_token() {
    let server = server().await;
    let batches = server.memory.tally().batches;
    let wrong = ["Root", "root ", "roo", "hvs.AAAAAAAAAAAAAAAAAAAAAAAA", "x"];
    for (method, path, public) in ROUTES.iter().filter(|(.., public)| !public) {
        for token in wrong {
            let answer = server.send(method, path, Some(token), &[], body()).await;
            assert_eq!(answer.status, 403, "{method} {path} {token:?} {public}: {answer:?}");
            assert!(answer.errors()[0].contains("invalid token"), "{answer:?}");
        }
        let empty = server.send(method, path, Some(""), &[], body()).await;
        assert_eq!(empty.status, 403, "{method} {path}");
    }
    assert_eq!(server.memory.tally().batches, batches, "nothing was written");
}

#[tokio::test]
async fn a_refusal_outside_does_not_say_what_is_mounted() {
    let server = server().await;
    let there = server.send("GET", "pki/roles/web", None, &[], Bytes::new()).await;
    let nowhere = server.send("GET", "nowhere/roles/web", None, &[], Bytes::new()).await;
    assert_eq!((there.status, there.body), (nowhere.status, nowhere.body));
}

#[tokio::test]
async fn a_bearer_is_a_token_and_the_other_schemes_are_not() {
    let server = server().await;
    let with = |value: &'static str| {
        let server = &server;
        async move {
            let headers = [("Authorization", value)];
            server.send("GET", "sys/mounts", None, &headers, Bytes::new()).await.status
        }
    };
    assert_eq!(with("Bearer root").await, 200);
    assert_eq!(with("bearer root").await, 200);
    assert_eq!(with("Basic root").await, 403);
    assert_eq!(with("root").await, 403);
    assert_eq!(with("Bearer").await, 403);
}

#[tokio::test]
async fn who_has_the_token_is_let_in() {
    let server = server().await;
    for (method, path, _) in ROUTES.iter().filter(|(method, ..)| matches!(*method, "GET" | "LIST"))
    {
        let answer = server.send(method, path, Some(ROOT_TOKEN), &[], Bytes::new()).await;
        assert!(answer.status != 403 && answer.status < 500, "{method} {path}: {answer:?}");
    }
}

#[tokio::test]
async fn an_uninitialised_server_says_so_and_does_nothing() {
    let server = Server::uninitialised();
    assert_eq!(server.send("GET", "sys/health", None, &[], Bytes::new()).await.status, 501);
    assert_eq!(server.send("HEAD", "sys/health", None, &[], Bytes::new()).await.status, 501);
    for (method, path, _) in ROUTES.iter().filter(|(_, path, _)| path.starts_with("pki/")) {
        let answer = server.send(method, path, Some(ROOT_TOKEN), &[], body()).await;
        assert_eq!(answer.status, 503, "{method} {path}: {answer:?}");
        assert_eq!(answer.errors(), ["Vault is sealed"], "{method} {path}");
    }
}

#[tokio::test]
async fn initialising_happens_once_and_tells_the_token_once() {
    let server = Server::uninitialised();
    let answer = server.send("POST", "sys/init", None, &[], body()).await.ok();
    let token = answer.json().get("root_token").unwrap().as_str().unwrap().to_owned();
    assert!(token.starts_with("hvs."), "{token}");
    let again = server.send("POST", "sys/init", None, &[], body()).await;
    again.refused(400, "Vault is already initialized");
    let mounts = server.send("GET", "sys/mounts", Some(&token), &[], Bytes::new()).await;
    assert_eq!(mounts.status, 200);
    assert_eq!(server.send("GET", "sys/health", None, &[], Bytes::new()).await.status, 200);
}

#[tokio::test]
async fn a_sealed_server_reads_no_value() {
    let server = server().await;
    server.engine.seal().await;
    assert_eq!(server.send("GET", "sys/health", None, &[], Bytes::new()).await.status, 503);
    for (method, path, _) in ROUTES.iter().filter(|(_, path, _)| path.starts_with("pki/")) {
        let answer = server.send(method, path, Some(ROOT_TOKEN), &[], body()).await;
        assert_eq!(answer.status, 503, "{method} {path}: {answer:?}");
    }
}
