//! Headers that ask for something: honoured, or refused with what they ask for. None is ignored on
//! which a caller may rely.
//!
//! Not here, because there is nothing to refuse: `X-Vault-Request` marks a client. `X-Vault-Index`,
//! `X-Vault-Inconsistent`, `X-Vault-Forward` and `X-Vault-No-Request-Forwarding` say which of several
//! nodes may answer: there is one, and it reads what it wrote. `X-Vault-Policy-Override` asks to pass over
//! a policy: there is none to pass over. `X-Vault-AWS-IAM-Server-ID` belongs to a login that is not there.

use http::uri::Authority;
use http::{HeaderMap, HeaderValue, StatusCode, header};

use crate::backend::route::Operation;

use super::head::Head;
use super::reply::errors_response;
use super::sending::HttpResponse;

/// What a header makes of a request.
type HeaderCheck = Result<(), Box<HttpResponse>>;

/// Refuses a request that asks by a header for what this server does not do.
///
/// # Errors
/// The answer that says which header and why.
pub fn check(headers: &HeaderMap, head: &Head) -> HeaderCheck {
    for (name, value) in headers {
        let value = || String::from_utf8_lossy(value.as_bytes());
        let changes = head.operation.changes_state();
        match name.as_str() {
            "x-vault-namespace" => in_namespace(&value(), head)?,
            "x-vault-wrap-ttl" => wrapped("X-Vault-Wrap-TTL", &value(), head)?,
            "x-vault-wrap-format" => wrapped("X-Vault-Wrap-Format", &value(), head)?,
            "x-vault-mfa" => {
                absent("X-Vault-MFA", "multi-factor authentication (-mfa, VAULT_MFA)", &value())?
            }
            "x-vault-inline-auth-path" => {
                absent("X-Vault-Inline-Auth-Path", "a login within the request", &value())?;
            }
            "x-vault-recover-snapshot-id" | "x-vault-recover-source-path" => {
                absent("X-Vault-Recover-Snapshot-Id", "data from a snapshot", &value())?;
            }
            name @ ("if-match" | "if-none-match" | "if-unmodified-since") if changes => {
                absent(name, "a change that depends on the present version", &value())?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// Of a namespace that is not there nothing is answered. Empty, `/` and `root` are the root namespace,
/// the only one.
fn in_namespace(namespace: &str, head: &Head) -> HeaderCheck {
    let mut segments = namespace.split('/').filter(|segment| !matches!(*segment, "" | "."));
    let is_root = match (segments.next(), segments.next()) {
        (None, _) | (Some("root"), None) => true,
        (Some(_), _) => false,
    };
    match head.path.as_str() {
        _ if is_root => Ok(()),
        // What the process says of itself says nothing of a namespace.
        "sys/seal-status" | "sys/leader" => Ok(()),
        "sys/init" | "sys/health" => {
            Err(refuse(StatusCode::BAD_REQUEST, "operation unavailable in namespaces"))
        }
        _ => Err(refuse(StatusCode::NOT_FOUND, "namespace not found")),
    }
}

/// An answer that was to be wrapped is not given in clear. The states of the process are never wrapped.
fn wrapped(name: &str, value: &str, head: &Head) -> HeaderCheck {
    let is_state = matches!(head.path.as_str(), "sys/health" | "sys/seal-status" | "sys/leader");
    let is_none = matches!(value.trim(), "" | "0" | "0s");
    if is_none || (is_state && !head.operation.changes_state()) {
        return Ok(());
    }
    absent(name, "a wrapped response (-wrap-ttl, VAULT_WRAP_TTL)", value)
}

fn absent(name: &str, what: &str, value: &str) -> HeaderCheck {
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

/// Refuses a change of state that a page of another site makes a browser send. Every browser says where
/// such a request comes from, and no page can make it say otherwise; programs say nothing. The media type
/// is not looked at: clients send wrong ones, and pages can send right ones.
///
/// `authority` is that of the request's target, which HTTP/2 has in place of the header `Host`.
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
            // The browser knows the name that it asked for, also where a proxy changes `Host`.
            b"same-origin" => return Ok(()),
            b"cross-site" | b"same-site" => return foreign(headers.get(header::ORIGIN)),
            _ => {}
        }
    }
    let host = || {
        let header = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        authority.map(Authority::as_str).or(header).unwrap_or_default()
    };
    for origin in headers.get_all(header::ORIGIN) {
        if !is_of(origin.to_str().unwrap_or_default(), host()) {
            return foreign(Some(origin));
        }
    }
    Ok(())
}

/// Is this origin the host that was asked? The scheme is not compared: a proxy may end TLS.
fn is_of(origin: &str, host: &str) -> bool {
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

fn foreign(origin: Option<&HeaderValue>) -> HeaderCheck {
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
    fn an_origin_is_the_host_that_was_asked_or_it_is_foreign() {
        for (origin, host) in [
            ("https://ca.example.org", "ca.example.org"),
            ("https://ca.example.org", "CA.example.org:443"),
            ("https://ca.example.org:443", "ca.example.org"),
            ("http://127.0.0.1:8200", "127.0.0.1:8200"),
            ("http://[::1]:8200", "[::1]:8200"),
        ] {
            assert!(is_of(origin, host), "{origin} {host}");
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
            assert!(!is_of(origin, host), "{origin} {host}");
        }
    }
}
