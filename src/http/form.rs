//! Forms, queries and escaped paths.

use std::borrow::Cow;

use percent_encoding::{percent_decode, percent_decode_str};
use serde_json::{Map, Value};

use super::budget::{Budget, MAX_ENTRIES, MAX_STRING_LENGTH};

/// The most parameters of a query. Vault's have ten.
pub const MAX_QUERY_PARAMETERS: usize = 256;

/// The text for a form that exceeds a limit or is not UTF-8.
#[derive(Debug, PartialEq, Eq)]
pub struct FormError(pub String);

/// The parameters of a form, or of a query; the last value of a repeated name counts.
///
/// # Errors
/// A form that is too long, has too many parameters or entries of lists, or holds bytes that are not UTF-8:
/// with U+FFFD instead, another name would be signed.
pub fn form(body: &[u8], budget: &Budget) -> Result<Map<String, Value>, FormError> {
    if body.len() > MAX_STRING_LENGTH {
        return Err(FormError("the form is too long; send JSON".to_owned()));
    }
    // Names and values are separated by ASCII: each is UTF-8 if all of them together are.
    if percent_decode(body).decode_utf8().is_err() {
        return Err(FormError("the form holds bytes that are not UTF-8".to_owned()));
    }
    let mut parameters = Map::new();
    for (count, (name, value)) in form_urlencoded::parse(body).enumerate() {
        if count >= MAX_ENTRIES {
            return Err(FormError(format!("the form holds more than {MAX_ENTRIES} parameters")));
        }
        if !(budget.take_text(&name) && budget.take_text(&value)) {
            let most = budget.most();
            return Err(FormError(format!(
                "the form holds more than {most} names, values and entries of lists with commas"
            )));
        }
        parameters.insert(name.into_owned(), Value::String(value.into_owned()));
    }
    Ok(parameters)
}

/// `%41` to `A`; what is not an escape stays as it is, and U+FFFD replaces what is not UTF-8.
pub fn percent_decoded(text: &str) -> Cow<'_, str> {
    percent_decode_str(text).decode_utf8_lossy()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::budget::MAX_NODES;

    fn read(body: &str) -> Result<Map<String, Value>, FormError> {
        form(body.as_bytes(), &Budget::of(MAX_NODES))
    }

    #[test]
    fn reads_forms() {
        let parameters = read("common_name=a.example.org&ttl=1h&x=a%20b").unwrap();
        assert_eq!(parameters["common_name"], "a.example.org");
        assert_eq!(parameters["x"], "a b");
    }

    #[test]
    fn names_and_values_are_decoded_separately() {
        for (body, expected) in [
            ("", vec![]),
            ("&&a=1&", vec![("a", "1")]),
            ("a", vec![("a", "")]),
            ("=b", vec![("", "b")]),
            ("a=b=c", vec![("a", "b=c")]),
            ("a+b=c+d%2B", vec![("a b", "c d+")]),
            ("a%3D%26=%zz%4", vec![("a=&", "%zz%4")]),
            ("a=1&a=2", vec![("a", "2")]),
            ("a=%C3%BC%EF%BF%BD", vec![("a", "ü\u{fffd}")]),
        ] {
            let parameters = read(body).unwrap();
            let read: Vec<_> =
                parameters.iter().map(|(name, value)| (&**name, value.as_str().unwrap())).collect();
            assert_eq!(read, expected, "{body}");
        }
    }

    #[test]
    fn bytes_that_are_not_utf_8_are_refused_in_a_form_and_replaced_in_a_path() {
        for body in [&b"a=%ff"[..], b"%C3=1", b"a=\xff", b"a=%C3&%BC=1", b"a=%C3=%BC"] {
            let FormError(why) = form(body, &Budget::of(MAX_NODES)).unwrap_err();
            assert_eq!(why, "the form holds bytes that are not UTF-8");
        }
        assert_eq!(percent_decoded("a%2fb%zz+%"), "a/b%zz+%");
        assert_eq!(percent_decoded("a%ff"), "a\u{fffd}");
    }

    #[test]
    fn a_form_has_the_bounds_of_json() {
        assert!(read(&"a=1&".repeat(MAX_ENTRIES)).is_ok());
        let FormError(why) = read(&"a=1&".repeat(MAX_ENTRIES + 1)).unwrap_err();
        assert_eq!(why, "the form holds more than 10000 parameters");
        assert!(read(&format!("a={}", ",".repeat(MAX_NODES - 2))).is_ok());
        for comma in [",", "%2c", "%2C"] {
            let FormError(why) = read(&format!("a={}", comma.repeat(MAX_NODES - 1))).unwrap_err();
            assert!(why.contains("more than 32768 names"), "{why}");
        }
        let FormError(why) = read(&"a".repeat(MAX_STRING_LENGTH + 1)).unwrap_err();
        assert_eq!(why, "the form is too long; send JSON");
    }
}
