//! Issuers and keys.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::backend::call::Call;
use crate::backend::call::params;
use crate::backend::event::CertificateEvent;
use crate::backend::response::Response;
use crate::ca::pem;
use crate::ca::serial::{colon_hex, colon_hex_whole};
use crate::engine::Failure;
use crate::engine::pki::issuers::IssuerChange;
use crate::engine::pki::{Issuer, Pki};
use crate::wire::pki::{IssuerAnswer, IssuerInfo, KeyAnswer, KeyInfo};

params! {
    /// The settings of an issuer.
    pub(super) struct IssuerParams {
        /// Name of the issuer.
        issuer_name: Option<String>,
        /// What happens to leaves that would outlive it: `err`, `truncate`, `permit` or `always_enforce_err`.
        leaf_not_after_behavior: Option<String>,
        /// Chain set by hand: identifiers or names, the issuer first.
        manual_chain: Option<Vec<String>>,
        /// What it may do: `read-only`, `issuing-certificates`, `crl-signing`, `ocsp-signing`.
        usage: Option<Vec<String>>,
        /// Algorithm of the signatures on its revocation lists.
        revocation_signature_algorithm: Option<String>,
        /// URLs of its certificate.
        issuing_certificates: Option<Vec<String>>,
        /// URLs of its revocation list.
        crl_distribution_points: Option<Vec<String>>,
        /// URLs of its delta revocation list.
        delta_crl_distribution_points: Option<Vec<String>>,
        /// URLs of its OCSP responder.
        ocsp_servers: Option<Vec<String>>,
        /// The URLs are templates.
        enable_aia_url_templating: Option<bool>,
    }
}

const W_PSS: &str = "Issuer uses a PSS Revocation Signature Algorithm. This algorithm will be downgraded to PKCS#1v1.5 signature scheme on OCSP responses, due to limitations in the OCSP library.";

/// The reference of the path.
pub(super) fn reference(call: &Call) -> String {
    call.captures.get("issuer_ref").to_owned()
}

pub(super) async fn read(pki: Arc<Pki>, call: Call) -> Result<Response, Failure> {
    let ca_state = pki.read_ca_state().await?;
    Ok(described(ca_state.issuer(&reference(&call))?, Vec::new()))
}

pub(super) async fn delete(pki: Arc<Pki>, call: Call) -> Result<Response, Failure> {
    Ok(Response::done(pki.delete_issuer(&reference(&call), call.now).await?).or_null())
}

/// POST replaces: what is not sent goes back to its default.
pub(super) async fn replace(pki: Arc<Pki>, mut call: Call) -> Result<Response, Failure> {
    let change = replaced(change(call.read()));
    changed(&pki, &call, &change).await
}

/// PATCH keeps what is not sent.
pub(super) async fn patch(pki: Arc<Pki>, mut call: Call) -> Result<Response, Failure> {
    let change = change(call.read());
    changed(&pki, &call, &change).await
}

async fn changed(pki: &Pki, call: &Call, change: &IssuerChange) -> Result<Response, Failure> {
    let (issuer, _, warnings) = pki.change_issuer(&reference(call), change).await?;
    Ok(described(&issuer, warnings).warned(call.warnings()))
}

pub(super) async fn revoke(pki: Arc<Pki>, call: Call) -> Result<Response, Failure> {
    let (issuer, warnings) = pki.revoke_issuer(&reference(&call), call.now).await?;
    let event = CertificateEvent::revoked_issuer(&issuer, call.now);
    Ok(described(&issuer, warnings).warned(call.warnings()).with_event(event))
}

fn change(sent: IssuerParams) -> IssuerChange {
    IssuerChange {
        name: sent.issuer_name,
        leaf_not_after_behavior: sent.leaf_not_after_behavior,
        manual_chain: sent.manual_chain,
        usage: sent.usage,
        revocation_signature_algorithm: sent.revocation_signature_algorithm,
        issuing_certificates: sent.issuing_certificates,
        crl_distribution_points: sent.crl_distribution_points,
        delta_crl_distribution_points: sent.delta_crl_distribution_points,
        ocsp_servers: sent.ocsp_servers,
        templating: sent.enable_aia_url_templating,
    }
}

fn replaced(change: IssuerChange) -> IssuerChange {
    let all = ["read-only", "issuing-certificates", "crl-signing", "ocsp-signing"];
    IssuerChange {
        name: change.name.or_else(|| Some(String::new())),
        leaf_not_after_behavior: change.leaf_not_after_behavior.or_else(|| Some("err".to_owned())),
        manual_chain: change.manual_chain.or_else(|| Some(Vec::new())),
        usage: change.usage.or_else(|| Some(all.map(str::to_owned).to_vec())),
        revocation_signature_algorithm: change
            .revocation_signature_algorithm
            .or_else(|| Some(String::new())),
        issuing_certificates: change.issuing_certificates.or_else(|| Some(Vec::new())),
        crl_distribution_points: change.crl_distribution_points.or_else(|| Some(Vec::new())),
        delta_crl_distribution_points: change
            .delta_crl_distribution_points
            .or_else(|| Some(Vec::new())),
        ocsp_servers: change.ocsp_servers.or_else(|| Some(Vec::new())),
        templating: change.templating.or(Some(false)),
    }
}

fn described(issuer: &Issuer, mut warnings: Vec<String>) -> Response {
    let record = &issuer.record;
    if record.revocation_signature_algorithm.ends_with("PSS") {
        warnings.push(W_PSS.to_owned());
    }
    let manual: Vec<_> = record.manual_chain.iter().map(ToString::to_string).collect();
    let urls = &record.urls;
    let answer = IssuerAnswer {
        ca_chain: with_newlines(issuer),
        certificate: with_newline(&record.certificate),
        crl_distribution_points: urls.crl_distribution_points.clone(),
        delta_crl_distribution_points: urls.delta_crl_distribution_points.clone(),
        enable_aia_url_templating: urls.is_configured().then_some(urls.templating),
        issuer_id: issuer.id.to_string(),
        issuer_name: record.name.clone(),
        issuing_certificates: urls.issuing_certificates.clone(),
        key_id: record.key.as_ref().map(ToString::to_string).unwrap_or_default(),
        leaf_not_after_behavior: record.leaf_not_after_behavior.clone(),
        manual_chain: (!manual.is_empty()).then_some(manual),
        ocsp_servers: urls.ocsp_servers.clone(),
        revocation_signature_algorithm: record.revocation_signature_algorithm.clone(),
        revoked: issuer.revoked.is_some(),
        revocation_time: issuer.revoked.map(|at| at.unix()),
        revocation_time_rfc3339: issuer.revoked.map(|at| at.to_string()),
        usage: issuer.usages(),
    };
    Response::with_warnings(answer, warnings)
}

/// PEM with a newline at its end, as these paths answer.
pub(super) fn with_newline(der: &[u8]) -> String {
    let mut text = pem::encode(pem::CERTIFICATE, der);
    text.push('\n');
    text
}

pub(super) fn with_newlines(issuer: &Issuer) -> Vec<String> {
    issuer.chain_der.iter().map(|der| with_newline(der)).collect()
}

pub(super) async fn list(pki: Arc<Pki>, _call: Call) -> Result<Response, Failure> {
    let ca_state = pki.read_ca_state().await?;
    let keys: Vec<_> = ca_state.issuers.keys().map(ToString::to_string).collect();
    let of = |issuer: &Arc<Issuer>| {
        let info = IssuerInfo {
            is_default: ca_state.defaults.issuer == Some(issuer.id),
            issuer_name: issuer.record.name.clone(),
            key_id: issuer.record.key.as_ref().map(ToString::to_string).unwrap_or_default(),
            serial_number: colon_hex(issuer.certificate.serial()),
        };
        (issuer.id.to_string(), info)
    };
    let info: BTreeMap<String, IssuerInfo> = ca_state.issuers.values().map(of).collect();
    Response::keys_with(keys, Some(info))
}

pub(super) async fn list_keys(pki: Arc<Pki>, _call: Call) -> Result<Response, Failure> {
    let ca_state = pki.read_ca_state().await?;
    let keys: Vec<_> = ca_state.keys.keys().map(ToString::to_string).collect();
    let default = ca_state.defaults.key;
    let info = ca_state.keys.iter().map(|(id, entry)| {
        let is_default = default == Some(*id);
        (id.to_string(), KeyInfo { is_default, key_name: entry.name.clone() })
    });
    let info: BTreeMap<String, KeyInfo> = info.collect();
    Response::keys_with(keys, Some(info))
}

pub(super) async fn read_key(pki: Arc<Pki>, call: Call) -> Result<Response, Failure> {
    let ca_state = pki.read_ca_state().await?;
    let (id, entry) = ca_state.key(call.captures.get("key_ref"))?;
    Ok(Response::data(KeyAnswer {
        key_id: id.to_string(),
        key_name: entry.name.clone(),
        key_type: entry.key.kind().as_str().to_owned(),
        subject_key_id: colon_hex_whole(&entry.key.public().key_identifier()),
    }))
}

pub(super) async fn delete_key(pki: Arc<Pki>, call: Call) -> Result<Response, Failure> {
    Ok(Response::done(pki.delete_key(call.captures.get("key_ref"), call.now).await?))
}
