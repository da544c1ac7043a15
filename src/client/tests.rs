use std::sync::{Arc, Mutex};

use rustls::pki_types::CertificateDer;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

/// What the server saw: each request's head and body, in order.
type Seen = Arc<Mutex<Vec<String>>>;

/// A server that gives these answers, one a request, and closes after each.
async fn server(answers: Vec<String>) -> (String, Seen) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let seen = Seen::default();
    let log = Arc::clone(&seen);
    tokio::spawn(async move {
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut bytes = vec![0; 64 << 10];
            let length = stream.read(&mut bytes).await.unwrap();
            log.lock().unwrap().push(String::from_utf8_lossy(&bytes[..length]).into_owned());
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    (address, seen)
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n{body}",
        body.len()
    )
}

fn client(address: &str) -> Client {
    Client::new(Settings {
        address: address.to_owned(),
        token: Some(Secret::new("hvs.test".to_owned())),
        namespace: Some("team".to_owned()),
        pause: Duration::ZERO,
        ..Settings::default()
    })
    .unwrap()
}

fn why(error: &Error) -> &str {
    match error {
        Error::Transport { why, .. } => why,
        other => panic!("not a transport error: {other}"),
    }
}

#[tokio::test]
async fn sends_the_headers_of_this_api_and_no_content_type_on_a_write() {
    let (address, seen) = server(vec![answer("204 No Content", "", "")]).await;
    let data = serde_json::json!({ "a": "1" });
    assert!(client(&address).write("/pki//roles/a b/", Some(&data)).await.unwrap().is_none());
    let request = seen.lock().unwrap()[0].to_ascii_lowercase();
    assert!(request.starts_with("put /v1/pki/roles/a%20b http/1.1\r\n"), "{request}");
    for line in ["x-vault-request: true", "x-vault-token: hvs.test", "x-vault-namespace: team"] {
        assert!(request.contains(&format!("\r\n{line}\r\n")), "{request}");
    }
    assert!(!request.contains("content-type"), "{request}");
    assert!(request.ends_with("{\"a\":\"1\"}"));
}

#[tokio::test]
async fn a_write_without_data_sends_null_and_a_patch_says_merge_patch() {
    let ok = || answer("204 No Content", "", "");
    let (address, seen) = server(vec![ok(), ok()]).await;
    let client = client(&address);
    client.write("x", None::<&Value>).await.unwrap();
    client.patch("x", &serde_json::json!({})).await.unwrap();
    let seen = seen.lock().unwrap();
    assert!(seen[0].ends_with("\r\n\r\nnull"));
    assert!(seen[1].contains("content-type: application/merge-patch+json"));
}

#[tokio::test]
async fn nothing_there_is_none_for_reading_and_an_error_for_writing() {
    let none = || answer("404 Not Found", "", r#"{"errors":[]}"#);
    let (address, _) = server(vec![none(), none(), none()]).await;
    let client = client(&address);
    assert!(client.read("x", &[]).await.unwrap().is_none());
    assert!(client.list("x").await.unwrap().is_none());
    assert!(matches!(
        client.write("x", None::<&Value>).await,
        Err(Error::Refused(refused)) if refused.status == 404
    ));
}

#[tokio::test]
async fn a_body_without_an_envelope_is_taken_whole() {
    let (address, _) = server(vec![answer("200 OK", "", r#"{"sealed":false}"#)]).await;
    let answer = client(&address).read("sys/health", &[]).await.unwrap().unwrap();
    assert_eq!(answer.data.unwrap()["sealed"], Value::Bool(false));
}

#[tokio::test]
async fn a_refusal_reads_as_vaults_clients_print_it() {
    let body = r#"{"errors":["unknown role: web"]}"#;
    let (address, _) = server(vec![answer("400 Bad Request", "", body)]).await;
    let error = client(&address).write("pki/issue/web", None::<&Value>).await.err().unwrap();
    assert_eq!(
        error.to_string(),
        format!(
            "Error making API request.\n\nURL: PUT {address}/v1/pki/issue/web\nCode: 400. Errors:\n\n* unknown role: web"
        )
    );
}

#[tokio::test]
async fn the_advice_of_a_refusal_follows_it_on_one_line() {
    let line = "to allow this name: signet patch pki/roles/web allowed_domains=payments-api allow_bare_domains=true";
    for (warnings, expected) in [
        (format!("[{line:?}]"), format!("* no\n\nThe server's advice:\n\n* {line}")),
        ("null".to_owned(), "* no".to_owned()),
    ] {
        let body = format!(r#"{{"errors":["no"],"warnings":{warnings}}}"#);
        let (address, _) = server(vec![answer("400 Bad Request", "", &body)]).await;
        let error = client(&address).write("pki/issue/web", None::<&Value>).await.err().unwrap();
        assert!(error.to_string().ends_with(&expected), "{error}");
    }
}

#[tokio::test]
async fn a_body_that_is_not_of_this_api_is_shown_as_received() {
    let (address, _) = server(vec![answer("404 Not Found", "", "nothing here")]).await;
    let error = client(&address).read("x", &[]).await.err().unwrap();
    assert!(error.to_string().ends_with("Code: 404. Raw Message:\n\nnothing here"));
}

#[tokio::test]
async fn busy_answers_are_tried_twice_more_and_refusals_are_not() {
    let busy = || answer("503 Service Unavailable", "", r#"{"errors":["Vault is sealed"]}"#);
    let (address, seen) = server(vec![busy(), busy(), answer("200 OK", "", "{\"a\":1}")]).await;
    assert!(client(&address).read("x", &[]).await.unwrap().is_some());
    assert_eq!(seen.lock().unwrap().len(), 3);

    let (address, seen) = server(vec![answer("501 Not Implemented", "", "{}"), busy()]).await;
    assert!(client(&address).read("x", &[]).await.is_err());
    assert_eq!(seen.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn after_the_last_attempt_the_error_is_the_server_s_text() {
    let busy = || answer("503 Service Unavailable", "", r#"{"errors":["Vault is sealed"]}"#);
    let (address, _) = server(vec![busy(), busy(), busy()]).await;
    assert!(client(&address).read("x", &[]).await.err().unwrap().says("is sealed"));
}

#[tokio::test]
async fn one_redirect_is_followed_with_the_token() {
    let (active, seen) = server(vec![answer("200 OK", "", "{\"a\":1}")]).await;
    let location = format!("Location: {active}/v1/x?list=true\r\n");
    let (standby, _) = server(vec![answer("307 Temporary Redirect", &location, "")]).await;
    assert!(client(&standby).list("x").await.unwrap().is_some());
    let request = seen.lock().unwrap()[0].clone();
    assert!(request.starts_with("GET /v1/x?list=true "), "{request}");
    assert!(request.contains("x-vault-token: hvs.test"));
}

#[test]
fn a_redirect_never_leaves_tls() {
    let address = Address::parse("https://ca.example.com:8200").unwrap();
    assert!(address.redirected("http://ca.example.com:8200/v1/x").is_err());
    for (location, url) in [
        ("https://b.example.com/v1/x?a=b", "https://b.example.com/v1/x?a=b"),
        ("/v1/y", "https://ca.example.com:8200/v1/y"),
    ] {
        assert_eq!(address.redirected(location).unwrap(), url);
    }
}

#[tokio::test]
async fn a_refused_connection_and_http_on_a_tls_address_are_explained() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let at = listener.local_addr().unwrap();
    drop(listener);
    let error = client(&format!("http://{at}")).read("x", &[]).await.err().unwrap();
    assert!(why(&error).starts_with("connection refused: no server listens on"), "{error}");

    let (address, _) = server(vec![answer("400 Bad Request", "", "")]).await;
    let secure = Client::new(Settings {
        address: address.replace("http:", "https:"),
        trust: Trust { danger_accept_any: true, ..Trust::default() },
        ..Settings::default()
    });
    let error = secure.unwrap().read("x", &[]).await.err().unwrap();
    assert!(why(&error).contains("the server answers plain HTTP on an https address"), "{error}");
}

#[test]
fn an_address_names_its_scheme_and_no_user() {
    for wrong in ["127.0.0.1:8200", "ftp://x", "https://u:p@x", "", "http://"] {
        let error = Address::parse(wrong).unwrap_err();
        assert!(error.to_string().contains("write it as http://127.0.0.1:8200"), "{wrong}");
    }
    let proxied = Address::parse("https://[::1]/vault/").unwrap();
    assert_eq!(proxied.url("a", &[]), "https://[::1]/vault/v1/a");
}

#[test]
fn a_token_that_a_header_cannot_hold_is_refused_and_not_shown() {
    let settings =
        Settings { token: Some(Secret::new("hvs.x\ny".to_owned())), ..Settings::default() };
    let error = settings.request_headers().unwrap_err().to_string();
    assert!(!error.contains("hvs."), "{error}");
}

fn pem(certificate: &rcgen::Certificate) -> String {
    let encoded = data_encoding::BASE64.encode(certificate.der());
    format!("-----BEGIN CERTIFICATE-----\n{encoded}\n-----END CERTIFICATE-----\n")
}

type Provider = rustls::crypto::CryptoProvider;

/// TLS with a fresh certificate for `localhost`, and its PEM.
fn server_tls(
    clients: impl FnOnce(&CertificateDer<'static>, Arc<Provider>) -> Arc<dyn ClientCertVerifier>,
) -> (rustls::ServerConfig, String) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let clients = clients(made.cert.der(), Arc::clone(&provider));
    let mut configuration = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(clients)
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    configuration.alpn_protocols = vec![b"http/1.1".to_vec()];
    (configuration, pem(&made.cert))
}

/// A TLS server with a fresh certificate for `localhost`; its PEM.
async fn tls_server(answers: usize) -> (u16, String) {
    let (configuration, pem) = server_tls(|_, _| WebPkiClientVerifier::no_client_auth());
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(configuration));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        for _ in 0..answers {
            let (stream, _) = listener.accept().await.unwrap();
            // A client that does not trust the certificate hangs up.
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut bytes = vec![0; 4096];
            let _ = stream.read(&mut bytes).await;
            let _ = stream.write_all(answer("200 OK", "", "{\"a\":1}").as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    (port, pem)
}

async fn ask_tls(port: u16, host: &str, trust: Trust) -> Result<Option<Answer>, Error> {
    let settings = Settings {
        address: format!("https://{host}:{port}"),
        trust,
        retries: 0,
        ..Settings::default()
    };
    Client::new(settings)?.read("x", &[]).await
}

#[tokio::test]
async fn only_the_named_authority_is_trusted() {
    let (port, pem) = tls_server(4).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, pem).unwrap();
    let by_file = || Trust { authority_file: Some(file.clone()), ..Trust::default() };

    assert!(ask_tls(port, "localhost", by_file()).await.unwrap().is_some());
    let by_folder = Trust { authority_folder: Some(folder.path().to_owned()), ..Trust::default() };
    assert!(ask_tls(port, "localhost", by_folder).await.unwrap().is_some());

    let error = ask_tls(port, "127.0.0.1", by_file()).await.err().unwrap();
    assert!(why(&error).contains("-tls-server-name"), "{error}");
    let named = Trust { server_name: Some("localhost".to_owned()), ..by_file() };
    assert!(ask_tls(port, "127.0.0.1", named).await.unwrap().is_some());
}

#[tokio::test]
async fn an_authority_after_a_byte_order_mark_is_trusted() {
    let (port, own) = tls_server(1).await;
    let other = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, format!("\u{feff}{}\u{feff}{own}", pem(&other.cert))).unwrap();
    let trust = Trust { authority_file: Some(file), ..Trust::default() };
    assert!(ask_tls(port, "localhost", trust).await.unwrap().is_some());
}

#[tokio::test]
async fn an_unknown_authority_is_refused_with_the_flag_that_names_one() {
    let (port, _) = tls_server(1).await;
    let other = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, pem(&other.cert)).unwrap();
    let trust = Trust { authority_file: Some(file), ..Trust::default() };
    let error = ask_tls(port, "localhost", trust).await.err().unwrap();
    assert!(why(&error).contains("-ca-cert") || why(&error).contains("refused"), "{error}");
}

#[tokio::test]
async fn requests_reuse_a_connection() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let accepted = Arc::new(Mutex::new(0));
    let count = Arc::clone(&accepted);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            *count.lock().unwrap() += 1;
            tokio::spawn(async move {
                let mut bytes = vec![0; 4096];
                while stream.read(&mut bytes).await.unwrap() > 0 {
                    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n{\"a\":1}";
                    stream.write_all(answer).await.unwrap();
                }
            });
        }
    });
    let client = client(&address);
    for _ in 0..10 {
        assert!(client.read("x", &[]).await.unwrap().is_some());
    }
    assert_eq!(*accepted.lock().unwrap(), 1);
}

/// RFC 8446, section 4.4.2.4: the alert comes when the client's side of the handshake is done.
#[tokio::test]
async fn a_server_that_asks_for_a_client_certificate_is_answered_with_the_flag_that_names_one() {
    let (configuration, pem) = server_tls(|root, provider| {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(root.clone()).unwrap();
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap()
    });
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(configuration));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let (_, mut stream) = acceptor.accept(stream).into_fallible().await.err().unwrap();
        // Reads the request: a socket closed with unread bytes sends a reset, and the client may
        // lose the alert.
        let _ = stream.read_to_end(&mut Vec::new()).await;
    });
    let trust = Trust { authority_pem: Some(pem), ..Trust::default() };
    let error = ask_tls(port, "localhost", trust).await.err().unwrap();
    assert!(why(&error).starts_with("the server asks for a client certificate"), "{error}");
}
