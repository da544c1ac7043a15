//! The only file that reads a clock.
//!
//! A request reads it once, in `http::v1`; the layers below get the instant as an argument.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::ca::time::Timestamp;

/// The source of instants: the system, or a value that a test sets.
#[derive(Clone, Debug)]
pub enum Clock {
    /// The wall clock of this machine.
    System,
    /// A clock that a test sets, in seconds since the Unix epoch.
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// A clock that shows `seconds` since the Unix epoch until a test changes the returned value.
    pub fn manual(seconds: i64) -> (Self, Arc<AtomicI64>) {
        let instant = Arc::new(AtomicI64::new(seconds));
        (Self::Manual(Arc::clone(&instant)), instant)
    }

    /// The present instant, UTC.
    #[expect(clippy::disallowed_methods, reason = "this is the one file that reads the clock")]
    pub fn now(&self) -> Timestamp {
        match self {
            Self::System => {
                // A clock before 1970 is a broken clock; the epoch keeps certificates invalid.
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                Timestamp::from_unix(since.as_secs().try_into().unwrap_or(i64::MAX))
                    .with_nanoseconds(since.subsec_nanos())
            }
            Self::Manual(instant) => Timestamp::from_unix(instant.load(Ordering::SeqCst)),
        }
    }
}

/// A stopwatch for logs: monotonic, never part of a decision.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts now.
    #[expect(clippy::disallowed_methods, reason = "this is the one file that reads the clock")]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Microseconds since the start.
    pub fn microseconds(&self) -> u64 {
        self.0.elapsed().as_micros().try_into().unwrap_or(u64::MAX)
    }
}
