//! The order of a chain: whether each certificate is issued by the next one.

use crate::ca::certificate::Certificate;
use crate::ca::keystore::{certification_path, certifies, is_root};

/// The most certificates among which a path is searched. The search verifies up to their number
/// squared of signatures.
pub(super) const MAX_CHAIN: usize = 32;

/// What is wrong with the order of a chain, and how it ends.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Order {
    /// Whether the path from the leaf ends at a self-signed certificate.
    pub(super) is_complete: bool,
    /// The position of the last certificate on the path from the leaf.
    pub(super) last: usize,
    /// The positions from leaf to root, where the file has another order.
    pub(super) right_order: Option<Vec<usize>>,
    /// The positions of certificates that are not on the path.
    pub(super) beside: Vec<usize>,
}

/// The order of a chain of at most [`MAX_CHAIN`] certificates, the leaf first; `None` for an empty
/// and for a longer one.
pub(super) fn judge(chain: &[Certificate]) -> Option<Order> {
    if chain.is_empty() || chain.len() > MAX_CHAIN {
        return None;
    }
    let in_order =
        chain.iter().zip(chain.iter().skip(1)).take_while(|(below, above)| certifies(above, below));
    let straight = in_order.count() + 1;
    if straight == chain.len() {
        let is_complete = chain.last().is_some_and(is_root);
        return Some(Order {
            is_complete,
            last: straight - 1,
            right_order: None,
            beside: Vec::new(),
        });
    }
    let numbered: Vec<_> = chain.iter().cloned().enumerate().collect();
    let positions = path_of(&numbered);
    let last = positions.last().copied().unwrap_or_default();
    let beside = (0..chain.len()).filter(|position| !positions.contains(position)).collect();
    let is_sorted = positions.is_sorted();
    Some(Order {
        is_complete: chain.get(last).is_some_and(is_root),
        last,
        right_order: (!is_sorted).then_some(positions),
        beside,
    })
}

/// The path from the first certificate to its root, as the numbers given with the certificates.
/// Among more than [`MAX_CHAIN`] certificates no path is searched.
pub(super) fn path_of(numbered: &[(usize, Certificate)]) -> Vec<usize> {
    let near: Vec<Certificate> =
        numbered.iter().take(MAX_CHAIN).map(|(_, one)| one.clone()).collect();
    let found = certification_path(&near);
    let position = |member: &&Certificate| {
        numbered.iter().find(|(_, one)| one.der() == member.der()).map(|(position, _)| *position)
    };
    found.iter().filter_map(position).collect()
}
