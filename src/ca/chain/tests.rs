use super::*;
use crate::ca::for_tests::{self, Pair};

fn link<'a>(id: u8, certificate: &'a Certificate) -> Link<'a, u8> {
    Link { id, certificate, manual: None }
}

#[test]
fn a_chain_goes_up_to_the_root() {
    let (root, root_pair) = for_tests::root("root");
    let (one, two) = (Pair::generate(), Pair::generate());
    let upper = for_tests::intermediate("upper", &one, &root, &root_pair);
    let lower = for_tests::intermediate("lower", &two, &upper, &one);
    let chains = build(&[link(1, &root), link(2, &upper), link(3, &lower)]);
    assert_eq!(chains[&1], [1]);
    assert_eq!(chains[&2], [2, 1]);
    assert_eq!(chains[&3], [3, 2, 1]);
}

#[test]
fn the_chain_of_an_issuer_without_parents_is_itself() {
    let (root, root_pair) = for_tests::root("root");
    let own = Pair::generate();
    let middle = for_tests::intermediate("middle", &own, &root, &root_pair);
    assert_eq!(build(&[link(5, &middle)])[&5], [5]);
}

#[test]
fn an_issuer_with_the_name_and_another_key_is_not_a_parent() {
    let (root, root_pair) = for_tests::root("root");
    let (namesake, _) = for_tests::root("root");
    let own = Pair::generate();
    let middle = for_tests::intermediate("middle", &own, &root, &root_pair);
    let chains = build(&[link(1, &root), link(2, &namesake), link(3, &middle)]);
    assert_eq!(chains[&3], [3, 1]);
}

#[test]
fn roots_come_before_intermediates_and_later_ids_first() {
    let (old, old_pair) = for_tests::root("old");
    let new_pair = Pair::generate();
    let new = for_tests::self_signed("new", &new_pair);
    let again = for_tests::self_signed("new", &new_pair);
    let crossed = for_tests::intermediate("new", &new_pair, &old, &old_pair);
    let own = Pair::generate();
    let middle = for_tests::intermediate("middle", &own, &new, &new_pair);
    let links =
        [link(1, &old), link(2, &new), link(3, &again), link(4, &crossed), link(5, &middle)];
    let chain = &build(&links)[&5];
    assert_eq!(chain[..2], [5, 3]);
    let mut sorted = chain.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, [1, 2, 3, 4, 5]);
    let mut reversed = links;
    reversed.reverse();
    assert_eq!(build(&reversed)[&5], *chain);
}

#[test]
fn a_cycle_of_cross_signed_authorities_ends() {
    let (one_root, one) = for_tests::root("one");
    let (two_root, two) = for_tests::root("two");
    let one_by_two = for_tests::intermediate("one", &one, &two_root, &two);
    let two_by_one = for_tests::intermediate("two", &two, &one_root, &one);
    let chains = build(&[link(1, &one_by_two), link(2, &two_by_one)]);
    assert_eq!(chains[&1], [1, 2]);
    assert_eq!(chains[&2], [2, 1]);
}

#[test]
fn a_manual_chain_is_used_unchanged_and_inherited() {
    let (root, root_pair) = for_tests::root("root");
    let (one, two) = (Pair::generate(), Pair::generate());
    let upper = for_tests::intermediate("upper", &one, &root, &root_pair);
    let lower = for_tests::intermediate("lower", &two, &upper, &one);
    let links =
        [link(1, &root), Link { manual: Some(&[2, 9]), ..link(2, &upper) }, link(3, &lower)];
    let chains = build(&links);
    assert_eq!(chains[&2], [2]);
    assert_eq!(chains[&3], [3, 2]);
}

#[test]
fn a_revoked_issuer_blocks_itself_and_those_that_depend_on_it_alone() {
    let (root, root_pair) = for_tests::root("root");
    let (other, other_pair) = for_tests::root("other");
    let (one, two) = (Pair::generate(), Pair::generate());
    let upper = for_tests::intermediate("upper", &one, &root, &root_pair);
    let crossed = for_tests::intermediate("upper", &one, &other, &other_pair);
    let lower = for_tests::intermediate("lower", &two, &upper, &one);
    let renewed = for_tests::self_signed("root", &root_pair);
    let links = [link(1, &root), link(2, &upper), link(3, &lower), link(4, &other)];
    let blocked = |links: &[Link<'_, u8>], revoked: &[u8], roots: &[u8]| {
        let graph = Graph::new(links);
        graph.blocked(|id| revoked.contains(id), |id| roots.contains(id))
    };
    assert!(blocked(&links, &[], &[1, 4]).is_empty());
    assert_eq!(blocked(&links, &[2], &[1, 4]), BTreeMap::from([(2, 2), (3, 2)]));
    assert_eq!(blocked(&links, &[1], &[1, 4]), BTreeMap::from([(1, 1), (2, 1), (3, 1)]));
    assert_eq!(blocked(&links, &[3], &[1, 4]), BTreeMap::from([(3, 3)]));
    // Another root certifies the same name and key.
    let cross = [&links[..], &[link(5, &crossed)]].concat();
    assert_eq!(blocked(&cross, &[1], &[1, 4]), BTreeMap::from([(1, 1), (2, 1)]));
    // A second self-signed certificate has the root's name and key.
    let again = [&links[..], &[link(6, &renewed)]].concat();
    assert_eq!(blocked(&again, &[1], &[1, 4, 6]), BTreeMap::from([(1, 1)]));
    // A manual chain does not hide a known parent, and adds an unknown one.
    let manual = [3];
    let hidden =
        [link(1, &root), link(2, &upper), Link { manual: Some(&manual), ..link(3, &lower) }];
    assert_eq!(blocked(&hidden, &[1], &[1]).len(), 3);
    let added = [3, 4];
    let added = [link(4, &other), Link { manual: Some(&added), ..link(3, &lower) }];
    assert_eq!(blocked(&added, &[4], &[4]), BTreeMap::from([(3, 4), (4, 4)]));
}
