//! Why a command ends with another exit code than 0.

use std::fmt;
use std::io;

use crate::client;

/// What is printed before the process ends, and with which code.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The exit code.
    pub(crate) code: u8,
    /// For standard error.
    pub(crate) text: String,
}

impl Failure {
    /// A mistake on this side: usage, a file, the environment. Exit code 1.
    pub(crate) fn local(text: impl Into<String>) -> Self {
        Self { code: 1, text: text.into() }
    }

    /// The server refused, has nothing, or cannot be reached. Exit code 2.
    pub(crate) fn server(text: impl Into<String>) -> Self {
        Self { code: 2, text: text.into() }
    }

    /// What a request failed with, after what was being done. Exit code 2, as Vault has it.
    pub(super) fn request(doing: impl fmt::Display, error: &client::Error) -> Self {
        Self::server(format!("{doing}: {error}"))
    }
}

impl From<io::Error> for Failure {
    /// Standard output is gone, or cannot be written.
    fn from(error: io::Error) -> Self {
        // The reader has closed the pipe (`signet list … | head`): not an error to report.
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::local("");
        }
        Self::local(format!("cannot write the output: {error}"))
    }
}
