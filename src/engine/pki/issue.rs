//! Issuing and signing leaves.
//!
//! The recipe: read the role, its issuer and its chain; let the role permit; make the key or
//! take it from the verified CSR; compose, lint, sign; write the answer; record; send it. Record
//! comes after sign, because nobody but this process sees the signature before the commit.
//!
//! If the power goes (each row is a test in `tests/crash_points.rs`):
//!
//! | after | what exists | what the client has | on restart |
//! |---|---|---|---|
//! | permit | nothing | nothing | nothing to do |
//! | sign | a signature in memory | nothing | it is gone; nobody ever saw it |
//! | commit sent, unanswered | certificate recorded, or not | nothing | consistent either way; the client asks again and gets a new serial |
//! | commit | recorded certificate | nothing yet | revocable; expires by itself |
//! | reply | recorded certificate | the certificate | as intended |

use std::sync::Arc;

use tokio::task::yield_now;

use crate::ca::cert::{Tbs, compose};
use crate::ca::csr::ParsedCsr;
use crate::ca::key::KeyKind;
use crate::ca::lint;
use crate::ca::permit::Permit;
use crate::ca::public_key::PublicKey;
use crate::ca::role::{Ask, Bounds, Role, shell_word};
use crate::ca::serial::Serial;
use crate::ca::signed::{Linted, Signed};
use crate::ca::time::Timestamp;
use crate::engine::identifier::{MountId, format_uuid};
use crate::engine::row::{Lost, Row};
use crate::engine::{Failure, repeatedly};
use crate::entropy::Purpose;
use crate::keys::SubjectKey;
use crate::secret::Secret;
use crate::store::{Batch, Revision, key};

use super::Pki;
use super::authorities::{Authorities, Issuer};
use super::notices::notices;
use super::output::{ArchiveContents, ArchiveWish, Archives, FORMATS, Format};
use super::records::CertificateRecord;
use super::subject::{
    checked_kind, csr_facts, csr_failure, generated_kind, lost_from_csr, read_csr,
};

/// A request for a leaf.
#[derive(Clone, Debug)]
pub struct LeafRequest {
    /// The role's name.
    pub role: String,
    /// The issuer of the path; `None` uses the role's.
    pub issuer_ref: Option<String>,
    /// Names and validity.
    pub ask: Ask,
    /// The output format; `None` is one that nobody knows.
    pub format: Option<Format>,
    /// Where the key comes from.
    pub key: KeySource,
}

/// Where the subject's key comes from.
#[derive(Clone, Debug)]
pub enum KeySource {
    /// Signet makes it; type and size count only if the role leaves them open.
    Generate {
        /// `key_type`
        key_type: String,
        /// `key_bits`
        key_bits: i64,
    },
    /// The caller has it: the text of a CSR.
    Csr(String),
}

/// A leaf that was signed. It is on record once [`Recorded`] holds what was made of it.
#[derive(Debug)]
pub struct Leaf {
    /// The certificate, DER.
    pub der: Vec<u8>,
    /// Who signed it.
    pub issuer: Arc<Issuer>,
    /// The private key, PKCS#8, if Signet made it.
    pub key: Option<(KeyKind, Secret<Vec<u8>>)>,
    /// Serial number.
    pub serial: Serial,
    /// notBefore
    pub not_before: Timestamp,
    /// notAfter
    pub not_after: Timestamp,
    /// The role that permitted it.
    pub role: Arc<Role>,
    /// Warnings for the caller.
    pub warnings: Vec<String>,
    /// The mount's issuers as they were then: what a trust store is made of.
    pub authorities: Arc<Authorities>,
}

impl Leaf {
    /// Is its key an RSA key, or that of its issuer?
    fn has_rsa(&self) -> bool {
        matches!(self.key, Some((KeyKind::Rsa(_), _))) || self.issuer.signs_by_rsa()
    }
}

/// The proof that something is in the book. Made only by [`Pki::issue`].
#[derive(Debug)]
#[must_use]
pub struct Recorded<T>(T);

impl<T> Recorded<T> {
    /// What was recorded.
    pub fn into_inner(self) -> T {
        self.0
    }
}

/// What was checked before the role is asked.
#[derive(Debug)]
struct Ready {
    role: Arc<Role>,
    role_revision: Revision,
    issuer: Arc<Issuer>,
    authorities: Arc<Authorities>,
    csr: Option<Box<ParsedCsr>>,
    kind: KeyKind,
    warnings: Vec<String>,
}

/// What was made.
#[derive(Debug)]
pub(in crate::engine) struct Made {
    leaf: Leaf,
    /// `None` for a role that keeps no book.
    entry: Option<Batch>,
}

/// Leaves that arrived together and are made together.
pub(in crate::engine) type Leaves = Row<Permitted, Result<Composed, Failure>>;

/// What a role permitted, and the key if making it takes its time.
#[derive(Debug)]
pub(in crate::engine) struct Permitted {
    ready: Ready,
    permit: Permit,
    key: Option<SubjectKey>,
    mount: MountId,
}

/// The same with its key.
struct Keyed {
    ready: Ready,
    permit: Permit,
    mount: MountId,
    public: PublicKey,
    secret: Option<Secret<Vec<u8>>>,
}

/// The same, composed and found sound.
#[derive(Debug)]
pub(in crate::engine) struct ToBeSigned {
    ready: Ready,
    linted: Linted<Tbs>,
    mount: MountId,
    secret: Option<Secret<Vec<u8>>>,
    warnings: Vec<String>,
}

/// What comes out of a row.
#[derive(Debug)]
pub(in crate::engine) enum Composed {
    /// Signed with the others.
    Signed(Made),
    /// One signature takes as long as a row: each in a turn of its own.
    Dear(ToBeSigned),
}

impl Pki {
    /// Issues or signs a leaf. `answer` makes of it what the caller gets, before it is recorded:
    /// what cannot be written is not in the book either, and once the disk has it, nothing is left
    /// to do but to send it.
    ///
    /// # Errors
    /// [`Failure::Busy`] under too much load, else the first check that fails, in Vault's order
    /// (pki-api 15.1), else what `answer` says.
    pub async fn issue<T>(
        &self,
        request: &LeafRequest,
        now: Timestamp,
        answer: impl Fn(Leaf) -> Result<T, Failure>,
    ) -> Result<Recorded<T>, Failure> {
        let _place = self.services.limiter.place().await?;
        repeatedly!({
            let Made { leaf, entry } = self.make(request, now).await?;
            let has_rsa = leaf.has_rsa();
            let answer = answer(leaf)?;
            match entry {
                // The committer wakes at once all whose certificates are in one sync.
                Some(entry) => drop(self.env().store.commit(entry).await?),
                // Nobody waits for the RSA of those who come after him.
                None if has_rsa => {}
                // Answers that are ready together are sent together, and not between two
                // certificates: so each step finds its code in the cache, and a peer is woken once
                // for many (a tenth less for a certificate with 64 connections:
                // docs/performance.md).
                None => yield_now().await,
            }
            Ok(Recorded(answer))
        })
    }

    /// The same for a key store, which takes milliseconds: it is written without a place among the
    /// certificates in work, and before its certificate is recorded.
    ///
    /// # Errors
    /// As [`Pki::issue`], and what an archive refuses.
    pub async fn issue_archive(
        &self,
        request: &LeafRequest,
        wish: &Arc<ArchiveWish>,
        now: Timestamp,
    ) -> Result<Recorded<(Leaf, Archives)>, Failure> {
        repeatedly!({
            let Made { mut leaf, entry } = {
                let _place = self.services.limiter.place().await?;
                self.make(request, now).await?
            };
            let key = leaf.key.take().map(|(_, key)| key);
            let contents =
                ArchiveContents::issued(leaf.der.clone(), &leaf.issuer, &leaf.authorities)
                    .with_key(key)
                    .with_encoder(&leaf.role.fields().pkcs12_encoder);
            let archives = self.archive(wish, contents, now).await?;
            if let Some(entry) = entry {
                self.env().store.commit(entry).await?;
            }
            Ok(Recorded((leaf, archives)))
        })
    }

    /// A signed leaf, and what the book will say of it. Nobody but this process has seen it.
    async fn make(&self, request: &LeafRequest, now: Timestamp) -> Result<Made, Failure> {
        let mut ready = self.prepare(request, now).await?;
        let permit = self.permit(&ready, &request.ask, now)?;
        if let Some(csr) = &ready.csr {
            ready.warnings.extend(lost_from_csr(csr, &ready.role, permit.template()));
        }
        let key = match (&ready.csr, ready.kind) {
            (None, KeyKind::Rsa(_)) => Some(self.services.cpu.rsa_key(ready.kind).await?),
            (None, KeyKind::Ec(_) | KeyKind::Ed25519) | (Some(_), _) => None,
        };
        let _turn = self.services.limiter.turn().await;
        let permitted = Permitted { ready, permit, key, mount: *self.id() };
        let composed = self.state.leaves.join(permitted, |row| self.compose_all(row)).await;
        match composed {
            Ok(Ok(Composed::Signed(made))) => Ok(made),
            Ok(Ok(Composed::Dear(dear))) => {
                yield_now().await;
                signed(dear)
            }
            Ok(Err(failure)) => Err(failure),
            Err(Lost) => Err(Failure::Fault("a row of leaves was lost".to_owned())),
        }
    }

    /// Each step for all of them, and then the next one. Where many come together, half as much has
    /// to be fetched from behind the second cache (docs/performance.md).
    fn compose_all(&self, row: Vec<Permitted>) -> Vec<Result<Composed, Failure>> {
        let keyed: Vec<_> = row.into_iter().map(|permitted| self.keyed(permitted)).collect();
        let linted = keyed.into_iter().map(|keyed| keyed.and_then(|keyed| self.linted(keyed)));
        let linted: Vec<_> = linted.collect();
        let sign = |leaf: ToBeSigned| {
            if leaf.ready.issuer.signs_by_rsa() {
                return Ok(Composed::Dear(leaf));
            }
            signed(leaf).map(Composed::Signed)
        };
        let made = linted.into_iter().map(|linted| linted.and_then(sign)).collect();
        self.services.limiter.give_way();
        made
    }

    /// Steps 1 to 10: role, issuer, format, CSR.
    async fn prepare(&self, request: &LeafRequest, now: Timestamp) -> Result<Ready, Failure> {
        let authorities = self.authorities().await?;
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
        let issuer = issuing(&authorities, reference, now)?;
        if request.format.is_none() {
            return Err(Format::unknown(FORMATS));
        }
        let csr = match &request.key {
            KeySource::Csr(text) => Some(Box::new(read_csr(text)?)),
            KeySource::Generate { .. } => None,
        };
        let kind = match (&csr, generated) {
            (Some(csr), _) => checked_kind(&role, csr.key_kind())?,
            (None, Some(kind)) => kind,
            (None, None) => return Err(Failure::Fault("a leaf has no key".to_owned())),
        };
        Ok(Ready { role, role_revision, issuer, authorities, csr, kind, warnings })
    }

    /// Steps 11 to 25.
    fn permit(&self, ready: &Ready, ask: &Ask, now: Timestamp) -> Result<Permit, Failure> {
        let urls = ready.authorities.urls_of(Some(&ready.issuer)).map_err(|why| {
            Failure::Mistaken(format!(
                "error fetching CA certificate: unable to fetch AIA URL information: {why}"
            ))
        })?;
        let bounds = Bounds {
            issuer_end: ready.issuer.certificate.not_after(),
            behavior: ready.issuer.leaf_behavior(),
            mount: self.lifetimes(),
            urls,
        };
        let facts = ready.csr.as_deref().map(csr_facts);
        let permit = ready.role.permit(ask, facts.as_ref(), ready.kind, &bounds, now).map_err(
            |refusal| {
                let path = shell_word(&self.entry.record.path);
                let hint = refusal.hint.map(|hint| hint.replace("{mount}", &path));
                Failure::Refused { text: refusal.text, hint }
            },
        )?;
        ready.issuer.limits.check(permit.template())?;
        Ok(permit)
    }

    /// Step 26, or a new key.
    fn keyed(&self, permitted: Permitted) -> Result<Keyed, Failure> {
        let Permitted { ready, permit, key, mount } = permitted;
        let (public, secret) = match (&ready.csr, key) {
            (Some(csr), _) => {
                let verified = csr.clone().verify().map_err(|error| csr_failure(&error))?;
                (verified.public_key().clone(), None)
            }
            (None, key) => {
                let made = match key {
                    Some(made) => made,
                    None => SubjectKey::generate_with(ready.kind, &self.env().entropy)?,
                };
                (made.public().clone(), Some(made.into_pkcs8()))
            }
        };
        Ok(Keyed { ready, permit, mount, public, secret })
    }

    /// Compose, lint.
    fn linted(&self, keyed: Keyed) -> Result<ToBeSigned, Failure> {
        let Keyed { ready, permit, mount, public, secret } = keyed;
        let mut warnings = ready.warnings.clone();
        warnings.extend_from_slice(permit.warnings());
        let serial =
            Serial::new(permit.template().not_after, self.env().entropy.bytes(Purpose::Serial));
        let view = ready.issuer.certificate.issuer_view();
        let tbs = compose(permit, &view, &public, serial)
            .map_err(|error| Failure::Mistaken(format!("unable to create certificate: {error}")))?;
        let holder = || format!("role {}", ready.role.name());
        let linted =
            lint::lint(tbs, &view).map_err(|findings| Failure::of_lint(&findings, &holder()))?;
        if !linted.notices().is_empty() {
            warnings.extend(notices(&linted, &holder()));
        }
        Ok(ToBeSigned { ready, linted, mount, secret, warnings })
    }
}

/// Sign; and what the book will say.
fn signed(leaf: ToBeSigned) -> Result<Made, Failure> {
    let ToBeSigned { ready, linted, mount, secret, warnings } = leaf;
    let key = ready
        .issuer
        .key
        .as_ref()
        .ok_or_else(|| Failure::Fault("the issuer lost its key".to_owned()))?;
    let signed = key.sign(linted).map_err(|error| Failure::Fault(error.to_string()))?;
    let entry = book_entry(&mount, &ready, &signed);
    let facts = *signed.facts();
    let leaf = Leaf {
        der: signed.into_der(),
        serial: facts.serial,
        not_before: facts.not_before,
        not_after: facts.not_after,
        key: secret.map(|secret| (ready.kind, secret)),
        authorities: ready.authorities,
        issuer: ready.issuer,
        role: ready.role,
        warnings,
    };
    Ok(Made { leaf, entry })
}

/// One batch: the serial number is new, and nothing that decided has changed. `None` for a role
/// that keeps no book.
fn book_entry(mount: &MountId, ready: &Ready, signed: &Signed<Tbs>) -> Option<Batch> {
    if ready.role.fields().no_store {
        return None;
    }
    let role = key::role(mount, ready.role.name());
    let key = key::certificate(mount, signed.facts().serial.as_bytes());
    let record = CertificateRecord { der: signed.der().to_vec(), issuer: ready.issuer.id };
    let batch = ready.authorities.guarded(mount);
    Some(
        batch.expect(role, ready.role_revision).expect_absent(key.clone()).put_record(key, &record),
    )
}

/// Step 3: an issuer that resolves, may issue, has a key, and is valid and not revoked.
pub(super) fn issuing(
    authorities: &Authorities,
    reference: &str,
    now: Timestamp,
) -> Result<Arc<Issuer>, Failure> {
    let issuer = authorities.issuer(reference).map_err(|unknown| {
        Failure::Mistaken(format!("could not fetch the CA certificate (was one set?): {unknown}"))
    })?;
    if !issuer.record.may_issue {
        let id = format_uuid(&issuer.id);
        return Err(Failure::Mistaken(format!(
            "error fetching CA certificate: error while attempting to use issuer {id}: requested usage issuing-certificates for issuer [id:{id} / name:{}] but only had usage {}",
            issuer.record.name,
            issuer.usages()
        )));
    }
    if issuer.key.is_none() {
        return Err(Failure::Mistaken(format!(
            "could not fetch the CA certificate (was one set?): unable to fetch corresponding key for issuer {}; unable to use this issuer for signing",
            format_uuid(&issuer.id)
        )));
    }
    issuer.may_sign_at(now)?;
    Ok(Arc::clone(issuer))
}
