//! `config/issuers`, `config/keys`, `config/urls`, `config/cluster` as JSON (pki-api chapter 9).

use serde_json::{Value, json};

use crate::engine::Failure;
use crate::engine::identifier::format_uuid;
use crate::engine::pki::records::{ClusterRecord, UrlsRecord};
use crate::engine::pki::{Authorities, Pki};
use crate::http::call::{Call, Operation};
use crate::http::fields::{Fields, Kind, Schema};
use crate::http::reply::Reply;

use super::route::{Route, fields};

const ISSUERS: Schema = &[("default", Kind::Text), ("default_follows_latest_issuer", Kind::Flag)];
const KEYS: Schema = &[("default", Kind::Text)];
const URLS: Schema = &[
    ("issuing_certificates", Kind::Words),
    ("crl_distribution_points", Kind::Words),
    ("delta_crl_distribution_points", Kind::Words),
    ("ocsp_servers", Kind::Words),
    ("enable_templating", Kind::Flag),
];
const CLUSTER: Schema = &[("path", Kind::Text), ("aia_path", Kind::Text)];

pub(super) async fn dispatch(pki: &Pki, route: &Route, call: &Call) -> Result<Reply, Failure> {
    if call.operation == Operation::Read {
        let authorities = pki.read_authorities().await?;
        return match route {
            Route::ConfigIssuers => Ok(Reply::data(issuers(&authorities))),
            Route::ConfigKeys => Ok(Reply::data(keys(&authorities))),
            Route::ConfigUrls => Ok(Reply::data(urls(&authorities.urls))),
            Route::ConfigCluster => Ok(Reply::data(cluster(&authorities.cluster))),
            _ => Err(Failure::UnsupportedPath),
        };
    }
    let (sent, data, warnings) = match route {
        Route::ConfigIssuers => {
            let sent = fields(call, &[], &[ISSUERS])?;
            let follows = sent.optional_flag("default_follows_latest_issuer");
            let (authorities, warnings) =
                pki.set_default_issuer(&sent.text("default"), follows).await?;
            (sent, issuers(&authorities), warnings)
        }
        Route::ConfigKeys => {
            let sent = fields(call, &[], &[KEYS])?;
            let authorities = pki.set_default_key(&sent.text("default")).await?;
            (sent, keys(&authorities), Vec::new())
        }
        Route::ConfigUrls => {
            let sent = fields(call, &[], &[URLS])?;
            let (record, warnings) = pki.set_urls(|old| changed(&sent, old)).await?;
            (sent, urls(&record), warnings)
        }
        Route::ConfigCluster => {
            let sent = fields(call, &[], &[CLUSTER])?;
            let (path, aia) = (sent.optional_text("path"), sent.optional_text("aia_path"));
            let record = pki.set_cluster(path.as_deref(), aia.as_deref()).await?;
            (sent, cluster(&record), Vec::new())
        }
        _ => return Err(Failure::UnsupportedPath),
    };
    Ok(Reply::with_warnings(data, warnings).warned(sent.warnings()))
}

/// Each URL list is kept if it was not sent.
fn changed(sent: &Fields, old: UrlsRecord) -> UrlsRecord {
    let list = |name: &str, old: Vec<String>| sent.optional_words(name).unwrap_or(old);
    UrlsRecord {
        issuing_certificates: list("issuing_certificates", old.issuing_certificates),
        crl_distribution_points: list("crl_distribution_points", old.crl_distribution_points),
        delta_crl_distribution_points: list(
            "delta_crl_distribution_points",
            old.delta_crl_distribution_points,
        ),
        ocsp_servers: list("ocsp_servers", old.ocsp_servers),
        templating: sent.optional_flag("enable_templating").unwrap_or(old.templating),
    }
}

fn issuers(authorities: &Authorities) -> Value {
    json!({
        "default": authorities.defaults.issuer.as_ref().map(format_uuid).unwrap_or_default(),
        "default_follows_latest_issuer": authorities.defaults.follows_latest,
    })
}

fn keys(authorities: &Authorities) -> Value {
    json!({ "default": authorities.defaults.key.as_ref().map(format_uuid).unwrap_or_default() })
}

fn urls(record: &UrlsRecord) -> Value {
    json!({
        "crl_distribution_points": record.crl_distribution_points,
        "delta_crl_distribution_points": record.delta_crl_distribution_points,
        "enable_templating": record.templating,
        "issuing_certificates": record.issuing_certificates,
        "ocsp_servers": record.ocsp_servers,
    })
}

fn cluster(record: &ClusterRecord) -> Value {
    json!({ "aia_path": record.aia_path, "path": record.path })
}
