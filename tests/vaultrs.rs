//! The third-party client `vaultrs`, unmodified, against a running server.
//!
//! `scripts/interop vaultrs` runs it with `SIGNET_ADDR` and `SIGNET_TOKEN`:
//! `cargo test --test vaultrs -- --ignored`.

#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of a test, where a surprise is a failure; the environment names the server"
)]

use std::env;

use der::pem::LineEnding;
use vaultrs::api::pki::requests::{
    GenerateCertificateRequest, GenerateIntermediateRequest, GenerateRootRequest, SetRoleRequest,
    SetURLsRequest, SignIntermediateRequest, UpdateIssuerRequest,
};
use vaultrs::api::sys::requests::EnableEngineRequest;
use vaultrs::client::{VaultClient, VaultClientSettingsBuilder};
use vaultrs::error::ClientError;
use vaultrs::pki::{cert, issuer, role};
use vaultrs::sys::ServerStatus;

const WORKLOAD: &str = "spiffe://example.org/payments/api";

fn client_with(token: &str) -> VaultClient {
    let settings = VaultClientSettingsBuilder::default()
        .address(env::var("SIGNET_ADDR").expect("SIGNET_ADDR names the server under test"))
        .token(token)
        .build()
        .unwrap();
    VaultClient::new(settings).unwrap()
}

fn client() -> VaultClient {
    client_with(&env::var("SIGNET_TOKEN").unwrap_or_else(|_| "root".to_owned()))
}

async fn enable(client: &VaultClient, mount: &str) {
    let mut options = EnableEngineRequest::builder();
    vaultrs::sys::mount::enable(client, mount, "pki", Some(&mut options)).await.unwrap();
}

/// A mount with a root and a role for one trust domain; the root's certificate.
async fn mount_with_root(client: &VaultClient, mount: &str) -> String {
    enable(client, mount).await;
    let mut root = GenerateRootRequest::builder();
    root.common_name("Example Root").key_type("ec").key_bits(256_u64).ttl("700h");
    let root = cert::ca::generate(client, mount, "internal", Some(&mut root)).await.unwrap();
    let mut spiffe = SetRoleRequest::builder();
    spiffe
        .allowed_uri_sans(vec!["spiffe://example.org/*".to_owned()])
        .require_cn(false)
        .key_type("ec")
        .key_bits(256_u64)
        .ttl("30m")
        .max_ttl("60m");
    role::set(client, mount, "spiffe", Some(&mut spiffe)).await.unwrap();
    root.expect("an answer with a body").certificate
}

fn code_of(error: ClientError) -> u16 {
    match error {
        ClientError::APIError { code, errors } => {
            assert!(!errors.is_empty(), "an error with a reason");
            code
        }
        other => panic!("not an answer of the server: {other}"),
    }
}

#[tokio::test]
#[ignore = "needs a running server"]
async fn reads_health_with_its_strict_types() {
    let client = client();
    assert!(matches!(vaultrs::sys::status(&client).await.unwrap(), ServerStatus::OK));
    let health = vaultrs::sys::health(&client).await.unwrap();
    assert!(health.initialized && !health.sealed && !health.standby);
}

#[tokio::test]
#[ignore = "needs a running server"]
async fn reads_its_own_token() {
    let client = client();
    let token = vaultrs::token::lookup_self(&client).await.unwrap();
    assert_eq!(token.policies, ["root"]);
    let unknown = vaultrs::token::lookup_self(&client_with("hvs.unknown")).await;
    assert_eq!(code_of(unknown.unwrap_err()), 403);
}

#[tokio::test]
#[ignore = "needs a running server"]
async fn lists_a_mount_until_it_is_disabled() {
    let client = client();
    enable(&client, "rust_mounts").await;
    let mounts = vaultrs::sys::mount::list(&client).await.unwrap();
    assert_eq!(mounts["rust_mounts/"].mount_type, "pki");
    vaultrs::sys::mount::disable(&client, "rust_mounts").await.unwrap();
    assert!(!vaultrs::sys::mount::list(&client).await.unwrap().contains_key("rust_mounts/"));
}

#[tokio::test]
#[ignore = "needs a running server"]
async fn writes_reads_lists_and_deletes_a_role() {
    let (client, mount) = (client(), "rust_roles");
    mount_with_root(&client, mount).await;
    let read = role::read(&client, mount, "spiffe").await.unwrap();
    assert_eq!(read.allowed_uri_sans, ["spiffe://example.org/*"]);
    assert_eq!((read.key_bits, read.max_ttl, read.require_cn), (256, 3600, false));
    assert_eq!(role::list(&client, mount).await.unwrap().keys, ["spiffe"]);
    role::delete(&client, mount, "spiffe").await.unwrap();
    let gone = role::read(&client, mount, "spiffe").await;
    assert_eq!(code_of_absent(gone), 404);
}

/// The status of a missing object: 404 with empty `errors`.
fn code_of_absent<T>(outcome: Result<T, ClientError>) -> u16 {
    match outcome.err().expect("a missing object") {
        ClientError::APIError { code, errors } => {
            assert!(errors.is_empty(), "{errors:?}");
            code
        }
        other => panic!("not an answer of the server: {other}"),
    }
}

#[tokio::test]
#[ignore = "needs a running server"]
async fn issues_reads_lists_and_revokes_a_certificate() {
    let (client, mount) = (client(), "rust_issue");
    let root = mount_with_root(&client, mount).await;
    let mut ask = GenerateCertificateRequest::builder();
    ask.uri_sans(WORKLOAD).ttl("10m");
    let issued = cert::generate(&client, mount, "spiffe", Some(&mut ask)).await.unwrap();
    assert_eq!(issued.issuing_ca.trim(), root.trim());
    assert_eq!(issued.private_key_type, "ec");
    assert!(issued.expiration.is_some_and(|end| end > 0));

    let serial = issued.serial_number.as_str();
    let read = cert::read(&client, mount, serial).await.unwrap();
    assert_eq!(read.certificate.trim(), issued.certificate.trim());
    assert_eq!(read.revocation_time, 0);
    assert!(cert::list(&client, mount).await.unwrap().iter().any(|listed| listed == serial));

    let revoked = cert::revoke(&client, mount, serial).await.unwrap();
    let read = cert::read(&client, mount, serial).await.unwrap();
    assert_eq!(u64::try_from(read.revocation_time).unwrap(), revoked.revocation_time);
}

#[tokio::test]
#[ignore = "needs a running server"]
async fn a_name_that_the_role_does_not_allow_is_refused() {
    let (client, mount) = (client(), "rust_refuse");
    mount_with_root(&client, mount).await;
    let mut ask = GenerateCertificateRequest::builder();
    ask.uri_sans("spiffe://other.org/x");
    let refused = cert::generate(&client, mount, "spiffe", Some(&mut ask)).await;
    assert_eq!(code_of(refused.unwrap_err()), 400);
}

#[tokio::test]
#[ignore = "needs a running server"]
async fn signs_a_request_whose_names_the_role_allows() {
    let (client, mount) = (client(), "rust_sign");
    mount_with_root(&client, mount).await;
    let key = rcgen::KeyPair::generate().unwrap();
    let mut names = rcgen::CertificateParams::default();
    names.distinguished_name = rcgen::DistinguishedName::new();
    names.subject_alt_names.push(rcgen::SanType::URI(WORKLOAD.try_into().unwrap()));
    let request = names.serialize_request(&key).unwrap();
    let request = der::pem::encode_string("CERTIFICATE REQUEST", LineEnding::LF, request.der());
    let request = request.unwrap();
    let signed = cert::ca::sign(&client, mount, "spiffe", &request, "", None).await.unwrap();
    assert!(signed.certificate.starts_with("-----BEGIN CERTIFICATE-----"));
    assert!(signed.expiration > 0);
}

#[tokio::test]
#[ignore = "needs a running server"]
async fn an_intermediate_is_signed_named_and_issues() {
    let (client, mount) = (client(), "rust_upper");
    mount_with_root(&client, mount).await;
    enable(&client, "rust_lower").await;
    let mut options = GenerateIntermediateRequest::builder();
    options.key_type("ec").key_bits(256_u64);
    let name = "Example Intermediate";
    let asked =
        cert::ca::int::generate(&client, "rust_lower", "internal", name, Some(&mut options));
    let request = asked.await.unwrap().csr;
    let mut limits = SignIntermediateRequest::builder();
    limits.ttl("600h").format("pem_bundle");
    let signed = cert::ca::sign_intermediate(&client, mount, &request, name, Some(&mut limits));
    let bundle = signed.await.unwrap().certificate;
    let imported = cert::ca::int::set_signed(&client, "rust_lower", &bundle).await.unwrap();
    assert_eq!(imported.imported_issuers.map(|issuers| issuers.len()), Some(2));

    let issuers = issuer::list(&client, "rust_lower").await.unwrap();
    let default = issuers.key_info.iter().find(|(_, info)| info.is_default);
    let reference = default.expect("a default issuer").0;
    let mut rename = UpdateIssuerRequest::builder();
    rename.issuer_name("lower");
    issuer::update(&client, "rust_lower", reference, Some(&mut rename)).await.unwrap();
    let read = issuer::read(&client, "rust_lower", Some("lower")).await.unwrap();
    assert_eq!(&read.issuer_id, reference);
    assert_eq!(read.ca_chain.len(), 2);
}

#[tokio::test]
#[ignore = "needs a running server"]
async fn addresses_in_certificates_are_read_back() {
    let (client, mount) = (client(), "rust_urls");
    enable(&client, mount).await;
    let mut addresses = SetURLsRequest::builder();
    addresses.crl_distribution_points(vec!["http://pki.example/crl".to_owned()]);
    cert::urls::set(&client, mount, Some(&mut addresses)).await.unwrap();
    let read = cert::urls::read(&client, mount).await.unwrap();
    assert_eq!(read.crl_distribution_points, ["http://pki.example/crl"]);
    assert!(read.ocsp_servers.is_empty());
}
