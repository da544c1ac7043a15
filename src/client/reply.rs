//! A reply as received, and how the API's clients interpret it.

use bytes::Bytes;
use hyper::header::{HeaderMap, LOCATION, RETRY_AFTER};
use hyper::{Method, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::error::{Error, Refused};
use crate::wire::answer::{Answer, Refusal};

/// A complete reply. No `Debug`: the body may hold a private key.
pub struct Reply {
    pub(super) method: Method,
    pub(super) url: String,
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// The members of which an envelope has at least one, and a bare object none.
const ENVELOPE: [&str; 8] = [
    "request_id",
    "lease_id",
    "lease_duration",
    "renewable",
    "data",
    "warnings",
    "auth",
    "wrap_info",
];

impl Reply {
    /// The HTTP status.
    pub fn status(&self) -> u16 {
        self.status.as_u16()
    }

    /// The body as received.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The envelope. A body without one is its data as a whole; an empty body is `None`.
    ///
    /// # Errors
    /// [`Error::Refused`] for an error status, [`Error::Garbled`] for a body of another form.
    pub fn answer(self) -> Result<Option<Answer>, Error> {
        self.succeeded()?.envelope()
    }

    /// Like [`Self::answer`], but a 404 that carries neither data nor warnings is `None`.
    ///
    /// # Errors
    /// As [`Self::answer`].
    pub fn found(self) -> Result<Option<Answer>, Error> {
        if self.status != StatusCode::NOT_FOUND {
            return self.answer();
        }
        match self.envelope() {
            Ok(answer) => Ok(answer.filter(|answer| {
                answer.data.as_ref().is_some_and(|data| !data.contains_key("errors"))
                    || answer.warnings.is_some()
            })),
            // The body is not of this API, so the status alone does not mean "nothing there".
            Err(_) => Err(self.refused()),
        }
    }

    /// A body without an envelope, such as that of `sys/seal-status`.
    ///
    /// # Errors
    /// As [`Self::answer`].
    pub fn bare<T: DeserializeOwned>(self) -> Result<T, Error> {
        let reply = self.succeeded()?;
        serde_json::from_slice(&reply.body).map_err(|error| reply.garbled(&error))
    }

    /// The reply itself, if its status means success.
    ///
    /// # Errors
    /// [`Error::Refused`] with the server's texts.
    pub fn succeeded(self) -> Result<Self, Error> {
        // A redirect that was not followed is not a success: the request had no effect.
        if self.status.is_success() { Ok(self) } else { Err(self.refused()) }
    }

    fn envelope(&self) -> Result<Option<Answer>, Error> {
        if self.body.is_empty() {
            return Ok(None);
        }
        let mut members: Map<String, Value> =
            serde_json::from_slice(&self.body).map_err(|error| self.garbled(&error))?;
        if ENVELOPE.iter().any(|name| members.contains_key(*name)) {
            return serde_json::from_value(Value::Object(members))
                .map(Some)
                .map_err(|error| self.garbled(&error));
        }
        if members.get("errors").and_then(Value::as_array).is_some_and(Vec::is_empty) {
            members.shift_remove("errors");
        }
        Ok((!members.is_empty()).then(|| Answer { data: Some(members), ..Answer::default() }))
    }

    fn refused(&self) -> Error {
        let (refusal, body) = match serde_json::from_slice::<Refusal>(&self.body) {
            Ok(refusal) => (refusal, None),
            Err(_) if self.body.is_empty() => (Refusal::default(), None),
            Err(_) => (Refusal::default(), Some(String::from_utf8_lossy(&self.body).into_owned())),
        };
        Error::Refused(Box::new(Refused {
            method: self.method.clone(),
            url: self.url.clone(),
            status: self.status(),
            errors: refusal.errors,
            warnings: refusal.warnings.unwrap_or_default(),
            body,
        }))
    }

    fn garbled(&self, error: &serde_json::Error) -> Error {
        // The parser's text may quote the body, so only the position is shown.
        let why = format!("line {}, column {}", error.line(), error.column());
        Error::Garbled { url: self.url.clone(), why }
    }

    /// Whether the same request may succeed later.
    pub(super) fn is_busy(&self) -> bool {
        matches!(self.status(), 412 | 429) || (self.status() >= 500 && self.status() != 501)
    }

    pub(super) fn retry_after(&self) -> Option<u64> {
        self.headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()
    }

    pub(super) fn redirect(&self) -> Option<String> {
        matches!(self.status(), 301 | 302 | 307)
            .then(|| self.headers.get(LOCATION)?.to_str().ok().map(str::to_owned))
            .flatten()
    }
}
