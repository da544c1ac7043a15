//! Reading what was issued (pki-api chapter 10).

use std::collections::VecDeque;

use crate::ca::serial::{self, Serial, colon_hex};
use crate::ca::time::Timestamp;
use crate::engine::Failure;
use crate::engine::identifier::MountId;
use crate::store::{Key, KeyRange, Prefix, Snapshot, Store, key};

use super::Pki;
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

impl Pki {
    /// The certificate with this serial number, with or without separators.
    ///
    /// # Errors
    /// [`Failure::Missing`] if it is not stored here.
    pub async fn read_certificate(&self, serial: &str) -> Result<StoredCertificate, Failure> {
        let bytes = serial::parse(serial).ok_or(Failure::Missing)?;
        let (snapshot, authorities) = self.snapshot_and_authorities().await?;
        let (_, record) = snapshot
            .record::<CertificateRecord>(&place(self.id(), &bytes))
            .await?
            .ok_or(Failure::Missing)?;
        let revoked = match revocation(&snapshot, self.id(), &record.issuer, &bytes).await? {
            Some(at) => Some(at),
            // A root that was revoked as an issuer stands on no list of its own.
            None => authorities
                .issuers
                .values()
                .find(|issuer| issuer.certificate.der() == record.der)
                .and_then(|issuer| issuer.revoked),
        };
        Ok(StoredCertificate { der: record.der, issuer: record.issuer, revoked })
    }

    /// The serial numbers of everything stored.
    pub fn list_certificates(&self) -> Serials {
        let prefixes = [key::certificates(self.id()), key::foreign_certificates(self.id())];
        Serials { store: self.env().store.clone(), kinds: prefixes.map(Kind::new) }
    }
}

/// Serial numbers in their order, page by page: a million of them are 60 megabytes of text, which
/// nobody has to hold at once. A page is read when it is asked for; what is recorded meanwhile may
/// be missing.
#[derive(Debug)]
pub struct Serials {
    store: Store,
    kinds: [Kind; 2],
}

/// Certificates whose keys begin alike.
#[derive(Debug)]
struct Kind {
    prefix: Prefix,
    ahead: VecDeque<Key>,
    /// What comes behind those; `None` if nothing does.
    rest: Option<KeyRange>,
}

impl Serials {
    /// How many serial numbers a page has; the last one has fewer.
    pub const PAGE: usize = 4096;

    /// The next page, in colon form.
    ///
    /// # Errors
    /// Fails only with the store.
    pub async fn page(&mut self) -> Result<Vec<String>, Failure> {
        let mut page = Vec::with_capacity(Self::PAGE);
        while page.len() < Self::PAGE {
            for kind in &mut self.kinds {
                kind.look_ahead(&self.store).await?;
            }
            let [ours, foreign] = &mut self.kinds;
            let next = match (ours.next(), foreign.next()) {
                (Some(one), Some(other)) if other < one => foreign,
                (None, Some(_)) => foreign,
                (Some(_), _) => ours,
                (None, None) => break,
            };
            page.extend(next.next().map(colon_hex));
            next.ahead.pop_front();
        }
        Ok(page)
    }
}

impl Kind {
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

/// Where a certificate with this serial number lies.
pub(super) fn place(mount: &MountId, serial: &[u8]) -> Key {
    match Serial::from_bytes(serial) {
        Some(ours) => key::certificate(mount, ours.as_bytes()),
        None => key::foreign_certificate(mount, serial),
    }
}

/// When this certificate was revoked, if it was.
pub(super) async fn revocation(
    snapshot: &Snapshot,
    mount: &MountId,
    issuer: &Id,
    serial: &[u8],
) -> Result<Option<Timestamp>, Failure> {
    let key = key::revoked(mount, issuer, serial);
    let found = snapshot.record::<RevocationRecord>(&key).await?;
    Ok(found.map(|(_, record)| {
        Timestamp::from_unix(record.seconds).with_nanoseconds(record.nanoseconds)
    }))
}
