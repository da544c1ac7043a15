//! What a PKI mount keeps in the store.

use minicbor::{Decode, Encode};

use crate::ca::certificate::Certificate;
use crate::ca::permit::KeyUsage;
use crate::ca::role::RoleFields;
use crate::ca::time::Timestamp;
use crate::store::Record;
use crate::store::id::{IssuerId, KeyId};

impl Record for RoleFields {}

/// An issuer: a certificate with settings. Its private key, if any, is a [`KeyRecord`].
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct IssuerRecord {
    /// The certificate, DER.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub certificate: Vec<u8>,
    /// Its name; may be empty.
    #[n(1)]
    pub name: String,
    /// The key with the same public key, if the mount has it.
    #[n(2)]
    pub key: Option<KeyId>,
    /// `err`, `truncate`, `permit`
    #[n(3)]
    pub leaf_not_after_behavior: String,
    /// A chain that an operator set.
    #[n(4)]
    pub manual_chain: Vec<IssuerId>,
    /// Whether it may issue certificates.
    #[n(5)]
    pub may_issue: bool,
    /// Whether it may sign CRLs.
    #[n(6)]
    pub may_sign_crls: bool,
    /// Whether it may sign OCSP responses.
    #[n(7)]
    pub may_sign_ocsp: bool,
    /// `ECDSAWithSHA256` and the like; empty follows the key.
    #[n(8)]
    pub revocation_signature_algorithm: String,
    /// Its own URLs.
    #[n(9)]
    pub urls: UrlsRecord,
    /// When it was revoked, if it was. Absent in older records.
    #[n(10)]
    pub revoked: Option<InstantRecord>,
}

/// An instant with its nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct InstantRecord {
    /// Seconds since the Unix epoch.
    #[n(0)]
    pub seconds: i64,
    /// Nanoseconds within the second.
    #[n(1)]
    pub nanoseconds: u32,
}

impl From<Timestamp> for InstantRecord {
    fn from(at: Timestamp) -> Self {
        Self { seconds: at.unix(), nanoseconds: at.nanoseconds() }
    }
}

impl From<InstantRecord> for Timestamp {
    fn from(at: InstantRecord) -> Self {
        Self::from_unix(at.seconds).with_nanoseconds(at.nanoseconds)
    }
}

impl Record for IssuerRecord {}

/// A private key.
#[derive(Encode, Decode)]
#[cbor(map)]
pub struct KeyRecord {
    /// PKCS#8.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub pkcs8: Vec<u8>,
    /// Its name; may be empty.
    #[n(1)]
    pub name: String,
}

impl Record for KeyRecord {}

impl Drop for KeyRecord {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.pkcs8);
    }
}

/// URLs for certificates, of a mount or of one issuer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct UrlsRecord {
    /// caIssuers
    #[n(0)]
    pub issuing_certificates: Vec<String>,
    /// CRL distribution points
    #[n(1)]
    pub crl_distribution_points: Vec<String>,
    /// freshest CRL
    #[n(2)]
    pub delta_crl_distribution_points: Vec<String>,
    /// OCSP responders
    #[n(3)]
    pub ocsp_servers: Vec<String>,
    /// The URLs hold template words.
    #[n(4)]
    pub templating: bool,
}

impl Record for UrlsRecord {}

impl UrlsRecord {
    /// Whether a template names the issuer. A root that is being generated has no issuer yet.
    pub fn names_its_issuer(&self) -> bool {
        let lists = [
            &self.issuing_certificates,
            &self.crl_distribution_points,
            &self.delta_crl_distribution_points,
            &self.ocsp_servers,
        ];
        self.templating && lists.into_iter().flatten().any(|url| url.contains("{{issuer_id}}"))
    }
}

/// `config/issuers` and `config/keys`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct DefaultsRecord {
    /// The default issuer.
    #[n(0)]
    pub issuer: Option<IssuerId>,
    /// A new issuer with a key becomes the default.
    #[n(1)]
    pub follows_latest: bool,
    /// The default key.
    #[n(2)]
    pub key: Option<KeyId>,
}

impl Record for DefaultsRecord {}

/// `config/cluster`: the URLs of this mount, for templates.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct ClusterRecord {
    /// `path`
    #[n(0)]
    pub path: String,
    /// `aia_path`
    #[n(1)]
    pub aia_path: String,
}

impl Record for ClusterRecord {}

/// `config/departed`: deleted issuers. Their revocations stay on the CRL of their name and key,
/// and its numbers continue while the mount has the key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct DeletedIssuersRecord {
    /// In the order of deletion. An issuer that was imported again stays, for its name.
    #[n(0)]
    pub issuers: Vec<DeletedIssuer>,
}

impl Record for DeletedIssuersRecord {}

/// A deleted issuer.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct DeletedIssuer {
    /// Its identifier.
    #[n(0)]
    pub id: IssuerId,
    /// The certificate, DER.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub certificate: Vec<u8>,
    /// Its name; absent in older records.
    #[n(2)]
    pub name: Option<String>,
    /// Whether it signed CRLs; absent in older records, where its key usage decides.
    #[n(3)]
    pub may_sign_crls: Option<bool>,
    /// The signature algorithm of its CRLs; absent in older records.
    #[n(4)]
    pub revocation_signature_algorithm: Option<String>,
    /// When it was revoked, if it was.
    #[n(5)]
    pub revoked: Option<InstantRecord>,
}

impl DeletedIssuer {
    /// The record of an issuer that is deleted now.
    pub fn of(id: IssuerId, record: &IssuerRecord) -> Self {
        Self {
            id,
            certificate: record.certificate.clone(),
            name: Some(record.name.clone()),
            may_sign_crls: Some(record.may_sign_crls),
            revocation_signature_algorithm: Some(record.revocation_signature_algorithm.clone()),
            revoked: record.revoked,
        }
    }

    /// Its settings from now on: it signs CRLs, if it did before, and nothing else.
    pub fn settings(&self, certificate: &Certificate) -> IssuerRecord {
        let usage = certificate.key_usage();
        let by_usage = || usage.is_none_or(|usage| usage.contains(KeyUsage::CRL_SIGN));
        IssuerRecord {
            certificate: self.certificate.clone(),
            name: self.name.clone().unwrap_or_default(),
            key: None,
            leaf_not_after_behavior: "err".to_owned(),
            manual_chain: Vec::new(),
            may_issue: false,
            may_sign_crls: self.may_sign_crls.unwrap_or_else(by_usage),
            may_sign_ocsp: false,
            revocation_signature_algorithm: self
                .revocation_signature_algorithm
                .clone()
                .unwrap_or_default(),
            urls: UrlsRecord::default(),
            revoked: self.revoked,
        }
    }
}

/// A stored certificate, under its serial number.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct CertificateRecord {
    /// DER.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub der: Vec<u8>,
    /// The issuer that signed it.
    #[n(1)]
    pub issuer: IssuerId,
}

impl Record for CertificateRecord {}

/// A revocation, under issuer and serial number.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct RevocationRecord {
    /// Seconds since the Unix epoch.
    #[n(0)]
    pub seconds: i64,
    /// Nanoseconds within the second.
    #[n(1)]
    pub nanoseconds: u32,
    /// Last second of the certificate's validity.
    #[n(2)]
    pub not_after: i64,
}

impl Record for RevocationRecord {}

/// The last complete CRL of an issuer.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct CrlRecord {
    /// DER.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub der: Vec<u8>,
    /// cRLNumber
    #[n(1)]
    pub number: u64,
    /// thisUpdate, seconds since the Unix epoch.
    #[n(2)]
    pub this_update: i64,
    /// nextUpdate, seconds since the Unix epoch.
    #[n(3)]
    pub next_update: i64,
    /// The latest thisUpdate of this CRL and all before it; absent in older records, where
    /// thisUpdate never went back.
    #[n(4)]
    pub latest: Option<i64>,
}

impl CrlRecord {
    /// The latest thisUpdate of this CRL and all before it.
    pub fn latest(&self) -> i64 {
        self.latest.unwrap_or(self.this_update).max(self.this_update)
    }
}

impl Record for CrlRecord {}

/// A CA certificate that is about to be signed (`docs/design.md`, "Sign, record, answer").
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct IntentRecord {
    /// The TBSCertificate, DER.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub tbs: Vec<u8>,
    /// When it was recorded, seconds since the Unix epoch.
    #[n(1)]
    pub at: i64,
    /// When it was logged as unfinished, seconds since the Unix epoch. Absent in older
    /// records.
    #[n(2)]
    pub logged_at: Option<i64>,
}

impl Record for IntentRecord {}
