//! A request before its body is read: its operation and path.

use http::{StatusCode, request};

use crate::backend::route::Operation;
use crate::ca::time::Timestamp;
use crate::go::parse_bool;

use super::form::{MAX_QUERY_PARAMETERS, percent_decoded};
use super::reply::errors_response;
use super::sending::HttpResponse;

/// The parsed method and path of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The time of this request, read once.
    pub now: Timestamp,
    /// The path after `/v1/`, decoded.
    pub path: String,
    /// The requested operation.
    pub operation: Operation,
    /// Whether the query asks for help about the path.
    pub help: bool,
}

impl Head {
    /// Reads method, path and the parts of the query that change their meaning.
    ///
    /// # Errors
    /// The answer to an invalid request.
    pub fn read(parts: &request::Parts, now: Timestamp) -> Result<Self, Box<HttpResponse>> {
        let path = path(parts.uri.path())?;
        let Flags { listing, help } = Flags::read(parts.uri.query().unwrap_or_default())?;
        let operation = if help { Operation::Read } else { operation(parts, listing.as_deref())? };
        if operation == Operation::Update && path.ends_with('/') {
            return Err(bad("cannot write to a path ending in '/'"));
        }
        Ok(Self { now, path, operation, help })
    }
}

/// Removes slashes before the mount, escaped ones too; the rest is unchanged.
fn path(path: &str) -> Result<String, Box<HttpResponse>> {
    let Some(path) = path.strip_prefix("/v1/") else {
        return Err(refuse(StatusCode::NOT_FOUND, &[]));
    };
    let path = percent_decoded(path).trim_start_matches('/').to_owned();
    if path.chars().any(|character| character.is_control() || character == '\u{fffd}') {
        return Err(bad("path contains characters that cannot be printed"));
    }
    if path.split('/').any(|segment| segment == "..") {
        return Err(bad("path cannot contain parent references"));
    }
    Ok(path)
}

/// The query parameters that change the operation.
#[derive(Default)]
struct Flags {
    /// The value of `list`.
    listing: Option<String>,
    /// `help` is set.
    help: bool,
}

impl Flags {
    /// Parameters that ask for data from a snapshot are refused: without them, the request would read or
    /// overwrite the present data.
    fn read(query: &str) -> Result<Self, Box<HttpResponse>> {
        let mut flags = Self::default();
        for (count, (name, value)) in form_urlencoded::parse(query.as_bytes()).enumerate() {
            if count >= MAX_QUERY_PARAMETERS {
                return Err(bad(&format!(
                    "the query holds more than {MAX_QUERY_PARAMETERS} parameters"
                )));
            }
            match &*name {
                "list" => flags.listing = Some(value.into_owned()),
                "help" => flags.help = !matches!(&*value, "" | "0" | "false"),
                "read_snapshot_id" | "recover_snapshot_id" if !value.is_empty() => {
                    return Err(bad(&format!(
                        "{name} asks for data from a snapshot, which this server does not have: send the request without it"
                    )));
                }
                _ => {}
            }
        }
        Ok(flags)
    }
}

fn operation(
    parts: &request::Parts,
    listing: Option<&str>,
) -> Result<Operation, Box<HttpResponse>> {
    Ok(match (parts.method.as_str(), listing.map(parse_bool)) {
        ("LIST", _) | ("GET", Some(Some(true))) => Operation::List,
        ("GET" | "HEAD", None | Some(Some(false))) => Operation::Read,
        ("GET" | "HEAD", Some(_)) => return Err(refuse(StatusCode::BAD_REQUEST, &[])),
        ("POST" | "PUT", _) => Operation::Update,
        ("PATCH", _) if content_type(parts) == "application/merge-patch+json" => Operation::Patch,
        ("PATCH", _) => {
            return Err(refuse(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                &["PATCH needs Content-Type: application/merge-patch+json".to_owned()],
            ));
        }
        ("DELETE", _) => Operation::Delete,
        _ => return Err(refuse(StatusCode::METHOD_NOT_ALLOWED, &[])),
    })
}

/// The media type of the body, without its parameters.
pub fn content_type(parts: &request::Parts) -> &str {
    let value = parts.headers.get(http::header::CONTENT_TYPE);
    let text = value.and_then(|value| value.to_str().ok()).unwrap_or_default();
    text.split(';').next().unwrap_or_default().trim()
}

fn bad(text: &str) -> Box<HttpResponse> {
    refuse(StatusCode::BAD_REQUEST, &[text.to_owned()])
}

fn refuse(status: StatusCode, text: &[String]) -> Box<HttpResponse> {
    Box::new(errors_response(status, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(target: &str) -> Result<Head, StatusCode> {
        let (parts, ()) = http::Request::get(target).body(()).unwrap().into_parts();
        Head::read(&parts, Timestamp::from_unix(1_900_000_000)).map_err(|answer| answer.status())
    }

    fn path(target: &str) -> Option<String> {
        read(target).ok().map(|head| head.path)
    }

    #[test]
    fn slashes_before_the_mount_are_removed_escaped_or_not() {
        for target in ["/v1/pki/roles", "/v1//pki/roles", "/v1/%2f/pki/roles"] {
            assert_eq!(path(target).as_deref(), Some("pki/roles"), "{target}");
        }
        assert_eq!(path("/v1/pki//roles").as_deref(), Some("pki//roles"));
    }

    #[test]
    fn every_spelling_of_a_parent_reference_is_refused() {
        for target in ["/v1/pki/../sys", "/v1/%2e%2e/sys", "/v1/pki%2f..%2fsys"] {
            assert_eq!(path(target), None, "{target}");
        }
    }

    #[test]
    fn a_query_of_many_parameters_is_refused() {
        let target = |count: usize| format!("/v1/pki/roles?{}", vec!["a"; count].join("&"));
        assert!(read(&target(MAX_QUERY_PARAMETERS)).is_ok());
        assert_eq!(read(&target(MAX_QUERY_PARAMETERS + 1)), Err(StatusCode::BAD_REQUEST));
    }
}
