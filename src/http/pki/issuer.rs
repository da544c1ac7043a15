//! Issuers and keys as JSON (pki-api chapters 6 and 7).

use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::ca::pem;
use crate::engine::Failure;
use crate::engine::identifier::format_uuid;
use crate::engine::pki::issuers::IssuerChange;
use crate::engine::pki::{Issuer, Pki};
use crate::http::call::{Call, Operation};
use crate::http::fields::{Kind, Schema};
use crate::http::reply::Reply;

use super::route::fields;

const SCHEMA: Schema = &[
    ("issuer_name", Kind::Text),
    ("leaf_not_after_behavior", Kind::Text),
    ("manual_chain", Kind::Words),
    ("usage", Kind::Words),
    ("revocation_signature_algorithm", Kind::Text),
    ("issuing_certificates", Kind::Words),
    ("crl_distribution_points", Kind::Words),
    ("delta_crl_distribution_points", Kind::Words),
    ("ocsp_servers", Kind::Words),
    ("enable_aia_url_templating", Kind::Flag),
];

const W_PSS: &str = "Issuer uses a PSS Revocation Signature Algorithm. This algorithm will be downgraded to PKCS#1v1.5 signature scheme on OCSP responses, due to limitations in the OCSP library.";

pub(super) async fn dispatch(
    pki: &Pki,
    reference: &str,
    operation: Operation,
    call: &Call,
) -> Result<Reply, Failure> {
    match operation {
        Operation::Read => {
            let authorities = pki.read_authorities().await?;
            let issuer = authorities.issuer(reference)?;
            Ok(described(issuer, Vec::new()))
        }
        Operation::Delete => {
            Ok(Reply::done(pki.delete_issuer(reference, call.now).await?).or_null())
        }
        Operation::Write | Operation::Patch => {
            let sent = fields(call, &[("issuer_ref", reference)], &[SCHEMA])?;
            let mut change = IssuerChange {
                name: sent.optional_text("issuer_name"),
                leaf_not_after_behavior: sent.optional_text("leaf_not_after_behavior"),
                manual_chain: sent.optional_words("manual_chain"),
                usage: sent.optional_words("usage"),
                revocation_signature_algorithm: sent
                    .optional_text("revocation_signature_algorithm"),
                issuing_certificates: sent.optional_words("issuing_certificates"),
                crl_distribution_points: sent.optional_words("crl_distribution_points"),
                delta_crl_distribution_points: sent.optional_words("delta_crl_distribution_points"),
                ocsp_servers: sent.optional_words("ocsp_servers"),
                templating: sent.optional_flag("enable_aia_url_templating"),
            };
            if operation == Operation::Write {
                change = replaced(change);
            }
            let (issuer, _, warnings) = pki.change_issuer(reference, &change).await?;
            Ok(described(&issuer, warnings).warned(sent.warnings()))
        }
        Operation::List => Err(Failure::UnsupportedOperation),
    }
}

/// `issuer/:ref/revoke` (pki-api 6.6).
pub(super) async fn revoke(pki: &Pki, reference: &str, call: &Call) -> Result<Reply, Failure> {
    let sent = fields(call, &[("issuer_ref", reference)], &[])?;
    let (issuer, warnings) = pki.revoke_issuer(reference, call.now).await?;
    Ok(described(&issuer, warnings).warned(sent.warnings()))
}

/// POST replaces: what is not sent goes back to its default (pki-api 6.3).
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

fn described(issuer: &Issuer, mut warnings: Vec<String>) -> Reply {
    let record = &issuer.record;
    let algorithm = &record.revocation_signature_algorithm;
    if algorithm.ends_with("PSS") {
        warnings.push(W_PSS.to_owned());
    }
    let manual: Vec<_> = record.manual_chain.iter().map(format_uuid).collect();
    let mut data = Map::new();
    let mut put = |name: &str, value: Value| {
        data.insert(name.to_owned(), value);
    };
    put("ca_chain", json!(with_newlines(&issuer.chain_pem)));
    put("certificate", with_newline(&issuer.record.certificate).into());
    put("crl_distribution_points", json!(record.urls.crl_distribution_points));
    put("delta_crl_distribution_points", json!(record.urls.delta_crl_distribution_points));
    if record.urls.is_configured() {
        put("enable_aia_url_templating", record.urls.templating.into());
    }
    put("issuer_id", format_uuid(&issuer.id).into());
    put("issuer_name", record.name.clone().into());
    put("issuing_certificates", json!(record.urls.issuing_certificates));
    put("key_id", record.key.as_ref().map(format_uuid).unwrap_or_default().into());
    put("leaf_not_after_behavior", record.leaf_not_after_behavior.clone().into());
    put("manual_chain", if manual.is_empty() { Value::Null } else { json!(manual) });
    put("ocsp_servers", json!(record.urls.ocsp_servers));
    put("revocation_signature_algorithm", algorithm.clone().into());
    put("revoked", issuer.revoked.is_some().into());
    if let Some(at) = issuer.revoked {
        put("revocation_time", at.unix().into());
        put("revocation_time_rfc3339", at.to_string().into());
    }
    put("usage", issuer.usages().into());
    Reply::with_warnings(Value::Object(data), warnings)
}

/// PEM with a newline at its end, as these paths answer (pki-api 6.2).
pub(super) fn with_newline(der: &[u8]) -> String {
    let mut text = pem::encode("CERTIFICATE", der);
    text.push('\n');
    text
}

pub(super) fn with_newlines(chain: &[Arc<str>]) -> Vec<String> {
    chain.iter().map(|pem| format!("{pem}\n")).collect()
}

pub(super) async fn list(pki: &Pki) -> Result<Reply, Failure> {
    let authorities = pki.read_authorities().await?;
    let keys: Vec<_> = authorities.issuers.keys().map(format_uuid).collect();
    let info: Map<String, Value> = authorities
        .issuers
        .values()
        .map(|issuer| {
            let serial = crate::ca::serial::colon_hex(issuer.certificate.serial());
            let key = issuer.record.key.as_ref().map(format_uuid).unwrap_or_default();
            let value = json!({
                "is_default": authorities.defaults.issuer == Some(issuer.id),
                "issuer_name": issuer.record.name,
                "key_id": key,
                "serial_number": serial,
            });
            (format_uuid(&issuer.id), value)
        })
        .collect();
    Reply::list(&keys, Some(Value::Object(info)))
}

pub(super) async fn list_keys(pki: &Pki) -> Result<Reply, Failure> {
    let authorities = pki.read_authorities().await?;
    let keys: Vec<_> = authorities.keys.keys().map(format_uuid).collect();
    let info: Map<String, Value> = authorities
        .keys
        .iter()
        .map(|(id, entry)| {
            let is_default = authorities.defaults.key == Some(*id);
            (format_uuid(id), json!({ "is_default": is_default, "key_name": entry.name }))
        })
        .collect();
    Reply::list(&keys, Some(Value::Object(info)))
}

pub(super) async fn read_key(pki: &Pki, reference: &str) -> Result<Reply, Failure> {
    let authorities = pki.read_authorities().await?;
    let (id, entry) = authorities.key(reference)?;
    let identifier = crate::ca::serial::colon_hex_whole(&entry.key.public().key_identifier());
    Ok(Reply::data(json!({
        "key_id": format_uuid(&id),
        "key_name": entry.name,
        "key_type": entry.key.kind().word(),
        "subject_key_id": identifier,
    })))
}
