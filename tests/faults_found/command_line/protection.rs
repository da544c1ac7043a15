//! A flag or variable that asks for protection is honoured or refused, never ignored.

use super::{Development, Folder, refused_start, signet};

/// `write -wrap-ttl=60s pki_int/issue/corp …` returned the private key in plain text.
#[test]
fn n02_wrap_ttl_is_refused_before_a_request_is_sent() {
    let home = Folder::new();
    let server = Development::start(&home, &["-dev-spiffe=example.com"]);
    let data = "uri_sans=spiffe://example.com/web";
    let with_flags = [
        &["write", "-wrap-ttl=60s", "pki/issue/spiffe", data][..],
        &["write", "--wrap-ttl", "60s", "pki/issue/spiffe", data],
        &["-wrap-ttl=60s", "write", "pki/issue/spiffe", data],
        &["write", "pki/issue/spiffe", data, "-wrap-ttl=60s"],
        &["write", "-mfa=a:b", "pki/issue/spiffe", data],
        &["write", "-policy-override", "pki/issue/spiffe", data],
        &["write", "-output-curl-string", "pki/issue/spiffe", data],
        &["operator", "init", "-pgp-keys=a"],
        &["operator", "init", "-root-token-pgp-key=a"],
        &["secrets", "enable", "-seal-wrap", "pki"],
    ];
    for line in with_flags {
        let done = server.signet(line);
        assert_eq!((done.code, done.stdout.as_str()), (1, ""), "{line:?}");
        assert!(done.stderr.contains("is not offered"), "{line:?}: {}", done.stderr);
    }
    // Without the flag the same command issues a certificate.
    let done = server.signet(&["write", "pki/issue/spiffe", data]);
    assert!(done.stdout.contains("PRIVATE KEY"), "{}", done.stderr);
    let help = signet(&["write", "--help"], &[]);
    assert!(!help.stdout.contains("wrap"), "{}", help.stdout);
}

#[test]
fn n02_variables_that_ask_for_protection_are_refused() {
    let home = Folder::new();
    let server = Development::start(&home, &["-dev-spiffe=example.com"]);
    for name in ["WRAP_TTL", "MFA", "HTTP_PROXY", "PROXY_ADDR", "SRV_LOOKUP"] {
        for prefix in ["SIGNET", "VAULT"] {
            let name = format!("{prefix}_{name}");
            for line in [
                &["write", "pki/issue/spiffe", "uri_sans=spiffe://example.com/web"][..],
                &["login", "-no-store", "root"],
                &["status"],
            ] {
                let environment =
                    [("SIGNET_ADDR", &*server.address), ("VAULT_TOKEN", "root"), (&*name, "1")];
                let done = signet(line, &environment);
                assert_eq!((done.code, done.stdout.as_str()), (1, ""), "{name} {line:?}");
                assert!(done.stderr.contains(&name), "{}", done.stderr);
            }
        }
    }
}

#[test]
fn n02_a_flag_without_effect_is_refused() {
    for (line, word) in [
        (&["server", "-dev-tls", "-config=x.hcl"][..], "-dev"),
        (&["server", "-dev-root-token-id=x", "-config=x.hcl"], "-dev"),
        (&["server", "-dev-listen-address=127.0.0.1:0", "-config=x.hcl"], "-dev"),
        (&["server", "-dev-spiffe=example.com", "-config=x.hcl"], "-dev"),
        (&["server", "-dev", "-dev-listen-address=127.0.0.1:0", "-dev-tls-cert-dir=x"], "-dev-tls"),
        (&["pki", "issue", "-ttl=1h", "spiffe://example.com/a", "ttl=2h"], "-ttl"),
        (&["pki", "issue", "-password-file=pw", "spiffe://example.com/a"], "-format"),
        (
            &["pki", "issue", "spiffe://example.com/a", "uri_sans=spiffe://example.com/b"],
            "uri_sans",
        ),
        (&["login", "-path=elsewhere", "root"], "-path"),
    ] {
        let environment = [("SIGNET_ADDR", "http://127.0.0.1:1"), ("HOME", "/nowhere")];
        let done = match line {
            ["server", flags @ ..] => refused_start(flags, &environment),
            line => signet(line, &environment),
        };
        assert_eq!(done.code, 1, "{line:?}");
        assert!(done.stderr.contains(word), "{line:?}: {}", done.stderr);
    }
}

/// A variable of Vault's clients that restricts what the client does.
#[tokio::test]
async fn n02_a_redirect_is_not_followed_if_that_is_disabled() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 4096]).await;
            let answer = b"HTTP/1.1 307 Temporary Redirect\r\nLocation: http://127.0.0.1:1/v1/x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            let _ = stream.write_all(answer).await;
        }
    });
    let ask = |address: String, variable: &'static str| {
        tokio::task::spawn_blocking(move || {
            signet(&["write", "x", "a=b"], &[("SIGNET_ADDR", &address), (variable, "true")])
        })
    };
    let done = ask(address.clone(), "VAULT_DISABLE_REDIRECTS").await.unwrap();
    assert_eq!((done.code, done.stdout.as_str()), (2, ""), "{}", done.stderr);
    assert!(done.stderr.contains("DISABLE_REDIRECTS forbids"), "{}", done.stderr);
    let done = ask(address, "NOTHING").await.unwrap();
    assert!(done.stderr.contains("connection refused"), "{}", done.stderr);
}
