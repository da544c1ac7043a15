//! The tables of routes, and what follows from them.

mod support;

use std::collections::BTreeSet;

use bytes::Bytes;
use serde_json::Value;
use signet::backend::registry::kinds;
use signet::backend::route::{Operation, RouteInfo};
use support::{ROOT_TOKEN, Server};

fn routes() -> impl Iterator<Item = (&'static str, &'static RouteInfo)> {
    kinds().flat_map(|kind| kind.routes().into_iter().map(|info| (kind.kind(), info)))
}

/// Whether the help of a route or a parameter is a sentence.
fn is_a_sentence(help: &str) -> bool {
    let starts = help.starts_with(|first: char| first.is_ascii_uppercase());
    starts && help.ends_with('.') && !help.contains("  ")
}

#[test]
fn every_route_and_every_parameter_has_a_sentence_of_help() {
    for (kind, info) in routes() {
        assert!(is_a_sentence(info.help), "{kind} {}: {:?}", info.pattern, info.help);
        for field in info.fields() {
            assert!(is_a_sentence(field.help), "{} {}: {:?}", info.pattern, field.name, field.help);
        }
    }
}

#[test]
fn no_operation_of_a_path_and_no_parameter_of_a_route_is_declared_twice() {
    let mut known = BTreeSet::new();
    for (kind, info) in routes() {
        assert!(known.insert((kind, info.path(), info.operation)), "{kind} {}", info.pattern);
        let mut names = BTreeSet::new();
        for field in info.fields() {
            assert!(names.insert(field.name), "{} {}", info.pattern, field.name);
        }
    }
}

#[test]
fn every_path_matches_its_own_pattern() {
    for kind in kinds() {
        for info in kind.routes() {
            // Each capture takes a digit, which every shape allows.
            let segments = info.path();
            let segments =
                segments.split('/').map(|text| if text.starts_with('{') { "1" } else { text });
            let path = segments.collect::<Vec<_>>().join("/");
            let found: Vec<_> = kind.routes_at(&path);
            let matches = found.iter().any(|found| found.pattern == info.pattern);
            assert!(matches, "{path} is not {}", info.pattern);
        }
    }
}

#[test]
fn passwords_are_sensitive_parameters() {
    for (_, info) in routes() {
        let sensitive: BTreeSet<_> = info.sensitive().collect();
        for field in info.fields().filter(|field| field.name.ends_with("password")) {
            assert!(sensitive.contains(field.name), "{} {}", info.pattern, field.name);
        }
    }
}

async fn help(server: &Server, path: &str) -> (u16, Value) {
    let answer =
        server.send("GET", &format!("{path}?help=1"), Some(ROOT_TOKEN), &[], Bytes::new()).await;
    (answer.status, answer.json())
}

#[tokio::test]
async fn the_help_of_a_mount_lists_its_paths() {
    let server = Server::with_root().await;
    for (mount, kind) in [("pki", "pki"), ("sys", "system"), ("auth/token", "token")] {
        let (status, answer) = help(&server, mount).await;
        let text = answer["help"].as_str().unwrap();
        assert_eq!(status, 200);
        assert!(text.starts_with("## DESCRIPTION\n\n") && text.contains("\n## PATHS\n"), "{text}");
        let surface = kinds().find(|surface| surface.kind() == kind).unwrap();
        for info in surface.routes() {
            let first = info.path();
            let first = first.split('/').next().unwrap();
            assert!(text.contains(&format!("    ^{first}")), "{mount}: {first}\n{text}");
        }
    }
}

#[tokio::test]
async fn the_help_of_a_path_names_its_parameters() {
    let server = Server::with_root().await;
    let (status, answer) = help(&server, "pki/issue/web").await;
    let text = answer["help"].as_str().unwrap();
    assert_eq!(status, 200);
    assert!(
        text.starts_with("Request:        issue/web\nMatching Route: ^issue/(?P<role>"),
        "{text}"
    );
    for parameter in
        ["common_name (string)", "ttl (duration (sec))", "uri_sans (slice)", "role (string)"]
    {
        assert!(text.contains(&format!("\n    {parameter}\n")), "{parameter}\n{text}");
    }
}

#[tokio::test]
async fn help_needs_a_valid_token_and_a_path_that_exists() {
    let server = Server::with_root().await;
    let without = server.send("GET", "pki?help=1", None, &[], Bytes::new()).await;
    assert_eq!(without.status, 403);
    assert_eq!(help(&server, "pki/nowhere").await.0, 404);
    assert_eq!(help(&server, "nowhere").await.0, 404);
    let namespace = [("X-Vault-Namespace", "team-a")];
    let other = server.send("GET", "pki?help=1", Some(ROOT_TOKEN), &namespace, Bytes::new()).await;
    assert_eq!((other.status, other.errors()), (404, vec!["namespace not found".to_owned()]));
}

#[tokio::test]
async fn the_openapi_document_describes_every_route_once() {
    let server = Server::with_root().await;
    let answer =
        server.send("GET", "sys/internal/specs/openapi", Some(ROOT_TOKEN), &[], Bytes::new()).await;
    assert_eq!(answer.status, 200);
    let document = answer.json();
    assert_eq!(document["openapi"], "3.0.2");
    let mut identifiers = BTreeSet::new();
    for (kind, info) in routes() {
        let mount = match kind {
            "system" => "sys",
            "token" => "auth/token",
            other => other,
        };
        let method = match info.operation {
            Operation::Read | Operation::List => "get",
            Operation::Update => "post",
            Operation::Patch => "patch",
            Operation::Delete => "delete",
        };
        let operation = &document["paths"][format!("/{mount}/{}", info.path())][method];
        assert!(operation.is_object(), "{kind} {method} {}", info.pattern);
        assert_eq!(operation["security"].as_array().unwrap().is_empty(), info.needs_no_token());
        identifiers.insert(operation["operationId"].as_str().unwrap().to_owned());
    }
    let paths = document["paths"].as_object().unwrap();
    let operations = paths.values().flat_map(|path| path.as_object().unwrap().keys());
    let operations = operations.filter(|name| *name != "parameters").count();
    assert_eq!(operations, identifiers.len(), "identifiers of operations are unique");
}
