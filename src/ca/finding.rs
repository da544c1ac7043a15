//! What a lint says: which rule was broken, the clause that it comes from, and who can mend it.

use std::fmt;

/// Who can mend what a rule found. A rule's table says it, once for every path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FixedBy {
    /// Signet alone: no request and no setting can cause it, so it is a fault.
    Signet,
    /// The caller: names, times or extensions of the request.
    Caller,
    /// The operator: the text says which setting, as in `add DigitalSignature to key_usage`.
    Operator(&'static str),
}

/// One broken rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The rule's name; fixed, so that it can be counted.
    pub rule: &'static str,
    /// The rule in words: what has to hold.
    pub words: &'static str,
    /// The clause that it comes from.
    pub clause: &'static str,
    /// Who can mend it.
    pub fixed_by: FixedBy,
}

impl Finding {
    /// The rule in words, its clause, and the setting of `holder` (as in `role web`) that mends it.
    pub fn describe(&self, holder: &str) -> String {
        let Self { words, clause, .. } = self;
        match self.fixed_by {
            FixedBy::Operator(setting) => format!("{words} ({clause}); {setting} of {holder}"),
            FixedBy::Signet | FixedBy::Caller => format!("{words} ({clause})"),
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

    /// Is this a fault of Signet? Only if a request and a setting have no part in any of it.
    pub fn is_internal(&self) -> bool {
        self.broken.iter().all(|finding| finding.fixed_by == FixedBy::Signet)
    }

    /// What a caller or an operator can mend, as one sentence.
    pub fn describe(&self, holder: &str) -> String {
        let theirs = self.broken.iter().filter(|finding| finding.fixed_by != FixedBy::Signet);
        theirs.map(|finding| finding.describe(holder)).collect::<Vec<_>>().join("; ")
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
