//! The result of a lint: the broken rule, the clause that it comes from, and where to fix it.

use std::fmt;

/// The party that can fix a broken rule. The tables of rules state it, once for all callers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FixedBy {
    /// Signet only: no request and no setting can cause it, so it is an internal error.
    Signet,
    /// The caller: names, times or extensions of the request.
    Caller,
    /// The operator: the text names the setting, as in `add DigitalSignature to key_usage`.
    Operator(&'static str),
}

/// One broken rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The rule's name, stable so that findings can be counted.
    pub rule: &'static str,
    /// What the rule requires, as a sentence.
    pub requirement: &'static str,
    /// The clause that it comes from.
    pub clause: &'static str,
    /// The party that can fix it.
    pub fixed_by: FixedBy,
}

impl Finding {
    /// The requirement, its clause, and the setting of `holder` (such as `role web`) to change.
    pub fn describe(&self, holder: &str) -> String {
        let Self { requirement, clause, .. } = self;
        match self.fixed_by {
            FixedBy::Operator(setting) => {
                format!("{requirement} ({clause}); {setting} of {holder}")
            }
            FixedBy::Signet | FixedBy::Caller => format!("{requirement} ({clause})"),
        }
    }
}

/// Every rule that was broken; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Findings {
    broken: Vec<Finding>,
}

impl Findings {
    pub(in crate::ca) const fn new(broken: Vec<Finding>) -> Self {
        Self { broken }
    }

    /// The broken rules.
    pub fn as_slice(&self) -> &[Finding] {
        &self.broken
    }

    /// Is this an internal error? Only if no request and no setting can cause any of the findings.
    pub fn is_internal(&self) -> bool {
        self.broken.iter().all(|finding| finding.fixed_by == FixedBy::Signet)
    }

    /// The findings that a caller or an operator can fix, as one sentence.
    pub fn describe(&self, holder: &str) -> String {
        let fixable = self.broken.iter().filter(|finding| finding.fixed_by != FixedBy::Signet);
        fixable.map(|finding| finding.describe(holder)).collect::<Vec<_>>().join("; ")
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, finding) in self.broken.iter().enumerate() {
            let comma = if position == 0 { "" } else { ", " };
            write!(formatter, "{comma}{} ({})", finding.rule, finding.clause)?;
        }
        Ok(())
    }
}

impl std::error::Error for Findings {}
