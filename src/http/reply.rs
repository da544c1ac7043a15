//! Answers: Vault's envelope, and the one table from failure to status and text.
//!
//! No arm is a catch-all: each new failure gets its status and text here.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Serialize;
use serde_json::{Value, json};

use crate::auth::Denied;
use crate::backend::located::Rejection;
use crate::backend::response::{Data, Envelope, Response};
use crate::backend::unbuilt::notice_without_mount;
use crate::ca::time::Timestamp;
use crate::engine::Failure;
use crate::engine::pki::certificates::Serials;

use super::caching;
use super::request_log::ErrorText;
use super::sending::{HttpResponse, ResponseBody};

/// The parts of a request that its answer depends on.
#[derive(Clone, Copy, Debug)]
pub struct RequestFacts<'a> {
    /// The identifier that the answer carries.
    pub id: &'a str,
    /// The time of the request, read once.
    pub now: Timestamp,
    /// Its headers: a request for a public file may be conditional.
    pub headers: &'a HeaderMap,
}

/// The envelope as it is serialized.
#[derive(Serialize)]
struct EnvelopeBody<'a> {
    request_id: &'a str,
    lease_id: &'a str,
    renewable: bool,
    lease_duration: i64,
    data: Option<&'a Data>,
    wrap_info: (),
    warnings: Option<&'a [String]>,
    auth: (),
    mount_type: &'a str,
}

impl<'a> EnvelopeBody<'a> {
    fn new(envelope: &'a Envelope, request_id: &'a str, mount_type: &'a str) -> Self {
        Self {
            request_id,
            lease_id: "",
            renewable: false,
            lease_duration: 0,
            data: envelope.data.as_ref(),
            wrap_info: (),
            warnings: (!envelope.warnings.is_empty()).then_some(&envelope.warnings),
            auth: (),
            mount_type,
        }
    }
}

/// The HTTP response to an answer.
pub fn into_response(
    answer: Response,
    request: &RequestFacts<'_>,
    mount_type: &str,
) -> HttpResponse {
    match answer {
        Response::Envelope(envelope) => {
            let body = EnvelopeBody::new(&envelope, request.id, mount_type);
            match envelope.copied {
                true => json_response(StatusCode::OK, &copied(&body)),
                false => json_response(StatusCode::OK, &body),
            }
        }
        Response::KeyList(first, rest) => streamed_list(first, *rest, request.id, mount_type),
        Response::Plain(status, data) => json_response(status, &data),
        Response::File(file) => caching::into_response(file, request.headers, request.now),
        Response::Status(status) => response(status, None, Bytes::new().into()),
    }
}

/// The envelope with every member of `data` at the top level too.
fn copied(body: &EnvelopeBody<'_>) -> Value {
    let mut body = serde_json::to_value(body).unwrap_or_default();
    let members = body.get("data").and_then(Value::as_object).cloned().unwrap_or_default();
    if let Some(body) = body.as_object_mut() {
        for (name, value) in members {
            body.entry(name).or_insert(value);
        }
    }
    body
}

/// The envelope around keys that are read while the answer is sent: the text before and after the only
/// key of the same envelope with one key.
fn streamed_list(
    first: Vec<String>,
    rest: Serials,
    request_id: &str,
    mount_type: &str,
) -> HttpResponse {
    #[derive(Serialize)]
    struct ListKeys {
        keys: [&'static str; 1],
    }
    let data: Option<Data> = Some(Box::new(ListKeys { keys: [PLACEHOLDER] }));
    let envelope = Envelope { data, ..Envelope::default() };
    let text = serde_json::to_string(&EnvelopeBody::new(&envelope, request_id, mount_type));
    let text = text.unwrap_or_default() + "\n";
    let (before, after) =
        text.split_once(&format!("\"{PLACEHOLDER}\"")).unwrap_or((text.as_str(), ""));
    let body = ResponseBody::keys(before.to_owned(), first, rest, after.to_owned());
    response(StatusCode::OK, Some("application/json"), body)
}

/// Neither a request identifier nor a mount type contains it.
const PLACEHOLDER: &str = "{key}";

/// The format of an error text: on authenticated paths Vault formats some texts as a list of errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorFormat {
    /// On paths that need a token.
    Authenticated,
    /// On paths that need no token.
    Public,
}

/// The table.
///
/// | failure | status | what the caller does |
/// |---|---|---|
/// | `Refused`, `InvalidWrapped` | 400 | changes the request (Vault says 500 for some: `docs/compatibility.md`) |
/// | `NotFound`, `Absent`, `UnsupportedPath` | 404 | asks for something else |
/// | `Forbidden` | 403 | asks for a policy |
/// | `UnsupportedOperation` | 405 | uses another method |
/// | `Busy`, `Conflict`, `Sealed` | 503 | retries |
/// | `Internal` | 500 | reports the request id to the operator |
pub fn failure(failure: &Failure, format: ErrorFormat) -> HttpResponse {
    let formatted = |text: &str| match format {
        ErrorFormat::Authenticated => format!("1 error occurred:\n\t* {text}\n\n"),
        ErrorFormat::Public => text.to_owned(),
    };
    let (status, text) = match failure {
        Failure::Refused { text, hint } => {
            return error_response(
                StatusCode::BAD_REQUEST,
                std::slice::from_ref(text),
                hint.as_deref(),
            );
        }
        Failure::InvalidWrapped(text) => (StatusCode::BAD_REQUEST, Some(formatted(text))),
        Failure::Forbidden(text) => (StatusCode::FORBIDDEN, Some(text.clone())),
        Failure::NotFound => (StatusCode::NOT_FOUND, None),
        Failure::Absent(text) => (StatusCode::NOT_FOUND, Some(text.clone())),
        Failure::UnsupportedPath { notice } => {
            let notice = notice.as_deref().map(|notice| format!("Signet: {notice}"));
            let errors = [formatted("unsupported path")];
            return error_response(StatusCode::NOT_FOUND, &errors, notice.as_deref());
        }
        Failure::UnsupportedOperation => {
            (StatusCode::METHOD_NOT_ALLOWED, Some(formatted("unsupported operation")))
        }
        Failure::Busy | Failure::Conflict => (
            StatusCode::SERVICE_UNAVAILABLE,
            Some("the server is busy; try again in a moment".to_owned()),
        ),
        Failure::Sealed => (StatusCode::SERVICE_UNAVAILABLE, Some("Vault is sealed".to_owned())),
        Failure::Internal(_) => {
            (StatusCode::INTERNAL_SERVER_ERROR, Some(formatted("internal error")))
        }
    };
    let errors: Vec<String> = text.into_iter().collect();
    let mut response = errors_response(status, &errors);
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

/// The answer to a caller that the gate denies. It reveals nothing about the path.
pub fn denied(denied: &Denied) -> HttpResponse {
    let text = match denied {
        Denied::NoToken => "permission denied",
        Denied::InvalidToken => "2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n",
        Denied::Policy => "1 error occurred:\n\t* permission denied\n\n",
        Denied::Sealed => return failure(&Failure::Sealed, ErrorFormat::Public),
        Denied::Fault(why) => return failure(&Failure::Internal(why.clone()), ErrorFormat::Public),
    };
    errors_response(StatusCode::FORBIDDEN, &[text.to_owned()])
}

/// The answer to a refused request.
pub fn refusal(refused: &Rejection, format: ErrorFormat, request_id: &str) -> HttpResponse {
    match refused {
        Rejection::Denied(why) => denied(why),
        Rejection::Failed(why) => {
            if let Failure::Internal(why) = why {
                tracing::error!(request = request_id, why, "internal error");
            }
            failure(why, format)
        }
        Rejection::NoMount(path) => {
            let text = format!("no handler for route \"{path}\". route entry not found.");
            let notice = notice_without_mount(path).map(|notice| format!("Signet: {notice}"));
            error_response(StatusCode::NOT_FOUND, &[text], notice.as_deref())
        }
    }
}

/// `{"errors":[…]}` with a status.
pub fn errors_response(status: StatusCode, errors: &[String]) -> HttpResponse {
    error_response(status, errors, None)
}

/// The same with a hint in `warnings`. The log takes the text from the extensions of the answer.
fn error_response(status: StatusCode, errors: &[String], hint: Option<&str>) -> HttpResponse {
    let mut body = json!({ "errors": errors });
    if let (Some(hint), Some(members)) = (hint, body.as_object_mut()) {
        members.insert("warnings".to_owned(), json!([hint]));
    }
    let text = match errors {
        [] => status.canonical_reason().unwrap_or_default().to_ascii_lowercase(),
        texts => texts.join("; "),
    };
    let mut response = json_response(status, &body);
    response.extensions_mut().insert(ErrorText(text));
    response
}

/// Bytes that fit most answers, also a certificate with its key and a chain of two. Reserved once, so that no
/// key is copied by a reallocation.
const USUAL_SIZE: usize = 4096;

fn json_response(status: StatusCode, body: &impl Serialize) -> HttpResponse {
    let mut bytes = Vec::with_capacity(USUAL_SIZE);
    // Writing to memory does not fail, and keys of all bodies are strings.
    if serde_json::to_writer(&mut bytes, body).is_err() {
        return response(StatusCode::INTERNAL_SERVER_ERROR, None, Bytes::new().into());
    }
    bytes.push(b'\n');
    response(status, Some("application/json"), Bytes::from(bytes).into())
}

fn response(
    status: StatusCode,
    content_type: Option<&'static str>,
    body: ResponseBody,
) -> HttpResponse {
    let mut response = http::Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(content_type) = content_type {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    }
    response
}
