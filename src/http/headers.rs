//! Headers that ask for something are honoured, or refused with a text that names what they ask for. A header
//! that a caller may rely on is never ignored.
//!
//! Not here, because there is nothing to refuse: `X-Vault-Request` marks a client. `X-Vault-Index`,
//! `X-Vault-Inconsistent`, `X-Vault-Forward` and `X-Vault-No-Request-Forwarding` say which of several
//! nodes may answer: there is one, and it reads what it wrote. `X-Vault-Policy-Override` asks to pass over
//! a policy: no policy here can be passed over. `X-Vault-AWS-IAM-Server-ID` belongs to a login that does not exist.

use http::uri::Authority;
use http::{HeaderMap, HeaderValue, StatusCode, header};

use crate::backend::route::Operation;

use super::head::Head;
use super::reply::errors_response;
use super::sending::HttpResponse;

/// `Err` holds the answer to a refused request.
type HeaderCheck = Result<(), Box<HttpResponse>>;

/// Refuses a request whose headers ask for something that this server does not support.
///
/// # Errors
/// The answer that says which header and why.
pub fn check(headers: &HeaderMap, head: &Head) -> HeaderCheck {
    for (name, value) in headers {
        let value = || String::from_utf8_lossy(value.as_bytes());
        let changes = head.operation.changes_state();
        match name.as_str() {
            "x-vault-namespace" => check_namespace(&value(), head)?,
            "x-vault-wrap-ttl" => check_wrapping("X-Vault-Wrap-TTL", &value(), head)?,
            "x-vault-wrap-format" => check_wrapping("X-Vault-Wrap-Format", &value(), head)?,
            "x-vault-mfa" => unsupported(
                "X-Vault-MFA",
                "multi-factor authentication (-mfa, VAULT_MFA)",
                &value(),
            )?,
            "x-vault-inline-auth-path" => {
                unsupported("X-Vault-Inline-Auth-Path", "a login within the request", &value())?;
            }
            "x-vault-recover-snapshot-id" | "x-vault-recover-source-path" => {
                unsupported("X-Vault-Recover-Snapshot-Id", "data from a snapshot", &value())?;
            }
            name @ ("if-match" | "if-none-match" | "if-unmodified-since") if changes => {
                unsupported(name, "a change that depends on the present version", &value())?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// Refuses a namespace that does not exist. Empty, `/` and `root` are the root namespace,
/// the only one.
fn check_namespace(namespace: &str, head: &Head) -> HeaderCheck {
    let mut segments = namespace.split('/').filter(|segment| !matches!(*segment, "" | "."));
    let is_root = match (segments.next(), segments.next()) {
        (None, _) | (Some("root"), None) => true,
        (Some(_), _) => false,
    };
    match head.path.as_str() {
        _ if is_root => Ok(()),
        // The state of the process does not depend on a namespace.
        "sys/seal-status" | "sys/leader" => Ok(()),
        "sys/init" | "sys/health" => {
            Err(refuse(StatusCode::BAD_REQUEST, "operation unavailable in namespaces"))
        }
        _ => Err(refuse(StatusCode::NOT_FOUND, "namespace not found")),
    }
}

/// Refuses a request for a wrapped answer: it is not sent unwrapped. The states of the process are never wrapped.
fn check_wrapping(name: &str, value: &str, head: &Head) -> HeaderCheck {
    let is_state = matches!(head.path.as_str(), "sys/health" | "sys/seal-status" | "sys/leader");
    let is_unset = matches!(value.trim(), "" | "0" | "0s");
    if is_unset || (is_state && !head.operation.changes_state()) {
        return Ok(());
    }
    unsupported(name, "a wrapped response (-wrap-ttl, VAULT_WRAP_TTL)", value)
}

fn unsupported(name: &str, what: &str, value: &str) -> HeaderCheck {
    if value.trim().is_empty() {
        return Ok(());
    }
    let text = format!(
        "{name} asks for {what}, which this server does not have: send the request without it"
    );
    Err(refuse(StatusCode::BAD_REQUEST, &text))
}

fn refuse(status: StatusCode, text: &str) -> Box<HttpResponse> {
    Box::new(errors_response(status, &[text.to_owned()]))
}

/// Refuses a state change that a page of another site makes a browser send. Browsers send the origin of such a
/// request, and a page cannot change it; other programs send none. The media type is not checked: clients send
/// wrong ones, and pages can send right ones.
///
/// `authority` is that of the request's target, which HTTP/2 uses instead of the header `Host`.
///
/// # Errors
/// 403, with the origin.
pub fn check_origin(
    headers: &HeaderMap,
    operation: Operation,
    authority: Option<&Authority>,
) -> HeaderCheck {
    if !operation.changes_state() {
        return Ok(());
    }
    for site in headers.get_all("sec-fetch-site") {
        match site.as_bytes() {
            // The browser knows the host of its request even if a proxy changes `Host`.
            b"same-origin" => return Ok(()),
            b"cross-site" | b"same-site" => return other_origin(headers.get(header::ORIGIN)),
            _ => {}
        }
    }
    let host = || {
        let header = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        authority.map(Authority::as_str).or(header).unwrap_or_default()
    };
    for origin in headers.get_all(header::ORIGIN) {
        if !is_same_host(origin.to_str().unwrap_or_default(), host()) {
            return other_origin(Some(origin));
        }
    }
    Ok(())
}

/// Is this origin the host of the request? The scheme is not compared: a proxy may end TLS.
fn is_same_host(origin: &str, host: &str) -> bool {
    let Some((scheme, site)) = origin.split_once("://") else { return false };
    let port = match scheme {
        "https" => ":443",
        "http" => ":80",
        _ => return false,
    };
    let without =
        |authority: &str| authority.strip_suffix(port).unwrap_or(authority).to_ascii_lowercase();
    !site.is_empty() && without(site) == without(host)
}

fn other_origin(origin: Option<&HeaderValue>) -> HeaderCheck {
    let origin = origin.map_or("another site".into(), |origin| {
        String::from_utf8_lossy(origin.as_bytes()).into_owned()
    });
    let text = format!(
        "origin not allowed: a page of {origin} may change nothing here; use the command line or a program"
    );
    Err(refuse(StatusCode::FORBIDDEN, &text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ca::time::Timestamp;

    fn status(path: &str, operation: Operation, name: &'static str, value: &str) -> u16 {
        let now = Timestamp::from_unix(1_900_000_000);
        let head = Head { now, path: path.to_owned(), operation, help: false };
        let headers = [(name.parse().unwrap(), value.parse().unwrap())].into_iter().collect();
        check(&headers, &head).map_or_else(|answer| answer.status().as_u16(), |()| 200)
    }

    #[test]
    fn the_root_namespace_has_these_spellings_and_no_other() {
        for root in ["", "/", "root", "root/", "/root/", "./root", "//"] {
            assert_eq!(status("pki/roles", Operation::List, "x-vault-namespace", root), 200);
        }
        for other in ["team-a", "team-a/", "root/team-a", "ROOT", "rooted", "a/..", "%2f"] {
            assert_eq!(status("pki/roles", Operation::List, "x-vault-namespace", other), 404);
            assert_eq!(status("sys/init", Operation::Update, "x-vault-namespace", other), 400);
            assert_eq!(status("sys/leader", Operation::Read, "x-vault-namespace", other), 200);
        }
    }

    #[test]
    fn what_asks_for_protection_is_refused_and_what_asks_for_none_is_not() {
        for (name, value, expected) in [
            ("x-vault-wrap-ttl", "60s", 400),
            ("x-vault-wrap-ttl", "1", 400),
            ("x-vault-wrap-ttl", "500ms", 400),
            ("x-vault-wrap-ttl", "-1", 400),
            ("x-vault-wrap-ttl", "0", 200),
            ("x-vault-wrap-ttl", "", 200),
            ("x-vault-wrap-format", "jwt", 400),
            ("x-vault-mfa", "my_totp:123456", 400),
            ("x-vault-inline-auth-path", "auth/approle/login", 400),
            ("x-vault-recover-snapshot-id", "1", 400),
            ("if-match", "\"1\"", 400),
            ("if-none-match", "*", 400),
            ("x-vault-request", "true", 200),
            ("x-vault-index", "x", 200),
            ("x-vault-inconsistent", "forward-active-node", 200),
            ("x-vault-policy-override", "true", 200),
        ] {
            assert_eq!(status("pki/issue/web", Operation::Update, name, value), expected, "{name}");
        }
        assert_eq!(status("pki/crl", Operation::Read, "if-none-match", "\"1\""), 200);
        assert_eq!(status("sys/health", Operation::Read, "x-vault-wrap-ttl", "60s"), 200);
        assert_eq!(status("sys/init", Operation::Update, "x-vault-wrap-ttl", "60s"), 400);
    }

    #[test]
    fn an_origin_other_than_the_requested_host_is_refused() {
        for (origin, host) in [
            ("https://ca.example.org", "ca.example.org"),
            ("https://ca.example.org", "CA.example.org:443"),
            ("https://ca.example.org:443", "ca.example.org"),
            ("http://127.0.0.1:8200", "127.0.0.1:8200"),
            ("http://[::1]:8200", "[::1]:8200"),
        ] {
            assert!(is_same_host(origin, host), "{origin} {host}");
        }
        for (origin, host) in [
            ("null", "null"),
            ("null", ""),
            ("", ""),
            ("://", ""),
            ("https://", ""),
            ("ca.example.org", "ca.example.org"),
            ("https://evil.example", "ca.example.org"),
            ("https://ca.example.org.evil.example", "ca.example.org"),
            ("http://127.0.0.1:8080", "127.0.0.1:8200"),
            ("http://127.0.0.1", "127.0.0.1:8200"),
            ("chrome-extension://ca.example.org", "ca.example.org"),
        ] {
            assert!(!is_same_host(origin, host), "{origin} {host}");
        }
    }
}
