//! Commands: one file each; they print, and ask server or client to do it.

use std::ffi::OsString;

/// Runs the command line; the result is the process's exit code (0, 1 usage or network, 2 refused).
pub fn main(
    _arguments: impl Iterator<Item = OsString>,
    _environment: &dyn Fn(&str) -> Option<String>,
) -> u8 {
    0
}
