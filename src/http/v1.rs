//! The spine: read → gate → resolve → parse → run → reply. Every request takes this road.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, request};
use serde_json::{Map, Value};

use crate::auth::{Capability, Denied, Granted};
use crate::ca::time::Timestamp;
use crate::engine::{Engine, Failure};
use crate::secret::Secret;

use super::call::{Call, Operation};
use super::finishing::{Finishing, Panicked};
use super::json::{form, is_long_form, parameters, percent_decoded};
use super::reply::{Reply, Wording, denied, errors_response, failure};
use super::sending::HttpResponse;
use super::{pki, sys, token};

/// The API over an engine.
#[derive(Clone, Debug)]
pub struct Api {
    engine: Arc<Engine>,
    request_id: HeaderName,
}

/// A reply or a failure, with how it is worded and which mount type answered.
struct Outcome {
    result: Result<Reply, Failure>,
    wording: Wording,
    mount_type: &'static str,
}

impl Api {
    /// The API over this engine.
    pub fn new(engine: Arc<Engine>) -> Self {
        Self { engine, request_id: HeaderName::from_static("x-request-id") }
    }

    /// Answers one request whose body was read, bounded, by the listener's side.
    pub async fn answer(&self, parts: request::Parts, body: Bytes) -> HttpResponse {
        let id = self.engine.env().entropy.uuid();
        let now = self.engine.env().clock.now();
        let head = parts.method == Method::HEAD;
        let span = tracing::info_span!("request", id);
        let mut response = self.route(&parts, &body, &id, now).await;
        tracing::info!(
            parent: &span,
            method = %parts.method,
            path = %parts.uri.path(),
            status = response.status().as_u16(),
            "answered"
        );
        if let Ok(value) = HeaderValue::from_str(&id) {
            response.headers_mut().insert(self.request_id.clone(), value);
        }
        if head {
            *response.body_mut() = Bytes::new().into();
        }
        response
    }

    /// Does the caller show a token of this server? Asked before a long body is read. While no token can be
    /// looked up, the store sealed or broken, any will do: the answer says then what is wrong.
    pub async fn knows(&self, headers: &HeaderMap) -> bool {
        let admitted = self.engine.gate().admit(token_of(headers), Capability::Read).await;
        !matches!(admitted, Err(Denied::NoToken | Denied::InvalidToken))
    }

    async fn route(
        &self,
        parts: &request::Parts,
        body: &[u8],
        id: &str,
        now: Timestamp,
    ) -> HttpResponse {
        let call = match read(parts, body, now) {
            Ok(call) => call,
            Err(response) => return *response,
        };
        if sys::is_public(&call) {
            let reply = Box::pin(sys::public(&self.engine, &call, parts.uri.query()));
            return match reply.await {
                Ok(reply) => reply.into_response(id, "system"),
                Err(refused) => failure(&refused, Wording::Public),
            };
        }
        let token = token_of(&parts.headers);
        // From here on the work is done even if the caller hangs up (design D11).
        let work = Finishing::new(run(Arc::clone(&self.engine), call, token)).await;
        match work {
            Ok(Ok(Outcome { result: Ok(reply), mount_type, .. })) => {
                reply.into_response(id, mount_type)
            }
            Ok(Ok(Outcome { result: Err(refused), wording, .. })) => {
                if let Failure::Fault(why) = &refused {
                    tracing::error!(request = id, why, "fault");
                }
                failure(&refused, wording)
            }
            Ok(Err(response)) => response,
            Err(Panicked) => {
                tracing::error!(request = id, "a request's work ended abnormally");
                failure(&Failure::Fault(String::new()), Wording::Public)
            }
        }
    }
}

/// What the work of a request ends with.
type Work = Result<Outcome, HttpResponse>;

/// Gate, resolve, run. What is rare is boxed: every request carries the room of the largest step.
async fn run(engine: Arc<Engine>, call: Call, token: Option<Secret<String>>) -> Work {
    let engine = &*engine;
    // A sealed server says so to everybody, token or not.
    if engine.env().sealed.is_sealed() {
        return Err(failure(&Failure::Sealed, Wording::Public));
    }
    let mounts =
        engine.settled_mounts().await.map_err(|refused| failure(&refused, Wording::Public))?;
    let resolved = mounts.resolve(&call.path);
    let route = resolved
        .filter(|(mount, _)| mount.record.kind == "pki")
        .and_then(|(_, rest)| pki::Route::parse(rest));
    if let (Some((mount, _)), Some(route)) = (resolved, &route)
        && route.is_public(call.operation)
    {
        let result = Box::pin(pki::public(engine, mount, route, &call)).await;
        return Ok(Outcome { result, wording: Wording::Public, mount_type: "pki" });
    }
    let granted: Granted = engine
        .gate()
        .admit(token, call.operation.capability())
        .await
        .map_err(|outside| denied(&outside))?;
    let wording = Wording::Authenticated;
    if call.path.starts_with("sys/") {
        let result = Box::pin(sys::dispatch(engine, &granted, &call)).await;
        return Ok(Outcome { result, wording, mount_type: "system" });
    }
    if call.path.starts_with("auth/token/") {
        let result = token::dispatch(&granted, &call);
        return Ok(Outcome { result, wording, mount_type: "token" });
    }
    let Some(mount) = resolved.map(|(mount, _)| mount) else {
        return Err(errors_response(
            StatusCode::NOT_FOUND,
            &[format!("no handler for route \"{}\". route entry not found.", call.path)],
        ));
    };
    let result = match &route {
        Some(route) => pki::dispatch(engine, &granted, mount, route, call).await,
        None => Err(Failure::UnsupportedPath),
    };
    Ok(Outcome { result, wording, mount_type: "pki" })
}

/// Method, path, parameters.
///
/// # Errors
/// What cannot be a request: the error is an answer already.
pub fn read(
    parts: &request::Parts,
    body: &[u8],
    now: Timestamp,
) -> Result<Call, Box<HttpResponse>> {
    let refuse = |status, text: &[String]| Box::new(errors_response(status, text));
    let bad = |text: &str| refuse(StatusCode::BAD_REQUEST, &[text.to_owned()]);
    let Some(path) = parts.uri.path().strip_prefix("/v1/") else {
        return Err(refuse(StatusCode::NOT_FOUND, &[]));
    };
    // Slashes in front of the mount count for nothing, escaped ones neither; what follows is taken
    // as it is.
    let path = percent_decoded(path).trim_start_matches('/').to_owned();
    if path.chars().any(|character| character.is_control() || character == '\u{fffd}') {
        return Err(bad("path contains characters that cannot be printed"));
    }
    if path.split('/').any(|segment| segment == "..") {
        return Err(bad("path cannot contain parent references"));
    }
    let query = form(parts.uri.query().unwrap_or_default().as_bytes());
    let listing = query.get("list").and_then(Value::as_str);
    let operation = match (parts.method.as_str(), listing) {
        ("LIST", _) | ("GET", Some("1" | "t" | "T" | "true" | "TRUE" | "True")) => Operation::List,
        ("GET" | "HEAD", None | Some("0" | "f" | "F" | "false" | "FALSE" | "False")) => {
            Operation::Read
        }
        ("GET" | "HEAD", Some(_)) => return Err(refuse(StatusCode::BAD_REQUEST, &[])),
        ("POST" | "PUT", _) => Operation::Write,
        ("PATCH", _) => Operation::Patch,
        ("DELETE", _) => Operation::Delete,
        _ => return Err(refuse(StatusCode::METHOD_NOT_ALLOWED, &[])),
    };
    let writes = matches!(operation, Operation::Write | Operation::Patch);
    if operation == Operation::Write && path.ends_with('/') {
        return Err(bad("cannot write to a path ending in '/'"));
    }
    if operation == Operation::Patch && content_type(parts) != "application/merge-patch+json" {
        return Err(refuse(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            &["PATCH needs Content-Type: application/merge-patch+json".to_owned()],
        ));
    }
    let parameters =
        if writes { body_parameters(parts, body).map_err(|why| bad(&why))? } else { query };
    Ok(Call { now, path, operation, parameters, head: parts.method == Method::HEAD })
}

fn content_type(parts: &request::Parts) -> &str {
    let value = parts.headers.get(http::header::CONTENT_TYPE);
    let text = value.and_then(|value| value.to_str().ok()).unwrap_or_default();
    text.split(';').next().unwrap_or_default().trim()
}

fn body_parameters(parts: &request::Parts, body: &[u8]) -> Result<Map<String, Value>, String> {
    let first = body.iter().find(|byte| !byte.is_ascii_whitespace());
    let is_form = content_type(parts) == "application/x-www-form-urlencoded"
        && !matches!(first, Some(b'{' | b'['));
    if is_form && is_long_form(body) {
        return Err("the form is too long; send JSON".to_owned());
    }
    if is_form { Ok(form(body)) } else { parameters(body).map_err(|error| error.0) }
}

/// `X-Vault-Token`, else the bearer of `Authorization`.
fn token_of(headers: &HeaderMap) -> Option<Secret<String>> {
    let own = headers.get("x-vault-token").and_then(|value| value.to_str().ok());
    let bearer = || {
        let value = headers.get(http::header::AUTHORIZATION)?.to_str().ok()?;
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    };
    own.or_else(bearer).map(|token| Secret::new(token.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(target: &str) -> Option<String> {
        let (parts, ()) = http::Request::get(target).body(()).unwrap().into_parts();
        read(&parts, b"", Timestamp::from_unix(1_900_000_000)).ok().map(|call| call.path)
    }

    #[test]
    fn slashes_in_front_of_the_mount_count_for_nothing_escaped_or_not() {
        for target in ["/v1/pki/roles", "/v1//pki/roles", "/v1/%2f/pki/roles"] {
            assert_eq!(path(target).as_deref(), Some("pki/roles"), "{target}");
        }
        assert_eq!(path("/v1/pki//roles").as_deref(), Some("pki//roles"));
    }

    #[test]
    fn no_spelling_of_a_parent_reference_comes_through() {
        for target in ["/v1/pki/../sys", "/v1/%2e%2e/sys", "/v1/pki%2f..%2fsys"] {
            assert_eq!(path(target), None, "{target}");
        }
    }
}
