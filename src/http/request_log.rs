//! The lines that the log holds about requests. `docs/logs.md` lists every event and field.
//!
//! A certificate that was issued, signed or revoked gets its line where the work ends, so that it has one
//! even if the client has disconnected. Every other request gets its line with its answer. Neither body,
//! query nor headers are logged: they hold tokens, passwords and keys.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use http::{Method, StatusCode, request};
use tracing::field::display;

use crate::backend::event::{CertificateAction, CertificateEvent};
use crate::backend::located::Label;
use crate::ca::control::first_control;
use crate::ca::time::Timestamp;
use crate::clock::Stopwatch;
use crate::go::is_control;

use super::refusal_limit::RefusalLimit;

/// The longest text from outside in a line, in bytes.
const MAX_TEXT_LENGTH: usize = 300;

/// What a line is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestEvent {
    /// Signet issued a certificate and its key.
    Issued,
    /// Signet signed a CSR.
    Signed,
    /// A certificate or an issuer was revoked.
    Revoked,
    /// A request was answered.
    Answered,
    /// A request was refused: status 4xx, or 503.
    Refused,
    /// The server failed.
    Failed,
    /// There was no answer: the client disconnected, or the request took too long.
    Abandoned,
    /// Refusals that got no line of their own.
    MoreRefused,
}

impl RequestEvent {
    /// Every event.
    pub const ALL: [Self; 8] = [
        Self::Issued,
        Self::Signed,
        Self::Revoked,
        Self::Answered,
        Self::Refused,
        Self::Failed,
        Self::Abandoned,
        Self::MoreRefused,
    ];

    /// The message of the line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Issued => "certificate issued",
            Self::Signed => "certificate signed",
            Self::Revoked => "certificate revoked",
            Self::Answered => "request answered",
            Self::Refused => "request refused",
            Self::Failed => "request failed",
            Self::Abandoned => "request abandoned",
            Self::MoreRefused => "more requests refused",
        }
    }

    /// The event of an answer.
    const fn of_answer(status: StatusCode, is_error: bool) -> Self {
        match status {
            _ if !is_error => Self::Answered,
            StatusCode::SERVICE_UNAVAILABLE => Self::Refused,
            _ if status.as_u16() >= 500 => Self::Failed,
            _ => Self::Refused,
        }
    }
}

/// The text of an error answer, kept with the answer for the log.
#[derive(Clone, Debug)]
pub(super) struct ErrorText(pub(super) String);

/// One line about a request, before it is written.
#[derive(Debug, PartialEq, Eq)]
struct Line<'a> {
    event: RequestEvent,
    request: &'a str,
    method: &'a str,
    path: Cow<'a, str>,
    route: Label,
    status: Option<u16>,
    duration_us: u64,
    peer: Option<SocketAddr>,
    token_name: Option<&'a str>,
    reason: Option<Cow<'a, str>>,
    certificate: Option<&'a CertificateEvent>,
}

/// Writes a line at a level. Fields without a value are left out.
macro_rules! write_at {
    ($level:ident, $line:expr) => {{
        let line = $line;
        let certificate = line.certificate;
        let revoked_at = certificate.and_then(|certificate| match certificate.action {
            CertificateAction::Revoked(at) => Some(display(at)),
            CertificateAction::Issued | CertificateAction::Signed => None,
        });
        tracing::$level!(
            request = line.request,
            method = line.method,
            path = &*line.path,
            route = (line.route != Label::NONE).then_some(display(line.route)),
            status = line.status,
            duration_us = line.duration_us,
            peer = line.peer.map(display),
            token_name = line.token_name.map(printable).as_deref(),
            reason = line.reason.as_deref(),
            serial = certificate.map(|certificate| certificate.serial.as_str()),
            identity = certificate.map(|certificate| printable(&certificate.identity)).as_deref(),
            role = certificate
                .filter(|certificate| !certificate.role.is_empty())
                .map(|certificate| printable(&certificate.role))
                .as_deref(),
            issuer = certificate.map(|certificate| printable(&certificate.issuer)).as_deref(),
            not_after = certificate.map(|certificate| display(certificate.not_after)),
            revoked_at,
            "{}",
            line.event.as_str()
        );
    }};
}

/// What the lines about one request have in common.
pub(super) struct RequestLog<'a> {
    id: &'a str,
    parts: &'a request::Parts,
    now: Timestamp,
    peer: Option<SocketAddr>,
    started: Stopwatch,
    limit: &'a RefusalLimit,
    token_name: OnceLock<String>,
    has_event: AtomicBool,
    is_finished: AtomicBool,
}

impl<'a> RequestLog<'a> {
    /// The log of a request that begins now.
    pub(super) fn start(
        id: &'a str,
        parts: &'a request::Parts,
        now: Timestamp,
        peer: Option<SocketAddr>,
        limit: &'a RefusalLimit,
    ) -> Self {
        Self {
            id,
            parts,
            now,
            peer,
            started: Stopwatch::start(),
            limit,
            token_name: OnceLock::new(),
            has_event: AtomicBool::new(false),
            is_finished: AtomicBool::new(false),
        }
    }

    /// Notes the display name of a valid token.
    pub(super) fn authenticated(&self, display_name: &str) {
        let _first = self.token_name.set(display_name.to_owned());
    }

    /// The log of the work, which may outlive the connection.
    pub(super) fn of_work(&self, route: Label) -> WorkLog {
        WorkLog {
            request: self.id.to_owned(),
            method: self.parts.method.clone(),
            path: printable(self.parts.uri.path()).into_owned(),
            route,
            peer: self.peer,
            token_name: self.token_name.get().cloned(),
            started: self.started,
        }
    }

    /// Notes that the work has written the line of this request.
    pub(super) fn event_written(&self) {
        self.has_event.store(true, Ordering::Relaxed);
    }

    /// Writes the line of an answer, unless the work has written one.
    pub(super) fn finish(&self, route: Label, status: StatusCode, error: Option<&ErrorText>) {
        self.is_finished.store(true, Ordering::Relaxed);
        if let Some(count) = self.limit.unlogged_before(self.now.unix()) {
            tracing::info!(count, "{}", RequestEvent::MoreRefused.as_str());
        }
        let line = || Line {
            event: RequestEvent::of_answer(status, error.is_some()),
            status: Some(status.as_u16()),
            reason: error.map(|error| reason(&error.0)),
            ..self.line(route)
        };
        match RequestEvent::of_answer(status, error.is_some()) {
            RequestEvent::Failed if self.logs_refusal() => write_at!(error, line()),
            RequestEvent::Refused if self.logs_refusal() => write_at!(info, line()),
            RequestEvent::Failed | RequestEvent::Refused => {}
            _ if self.is_read() || self.has_event.load(Ordering::Relaxed) => {
                write_debug(line);
            }
            _ => write_at!(info, line()),
        }
    }

    fn line(&self, route: Label) -> Line<'_> {
        Line {
            event: RequestEvent::Abandoned,
            request: self.id,
            method: self.parts.method.as_str(),
            path: printable(self.parts.uri.path()),
            route,
            status: None,
            duration_us: self.started.microseconds(),
            peer: self.peer,
            token_name: self.token_name.get().map(String::as_str),
            reason: None,
            certificate: None,
        }
    }

    fn logs_refusal(&self) -> bool {
        self.limit.allows_line(self.peer.map(|peer| peer.ip()), self.now.unix())
    }

    fn is_read(&self) -> bool {
        !matches!(self.parts.method, Method::POST | Method::PUT | Method::PATCH | Method::DELETE)
    }
}

impl Drop for RequestLog<'_> {
    fn drop(&mut self) {
        if !self.is_finished.load(Ordering::Relaxed) && self.logs_refusal() {
            let reason = Some("the client disconnected, or the request took too long".into());
            write_at!(info, Line { reason, ..self.line(Label::NONE) });
        }
    }
}

/// Builds the line only if it is written: most requests of most servers take this path.
fn write_debug<'a>(line: impl FnOnce() -> Line<'a>) {
    if tracing::enabled!(tracing::Level::DEBUG) {
        write_at!(debug, line());
    }
}

/// What the line about a certificate needs of its request.
pub(super) struct WorkLog {
    request: String,
    method: Method,
    path: String,
    route: Label,
    peer: Option<SocketAddr>,
    token_name: Option<String>,
    started: Stopwatch,
}

impl WorkLog {
    /// Writes the line about a certificate.
    pub(super) fn write(&self, certificate: &CertificateEvent) {
        write_at!(info, self.line(certificate));
    }

    fn line<'a>(&'a self, certificate: &'a CertificateEvent) -> Line<'a> {
        Line {
            event: match certificate.action {
                CertificateAction::Issued => RequestEvent::Issued,
                CertificateAction::Signed => RequestEvent::Signed,
                CertificateAction::Revoked(_) => RequestEvent::Revoked,
            },
            request: &self.request,
            method: self.method.as_str(),
            path: Cow::Borrowed(&self.path),
            route: self.route,
            status: None,
            duration_us: self.started.microseconds(),
            peer: self.peer,
            token_name: self.token_name.as_deref(),
            reason: None,
            certificate: Some(certificate),
        }
    }
}

/// The text of an error on one line.
fn reason(text: &str) -> Cow<'_, str> {
    if !text.contains(['\n', '\t']) {
        return printable(text);
    }
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    Cow::Owned(printable(&words.join(" ")).into_owned())
}

/// A text from outside, bounded, with its control characters escaped: it can neither begin another line nor
/// change what a terminal shows (CWE-117, CVE-2021-42574).
fn printable(text: &str) -> Cow<'_, str> {
    if text.len() <= MAX_TEXT_LENGTH && first_control(text).is_none() {
        return Cow::Borrowed(text);
    }
    let mut printed = String::with_capacity(MAX_TEXT_LENGTH);
    for character in text.chars() {
        let before = printed.len();
        match character {
            control if is_control(control) => printed.extend(control.escape_unicode()),
            other => printed.push(other),
        }
        if printed.len() > MAX_TEXT_LENGTH {
            printed.truncate(before);
            printed.push('…');
            break;
        }
    }
    Cow::Owned(printed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped_and_long_texts_cut() {
        assert_eq!(printable("spiffe://corp.example/päyments"), "spiffe://corp.example/päyments");
        assert_eq!(
            printable("a\nERROR forged\u{1b}[31m\u{9b}0m\u{202e}"),
            r"a\u{a}ERROR forged\u{1b}[31m\u{9b}0m\u{202e}"
        );
        for long in ["é".repeat(10_000), "\n".repeat(10_000)] {
            let cut = printable(&long);
            assert!(cut.len() <= MAX_TEXT_LENGTH + '…'.len_utf8() && cut.ends_with('…'), "{cut}");
        }
    }

    #[test]
    fn a_list_of_errors_is_one_line() {
        let text = "2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n";
        assert_eq!(reason(text), "2 errors occurred: * permission denied * invalid token");
    }

    #[test]
    fn the_event_of_an_answer_follows_from_its_status_and_error() {
        let event = |status: u16, is_error| {
            RequestEvent::of_answer(StatusCode::from_u16(status).unwrap(), is_error)
        };
        assert_eq!(event(200, false), RequestEvent::Answered);
        assert_eq!(event(503, false), RequestEvent::Answered, "sys/health of a sealed server");
        assert_eq!(event(400, true), RequestEvent::Refused);
        assert_eq!(event(503, true), RequestEvent::Refused);
        assert_eq!(event(500, true), RequestEvent::Failed);
    }

    #[test]
    fn the_line_about_a_certificate_holds_what_an_incident_needs() {
        let (request, _) = http::Request::post("/v1/pki/issue/web").body(()).unwrap().into_parts();
        let limit = RefusalLimit::default();
        let peer = Some(SocketAddr::from(([192, 0, 2, 7], 40_000)));
        let log = RequestLog::start("id", &request, Timestamp::from_unix(0), peer, &limit);
        log.authenticated("root");
        let certificate = CertificateEvent {
            action: CertificateAction::Issued,
            serial: "01:02".to_owned(),
            identity: "spiffe://corp.example/web".to_owned(),
            role: "web".to_owned(),
            issuer: "root".to_owned(),
            not_after: Timestamp::from_unix(3600),
        };
        let work = log.of_work(Label::NONE);
        let line = work.line(&certificate);
        assert_eq!((line.event, line.request), (RequestEvent::Issued, "id"));
        assert_eq!((line.method, &*line.path), ("POST", "/v1/pki/issue/web"));
        assert_eq!((line.peer, line.token_name), (peer, Some("root")));
        assert_eq!(line.certificate, Some(&certificate));
        log.is_finished.store(true, Ordering::Relaxed);
    }
}
