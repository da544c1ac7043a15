//! Importing certificates: `intermediate/set-signed`
//! (`docs/dev/vault-pki.md`, "Importing certificates").
//!
//! All or nothing: either every certificate of the bundle becomes an issuer, or none.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::ca::certificate::Certificate;
use crate::ca::pem;
use crate::ca::permit::KeyUsage;
use crate::ca::time::Timestamp;
use crate::engine::{Failure, retry_on_conflict};
use crate::entropy::Purpose;
use crate::store::id::{IssuerId, KeyId};
use crate::store::key;

use super::Pki;
use super::ca_state::{CaState, Issuer};
use super::generate::{W_AIA, new_issuer, put_defaults};

/// What an import did.
#[derive(Debug, Default)]
pub struct Imported {
    /// Issuer to key, for every certificate of the bundle.
    pub mapping: Vec<(IssuerId, Option<KeyId>)>,
    /// Issuers that are new.
    pub issuers: Vec<IssuerId>,
    /// Issuers that already existed.
    pub existing_issuers: Vec<IssuerId>,
    /// Warnings for the caller.
    pub warnings: Vec<String>,
}

const W_SEVERAL: &str = "The imported bundle contained multiple certs matching keys, the default issuer that was selected should be verified and manually changed if incorrect.";
const W_LATEST: &str = "Default issuer left unchanged: could not select new issuer automatically as multiple imported issuers had key material in Vault.";

impl Pki {
    /// Creates issuers from the certificates of a PEM text.
    ///
    /// # Errors
    /// Refuses private keys, certificates that are not CA certificates, and text that is not PEM.
    pub async fn set_signed(&self, bundle: &str, now: Timestamp) -> Result<Imported, Failure> {
        let certificates = read_bundle(bundle)?;
        let mut imported = retry_on_conflict!(async {
            let ca_state = self.ca_state().await?;
            self.import(&ca_state, &certificates).await
        })?;
        let ca_state = self.ca_state().await?;
        let known = imported.existing_issuers.iter().filter_map(|id| ca_state.issuers.get(id));
        let blocked = known.filter_map(|issuer| Some((issuer, issuer.may_sign_at(now).err()?)));
        imported
            .warnings
            .extend(blocked.map(|(issuer, why)| import_warning(issuer, &why.to_string())));
        if !imported.issuers.is_empty() {
            let new = imported.issuers.iter().filter_map(|id| ca_state.issuers.get(id));
            imported.warnings.extend(new.flat_map(|issuer| import_warnings(issuer, now)));
            imported.warnings.extend(self.rebuild_crls(now).await);
        }
        Ok(imported)
    }

    async fn import(
        &self,
        ca_state: &Arc<CaState>,
        certificates: &[Certificate],
    ) -> Result<Imported, Failure> {
        let mut imported = Imported::default();
        let mut batch = ca_state.config_batch(self.id());
        let mut defaults = ca_state.defaults.clone();
        let mut fresh: BTreeMap<Vec<u8>, IssuerId> = BTreeMap::new();
        let mut with_key = Vec::new();
        for certificate in certificates {
            let key = key_of(ca_state, certificate);
            let known = ca_state
                .issuers
                .values()
                .find(|issuer| issuer.certificate.der() == certificate.der())
                .map(|issuer| issuer.id);
            if let Some(id) = known.or_else(|| fresh.get(certificate.der()).copied()) {
                if known.is_some() && !imported.existing_issuers.contains(&id) {
                    imported.existing_issuers.push(id);
                    imported.mapping.push((id, key));
                }
                continue;
            }
            // A deleted issuer keeps its identifier when it is imported again, so it is stored once.
            let mut deleted = ca_state.deleted.iter().rev();
            let before = deleted.find(|old| old.certificate.der() == certificate.der());
            let id: IssuerId = before.map_or_else(
                || IssuerId::new(self.env().entropy.bytes(Purpose::Identifier)),
                |old| old.id,
            );
            let mut record = new_issuer(certificate.der().to_vec(), "", key)?;
            record.revoked = before.and_then(|old| old.record.revoked);
            batch = batch.put_record(key::issuer(self.id(), &id), &record);
            fresh.insert(certificate.der().to_vec(), id);
            imported.issuers.push(id);
            imported.mapping.push((id, key));
            if key.is_some() {
                with_key.push(id);
            }
        }
        choose_default(&mut defaults, &with_key, &mut imported.warnings);
        if !ca_state.urls.is_configured() && !imported.issuers.is_empty() {
            imported.warnings.push(W_AIA.to_owned());
        }
        self.env().store.commit(put_defaults(batch, self.id(), &defaults)).await?;
        Ok(imported)
    }
}

/// A Name without relative distinguished names, DER.
const EMPTY_NAME: &[u8] = &[0x30, 0];

/// Warnings about an imported certificate: it is accepted, but some later requests will be refused, or
/// verifiers will not accept what it signs.
fn import_warnings(issuer: &Issuer, now: Timestamp) -> Vec<String> {
    let certificate = &issuer.certificate;
    let usage = certificate.key_usage();
    let lacks = |wanted: KeyUsage| usage.is_some_and(|usage| !usage.contains(wanted));
    let has_identifier =
        certificate.subject_key_identifier().is_some_and(|identifier| !identifier.is_empty());
    let mut found = Vec::new();
    if let Err(why) = issuer.may_sign_at(now) {
        found.push(why.to_string());
    }
    if !has_identifier {
        found.push("its certificate has no subject key identifier (RFC 5280, 4.2.1.2); what it signs names the SHA-1 hash of its key instead".to_owned());
    }
    if lacks(KeyUsage::KEY_CERT_SIGN) {
        found.push("its certificate lacks the key usage keyCertSign (RFC 5280, 4.2.1.3); verifiers refuse the certificates it signs".to_owned());
    }
    if lacks(KeyUsage::CRL_SIGN) {
        found.push("its certificate lacks the key usage cRLSign (RFC 5280, 4.2.1.3); it has no revocation list".to_owned());
    }
    if certificate.subject() == EMPTY_NAME {
        found.push("its certificate has no subject (RFC 5280, 4.1.2.6); verifiers refuse the certificates it signs".to_owned());
    }
    if let Some(why) = certificate.subject_error() {
        found.push(format!(
            "its subject is not sound ({why}); some clients cannot read the certificates it signs"
        ));
    }
    if let Some(why) = certificate.name_constraints_error() {
        found.push(format!("its name constraints are not understood ({why}); verifiers may refuse the certificates it signs, and where they are critical it signs none"));
    }
    if certificate.signature_algorithm().is_none() && !issuer.is_root {
        found.push("its certificate is signed with an algorithm that is not verified here; no chain is built above it".to_owned());
    }
    found.iter().map(|what| import_warning(issuer, what)).collect()
}

fn import_warning(issuer: &Issuer, what: &str) -> String {
    format!("Signet: imported issuer {}: {what}", issuer.id)
}

/// Makes an imported issuer the default, but never one without a key.
fn choose_default(
    defaults: &mut super::records::DefaultsRecord,
    with_key: &[IssuerId],
    warnings: &mut Vec<String>,
) {
    match (defaults.issuer, with_key) {
        (None, [first, rest @ ..]) => {
            defaults.issuer = Some(*first);
            if !rest.is_empty() {
                warnings.push(W_SEVERAL.to_owned());
            }
        }
        (Some(_), [only]) if defaults.follows_latest => defaults.issuer = Some(*only),
        (Some(_), [_, _, ..]) if defaults.follows_latest => warnings.push(W_LATEST.to_owned()),
        _ => {}
    }
}

fn key_of(ca_state: &CaState, certificate: &Certificate) -> Option<KeyId> {
    ca_state
        .keys
        .iter()
        .find(|(_, entry)| entry.key.public().spki() == certificate.public_key().spki())
        .map(|(id, _)| *id)
}

/// The certificates in a PEM text, in its order.
///
/// # Errors
/// Refuses private keys, certificates that are not CA certificates, and text that is not PEM.
pub fn read_bundle(bundle: &str) -> Result<Vec<Certificate>, Failure> {
    if bundle.is_empty() {
        return Err(Failure::refused("'pem_bundle' and 'certificate' parameters were empty"));
    }
    if bundle.len() < 75 {
        return Err(Failure::refused(
            "provided data for import was too short; perhaps a path was passed to the API rather than the contents of a PEM file",
        ));
    }
    let blocks = pem::decode_all(bundle);
    if blocks.is_empty() {
        return Err(Failure::refused("error when parsing block 1: invalid PEM data"));
    }
    let mut certificates = Vec::new();
    for block in &blocks {
        match block.label.as_str() {
            "CERTIFICATE" | "X509 CERTIFICATE" | "TRUSTED CERTIFICATE" => {
                let index = certificates.len();
                let parsed = Certificate::parse(block.der.to_vec()).map_err(|error| {
                    refused_issuer(
                        index,
                        &format!("unable to parse certificate: {error}"),
                        &block.der,
                    )
                })?;
                if !parsed.is_authority() {
                    let why = "Refusing to import non-CA certificate";
                    return Err(refused_issuer(index, why, &block.der));
                }
                certificates.push(parsed);
            }
            "CRL" | "X509 CRL" | "EC PARAMS" | "EC PARAMETERS" => {}
            // Vault takes every other block for a key.
            _ => {
                return Err(Failure::refused(
                    "private keys found in the PEM bundle but not allowed by the path; use /issuers/import/bundle",
                ));
            }
        }
    }
    Ok(certificates)
}

fn refused_issuer(index: usize, why: &str, der: &[u8]) -> Failure {
    Failure::refused(format!(
        "Error parsing issuer {index}: {why}\n{}",
        pem::encode("CERTIFICATE", der)
    ))
}
