//! Request bodies: JSON objects, with the texts that Go's decoder has for what is none.

use serde_json::{Map, Value};

use crate::ca::uri::go_quote;

/// Why a body has no parameters.
#[derive(Debug, PartialEq, Eq)]
pub struct BodyError(pub String);

/// The deepest nesting that is read. Vault's requests have three levels.
const DEEPEST: usize = 32;

/// The longest string that is read, in octets as they were sent (Vault's `max_json_string_value_length`).
const LONGEST: usize = 1024 * 1024;

/// The most entries of one object or array (Vault's `max_json_object_entry_count` and
/// `max_json_array_element_count`).
const MOST: usize = 10_000;

/// The parameters in a body; an empty body has none.
///
/// # Errors
/// Vault's text for what is no JSON object.
pub fn parameters(body: &[u8]) -> Result<Map<String, Value>, BodyError> {
    let failed = |why: String| Err(BodyError(format!("failed to decode JSON input: {why}")));
    let Some(first) = body.iter().find(|byte| !byte.is_ascii_whitespace()) else {
        return Ok(Map::new());
    };
    if let Some(why) = beyond_bounds(body) {
        return failed(why);
    }
    // Go reads one value and leaves what follows alone.
    let mut stream = serde_json::Deserializer::from_slice(body).into_iter::<Value>();
    match stream.next() {
        None => Ok(Map::new()),
        Some(Ok(Value::Object(object))) => Ok(object),
        Some(Ok(Value::Null)) => Ok(Map::new()),
        Some(Ok(other)) => failed(format!(
            "json: cannot unmarshal {} into Go value of type map[string]interface {{}}",
            match other {
                Value::Array(_) => "array",
                Value::String(_) => "string",
                Value::Bool(_) => "bool",
                _ => "number",
            }
        )),
        Some(Err(error)) if error.is_eof() => failed("unexpected EOF".to_owned()),
        Some(Err(_)) if !matches!(first, b'{' | b'[' | b'"') => {
            failed(format!("invalid character {} looking for beginning of value", quoted(*first)))
        }
        Some(Err(error)) => failed(format!("invalid JSON: {error}")),
    }
}

/// The parameters of a form; curl sends that type with JSON bodies, so the body was looked at.
pub fn form(body: &[u8]) -> Map<String, Value> {
    let mut parameters = Map::new();
    for pair in body.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
        let text = String::from_utf8_lossy(pair).replace('+', " ");
        let (name, value) = text.split_once('=').unwrap_or((&text, ""));
        parameters.insert(percent_decoded(name), Value::String(percent_decoded(value)));
    }
    parameters
}

/// `%41` to `A`; what is no escape stays as it is.
pub fn percent_decoded(text: &str) -> String {
    if !text.contains('%') {
        return text.to_owned();
    }
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escape = after.get(..2).filter(|_| *first == b'%');
        let value = escape
            .filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match value {
            Some(value) => {
                plain.push(value);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                plain.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&plain).into_owned()
}

/// What in this JSON is deeper, longer or more than is read. It is looked for before anything is
/// decoded, so that a body of permitted size cannot become many times its size in memory.
fn beyond_bounds(body: &[u8]) -> Option<String> {
    // The commas of each open bracket.
    let mut open: Vec<usize> = Vec::with_capacity(DEEPEST);
    let (mut length, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in body {
        // The quote at the end is none of the string's octets.
        if in_string && (escaped || *byte != b'"') {
            length = length.saturating_add(1);
            if length > LONGEST {
                return Some(format!("the JSON holds a string longer than {LONGEST} octets"));
            }
        }
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => (in_string, length) = (!in_string, 0),
            b'{' | b'[' if !in_string => {
                if open.len() == DEEPEST {
                    return Some(format!("the JSON is nested deeper than {DEEPEST} levels"));
                }
                open.push(0);
            }
            b'}' | b']' if !in_string => drop(open.pop()),
            b',' if !in_string => {
                let Some(commas) = open.last_mut() else { continue };
                *commas = commas.saturating_add(1);
                if *commas >= MOST {
                    return Some(format!(
                        "the JSON holds an object or array of more than {MOST} entries"
                    ));
                }
            }
            _ => {}
        }
    }
    None
}

/// Is a form longer than a single value may be?
pub const fn is_long_form(body: &[u8]) -> bool {
    body.len() > LONGEST
}

fn quoted(byte: u8) -> String {
    let text = go_quote(&char::from(byte).to_string());
    format!("'{}'", text.trim_matches('"'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(body: &[u8]) -> String {
        let error = parameters(body).unwrap_err().0;
        error.strip_prefix("failed to decode JSON input: ").unwrap().to_owned()
    }

    #[test]
    fn says_what_go_says() {
        let map = "into Go value of type map[string]interface {}";
        assert_eq!(text(b"[]"), format!("json: cannot unmarshal array {map}"));
        assert_eq!(text(b"\"x\""), format!("json: cannot unmarshal string {map}"));
        assert_eq!(text(b"{\"a\":"), "unexpected EOF");
        assert_eq!(
            text(b"\xef\xbb\xbf{}"),
            "invalid character '\u{ef}' looking for beginning of value"
        );
    }

    #[test]
    fn an_empty_body_has_no_parameters() {
        assert!(parameters(b" \n").unwrap().is_empty());
        assert!(parameters(b"null").unwrap().is_empty());
    }

    #[test]
    fn refuses_deep_nesting_without_recursing() {
        assert!(text(&b"[".repeat(100_000)).contains("nested deeper"));
    }

    #[test]
    fn refuses_long_strings_and_many_entries_before_decoding() {
        let string = |length| [b"{\"a\":\"", &*b"x".repeat(length), b"\"}"].concat();
        assert!(parameters(&string(LONGEST)).is_ok());
        assert!(text(&string(LONGEST + 1)).contains("string longer than 1048576 octets"));
        let array = |count| format!("{{\"a\":[{}]}}", vec!["1"; count].join(",")).into_bytes();
        assert!(parameters(&array(MOST)).is_ok());
        assert!(text(&array(MOST + 1)).contains("more than 10000 entries"));
        assert!(parameters(br#"{"a":"[{,,\"\\","b":[[1],[2]]}"#).is_ok());
    }

    #[test]
    fn reads_forms() {
        let parameters = form(b"common_name=a.example.org&ttl=1h&x=a%20b");
        assert_eq!(parameters["common_name"], "a.example.org");
        assert_eq!(parameters["x"], "a b");
    }
}
