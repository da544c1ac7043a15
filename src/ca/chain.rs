//! Chains of issuers (pki-api 19): from subject bytes and signatures, the same for the same set.

use std::collections::{BTreeMap, BTreeSet};

use super::certificate::Certificate;

/// An issuer as chain building sees it.
#[derive(Clone, Copy, Debug)]
pub struct Link<'a, I> {
    /// Its identifier; the order of identifiers is the order of parents.
    pub id: I,
    /// Its certificate.
    pub certificate: &'a Certificate,
    /// A chain set by hand: exactly these, in this order; those that are gone are skipped.
    pub manual: Option<&'a [I]>,
}

/// The chain of every issuer, itself first.
///
/// A parent has the subject that the child names as issuer, and its key verifies the child;
/// key identifiers do not count. Roots come before intermediates, each in descending order of
/// identifiers, so the same set always gives the same chains. Members of a cycle (cross-signed
/// or re-issued authorities) get one another once.
pub fn build<I: Ord + Clone>(links: &[Link<'_, I>]) -> BTreeMap<I, Vec<I>> {
    let graph = Graph::new(links);
    links.iter().map(|link| (link.id.clone(), graph.chain(&link.id))).collect()
}

/// Who is above whom.
struct Graph<'a, I> {
    links: BTreeMap<&'a I, &'a Link<'a, I>>,
    parents: BTreeMap<&'a I, Vec<&'a I>>,
}

impl<'a, I: Ord + Clone> Graph<'a, I> {
    fn new(links: &'a [Link<'a, I>]) -> Self {
        let mut by_subject: BTreeMap<&[u8], Vec<&Link<'a, I>>> = BTreeMap::new();
        for link in links {
            by_subject.entry(link.certificate.subject()).or_default().push(link);
        }
        let parents = links.iter().map(|link| (&link.id, parents(link, &by_subject))).collect();
        Self { links: links.iter().map(|link| (&link.id, link)).collect(), parents }
    }

    /// Walks upwards without recursion: an import may hold a very long chain.
    fn chain(&self, id: &'a I) -> Vec<I> {
        let mut chain = Vec::new();
        let mut listed = BTreeSet::new();
        let mut walked = BTreeSet::new();
        let mut waiting = vec![id];
        while let Some(id) = waiting.pop() {
            if !walked.insert(id) {
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
                // The last one in is the first one out.
                let parents = self.parents.get(id).into_iter().flatten();
                waiting.extend(parents.rev().copied());
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
