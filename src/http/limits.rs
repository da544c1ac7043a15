//! The limits of one listener.

use std::time::Duration;

use crate::config::ListenerConfig;

/// Bounds of one listener. Each has a default that a stock Vault client never meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections open at once; further ones wait in the accept queue of the kernel.
    pub connections: usize,
    /// Bytes of request line and headers (HTTP/1.1) or of the decoded header list (HTTP/2).
    /// Values below 8,192 count as 8,192. Each connection may buffer as much.
    pub header_size: usize,
    /// Bytes of a request's body. The listener does not read bodies: the request pipeline passes this
    /// to [`read_body`](crate::http::body::read_body).
    pub body_size: usize,
    /// From the accepted connection to the end of the TLS handshake.
    pub handshake: Duration,
    /// From the first byte of a request to the end of its headers; for the first request of
    /// a connection, from the end of the handshake.
    pub header: Duration,
    /// From the end of the headers to the answer of the handler, the body included.
    pub request: Duration,
    /// How long a connection may stay without a byte in either direction; on HTTP/2, without a
    /// request.
    pub idle: Duration,
    /// How long an answer may wait while less than 16 KiB of it are accepted, on its stream or on its
    /// connection. For a stream the connection closes within twice this time.
    pub progress: Duration,
    /// How long requests in flight may go on after the signal to stop.
    pub drain: Duration,
}

/// Not configurable: 16 KiB in half a minute are 550 bytes a second, slower than the link of any client.
const PROGRESS: Duration = Duration::from_secs(30);

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 8_192,
            header_size: 32 * 1024,
            body_size: 32 * 1024 * 1024,
            handshake: Duration::from_secs(10),
            header: Duration::from_secs(10),
            request: Duration::from_secs(90),
            idle: Duration::from_secs(300),
            progress: PROGRESS,
            drain: Duration::from_secs(30),
        }
    }
}

impl From<&ListenerConfig> for Limits {
    fn from(listener: &ListenerConfig) -> Self {
        Self {
            connections: listener.max_connections,
            header_size: listener.max_request_header_size,
            body_size: listener.max_request_size,
            handshake: listener.tls_handshake_timeout,
            header: listener.http_read_header_timeout,
            request: listener.max_request_duration,
            idle: listener.http_idle_timeout,
            progress: PROGRESS,
            drain: listener.shutdown_timeout,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_those_of_the_configuration() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("signet.hcl");
        std::fs::write(&file, "listener \"tcp\" { tls_disable = true } storage \"inmem\" {}")
            .unwrap();
        let config = crate::config::load(&[file], &|_| None).unwrap();
        assert_eq!(Limits::from(&config.listeners[0]), Limits::default());
    }
}
