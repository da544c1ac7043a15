//! What a lint says: which rule was broken, and the clause that it comes from.

use std::fmt;

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
pub struct Findings {
    pub(in crate::ca) broken: Vec<Finding>,
    pub(in crate::ca) from_request: bool,
}

impl Findings {
    pub(in crate::ca) const fn of_ours(broken: Vec<Finding>) -> Self {
        Self { broken, from_request: false }
    }

    /// The broken rules.
    pub fn as_slice(&self) -> &[Finding] {
        &self.broken
    }

    /// Were extensions of a CSR taken as they are? Then this is the caller's mistake, not ours.
    pub const fn is_from_request(&self) -> bool {
        self.from_request
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
