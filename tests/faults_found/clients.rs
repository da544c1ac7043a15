//! Headers and bodies as clients and proxies send them.

use bytes::Bytes;
use serde_json::json;

use crate::support::{ROOT_TOKEN, Server};

/// A proxy with basic authentication adds an `Authorization` header; a client with an empty token
/// variable sends an empty `X-Vault-Token`.
#[tokio::test]
async fn n03_a_bearer_token_is_accepted_beside_an_empty_token_and_other_schemes() {
    let server = Server::with_root().await;
    let bearer = format!("Bearer {ROOT_TOKEN}");
    let ask = async |headers: &[(&str, &str)]| {
        server.send("GET", "auth/token/lookup-self", None, headers, Bytes::new()).await
    };
    let (proxy, client) = (("Authorization", "Basic cHJveHk6eA=="), ("Authorization", &*bearer));
    for headers in [
        &[client][..],
        &[proxy, client],
        &[client, proxy],
        &[("X-Vault-Token", ""), client],
        &[("X-Vault-Token", ""), proxy, client],
    ] {
        ask(headers).await.ok();
    }
    // A non-empty `X-Vault-Token` has precedence, even if it is wrong.
    ask(&[("X-Vault-Token", "wrong"), client]).await.refused(403, "invalid token");
    for headers in [&[proxy][..], &[("X-Vault-Token", "")], &[("Authorization", "Bearer ")]] {
        ask(headers).await.refused(403, "permission denied");
    }
}

/// With invalid UTF-8 replaced by U+FFFD, a name was signed that the client had not requested.
#[tokio::test]
async fn f22_a_form_that_is_not_utf_8_is_refused() {
    let server = Server::with_root().await;
    let role = json!({ "allow_any_name": true, "enforce_hostnames": false, "key_type": "ec" });
    server.post("pki/roles/any", role).await.ok();
    let issue = async |media: &str, body: &[u8]| {
        let headers = [("Content-Type", media)];
        let body = Bytes::copy_from_slice(body);
        server.send("POST", "pki/issue/any", Some(ROOT_TOKEN), &headers, body).await
    };
    let form = "application/x-www-form-urlencoded";
    for body in [
        &b"common_name=a%ff.example.org"[..],
        b"common_name=a\xff.example.org",
        b"common_name=a.example.org&alt_names=%c3%28",
        b"common_name=a.example.org&%ff=1",
        // A surrogate, and the first byte of a two-byte sequence.
        b"common_name=%ed%a0%80",
        b"common_name=a%c3&ttl=1h",
    ] {
        issue(form, body).await.refused(400, "not UTF-8");
    }
    issue("application/json", b"{\"common_name\":\"a\xff.example.org\"}")
        .await
        .refused(400, "JSON");
    for body in [&b"common_name=b%c3%bccher.example.org"[..], "common_name=b\u{fc}cher".as_bytes()]
    {
        issue(form, body).await.ok();
    }
}
