//! What a request did with a certificate, as typed values for the log and for audit devices.

use crate::ca::serial::{Serial, colon_hex};
use crate::ca::time::Timestamp;
use crate::engine::pki::Issuer;

/// A certificate that a request issued, signed or revoked. It holds no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateEvent {
    /// What was done.
    pub action: CertificateAction,
    /// The serial number in colon form, as in the answer.
    pub serial: String,
    /// The URI SANs with spaces between them; without one, the common name or the first DNS name.
    pub identity: String,
    /// The role that permitted it; empty on paths without a role.
    pub role: String,
    /// The name of the issuer that signed it, or its identifier if it has no name.
    pub issuer: String,
    /// The end of its validity.
    pub not_after: Timestamp,
}

/// What was done with a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateAction {
    /// Signet generated the key and issued the certificate.
    Issued,
    /// The key belongs to the sender of a CSR.
    Signed,
    /// It is revoked since this instant, which an earlier request may have set.
    Revoked(Timestamp),
}

impl CertificateEvent {
    /// A new certificate without a role.
    pub(super) fn new(
        action: CertificateAction,
        serial: Serial,
        identity: String,
        issuer: &Issuer,
        not_after: Timestamp,
    ) -> Self {
        let (serial, issuer) = (serial.to_string(), issuer.label());
        Self { action, serial, identity, role: String::new(), issuer, not_after }
    }

    /// An issuer that was revoked.
    pub(super) fn revoked_issuer(issuer: &Issuer, now: Timestamp) -> Self {
        let certificate = &issuer.certificate;
        Self {
            action: CertificateAction::Revoked(issuer.revoked.unwrap_or(now)),
            serial: colon_hex(certificate.serial()),
            identity: certificate.common_name().to_owned(),
            role: String::new(),
            issuer: issuer.label(),
            not_after: certificate.not_after(),
        }
    }
}
