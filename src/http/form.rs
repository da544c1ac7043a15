//! Forms, queries and escaped paths.

use serde_json::{Map, Value};

use super::budget::{Budget, LONGEST_TEXT, MOST_ENTRIES};

/// The most parameters of a query. Vault's have ten.
pub const MOST_OF_QUERY: usize = 256;

/// A form that is beyond a bound, or is no text: what is told to the caller.
#[derive(Debug, PartialEq, Eq)]
pub struct FormError(pub String);

/// The parameters of a form, or of a query; of a name that comes twice the last value stays.
///
/// # Errors
/// A form that is too long, has too many parameters or entries of lists, or holds bytes that are not UTF-8:
/// put in place of them, U+FFFD would make another name, and that one would be signed.
pub fn form(body: &[u8], budget: &Budget) -> Result<Map<String, Value>, FormError> {
    if body.len() > LONGEST_TEXT {
        return Err(FormError("the form is too long; send JSON".to_owned()));
    }
    let mut parameters = Map::new();
    for (count, (name, value)) in pairs_of_bytes(body).enumerate() {
        if count >= MOST_ENTRIES {
            return Err(FormError(format!("the form holds more than {MOST_ENTRIES} parameters")));
        }
        let (Ok(name), Ok(value)) = (String::from_utf8(name), String::from_utf8(value)) else {
            return Err(FormError("the form holds bytes that are not UTF-8".to_owned()));
        };
        if !(budget.take_text(&name) && budget.take_text(&value)) {
            let most = budget.most();
            return Err(FormError(format!(
                "the form holds more than {most} names, values and entries of lists with commas"
            )));
        }
        parameters.insert(name, Value::String(value));
    }
    Ok(parameters)
}

/// Name and value of each parameter, in order, one at a time; U+FFFD stands for what is not UTF-8.
pub fn pairs(text: &[u8]) -> impl Iterator<Item = (String, String)> {
    pairs_of_bytes(text).map(|(name, value)| (lossy(&name), lossy(&value)))
}

fn pairs_of_bytes(text: &[u8]) -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> {
    text.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()).map(|pair| {
        let mut sides = pair.splitn(2, |byte| *byte == b'=').map(|side| {
            let blank = |byte: &u8| if *byte == b'+' { b' ' } else { *byte };
            decoded(&side.iter().map(blank).collect::<Vec<u8>>())
        });
        (sides.next().unwrap_or_default(), sides.next().unwrap_or_default())
    })
}

/// `%41` to `A`; what is no escape stays as it is, and U+FFFD stands for what is not UTF-8.
pub fn percent_decoded(text: &str) -> String {
    if !text.contains('%') {
        return text.to_owned();
    }
    lossy(&decoded(text.as_bytes()))
}

fn decoded(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
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
    plain
}

fn lossy(text: &[u8]) -> String {
    String::from_utf8_lossy(text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::budget::MOST_NODES;

    fn read(body: &str) -> Result<Map<String, Value>, FormError> {
        form(body.as_bytes(), &Budget::of(MOST_NODES))
    }

    #[test]
    fn reads_forms() {
        let parameters = read("common_name=a.example.org&ttl=1h&x=a%20b").unwrap();
        assert_eq!(parameters["common_name"], "a.example.org");
        assert_eq!(parameters["x"], "a b");
    }

    #[test]
    fn a_form_has_the_bounds_of_json() {
        assert!(read(&"a=1&".repeat(MOST_ENTRIES)).is_ok());
        let FormError(why) = read(&"a=1&".repeat(MOST_ENTRIES + 1)).unwrap_err();
        assert_eq!(why, "the form holds more than 10000 parameters");
        assert!(read(&format!("a={}", ",".repeat(MOST_NODES - 2))).is_ok());
        for comma in [",", "%2c", "%2C"] {
            let FormError(why) = read(&format!("a={}", comma.repeat(MOST_NODES - 1))).unwrap_err();
            assert!(why.contains("more than 32768 names"), "{why}");
        }
        let FormError(why) = read(&"a".repeat(LONGEST_TEXT + 1)).unwrap_err();
        assert_eq!(why, "the form is too long; send JSON");
    }
}
