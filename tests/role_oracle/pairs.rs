//! Random roles and requests that nearly fit each other: the request's names are made from the
//! role's own entries and then bent a little.

use signet::ca::key::{Curve, KeyKind};
use signet::ca::oid::ObjectIdentifier;
use signet::ca::permit::{AlternativeNames, IssuingUrls, OtherName};
use signet::ca::role::{
    CertificateParams, CsrFields, IssuanceLimits, LeafNotAfterBehavior, PolicyFields, RoleFields,
    TtlLimits,
};
use signet::ca::time::Timestamp;

use super::bent::{DOMAINS, URI_PATTERNS, name, uri};
use super::dice::Dice;
use super::judge::Pair;

const NOW: i64 = 1_795_348_800;

/// The pair of a seed.
pub(crate) fn pair(seed: u64) -> Pair {
    let mut dice = Dice(seed);
    let now = Timestamp::from_unix(NOW).with_nanoseconds(*dice.pick(&[0, 0, 1, 500_000_000]));
    let bounds = bounds(&mut dice);
    let role = role(&mut dice, &bounds);
    let kind = *dice.pick(&[KeyKind::Rsa(2048), KeyKind::Ec(Curve::P256), KeyKind::Ed25519]);
    let csr = dice.percent(35).then(|| csr(&mut dice, &role));
    let ask = ask(&mut dice, &role, &bounds);
    Pair { role, ask, csr, kind, bounds, now }
}

fn bounds(dice: &mut Dice) -> IssuanceLimits {
    let behaviors =
        [LeafNotAfterBehavior::Err, LeafNotAfterBehavior::Truncate, LeafNotAfterBehavior::Permit];
    let ends = [1_000_000_000, 1_000_000_000, 1_000_000_000, 86_400, 3600, 3599, 60, 0, -1];
    let (default, max) = *dice.pick(&[(3600, 86_400), (3600, 3600), (86_400, 3600), (60, 7200)]);
    IssuanceLimits {
        issuer_end: Timestamp::from_unix(NOW + *dice.pick(&ends)),
        behavior: *dice.pick(&behaviors),
        mount: TtlLimits { default, max },
        urls: IssuingUrls::default(),
    }
}

fn role(dice: &mut Dice, bounds: &IssuanceLimits) -> RoleFields {
    let mut role = RoleFields::unspecified();
    // Most switches are on, so that one thing at a time is in the way.
    for switch in
        [&mut role.allow_bare_domains, &mut role.allow_subdomains, &mut role.allow_glob_domains]
    {
        *switch = dice.percent(75);
    }
    role.allow_localhost = dice.percent(50);
    role.allow_any_name = dice.percent(48);
    role.allow_wildcard_certificates = dice.percent(80);
    role.enforce_hostnames = dice.percent(60);
    role.require_cn = dice.percent(12);
    role.allow_ip_sans = dice.percent(85);
    role.use_csr_common_name = dice.percent(70);
    role.use_csr_sans = dice.percent(60);
    role.cn_from_spiffe_path = dice.percent(4);
    role.allowed_domains_template = dice.percent(10);
    role.allowed_uri_sans_template = dice.percent(10);
    role.basic_constraints_valid_for_non_ca = dice.percent(20);
    role.allowed_domains = dice.some(|dice| dice.word(DOMAINS));
    role.allowed_uri_sans = dice.some(|dice| dice.word(URI_PATTERNS));
    names_of_other_kinds(dice, &mut role);
    usages(dice, &mut role);
    validity(dice, &mut role, bounds);
    role
}

fn names_of_other_kinds(dice: &mut Dice, role: &mut RoleFields) {
    if dice.percent(15) {
        let validations: [&[&str]; 6] =
            [&[], &["email"], &["hostname"], &["disabled"], &["disabled"], &["Hostname", "EMAIL"]];
        role.cn_validations =
            dice.pick(&validations).iter().map(|word| (*word).to_owned()).collect();
    }
    if dice.percent(1) {
        role.cn_validations = vec!["email".to_owned(), dice.word(&["email", "disabled", "all"])];
    }
    role.allowed_ip_sans_cidr = dice.rarely(
        40,
        &[
            "10.0.0.0/8",
            "10.1.2.3/8",
            "192.0.2.7/32",
            "0.0.0.0/0",
            "::/0",
            "fd00::/8",
            "10.0.0.0/31",
            "::ffff:10.0.0.0/104",
            "::ffff:0:0/96",
        ],
    );
    if dice.percent(2) {
        role.allowed_ip_sans_cidr =
            vec![dice.word(&["10.0.0.0/33", "10.0.0.1", "10.0.0.0/+8", "", "::/129"])];
    }
    role.allowed_other_sans =
        dice.rarely(60, &["1.2.3;UTF8:a*", "1.2.3;utf-8:", "1.2.3;UTF8:*", "2.5.4.3;UTF8:x"]);
    if dice.percent(20) {
        role.allowed_other_sans = vec!["*".to_owned()];
    }
    if dice.percent(1) {
        role.allowed_other_sans.push(dice.word(&["*", "1.2.3", "1.2.3;IA5:x", "x;UTF8:x"]));
    }
    role.allowed_serial_numbers = dice.rarely(70, &["*", "A-*", "7", "", "*-1"]);
    role.allowed_user_ids =
        dice.rarely(70, &["*", "bob", "svc-*", "", "Bob", "*@example.org", "ünal"]);
    role.serial_number_source = dice.word(&["json-csr", "json-csr", "json"]);
}

fn usages(dice: &mut Dice, role: &mut RoleFields) {
    if dice.percent(40) {
        role.key_usage = dice.some(|dice| {
            dice.word(&[
                "DigitalSignature",
                "keyencipherment",
                " KeyAgreement ",
                "CertSign",
                "CRLSign",
                "ContentCommitment",
                "NonRepudiation",
                "nothing",
                "DataEncipherment",
                "EncipherOnly",
                "DecipherOnly",
                "",
            ])
        });
    }
    role.ext_key_usage =
        dice.rarely(30, &["Any", "serverauth", " TimeStamping", "OCSPSigning", "x", "IPSECUser"]);
    role.ext_key_usage_oids = dice.rarely(20, &["1.2.3.4", "1.3.6.1.5.5.7.3.1", "2.5.29.37.0"]);
    if dice.percent(1) {
        role.ext_key_usage_oids.push("one".to_owned());
    }
    role.server_flag = dice.percent(70);
    role.client_flag = dice.percent(70);
    role.code_signing_flag = dice.percent(15);
    role.email_protection_flag = dice.percent(15);
    role.key_type = dice.word(&["rsa", "ec", "ec", "ed25519", "any"]);
    if dice.percent(1) {
        (role.key_type, role.key_bits) =
            (dice.word(&["rsa", "ec", "dsa", "any"]), *dice.pick(&[1, 224, 1024, 2048, 255]));
    }
    role.organization = dice.rarely(30, &["A", "B", "A", ""]);
    role.ou = dice.rarely(30, &["A", "B"]);
    if dice.percent(10) {
        role.policy_identifiers =
            vec![PolicyFields { oid: "1.2.3.4".to_owned(), cps: None, notice: None }];
    }
}

const SPANS: &[i64] = &[1, 30, 60, 3599, 3600, 3601, 7200, 86_399, 86_400, 86_401];

fn validity(dice: &mut Dice, role: &mut RoleFields, bounds: &IssuanceLimits) {
    role.max_ttl = if dice.percent(40) { *dice.pick(SPANS) } else { 0 };
    role.ttl = if dice.percent(40) { *dice.pick(SPANS) } else { 0 };
    if role.max_ttl > 0 && !dice.percent(4) {
        role.ttl = role.ttl.min(role.max_ttl);
    }
    role.not_before_duration = *dice.pick(&[30, 30, 0, 1, 3600]);
    role.not_before_bound =
        dice.word(&["permit", "permit", "permit", "duration", "duration", "forbid"]);
    role.allow_backdating = dice.percent(60);
    role.not_after_bound = match dice.below(10) {
        0 => "ttl-limited".to_owned(),
        1 => "forbid".to_owned(),
        2 => instant(dice, role, bounds),
        _ => "permit".to_owned(),
    };
    if dice.percent(5) {
        role.not_before = instant(dice, role, bounds);
    }
    if dice.percent(5) {
        role.not_after = instant(dice, role, bounds);
    }
}

/// A time at or beside a bound, or one that is none.
fn instant(dice: &mut Dice, role: &RoleFields, bounds: &IssuanceLimits) -> String {
    if dice.percent(8) {
        return dice.word(&[
            "garbage",
            "2030-01-01",
            "2026-12-31T23:59:60Z",
            "2099-01-01T00:00:00Z",
            "9999-12-31T23:59:59Z",
            "2020-01-01T00:00:00Z",
            "2030-01-01t00:00:00z",
            "2030-02-29T00:00:00Z",
            "2030-01-01T00:00:00+02:00",
            "2030-01-01T00:00:00.5Z",
            "2030-01-01 00:00:00Z",
            "2030-01-01T24:00:00Z",
            "1949-12-31T23:59:59Z",
        ]);
    }
    let backdate = role.not_before_duration;
    let marks = [
        bounds.issuer_end.unix() - NOW,
        role.max_ttl,
        role.ttl,
        bounds.mount.max,
        bounds.mount.default,
        -backdate,
        -30,
        0,
        600,
    ];
    let at = NOW + *dice.pick(&marks) + *dice.pick(&[-1, 0, 0, 1]);
    let at = Timestamp::from_unix(at).to_string();
    match dice.below(6) {
        0 => at.replace('Z', ".5Z"),
        1 => at.replace('Z', "+00:00"),
        _ => at,
    }
}

fn ask(dice: &mut Dice, role: &RoleFields, bounds: &IssuanceLimits) -> CertificateParams {
    let mut ask = CertificateParams {
        exclude_cn_from_sans: dice.percent(15),
        ..CertificateParams::default()
    };
    if dice.percent(60) {
        ask.common_name = name(dice, role);
    }
    if dice.percent(30) {
        let names = dice.some(|dice| name(dice, role));
        ask.alt_names = Some(names.join(if dice.percent(4) { " , " } else { "," }));
    }
    if dice.percent(15) {
        ask.ip_sans = dice.some(|dice| dice.word(ADDRESSES));
    }
    if dice.percent(40) {
        ask.uri_sans = dice.some(|dice| uri(dice, role));
    }
    ask.other_sans = dice.rarely(
        7,
        &[
            "1.2.3;UTF8:abc",
            "1.2.3;UTF8:",
            "1.2.4;UTF8:a",
            "1.2.3;IA5:a",
            "1.2.3",
            "1.2.3;UTF8",
            "x;UTF8:a",
            "1.2.3;utf-8:a;b:c",
            "1.2.3;UTF8:a\u{85}",
        ],
    );
    ask.user_ids = dice.rarely(8, USER_IDS);
    if dice.percent(6) {
        ask.serial_number = dice.word(&["7", "A-1", "B-1", "a-1", "A-\u{202e}1"]);
    }
    if dice.percent(30) {
        ask.ttl = *dice.pick(SPANS);
    } else if dice.percent(30) {
        ask.not_after = instant(dice, role, bounds);
    }
    if dice.percent(2) {
        (ask.ttl, ask.not_after) = (1, instant(dice, role, bounds));
    }
    if dice.percent(15) {
        ask.not_before = instant(dice, role, bounds);
    }
    ask
}

const USER_IDS: &[&str] =
    &["bo\0b", "bob", "BOB", "bobby", "svc-1", "SVC-1", "svc-", "", "me@example.org", "Ünal"];

const ADDRESSES: &[&str] = &[
    "10.0.0.1",
    "10.0.0.1",
    "10.255.255.255",
    "11.0.0.0",
    "9.255.255.255",
    "192.0.2.7",
    "192.0.2.6",
    "::1",
    "fd00::1",
    "fe80::1",
    "::ffff:10.0.0.1",
    "::ffff:11.0.0.1",
    "::10.0.0.1",
    "0.0.0.0",
    "010.0.0.1",
    "fe80::1%eth0",
    "10.0.0",
    "::",
];

fn csr(dice: &mut Dice, role: &RoleFields) -> CsrFields {
    let common_name = if dice.percent(60) { name(dice, role) } else { String::new() };
    let names = dice.some(|dice| name(dice, role));
    let (email, dns) =
        names.into_iter().filter(|name| name.is_ascii()).partition(|name| name.contains('@'));
    let other = dice.rarely(5, &["abc", "", "x"]);
    let oid = ObjectIdentifier::new_unwrap("1.2.3");
    CsrFields {
        common_name,
        serial_number: if dice.percent(5) { dice.word(&["7", "A-1"]) } else { String::new() },
        user_ids: dice.rarely(5, USER_IDS),
        names: AlternativeNames {
            other: other.into_iter().map(|value| OtherName { oid, value }).collect(),
            dns,
            email,
            ip: dice.rarely(20, &ADDRESSES[..14]).iter().filter_map(|it| it.parse().ok()).collect(),
            // The reader of requests passes on ASCII only, and no URI that is none.
            uri: if dice.percent(45) {
                let mut uris = dice.some(|dice| uri(dice, role));
                uris.retain(|it| {
                    it.is_ascii()
                        && super::uris::written(it)
                            .is_some_and(|it| super::uris::has_readable_host(&it))
                });
                uris
            } else {
                Vec::new()
            },
        },
        has_unreadable_other_name: dice.percent(2),
        has_basic_constraints: dice.percent(10),
    }
}
