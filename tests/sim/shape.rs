//! What every answer must look like: Vault's envelope, or `errors`, and never half of one.

use serde_json::Value;

use crate::Finding;
use crate::requests::Asked;
use crate::steps::Op;
use crate::world::{Answer, TOKEN};

/// Judges the outside of an answer. While the store is `quiet` nothing may fail.
pub(crate) fn check(asked: &Asked, answer: &Answer, quiet: bool) -> Result<(), Finding> {
    let wrong = |what: &str| {
        let body = String::from_utf8_lossy(&answer.body);
        let request = format!("{} {}", asked.request.method, asked.request.path);
        Finding::new(format!("{what}: {request} → {} {body}", answer.status))
    };
    match answer.status {
        200 | 404 | 500 if matches!(asked.op, Op::Jobs { .. } | Op::AutoTidy { .. }) => {}
        200 if matches!(asked.op, Op::ReadCrl { .. }) => {
            if answer.content_type != "application/pkix-crl" || answer.body.is_empty() {
                return Err(wrong("a CRL of another type"));
            }
        }
        200 => check_envelope(&answer.json()).map_err(wrong)?,
        204 if answer.body.is_empty() => {}
        400 | 403 | 404 | 405 | 500 | 503 => check_errors(answer).map_err(wrong)?,
        _ => return Err(wrong("a status that nobody expects")),
    }
    if quiet && answer.status >= 500 {
        return Err(wrong("a failure although nothing failed"));
    }
    // Without a token a path that needs none is refused where nothing is mounted.
    let strange = matches!(asked.op, Op::Stranger { .. });
    let (kept_out, may_be) = (answer.status == 403, asked.request.token != Some(TOKEN));
    if (kept_out && !may_be) || (strange && !kept_out && answer.status < 500) {
        return Err(wrong("the gate let somebody in, or kept somebody out"));
    }
    Ok(())
}

fn check_envelope(body: &Value) -> Result<(), &'static str> {
    let members = ["lease_id", "renewable", "lease_duration", "data", "wrap_info", "warnings"];
    if body["request_id"].as_str().is_none_or(|id| id.len() != 36) {
        return Err("an envelope without request_id");
    }
    if members.iter().any(|member| body.get(member).is_none()) || body.get("errors").is_some() {
        return Err("half an envelope");
    }
    Ok(())
}

/// `errors` and at most `warnings`; a server that knows no better says it without detail.
pub(crate) fn check_errors(answer: &Answer) -> Result<(), &'static str> {
    let body = answer.json();
    let Some(members) = body.as_object() else { return Err("a failure that is no JSON") };
    let Some(errors) = members.get("errors").and_then(Value::as_array) else {
        return Err("a failure without errors");
    };
    if answer.status != 404 && errors.is_empty() || !errors.iter().all(Value::is_string) {
        return Err("a failure that says nothing");
    }
    if members.keys().any(|name| !matches!(name.as_str(), "errors" | "warnings")) {
        return Err("a failure with half an answer");
    }
    if errors.iter().filter_map(Value::as_str).any(|text| text.contains("injected")) {
        return Err("a failure that tells about the inside");
    }
    Ok(())
}
