//! What clients and the proxies before them send with a request.

use bytes::Bytes;

use crate::support::{ROOT_TOKEN, Server};

/// A proxy that has a password of its own adds a header `Authorization`; a client whose token variable is
/// empty sends an empty `X-Vault-Token`.
#[tokio::test]
async fn n03_a_bearer_token_counts_beside_an_empty_token_and_beside_other_schemes() {
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
    // A token that is there wins, also where it is wrong.
    ask(&[("X-Vault-Token", "wrong"), client]).await.refused(403, "invalid token");
    for headers in [&[proxy][..], &[("X-Vault-Token", "")], &[("Authorization", "Bearer ")]] {
        ask(headers).await.refused(403, "permission denied");
    }
}
