use super::*;
use crate::ca::key::Curve;
use crate::ca::permit::{BasicConstraints, IssuingUrls, Permit, SubjectName, Template};
use crate::ca::time::Timestamp;

#[path = "check_tests.rs"]
mod check_tests;
#[path = "names_tests.rs"]
mod names_tests;
#[path = "record_tests.rs"]
mod record_tests;
#[path = "validity_tests.rs"]
mod validity_tests;

const NOW: i64 = 1_795_348_800;
const P256: KeyKind = KeyKind::Ec(Curve::P256);

fn now() -> Timestamp {
    Timestamp::from_unix(NOW)
}

fn limits() -> IssuanceLimits {
    IssuanceLimits {
        issuer_end: Timestamp::from_unix(NOW + 1000 * 86_400),
        behavior: LeafNotAfterBehavior::Err,
        mount: TtlLimits { default: 3600, max: 86_400 },
        urls: IssuingUrls::default(),
    }
}

/// A role that allows `*.example.org` and SPIFFE IDs of one trust domain, changed by `change`.
fn role(change: impl FnOnce(&mut RoleFields)) -> Role {
    let mut fields = RoleFields {
        allowed_domains: strings(&["example.org"]),
        allow_subdomains: true,
        allowed_uri_sans: strings(&["spiffe://example.org/*"]),
        key_type: "ec".to_owned(),
        ..RoleFields::unspecified()
    };
    change(&mut fields);
    fields.compile("web").unwrap().0
}

fn strings(list: &[&str]) -> Vec<String> {
    list.iter().map(|word| (*word).to_owned()).collect()
}

fn for_name(common_name: &str) -> CertificateParams {
    CertificateParams { common_name: common_name.to_owned(), ..CertificateParams::default() }
}

fn svid(uri: &str) -> CertificateParams {
    CertificateParams { uri_sans: strings(&[uri]), ..CertificateParams::default() }
}

fn decide(role: &Role, params: &CertificateParams) -> Result<Permit, RoleViolation> {
    role.permit(params, None, P256, &limits(), now())
}

fn permitted(role: &Role, params: &CertificateParams) -> Template {
    decide(role, params).unwrap().template().clone()
}

#[track_caller]
fn refused(role: &Role, params: &CertificateParams, text: &str) {
    let refusal = decide(role, params).map(|_| ()).unwrap_err();
    assert!(refusal.text.contains(text), "{:?} does not say {text:?}", refusal.text);
}

fn common_name(template: &Template) -> &str {
    match &template.subject {
        SubjectName::Composed(subject) => &subject.common_name,
        SubjectName::Verbatim(_) => panic!("a role composes its subjects"),
    }
}

#[test]
fn refuses_names_outside_its_domains() {
    let role = role(|_| {});
    for name in ["a.example.org", "a.b.example.org", "*.example.org", "localhost"] {
        assert!(decide(&role, &for_name(name)).is_ok(), "{name}");
    }
    for name in [
        "example.org",
        "example.com",
        "aexample.org",
        "a.example.org.evil.com",
        "example.org.",
        ".example.org",
        "a..example.org",
        "a_b\u{0}.example.org",
        "*.*.example.org",
        "a.*.example.org",
        "x@example.org@example.org",
        "a b.example.org",
    ] {
        assert!(decide(&role, &for_name(name)).is_err(), "{name}");
    }
}

#[test]
fn each_kind_of_match_has_its_own_setting() {
    let bare = role(|fields| {
        fields.allow_subdomains = false;
        fields.allow_bare_domains = true;
    });
    assert!(decide(&bare, &for_name("EXAMPLE.org")).is_ok());
    refused(&bare, &for_name("a.example.org"), "common name a.example.org not allowed");
    let globs = role(|fields| {
        fields.allow_subdomains = false;
        fields.allow_glob_domains = true;
        fields.allowed_domains = strings(&["web-*.example.org"]);
    });
    assert!(decide(&globs, &for_name("web-1.example.org")).is_ok());
    refused(&globs, &for_name("db-1.example.org"), "not allowed");
    let plain = role(|fields| fields.allow_wildcard_certificates = false);
    refused(&plain, &for_name("*.example.org"), "not allowed");
    let remote = role(|fields| fields.allow_localhost = false);
    refused(&remote, &for_name("localhost"), "not allowed");
    let nothing = role(|fields| fields.allowed_domains = strings(&[""]));
    refused(&nothing, &for_name("a.example.org"), "not allowed");
}

#[test]
fn alternative_names_follow_the_rules_of_the_common_name() {
    let role = role(|_| {});
    let with = |names: &str| CertificateParams {
        alt_names: Some(names.to_owned()),
        ..for_name("a.example.org")
    };
    assert_eq!(
        permitted(&role, &with("b.example.org,c.example.org,b.example.org")).names.dns,
        ["a.example.org", "b.example.org", "c.example.org"]
    );
    refused(&role, &with("b.example.com"), "subject alternate name b.example.com not allowed");
    refused(&role, &with("me@example.com"), "email address me@example.com not allowed");
}

#[test]
fn a_common_name_that_stays_out_of_the_sans_is_still_checked() {
    let role = role(|_| {});
    let hidden = |name| CertificateParams { exclude_cn_from_sans: true, ..for_name(name) };
    assert!(permitted(&role, &hidden("a.example.org")).names.is_empty());
    refused(&role, &hidden("evil.com"), "common name evil.com not allowed");
}

#[test]
fn the_first_check_that_fails_is_reported() {
    // The first request breaks every rule; each correction shows the next one.
    let role = role(|_| {});
    let mut wrong = CertificateParams {
        common_name: String::new(),
        alt_names: Some("evil.com".to_owned()),
        ip_sans: strings(&["no address"]),
        uri_sans: strings(&["spiffe://evil.com/x"]),
        other_sans: strings(&["1.2.3;UTF8:x"]),
        user_ids: strings(&["root"]),
        serial_number: "7".to_owned(),
        ttl: 0,
        not_after: "yesterday".to_owned(),
        ..CertificateParams::default()
    };
    refused(&role, &wrong, "the common_name field is required");
    wrong.common_name = "evil.com".to_owned();
    refused(&role, &wrong, "common name evil.com");
    wrong.common_name = "a.example.org".to_owned();
    refused(&role, &wrong, "serial_number 7 not allowed");
    wrong.serial_number.clear();
    refused(&role, &wrong, "subject alternate name evil.com");
    wrong.alt_names = None;
    refused(&role, &wrong, "other SAN OID 1.2.3 not allowed");
    wrong.other_sans.clear();
    refused(&role, &wrong, "no address");
    wrong.ip_sans.clear();
    refused(&role, &wrong, "which are not valid for this role");
    wrong.uri_sans.clear();
    refused(&role, &wrong, "yesterday");
    wrong.not_after.clear();
    refused(&role, &wrong, "user_id root is not allowed");
    wrong.user_ids.clear();
    assert!(decide(&role, &wrong).is_ok());
}

#[test]
fn ip_addresses_need_the_setting_and_one_of_the_ranges() {
    let with = |address: &str| CertificateParams {
        ip_sans: strings(&[address]),
        ..for_name("a.example.org")
    };
    let none = role(|fields| fields.allow_ip_sans = false);
    refused(&none, &with("10.0.0.1"), "IP Subject Alternative Names are not allowed");
    let ranges = role(|fields| {
        fields.allowed_ip_sans_cidr = strings(&["10.1.2.3/8", "fd00::/8", "192.0.2.7/32"]);
    });
    for inside in ["10.255.255.255", "fd12::1", "192.0.2.7"] {
        assert!(decide(&ranges, &with(inside)).is_ok(), "{inside}");
    }
    for outside in ["11.0.0.1", "9.255.255.255", "fe00::1", "192.0.2.8", "::ffff:11.0.0.1", "::"] {
        refused(&ranges, &with(outside), "is not allowed in this role");
    }
}

#[test]
fn refuses_an_invalid_address_range() {
    for range in ["10.0.0.0", "10.0.0.0/33", "10.0.0.0/+8", "::/129", "a/8", "10.0.0.0/-1", "/", ""]
    {
        let fields =
            RoleFields { allowed_ip_sans_cidr: strings(&[range]), ..RoleFields::unspecified() };
        let error = fields.compile("web").unwrap_err();
        assert!(format!("{error:?}").contains("invalid CIDR address"), "{range}: {error:?}");
    }
}

#[test]
fn every_uri_san_must_match_a_pattern() {
    let role = role(|fields| fields.require_cn = false);
    assert!(decide(&role, &svid("spiffe://example.org/a")).is_ok());
    for uri in [
        "spiffe://example.com/a",
        "spiffe://example.org",
        "spiffe://example.org.evil.com/a",
        "https://example.org/a",
        " spiffe://example.org/a",
    ] {
        refused(&role, &svid(uri), "which are not valid for this role");
    }
    let two = CertificateParams {
        uri_sans: strings(&["spiffe://example.org/a", "urn:x"]),
        ..CertificateParams::default()
    };
    refused(&role, &two, "which are not valid for this role");
    for path in ["a/../b", "a//b", "a/", "", "a?q", "a#f", "a/./b"] {
        let uri = format!("spiffe://example.org/{path}");
        assert!(decide(&role, &svid(&uri)).is_err(), "{uri}");
    }
}

#[test]
fn refuses_uri_sans_where_none_is_allowed() {
    let role = role(|fields| fields.allowed_uri_sans.clear());
    let with = CertificateParams {
        uri_sans: strings(&["spiffe://example.org/a"]),
        ..for_name("a.example.org")
    };
    refused(&role, &with, "URI Subject Alternative Names are not allowed in this role");
}

#[test]
fn other_sans_need_their_type_and_their_value() {
    let with =
        |san: &str| CertificateParams { other_sans: strings(&[san]), ..for_name("a.example.org") };
    let role = role(|fields| fields.allowed_other_sans = strings(&["1.2.3;UTF8:a*"]));
    assert!(decide(&role, &with("1.2.3;utf-8:abc")).is_ok());
    refused(&role, &with("1.2.4;UTF8:a"), "other SAN OID 1.2.4 not allowed");
    refused(&role, &with("1.2.3;UTF8:b"), "other SAN b not allowed for OID 1.2.3");
    refused(&role, &with("1.2.3"), "expected a semicolon");
    refused(&role, &with("1.2.3;UTF8"), "expected a colon");
    refused(&role, &with("1.2.3;IA5:a"), "only utf8 other SANs are supported");
    refused(&role, &with("one;UTF8:a"), "could not parse");
}

#[test]
fn patterns_match_whole_user_ids_and_serial_numbers() {
    let role = role(|fields| {
        fields.allowed_user_ids = strings(&["bob", "svc-*"]);
        fields.allowed_serial_numbers = strings(&["A-*"]);
    });
    let user =
        |id: &str| CertificateParams { user_ids: strings(&[id]), ..for_name("a.example.org") };
    assert!(decide(&role, &user("BOB")).is_ok());
    assert!(decide(&role, &user("svc-1")).is_ok());
    refused(&role, &user("bobby"), "user_id bobby is not allowed");
    refused(&role, &user("xsvc-1"), "user_id xsvc-1 is not allowed");
    let serial = |text: &str| CertificateParams {
        serial_number: text.to_owned(),
        ..for_name("a.example.org")
    };
    assert!(decide(&role, &serial("A-1")).is_ok());
    refused(&role, &serial("B-1"), "serial_number B-1 not allowed");
}

#[test]
fn the_path_of_a_spiffe_id_becomes_the_common_name() {
    let role = role(|fields| fields.cn_from_spiffe_path = true);
    let template = permitted(&role, &svid("spiffe://example.org/kafka/orders"));
    assert_eq!(common_name(&template), "kafka/orders");
    assert!(template.names.dns.is_empty(), "a path is not a DNS name");
    let same = CertificateParams {
        common_name: "kafka/orders".to_owned(),
        ..svid("spiffe://example.org/kafka/orders")
    };
    assert!(decide(&role, &same).is_ok());
}

#[test]
fn refuses_a_common_name_that_is_not_the_path() {
    let role = role(|fields| fields.cn_from_spiffe_path = true);
    let other = CertificateParams {
        common_name: "a.example.org".to_owned(),
        ..svid("spiffe://example.org/a")
    };
    refused(&role, &other, "common name a.example.org not allowed by this role");
    refused(&role, &for_name("a.example.org"), "exactly one URI SAN");
    let two = strings(&["spiffe://example.org/a", "spiffe://example.org/b"]);
    refused(
        &role,
        &CertificateParams { uri_sans: two, ..CertificateParams::default() },
        "exactly one URI SAN",
    );
}

#[test]
fn a_path_of_up_to_64_characters_becomes_the_common_name() {
    let role = role(|fields| fields.cn_from_spiffe_path = true);
    let uri = |length: usize| svid(&format!("spiffe://example.org/{}", "p".repeat(length)));
    assert_eq!(common_name(&permitted(&role, &uri(64))).len(), 64);
    refused(&role, &uri(65), "longer than the 64 characters");
}

#[test]
fn the_refusal_of_a_common_name_has_the_command_that_allows_it() {
    let role = role(|_| {});
    let hint_for = |name: &str, uri: &str| {
        let params = CertificateParams { common_name: name.to_owned(), ..svid(uri) };
        decide(&role, &params).map(|_| ()).unwrap_err().hint
    };
    let hint = hint_for("payments-api", "spiffe://example.org/payments/api").unwrap();
    assert!(hint.contains("roles/web allowed_domains=example.org,payments-api"), "{hint}");
    // No command if the SPIFFE ID is not allowed, or if a shell would interpret the name.
    assert_eq!(hint_for("payments-api", "spiffe://example.com/x"), None);
    assert_eq!(hint_for("$(reboot)", "spiffe://example.org/x"), None);
    assert_eq!(hint_for("a b", "spiffe://example.org/x"), None);
}

#[test]
fn key_encipherment_is_set_for_rsa_keys_only() {
    let role = role(|_| {});
    let usage = |kind| {
        let permit = role.permit(&for_name("a.example.org"), None, kind, &limits(), now()).unwrap();
        permit.template().key_usage
    };
    assert!(usage(KeyKind::Rsa(2048)).contains(KeyUsage::KEY_ENCIPHERMENT));
    for kind in [P256, KeyKind::Ed25519] {
        let usage = usage(kind);
        assert!(!usage.contains(KeyUsage::KEY_ENCIPHERMENT), "{kind:?}");
        assert!(usage.contains(KeyUsage::DIGITAL_SIGNATURE), "{kind:?}");
    }
}

#[test]
fn a_leaf_with_a_spiffe_id_has_basic_constraints() {
    let role = role(|fields| fields.require_cn = false);
    let template = permitted(&role, &svid("spiffe://example.org/a"));
    assert_eq!(template.basic_constraints, BasicConstraints::EndEntity);
    let template = permitted(&role, &for_name("a.example.org"));
    assert_eq!(template.basic_constraints, BasicConstraints::Absent);
}

#[test]
fn a_ttl_above_the_maximum_is_shortened_with_a_warning() {
    let role = role(|fields| fields.max_ttl = 7200);
    let long = CertificateParams { ttl: 9000, ..for_name("a.example.org") };
    let permit = decide(&role, &long).unwrap();
    assert_eq!(permit.template().not_after.unix(), NOW + 7200);
    assert_eq!(permit.warnings().len(), 1, "{:?}", permit.warnings());
    let exact =
        decide(&role, &CertificateParams { ttl: 7200, ..for_name("a.example.org") }).unwrap();
    assert!(exact.warnings().is_empty());
}

#[test]
fn max_ttl_limits_not_after_too() {
    let role = role(|fields| fields.max_ttl = 7200);
    let until =
        |text: &str| CertificateParams { not_after: text.to_owned(), ..for_name("a.example.org") };
    let far = decide(&role, &until("2099-01-01T00:00:00Z"));
    if let Ok(permit) = far {
        assert!(permit.template().not_after.unix() <= NOW + 7200, "{:?}", permit.template());
    }
    let near = decide(&role, &until("2026-11-22T13:00:00Z")).unwrap();
    assert_eq!(near.template().not_after.unix(), NOW + 3600);
}

#[test]
fn leaf_not_after_behavior_applies_to_an_end_after_the_issuers() {
    let role = role(|_| {});
    let short = |behavior| {
        let limits =
            IssuanceLimits { issuer_end: Timestamp::from_unix(NOW + 60), behavior, ..limits() };
        role.permit(&for_name("a.example.org"), None, P256, &limits, now())
            .map(|permit| permit.template().not_after.unix())
    };
    let refusal = short(LeafNotAfterBehavior::Err).unwrap_err();
    assert!(refusal.text.contains("beyond the expiration"), "{}", refusal.text);
    assert_eq!(short(LeafNotAfterBehavior::Truncate), Ok(NOW + 60));
    assert_eq!(short(LeafNotAfterBehavior::Permit), Ok(NOW + 3600));
}

#[test]
fn refuses_an_end_before_the_start() {
    let role = role(|_| {});
    let past = CertificateParams {
        not_after: "2020-01-01T00:00:00Z".to_owned(),
        ..for_name("a.example.org")
    };
    assert!(decide(&role, &past).is_err());
}

#[test]
fn refuses_roles_that_contradict_themselves() {
    type Change = fn(&mut RoleFields);
    let table: [(Change, &str); 7] = [
        (|fields| (fields.ttl, fields.max_ttl) = (2, 1), "must be less than"),
        (|fields| fields.key_type = "dsa".to_owned(), "unknown key type dsa"),
        (|fields| (fields.key_type, fields.key_bits) = ("ec".to_owned(), 255), "255"),
        (|fields| (fields.key_type, fields.key_bits) = ("rsa".to_owned(), 1024), "1024"),
        (|fields| fields.ext_key_usage_oids = strings(&["one"]), "one"),
        (|fields| fields.allowed_other_sans = strings(&["1.2.3"]), "semicolon"),
        (|fields| fields.cn_validations = strings(&["anything"]), "cn_validations"),
    ];
    for (change, text) in table {
        let mut fields = RoleFields::unspecified();
        change(&mut fields);
        let error = fields.compile("web").map(|_| ()).unwrap_err();
        assert!(error.to_string().contains(text), "{error} does not say {text}");
    }
}

#[test]
fn a_role_keeps_its_name_and_its_ttl_may_equal_the_maximum() {
    let mut fields = RoleFields::unspecified();
    (fields.ttl, fields.max_ttl) = (3600, 3600);
    assert_eq!(fields.clone().compile("web").unwrap().0.name(), "web");
    // Without a maximum, that of the mount applies.
    fields.max_ttl = 0;
    assert_eq!(fields.compile("web").unwrap().0.name(), "web");
}

#[test]
fn names_of_a_csr_are_used_only_if_the_role_says_so() {
    let csr = CsrFields {
        common_name: "a.example.org".to_owned(),
        names: crate::ca::permit::AlternativeNames {
            dns: strings(&["evil.com"]),
            ..Default::default()
        },
        ..CsrFields::default()
    };
    let decide =
        |role: &Role| role.permit(&for_name("b.example.org"), Some(&csr), P256, &limits(), now());
    let refusal = decide(&role(|_| {})).map(|_| ()).unwrap_err();
    assert!(refusal.text.contains("evil.com"), "{}", refusal.text);
    let own = role(|fields| {
        fields.use_csr_sans = false;
        fields.use_csr_common_name = false;
    });
    let permit = decide(&own).unwrap();
    assert_eq!(permit.template().names.dns, ["b.example.org"]);
    assert_eq!(common_name(permit.template()), "b.example.org");
}

#[test]
fn a_parameter_that_the_csr_overrides_causes_a_warning() {
    let plain = CsrFields { common_name: "a.example.org".to_owned(), ..CsrFields::default() };
    let constrained = CsrFields { has_basic_constraints: true, ..plain.clone() };
    let warnings = |role: &Role, params: &CertificateParams, csr: Option<&CsrFields>| {
        role.permit(params, csr, P256, &limits(), now()).unwrap().warnings().len()
    };
    let from_csr = role(|fields| fields.basic_constraints_valid_for_non_ca = true);
    let named = CertificateParams {
        alt_names: Some("a.example.org".to_owned()),
        ..for_name("a.example.org")
    };
    assert_eq!(warnings(&from_csr, &named, Some(&constrained)), 2, "common_name and alt_names");
    assert_eq!(warnings(&from_csr, &named, None), 0, "there is no CSR");
    assert_eq!(
        warnings(&from_csr, &CertificateParams::default(), Some(&constrained)),
        0,
        "no parameter was sent"
    );
    let own = role(|fields| {
        fields.use_csr_common_name = false;
        fields.use_csr_sans = false;
    });
    assert_eq!(warnings(&own, &named, Some(&plain)), 0, "the role does not use the CSR");
    assert_eq!(warnings(&own, &named, Some(&constrained)), 1, "its basic constraints are ignored");
}
