//! Lint notices, which do not refuse: for the caller and for the log.

use crate::ca::signed::{Linted, ToSign};

/// The holder of names and usages that come from the request and not from a role.
pub(super) const REQUEST: &str = "the request";

/// Warnings for the caller; each also goes to the log. `holder` has the setting to change.
pub(super) fn notices<T: ToSign>(linted: &Linted<T>, holder: &str) -> Vec<String> {
    let warnings = linted.notices().iter().map(|notice| {
        tracing::info!(rule = notice.rule, clause = notice.clause, holder, "signed with a notice");
        format!("Signet: signed although a rule is broken: {}", notice.describe(holder))
    });
    warnings.collect()
}
