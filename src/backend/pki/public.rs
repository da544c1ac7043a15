//! What needs no token: certificates, chains, revocation lists.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use data_encoding::BASE64URL_NOPAD;
use http::StatusCode;

use crate::backend::call::Call;
use crate::backend::response::{PublicFile, Response, Stability};
use crate::ca::certificate::Certificate;
use crate::ca::pem;
use crate::ca::time::Timestamp;
use crate::engine::Failure;
use crate::engine::pki::certificates::StoredCertificate;
use crate::engine::pki::crl::SignedCrl;
use crate::engine::pki::{Issuer, Pki};
use crate::wire::pki::{CertificateAnswer, CrlAnswer, PublicIssuerAnswer};

use super::issuers::{reference, with_newline, with_newlines};

pub(super) const PKIX_CERT: &str = "application/pkix-cert";
pub(super) const PEM_CHAIN: &str = "application/pem-certificate-chain";
pub(super) const PKIX_CRL: &str = "application/pkix-crl";
pub(super) const PEM_FILE: &str = "application/x-pem-file";

/// The form of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileForm {
    Der,
    Pem,
}

/// A file that another one may replace. When it did is not known: a certificate that an operator chooses may
/// be older than the one before it, so its notBefore does not say when the file changed.
fn replaceable(media: &'static str, body: Bytes) -> Response {
    let tag = tag_of(&body);
    let stability = Stability::Replaceable;
    Response::File(PublicFile { media, body, tag, changed: None, stability })
}

fn tag_of(body: &[u8]) -> String {
    BASE64URL_NOPAD.encode(digest(&SHA256, body).as_ref())
}

/// Nothing to serve is 204. A read error must not become 204: a client that takes an empty answer as
/// "nothing revoked" would accept revoked certificates.
fn if_there<T>(found: Result<T, Failure>) -> Result<Option<T>, Failure> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(Failure::Internal(_) | Failure::Sealed | Failure::Busy | Failure::Conflict) => {
            found.map(Some)
        }
        Err(_) => Ok(None),
    }
}

/// A certificate in a raw form: media type and bytes.
fn encoded(der: &[u8], form: FileForm) -> (&'static str, Bytes) {
    match form {
        FileForm::Der => (PKIX_CERT, Bytes::copy_from_slice(der)),
        FileForm::Pem => (PEM_CHAIN, pem::encode(pem::CERTIFICATE, der).into()),
    }
}

/// A list changes when the next one is signed. Its forms are functions of its DER, so the tag of each is the
/// digest of the DER with a suffix.
fn list_file(list: &SignedCrl, form: FileForm, with_line_end: bool) -> Response {
    let (media, body, suffix) = match (form, with_line_end) {
        (FileForm::Der, _) => (PKIX_CRL, list.der(), ""),
        (FileForm::Pem, true) => (PEM_FILE, list.pem_line(), "-pem-line"),
        (FileForm::Pem, false) => (PEM_FILE, list.pem(), "-pem"),
    };
    let this_update = Timestamp::from_unix(list.this_update());
    let next_update = Timestamp::from_unix(list.next_update());
    Response::File(PublicFile {
        media,
        body,
        tag: format!("{}{suffix}", BASE64URL_NOPAD.encode(list.digest())),
        changed: Some(this_update),
        stability: Stability::List { this_update, next_update },
    })
}

/// 204: there is nothing to serve.
const fn nothing() -> Response {
    Response::Status(StatusCode::NO_CONTENT)
}

async fn default_issuer(pki: &Pki) -> Result<Arc<Issuer>, Failure> {
    let ca_state = pki.read_ca_state().await?;
    let issuer = ca_state.issuer("default");
    issuer.cloned().map_err(|unknown| Failure::refused(unknown.to_string()))
}

/// `ca`, `ca/pem`, `cert/ca/raw`
pub(super) async fn ca(pki: Arc<Pki>, _call: Call, form: FileForm) -> Result<Response, Failure> {
    let Some(issuer) = if_there(default_issuer(&pki).await)? else { return Ok(nothing()) };
    let (media, body) = encoded(issuer.certificate.der(), form);
    Ok(replaceable(media, body))
}

/// `ca_chain`
pub(super) async fn ca_chain(pki: Arc<Pki>, _call: Call) -> Result<Response, Failure> {
    let ca_state = pki.read_ca_state().await?;
    let Ok(issuer) = ca_state.issuer("default") else { return Ok(nothing()) };
    Ok(replaceable(PKIX_CERT, issuer.chain_pem().join("\n").into()))
}

/// `crl`, `crl/pem`
pub(super) async fn crl(pki: Arc<Pki>, call: Call, form: FileForm) -> Result<Response, Failure> {
    let list = if_there(pki.crl("default", call.now).await)?.flatten();
    Ok(list.map_or_else(nothing, |list| list_file(&list, form, false)))
}

/// `cert/:serial/raw`
pub(super) async fn certificate_raw(
    pki: Arc<Pki>,
    call: Call,
    form: FileForm,
) -> Result<Response, Failure> {
    let found = pki.read_certificate(call.captures.get("serial")).await;
    let Some(StoredCertificate { der, .. }) = if_there(found)? else { return Ok(nothing()) };
    let (media, body) = encoded(&der, form);
    let changed = Certificate::parse(der).ok().map(|certificate| certificate.not_before());
    let tag = tag_of(&body);
    Ok(Response::File(PublicFile { media, body, tag, changed, stability: Stability::Fixed }))
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
        issuer_id: revoked.map(|_| issuer.to_string()),
        ..of_pem(pem::encode(pem::CERTIFICATE, &der))
    }))
}

/// `issuer/:ref/json`
pub(super) async fn issuer_json(pki: Arc<Pki>, call: Call) -> Result<Response, Failure> {
    let ca_state = pki.read_ca_state().await?;
    let issuer = ca_state.issuer(&reference(&call))?;
    Ok(Response::data(PublicIssuerAnswer {
        ca_chain: with_newlines(issuer),
        certificate: with_newline(issuer.certificate.der()),
        issuer_id: issuer.id.to_string(),
        issuer_name: issuer.record.name.clone(),
    }))
}

/// `issuer/:ref/der`, `issuer/:ref/pem`
pub(super) async fn issuer_raw(
    pki: Arc<Pki>,
    call: Call,
    form: FileForm,
) -> Result<Response, Failure> {
    let ca_state = pki.read_ca_state().await?;
    let certificate: &Certificate = &ca_state.issuer(&reference(&call))?.certificate;
    Ok(match form {
        FileForm::Der => replaceable(PKIX_CERT, Bytes::copy_from_slice(certificate.der())),
        FileForm::Pem => replaceable(PEM_CHAIN, with_newline(certificate.der()).into()),
    })
}

/// `issuer/:ref/crl`
pub(super) async fn issuer_crl_json(pki: Arc<Pki>, call: Call) -> Result<Response, Failure> {
    let list = list_of(&pki, &reference(&call), call.now).await?;
    Ok(Response::data(CrlAnswer { crl: text(&list.pem_line()) }))
}

/// `issuer/:ref/crl/der`, `issuer/:ref/crl/pem`
pub(super) async fn issuer_crl(
    pki: Arc<Pki>,
    call: Call,
    form: FileForm,
) -> Result<Response, Failure> {
    let list = list_of(&pki, &reference(&call), call.now).await?;
    Ok(list_file(&list, form, true))
}

/// The list of an issuer, which must have one: an empty answer cannot be decoded.
async fn list_of(pki: &Pki, reference: &str, now: Timestamp) -> Result<Arc<SignedCrl>, Failure> {
    if let Some(list) = pki.crl(reference, now).await? {
        return Ok(list);
    }
    let ca_state = pki.read_ca_state().await?;
    let id = ca_state.issuer(reference)?.id.to_string();
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
