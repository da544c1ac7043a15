//! Whether an issuer may sign now. Revocations are read when the CA state of the mount is loaded, so a
//! request compares two times and checks one field.

use std::collections::{BTreeMap, BTreeSet};

use crate::ca::certificate::Certificate;
use crate::ca::chain::Graph;
use crate::ca::time::Timestamp;
use crate::engine::Failure;
use crate::store::Snapshot;
use crate::store::id::{IssuerId, MountId};

use super::ca_state::{Issuer, is_self_signed, link_of};
use super::certificates::{certificate_key, revocation};
use super::records::{CertificateRecord, IssuerRecord};

/// The revocations that affect the issuers of a mount.
pub(super) struct IssuerStatus {
    /// When each revoked issuer was revoked.
    pub(super) revoked: BTreeMap<IssuerId, Timestamp>,
    /// The issuers that must not issue, each with the revoked issuer that blocks it.
    pub(super) blocked: BTreeMap<IssuerId, IssuerId>,
}

impl Issuer {
    #[cold]
    pub(super) fn signing_refusal(&self, now: Timestamp) -> Failure {
        let (from, until) = (self.certificate.not_before(), self.certificate.not_after());
        let itself = format!("issuer [id:{} / name:{}]", self.id, self.record.name);
        Failure::refused(match (self.blocked_by, self.revoked) {
            (Some(cause), Some(at)) if cause == self.id => format!(
                "unable to sign with {itself}: its certificate was revoked at {}; use another issuer",
                at.whole()
            ),
            (Some(cause), _) => format!(
                "unable to sign with {itself}: issuer {} above it is revoked; use another issuer, or have this one certified by another",
                cause
            ),
            (None, _) if now < from => format!(
                "unable to sign with {itself}: its certificate is not valid before {from}, and the server's clock says {}",
                now.whole()
            ),
            (None, _) => format!(
                "unable to sign with {itself}: its certificate expired at {until}, and the server's clock says {}; renew it or use another issuer",
                now.whole()
            ),
        })
    }
}

/// When the certificates of these issuers were revoked: as issuers of the mount, also deleted ones, or
/// by their serial numbers.
pub(super) async fn revocations(
    snapshot: &Snapshot,
    mount: &MountId,
    records: &BTreeMap<IssuerId, (IssuerRecord, Certificate)>,
    deleted: &[(IssuerId, IssuerRecord, Certificate)],
) -> Result<BTreeMap<IssuerId, Timestamp>, Failure> {
    let former = deleted.iter().map(|(id, record, certificate)| (id, record, certificate));
    let present = records.iter().map(|(id, (record, certificate))| (id, record, certificate));
    let mut revoked = BTreeMap::new();
    for (id, record, certificate) in present.chain(former.clone()) {
        let is_the_same = |other: &Certificate| other.der() == certificate.der();
        let known = record.revoked.or_else(|| {
            former
                .clone()
                .filter(|(.., other)| is_the_same(other))
                .find_map(|(_, old, _)| old.revoked)
        });
        let known = match known {
            Some(at) => Some(at.into()),
            None => revoked_as_certificate(snapshot, mount, certificate).await?,
        };
        if let Some(at) = known {
            revoked.insert(*id, at);
        }
    }
    Ok(revoked)
}

/// When a certificate of this mount was revoked by its serial number.
async fn revoked_as_certificate(
    snapshot: &Snapshot,
    mount: &MountId,
    certificate: &Certificate,
) -> Result<Option<Timestamp>, Failure> {
    let key = certificate_key(mount, certificate.serial());
    let stored = snapshot.record::<CertificateRecord>(&key).await?;
    match stored.filter(|(_, record)| record.der == certificate.der()) {
        Some((_, record)) => {
            revocation(snapshot, mount, &record.issuer, certificate.serial()).await
        }
        None => Ok(None),
    }
}

/// The issuers that must not issue, each with the revoked issuer that blocks it. Deleted issuers count:
/// deleting a revoked issuer does not unblock the issuers below it.
pub(super) fn blocked(
    records: &BTreeMap<IssuerId, (IssuerRecord, Certificate)>,
    deleted: &[(IssuerId, IssuerRecord, Certificate)],
    revoked: &BTreeMap<IssuerId, Timestamp>,
) -> BTreeMap<IssuerId, IssuerId> {
    if revoked.is_empty() {
        return BTreeMap::new();
    }
    let present = records.iter().map(|(id, (record, certificate))| (id, record, certificate));
    let former = deleted.iter().filter(|(id, ..)| !records.contains_key(id));
    let all = present.chain(former.map(|(id, record, certificate)| (id, record, certificate)));
    let roots: BTreeSet<IssuerId> = all
        .clone()
        .filter(|(.., certificate)| is_self_signed(certificate))
        .map(|(id, ..)| *id)
        .collect();
    let links: Vec<_> =
        all.map(|(id, record, certificate)| link_of(*id, record, certificate)).collect();
    Graph::new(&links).blocked(|id| revoked.contains_key(id), |id| roots.contains(id))
}
