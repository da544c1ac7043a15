//! Explains a failed connection to the user of a command: the cause, and what to change.

use std::error::Error as _;
use std::io;
use std::net::IpAddr;

use hyper::Uri;
use hyper_util::client::legacy;
use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError, Error, InvalidMessage, PeerIncompatible};

use super::error::AttemptError;

/// The text for this error; it does not name a type of the libraries.
pub(super) fn explain(url: &Uri, error: &legacy::Error) -> AttemptError {
    let Some(cause) = error.source() else { return closed(url, error) };
    if let Some(error) = cause.downcast_ref() {
        return broken(url, error);
    }
    if let Some(error) = cause.downcast_ref::<AttemptError>() {
        return error.clone();
    }
    // hyper-rustls returns an error of the handshake as it is; hyper-util wraps one of DNS or TCP.
    if let Some(error) = cause.downcast_ref::<io::Error>() {
        return AttemptError::permanent(handshake_failed(url, innermost(error)));
    }
    match cause.source().and_then(|cause| cause.downcast_ref()) {
        Some(error) => unreachable_server(url, error),
        None => closed(url, cause),
    }
}

/// [`io::Error::source`] passes over the error that an I/O error wraps; `get_ref` does not.
fn innermost(mut error: &io::Error) -> &io::Error {
    while let Some(inner) = error.get_ref().and_then(|inner| inner.downcast_ref()) {
        error = inner;
    }
    error
}

fn unreachable_server(url: &Uri, error: &io::Error) -> AttemptError {
    let default_port = if url.scheme_str() == Some("https") { 443 } else { 80 };
    let at = format!("{}:{}", host(url), url.port_u16().unwrap_or(default_port));
    AttemptError::transient(match error.kind() {
        io::ErrorKind::ConnectionRefused => format!(
            "connection refused: no server listens on {at}; start one, or name another with -address or SIGNET_ADDR"
        ),
        _ => format!("{at} cannot be reached: {error}; check -address or SIGNET_ADDR"),
    })
}

fn broken(url: &Uri, error: &hyper::Error) -> AttemptError {
    let reason = error.source();
    // hyper cancels a request that waits while its connection breaks; the cause is the source.
    if let Some(reason) = reason.and_then(|reason| reason.downcast_ref()) {
        return broken(url, reason);
    }
    if error.is_parse() || error.is_parse_version_h2() {
        return AttemptError::permanent(format!(
            "the server does not speak plain HTTP on this port: if it speaks TLS, write {}",
            with_tls(url)
        ));
    }
    // RFC 8446, section 4.4.2.4: a server can refuse the client's certificate when the client
    // has already completed the handshake.
    let inner = reason.and_then(|reason| reason.downcast_ref::<io::Error>()?.get_ref());
    match inner.and_then(|inner| inner.downcast_ref()) {
        Some(Error::AlertReceived(alert)) => AttemptError::permanent(alert_received(*alert)),
        _ => closed(url, error),
    }
}

fn closed(url: &Uri, error: &dyn std::error::Error) -> AttemptError {
    AttemptError::transient(if url.scheme_str() == Some("https") {
        format!("the server closed the connection ({error}): try again, and look at its log")
    } else {
        format!(
            "the server closed the connection ({error}): if it speaks TLS, write {}",
            with_tls(url)
        )
    })
}

fn handshake_failed(url: &Uri, error: &io::Error) -> String {
    match error.get_ref().and_then(|inner| inner.downcast_ref()) {
        Some(error) => handshake(url, error),
        None => {
            format!("TLS failed: {error}; if the server speaks plain HTTP, write {}", in_clear(url))
        }
    }
}

fn host(url: &Uri) -> &str {
    url.host().unwrap_or_default().trim_matches(['[', ']'])
}

/// The address of the same server with TLS.
fn with_tls(url: &Uri) -> String {
    format!("https://{}", url.authority().map_or("", |authority| authority.as_str()))
}

/// The address of the same server without TLS.
fn in_clear(url: &Uri) -> String {
    format!("http://{}", url.authority().map_or("", |authority| authority.as_str()))
}

fn handshake(url: &Uri, error: &Error) -> String {
    match error {
        Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            format!("the server answers plain HTTP on an https address: write {}", in_clear(url))
        }
        Error::InvalidCertificate(error) => certificate(host(url), error),
        Error::AlertReceived(alert) => alert_received(*alert),
        Error::PeerIncompatible(PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig)
        | Error::PeerIncompatible(PeerIncompatible::ServerDoesNotSupportTls12Or13) => {
            "the server speaks neither TLS 1.2 nor 1.3: enable one of them on the server".to_owned()
        }
        Error::PeerIncompatible(why) => format!(
            "the server and this client have no TLS version or algorithm in common ({why:?}): enable TLS 1.3 on the server"
        ),
        Error::NoCertificatesPresented => {
            "the server presents no certificate: set its tls_cert_file".to_owned()
        }
        Error::UnsupportedNameType => {
            "the name to expect is neither a DNS name nor an IP address: correct -tls-server-name"
                .to_owned()
        }
        Error::InvalidMessage(_) => format!(
            "the server does not speak TLS here: check port and address; if it speaks plain HTTP, write {}",
            in_clear(url)
        ),
        Error::General(why) => why.clone(),
        other => format!("TLS failed: {other}"),
    }
}

/// The server sent an alert; the usual cause is the client certificate.
fn alert_received(alert: AlertDescription) -> String {
    match alert {
        AlertDescription::CertificateRequired | AlertDescription::NoCertificate => {
            "the server asks for a client certificate: name one with -client-cert and -client-key"
                .to_owned()
        }
        AlertDescription::UnknownCA
        | AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateRevoked
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateUnknown
        | AlertDescription::AccessDenied => format!(
            "the server refuses the client certificate ({alert:?}): name one that its CA signed and that is valid now with -client-cert and -client-key"
        ),
        AlertDescription::ProtocolVersion | AlertDescription::InsufficientSecurity => {
            "the server accepts no TLS 1.2 or 1.3 algorithm of this client: check its TLS settings"
                .to_owned()
        }
        AlertDescription::UnrecognisedName => {
            "the server does not know the requested name: correct -address or -tls-server-name"
                .to_owned()
        }
        other => format!("the server ended the handshake ({other:?}): its log has the reason"),
    }
}

#[expect(deprecated, reason = "older variants that a verifier may still use")]
fn certificate(host: &str, error: &CertificateError) -> String {
    match error {
        CertificateError::UnknownIssuer => {
            "the server's certificate is signed by a CA that is not trusted here: name the CA's certificate with -ca-cert or SIGNET_CACERT; for a self-signed certificate, name that certificate".to_owned()
        }
        CertificateError::BadSignature => {
            "a trusted certificate has the name of the CA that signed the server's certificate, but another key: name the CA's present certificate with -ca-cert or SIGNET_CACERT".to_owned()
        }
        CertificateError::NotValidForName => {
            format!("the server's certificate is not for {host}: use a name of the certificate in -address, or name one with -tls-server-name")
        }
        CertificateError::NotValidForNameContext { expected, presented } => {
            not_for(&expected.to_str(), presented)
        }
        CertificateError::Expired => {
            "the server's certificate has expired: renew it on the server, and check this machine's clock".to_owned()
        }
        CertificateError::ExpiredContext { time, not_after } => format!(
            "the server's certificate expired {} ago: renew it on the server, and check this machine's clock",
            span(*not_after, *time)
        ),
        CertificateError::NotValidYet => {
            "the server's certificate is not valid yet: check this machine's clock".to_owned()
        }
        CertificateError::NotValidYetContext { time, not_before } => format!(
            "the server's certificate is not valid yet; it will be in {}: check this machine's clock",
            span(*time, *not_before)
        ),
        CertificateError::Revoked => {
            "the server's certificate is revoked: issue a new one for the server".to_owned()
        }
        CertificateError::UnknownRevocationStatus
        | CertificateError::ExpiredRevocationList
        | CertificateError::ExpiredRevocationListContext { .. }
        | CertificateError::InvalidOcspResponse => {
            "this client cannot tell whether the server's certificate is revoked: give the server a new certificate".to_owned()
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "the server's certificate is not for servers: issue one whose extended key usage holds serverAuth".to_owned()
        }
        CertificateError::BadEncoding => {
            "the server's certificate cannot be read: issue a new one for the server".to_owned()
        }
        CertificateError::UnhandledCriticalExtension => {
            "the server's certificate has a critical extension that this client does not know: issue one without it".to_owned()
        }
        CertificateError::UnsupportedSignatureAlgorithm
        | CertificateError::UnsupportedSignatureAlgorithmContext { .. }
        | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            "the server's certificate is signed by an algorithm that this client does not accept: issue one with ECDSA P-256, Ed25519 or RSA of 2048 bits or more, and SHA-256 or more".to_owned()
        }
        CertificateError::Other(other) => chain(&other.to_string()),
        _ => format!("the server's certificate is refused ({error:?}): issue a new one for the server"),
    }
}

/// Errors of a chain without a variant in rustls, which passes on the text of webpki.
fn chain(error: &str) -> String {
    let text = match error {
        "CaUsedAsEndEntity" => {
            "the server's certificate is a CA certificate and not the trusted one: name this certificate, tls_cert_file of the server, with -ca-cert or SIGNET_CACERT, or issue one without CA:TRUE"
        }
        "EndEntityUsedAsCa" => {
            "the server's certificate is signed by a certificate that is not a CA: have it signed by a CA, or name the server's own certificate with -ca-cert or SIGNET_CACERT"
        }
        "PathLenConstraintViolated" => {
            "the server's chain has more CAs than its root allows: issue the certificate from a CA nearer to the root"
        }
        "NameConstraintViolation" => {
            "the server's certificate holds a name that its CA may not certify: issue it from another CA"
        }
        "UnsupportedCertVersion" => {
            "the server's certificate, or one above it, is not X.509 version 3: issue a new one"
        }
        _ => {
            return format!(
                "the server's certificate or one above it is malformed ({error}): issue a new one for the server"
            );
        }
    };
    text.to_owned()
}

fn not_for(host: &str, presented: &[String]) -> String {
    if presented.is_empty() {
        return "the server's certificate holds no name in subjectAltName, and a common name does not count: issue one with it (openssl: -addext subjectAltName=DNS:localhost,IP:127.0.0.1)".to_owned();
    }
    // `DnsName("localhost")`, `IpAddress(127.0.0.1)`: the name is inside the brackets.
    let names: Vec<String> = presented
        .iter()
        .map(|name| {
            let inside = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
            let name = inside.unwrap_or(name).trim_matches('"');
            // The library writes ::1 as 0::1.
            name.parse().map_or_else(|_| name.to_owned(), |address: IpAddr| address.to_string())
        })
        .collect();
    format!(
        "the server's certificate is not for {host} but for {}: use one of these names in -address, or name one with -tls-server-name",
        names.join(", ")
    )
}

/// The time between two instants, in the largest unit that fits.
fn span(from: UnixTime, to: UnixTime) -> String {
    let seconds = to.as_secs().saturating_sub(from.as_secs());
    let (count, unit) = match seconds {
        0..120 => (seconds, "seconds"),
        120..7200 => (seconds / 60, "minutes"),
        7200..172_800 => (seconds / 3600, "hours"),
        _ => (seconds / 86_400, "days"),
    };
    format!("{count} {unit}")
}
