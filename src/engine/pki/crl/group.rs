//! Which issuers share a CRL, and which of them signs it.
//!
//! Issuers with the same subject and key share one CRL, including deleted ones. It continues while the
//! mount has the key: an entry without `certificateIssuer` names a certificate of the CRL's own
//! issuer (RFC 5280, 5.3.3), so it can be on no other CRL.

use std::sync::Arc;

use crate::ca::certificate::Certificate;
use crate::engine::pki::ca_state::{CaState, Issuer, UnknownReference};
use crate::store::id::IssuerId;

impl CaState {
    /// The issuer whose CRL a reference names: one of the mount, or a deleted one whose CRL continues,
    /// by its identifier or its last name.
    pub(super) fn crl_issuer_of(&self, reference: &str) -> Result<&Arc<Issuer>, UnknownReference> {
        self.issuer(reference).or_else(|unknown| {
            let reference = reference.trim();
            let id = IssuerId::parse(reference);
            let is_named = |issuer: &&Arc<Issuer>| {
                Some(issuer.id) == id || !reference.is_empty() && issuer.record.name == reference
            };
            // The issuer that was deleted last had the name last.
            let mut deleted = self.deleted.iter().rev();
            deleted.find(|issuer| is_named(issuer) && issuer.key.is_some()).ok_or(unknown)
        })
    }

    /// The issuer with this identifier, also if it was deleted.
    pub(super) fn present_or_deleted(&self, id: &IssuerId) -> Option<&Arc<Issuer>> {
        let deleted = || self.deleted.iter().find(|issuer| issuer.id == *id);
        self.issuers.get(id).or_else(deleted)
    }

    /// The signer of the CRL of this issuer's group: the first one that has the key and may sign CRLs.
    /// Deleted issuers sign only while the group has no other issuer.
    pub(super) fn list_signer(&self, issuer: &Issuer) -> Option<&Arc<Issuer>> {
        let signs = |other: &&Arc<Issuer>| other.key.is_some() && other.record.may_sign_crls;
        let mut present = self.group_of(&issuer.certificate).peekable();
        if present.peek().is_some() {
            return present.find(signs);
        }
        self.deleted_like(&issuer.certificate).find(signs)
    }

    /// Every issuer that signs a CRL.
    pub(in crate::engine::pki) fn list_signers(&self) -> impl Iterator<Item = &Arc<Issuer>> {
        let all = self.issuers.values().chain(self.deleted_only());
        all.filter(|issuer| self.list_signer(issuer).is_some_and(|signer| signer.id == issuer.id))
    }

    /// The groups that have a key and no issuer that may sign their CRL: the members of each.
    pub(super) fn groups_without_signer(&self) -> Vec<Vec<IssuerId>> {
        let without: Vec<_> = self
            .issuers
            .values()
            .filter(|issuer| issuer.key.is_some() && self.list_signer(issuer).is_none())
            .collect();
        let members = |issuer: &&Arc<Issuer>| {
            self.group_of(&issuer.certificate).map(|member| member.id).collect::<Vec<_>>()
        };
        let mut groups: Vec<_> = without.iter().map(members).collect();
        groups.sort();
        groups.dedup();
        groups
    }

    /// The identifiers of this group, deleted issuers last.
    pub(in crate::engine::pki) fn members_of(&self, certificate: &Certificate) -> Vec<IssuerId> {
        let all = self.group_of(certificate).chain(self.deleted_like(certificate));
        all.map(|issuer| issuer.id).collect()
    }

    /// The issuers of the mount with this subject and key.
    pub(super) fn group_of(&self, certificate: &Certificate) -> impl Iterator<Item = &Arc<Issuer>> {
        self.issuers.values().filter(|other| same_name_and_key(&other.certificate, certificate))
    }

    fn deleted_like(&self, certificate: &Certificate) -> impl Iterator<Item = &Arc<Issuer>> {
        self.deleted_only().filter(|other| same_name_and_key(&other.certificate, certificate))
    }

    /// The issuers that were deleted and not imported again.
    fn deleted_only(&self) -> impl Iterator<Item = &Arc<Issuer>> {
        self.deleted.iter().filter(|issuer| !self.issuers.contains_key(&issuer.id))
    }
}

fn same_name_and_key(one: &Certificate, other: &Certificate) -> bool {
    one.subject() == other.subject() && one.public_key().spki() == other.public_key().spki()
}
