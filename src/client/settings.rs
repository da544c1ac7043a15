//! The settings of a client.

use std::time::Duration;

use hyper::header::{HeaderMap, HeaderName, HeaderValue};

use super::error::Error;
use super::trust::Trust;
use crate::secret::Secret;

/// How to connect to a server.
pub struct Settings {
    /// `http://` or `https://`, host, port, and a path if a proxy needs one.
    pub address: String,
    /// Sent as `X-Vault-Token`.
    pub token: Option<Secret<String>>,
    /// Sent as `X-Vault-Namespace`.
    pub namespace: Option<String>,
    /// Additional headers, name and value.
    pub headers: Vec<(String, String)>,
    /// The certificates to trust, and the client's own.
    pub trust: Trust,
    /// Whether one redirect is followed, with the token.
    pub redirects: bool,
    /// Limit for one request with all its attempts.
    pub timeout: Duration,
    /// Attempts after the first.
    pub retries: u32,
    /// Pause before the second attempt; before the third it is twice as long.
    pub pause: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            address: "https://127.0.0.1:8200".to_owned(),
            token: None,
            namespace: None,
            headers: Vec::new(),
            trust: Trust::default(),
            redirects: true,
            timeout: Duration::from_secs(60),
            retries: 2,
            pause: Duration::from_secs(1),
        }
    }
}

impl Settings {
    /// The headers that every request carries.
    pub(super) fn request_headers(&self) -> Result<HeaderMap, Error> {
        let mut headers = HeaderMap::new();
        headers.insert("x-vault-request", HeaderValue::from_static("true"));
        if let Some(token) = &self.token {
            let mut value = HeaderValue::from_str(token.expose()).map_err(|_| {
                Error::Settings(
                    "configured Vault token contains non-printable characters and cannot be used: set SIGNET_TOKEN again, without line ends"
                        .to_owned(),
                )
            })?;
            value.set_sensitive(true);
            headers.insert("x-vault-token", value);
        }
        if let Some(namespace) = &self.namespace {
            let name = "x-vault-namespace";
            headers.insert(name, header_value(name, namespace)?);
        }
        for (name, value) in &self.headers {
            let parsed = HeaderName::from_bytes(name.as_bytes())
                .map_err(|_| Error::Settings(format!("{name:?} is not a header name")))?;
            headers.append(parsed, header_value(name, value)?);
        }
        Ok(headers)
    }
}

fn header_value(name: &str, value: &str) -> Result<HeaderValue, Error> {
    HeaderValue::from_str(value).map_err(|_| {
        Error::Settings(format!("the value of {name} holds characters that a header cannot hold"))
    })
}
