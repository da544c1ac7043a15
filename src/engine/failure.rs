//! Why a use case has no answer. `http` turns each into a status and Vault's text.

use std::fmt;

use crate::ca::finding::Findings;
use crate::ca::pem::UnknownKey;
use crate::ca::role::{Refusal, RoleError};
use crate::store::{CommitError, ReadError};

/// Whose fault it is, and what may be said about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The caller's request is refused; the text says which rule, the hint what would help.
    Refused {
        /// Vault's text.
        text: String,
        /// A line to paste.
        hint: Option<String>,
    },
    /// The caller's mistake in the cases that Vault reports as an internal error, with its text.
    Mistaken(String),
    /// What was asked for is not there.
    Missing,
    /// The same, with Vault's text or ours.
    Absent(String),
    /// The mount does not know this path.
    UnsupportedPath,
    /// The mount knows the path, but not this operation on it.
    UnsupportedOperation,
    /// The caller may not know what is there.
    Forbidden(String),
    /// Another commit came between; the use case starts again.
    Conflict,
    /// It came between too often, or the server has too much to do.
    Busy,
    /// The store is sealed.
    Sealed,
    /// Ours: logged, and told to nobody.
    Fault(String),
}

impl Failure {
    /// A refusal without a hint.
    pub fn refused(text: impl Into<String>) -> Self {
        Self::Refused { text: text.into(), hint: None }
    }

    /// What a lint found, before anything was signed: a fault where Signet alone can mend it, else
    /// a refusal that says the rule, its clause and the setting of `holder` (as in `role web`).
    pub fn of_lint(findings: &Findings, holder: &str) -> Self {
        if findings.is_fault() {
            return Self::Fault(format!("lint before signing: {findings}"));
        }
        Self::refused(format!(
            "nothing was signed, because a rule is broken: {}",
            findings.told(holder)
        ))
    }

    /// A fixed label for counting.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Refused { .. } => "refused",
            Self::Mistaken(_) => "mistaken",
            Self::Missing => "missing",
            Self::Absent(_) => "absent",
            Self::UnsupportedPath => "unsupported_path",
            Self::UnsupportedOperation => "unsupported_operation",
            Self::Forbidden(_) => "forbidden",
            Self::Conflict => "conflict",
            Self::Busy => "busy",
            Self::Sealed => "sealed",
            Self::Fault(_) => "fault",
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused { text, .. }
            | Self::Mistaken(text)
            | Self::Absent(text)
            | Self::Forbidden(text)
            | Self::Fault(text) => formatter.write_str(text),
            other => formatter.write_str(other.label()),
        }
    }
}

impl std::error::Error for Failure {}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused { text: refusal.text, hint: refusal.hint }
    }
}

impl From<RoleError> for Failure {
    fn from(error: RoleError) -> Self {
        match error {
            RoleError::Invalid(text) => Self::refused(text),
            RoleError::InvalidWrapped(text) => Self::Mistaken(text),
        }
    }
}

impl From<UnknownKey> for Failure {
    fn from(error: UnknownKey) -> Self {
        Self::Fault(error.to_string())
    }
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Sealed => Self::Sealed,
            other => Self::Fault(other.to_string()),
        }
    }
}

impl From<CommitError> for Failure {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Conflict { .. } => Self::Conflict,
            CommitError::Sealed => Self::Sealed,
            other => Self::Fault(other.to_string()),
        }
    }
}
