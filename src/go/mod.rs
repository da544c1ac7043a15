//! What Go writes and reads: Vault's answers quote names, print durations and read flags, URIs and
//! host names as Go's standard library does.

pub mod duration;
pub mod idna;
mod quote;
mod time;
pub mod url;

pub use quote::{is_control, quote};
pub use time::time_parse_error;

/// A flag in one of the spellings of Go's `strconv.ParseBool`.
pub fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}
