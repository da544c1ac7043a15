//! Connections to a server: kept or new for each request, in clear or by TLS.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::work::LoadRequest;

/// Where requests go, and how.
#[derive(Clone)]
pub struct Target {
    /// Host and port.
    pub address: String,
    pub token: String,
    pub way: Way,
}

/// How a request travels.
#[derive(Clone)]
pub enum Way {
    Clear,
    /// One handshake, many requests.
    Tls(TlsConnector),
    /// A full handshake for each request; sessions are not resumed.
    TlsEach(TlsConnector),
}

/// The answer to a request.
pub struct Answer {
    pub status: StatusCode,
    pub retry_after: bool,
    pub body: Bytes,
}

/// One caller, with its connection while it has one.
pub struct Caller {
    target: Target,
    sender: Option<SendRequest<Full<Bytes>>>,
}

impl Caller {
    pub const fn new(target: Target) -> Self {
        Self { target, sender: None }
    }

    /// That many callers, each of which has connected, unless a connection lasts one request.
    pub async fn several(target: &Target, count: usize) -> Vec<Self> {
        let mut callers = Vec::with_capacity(count);
        for _ in 0..count {
            let mut caller = Self::new(target.clone());
            if !matches!(target.way, Way::TlsEach(_)) {
                caller.connect().await.expect("a connection");
            }
            callers.push(caller);
        }
        callers
    }

    async fn connect(&mut self) -> Result<(), String> {
        let stream = TcpStream::connect(&self.target.address).await.map_err(text_of)?;
        stream.set_nodelay(true).map_err(text_of)?;
        let sender = match &self.target.way {
            Way::Clear => http1(stream).await?,
            Way::Tls(connector) | Way::TlsEach(connector) => {
                let name = ServerName::try_from("localhost").map_err(text_of)?;
                http1(connector.connect(name, stream).await.map_err(text_of)?).await?
            }
        };
        self.sender = Some(sender);
        Ok(())
    }

    /// Sends one request and reads the whole answer. A connection that was closed is opened again.
    ///
    /// # Errors
    /// There was no answer; the text says why.
    pub async fn send(&mut self, ask: &LoadRequest) -> Result<Answer, String> {
        if matches!(self.target.way, Way::TlsEach(_))
            || self.sender.as_ref().is_none_or(SendRequest::is_closed)
        {
            self.connect().await?;
        }
        let sender = self.sender.as_mut().ok_or("not connected")?;
        sender.ready().await.map_err(text_of)?;
        let request = Request::builder()
            .method(ask.method.clone())
            .uri(format!("/v1/{}", ask.path))
            .header(header::HOST, &self.target.address)
            .header("x-vault-token", &self.target.token)
            .body(Full::new(ask.body.clone()))
            .map_err(text_of)?;
        let (parts, body) = sender.send_request(request).await.map_err(text_of)?.into_parts();
        let body = body.collect().await.map_err(text_of)?.to_bytes();
        if matches!(self.target.way, Way::TlsEach(_)) {
            self.sender = None;
        }
        let retry_after = parts.headers.contains_key(header::RETRY_AFTER);
        Ok(Answer { status: parts.status, retry_after, body })
    }

    /// Closes the connection; the next request makes another one.
    pub fn leave(&mut self) {
        self.sender = None;
    }
}

async fn http1<S>(stream: S) -> Result<SendRequest<Full<Bytes>>, String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(text_of)?;
    // The request in flight reports its end.
    tokio::spawn(connection);
    Ok(sender)
}

/// Trusts only this certificate (PEM) and resumes no session, so that every handshake is a full one.
pub fn connector(trusted: &str) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(trusted.as_bytes()) {
        roots.add(certificate.expect("PEM")).expect("a certificate to trust");
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    TlsConnector::from(Arc::new(config))
}

/// A JSON string; empty where the value is something else.
pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn text_of(error: impl std::fmt::Display) -> String {
    error.to_string()
}
