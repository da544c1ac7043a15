//! Chains of issuers, from subject bytes and signatures; the same set of issuers has the same
//! chains (`docs/dev/vault-pki.md`, "Chains").

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::certificate::Certificate;

/// An issuer from which chains are built.
#[derive(Clone, Copy, Debug)]
pub struct Link<'a, I> {
    /// Its identifier; the order of identifiers is the order of parents.
    pub id: I,
    /// Its certificate.
    pub certificate: &'a Certificate,
    /// The configured `manual_chain`: exactly these issuers, in this order; deleted ones are
    /// skipped.
    pub manual: Option<&'a [I]>,
}

/// The chain of every issuer, itself first.
///
/// A parent has the subject that the child names as issuer, and its key verifies the child;
/// key identifiers are ignored. Roots come before intermediates, each in descending order of
/// identifiers, so the same set always gives the same chains. Members of a cycle (cross-signed
/// or re-issued authorities) contain one another once.
pub fn build<I: Ord + Clone>(links: &[Link<'_, I>]) -> BTreeMap<I, Vec<I>> {
    Graph::new(links).chains()
}

/// The parents of each issuer.
#[derive(Debug)]
pub struct Graph<'a, I> {
    links: BTreeMap<&'a I, &'a Link<'a, I>>,
    parents: BTreeMap<&'a I, Vec<&'a I>>,
}

impl<'a, I: Ord + Clone> Graph<'a, I> {
    /// The graph of these issuers.
    pub fn new(links: &'a [Link<'a, I>]) -> Self {
        let mut by_subject: BTreeMap<&[u8], Vec<&Link<'a, I>>> = BTreeMap::new();
        for link in links {
            by_subject.entry(link.certificate.subject()).or_default().push(link);
        }
        let parents = links.iter().map(|link| (&link.id, parents(link, &by_subject))).collect();
        Self { links: links.iter().map(|link| (&link.id, link)).collect(), parents }
    }

    /// The chain of every issuer, as [`build`] has it.
    pub fn chains(&self) -> BTreeMap<I, Vec<I>> {
        self.links.keys().map(|id| ((*id).clone(), self.chain(id))).collect()
    }

    /// Issuers that must not issue because of a revocation, each with the revoked issuer that is
    /// the cause: itself or one above it.
    ///
    /// A cross-signed or re-issued authority has several paths upwards. It may issue while one of
    /// them contains no revoked certificate: a revoked root does not block an authority that
    /// another root certifies. A path ends at a root or where no parent is known. A manual chain,
    /// whose signatures are not verified here, is a single path: every issuer on it counts.
    pub fn blocked(
        &self,
        is_revoked: impl Fn(&I) -> bool,
        is_root: impl Fn(&I) -> bool,
    ) -> BTreeMap<I, I> {
        if !self.links.keys().any(|id| is_revoked(id)) {
            return BTreeMap::new();
        }
        let mut children: BTreeMap<&I, Vec<&I>> = BTreeMap::new();
        // The number of issuers above each one that must still be found valid.
        let mut missing: BTreeMap<&I, usize> = BTreeMap::new();
        let (mut valid, mut queue) = (BTreeSet::new(), VecDeque::new());
        for id in self.links.keys() {
            let above = self.parents_or_manual(id);
            if !is_revoked(id) && (above.is_empty() || is_root(id)) && valid.insert(*id) {
                queue.push_back(*id);
            }
            missing.insert(id, if self.is_verified(id) { 1 } else { above.len() });
            for parent in above {
                children.entry(parent).or_default().push(id);
            }
        }
        while let Some(parent) = queue.pop_front() {
            for child in children.get(parent).into_iter().flatten() {
                let left = missing.get(child).copied().unwrap_or_default().saturating_sub(1);
                missing.insert(child, left);
                if left == 0 && !is_revoked(child) && valid.insert(child) {
                    queue.push_back(child);
                }
            }
        }
        let blocked = self.links.keys().filter(|id| !valid.contains(*id));
        blocked
            .filter_map(|id| Some(((*id).clone(), self.revoked_above(id, &is_revoked)?.clone())))
            .collect()
    }

    /// The nearest revoked issuer, beginning with this one; a cycle may have none.
    fn revoked_above(&self, id: &'a I, is_revoked: impl Fn(&I) -> bool) -> Option<&'a I> {
        let mut visited = BTreeSet::new();
        let mut queue = VecDeque::from([id]);
        while let Some(id) = queue.pop_front() {
            if is_revoked(id) {
                return Some(id);
            }
            if visited.insert(id) {
                queue.extend(self.parents_or_manual(id));
            }
        }
        None
    }

    /// Does the issuer have a parent by name and signature?
    fn is_verified(&self, id: &I) -> bool {
        self.parents.get(id).is_some_and(|parents| !parents.is_empty())
    }

    /// The parents by name and signature, or else the issuers of the manual chain.
    fn parents_or_manual(&self, id: &I) -> Vec<&'a I> {
        let parents = self.parents.get(id).cloned().unwrap_or_default();
        if !parents.is_empty() {
            return parents;
        }
        let manual = self.links.get(id).and_then(|link| link.manual).unwrap_or_default();
        manual.iter().filter(|other| *other != id && self.links.contains_key(other)).collect()
    }

    /// Walks upwards without recursion: an import may hold a very long chain.
    fn chain(&self, id: &'a I) -> Vec<I> {
        let mut chain = Vec::new();
        let mut listed = BTreeSet::new();
        let mut visited = BTreeSet::new();
        let mut stack = vec![id];
        while let Some(id) = stack.pop() {
            if !visited.insert(id) {
                continue;
            }
            let own = std::slice::from_ref(id);
            let manual = self.links.get(id).and_then(|link| link.manual);
            for id in manual.unwrap_or(own) {
                if self.links.contains_key(id) && listed.insert(id) {
                    chain.push(id.clone());
                }
            }
            if manual.is_none() {
                // Reversed, because the stack returns the last one first.
                let parents = self.parents.get(id).into_iter().flatten();
                stack.extend(parents.rev().copied());
            }
        }
        chain
    }
}

fn parents<'a, I: Ord>(
    child: &'a Link<'a, I>,
    by_subject: &BTreeMap<&[u8], Vec<&'a Link<'a, I>>>,
) -> Vec<&'a I> {
    let mut found: Vec<_> = by_subject
        .get(child.certificate.issuer())
        .into_iter()
        .flatten()
        .filter(|parent| {
            parent.id != child.id
                && child.certificate.verify_signed_by(parent.certificate.public_key())
        })
        .collect();
    found.sort_by(|one, other| {
        let intermediate = |link: &Link<'_, I>| !link.certificate.is_self_issued();
        intermediate(one).cmp(&intermediate(other)).then_with(|| other.id.cmp(&one.id))
    });
    found.into_iter().map(|link| &link.id).collect()
}

#[cfg(test)]
mod tests;
