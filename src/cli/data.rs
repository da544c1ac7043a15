//! `key=value`, `key=@file`, `key=-`, `@file.json` and `-`: the data of a write.
//!
//! A value on the command line is always a string; a repeated key becomes a list. Only a JSON
//! document keeps its types.

use std::fs;
use std::io::Read;

use serde_json::{Map, Value};

use super::failure::CommandFailure;

/// Reads the data of a write from its arguments.
///
/// # Errors
/// Vault's text, which names the argument.
pub(super) fn parse(words: &[String], input: &mut dyn Read) -> Result<Map<String, Value>, String> {
    let mut data = Map::new();
    for word in words {
        let wrong = |why: String| {
            format!("Failed to parse K=V data: invalid key/value pair {word:?}: {why}")
        };
        if word == "-" {
            merge(&mut data, &from_reader(input).map_err(wrong)?).map_err(wrong)?;
        } else if let Some(path) = word.strip_prefix('@') {
            let bytes = fs::read(path).map_err(|error| wrong(open_failed(path, &error)))?;
            merge(&mut data, &bytes).map_err(wrong)?;
        } else {
            let (name, value) =
                word.split_once('=').ok_or_else(|| wrong("format must be key=value".to_owned()))?;
            let value = self::value(value, input).map_err(wrong)?;
            add(&mut data, name, value);
        }
    }
    Ok(data)
}

/// The failure for a text of [`parse`], with what to do about it.
pub(super) fn mistake(text: String) -> CommandFailure {
    let remedy = if text.contains("no such file") {
        "name an existing file after the at sign; a relative path starts at the current folder."
    } else if text.contains("format must be key=value") {
        "write KEY=VALUE, KEY=@FILE, @FILE.json, or - for a JSON document on standard input."
    } else if text.contains("unexpected EOF") || text.contains("not a JSON object") {
        "give one JSON object, such as {\"ttl\":\"1h\"}."
    } else {
        return CommandFailure::local(text);
    };
    CommandFailure::local(text).with_remedy(remedy)
}

/// The same as the parameters of a query, where a list becomes a repeated name.
pub(super) fn query(
    words: &[String],
    input: &mut dyn Read,
) -> Result<Vec<(String, String)>, String> {
    let mut query = Vec::new();
    for (name, value) in parse(words, input)? {
        match value {
            Value::Array(values) => {
                query.extend(values.iter().map(|value| (name.clone(), super::table::go(value))));
            }
            value => query.push((name, super::table::go(&value))),
        }
    }
    Ok(query)
}

fn value(text: &str, input: &mut dyn Read) -> Result<String, String> {
    if text == "-" {
        return String::from_utf8(from_reader(input)?)
            .map_err(|_| "the input is not UTF-8".to_owned());
    }
    if let Some(path) = text.strip_prefix('@') {
        return fs::read_to_string(path)
            .map_err(|error| format!("error reading file: {}", open_failed(path, &error)));
    }
    // A value that starts with an at sign is written `\@`.
    Ok(text.strip_prefix('\\').filter(|rest| rest.starts_with('@')).unwrap_or(text).to_owned())
}

fn add(data: &mut Map<String, Value>, name: &str, value: String) {
    let value = Value::String(value);
    match data.get_mut(name) {
        None => {
            data.insert(name.to_owned(), value);
        }
        Some(Value::Array(values)) => values.push(value),
        Some(first) => *first = Value::Array(vec![first.take(), value]),
    }
}

fn merge(data: &mut Map<String, Value>, json: &[u8]) -> Result<(), String> {
    let more: Map<String, Value> = serde_json::from_slice(json).map_err(|error| {
        if error.is_eof() {
            "unexpected EOF".to_owned()
        } else {
            // The parser's own text may quote a secret of the document.
            format!("not a JSON object (line {}, column {})", error.line(), error.column())
        }
    })?;
    data.extend(more);
    Ok(())
}

fn from_reader(input: &mut dyn Read) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    input.read_to_end(&mut bytes).map_err(|error| format!("the input cannot be read: {error}"))?;
    Ok(bytes)
}

fn open_failed(path: &str, error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => format!("open {path}: no such file or directory"),
        std::io::ErrorKind::PermissionDenied => format!("open {path}: permission denied"),
        _ => format!("open {path}: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use serde_json::json;

    use super::*;

    fn parsed(words: &[&str], input: &str) -> Result<Value, String> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        parse(&words, &mut input.as_bytes()).map(Value::Object)
    }

    #[test]
    fn values_are_strings_and_a_repeated_key_is_a_list() {
        for (name, words, input, expected) in [
            ("one", &["a=1"][..], "", json!({ "a": "1" })),
            ("empty", &["a="], "", json!({ "a": "" })),
            ("equals", &["a=b=c"], "", json!({ "a": "b=c" })),
            ("twice", &["a=1", "a=2"], "", json!({ "a": ["1", "2"] })),
            ("thrice", &["a=1", "a=2", "a=3"], "", json!({ "a": ["1", "2", "3"] })),
            ("escaped", &["a=\\@x"], "", json!({ "a": "@x" })),
            ("backslash", &["a=\\x"], "", json!({ "a": "\\x" })),
            ("input", &["a=-"], "text\n", json!({ "a": "text\n" })),
            ("document", &["-"], r#"{"ttl":60}"#, json!({ "ttl": 60 })),
            ("both", &["-", "b=1"], r#"{"ttl":60}"#, json!({ "ttl": 60, "b": "1" })),
        ] {
            assert_eq!(parsed(words, input), Ok(expected), "{name}");
        }
    }

    #[test]
    fn a_file_is_a_string_and_a_json_file_keeps_its_types() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"{\"n\":1}\n").unwrap();
        let path = file.path().to_str().unwrap();
        assert_eq!(parsed(&[&format!("a=@{path}")], ""), Ok(json!({ "a": "{\"n\":1}\n" })));
        assert_eq!(parsed(&[&format!("@{path}")], ""), Ok(json!({ "n": 1 })));
    }

    #[test]
    fn refuses_with_vaults_texts() {
        for (word, input, text) in [
            ("x", "", r#"invalid key/value pair "x": format must be key=value"#),
            ("-", "{\"a\":", r#"invalid key/value pair "-": unexpected EOF"#),
            (
                "c=@/nofile",
                "",
                r#"invalid key/value pair "c=@/nofile": error reading file: open /nofile: no such file or directory"#,
            ),
            (
                "@/nofile",
                "",
                r#"invalid key/value pair "@/nofile": open /nofile: no such file or directory"#,
            ),
        ] {
            assert_eq!(parsed(&[word], input), Err(format!("Failed to parse K=V data: {text}")));
        }
    }

    #[test]
    fn a_parsing_error_does_not_quote_the_document() {
        let error = parsed(&["-"], r#"{"password": hunter2}"#).unwrap_err();
        assert!(!error.contains("hunter2"), "{error}");
    }
}
