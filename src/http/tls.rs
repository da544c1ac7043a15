//! The listener's own certificate: read, checked, and only then used.
//!
//! A new pair of certificate and key replaces the old one after it was checked: both files parse, the key
//! belongs to the certificate, and the certificate has not expired. Otherwise the old pair stays in use, and
//! the log has a line. New connections use the new pair; existing ones continue unchanged, and no session of
//! the old pair is resumed under the new one.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use der::pem::LineEnding;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
};
use rustls::CipherSuite::TLS13_AES_128_GCM_SHA256;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::sync::watch;
use zeroize::Zeroizing;

use crate::ca::certificate::CertificateFields;
use crate::ca::pem;
use crate::ca::time::Timestamp;
use crate::clock::Clock;
use crate::config::FileProblem;
use crate::secret::Secret;

/// The oldest version of TLS that a client may speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MinimumVersion {
    /// TLS 1.2 or 1.3 (RFC 5246, RFC 8446).
    Tls12,
    /// TLS 1.3 alone.
    Tls13,
}

/// The files of the pair: PEM, the certificate followed by its intermediates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, then its chain without the root.
    pub certificate: PathBuf,
    /// Its private key, unencrypted: PKCS#8, SEC 1 or PKCS#1.
    pub key: PathBuf,
}

/// Why a pair is not used.
#[derive(Debug)]
pub enum TlsError {
    /// The file cannot be read.
    Unreadable(PathBuf, std::io::Error),
    /// The file holds no certificate, or a damaged one.
    BadCertificate(String),
    /// The file holds no private key, or a damaged or encrypted one.
    BadKey(String),
    /// Key and certificate do not belong together, or rustls cannot use them.
    Unusable(rustls::Error),
    /// The certificate has expired.
    Expired(Timestamp),
    /// A self-signed certificate could not be generated for these names.
    NotGenerated(String),
}

impl fmt::Display for TlsError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(path, error) => {
                write!(formatter, "cannot read {}: {error}", path.display())
            }
            Self::BadCertificate(why) => write!(formatter, "not a certificate in PEM: {why}"),
            Self::BadKey(why) => write!(formatter, "not an unencrypted private key in PEM: {why}"),
            Self::Unusable(rustls::Error::InconsistentKeys(_)) => {
                formatter.write_str("the private key does not belong to the certificate")
            }
            Self::Unusable(rustls::Error::General(_)) => formatter.write_str(
                "the private key is of a kind that this server does not support: generate one for ECDSA P-256 or P-384, Ed25519, or RSA of 2048 bits or more",
            ),
            Self::Unusable(rustls::Error::InvalidCertificate(_)) => formatter.write_str(
                "the certificate cannot be used in TLS: generate one of X.509 version 3, as openssl req -x509 with -addext subjectAltName=… does",
            ),
            Self::Unusable(error) => write!(formatter, "cannot use certificate and key: {error}"),
            Self::Expired(end) => write!(formatter, "the certificate expired at {end}"),
            Self::NotGenerated(why) => write!(formatter, "cannot generate a certificate: {why}"),
        }
    }
}

impl std::error::Error for TlsError {}

/// The pair in use, and the files that newer ones are read from.
pub struct Tls {
    current: ArcSwap<ServerConfig>,
    files: Option<WatchedFiles>,
    minimum: MinimumVersion,
    clock: Clock,
}

struct WatchedFiles {
    files: TlsFiles,
    /// The state of both files at the last attempt, good or bad.
    seen: Mutex<Stamp>,
}

/// Modification time and size of both files; `None` for a file that does not exist.
type Stamp = [Option<(SystemTime, u64)>; 2];

impl fmt::Debug for Tls {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let files = self.files.as_ref().map(|watched| &watched.files);
        formatter.debug_struct("Tls").field("files", &files).finish_non_exhaustive()
    }
}

impl Tls {
    /// Reads the pair from its files. An expired certificate is served at the start, with a
    /// line in the log: no better one exists, and clients that do not check it still work.
    ///
    /// # Errors
    /// See [`TlsError`].
    pub fn load(files: TlsFiles, minimum: MinimumVersion, clock: Clock) -> Result<Self, TlsError> {
        let seen = stamp(&files);
        let pair = ChainAndKey::read(&files)?;
        if let Err(error) = pair.check_expiry(clock.now()) {
            tracing::warn!(certificate = %files.certificate.display(), %error, "listener certificate expired, serving it anyway");
        }
        let current = ArcSwap::from_pointee(pair.configure(minimum)?);
        let files = Some(WatchedFiles { files, seen: Mutex::new(seen) });
        Ok(Self { current, files, minimum, clock })
    }

    /// Uses this pair until the process ends, as `-dev-tls` does.
    ///
    /// # Errors
    /// See [`TlsError`].
    pub fn from_pem(
        certificate: &[u8],
        key: &[u8],
        minimum: MinimumVersion,
        clock: Clock,
    ) -> Result<Self, TlsError> {
        let current =
            ArcSwap::from_pointee(ChainAndKey::parse(certificate, key)?.configure(minimum)?);
        Ok(Self { current, files: None, minimum, clock })
    }

    /// The configuration for the next connection.
    pub fn current(&self) -> Arc<ServerConfig> {
        self.current.load_full()
    }

    /// Reads the files again and uses the pair if it is valid. It blocks on file I/O: do not call it from an
    /// async task.
    ///
    /// # Errors
    /// See [`TlsError`]; the old pair stays in use.
    pub fn reload(&self) -> Result<(), TlsError> {
        let Some(watched) = &self.files else { return Ok(()) };
        // Taken before the files are read, so that the next check sees a change in between.
        *watched.seen.lock().unwrap_or_else(PoisonError::into_inner) = stamp(&watched.files);
        let pair = ChainAndKey::read(&watched.files)?;
        pair.check_expiry(self.clock.now())?;
        self.current.store(Arc::new(pair.configure(self.minimum)?));
        Ok(())
    }

    fn reload_and_log(&self) {
        let Some(watched) = &self.files else { return };
        let certificate = watched.files.certificate.display();
        match self.reload() {
            Ok(()) => tracing::info!(%certificate, "listener certificate replaced"),
            Err(error) => {
                tracing::warn!(%certificate, %error, "listener certificate not replaced, the old one stays in use");
            }
        }
    }

    fn changed(&self) -> bool {
        self.files.as_ref().is_some_and(|watched| {
            let seen = *watched.seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen != stamp(&watched.files)
        })
    }

    /// Reloads on every change of `reload`, and when a check of the files, at the interval `every`, finds
    /// another modification time or size. Polling works where notifications do not: network file systems, and
    /// the swapped symbolic links of Kubernetes secrets.
    pub(crate) async fn follow_files(
        self: Arc<Self>,
        mut reload: watch::Receiver<u64>,
        every: Duration,
    ) {
        let mut sender_open = true;
        loop {
            let requested = tokio::select! {
                change = reload.changed(), if sender_open => {
                    sender_open = change.is_ok();
                    sender_open
                }
                () = tokio::time::sleep(every) => false,
            };
            let this = Arc::clone(&self);
            let check = tokio::task::spawn_blocking(move || {
                if requested || this.changed() {
                    this.reload_and_log();
                }
            });
            if check.await.is_err() {
                tracing::error!("listener certificate check panicked");
            }
        }
    }
}

fn stamp(files: &TlsFiles) -> Stamp {
    [&files.certificate, &files.key].map(|path| {
        let metadata = std::fs::metadata(path).ok()?;
        Some((metadata.modified().ok()?, metadata.len()))
    })
}

struct ChainAndKey {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    end: Timestamp,
}

impl ChainAndKey {
    fn read(files: &TlsFiles) -> Result<Self, TlsError> {
        let read = |path: &Path| {
            std::fs::read(path).map_err(|error| TlsError::Unreadable(path.to_owned(), error))
        };
        let key = Zeroizing::new(read(&files.key)?);
        Self::parse(&read(&files.certificate)?, &key)
    }

    fn parse(certificate: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        let (chain, end) = chain(certificate)?;
        Ok(Self { chain, key: private_key(key)?, end })
    }

    fn check_expiry(&self, now: Timestamp) -> Result<(), TlsError> {
        if now > self.end { Err(TlsError::Expired(self.end)) } else { Ok(()) }
    }

    fn configure(self, minimum: MinimumVersion) -> Result<ServerConfig, TlsError> {
        let versions: &[_] = match minimum {
            MinimumVersion::Tls12 => &[&rustls::version::TLS13, &rustls::version::TLS12],
            MinimumVersion::Tls13 => &[&rustls::version::TLS13],
        };
        let mut provider = aws_lc_rs::default_provider();
        // The choice of Go's servers, and so of Vault: processors have instructions for SHA-256, and SHA-384
        // takes a tenth of a new connection. The stable sort keeps the order of the others.
        provider.cipher_suites.sort_by_key(|suite| suite.suite() != TLS13_AES_128_GCM_SHA256);
        let mut config = ServerConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(versions)
            .map_err(TlsError::Unusable)?
            .with_no_client_auth()
            .with_single_cert(self.chain, self.key)
            .map_err(TlsError::Unusable)?;
        config.ignore_client_order = true;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        // Thousands of agents reconnect each hour: tickets save both sides the signature, and cost the server
        // no memory.
        config.ticketer = aws_lc_rs::Ticketer::new().map_err(TlsError::Unusable)?;
        Ok(config)
    }
}

/// The certificates of a PEM text, and the expiry of the first.
fn chain(text: &[u8]) -> Result<(Vec<CertificateDer<'static>>, Timestamp), TlsError> {
    let bad = |why: &dyn fmt::Display| TlsError::BadCertificate(why.to_string());
    let text = pem::without_byte_order_marks(text);
    let chain = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| bad(&error))?;
    let mut end = None;
    for link in &chain {
        let fields = CertificateFields::read(link).map_err(|error| bad(&error))?;
        end = end.or(Some(fields.not_after()));
    }
    let end = end.ok_or_else(|| bad(&"the file holds no certificate"))?;
    Ok((chain, end))
}

fn private_key(text: &[u8]) -> Result<PrivateKeyDer<'static>, TlsError> {
    let text = pem::without_byte_order_marks(text);
    PrivateKeyDer::from_pem_slice(&text).map_err(|error| TlsError::BadKey(error.to_string()))
}

/// All problems of the pair, without using it.
pub fn examine(files: &TlsFiles, minimum: MinimumVersion, now: Timestamp) -> Vec<FileProblem> {
    let mut problems = Vec::new();
    let read = |path: &Path| {
        let unreadable = |error| TlsError::Unreadable(path.to_owned(), error);
        std::fs::read(path).map(Zeroizing::new).map_err(unreadable)
    };
    let mut problem = |key: &'static str, path: &Path, error: &TlsError| {
        let message = match error {
            TlsError::Unreadable(..) => error.to_string(),
            other => format!("{}: {other}", path.display()),
        };
        problems.push(FileProblem { key, warning: false, message });
    };
    let certificate = read(&files.certificate).and_then(|text| chain(&text));
    let key = read(&files.key).and_then(|text| private_key(&text));
    if let Err(error) = &certificate {
        problem("tls_cert_file", &files.certificate, error);
    }
    if let Err(error) = &key {
        problem("tls_key_file", &files.key, error);
    }
    let Ok((chain, end)) = certificate else { return problems };
    let leaf = chain.first().cloned();
    if let Ok(key) = key
        && let Err(error) = (ChainAndKey { chain, key, end }).configure(minimum)
    {
        match error {
            TlsError::Unusable(rustls::Error::InvalidCertificate(_)) => {
                problem("tls_cert_file", &files.certificate, &error);
            }
            _ => problem("tls_key_file", &files.key, &error),
        }
    }
    let fields = leaf.as_deref().and_then(|leaf| CertificateFields::read(leaf).ok());
    let warnings = fields.map(|leaf| warnings(&leaf, now)).unwrap_or_default();
    problems.extend(warnings.into_iter().map(|why| {
        let message = format!("{}: {why}", files.certificate.display());
        FileProblem { key: "tls_cert_file", warning: true, message }
    }));
    problems
}

/// Why clients may not accept a certificate that a server can use.
fn warnings(leaf: &CertificateFields<'_>, now: Timestamp) -> Vec<String> {
    let mut warnings = Vec::new();
    let (start, end) = (leaf.not_before(), leaf.not_after());
    if now > end {
        warnings.push(format!("the certificate expired at {end}: renew it"));
    }
    if now < start {
        warnings.push(format!("the certificate is not valid before {start}: check the clock"));
    }
    if !leaf.names().is_ok_and(|names| !names.is_empty()) {
        warnings.push("the certificate holds no name in subjectAltName, and clients check no other field: issue one with it (openssl: -addext subjectAltName=DNS:localhost,IP:127.0.0.1)".to_owned());
    }
    if leaf.is_for_servers() == Ok(false) {
        warnings.push("the certificate is not for a server: issue one whose extended key usage holds serverAuth".to_owned());
    }
    warnings
}

/// A certificate for a development server, with the CA that signed it.
#[derive(Debug)]
pub struct SelfSigned {
    /// The CA certificate that clients must trust, PEM.
    pub ca: String,
    /// The server's certificate, PEM.
    pub certificate: String,
    /// Its private key, PKCS#8 in PEM.
    pub key: Secret<String>,
}

/// The validity of the certificate of a development server.
const SELF_SIGNED_SECONDS: i64 = 365 * 24 * 3600;
/// How far clocks of clients may be behind.
const BACKDATED_SECONDS: i64 = 60;

/// Generates a new CA and a server certificate for these DNS names and IP addresses, valid for a year from
/// `now`. The key of the CA is discarded.
///
/// # Errors
/// [`TlsError::NotGenerated`] for a name that is neither a DNS name nor an IP address.
pub fn self_signed(names: &[String], now: Timestamp) -> Result<SelfSigned, TlsError> {
    let not_generated = |error: rcgen::Error| TlsError::NotGenerated(error.to_string());
    let outside = || TlsError::NotGenerated("the clock is outside the years 0 to 9999".to_owned());
    let not_before = now.plus(-BACKDATED_SECONDS).whole().calendar().ok_or_else(outside)?;
    let not_after = now.plus(SELF_SIGNED_SECONDS).whole().calendar().ok_or_else(outside)?;
    let parameters = |names: &[String], subject: &str| -> Result<CertificateParams, TlsError> {
        let mut parameters = CertificateParams::new(names.to_vec()).map_err(not_generated)?;
        parameters.not_before = not_before;
        parameters.not_after = not_after;
        parameters.distinguished_name = DistinguishedName::new();
        parameters.distinguished_name.push(DnType::CommonName, subject);
        Ok(parameters)
    };

    let mut ca = parameters(&[], "Signet development CA")?;
    ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate().map_err(not_generated)?)
        .map_err(not_generated)?;

    let mut server = parameters(names, "Signet development server")?;
    server.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    server.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate().map_err(not_generated)?;
    let server = server.signed_by(&key, &ca).map_err(not_generated)?;

    let pem = |label: &str, der: &[u8]| {
        der::pem::encode_string(label, LineEnding::LF, der)
            .map_err(|error| TlsError::NotGenerated(error.to_string()))
    };
    Ok(SelfSigned {
        ca: pem("CERTIFICATE", ca.der())?,
        certificate: pem("CERTIFICATE", server.der())?,
        key: Secret::new(pem("PRIVATE KEY", key.serialized_der())?),
    })
}
