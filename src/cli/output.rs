//! Standard output and standard error, as writers; only this module prints.

use std::io::{self, Write};

use super::failure::CommandFailure;

/// Where a command prints.
pub(crate) struct Output<'a> {
    stdout: &'a mut dyn Write,
    stderr: &'a mut dyn Write,
    terminal: bool,
}

impl<'a> Output<'a> {
    /// Over two writers; `terminal` says whether the first is a terminal.
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

    /// A bare value: with a line end on a terminal, without one into a pipe.
    pub(crate) fn value(&mut self, text: &str) -> io::Result<()> {
        if self.terminal { self.line(text) } else { self.bytes(text.as_bytes()) }
    }

    /// A line on standard error.
    pub(crate) fn note(&mut self, text: &str) {
        // If standard error is closed, the text cannot be shown anywhere.
        let _ = writeln!(self.stderr, "{text}");
    }

    /// A question on standard error, without a line end: the answer follows on the same line.
    pub(crate) fn ask(&mut self, text: &str) {
        let _ = write!(self.stderr, "{text}");
        let _ = self.stderr.flush();
    }

    /// Prints the failure and what to do about it; its exit code.
    pub(crate) fn failure(&mut self, failure: &CommandFailure, remedy: Option<&str>) -> u8 {
        match remedy {
            // A server's text may end with empty lines.
            Some(remedy) => {
                self.note(&format!("{}\n\nTo fix it: {remedy}", failure.text.trim_end()))
            }
            None if failure.text.is_empty() => {}
            None => self.note(&failure.text),
        }
        failure.code
    }

    /// Prints what is wrong with the arguments (exit code 1), or the requested help (0).
    pub(super) fn usage(&mut self, error: &clap::Error, asked: bool) -> u8 {
        let text = error.render().to_string();
        if asked {
            return u8::from(self.bytes(text.as_bytes()).is_err());
        }
        self.note(text.trim_end());
        1
    }
}
