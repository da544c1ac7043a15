use proptest::prelude::*;

use super::*;
use crate::ca::for_tests::{self, Pair};

#[test]
fn a_composed_certificate_reads_back() {
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
fn refuses_trailing_and_missing_bytes() {
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
        for (index, value) in changes {
            let index = index.index(der.len());
            der[index] = value;
        }
        if let Ok(read) = Certificate::parse(der.clone()) {
            read.verify_signed_by(&pair.public);
        }
        der.truncate(cut.index(der.len()));
        prop_assert!(Certificate::parse(der).is_err());
    }
}

#[test]
fn not_after_is_read_from_a_certificate_whose_key_is_refused() {
    let (root, _) = for_tests::root("root");
    let mut der = root.der().to_vec();
    let curve = [0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
    let index = der.windows(8).position(|window| window == curve).unwrap();
    der[index + 7] = 0x80;
    assert!(Certificate::parse(der.clone()).is_err());
    assert_eq!(not_after(&der).unwrap(), root.not_after());
}
