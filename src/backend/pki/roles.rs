//! Roles.
//!
//! The parameters, the answer and what a request changes all follow from the declaration of the
//! fields in `src/ca/role/fields.rs`.

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::{Map, Value};
use std::sync::Arc;

use crate::backend::call::Call;
use crate::backend::call::Fields;
use crate::backend::call::{ListOrJson, Parameter};
use crate::backend::field::{Field, FieldKind};
use crate::backend::response::Response;
use crate::ca::role::{PolicyFields, RoleFields, role_fields};
use crate::engine::Failure;
use crate::engine::pki::Pki;

/// The kind of a request parameter by its word in the declaration.
macro_rules! kind {
    (Policies) => {
        FieldKind::ListOrJson
    };
    ($kind:ident) => {
        FieldKind::$kind
    };
}

macro_rules! role_parameters {
    ($(
        $(#[doc = $help:expr])+
        $field:ident: $type:ty = $default:expr, $kind:ident, $cbor:meta;
    )*) => {
        /// The parameters of a role.
        pub const FIELDS: &[Field] = &[
            $(Field::new(
                stringify!($field),
                kind!($kind),
                concat!($($help),+).trim_ascii(),
            ),)*
            // Some clients send the path of the mount.
            Field::new("backend", FieldKind::String, "Accepted and ignored."),
        ];

        /// Replaces the fields that were sent.
        fn replace_sent(role: &mut RoleFields, sent: &mut Fields) {
            $(if let Some(value) = FieldValue::taken(sent, stringify!($field)) {
                role.$field = value;
            })*
        }

        impl Serialize for RoleAnswer {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let Self(role) = self;
                let mut answer = serializer.serialize_map(None)?;
                $(
                    if stringify!($field) == AFTER_TOKEN_DISPLAYNAME {
                        answer.serialize_entry("allow_token_displayname", &false)?;
                    }
                    answer.serialize_entry(stringify!($field), &role.$field.answered())?;
                )*
                answer.end()
            }
        }
    };
}

role_fields!(role_parameters);

/// Vault answers with `allow_token_displayname`, always false, before this field. No request can
/// set it.
const AFTER_TOKEN_DISPLAYNAME: &str = "allow_wildcard_certificates";

/// A role as Vault answers with it: every field in alphabetical order.
pub struct RoleAnswer(pub RoleFields);

/// A field of a role in requests and answers.
trait FieldValue: Sized {
    /// The value, if the request contains it.
    fn taken(sent: &mut Fields, name: &str) -> Option<Self>;

    /// The value in an answer.
    fn answered(&self) -> impl Serialize;
}

/// Fields whose type is that of a parameter.
macro_rules! plain_value {
    ($($type:ty),*) => {
        $(impl FieldValue for $type {
            fn taken(sent: &mut Fields, name: &str) -> Option<Self> {
                Option::<Self>::read(sent.take(name))
            }

            fn answered(&self) -> impl Serialize {
                self
            }
        })*
    };
}

plain_value!(bool, i64, String, Vec<String>);

impl FieldValue for Vec<PolicyFields> {
    fn taken(sent: &mut Fields, name: &str) -> Option<Self> {
        let ListOrJson(words) = Option::read(sent.take(name))?;
        Some(words.iter().flat_map(|word| policies(word)).collect())
    }

    fn answered(&self) -> impl Serialize {
        self.iter().map(policy_text).collect::<Vec<_>>()
    }
}

pub(super) async fn list(pki: Arc<Pki>, _call: Call) -> Result<Response, Failure> {
    Response::keys(pki.list_roles().await?)
}

/// The name of the path.
fn name(call: &Call) -> String {
    call.captures.get("name").to_owned()
}

pub(super) async fn read(pki: Arc<Pki>, call: Call) -> Result<Response, Failure> {
    Ok(Response::data(RoleAnswer(pki.read_role(&name(&call)).await?)))
}

pub(super) async fn delete(pki: Arc<Pki>, call: Call) -> Result<Response, Failure> {
    pki.delete_role(&name(&call)).await?;
    Ok(Response::done(Vec::new()))
}

/// POST replaces: what is not sent has its default.
pub(super) async fn write(pki: Arc<Pki>, mut call: Call) -> Result<Response, Failure> {
    let role = written(&mut call.fields);
    let (role, warnings) = pki.write_role(&name(&call), role, call.now).await?;
    let answer = RoleAnswer(role.fields().clone());
    Ok(Response::with_warnings(answer, warnings).warned(call.warnings()))
}

/// PATCH keeps what is not sent.
pub(super) async fn patch(pki: Arc<Pki>, call: Call) -> Result<Response, Failure> {
    let change = |role| Ok(patched(role, call.fields.clone()));
    let (role, warnings) = pki.patch_role(&name(&call), change, call.now).await?;
    let answer = RoleAnswer(role.fields().clone());
    Ok(Response::with_warnings(answer, warnings).warned(call.warnings()))
}

/// The fields that were sent, over the defaults. Whether they fit together is checked when the role is
/// compiled.
pub fn written(sent: &mut Fields) -> RoleFields {
    let mut role = RoleFields::unspecified();
    replace_sent(&mut role, sent);
    role
}

/// The fields that were sent, over those of `role`. Whether they fit together is checked when the
/// role is compiled.
pub fn patched(mut role: RoleFields, mut sent: Fields) -> RoleFields {
    // A size that was resolved for one type does not apply to another.
    if sent.has("key_type") && !sent.has("key_bits") {
        role.key_bits = 0;
    }
    replace_sent(&mut role, &mut sent);
    role
}

/// An OID, or a JSON array or object of policies with qualifiers.
fn policies(word: &str) -> Vec<PolicyFields> {
    let plain = || vec![PolicyFields { oid: word.to_owned(), cps: None, notice: None }];
    let text = |object: &Map<String, Value>, name: &str| {
        let value = object.get(name).and_then(Value::as_str).unwrap_or_default();
        (!value.is_empty()).then(|| value.to_owned())
    };
    let one = |value: &Value| {
        let object = value.as_object()?;
        Some(PolicyFields {
            oid: text(object, "oid")?,
            cps: text(object, "cps"),
            notice: text(object, "notice"),
        })
    };
    match serde_json::from_str::<Value>(word) {
        Ok(Value::Array(list)) => {
            list.iter().map(one).collect::<Option<Vec<_>>>().unwrap_or_else(plain)
        }
        Ok(object @ Value::Object(_)) => one(&object).map_or_else(plain, |policy| vec![policy]),
        _ => plain(),
    }
}

/// A policy with its qualifiers, as the text of one entry holds it.
#[derive(Serialize)]
struct QualifiedPolicy<'a> {
    oid: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    cps: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    notice: Option<&'a str>,
}

/// An OID alone, or the text of a JSON object if the policy has qualifiers.
fn policy_text(policy: &PolicyFields) -> String {
    let PolicyFields { oid, cps, notice } = policy;
    if cps.is_none() && notice.is_none() {
        return oid.clone();
    }
    let policy = QualifiedPolicy { oid, cps: cps.as_deref(), notice: notice.as_deref() };
    // Writing to memory does not fail.
    serde_json::to_string(&policy).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Every field of a role, none with its default.
    const SENT: &str = r#"{
        "allow_any_name": true, "allow_backdating": true, "allow_bare_domains": true,
        "allow_glob_domains": true, "allow_globs_in_identity_templates": true,
        "allow_ip_sans": false, "allow_localhost": false, "allow_subdomains": true,
        "allow_wildcard_certificates": false, "allowed_domains": "example.org,*.example.net",
        "allowed_domains_template": true, "allowed_ip_sans_cidr": ["10.0.0.0/8"],
        "allowed_other_sans": "1.3.6.1.4.1.311.20.2.3;UTF8:*", "allowed_serial_numbers": "7*",
        "allowed_uri_sans": "spiffe://example.org/*", "allowed_uri_sans_template": true,
        "allowed_user_ids": "user-*", "backend": "pki", "basic_constraints_valid_for_non_ca": true,
        "client_flag": false, "cn_from_spiffe_path": true, "cn_validations": "disabled",
        "code_signing_flag": true, "country": "DE", "email_protection_flag": true,
        "enforce_hostnames": false, "ext_key_usage": "TimeStamping",
        "ext_key_usage_oids": "1.3.6.1.5.5.7.3.17", "generate_lease": true,
        "issuer_ref": "issuer-a", "key_bits": 384, "key_type": "ec",
        "key_usage": "DigitalSignature", "locality": "Berlin", "max_ttl": "24h", "no_store": true,
        "not_after": "2026-12-31T00:00:00Z", "not_after_bound": "ttl-limited",
        "not_before": "2026-12-01T00:00:00Z", "not_before_bound": "duration",
        "not_before_duration": "1m", "organization": "organization", "ou": "unit",
        "pkcs12_encoder": "legacy",
        "policy_identifiers": "[{\"oid\":\"1.3.6.1.4.1.1.1\"},{\"notice\":\"a \\\"notice\\\"\",\"oid\":\"1.3.6.1.4.1.1.2\",\"cps\":\"https://example.org/cps\"},{\"oid\":\"1.3.6.1.4.1.1.3\",\"notice\":\"only\"}]",
        "postal_code": "10115", "province": "BE", "require_cn": false,
        "serial_number_source": "json", "server_flag": false, "signature_bits": 512,
        "street_address": "Street 1", "ttl": 3600, "use_csr_common_name": false,
        "use_csr_sans": false, "use_pss": true
    }"#;

    const ANSWER: &str = r#"
        {"allow_any_name":true,"allow_backdating":true,"allow_bare_domains":true,
        "allow_glob_domains":true,"allow_globs_in_identity_templates":true,
        "allow_ip_sans":false,"allow_localhost":false,"allow_subdomains":true,
        "allow_token_displayname":false,"allow_wildcard_certificates":false,
        "allowed_domains":["example.org","*.example.net"],"allowed_domains_template":true,
        "allowed_ip_sans_cidr":["10.0.0.0/8"],
        "allowed_other_sans":["1.3.6.1.4.1.311.20.2.3;UTF8:*"],"allowed_serial_numbers":["7*"],
        "allowed_uri_sans":["spiffe://example.org/*"],"allowed_uri_sans_template":true,
        "allowed_user_ids":["user-*"],"basic_constraints_valid_for_non_ca":true,
        "client_flag":false,"cn_from_spiffe_path":true,"cn_validations":["disabled"],
        "code_signing_flag":true,"country":["DE"],"email_protection_flag":true,
        "enforce_hostnames":false,"ext_key_usage":["TimeStamping"],
        "ext_key_usage_oids":["1.3.6.1.5.5.7.3.17"],"generate_lease":true,
        "issuer_ref":"issuer-a","key_bits":384,"key_type":"ec","key_usage":["DigitalSignature"],
        "locality":["Berlin"],"max_ttl":86400,"no_store":true,
        "not_after":"2026-12-31T00:00:00Z","not_after_bound":"ttl-limited",
        "not_before":"2026-12-01T00:00:00Z","not_before_bound":"duration",
        "not_before_duration":60,"organization":["organization"],"ou":["unit"],
        "pkcs12_encoder":"legacy",
        "policy_identifiers":["1.3.6.1.4.1.1.1","{\"oid\":\"1.3.6.1.4.1.1.2\",\"cps\":\"https://example.org/cps\",\"notice\":\"a \\\"notice\\\"\"}","{\"oid\":\"1.3.6.1.4.1.1.3\",\"notice\":\"only\"}"],
        "postal_code":["10115"],"province":["BE"],"require_cn":false,
        "serial_number_source":"json","server_flag":false,"signature_bits":512,
        "street_address":["Street 1"],"ttl":3600,"use_csr_common_name":false,
        "use_csr_sans":false,"use_pss":true}"#;

    const UNSPECIFIED: &str = r#"
        {"allow_any_name":false,"allow_backdating":false,"allow_bare_domains":false,
        "allow_glob_domains":false,"allow_globs_in_identity_templates":false,
        "allow_ip_sans":true,"allow_localhost":true,"allow_subdomains":false,
        "allow_token_displayname":false,"allow_wildcard_certificates":true,"allowed_domains":[],
        "allowed_domains_template":false,"allowed_ip_sans_cidr":[],"allowed_other_sans":[],
        "allowed_serial_numbers":[],"allowed_uri_sans":[],"allowed_uri_sans_template":false,
        "allowed_user_ids":[],"basic_constraints_valid_for_non_ca":false,"client_flag":true,
        "cn_from_spiffe_path":false,"cn_validations":["email","hostname"],
        "code_signing_flag":false,"country":[],"email_protection_flag":false,
        "enforce_hostnames":true,"ext_key_usage":[],"ext_key_usage_oids":[],
        "generate_lease":false,"issuer_ref":"default","key_bits":0,"key_type":"rsa",
        "key_usage":["DigitalSignature","KeyAgreement","KeyEncipherment"],"locality":[],
        "max_ttl":0,"no_store":false,"not_after":"","not_after_bound":"permit","not_before":"",
        "not_before_bound":"permit","not_before_duration":30,"organization":[],"ou":[],
        "pkcs12_encoder":"","policy_identifiers":[],"postal_code":[],"province":[],
        "require_cn":true,"serial_number_source":"json-csr","server_flag":true,
        "signature_bits":0,"street_address":[],"ttl":0,"use_csr_common_name":true,
        "use_csr_sans":true,"use_pss":false}"#;

    /// One line of JSON that is written in several.
    fn joined(lines: &str) -> String {
        lines.lines().map(str::trim_start).collect()
    }

    fn sent(parameters: &str) -> Fields {
        Fields::read(serde_json::from_str(parameters).unwrap(), &["name"], &[FIELDS]).unwrap()
    }

    fn answered(role: RoleFields) -> String {
        serde_json::to_string(&RoleAnswer(role)).unwrap()
    }

    #[test]
    fn a_role_with_every_field_set_is_answered_with_the_same_text() {
        let mut fields = sent(SENT);
        assert_eq!(fields.warnings(), [""; 0]);
        assert_eq!(answered(written(&mut fields)), joined(ANSWER));
        assert_eq!(answered(RoleFields::unspecified()), joined(UNSPECIFIED));
    }

    #[test]
    fn the_role_with_every_field_set_shares_no_field_with_the_default() {
        let (set, unspecified) = (joined(ANSWER), joined(UNSPECIFIED));
        let set: Map<String, Value> = serde_json::from_str(&set).unwrap();
        let unspecified: Map<String, Value> = serde_json::from_str(&unspecified).unwrap();
        let equal: Vec<_> =
            set.iter().filter(|(name, value)| unspecified[*name] == **value).collect();
        assert_eq!(equal, [(&"allow_token_displayname".to_owned(), &json!(false))]);
    }

    #[test]
    fn fields_are_declared_in_alphabetical_order_with_a_sentence_of_help() {
        let declared = FIELDS.iter().filter(|field| field.name != "backend");
        assert!(declared.clone().map(|field| field.name).is_sorted());
        for Field { name, help, .. } in declared {
            let starts = help.starts_with(|first: char| first.is_ascii_uppercase());
            assert!(starts && help.ends_with('.') && !help.contains("  "), "{name}: {help:?}");
        }
    }

    #[test]
    fn a_patch_of_the_key_type_alone_resets_the_size() {
        let size = |parameters| {
            let role = RoleFields { key_bits: 384, ..RoleFields::unspecified() };
            patched(role, sent(parameters)).key_bits
        };
        assert_eq!(size(r#"{"key_type":"rsa"}"#), 0);
        assert_eq!(size(r#"{"key_type":"ec","key_bits":521}"#), 521);
        assert_eq!(size(r#"{"ttl":"1h"}"#), 384);
    }
}
