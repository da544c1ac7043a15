//! What needs no token: certificates, chains, CRLs (pki-api chapter 10).

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use serde_json::json;

use crate::ca::pem;
use crate::engine::Failure;
use crate::engine::identifier::format_uuid;
use crate::engine::pki::Pki;
use crate::engine::pki::certificates::StoredCertificate;
use crate::engine::pki::crl::List;
use crate::http::call::{Call, Operation};
use crate::http::reply::Reply;

use super::issuer::{list, with_newline, with_newlines};
use super::route::Route;

const PKIX_CERT: &str = "application/pkix-cert";
const PEM_CHAIN: &str = "application/pem-certificate-chain";
const PKIX_CRL: &str = "application/pkix-crl";
const PEM_FILE: &str = "application/x-pem-file";

/// Answers without a token.
///
/// # Errors
/// Unknown serial numbers and references; the raw forms answer 204 instead.
pub async fn public(pki: &Pki, route: &Route, call: &Call) -> Result<Reply, Failure> {
    if *route == Route::Issuers {
        return list(pki).await;
    }
    if call.operation != Operation::Read {
        return Err(Failure::UnsupportedOperation);
    }
    match route {
        Route::IssuerRaw(reference, form) => issuer(pki, reference, form).await,
        Route::IssuerCrl(reference, form) => {
            issuer_crl(pki, reference, form.as_deref(), call).await
        }
        Route::Certificate(serial, None) => match serial.as_str() {
            "ca" => authority_json(pki).await,
            "ca_chain" => chain_json(pki).await,
            "crl" => crl_json(pki, call).await,
            _ => certificate_json(pki, serial).await,
        },
        Route::Certificate(serial, Some(form)) => {
            let found = if serial == "ca" {
                default_certificate(pki).await
            } else {
                pki.read_certificate(serial).await.map(|stored| stored.der)
            };
            raw_certificate(found, form == "pem")
        }
        Route::Authority(form) => raw_certificate(default_certificate(pki).await, form.is_some()),
        Route::AuthorityChain => {
            let authorities = pki.read_authorities().await?;
            let chain = authorities.issuer("default").map(|issuer| issuer.chain_pem.join("\n"));
            Ok(raw(PKIX_CERT, chain.ok().map(Bytes::from)))
        }
        Route::Crl(form) => {
            let list = if_there(pki.crl("default", call.now).await)?.flatten();
            Ok(match form {
                None => raw(PKIX_CRL, list.map(|list| list.der())),
                Some(_) => raw(PEM_FILE, list.map(|list| list.pem())),
            })
        }
        _ => Err(Failure::UnsupportedPath),
    }
}

fn raw(content_type: &'static str, body: Option<Bytes>) -> Reply {
    let status = if body.is_some() { StatusCode::OK } else { StatusCode::NO_CONTENT };
    Reply::Raw(status, content_type, body.unwrap_or_default())
}

/// Nothing to serve is 204 (pki-api 10.2). That it could not be looked up is not nothing: who takes
/// an empty answer for "no list" would let the revoked in.
fn if_there<T>(found: Result<T, Failure>) -> Result<Option<T>, Failure> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(Failure::Fault(_) | Failure::Sealed | Failure::Busy | Failure::Conflict) => {
            found.map(Some)
        }
        Err(_) => Ok(None),
    }
}

fn raw_certificate(found: Result<Vec<u8>, Failure>, as_pem: bool) -> Result<Reply, Failure> {
    let der = if_there(found)?;
    Ok(if as_pem {
        raw(PEM_CHAIN, der.map(|der| pem::encode("CERTIFICATE", &der).into()))
    } else {
        raw(PKIX_CERT, der.map(Bytes::from))
    })
}

async fn issuer(pki: &Pki, reference: &str, form: &str) -> Result<Reply, Failure> {
    let authorities = pki.read_authorities().await?;
    let issuer = authorities.issuer(reference)?;
    let der = issuer.certificate.der();
    Ok(match form {
        "der" => raw(PKIX_CERT, Some(Bytes::copy_from_slice(der))),
        "pem" => raw(PEM_CHAIN, Some(with_newline(der).into())),
        _ => Reply::data(json!({
            "ca_chain": with_newlines(&issuer.chain_pem),
            "certificate": with_newline(der),
            "issuer_id": format_uuid(&issuer.id),
            "issuer_name": issuer.record.name,
        })),
    })
}

async fn issuer_crl(
    pki: &Pki,
    reference: &str,
    form: Option<&str>,
    call: &Call,
) -> Result<Reply, Failure> {
    let list = list_of(pki, reference, call).await?;
    Ok(match form {
        Some("pem") => raw(PEM_FILE, Some(list.pem_line())),
        Some(_) => raw(PKIX_CRL, Some(list.der())),
        None => Reply::data(json!({ "crl": text(&list.pem_line()) })),
    })
}

/// The list of an issuer, which must have one: an empty answer in its place is read as a fault of
/// the encoding.
async fn list_of(pki: &Pki, reference: &str, call: &Call) -> Result<Arc<List>, Failure> {
    if let Some(list) = pki.crl(reference, call.now).await? {
        return Ok(list);
    }
    let authorities = pki.read_authorities().await?;
    let id = format_uuid(&authorities.issuer(reference)?.id);
    Err(Failure::Absent(format!("unable to find CRL for issuer: id:{id}/ref:{reference}")))
}

/// PEM is ASCII.
fn text(pem: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(pem)
}

async fn default_certificate(pki: &Pki) -> Result<Vec<u8>, Failure> {
    let authorities = pki.read_authorities().await?;
    let issuer =
        authorities.issuer("default").map_err(|unknown| Failure::refused(unknown.to_string()))?;
    Ok(issuer.certificate.der().to_vec())
}

async fn authority_json(pki: &Pki) -> Result<Reply, Failure> {
    let der = default_certificate(pki).await?;
    Ok(Reply::data(json!({
        "certificate": pem::encode("CERTIFICATE", &der),
        "revocation_time": 0,
        "revocation_time_rfc3339": "",
    })))
}

async fn chain_json(pki: &Pki) -> Result<Reply, Failure> {
    let authorities = pki.read_authorities().await?;
    let issuer =
        authorities.issuer("default").map_err(|unknown| Failure::refused(unknown.to_string()))?;
    let chain = issuer.chain_pem.join("\n");
    Ok(Reply::data(json!({
        "ca_chain": chain,
        "certificate": chain,
        "revocation_time": 0,
        "revocation_time_rfc3339": "",
    })))
}

async fn crl_json(pki: &Pki, call: &Call) -> Result<Reply, Failure> {
    let list = list_of(pki, "default", call).await?;
    Ok(Reply::data(json!({
        "certificate": text(&list.pem()),
        "revocation_time": 0,
        "revocation_time_rfc3339": "",
    })))
}

async fn certificate_json(pki: &Pki, serial: &str) -> Result<Reply, Failure> {
    let StoredCertificate { der, issuer, revoked } = pki.read_certificate(serial).await?;
    let mut data = json!({
        "certificate": pem::encode("CERTIFICATE", &der),
        "revocation_time": revoked.map_or(0, |at| at.unix()),
        "revocation_time_rfc3339": revoked.map(|at| at.to_string()).unwrap_or_default(),
    });
    if let (Some(_), Some(members)) = (revoked, data.as_object_mut()) {
        members.insert("issuer_id".to_owned(), format_uuid(&issuer).into());
    }
    Ok(Reply::data(data))
}
