//! The fields of a role, declared once.
//!
//! Each entry gives the help text, the name, the Rust type, the value when nothing was set, the
//! kind of the request parameter and the CBOR attribute of the stored record. The entries are in
//! alphabetical order, which is the order of the JSON answer. A CBOR number is never reused, and
//! a field that is added later has a `skip_if` that keeps its default out of the record: older
//! records then still load.

/// Passes the declaration of every field of a role to the macro `$with`.
macro_rules! role_fields {
    ($with:ident) => {
        $with! {
            /// Allow any common name, DNS name and email address, whatever `allowed_domains`
            /// lists. `enforce_hostnames` still applies.
            allow_any_name: bool = false, Bool, n(11);

            /// Allow a request to set a `not_before` that is earlier than `not_before_duration`
            /// before the time of the request. Specific to Signet.
            allow_backdating: bool = false, Bool, cbor(n(54), skip_if = "is_false");

            /// Allow names that are equal to an entry of `allowed_domains`.
            allow_bare_domains: bool = false, Bool, n(7);

            /// Match an entry of `allowed_domains` that contains `*` as a pattern against the
            /// whole name.
            allow_glob_domains: bool = false, Bool, n(9);

            /// Allow the characters of a pattern in values that fill in an identity template.
            allow_globs_in_identity_templates: bool = false, Bool, n(6);

            /// Allow IP addresses as subject alternative names.
            allow_ip_sans: bool = true, Bool, n(15);

            /// Allow the names `localhost` and `localdomain`, and names below them if
            /// `allow_subdomains` is set.
            allow_localhost: bool = true, Bool, n(3);

            /// Allow names below an entry of `allowed_domains`, and the wildcard name of that
            /// entry.
            allow_subdomains: bool = false, Bool, n(8);

            /// Allow names that contain a wildcard (RFC 9525, section 6.3). If not set, every
            /// such name is refused.
            allow_wildcard_certificates: bool = true, Bool, n(10);

            /// Domains for which certificates are issued. `allow_bare_domains`,
            /// `allow_subdomains` and `allow_glob_domains` decide how a name has to match.
            allowed_domains: Vec<String> = Vec::new(), List, n(4);

            /// Treat the entries of `allowed_domains` as identity templates. Templates are not
            /// filled in yet: an entry is compared as it is written.
            allowed_domains_template: bool = false, Bool, n(5);

            /// Address ranges in CIDR notation. If not empty, every IP address of a request must
            /// be in one of them.
            allowed_ip_sans_cidr: Vec<String> = Vec::new(), List, n(16);

            /// Allowed other names, each as `<oid>;UTF8:<pattern>`. The single entry `*` allows
            /// all of them.
            allowed_other_sans: Vec<String> = Vec::new(), List, n(19);

            /// Patterns for the serial number attribute of the subject. If empty, a request
            /// cannot set it.
            allowed_serial_numbers: Vec<String> = Vec::new(), List, n(20);

            /// Patterns for URI subject alternative names. If empty, none is allowed.
            allowed_uri_sans: Vec<String> = Vec::new(), List, n(17);

            /// Treat the entries of `allowed_uri_sans` as identity templates. Templates are not
            /// filled in yet: an entry is compared as it is written.
            allowed_uri_sans_template: bool = false, Bool, n(18);

            /// Patterns for the user ID attributes of the subject. If empty, a request cannot set
            /// them.
            allowed_user_ids: Vec<String> = Vec::new(), List, n(21);

            /// Add the basic constraints extension to certificates that are not for a CA.
            basic_constraints_valid_for_non_ca: bool = false, Bool, n(44);

            /// Add the extended key usage for TLS clients.
            client_flag: bool = true, Bool, n(24);

            /// Set the common name to the path of the one SPIFFE ID in the certificate, for
            /// services that identify a client by its subject. Specific to Signet.
            cn_from_spiffe_path: bool = false, Bool, n(52);

            /// Forms that the common name may have: `email`, `hostname`, or `disabled` to accept
            /// any text.
            cn_validations: Vec<String> = ["email", "hostname"].map(str::to_owned).to_vec(), List,
                n(13);

            /// Add the extended key usage for code signing.
            code_signing_flag: bool = false, Bool, n(25);

            /// Country attributes of the subject.
            country: Vec<String> = Vec::new(), List, n(38);

            /// Add the extended key usage for email protection.
            email_protection_flag: bool = false, Bool, n(26);

            /// Require that common names, DNS names and the domains of email addresses are valid
            /// host names.
            enforce_hostnames: bool = true, Bool, n(12);

            /// Extended key usages by name, such as `ServerAuth` or `TimeStamping`. A name that is
            /// not known is ignored with a warning.
            ext_key_usage: Vec<String> = Vec::new(), List, n(28);

            /// Extended key usages by object identifier.
            ext_key_usage_oids: Vec<String> = Vec::new(), List, n(29);

            /// Stored and returned for compatibility. Certificates get no lease.
            generate_lease: bool = false, Bool, n(50);

            /// Name or identifier of the issuer that signs certificates of this role.
            issuer_ref: String = "default".to_owned(), String, n(0);

            /// Size of the key: 2048, 3072, 4096 or 8192 for `rsa`; 224, 256, 384 or 521 for `ec`.
            /// 0 selects the default of the type, 2048 or 256.
            key_bits: i64 = 0, Integer, n(31);

            /// Type of the key: `rsa`, `ec`, `ed25519`, or `any` to accept every type in a
            /// certificate signing request.
            key_type: String = "rsa".to_owned(), String, n(30);

            /// Key usages by name, such as `DigitalSignature` (RFC 5280, section 4.2.1.3). A name
            /// that is not known is ignored with a warning.
            key_usage: Vec<String> =
                ["DigitalSignature", "KeyAgreement", "KeyEncipherment"].map(str::to_owned).to_vec(),
                List, n(27);

            /// Locality attributes of the subject.
            locality: Vec<String> = Vec::new(), List, n(39);

            /// Longest validity of a certificate. 0 selects the maximum of the mount.
            max_ttl: i64 = 0, Seconds, n(2);

            /// Do not store issued certificates. They cannot be read, listed or revoked by serial
            /// number.
            no_store: bool = false, Bool, n(51);

            /// End of the validity of every certificate, as an RFC 3339 time. If empty, the end
            /// follows from the request and from `ttl`.
            not_after: String = String::new(), String, n(48);

            /// Limit for `not_after` in a request: `permit` allows any time, `ttl-limited` allows
            /// times within the TTL, `forbid` allows none, and an RFC 3339 time is the last time
            /// allowed.
            not_after_bound: String = "permit".to_owned(), String, n(49);

            /// Start of the validity of every certificate, as an RFC 3339 time. If empty, the
            /// start follows from the request and from `not_before_duration`.
            not_before: String = String::new(), String, n(46);

            /// Limit for `not_before` in a request: `permit` and `duration` allow times that are
            /// not earlier than `not_before_duration` ago, `forbid` allows none. With `permit`,
            /// `allow_backdating` removes the limit.
            not_before_bound: String = "permit".to_owned(), String, n(47);

            /// How long before the time of the request the validity starts. It compensates for
            /// clocks that differ. 0 selects 30 seconds.
            not_before_duration: i64 = 30, Seconds, n(45);

            /// Organization attributes of the subject.
            organization: Vec<String> = Vec::new(), List, n(37);

            /// Organizational unit attributes of the subject.
            ou: Vec<String> = Vec::new(), List, n(36);

            /// Encoder of PKCS#12 key stores if a request names none: `auto`, `modern2026`,
            /// `modern2023` or `legacy`. If empty, `auto` applies. Specific to Signet.
            pkcs12_encoder: String = String::new(), String, n(53);

            /// Certificate policies: object identifiers, or JSON objects with `oid`, `cps` and
            /// `notice`.
            policy_identifiers: Vec<PolicyFields> = Vec::new(), Policies, n(43);

            /// Postal code attributes of the subject.
            postal_code: Vec<String> = Vec::new(), List, n(42);

            /// State or province attributes of the subject.
            province: Vec<String> = Vec::new(), List, n(40);

            /// Refuse requests without a common name.
            require_cn: bool = true, Bool, n(14);

            /// Where the serial number attribute of the subject comes from: `json-csr` takes it
            /// from the request, else from the certificate signing request; `json` takes it from
            /// the request only.
            serial_number_source: String = "json-csr".to_owned(), String, n(22);

            /// Add the extended key usage for TLS servers.
            server_flag: bool = true, Bool, n(23);

            /// Size of the hash in RSA signatures: 256, 384 or 512. 0 selects 256.
            signature_bits: i64 = 0, Integer, n(32);

            /// Street address attributes of the subject.
            street_address: Vec<String> = Vec::new(), List, n(41);

            /// Validity of a certificate if the request sets none. 0 selects the default of the
            /// mount.
            ttl: i64 = 0, Seconds, n(1);

            /// Take the common name from the certificate signing request.
            use_csr_common_name: bool = true, Bool, n(34);

            /// Take the subject alternative names from the certificate signing request.
            use_csr_sans: bool = true, Bool, n(35);

            /// Sign with RSASSA-PSS if the issuer has an RSA key.
            use_pss: bool = false, Bool, n(33);
        }
    };
}

pub(crate) use role_fields;
