//! The listener's own certificate: read, checked, and only then used.
//!
//! A new pair of certificate and key takes the place of the old one after it was proven: both
//! files parse, the key belongs to the certificate, the certificate has not expired. Anything
//! less leaves the old pair in use and one line in the log. New connections see the new pair;
//! old ones go on as they were, and no session of the old pair is resumed under the new one.

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

/// Where the pair lies: PEM files, the certificate followed by its intermediates.
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
    /// No certificate, or a damaged one.
    BadCertificate(String),
    /// No private key, or a damaged or encrypted one.
    BadKey(String),
    /// Key and certificate do not belong together, or rustls cannot use them.
    Unusable(rustls::Error),
    /// The certificate's end has passed.
    Expired(Timestamp),
    /// A self-signed certificate could not be made for these names.
    Unmakeable(String),
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
                "the private key is of a kind that this server does not use: make one for ECDSA P-256 or P-384, Ed25519, or RSA of 2048 bits or more",
            ),
            Self::Unusable(rustls::Error::InvalidCertificate(_)) => formatter.write_str(
                "the certificate cannot be used in TLS: make one of X.509 version 3, as openssl req -x509 with -addext subjectAltName=… does",
            ),
            Self::Unusable(error) => write!(formatter, "cannot use certificate and key: {error}"),
            Self::Expired(end) => write!(formatter, "the certificate expired at {end}"),
            Self::Unmakeable(why) => write!(formatter, "cannot make a certificate: {why}"),
        }
    }
}

impl std::error::Error for TlsError {}

/// The pair in use, and where newer ones come from.
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

/// Modification time and size of both files; `None` for a file that is not there.
type Stamp = [Option<(SystemTime, u64)>; 2];

impl fmt::Debug for Tls {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let files = self.files.as_ref().map(|watched| &watched.files);
        formatter.debug_struct("Tls").field("files", &files).finish_non_exhaustive()
    }
}

impl Tls {
    /// Reads the pair from its files. An expired certificate is served at the start, with a
    /// line in the log: there is no better one, and clients that do not look still work.
    ///
    /// # Errors
    /// See [`TlsError`].
    pub fn load(files: TlsFiles, minimum: MinimumVersion, clock: Clock) -> Result<Self, TlsError> {
        let seen = stamp(&files);
        let pair = ChainAndKey::read(&files)?;
        if let Err(error) = pair.check_end(clock.now()) {
            tracing::warn!(certificate = %files.certificate.display(), %error, "listener certificate is used all the same");
        }
        let current = ArcSwap::from_pointee(pair.configure(minimum)?);
        let files = Some(WatchedFiles { files, seen: Mutex::new(seen) });
        Ok(Self { current, files, minimum, clock })
    }

    /// Uses this pair for good, as `-dev-tls` does.
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

    /// What the next connection uses.
    pub fn current(&self) -> Arc<ServerConfig> {
        self.current.load_full()
    }

    /// Reads the files again and uses the pair if it is sound. Reads files: not for an I/O
    /// thread.
    ///
    /// # Errors
    /// See [`TlsError`]; the old pair stays in use.
    pub fn reload(&self) -> Result<(), TlsError> {
        let Some(watched) = &self.files else { return Ok(()) };
        // Before the reading: a change in between is then seen at the next look.
        *watched.seen.lock().unwrap_or_else(PoisonError::into_inner) = stamp(&watched.files);
        let pair = ChainAndKey::read(&watched.files)?;
        pair.check_end(self.clock.now())?;
        self.current.store(Arc::new(pair.configure(self.minimum)?));
        Ok(())
    }

    fn reload_and_tell(&self) {
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

    /// Reloads on every change of `reload`, and when a look at the files, one each `every`,
    /// finds another time or size. Looking works where notifications do not: network file
    /// systems, and the swapped links of Kubernetes' secrets.
    pub(crate) async fn follow_files(
        self: Arc<Self>,
        mut reload: watch::Receiver<u64>,
        every: Duration,
    ) {
        let mut told = true;
        loop {
            let asked = tokio::select! {
                change = reload.changed(), if told => {
                    told = change.is_ok();
                    told
                }
                () = tokio::time::sleep(every) => false,
            };
            let this = Arc::clone(&self);
            let look = tokio::task::spawn_blocking(move || {
                if asked || this.changed() {
                    this.reload_and_tell();
                }
            });
            if look.await.is_err() {
                tracing::error!("looking at the listener's certificate failed by a fault of ours");
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

    fn check_end(&self, now: Timestamp) -> Result<(), TlsError> {
        if now > self.end { Err(TlsError::Expired(self.end)) } else { Ok(()) }
    }

    fn configure(self, minimum: MinimumVersion) -> Result<ServerConfig, TlsError> {
        let versions: &[_] = match minimum {
            MinimumVersion::Tls12 => &[&rustls::version::TLS13, &rustls::version::TLS12],
            MinimumVersion::Tls13 => &[&rustls::version::TLS13],
        };
        let mut provider = aws_lc_rs::default_provider();
        // As Go's servers choose, so Vault's: processors know SHA-256, and SHA-384 takes a tenth of
        // a new connection. Stable: nothing else changes its place.
        provider.cipher_suites.sort_by_key(|suite| suite.suite() != TLS13_AES_128_GCM_SHA256);
        let mut config = ServerConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(versions)
            .map_err(TlsError::Unusable)?
            .with_no_client_auth()
            .with_single_cert(self.chain, self.key)
            .map_err(TlsError::Unusable)?;
        config.ignore_client_order = true;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        // Thousands of agents come back each hour: tickets spare them and us the signature,
        // and cost no memory here.
        config.ticketer = aws_lc_rs::Ticketer::new().map_err(TlsError::Unusable)?;
        Ok(config)
    }
}

/// The certificates of a PEM text, and the end of the first.
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

/// Everything that is wrong with the pair, without using it.
pub fn examine(files: &TlsFiles, minimum: MinimumVersion, now: Timestamp) -> Vec<FileProblem> {
    let mut problems = Vec::new();
    let read = |path: &Path| {
        let unreadable = |error| TlsError::Unreadable(path.to_owned(), error);
        std::fs::read(path).map(Zeroizing::new).map_err(unreadable)
    };
    let mut fault = |key: &'static str, path: &Path, error: &TlsError| {
        let message = match error {
            TlsError::Unreadable(..) => error.to_string(),
            other => format!("{}: {other}", path.display()),
        };
        problems.push(FileProblem { key, warning: false, message });
    };
    let certificate = read(&files.certificate).and_then(|text| chain(&text));
    let key = read(&files.key).and_then(|text| private_key(&text));
    if let Err(error) = &certificate {
        fault("tls_cert_file", &files.certificate, error);
    }
    if let Err(error) = &key {
        fault("tls_key_file", &files.key, error);
    }
    let Ok((chain, end)) = certificate else { return problems };
    let leaf = chain.first().cloned();
    if let Ok(key) = key
        && let Err(error) = (ChainAndKey { chain, key, end }).configure(minimum)
    {
        match error {
            TlsError::Unusable(rustls::Error::InvalidCertificate(_)) => {
                fault("tls_cert_file", &files.certificate, &error);
            }
            _ => fault("tls_key_file", &files.key, &error),
        }
    }
    let fields = leaf.as_deref().and_then(|leaf| CertificateFields::read(leaf).ok());
    let warnings = fields.map(|leaf| doubts(&leaf, now)).unwrap_or_default();
    problems.extend(warnings.into_iter().map(|why| {
        let message = format!("{}: {why}", files.certificate.display());
        FileProblem { key: "tls_cert_file", warning: true, message }
    }));
    problems
}

/// Why clients may not believe a certificate that a server can use.
fn doubts(leaf: &CertificateFields<'_>, now: Timestamp) -> Vec<String> {
    let mut doubts = Vec::new();
    let (start, end) = (leaf.not_before(), leaf.not_after());
    if now > end {
        doubts.push(format!("the certificate expired at {end}: renew it"));
    }
    if now < start {
        doubts.push(format!("the certificate is not valid before {start}: look at the clock"));
    }
    if !leaf.names().is_ok_and(|names| !names.is_empty()) {
        doubts.push("the certificate holds no name in subjectAltName, and clients look at no other: issue one with it (openssl: -addext subjectAltName=DNS:localhost,IP:127.0.0.1)".to_owned());
    }
    if leaf.is_for_servers() == Ok(false) {
        doubts.push("the certificate is not made for a server: issue one whose extended key usage holds serverAuth".to_owned());
    }
    doubts
}

/// A certificate for a development server, with the authority that signed it.
#[derive(Debug)]
pub struct SelfSigned {
    /// What clients are told to trust, PEM.
    pub ca: String,
    /// The server's certificate, PEM.
    pub certificate: String,
    /// Its private key, PKCS#8 in PEM.
    pub key: Secret<String>,
}

/// How long the certificate of a development server lasts.
const SELF_SIGNED_SECONDS: i64 = 365 * 24 * 3600;
/// Clocks of clients may be behind ours by this much.
const BACKDATED_SECONDS: i64 = 60;

/// Makes a new authority and a server certificate for these DNS names and IP addresses, for
/// a year from `now`. The authority's key is thrown away.
///
/// # Errors
/// [`TlsError::Unmakeable`] for a name that is neither.
pub fn self_signed(names: &[String], now: Timestamp) -> Result<SelfSigned, TlsError> {
    let unmakeable = |error: rcgen::Error| TlsError::Unmakeable(error.to_string());
    let outside = || TlsError::Unmakeable("the clock is outside the years 0 to 9999".to_owned());
    let not_before = now.plus(-BACKDATED_SECONDS).whole().calendar().ok_or_else(outside)?;
    let not_after = now.plus(SELF_SIGNED_SECONDS).whole().calendar().ok_or_else(outside)?;
    let parameters = |names: &[String], subject: &str| -> Result<CertificateParams, TlsError> {
        let mut parameters = CertificateParams::new(names.to_vec()).map_err(unmakeable)?;
        parameters.not_before = not_before;
        parameters.not_after = not_after;
        parameters.distinguished_name = DistinguishedName::new();
        parameters.distinguished_name.push(DnType::CommonName, subject);
        Ok(parameters)
    };

    let mut ca = parameters(&[], "Signet development CA")?;
    ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate().map_err(unmakeable)?)
        .map_err(unmakeable)?;

    let mut server = parameters(names, "Signet development server")?;
    server.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    server.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate().map_err(unmakeable)?;
    let server = server.signed_by(&key, &ca).map_err(unmakeable)?;

    let pem = |label: &str, der: &[u8]| {
        der::pem::encode_string(label, LineEnding::LF, der)
            .map_err(|error| TlsError::Unmakeable(error.to_string()))
    };
    Ok(SelfSigned {
        ca: pem("CERTIFICATE", ca.der())?,
        certificate: pem("CERTIFICATE", server.der())?,
        key: Secret::new(pem("PRIVATE KEY", key.serialized_der())?),
    })
}
