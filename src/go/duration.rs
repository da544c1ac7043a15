//! Durations as Go writes them, with Vault's two additions: whole seconds without a unit (`90`) and
//! whole days (`30d`).
//!
//! The grammar is that of Go's `time.ParseDuration`; the additions are those of Vault's duration
//! format strings (<https://developer.hashicorp.com/vault/docs/concepts/duration-format>). A day is
//! not a unit of Go: `1d12h` is refused with Go's text.

use std::fmt;
use std::time::Duration;

use super::quote;

/// Why a text is not a duration. The texts are Go's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DurationError {
    /// The text does not have the form of a duration.
    Invalid(String),
    /// The last number has no unit.
    MissingUnit(String),
    /// A unit that Go does not have.
    UnknownUnit {
        /// The unit.
        unit: String,
        /// The whole text.
        text: String,
    },
}

impl fmt::Display for DurationError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(text) => write!(formatter, "time: invalid duration {}", quote(text)),
            Self::MissingUnit(text) => {
                write!(formatter, "time: missing unit in duration {}", quote(text))
            }
            Self::UnknownUnit { unit, text } => {
                write!(formatter, "time: unknown unit {} in duration {}", quote(unit), quote(text))
            }
        }
    }
}

impl std::error::Error for DurationError {}

/// A span of time, positive or negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    nanoseconds: i128,
}

impl Span {
    const fn of_seconds(seconds: i64) -> Self {
        Self { nanoseconds: seconds as i128 * SECOND }
    }

    /// Whole seconds, truncated as in Go's conversion to an integer.
    pub fn whole_seconds(self) -> i64 {
        let seconds = self.nanoseconds / SECOND;
        i64::try_from(seconds).unwrap_or(if seconds < 0 { i64::MIN } else { i64::MAX })
    }

    /// Does it fit into Go's `time.Duration`, an `int64` of nanoseconds (about 292 years)?
    pub fn fits_go(self) -> bool {
        i64::try_from(self.nanoseconds).is_ok()
    }

    /// As a duration of the standard library; `None` if it is negative or beyond Go's range.
    pub fn to_std(self) -> Option<Duration> {
        if !self.fits_go() {
            return None;
        }
        u64::try_from(self.nanoseconds).ok().map(Duration::from_nanos)
    }
}

/// Reads `90`, `90s`, `1h30m`, `1.5h`, `250ms`, `-1h` or `30d`. Go's range is not checked here.
///
/// # Errors
/// The text of [`DurationError`] is Go's.
pub fn parse(text: &str) -> Result<Span, DurationError> {
    if let Ok(seconds) = text.parse() {
        return Ok(Span::of_seconds(seconds));
    }
    if let Some(days) = text.strip_suffix('d')
        && let Ok(days) = days.parse::<i64>()
    {
        return Ok(Span::of_seconds(days.saturating_mul(86_400)));
    }
    let invalid = || DurationError::Invalid(text.to_owned());
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let (number, after) = split(rest, |character| !is_numeric(character));
        let (unit, after) = split(after, is_numeric);
        let number = Number::parse(number).ok_or_else(invalid)?;
        let unit = match unit {
            "h" => 3600 * SECOND,
            "m" => 60 * SECOND,
            "s" => SECOND,
            "ms" => 1_000_000,
            "us" | "µs" | "μs" => 1_000,
            "ns" => 1,
            "" => return Err(DurationError::MissingUnit(text.to_owned())),
            unit => {
                let (unit, text) = (unit.to_owned(), text.to_owned());
                return Err(DurationError::UnknownUnit { unit, text });
            }
        };
        total = total.saturating_add(number.times(unit));
        rest = after;
    }
    Ok(Span { nanoseconds: sign * total })
}

/// Seconds as Go prints a duration: `72h0m0s`, `1m30s`, `0s`.
pub fn format(seconds: i64) -> String {
    let sign = if seconds < 0 { "-" } else { "" };
    let total = seconds.unsigned_abs();
    let (hours, minutes, seconds) = (total / 3600, total / 60 % 60, total % 60);
    match (hours, minutes) {
        (0, 0) => format!("{sign}{seconds}s"),
        (0, _) => format!("{sign}{minutes}m{seconds}s"),
        _ => format!("{sign}{hours}h{minutes}m{seconds}s"),
    }
}

const SECOND: i128 = 1_000_000_000;

/// The digits of a fraction that count; further ones are ignored, as in Go.
const FRACTION_DIGITS: usize = 18;

/// A decimal number without a sign: a whole part, and a fraction with the number of its digits.
struct Number {
    whole: i128,
    fraction: i128,
    digits: u32,
}

impl Number {
    /// Reads `1`, `1.5`, `.5` or `1.`.
    fn parse(text: &str) -> Option<Self> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
            return None;
        }
        let fraction = fraction.get(..FRACTION_DIGITS).unwrap_or(fraction);
        let value = |digits: &str| {
            digits.bytes().fold(0_i128, |value, digit| {
                value.saturating_mul(10).saturating_add(i128::from(digit.saturating_sub(b'0')))
            })
        };
        let digits = u32::try_from(fraction.len()).ok()?;
        Some(Self { whole: value(whole), fraction: value(fraction), digits })
    }

    /// The number times `unit`, rounded down.
    const fn times(&self, unit: i128) -> i128 {
        // Below 10^18 times 3600 * 10^9, which fits.
        let fraction = self.fraction * unit / 10_i128.pow(self.digits);
        self.whole.saturating_mul(unit).saturating_add(fraction)
    }
}

const fn is_numeric(character: char) -> bool {
    character.is_ascii_digit() || character == '.'
}

/// The text before the first character for which `ends` is true, and the rest.
fn split(text: &str, ends: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(ends).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn seconds_days_and_every_unit_of_go_are_read() {
        for (text, nanoseconds) in [
            ("0", 0),
            ("90", 90 * SECOND),
            ("+90", 90 * SECOND),
            ("-1", -SECOND),
            ("90s", 90 * SECOND),
            ("72h", 259_200 * SECOND),
            ("1h30m", 5_400 * SECOND),
            ("1.5h", 5_400 * SECOND),
            (".5h", 1_800 * SECOND),
            ("1.s", SECOND),
            ("-1.5h", -5_400 * SECOND),
            ("0.1s0.1s0.1s", 300_000_000),
            ("250ms", 250_000_000),
            ("3us4µs5μs6ns", 12_006),
            ("0.3333333333333333333h", 1_199_999_999_999),
            ("2d", 172_800 * SECOND),
            ("-2d", -172_800 * SECOND),
        ] {
            assert_eq!(parse(text), Ok(Span { nanoseconds }), "{text}");
        }
    }

    #[test]
    fn everything_else_is_refused_with_the_text_of_go() {
        for (text, why) in [
            ("", "time: invalid duration \"\""),
            ("-", "time: invalid duration \"-\""),
            ("abc", "time: invalid duration \"abc\""),
            ("h", "time: invalid duration \"h\""),
            (".s", "time: invalid duration \".s\""),
            ("1.s.", "time: invalid duration \"1.s.\""),
            ("1.5", "time: missing unit in duration \"1.5\""),
            ("1h30", "time: missing unit in duration \"1h30\""),
            ("1w", "time: unknown unit \"w\" in duration \"1w\""),
            ("1.5d", "time: unknown unit \"d\" in duration \"1.5d\""),
            ("1d12h", "time: unknown unit \"d\" in duration \"1d12h\""),
            ("1.5h ", "time: unknown unit \"h \" in duration \"1.5h \""),
        ] {
            assert_eq!(parse(text).unwrap_err().to_string(), why, "{text}");
        }
    }

    #[test]
    fn spans_beyond_the_range_of_go_are_detected() {
        let read = |text: &str| parse(text).unwrap();
        assert!(read("9223372036").fits_go() && !read("9223372037").fits_go());
        assert!(read("9223372036.854775807s").fits_go());
        assert!(!read("9223372036.854775808s").fits_go());
        let far = format!("{}h", "9".repeat(100));
        assert_eq!(read(&far).whole_seconds(), i64::MAX);
        assert_eq!(read(&format!("-{far}")).whole_seconds(), i64::MIN);
        assert_eq!(read(&far).to_std(), None);
    }

    #[test]
    fn a_negative_span_has_no_duration_of_the_standard_library() {
        assert_eq!(parse("-1ns").unwrap().to_std(), None);
        assert_eq!(parse("250ms").unwrap().to_std(), Some(Duration::from_millis(250)));
    }

    #[test]
    fn seconds_are_printed_as_go_prints_them() {
        for (seconds, text) in [
            (0, "0s"),
            (61, "1m1s"),
            (60, "1m0s"),
            (3600, "1h0m0s"),
            (259_200, "72h0m0s"),
            (3610, "1h0m10s"),
            (-30, "-30s"),
        ] {
            assert_eq!(format(seconds), text);
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_as_the_same_seconds(seconds in any::<i64>()) {
            prop_assert_eq!(parse(&format(seconds)).unwrap().whole_seconds(), seconds);
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "[-+]?[0-9.hmsdnµu ]{0,40}|\\PC{0,20}") {
            let _result = parse(&text);
        }
    }
}
