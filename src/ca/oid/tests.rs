use proptest::prelude::*;

use super::*;

/// The AD CS template OID of a public report, the arc for examples, a UUID, and the edges of X.660.
const VALID: [&str; 14] = [
    "1.3.6.1.4.1.311.21.8.3719450.11115469.11946914.3506198.8878958.75.1492336001.1138714952",
    "2.999.1",
    "2.999",
    "2.25.329800735698586629295641978511506172918",
    "0.0",
    "0.39",
    "1.0",
    "1.39.1",
    "2.0",
    "2.39",
    "2.40",
    "2.47.1",
    "2.48",
    "1.2.4294967295.4294967296.18446744073709551616.340282366920938463463374607431768211456",
];

/// A second implementation, for arcs of at most 120 bits: by arithmetic alone.
fn encoded(arcs: &[u128]) -> Vec<u8> {
    let mut content = Vec::new();
    let first = arcs[0] * 40 + arcs[1];
    for arc in std::iter::once(first).chain(arcs[2..].iter().copied()) {
        let mut groups = 1;
        while arc >> (7 * groups) > 0 {
            groups += 1;
        }
        for group in (0..groups).rev() {
            let more = if group > 0 { 0x80 } else { 0 };
            content.push(u8::try_from(arc >> (7 * group) & 0x7f).unwrap() | more);
        }
    }
    content
}

fn dotted(arcs: &[u128]) -> String {
    arcs.iter().map(u128::to_string).collect::<Vec<_>>().join(".")
}

#[test]
fn every_oid_of_x660_round_trips() {
    for text in VALID {
        let oid = ObjectIdentifier::new(text).unwrap();
        assert_eq!(oid.to_string(), text);
        assert_eq!(ObjectIdentifier::from_bytes(oid.as_bytes()), Ok(oid), "{text}");
    }
    let longest = format!("2.0{}", ".1".repeat(126));
    assert_eq!(ObjectIdentifier::new(&longest).unwrap().to_string(), longest);
    let largest = format!("2.25.{}", "9".repeat(264));
    assert_eq!(ObjectIdentifier::new(&largest).unwrap().to_string(), largest);
    assert_eq!(ObjectIdentifier::new("01.002.03").unwrap().to_string(), "1.2.3");
}

#[test]
fn invalid_oids_are_refused_with_the_reason() {
    let refused = |text: &str| ObjectIdentifier::new(text).unwrap_err();
    for text in ["", ".", "1.", "1..2", ".1.2", "bogus", "1.2.x", "1.-2", "1.2 ", "+1.2", "1,2"] {
        assert!(matches!(refused(text), OidError::NotANumber(_)), "{text:?}");
    }
    assert_eq!(refused("1"), OidError::OneArc);
    assert_eq!(refused("3.1"), OidError::FirstArc);
    assert_eq!(refused("0.40"), OidError::SecondArc);
    assert_eq!(refused("1.100.1"), OidError::SecondArc);
    assert_eq!(refused(&format!("2.0{}", ".1".repeat(127))), OidError::TooLong);
    assert_eq!(refused(&format!("2.25.{}", "9".repeat(1_000_000))), OidError::TooLong);
    for content in [&[][..], &[0x80, 1], &[0x2a, 0x80, 1], &[0x2a, 0x86], &[0x86, 0x80]] {
        assert_eq!(ObjectIdentifier::from_bytes(content), Err(OidError::Encoding), "{content:?}");
    }
    assert_eq!(ObjectIdentifier::from_bytes(&[1; 128]), Err(OidError::TooLong));
}

#[test]
fn arcs_above_31_bits_are_detected() {
    let small = |text: &str| ObjectIdentifier::new(text).unwrap().has_small_arcs();
    assert!(small(VALID[0]) && small("1.2.2147483647") && small("2.2147483567"));
    assert!(!small("1.2.2147483648") && !small("2.2147483568") && !small(VALID[3]));
}

proptest! {
    #[test]
    fn text_and_der_agree_with_a_second_implementation(
        first in 0_u128..3,
        second in prop_oneof![0_u128..40, 0_u128..1000, 0..1_u128 << 100],
        rest in prop::collection::vec(prop_oneof![0_u128..300, 0..1_u128 << 119], 0..7),
    ) {
        let second = if first < 2 { second % 40 } else { second };
        let arcs: Vec<u128> = [first, second].into_iter().chain(rest).collect();
        let (text, content) = (dotted(&arcs), encoded(&arcs));
        let oid = ObjectIdentifier::new(&text).unwrap();
        prop_assert_eq!(oid.as_bytes(), &content[..]);
        prop_assert_eq!(oid.to_string(), text);
        prop_assert_eq!(ObjectIdentifier::from_bytes(&content), Ok(oid));
    }

    #[test]
    fn encoded_oids_round_trip_through_text(
        content in prop::collection::vec(any::<u8>(), 0..130)
    ) {
        if let Ok(oid) = ObjectIdentifier::from_bytes(&content) {
            prop_assert_eq!(oid.as_bytes(), &content[..]);
            prop_assert_eq!(ObjectIdentifier::new(&oid.to_string()), Ok(oid));
        }
    }

    #[test]
    fn const_oid_encodes_the_same_text_alike(text in "[0-2](\\.[0-9]{1,10}){1,8}") {
        if let Ok(known) = const_oid::ObjectIdentifier::new(&text) {
            let oid = ObjectIdentifier::new(&text).unwrap();
            prop_assert_eq!(oid.as_bytes(), known.as_bytes());
        }
    }
}
