//! The request pipeline: the order of steps for every request to `/v1/`.
//!
//! Receive (the body unread) → locate mount and route → authenticate and authorise → read and type the body
//! as the route defines it → audit → admit by class → run the handler → audit → reply. A denial at any step is
//! audited too.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, request};
use http_body_util::Full;
use hyper::body::Body;
use serde_json::Map;

use crate::backend::audit::{Audit, Trail};
use crate::backend::help;
use crate::backend::located::{Authorized, Label, Located, Permitted, Rejection};
use crate::backend::response::Response;
use crate::backend::route::{BodyKind, Class, Operation};
use crate::ca::time::Timestamp;
use crate::engine::{Engine, Failure};
use crate::secret::Secret;

use super::body::{BodyBudget, BodyError, BodyPolicy, BudgetPermit, read_body};
use super::connection::ConnectionInfo;
use super::finishing::{RunToCompletion, WorkPanicked};
use super::head::{Head, content_type};
use super::headers;
use super::limits::Limits;
use super::parameters::Unparsed;
use super::refusal_limit::RefusalLimit;
use super::reply::{ErrorFormat, RequestFacts, errors_response, failure, into_response, refusal};
use super::request_log::RequestLog;
use super::sending::HttpResponse;

/// The API over an engine.
#[derive(Clone, Debug)]
pub struct Api {
    engine: Arc<Engine>,
    body_budget: BodyBudget,
    audit: Audit,
    refusals: RefusalLimit,
    request_id: HeaderName,
    exposure: Exposure,
}

/// Which routes are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exposure {
    /// Every route.
    All,
    /// The routes of public files, to GET and HEAD without a body.
    PublicFiles,
}

/// A request before its body is read.
struct Received<'a> {
    id: &'a str,
    now: Timestamp,
    parts: &'a request::Parts,
    limits: &'a Limits,
    connection: Option<&'a ConnectionInfo>,
    log: RequestLog<'a>,
}

impl<'a> Received<'a> {
    const fn facts(&self) -> RequestFacts<'a> {
        RequestFacts { id: self.id, now: self.now, headers: &self.parts.headers }
    }
}

/// What every answer of a route has in common.
#[derive(Clone, Copy)]
struct ReplyContext {
    label: Label,
    format: ErrorFormat,
}

/// What a request asks for.
enum RequestTarget {
    /// A route, or the answer if no route matches.
    Route(Located),
    /// Help about a path.
    Help(String),
}

/// Why a request does not reach its handler.
enum RequestError {
    /// Its parameters are refused, or the server is overloaded.
    Refused(Rejection),
    /// Its body could not be read.
    Body(BodyError),
}

impl Api {
    /// The API over this engine, with a budget for bodies of the default size.
    pub fn new(engine: Arc<Engine>) -> Self {
        Self::sharing(engine, BodyBudget::new(Limits::default().body_size))
    }

    /// The API over this engine. Bodies and parsed parameters take their memory from `body_budget`.
    pub fn sharing(engine: Arc<Engine>, body_budget: BodyBudget) -> Self {
        let request_id = HeaderName::from_static("x-request-id");
        Self {
            engine,
            body_budget,
            audit: Audit::default(),
            refusals: RefusalLimit::default(),
            request_id,
            exposure: Exposure::All,
        }
    }

    /// The same for public files only. Every other path is answered as nonexistent, whatever token is sent.
    #[must_use]
    pub fn public_files(self) -> Self {
        Self { exposure: Exposure::PublicFiles, ..self }
    }

    /// The same with an audit log.
    #[must_use]
    pub fn audited(self, audit: Audit) -> Self {
        Self { audit, ..self }
    }

    /// Answers one request whose body is in memory.
    pub async fn answer(&self, parts: request::Parts, body: Bytes) -> HttpResponse {
        self.serve(Request::from_parts(parts, Full::new(body)), &Limits::default(), None).await
    }

    /// Answers one request, which came by this connection.
    pub async fn serve<B>(
        &self,
        request: Request<B>,
        limits: &Limits,
        connection: Option<&ConnectionInfo>,
    ) -> HttpResponse
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let id = self.engine.env().entropy.uuid();
        let now = self.engine.env().clock.now();
        let (parts, body) = request.into_parts();
        let peer = connection.map(|connection| connection.peer);
        let log = RequestLog::start(&id, &parts, now, peer, &self.refusals);
        let received = Received { id: &id, now, parts: &parts, limits, connection, log };
        let target = match self.exposure {
            Exposure::All => self.target(&received).await,
            // No route of a public file takes a body: the body is not read.
            Exposure::PublicFiles if !body.is_end_stream() => {
                Err(Box::new(BodyError::Unread.into_response()))
            }
            Exposure::PublicFiles => self.public_file(&received).await,
        };
        let (label, mut response) = match target {
            Ok(RequestTarget::Route(located)) => {
                (located.label(), self.answered(&received, located, body).await)
            }
            Ok(RequestTarget::Help(path)) => {
                (Label::NONE, Box::pin(self.help(&received, &path)).await)
            }
            Err(response) => (
                Label::NONE,
                match self.exposure {
                    Exposure::All => self.refuse(*response, &received, body).await,
                    Exposure::PublicFiles => *response,
                },
            ),
        };
        received.log.finish(label, response.status(), response.extensions().get());
        if let Ok(value) = HeaderValue::from_str(&id) {
            response.headers_mut().insert(self.request_id.clone(), value);
        }
        if parts.method == Method::HEAD {
            *response.body_mut() = Bytes::new().into();
        }
        response
    }

    /// The target of the request, if its headers and the seal allow it.
    async fn target(&self, received: &Received<'_>) -> Result<RequestTarget, Box<HttpResponse>> {
        let head = Head::read(received.parts, received.now)?;
        let parts = received.parts;
        headers::check_origin(&parts.headers, head.operation, parts.uri.authority())?;
        if head.help {
            headers::check(&parts.headers, &head)?;
            return Ok(RequestTarget::Help(head.path));
        }
        let located = Located::find(&self.engine, head.path.clone(), head.operation).await;
        let located =
            located.map_err(|refused| Box::new(failure(&refused, ErrorFormat::Public)))?;
        headers::check(&parts.headers, &head)?;
        Ok(RequestTarget::Route(located))
    }

    /// The public file that the request asks for. The answer does not show whether other paths exist.
    async fn public_file(
        &self,
        received: &Received<'_>,
    ) -> Result<RequestTarget, Box<HttpResponse>> {
        let not_found = || Box::new(errors_response(StatusCode::NOT_FOUND, &[]));
        let head = Head::read(received.parts, received.now).map_err(|_| not_found())?;
        if head.help || head.operation != Operation::Read {
            return Err(not_found());
        }
        let located = Located::find(&self.engine, head.path.clone(), head.operation).await;
        let located =
            located.map_err(|refused| Box::new(failure(&refused, ErrorFormat::Public)))?;
        if located.info().is_none_or(|info| info.file.is_none()) {
            return Err(not_found());
        }
        headers::check(&received.parts.headers, &head)?;
        Ok(RequestTarget::Route(located))
    }

    /// Answers a request for help about a path.
    async fn help(&self, received: &Received<'_>, path: &str) -> HttpResponse {
        let token = token_of(&received.parts.headers);
        match help::answer(&self.engine, path, token, received.now).await {
            Ok(response) => into_response(response, &received.facts(), ""),
            Err(refused) => refusal(&refused, ErrorFormat::Authenticated, received.id),
        }
    }

    async fn answered<B>(&self, received: &Received<'_>, located: Located, body: B) -> HttpResponse
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let format =
            if located.needs_no_token() { ErrorFormat::Public } else { ErrorFormat::Authenticated };
        let context = ReplyContext { label: located.label(), format };
        let remote = received.connection.map(|connection| connection.peer);
        let mut trail = Trail::new(&self.audit, received.id, received.now, remote, &located);
        let token = token_of(&received.parts.headers);
        let authorized = match located.authorize(self.engine.gate(), token, received.now).await {
            Ok(authorized) => authorized,
            Err(refused) => {
                let refused = trail.refused(refused);
                let answer = refusal(&refused, context.format, received.id);
                return self.refuse(answer, received, body).await;
            }
        };
        trail.authorized(&authorized);
        if let Some(token) = authorized.grant().token() {
            received.log.authenticated(&token.display_name);
        }
        match self.permitted(authorized, received, body).await {
            Ok((permitted, memory)) => self.run(permitted, memory, trail, received, context).await,
            Err(RequestError::Refused(refused)) => {
                refusal(&trail.refused(refused), context.format, received.id)
            }
            Err(RequestError::Body(error)) => {
                let failure = Failure::refused(error.to_string());
                drop(trail.refused(Rejection::Failed(failure)));
                error.into_response()
            }
        }
    }

    /// Reads the body as the route defines it, and types its parameters.
    async fn permitted<B>(
        &self,
        authorized: Authorized,
        received: &Received<'_>,
        body: B,
    ) -> Result<(Permitted, BudgetPermit), RequestError>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let info = authorized.info();
        let policy = if info.needs_no_token() { BodyPolicy::Short } else { BodyPolicy::Full };
        let most = match info.body {
            BodyKind::Json => received.limits.body_size,
            BodyKind::Raw { limit, .. } => limit.min(received.limits.body_size),
        };
        let within = received.limits.request;
        let (bytes, held) = read_body(body, most, within, &self.body_budget, policy)
            .await
            .map_err(RequestError::Body)?;
        let failed = |failure| RequestError::Refused(Rejection::Failed(failure));
        if let BodyKind::Raw { media, .. } = info.body
            && info.operation.changes_state()
        {
            if content_type(received.parts) != media {
                let text = format!("this path takes a body of the type {media}");
                return Err(failed(Failure::refused(text)));
            }
            let permitted = authorized.permit(Map::new(), bytes).map_err(failed)?;
            return Ok((permitted, held));
        }
        let unparsed = Unparsed::of(received.parts, info.operation, bytes, held);
        let (parameters, memory) = match policy {
            BodyPolicy::Full => unparsed.parsed(&self.body_budget).await.map_err(failed)?,
            _ => (unparsed.without_token().map_err(failed)?, BudgetPermit::default()),
        };
        let permitted = authorized.permit(parameters, Bytes::new()).map_err(failed)?;
        Ok((permitted, memory))
    }

    /// Runs the handler. From here on the work completes even if the client disconnects.
    async fn run(
        &self,
        permitted: Permitted,
        memory: BudgetPermit,
        mut trail: Trail,
        received: &Received<'_>,
        context: ReplyContext,
    ) -> HttpResponse {
        let reply = |refused: &Rejection| refusal(refused, context.format, received.id);
        if let Err(refused) = trail.request(&permitted) {
            return reply(&refused);
        }
        let slot = match permitted.info().class {
            Class::Issue => match self.engine.services().limiter().acquire().await {
                Ok(slot) => Some(slot),
                Err(failure) => return reply(&trail.refused(Rejection::Failed(failure))),
            },
            Class::Light | Class::Heavy | Class::Urgent => None,
        };
        let now = received.now;
        let log = received.log.of_work(context.label);
        let work = async move {
            // Holds the memory of the parameters until the request ends.
            let _memory = memory;
            let result = permitted.run(now, slot).await;
            // Before the audit, which may refuse the answer: the certificate exists anyway.
            if let Some(event) = result.as_ref().ok().and_then(Response::event) {
                log.write(event);
            }
            trail.ended(result)
        };
        match RunToCompletion::new(work).await {
            Ok(Ok(response)) => {
                if response.event().is_some() {
                    received.log.event_written();
                }
                into_response(response, &received.facts(), context.label.kind())
            }
            Ok(Err(refused)) => reply(&refused),
            Err(WorkPanicked) => {
                tracing::error!(request = received.id, "handler panicked");
                failure(&Failure::Internal(String::new()), ErrorFormat::Public)
            }
        }
    }

    /// Answers a request that is refused whatever its body holds. A short body is read and dropped, so that
    /// the connection can be used again.
    async fn refuse<B>(
        &self,
        answer: HttpResponse,
        received: &Received<'_>,
        body: B,
    ) -> HttpResponse
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let limits = received.limits;
        let read = read_body(
            body,
            limits.body_size,
            limits.request,
            &self.body_budget,
            BodyPolicy::Discard,
        )
        .await;
        match read {
            Ok(_) | Err(BodyError::Unread) => answer,
            Err(error) => error.into_response(),
        }
    }
}

/// `X-Vault-Token`, else the bearer of `Authorization`. An empty token counts as absent, and a
/// credential of another scheme is for a proxy on the path.
fn token_of(headers: &HeaderMap) -> Option<Secret<String>> {
    let own = headers.get("x-vault-token").and_then(|value| value.to_str().ok());
    let bearer = || {
        headers.get_all(http::header::AUTHORIZATION).iter().find_map(|value| {
            let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
        })
    };
    own.filter(|token| !token.is_empty()).or_else(bearer).map(|token| Secret::new(token.to_owned()))
}

#[cfg(test)]
#[path = "v1_tests.rs"]
mod tests;
