//! Pooled connections: TLS where the URL says so, HTTP/1.1 or HTTP/2 by ALPN (RFC 7301).

use bytes::Bytes;
use http_body_util::Full;
use hyper::Uri;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::pki_types::ServerName;

use super::address::Address;
use super::error::{AttemptError, Error};
use super::trust::{self, Trust};

pub(super) type RequestBody = Full<Bytes>;

/// hyper's client with its pool. It retries a request on its own only if the server closed an idle
/// connection before the first byte of the request was written.
pub(super) type Connections = legacy::Client<HttpsConnector<HttpConnector>, RequestBody>;

/// Reads the trust anchors; opens no connection yet.
pub(super) fn connections(address: &Address, trust: &Trust) -> Result<Connections, Error> {
    let builder = HttpsConnectorBuilder::new();
    let builder = if address.secure {
        builder.with_tls_config(trust::configuration(trust)?).https_only()
    } else {
        builder.with_tls_config(trust::nothing_trusted()?).https_or_http()
    };
    let server_name = trust.server_name.clone();
    let connector = builder
        .with_server_name_resolver(move |url: &Uri| expected_name(server_name.as_deref(), url))
        .enable_all_versions()
        .wrap_connector(tcp());
    Ok(legacy::Client::builder(TokioExecutor::new()).build(connector))
}

fn tcp() -> HttpConnector {
    let mut tcp = HttpConnector::new();
    // The TLS connector around it checks the scheme.
    tcp.enforce_http(false);
    // A request has few segments; waiting until one is full only delays it.
    tcp.set_nodelay(true);
    tcp
}

/// The name that the server's certificate must hold, also after a redirect.
fn expected_name(configured: Option<&str>, url: &Uri) -> Result<ServerName<'static>, AttemptError> {
    let host = url.host().unwrap_or_default().trim_matches(['[', ']']);
    let name = configured.unwrap_or(host).to_owned();
    ServerName::try_from(name.clone()).map_err(|_| {
        AttemptError::permanent(format!(
            "{name:?} is neither a DNS name nor an IP address: correct -tls-server-name"
        ))
    })
}
