//! A fraction of a lifetime: `1/3`, `0.33` or `33%`.

use crate::ca::time::Timestamp;

/// Above 0 and below 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fraction {
    numerator: u32,
    denominator: u32,
}

impl Fraction {
    /// Reads the text of a flag.
    ///
    /// # Errors
    /// What a fraction looks like.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (numerator, denominator) = match (text.split_once('/'), text.strip_suffix('%')) {
            (Some((above, below)), None) => (whole(above), whole(below)),
            (None, Some(percent)) => {
                let (numerator, denominator) = decimal(percent).unzip();
                (numerator, denominator.and_then(|parts: u32| parts.checked_mul(100)))
            }
            (None, None) => decimal(text).unzip(),
            (Some(_), Some(_)) => (None, None),
        };
        match (numerator, denominator) {
            (Some(numerator @ 1..), Some(denominator)) if numerator < denominator => {
                Ok(Self { numerator, denominator })
            }
            _ => Err(format!(
                "-if-expiring={text} is not a fraction between 0 and 1: write 1/3, 0.33 or 33%"
            )),
        }
    }

    /// Whether more than this fraction of the time between `start` and `end` remains at `now`.
    pub(super) fn remains(self, start: Timestamp, end: Timestamp, now: Timestamp) -> bool {
        let span = |from: Timestamp| i128::from(end.unix()) - i128::from(from.unix());
        span(now) > 0
            && span(now) * i128::from(self.denominator) > span(start) * i128::from(self.numerator)
    }
}

fn whole(text: &str) -> Option<u32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// `0.33` as 33 of 100.
fn decimal(text: &str) -> Option<(u32, u32)> {
    let (before, after) = text.split_once('.').unwrap_or((text, ""));
    let places = u32::try_from(after.len()).ok().filter(|places| *places <= 6)?;
    let before = if before.is_empty() && places > 0 { "0" } else { before };
    Some((whole(&format!("{before}{after}"))?, 10_u32.pow(places)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractions_decimals_and_percentages_are_read() {
        for (text, numerator, denominator) in [
            ("1/3", 1, 3),
            ("0.33", 33, 100),
            (".5", 5, 10),
            ("33%", 33, 100),
            ("12.5%", 125, 1000),
        ] {
            assert_eq!(Fraction::parse(text), Ok(Fraction { numerator, denominator }), "{text}");
        }
    }

    #[test]
    fn what_is_not_between_zero_and_one_is_refused() {
        for text in [
            "",
            "0",
            "1",
            "1/1",
            "3/2",
            "0/3",
            "1/0",
            "1/",
            "/3",
            "-1/3",
            "+1/3",
            "1/3%",
            "100%",
            "0%",
            "%",
            ".",
            "0.0",
            "1.5",
            "0.3333333",
            "third",
            "1/3/5",
            "1e-1",
            "99999999999/2",
        ] {
            let why = Fraction::parse(text).unwrap_err();
            assert!(why.contains("1/3, 0.33 or 33%"), "{text}: {why}");
        }
    }

    #[test]
    fn exactly_the_fraction_is_not_more_than_the_fraction() {
        let third = Fraction::parse("1/3").unwrap();
        let remains = |now: i64| {
            let at = Timestamp::from_unix;
            third.remains(at(1000), at(1300), at(now))
        };
        let cases = [(900, true), (1000, true), (1199, true), (1200, false), (1300, false)];
        for (now, expected) in cases {
            assert_eq!(remains(now), expected, "{now}");
        }
    }
}
