//! Parameters of a request, converted to the kinds that a route declares, as Vault coerces them.
//!
//! After this no text from outside has an unknown shape: a parameter is a number, a list, a flag or a text
//! that the use case parses further. Texts of failures are Vault's.

use serde_json::{Map, Value};

use crate::go::duration::{self, Span};
use crate::go::{parse_bool, quote};

use super::field::FieldKind;

/// A parameter that cannot be converted.
#[derive(Debug, PartialEq, Eq)]
pub struct FieldError {
    /// Vault's text.
    pub text: String,
    /// What was sent and what may be sent, where Vault's text does not show it.
    pub hint: Option<String>,
}

/// How much of a wrong value is shown, in characters.
const SHOWN: usize = 40;

/// What may be sent instead of a value whose text Vault leaves out. A flag or a number is never a secret.
fn hint(name: &str, kind: FieldKind, value: &Value) -> Option<String> {
    let (wanted, example) = match kind {
        FieldKind::Bool => ("neither true nor false", "true"),
        FieldKind::Integer => ("not a whole number", "1"),
        _ => return None,
    };
    let sent: String = value.as_str()?.chars().take(SHOWN).collect();
    let sent = quote(&sent);
    Some(format!("Signet: {name} is {sent}, which is {wanted}; send {name}={example}, for example"))
}

/// The converted value. `null` is not the same as nothing: it is the empty value of its kind.
pub(super) fn convert(name: &str, kind: FieldKind, value: Value) -> Result<Value, FieldError> {
    let wrong = |why: String, hint| {
        let text =
            format!("Field validation failed: error converting input for field \"{name}\": {why}");
        FieldError { text, hint }
    };
    if value.is_null() {
        return Ok(match kind {
            FieldKind::String => Value::from(""),
            FieldKind::Bool => Value::from(false),
            FieldKind::Integer | FieldKind::Seconds => Value::from(0),
            FieldKind::List | FieldKind::ListOrJson => Value::Array(Vec::new()),
            FieldKind::KeyValues | FieldKind::Object => Value::Object(Map::new()),
        });
    }
    let converted = match kind {
        FieldKind::String => text(value),
        FieldKind::Bool => {
            return flag(&value).map_err(|why| wrong(why, hint(name, kind, &value)));
        }
        FieldKind::Integer => {
            return integer(&value).map_err(|why| wrong(why, hint(name, kind, &value)));
        }
        FieldKind::Seconds => seconds(&value).map(Value::from),
        FieldKind::List => words(value),
        FieldKind::ListOrJson => match value {
            Value::String(text) if text.trim_start().starts_with('[') => {
                Ok(Value::Array(vec![Value::String(text)]))
            }
            other => words(other),
        },
        FieldKind::KeyValues => pairs(value),
        FieldKind::Object => match value {
            Value::Object(_) => Ok(value),
            other => Err(format!("'' expected a map, got '{}'", go_kind(&other))),
        },
    };
    converted.map_err(|why| wrong(why, None))
}

fn text(value: Value) -> Result<Value, String> {
    match value {
        Value::String(_) => Ok(value),
        Value::Number(number) => Ok(Value::String(number.to_string())),
        Value::Bool(flag) => Ok(Value::String(if flag { "1" } else { "0" }.to_owned())),
        other => {
            Err(format!("'' expected type 'string', got unconvertible type '{}'", go_kind(&other)))
        }
    }
}

fn flag(value: &Value) -> Result<Value, String> {
    let read = |text: &str| if text.is_empty() { Some(false) } else { parse_bool(text) };
    let wrong = || "'' cannot parse value as 'bool': strconv.ParseBool: invalid syntax".to_owned();
    match value {
        Value::Bool(_) => Ok(value.clone()),
        Value::Number(number) => read(&number.to_string()).map(Value::Bool).ok_or_else(wrong),
        Value::String(text) => read(text).map(Value::Bool).ok_or_else(wrong),
        other => {
            Err(format!("'' expected type 'bool', got unconvertible type '{}'", go_kind(other)))
        }
    }
}

fn integer(value: &Value) -> Result<Value, String> {
    match value {
        #[expect(clippy::cast_possible_truncation, reason = "Go truncates fractions too")]
        Value::Number(number) => Ok(Value::from(
            number.as_i64().unwrap_or_else(|| number.as_f64().unwrap_or_default() as i64),
        )),
        Value::Bool(flag) => Ok(Value::from(i64::from(*flag))),
        Value::String(text) if text.is_empty() => Ok(Value::from(0)),
        Value::String(text) => text.parse::<i64>().map(Value::from).map_err(|_| {
            "'' cannot parse value as 'int': strconv.ParseInt: invalid syntax".to_owned()
        }),
        other => {
            Err(format!("'' expected type 'int', got unconvertible type '{}'", go_kind(other)))
        }
    }
}

fn words(value: Value) -> Result<Value, String> {
    let trimmed = |text: &str| Value::String(text.trim().to_owned());
    match value {
        Value::String(text) if text.trim().is_empty() => Ok(Value::Array(Vec::new())),
        Value::String(text) => Ok(Value::Array(text.split(',').map(trimmed).collect())),
        Value::Array(items) => {
            let mut list = Vec::with_capacity(items.len());
            for (position, item) in items.into_iter().enumerate() {
                match item {
                    Value::Object(object) => return Err(unconvertible(position, &object)),
                    Value::Array(_) => {
                        return Err(format!(
                            "1 error(s) decoding:\n\n* '[{position}]' expected type 'string', got unconvertible type '[]interface {{}}'"
                        ));
                    }
                    Value::Null => list.push(Value::String(String::new())),
                    other => match text(other)? {
                        Value::String(text) => list.push(trimmed(&text)),
                        other => list.push(other),
                    },
                }
            }
            Ok(Value::Array(list))
        }
        Value::Object(object) => Err(unconvertible(0, &object)),
        other => match text(other)? {
            Value::String(text) => Ok(Value::Array(vec![trimmed(&text)])),
            other => Ok(Value::Array(vec![other])),
        },
    }
}

fn unconvertible(position: usize, object: &Map<String, Value>) -> String {
    let mut entries: Vec<_> = object
        .iter()
        .map(|(key, value)| {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            format!("{key}:{value}")
        })
        .collect();
    entries.sort();
    format!(
        "1 error(s) decoding:\n\n* '[{position}]' expected type 'string', got unconvertible type 'map[string]interface {{}}', value: 'map[{}]'",
        entries.join(" ")
    )
}

fn pairs(value: Value) -> Result<Value, String> {
    let mut object = Map::new();
    match value {
        Value::Object(given) => {
            for (key, value) in given {
                object.insert(key, text(value)?);
            }
        }
        Value::String(_) | Value::Array(_) => {
            let Value::Array(list) = words(value)? else { return Ok(Value::Object(object)) };
            for word in list.iter().filter_map(Value::as_str) {
                let (key, value) = word.split_once('=').ok_or_else(|| {
                    format!("failed to parse key/value pair: {word}: expected key=value")
                })?;
                object.insert(key.to_owned(), Value::String(value.to_owned()));
            }
        }
        other => return Err(format!("'' expected a map, got '{}'", go_kind(&other))),
    }
    Ok(Value::Object(object))
}

/// Whole seconds of a duration.
///
/// # Errors
/// Go's text.
pub fn seconds(value: &Value) -> Result<i64, String> {
    // Go rejects an empty duration; Vault reads it as zero.
    let read = |text: &str| match text {
        "" => Ok(0),
        text => duration::parse(text).map(Span::whole_seconds).map_err(|why| why.to_string()),
    };
    let seconds = match value {
        Value::Number(number) => number.as_i64().map_or_else(|| read(&number.to_string()), Ok)?,
        Value::String(text) => read(text.trim())?,
        _ => return Err("could not parse duration from input".to_owned()),
    };
    if seconds < 0 {
        return Err(format!("cannot provide negative value '{seconds}'"));
    }
    if seconds > i64::MAX / 1_000_000_000 {
        return Err(
            "multiplication of durations resulted in overflow, one operand may be too large"
                .to_owned(),
        );
    }
    Ok(seconds)
}

const fn go_kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nil",
        Value::Bool(_) => "bool",
        Value::Number(_) => "json.Number",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::backend::call::Fields;
    use crate::backend::field::Field;

    fn one(kind: FieldKind, value: Value) -> Result<Value, String> {
        convert("ttl", kind, value).map_err(|error| {
            let prefix = "Field validation failed: error converting input for field \"ttl\": ";
            error.text.strip_prefix(prefix).unwrap().to_owned()
        })
    }

    #[test]
    fn reads_durations_as_the_recording_shows() {
        for (value, seconds) in [
            (json!("1h"), 3600),
            (json!(3600), 3600),
            (json!("3600"), 3600),
            (json!("1d"), 86400),
            (json!("1h30m"), 5400),
            (json!("1.5h"), 5400),
            (json!("500ms"), 0),
            (json!(""), 0),
        ] {
            assert_eq!(one(FieldKind::Seconds, value.clone()), Ok(json!(seconds)), "{value}");
        }
    }

    #[test]
    fn refuses_durations_with_go_s_texts() {
        for (value, text) in [
            (json!("1w"), "time: unknown unit \"w\" in duration \"1w\""),
            (json!("-1h"), "cannot provide negative value '-3600'"),
            (json!("abc"), "time: invalid duration \"abc\""),
            (json!(1.5), "time: missing unit in duration \"1.5\""),
            (json!(true), "could not parse duration from input"),
            (
                json!("9223372036854775807"),
                "multiplication of durations resulted in overflow, one operand may be too large",
            ),
        ] {
            assert_eq!(one(FieldKind::Seconds, value.clone()), Err(text.to_owned()), "{value}");
        }
    }

    #[test]
    fn reads_lists_from_commas_and_arrays() {
        assert_eq!(one(FieldKind::List, json!("a, b ,c")), Ok(json!(["a", "b", "c"])));
        assert_eq!(one(FieldKind::List, json!("")), Ok(json!([])));
        assert_eq!(one(FieldKind::List, json!(["a,b", 5])), Ok(json!(["a,b", "5"])));
        assert_eq!(one(FieldKind::List, Value::Null), Ok(json!([])));
    }

    #[test]
    fn names_what_was_ignored_and_replaced() {
        let Value::Object(sent) = json!({"b": 1, "a": 2, "role": "x", "ttl": "1h"}) else {
            unreachable!()
        };
        const TTL: &[Field] = &[Field::new("ttl", FieldKind::Seconds, "Time to live.")];
        let fields = Fields::read(sent, &["role"], &[TTL]).unwrap();
        assert_eq!(
            fields.warnings(),
            [
                "Endpoint ignored these unrecognized parameters: [a b]",
                "Endpoint replaced the value of these parameters with the values captured from the endpoint's path: [role]"
            ]
        );
    }
}
