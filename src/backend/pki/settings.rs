//! `config/issuers`, `config/keys`, `config/urls`, `config/cluster`.

use crate::backend::call::Call;
use crate::backend::call::params;
use crate::backend::response::Response;
use crate::backend::unbuilt::RELEASE;
use crate::engine::Failure;
use crate::engine::pki::records::{ClusterRecord, UrlsRecord};
use crate::engine::pki::{CaState, Pki};
use crate::wire::pki::{ClusterConfig, IssuersConfig, KeysConfig, UrlsConfig};
use std::sync::Arc;

params! {
    /// The default issuer.
    pub(super) struct DefaultIssuer {
        /// Default issuer: identifier or name.
        default: String,
        /// A new issuer becomes the default one.
        default_follows_latest_issuer: Option<bool>,
    }
}

params! {
    /// The default key.
    pub(super) struct DefaultKey {
        /// Default key: identifier or name.
        default: String,
    }
}

params! {
    /// The URLs that go into certificates.
    pub(super) struct Urls {
        /// URLs of the issuer's certificate.
        issuing_certificates: Option<Vec<String>>,
        /// URLs of the revocation list.
        crl_distribution_points: Option<Vec<String>>,
        /// URLs of the delta revocation list.
        delta_crl_distribution_points: Option<Vec<String>>,
        /// URLs of the OCSP responder.
        ocsp_servers: Option<Vec<String>>,
        /// The URLs are templates.
        enable_templating: Option<bool>,
    }
}

params! {
    /// The addresses that templates of URLs use.
    pub(super) struct ClusterParams {
        /// URL of this mount, as clients reach it.
        path: Option<String>,
        /// URL of this mount for certificates and revocation lists.
        aia_path: Option<String>,
    }
}

fn issuers(ca_state: &CaState) -> IssuersConfig {
    IssuersConfig {
        default: ca_state.defaults.issuer.as_ref().map(ToString::to_string).unwrap_or_default(),
        default_follows_latest_issuer: ca_state.defaults.follows_latest,
    }
}

fn keys(ca_state: &CaState) -> KeysConfig {
    KeysConfig {
        default: ca_state.defaults.key.as_ref().map(ToString::to_string).unwrap_or_default(),
    }
}

fn urls(record: &UrlsRecord) -> UrlsConfig {
    UrlsConfig {
        crl_distribution_points: record.crl_distribution_points.clone(),
        delta_crl_distribution_points: record.delta_crl_distribution_points.clone(),
        enable_templating: record.templating,
        issuing_certificates: record.issuing_certificates.clone(),
        ocsp_servers: record.ocsp_servers.clone(),
    }
}

fn cluster(record: &ClusterRecord) -> ClusterConfig {
    ClusterConfig { aia_path: record.aia_path.clone(), path: record.path.clone() }
}

pub(super) async fn read_issuers(pki: Arc<Pki>, _call: Call) -> Result<Response, Failure> {
    Ok(Response::data(issuers(&*pki.read_ca_state().await?)))
}

pub(super) async fn write_issuers(pki: Arc<Pki>, mut call: Call) -> Result<Response, Failure> {
    let DefaultIssuer { default, default_follows_latest_issuer } = call.read();
    let (ca_state, warnings) =
        pki.set_default_issuer(&default, default_follows_latest_issuer).await?;
    Ok(Response::with_warnings(issuers(&ca_state), warnings).warned(call.warnings()))
}

pub(super) async fn read_keys(pki: Arc<Pki>, _call: Call) -> Result<Response, Failure> {
    Ok(Response::data(keys(&*pki.read_ca_state().await?)))
}

pub(super) async fn write_keys(pki: Arc<Pki>, mut call: Call) -> Result<Response, Failure> {
    let DefaultKey { default } = call.read();
    let ca_state = pki.set_default_key(&default).await?;
    Ok(Response::data(keys(&ca_state)).warned(call.warnings()))
}

pub(super) async fn read_urls(pki: Arc<Pki>, _call: Call) -> Result<Response, Failure> {
    Ok(Response::data(urls(&pki.read_ca_state().await?.urls)))
}

/// The warning about the URL of an OCSP responder.
fn ocsp_warning(urls: &[String]) -> Option<String> {
    (!urls.is_empty()).then(|| {
        format!(
            "Signet: ocsp_servers goes into certificates, and Signet {RELEASE} does not answer OCSP; send ocsp_servers= unless another server answers there"
        )
    })
}

/// Each list is kept if it was not sent.
pub(super) async fn write_urls(pki: Arc<Pki>, mut call: Call) -> Result<Response, Failure> {
    let sent: Urls = call.read();
    let change = |old: UrlsRecord| {
        let list = |sent: &Option<Vec<String>>, old| sent.clone().unwrap_or(old);
        UrlsRecord {
            issuing_certificates: list(&sent.issuing_certificates, old.issuing_certificates),
            crl_distribution_points: list(
                &sent.crl_distribution_points,
                old.crl_distribution_points,
            ),
            delta_crl_distribution_points: list(
                &sent.delta_crl_distribution_points,
                old.delta_crl_distribution_points,
            ),
            ocsp_servers: list(&sent.ocsp_servers, old.ocsp_servers),
            templating: sent.enable_templating.unwrap_or(old.templating),
        }
    };
    let (record, mut warnings) = pki.set_urls(change).await?;
    warnings.extend(ocsp_warning(&record.ocsp_servers));
    Ok(Response::with_warnings(urls(&record), warnings).warned(call.warnings()))
}

pub(super) async fn read_cluster(pki: Arc<Pki>, _call: Call) -> Result<Response, Failure> {
    Ok(Response::data(cluster(&pki.read_ca_state().await?.cluster)))
}

pub(super) async fn write_cluster(pki: Arc<Pki>, mut call: Call) -> Result<Response, Failure> {
    let ClusterParams { path, aia_path } = call.read();
    let record = pki.set_cluster(path.as_deref(), aia_path.as_deref()).await?;
    Ok(Response::data(cluster(&record)).warned(call.warnings()))
}
