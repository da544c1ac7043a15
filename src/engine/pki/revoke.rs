//! Revoking certificates.

use crate::ca::certificate::{self, Certificate, CertificateFields};
use crate::ca::pem;
use crate::ca::serial::{self, colon_hex};
use crate::ca::time::Timestamp;
use crate::engine::{Failure, retry_on_conflict};
use crate::store::id::IssuerId;
use crate::store::key;

use super::Pki;
use super::ca_state::{CaState, Issuer};
use super::certificates::{certificate_key, revocation};
use super::records::{CertificateRecord, RevocationRecord};
use super::state::PendingRevocation;

/// What is to be revoked.
#[derive(Clone, Debug)]
pub enum RevokeRequest {
    /// By serial number, as it was sent.
    Serial(String),
    /// By the certificate itself, PEM.
    Certificate(String),
}

/// The state of the certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revocation {
    /// It is revoked, since this instant.
    Revoked(Timestamp),
    /// It has expired, so it is not revoked.
    Expired,
}

/// The outcome of a request to revoke.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revoked {
    /// The state of the certificate.
    pub outcome: Revocation,
    /// Its serial number, in colon form.
    pub serial: String,
    /// What a log calls it: its URI SANs, else a name.
    pub identity: String,
    /// The issuer that signed it: its name, else its identifier.
    pub issuer: String,
    /// notAfter
    pub not_after: Timestamp,
    /// Warnings for the caller.
    pub warnings: Vec<String>,
}

impl Pki {
    /// Revokes a certificate; the CRL that names it is ready before the answer.
    ///
    /// # Errors
    /// Refuses unknown serial numbers and the mount's own issuers.
    pub async fn revoke(
        &self,
        request: &RevokeRequest,
        now: Timestamp,
    ) -> Result<Revoked, Failure> {
        let outcome = self.revoke_and_publish(request, now).await;
        if let Err(Failure::Internal(_) | Failure::Busy | Failure::Sealed) = outcome {
            self.state.invalidate();
        }
        outcome
    }

    async fn revoke_and_publish(
        &self,
        request: &RevokeRequest,
        now: Timestamp,
    ) -> Result<Revoked, Failure> {
        let (outcome, stored) =
            retry_on_conflict!(async { self.mark_revoked(request, now).await })?;
        // Also if it was revoked before: that request may have failed before it published.
        let mut warnings = Vec::new();
        if let Revocation::Revoked(at) = outcome {
            let serial = stored.serial.clone();
            let revocation = PendingRevocation { issuer: stored.issuer, serial, at: at.whole() };
            warnings.extend(self.publish_revocation(revocation, now).await?);
        }
        let StoredSerial { serial, identity, issuer_label, not_after, .. } = stored;
        let (serial, issuer) = (colon_hex(&serial), issuer_label);
        Ok(Revoked { outcome, serial, identity, issuer, not_after, warnings })
    }

    async fn mark_revoked(
        &self,
        request: &RevokeRequest,
        now: Timestamp,
    ) -> Result<(Revocation, StoredSerial), Failure> {
        let (snapshot, ca_state) = self.snapshot_and_ca_state().await?;
        let (bytes, sent) = match request {
            RevokeRequest::Serial(text) => (serial::parse(text), text.clone()),
            RevokeRequest::Certificate(text) => {
                let certificate = given_certificate(text)?;
                (Some(certificate.serial().to_vec()), colon_hex(certificate.serial()))
            }
        };
        let unknown = || Failure::refused(format!("certificate with serial {sent} not found."));
        let bytes = bytes.ok_or_else(unknown)?;
        self.refuse_own_issuer(&ca_state, &bytes)?;
        let key = certificate_key(self.id(), &bytes);
        let (_, record) = snapshot.record::<CertificateRecord>(&key).await?.ok_or_else(unknown)?;
        if let RevokeRequest::Certificate(text) = request
            && given_certificate(text)?.der() != record.der
        {
            return Err(unknown());
        }
        let not_after = certificate::not_after(&record.der)
            .map_err(|error| Failure::Internal(error.to_string()))?;
        let stored = StoredSerial {
            issuer: record.issuer,
            serial: bytes,
            identity: identity_of(&record.der),
            issuer_label: label_of(&ca_state, &record.issuer),
            not_after,
        };
        if let Some(at) = revocation(&snapshot, self.id(), &record.issuer, &stored.serial).await? {
            return Ok((Revocation::Revoked(at), stored));
        }
        if not_after < now.plus(2) {
            return Ok((Revocation::Expired, stored));
        }
        let entry = key::revoked(self.id(), &record.issuer, &stored.serial);
        let revoked = RevocationRecord {
            seconds: now.unix(),
            nanoseconds: now.nanoseconds(),
            not_after: not_after.unix(),
        };
        // Revoking an authority may forbid issuers to sign, so they are read again; likewise for a
        // certificate that an earlier version signed and this one cannot read.
        let is_leaf = Certificate::parse(record.der).is_ok_and(|read| !read.is_authority());
        let batch = if is_leaf {
            ca_state.batch_if_unchanged(self.id())
        } else {
            ca_state.config_batch(self.id())
        };
        let batch = batch.expect_absent(entry.clone()).put_record(entry, &revoked);
        self.env().store.commit(batch).await?;
        Ok((Revocation::Revoked(now), stored))
    }

    /// Refuses the serial number of an issuer of this mount.
    fn refuse_own_issuer(&self, ca_state: &CaState, serial: &[u8]) -> Result<(), Failure> {
        let mut issuers = ca_state.issuers.values();
        let Some(own) = issuers.find(|issuer| issuer.certificate.serial() == serial) else {
            return Ok(());
        };
        let id = own.id.to_string();
        Err(Failure::Refused {
            text: format!("adding issuer (id: {id}) to its own CRL is not allowed"),
            hint: Some(format!(
                "Signet: an issuer is revoked by its reference: signet write -f {}issuer/{id}/revoke",
                self.entry.record.path
            )),
        })
    }
}

impl Issuer {
    /// What a log calls it: its name, or its identifier if it has no name.
    pub fn label(&self) -> String {
        match self.record.name.as_str() {
            "" => self.id.to_string(),
            name => name.to_owned(),
        }
    }
}

/// What a log calls an issuer; its identifier after it was deleted.
fn label_of(ca_state: &CaState, id: &IssuerId) -> String {
    ca_state.issuers.get(id).map_or_else(|| id.to_string(), |issuer| issuer.label())
}

/// The serial number of a certificate of this mount.
struct StoredSerial {
    serial: Vec<u8>,
    issuer: IssuerId,
    identity: String,
    issuer_label: String,
    not_after: Timestamp,
}

/// What a log calls a stored certificate; empty for one that an earlier version signed and this one cannot
/// read.
fn identity_of(der: &[u8]) -> String {
    CertificateFields::read(der).map(|fields| fields.identity()).unwrap_or_default()
}

fn given_certificate(text: &str) -> Result<Certificate, Failure> {
    let block = pem::decode_first(text, &["CERTIFICATE"])
        .ok_or_else(|| Failure::refused("certificate could not be PEM-decoded"))?;
    Certificate::parse(block.der.to_vec())
        .map_err(|error| Failure::refused(format!("certificate could not be parsed: {error}")))
}
