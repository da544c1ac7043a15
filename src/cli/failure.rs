//! Why a command ends with another exit code than 0, and what to do about it.

use std::fmt;
use std::io;

use super::mend::{self, Mend};
use crate::client;

/// What is printed before the process ends, and with which code.
#[derive(Debug)]
pub(crate) struct CommandFailure {
    /// The exit code.
    pub(crate) code: u8,
    /// For standard error.
    pub(crate) text: String,
    /// What to do, where the text does not say it.
    pub(super) mend: Mend,
}

impl CommandFailure {
    /// A mistake on this side: usage, a file, the environment. Exit code 1.
    pub(crate) fn local(text: impl Into<String>) -> Self {
        Self { code: 1, text: text.into(), mend: Mend::InText }
    }

    /// The server refused, has nothing, or cannot be reached. Exit code 2.
    pub(crate) fn server(text: impl Into<String>) -> Self {
        Self { code: 2, text: text.into(), mend: Mend::InText }
    }

    /// A failed request, after what it was for. Exit code 2, as in Vault.
    pub(super) fn request(doing: impl fmt::Display, error: &client::Error) -> Self {
        Self::server(format!("{doing}: {error}")).mended_by(mend::of(error))
    }

    /// The same failure with another exit code.
    pub(super) fn with_code(self, code: u8) -> Self {
        Self { code, ..self }
    }

    /// The same failure with what to do about it.
    pub(super) fn mended_by(self, mend: Mend) -> Self {
        Self { mend, ..self }
    }

    /// The same with a sentence that says what to do.
    pub(super) fn with_mend(self, sentence: impl Into<String>) -> Self {
        self.mended_by(Mend::Sentence(sentence.into()))
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
