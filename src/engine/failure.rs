//! Why a use case has no answer. `http` turns each into a status and Vault's text.

use std::fmt;

use crate::ca::finding::Findings;
use crate::ca::pem::UnknownKey;
use crate::ca::role::{RoleError, RoleViolation};
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
    InvalidWrapped(String),
    /// What was asked for is not there.
    NotFound,
    /// The same, with Vault's text or ours.
    Absent(String),
    /// The mount does not know this path; the notice, if any, says that Vault has it.
    UnsupportedPath {
        /// What the caller is told beside Vault's text.
        notice: Option<String>,
    },
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
    Internal(String),
}

impl Failure {
    /// A refusal without a hint.
    pub fn refused(text: impl Into<String>) -> Self {
        Self::Refused { text: text.into(), hint: None }
    }

    /// What a lint found, before anything was signed: a fault where Signet alone can mend it, else
    /// a refusal that says the rule, its clause and the setting of `holder` (as in `role web`).
    pub fn of_lint(findings: &Findings, holder: &str) -> Self {
        if findings.is_internal() {
            return Self::Internal(format!("lint before signing: {findings}"));
        }
        Self::refused(format!(
            "nothing was signed, because a rule is broken: {}",
            findings.describe(holder)
        ))
    }

    /// A fixed label for counting.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Refused { .. } => "refused",
            Self::InvalidWrapped(_) => "invalid_wrapped",
            Self::NotFound => "not_found",
            Self::Absent(_) => "absent",
            Self::UnsupportedPath { .. } => "unsupported_path",
            Self::UnsupportedOperation => "unsupported_operation",
            Self::Forbidden(_) => "forbidden",
            Self::Conflict => "conflict",
            Self::Busy => "busy",
            Self::Sealed => "sealed",
            Self::Internal(_) => "internal",
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused { text, .. }
            | Self::InvalidWrapped(text)
            | Self::Absent(text)
            | Self::Forbidden(text)
            | Self::Internal(text) => formatter.write_str(text),
            other => formatter.write_str(other.label()),
        }
    }
}

impl std::error::Error for Failure {}

impl From<RoleViolation> for Failure {
    fn from(refusal: RoleViolation) -> Self {
        Self::Refused { text: refusal.text, hint: refusal.hint }
    }
}

impl From<RoleError> for Failure {
    fn from(error: RoleError) -> Self {
        match error {
            RoleError::Invalid(text) => Self::refused(text),
            RoleError::InvalidWrapped(text) => Self::InvalidWrapped(text),
        }
    }
}

impl From<UnknownKey> for Failure {
    fn from(error: UnknownKey) -> Self {
        Self::Internal(error.to_string())
    }
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Sealed => Self::Sealed,
            other => Self::Internal(other.to_string()),
        }
    }
}

impl From<CommitError> for Failure {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Conflict { .. } => Self::Conflict,
            CommitError::Sealed => Self::Sealed,
            other => Self::Internal(other.to_string()),
        }
    }
}
