//! Checks and resolved values when a role is written.

use super::*;

fn compiled(change: impl FnOnce(&mut RoleFields)) -> (Role, Vec<String>) {
    let mut fields = RoleFields::unspecified();
    change(&mut fields);
    fields.compile("web").unwrap()
}

#[test]
fn no_store_takes_priority_over_a_lease_with_a_warning() {
    for (no_store, lease, kept, warned) in [
        (false, false, false, ""),
        (true, false, false, ""),
        (false, true, true, "encouraged to disable generate_lease"),
        (true, true, false, "no_store=true takes priority"),
    ] {
        let (role, warnings) = compiled(|fields| {
            (fields.no_store, fields.generate_lease) = (no_store, lease);
        });
        assert_eq!(role.fields.generate_lease, kept, "no_store {no_store}, lease {lease}");
        assert_eq!(warnings.len(), usize::from(!warned.is_empty()));
        assert!(warnings.iter().all(|warning| warning.contains(warned)), "{warnings:?}");
    }
}

#[test]
fn a_missing_key_size_is_resolved_and_others_are_kept() {
    for (key_type, given, kept) in [
        ("rsa", 0, 2048),
        ("rsa", 2048, 2048),
        ("rsa", 3072, 3072),
        ("rsa", 4096, 4096),
        ("rsa", 8192, 8192),
        ("ec", 0, 256),
        ("ec", 224, 224),
        ("ec", 256, 256),
        ("ec", 384, 384),
        ("ec", 521, 521),
        ("ed25519", 0, 0),
        ("ed25519", 7, 7),
        ("any", 0, 0),
    ] {
        let (role, _) = compiled(|fields| {
            (fields.key_type, fields.key_bits) = (key_type.to_owned(), given);
        });
        assert_eq!(role.fields.key_bits, kept, "{key_type} {given}");
        let kind = match role.key {
            RoleKey::Any => "any",
            RoleKey::Kind(KeyKind::Rsa(bits)) if i64::from(bits) == kept => "rsa",
            RoleKey::Kind(KeyKind::Ec(curve)) if i64::from(KeyKind::Ec(curve).bits()) == kept => {
                "ec"
            }
            RoleKey::Kind(KeyKind::Ed25519) => "ed25519",
            RoleKey::Kind(other) => panic!("{key_type} {given} became {other:?}"),
        };
        assert_eq!(kind, key_type);
    }
}

#[test]
fn refuses_unsupported_sizes_and_hashes_by_name() {
    for (key_type, bits, text) in [
        ("rsa", 2047, "RSA keys < 2048 bits are unsafe and not supported: got 2047"),
        ("rsa", 2049, "unsupported bit length for RSA key: 2049"),
        ("ec", 255, "unsupported bit length for EC key: 255"),
        ("dsa", 0, "unknown key type dsa"),
    ] {
        assert_eq!(check::key_kind(key_type, bits).unwrap_err().to_string(), text);
    }
    assert_eq!(check::signature_bits(255), Err(check::UnsupportedKey::HashLength(255)));
}

#[test]
fn the_signature_bits_of_a_role_depend_on_its_key_type() {
    for (key_type, given, kept) in [
        ("rsa", 0, 256),
        ("rsa", 384, 384),
        ("rsa", 512, 512),
        ("ed25519", 384, 0),
        ("any", 384, 0),
        ("ec", 384, 384),
    ] {
        let (role, _) = compiled(|fields| {
            (fields.key_type, fields.signature_bits) = (key_type.to_owned(), given);
        });
        assert_eq!(role.fields.signature_bits, kept, "{key_type} {given}");
    }
}

#[test]
fn a_role_keeps_its_policies_and_refuses_invalid_ones() {
    let given = |oid: &str| PolicyFields {
        oid: oid.to_owned(),
        cps: Some("https://example.org/cps".to_owned()),
        notice: Some("read it".to_owned()),
    };
    let (role, _) = compiled(|fields| fields.policy_identifiers = vec![given("1.2.3.4")]);
    let [policy] = role.policies.as_slice() else { panic!("{:?}", role.policies) };
    assert_eq!(policy.oid.to_string(), "1.2.3.4");
    assert_eq!(policy.cps.as_deref(), Some("https://example.org/cps"));
    assert_eq!(policy.notice.as_deref(), Some("read it"));
    let mut fields = RoleFields::unspecified();
    fields.policy_identifiers = vec![given("x.y")];
    let error = fields.compile("web").map(|_| ()).unwrap_err().to_string();
    assert!(error.starts_with("policy identifier \"x.y\""), "{error}");
    assert!(error.contains("parsing \"x\""), "{error}");
    assert!(error.contains("invalid character 'x'"), "{error}");
}

#[test]
fn extended_key_usages_come_from_flags_names_and_oids_only() {
    type Change = fn(&mut RoleFields);
    let flags: [(Change, &str); 6] = [
        (|fields| fields.server_flag = true, "1.3.6.1.5.5.7.3.1"),
        (|fields| fields.client_flag = true, "1.3.6.1.5.5.7.3.2"),
        (|fields| fields.code_signing_flag = true, "1.3.6.1.5.5.7.3.3"),
        (|fields| fields.email_protection_flag = true, "1.3.6.1.5.5.7.3.4"),
        (|fields| fields.ext_key_usage = strings(&[" timestamping "]), "1.3.6.1.5.5.7.3.8"),
        (|fields| fields.ext_key_usage_oids = strings(&["1.2.3.4"]), "1.2.3.4"),
    ];
    for (change, oid) in flags {
        let (role, _) = compiled(|fields| {
            fields.server_flag = false;
            fields.client_flag = false;
            change(fields);
        });
        let found: Vec<_> = role.extended_key_usage.iter().map(ToString::to_string).collect();
        assert_eq!(found, [oid]);
    }
}

#[test]
fn common_names_are_checked_as_email_or_host_name_unless_that_is_disabled() {
    let (role, _) = compiled(|fields| fields.cn_validations = Vec::new());
    assert_eq!(role.fields.cn_validations, ["email", "hostname"]);
    let (role, _) = compiled(|fields| fields.cn_validations = strings(&["Disabled"]));
    assert_eq!(role.fields.cn_validations, ["disabled"]);
    for (given, text) in [
        (["email", "dns"], "unknown type: `dns`"),
        (["email", "EMAIL"], "`email` specified multiple times"),
        (["disabled", "email"], "cannot specify `disabled`"),
        (["hostname", "disabled"], "cannot specify `disabled`"),
    ] {
        let mut fields = RoleFields::unspecified();
        fields.cn_validations = strings(&given);
        let error = fields.compile("web").map(|_| ()).unwrap_err().to_string();
        assert!(error.contains(text), "{error} does not say {text}");
    }
}

#[test]
fn a_range_of_addresses_is_written_as_its_network() {
    for (given, written) in [
        ("10.1.2.3/8", "10.0.0.0/8"),
        ("10.1.2.3/32", "10.1.2.3/32"),
        ("0.0.0.0/0", "0.0.0.0/0"),
        ("2001:db8::1/32", "2001:db8::/32"),
        ("2001:db8::1/128", "2001:db8::1/128"),
        ("::/0", "::/0"),
    ] {
        let (role, _) = compiled(|fields| fields.allowed_ip_sans_cidr = strings(&[given]));
        assert_eq!(role.fields.allowed_ip_sans_cidr, [written]);
    }
}

#[test]
fn refuses_unknown_bounds_sources_and_encoders() {
    type Change = fn(&mut RoleFields);
    let table: [(Change, &str); 5] = [
        (|fields| fields.not_after_bound = "never".to_owned(), "not_after_bound"),
        (|fields| fields.not_before_bound = "never".to_owned(), "not_before_bound"),
        (|fields| fields.serial_number_source = "csr".to_owned(), "serial_number_source: csr"),
        (|fields| fields.pkcs12_encoder = "modern".to_owned(), "pkcs12_encoder modern"),
        (|fields| fields.signature_bits = 255, "255"),
    ];
    for (change, text) in table {
        let mut fields = RoleFields::unspecified();
        change(&mut fields);
        let error = fields.compile("web").map(|_| ()).unwrap_err().to_string();
        assert!(error.contains(text), "{error} does not say {text}");
    }
}

#[test]
fn a_role_that_was_stored_before_a_field_was_added_loads_and_is_written_the_same() {
    let mut fields = RoleFields::unspecified();
    let before = minicbor::to_vec(&fields).unwrap();
    // A map of 54 entries, without the field with the number 54.
    assert_eq!(before[..2], [0xb8, 54]);
    let loaded: RoleFields = minicbor::decode(&before).unwrap();
    assert_eq!(loaded, fields);
    fields.allow_backdating = true;
    let after = minicbor::to_vec(&fields).unwrap();
    assert_eq!(after[..2], [0xb8, 55]);
    assert!(minicbor::decode::<RoleFields>(&after).unwrap().allow_backdating);
}

#[test]
fn a_role_that_could_never_sign_is_refused_when_it_is_written() {
    type Change = fn(&mut RoleFields);
    let limits = TtlLimits { default: 3600, max: 86_400 };
    let accept = |change: Change| {
        let mut fields = RoleFields::unspecified();
        change(&mut fields);
        let accepted = fields.accept("web", limits, Timestamp::from_unix(1_795_348_800));
        accepted.map(|(_, warnings)| warnings).map_err(|error| error.to_string())
    };
    fn policy(cps: &str, notice: &str) -> Vec<PolicyFields> {
        let some = |text: &str| Some(text.to_owned());
        vec![PolicyFields { oid: "1.2.3".to_owned(), cps: some(cps), notice: some(notice) }]
    }
    let refused: [(Change, &str); 9] = [
        (|fields| fields.ou = strings(&["a", "b\0"]), "the ou \"b\\x00\""),
        (|fields| fields.organization = strings(&["a\n"]), "the organization"),
        (|fields| fields.country = strings(&["\u{202e}"]), "the country"),
        (|fields| fields.locality = strings(&["\u{7f}"]), "the locality"),
        (|fields| fields.province = strings(&["\u{85}"]), "the province"),
        (|fields| fields.street_address = strings(&["\r"]), "the street_address"),
        (|fields| fields.postal_code = strings(&["\t1"]), "the postal_code"),
        (|fields| fields.policy_identifiers = policy("http://a/größe", "n"), "policy_identifiers"),
        (|fields| fields.policy_identifiers = policy("http://a/", "a\0"), "the notice of a policy"),
    ];
    for (change, text) in refused {
        let error = accept(change).unwrap_err();
        assert!(error.contains(text), "{error} does not say {text}");
    }
    for usage in ["CertSign", "crlsign"] {
        for pattern in ["spiffe://example.org/*", "SPIFFE://x"] {
            let mut fields = RoleFields::unspecified();
            fields.key_usage = strings(&["DigitalSignature", usage]);
            let (role, _) = fields.clone().accept("web", limits, Timestamp::from_unix(0)).unwrap();
            assert!(!role.key_usage.contains(KeyUsage::KEY_ENCIPHERMENT));
            fields.allowed_uri_sans = strings(&["https://*", pattern]);
            let error = fields.accept("web", limits, Timestamp::from_unix(0)).unwrap_err();
            assert!(error.to_string().contains("key_usage holds CertSign or CRLSign"), "{error}");
        }
    }
    assert_eq!(accept(|_| {}), Ok(Vec::new()));
    let warned: [(Change, &str); 4] = [
        (|fields| fields.not_after = "garbage".to_owned(), "refuses every request"),
        (|fields| fields.not_after = "2020-01-01T00:00:00Z".to_owned(), "refuses every request"),
        (|fields| fields.not_before_duration = 100_000_000_000, "refuses every request"),
        (|fields| fields.allowed_uri_sans = strings(&["*"]), "spiffe://other.example/x"),
    ];
    for (change, text) in warned {
        let warnings = accept(change).unwrap();
        assert!(warnings[0].starts_with("Signet: ") && warnings[0].contains(text), "{warnings:?}");
    }
}
