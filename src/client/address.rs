//! A server's address, and the URLs of its requests.

use std::fmt::Write as _;

use hyper::Uri;
use hyper::http::uri::Authority;

use super::error::{AttemptError, Error};

/// The parts of a server's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) secure: bool,
    /// As written: error texts show it.
    pub(super) authority: Authority,
    /// In front of `/v1`, without a slash at its end.
    prefix: String,
}

impl Address {
    /// Reads `http://host:port`.
    ///
    /// # Errors
    /// [`Error::Settings`] says what an address looks like.
    pub(super) fn parse(text: &str) -> Result<Self, Error> {
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
        let prefix = uri.path().trim_end_matches('/').to_owned();
        Ok(Self { secure, authority: authority.clone(), prefix })
    }

    /// Scheme and authority, as in a URL.
    fn origin(&self) -> String {
        format!("{}://{}", if self.secure { "https" } else { "http" }, self.authority)
    }

    /// The URL of a request: empty segments of the path are left out, the rest is escaped.
    pub(super) fn url(&self, path: &str, query: &[(String, String)]) -> String {
        let mut url = format!("{}{}/v1", self.origin(), self.prefix);
        for segment in path.split('/').filter(|segment| !segment.is_empty()) {
            url.push('/');
            escape(segment, b"-._~!$&'()*+,;=:@", &mut url);
        }
        for (position, (name, value)) in query.iter().enumerate() {
            url.push(if position == 0 { '?' } else { '&' });
            escape(name, b"-._~", &mut url);
            url.push('=');
            escape(value, b"-._~", &mut url);
        }
        url
    }

    /// The URL that a redirect names: of another server, or another path of this one.
    pub(super) fn redirected(&self, location: &str) -> Result<Uri, AttemptError> {
        let wrong = |why: &str| {
            AttemptError::permanent(format!(
                "the server redirects to {location:?}, {why}: address the active server itself"
            ))
        };
        let absolute = if location.starts_with('/') {
            format!("{}{location}", self.origin())
        } else {
            location.to_owned()
        };
        let target = Self::parse(&absolute).map_err(|_| wrong("which is not an address"))?;
        if self.secure && !target.secure {
            return Err(wrong("which is not encrypted"));
        }
        if !self.secure && target.secure {
            return Err(wrong("which has another scheme"));
        }
        absolute.parse().map_err(|_| wrong("which is not an address"))
    }
}

/// Percent-encodes everything but letters, digits and `kept` (RFC 3986, section 2.1).
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
