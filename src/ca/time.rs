//! Instants as certificates, logs and Vault's answers write them.

use std::fmt;

use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};

/// An instant, UTC, to the nanosecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    seconds: i64,
    nanoseconds: u32,
}

/// The last second that an X.509 certificate can encode: 9999-12-31T23:59:59Z (RFC 5280, 4.1.2.5).
pub const LAST_SECOND: i64 = 253_402_300_799;

impl Timestamp {
    /// The instant `seconds` after the Unix epoch.
    pub const fn from_unix(seconds: i64) -> Self {
        Self { seconds, nanoseconds: 0 }
    }

    /// The same second with these nanoseconds (at most 999,999,999; more counts as that).
    #[must_use]
    pub const fn with_nanoseconds(self, nanoseconds: u32) -> Self {
        let nanoseconds = if nanoseconds > 999_999_999 { 999_999_999 } else { nanoseconds };
        Self { seconds: self.seconds, nanoseconds }
    }

    /// Whole seconds since the Unix epoch, rounded down.
    pub const fn unix(self) -> i64 {
        self.seconds
    }

    /// Nanoseconds within the second.
    pub const fn nanoseconds(self) -> u32 {
        self.nanoseconds
    }

    /// The whole second, as certificates write it.
    #[must_use]
    pub const fn whole(self) -> Self {
        Self::from_unix(self.seconds)
    }

    /// This instant `seconds` later (or earlier, if negative), saturating at the range of `i64`.
    #[must_use]
    pub const fn plus(self, seconds: i64) -> Self {
        Self { seconds: self.seconds.saturating_add(seconds), nanoseconds: self.nanoseconds }
    }

    /// Reads RFC 3339 with any offset and fraction, as Go reads it: capital letters, no leap
    /// seconds.
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        let capitals = text.get(10..11) == Some("T") && !text.ends_with('z');
        if !capitals || text.get(16..19) == Some(":60") {
            return None;
        }
        let parsed = OffsetDateTime::parse(text, &Rfc3339).ok()?;
        Some(Self { seconds: parsed.unix_timestamp(), nanoseconds: parsed.nanosecond() })
    }

    /// The calendar form, or `None` outside the years 0 to 9999.
    pub fn calendar(self) -> Option<OffsetDateTime> {
        let whole = OffsetDateTime::from_unix_timestamp(self.seconds).ok()?;
        let exact = whole.replace_nanosecond(self.nanoseconds).ok()?;
        Some(exact.to_offset(UtcOffset::UTC))
    }
}

/// RFC 3339, UTC, fraction without trailing zeros: as Vault's answers and texts write instants.
impl fmt::Display for Timestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(calendar) = self.calendar() else {
            return write!(formatter, "@{}", self.seconds);
        };
        let (date, clock) = (calendar.date(), calendar.time());
        write!(
            formatter,
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}",
            date.year(),
            u8::from(date.month()),
            date.day(),
            clock.hour(),
            clock.minute(),
            clock.second()
        )?;
        if self.nanoseconds > 0 {
            let fraction = format!("{:09}", self.nanoseconds);
            write!(formatter, ".{}", fraction.trim_end_matches('0'))?;
        }
        formatter.write_str("Z")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes_rfc3339() {
        let instant = Timestamp::parse_rfc3339("2031-01-02T05:04:05.120+02:00").unwrap();
        assert_eq!(instant.to_string(), "2031-01-02T03:04:05.12Z");
        assert_eq!(instant.whole().to_string(), "2031-01-02T03:04:05Z");
        assert!(Timestamp::parse_rfc3339("tomorrow").is_none());
    }

    #[test]
    fn refuses_the_times_that_go_refuses() {
        for text in [
            "2030-01-01t00:00:00Z",
            "2030-01-01T00:00:00z",
            "2030-01-01 00:00:00Z",
            "2026-12-31T23:59:60Z",
            "2030-01-01T24:00:00Z",
            "2030-02-29T00:00:00Z",
        ] {
            assert!(Timestamp::parse_rfc3339(text).is_none(), "{text}");
        }
    }

    #[test]
    fn the_last_second_is_in_the_year_9999() {
        assert_eq!(Timestamp::from_unix(LAST_SECOND).to_string(), "9999-12-31T23:59:59Z");
    }
}
