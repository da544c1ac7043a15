//! What a lint tells although it does not refuse, for the caller and for the log.

use crate::ca::signed::{Linted, ToSign};

/// Where names and usages come from the request and from no role.
pub(super) const REQUEST: &str = "the request";

/// Warnings for the caller; each also goes to the log. `holder` is whose setting would mend it.
pub(super) fn notices<T: ToSign>(linted: &Linted<T>, holder: &str) -> Vec<String> {
    let told = linted.notices().iter().map(|notice| {
        tracing::info!(rule = notice.rule, clause = notice.clause, holder, "signed with a notice");
        format!("Signet: signed although a rule is broken: {}", notice.describe(holder))
    });
    told.collect()
}
