//! What needs no token: certificates, chains, revocation lists.

use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;

use crate::backend::call::Call;
use crate::backend::response::{PublicFile, Response};
use crate::ca::certificate::Certificate;
use crate::ca::pem;
use crate::ca::time::Timestamp;
use crate::engine::Failure;
use crate::engine::identifier::format_uuid;
use crate::engine::pki::certificates::StoredCertificate;
use crate::engine::pki::crl::List;
use crate::engine::pki::{Issuer, Pki};
use crate::wire::pki::{CertificateAnswer, CrlAnswer, PublicIssuerAnswer};

use super::issuers::{reference, with_newline, with_newlines};

const PKIX_CERT: &str = "application/pkix-cert";
const PEM_CHAIN: &str = "application/pem-certificate-chain";
const PKIX_CRL: &str = "application/pkix-crl";
const PEM_FILE: &str = "application/x-pem-file";

/// The form of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Der,
    Pem,
}

/// A file, or 204 where there is nothing to serve.
fn file(media: &'static str, file: Option<(Bytes, Option<Validity>)>) -> Response {
    let Some((body, validity)) = file else { return Response::Status(StatusCode::NO_CONTENT) };
    let (changed, fresh_until) = match validity {
        Some(Validity { changed, fresh_until }) => (Some(changed), fresh_until),
        None => (None, None),
    };
    Response::File(PublicFile { media, body, changed, fresh_until })
}

/// Since when a file is what it is, and how long a cache may keep it.
#[derive(Clone, Copy, Debug)]
struct Validity {
    changed: Timestamp,
    fresh_until: Option<Timestamp>,
}

/// Nothing to serve is 204. A read error must not become 204: a client that takes an empty answer as
/// "nothing revoked" would accept revoked certificates.
fn if_there<T>(found: Result<T, Failure>) -> Result<Option<T>, Failure> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(Failure::Fault(_) | Failure::Sealed | Failure::Busy | Failure::Conflict) => {
            found.map(Some)
        }
        Err(_) => Ok(None),
    }
}

fn certificate_file(found: Result<Vec<u8>, Failure>, form: Form) -> Result<Response, Failure> {
    let der = if_there(found)?;
    Ok(match form {
        Form::Pem => {
            let pem = |der: Vec<u8>| (Bytes::from(pem::encode(pem::CERTIFICATE, &der)), None);
            file(PEM_CHAIN, der.map(pem))
        }
        Form::Der => file(PKIX_CERT, der.map(|der| (Bytes::from(der), None))),
    })
}

/// A list changes when the next one is signed, and is not to be kept longer than it is valid.
fn list_file(list: &List, form: Form, with_line_end: bool) -> Response {
    let validity = Validity {
        changed: Timestamp::from_unix(list.this_update()),
        fresh_until: Some(Timestamp::from_unix(list.next_update())),
    };
    match (form, with_line_end) {
        (Form::Der, _) => file(PKIX_CRL, Some((list.der(), Some(validity)))),
        (Form::Pem, true) => file(PEM_FILE, Some((list.pem_line(), Some(validity)))),
        (Form::Pem, false) => file(PEM_FILE, Some((list.pem(), Some(validity)))),
    }
}

async fn default_issuer(pki: &Pki) -> Result<Arc<Issuer>, Failure> {
    let authorities = pki.read_authorities().await?;
    let issuer = authorities.issuer("default");
    issuer.cloned().map_err(|unknown| Failure::refused(unknown.to_string()))
}

/// `ca`, `ca/pem`, `cert/ca/raw`
pub(super) async fn ca(pki: Arc<Pki>, _call: Call, form: Form) -> Result<Response, Failure> {
    let der = default_issuer(&pki).await.map(|issuer| issuer.certificate.der().to_vec());
    certificate_file(der, form)
}

/// `ca_chain`
pub(super) async fn ca_chain(pki: Arc<Pki>, _call: Call) -> Result<Response, Failure> {
    let authorities = pki.read_authorities().await?;
    let chain = authorities.issuer("default").map(|issuer| issuer.chain_pem().join("\n"));
    Ok(file(PKIX_CERT, chain.ok().map(|chain| (Bytes::from(chain), None))))
}

/// `crl`, `crl/pem`
pub(super) async fn crl(pki: Arc<Pki>, call: Call, form: Form) -> Result<Response, Failure> {
    let list = if_there(pki.crl("default", call.now).await)?.flatten();
    Ok(match list {
        Some(list) => list_file(&list, form, false),
        None => Response::Status(StatusCode::NO_CONTENT),
    })
}

/// `cert/:serial/raw`
pub(super) async fn certificate_raw(
    pki: Arc<Pki>,
    call: Call,
    form: Form,
) -> Result<Response, Failure> {
    let found = pki.read_certificate(call.captures.get("serial")).await;
    certificate_file(found.map(|stored| stored.der), form)
}

/// `cert/ca`
pub(super) async fn ca_json(pki: Arc<Pki>, _call: Call) -> Result<Response, Failure> {
    let issuer = default_issuer(&pki).await?;
    let pem = pem::encode(pem::CERTIFICATE, issuer.certificate.der());
    Ok(Response::data(of_pem(pem)))
}

/// `cert/ca_chain`
pub(super) async fn ca_chain_json(pki: Arc<Pki>, _call: Call) -> Result<Response, Failure> {
    let chain = default_issuer(&pki).await?.chain_pem().join("\n");
    let ca_chain = Some(chain.clone());
    Ok(Response::data(CertificateAnswer { ca_chain, ..of_pem(chain) }))
}

/// `cert/crl`
pub(super) async fn crl_json(pki: Arc<Pki>, call: Call) -> Result<Response, Failure> {
    let list = list_of(&pki, "default", call.now).await?;
    Ok(Response::data(of_pem(text(&list.pem()))))
}

/// `cert/:serial`
pub(super) async fn certificate_json(pki: Arc<Pki>, call: Call) -> Result<Response, Failure> {
    let StoredCertificate { der, issuer, revoked } =
        pki.read_certificate(call.captures.get("serial")).await?;
    Ok(Response::data(CertificateAnswer {
        revocation_time: revoked.map_or(0, |at| at.unix()),
        revocation_time_rfc3339: revoked.map(|at| at.to_string()).unwrap_or_default(),
        issuer_id: revoked.map(|_| format_uuid(&issuer)),
        ..of_pem(pem::encode(pem::CERTIFICATE, &der))
    }))
}

/// `issuer/:ref/json`
pub(super) async fn issuer_json(pki: Arc<Pki>, call: Call) -> Result<Response, Failure> {
    let authorities = pki.read_authorities().await?;
    let issuer = authorities.issuer(&reference(&call))?;
    Ok(Response::data(PublicIssuerAnswer {
        ca_chain: with_newlines(issuer),
        certificate: with_newline(issuer.certificate.der()),
        issuer_id: format_uuid(&issuer.id),
        issuer_name: issuer.record.name.clone(),
    }))
}

/// `issuer/:ref/der`, `issuer/:ref/pem`
pub(super) async fn issuer_raw(pki: Arc<Pki>, call: Call, form: Form) -> Result<Response, Failure> {
    let authorities = pki.read_authorities().await?;
    let certificate: &Certificate = &authorities.issuer(&reference(&call))?.certificate;
    Ok(match form {
        Form::Der => file(PKIX_CERT, Some((Bytes::copy_from_slice(certificate.der()), None))),
        Form::Pem => file(PEM_CHAIN, Some((with_newline(certificate.der()).into(), None))),
    })
}

/// `issuer/:ref/crl`
pub(super) async fn issuer_crl_json(pki: Arc<Pki>, call: Call) -> Result<Response, Failure> {
    let list = list_of(&pki, &reference(&call), call.now).await?;
    Ok(Response::data(CrlAnswer { crl: text(&list.pem_line()) }))
}

/// `issuer/:ref/crl/der`, `issuer/:ref/crl/pem`
pub(super) async fn issuer_crl(pki: Arc<Pki>, call: Call, form: Form) -> Result<Response, Failure> {
    let list = list_of(&pki, &reference(&call), call.now).await?;
    Ok(list_file(&list, form, true))
}

/// The list of an issuer, which must have one: an empty answer in its place cannot be decoded.
async fn list_of(pki: &Pki, reference: &str, now: Timestamp) -> Result<Arc<List>, Failure> {
    if let Some(list) = pki.crl(reference, now).await? {
        return Ok(list);
    }
    let authorities = pki.read_authorities().await?;
    let id = format_uuid(&authorities.issuer(reference)?.id);
    Err(Failure::Absent(format!("unable to find CRL for issuer: id:{id}/ref:{reference}")))
}

/// A certificate that is not revoked.
fn of_pem(certificate: String) -> CertificateAnswer {
    CertificateAnswer { certificate, ..CertificateAnswer::default() }
}

/// PEM is ASCII.
fn text(pem: &[u8]) -> String {
    String::from_utf8_lossy(pem).into_owned()
}
