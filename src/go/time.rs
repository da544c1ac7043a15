//! Go's error text for a time that it cannot parse.

use super::quote;

/// The text of `time.Parse` with the layout of RFC 3339, for the common ways to get a time wrong.
pub fn time_parse_error(text: &str) -> String {
    let layout = "2006-01-02T15:04:05Z07:00";
    let (rest, expected) = stop(text);
    format!(
        "parsing time {} as \"{layout}\": cannot parse {} as \"{expected}\"",
        quote(text),
        quote(rest)
    )
}

/// The text at which Go's parser stops, and what it expects there.
fn stop(text: &str) -> (&str, &'static str) {
    const STEPS: [(usize, &str, &str); 6] = [
        (4, "2006", "-"),
        (2, "01", "-"),
        (2, "02", "T"),
        (2, "15", ":"),
        (2, "04", ":"),
        (2, "05", ""),
    ];
    let mut rest = text;
    for (digits, element, separator) in STEPS {
        let number = rest.get(..digits).unwrap_or_default();
        if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return (rest, element);
        }
        rest = rest.get(digits..).unwrap_or_default();
        match rest.strip_prefix(separator) {
            Some(after) => rest = after,
            None => {
                return (
                    rest,
                    match separator {
                        "-" => "-",
                        "T" => "T",
                        _ => ":",
                    },
                );
            }
        }
    }
    (rest, "Z07:00")
}
