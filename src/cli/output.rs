//! The one place that prints: standard output and standard error, held as writers.

use std::io::{self, Write};

use super::failure::Failure;

/// Where a command prints.
pub(crate) struct Output<'a> {
    stdout: &'a mut dyn Write,
    stderr: &'a mut dyn Write,
    terminal: bool,
}

impl<'a> Output<'a> {
    /// Over two writers; `terminal` says whether a person reads the first.
    pub(crate) fn new(
        stdout: &'a mut dyn Write,
        stderr: &'a mut dyn Write,
        terminal: bool,
    ) -> Self {
        Self { stdout, stderr, terminal }
    }

    /// A line on standard output.
    pub(crate) fn line(&mut self, text: &str) -> io::Result<()> {
        self.bytes(text.as_bytes())?;
        self.bytes(b"\n")
    }

    /// Bytes on standard output, as they are.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stdout.write_all(bytes)?;
        self.stdout.flush()
    }

    /// A bare value: with a line's end for a person, without one for a pipe.
    pub(crate) fn value(&mut self, text: &str) -> io::Result<()> {
        if self.terminal { self.line(text) } else { self.bytes(text.as_bytes()) }
    }

    /// A line on standard error.
    pub(crate) fn note(&mut self, text: &str) {
        // If standard error is closed, the text cannot be shown anywhere.
        let _ = writeln!(self.stderr, "{text}");
    }

    /// A question on standard error; the answer is typed behind it.
    pub(crate) fn ask(&mut self, text: &str) {
        let _ = write!(self.stderr, "{text}");
        let _ = self.stderr.flush();
    }

    /// Tells the failure; its exit code.
    pub(crate) fn failure(&mut self, failure: &Failure) -> u8 {
        if !failure.text.is_empty() {
            self.note(&failure.text);
        }
        failure.code
    }

    /// Tells what the command line lacks (exit code 1), or the help that was asked for (0).
    pub(super) fn usage(&mut self, error: &clap::Error, asked: bool) -> u8 {
        let text = error.render().to_string();
        if asked {
            return u8::from(self.bytes(text.as_bytes()).is_err());
        }
        self.note(text.trim_end());
        1
    }
}
