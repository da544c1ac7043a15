//! Why a command ends with another exit code than 0, and what to do about it.

use std::fmt;
use std::io;

use super::remedy::{self, Remedy};
use crate::client;

/// What is printed before the process ends, and with which code.
#[derive(Debug)]
pub(crate) struct CommandFailure {
    /// The exit code.
    pub(crate) code: u8,
    /// For standard error.
    pub(crate) text: String,
    /// What to do, where the text does not say it.
    pub(super) remedy: Remedy,
}

impl CommandFailure {
    /// A mistake on this side: usage, a file, the environment. Exit code 1.
    pub(crate) fn local(text: impl Into<String>) -> Self {
        Self { code: 1, text: text.into(), remedy: Remedy::InText }
    }

    /// The server refused, has nothing, or cannot be reached. Exit code 2.
    pub(crate) fn server(text: impl Into<String>) -> Self {
        Self { code: 2, text: text.into(), remedy: Remedy::InText }
    }

    /// A failed request, after what it was for. Exit code 2, as in Vault.
    pub(super) fn request(doing: impl fmt::Display, error: &client::Error) -> Self {
        Self::server(format!("{doing}: {error}")).remedied_by(remedy::of(error))
    }

    /// The same failure with another exit code.
    pub(super) fn with_code(self, code: u8) -> Self {
        Self { code, ..self }
    }

    /// The same failure with what to do about it.
    pub(super) fn remedied_by(self, remedy: Remedy) -> Self {
        Self { remedy, ..self }
    }

    /// The same with a sentence that says what to do.
    pub(super) fn with_remedy(self, sentence: impl Into<String>) -> Self {
        self.remedied_by(Remedy::Sentence(sentence.into()))
    }
}

impl From<io::Error> for CommandFailure {
    /// Standard output is closed, or cannot be written.
    fn from(error: io::Error) -> Self {
        // The reader has closed the pipe (`signet list … | head`): not an error to report.
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::local("");
        }
        Self::local(format!("cannot write the output: {error}"))
    }
}
