//! Checks before anything is signed: one rule, one function, one clause.
//!
//! A finding is our own fault (a permit should never have been given), so the rules that refuse
//! hold for everything that a role may legitimately permit. Rules that only tell leave a notice
//! on what was linted.

mod house;
mod lists;
mod rfc5280;
mod spiffe;
mod view;

use crate::ca::oid::ObjectIdentifier;
use view::{Case, Signer};

use super::cert::Tbs;
use super::certificate::IssuerView;
use super::crl::TbsCrl;
pub use super::finding::{Finding, Findings};
use super::permit::RawExtension;
use super::public_key::PublicKey;
use super::request::TbsRequest;
use super::signed::Linted;

/// A rule: a name, the clause that it comes from, and the check, which is true if it holds.
struct Rule {
    name: &'static str,
    clause: &'static str,
    holds: fn(&Case<'_>) -> bool,
    refuses: Refuses,
}

/// When a broken rule refuses.
#[derive(Clone, Copy)]
enum Refuses {
    Always,
    /// Not where a CSR brought this extension along and the caller asked to take it as it is:
    /// the reference signs that.
    UnlessRequested(ObjectIdentifier),
    Never,
}

impl Rule {
    const fn must(name: &'static str, clause: &'static str, holds: fn(&Case<'_>) -> bool) -> Self {
        Self { name, clause, holds, refuses: Refuses::Always }
    }

    const fn should(
        name: &'static str,
        clause: &'static str,
        holds: fn(&Case<'_>) -> bool,
    ) -> Self {
        Self { name, clause, holds, refuses: Refuses::Never }
    }

    const fn unless_requested(self, oid: ObjectIdentifier) -> Self {
        Self { refuses: Refuses::UnlessRequested(oid), ..self }
    }

    fn refuses(&self, requested: &[RawExtension]) -> bool {
        match self.refuses {
            Refuses::Always => true,
            Refuses::UnlessRequested(oid) => requested.iter().all(|found| found.oid != oid),
            Refuses::Never => false,
        }
    }
}

/// Lints a certificate against the issuer that will sign it.
pub fn lint(tbs: Tbs, issuer: &IssuerView<'_>) -> Result<Linted<Tbs>, Findings> {
    let signer = Signer {
        subject: issuer.subject,
        key_identifier: issuer.key_identifier,
        key_kind: issuer.key_kind,
    };
    let notices = check(tbs.der(), Some(signer), &tbs.template().verbatim_extensions)?;
    Ok(Linted::new(tbs, notices))
}

/// Lints a self-signed certificate.
pub fn lint_self_signed(tbs: Tbs) -> Result<Linted<Tbs>, Findings> {
    let notices = check(tbs.der(), None, &tbs.template().verbatim_extensions)?;
    Ok(Linted::new(tbs, notices))
}

/// Lints a revocation list against the issuer that will sign it.
pub fn lint_crl(crl: TbsCrl, issuer: &IssuerView<'_>) -> Result<Linted<TbsCrl>, Findings> {
    lists::check(&crl, issuer)?;
    Ok(Linted::new(crl, Vec::new()))
}

/// Lints a request of ours.
pub fn lint_request(request: TbsRequest) -> Result<Linted<TbsRequest>, Findings> {
    lists::check_request(&request)?;
    Ok(Linted::new(request, Vec::new()))
}

/// Judges bytes by every rule. Without a signer they sign themselves.
fn check(
    der: &[u8],
    signer: Option<Signer<'_>>,
    requested: &[RawExtension],
) -> Result<Vec<Finding>, Findings> {
    const READABLE: Finding = Finding { rule: "reads_as_der", clause: "RFC 5280, 4.1" };
    let refuse = |broken| Findings { broken, from_request: !requested.is_empty() };
    let mut case = Case::read(der, signer).map_err(|_| refuse(vec![READABLE]))?;
    if signer.is_none() {
        let own = PublicKey::parse(case.public_key).map_err(|_| refuse(vec![READABLE]))?;
        case.signer.key_kind = own.kind();
    }
    let (mut refused, mut told) = (Vec::new(), Vec::new());
    for rule in [rfc5280::RULES, spiffe::RULES, house::RULES].into_iter().flatten() {
        if !(rule.holds)(&case) {
            let list = if rule.refuses(requested) { &mut refused } else { &mut told };
            list.push(Finding { rule: rule.name, clause: rule.clause });
        }
    }
    if refused.is_empty() { Ok(told) } else { Err(refuse(refused)) }
}

#[cfg(test)]
mod tests;
