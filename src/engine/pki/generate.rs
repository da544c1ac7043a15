//! Generating roots.
//!
//! Signing a root is rare and has lasting consequences: its intent is recorded before it is signed.
//!
//! | after | what exists | on restart |
//! |---|---|---|
//! | intent | what was about to be signed | it can still be read; signed or not, the root never left the process |
//! | sign | a signature in memory | as above |
//! | commit | key, issuer, certificate; the intent is deleted | nothing to do |

use std::sync::Arc;

use crate::ca::authority::CaCertificateParams;
use crate::ca::cert::{Tbs, compose_self_signed};
use crate::ca::certificate::Certificate;
use crate::ca::key::{Curve, KeyKind};
use crate::ca::lint;
use crate::ca::pem::{KeyForm, PrivateKeyEncodings};
use crate::ca::permit::Permit;
use crate::ca::role::key_kind;
use crate::ca::serial::Serial;
use crate::ca::signed::{Linted, Signed};
use crate::ca::time::Timestamp;
use crate::engine::{Failure, retry_on_conflict};
use crate::entropy::Purpose;
use crate::keys::PrivateKey;
use crate::secret::Secret;
use crate::store::id::{IssuerId, KeyId, MountId};
use crate::store::{Batch, key};

use super::Pki;
use super::ca_state::CaState;
use super::notices::{REQUEST, notices};
use super::output::{ArchiveContents, KeyStoreOptions, KeyStores};
use super::records::{CertificateRecord, DefaultsRecord, IssuerRecord, KeyRecord, UrlsRecord};

/// The `:type` of a generating path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyOrigin {
    /// A new key that stays here.
    Internal,
    /// A new key that is also returned.
    Exported,
    /// A key of the mount.
    Existing,
    /// A key management service: not supported.
    Kms,
}

impl KeyOrigin {
    /// Parses the parameter of the path.
    ///
    /// # Errors
    /// Vault's text for any other word.
    pub fn parse(word: &str) -> Result<Self, Failure> {
        match word {
            "internal" => Ok(Self::Internal),
            "exported" => Ok(Self::Exported),
            "existing" => Ok(Self::Existing),
            "kms" => Ok(Self::Kms),
            _ => Err(Failure::refused(
                "the \"exported\" path parameter must be \"internal\", \"existing\", exported\" or \"kms\"",
            )),
        }
    }
}

/// A request for a CA key.
#[derive(Clone, Debug)]
pub struct KeySpec {
    /// Where it comes from.
    pub origin: KeyOrigin,
    /// `key_type`, if it was sent.
    pub key_type: Option<String>,
    /// `key_bits`, if it was sent.
    pub key_bits: Option<i64>,
    /// `key_name`, if it was sent.
    pub name: Option<String>,
    /// `key_ref`
    pub reference: String,
    /// How an exported key is encoded.
    pub form: KeyForm,
}

/// A request for a root.
#[derive(Clone, Debug)]
pub struct RootRequest {
    /// Names, validity and constraints.
    pub params: CaCertificateParams,
    /// Its key.
    pub key: KeySpec,
    /// `issuer_name`, if it was sent.
    pub issuer_name: Option<String>,
    /// The key store of the answer, if one was requested.
    pub archive: Option<Arc<KeyStoreOptions>>,
}

/// A generated root.
#[derive(Debug)]
pub struct Root {
    /// Its certificate, DER.
    pub der: Vec<u8>,
    /// Its issuer's identifier and name.
    pub issuer: (IssuerId, String),
    /// Its key.
    pub key: KeyInUse,
    /// The key store that was requested.
    pub archives: Option<KeyStores>,
    /// Serial number.
    pub serial: Serial,
    /// notAfter
    pub not_after: Timestamp,
    /// Warnings for the caller.
    pub warnings: Vec<String>,
}

/// A key that a use case signs with.
#[derive(Debug)]
pub struct KeyInUse {
    /// Its identifier.
    pub id: KeyId,
    /// Its name; may be empty.
    pub name: String,
    /// The private key.
    pub key: PrivateKey,
    /// Whether it must be stored.
    pub is_new: bool,
    /// Its encodings for the answer, if it is exported.
    pub exported: Option<PrivateKeyEncodings>,
}

pub(super) const W_AIA: &str = "This mount hasn't configured any authority information access (AIA) fields; this may make it harder for systems to find missing certificates in the chain or to validate revocation status of certificates. Consider updating /config/urls or the newly generated issuer with this information.";
const W_PATH0: &str = "Max path length of the generated certificate is zero. This certificate cannot be used to issue intermediate CA certificates.";
const W_TEMPLATED: &str = "When generating root CA, found global AIA configuration with issuer_id template unsuitable for root generation. This AIA configuration has been ignored. To include AIA on this root CA, set the global AIA configuration to not include issuer_id and instead to refer to a static issuer name.";

impl Pki {
    /// Generates a root, with its key and its issuer.
    ///
    /// # Errors
    /// Refuses names that are in use or malformed, keys of unknown kinds, and an invalid validity.
    pub async fn generate_root(
        &self,
        request: &RootRequest,
        now: Timestamp,
    ) -> Result<Root, Failure> {
        let mut root = retry_on_conflict!(async {
            let ca_state = self.ca_state().await?;
            let name = issuer_name(&ca_state, request.issuer_name.as_deref(), None)?;
            let key = self.obtain_key(&ca_state, &request.key).await?;
            let limits = self.lifetimes;
            let templated = ca_state.urls.names_its_issuer();
            let urls = if templated {
                crate::ca::permit::IssuingUrls::default()
            } else {
                ca_state.urls_of(None).map_err(|why| {
                    Failure::InvalidWrapped(format!("unable to fetch AIA URL information: {why}"))
                })?
            };
            let permit = request.params.permit_root(limits, urls, now)?;
            let mut warnings = root_warnings(&permit, &ca_state, templated, &request.params);
            warnings.extend(request.params.ineffective_parameters(key.key.kind(), false));
            let (linted, serial, not_after) = self.compose_root(permit, &key, &mut warnings)?;
            let tbs = linted.document().der().to_vec();
            self.record_intent(serial, tbs, now).await?;
            let signed =
                key.key.sign(linted).map_err(|error| Failure::Internal(error.to_string()))?;
            let returned = key.exported.is_some().then(|| pkcs8_of(&key.key)).transpose()?;
            let contents = ArchiveContents::root(signed.der().to_vec()).with_key(returned);
            let options = request.archive.as_ref();
            let archives = self.archive_before_record(options, contents, serial, now).await?;
            let issuer = self.record_root(&ca_state, &key, &name, &signed).await?;
            let der = signed.into_der();
            Ok(Root { der, issuer: (issuer, name), key, archives, serial, not_after, warnings })
        })?;
        // The CRL of a new issuer is ready before the first reader; a failure to build it is a warning.
        root.warnings.extend(self.rebuild_crls(now).await);
        Ok(root)
    }

    fn compose_root(
        &self,
        permit: Permit,
        key: &KeyInUse,
        warnings: &mut Vec<String>,
    ) -> Result<(Linted<Tbs>, Serial, Timestamp), Failure> {
        let serial =
            Serial::new(permit.template().not_after, self.env().entropy.bytes(Purpose::Serial));
        let tbs = compose_self_signed(permit, key.key.public(), serial).map_err(|error| {
            Failure::InvalidWrapped(format!("unable to create certificate: {error}"))
        })?;
        let not_after = tbs.facts().not_after;
        let linted =
            lint::lint_self_signed(tbs).map_err(|findings| Failure::of_lint(&findings, REQUEST))?;
        warnings.extend(notices(&linted, REQUEST));
        Ok((linted, serial, not_after))
    }

    /// The key store of a certificate that is not recorded yet. If it cannot be written, nothing is issued
    /// and the intent is deleted.
    pub(super) async fn archive_before_record(
        &self,
        options: Option<&Arc<KeyStoreOptions>>,
        contents: ArchiveContents,
        serial: Serial,
        now: Timestamp,
    ) -> Result<Option<KeyStores>, Failure> {
        let Some(options) = options else { return Ok(None) };
        let archives = self.archive(options, contents, now).await;
        if archives.is_err() {
            self.delete_intent(serial).await;
        }
        archives.map(Some)
    }

    async fn record_root(
        &self,
        ca_state: &CaState,
        key: &KeyInUse,
        name: &str,
        signed: &Signed<Tbs>,
    ) -> Result<IssuerId, Failure> {
        let serial = signed.facts().serial;
        let issuer = IssuerId::new(self.env().entropy.bytes(Purpose::Identifier));
        let mut defaults = ca_state.defaults.clone();
        if defaults.follows_latest || defaults.issuer.is_none() {
            defaults.issuer = Some(issuer);
        }
        let mut batch = ca_state.config_batch(self.id());
        batch = put_key(batch, self.id(), key, &mut defaults)?;
        let record = new_issuer(signed.der().to_vec(), name, Some(key.id))?;
        let certificate = CertificateRecord { der: signed.der().to_vec(), issuer };
        let serial_key = key::certificate(self.id(), serial.as_bytes());
        let batch = put_defaults(batch, self.id(), &defaults)
            .put_record(key::issuer(self.id(), &issuer), &record)
            .expect_absent(serial_key.clone())
            .put_record(serial_key, &certificate);
        self.commit_and_delete_intent(serial, batch).await?;
        Ok(issuer)
    }

    /// The requested key: a new one, or an existing one of the mount.
    pub(super) async fn obtain_key(
        &self,
        ca_state: &CaState,
        spec: &KeySpec,
    ) -> Result<KeyInUse, Failure> {
        let name = key_name(ca_state, spec.name.as_deref())?;
        if matches!(spec.origin, KeyOrigin::Existing | KeyOrigin::Kms)
            && (spec.key_type.is_some() || spec.key_bits.is_some())
        {
            return Err(Failure::refused(
                "invalid parameter for the kms/existing path parameter, key_type nor key_bits arguments can be set in this mode",
            ));
        }
        match spec.origin {
            KeyOrigin::Kms => {
                Err(Failure::refused("keys of a key management service are not supported"))
            }
            KeyOrigin::Existing => {
                let (id, entry) = ca_state.key(&spec.reference).map_err(|unknown| {
                    Failure::refused(format!(
                        "failed to lookup public key from existing key: {unknown}"
                    ))
                })?;
                let (key, name) = (entry.key.clone(), entry.name.clone());
                Ok(KeyInUse { id, name, key, is_new: false, exported: None })
            }
            KeyOrigin::Internal | KeyOrigin::Exported => {
                let kind = key_kind(
                    spec.key_type.as_deref().unwrap_or("rsa"),
                    spec.key_bits.unwrap_or_default(),
                )
                .map_err(|why| {
                    Failure::refused(why.to_string().replace("key type any", "key type: any"))
                })?;
                if kind == KeyKind::Ec(Curve::P224) {
                    return Err(Failure::refused(
                        "P-224 keys are not supported; use key_bits 256, 384 or 521",
                    ));
                }
                let key = match kind {
                    KeyKind::Rsa(_) => {
                        self.services.cpu.run(move || PrivateKey::generate(kind)).await?
                    }
                    KeyKind::Ec(_) | KeyKind::Ed25519 => {
                        PrivateKey::generate_with(kind, &self.env().entropy)
                    }
                }
                .map_err(|error| Failure::Internal(error.to_string()))?;
                let id = KeyId::new(self.env().entropy.bytes(Purpose::Identifier));
                let exported = if spec.origin == KeyOrigin::Exported {
                    Some(PrivateKeyEncodings::encode(
                        kind,
                        pkcs8_of(&key).map_err(|error| Failure::Internal(error.to_string()))?,
                        spec.form,
                    )?)
                } else {
                    None
                };
                Ok(KeyInUse { id, name, key, is_new: true, exported })
            }
        }
    }
}

fn pkcs8_of(key: &PrivateKey) -> Result<Secret<Vec<u8>>, Failure> {
    key.to_pkcs8().map_err(|error| Failure::Internal(error.to_string()))
}

/// Puts a new key; the first one becomes the default.
pub(super) fn put_key(
    batch: Batch,
    mount: &MountId,
    key: &KeyInUse,
    defaults: &mut DefaultsRecord,
) -> Result<Batch, Failure> {
    if defaults.key.is_none() {
        defaults.key = Some(key.id);
    }
    if !key.is_new {
        return Ok(batch);
    }
    let pkcs8 = pkcs8_of(&key.key)?;
    let record = KeyRecord { pkcs8: pkcs8.expose().clone(), name: key.name.clone() };
    Ok(batch.put_record(key::private_key(mount, &key.id), &record))
}

/// Puts the defaults.
pub(super) fn put_defaults(batch: Batch, mount: &MountId, defaults: &DefaultsRecord) -> Batch {
    batch.put_record(key::config(mount, "defaults"), defaults)
}

/// A new issuer with its first settings.
pub(super) fn new_issuer(
    certificate: Vec<u8>,
    name: &str,
    key: Option<KeyId>,
) -> Result<IssuerRecord, Failure> {
    let parsed = Certificate::parse(certificate.clone())
        .map_err(|error| Failure::Internal(error.to_string()))?;
    let may_sign_crls = parsed
        .key_usage()
        .is_none_or(|usage| usage.contains(crate::ca::permit::KeyUsage::CRL_SIGN));
    let own_algorithm = parsed
        .signature_algorithm()
        .filter(|algorithm| key.is_some() && algorithm.fits(parsed.public_key().kind()));
    Ok(IssuerRecord {
        certificate,
        name: name.to_owned(),
        key,
        leaf_not_after_behavior: "err".to_owned(),
        manual_chain: Vec::new(),
        may_issue: true,
        may_sign_crls,
        may_sign_ocsp: true,
        revocation_signature_algorithm: own_algorithm
            .filter(|_| parsed.is_self_issued())
            .map(|algorithm| algorithm.as_str().to_owned())
            .unwrap_or_default(),
        urls: UrlsRecord::default(),
        revoked: None,
    })
}

/// An issuer's name, checked. `own` is the issuer that is renamed.
pub(super) fn issuer_name(
    ca_state: &CaState,
    name: Option<&str>,
    own: Option<&IssuerId>,
) -> Result<String, Failure> {
    let Some(name) = name.map(str::trim) else { return Ok(String::new()) };
    if name.is_empty() {
        return Err(Failure::refused("expected non-empty issuer name"));
    }
    if name.eq_ignore_ascii_case("default") {
        return Err(Failure::refused("reserved keyword 'default' can not be used as issuer name"));
    }
    if !is_name(name) {
        return Err(Failure::refused("issuer name contained invalid characters"));
    }
    let taken = ca_state
        .issuers
        .values()
        .any(|issuer| issuer.record.name == name && Some(&issuer.id) != own);
    if taken {
        return Err(Failure::refused("issuer name already in use"));
    }
    Ok(name.to_owned())
}

fn key_name(ca_state: &CaState, name: Option<&str>) -> Result<String, Failure> {
    let Some(name) = name else { return Ok(String::new()) };
    if name.eq_ignore_ascii_case("default") {
        return Err(Failure::refused("reserved keyword 'default' can not be used as key name"));
    }
    if !is_name(name) {
        return Err(Failure::refused("key name contained invalid characters"));
    }
    if ca_state.keys.values().any(|entry| entry.name == name) {
        return Err(Failure::refused("key name already in use"));
    }
    Ok(name.to_owned())
}

/// `\w(([\w-.]+)?\w)?`: the names of roles, issuers and keys.
pub fn is_name(name: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    name.bytes().next().is_some_and(word)
        && name.bytes().next_back().is_some_and(word)
        && name.bytes().all(|byte| word(byte) || matches!(byte, b'-' | b'.'))
}

fn root_warnings(
    permit: &Permit,
    ca_state: &CaState,
    templated: bool,
    params: &CaCertificateParams,
) -> Vec<String> {
    let mut warnings = permit.warnings().to_vec();
    if templated {
        warnings.push(W_TEMPLATED.to_owned());
    }
    if templated || !ca_state.urls.is_configured() {
        warnings.push(W_AIA.to_owned());
    }
    if params.max_path_length == Some(0) {
        warnings.push(W_PATH0.to_owned());
    }
    warnings
}
