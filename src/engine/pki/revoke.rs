//! Revocation (pki-api 11.1).

use crate::ca::certificate::{self, Certificate};
use crate::ca::pem;
use crate::ca::serial::{self, colon_hex};
use crate::ca::time::Timestamp;
use crate::engine::identifier::format_uuid;
use crate::engine::{Failure, repeatedly};
use crate::store::key;

use super::Pki;
use super::certificates::{place, revocation};
use super::records::{CertificateRecord, Id, RevocationRecord};
use super::state::Owed;

/// What is to be revoked.
#[derive(Clone, Debug)]
pub enum RevokeRequest {
    /// By serial number, as it was sent.
    Serial(String),
    /// By the certificate itself, PEM.
    Certificate(String),
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revocation {
    /// It is revoked, since this instant.
    Revoked(Timestamp),
    /// It has expired: there is nothing to revoke.
    Expired,
}

/// What came of a request to revoke.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revoked {
    /// What became of the certificate.
    pub outcome: Revocation,
    /// Its serial number, in colon form.
    pub serial: String,
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
        let _pressing = self.services.limiter.pressing();
        let outcome = self.revoke_and_publish(request, now).await;
        if let Err(Failure::Fault(_) | Failure::Busy | Failure::Sealed) = outcome {
            self.state.doubt_lists();
        }
        outcome
    }

    async fn revoke_and_publish(
        &self,
        request: &RevokeRequest,
        now: Timestamp,
    ) -> Result<Revoked, Failure> {
        let (outcome, marked) = repeatedly!({ self.mark_revoked(request, now).await })?;
        // Also where it was revoked before: whoever did that may not have come this far.
        let mut warnings = Vec::new();
        if let Revocation::Revoked(at) = outcome {
            let serial = marked.serial.clone();
            let owed = Owed { issuer: marked.issuer, serial, at: at.whole() };
            warnings.extend(self.publish_revocation(owed, now).await?);
        }
        Ok(Revoked { outcome, serial: colon_hex(&marked.serial), warnings })
    }

    async fn mark_revoked(
        &self,
        request: &RevokeRequest,
        now: Timestamp,
    ) -> Result<(Revocation, Marked), Failure> {
        let (snapshot, authorities) = self.snapshot_and_authorities().await?;
        let (bytes, sent) = match request {
            RevokeRequest::Serial(text) => (serial::parse(text), text.clone()),
            RevokeRequest::Certificate(text) => {
                let certificate = given_certificate(text)?;
                (Some(certificate.serial().to_vec()), colon_hex(certificate.serial()))
            }
        };
        let unknown = || Failure::refused(format!("certificate with serial {sent} not found."));
        let bytes = bytes.ok_or_else(unknown)?;
        if let Some(own) = authorities
            .issuers
            .values()
            .find(|issuer| issuer.certificate.serial() == bytes.as_slice())
        {
            let id = format_uuid(&own.id);
            return Err(Failure::Refused {
                text: format!("adding issuer (id: {id}) to its own CRL is not allowed"),
                hint: Some(format!(
                    "Signet: an issuer is revoked by its reference: signet write -f {}issuer/{id}/revoke",
                    self.entry.record.path
                )),
            });
        }
        let key = place(self.id(), &bytes);
        let (_, record) = snapshot.record::<CertificateRecord>(&key).await?.ok_or_else(unknown)?;
        if let RevokeRequest::Certificate(text) = request
            && given_certificate(text)?.der() != record.der
        {
            return Err(unknown());
        }
        let marked = Marked { issuer: record.issuer, serial: bytes };
        if let Some(at) = revocation(&snapshot, self.id(), &record.issuer, &marked.serial).await? {
            return Ok((Revocation::Revoked(at), marked));
        }
        let not_after = certificate::not_after(&record.der)
            .map_err(|error| Failure::Fault(error.to_string()))?;
        if not_after < now.plus(2) {
            return Ok((Revocation::Expired, marked));
        }
        let entry = key::revoked(self.id(), &record.issuer, &marked.serial);
        let revoked = RevocationRecord {
            seconds: now.unix(),
            nanoseconds: now.nanoseconds(),
            not_after: not_after.unix(),
        };
        // That of an authority may forbid issuers to sign: they are read again. So they are for a
        // certificate that an earlier version signed and this one cannot read.
        let is_leaf = Certificate::parse(record.der).is_ok_and(|read| !read.is_authority());
        let batch =
            if is_leaf { authorities.guarded(self.id()) } else { authorities.change(self.id()) };
        let batch = batch.expect_absent(entry.clone()).put_record(entry, &revoked);
        self.env().store.commit(batch).await?;
        Ok((Revocation::Revoked(now), marked))
    }
}

/// A certificate of this mount.
struct Marked {
    serial: Vec<u8>,
    issuer: Id,
}

fn given_certificate(text: &str) -> Result<Certificate, Failure> {
    let block = pem::decode_first(text, &["CERTIFICATE"])
        .ok_or_else(|| Failure::refused("certificate could not be PEM-decoded"))?;
    Certificate::parse(block.der.to_vec())
        .map_err(|error| Failure::refused(format!("certificate could not be parsed: {error}")))
}
