//! Reading what was issued (pki-api chapter 10).

use std::collections::BTreeSet;

use crate::auth::Granted;
use crate::ca::serial::{Serial, colon_hex, parse_separated_hex};
use crate::ca::time::Timestamp;
use crate::engine::mount::Mount;
use crate::engine::{Engine, Failure};
use crate::store::{Key, Snapshot, key};

use super::records::{CertificateRecord, Id, RevocationRecord};

/// A stored certificate and whether it was revoked.
#[derive(Debug)]
pub struct StoredCertificate {
    /// The certificate, DER.
    pub der: Vec<u8>,
    /// Who signed it.
    pub issuer: Id,
    /// When it was revoked.
    pub revoked: Option<Timestamp>,
}

impl Engine {
    /// The certificate with this serial number, in colon or hyphen form.
    ///
    /// # Errors
    /// [`Failure::Missing`] if it is not stored here.
    pub async fn read_certificate(
        &self,
        mount: &Mount,
        serial: &str,
    ) -> Result<StoredCertificate, Failure> {
        let snapshot = self.env.store.snapshot().await?;
        let octets = parse_separated_hex(serial).ok_or(Failure::Missing)?;
        let (_, record) = snapshot
            .record::<CertificateRecord>(&place(mount, &octets))
            .await?
            .ok_or(Failure::Missing)?;
        let revoked = revocation(&snapshot, mount, &record.issuer, &octets).await?;
        Ok(StoredCertificate { der: record.der, issuer: record.issuer, revoked })
    }

    /// The serial numbers of everything stored, in colon form, sorted.
    ///
    /// # Errors
    /// Fails only with the store.
    pub async fn list_certificates(
        &self,
        _granted: &Granted,
        mount: &Mount,
    ) -> Result<Vec<String>, Failure> {
        let snapshot = self.env.store.snapshot().await?;
        let mut serials = BTreeSet::new();
        for prefix in [key::certificates(&mount.id), key::foreign_certificates(&mount.id)] {
            for key in snapshot.keys(&prefix.range(), usize::MAX).await? {
                if let Some(serial) = prefix.rest(&key) {
                    serials.insert(colon_hex(serial));
                }
            }
        }
        Ok(serials.into_iter().collect())
    }
}

/// Where a certificate with this serial number lies.
pub(super) fn place(mount: &Mount, serial: &[u8]) -> Key {
    match Serial::from_bytes(serial) {
        Some(ours) => key::certificate(&mount.id, ours.as_bytes()),
        None => key::foreign_certificate(&mount.id, serial),
    }
}

/// When this certificate was revoked, if it was.
pub(super) async fn revocation(
    snapshot: &Snapshot,
    mount: &Mount,
    issuer: &Id,
    serial: &[u8],
) -> Result<Option<Timestamp>, Failure> {
    let key = key::revoked(&mount.id, issuer, serial);
    let found = snapshot.record::<RevocationRecord>(&key).await?;
    Ok(found.map(|(_, record)| {
        Timestamp::from_unix(record.seconds).with_nanoseconds(record.nanoseconds)
    }))
}
