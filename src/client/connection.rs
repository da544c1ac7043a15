//! One connection: dialled, TLS where the address says so, HTTP/1.1 or HTTP/2 by ALPN.

use std::sync::Arc;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper::header::HOST;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::Call;
use super::address::Address;
use super::error::Fault;
use super::explain::explain;
use super::reply::Reply;

type Body = Full<bytes::Bytes>;

/// An open connection; the task that drives it ends when this is dropped.
pub(super) enum Connection {
    /// HTTP/1.1.
    One(http1::SendRequest<Body>),
    /// HTTP/2.
    Two(http2::SendRequest<Body>),
}

/// Whether the server can have seen a request that brought no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// It cannot.
    No,
    /// It may even have carried it out.
    Perhaps,
}

/// Longest body that is read: a certificate revocation list of a million entries fits.
const LONGEST_BODY: usize = 128 << 20;

impl Connection {
    pub(super) async fn open(
        address: &Address,
        tls: Option<&Arc<rustls::ClientConfig>>,
        server_name: Option<&str>,
    ) -> Result<Self, Fault> {
        let stream = TcpStream::connect((address.host.as_str(), address.port))
            .await
            .map_err(|error| unreachable_server(address, &error))?;
        // A request is written in few pieces; waiting to fill a packet only delays it.
        let _ = stream.set_nodelay(true);
        let Some(tls) = tls.filter(|_| address.secure) else {
            return Self::handshake(stream, false).await;
        };
        let name = server_name.unwrap_or(&address.host).to_owned();
        let name = ServerName::try_from(name.clone()).map_err(|_| {
            Fault::lasting(format!(
                "{name:?} is neither a DNS name nor an IP address: correct -tls-server-name"
            ))
        })?;
        let stream = TlsConnector::from(Arc::clone(tls))
            .connect(name, stream)
            .await
            .map_err(|error| explain(address, &error))?;
        let two = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        Self::handshake(stream, two).await
    }

    async fn handshake<S>(stream: S, two: bool) -> Result<Self, Fault>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let stream = TokioIo::new(stream);
        if two {
            let (sender, driver) =
                http2::handshake(TokioExecutor::new(), stream).await.map_err(|e| broken(&e))?;
            tokio::spawn(driver);
            Ok(Self::Two(sender))
        } else {
            let (sender, driver) = http1::handshake(stream).await.map_err(|e| broken(&e))?;
            tokio::spawn(driver);
            Ok(Self::One(sender))
        }
    }

    /// Sends the call and reads the whole answer.
    pub(super) async fn exchange(
        &mut self,
        address: &Address,
        call: &Call,
    ) -> Result<Reply, (Fault, Sent)> {
        let url = format!("{}{}", address.origin(), call.target);
        let response = self.send(address, call, &url).await?;
        let (parts, body) = response.into_parts();
        let body = Limited::new(body, LONGEST_BODY).collect().await.map_err(|_| {
            let why =
                "the connection broke off within the answer, or the answer is longer than 128 MiB";
            (Fault::passing(why.to_owned()), Sent::Perhaps)
        })?;
        Ok(Reply {
            method: call.method.clone(),
            url,
            status: parts.status,
            headers: parts.headers,
            body: body.to_bytes(),
        })
    }

    async fn send(
        &mut self,
        address: &Address,
        call: &Call,
        url: &str,
    ) -> Result<Response<Incoming>, (Fault, Sent)> {
        let uri = match self {
            Self::One(_) => call.target.as_str(),
            Self::Two(_) => url,
        };
        let mut request = Request::builder().method(&call.method).uri(uri);
        if matches!(self, Self::One(_)) {
            request = request.header(HOST, &address.authority);
        }
        for (name, value) in &call.headers {
            request = request.header(name, value);
        }
        let request = request.body(Full::new(call.body.clone())).map_err(|error| {
            (Fault::lasting(format!("the request cannot be written: {error}")), Sent::No)
        })?;
        let sent = match self {
            Self::One(sender) => match sender.ready().await {
                Ok(()) => sender.try_send_request(request).await,
                Err(error) => return Err((broken(&error), Sent::No)),
            },
            Self::Two(sender) => match sender.ready().await {
                Ok(()) => sender.try_send_request(request).await,
                Err(error) => return Err((broken(&error), Sent::No)),
            },
        };
        sent.map_err(|mut error| {
            let returned = error.take_message().is_some();
            (broken(error.error()), if returned { Sent::No } else { Sent::Perhaps })
        })
    }
}

fn unreachable_server(address: &Address, error: &std::io::Error) -> Fault {
    let at = format!("{}:{}", address.host, address.port);
    Fault::passing(match error.kind() {
        std::io::ErrorKind::ConnectionRefused => format!(
            "connection refused: no server listens on {at}; start one, or name another with -address or SIGNET_ADDR"
        ),
        _ => format!("{at} cannot be reached: {error}; check -address or SIGNET_ADDR"),
    })
}

fn broken(error: &hyper::Error) -> Fault {
    if error.is_parse() || error.is_parse_version_h2() {
        return Fault::lasting(
            "the server does not speak HTTP on this port: if it wants TLS, write https:// in the address"
                .to_owned(),
        );
    }
    Fault::passing(format!(
        "the server closed the connection ({error}); if it wants TLS, write https:// in the address"
    ))
}
