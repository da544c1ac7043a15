//! The form of every answer: Vault's complete envelope, or `errors`.

use serde_json::Value;

use crate::Finding;
use crate::requests::Asked;
use crate::steps::Op;
use crate::world::{Answer, TOKEN};

/// Checks the form of an answer. Without faults of the store it must not be 5xx.
pub(crate) fn check(asked: &Asked, answer: &Answer, without_faults: bool) -> Result<(), Finding> {
    let wrong = |what: &str| {
        let body = String::from_utf8_lossy(&answer.body);
        let request = format!("{} {}", asked.request.method, asked.request.path);
        Finding::new(format!("{what}: {request} → {} {body}", answer.status))
    };
    match answer.status {
        200 | 404 | 500 if matches!(asked.op, Op::Jobs { .. } | Op::AutoTidy { .. }) => {}
        200 if matches!(asked.op, Op::ReadCrl { .. }) => {
            if answer.content_type != "application/pkix-crl" || answer.body.is_empty() {
                return Err(wrong("a CRL with a wrong content type"));
            }
        }
        200 => check_envelope(&answer.json()).map_err(wrong)?,
        204 if answer.body.is_empty() => {}
        400 | 403 | 404 | 405 | 500 | 503 => check_errors(answer).map_err(wrong)?,
        _ => return Err(wrong("an unexpected status")),
    }
    if without_faults && answer.status >= 500 {
        return Err(wrong("a 5xx answer without a fault of the store"));
    }
    // Where nothing is mounted, even a path that needs no token is refused without one.
    let unauthenticated = matches!(asked.op, Op::Unauthenticated { .. });
    let (denied, may_be_denied) = (answer.status == 403, asked.request.token != Some(TOKEN));
    if (denied && !may_be_denied) || (unauthenticated && !denied && answer.status < 500) {
        return Err(wrong("a request was permitted or denied wrongly"));
    }
    Ok(())
}

fn check_envelope(body: &Value) -> Result<(), &'static str> {
    let members = ["lease_id", "renewable", "lease_duration", "data", "wrap_info", "warnings"];
    if body["request_id"].as_str().is_none_or(|id| id.len() != 36) {
        return Err("an envelope without request_id");
    }
    if members.iter().any(|member| body.get(member).is_none()) || body.get("errors").is_some() {
        return Err("an incomplete envelope");
    }
    Ok(())
}

/// `errors` and at most `warnings`, without internal details.
pub(crate) fn check_errors(answer: &Answer) -> Result<(), &'static str> {
    let body = answer.json();
    let Some(members) = body.as_object() else { return Err("a failure that is not JSON") };
    let Some(errors) = members.get("errors").and_then(Value::as_array) else {
        return Err("a failure without errors");
    };
    if answer.status != 404 && errors.is_empty() || !errors.iter().all(Value::is_string) {
        return Err("a failure with empty errors");
    }
    if members.keys().any(|name| !matches!(name.as_str(), "errors" | "warnings")) {
        return Err("a failure with other members");
    }
    if errors.iter().filter_map(Value::as_str).any(|text| text.contains("injected")) {
        return Err("a failure that reveals internal details");
    }
    Ok(())
}
