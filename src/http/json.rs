//! Request bodies: JSON objects, with the error texts of Go's decoder for anything else.
//!
//! The limits are checked while a body is parsed: parsing stops at the first one that is exceeded.

use std::cell::Cell;
use std::fmt;

use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::go;

use super::budget::{Budget, MAX_ENTRIES, MAX_NODES, MAX_STRING_LENGTH};

/// Why a body has no parameters.
#[derive(Debug, PartialEq, Eq)]
pub struct JsonError(pub String);

/// The deepest nesting that is read. Vault's requests have three levels.
const MAX_DEPTH: usize = 32;

/// The parameters in a body, within [`MAX_NODES`]; an empty body has none.
///
/// # Errors
/// Vault's text for a body that is not a JSON object, and a text of Signet for one that exceeds a limit.
pub fn parameters(body: &[u8]) -> Result<Map<String, Value>, JsonError> {
    parameters_within(body, &Budget::of(MAX_NODES))
}

/// The same within another budget.
///
/// # Errors
/// As [`parameters`].
pub fn parameters_within(body: &[u8], budget: &Budget) -> Result<Map<String, Value>, JsonError> {
    let failed = |why: String| Err(JsonError(format!("failed to decode JSON input: {why}")));
    let Some(first) = body.iter().find(|byte| !is_blank(**byte)) else {
        return Ok(Map::new());
    };
    let bounds = JsonLimits { budget, exceeded: Cell::new(None) };
    let mut reader = serde_json::Deserializer::from_slice(body);
    let value = match (Node { bounds: &bounds, depth: 0 }).deserialize(&mut reader) {
        Ok(value) => value,
        Err(error) => return failed(error_text(&error, &bounds, *first)),
    };
    if let Err(error) = reader.end() {
        let next = byte_at(body, error.line(), error.column());
        return failed(format!("invalid character {} after top-level value", quoted(next)));
    }
    let kind = match value {
        Value::Object(object) => return Ok(object),
        Value::Null => return Ok(Map::new()),
        Value::Array(_) => "array",
        Value::String(_) => "string",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
    };
    failed(format!("json: cannot unmarshal {kind} into Go value of type map[string]interface {{}}"))
}

/// The error text for a body that begins with `first`.
fn error_text(error: &serde_json::Error, bounds: &JsonLimits<'_>, first: u8) -> String {
    if let Some(bound) = bounds.exceeded.get() {
        return bound.text(bounds.budget.most());
    }
    if error.is_eof() {
        return "unexpected EOF".to_owned();
    }
    if !matches!(first, b'{' | b'[' | b'"') {
        return format!("invalid character {} looking for beginning of value", quoted(first));
    }
    format!("invalid JSON: {error}")
}

/// White space between the values of JSON (RFC 8259, 2).
const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// The byte at the line and column that the parser reports, both counted from 1.
fn byte_at(body: &[u8], line: usize, column: usize) -> u8 {
    let line = body.split(|byte| *byte == b'\n').nth(line.saturating_sub(1)).unwrap_or_default();
    line.get(column.saturating_sub(1)).copied().unwrap_or_default()
}

fn quoted(byte: u8) -> String {
    let text = go::quote(&char::from(byte).to_string());
    format!("'{}'", text.trim_matches('"'))
}

/// A limit that a body exceeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bound {
    Depth,
    Text,
    Entries,
    Nodes,
}

impl Bound {
    fn text(self, most_nodes: usize) -> String {
        match self {
            Self::Depth => format!("the JSON is nested deeper than {MAX_DEPTH} levels"),
            Self::Text => format!("the JSON holds a string longer than {MAX_STRING_LENGTH} bytes"),
            Self::Entries => {
                format!("the JSON holds an object or array of more than {MAX_ENTRIES} entries")
            }
            Self::Nodes => format!(
                "the JSON holds more than {most_nodes} values, names and entries of lists with commas"
            ),
        }
    }
}

/// The limits of one body, and the one that it exceeded.
struct JsonLimits<'a> {
    budget: &'a Budget,
    exceeded: Cell<Option<Bound>>,
}

impl JsonLimits<'_> {
    /// Ends the parsing unless `within`.
    fn check<E: de::Error>(&self, within: bool, bound: Bound) -> Result<(), E> {
        if within {
            return Ok(());
        }
        self.exceeded.set(Some(bound));
        Err(E::custom("beyond a bound"))
    }

    /// Copies a string that is within the limits.
    fn text<E: de::Error>(&self, text: &str) -> Result<String, E> {
        self.check(text.len() <= MAX_STRING_LENGTH, Bound::Text)?;
        self.check(self.budget.take_text(text), Bound::Nodes)?;
        Ok(text.to_owned())
    }

    fn node<E: de::Error>(&self, value: impl Into<Value>) -> Result<Value, E> {
        self.check(self.budget.take(1), Bound::Nodes)?;
        Ok(value.into())
    }
}

/// Parses a value at this depth.
#[derive(Clone, Copy)]
struct Node<'a> {
    bounds: &'a JsonLimits<'a>,
    depth: usize,
}

impl Node<'_> {
    /// An entry of the object or array that is read here.
    fn inside<E: de::Error>(self) -> Result<Self, E> {
        self.bounds.check(self.depth < MAX_DEPTH, Bound::Depth)?;
        self.bounds.check(self.bounds.budget.take(1), Bound::Nodes)?;
        Ok(Self { depth: self.depth.saturating_add(1), ..self })
    }

    /// The number of entries with one more.
    fn count_entry<E: de::Error>(self, entries: usize) -> Result<usize, E> {
        self.bounds.check(entries < MAX_ENTRIES, Bound::Entries)?;
        Ok(entries.saturating_add(1))
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: de::Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("any JSON value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        self.bounds.node(Value::Null)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Value, E> {
        self.bounds.node(value)
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Value, E> {
        self.bounds.node(value)
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
        self.bounds.node(value)
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        self.bounds.node(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Value, E> {
        self.bounds.text(text).map(Value::String)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let entry = self.inside()?;
        let mut list = Vec::new();
        while let Some(value) = entries.next_element_seed(entry)? {
            self.count_entry(list.len())?;
            list.push(value);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let member = self.inside()?;
        let mut object = Map::new();
        // A repeated name counts each time; its last value is kept.
        let mut count = 0;
        while let Some(name) = members.next_key_seed(Name(self.bounds))? {
            count = self.count_entry(count)?;
            object.insert(name, members.next_value_seed(member)?);
        }
        Ok(Value::Object(object))
    }
}

/// Parses the name of a member.
struct Name<'a>(&'a JsonLimits<'a>);

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = String;

    fn deserialize<D: de::Deserializer<'de>>(self, reader: D) -> Result<String, D::Error> {
        reader.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = String;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the name of a member")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<String, E> {
        self.0.text(name)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::http::budget::parsed_size_bound;

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
        assert!(parameters(b" null\r\n\t ").unwrap().is_empty());
    }

    #[test]
    fn bytes_after_the_value_are_refused_and_named() {
        for (body, next) in [
            (&b"{\"a\":1} trailing"[..], "'t'"),
            (b"{\"a\":1}\n\n }", "'}'"),
            (b"{}{}", "'{'"),
            (b"null,", "','"),
            (b"{}\0", "'\\x00'"),
            (b"{}\xef\xbb\xbf", "'\u{ef}'"),
            (b"[1] 2", "'2'"),
        ] {
            assert_eq!(text(body), format!("invalid character {next} after top-level value"));
        }
    }

    #[test]
    fn refuses_deep_nesting_without_recursing() {
        assert!(text(&b"[".repeat(100_000)).contains("nested deeper"));
        let nested = |levels: usize| {
            let (open, close) = ("{\"a\":".repeat(levels), "}".repeat(levels));
            format!("{open}1{close}").into_bytes()
        };
        assert!(parameters(&nested(MAX_DEPTH)).is_ok());
        assert!(text(&nested(MAX_DEPTH + 1)).contains("nested deeper than 32 levels"));
    }

    #[test]
    fn refuses_long_strings_and_many_entries_before_decoding() {
        let string = |length| [b"{\"a\":\"", &*b"x".repeat(length), b"\"}"].concat();
        assert!(parameters(&string(MAX_STRING_LENGTH)).is_ok());
        assert!(text(&string(MAX_STRING_LENGTH + 1)).contains("string longer than 1048576 bytes"));
        let array = |count| format!("{{\"a\":[{}]}}", vec!["1"; count].join(",")).into_bytes();
        assert!(parameters(&array(MAX_ENTRIES)).is_ok());
        assert!(text(&array(MAX_ENTRIES + 1)).contains("more than 10000 entries"));
        let object = |count| {
            let members: Vec<_> = (0..count).map(|number| format!("\"{number}\":1")).collect();
            format!("{{{}}}", members.join(",")).into_bytes()
        };
        assert!(parameters(&object(MAX_ENTRIES)).is_ok());
        assert!(text(&object(MAX_ENTRIES + 1)).contains("more than 10000 entries"));
        let same = format!("{{{}}}", vec!["\"a\":1"; MAX_ENTRIES + 1].join(","));
        assert!(text(same.as_bytes()).contains("more than 10000 entries"));
        assert!(parameters(br#"{"a":"[{,,\"\\","b":[[1],[2]]}"#).is_ok());
    }

    /// The nodes of a value, counted once more.
    fn nodes(value: &Value) -> usize {
        let words = |text: &str| text.split(',').count();
        match value {
            Value::Array(list) => 1 + list.iter().map(nodes).sum::<usize>(),
            Value::Object(members) => {
                let of = |(name, value): (&String, &Value)| words(name) + nodes(value);
                1 + members.iter().map(of).sum::<usize>()
            }
            Value::String(text) => words(text),
            _ => 1,
        }
    }

    #[test]
    fn the_bound_on_nodes_holds_for_every_shape_and_for_the_whole_body() {
        let lists =
            |count: usize, inner: &str| format!("{{\"a\":[{}]}}", vec![inner; count].join(","));
        let many: String = (0..200).map(|number| format!("\"{number}\":[0,0,{{}}],")).collect();
        for (body, within) in [
            (lists(5_000, "[0,0,0,0,0]"), true),
            (lists(6_000, "[0,0,0,0,0]"), false),
            (lists(10_000, "{\"a\":0}"), true),
            (lists(10_000, "{\"a\":[0]}"), false),
            (lists(10_000, "\"a,b\""), true),
            (lists(10_000, "\"a,b,c,d\""), false),
            (lists(10_000, "\"\\u002c\\u002C,\""), false),
            (format!("{{\"a\":\"{}\"}}", ",".repeat(MAX_NODES - 3)), true),
            (format!("{{\"a\":\"{}\"}}", ",".repeat(MAX_NODES - 2)), false),
            (format!("{{\"{}\":1}}", ",".repeat(MAX_NODES)), false),
            (format!("{{{many}\"z\":{}}}", lists(5_000, "[0,0,0,0]")), true),
            (format!("{{{many}\"z\":{}}}", lists(6_500, "[0,0,0,0]")), false),
        ] {
            match parameters(body.as_bytes()) {
                Ok(read) => assert!(within && nodes(&Value::Object(read)) <= MAX_NODES),
                Err(error) => {
                    assert!(!within, "{}: {body:.80}", error.0);
                    assert!(error.0.contains("more than 32768 values"), "{}", error.0);
                }
            }
        }
    }

    /// Bytes of the heap behind a value, at the sizes that the lists and tables grow to.
    fn memory(value: &Value) -> usize {
        let slot = size_of::<Value>();
        match value {
            Value::Array(list) => list.capacity() * slot + list.iter().map(memory).sum::<usize>(),
            Value::Object(members) => {
                let table = members.len().next_power_of_two().max(4) * (slot + 24 + 8 + 2 * 9);
                table
                    + members.iter().map(|(name, value)| name.len() + memory(value)).sum::<usize>()
            }
            Value::String(text) => text.capacity(),
            _ => 0,
        }
    }

    proptest! {
        /// The estimate by which the memory of all requests is counted is never too small.
        #[test]
        fn a_body_never_becomes_more_than_was_estimated(
            body in "(\\{\"a\":)?[\\[\\]{},:0a\" ]{0,64}|(\\{\"[a-c]\":(\\[(\\[0?\\],|\\{\"\":0\\},|0,|\"\\\\u002c,\",){0,32}0\\],\"x\":)){1,4}0\\}{1,4}",
        ) {
            if let Ok(read) = parameters(body.as_bytes()) {
                let read = Value::Object(read);
                prop_assert!(nodes(&read) <= MAX_NODES);
                prop_assert!(memory(&read) <= parsed_size_bound(body.as_bytes()));
            }
        }

        /// What is read is what another reader reads.
        #[test]
        fn within_the_bounds_the_value_is_the_same_as_another_reader_s(body in "\\{(\"[a-z]\":(1|-2|0\\.5|true|null|\"é\\\\n\"|\\[\\]|\\{\"x\":\\[1,\\{\\}\\]\\}),){0,5}\"z\":1\\}") {
            let other: Value = serde_json::from_str(&body).unwrap();
            prop_assert_eq!(Value::Object(parameters(body.as_bytes()).unwrap()), other);
        }
    }
}
