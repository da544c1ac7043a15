//! Tables and values as Go's clients print them.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::duration;

/// Rows of cells in columns four spaces apart; the first row is the heading and is underlined.
/// White space around a cell is dropped; an empty cell reads `n/a`.
pub(super) fn columns(rows: &[Vec<String>]) -> String {
    let underline = rows.first().map(|heading| {
        heading.iter().map(|cell| "-".repeat(cell.chars().count())).collect::<Vec<_>>()
    });
    let mut lines: Vec<Vec<&str>> = rows.iter().map(|row| cells(row)).collect();
    if let Some(underline) = &underline {
        lines.insert(1, cells(underline));
    }
    aligned(&lines)
}

/// Two columns without a heading.
pub(super) fn pairs(rows: &[(&str, String)]) -> String {
    let mut all = vec![vec!["Key".to_owned(), "Value".to_owned()]];
    all.extend(rows.iter().map(|(key, value)| vec![(*key).to_owned(), value.clone()]));
    columns(&all)
}

fn cells(row: &[String]) -> Vec<&str> {
    row.iter()
        .map(|cell| cell.trim())
        .map(|cell| if cell.is_empty() { "n/a" } else { cell })
        .collect()
}

fn aligned(lines: &[Vec<&str>]) -> String {
    let columns = lines.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = lines.iter().filter_map(|line| line.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for (row, line) in lines.iter().enumerate() {
        if row > 0 {
            text.push('\n');
        }
        for (column, (cell, width)) in line.iter().zip(&widths).enumerate() {
            text.push_str(cell);
            if column + 1 < line.len() {
                let spare = width.saturating_sub(cell.chars().count()) + 4;
                text.extend(std::iter::repeat_n(' ', spare));
            }
        }
    }
    text
}

/// A value as Go's `%v` prints it: `[a b]`, `map[a:b]`, `<nil>`.
pub(super) fn go(value: &Value) -> String {
    let mut text = String::new();
    write_go(value, &mut text);
    text
}

fn write_go(value: &Value, into: &mut String) {
    match value {
        Value::Null => into.push_str("<nil>"),
        Value::String(text) => into.push_str(text),
        Value::Bool(_) | Value::Number(_) => {
            // Writing into a String does not fail.
            let _ = write!(into, "{value}");
        }
        Value::Array(values) => {
            into.push('[');
            for (position, value) in values.iter().enumerate() {
                if position > 0 {
                    into.push(' ');
                }
                write_go(value, into);
            }
            into.push(']');
        }
        Value::Object(members) => {
            into.push_str("map[");
            for (position, (name, value)) in sorted(members).into_iter().enumerate() {
                if position > 0 {
                    into.push(' ');
                }
                into.push_str(name);
                into.push(':');
                write_go(value, into);
            }
            into.push(']');
        }
    }
}

/// Like [`go`]; seconds under a name that says duration become `72h`.
pub(super) fn named(name: &str, value: &Value) -> String {
    match value.as_i64() {
        Some(seconds) if is_duration(name) => duration::short(seconds),
        _ => go(value),
    }
}

fn is_duration(name: &str) -> bool {
    matches!(name, "period" | "ttl" | "duration" | "lease_max" | "ttl_max")
        || ["_period", "_ttl", "_duration"].iter().any(|ending| name.ends_with(ending))
}

/// A list of texts, each in quotes: `["root" "web"]`.
pub(super) fn quoted(texts: &[String]) -> String {
    let quoted: Vec<String> = texts.iter().map(|text| format!("{text:?}")).collect();
    format!("[{}]", quoted.join(" "))
}

/// Members in the order of their names, as Go writes a map.
pub(super) fn sorted(members: &Map<String, Value>) -> Vec<(&String, &Value)> {
    let mut members: Vec<_> = members.iter().collect();
    members.sort_by_key(|(name, _)| *name);
    members
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn prints_values_as_go_does() {
        for (value, text) in [
            (json!(null), "<nil>"),
            (json!([]), "[]"),
            (json!({}), "map[]"),
            (json!([1, "a", { "q": 1 }]), "[1 a map[q:1]]"),
            (json!({ "b": 1, "a": [1, 2] }), "map[a:[1 2] b:1]"),
            (json!(1.5), "1.5"),
            (json!(true), "true"),
        ] {
            assert_eq!(go(&value), text);
        }
    }

    #[test]
    fn seconds_become_a_duration_only_under_a_name_that_says_so() {
        assert_eq!(named("max_ttl", &json!(259_200)), "72h");
        assert_eq!(named("creation_ttl", &json!(0)), "0s");
        assert_eq!(named("max_ttl", &json!("72h")), "72h");
        assert_eq!(named("creation_time", &json!(3600)), "3600");
    }

    #[test]
    fn columns_are_four_spaces_apart_and_the_last_is_not_padded() {
        let rows = [
            vec!["Path".to_owned(), "Type".to_owned(), "Description".to_owned()],
            vec!["pki/".to_owned(), "pki".to_owned(), String::new()],
        ];
        assert_eq!(
            columns(&rows),
            "Path    Type    Description\n----    ----    -----------\npki/    pki     n/a"
        );
    }
}
