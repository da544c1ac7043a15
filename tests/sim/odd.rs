//! Roles, requests and issuers of odd shapes. The model does not track their results: each must end
//! in an answer that is not an internal error.

use serde_json::Value;

use crate::steps::{Op, Step};

/// Fields of a role, over `key_type=ed25519` and `require_cn=false`.
const ROLES: &[&str] = &[
    r#"{"allow_any_name":true,"enforce_hostnames":false,"allowed_uri_sans":"*","allowed_other_sans":"*","allowed_serial_numbers":"*","allowed_user_ids":"*"}"#,
    r#"{"allow_any_name":true,"key_usage":[],"ext_key_usage":[],"server_flag":false,"client_flag":false}"#,
    r#"{"allow_any_name":true,"key_usage":["CertSign","CRLSign"]}"#,
    r#"{"allow_any_name":true,"key_usage":["ContentCommitment","EncipherOnly","DecipherOnly","KeyAgreement","nothing"]}"#,
    r#"{"allow_any_name":true,"key_type":"ec","key_bits":384,"key_usage":["KeyEncipherment"],"signature_bits":512}"#,
    r#"{"allow_any_name":true,"key_type":"any","use_pss":true}"#,
    r#"{"allow_any_name":true,"ext_key_usage":["Any","ServerAuth","nothing"],"ext_key_usage_oids":["2.5.29.37.0","1.2.3"]}"#,
    r#"{"allow_any_name":true,"ext_key_usage_oids":["0.0","2.999.1","1.3.6.1.4.1.99999999999999999999"]}"#,
    r#"{"allow_any_name":true,"ext_key_usage_oids":["9.9.9"]}"#,
    r#"{"allow_any_name":true,"policy_identifiers":["1.2.3","1.2.3"]}"#,
    r#"{"allow_any_name":true,"policy_identifiers":"[{\"oid\":\"1.2.3\",\"cps\":\"https://ä.example\",\"notice\":\"\"}]"}"#,
    r#"{"allow_any_name":true,"policy_identifiers":"[{\"oid\":\"1.2.3\",\"notice\":\"a notice that is much longer than the two hundred characters that RFC 5280 allows for the text of a notice, so that a certificate that holds it as it stands is one that strict readers refuse as malformed\"}]"}"#,
    r#"{"allowed_domains":["ex*mple.org","*.example.org","*","","münchen.example"],"allow_glob_domains":true,"allow_bare_domains":true,"allow_subdomains":true}"#,
    r#"{"allowed_domains":["{{identity.entity.name}}.example.org"],"allowed_domains_template":true,"allow_subdomains":true}"#,
    r#"{"allowed_uri_sans":["spiffe://*","*://*","spiffe://example.org/%2e%2e/*",""],"allowed_uri_sans_template":true}"#,
    r#"{"allow_any_name":true,"allowed_other_sans":["1.2.3;UTF8:*","1.2;utf-8:x","x;y"]}"#,
    r#"{"allow_any_name":true,"ttl":"0","max_ttl":"0","not_before_duration":"900000h"}"#,
    r#"{"allow_any_name":true,"ttl":"1h","max_ttl":"2562047h","not_before_duration":"0s"}"#,
    r#"{"allow_any_name":true,"not_after":"9999-12-31T23:59:59Z"}"#,
    r#"{"allow_any_name":true,"not_after":"1949-12-31T23:59:59Z"}"#,
    r#"{"allow_any_name":true,"not_after":"2049-12-31T23:59:60+23:59"}"#,
    r#"{"allow_any_name":true,"basic_constraints_valid_for_non_ca":true}"#,
    r#"{"allow_any_name":true,"country":["DE","Deutschland",""],"organization":["a+b,c=d","ä","\u0000"],"ou":"","postal_code":["12345"],"street_address":"*","locality":" ","province":"'"}"#,
    r#"{"allow_any_name":true,"organization":"a name that is longer than the sixty-four characters that RFC 5280 allows here"}"#,
    r#"{"allow_any_name":true,"cn_validations":["disabled"],"enforce_hostnames":false}"#,
    r#"{"allow_any_name":true,"cn_validations":["email"]}"#,
    r#"{"allow_any_name":true,"cn_validations":["hostname","email","x"]}"#,
    r#"{"allow_any_name":true,"use_csr_common_name":false,"use_csr_sans":false}"#,
    r#"{"allow_any_name":true,"require_cn":true,"no_store":true,"generate_lease":true}"#,
    r#"{"allow_any_name":true,"issuer_ref":"nowhere"}"#,
    r#"{"allow_any_name":true,"issuer_ref":""}"#,
    r#"{"allow_any_name":true,"allowed_serial_numbers":["0*","*"],"allowed_user_ids":["a*"]}"#,
    r#"{"allow_any_name":"maybe","key_bits":-1}"#,
];

/// Parameters of `issue`, and of `sign` where a `csr` is added.
const LEAVES: &[&str] = &[
    r#"{}"#,
    r#"{"common_name":""}"#,
    r#"{"common_name":"a.example.org","exclude_cn_from_sans":true}"#,
    r#"{"common_name":"*"}"#,
    r#"{"common_name":"*.*.example.org"}"#,
    r#"{"common_name":"."}"#,
    r#"{"common_name":"a b"}"#,
    r#"{"common_name":"a\u0000b"}"#,
    r#"{"common_name":"münchen.example.org","alt_names":"ä.example.org"}"#,
    r#"{"common_name":"1.2.3.4","alt_names":"1.2.3.4,::1"}"#,
    r#"{"common_name":"user@example.org","alt_names":"user@example.org,a@b@c,@,user@"}"#,
    r#"{"common_name":"a-name-that-is-longer-than-the-sixty-four-characters-of-rfc-5280.example.org"}"#,
    r#"{"alt_names":",,a.example.org, a.example.org,A.EXAMPLE.ORG,"}"#,
    r#"{"alt_names":"a-label-that-is-longer-than-the-sixty-three-bytes-that-a-label-may-have.example.org"}"#,
    r#"{"uri_sans":"spiffe://example.org/a,spiffe://example.org/b"}"#,
    r#"{"uri_sans":"spiffe://example.org/%41"}"#,
    r#"{"uri_sans":"urn:x,http://[::1,https://a b/,://,x"}"#,
    r#"{"uri_sans":"https://user:word@example.org:99999/?a#b"}"#,
    r#"{"ip_sans":"::ffff:10.1.2.3,0.0.0.0,fe80::1%25eth0"}"#,
    r#"{"ip_sans":"10.1.2.3,10.1.2.3"}"#,
    r#"{"other_sans":"1.2.3;UTF8:x,1.3.6.1.4.1.311.20.2.3;UTF8:a@b"}"#,
    r#"{"other_sans":"0.0;UTF8:,2.999.3;utf8:ä"}"#,
    r#"{"common_name":"a.example.org","ttl":"87600h"}"#,
    r#"{"common_name":"a.example.org","ttl":"1s"}"#,
    r#"{"common_name":"a.example.org","ttl":"-1h"}"#,
    r#"{"common_name":"a.example.org","not_after":"9999-12-31T23:59:59Z"}"#,
    r#"{"common_name":"a.example.org","not_after":"0000-01-01T00:00:00Z"}"#,
    r#"{"common_name":"a.example.org","not_after":"2050-01-01T00:00:00.5+00:01"}"#,
    r#"{"common_name":"a.example.org","serial_number":"01:02","user_ids":"a,b,ä"}"#,
    r#"{"common_name":"a.example.org","format":"pem_bundle","private_key_format":"pkcs8"}"#,
    r#"{"common_name":"a.example.org","format":"der","remove_roots_from_chain":true}"#,
    r#"{"common_name":"a.example.org","format":"nothing"}"#,
    r#"{"common_name":["a","b"],"alt_names":{"a":1},"ttl":[1]}"#,
];

/// Parameters of a signed intermediate.
const AUTHORITIES: &[&str] = &[
    r#"{"common_name":"Odd","max_path_length":0}"#,
    r#"{"common_name":"Odd","max_path_length":-1,"ttl":"1h"}"#,
    r#"{"common_name":"Odd","max_path_length":70000}"#,
    r#"{"common_name":"","use_csr_values":true}"#,
    r#"{"common_name":"Odd","permitted_dns_domains":["example.org",".example.org","","*.a","ä"],"excluded_dns_domains":"a"}"#,
    r#"{"common_name":"Odd","permitted_ip_ranges":"10.0.0.0/8,::/0,10.0.0.1","permitted_email_addresses":"@,a@b,.b","permitted_uri_domains":"a,.b,https://c"}"#,
    r#"{"common_name":"Odd","not_after":"9999-12-31T23:59:59Z"}"#,
    r#"{"common_name":"Odd","not_after":"1949-12-31T23:59:59Z"}"#,
    r#"{"common_name":"Odd","ttl":"9000000h"}"#,
    r#"{"common_name":"Odd\u0000","country":"Deutschland","organization":["a","a"],"serial_number":"ä"}"#,
    r#"{"common_name":"Odd","not_before_duration":"900000h","skid":"zz","signature_bits":512,"use_pss":true}"#,
    r#"{"common_name":"Odd","skid":"00","key_usage":"DigitalSignature,nothing"}"#,
    r#"{"common_name":"Odd","uri_sans":"urn:x,spiffe://example.org","ip_sans":"x","other_sans":"1.2.3;UTF8:x"}"#,
];

/// Fields of an issuer that the model does not track.
const ISSUERS: &[&str] = &[
    r#"{"issuer_name":""}"#,
    r#"{"issuer_name":"default"}"#,
    r#"{"issuer_name":"ä/.."}"#,
    r#"{"manual_chain":["self","self"]}"#,
    r#"{"manual_chain":"nowhere"}"#,
    r#"{"manual_chain":""}"#,
    r#"{"issuing_certificates":["http://a.example/{{issuer_id}}"],"enable_aia_url_templating":true}"#,
    r#"{"issuing_certificates":["http://ä.example","","x"],"enable_aia_url_templating":false}"#,
    r#"{"crl_distribution_points":"ldap://a/b?c,http://a.example/{{cluster_path}}","enable_aia_url_templating":true}"#,
    r#"{"ocsp_servers":"http://a.example,http://a.example","enable_aia_url_templating":false}"#,
    r#"{"revocation_signature_algorithm":"SHA512WithRSA"}"#,
    r#"{"revocation_signature_algorithm":"Ed25519"}"#,
    r#"{"leaf_not_after_behavior":"whatever"}"#,
    r#"{"usage":"nothing"}"#,
];

/// The URLs of a mount for its certificates.
const URLS: &[&str] = &[
    r#"{"issuing_certificates":"http://a.example/ca","crl_distribution_points":"http://a.example/crl","ocsp_servers":"http://a.example/ocsp"}"#,
    r#"{"issuing_certificates":"","crl_distribution_points":[],"ocsp_servers":null}"#,
    r#"{"issuing_certificates":"http://{{issuer_id}}.example/","enable_templating":true}"#,
    r#"{"crl_distribution_points":"{{cluster_aia_path}}/crl","enable_templating":true}"#,
    r#"{"ocsp_servers":"http://{{","enable_templating":true}"#,
    r#"{"issuing_certificates":["ä","http://a b"],"enable_templating":false}"#,
];

/// What has an odd shape; numbers are indexes into the lists above.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Writes the role `odd`.
    Role(u8),
    /// Reads the role, or lists the roles.
    ReadRole(u8),
    /// Issues a certificate under the role.
    Issue(u8),
    /// Signs a CSR under the role: the second number is the CSR's.
    Sign(u8, u8),
    /// Signs the CSR of an intermediate.
    Authority(u8),
    /// Patches an issuer.
    Issuer(u8),
    /// Writes the mount's URLs.
    Urls(u8),
}

/// Every odd role with every odd request; every odd issuer and every odd URL with some of them.
pub(crate) fn all_shapes() -> Vec<Step> {
    let at = |list: &[&str]| 0..u8::try_from(list.len()).unwrap_or(u8::MAX);
    let ask = |shape| Step::Do(Op::Odd { mount: 0, shape, pick: 0 });
    let year = 365 * 24 * 3600;
    let mut steps = vec![
        Step::Do(Op::Enable { mount: 0 }),
        Step::Do(Op::Root { mount: 0, name: 0, same_key: false, ttl: year }),
        Step::Do(Op::Request { mount: 0, name: 0 }),
    ];
    for role in at(ROLES) {
        steps.extend([ask(Shape::Role(role)), ask(Shape::ReadRole(0)), ask(Shape::ReadRole(1))]);
        for leaf in at(LEAVES) {
            steps
                .extend([ask(Shape::Issue(leaf)), ask(Shape::Sign(leaf, leaf.wrapping_add(role)))]);
        }
    }
    steps.push(ask(Shape::Role(0)));
    let changes = at(ISSUERS).map(Shape::Issuer).chain(at(URLS).map(Shape::Urls));
    for change in std::iter::once(Shape::ReadRole(0)).chain(changes) {
        steps.extend([ask(change), ask(Shape::Issue(2)), ask(Shape::Sign(0, 4))]);
        steps.extend(at(AUTHORITIES).map(|shape| ask(Shape::Authority(shape))));
        steps.push(Step::Do(Op::ReadCrl { mount: 0, issuer: Some(0) }));
    }
    steps
}

/// The body at this index of its list, with the defaults of these runs.
pub(crate) fn body(shape: Shape) -> Value {
    let (list, at) = match shape {
        Shape::Role(at) => (ROLES, at),
        Shape::Issue(at) | Shape::Sign(at, _) => (LEAVES, at),
        Shape::Authority(at) => (AUTHORITIES, at),
        Shape::Issuer(at) => (ISSUERS, at),
        Shape::Urls(at) => (URLS, at),
        Shape::ReadRole(_) => return Value::Null,
    };
    let text = list[usize::from(at) % list.len()];
    let mut body: Value = serde_json::from_str(text).expect("the lists above are JSON");
    if let (Shape::Role(_), Some(members)) = (shape, body.as_object_mut()) {
        members.entry("key_type").or_insert("ed25519".into());
        members.entry("require_cn").or_insert(false.into());
    }
    body
}
