//! `revoke`, `crl/rotate`, `certs`.

use crate::backend::call::Call;
use crate::backend::call::params;
use crate::backend::event::{CertificateAction, CertificateEvent};
use crate::backend::response::Response;
use crate::engine::Failure;
use crate::engine::pki::Pki;
use crate::engine::pki::revoke::{Revocation, RevokeRequest, Revoked};
use crate::wire::pki::{RevokedAnswer, RotatedAnswer};
use std::sync::Arc;

params! {
    /// The certificate to revoke, in one of two ways.
    pub(super) struct Revoke {
        /// Serial number in hexadecimal, with or without separators.
        serial_number: Option<String>,
        /// The certificate, PEM.
        certificate: Option<String>,
    }
}

pub(super) async fn revoke(pki: Arc<Pki>, mut call: Call) -> Result<Response, Failure> {
    let Revoke { serial_number, certificate } = call.read();
    let request = match (serial_number, certificate) {
        (Some(_), Some(_)) => {
            return Err(Failure::refused(
                "Must provide either the certificate or the serial to revoke; not both.",
            ));
        }
        (None, None) => {
            return Err(Failure::refused(
                "The serial number or certificate to revoke must be provided.",
            ));
        }
        (Some(serial), None) if serial.is_empty() => {
            return Err(Failure::refused("The serial number must be provided"));
        }
        (Some(serial), None) => RevokeRequest::Serial(serial),
        (None, Some(certificate)) => RevokeRequest::Certificate(certificate),
    };
    let Revoked { outcome, serial, identity, issuer, not_after, warnings } =
        pki.revoke(&request, call.now).await?;
    Ok(match outcome {
        Revocation::Revoked(at) => {
            let answer = RevokedAnswer {
                revocation_time: at.unix(),
                revocation_time_rfc3339: at.to_string(),
                state: "revoked".to_owned(),
            };
            let event = CertificateEvent {
                action: CertificateAction::Revoked(at),
                serial,
                identity,
                role: String::new(),
                issuer,
                not_after,
            };
            Response::with_warnings(answer, warnings).warned(call.warnings()).with_event(event)
        }
        Revocation::Expired => Response::done(vec![format!(
            "certificate with serial {serial} already expired; refusing to add to CRL"
        )]),
    })
}

pub(super) async fn rotate_crl(pki: Arc<Pki>, call: Call) -> Result<Response, Failure> {
    let warnings = pki.rotate_crls(call.now).await?;
    Ok(Response::with_warnings(RotatedAnswer { success: true }, warnings))
}

pub(super) async fn list_certificates(pki: Arc<Pki>, _call: Call) -> Result<Response, Failure> {
    Response::long_list(pki.list_certificates()).await
}
