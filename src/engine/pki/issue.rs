//! Issuing and signing leaf certificates.
//!
//! The steps: read the role, the issuer and the CSR; let the role permit the request; generate the key
//! or verify the CSR; compose, lint, sign; record. A certificate is recorded after it is signed,
//! because nothing outside this process has the signature before the commit.
//!
//! If the server stops (each line is a test in `tests/crash_points.rs`):
//!
//! | after | what exists | what the client has | on restart |
//! |---|---|---|---|
//! | permit | nothing | nothing | nothing to do |
//! | sign | a signature in memory | nothing | it is lost; it never left the process |
//! | commit sent, unanswered | certificate recorded, or not | nothing | consistent either way; the client retries and gets a new serial number |
//! | commit | recorded certificate | nothing yet | can be revoked; expires |
//! | reply | recorded certificate | the certificate | as intended |

use std::sync::Arc;

use crate::ca::cert::{Tbs, compose};
use crate::ca::csr::ParsedCsr;
use crate::ca::key::{Curve, KeyKind};
use crate::ca::lint;
use crate::ca::pem::{KeyForm, PrivateKeyEncodings};
use crate::ca::permit::Permit;
use crate::ca::public_key::PublicKey;
use crate::ca::role::{
    CertificateParams, IssuanceLimits, Role, RoleKey, RoleViolation, key_kind, shell_word,
};
use crate::ca::serial::Serial;
use crate::ca::signed::{Linted, Signed};
use crate::ca::time::Timestamp;
use crate::engine::batcher::{BatchAborted, Batcher};
use crate::engine::limiter::IssuanceSlot;
use crate::engine::{Failure, retry_on_conflict};
use crate::entropy::Purpose;
use crate::keys::SubjectKey;
use crate::store::{Batch, Revision, key};

use super::Pki;
use super::ca_state::{CaState, Issuer};
use super::notices::notices;
use super::output::{ArchiveContents, FORMATS, Format, KeyStoreOptions, KeyStores};
use super::records::CertificateRecord;
use super::subject::{
    checked_kind, csr_failure, csr_fields, dropped_from_csr, read_csr, unsupported_curve,
};

/// A request for a leaf certificate.
#[derive(Clone, Debug)]
pub struct LeafRequest {
    /// The role's name.
    pub role: String,
    /// The issuer of the path; `None` uses the role's.
    pub issuer_ref: Option<String>,
    /// Names and validity.
    pub params: CertificateParams,
    /// The output format; `None` is an unknown one.
    pub format: Option<Format>,
    /// Where the key comes from.
    pub key: KeySource,
    /// How a generated key is encoded.
    pub key_form: KeyForm,
}

/// Where the subject's key comes from.
#[derive(Clone, Debug)]
pub enum KeySource {
    /// Signet generates it; type and size apply only if the role does not set them.
    Generate {
        /// `key_type`
        key_type: String,
        /// `key_bits`
        key_bits: i64,
    },
    /// The caller has it: the text of a CSR.
    Csr(String),
}

/// A signed leaf certificate; writing it into an answer cannot fail.
#[derive(Debug)]
pub struct Leaf {
    /// The certificate, DER.
    pub der: Vec<u8>,
    /// The issuer that signed it.
    pub issuer: Arc<Issuer>,
    /// The private key, if Signet generated it.
    pub key: Option<PrivateKeyEncodings>,
    /// Serial number.
    pub serial: Serial,
    /// notBefore
    pub not_before: Timestamp,
    /// notAfter
    pub not_after: Timestamp,
    /// The role that permitted it.
    pub role: Arc<Role>,
    /// What a log calls it: its URI SANs, else a name.
    pub identity: String,
    /// Warnings for the caller.
    pub warnings: Vec<String>,
    /// The mount's issuers at that time, for trust stores.
    pub ca_state: Arc<CaState>,
}

/// The proof that a certificate is recorded, or that its role records none. Only this module creates it.
#[derive(Debug)]
#[must_use]
pub struct Recorded<T>(T);

impl<T> Recorded<T> {
    /// What was recorded.
    pub fn into_inner(self) -> T {
        self.0
    }
}

/// Leaves that arrive together are signed together.
pub(super) type LeafBatcher = Batcher<(PreparedLeaf, Permit), Result<SignedLeaf, Failure>>;

/// A request that passed every check, with the inputs of its certificate.
#[derive(Debug)]
pub(super) struct PreparedLeaf {
    role: Arc<Role>,
    role_revision: Revision,
    issuer: Arc<Issuer>,
    ca_state: Arc<CaState>,
    kind: KeyKind,
    key_form: KeyForm,
    csr: Option<Box<ParsedCsr>>,
    /// An RSA key, which is expensive to generate; other keys are generated in the batch.
    rsa_key: Option<SubjectKey>,
    identity: String,
    warnings: Vec<String>,
}

/// A signed leaf, and the batch that records it; `None` for a role that stores no certificates.
#[derive(Debug)]
pub(super) struct SignedLeaf {
    leaf: Leaf,
    batch: Option<Batch>,
}

impl Pki {
    /// Issues or signs a leaf. The caller holds an [`IssuanceSlot`].
    ///
    /// # Errors
    /// The first check that fails, in Vault's order.
    pub async fn issue(
        &self,
        request: &LeafRequest,
        now: Timestamp,
    ) -> Result<Recorded<Leaf>, Failure> {
        retry_on_conflict!(async {
            let SignedLeaf { leaf, batch } = self.sign_leaf(request, now).await?;
            if let Some(batch) = batch {
                self.env().store.commit(batch).await?;
            }
            Ok(Recorded(leaf))
        })
    }

    /// The same with a key store, which takes milliseconds: it is written after the slot is released
    /// and before the certificate is recorded.
    ///
    /// # Errors
    /// As [`Pki::issue`], and what a key store refuses.
    pub async fn issue_archive(
        &self,
        request: &LeafRequest,
        options: &Arc<KeyStoreOptions>,
        now: Timestamp,
        slot: IssuanceSlot,
    ) -> Result<Recorded<(Leaf, KeyStores)>, Failure> {
        let mut slot = Some(slot);
        retry_on_conflict!(async {
            // An attempt after a conflict waits for a slot of its own.
            let held = match slot.take() {
                Some(slot) => slot,
                None => self.services.limiter().acquire().await?,
            };
            let SignedLeaf { mut leaf, batch } = self.sign_leaf(request, now).await?;
            drop(held);
            let contents = ArchiveContents::issued(leaf.der.clone(), &leaf.issuer, &leaf.ca_state)
                .with_key(leaf.key.take().map(PrivateKeyEncodings::into_pkcs8))
                .with_encoder(&leaf.role.fields().pkcs12_encoder);
            let archives = self.archive(options, contents, now).await?;
            if let Some(batch) = batch {
                self.env().store.commit(batch).await?;
            }
            Ok(Recorded((leaf, archives)))
        })
    }

    /// A signed leaf that is not recorded yet.
    async fn sign_leaf(
        &self,
        request: &LeafRequest,
        now: Timestamp,
    ) -> Result<SignedLeaf, Failure> {
        let (prepared, permit) = self.prepare(request, now).await?;
        if prepared.uses_rsa() {
            // One RSA signature takes as long as a whole batch of others, so it delays none of them.
            let keyed = self.key((prepared, permit))?;
            return self.sign(self.compose_and_lint(keyed)?);
        }
        let signed = self.state.leaves.run((prepared, permit), |batch| self.sign_batch(batch));
        signed.await.unwrap_or_else(|BatchAborted| {
            Err(Failure::Internal("a batch of certificates was aborted".to_owned()))
        })
    }

    /// Each step for the whole batch, then the next one: this order halves the misses of the second
    /// cache under load (`docs/performance.md`).
    fn sign_batch(&self, batch: Vec<(PreparedLeaf, Permit)>) -> Vec<Result<SignedLeaf, Failure>> {
        let keyed = each(batch.into_iter().map(Ok), |leaf| self.key(leaf));
        let linted = each(keyed, |leaf| self.compose_and_lint(leaf));
        each(linted, |leaf| self.sign(leaf))
    }

    /// Checks the role, the issuer, the format and the CSR, in Vault's order, and lets the role
    /// permit the request.
    async fn prepare(
        &self,
        request: &LeafRequest,
        now: Timestamp,
    ) -> Result<(PreparedLeaf, Permit), Failure> {
        let ca_state = self.ca_state().await?;
        let (role_revision, role) = self
            .role(&request.role)
            .await?
            .ok_or_else(|| Failure::refused(format!("unknown role: {}", request.role)))?;
        let mut warnings = Vec::new();
        let generated = match &request.key {
            KeySource::Generate { key_type, key_bits } => {
                Some(generated_kind(&role, key_type, *key_bits, &mut warnings)?)
            }
            KeySource::Csr(_) => None,
        };
        let reference = request.issuer_ref.as_ref().unwrap_or(&role.fields().issuer_ref);
        let issuer = issuer_for_signing(&ca_state, reference, now)?;
        if request.format.is_none() {
            return Err(Format::unknown(FORMATS));
        }
        let (csr, kind) = match (&request.key, generated) {
            (KeySource::Generate { .. }, Some(kind)) => (None, kind),
            (KeySource::Csr(text), _) => {
                let csr = read_csr(text)?;
                let kind = checked_kind(&role, csr.key_kind())?;
                (Some(Box::new(csr)), kind)
            }
            (KeySource::Generate { .. }, None) => {
                return Err(Failure::Internal("a leaf has no key".to_owned()));
            }
        };
        let bounds = self.bounds(&issuer, &ca_state)?;
        let facts = csr.as_deref().map(csr_fields);
        let permit = role
            .permit(&request.params, facts.as_ref(), kind, &bounds, now)
            .map_err(|refusal| self.refused(refusal))?;
        issuer.limits.check(permit.template())?;
        if let Some(csr) = &csr {
            warnings.extend(dropped_from_csr(csr, &role, permit.template()));
        }
        let rsa_key = match (&csr, kind) {
            (None, KeyKind::Rsa(_)) => Some(self.services.cpu.rsa_key(kind).await?),
            (None, KeyKind::Ec(_) | KeyKind::Ed25519) | (Some(_), _) => None,
        };
        let key_form = request.key_form;
        let prepared = PreparedLeaf {
            role,
            role_revision,
            issuer,
            ca_state,
            kind,
            key_form,
            csr,
            rsa_key,
            identity: permit.template().identity(),
            warnings,
        };
        Ok((prepared, permit))
    }

    /// What the issuer and the mount allow.
    fn bounds(&self, issuer: &Issuer, ca_state: &CaState) -> Result<IssuanceLimits, Failure> {
        let urls = ca_state.urls_of(Some(issuer)).map_err(|why| {
            Failure::InvalidWrapped(format!(
                "error fetching CA certificate: unable to fetch AIA URL information: {why}"
            ))
        })?;
        Ok(IssuanceLimits {
            issuer_end: issuer.certificate.not_after(),
            behavior: issuer.leaf_behavior(),
            mount: self.lifetimes,
            urls,
        })
    }

    /// A role's refusal, with the mount's path in its hint.
    fn refused(&self, refusal: RoleViolation) -> Failure {
        let path = shell_word(&self.entry.record.path);
        let hint = refusal.hint.map(|hint| hint.replace("{mount}", &path));
        Failure::Refused { text: refusal.text, hint }
    }

    /// Verifies the CSR, or makes a key and its encodings.
    fn key(
        &self,
        (mut leaf, permit): (PreparedLeaf, Permit),
    ) -> Result<(PreparedLeaf, Permit, PublicKey, Option<PrivateKeyEncodings>), Failure> {
        if let Some(csr) = leaf.csr.take() {
            let verified = csr.verify().map_err(|error| csr_failure(&error))?;
            return Ok((leaf, permit, verified.public_key().clone(), None));
        }
        let key = match leaf.rsa_key.take() {
            Some(key) => key,
            None => SubjectKey::generate_with(leaf.kind, &self.env().entropy)?,
        };
        let public = key.public().clone();
        let exported = PrivateKeyEncodings::encode(leaf.kind, key.into_pkcs8(), leaf.key_form)?;
        Ok((leaf, permit, public, Some(exported)))
    }

    fn compose_and_lint(
        &self,
        (mut leaf, permit, public, key): (
            PreparedLeaf,
            Permit,
            PublicKey,
            Option<PrivateKeyEncodings>,
        ),
    ) -> Result<(PreparedLeaf, Linted<Tbs>, Option<PrivateKeyEncodings>), Failure> {
        leaf.warnings.extend_from_slice(permit.warnings());
        let random = self.env().entropy.bytes(Purpose::Serial);
        let serial = Serial::new(permit.template().not_after, random);
        let view = leaf.issuer.certificate.issuer_view();
        let tbs = compose(permit, &view, &public, serial).map_err(|error| {
            Failure::InvalidWrapped(format!("unable to create certificate: {error}"))
        })?;
        let holder = || format!("role {}", leaf.role.name());
        let linted =
            lint::lint(tbs, &view).map_err(|findings| Failure::of_lint(&findings, &holder()))?;
        if !linted.notices().is_empty() {
            leaf.warnings.extend(notices(&linted, &holder()));
        }
        Ok((leaf, linted, key))
    }

    fn sign(
        &self,
        (leaf, linted, key): (PreparedLeaf, Linted<Tbs>, Option<PrivateKeyEncodings>),
    ) -> Result<SignedLeaf, Failure> {
        let signer = leaf.issuer.key.as_ref();
        let signer =
            signer.ok_or_else(|| Failure::Internal("the issuer lost its key".to_owned()))?;
        let signed = signer.sign(linted).map_err(|error| Failure::Internal(error.to_string()))?;
        let batch = (!leaf.role.fields().no_store).then(|| self.certificate_batch(&leaf, &signed));
        let facts = *signed.facts();
        let leaf = Leaf {
            der: signed.into_der(),
            serial: facts.serial,
            not_before: facts.not_before,
            not_after: facts.not_after,
            key,
            ca_state: leaf.ca_state,
            issuer: leaf.issuer,
            role: leaf.role,
            identity: leaf.identity,
            warnings: leaf.warnings,
        };
        Ok(SignedLeaf { leaf, batch })
    }

    /// Records the certificate: its serial number is new, and nothing that decided has changed.
    fn certificate_batch(&self, leaf: &PreparedLeaf, signed: &Signed<Tbs>) -> Batch {
        let role = key::role(self.id(), leaf.role.name());
        let key = key::certificate(self.id(), signed.facts().serial.as_bytes());
        let record = CertificateRecord { der: signed.der().to_vec(), issuer: leaf.issuer.id };
        leaf.ca_state
            .batch_if_unchanged(self.id())
            .expect(role, leaf.role_revision)
            .expect_absent(key.clone())
            .put_record(key, &record)
    }
}

impl PreparedLeaf {
    /// Whether its key or its issuer's is an RSA key.
    fn uses_rsa(&self) -> bool {
        matches!(self.kind, KeyKind::Rsa(_)) || self.issuer.signs_by_rsa()
    }
}

/// The kind of key that Signet generates.
fn generated_kind(
    role: &Role,
    key_type: &str,
    key_bits: i64,
    warnings: &mut Vec<String>,
) -> Result<KeyKind, Failure> {
    let is_requested = !key_type.is_empty() || key_bits != 0;
    let kind = match role.key() {
        RoleKey::Kind(kind) => {
            if is_requested {
                warnings.push(
                    "parameters key_type and key_bits ignored as role had specific values"
                        .to_owned(),
                );
            }
            kind
        }
        RoleKey::Any if key_type.is_empty() => {
            return Err(Failure::refused(
                "role key type \"any\" not allowed for issuing certificates without providing key_type and/or key_bits request parameters",
            ));
        }
        RoleKey::Any => key_kind(key_type, key_bits)
            .map_err(|why| Failure::InvalidWrapped(format!("failed to validate role: {why}")))?,
    };
    match kind {
        KeyKind::Ec(Curve::P224) => Err(unsupported_curve()),
        kind => Ok(kind),
    }
}

/// One step for every leaf that passed the steps before.
fn each<From, To>(
    leaves: impl IntoIterator<Item = Result<From, Failure>>,
    step: impl Fn(From) -> Result<To, Failure>,
) -> Vec<Result<To, Failure>> {
    leaves.into_iter().map(|leaf| leaf.and_then(&step)).collect()
}

/// An issuer that exists, may issue, has a key, and is valid and not revoked.
pub(super) fn issuer_for_signing(
    ca_state: &CaState,
    reference: &str,
    now: Timestamp,
) -> Result<Arc<Issuer>, Failure> {
    let issuer = ca_state.issuer(reference).map_err(|unknown| {
        Failure::InvalidWrapped(format!(
            "could not fetch the CA certificate (was one set?): {unknown}"
        ))
    })?;
    if !issuer.record.may_issue {
        let id = issuer.id.to_string();
        return Err(Failure::InvalidWrapped(format!(
            "error fetching CA certificate: error while attempting to use issuer {id}: requested usage issuing-certificates for issuer [id:{id} / name:{}] but only had usage {}",
            issuer.record.name,
            issuer.usages()
        )));
    }
    if issuer.key.is_none() {
        return Err(Failure::InvalidWrapped(format!(
            "could not fetch the CA certificate (was one set?): unable to fetch corresponding key for issuer {}; unable to use this issuer for signing",
            issuer.id
        )));
    }
    issuer.may_sign_at(now)?;
    Ok(Arc::clone(issuer))
}
