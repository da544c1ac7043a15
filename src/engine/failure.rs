//! Why a use case failed. `http` turns each failure into a status and Vault's text.

use std::fmt;

use crate::ca::finding::Findings;
use crate::ca::pem::UnknownKey;
use crate::ca::role::{RoleError, RoleViolation};
use crate::store::{CommitError, ReadError};

/// The kind of failure, with what the answer says about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The request breaks a rule: the text names the rule, the hint says what to do.
    Refused {
        /// Vault's text.
        text: String,
        /// What to do, with a command to paste where one exists.
        hint: Option<String>,
    },
    /// An invalid request that Vault reports as an internal error, with Vault's text.
    InvalidWrapped(String),
    /// What was requested does not exist.
    NotFound,
    /// The same, with Vault's text or ours.
    Absent(String),
    /// The mount does not know this path; the notice, if any, says that Vault has it.
    UnsupportedPath {
        /// What the answer adds to Vault's text.
        notice: Option<String>,
    },
    /// The mount knows the path, but not this operation on it.
    UnsupportedOperation,
    /// The caller may not learn what exists.
    Forbidden(String),
    /// Another commit changed what was read; the use case starts again.
    Conflict,
    /// Too many conflicts in succession, or too much work is pending.
    Busy,
    /// The store is sealed.
    Sealed,
    /// An error of the server: logged, and not part of any answer.
    Internal(String),
}

impl Failure {
    /// A refusal without a hint.
    pub fn refused(text: impl Into<String>) -> Self {
        Self::Refused { text: text.into(), hint: None }
    }

    /// What a lint found before signing: an internal error if only Signet can correct it, else a
    /// refusal that names the rule, its clause and the setting of `holder` (such as `role web`).
    pub fn of_lint(findings: &Findings, holder: &str) -> Self {
        if findings.is_internal() {
            return Self::Internal(format!("lint before signing: {findings}"));
        }
        Self::refused(format!(
            "nothing was signed, because a rule is broken: {}",
            findings.describe(holder)
        ))
    }

    /// A fixed label for metrics.
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
    fn from(violation: RoleViolation) -> Self {
        Self::Refused { text: violation.text, hint: violation.hint }
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
