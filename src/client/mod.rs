//! Client of the server's API; the commands use it.
//!
//! [`Client`] is one server's address with a token. Its verbs are those of Vault's clients:
//! read is GET, list is `GET ?list=true`, write is PUT, and a 404 without data is "nothing
//! there" rather than an error. It does not interpret the answer of an endpoint. Bodies pass
//! through ordinary buffers, which the program's allocator overwrites when they are freed.
//! Start reading at [`Client::write`]; [`Settings`] says what can be configured.

mod address;
mod anchors;
mod connection;
mod error;
mod explain;
mod reply;
mod settings;
mod trust;

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::{Method, Request};
use serde::Serialize;
use serde_json::Value;

pub use error::{Error, Refused};
pub use reply::Reply;
pub use settings::Settings;
pub use trust::Trust;

use crate::secret::Secret;
use crate::wire::answer::Answer;
use address::Address;
use connection::{Connections, RequestBody};
use error::AttemptError;

/// Limit of the length of an answer: a certificate revocation list of a million entries fits.
const MAX_BODY: usize = 128 << 20;

/// A server's address and how to speak to it.
pub struct Client {
    settings: Settings,
    address: Address,
    headers: HeaderMap,
    connections: Connections,
}

impl Client {
    /// Reads the trust anchors and checks the settings; opens no connection yet.
    ///
    /// # Errors
    /// [`Error::Settings`] names what is wrong with which setting.
    pub fn new(settings: Settings) -> Result<Self, Error> {
        let address = Address::parse(&settings.address)?;
        let connections = connection::connections(&address, &settings.trust)?;
        let headers = settings.request_headers()?;
        Ok(Self { settings, address, headers, connections })
    }

    /// Replaces the token of the requests to come.
    ///
    /// # Errors
    /// [`Error::Settings`] if the token contains characters that a header cannot hold.
    pub fn set_token(&mut self, token: Option<Secret<String>>) -> Result<(), Error> {
        self.settings.token = token;
        self.headers = self.settings.request_headers()?;
        Ok(())
    }

    /// `GET path`; `None` if nothing is there.
    ///
    /// # Errors
    /// Any of [`Error`].
    pub async fn read(
        &self,
        path: &str,
        query: &[(String, String)],
    ) -> Result<Option<Answer>, Error> {
        self.raw(Method::GET, path, query, None).await?.found()
    }

    /// `GET path?list=true`; `None` if nothing is there.
    ///
    /// # Errors
    /// Any of [`Error`].
    pub async fn list(&self, path: &str) -> Result<Option<Answer>, Error> {
        let query = [("list".to_owned(), "true".to_owned())];
        self.raw(Method::GET, path, &query, None).await?.found()
    }

    /// `PUT path`; without data the body is `null`, as Vault's clients send it.
    ///
    /// # Errors
    /// Any of [`Error`].
    pub async fn write(
        &self,
        path: &str,
        data: Option<&impl Serialize>,
    ) -> Result<Option<Answer>, Error> {
        let body = body(data)?;
        self.raw(Method::PUT, path, &[], Some(body)).await?.answer()
    }

    /// `POST path`: what Vault's clients use for mounts.
    ///
    /// # Errors
    /// Any of [`Error`].
    pub async fn post(&self, path: &str, data: &impl Serialize) -> Result<Option<Answer>, Error> {
        self.raw(Method::POST, path, &[], Some(body(Some(data))?)).await?.answer()
    }

    /// `PATCH path` with a JSON merge patch (RFC 7396).
    ///
    /// # Errors
    /// Any of [`Error`].
    pub async fn patch(&self, path: &str, data: &Value) -> Result<Option<Answer>, Error> {
        self.raw(Method::PATCH, path, &[], Some(body(Some(data))?)).await?.answer()
    }

    /// `DELETE path`.
    ///
    /// # Errors
    /// Any of [`Error`].
    pub async fn delete(
        &self,
        path: &str,
        query: &[(String, String)],
    ) -> Result<Option<Answer>, Error> {
        self.raw(Method::DELETE, path, query, None).await?.answer()
    }

    /// Sends a request as it is, and returns the reply whatever its status.
    ///
    /// Retries busy answers (412, 429, and 5xx except 501) and broken connections as often as the
    /// settings say. The server may therefore execute a write twice if the first answer is lost,
    /// as with every client of this API; the commands do not retry by default.
    ///
    /// # Errors
    /// [`Error::Transport`] if no complete answer comes.
    pub async fn raw(
        &self,
        method: Method,
        path: &str,
        query: &[(String, String)],
        body: Option<Bytes>,
    ) -> Result<Reply, Error> {
        let url = self.address.url(path, query);
        let no_answer = |error: AttemptError| Error::Transport {
            method: method.clone(),
            url: url.clone(),
            why: error.why,
        };
        let request = self.request(&method, &url, body.unwrap_or_default()).map_err(no_answer)?;
        let limit = self.settings.timeout;
        tokio::time::timeout(limit, self.attempts(&request))
            .await
            .unwrap_or_else(|_elapsed| Err(Error::timed_out(limit)))
            .map_err(no_answer)
    }

    fn request(
        &self,
        method: &Method,
        url: &str,
        body: Bytes,
    ) -> Result<Request<RequestBody>, AttemptError> {
        let mut request =
            Request::builder().method(method).uri(url).body(Full::new(body)).map_err(|error| {
                AttemptError::permanent(format!("the request cannot be written: {error}"))
            })?;
        request.headers_mut().clone_from(&self.headers);
        if *method == Method::PATCH {
            let merge_patch = HeaderValue::from_static("application/merge-patch+json");
            request.headers_mut().append(CONTENT_TYPE, merge_patch);
        }
        Ok(request)
    }

    async fn attempts(&self, request: &Request<RequestBody>) -> Result<Reply, AttemptError> {
        let mut attempt = 0;
        loop {
            let outcome = self.follow(request).await;
            let again = match &outcome {
                Ok(reply) => reply.is_busy(),
                Err(error) => error.is_transient,
            };
            if !again || attempt >= self.settings.retries {
                return outcome;
            }
            attempt += 1;
            let asked = outcome.ok().and_then(|reply| reply.retry_after()).map(Duration::from_secs);
            tokio::time::sleep(asked.unwrap_or(self.settings.pause * attempt)).await;
        }
    }

    /// Sends the request and follows one redirect, as a standby server answers; never from TLS to
    /// plain HTTP.
    async fn follow(&self, request: &Request<RequestBody>) -> Result<Reply, AttemptError> {
        let reply = self.exchange(request.clone()).await?;
        let Some(location) = reply.redirect() else { return Ok(reply) };
        if !self.settings.redirects {
            return Err(AttemptError::permanent(format!(
                "the server redirects to {location}, and SIGNET_DISABLE_REDIRECTS forbids following it: use the address of that server"
            )));
        }
        let mut request = request.clone();
        *request.uri_mut() = self.address.redirected(&location)?;
        self.exchange(request).await
    }

    /// Sends the request once and reads the complete answer.
    async fn exchange(&self, request: Request<RequestBody>) -> Result<Reply, AttemptError> {
        let (method, url) = (request.method().clone(), request.uri().clone());
        let sent = self.connections.request(request).await;
        let (head, body) = sent.map_err(|error| explain::explain(&url, &error))?.into_parts();
        let body = Limited::new(body, MAX_BODY).collect().await.map_err(|_| {
            AttemptError::transient(
                "the connection ended within the answer, or the answer is longer than 128 MiB: try again, or ask for less"
                    .to_owned(),
            )
        })?;
        Ok(Reply {
            method,
            url: url.to_string(),
            status: head.status,
            headers: head.headers,
            body: body.to_bytes(),
        })
    }
}

fn body(data: Option<&impl Serialize>) -> Result<Bytes, Error> {
    serde_json::to_vec(&data)
        .map(Bytes::from)
        .map_err(|error| Error::Settings(format!("the data cannot be written as JSON: {error}")))
}

#[cfg(test)]
mod tests;
