//! `config/issuers`, `config/keys`, `config/urls`, `config/cluster` (pki-api chapter 9).

use std::sync::Arc;

use crate::engine::{Failure, retry_on_conflict};
use crate::store::key;

use super::Pki;
use super::authorities::Authorities;
use super::generate::put_defaults;
use super::issuers::may_fail;
use super::records::{ClusterRecord, UrlsRecord};
use super::urls::{check_urls, is_absolute};

const W_NO_KEY: &str = "This selected default issuer has no key associated with it. Some operations like issuing certificates and signing CRLs will be unavailable with the requested default issuer until a key is imported or the default issuer is changed.";

impl Pki {
    /// Sets the default issuer.
    ///
    /// # Errors
    /// Refuses an empty or unknown reference.
    pub async fn set_default_issuer(
        &self,
        reference: &str,
        follows_latest: Option<bool>,
    ) -> Result<(Arc<Authorities>, Vec<String>), Failure> {
        let warnings = retry_on_conflict!(async {
            let authorities = self.authorities().await?;
            if reference.is_empty() || reference.eq_ignore_ascii_case("default") {
                return Err(Failure::refused(
                    "Invalid issuer specification; must be non-empty and can't be 'default'.",
                ));
            }
            let issuer = authorities.issuer(reference).map_err(|unknown| {
                Failure::refused(format!("Error resolving issuer reference: {unknown}"))
            })?;
            let mut defaults = authorities.defaults.clone();
            defaults.issuer = Some(issuer.id);
            defaults.follows_latest = follows_latest.unwrap_or(defaults.follows_latest);
            let batch = put_defaults(authorities.config_batch(self.id()), self.id(), &defaults);
            self.env().store.commit(batch).await?;
            let keyless = issuer.key.is_none().then(|| W_NO_KEY.to_owned());
            Ok(keyless.into_iter().collect())
        })?;
        Ok((self.authorities().await?, warnings))
    }

    /// Sets the default key.
    ///
    /// # Errors
    /// Refuses an empty or unknown reference.
    pub async fn set_default_key(&self, reference: &str) -> Result<Arc<Authorities>, Failure> {
        retry_on_conflict!(async {
            let authorities = self.authorities().await?;
            if reference.is_empty() || reference.eq_ignore_ascii_case("default") {
                return Err(Failure::refused(
                    "Invalid key specification; must be non-empty and can't be 'default'.",
                ));
            }
            let (id, _) = authorities.key(reference).map_err(|unknown| {
                Failure::refused(format!("Error resolving issuer reference: {unknown}"))
            })?;
            let mut defaults = authorities.defaults.clone();
            defaults.key = Some(id);
            let batch = put_defaults(authorities.config_batch(self.id()), self.id(), &defaults);
            self.env().store.commit(batch).await?;
            Ok(())
        })?;
        self.authorities().await
    }

    /// Sets the mount's URLs; `change` is given what is there.
    ///
    /// # Errors
    /// Refuses URLs without scheme or host, unless they are templates.
    pub async fn set_urls(
        &self,
        change: impl Fn(UrlsRecord) -> UrlsRecord,
    ) -> Result<(UrlsRecord, Vec<String>), Failure> {
        retry_on_conflict!(async {
            let authorities = self.authorities().await?;
            let urls = change(authorities.urls.clone());
            check_urls(&urls)?;
            let mut warnings = Vec::new();
            if urls.templating
                && let Some(id) = authorities.issuers.keys().next()
                && let Err(why) = authorities.render(&urls, Some(id))
            {
                warnings.push(may_fail(&why));
            }
            let batch = authorities
                .config_batch(self.id())
                .put_record(key::config(self.id(), "urls"), &urls);
            self.env().store.commit(batch).await?;
            Ok((urls, warnings))
        })
    }

    /// Sets where this mount is reached.
    ///
    /// # Errors
    /// Refuses what is no URL.
    pub async fn set_cluster(
        &self,
        path: Option<&str>,
        aia_path: Option<&str>,
    ) -> Result<ClusterRecord, Failure> {
        retry_on_conflict!(async {
            let authorities = self.authorities().await?;
            let mut cluster = authorities.cluster.clone();
            if let Some(path) = path {
                if !is_absolute(path) {
                    return Err(Failure::Mistaken(format!(
                        "invalid, non-URL path given to cluster: {path}"
                    )));
                }
                path.clone_into(&mut cluster.path);
            }
            if let Some(path) = aia_path {
                if !is_absolute(path) {
                    return Err(Failure::Mistaken(format!(
                        "invalid, non-URL aia_path given to cluster: {path}"
                    )));
                }
                path.clone_into(&mut cluster.aia_path);
            }
            let batch = authorities
                .config_batch(self.id())
                .put_record(key::config(self.id(), "cluster"), &cluster);
            self.env().store.commit(batch).await?;
            Ok(cluster)
        })
    }
}
