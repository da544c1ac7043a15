//! `config/issuers`, `config/keys`, `config/urls`, `config/cluster`
//! (`docs/dev/vault-pki.md`, "Settings of a mount").

use std::sync::Arc;

use crate::engine::{Failure, retry_on_conflict};
use crate::store::key;

use super::Pki;
use super::ca_state::CaState;
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
    ) -> Result<(Arc<CaState>, Vec<String>), Failure> {
        let warnings = retry_on_conflict!(async {
            let ca_state = self.ca_state().await?;
            if reference.is_empty() || reference.eq_ignore_ascii_case("default") {
                return Err(Failure::refused(
                    "Invalid issuer specification; must be non-empty and can't be 'default'.",
                ));
            }
            let issuer = ca_state.issuer(reference).map_err(|unknown| {
                Failure::refused(format!("Error resolving issuer reference: {unknown}"))
            })?;
            let mut defaults = ca_state.defaults.clone();
            defaults.issuer = Some(issuer.id);
            defaults.follows_latest = follows_latest.unwrap_or(defaults.follows_latest);
            let batch = put_defaults(ca_state.config_batch(self.id()), self.id(), &defaults);
            self.env().store.commit(batch).await?;
            let keyless = issuer.key.is_none().then(|| W_NO_KEY.to_owned());
            Ok(keyless.into_iter().collect())
        })?;
        Ok((self.ca_state().await?, warnings))
    }

    /// Sets the default key.
    ///
    /// # Errors
    /// Refuses an empty or unknown reference.
    pub async fn set_default_key(&self, reference: &str) -> Result<Arc<CaState>, Failure> {
        retry_on_conflict!(async {
            let ca_state = self.ca_state().await?;
            if reference.is_empty() || reference.eq_ignore_ascii_case("default") {
                return Err(Failure::refused(
                    "Invalid key specification; must be non-empty and can't be 'default'.",
                ));
            }
            let (id, _) = ca_state.key(reference).map_err(|unknown| {
                Failure::refused(format!("Error resolving issuer reference: {unknown}"))
            })?;
            let mut defaults = ca_state.defaults.clone();
            defaults.key = Some(id);
            let batch = put_defaults(ca_state.config_batch(self.id()), self.id(), &defaults);
            self.env().store.commit(batch).await?;
            Ok(())
        })?;
        self.ca_state().await
    }

    /// Sets the mount's URLs; `change` receives the current ones.
    ///
    /// # Errors
    /// Refuses URLs without scheme or host, unless they are templates.
    pub async fn set_urls(
        &self,
        change: impl Fn(UrlsRecord) -> UrlsRecord,
    ) -> Result<(UrlsRecord, Vec<String>), Failure> {
        retry_on_conflict!(async {
            let ca_state = self.ca_state().await?;
            let urls = change(ca_state.urls.clone());
            check_urls(&urls)?;
            let mut warnings = Vec::new();
            if urls.templating
                && let Some(id) = ca_state.issuers.keys().next()
                && let Err(why) = ca_state.render(&urls, Some(id))
            {
                warnings.push(may_fail(&why));
            }
            let batch =
                ca_state.config_batch(self.id()).put_record(key::config(self.id(), "urls"), &urls);
            self.env().store.commit(batch).await?;
            Ok((urls, warnings))
        })
    }

    /// Sets the URLs of this mount.
    ///
    /// # Errors
    /// Refuses text that is not a URL.
    pub async fn set_cluster(
        &self,
        path: Option<&str>,
        aia_path: Option<&str>,
    ) -> Result<ClusterRecord, Failure> {
        retry_on_conflict!(async {
            let ca_state = self.ca_state().await?;
            let mut cluster = ca_state.cluster.clone();
            if let Some(path) = path {
                if !is_absolute(path) {
                    return Err(Failure::InvalidWrapped(format!(
                        "invalid, non-URL path given to cluster: {path}"
                    )));
                }
                path.clone_into(&mut cluster.path);
            }
            if let Some(path) = aia_path {
                if !is_absolute(path) {
                    return Err(Failure::InvalidWrapped(format!(
                        "invalid, non-URL aia_path given to cluster: {path}"
                    )));
                }
                path.clone_into(&mut cluster.aia_path);
            }
            let batch = ca_state
                .config_batch(self.id())
                .put_record(key::config(self.id(), "cluster"), &cluster);
            self.env().store.commit(batch).await?;
            Ok(cluster)
        })
    }
}
