//! Every route against every credential. The routes are those of the tables in `src/backend`: a new route is
//! tested here without a change.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a surprise is a failure of the test")]

mod support;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt, Full};
use serde_json::json;
use signet::backend::audit::{Audit, Device, Ending, NotRecorded, Request as Recorded};
use signet::backend::registry::kinds;
use signet::backend::route::{Operation, RouteInfo};
use signet::http::app::App;
use signet::http::limits::Limits;
use signet::http::listener::ConnectionInfo;
use signet::http::v1::Api;
use support::{ROOT_TOKEN, Server};

/// One request to each route.
struct Sample {
    method: &'static str,
    path: String,
    info: &'static RouteInfo,
}

impl Sample {
    fn is_public(&self) -> bool {
        self.info.needs_no_token()
    }

    fn body(&self) -> Bytes {
        let has_body = matches!(self.info.operation, Operation::Update | Operation::Patch);
        if has_body { body() } else { Bytes::new() }
    }
}

/// The routes of every kind, at a mount of that kind.
fn samples() -> Vec<Sample> {
    let mount = |kind: &str| match kind {
        "system" => "sys/",
        "token" => "auth/token/",
        "pki" => "pki/",
        other => panic!("the test has no mount of the kind {other}"),
    };
    kinds()
        .flat_map(|kind| kind.routes().into_iter().map(move |info| (mount(kind.kind()), info)))
        .map(|(mount, info)| {
            let path = info.path();
            let path: Vec<&str> = path.split('/').map(filled).collect();
            let method = info.operation.method();
            Sample { method, path: format!("{mount}{}", path.join("/")), info }
        })
        .collect()
}

/// A value for each capture of a path.
fn filled(segment: &str) -> &str {
    match segment {
        "{role}" | "{name}" => "web",
        "{issuer_ref}" => "root",
        "{key_ref}" => "default",
        "{exported}" => "internal",
        "{path}" => "pki",
        "{serial}" => "01",
        literal => {
            assert!(!literal.contains('{'), "the test has no value for {literal}");
            literal
        }
    }
}

/// Paths that do not exist: without a token they look like the others.
const NOWHERE: &[(&str, &str)] = &[
    ("GET", "nothing/here"),
    ("GET", "pki/nothing"),
    ("GET", "sys/nothing"),
    ("POST", "sys/seal"),
    ("GET", "auth/token/nothing"),
    ("GET", ""),
];

async fn server() -> Server {
    let server = Server::with_root().await;
    server.post("pki/roles/web", json!({ "allow_any_name": true, "key_type": "ec" })).await.ok();
    server
}

fn body() -> Bytes {
    Bytes::from_static(b"{}")
}

#[tokio::test]
async fn a_route_answers_without_a_token_only_if_its_table_says_so() {
    let server = server().await;
    let batches = server.memory.tally().batches;
    let needs_token = |sample: &Sample| !sample.is_public();
    for Sample { method, path, .. } in samples().iter().filter(|sample| needs_token(sample)) {
        let bare = server.send(method, path, None, &[], body()).await;
        assert_eq!(bare.status, 403, "{method} {path}: {bare:?}");
        assert_eq!(bare.errors(), ["permission denied"], "{method} {path}");
    }
    for (method, path) in NOWHERE {
        let bare = server.send(method, path, None, &[], body()).await;
        assert_eq!((bare.status, bare.errors()), (403, vec!["permission denied".to_owned()]));
    }
    assert_eq!(server.memory.tally().batches, batches, "nothing was written");
    for sample in samples().iter().filter(|sample| sample.is_public()) {
        let Sample { method, path, .. } = sample;
        let bare = server.send(method, path, None, &[], sample.body()).await;
        assert!(
            !matches!(bare.status, 403 | 405) && bare.status < 500,
            "{method} {path}: {bare:?}"
        );
    }
}

#[tokio::test]
async fn a_wrong_token_is_refused_on_every_route() {
    let server = server().await;
    let batches = server.memory.tally().batches;
    let wrong = ["Root", "root ", "roo", "hvs.AAAAAAAAAAAAAAAAAAAAAAAA", "x"];
    let samples = samples();
    let private = samples.iter().filter(|sample| !sample.is_public());
    let requests = private.map(|sample| (sample.method, sample.path.as_str()));
    for (method, path) in requests.chain(NOWHERE.iter().copied()) {
        for token in wrong {
            let answer = server.send(method, path, Some(token), &[], body()).await;
            assert_eq!(answer.status, 403, "{method} {path} {token:?}: {answer:?}");
            assert!(answer.errors()[0].contains("invalid token"), "{answer:?}");
        }
        let empty = server.send(method, path, Some(""), &[], body()).await;
        assert_eq!(empty.status, 403, "{method} {path}");
    }
    assert_eq!(server.memory.tally().batches, batches, "nothing was written");
}

#[tokio::test]
async fn a_refusal_without_a_token_does_not_say_what_is_mounted() {
    let server = server().await;
    let there = server.send("GET", "pki/roles/web", None, &[], Bytes::new()).await;
    let nowhere = server.send("GET", "nowhere/roles/web", None, &[], Bytes::new()).await;
    assert_eq!((there.status, there.body), (nowhere.status, nowhere.body));
}

#[tokio::test]
async fn a_bearer_is_a_token_and_the_other_schemes_are_not() {
    let server = server().await;
    let with = |value: &'static str| {
        let server = &server;
        async move {
            let headers = [("Authorization", value)];
            server.send("GET", "sys/mounts", None, &headers, Bytes::new()).await.status
        }
    };
    assert_eq!(with("Bearer root").await, 200);
    assert_eq!(with("bearer root").await, 200);
    assert_eq!(with("Basic root").await, 403);
    assert_eq!(with("root").await, 403);
    assert_eq!(with("Bearer").await, 403);
}

#[tokio::test]
async fn a_caller_with_the_root_token_reaches_every_route() {
    for sample in samples() {
        // Each request has its own server, because some of them delete what others need.
        let server = server().await;
        let Sample { method, path, .. } = &sample;
        let answer = server.send(method, path, Some(ROOT_TOKEN), &[], sample.body()).await;
        let is_reached = !matches!(answer.status, 403 | 405) && answer.status < 500;
        assert!(is_reached, "{method} {path}: {answer:?}");
        assert!(!answer.errors().iter().any(|text| text.contains("unsupported path")), "{path}");
    }
}

#[tokio::test]
async fn an_uninitialised_server_says_so_and_does_nothing() {
    let server = Server::uninitialised();
    assert_eq!(server.send("GET", "sys/health", None, &[], Bytes::new()).await.status, 501);
    assert_eq!(server.send("HEAD", "sys/health", None, &[], Bytes::new()).await.status, 501);
    sealed_on_every_route(&server).await;
}

/// Every route that needs an open store says that it is sealed, whatever the token is.
async fn sealed_on_every_route(server: &Server) {
    for Sample { method, path, .. } in samples().iter().filter(|sample| !sample.info.when_sealed) {
        for token in [Some(ROOT_TOKEN), Some("wrong"), None] {
            let answer = server.send(method, path, token, &[], body()).await;
            assert_eq!(answer.status, 503, "{method} {path}: {answer:?}");
            assert_eq!(answer.errors(), ["Vault is sealed"], "{method} {path}");
        }
    }
}

#[tokio::test]
async fn initialising_happens_once_and_returns_the_token_once() {
    let server = Server::uninitialised();
    let answer = server.send("POST", "sys/init", None, &[], body()).await.ok();
    let token = answer.json().get("root_token").unwrap().as_str().unwrap().to_owned();
    assert!(token.starts_with("hvs."), "{token}");
    let again = server.send("POST", "sys/init", None, &[], body()).await;
    again.refused(400, "Vault is already initialized");
    let mounts = server.send("GET", "sys/mounts", Some(&token), &[], Bytes::new()).await;
    assert_eq!(mounts.status, 200);
    assert_eq!(server.send("GET", "sys/health", None, &[], Bytes::new()).await.status, 200);
}

#[tokio::test]
async fn a_sealed_server_reads_no_value() {
    let server = server().await;
    server.engine.seal().await;
    assert_eq!(server.send("GET", "sys/health", None, &[], Bytes::new()).await.status, 503);
    sealed_on_every_route(&server).await;
}

/// Keeps its entries in memory. It refuses them if `refuses` is set.
#[derive(Default)]
struct Recorder {
    entries: Mutex<Vec<String>>,
    refuses: bool,
    remotes: Mutex<Vec<Option<SocketAddr>>>,
}

impl Recorder {
    fn keep(&self, entry: String) -> Result<(), NotRecorded> {
        if self.refuses {
            return Err(NotRecorded("the disk is full".to_owned()));
        }
        self.entries.lock().unwrap().push(entry);
        Ok(())
    }

    fn taken(&self) -> Vec<String> {
        std::mem::take(&mut self.entries.lock().unwrap())
    }
}

impl Device for Recorder {
    fn request(&self, request: &Recorded<'_>) -> Result<(), NotRecorded> {
        self.remotes.lock().unwrap().push(request.remote);
        let name = request.token.map_or("-", |token| token.display_name.as_str());
        self.keep(format!("{} {:?} {name}", request.path, request.operation))
    }

    fn response(&self, request: &Recorded<'_>, ending: Ending<'_>) -> Result<(), NotRecorded> {
        let ending = match ending {
            Ending::Answered(_) => "answered",
            Ending::Failed(_) => "failed",
            Ending::Denied(_) => "denied",
            Ending::NoMount => "no mount",
        };
        self.keep(format!("{} {ending}", request.path))
    }
}

async fn sent(api: &Api, sample: &Sample, token: Option<&str>) -> u16 {
    let mut request = Request::builder().method(sample.method).uri(format!("/v1/{}", sample.path));
    if let Some(token) = token {
        request = request.header("X-Vault-Token", token);
    }
    if sample.info.operation == Operation::Patch {
        request = request.header("Content-Type", "application/merge-patch+json");
    }
    let (parts, ()) = request.body(()).unwrap().into_parts();
    api.answer(parts, sample.body()).await.status().as_u16()
}

#[tokio::test]
async fn every_request_and_its_end_are_audited_once() {
    for sample in samples() {
        let server = server().await;
        let recorder = Arc::new(Recorder::default());
        let devices: Vec<Arc<dyn Device>> = vec![Arc::<Recorder>::clone(&recorder)];
        let api = Api::new(Arc::clone(&server.engine)).audited(Audit::new(devices));
        for token in [None, Some("wrong"), Some(ROOT_TOKEN)] {
            let status = sent(&api, &sample, token).await;
            let entries = recorder.taken();
            let [request, ending] = entries.as_slice() else { panic!("{entries:?}") };
            let is_known = token == Some(ROOT_TOKEN) && !sample.is_public();
            let name = if is_known { "root" } else { "-" };
            let Sample { path, info, .. } = &sample;
            assert_eq!(*request, format!("{path} {:?} {name}", info.operation));
            let is_denied = !sample.is_public() && token != Some(ROOT_TOKEN);
            assert_eq!(ending.ends_with(" denied"), is_denied, "{ending} {status}");
            assert_eq!(ending.ends_with(" answered"), status < 400, "{ending} {status}");
        }
    }
}

#[tokio::test]
async fn a_request_that_cannot_be_audited_is_refused_and_does_nothing() {
    let server = server().await;
    let recorder = Recorder { refuses: true, ..Recorder::default() };
    let devices: Vec<Arc<dyn Device>> = vec![Arc::new(recorder)];
    let api = Api::new(Arc::clone(&server.engine)).audited(Audit::new(devices));
    let batches = server.memory.tally().batches;
    for sample in samples() {
        assert_eq!(sent(&api, &sample, Some(ROOT_TOKEN)).await, 500, "{}", sample.path);
        assert_eq!(sent(&api, &sample, None).await, 500, "{}", sample.path);
    }
    assert_eq!(server.memory.tally().batches, batches, "nothing was written");
}

/// The client's address of the connection.
const PEER: &str = "192.0.2.7:4711";

/// Sends a request as a listener does; returns status, headers and body of the answer.
async fn asked(
    app: &App,
    (method, target): (&str, &str),
    headers: &[(&str, &str)],
    body: &'static str,
) -> (u16, HeaderMap, Bytes) {
    let mut request = Request::builder().method(method).uri(target);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(Bytes::from_static(body.as_bytes()))).unwrap();
    let connection = ConnectionInfo { peer: PEER.parse().unwrap(), tls: false };
    let (parts, body) = app.serve(request, connection).await.into_parts();
    (parts.status.as_u16(), parts.headers, body.collect().await.unwrap().to_bytes())
}

const NOT_FOUND: &str = "{\"errors\":[]}\n";

/// Every route, the serial number being that of a certificate.
async fn samples_with_a_certificate(server: &Server) -> Vec<Sample> {
    let names = json!({ "common_name": "a.example.org" });
    let issued = server.post("pki/issue/web", names).await.ok();
    let serial = issued.text("serial_number");
    let path = |path: &str| path.replace("cert/01", &format!("cert/{serial}"));
    samples().into_iter().map(|one| Sample { path: path(&one.path), ..one }).collect()
}

#[tokio::test]
async fn a_public_listener_serves_only_public_files_with_any_token() {
    let server = server().await;
    let app = App::public(Api::new(Arc::clone(&server.engine)), Limits::default());
    let mut files = 0;
    for Sample { method, path, info } in samples_with_a_certificate(&server).await {
        let target = format!("/v1/{path}");
        for token in ["", "wrong", ROOT_TOKEN] {
            let token = [("X-Vault-Token", token)];
            let (status, headers, body) = asked(&app, (method, &target), &token, "").await;
            let Some(media) = info.file else {
                assert_eq!((status, &body[..]), (404, NOT_FOUND.as_bytes()), "{method} {path}");
                continue;
            };
            assert_eq!(status, 200, "{method} {path}");
            assert_eq!(headers["content-type"], media, "{path}");
            assert!(!body.is_empty(), "{path}");
            files += 1;
        }
    }
    assert_eq!(files, 3 * 13);
    let outside = ["/", "/v1", "/v1/", "/v1/nothing", "/v2/pki/ca", "/v1/pki/../pki/ca", "/v1/%00"];
    for target in outside {
        let (status, headers, body) = asked(&app, ("GET", target), &[], "").await;
        assert_eq!((status, &body[..]), (404, NOT_FOUND.as_bytes()), "{target}");
        assert_eq!(headers["cache-control"], "no-store", "{target}");
    }
}

#[tokio::test]
async fn a_public_listener_accepts_only_get_and_head_without_a_body() {
    let server = server().await;
    let app = App::public(Api::new(Arc::clone(&server.engine)), Limits::default());
    for method in ["POST", "PUT", "DELETE", "LIST", "PATCH", "OPTIONS", "TRACE"] {
        let (status, _, body) = asked(&app, (method, "/v1/pki/ca"), &[], "").await;
        assert_eq!((status, &body[..]), (404, NOT_FOUND.as_bytes()), "{method}");
    }
    for query in ["list=true", "help=1", "list=x"] {
        let target = format!("/v1/pki/ca?{query}");
        assert_eq!(asked(&app, ("GET", &target), &[], "").await.0, 404, "{query}");
    }
    for request in [("GET", "/v1/pki/ca"), ("POST", "/v1/pki/ca"), ("POST", "/v1/sys/init")] {
        assert_eq!(asked(&app, request, &[], "{}").await.0, 413, "{request:?}");
    }
    server.engine.seal().await;
    assert_eq!(asked(&app, ("GET", "/v1/pki/ca"), &[], "").await.0, 503);
    assert_eq!(asked(&app, ("GET", "/v1/sys/health"), &[], "").await.0, 404);
}

#[tokio::test]
async fn a_client_that_has_a_public_file_gets_304_on_every_listener() {
    let server = server().await;
    let samples = samples_with_a_certificate(&server).await;
    // A time within the second of a change is not sent.
    server.advance(1);
    let api = || Api::new(Arc::clone(&server.engine));
    let apps = [App::new(api(), Limits::default()), App::public(api(), Limits::default())];
    for app in &apps {
        for Sample { path, .. } in samples.iter().filter(|one| one.info.file.is_some()) {
            let target = format!("/v1/{path}");
            let (status, full, body) = asked(app, ("GET", &target), &[], "").await;
            assert_eq!(status, 200, "{path}");
            let tag = full["etag"].to_str().unwrap();
            let (status, head, nothing) = asked(app, ("HEAD", &target), &[], "").await;
            assert_eq!((status, nothing.len()), (200, 0), "{path}");
            assert_eq!(head["content-length"], body.len().to_string(), "{path}");
            assert_eq!(head["etag"], tag, "{path}");
            let kept = [("If-None-Match", tag)];
            for method in ["GET", "HEAD"] {
                let (status, short, nothing) = asked(app, (method, &target), &kept, "").await;
                assert_eq!((status, nothing.len()), (304, 0), "{method} {path}");
                for name in ["etag", "cache-control", "last-modified"] {
                    assert_eq!(short.get(name), full.get(name), "{path} {name}");
                }
                assert!(!short.contains_key("content-length"), "{path}");
            }
            let has_time = path.contains("crl") || path.contains("/raw") && !path.contains("/ca/");
            assert_eq!(full.contains_key("last-modified"), has_time, "{path}");
            if let Some(time) = full.get("last-modified") {
                let kept = [("If-Modified-Since", time.to_str().unwrap())];
                assert_eq!(asked(app, ("GET", &target), &kept, "").await.0, 304, "{path}");
            }
        }
    }
}

#[tokio::test]
async fn a_revocation_gives_a_list_another_tag_in_every_form() {
    let server = server().await;
    let app = App::new(Api::new(Arc::clone(&server.engine)), Limits::default());
    let paths = ["pki/crl", "pki/crl/pem", "pki/issuer/root/crl/der", "pki/issuer/root/crl/pem"];
    let tags = async || {
        let mut tags = Vec::new();
        for path in paths {
            let (_, headers, _) = asked(&app, ("GET", &format!("/v1/{path}")), &[], "").await;
            tags.push(headers["etag"].to_str().unwrap().to_owned());
        }
        tags
    };
    let before = tags().await;
    assert_eq!(before[0], before[2]);
    assert_ne!(before[0], before[1]);
    assert_ne!(before[1], before[3], "they differ in a line end");
    let issued = server.post("pki/issue/web", json!({ "common_name": "a.example.org" })).await;
    let serial = issued.text("serial_number");
    server.post("pki/revoke", json!({ "serial_number": serial })).await.ok();
    let after = tags().await;
    for (path, (before, after)) in paths.iter().zip(before.iter().zip(&after)) {
        assert_ne!(before, after, "{path}");
        let kept = [("If-None-Match", before.as_str())];
        let (status, headers, _) = asked(&app, ("GET", &format!("/v1/{path}")), &kept, "").await;
        assert_eq!(status, 200, "{path}");
        assert_eq!(headers["cache-control"], "public, max-age=3600, must-revalidate");
    }
}

#[tokio::test]
async fn errors_and_json_and_empty_answers_are_not_kept_by_caches() {
    let server = server().await;
    let app = App::new(Api::new(Arc::clone(&server.engine)), Limits::default());
    for (target, expected) in [
        ("/v1/pki/cert/ca", 200),
        ("/v1/pki/issuer/root/crl", 200),
        ("/v1/pki/cert/01/raw", 204),
        ("/v1/pki/issuer/none/der", 400),
        ("/v1/sys/health", 200),
        ("/v1/nothing", 403),
        ("/nothing", 404),
    ] {
        let kept = [("If-None-Match", "*")];
        let (status, headers, _) = asked(&app, ("GET", target), &kept, "").await;
        assert_eq!(headers["cache-control"], "no-store", "{target}");
        assert!(!headers.contains_key("etag"), "{target}");
        assert!(status != 304 && (status == expected || status >= 400), "{target}: {status}");
        assert!(headers.contains_key("x-request-id"), "{target}");
    }
}

#[tokio::test]
async fn an_audit_device_receives_the_address_of_the_caller() {
    let server = server().await;
    let recorder = Arc::new(Recorder::default());
    let devices: Vec<Arc<dyn Device>> = vec![Arc::<Recorder>::clone(&recorder)];
    let api = Api::new(Arc::clone(&server.engine)).audited(Audit::new(devices));
    let peer = Some(PEER.parse().unwrap());
    for app in [App::new(api.clone(), Limits::default()), App::public(api, Limits::default())] {
        assert_eq!(asked(&app, ("GET", "/v1/pki/ca"), &[], "").await.0, 200);
        assert_eq!(std::mem::take(&mut *recorder.remotes.lock().unwrap()), [peer]);
    }
}
