//! Roles as JSON (pki-api chapter 3).

use serde_json::{Map, Value, json};

use crate::ca::role::{PolicyFields, RoleFields};
use crate::engine::Failure;
use crate::engine::pki::Pki;
use crate::http::call::{Call, Operation};
use crate::http::fields::{FieldError, Fields, Kind, Schema};
use crate::http::reply::Reply;

const SCHEMA: Schema = &[
    ("issuer_ref", Kind::Text),
    ("ttl", Kind::Seconds),
    ("max_ttl", Kind::Seconds),
    ("allow_localhost", Kind::Flag),
    ("allowed_domains", Kind::Words),
    ("allowed_domains_template", Kind::Flag),
    ("allow_globs_in_identity_templates", Kind::Flag),
    ("allow_bare_domains", Kind::Flag),
    ("allow_subdomains", Kind::Flag),
    ("allow_glob_domains", Kind::Flag),
    ("allow_wildcard_certificates", Kind::Flag),
    ("allow_any_name", Kind::Flag),
    ("enforce_hostnames", Kind::Flag),
    ("cn_validations", Kind::Words),
    ("require_cn", Kind::Flag),
    ("allow_ip_sans", Kind::Flag),
    ("allowed_ip_sans_cidr", Kind::Words),
    ("allowed_uri_sans", Kind::Words),
    ("allowed_uri_sans_template", Kind::Flag),
    ("allowed_other_sans", Kind::Words),
    ("allowed_serial_numbers", Kind::Words),
    ("allowed_user_ids", Kind::Words),
    ("serial_number_source", Kind::Text),
    ("server_flag", Kind::Flag),
    ("client_flag", Kind::Flag),
    ("code_signing_flag", Kind::Flag),
    ("email_protection_flag", Kind::Flag),
    ("key_usage", Kind::Words),
    ("ext_key_usage", Kind::Words),
    ("ext_key_usage_oids", Kind::Words),
    ("key_type", Kind::Text),
    ("key_bits", Kind::Integer),
    ("signature_bits", Kind::Integer),
    ("use_pss", Kind::Flag),
    ("use_csr_common_name", Kind::Flag),
    ("use_csr_sans", Kind::Flag),
    ("ou", Kind::Words),
    ("organization", Kind::Words),
    ("country", Kind::Words),
    ("locality", Kind::Words),
    ("province", Kind::Words),
    ("street_address", Kind::Words),
    ("postal_code", Kind::Words),
    ("policy_identifiers", Kind::Words),
    ("basic_constraints_valid_for_non_ca", Kind::Flag),
    ("not_before_duration", Kind::Seconds),
    ("not_before", Kind::Text),
    ("not_before_bound", Kind::Text),
    ("not_after", Kind::Text),
    ("not_after_bound", Kind::Text),
    ("generate_lease", Kind::Flag),
    ("no_store", Kind::Flag),
    ("cn_from_spiffe_path", Kind::Flag),
    ("pkcs12_encoder", Kind::Text),
    ("allow_backdating", Kind::Flag),
    ("backend", Kind::Text),
];

pub(super) async fn list(pki: &Pki) -> Result<Reply, Failure> {
    Reply::list(&pki.list_roles().await?, None)
}

pub(super) async fn dispatch(
    pki: &Pki,
    name: &str,
    operation: Operation,
    call: &Call,
) -> Result<Reply, Failure> {
    match operation {
        Operation::Read => Ok(Reply::data(to_json(&pki.read_role(name).await?))),
        Operation::Delete => {
            pki.delete_role(name).await?;
            Ok(Reply::Empty)
        }
        Operation::Write => {
            let sent = read_fields(call, name)?;
            let role = merged(&sent, call, RoleFields::unspecified());
            let (role, warnings) = pki.write_role(name, role, call.now).await?;
            Ok(Reply::with_warnings(to_json(role.fields()), warnings).warned(sent.warnings()))
        }
        Operation::Patch => {
            let sent = read_fields(call, name)?;
            let (role, warnings) =
                pki.patch_role(name, |role| Ok(merged(&sent, call, role)), call.now).await?;
            Ok(Reply::with_warnings(to_json(role.fields()), warnings).warned(sent.warnings()))
        }
        Operation::List => Err(Failure::UnsupportedOperation),
    }
}

/// The fields of a role in a call, typed.
///
/// # Errors
/// The first field that cannot be converted.
pub fn read_fields(call: &Call, name: &str) -> Result<Fields, Failure> {
    let mut sent = call.parameters.clone();
    // The JSON form of policies is one text whose commas do not separate.
    if let Some(Value::String(text)) = sent.get("policy_identifiers")
        && text.trim_start().starts_with('[')
    {
        sent.insert("policy_identifiers".to_owned(), json!([text]));
    }
    Fields::read(sent, &[("name", name)], &[SCHEMA])
        .map_err(|FieldError(text)| Failure::refused(text))
}

/// What was sent, over what there is; what the fields mean together is checked when the role is
/// compiled.
pub fn merged(sent: &Fields, call: &Call, mut role: RoleFields) -> RoleFields {
    macro_rules! take {
        ($read:ident: $($field:ident),* $(,)?) => {
            $(if let Some(value) = sent.$read(stringify!($field)) { role.$field = value; })*
        };
    }
    take!(optional_text: issuer_ref, serial_number_source, key_type, not_before,
        not_before_bound, not_after, not_after_bound, pkcs12_encoder);
    take!(optional_integer: ttl, max_ttl, key_bits, signature_bits, not_before_duration);
    take!(optional_flag: allow_localhost, allowed_domains_template,
        allow_globs_in_identity_templates, allow_bare_domains, allow_subdomains,
        allow_glob_domains, allow_wildcard_certificates, allow_any_name, enforce_hostnames,
        require_cn, allow_ip_sans, allowed_uri_sans_template, server_flag, client_flag,
        code_signing_flag, email_protection_flag, use_pss, use_csr_common_name, use_csr_sans,
        basic_constraints_valid_for_non_ca, generate_lease, no_store, cn_from_spiffe_path, allow_backdating);
    take!(optional_words: allowed_domains, cn_validations, allowed_ip_sans_cidr,
        allowed_uri_sans, allowed_other_sans, allowed_serial_numbers, allowed_user_ids,
        key_usage, ext_key_usage, ext_key_usage_oids, ou, organization, country, locality,
        province, street_address, postal_code);
    if let Some(words) = sent.optional_words("policy_identifiers") {
        role.policy_identifiers = words.iter().flat_map(|word| policies(word)).collect();
    }
    // A size that was resolved for one type says nothing about another.
    if call.operation == Operation::Patch && sent.has("key_type") && !sent.has("key_bits") {
        role.key_bits = 0;
    }
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

fn policy_json(policy: &PolicyFields) -> Value {
    if policy.cps.is_none() && policy.notice.is_none() {
        return Value::String(policy.oid.clone());
    }
    let mut object = Map::new();
    object.insert("oid".to_owned(), json!(policy.oid));
    if let Some(cps) = &policy.cps {
        object.insert("cps".to_owned(), json!(cps));
    }
    if let Some(notice) = &policy.notice {
        object.insert("notice".to_owned(), json!(notice));
    }
    Value::String(Value::Object(object).to_string())
}

/// A role as Vault answers with it.
pub fn to_json(role: &RoleFields) -> Value {
    let mut object = Map::new();
    macro_rules! put {
        ($($field:ident),* $(,)?) => {
            $(object.insert(stringify!($field).to_owned(), json!(role.$field));)*
        };
    }
    put! {
        allow_any_name, allow_backdating, allow_bare_domains, allow_glob_domains, allow_globs_in_identity_templates,
        allow_ip_sans, allow_localhost, allow_subdomains,
    }
    // Not settable, and always false (pki-api 3.5).
    object.insert("allow_token_displayname".to_owned(), json!(false));
    put! {
        allow_wildcard_certificates, allowed_domains, allowed_domains_template,
        allowed_ip_sans_cidr, allowed_other_sans, allowed_serial_numbers, allowed_uri_sans,
        allowed_uri_sans_template, allowed_user_ids, basic_constraints_valid_for_non_ca,
        client_flag, cn_from_spiffe_path, cn_validations, code_signing_flag, country,
        email_protection_flag, enforce_hostnames, ext_key_usage, ext_key_usage_oids,
        generate_lease, issuer_ref, key_bits, key_type, key_usage, locality, max_ttl, no_store,
        not_after, not_after_bound, not_before, not_before_bound, not_before_duration,
        organization, ou, pkcs12_encoder,
    }
    let policies: Vec<_> = role.policy_identifiers.iter().map(policy_json).collect();
    object.insert("policy_identifiers".to_owned(), Value::Array(policies));
    put! {
        postal_code, province, require_cn, serial_number_source, server_flag, signature_bits,
        street_address, ttl, use_csr_common_name, use_csr_sans, use_pss,
    }
    Value::Object(object)
}
