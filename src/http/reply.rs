//! Answers: Vault's envelope, and the one table from failure to status and text.
//!
//! No arm is a catch-all: a new failure must decide here what the caller is told.

use std::fmt;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::auth::Denied;
use crate::engine::Failure;
use crate::engine::pki::certificates::Serials;

use super::sending::{HttpResponse, Sending};

/// An answer before it has a status line.
#[derive(Debug)]
pub enum Reply {
    /// Vault's envelope.
    Envelope(Envelope),
    /// Vault's envelope around a certificate.
    Issued {
        /// `data`, and what stands before it.
        data: Written,
        /// `warnings`
        warnings: Vec<String>,
    },
    /// Vault's envelope around a list that is too long to be in memory.
    LongList(Vec<String>, Box<Serials>),
    /// JSON without envelope, with its status.
    Plain(StatusCode, Value),
    /// Bytes of another type, with their status.
    Raw(StatusCode, &'static str, Bytes),
    /// 204.
    Empty,
}

/// The members of the envelope that vary.
#[derive(Debug, Default)]
pub struct Envelope {
    /// `data`
    pub data: Option<Data>,
    /// `warnings`
    pub warnings: Vec<String>,
    /// `auth`
    pub auth: Option<Value>,
    /// Copy every member of `data` to the top level too (vault-core-api 1.5).
    pub copied: bool,
    /// `lease_id`, `renewable`, `lease_duration`
    pub lease: Option<(String, bool, i64)>,
}

impl Reply {
    /// `data` in the envelope.
    pub fn data(data: Value) -> Self {
        Self::with_warnings(data, Vec::new())
    }

    /// `data` and `warnings` in the envelope.
    pub fn with_warnings(data: Value, warnings: Vec<String>) -> Self {
        let data = Some(Data(data));
        Self::Envelope(Envelope { data, warnings, ..Envelope::default() })
    }

    /// 204, or 200 with nothing but warnings.
    pub fn done(warnings: Vec<String>) -> Self {
        if warnings.is_empty() {
            return Self::Empty;
        }
        Self::Envelope(Envelope { warnings, ..Envelope::default() })
    }

    /// A list; an empty one is 404 (vault-core-api 1.7).
    ///
    /// # Errors
    /// [`Failure::Missing`] if there is nothing to list.
    pub fn list(keys: &[String], key_info: Option<Value>) -> Result<Self, Failure> {
        if keys.is_empty() {
            return Err(Failure::Missing);
        }
        let mut data = Map::new();
        data.insert("keys".to_owned(), json!(keys));
        if let Some(info) = key_info {
            data.insert("key_info".to_owned(), info);
        }
        Ok(Self::data(Value::Object(data)))
    }

    /// A list that may be very long.
    ///
    /// # Errors
    /// As [`Reply::list`]; and if the first page cannot be read.
    pub async fn long_list(mut serials: Serials) -> Result<Self, Failure> {
        let first = serials.page().await?;
        if first.len() < Serials::PAGE {
            return Self::list(&first, None);
        }
        Ok(Self::LongList(first, Box::new(serials)))
    }

    /// 200 with `data: null` where others answer 204.
    #[must_use]
    pub fn or_null(self) -> Self {
        match self {
            Self::Empty => Self::Envelope(Envelope::default()),
            other => other,
        }
    }

    /// Adds the framework's warnings behind the endpoint's own.
    #[must_use]
    pub fn warned(mut self, more: &[String]) -> Self {
        if let Self::Envelope(Envelope { warnings, .. }) | Self::Issued { warnings, .. } = &mut self
        {
            warnings.extend_from_slice(more);
        }
        self
    }

    /// The HTTP response.
    pub fn into_response(self, request_id: &str, mount_type: &str) -> HttpResponse {
        match self {
            Self::Envelope(envelope) => envelope.into_response(request_id, mount_type),
            Self::Issued { data, warnings } => {
                let body = data.ended(request_id, &warnings, mount_type);
                response(StatusCode::OK, Some("application/json"), Bytes::from(body).into())
            }
            Self::LongList(first, rest) => {
                let (mut before, mut after) = (String::new(), "]}".to_owned());
                open(&mut before, request_id);
                before.push_str("{\"keys\":[");
                close(&mut after, &[], mount_type);
                let body = Sending::keys(before, first, *rest, after);
                response(StatusCode::OK, Some("application/json"), body)
            }
            Self::Plain(status, value) => json_response(status, &value),
            Self::Raw(status, content_type, bytes) => {
                response(status, Some(content_type), bytes.into())
            }
            Self::Empty => response(StatusCode::NO_CONTENT, None, Bytes::new().into()),
        }
    }
}

/// `data` of an answer.
#[derive(Serialize)]
#[serde(transparent)]
pub struct Data(pub Value);

/// An envelope that was begun: `data` as JSON, and what stands before it. So an answer is written
/// once, where it is sent from.
pub struct Written(String);

impl fmt::Debug for Data {
    /// Never its content: it may be a private key.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Data(…)")
    }
}

impl fmt::Debug for Written {
    /// Never its content: it may be a private key.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Written(…)")
    }
}

/// The envelope as it is sent (vault-core-api 1.4).
#[derive(Serialize)]
struct Sent<'a> {
    request_id: &'a str,
    lease_id: &'a str,
    renewable: bool,
    lease_duration: i64,
    data: Option<&'a Data>,
    wrap_info: (),
    warnings: Option<&'a [String]>,
    auth: Option<&'a Value>,
    mount_type: &'a str,
}

impl Envelope {
    fn sent<'a>(&'a self, request_id: &'a str, mount_type: &'a str) -> Sent<'a> {
        let lease = self.lease.as_ref();
        let (lease_id, renewable, lease_duration) =
            lease.map_or(("", false, 0), |(id, renewable, duration)| (id, *renewable, *duration));
        Sent {
            request_id,
            lease_id,
            renewable,
            lease_duration,
            data: self.data.as_ref(),
            wrap_info: (),
            warnings: (!self.warnings.is_empty()).then_some(&self.warnings),
            auth: self.auth.as_ref(),
            mount_type,
        }
    }

    fn into_response(self, request_id: &str, mount_type: &str) -> HttpResponse {
        let sent = self.sent(request_id, mount_type);
        match &self.data {
            Some(Data(Value::Object(copies))) if self.copied => {
                let mut body = serde_json::to_value(&sent).unwrap_or_default();
                if let Some(members) = body.as_object_mut() {
                    for (name, value) in copies {
                        members.entry(name).or_insert_with(|| value.clone());
                    }
                }
                json_response(StatusCode::OK, &body)
            }
            _ => json_response(StatusCode::OK, &sent),
        }
    }
}

impl Written {
    /// `data` behind what stands before it, in a text with this room.
    pub fn begun(room: usize, data: impl FnOnce(&mut String)) -> Self {
        let mut body = String::with_capacity(room);
        open(&mut body, NO_ID);
        data(&mut body);
        Self(body)
    }

    /// The envelope as [`Sent`] has it. The words of this server need no escapes.
    fn ended(self, request_id: &str, warnings: &[String], mount_type: &str) -> String {
        let Self(mut body) = self;
        let start = BEFORE_ID.len();
        body.replace_range(start..start.saturating_add(NO_ID.len()), request_id);
        close(&mut body, warnings, mount_type);
        body
    }
}

/// What stands before `data`.
fn open(body: &mut String, request_id: &str) {
    body.push_str(BEFORE_ID);
    body.push_str(request_id);
    body.push_str("\",\"lease_id\":\"\",\"renewable\":false,\"lease_duration\":0,\"data\":");
}

/// What stands behind it.
fn close(body: &mut String, warnings: &[String], mount_type: &str) {
    body.push_str(",\"wrap_info\":null,\"warnings\":");
    if warnings.is_empty() {
        body.push_str("null");
    } else {
        body.push_str(&json!(warnings).to_string());
    }
    body.push_str(",\"auth\":null,\"mount_type\":\"");
    body.push_str(mount_type);
    body.push_str("\"}\n");
}

/// How a failure is worded: behind the gate Vault wraps some texts as a list of errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wording {
    /// Behind the gate.
    Authenticated,
    /// On paths that need no token.
    Public,
}

/// The table.
///
/// | failure | status | what the caller does |
/// |---|---|---|
/// | `Refused`, `Mistaken` | 400 | changes the request (Vault says 500 for some: design D15) |
/// | `Missing`, `Absent`, `UnsupportedPath` | 404 | asks for something else |
/// | `Forbidden` | 403 | asks for a policy |
/// | `UnsupportedOperation` | 405 | uses another method |
/// | `Busy`, `Conflict`, `Sealed` | 503 | tries again |
/// | `Fault` | 500 | tells the operator the request id |
pub fn failure(failure: &Failure, wording: Wording) -> HttpResponse {
    let listed = |text: &str| match wording {
        Wording::Authenticated => format!("1 error occurred:\n\t* {text}\n\n"),
        Wording::Public => text.to_owned(),
    };
    let (status, text) = match failure {
        Failure::Refused { text, hint } => {
            let mut body = json!({ "errors": [text] });
            if let (Some(hint), Some(members)) = (hint, body.as_object_mut()) {
                members.insert("warnings".to_owned(), json!([hint]));
            }
            return json_response(StatusCode::BAD_REQUEST, &body);
        }
        Failure::Mistaken(text) => (StatusCode::BAD_REQUEST, Some(listed(text))),
        Failure::Forbidden(text) => (StatusCode::FORBIDDEN, Some(text.clone())),
        Failure::Missing => (StatusCode::NOT_FOUND, None),
        Failure::Absent(text) => (StatusCode::NOT_FOUND, Some(text.clone())),
        Failure::UnsupportedPath => (StatusCode::NOT_FOUND, Some(listed("unsupported path"))),
        Failure::UnsupportedOperation => {
            (StatusCode::METHOD_NOT_ALLOWED, Some(listed("unsupported operation")))
        }
        Failure::Busy | Failure::Conflict => (
            StatusCode::SERVICE_UNAVAILABLE,
            Some("the server is busy; try again in a moment".to_owned()),
        ),
        Failure::Sealed => (StatusCode::SERVICE_UNAVAILABLE, Some("Vault is sealed".to_owned())),
        Failure::Fault(_) => (StatusCode::INTERNAL_SERVER_ERROR, Some(listed("internal error"))),
    };
    let errors: Vec<String> = text.into_iter().collect();
    let mut response = errors_response(status, &errors);
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

/// What a caller outside the gate is told: nothing about what lies behind it.
pub fn denied(denied: &Denied) -> HttpResponse {
    let text = match denied {
        Denied::NoToken => "permission denied",
        Denied::InvalidToken => "2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n",
        Denied::Policy => "1 error occurred:\n\t* permission denied\n\n",
        Denied::Sealed => return failure(&Failure::Sealed, Wording::Public),
        Denied::Fault(why) => return failure(&Failure::Fault(why.clone()), Wording::Public),
    };
    errors_response(StatusCode::FORBIDDEN, &[text.to_owned()])
}

/// `{"errors":[…]}` with a status.
pub fn errors_response(status: StatusCode, errors: &[String]) -> HttpResponse {
    json_response(status, &json!({ "errors": errors }))
}

/// What most answers fit into.
const USUAL: usize = 1024;
const BEFORE_ID: &str = "{\"request_id\":\"";
/// Where the request's id will stand: as long as one is, so that nothing behind it is moved.
const NO_ID: &str = "00000000-0000-0000-0000-000000000000";

fn json_response(status: StatusCode, body: &impl Serialize) -> HttpResponse {
    let mut bytes = Vec::with_capacity(USUAL);
    // Writing to memory does not fail, and keys are strings wherever a body is made.
    if serde_json::to_writer(&mut bytes, body).is_err() {
        return response(StatusCode::INTERNAL_SERVER_ERROR, None, Bytes::new().into());
    }
    bytes.push(b'\n');
    response(status, Some("application/json"), Bytes::from(bytes).into())
}

fn response(status: StatusCode, content_type: Option<&'static str>, body: Sending) -> HttpResponse {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(content_type) = content_type {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envelope_around_what_is_written_is_the_envelope_that_is_serialized() {
        for warnings in [vec![], vec!["a \"quoted\" one".to_owned(), "two".to_owned()]] {
            let data = json!({ "certificate": "a\nb" });
            let envelope = Envelope {
                data: Some(Data(data.clone())),
                warnings: warnings.clone(),
                ..Envelope::default()
            };
            let id = "c3a1e2f0-1d2e-4a5b-8c9d-0123456789ab";
            let written = Written::begun(0, |json| json.push_str(&data.to_string()));
            let sent = serde_json::to_string(&envelope.sent(id, "pki")).unwrap();
            assert_eq!(written.ended(id, &warnings, "pki"), sent + "\n");
        }
    }
}
