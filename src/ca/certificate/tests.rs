use proptest::prelude::*;

use super::*;
use crate::ca::for_tests::{self, Pair};

#[test]
fn tells_what_was_composed() {
    let (root, pair) = for_tests::root("root");
    let own = Pair::generate();
    let middle = for_tests::intermediate("middle", &own, &root, &pair);
    assert_eq!(middle.common_name(), "middle");
    assert_eq!(middle.issuer(), root.subject());
    assert_eq!(middle.authority_key_identifier(), root.subject_key_identifier());
    assert_eq!(middle.key_usage(), Some(KeyUsage::KEY_CERT_SIGN.with(KeyUsage::CRL_SIGN)));
    assert_eq!((middle.is_authority(), middle.path_length()), (true, None));
    assert!(middle.verify_signed_by(&pair.public));
    assert!(!middle.verify_signed_by(&own.public));
    assert!(!middle.is_self_issued());
}

#[test]
fn refuses_what_follows_and_what_is_missing() {
    let (root, _) = for_tests::root("root");
    let longer = [root.der(), &[0]].concat();
    assert_eq!(Certificate::parse(longer).unwrap_err().to_string(), "x509: trailing data");
    let shorter = &root.der()[..root.der().len() - 1];
    assert!(Certificate::parse(shorter).is_err());
    assert!(Certificate::parse([]).is_err());
}

#[test]
fn refuses_algorithms_that_do_not_match() {
    let (root, _) = for_tests::root("root");
    let mut der = root.der().to_vec();
    let identifier = [0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
    let outer = der.windows(8).rposition(|window| window == identifier).unwrap();
    der[outer + 7] = 3;
    assert!(Certificate::parse(der).is_err());
}

proptest! {
    #[test]
    fn never_panics_on_a_damaged_certificate(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let (root, pair) = for_tests::root("root");
        let mut der = root.der().to_vec();
        for (place, value) in changes {
            let place = place.index(der.len());
            der[place] = value;
        }
        if let Ok(read) = Certificate::parse(der.clone()) {
            read.verify_signed_by(&pair.public);
        }
        der.truncate(cut.index(der.len()));
        prop_assert!(Certificate::parse(der).is_err());
    }
}

#[test]
fn the_end_is_read_of_a_certificate_whose_key_is_refused() {
    let (root, _) = for_tests::root("root");
    let mut der = root.der().to_vec();
    let curve = [0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
    let place = der.windows(8).position(|window| window == curve).unwrap();
    der[place + 7] = 0x80;
    assert!(Certificate::parse(der.clone()).is_err());
    assert_eq!(not_after(&der).unwrap(), root.not_after());
}
