//! Durations on the command line and in its output.

use crate::go::duration::{self, Span};

/// Reads a flag's text; a negative span means "the default".
///
/// # Errors
/// Says what a duration looks like.
pub(super) fn parse(text: &str) -> Result<Span, String> {
    duration::parse(text).ok().filter(|span| span.fits_go()).ok_or_else(|| {
        format!("{text:?} is not a duration: write 3600, 90s, 30m, 72h, 1h30m or 30d")
    })
}

/// Seconds as Vault's command line prints them: `72h`, `1m30s`, `0s`.
pub(super) fn short(seconds: i64) -> String {
    let mut text = duration::format(seconds);
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
    fn reads_what_the_server_and_its_files_read() {
        for (text, seconds) in
            [("3600", 3600), ("1h30m", 5400), ("1.5h", 5400), ("2d", 172_800), ("-1h", -3600)]
        {
            assert_eq!(parse(text).unwrap().whole_seconds(), seconds, "{text}");
        }
    }

    #[test]
    fn refuses_what_is_not_a_duration() {
        for text in ["", "-", "foo", "5x", "h", "1h5", "99999999999", "1.5h "] {
            let why = parse(text).unwrap_err();
            assert!(why.starts_with(&format!("{text:?} is not a duration: write")), "{why}");
        }
    }

    #[test]
    fn omits_minutes_and_seconds_that_are_zero() {
        for (seconds, text) in [
            (0, "0s"),
            (61, "1m1s"),
            (60, "1m"),
            (3600, "1h"),
            (5400, "1h30m"),
            (259_200, "72h"),
            (3610, "1h0m10s"),
        ] {
            assert_eq!(short(seconds), text);
        }
    }
}
