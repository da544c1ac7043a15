//! The bytes of stored roles: what an earlier version wrote must load, and be written with the same
//! bytes.

use super::*;

/// A role whose every field differs from its default.
fn every_field_set() -> RoleFields {
    RoleFields {
        issuer_ref: "issuer-a".to_owned(),
        ttl: 3_600,
        max_ttl: 86_400,
        allow_localhost: false,
        allowed_domains: strings(&["example.org", "*.example.net"]),
        allowed_domains_template: true,
        allow_globs_in_identity_templates: true,
        allow_bare_domains: true,
        allow_subdomains: true,
        allow_glob_domains: true,
        allow_wildcard_certificates: false,
        allow_any_name: true,
        enforce_hostnames: false,
        cn_validations: strings(&["disabled"]),
        require_cn: false,
        allow_ip_sans: false,
        allowed_ip_sans_cidr: strings(&["10.0.0.0/8"]),
        allowed_uri_sans: strings(&["spiffe://example.org/*"]),
        allowed_uri_sans_template: true,
        allowed_other_sans: strings(&["1.3.6.1.4.1.311.20.2.3;UTF8:*"]),
        allowed_serial_numbers: strings(&["7*"]),
        allowed_user_ids: strings(&["user-*"]),
        serial_number_source: "json".to_owned(),
        server_flag: false,
        client_flag: false,
        code_signing_flag: true,
        email_protection_flag: true,
        ..fields_from_key_usage_set()
    }
}

/// The second half of them, from CBOR number 27 on.
fn fields_from_key_usage_set() -> RoleFields {
    RoleFields {
        key_usage: strings(&["DigitalSignature"]),
        ext_key_usage: strings(&["TimeStamping"]),
        ext_key_usage_oids: strings(&["1.3.6.1.5.5.7.3.17"]),
        key_type: "ec".to_owned(),
        key_bits: 384,
        signature_bits: 512,
        use_pss: true,
        use_csr_common_name: false,
        use_csr_sans: false,
        ou: strings(&["unit"]),
        organization: strings(&["organization"]),
        country: strings(&["DE"]),
        locality: strings(&["Berlin"]),
        province: strings(&["BE"]),
        street_address: strings(&["Street 1"]),
        postal_code: strings(&["10115"]),
        policy_identifiers: vec![
            PolicyFields { oid: "1.3.6.1.4.1.1.1".to_owned(), cps: None, notice: None },
            PolicyFields {
                oid: "1.3.6.1.4.1.1.2".to_owned(),
                cps: Some("https://example.org/cps".to_owned()),
                notice: Some("a notice".to_owned()),
            },
        ],
        basic_constraints_valid_for_non_ca: true,
        not_before_duration: 60,
        not_before: "2026-12-01T00:00:00Z".to_owned(),
        not_before_bound: "duration".to_owned(),
        not_after: "2026-12-31T00:00:00Z".to_owned(),
        not_after_bound: "ttl-limited".to_owned(),
        generate_lease: true,
        no_store: true,
        cn_from_spiffe_path: true,
        pkcs12_encoder: "legacy".to_owned(),
        allow_backdating: true,
        ..RoleFields::unspecified()
    }
}

const EVERY_FIELD_SET: &str = "b83700686973737565722d6101190e10021a0001518003f404826b6578616d706c652e6f72676d2a2e6578616d70\
    6c652e6e657405f506f507f508f509f50af40bf50cf40d816864697361626c65640ef40ff410816a31302e302e30\
    2e302f381181767370696666653a2f2f6578616d706c652e6f72672f2a12f51381781d312e332e362e312e342e31\
    2e3331312e32302e322e333b555446383a2a148162372a158166757365722d2a16646a736f6e17f41818f41819f5\
    181af5181b81704469676974616c5369676e6174757265181c816c54696d655374616d70696e67181d8172312e33\
    2e362e312e352e352e372e332e3137181e626563181f19018018201902001821f51822f41823f418248164756e69\
    741825816c6f7267616e697a6174696f6e182681624445182781664265726c696e18288162424518298168537472\
    6565742031182a81653130313135182b82a1006f312e332e362e312e342e312e312e31a3006f312e332e362e312e\
    342e312e312e32017768747470733a2f2f6578616d706c652e6f72672f637073026861206e6f74696365182cf518\
    2d183c182e74323032362d31322d30315430303a30303a30305a182f686475726174696f6e183074323032362d31\
    322d33315430303a30303a30305a18316b74746c2d6c696d697465641832f51833f51834f51835666c6567616379\
    1836f5";

const UNSPECIFIED: &str = "b836006764656661756c740100020003f5048005f406f407f408f409f40af50bf40cf50d8265656d61696c68686f\
    73746e616d650ef50ff51080118012f413801480158016686a736f6e2d63737217f51818f51819f4181af4181b83\
    704469676974616c5369676e61747572656c4b657941677265656d656e746f4b6579456e6369706865726d656e74\
    181c80181d80181e63727361181f001820001821f41822f51823f518248018258018268018278018288018298018\
    2a80182b80182cf4182d181e182e60182f667065726d69741830601831667065726d69741832f41833f41834f418\
    3560";

#[test]
fn a_stored_role_loads_and_is_written_with_the_same_bytes() {
    for (role, stored) in
        [(every_field_set(), EVERY_FIELD_SET), (RoleFields::unspecified(), UNSPECIFIED)]
    {
        let bytes = minicbor::to_vec(&role).unwrap();
        assert_eq!(data_encoding::HEXLOWER.encode(&bytes), stored);
        assert_eq!(minicbor::decode::<RoleFields>(&bytes).unwrap(), role);
    }
}
