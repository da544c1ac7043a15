//! Settings of issuers, and keys by name (`docs/dev/vault-pki.md`, "Issuers and keys").

use std::sync::Arc;

use crate::ca::key::SignatureAlgorithm;
use crate::ca::permit::KeyUsage;
use crate::ca::role::LeafNotAfterBehavior;
use crate::ca::time::Timestamp;
use crate::engine::{Failure, retry_on_conflict};
use crate::store::id::IssuerId;
use crate::store::key;

use super::Pki;
use super::ca_state::{CaState, Issuer};
use super::generate::{issuer_name, put_defaults};
use super::records::{DeletedIssuer, DeletedIssuersRecord, UrlsRecord};
use super::urls::check_urls;

/// A change of an issuer's settings; `None` keeps the current value.
#[derive(Clone, Debug, Default)]
pub struct IssuerChange {
    /// `issuer_name`; empty removes it.
    pub name: Option<String>,
    /// `leaf_not_after_behavior`
    pub leaf_not_after_behavior: Option<String>,
    /// `manual_chain`, as references.
    pub manual_chain: Option<Vec<String>>,
    /// `usage`, as words.
    pub usage: Option<Vec<String>>,
    /// `revocation_signature_algorithm`
    pub revocation_signature_algorithm: Option<String>,
    /// `issuing_certificates`
    pub issuing_certificates: Option<Vec<String>>,
    /// `crl_distribution_points`
    pub crl_distribution_points: Option<Vec<String>>,
    /// `delta_crl_distribution_points`
    pub delta_crl_distribution_points: Option<Vec<String>>,
    /// `ocsp_servers`
    pub ocsp_servers: Option<Vec<String>>,
    /// `enable_aia_url_templating`
    pub templating: Option<bool>,
}

impl Pki {
    /// The issuers, keys and settings of a mount, as they are now.
    ///
    /// # Errors
    /// Fails only with the store.
    pub async fn read_ca_state(&self) -> Result<Arc<CaState>, Failure> {
        self.ca_state().await
    }

    /// Changes an issuer's settings; returns the issuer, the new state and warnings.
    ///
    /// # Errors
    /// Refuses unknown values, names that are in use, and algorithms that do not fit the key.
    pub async fn change_issuer(
        &self,
        reference: &str,
        change: &IssuerChange,
    ) -> Result<(Arc<Issuer>, Arc<CaState>, Vec<String>), Failure> {
        let id = retry_on_conflict!(async {
            let ca_state = self.ca_state().await?;
            let issuer = ca_state.issuer(reference)?;
            let record = changed(&ca_state, issuer, change)?;
            let batch = ca_state
                .config_batch(self.id())
                .put_record(key::issuer(self.id(), &issuer.id), &record);
            self.env().store.commit(batch).await?;
            Ok(issuer.id)
        })?;
        let ca_state = self.ca_state().await?;
        let issuer = ca_state.issuers.get(&id).cloned().ok_or(Failure::NotFound)?;
        let mut warnings = Vec::new();
        if let Err(why) = ca_state.urls_of(Some(&issuer)) {
            warnings.push(may_fail(&why));
        }
        Ok((issuer, ca_state, warnings))
    }

    /// Removes an issuer; its key stays. An unknown reference is not an error.
    ///
    /// # Errors
    /// Fails only with the store.
    pub async fn delete_issuer(
        &self,
        reference: &str,
        now: Timestamp,
    ) -> Result<Vec<String>, Failure> {
        let mut warnings = retry_on_conflict!(async {
            let ca_state = self.ca_state().await?;
            let Ok(issuer) = ca_state.issuer(reference) else { return Ok(Vec::new()) };
            let mut defaults = ca_state.defaults.clone();
            let mut warnings = Vec::new();
            if defaults.issuer == Some(issuer.id) {
                defaults.issuer = None;
                warnings.push(format!(
                    "Deleted issuer {} (via issuer_ref {reference}); this was configured as the default issuer. Operations without an explicit issuer will not work until a new default is configured.",
                    issuer.id
                ));
            }
            let batch = ca_state
                .config_batch(self.id())
                .delete(key::issuer(self.id(), &issuer.id))
                .put_record(key::config(self.id(), "departed"), &with_deleted(&ca_state, issuer));
            self.env().store.commit(put_defaults(batch, self.id(), &defaults)).await?;
            Ok(warnings)
        })?;
        warnings.extend(self.rebuild_crls(now).await);
        Ok(warnings)
    }
}

/// The record of deleted issuers with this one added. An issuer that was deleted before is listed once,
/// under its last name.
fn with_deleted(ca_state: &CaState, issuer: &Issuer) -> DeletedIssuersRecord {
    let (same, others): (Vec<_>, Vec<_>) =
        ca_state.deleted.iter().partition(|one| one.id == issuer.id);
    let mut now = DeletedIssuer::of(issuer.id, &issuer.record);
    if issuer.record.name.is_empty() {
        now.name = same.last().map(|one| one.record.name.clone());
    }
    let others = others.into_iter().map(|one| DeletedIssuer::of(one.id, &one.record));
    DeletedIssuersRecord { issuers: others.chain([now]).collect() }
}

/// The warning about URLs whose template cannot be rendered now.
pub(super) fn may_fail(why: &str) -> String {
    format!(
        "issuance may fail: {why}\n\nConsider setting the cluster-local address if it is not already set."
    )
}

fn changed(
    ca_state: &CaState,
    issuer: &Issuer,
    change: &IssuerChange,
) -> Result<super::records::IssuerRecord, Failure> {
    let mut record = issuer.record.clone();
    if let Some(name) = &change.name {
        record.name = if name.is_empty() {
            String::new()
        } else {
            issuer_name(ca_state, Some(name), Some(&issuer.id))?
        };
    }
    if let Some(word) = &change.leaf_not_after_behavior {
        LeafNotAfterBehavior::parse(word).ok_or_else(|| {
            Failure::refused("Unknown value for field `leaf_not_after_behavior`. Possible values are `err`, `truncate`, and `permit`.")
        })?;
        record.leaf_not_after_behavior.clone_from(word);
    }
    if let Some(words) = &change.usage {
        set_usage(&mut record, issuer, words)?;
    }
    if let Some(word) = &change.revocation_signature_algorithm {
        record.revocation_signature_algorithm = revocation_algorithm(issuer, word)?;
    }
    if let Some(references) = &change.manual_chain {
        record.manual_chain = manual_chain(ca_state, issuer, references)?;
    }
    record.urls = changed_urls(&record.urls, change)?;
    Ok(record)
}

fn set_usage(
    record: &mut super::records::IssuerRecord,
    issuer: &Issuer,
    words: &[String],
) -> Result<(), Failure> {
    const WORDS: [&str; 4] = ["crl-signing", "issuing-certificates", "ocsp-signing", "read-only"];
    if words.iter().any(|word| !WORDS.contains(&word.trim())) {
        return Err(Failure::refused(format!(
            "Unable to parse specified usages: [{}] - valid values are {}",
            words.join(" "),
            WORDS.join(",")
        )));
    }
    let has = |wanted: &str| words.iter().any(|word| word.trim() == wanted);
    let signs_crls =
        issuer.certificate.key_usage().is_none_or(|usage| usage.contains(KeyUsage::CRL_SIGN));
    if has("crl-signing") && !signs_crls {
        return Err(Failure::refused(
            "This issuer's underlying certificate lacks the CRLSign KeyUsage value; unable to set CRLSigningUsage on this issuer as a result.",
        ));
    }
    if has("issuing-certificates") && issuer.revoked.is_some() {
        return Err(Failure::refused(
            "This issuer was revoked; unable to modify its usage to include certificate signing again. Reissue this certificate (preferably with a new key) and modify that entry instead.",
        ));
    }
    record.may_sign_crls = has("crl-signing");
    record.may_issue = has("issuing-certificates");
    record.may_sign_ocsp = has("ocsp-signing");
    Ok(())
}

fn revocation_algorithm(issuer: &Issuer, word: &str) -> Result<String, Failure> {
    if word.is_empty() {
        return Ok(String::new());
    }
    let Some(algorithm) = SignatureAlgorithm::parse(word) else {
        let all: Vec<_> = SignatureAlgorithm::ALL.iter().map(|known| known.as_str()).collect();
        return Err(Failure::refused(format!(
            "Unknown signature algorithm value: {word} - valid values are {}",
            all.join(", ")
        )));
    };
    let kind = issuer.certificate.public_key().kind();
    if !algorithm.fits(kind) {
        return Err(Failure::InvalidWrapped(format!(
            "unable to use issuer of type {} to sign with {algorithm} key type",
            kind.as_str().to_uppercase()
        )));
    }
    Ok(algorithm.as_str().to_owned())
}

fn manual_chain(
    ca_state: &CaState,
    issuer: &Issuer,
    references: &[String],
) -> Result<Vec<IssuerId>, Failure> {
    let mut chain = Vec::new();
    for (position, reference) in references.iter().enumerate() {
        let id = if reference == "self" { issuer.id } else { ca_state.issuer(reference)?.id };
        if position == 0 && id != issuer.id {
            return Err(Failure::refused(format!(
                "expected first cert in chain to be a self-reference, but was: {reference}/{}",
                id
            )));
        }
        chain.push(id);
    }
    Ok(chain)
}

fn changed_urls(urls: &UrlsRecord, change: &IssuerChange) -> Result<UrlsRecord, Failure> {
    let kept = |new: &Option<Vec<String>>, old: &Vec<String>| new.clone().unwrap_or(old.clone());
    let record = UrlsRecord {
        issuing_certificates: kept(&change.issuing_certificates, &urls.issuing_certificates),
        crl_distribution_points: kept(
            &change.crl_distribution_points,
            &urls.crl_distribution_points,
        ),
        delta_crl_distribution_points: kept(
            &change.delta_crl_distribution_points,
            &urls.delta_crl_distribution_points,
        ),
        ocsp_servers: kept(&change.ocsp_servers, &urls.ocsp_servers),
        templating: change.templating.unwrap_or(urls.templating),
    };
    check_urls(&record)?;
    Ok(record)
}
