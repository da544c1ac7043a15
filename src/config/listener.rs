//! The listeners of the configuration: addresses, TLS, limits and purpose.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::checked::{Checking, Values, named};
use super::file::{Location, WrittenSection};

/// One address to serve on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerConfig {
    /// The address; port 0 takes a free one.
    pub address: SocketAddr,
    /// What it serves.
    pub purpose: ListenerPurpose,
    /// `None` serves plain HTTP.
    pub tls: Option<ListenerTls>,
    /// Bytes of a body.
    pub max_request_size: usize,
    /// Bytes of the headers.
    pub max_request_header_size: usize,
    /// Time of a whole request.
    pub max_request_duration: Duration,
    /// Connections at once.
    pub max_connections: usize,
    /// Time of the headers.
    pub http_read_header_timeout: Duration,
    /// How long an idle connection stays open.
    pub http_idle_timeout: Duration,
    /// Time of the TLS handshake.
    pub tls_handshake_timeout: Duration,
    /// Time for requests in flight when the server stops.
    pub shutdown_timeout: Duration,
}

/// What a listener serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListenerPurpose {
    /// The whole API.
    Api,
    /// Certificates and revocation lists in their raw forms, without a token.
    Public,
}

/// A listener's TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerTls {
    /// The certificate and its chain, PEM.
    pub certificate: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
    /// The oldest version.
    pub minimum: TlsVersion,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsVersion {
    /// RFC 5246.
    Tls12,
    /// RFC 8446.
    Tls13,
}

impl Checking<'_> {
    pub(super) fn listeners(&mut self, sections: &[WrittenSection]) -> Vec<ListenerConfig> {
        let blocks: Vec<_> = named(sections, "listener").collect();
        if blocks.is_empty() {
            self.missing("no listener: add listener \"tcp\" { address = \"127.0.0.1:8200\" … }");
        }
        let listeners: Vec<_> =
            blocks.into_iter().filter_map(|block| self.listener(block)).collect();
        if !listeners.is_empty()
            && listeners.iter().all(|(one, _)| one.purpose == ListenerPurpose::Public)
        {
            self.missing(
                "every listener is public: add one without purpose = \"public\", by which the server is administered",
            );
        }
        self.check_addresses(&listeners);
        listeners.into_iter().map(|(listener, _)| listener).collect()
    }

    fn listener(&mut self, block: &WrittenSection) -> Option<(ListenerConfig, Location)> {
        let values = Values::of(block);
        let address = values.text("address").and_then(|text| address(&text));
        let location = values.location("address").unwrap_or(&block.location).clone();
        if address.is_none() {
            self.fault(
                Some(&location),
                "`address` must be an IP address and a port: 127.0.0.1:8200",
            );
        }
        let purpose = match values.text("purpose").as_deref() {
            Some("public") => ListenerPurpose::Public,
            _ => ListenerPurpose::Api,
        };
        let tls = self.tls(block, &values, purpose);
        if let Some(tls) = &tls {
            self.check_tls(tls, |key| values.location(key).cloned());
        }
        let listener = ListenerConfig {
            purpose,
            tls,
            max_request_size: values.count("max_request_size"),
            max_request_header_size: values.count("max_request_header_size"),
            max_request_duration: values.duration("max_request_duration"),
            max_connections: values.count("max_connections"),
            http_read_header_timeout: values.duration("http_read_header_timeout"),
            http_idle_timeout: values.duration("http_idle_timeout"),
            tls_handshake_timeout: values.duration("tls_handshake_timeout"),
            shutdown_timeout: values.duration("shutdown_timeout"),
            address: address?,
        };
        Some((listener, location))
    }

    fn tls(
        &mut self,
        block: &WrittenSection,
        values: &Values,
        purpose: ListenerPurpose,
    ) -> Option<ListenerTls> {
        const FILES: [&str; 2] = ["tls_cert_file", "tls_key_file"];
        // Public signed files need no TLS. Clients fetch revocation lists by plain HTTP, since TLS
        // would need the list that it fetches (RFC 5280, 8).
        let is_plain = purpose == ListenerPurpose::Public
            && FILES
                .iter()
                .all(|name| values.text(name).is_none() && !block.malformed.contains(name));
        if is_plain || values.yes("tls_disable") {
            return None;
        }
        for name in FILES {
            // A value in a wrong form is reported already.
            if values.text(name).is_none() && !block.malformed.contains(name) {
                let message = format!("this listener needs `{name}`, or tls_disable = true");
                self.fault(Some(&block.location), message);
            }
        }
        Some(ListenerTls {
            certificate: values.text("tls_cert_file")?.into(),
            key: values.text("tls_key_file")?.into(),
            minimum: match values.text("tls_min_version").as_deref() {
                Some("tls13") => TlsVersion::Tls13,
                _ => TlsVersion::Tls12,
            },
        })
    }
}

fn address(text: &str) -> Option<SocketAddr> {
    const PORT: u16 = 8200;
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    if let Ok(address) = text.trim_start_matches('[').trim_end_matches(']').parse() {
        return Some(SocketAddr::new(address, PORT));
    }
    let (host, port) = text.rsplit_once(':').unwrap_or((text, "8200"));
    let host = match host {
        "" => Ipv4Addr::UNSPECIFIED,
        "localhost" => Ipv4Addr::LOCALHOST,
        _ => return None,
    };
    Some(SocketAddr::from((host, port.parse().ok()?)))
}
