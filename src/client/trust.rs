//! TLS of the client: the certificates it trusts, and its own.
//!
//! Trust anchors are those of the file, else the text, else the folder, else the system's bundle:
//! always one of them, so that a named CA replaces the others. TLS 1.2 or newer, with the algorithms of aws-lc.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::WantsClientCert;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ConfigBuilder};
use zeroize::Zeroizing;

use super::anchors::{Anchors, Trusted, Verifier};
use super::error::Error;

/// TLS settings.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    /// PEM certificates to trust.
    pub authority_file: Option<PathBuf>,
    /// The same as text; the file takes precedence.
    pub authority_pem: Option<String>,
    /// A folder of such files; file and text take precedence.
    pub authority_folder: Option<PathBuf>,
    /// The client's certificate and chain, PEM.
    pub client_certificate: Option<PathBuf>,
    /// Its private key, PEM.
    pub client_key: Option<PathBuf>,
    /// The name to expect in the server's certificate instead of the address's host.
    pub server_name: Option<String>,
    /// Accept any certificate: only for your own server on the same machine.
    pub danger_accept_any: bool,
}

/// The bundles of Debian, Fedora, openSUSE, RHEL, Alpine and macOS.
const SYSTEM_BUNDLES: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// How a user names the certificates to trust.
const TRUST_OPTION: &str = "-ca-cert or SIGNET_CACERT";

/// U+FEFF, which editors on Windows write at the start of a file.
const BYTE_ORDER_MARK: &str = "\u{feff}";

/// The configuration for rustls. Reads files: call it at the start.
pub(super) fn configuration(trust: &Trust) -> Result<ClientConfig, Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = if trust.danger_accept_any {
        danger_accept_any(&provider)
    } else {
        anchors(trust)?.verifier(&provider).map_err(|why| no_tls(&why))?
    };
    let builder = builder(provider, verifier)?;
    match (&trust.client_certificate, &trust.client_key) {
        (None, None) => Ok(builder.with_no_client_auth()),
        (Some(certificate), Some(key)) => {
            let chain = certificates(certificate, "-client-cert or SIGNET_CLIENT_CERT")?;
            let key = private_key(key)
                .map_err(|error| unusable(key, &format!("holds no private key ({error}): name a PEM file with -client-key or SIGNET_CLIENT_KEY")))?;
            builder.with_client_auth_cert(chain, key).map_err(|error| {
                unusable(certificate, &format!("does not fit the client key ({error}): name a certificate and its key with -client-cert and -client-key"))
            })
        }
        _ => Err(Error::Settings(
            "-client-cert and -client-key need each other: name both or neither".to_owned(),
        )),
    }
}

/// For plain HTTP: reads no file and trusts no certificate.
pub(super) fn nothing_trusted() -> Result<ClientConfig, Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = Anchors::new().verifier(&provider).map_err(|why| no_tls(&why))?;
    Ok(builder(provider, verifier)?.with_no_client_auth())
}

fn builder(
    provider: Arc<CryptoProvider>,
    verifier: Verifier,
) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, Error> {
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| no_tls(&error.to_string()))?;
    Ok(builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)))
}

/// Accepts any certificate, but still requires that the server holds its key.
fn danger_accept_any(provider: &CryptoProvider) -> Verifier {
    Verifier { trusted: Trusted::Any, algorithms: provider.signature_verification_algorithms }
}

fn no_tls(why: &str) -> Error {
    Error::Settings(format!("TLS cannot be set up: {why}"))
}

fn anchors(trust: &Trust) -> Result<Anchors, Error> {
    let mut anchors = Anchors::new();
    let named = if let Some(file) = &trust.authority_file {
        anchors.add(certificates(file, TRUST_OPTION)?);
        file.display().to_string()
    } else if let Some(pem) = &trust.authority_pem {
        let named = "SIGNET_CACERT_BYTES".to_owned();
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
        let unreadable = |error| Error::Settings(format!("{named} cannot be read ({error})"));
        anchors.add(found.map_err(unreadable)?);
        named
    } else if let Some(folder) = &trust.authority_folder {
        let entries = fs::read_dir(folder)
            .map_err(|error| unusable(folder, &format!("cannot be read ({error}): name an existing folder with -ca-path or SIGNET_CAPATH")))?;
        for path in entries.flatten().map(|entry| entry.path()).filter(|path| path.is_file()) {
            // A folder may hold other files; one without a certificate is ignored.
            anchors.add(certificates(&path, TRUST_OPTION).unwrap_or_default());
        }
        folder.display().to_string()
    } else {
        let bundle = SYSTEM_BUNDLES.iter().map(Path::new).find(|path| path.is_file());
        let bundle = bundle.ok_or_else(|| {
            Error::Settings(
                "this system has no bundle of CA certificates: name the server's CA with -ca-cert or SIGNET_CACERT"
                    .to_owned(),
            )
        })?;
        anchors.add(certificates(bundle, TRUST_OPTION)?);
        "the system's bundle".to_owned()
    };
    if anchors.is_empty() {
        return Err(Error::Settings(format!(
            "no usable certificate in {named}: name a file of PEM certificates with -ca-cert or SIGNET_CACERT"
        )));
    }
    Ok(anchors)
}

/// The certificates of a file that `option` names.
fn certificates(path: &Path, option: &str) -> Result<Vec<CertificateDer<'static>>, Error> {
    let unreadable = |error: &dyn std::fmt::Display| {
        unusable(path, &format!("cannot be read ({error}): name a PEM file with {option}"))
    };
    let text = fs::read(path).map_err(|error| unreadable(&error))?;
    // The PEM reader skips a block after a byte order mark, and each block may have one.
    let text = String::from_utf8_lossy(&text).replace(BYTE_ORDER_MARK, "");
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    match found {
        Ok(found) if found.is_empty() => Err(unusable(
            path,
            &format!("holds no PEM certificate: name another file with {option}"),
        )),
        Ok(found) => Ok(found),
        Err(error) => Err(unreadable(&error)),
    }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, rustls::pki_types::pem::Error> {
    let text = Zeroizing::new(fs::read(path).map_err(rustls::pki_types::pem::Error::Io)?);
    let marked = text.strip_prefix(BYTE_ORDER_MARK.as_bytes());
    PrivateKeyDer::from_pem_slice(marked.unwrap_or(&text))
}

fn unusable(path: &Path, why: &str) -> Error {
    Error::Settings(format!("{} {why}", path.display()))
}
