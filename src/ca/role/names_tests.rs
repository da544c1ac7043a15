//! Names of every kind, from parameters and from CSRs (`docs/dev/vault-pki.md`, "Where names come
//! from", and the sections after it).

use super::*;
use crate::ca::permit::{AlternativeNames, OtherName};
use crate::ca::role::check::key_usages;

/// Signs a CSR with these names.
fn sign(role: &Role, names: AlternativeNames) -> Result<Template, RoleViolation> {
    let csr = CsrFields { common_name: "a.example.org".to_owned(), names, ..CsrFields::default() };
    let permit = role.permit(&CertificateParams::default(), Some(&csr), P256, &limits(), now())?;
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
    let named = |change: fn(&mut CertificateParams)| {
        let mut params = CertificateParams::default();
        change(&mut params);
        params
    };
    for params in [
        named(|params| params.common_name = "a".to_owned()),
        named(|params| params.alt_names = Some("a.example.org".to_owned())),
        named(|params| params.alt_names = Some("me@example.org".to_owned())),
        named(|params| params.uri_sans = strings(&["spiffe://example.org/a"])),
        named(|params| params.uri_sans = strings(&[""])),
        named(|params| params.other_sans = strings(&["1.2.3;UTF8:"])),
        named(|params| params.user_ids = strings(&["bob"])),
        named(|params| params.user_ids = strings(&[""])),
        named(|params| params.serial_number = "7".to_owned()),
    ] {
        assert!(decide(&role, &params).is_err(), "{params:?}");
    }
    assert!(permitted(&role, &CertificateParams::default()).names.is_empty());
}

#[test]
fn one_disallowed_name_among_many_is_found_at_each_position() {
    let role = role(|fields| {
        fields.allowed_ip_sans_cidr = strings(&["10.0.0.0/8"]);
        fields.allowed_user_ids = strings(&["svc-*"]);
        fields.allowed_other_sans = strings(&["1.2.3;UTF8:a*"]);
    });
    // Eight different names: equal ones are removed before they are checked.
    let list = |good: fn(usize) -> String, bad: &str, position: usize| -> Vec<String> {
        (0..8).map(|at| if at == position { bad.to_owned() } else { good(at) }).collect()
    };
    let name = |at: usize| format!("n{at}.example.org");
    let mail = |at: usize| format!("me{at}@b.example.org");
    let uri = |at: usize| format!("spiffe://example.org/{at}");
    let user = |at: usize| format!("svc-{at}");
    let other = |at: usize| format!("1.2.3;UTF8:a{at}");
    for position in 0..=8 {
        let requests = [
            CertificateParams {
                alt_names: Some(list(name, "b.example.com", position).join(",")),
                ..CertificateParams::default()
            },
            CertificateParams {
                alt_names: Some(list(mail, "me@example.com", position).join(",")),
                ..CertificateParams::default()
            },
            CertificateParams {
                uri_sans: list(uri, "urn:x", position),
                ..CertificateParams::default()
            },
            CertificateParams {
                uri_sans: list(uri, "spiffe://example.org/%2e", position),
                ..CertificateParams::default()
            },
            CertificateParams {
                ip_sans: list(|at: usize| format!("10.0.0.{at}"), "11.0.0.1", position),
                ..CertificateParams::default()
            },
            CertificateParams {
                user_ids: list(user, "root", position),
                ..CertificateParams::default()
            },
            CertificateParams {
                other_sans: list(other, "1.2.3;UTF8:b", position),
                ..CertificateParams::default()
            },
        ];
        for params in requests {
            let params = CertificateParams { common_name: "a.example.org".to_owned(), ..params };
            // At position 8 there is no bad name, and all are permitted.
            assert_eq!(decide(&role, &params).is_err(), position < 8, "{position}: {params:?}");
        }
        let names = [
            AlternativeNames { dns: list(name, "b.example.com", position), ..Default::default() },
            AlternativeNames {
                email: list(mail, "me@example.com", position),
                ..Default::default()
            },
            AlternativeNames { uri: list(uri, "urn:x", position), ..Default::default() },
        ];
        for names in names {
            assert_eq!(sign(&role, names.clone()).is_err(), position < 8, "{position}: {names:?}");
        }
    }
}

#[test]
fn a_control_character_is_refused_in_every_name_of_parameters_and_csrs() {
    let role = role(|fields| {
        (fields.allow_any_name, fields.enforce_hostnames) = (true, false);
        fields.allowed_uri_sans = strings(&["*"]);
        fields.allowed_other_sans = strings(&["*"]);
        fields.allowed_user_ids = strings(&["*"]);
        fields.allowed_serial_numbers = strings(&["*"]);
        fields.require_cn = false;
    });
    let none = AlternativeNames::default;
    for odd in ["\0", "\n", "\u{1f}", "\u{7f}", "\u{85}", "\u{2028}", "\u{202e}", "\u{2066}"] {
        let name = format!("evil.com{odd}.example.org");
        let mail = format!("me{odd}@example.org");
        let other = format!("1.3.6.1.4.1.311.20.2.3;UTF8:me{odd}@example.org");
        for params in [
            for_name(&name),
            for_name(&mail),
            CertificateParams { exclude_cn_from_sans: true, ..for_name(&name) },
            CertificateParams {
                alt_names: Some(format!("a.example.org,{name}")),
                ..CertificateParams::default()
            },
            CertificateParams { alt_names: Some(mail.clone()), ..CertificateParams::default() },
            CertificateParams { other_sans: vec![other], ..CertificateParams::default() },
            CertificateParams { serial_number: name.clone(), ..for_name("a.example.org") },
            CertificateParams { user_ids: strings(&["bob", &name]), ..for_name("a.example.org") },
        ] {
            refused(&role, &params, "holds a control character");
        }
        let oid = crate::ca::oid::ObjectIdentifier::new_unwrap("1.2.3");
        let from_csr = |csr: CsrFields| {
            let answer =
                role.permit(&CertificateParams::default(), Some(&csr), P256, &limits(), now());
            let refusal = answer.map(|_| ()).unwrap_err();
            assert!(refusal.text.contains("holds a control character"), "{}", refusal.text);
        };
        let named = |names| CsrFields { names, ..CsrFields::default() };
        from_csr(CsrFields { common_name: name.clone(), ..CsrFields::default() });
        from_csr(CsrFields { serial_number: name.clone(), ..CsrFields::default() });
        from_csr(CsrFields { user_ids: vec![name.clone()], ..CsrFields::default() });
        from_csr(named(AlternativeNames { dns: vec![name.clone()], ..none() }));
        from_csr(named(AlternativeNames { email: vec![mail.clone()], ..none() }));
        let value = format!("me{odd}@example.org");
        from_csr(named(AlternativeNames { other: vec![OtherName { oid, value }], ..none() }));
        let uri = format!("spiffe://example.org/a{odd}");
        assert!(decide(&role, &svid(&uri)).is_err());
    }
    let ours = "Bücher \u{200f}שלום";
    assert!(
        decide(
            &role,
            &CertificateParams { user_ids: strings(&[ours]), ..for_name("a.example.org") }
        )
        .is_ok()
    );
}

#[test]
fn an_address_needs_a_host() {
    let any = role(|fields| fields.allow_any_name = true);
    refused(&any, &for_name("me@"), "common name me@ not allowed");
    let loose = role(|fields| (fields.allow_any_name, fields.enforce_hostnames) = (true, false));
    refused(&loose, &for_name("me@"), "the alternative name \"me@\" is not an e-mail address");
}

#[test]
fn a_range_of_ipv4_may_be_written_in_ipv6() {
    let role =
        role(|fields| fields.allowed_ip_sans_cidr = strings(&["::ffff:10.0.0.0/104", "::/96"]));
    let with = |address: &str| CertificateParams {
        ip_sans: strings(&[address]),
        ..for_name("a.example.org")
    };
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
        fields.allowed_uri_sans = strings(&["*"]);
    });
    let long = format!("spiffe://example.org/{}", "a".repeat(2048 - 20));
    let wide = format!("spiffe://{}/a", "d".repeat(256));
    for uri in [
        "spiffe:a",
        "spiffe:",
        "spiffe:/a",
        "spiffe:a/../b",
        "spiffe:/a/./b",
        "spiffe:a//b",
        "spiffe:a?q",
        "SPIFFE:a/",
        "SPIFFE://example.org/a",
        "Spiffe://example.org/a/..",
        "spiffe://example.org",
        "spiffe://example.org/",
        "spiffe://example.org/a#",
        "spiffe://example.org/a?",
        "spiffe://example.org/a%2F..%2Fb c",
        "spiffe://example.org/team-a/%2e%2e/team-b/api",
        "spiffe://example.org/team-a/..%2fteam-b",
        "spiffe://example.org/team-a/%2F/",
        "spiffe://example.org/x%00y",
        "spiffe://example.org/x%0d%0ay",
        "spiffe://example.org/a b",
        "spiffe://example.org/ü",
        "spiffe://example.org/a:b",
        "spiffe://example.org/a@b",
        "spiffe://example.org/~a",
        "spiffe://example.org/a\\b",
        "spiffe://EXAMPLE.org/a",
        "spiffe://user@example.org/a",
        "spiffe://example.org:8443/a",
        "spiffe:///a",
        &long,
        &wide,
    ] {
        let refusal = decide(&role, &svid(uri)).map(|_| ()).unwrap_err();
        assert!(refusal.text.contains("is not a valid SPIFFE ID"), "{uri}: {}", refusal.text);
        assert!(refusal.text.len() < 600, "{}", refusal.text.len());
        // The same in a CSR, whose parser accepts ASCII only.
        let names = AlternativeNames { uri: strings(&[uri]), ..AlternativeNames::default() };
        assert!(sign(&role, names).is_err(), "{uri}");
        // Also beside a valid ID.
        let both = CertificateParams {
            uri_sans: strings(&["spiffe://example.org/a", uri]),
            ..CertificateParams::default()
        };
        assert!(decide(&role, &both).is_err(), "{uri}");
    }
    let longest = format!("spiffe://example.org/{}", "a".repeat(2048 - 21));
    for uri in ["https://example.org/a/../b?q#f", "urn:a//b", "xspiffe:a", &longest] {
        assert!(decide(&role, &svid(uri)).is_ok(), "{uri}");
    }
    let several = strings(&["spiffe://example.org/a", "spiffe://example.com/b", "urn:x"]);
    assert!(
        decide(&role, &CertificateParams { uri_sans: several, ..CertificateParams::default() })
            .is_ok()
    );
}

#[test]
fn the_patterns_of_the_role_are_checked_before_the_form_of_the_id() {
    let role = role(|fields| fields.require_cn = false);
    refused(&role, &svid("spiffe://other.org/%2e%2e"), "which are not valid for this role");
    refused(&role, &svid("spiffe://example.org/%2e%2e"), "is not a valid SPIFFE ID");
}

#[test]
fn blanks_around_listed_names_are_trimmed() {
    let role = role(|_| {});
    let listed = Some(" a.example.org, b.example.org ,me@c.example.org\t, ,".to_owned());
    let names =
        permitted(&role, &CertificateParams { alt_names: listed, ..for_name("x.example.org") })
            .names;
    assert_eq!(names.dns, ["x.example.org", "a.example.org", "b.example.org"]);
    assert_eq!(names.email, ["me@c.example.org"]);
    // An entry that is not a name is left out, as in Vault, with a warning.
    let odd = CertificateParams {
        alt_names: Some("a b, c.example.org".to_owned()),
        ..for_name("x.example.org")
    };
    let permit = decide(&role, &odd).unwrap();
    assert_eq!(permit.template().names.dns, ["x.example.org", "c.example.org"]);
    assert!(permit.warnings()[0].starts_with("Signet: alt_names: \"a b\""));
}

#[test]
fn a_certificate_without_names_causes_a_warning() {
    let role = role(|fields| fields.require_cn = false);
    let warned = |params: &CertificateParams| !decide(&role, params).unwrap().warnings().is_empty();
    assert!(warned(&CertificateParams::default()));
    assert!(!warned(&svid("spiffe://example.org/a")) && !warned(&for_name("a.example.org")));
}

#[test]
fn a_refusal_names_value_role_and_entries_with_the_command_that_allows_it() {
    let role = role(|fields| {
        fields.require_cn = false;
        fields.allowed_ip_sans_cidr = strings(&["10.0.0.0/8"]);
        fields.allowed_user_ids = strings(&["bob"]);
    });
    let hint =
        |params: &CertificateParams| decide(&role, params).map(|_| ()).unwrap_err().hint.unwrap();
    assert_eq!(
        hint(&svid("spiffe://other.example/payments")),
        "Signet: spiffe://other.example/payments is not among spiffe://example.org/* of role web; to allow it: signet patch {mount}roles/web allowed_uri_sans='spiffe://example.org/*,spiffe://other.example/payments'"
    );
    let odd = hint(&svid("spiffe://other.example/$(reboot)'\n"));
    assert!(!odd.contains("signet patch") && odd.contains("it is not a SPIFFE ID"), "{odd}");
    let long = hint(&svid(&format!("spiffe://other.example/{}", "a".repeat(1000))));
    assert!(!long.contains("signet patch") && long.len() < 400, "{long}");
    let address =
        CertificateParams { ip_sans: strings(&["11.0.0.1"]), ..CertificateParams::default() };
    assert!(hint(&address).ends_with("allowed_ip_sans_cidr='10.0.0.0/8,11.0.0.1/32'"));
    let user = CertificateParams { user_ids: strings(&["eve"]), ..CertificateParams::default() };
    assert!(hint(&user).ends_with("allowed_user_ids='bob,eve'"));
    let name = CertificateParams {
        alt_names: Some("a.example.com".to_owned()),
        ..CertificateParams::default()
    };
    assert!(
        hint(&name)
            .ends_with("allowed_domains='example.org,a.example.com' allow_bare_domains=true")
    );
    let other = CertificateParams {
        other_sans: strings(&["1.2.3;UTF8:a"]),
        ..CertificateParams::default()
    };
    assert!(hint(&other).contains("allowed_other_sans of role web is empty"));
}

#[test]
fn a_uri_of_a_request_is_compared_as_it_will_be_written() {
    let role = |pattern: &str| role(|fields| fields.allowed_uri_sans = strings(&[pattern]));
    let with = |pattern: &str, uri: &str| {
        let names = AlternativeNames { uri: strings(&[uri]), ..AlternativeNames::default() };
        sign(&role(pattern), names).map(|template| template.names.uri)
    };
    let written = ["https://example.org/a%20b"];
    let sent = "HTTPS://example.org/a b";
    assert_eq!(with("https://example.org/a%20b", sent).unwrap(), written);
    assert!(with("HTTPS://example.org/*", sent).is_err());
    assert!(with("*a b", sent).is_err());
    // A parameter is compared as it was sent.
    assert_eq!(
        permitted(
            &role("*a b"),
            &CertificateParams { common_name: "a.example.org".to_owned(), ..svid(sent) }
        )
        .names
        .uri,
        written
    );
}

#[test]
fn an_unknown_usage_is_ignored() {
    let with = |names: &[&str]| {
        let role = role(|fields| fields.key_usage = strings(names));
        permitted(&role, &for_name("a.example.org")).key_usage
    };
    assert_eq!(with(&["nonsense", "NonRepudiation", ""]), KeyUsage::default());
    assert_eq!(with(&[" contentcommitment ", "x"]), KeyUsage::CONTENT_COMMITMENT);
}

#[test]
fn each_usage_sets_the_bit_that_rfc_5280_numbers() {
    let names_in_order = [
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
    for (bit, name) in names_in_order.into_iter().enumerate() {
        assert_eq!(key_usages(&strings(&[name])), KeyUsage(1 << bit), "{name}");
    }
}
