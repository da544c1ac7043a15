//! The input of a decision, besides the role: the parameters of a request, the fields of its CSR
//! and the limits of issuer and mount; and the reason of a refusal.

use std::fmt;

use super::validity::{LeafNotAfterBehavior, TtlLimits, ValidityError};
use crate::ca::permit::{AlternativeNames, IssuingUrls};
use crate::ca::time::Timestamp;

/// The parameters of a request; every text as it was sent.
#[derive(Clone, Debug, Default)]
pub struct CertificateParams {
    /// `common_name`
    pub common_name: String,
    /// `alt_names`, comma separated; `None` if the field was not sent.
    pub alt_names: Option<String>,
    /// `ip_sans`
    pub ip_sans: Vec<String>,
    /// `uri_sans`
    pub uri_sans: Vec<String>,
    /// `other_sans`
    pub other_sans: Vec<String>,
    /// `user_ids`
    pub user_ids: Vec<String>,
    /// `serial_number` of the subject.
    pub serial_number: String,
    /// `ttl` in seconds; 0 means not sent.
    pub ttl: i64,
    /// `not_after`, RFC 3339 or empty.
    pub not_after: String,
    /// `not_before`, RFC 3339 or empty.
    pub not_before: String,
    /// `exclude_cn_from_sans`
    pub exclude_cn_from_sans: bool,
}

/// The fields of a CSR that a role may use.
#[derive(Clone, Debug, Default)]
pub struct CsrFields {
    /// The subject's common name.
    pub common_name: String,
    /// The subject's serialNumber.
    pub serial_number: String,
    /// The subject's UIDs.
    pub user_ids: Vec<String>,
    /// Its subject alternative names.
    pub names: AlternativeNames,
    /// An otherName that is not a UTF8String was among them.
    pub has_unreadable_other_name: bool,
    /// It requests basic constraints.
    pub has_basic_constraints: bool,
}

/// The limits of every request: notAfter of the issuer and the lifetimes of the mount.
#[derive(Clone, Debug)]
pub struct IssuanceLimits {
    /// notAfter of the issuer's certificate.
    pub issuer_end: Timestamp,
    /// What happens to a leaf that would end later.
    pub behavior: LeafNotAfterBehavior,
    /// The mount's lifetimes.
    pub mount: TtlLimits,
    /// URLs for the certificate.
    pub urls: IssuingUrls,
}

/// Why a role refuses a request. The text is Vault's; `hint` names a command that would allow it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleViolation {
    /// The rule that refuses.
    pub text: String,
    /// A command to paste.
    pub hint: Option<String>,
}

impl RoleViolation {
    pub(super) fn new<T>(text: impl Into<String>) -> Result<T, Self> {
        Err(Self { text: text.into(), hint: None })
    }

    pub(super) fn with<T>(text: String, hint: String) -> Result<T, Self> {
        Err(Self { text, hint: Some(hint) })
    }
}

impl fmt::Display for RoleViolation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl std::error::Error for RoleViolation {}

impl From<ValidityError> for RoleViolation {
    fn from(error: ValidityError) -> Self {
        Self { text: error.text, hint: error.hint }
    }
}
