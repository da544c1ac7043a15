//! Intermediates: generating a CSR for another CA to sign, and signing a CSR of another CA. SPIRE's
//! `UpstreamAuthority "vault"` calls the latter.

use std::sync::Arc;

use crate::ca::authority::{CaCertificateParams, IssuerConstraints};
use crate::ca::cert::compose;
use crate::ca::key::SignatureAlgorithm;
use crate::ca::lint;
use crate::ca::permit::{KeyUsage, SubjectName};
use crate::ca::request::{RequestValues, compose_request};
use crate::ca::serial::Serial;
use crate::ca::time::Timestamp;
use crate::engine::{Failure, retry_on_conflict};
use crate::entropy::Purpose;
use crate::store::key;

use super::Pki;
use super::ca_state::{CaState, Issuer};
use super::generate::{KeyInUse, KeySpec, W_AIA, put_defaults, put_key};
use super::issue::issuer_for_signing;
use super::notices::{REQUEST, notices};
use super::output::{ArchiveContents, Format, KeyStoreOptions, KeyStores};
use super::records::CertificateRecord;
use super::subject::{certifiable, csr_failure, read_csr};

/// A request to generate a key and its CSR.
#[derive(Clone, Debug)]
pub struct IntermediateRequest {
    /// Names.
    pub params: CaCertificateParams,
    /// Its key.
    pub key: KeySpec,
    /// Whether the CSR has basic constraints.
    pub add_basic_constraints: bool,
}

/// A generated CSR.
#[derive(Debug)]
pub struct Intermediate {
    /// The CSR, DER.
    pub csr: Vec<u8>,
    /// Its key.
    pub key: KeyInUse,
    /// Warnings for the caller.
    pub warnings: Vec<String>,
}

/// A request to sign an intermediate.
#[derive(Clone, Debug)]
pub struct SignIntermediateRequest {
    /// Names, validity and constraints.
    pub params: CaCertificateParams,
    /// The CSR, PEM.
    pub csr: String,
    /// The reference of the issuer.
    pub issuer_ref: String,
    /// Whether the output format is known.
    pub format_is_known: bool,
    /// The key store of the answer, if one was requested.
    pub archive: Option<Arc<KeyStoreOptions>>,
}

/// A signed intermediate.
#[derive(Debug)]
pub struct SignedIntermediate {
    /// Its certificate, DER.
    pub der: Vec<u8>,
    /// The issuer that signed it.
    pub issuer: Arc<Issuer>,
    /// The key store that was requested.
    pub archives: Option<KeyStores>,
    /// Serial number.
    pub serial: Serial,
    /// What a log calls it: its URI SANs, else a name.
    pub identity: String,
    /// notAfter
    pub not_after: Timestamp,
    /// Warnings for the caller.
    pub warnings: Vec<String>,
}

const W_AIA_INTERMEDIATE: &str = " Since this certificate is an intermediate, it might be useful to regenerate this certificate after fixing this problem for the root mount.";
const W_PATH0: &str = "Max path length of the signed certificate is zero. This certificate cannot be used to issue intermediate CA certificates.";

impl Pki {
    /// Generates a key and its CSR.
    ///
    /// # Errors
    /// Refuses key names that are in use and keys of unknown kinds.
    pub async fn generate_intermediate(
        &self,
        request: &IntermediateRequest,
    ) -> Result<Intermediate, Failure> {
        retry_on_conflict!(async {
            let ca_state = self.ca_state().await?;
            let key = self.obtain_key(&ca_state, &request.key).await?;
            let mut warnings = Vec::new();
            let (subject, names) = request.params.csr_subject(&mut warnings)?;
            let values = RequestValues {
                subject: SubjectName::Composed(subject),
                names,
                basic_constraints: request.add_basic_constraints,
                key_usage: KeyUsage::default(),
            };
            let kind = key.key.kind();
            let preference = request.params.signature_preference(false)?;
            warnings.extend(request.params.ineffective_parameters(kind, false));
            let algorithm = SignatureAlgorithm::choose(kind, preference);
            let composed = compose_request(&values, key.key.public(), algorithm)
                .map_err(|error| Failure::refused(error.to_string()))?;
            let linted = lint::lint_request(composed)
                .map_err(|findings| Failure::of_lint(&findings, REQUEST))?;
            let signed =
                key.key.sign(linted).map_err(|error| Failure::Internal(error.to_string()))?;
            let mut defaults = ca_state.defaults.clone();
            let batch = put_key(ca_state.config_batch(self.id()), self.id(), &key, &mut defaults)?;
            self.env().store.commit(put_defaults(batch, self.id(), &defaults)).await?;
            if !ca_state.urls.is_configured() {
                warnings.push(format!("{W_AIA}{W_AIA_INTERMEDIATE}"));
            }
            Ok(Intermediate { csr: signed.into_der(), key, warnings })
        })
    }

    /// Signs an intermediate.
    ///
    /// # Errors
    /// Refuses CSRs that cannot be parsed or whose signature is invalid, and what the issuer's
    /// constraints forbid.
    pub async fn sign_intermediate(
        &self,
        request: &SignIntermediateRequest,
        now: Timestamp,
    ) -> Result<SignedIntermediate, Failure> {
        retry_on_conflict!(async {
            let ca_state = self.ca_state().await?;
            let issuer = issuer_for_signing(&ca_state, &request.issuer_ref, now)?;
            if !request.format_is_known {
                return Err(Format::unknown(
                    "The \"format\" path parameter must be \"pem\" or \"der\"",
                ));
            }
            let csr = read_csr(&request.csr)?;
            certifiable(csr.key_kind())?;
            let urls = ca_state.urls_of(Some(&issuer)).map_err(|why| {
                Failure::InvalidWrapped(format!(
                    "error fetching CA certificate: unable to fetch AIA URL information: {why}"
                ))
            })?;
            let issuer_constraints = IssuerConstraints {
                limits: &issuer.limits,
                not_after: issuer.certificate.not_after(),
                key_kind: issuer.certificate.public_key().kind(),
            };
            let limits = self.lifetimes;
            let permit =
                request.params.permit_intermediate(&csr, issuer_constraints, limits, urls, now)?;
            let mut warnings = signing_warnings(permit.warnings(), &permit, &ca_state, &issuer);
            let verified = csr.verify().map_err(|error| csr_failure(&error))?;
            let serial =
                Serial::new(permit.template().not_after, self.env().entropy.bytes(Purpose::Serial));
            let identity = permit.template().identity();
            let view = issuer.certificate.issuer_view();
            let tbs = compose(permit, &view, verified.public_key(), serial).map_err(|error| {
                Failure::InvalidWrapped(format!("unable to create certificate: {error}"))
            })?;
            let not_after = tbs.facts().not_after;
            let linted =
                lint::lint(tbs, &view).map_err(|findings| Failure::of_lint(&findings, REQUEST))?;
            warnings.extend(notices(&linted, REQUEST));
            let tbs = linted.document().der().to_vec();
            self.record_intent(serial, tbs, now).await?;
            let key = issuer
                .key
                .as_ref()
                .ok_or_else(|| Failure::Internal("the issuer lost its key".to_owned()))?;
            let signed = key.sign(linted).map_err(|error| Failure::Internal(error.to_string()))?;
            let der = signed.into_der();
            let contents = ArchiveContents::issued(der.clone(), &issuer, &ca_state);
            let options = request.archive.as_ref();
            let archives = self.archive_before_record(options, contents, serial, now).await?;
            let serial_key = key::certificate(self.id(), serial.as_bytes());
            let record = CertificateRecord { der: der.clone(), issuer: issuer.id };
            let batch = ca_state
                .batch_if_unchanged(self.id())
                .expect_absent(serial_key.clone())
                .put_record(serial_key, &record);
            self.commit_and_delete_intent(serial, batch).await?;
            Ok(SignedIntermediate { der, issuer, archives, serial, identity, not_after, warnings })
        })
    }
}

/// The warnings of the permit, then those about URLs and path length, in Vault's order.
fn signing_warnings(
    of_permit: &[String],
    permit: &crate::ca::permit::Permit,
    ca_state: &CaState,
    issuer: &Issuer,
) -> Vec<String> {
    let mut warnings = of_permit.to_vec();
    if !ca_state.urls.is_configured() && !issuer.record.urls.is_configured() {
        warnings.push(W_AIA.to_owned());
    }
    let constraints = permit.template().basic_constraints;
    if constraints == (crate::ca::permit::BasicConstraints::Authority { path_length: Some(0) }) {
        warnings.push(W_PATH0.to_owned());
    }
    warnings
}
