//! What an audit device sees of each request and of each answer, denials included.
//!
//! A device gets typed values, so that it can hide what is secret by the kind of a field and not by
//! looking for it in a text. A request that a device cannot record is refused, and an answer that a device
//! cannot record is not sent.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::auth::{Denied, TokenRecord};
use crate::ca::time::Timestamp;
use crate::engine::Failure;

use super::call::Fields;
use super::located::{Authorized, Label, Located, Permitted, Rejection};
use super::response::Response;
use super::route::{Operation, RouteInfo};

/// A device that records requests and answers.
pub trait Device: Send + Sync {
    /// Records a request before its handler runs.
    ///
    /// # Errors
    /// It could not be recorded.
    fn request(&self, request: &Request<'_>) -> Result<(), NotRecorded>;

    /// Records how a request ended before the caller gets the answer.
    ///
    /// # Errors
    /// It could not be recorded.
    fn response(&self, request: &Request<'_>, ending: Ending<'_>) -> Result<(), NotRecorded>;
}

/// A request, as far as it was understood when it was recorded.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// The identifier that the answer carries.
    pub id: &'a str,
    /// The one instant of this request.
    pub now: Timestamp,
    /// Address and port of the other end of the connection; `None` where the request came by none.
    pub remote: Option<SocketAddr>,
    /// The path behind `/v1/`.
    pub path: &'a str,
    /// What is asked of the path.
    pub operation: Operation,
    /// The name of the route.
    pub label: Label,
    /// The route, which names the secret fields; `None` for a path without a route.
    pub route: Option<&'static RouteInfo>,
    /// The caller's token, if it is valid and the route needs one.
    pub token: Option<&'a TokenRecord>,
    /// The parameters; `None` where the request was denied before they were read.
    pub fields: Option<&'a Fields>,
}

/// How a request ended.
#[derive(Clone, Copy, Debug)]
pub enum Ending<'a> {
    /// With an answer.
    Answered(&'a Response),
    /// The use case, or the check of its parameters, refused it.
    Failed(&'a Failure),
    /// The caller was not let in.
    Denied(&'a Denied),
    /// Nothing is mounted at the path.
    NoMount,
}

/// A device could not record; the text is for the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotRecorded(pub String);

impl fmt::Display for NotRecorded {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "an audit device could not record: {}", self.0)
    }
}

impl std::error::Error for NotRecorded {}

impl From<NotRecorded> for Failure {
    fn from(error: NotRecorded) -> Self {
        Self::Internal(error.to_string())
    }
}

/// Every audit device of a server. Clones share them.
#[derive(Clone, Default)]
pub struct Audit {
    devices: Arc<[Arc<dyn Device>]>,
}

impl Audit {
    /// An audit log on these devices.
    pub fn new(devices: Vec<Arc<dyn Device>>) -> Self {
        Self { devices: devices.into() }
    }

    /// Records a request on every device.
    ///
    /// # Errors
    /// The first device that could not record it.
    pub fn request(&self, request: &Request<'_>) -> Result<(), NotRecorded> {
        self.devices.iter().try_for_each(|device| device.request(request))
    }

    /// Records on every device how a request ended.
    ///
    /// # Errors
    /// The first device that could not record it.
    pub fn response(&self, request: &Request<'_>, ending: Ending<'_>) -> Result<(), NotRecorded> {
        self.devices.iter().try_for_each(|device| device.response(request, ending))
    }
}

impl fmt::Debug for Audit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Audit({} devices)", self.devices.len())
    }
}

/// The audit of one request. It costs nothing where there is no device.
pub struct Trail {
    audit: Audit,
    entry: Option<Box<AuditEntry>>,
}

/// What the devices record of the request, kept until it ends.
struct AuditEntry {
    id: String,
    now: Timestamp,
    remote: Option<SocketAddr>,
    path: String,
    operation: Operation,
    label: Label,
    route: Option<&'static RouteInfo>,
    token: Option<TokenRecord>,
    fields: Option<Fields>,
    is_recorded: bool,
}

impl AuditEntry {
    fn request(&self) -> Request<'_> {
        Request {
            id: &self.id,
            now: self.now,
            remote: self.remote,
            path: &self.path,
            operation: self.operation,
            label: self.label,
            route: self.route,
            token: self.token.as_ref(),
            fields: self.fields.as_ref(),
        }
    }

    /// Records the request unless it is recorded.
    fn record(&mut self, audit: &Audit) -> Result<(), NotRecorded> {
        if !std::mem::replace(&mut self.is_recorded, true) {
            audit.request(&self.request())?;
        }
        Ok(())
    }
}

impl Trail {
    /// The audit of a request that was located.
    pub fn new(
        audit: &Audit,
        id: &str,
        now: Timestamp,
        remote: Option<SocketAddr>,
        located: &Located,
    ) -> Self {
        let entry = (!audit.devices.is_empty()).then(|| {
            Box::new(AuditEntry {
                id: id.to_owned(),
                now,
                remote,
                path: located.path().to_owned(),
                operation: located.operation(),
                label: located.label(),
                route: located.info(),
                token: None,
                fields: None,
                is_recorded: false,
            })
        });
        Self { audit: audit.clone(), entry }
    }

    /// Notes the caller.
    pub fn authorized(&mut self, authorized: &Authorized) {
        if let Some(entry) = &mut self.entry {
            entry.token = authorized.grant().token().cloned();
        }
    }

    /// Records the request before its handler runs.
    ///
    /// # Errors
    /// It could not be recorded, and must not run.
    pub fn request(&mut self, permitted: &Permitted) -> Result<(), Rejection> {
        let Some(entry) = &mut self.entry else { return Ok(()) };
        entry.fields = Some(permitted.fields().clone());
        entry.record(&self.audit).map_err(|error| Rejection::Failed(error.into()))
    }

    /// Records that the request was refused. The caller gets the returned outcome.
    pub fn refused(&mut self, refused: Rejection) -> Rejection {
        let Some(entry) = &mut self.entry else { return refused };
        let ending = match &refused {
            Rejection::Denied(denied) => Ending::Denied(denied),
            Rejection::Failed(failure) => Ending::Failed(failure),
            Rejection::NoMount(_) => Ending::NoMount,
        };
        let recorded =
            entry.record(&self.audit).and_then(|()| self.audit.response(&entry.request(), ending));
        match recorded {
            Ok(()) => refused,
            Err(error) => Rejection::Failed(error.into()),
        }
    }

    /// Records how the handler ended. The caller gets the returned outcome.
    ///
    /// # Errors
    /// What the handler refused; and an answer that could not be recorded.
    pub fn ended(mut self, result: Result<Response, Failure>) -> Result<Response, Rejection> {
        let response = result.map_err(|failure| self.refused(Rejection::Failed(failure)))?;
        if let Some(entry) = &self.entry {
            self.audit
                .response(&entry.request(), Ending::Answered(&response))
                .map_err(|error| Rejection::Failed(error.into()))?;
        }
        Ok(response)
    }
}
