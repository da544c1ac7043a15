//! The line of a request: what comes through has a path that is safe to compare, and every route
//! is found again under the path that spells it out.

#![no_main]

use std::fmt::Write as _;

use bytes::Bytes;
use http::{Method, Request, Uri};
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value};
use signet::ca::time::Timestamp;
use signet::http::body::Held;
use signet::http::budget::{Budget, MOST_NODES};
use signet::http::call::Operation;
use signet::http::form::percent_decoded;
use signet::http::head::Head;
use signet::http::parameters::Unparsed;
use signet::http::pki::Route;

#[derive(Arbitrary, Debug)]
struct Line<'a> {
    method: Word,
    content_type: Type,
    body: &'a [u8],
    target: &'a str,
}

#[derive(Arbitrary, Debug)]
enum Word {
    Get,
    Head,
    List,
    Post,
    Patch,
    Delete,
    Other,
}

#[derive(Arbitrary, Debug)]
enum Type {
    None,
    Json,
    MergePatch,
    Form,
}

fuzz_target!(|line: Line<'_>| {
    texts(line.target);
    route(line.target);
    call(&line, line.target);
    call(&line, &format!("/v1/{}", line.target));
});

fn call(line: &Line<'_>, target: &str) {
    let Ok(uri) = target.parse::<Uri>() else { return };
    let method = match line.method {
        Word::Get => Method::GET,
        Word::Head => Method::HEAD,
        Word::List => Method::from_bytes(b"LIST").expect("a word"),
        Word::Post => Method::POST,
        Word::Patch => Method::PATCH,
        Word::Delete => Method::DELETE,
        Word::Other => Method::TRACE,
    };
    let content_type = match line.content_type {
        Type::None => "",
        Type::Json => "application/json",
        Type::MergePatch => "application/merge-patch+json; charset=utf-8",
        Type::Form => "application/x-www-form-urlencoded",
    };
    let request = Request::builder().method(method).uri(uri).header("content-type", content_type);
    let (parts, ()) = request.body(()).expect("parts that were checked").into_parts();
    let now = Timestamp::from_unix(1_900_000_000);
    let Ok(head) = Head::read(&parts, now) else { return };
    let body = Bytes::copy_from_slice(line.body);
    let unparsed = Unparsed::of(&parts, &head, body, Held::default());
    let Ok(parameters) = unparsed.without_token() else { return };
    let call = head.with(parameters);
    assert!(!call.path.starts_with('/'), "{:?}", call.path);
    assert!(!call.path.chars().any(|c| c.is_control() || c == '\u{fffd}'), "{:?}", call.path);
    assert!(call.path.split('/').all(|segment| segment != ".."), "{:?}", call.path);
    assert!(call.operation != Operation::Write || !call.path.ends_with('/'));
    assert_eq!(call.head, parts.method == Method::HEAD);
    if matches!(call.operation, Operation::Read | Operation::List | Operation::Delete) {
        let query = form(parts.uri.query().unwrap_or_default());
        assert_eq!(Some(call.parameters), query);
    }
    route(&call.path);
}

fn route(rest: &str) {
    let Some(route) = Route::parse(rest) else { return };
    // One slash at the end counts for nothing.
    let path = format!("{}/", spelled(&route));
    assert_eq!(Route::parse(&path).as_ref(), Some(&route), "{path:?}");
    // What needs no token changes nothing and shows no settings.
    let open = route.is_public(Operation::Read) || route.is_public(Operation::List);
    let secret = matches!(
        route,
        Route::Role(_) | Route::Issue(..) | Route::Sign(..) | Route::Revoke | Route::Key(_)
    );
    assert!(!(open && secret), "{route:?}");
}

fn spelled(route: &Route) -> String {
    let below = |issuer: &Option<String>, path: &str| match issuer {
        Some(issuer) => format!("issuer/{issuer}/{path}"),
        None => path.to_owned(),
    };
    let form = |path: String, form: &Option<String>| match form {
        Some(form) => format!("{path}/{form}"),
        None => path,
    };
    match route {
        Route::Roles => "roles".to_owned(),
        Route::Role(role) => format!("roles/{role}"),
        Route::Issue(issuer, role) => below(issuer, &format!("issue/{role}")),
        Route::Sign(issuer, role) => below(issuer, &format!("sign/{role}")),
        Route::GenerateRoot(kind, false) => format!("root/generate/{kind}"),
        Route::GenerateRoot(kind, true) => format!("root/rotate/{kind}"),
        Route::GenerateIntermediate(kind) => format!("intermediate/generate/{kind}"),
        Route::SetSigned => "intermediate/set-signed".to_owned(),
        Route::SignIntermediate(None) => "root/sign-intermediate".to_owned(),
        Route::SignIntermediate(issuer) => below(issuer, "sign-intermediate"),
        Route::Issuers => "issuers".to_owned(),
        Route::Issuer(issuer) => format!("issuer/{issuer}"),
        Route::IssuerRaw(issuer, form) => format!("issuer/{issuer}/{form}"),
        Route::IssuerCrl(issuer, kind) => form(format!("issuer/{issuer}/crl"), kind),
        Route::Keys => "keys".to_owned(),
        Route::Key(key) => format!("key/{key}"),
        Route::ConfigIssuers => "config/issuers".to_owned(),
        Route::ConfigKeys => "config/keys".to_owned(),
        Route::ConfigUrls => "config/urls".to_owned(),
        Route::ConfigCluster => "config/cluster".to_owned(),
        Route::Certificates => "certs".to_owned(),
        Route::Certificate(serial, None) => format!("cert/{serial}"),
        Route::Certificate(serial, Some(kind)) if kind == "pem" => format!("cert/{serial}/raw/pem"),
        Route::Certificate(serial, Some(_)) => format!("cert/{serial}/raw"),
        Route::Authority(kind) => form("ca".to_owned(), kind),
        Route::AuthorityChain => "ca_chain".to_owned(),
        Route::Crl(kind) => form("crl".to_owned(), kind),
        Route::Revoke => "revoke".to_owned(),
        Route::RevokeIssuer(issuer) => format!("issuer/{issuer}/revoke"),
        Route::RotateCrl => "crl/rotate".to_owned(),
    }
}

/// Escaping and forms: what is written with every octet escaped is read as it was.
fn texts(text: &str) {
    assert_eq!(percent_decoded(&escaped(text)), text);
    if !text.contains('%') {
        assert_eq!(percent_decoded(text), text);
    }
    let Some(read) = form(text) else { return };
    assert!(read.len() <= text.split('&').count());
    let pairs = read.iter().map(|(name, value)| {
        format!("{}={}", escaped(name), escaped(value.as_str().expect("forms hold texts")))
    });
    // Escaped, a long form may be too long.
    if let Some(again) = form(&pairs.collect::<Vec<_>>().join("&")) {
        assert_eq!(again, read);
    }
}

fn form(text: &str) -> Option<Map<String, Value>> {
    signet::http::form::form(text.as_bytes(), &Budget::of(MOST_NODES)).ok()
}

fn escaped(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, octet| {
        write!(out, "%{octet:02x}").expect("a text takes everything");
        out
    })
}
