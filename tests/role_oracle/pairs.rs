//! Random roles and requests that nearly match: the names of a request derive from the entries of
//! its role, with small changes.

use signet::ca::key::{Curve, KeyKind};
use signet::ca::oid::ObjectIdentifier;
use signet::ca::permit::{AlternativeNames, IssuingUrls, OtherName};
use signet::ca::role::{
    CertificateParams, CsrFields, IssuanceLimits, LeafNotAfterBehavior, PolicyFields, RoleFields,
    TtlLimits,
};
use signet::ca::time::Timestamp;

use super::judge::Pair;
use super::near_misses::{DOMAINS, URI_PATTERNS, name, uri};
use super::rng::Rng;

const NOW: i64 = 1_795_348_800;

/// The pair of a seed.
pub(crate) fn pair(seed: u64) -> Pair {
    let mut rng = Rng(seed);
    let now = Timestamp::from_unix(NOW).with_nanoseconds(*rng.pick(&[0, 0, 1, 500_000_000]));
    let bounds = bounds(&mut rng);
    let role = role(&mut rng, &bounds);
    let kind = *rng.pick(&[KeyKind::Rsa(2048), KeyKind::Ec(Curve::P256), KeyKind::Ed25519]);
    let csr = rng.percent(35).then(|| csr(&mut rng, &role));
    let ask = ask(&mut rng, &role, &bounds);
    Pair { role, ask, csr, kind, bounds, now }
}

fn bounds(rng: &mut Rng) -> IssuanceLimits {
    let behaviors =
        [LeafNotAfterBehavior::Err, LeafNotAfterBehavior::Truncate, LeafNotAfterBehavior::Permit];
    let ends = [1_000_000_000, 1_000_000_000, 1_000_000_000, 86_400, 3600, 3599, 60, 0, -1];
    let (default, max) = *rng.pick(&[(3600, 86_400), (3600, 3600), (86_400, 3600), (60, 7200)]);
    IssuanceLimits {
        issuer_end: Timestamp::from_unix(NOW + *rng.pick(&ends)),
        behavior: *rng.pick(&behaviors),
        mount: TtlLimits { default, max },
        urls: IssuingUrls::default(),
    }
}

fn role(rng: &mut Rng, bounds: &IssuanceLimits) -> RoleFields {
    let mut role = RoleFields::unspecified();
    // Most flags are set, so that usually one check at a time fails.
    for flag in
        [&mut role.allow_bare_domains, &mut role.allow_subdomains, &mut role.allow_glob_domains]
    {
        *flag = rng.percent(75);
    }
    role.allow_localhost = rng.percent(50);
    role.allow_any_name = rng.percent(48);
    role.allow_wildcard_certificates = rng.percent(80);
    role.enforce_hostnames = rng.percent(60);
    role.require_cn = rng.percent(12);
    role.allow_ip_sans = rng.percent(85);
    role.use_csr_common_name = rng.percent(70);
    role.use_csr_sans = rng.percent(60);
    role.cn_from_spiffe_path = rng.percent(4);
    role.allowed_domains_template = rng.percent(10);
    role.allowed_uri_sans_template = rng.percent(10);
    role.basic_constraints_valid_for_non_ca = rng.percent(20);
    role.allowed_domains = rng.some(|rng| rng.word(DOMAINS));
    role.allowed_uri_sans = rng.some(|rng| rng.word(URI_PATTERNS));
    names_of_other_kinds(rng, &mut role);
    usages(rng, &mut role);
    validity(rng, &mut role, bounds);
    role
}

fn names_of_other_kinds(rng: &mut Rng, role: &mut RoleFields) {
    if rng.percent(15) {
        let validations: [&[&str]; 6] =
            [&[], &["email"], &["hostname"], &["disabled"], &["disabled"], &["Hostname", "EMAIL"]];
        role.cn_validations =
            rng.pick(&validations).iter().map(|word| (*word).to_owned()).collect();
    }
    if rng.percent(1) {
        role.cn_validations = vec!["email".to_owned(), rng.word(&["email", "disabled", "all"])];
    }
    role.allowed_ip_sans_cidr = rng.rarely(
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
    if rng.percent(2) {
        role.allowed_ip_sans_cidr =
            vec![rng.word(&["10.0.0.0/33", "10.0.0.1", "10.0.0.0/+8", "", "::/129"])];
    }
    role.allowed_other_sans =
        rng.rarely(60, &["1.2.3;UTF8:a*", "1.2.3;utf-8:", "1.2.3;UTF8:*", "2.5.4.3;UTF8:x"]);
    if rng.percent(20) {
        role.allowed_other_sans = vec!["*".to_owned()];
    }
    if rng.percent(1) {
        role.allowed_other_sans.push(rng.word(&["*", "1.2.3", "1.2.3;IA5:x", "x;UTF8:x"]));
    }
    role.allowed_serial_numbers = rng.rarely(70, &["*", "A-*", "7", "", "*-1"]);
    role.allowed_user_ids =
        rng.rarely(70, &["*", "bob", "svc-*", "", "Bob", "*@example.org", "ünal"]);
    role.serial_number_source = rng.word(&["json-csr", "json-csr", "json"]);
}

fn usages(rng: &mut Rng, role: &mut RoleFields) {
    if rng.percent(40) {
        role.key_usage = rng.some(|rng| {
            rng.word(&[
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
        rng.rarely(30, &["Any", "serverauth", " TimeStamping", "OCSPSigning", "x", "IPSECUser"]);
    role.ext_key_usage_oids = rng.rarely(20, &["1.2.3.4", "1.3.6.1.5.5.7.3.1", "2.5.29.37.0"]);
    if rng.percent(1) {
        role.ext_key_usage_oids.push("one".to_owned());
    }
    role.server_flag = rng.percent(70);
    role.client_flag = rng.percent(70);
    role.code_signing_flag = rng.percent(15);
    role.email_protection_flag = rng.percent(15);
    role.key_type = rng.word(&["rsa", "ec", "ec", "ed25519", "any"]);
    if rng.percent(1) {
        (role.key_type, role.key_bits) =
            (rng.word(&["rsa", "ec", "dsa", "any"]), *rng.pick(&[1, 224, 1024, 2048, 255]));
    }
    role.organization = rng.rarely(30, &["A", "B", "A", ""]);
    role.ou = rng.rarely(30, &["A", "B"]);
    if rng.percent(10) {
        role.policy_identifiers =
            vec![PolicyFields { oid: "1.2.3.4".to_owned(), cps: None, notice: None }];
    }
}

const SPANS: &[i64] = &[1, 30, 60, 3599, 3600, 3601, 7200, 86_399, 86_400, 86_401];

fn validity(rng: &mut Rng, role: &mut RoleFields, bounds: &IssuanceLimits) {
    role.max_ttl = if rng.percent(40) { *rng.pick(SPANS) } else { 0 };
    role.ttl = if rng.percent(40) { *rng.pick(SPANS) } else { 0 };
    if role.max_ttl > 0 && !rng.percent(4) {
        role.ttl = role.ttl.min(role.max_ttl);
    }
    role.not_before_duration = *rng.pick(&[30, 30, 0, 1, 3600]);
    role.not_before_bound =
        rng.word(&["permit", "permit", "permit", "duration", "duration", "forbid"]);
    role.allow_backdating = rng.percent(60);
    role.not_after_bound = match rng.below(10) {
        0 => "ttl-limited".to_owned(),
        1 => "forbid".to_owned(),
        2 => instant(rng, role, bounds),
        _ => "permit".to_owned(),
    };
    if rng.percent(5) {
        role.not_before = instant(rng, role, bounds);
    }
    if rng.percent(5) {
        role.not_after = instant(rng, role, bounds);
    }
}

/// A time at or next to a bound, or an invalid one.
fn instant(rng: &mut Rng, role: &RoleFields, bounds: &IssuanceLimits) -> String {
    if rng.percent(8) {
        return rng.word(&[
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
    let at = NOW + *rng.pick(&marks) + *rng.pick(&[-1, 0, 0, 1]);
    let at = Timestamp::from_unix(at).to_string();
    match rng.below(6) {
        0 => at.replace('Z', ".5Z"),
        1 => at.replace('Z', "+00:00"),
        _ => at,
    }
}

fn ask(rng: &mut Rng, role: &RoleFields, bounds: &IssuanceLimits) -> CertificateParams {
    let mut ask =
        CertificateParams { exclude_cn_from_sans: rng.percent(15), ..CertificateParams::default() };
    if rng.percent(60) {
        ask.common_name = name(rng, role);
    }
    if rng.percent(30) {
        let names = rng.some(|rng| name(rng, role));
        ask.alt_names = Some(names.join(if rng.percent(4) { " , " } else { "," }));
    }
    if rng.percent(15) {
        ask.ip_sans = rng.some(|rng| rng.word(ADDRESSES));
    }
    if rng.percent(40) {
        ask.uri_sans = rng.some(|rng| uri(rng, role));
    }
    ask.other_sans = rng.rarely(
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
    ask.user_ids = rng.rarely(8, USER_IDS);
    if rng.percent(6) {
        ask.serial_number = rng.word(&["7", "A-1", "B-1", "a-1", "A-\u{202e}1"]);
    }
    if rng.percent(30) {
        ask.ttl = *rng.pick(SPANS);
    } else if rng.percent(30) {
        ask.not_after = instant(rng, role, bounds);
    }
    if rng.percent(2) {
        (ask.ttl, ask.not_after) = (1, instant(rng, role, bounds));
    }
    if rng.percent(15) {
        ask.not_before = instant(rng, role, bounds);
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

fn csr(rng: &mut Rng, role: &RoleFields) -> CsrFields {
    let common_name = if rng.percent(60) { name(rng, role) } else { String::new() };
    let names = rng.some(|rng| name(rng, role));
    let (email, dns) =
        names.into_iter().filter(|name| name.is_ascii()).partition(|name| name.contains('@'));
    let other = rng.rarely(5, &["abc", "", "x"]);
    let oid = ObjectIdentifier::new_unwrap("1.2.3");
    CsrFields {
        common_name,
        serial_number: if rng.percent(5) { rng.word(&["7", "A-1"]) } else { String::new() },
        user_ids: rng.rarely(5, USER_IDS),
        names: AlternativeNames {
            other: other.into_iter().map(|value| OtherName { oid, value }).collect(),
            dns,
            email,
            ip: rng.rarely(20, &ADDRESSES[..14]).iter().filter_map(|it| it.parse().ok()).collect(),
            // The CSR parser accepts ASCII and valid URIs only.
            uri: if rng.percent(45) {
                let mut uris = rng.some(|rng| uri(rng, role));
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
        has_unreadable_other_name: rng.percent(2),
        has_basic_constraints: rng.percent(10),
    }
}
