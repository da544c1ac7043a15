//! The role of `signet pki init`, and whether a stored role is the same.

use serde_json::{Map, Value, json};

use super::plan::InitParameters;
use crate::ca::role::{RoleFields, role_fields};
use crate::cli::duration;

/// The fields of the role, each with the text that the command sends; docs/spiffe-role.md gives the
/// reason of each.
pub(super) fn fields(init: &InitParameters) -> Vec<(&'static str, String)> {
    let fixed = [
        ("require_cn", "false"),
        ("allow_ip_sans", "false"),
        ("allow_localhost", "false"),
        ("allow_wildcard_certificates", "false"),
        ("key_type", "ec"),
        ("key_bits", "256"),
        ("key_usage", "DigitalSignature"),
        ("server_flag", "true"),
        ("client_flag", "true"),
    ];
    let mut fields = vec![("allowed_uri_sans", format!("{}/*", init.domain))];
    fields.extend(fixed.map(|(name, value)| (name, value.to_owned())));
    fields.extend([("ttl", duration::short(init.ttl)), ("max_ttl", duration::short(init.max_ttl))]);
    fields
}

/// The JSON of a field that was not sent, by its kind in the declaration of the fields.
macro_rules! unsent {
    (Policies, $value:expr) => {
        json!([])
    };
    ($kind:ident, $value:expr) => {
        json!($value)
    };
}

/// The JSON of a field that was sent as a text.
macro_rules! sent {
    (Bool, $text:expr) => {
        json!($text == "true")
    };
    (List, $text:expr) => {
        json!($text.split(',').collect::<Vec<_>>())
    };
    (Seconds, $text:expr) => {
        json!(duration::parse($text).map(|span| span.whole_seconds()).unwrap_or_default())
    };
    (Integer, $text:expr) => {
        json!($text.parse::<i64>().unwrap_or_default())
    };
    ($kind:ident, $text:expr) => {
        json!($text)
    };
}

macro_rules! expected_fields {
    ($(
        $(#[doc = $help:expr])+
        $field:ident: $type:ty = $default:expr, $kind:ident, $cbor:meta;
    )*) => {
        /// The role as a server answers with it: every field that is known here.
        fn expected(init: &InitParameters) -> Map<String, Value> {
            let fields = fields(init);
            let text = |name: &str| {
                fields.iter().find(|(sent, _)| *sent == name).map(|(_, text)| text.as_str())
            };
            let unspecified = RoleFields::unspecified();
            let mut role = Map::new();
            $({
                let value = match text(stringify!($field)) {
                    Some(text) => sent!($kind, text),
                    None => unsent!($kind, unspecified.$field),
                };
                role.insert(stringify!($field).to_owned(), value);
            })*
            role
        }
    };
}

role_fields!(expected_fields);

/// Each field in which a stored role is another than that of the command: `name is X, not Y`.
pub(super) fn differences(init: &InitParameters, stored: &Map<String, Value>) -> Vec<String> {
    let expected = expected(init);
    let differs = |(name, value): &(&String, &Value)| stored.get(*name) != Some(*value);
    expected
        .iter()
        .filter(differs)
        .map(|(name, value)| match stored.get(name) {
            Some(stored) => format!("{name} is {stored}, not {value}"),
            None => format!("{name} is missing"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_the_same_only_if_every_field_is() {
        let init = InitParameters::example();
        let same = expected(&init);
        assert_eq!(differences(&init, &same), [""; 0]);
        assert_eq!(same["allowed_uri_sans"], json!(["spiffe://example.com/*"]));
        assert_eq!((&same["ttl"], &same["max_ttl"]), (&json!(3600), &json!(86_400)));
        assert_eq!(same["allow_any_name"], json!(false));
        for (field, value) in [
            ("allow_any_name", json!(true)),
            ("ttl", json!(60)),
            ("policy_identifiers", json!(["1.2"])),
        ] {
            let mut other = same.clone();
            other.insert(field.to_owned(), value.clone());
            let expected = same[field].clone();
            assert_eq!(differences(&init, &other), [format!("{field} is {value}, not {expected}")]);
        }
    }
}
