//! The issuers, keys and settings of a mount, parsed once and shared until one of them changes.
//!
//! Every change of configuration writes the mount's generation in its batch and expects the one
//! it read; so does every batch that records a certificate. A role or issuer that changed
//! between reading and recording is a conflict, and the use case starts again.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::value::RawValue;

use crate::ca::certificate::Certificate;
use crate::ca::chain::{self, Link};
use crate::ca::key::{KeyKind, SignatureAlgorithm, SignaturePreference};
use crate::ca::name_limits::IssuerLimits;
use crate::ca::pem;
use crate::ca::permit::IssuingUrls;
use crate::ca::role::LeafNotAfterBehavior;
use crate::ca::time::Timestamp;
use crate::engine::Failure;
use crate::keys::PrivateKey;
use crate::secret::Secret;
use crate::store::id::{IssuerId, KeyId, MountId};
use crate::store::{Batch, Key, Revision, Snapshot, key, record};

use super::issuer_status::{self, IssuerStatus};
use super::records::{
    ClusterRecord, DefaultsRecord, DeletedIssuersRecord, IssuerRecord, KeyRecord, UrlsRecord,
};
use super::urls::{fits_a_certificate, with_words};

/// An issuer, ready to be used.
#[derive(Debug)]
pub struct Issuer {
    /// Its identifier.
    pub id: IssuerId,
    /// What is stored.
    pub record: IssuerRecord,
    /// Its certificate.
    pub certificate: Certificate,
    /// Whether it is self-signed (see [`is_self_signed`]).
    pub is_root: bool,
    /// The name limits of its certificate and those above it.
    pub limits: IssuerLimits,
    /// Its key, if the mount has it.
    pub key: Option<PrivateKey>,
    /// When its certificate was revoked, as far as the mount knows.
    pub revoked: Option<Timestamp>,
    /// The revoked issuer that blocks it from issuing: itself or one above it.
    pub blocked_by: Option<IssuerId>,
    /// Its chain: itself first.
    pub chain: Vec<IssuerId>,
    /// The chain's certificates, DER, itself first.
    pub chain_der: Vec<Vec<u8>>,
    /// The same as PEM, each a JSON string: every issued certificate comes with them.
    chain_json: Vec<Box<RawValue>>,
}

/// A key and its name.
#[derive(Debug)]
pub struct KeySummary {
    /// Its name; may be empty.
    pub name: String,
    /// The private key.
    pub key: PrivateKey,
}

/// The issuers, keys and settings that a mount signs with.
#[derive(Debug)]
pub struct CaState {
    generation: Option<Revision>,
    /// Issuers by identifier.
    pub issuers: BTreeMap<IssuerId, Arc<Issuer>>,
    /// Keys by identifier.
    pub keys: BTreeMap<KeyId, KeySummary>,
    /// The defaults.
    pub defaults: DefaultsRecord,
    /// `config/urls`
    pub urls: UrlsRecord,
    /// `config/cluster`
    pub cluster: ClusterRecord,
    /// `config/departed`: deleted issuers, with their keys if the mount still has them.
    pub deleted: Vec<Arc<Issuer>>,
}

/// The key in the store of a mount's generation.
pub(super) fn generation_key(mount: &MountId) -> Key {
    key::config(mount, "generation")
}

impl CaState {
    /// Reads the state from a snapshot.
    pub(super) async fn load(
        snapshot: &Snapshot,
        mount: &MountId,
        generation: Option<Revision>,
    ) -> Result<Self, Failure> {
        let mut keys = BTreeMap::new();
        let prefix = key::private_keys(mount);
        for entry in snapshot.scan(&prefix.range(), usize::MAX).await? {
            let stored: KeyRecord = decoded(&entry.value)?;
            let pkcs8 = Secret::new(stored.pkcs8.clone());
            let key = PrivateKey::from_pkcs8(&pkcs8)
                .map_err(|error| Failure::Internal(error.to_string()))?;
            keys.insert(
                identifier(prefix.rest(&entry.key))?,
                KeySummary { name: stored.name.clone(), key },
            );
        }
        let mut records = BTreeMap::new();
        let prefix = key::issuers(mount);
        for entry in snapshot.scan(&prefix.range(), usize::MAX).await? {
            let stored: IssuerRecord = decoded(&entry.value)?;
            let certificate = Certificate::parse(stored.certificate.clone())
                .map_err(|error| Failure::Internal(error.to_string()))?;
            records.insert(identifier(prefix.rest(&entry.key))?, (stored, certificate));
        }
        let deleted = deleted(&config(snapshot, mount, "departed").await?)?;
        let revoked = issuer_status::revocations(snapshot, mount, &records, &deleted).await?;
        let blocked = issuer_status::blocked(&records, &deleted, &revoked);
        let status = IssuerStatus { revoked, blocked };
        Ok(Self {
            generation,
            issuers: link(records, &keys, &status),
            deleted: deleted_issuers(deleted, &keys, &status),
            keys,
            defaults: config(snapshot, mount, "defaults").await?,
            urls: config(snapshot, mount, "urls").await?,
            cluster: config(snapshot, mount, "cluster").await?,
        })
    }

    /// The generation at which it was read.
    pub const fn generation(&self) -> Option<Revision> {
        self.generation
    }

    /// A batch that takes effect only if no configuration changed since.
    pub fn batch_if_unchanged(&self, mount: &MountId) -> Batch {
        Batch::new().expect_unchanged(generation_key(mount), self.generation)
    }

    /// A batch that changes the configuration.
    pub fn config_batch(&self, mount: &MountId) -> Batch {
        self.batch_if_unchanged(mount).put(generation_key(mount), Vec::new())
    }

    /// The issuer that a reference names: `default`, an identifier, or a name
    /// (`docs/dev/vault-pki.md`, "Names and references").
    pub fn issuer(&self, reference: &str) -> Result<&Arc<Issuer>, UnknownReference> {
        let reference = reference.trim();
        if reference.eq_ignore_ascii_case("default") {
            return self
                .defaults
                .issuer
                .and_then(|id| self.issuers.get(&id))
                .ok_or(UnknownReference::NoDefaultIssuer);
        }
        IssuerId::parse(reference)
            .and_then(|id| self.issuers.get(&id))
            .or_else(|| self.issuers.values().find(|issuer| issuer.record.name == reference))
            .filter(|_| !reference.is_empty())
            .ok_or_else(|| UnknownReference::Issuer(reference.to_owned()))
    }

    /// The key that a reference names.
    pub fn key(&self, reference: &str) -> Result<(KeyId, &KeySummary), UnknownReference> {
        let reference = reference.trim();
        if reference == "default" {
            return self
                .defaults
                .key
                .and_then(|id| self.keys.get(&id).map(|entry| (id, entry)))
                .ok_or(UnknownReference::NoDefaultKey);
        }
        if let Some(found) =
            KeyId::parse(reference).and_then(|id| self.keys.get(&id).map(|entry| (id, entry)))
        {
            return Ok(found);
        }
        self.keys
            .iter()
            .find(|(_, entry)| !reference.is_empty() && entry.name == reference)
            .map(|(id, entry)| (*id, entry))
            .ok_or_else(|| UnknownReference::Key(reference.to_owned()))
    }

    /// Every root of the mount, DER, in the order of identifiers.
    pub fn roots(&self) -> Vec<Vec<u8>> {
        self.issuers
            .values()
            .filter(|issuer| issuer.is_root)
            .map(|issuer| issuer.certificate.der().to_vec())
            .collect()
    }

    /// The URLs for certificates that this issuer signs: its own, else the mount's, rendered.
    pub fn urls_of(&self, issuer: Option<&Issuer>) -> Result<IssuingUrls, String> {
        let own = issuer.map(|issuer| &issuer.record.urls).filter(|urls| urls.is_configured());
        let urls = own.unwrap_or(&self.urls);
        if !urls.templating {
            return Ok(urls.as_written());
        }
        self.render(urls, issuer.map(|issuer| &issuer.id))
    }

    /// Fills in `{{issuer_id}}`, `{{cluster_path}}` and `{{cluster_aia_path}}`.
    pub fn render(
        &self,
        urls: &UrlsRecord,
        issuer: Option<&IssuerId>,
    ) -> Result<IssuingUrls, String> {
        let one = |field: &str, url: &String| -> Result<String, String> {
            let cluster = &self.cluster;
            for (word, value, lacking) in [
                ("{{cluster_path}}", &cluster.path, "path"),
                ("{{cluster_aia_path}}", &cluster.aia_path, "aia_path"),
            ] {
                if url.contains(word) && value.is_empty() {
                    return Err(format!(
                        "unable to template AIA URLs as we lack local cluster address information ({lacking})"
                    ));
                }
            }
            let issuer = issuer.map_or_else(|| "{{issuer_id}}".to_owned(), ToString::to_string);
            let text = with_words(url, &cluster.path, &cluster.aia_path, &issuer);
            if fits_a_certificate(&text) && !text.contains("{{") {
                Ok(text)
            } else {
                Err(format!("error validating templated {field}; invalid URI: {text}"))
            }
        };
        let all = |field: &str, urls: &[String]| {
            urls.iter().map(|url| one(field, url)).collect::<Result<Vec<_>, _>>()
        };
        Ok(IssuingUrls {
            issuing_certificates: all("issuing_certificates", &urls.issuing_certificates)?,
            crl_distribution_points: all("crl_distribution_points", &urls.crl_distribution_points)?,
            delta_crl_distribution_points: all(
                "delta_crl_distribution_points",
                &urls.delta_crl_distribution_points,
            )?,
            ocsp_servers: all("ocsp_servers", &urls.ocsp_servers)?,
        })
    }
}

impl Issuer {
    /// Whether it may sign certificates at this time, as far as revocation and validity decide; the
    /// caller checks its key and usage.
    ///
    /// Only its own validity counts, not that of the issuers above it: a verifier does not check the
    /// validity of its trust anchors (RFC 5280, 6.1.1 (d)), any issuer of the chain may be one, and a
    /// cross-signed parent may expire while another path stays valid.
    ///
    /// # Errors
    /// Refuses if it is revoked or not valid, or if every path above it has a revoked issuer.
    pub fn may_sign_at(&self, now: Timestamp) -> Result<(), Failure> {
        let (from, until) = (self.certificate.not_before(), self.certificate.not_after());
        if self.blocked_by.is_none() && from <= now && now <= until {
            return Ok(());
        }
        Err(self.signing_refusal(now))
    }

    /// Its chain, itself first: identifier, DER, and the PEM as a JSON string.
    pub fn chain_texts(&self) -> impl Iterator<Item = (&IssuerId, &[u8], &RawValue)> {
        let forms = self.chain_der.iter().zip(&self.chain_json);
        self.chain.iter().zip(forms).map(|(id, (der, json))| (id, der.as_slice(), &**json))
    }

    /// What happens to leaves that would expire after it.
    pub fn leaf_behavior(&self) -> LeafNotAfterBehavior {
        LeafNotAfterBehavior::parse(&self.record.leaf_not_after_behavior)
            .unwrap_or(LeafNotAfterBehavior::Err)
    }

    /// Whether its key is an RSA key, which takes a hundred times as long for a signature as an EC key.
    pub fn signs_by_rsa(&self) -> bool {
        matches!(self.certificate.public_key().kind(), KeyKind::Rsa(_))
    }

    /// Its usages by name, in Vault's order.
    pub fn usages(&self) -> String {
        let mut words = Vec::new();
        if self.record.may_sign_crls {
            words.push("crl-signing");
        }
        if self.record.may_issue {
            words.push("issuing-certificates");
        }
        if self.record.may_sign_ocsp {
            words.push("ocsp-signing");
        }
        words.push("read-only");
        words.join(",")
    }

    /// The chain's certificates as PEM, itself first, without a newline at their ends.
    pub fn chain_pem(&self) -> Vec<String> {
        self.chain_der.iter().map(|der| pem::encode(pem::CERTIFICATE, der)).collect()
    }

    /// How it signs CRLs.
    pub fn revocation_algorithm(&self) -> SignatureAlgorithm {
        let kind: KeyKind = self.certificate.public_key().kind();
        SignatureAlgorithm::parse(&self.record.revocation_signature_algorithm)
            .filter(|algorithm| algorithm.fits(kind))
            .unwrap_or_else(|| SignatureAlgorithm::choose(kind, SignaturePreference::default()))
    }
}

/// Issued by and to the same name, with its own key. If the signature algorithm is not verified here
/// (SHA-1 in many old roots), the names decide: a root is trusted because it was imported, not because
/// of its signature.
pub fn is_self_signed(certificate: &Certificate) -> bool {
    match (certificate.authority_key_identifier(), certificate.subject_key_identifier()) {
        (Some(authority), Some(own)) => authority == own && certificate.is_self_issued(),
        _ => {
            certificate.is_self_issued()
                && (certificate.signature_algorithm().is_none()
                    || certificate.verify_signed_by(certificate.public_key()))
        }
    }
}

impl UrlsRecord {
    /// Whether it has a URL for the issuer, the CRL or OCSP. Delta CRLs alone do not count.
    pub const fn is_configured(&self) -> bool {
        !(self.issuing_certificates.is_empty()
            && self.crl_distribution_points.is_empty()
            && self.ocsp_servers.is_empty())
    }

    /// URLs without templates, as certificates carry them.
    fn as_written(&self) -> IssuingUrls {
        IssuingUrls {
            issuing_certificates: self.issuing_certificates.clone(),
            crl_distribution_points: self.crl_distribution_points.clone(),
            delta_crl_distribution_points: self.delta_crl_distribution_points.clone(),
            ocsp_servers: self.ocsp_servers.clone(),
        }
    }
}

/// A reference that names nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UnknownReference {
    /// `default`, and the mount has no default issuer.
    NoDefaultIssuer,
    /// `default`, and the mount has no default key.
    NoDefaultKey,
    /// No issuer has this identifier or name.
    Issuer(String),
    /// No key has this identifier or name.
    Key(String),
}

impl std::fmt::Display for UnknownReference {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoDefaultIssuer => formatter.write_str("no default issuer currently configured"),
            Self::NoDefaultKey => formatter.write_str("no default key currently configured"),
            Self::Issuer(reference) => {
                write!(formatter, "unable to find PKI issuer for reference: {reference}")
            }
            Self::Key(reference) => {
                write!(formatter, "unable to find PKI key for reference: {reference}")
            }
        }
    }
}

impl From<UnknownReference> for Failure {
    fn from(unknown: UnknownReference) -> Self {
        Self::InvalidWrapped(unknown.to_string())
    }
}

/// An issuer as input of [`chain::build`].
pub(super) fn link_of<'a>(
    id: IssuerId,
    record: &'a IssuerRecord,
    certificate: &'a Certificate,
) -> Link<'a, IssuerId> {
    let manual = (!record.manual_chain.is_empty()).then_some(record.manual_chain.as_slice());
    Link { id, certificate, manual }
}

fn link(
    records: BTreeMap<IssuerId, (IssuerRecord, Certificate)>,
    keys: &BTreeMap<KeyId, KeySummary>,
    status: &IssuerStatus,
) -> BTreeMap<IssuerId, Arc<Issuer>> {
    let links: Vec<_> = records
        .iter()
        .map(|(id, (record, certificate))| link_of(*id, record, certificate))
        .collect();
    let mut chains = chain::build(&links);
    let mut limits: BTreeMap<IssuerId, IssuerLimits> = records
        .iter()
        .map(|(id, (_, certificate))| {
            let chain = chains.get(id).into_iter().flatten();
            let chain: Vec<_> = chain.filter_map(|id| Some(&records.get(id)?.1)).collect();
            (*id, IssuerLimits::new(certificate, &chain))
        })
        .collect();
    let der: BTreeMap<IssuerId, Vec<u8>> =
        records.iter().map(|(id, (_, certificate))| (*id, certificate.der().to_vec())).collect();
    records
        .into_iter()
        .map(|(id, (record, certificate))| {
            let chain = chains.remove(&id).unwrap_or_else(|| vec![id]);
            let chain_der = chain.iter().filter_map(|id| der.get(id).cloned()).collect();
            let key = record.key.and_then(|id| keys.get(&id)).map(|entry| entry.key.clone());
            let limits = limits.remove(&id).unwrap_or_default();
            (id, issuer(id, record, certificate, key, (chain, chain_der, limits), status))
        })
        .collect()
}

/// Deleted issuers, each with a chain of itself alone and the key that it certifies.
fn deleted_issuers(
    deleted: Vec<(IssuerId, IssuerRecord, Certificate)>,
    keys: &BTreeMap<KeyId, KeySummary>,
    status: &IssuerStatus,
) -> Vec<Arc<Issuer>> {
    deleted
        .into_iter()
        .map(|(id, mut record, certificate)| {
            let spki = certificate.public_key().spki();
            let found = keys.iter().find(|(_, entry)| entry.key.public().spki() == spki);
            record.key = found.map(|(id, _)| *id);
            let key = found.map(|(_, entry)| entry.key.clone());
            // It does not issue any more, so it needs no name limits.
            let chain = (vec![id], vec![certificate.der().to_vec()], IssuerLimits::default());
            issuer(id, record, certificate, key, chain, status)
        })
        .collect()
}

fn issuer(
    id: IssuerId,
    record: IssuerRecord,
    certificate: Certificate,
    key: Option<PrivateKey>,
    (chain, chain_der, limits): (Vec<IssuerId>, Vec<Vec<u8>>, IssuerLimits),
    status: &IssuerStatus,
) -> Arc<Issuer> {
    Arc::new(Issuer {
        id,
        is_root: is_self_signed(&certificate),
        revoked: status.revoked.get(&id).copied(),
        blocked_by: status.blocked.get(&id).copied(),
        chain_json: chain_der.iter().filter_map(|der| pem_json(der)).collect(),
        record,
        certificate,
        limits,
        key,
        chain,
        chain_der,
    })
}

/// PEM as a JSON string. Every text is a valid JSON string, so it is never `None`.
fn pem_json(der: &[u8]) -> Option<Box<RawValue>> {
    serde_json::value::to_raw_value(&pem::encode(pem::CERTIFICATE, der)).ok()
}

fn deleted(
    record: &DeletedIssuersRecord,
) -> Result<Vec<(IssuerId, IssuerRecord, Certificate)>, Failure> {
    let parsed = record.issuers.iter().map(|issuer| {
        let certificate = Certificate::parse(issuer.certificate.clone())
            .map_err(|error| Failure::Internal(error.to_string()))?;
        Ok((issuer.id, issuer.settings(&certificate), certificate))
    });
    parsed.collect()
}

fn decoded<R: crate::store::Record>(value: &[u8]) -> Result<R, Failure> {
    record::decode(value).map_err(|error| Failure::Internal(error.to_string()))
}

fn identifier<'a, Id: TryFrom<&'a [u8]>>(rest: Option<&'a [u8]>) -> Result<Id, Failure> {
    rest.and_then(|rest| rest.try_into().ok())
        .ok_or_else(|| Failure::Internal("an issuer's or key's identifier is malformed".to_owned()))
}

async fn config<R: crate::store::Record + Default>(
    snapshot: &Snapshot,
    mount: &MountId,
    name: &str,
) -> Result<R, Failure> {
    let found = snapshot.record::<R>(&key::config(mount, name)).await?;
    Ok(found.map(|(_, record)| record).unwrap_or_default())
}
