//! Reading certificates.

use std::collections::VecDeque;

use crate::ca::serial::{self, Serial, colon_hex};
use crate::ca::time::Timestamp;
use crate::engine::Failure;
use crate::store::id::{IssuerId, MountId};
use crate::store::{Key, KeyRange, Prefix, Snapshot, Store, key};

use super::Pki;
use super::records::{CertificateRecord, RevocationRecord};

/// A stored certificate and whether it was revoked.
#[derive(Debug)]
pub struct StoredCertificate {
    /// The certificate, DER.
    pub der: Vec<u8>,
    /// The issuer that signed it.
    pub issuer: IssuerId,
    /// When it was revoked.
    pub revoked: Option<Timestamp>,
}

impl Pki {
    /// The certificate with this serial number, with or without separators.
    ///
    /// # Errors
    /// [`Failure::NotFound`] if it is not stored here.
    pub async fn read_certificate(&self, serial: &str) -> Result<StoredCertificate, Failure> {
        let bytes = serial::parse(serial).ok_or(Failure::NotFound)?;
        let (snapshot, ca_state) = self.snapshot_and_ca_state().await?;
        let (_, record) = snapshot
            .record::<CertificateRecord>(&certificate_key(self.id(), &bytes))
            .await?
            .ok_or(Failure::NotFound)?;
        let revoked = match revocation(&snapshot, self.id(), &record.issuer, &bytes).await? {
            Some(at) => Some(at),
            // A root that was revoked as an issuer is not on its own CRL.
            None => ca_state
                .issuers
                .values()
                .find(|issuer| issuer.certificate.der() == record.der)
                .and_then(|issuer| issuer.revoked),
        };
        Ok(StoredCertificate { der: record.der, issuer: record.issuer, revoked })
    }

    /// The serial numbers of all stored certificates.
    pub fn list_certificates(&self) -> Serials {
        let prefixes = [key::certificates(self.id()), key::foreign_certificates(self.id())];
        Serials { store: self.env().store.clone(), families: prefixes.map(KeyFamily::new) }
    }
}

/// Serial numbers in order, page by page: the text of a million would take 60 megabytes of
/// memory. A page is read when it is requested; certificates recorded in the
/// meantime may be missing.
#[derive(Debug)]
pub struct Serials {
    store: Store,
    families: [KeyFamily; 2],
}

/// Certificates whose keys in the store have the same prefix.
#[derive(Debug)]
struct KeyFamily {
    prefix: Prefix,
    ahead: VecDeque<Key>,
    /// The range after those; `None` at the end.
    rest: Option<KeyRange>,
}

impl Serials {
    /// Number of serial numbers on each page but the last one.
    pub const PAGE: usize = 4096;

    /// The next page, in colon form.
    ///
    /// # Errors
    /// Fails only with the store.
    pub async fn page(&mut self) -> Result<Vec<String>, Failure> {
        let mut page = Vec::with_capacity(Self::PAGE);
        while page.len() < Self::PAGE {
            for family in &mut self.families {
                family.look_ahead(&self.store).await?;
            }
            let [signet, external] = &mut self.families;
            let next = match (signet.next(), external.next()) {
                (Some(one), Some(other)) if other < one => external,
                (None, Some(_)) => external,
                (Some(_), _) => signet,
                (None, None) => break,
            };
            page.extend(next.next().map(colon_hex));
            next.ahead.pop_front();
        }
        Ok(page)
    }
}

impl KeyFamily {
    fn new(prefix: Prefix) -> Self {
        Self { rest: Some(prefix.range()), prefix, ahead: VecDeque::new() }
    }

    async fn look_ahead(&mut self, store: &Store) -> Result<(), Failure> {
        if self.ahead.is_empty()
            && let Some(rest) = self.rest.take()
        {
            self.ahead = store.snapshot().await?.keys(&rest, Serials::PAGE).await?.into();
            let more = self.ahead.back().filter(|_| self.ahead.len() == Serials::PAGE);
            self.rest = more.map(|last| rest.after(last));
        }
        Ok(())
    }

    fn next(&self) -> Option<&[u8]> {
        self.prefix.rest(self.ahead.front()?)
    }
}

/// The key in the store of a certificate with this serial number.
pub(super) fn certificate_key(mount: &MountId, serial: &[u8]) -> Key {
    match Serial::from_bytes(serial) {
        Some(serial) => key::certificate(mount, serial.as_bytes()),
        None => key::foreign_certificate(mount, serial),
    }
}

/// When this certificate was revoked, if it was.
pub(super) async fn revocation(
    snapshot: &Snapshot,
    mount: &MountId,
    issuer: &IssuerId,
    serial: &[u8],
) -> Result<Option<Timestamp>, Failure> {
    let key = key::revoked(mount, issuer, serial);
    let found = snapshot.record::<RevocationRecord>(&key).await?;
    Ok(found.map(|(_, record)| {
        Timestamp::from_unix(record.seconds).with_nanoseconds(record.nanoseconds)
    }))
}
