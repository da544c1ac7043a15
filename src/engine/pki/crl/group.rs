//! Which issuers share a list, and which of them signs it.
//!
//! Issuers with the same subject and key share one list (pki-api chapter 21), those that were
//! deleted among them. Their list goes on while the mount has the key: an entry without
//! `certificateIssuer` stands for a certificate of the list's own issuer (RFC 5280, 5.3.3), so it
//! can stand on no other list.

use std::sync::Arc;

use crate::ca::certificate::Certificate;
use crate::engine::identifier::parse_uuid;
use crate::engine::pki::authorities::{Authorities, Issuer, UnknownReference};
use crate::engine::pki::records::Id;

impl Authorities {
    /// The issuer whose list a reference names: one of the mount, or one that was deleted and
    /// whose list goes on, by its identifier or its last name.
    pub(super) fn lister(&self, reference: &str) -> Result<&Arc<Issuer>, UnknownReference> {
        self.issuer(reference).or_else(|unknown| {
            let reference = reference.trim();
            let id = parse_uuid(reference);
            let is_named = |issuer: &&Arc<Issuer>| {
                Some(issuer.id) == id || !reference.is_empty() && issuer.record.name == reference
            };
            // The one that was deleted last had the name last.
            let mut departed = self.departed.iter().rev();
            departed.find(|issuer| is_named(issuer) && issuer.key.is_some()).ok_or(unknown)
        })
    }

    /// The issuer with this identifier, also if it was deleted.
    pub(super) fn present_or_departed(&self, id: &Id) -> Option<&Arc<Issuer>> {
        let departed = || self.departed.iter().find(|issuer| issuer.id == *id);
        self.issuers.get(id).or_else(departed)
    }

    /// Who signs the list of this issuer's group: the first that has the key and may. Those that
    /// were deleted sign only while no other issuer of the group is there.
    pub(super) fn list_signer(&self, issuer: &Issuer) -> Option<&Arc<Issuer>> {
        let signs = |other: &&Arc<Issuer>| other.key.is_some() && other.record.may_sign_crls;
        let mut present = self.group_of(&issuer.certificate).peekable();
        if present.peek().is_some() {
            return present.find(signs);
        }
        self.departed_like(&issuer.certificate).find(signs)
    }

    /// Every issuer that signs a list.
    pub(super) fn list_signers(&self) -> impl Iterator<Item = &Arc<Issuer>> {
        let all = self.issuers.values().chain(self.gone());
        all.filter(|issuer| self.list_signer(issuer).is_some_and(|signer| signer.id == issuer.id))
    }

    /// The groups that have a key and no issuer that may sign their list: the members of each.
    pub(super) fn groups_without_signer(&self) -> Vec<Vec<Id>> {
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

    /// The identifiers of this group, those that were deleted behind those that are there.
    pub(super) fn members_of(&self, certificate: &Certificate) -> Vec<Id> {
        let all = self.group_of(certificate).chain(self.departed_like(certificate));
        all.map(|issuer| issuer.id).collect()
    }

    /// The issuers of the mount with this subject and key.
    pub(super) fn group_of(&self, certificate: &Certificate) -> impl Iterator<Item = &Arc<Issuer>> {
        self.issuers.values().filter(|other| are_one(&other.certificate, certificate))
    }

    fn departed_like(&self, certificate: &Certificate) -> impl Iterator<Item = &Arc<Issuer>> {
        self.gone().filter(|other| are_one(&other.certificate, certificate))
    }

    /// Those that were deleted and did not come back.
    fn gone(&self) -> impl Iterator<Item = &Arc<Issuer>> {
        self.departed.iter().filter(|issuer| !self.issuers.contains_key(&issuer.id))
    }
}

fn are_one(one: &Certificate, other: &Certificate) -> bool {
    one.subject() == other.subject() && one.public_key().spki() == other.public_key().spki()
}
