//! The pattern rule of roles against a slow and simple matcher.

#![no_main]

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use signet::ca::glob;

/// A small alphabet, whose letters match often, and any text.
#[derive(Arbitrary, Debug)]
enum Input<'a> {
    Few(&'a [u8], &'a [u8]),
    Any(&'a str, &'a str),
}

fuzz_target!(|input: Input<'_>| match input {
    Input::Few(pattern, value) => check(&few(pattern, b"ab*"), &few(value, b"ab")),
    Input::Any(pattern, value) => check(pattern, value),
});

fn few(choices: &[u8], letters: &[u8]) -> String {
    choices.iter().map(|choice| char::from(letters[usize::from(*choice) % letters.len()])).collect()
}

fn check(pattern: &str, value: &str) {
    // The reference takes time in proportion to the product.
    if pattern.len().saturating_mul(value.len()) > 1 << 20 {
        return;
    }
    let matches = glob::matches(pattern, value);
    assert_eq!(matches, reference(pattern, value), "{pattern:?} {value:?}");
    if !pattern.contains('*') {
        assert_eq!(matches, pattern == value);
    }
    assert!(glob::matches("*", value) && glob::matches(&format!("{value}*"), value));
    assert!(!matches || glob::matches(&format!("*{pattern}*"), &format!("<{value}>")));
}

/// Which prefixes of the pattern match which prefixes of the value, by dynamic programming: one row
/// for each character of the pattern, one column for each length of the value.
fn reference(pattern: &str, value: &str) -> bool {
    let value: Vec<char> = value.chars().collect();
    let mut row = vec![false; value.len() + 1];
    row[0] = true;
    for symbol in pattern.chars() {
        let mut next = vec![false; value.len() + 1];
        for end in 0..=value.len() {
            next[end] = if symbol == '*' {
                row[end] || (end > 0 && next[end - 1])
            } else {
                end > 0 && row[end - 1] && value[end - 1] == symbol
            };
        }
        row = next;
    }
    row[value.len()]
}
