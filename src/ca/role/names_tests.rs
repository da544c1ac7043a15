//! Names of every kind, by every way in which they come (pki-api 15.2, 15.3, 15.6).

use super::*;
use crate::ca::permit::AlternativeNames;
use crate::ca::role::check::key_usages;

/// A request for signature with these names, under a role that takes them.
fn sign(role: &Role, names: AlternativeNames) -> Result<Template, Refusal> {
    let csr = CsrFacts { common_name: "a.example.org".to_owned(), names, ..CsrFacts::default() };
    let permit = role.permit(&Ask::default(), Some(&csr), P256, &bounds(), now())?;
    Ok(permit.template().clone())
}

#[test]
fn an_empty_list_allows_nothing() {
    let role = role(|fields| {
        fields.allowed_domains.clear();
        fields.allowed_uri_sans.clear();
        (fields.allow_localhost, fields.require_cn) = (false, false);
        (fields.allow_bare_domains, fields.allow_glob_domains) = (true, true);
    });
    let named = |change: fn(&mut Ask)| {
        let mut ask = Ask::default();
        change(&mut ask);
        ask
    };
    for ask in [
        named(|ask| ask.common_name = "a".to_owned()),
        named(|ask| ask.alt_names = Some("a.example.org".to_owned())),
        named(|ask| ask.alt_names = Some("me@example.org".to_owned())),
        named(|ask| ask.uri_sans = words(&["spiffe://example.org/a"])),
        named(|ask| ask.uri_sans = words(&[""])),
        named(|ask| ask.other_sans = words(&["1.2.3;UTF8:"])),
        named(|ask| ask.user_ids = words(&["bob"])),
        named(|ask| ask.user_ids = words(&[""])),
        named(|ask| ask.serial_number = "7".to_owned()),
    ] {
        assert!(decide(&role, &ask).is_err(), "{ask:?}");
    }
    assert!(permitted(&role, &Ask::default()).names.is_empty());
}

#[test]
fn one_bad_name_among_many_is_found_in_each_place() {
    let role = role(|fields| fields.allowed_ip_sans_cidr = words(&["10.0.0.0/8"]));
    let list = |good: &str, bad: &str, place: usize| {
        let mut list = vec![good.to_owned(); 8];
        list[place] = bad.to_owned();
        list
    };
    for place in 0..8 {
        let names = list("b.example.org", "b.example.com", place).join(",");
        let mails = list("me@b.example.org", "me@example.com", place).join(",");
        let asks = [
            Ask { alt_names: Some(names), ..ask("a.example.org") },
            Ask { alt_names: Some(mails), ..ask("a.example.org") },
            Ask {
                uri_sans: list("spiffe://example.org/a", "urn:x", place),
                ..ask("a.example.org")
            },
            Ask { ip_sans: list("10.0.0.1", "11.0.0.1", place), ..ask("a.example.org") },
        ];
        for ask in asks {
            assert!(decide(&role, &ask).is_err(), "{place}: {ask:?}");
        }
    }
}

#[test]
fn an_address_with_a_control_character_is_refused_from_a_request_too() {
    let role = role(|_| {});
    let with = |address: &str| {
        sign(&role, AlternativeNames { email: words(&[address]), ..AlternativeNames::default() })
    };
    assert!(with("me@b.example.org").is_ok());
    for address in ["me\0@b.example.org", "a\nb@b.example.org", "\u{7f}@b.example.org"] {
        let refusal = with(address).map(|_| ()).unwrap_err();
        assert!(refusal.text.contains("control character"), "{}", refusal.text);
    }
}

#[test]
fn an_address_needs_a_host() {
    let any = role(|fields| fields.allow_any_name = true);
    refused(&any, &ask("me@"), "common name me@ not allowed");
    let loose = role(|fields| (fields.allow_any_name, fields.enforce_hostnames) = (true, false));
    assert!(decide(&loose, &ask("me@")).is_ok());
}

#[test]
fn a_range_of_ipv4_may_be_written_in_ipv6() {
    let role =
        role(|fields| fields.allowed_ip_sans_cidr = words(&["::ffff:10.0.0.0/104", "::/96"]));
    let with = |address: &str| Ask { ip_sans: words(&[address]), ..ask("a.example.org") };
    for inside in ["10.1.2.3", "::ffff:10.1.2.3", "::10.1.2.3"] {
        assert!(decide(&role, &with(inside)).is_ok(), "{inside}");
    }
    for outside in ["11.0.0.1", "::ffff:11.0.0.1", "fd00::1"] {
        refused(&role, &with(outside), "is not allowed in this role");
    }
}

#[test]
fn what_the_scheme_spiffe_forbids_is_refused_in_every_spelling() {
    let role = role(|fields| {
        fields.require_cn = false;
        fields.allowed_uri_sans = words(&["*"]);
    });
    for uri in [
        "spiffe:a/../b",
        "spiffe:/a/./b",
        "spiffe:a//b",
        "spiffe:a?q",
        "SPIFFE:a/",
        "SPIFFE://example.org/a/..",
        "spiffe://example.org/a#",
        "spiffe://example.org/a?",
        "spiffe://example.org/a%2F..%2Fb c",
    ] {
        let refusal = decide(&role, &svid(uri)).map(|_| ()).unwrap_err();
        assert!(refusal.text.contains("is not a valid SPIFFE ID"), "{uri}: {}", refusal.text);
    }
    for uri in ["https://example.org/a/../b?q#f", "spiffe:a", "spiffe://example.org", "urn:a//b"] {
        assert!(decide(&role, &svid(uri)).is_ok(), "{uri}");
    }
}

#[test]
fn a_uri_of_a_request_is_compared_as_it_will_be_written() {
    let role = |pattern: &str| role(|fields| fields.allowed_uri_sans = words(&[pattern]));
    let with = |pattern: &str, uri: &str| {
        let names = AlternativeNames { uri: words(&[uri]), ..AlternativeNames::default() };
        sign(&role(pattern), names).map(|template| template.names.uri)
    };
    let written = ["spiffe://example.org/a%20b"];
    let sent = "SPIFFE://example.org/a b";
    assert_eq!(with("spiffe://example.org/a%20b", sent).unwrap(), written);
    assert!(with("SPIFFE://example.org/*", sent).is_err());
    assert!(with("*a b", sent).is_err());
    // Through the API the text counts as it was sent.
    assert_eq!(
        permitted(&role("*a b"), &Ask { common_name: "a.example.org".to_owned(), ..svid(sent) })
            .names
            .uri,
        written
    );
}

#[test]
fn an_unknown_usage_is_passed_over() {
    let with = |names: &[&str]| {
        let role = role(|fields| fields.key_usage = words(names));
        permitted(&role, &ask("a.example.org")).key_usage
    };
    assert_eq!(with(&["nonsense", "NonRepudiation", ""]), KeyUsage::default());
    assert_eq!(with(&[" contentcommitment ", "x"]), KeyUsage::CONTENT_COMMITMENT);
}

#[test]
fn each_usage_sets_the_bit_that_rfc_5280_numbers() {
    let words_in_order = [
        "DigitalSignature",
        "ContentCommitment",
        "KeyEncipherment",
        "DataEncipherment",
        "KeyAgreement",
        "CertSign",
        "CRLSign",
        "EncipherOnly",
        "DecipherOnly",
    ];
    for (bit, word) in words_in_order.into_iter().enumerate() {
        assert_eq!(key_usages(&words(&[word])), KeyUsage(1 << bit), "{word}");
    }
}
