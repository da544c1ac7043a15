//! A server's address, and what requests make of it.

use std::fmt::Write as _;

use hyper::Uri;

use super::error::{Error, Fault};

/// A server's address, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    pub(super) secure: bool,
    pub(super) host: String,
    pub(super) port: u16,
    /// The authority as written: what `Host` and error texts show.
    pub(super) authority: String,
    /// In front of `/v1`, without a slash at its end.
    pub(super) prefix: String,
}

impl Address {
    /// Reads `http://host:port`.
    ///
    /// # Errors
    /// [`Error::Settings`] says what an address looks like.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let wrong = |why: &str| {
            Error::Settings(format!(
                "the address {text:?} {why}: write it as http://127.0.0.1:8200 or https://ca.example.com:8200"
            ))
        };
        let uri: Uri = text.trim().parse().map_err(|_| wrong("cannot be read"))?;
        let secure = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            Some(_) => return Err(wrong("has a scheme that is neither http nor https")),
            None => return Err(wrong("has no scheme")),
        };
        let authority = uri.authority().ok_or_else(|| wrong("has no host"))?;
        if authority.as_str().contains('@') {
            return Err(wrong("holds a user name, which this API does not use"));
        }
        let port = authority.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let host = authority.host().trim_matches(|c| c == '[' || c == ']').to_owned();
        let prefix = uri.path().trim_end_matches('/').to_owned();
        Ok(Self { secure, host, port, authority: authority.as_str().to_owned(), prefix })
    }

    /// Scheme and authority, as in a URL.
    pub(super) fn origin(&self) -> String {
        format!("{}://{}", if self.secure { "https" } else { "http" }, self.authority)
    }

    /// Path and query of a request: slashes that say nothing disappear, the rest is escaped.
    pub(super) fn target(&self, path: &str, query: &[(String, String)]) -> String {
        let mut target = format!("{}/v1", self.prefix);
        for segment in path.split('/').filter(|segment| !segment.is_empty()) {
            target.push('/');
            escape(segment, b"-._~!$&'()*+,;=:@", &mut target);
        }
        for (position, (name, value)) in query.iter().enumerate() {
            target.push(if position == 0 { '?' } else { '&' });
            escape(name, b"-._~", &mut target);
            target.push('=');
            escape(value, b"-._~", &mut target);
        }
        target
    }

    /// Where a redirect leads: another authority, or another path of the same.
    pub(super) fn redirected(&self, location: &str) -> Result<(Self, String), Fault> {
        let wrong = |why: &str| {
            Fault::lasting(format!(
                "the server redirects to {location:?}, {why}: address the active server itself"
            ))
        };
        if location.starts_with('/') {
            return Ok((self.clone(), location.to_owned()));
        }
        let address = Self::parse(location).map_err(|_| wrong("which is no address"))?;
        if self.secure && !address.secure {
            return Err(wrong("which is not encrypted"));
        }
        if !self.secure && address.secure {
            return Err(wrong("which is another scheme"));
        }
        let uri: Uri = location.parse().map_err(|_| wrong("which is no address"))?;
        let target = uri.path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string);
        Ok((address, target))
    }
}

/// RFC 3986, section 2.1: everything but letters, digits and `kept` is percent-encoded.
fn escape(text: &str, kept: &[u8], into: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || kept.contains(&byte) {
            into.push(char::from(byte));
        } else {
            // Writing into a String does not fail.
            let _ = write!(into, "%{byte:02X}");
        }
    }
}
