//! Accepts connections and serves HTTP/1.1 and HTTP/2 over them, plain or by TLS.
//!
//! The listener has no routes: it calls a handler. It limits connections and the duration of each step, and
//! drains connections at the end.
//!
//! Not covered: a client that reads its answer slowly but steadily (16 KiB in each [`Limits::progress`]) is not
//! cut; the limit of connections bounds such clients.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

pub use crate::http::connection::ConnectionInfo;
use crate::http::connection::{ConnectionBuilders, Protocol, serve_connection, stopped};
use crate::http::limits::Limits;
use crate::http::outgoing::SendBudget;
use crate::http::sending::HttpResponse;
use crate::http::tls::Tls;

/// Signals to a running listener. One pair of senders may serve many listeners.
#[derive(Clone, Debug)]
pub struct Signals {
    /// `true` (or a dropped sender): stop accepting, finish what is in flight.
    pub stop: watch::Receiver<bool>,
    /// Any change: read the certificate files again (SIGHUP).
    pub reload: watch::Receiver<u64>,
}

/// How a listener ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Drained {
    /// Connections that were still busy when the drain limit was over, and were cut.
    pub cut: usize,
}

/// An address that is bound and not yet served.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    tls: Option<Arc<Tls>>,
    limits: Limits,
    budget: SendBudget,
}

/// Connections that may wait to be accepted, bounded by the system (net.core.somaxconn, 4,096 since Linux
/// 5.4): thousands of clients reconnect at once when a server restarts, and one that finds the queue full
/// retries after a second, then after three.
const BACKLOG: u32 = 65_535;

/// Reads of a request that came without TLS, 1 KiB each, before its connection is closed.
const MAX_UNREAD_READS: usize = 32;

/// The interval between checks of the certificate files.
const FILE_CHECK_INTERVAL: Duration = Duration::from_secs(1);

impl Listener {
    /// Binds `address` (port 0 takes a free one). Clients may connect from here on; they
    /// wait until [`Listener::serve`].
    ///
    /// # Errors
    /// The error of the operating system: the address is in use, or is not one of this machine.
    pub async fn bind(
        address: SocketAddr,
        tls: Option<Arc<Tls>>,
        limits: Limits,
    ) -> io::Result<Self> {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4(),
            SocketAddr::V6(_) => TcpSocket::new_v6(),
        }?;
        // A restarted server does not wait until old connections time out.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        let socket = socket.listen(BACKLOG)?;
        let address = socket.local_addr()?;
        Ok(Self { socket, address, tls, limits, budget: SendBudget::default() })
    }

    /// The listener with a send budget that other listeners share.
    #[must_use]
    pub fn sharing(self, budget: SendBudget) -> Self {
        Self { budget, ..self }
    }

    /// The bound address, with the real port.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `signals.stop`, then lets requests in flight finish up to the drain
    /// limit. Dropping the future cuts every connection.
    pub async fn serve<F, R>(self, handler: F, signals: Signals) -> Drained
    where
        F: Fn(Request<Incoming>, ConnectionInfo) -> R + Clone + Send + 'static,
        R: Future<Output = HttpResponse> + Send + 'static,
    {
        self.serve_checking_files_every(FILE_CHECK_INTERVAL, handler, signals).await
    }

    async fn serve_checking_files_every<F, R>(
        self,
        look: Duration,
        handler: F,
        mut signals: Signals,
    ) -> Drained
    where
        F: Fn(Request<Incoming>, ConnectionInfo) -> R + Clone + Send + 'static,
        R: Future<Output = HttpResponse> + Send + 'static,
    {
        // Dropped with this future, and with it the task inside.
        let mut tasks = JoinSet::new();
        if let Some(tls) = &self.tls {
            tasks.spawn(Arc::clone(tls).follow_files(signals.reload, look));
        }
        let limits = self.limits;
        let builders = ConnectionBuilders::new(&limits, self.budget);
        let shared = Arc::new(ConnectionContext { builders, tls: self.tls, limits });
        let slots = Arc::new(Semaphore::new(limits.connections.clamp(1, Semaphore::MAX_PERMITS)));
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                biased;
                () = stopped(&mut signals.stop) => break,
                accepted = accept(&self.socket, &slots) => accepted,
            };
            let Some((stream, peer, slot)) = accepted else { break };
            let serving =
                Arc::clone(&shared).connected(stream, peer, handler.clone(), signals.stop.clone());
            connections.spawn(async move {
                serving.await;
                drop(slot);
            });
            while let Some(ended) = connections.try_join_next() {
                report(ended);
            }
        }
        drop(self.socket);
        drain(connections, limits.drain).await
    }
}

/// The context that all connections of a listener share.
struct ConnectionContext {
    builders: ConnectionBuilders,
    tls: Option<Arc<Tls>>,
    limits: Limits,
}

impl ConnectionContext {
    async fn connected<F, R>(
        self: Arc<Self>,
        stream: TcpStream,
        peer: SocketAddr,
        handler: F,
        stop: watch::Receiver<bool>,
    ) where
        F: Fn(Request<Incoming>, ConnectionInfo) -> R + Send + 'static,
        R: Future<Output = HttpResponse> + Send + 'static,
    {
        // Answers are written whole, so that Nagle's algorithm would only delay them.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%peer, %error, "connection ended before it began");
            return;
        }
        let info = ConnectionInfo { peer, tls: self.tls.is_some() };
        let (builders, limits) = (&self.builders, self.limits);
        let Some(tls) = &self.tls else {
            let client = (handler, info);
            return serve_connection(stream, Protocol::Unknown, builders, limits, client, stop)
                .await;
        };
        let handshake = async {
            if is_plain_http(&stream).await {
                answer_plain_http(stream).await;
                return Ok(None);
            }
            TlsAcceptor::from(tls.current()).accept(stream).await.map(Some)
        };
        let stream = match tokio::time::timeout(limits.handshake, handshake).await {
            Ok(Ok(Some(stream))) => stream,
            Ok(Ok(None)) => {
                tracing::debug!(%peer, "plain HTTP on a TLS listener");
                return;
            }
            Ok(Err(error)) => {
                tracing::debug!(%peer, %error, "TLS handshake failed");
                return;
            }
            Err(_) => {
                tracing::debug!(%peer, "TLS handshake did not end in time");
                return;
            }
        };
        let protocol = match stream.get_ref().1.alpn_protocol() {
            Some(b"h2") => Protocol::Http2,
            _ => Protocol::Http1,
        };
        serve_connection(stream, protocol, builders, limits, (handler, info), stop).await;
    }
}

/// Whether the client sends HTTP without TLS. The bytes are peeked, not consumed.
async fn is_plain_http(stream: &TcpStream) -> bool {
    let mut first = [0; 5];
    let length = stream.peek(&mut first).await.unwrap_or_default();
    let first = first.get(..length).unwrap_or_default();
    [b"GET /", b"HEAD ", b"POST ", b"PUT /", b"LIST ", b"DELET", b"PATCH", b"OPTIO"]
        .into_iter()
        .any(|method| first == method)
}

/// Answers as Go's `net/http` does. A client that does not take these few bytes gets nothing.
async fn answer_plain_http(mut stream: TcpStream) {
    const ANSWER: &[u8] = b"HTTP/1.0 400 Bad Request\r\nConnection: close\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";
    if stream.write_all(ANSWER).await.is_err() || stream.shutdown().await.is_err() {
        return;
    }
    // A socket that is closed with unread bytes resets the connection, and the client loses the answer.
    let mut unread = [0; 1024];
    for _ in 0..MAX_UNREAD_READS {
        if !matches!(stream.read(&mut unread).await, Ok(1..)) {
            return;
        }
    }
}

/// The next connection, once a slot is free; never `None` while the listener owns its slots.
async fn accept(
    socket: &TcpListener,
    slots: &Arc<Semaphore>,
) -> Option<(TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit)> {
    let slot = Arc::clone(slots).acquire_owned().await.ok()?;
    let mut pause = Duration::from_millis(5);
    loop {
        match socket.accept().await {
            Ok((stream, peer)) => return Some((stream, peer, slot)),
            // These errors concern one client that has already disconnected.
            Err(error) if concerns_one_client(&error) => {}
            // Out of descriptors or memory: the error persists until connections end, so each retry waits longer.
            Err(error) => {
                tracing::warn!(%error, "cannot accept connections for now");
                tokio::time::sleep(pause).await;
                pause = pause.saturating_mul(2).min(Duration::from_secs(1));
            }
        }
    }
}

fn concerns_one_client(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}

fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!("connection task panicked");
    }
}

async fn drain(mut connections: JoinSet<()>, limit: Duration) -> Drained {
    let finish = async {
        while let Some(ended) = connections.join_next().await {
            report(ended);
        }
    };
    if tokio::time::timeout(limit, finish).await.is_ok() {
        return Drained { cut: 0 };
    }
    let cut = connections.len();
    tracing::warn!(cut, "connections were still busy at the end of the drain limit");
    connections.shutdown().await;
    Drained { cut }
}

#[cfg(test)]
#[path = "listener_tests.rs"]
mod tests;
