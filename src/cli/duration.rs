//! Durations as Go writes them: `72h`, `1h30m`, `90` for seconds; also days, `2d`.

use std::fmt::Write as _;

/// Whole seconds of a flag's text; negative ones are allowed, since they mean "the default".
///
/// # Errors
/// Says what a duration looks like.
pub(super) fn parse(text: &str) -> Result<i64, String> {
    let wrong = || format!("{text:?} is no duration: write 3600, 90s, 30m, 72h or 1h30m");
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text),
    };
    if let Ok(seconds) = digits.parse::<u32>() {
        return Ok(sign * i64::from(seconds));
    }
    let mut total: i64 = 0;
    let mut rest = digits;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let (number, tail) = rest.split_at(end);
        let unit_end = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        let scale = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            "d" => 86_400,
            _ => return Err(wrong()),
        };
        let number: u32 = number.parse().map_err(|_| wrong())?;
        total += i64::from(number) * scale;
        rest = tail;
    }
    if digits.is_empty() { Err(wrong()) } else { Ok(sign * total) }
}

/// As Go prints it: `72h0m0s`, `1m30s`, `0s`.
pub(super) fn full(seconds: i64) -> String {
    let (sign, seconds) = if seconds < 0 { ("-", -seconds) } else { ("", seconds) };
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let mut text = sign.to_owned();
    // Writing into a String does not fail.
    let _ = match (hours, minutes) {
        (0, 0) => write!(text, "{seconds}s"),
        (0, _) => write!(text, "{minutes}m{seconds}s"),
        _ => write!(text, "{hours}h{minutes}m{seconds}s"),
    };
    text
}

/// As Vault prints it to people: `72h`, `1m30s`, `0s`.
pub(super) fn short(seconds: i64) -> String {
    let mut text = full(seconds);
    for (long, keep) in [("m0s", 1), ("h0m", 1)] {
        if text.ends_with(long) {
            text.truncate(text.len() - long.len() + keep);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_go_reads_and_days() {
        for (text, seconds) in [
            ("0", 0),
            ("3600", 3600),
            ("72h", 259_200),
            ("1h30m", 5400),
            ("1m1s", 61),
            ("2d", 172_800),
            ("-1", -1),
            ("-1h", -3600),
        ] {
            assert_eq!(parse(text), Ok(seconds), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_no_duration() {
        for text in ["", "-", "foo", "5x", "h", "1h5", "99999999999", "1.5h "] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn prints_like_go_and_shorter_for_people() {
        for (seconds, long, brief) in [
            (0, "0s", "0s"),
            (61, "1m1s", "1m1s"),
            (60, "1m0s", "1m"),
            (3600, "1h0m0s", "1h"),
            (5400, "1h30m0s", "1h30m"),
            (259_200, "72h0m0s", "72h"),
            (3610, "1h0m10s", "1h0m10s"),
        ] {
            assert_eq!((full(seconds).as_str(), short(seconds).as_str()), (long, brief));
        }
    }
}
