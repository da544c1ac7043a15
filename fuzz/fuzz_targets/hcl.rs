//! HCL: positions are inside the text, the tree survives its JSON form, JSON has the meaning that
//! another parser gives it, and the check of a server's configuration reports faults without secrets.

#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use signet::config;
use signet::hcl::{Body, Position, Value, ValueKind, parse};

fuzz_target!(|text: &str| {
    let Ok(tree) = parse(text).inspect_err(|error| assert!(lies_in(error.position, text))) else {
        assert!(
            serde_json::from_str(text).is_ok_and(|json| !is_within_hcl(&json, 0)) || !is_json(text)
        );
        return;
    };
    let mut strings = Vec::new();
    for_each(&tree, 0, &mut |value, depth| {
        assert!(lies_in(value.position, text) && depth <= 65);
        if let ValueKind::String(string) = &value.kind {
            strings.push(string.clone());
        }
    });
    let mut json = String::new();
    write_body(&tree, &mut json);
    let again = parse(&json).expect("JSON of a tree is HCL");
    assert!(same_body(&tree, &again), "{json}");
    if let Ok(serde_json::Value::Object(other)) = serde_json::from_str(text) {
        assert!(other.keys().all(|key| tree.entries.iter().any(|entry| entry.key.text == *key)));
    }
    // The check would read a key from any file that the text names.
    if !strings.iter().any(|string| string.starts_with("file://")) {
        check(text, &strings);
    }
});

/// Checks the configuration. A fault must not contain a value that may be a key.
fn check(text: &str, strings: &[String]) {
    let is_key = |text: &&String| {
        let is_digit = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte);
        text.len() >= 40 && text.bytes().all(is_digit)
    };
    match config::parse(Path::new("server.hcl"), text, &environment) {
        Ok(checked) => {
            assert!(!checked.listeners.is_empty());
            assert!(checked.default_lease_ttl <= checked.max_lease_ttl);
            for listener in &checked.listeners {
                assert!(listener.max_request_size > 0 && listener.max_connections > 0);
                assert!(!listener.max_request_duration.is_zero());
            }
        }
        Err(faults) => {
            assert!(!faults.is_empty() && faults.is_sorted());
            for fault in &faults {
                assert!(fault.position.is_none_or(|position| lies_in(position, text)));
                assert!(!fault.message.is_empty() && fault.file == Path::new("server.hcl"));
                let leaked =
                    |key: &String| fault.message.contains(key) && text.matches(key).count() == 1;
                assert!(!strings.iter().filter(is_key).any(leaked), "{fault} contains a key");
            }
        }
    }
}

fn environment(name: &str) -> Option<String> {
    name.starts_with("SIGNET_SEAL_KEY").then(|| "00".repeat(32))
}

/// Whether this is the position of a character, or the one after the end of a line.
fn lies_in(position: Position, text: &str) -> bool {
    let line = usize::try_from(position.line).expect("32 bits") - 1;
    let column = usize::try_from(position.column).expect("32 bits");
    let line = text.split('\n').nth(line);
    line.is_some_and(|line| (1..=line.chars().count() + 1).contains(&column))
}

fn for_each(body: &Body, depth: usize, visit: &mut impl FnMut(&Value, usize)) {
    fn value(one: &Value, depth: usize, visit: &mut dyn FnMut(&Value, usize)) {
        visit(one, depth);
        match &one.kind {
            ValueKind::List(values) => {
                values.iter().for_each(|inner| value(inner, depth + 1, visit))
            }
            ValueKind::Object(body) => {
                body.entries.iter().for_each(|entry| value(&entry.value, depth + 1, visit));
            }
            _ => {}
        }
    }
    body.entries.iter().for_each(|entry| value(&entry.value, depth + 1, visit));
}

/// Whether another parser reads the text as a JSON object.
fn is_json(text: &str) -> bool {
    matches!(serde_json::from_str(text), Ok(serde_json::Value::Object(_)))
}

/// Whether HCL can represent this: it has no null, no integers beyond 64 bits and limited nesting.
fn is_within_hcl(value: &serde_json::Value, depth: usize) -> bool {
    use serde_json::Value as Json;
    match value {
        Json::Null => false,
        Json::Number(number) => {
            number.is_i64() || number.as_f64().is_some_and(|number| number.abs() < 9.2e18)
        }
        Json::Array(values) => {
            depth < 60 && values.iter().all(|value| is_within_hcl(value, depth + 1))
        }
        Json::Object(members) => {
            depth < 60 && members.values().all(|value| is_within_hcl(value, depth + 1))
        }
        Json::Bool(_) | Json::String(_) => true,
    }
}

fn write_body(body: &Body, out: &mut String) {
    out.push('{');
    for (position, entry) in body.entries.iter().enumerate() {
        out.push_str(if position == 0 { "" } else { "," });
        for word in std::iter::once(&entry.key).chain(&entry.labels) {
            write_text(&word.text, out);
            out.push(' ');
        }
        out.push(':');
        write_value(&entry.value, out);
    }
    out.push('}');
}

fn write_value(value: &Value, out: &mut String) {
    match &value.kind {
        ValueKind::String(text) => write_text(text, out),
        ValueKind::Integer(number) => out.push_str(&number.to_string()),
        ValueKind::Float(number) => out.push_str(&format!("{number:?}")),
        ValueKind::Bool(flag) => out.push_str(&flag.to_string()),
        ValueKind::Object(body) => write_body(body, out),
        ValueKind::List(values) => {
            out.push('[');
            for (position, value) in values.iter().enumerate() {
                out.push_str(if position == 0 { "" } else { "," });
                write_value(value, out);
            }
            out.push(']');
        }
    }
}

fn write_text(text: &str, out: &mut String) {
    out.push_str(&serde_json::Value::from(text).to_string());
}

fn same_body(one: &Body, other: &Body) -> bool {
    one.entries.len() == other.entries.len()
        && one.entries.iter().zip(&other.entries).all(|(one, other)| {
            let words = |entry: &signet::hcl::HclEntry| {
                std::iter::once(&entry.key)
                    .chain(&entry.labels)
                    .map(|word| word.text.clone())
                    .collect::<Vec<_>>()
            };
            words(one) == words(other) && same(&one.value, &other.value)
        })
}

fn same(one: &Value, other: &Value) -> bool {
    match (&one.kind, &other.kind) {
        (ValueKind::Object(one), ValueKind::Object(other)) => same_body(one, other),
        (ValueKind::List(one), ValueKind::List(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (one, other) => one == other,
    }
}
