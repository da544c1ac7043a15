//! Our API from the other side; the admin verbs and the agent use it.
//!
//! [`Client`] is one server's address with a token. Its verbs are those of Vault's clients:
//! read is GET, list is `GET ?list=true`, write is PUT, and a 404 without data is "nothing
//! there" rather than an error. It does not interpret what an endpoint answers. Bodies pass
//! through ordinary buffers; the program's allocator overwrites those when they are freed.
//! Start reading at [`Client::write`]; [`Settings`] says what can be configured.

mod address;
mod anchors;
mod connection;
mod error;
mod explain;
mod reply;
mod settings;
mod trust;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use hyper::Method;
use hyper::header::{HeaderName, HeaderValue};
use serde::Serialize;
use serde_json::Value;

pub use address::Address;
pub use error::{Error, Refused};
pub use reply::Reply;
pub use settings::Settings;
pub use trust::Trust;

use crate::secret::Secret;
use crate::wire::answer::Answer;
use connection::Connection;

/// A server's address and how to speak to it.
pub struct Client {
    settings: Settings,
    address: Address,
    headers: Vec<(HeaderName, HeaderValue)>,
    tls: Option<Arc<rustls::ClientConfig>>,
    /// The connection of the last request, kept for the next.
    idle: Mutex<Option<Connection>>,
}

/// One request, ready to be sent and sent again.
pub(crate) struct Call {
    pub(crate) method: Method,
    /// Path and query, escaped, with the leading slash.
    pub(crate) target: String,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) body: Bytes,
}

impl Client {
    /// Reads the trust anchors and checks the settings; dials nobody yet.
    ///
    /// # Errors
    /// [`Error::Settings`] names what is wrong with which setting.
    pub fn new(settings: Settings) -> Result<Self, Error> {
        let address = Address::parse(&settings.address)?;
        let tls = address.secure.then(|| trust::configuration(&settings.trust)).transpose()?;
        let headers = settings.request_headers()?;
        Ok(Self { settings, address, headers, tls, idle: Mutex::new(None) })
    }

    /// Replaces the token of the requests to come.
    ///
    /// # Errors
    /// [`Error::Settings`] when the token cannot stand in a header.
    pub fn set_token(&mut self, token: Option<Secret<String>>) -> Result<(), Error> {
        self.settings.token = token;
        self.headers = self.settings.request_headers()?;
        Ok(())
    }

    /// `GET path`; nothing there is `None`.
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

    /// `GET path?list=true`; nothing there is `None`.
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

    /// Sends a request as it is; the reply is not judged by its status.
    ///
    /// Busy answers (412, 429 and 5xx but 501) and broken connections are tried again as often
    /// as the settings say. A write whose answer was lost may so be carried out twice, as with
    /// every client of this API; the default of the commands is no retry.
    ///
    /// # Errors
    /// [`Error::Transport`] when no whole answer came.
    pub async fn raw(
        &self,
        method: Method,
        path: &str,
        query: &[(String, String)],
        body: Option<Bytes>,
    ) -> Result<Reply, Error> {
        let mut headers = self.headers.clone();
        if method == Method::PATCH {
            let kind = HeaderValue::from_static("application/merge-patch+json");
            headers.push((hyper::header::CONTENT_TYPE, kind));
        }
        let target = self.address.target(path, query);
        let call = Call { method, target, headers, body: body.unwrap_or_default() };
        let limit = self.settings.timeout;
        match tokio::time::timeout(limit, self.attempts(&call)).await {
            Ok(reply) => reply,
            Err(_elapsed) => Err(self.transport(&call, Error::timed_out(limit))),
        }
    }

    async fn attempts(&self, call: &Call) -> Result<Reply, Error> {
        let mut attempt = 0;
        loop {
            let outcome = self.follow(call).await;
            let again = match &outcome {
                Ok(reply) => reply.is_busy(),
                Err(fault) => fault.passes,
            };
            if !again || attempt >= self.settings.retries {
                return outcome.map_err(|fault| self.transport(call, fault));
            }
            attempt += 1;
            let asked = outcome.ok().and_then(|reply| reply.retry_after()).map(Duration::from_secs);
            tokio::time::sleep(asked.unwrap_or(self.settings.pause * attempt)).await;
        }
    }

    /// Sends the call and follows one redirect, as a standby answers with; never to plain HTTP.
    async fn follow(&self, call: &Call) -> Result<Reply, error::Fault> {
        let reply = self.once(call).await?;
        let Some(location) = reply.redirect() else { return Ok(reply) };
        if !self.settings.redirects {
            return Err(error::Fault::lasting(format!(
                "the server redirects to {location}, and SIGNET_DISABLE_REDIRECTS forbids to follow: address that server itself"
            )));
        }
        let (address, target) = self.address.redirected(&location)?;
        let call = Call {
            method: call.method.clone(),
            target,
            headers: call.headers.clone(),
            body: call.body.clone(),
        };
        let mut connection = self.dial(&address).await?;
        connection.exchange(&address, &call).await.map_err(|(fault, _)| fault)
    }

    async fn once(&self, call: &Call) -> Result<Reply, error::Fault> {
        let kept = self.idle.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut connection) = kept {
            match connection.exchange(&self.address, call).await {
                Ok(reply) => return Ok(self.keep(connection, reply)),
                // The server had hung up before our request: it never saw it.
                Err((_, connection::Sent::No)) => {}
                Err((fault, connection::Sent::Perhaps)) => return Err(fault),
            }
        }
        let mut connection = self.dial(&self.address).await?;
        let reply = connection.exchange(&self.address, call).await.map_err(|(fault, _)| fault)?;
        Ok(self.keep(connection, reply))
    }

    fn keep(&self, connection: Connection, reply: Reply) -> Reply {
        *self.idle.lock().unwrap_or_else(PoisonError::into_inner) = Some(connection);
        reply
    }

    async fn dial(&self, address: &Address) -> Result<Connection, error::Fault> {
        let name = self.settings.trust.server_name.as_deref();
        Connection::open(address, self.tls.as_ref(), name).await
    }

    fn transport(&self, call: &Call, fault: error::Fault) -> Error {
        let url = format!("{}{}", self.address.origin(), call.target);
        Error::Transport { method: call.method.clone(), url, why: fault.why }
    }
}

fn body(data: Option<&impl Serialize>) -> Result<Bytes, Error> {
    serde_json::to_vec(&data)
        .map(Bytes::from)
        .map_err(|error| Error::Settings(format!("the data cannot be written as JSON: {error}")))
}

#[cfg(test)]
mod tests;
