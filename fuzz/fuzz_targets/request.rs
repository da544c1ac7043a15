//! The request line: an accepted request has a path that is safe to compare, and every path finds
//! the same route with a slash at its end.

#![no_main]

use std::fmt::Write as _;

use bytes::Bytes;
use http::{Method, Request, Uri};
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value};
use signet::backend::pattern::PathMatch;
use signet::backend::registry::kinds;
use signet::backend::route::Operation;
use signet::ca::time::Timestamp;
use signet::http::body::BudgetPermit;
use signet::http::budget::{Budget, MAX_NODES};
use signet::http::form::percent_decoded;
use signet::http::head::Head;
use signet::http::parameters::Unparsed;

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
    let unparsed = Unparsed::of(&parts, head.operation, body, BudgetPermit::default());
    let Ok(parameters) = unparsed.without_token() else { return };
    assert!(!head.path.starts_with('/'), "{:?}", head.path);
    assert!(!head.path.chars().any(|c| c.is_control() || c == '\u{fffd}'), "{:?}", head.path);
    assert!(head.path.split('/').all(|segment| segment != ".."), "{:?}", head.path);
    assert!(head.operation != Operation::Update || !head.path.ends_with('/'));
    if !head.operation.changes_state() {
        let query = form(parts.uri.query().unwrap_or_default());
        assert_eq!(Some(parameters), query);
    }
    route(&head.path);
}

/// Looks up the path in each type of mount.
fn route(rest: &str) {
    for kind in kinds() {
        for operation in Operation::ALL {
            let found = kind.find(rest, operation);
            if !rest.ends_with('/') {
                // One slash at the end is ignored.
                assert_eq!(kind.find(&format!("{rest}/"), operation), found, "{rest:?}");
            }
            let PathMatch::Route(position, captures) = found else { continue };
            let info = kind.route(position).expect("a position in its table");
            assert_eq!(info.operation, operation);
            assert!(captures.iter().all(|(_, text)| !text.is_empty()), "{rest:?}");
            // A route that needs no token changes no state, except the initialisation.
            let may_change = info.pattern == "init";
            assert!(!info.needs_no_token() || !operation.changes_state() || may_change);
        }
    }
}

/// Escaping and forms: text with every byte escaped is read back unchanged.
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
    signet::http::form::form(text.as_bytes(), &Budget::of(MAX_NODES)).ok()
}

fn escaped(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        write!(out, "%{byte:02x}").expect("writing to a String succeeds");
        out
    })
}
