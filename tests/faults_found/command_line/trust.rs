//! Which listener certificates the command line trusts, and how it explains a refusal.

use std::path::Path;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use signet::client::{Client, Settings, Trust};
use time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::super::support;
use super::{Folder, signet};
use crate::process::Server;

/// The certificate that a server presents, and the key that signs the handshake.
#[derive(Debug)]
struct Presented(Arc<CertifiedKey>);

impl ResolvesServerCert for Presented {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

/// A certificate as `openssl req -x509` makes it: self-signed, with CA:TRUE.
fn openssl_like() -> CertificateParams {
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "localhost");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}

fn with(
    mut params: CertificateParams,
    change: impl Fn(&mut CertificateParams),
) -> CertificateParams {
    change(&mut params);
    params
}

fn leaf_like() -> CertificateParams {
    with(openssl_like(), |params| params.is_ca = IsCa::ExplicitNoCa)
}

fn for_clients(params: &mut CertificateParams) {
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
}

struct Identity {
    certificate: CertificateDer<'static>,
    key: KeyPair,
}

fn signs_itself(params: &CertificateParams) -> Identity {
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap().der().clone();
    Identity { certificate, key }
}

/// Starts a server that presents this certificate and signs with this key; returns its port.
async fn serve(certificate: &CertificateDer<'static>, key: &KeyPair) -> u16 {
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let key = provider.key_provider.load_private_key(key).unwrap();
    let presented = Presented(Arc::new(CertifiedKey::new(vec![certificate.clone()], key)));
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(presented));
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let _ = stream.read(&mut [0; 4096]).await;
            let answer =
                b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\nConnection: close\r\n\r\n{\"a\":1}";
            let _ = stream.write_all(answer).await;
            let _ = stream.shutdown().await;
        }
    });
    port
}

/// Sends a request to a server that presents `server`; the client trusts `given`.
async fn ask(
    server: &Identity,
    given: &[&CertificateDer<'static>],
    host: &str,
) -> Result<(), String> {
    ask_expecting(server, given, host, None).await
}

/// The same with `-tls-server-name`.
async fn ask_expecting(
    server: &Identity,
    given: &[&CertificateDer<'static>],
    host: &str,
    name: Option<&str>,
) -> Result<(), String> {
    let port = serve(&server.certificate, &server.key).await;
    let pem = given.iter().map(|der| support::pem("CERTIFICATE", der)).collect();
    let server_name = name.map(ToOwned::to_owned);
    let trust = Trust { authority_pem: Some(pem), server_name, ..Trust::default() };
    let address = format!("https://{host}:{port}");
    let settings = Settings { address, trust, retries: 0, ..Settings::default() };
    let client = Client::new(settings).map_err(|error| error.to_string())?;
    client.read("x", &[]).await.map(|_| ()).map_err(|error| error.to_string())
}

/// The error contains these words and none of the TLS library.
#[track_caller]
fn says(outcome: Result<(), String>, words: &[&str]) {
    let text = outcome.unwrap_err();
    assert!(words.iter().all(|word| text.contains(word)), "{words:?} in {text}");
    for foreign in ["Other", "CaUsed", "BadSignature", "UnknownIssuer", "Context", "invalid peer"] {
        assert!(!text.contains(foreign), "{text}");
    }
}

/// `SIGNET_CACERT=tls.crt signet status` with the self-signed certificate of the listener.
#[test]
fn n01_a_self_signed_listener_certificate_given_to_trust_is_accepted() {
    let folder = Folder::new();
    let made = signs_itself(&openssl_like());
    let (certificate, key) = (folder.path("tls.crt"), folder.path("tls.key"));
    std::fs::write(&certificate, support::pem("CERTIFICATE", &made.certificate)).unwrap();
    std::fs::write(&key, support::pem("PRIVATE KEY", &made.key.serialize_der())).unwrap();
    let tls = format!(
        "tls_cert_file = \"{}\"\ntls_key_file = \"{}\"",
        certificate.display(),
        key.display()
    );
    let command = [env!("CARGO_BIN_EXE_signet")];
    let server = Server::start_on(&command, folder.root(), &[&tls]);
    let status = |trust: &Path| {
        let address = format!("https://{}", server.address);
        signet(
            &["status"],
            &[("SIGNET_ADDR", &address), ("SIGNET_CACERT", trust.to_str().unwrap())],
        )
    };
    // Exit code 2: the server answers, and is sealed because it is not initialised.
    let done = status(&certificate);
    assert_eq!(done.code, 2, "{}{}", done.stdout, done.stderr);
    assert!(done.stdout.contains("Initialized"), "{}", done.stdout);

    let old = folder.path("old.crt");
    let other = signs_itself(&openssl_like());
    std::fs::write(&old, support::pem("CERTIFICATE", &other.certificate)).unwrap();
    let done = status(&old);
    assert_eq!(done.code, 1);
    assert!(done.stderr.contains("not the trusted one"), "{}", done.stderr);
}

#[tokio::test]
async fn n01_any_certificate_given_to_trust_is_accepted_when_presented() {
    let own = signs_itself(&openssl_like());
    assert_eq!(ask(&own, &[&own.certificate], "localhost").await, Ok(()));
    assert_eq!(ask(&own, &[&own.certificate], "127.0.0.1").await, Ok(()));

    let plain = signs_itself(&leaf_like());
    assert_eq!(ask(&plain, &[&plain.certificate], "localhost").await, Ok(()));

    // A leaf whose CA is not trusted, next to another certificate.
    let ca = CertifiedIssuer::self_signed(openssl_like(), KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = leaf_like().signed_by(&key, &ca).unwrap().der().clone();
    let leaf = Identity { certificate, key };
    let given = [&own.certificate, &leaf.certificate];
    assert_eq!(ask(&leaf, &given, "localhost").await, Ok(()));
    // The usual way, by its CA.
    assert_eq!(ask(&leaf, &[ca.der()], "localhost").await, Ok(()));
}

#[tokio::test]
async fn n01_a_certificate_given_to_trust_must_still_name_the_host_and_be_valid() {
    let own = signs_itself(&openssl_like());
    let name = || rcgen::SanType::DnsName("ca.example.com".try_into().unwrap());
    let elsewhere = with(openssl_like(), |params| params.subject_alt_names = vec![name()]);
    let elsewhere = signs_itself(&elsewhere);
    let outcome = ask(&elsewhere, &[&elsewhere.certificate], "localhost").await;
    says(outcome, &["localhost", "ca.example.com", "-tls-server-name"]);

    // The error contains the expected name, and IP addresses in text form.
    let local = with(openssl_like(), |params| {
        let loopback = |text: &str| rcgen::SanType::IpAddress(text.parse().unwrap());
        params.subject_alt_names = vec![loopback("127.0.0.1"), loopback("::1")];
    });
    let local = signs_itself(&local);
    let outcome =
        ask_expecting(&local, &[&local.certificate], "127.0.0.1", Some("ca.example.com")).await;
    says(outcome, &["is not for ca.example.com but for 127.0.0.1, ::1:"]);

    let unnamed = signs_itself(&with(openssl_like(), |params| params.subject_alt_names.clear()));
    let outcome = ask(&unnamed, &[&unnamed.certificate], "localhost").await;
    says(outcome, &["subjectAltName", "openssl"]);

    let now = super::now();
    let lives = |from: i64, to: i64| {
        signs_itself(&with(openssl_like(), |params| {
            params.not_before = now + Duration::days(from);
            params.not_after = now + Duration::days(to);
        }))
    };
    let expired = lives(-9, -3);
    says(
        ask(&expired, &[&expired.certificate], "localhost").await,
        &["expired", "3 days", "renew"],
    );
    let future = lives(3, 9);
    says(ask(&future, &[&future.certificate], "localhost").await, &["not valid yet", "clock"]);

    let client = signs_itself(&with(openssl_like(), for_clients));
    says(ask(&client, &[&client.certificate], "localhost").await, &["serverAuth"]);

    // The certificate alone proves nothing: another key signs the handshake.
    let impostor =
        Identity { certificate: own.certificate.clone(), key: KeyPair::generate().unwrap() };
    says(ask(&impostor, &[&own.certificate], "localhost").await, &["does not hold the key"]);
}

#[tokio::test]
async fn n01_every_tls_error_is_explained_with_a_remedy() {
    let (own, old) = (signs_itself(&openssl_like()), signs_itself(&openssl_like()));
    says(ask(&own, &[&old.certificate], "localhost").await, &["not the trusted one", "-ca-cert"]);

    // The same name as the old CA, but another key.
    let ca = || CertifiedIssuer::self_signed(openssl_like(), KeyPair::generate().unwrap()).unwrap();
    let (present, past) = (ca(), ca());
    let signed = |params: CertificateParams, issuer: &CertifiedIssuer<'_, KeyPair>| {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, issuer).unwrap().der().clone();
        Identity { certificate, key }
    };
    let leaf = signed(leaf_like(), &present);
    says(ask(&leaf, &[past.der()], "localhost").await, &["another key", "-ca-cert"]);

    let mut renamed = openssl_like();
    renamed.distinguished_name = DistinguishedName::new();
    renamed.distinguished_name.push(DnType::CommonName, "another");
    let other = signs_itself(&renamed);
    says(
        ask(&leaf, &[&other.certificate], "localhost").await,
        &["a CA that is not trusted", "-ca-cert"],
    );

    // A certificate without CA:TRUE is never accepted as an issuer.
    let no_ca = CertifiedIssuer::self_signed(leaf_like(), KeyPair::generate().unwrap()).unwrap();
    let below = signed(leaf_like(), &no_ca);
    says(ask(&below, &[no_ca.der()], "localhost").await, &["a CA that is not trusted"]);

    let now = super::now();
    let past_life = |params: &mut CertificateParams| {
        params.not_before = now - Duration::days(9);
        params.not_after = now - Duration::days(3);
    };
    let expired = signed(with(leaf_like(), past_life), &present);
    says(ask(&expired, &[present.der()], "localhost").await, &["expired", "renew"]);

    let client = signed(with(leaf_like(), for_clients), &present);
    says(ask(&client, &[present.der()], "localhost").await, &["serverAuth"]);

    let outcome = ask(&own, &[], "localhost").await;
    says(outcome, &["SIGNET_CACERT_BYTES"]);
}
