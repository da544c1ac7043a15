//! Checks before anything is signed: one rule, one function, one clause.
//!
//! Rules that refuse hold for everything that a role may permit. The tables state for each rule
//! which party can fix it, so that what a request or a setting can cause is not reported as an
//! internal error. Other rules leave a notice on the linted document.

mod lists;
mod rfc5280;
mod signet;
mod spiffe;
mod view;

use view::{LintedCertificate, SigningIssuer};

use super::cert::Tbs;
use super::certificate::IssuerView;
use super::crl::TbsCrl;
pub use super::finding::{Finding, Findings, FixedBy};
use super::permit::RawExtension;
use super::public_key::PublicKey;
use super::request::TbsRequest;
use super::signed::Linted;

/// A rule: what is reported when it is broken, and the check, which is true if it holds.
struct Rule {
    finding: Finding,
    holds: fn(&LintedCertificate<'_>) -> bool,
    /// A broken rule refuses the document; otherwise it leaves a notice.
    refuses: bool,
}

impl Rule {
    /// A rule that refuses. Signet has to fix it, unless the table states another party.
    const fn must(
        rule: &'static str,
        clause: &'static str,
        requirement: &'static str,
        holds: fn(&LintedCertificate<'_>) -> bool,
    ) -> Self {
        let finding = Finding { rule, requirement, clause, fixed_by: FixedBy::Signet };
        Self { finding, holds, refuses: true }
    }

    /// A rule that leaves a notice.
    const fn should(
        rule: &'static str,
        clause: &'static str,
        requirement: &'static str,
        holds: fn(&LintedCertificate<'_>) -> bool,
    ) -> Self {
        Self { refuses: false, ..Self::must(rule, clause, requirement, holds) }
    }

    /// A request can break it: its names, its times, or extensions taken from a CSR.
    const fn fixed_by_caller(self) -> Self {
        let finding = Finding { fixed_by: FixedBy::Caller, ..self.finding };
        Self { finding, ..self }
    }

    /// A setting can break it; `setting` says what to change.
    const fn fixed_by_operator(self, setting: &'static str) -> Self {
        let finding = Finding { fixed_by: FixedBy::Operator(setting), ..self.finding };
        Self { finding, ..self }
    }
}

/// Lints a certificate against the issuer that will sign it.
pub fn lint(tbs: Tbs, issuer: &IssuerView<'_>) -> Result<Linted<Tbs>, Findings> {
    let signer = SigningIssuer {
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

/// Lints a composed request.
pub fn lint_request(request: TbsRequest) -> Result<Linted<TbsRequest>, Findings> {
    lists::check_request(&request)?;
    Ok(Linted::new(request, Vec::new()))
}

/// Checks every rule. Without a signer the certificate is self-signed.
fn check(
    der: &[u8],
    signer: Option<SigningIssuer<'_>>,
    requested: &[RawExtension],
) -> Result<Vec<Finding>, Findings> {
    let unreadable = |_| {
        // Copied extensions of a CSR are the only part that can be unreadable.
        let fixed_by = if requested.is_empty() { FixedBy::Signet } else { FixedBy::Caller };
        Findings::new(vec![Finding { fixed_by, ..READABLE }])
    };
    let mut certificate = LintedCertificate::read(der, signer).map_err(unreadable)?;
    if signer.is_none() {
        let own =
            PublicKey::parse(certificate.public_key).map_err(|_| unreadable(String::new()))?;
        certificate.signer.key_kind = own.kind();
    }
    let (mut refused, mut notices) = (Vec::new(), Vec::new());
    for rule in [rfc5280::RULES, spiffe::RULES, signet::RULES].into_iter().flatten() {
        if !(rule.holds)(&certificate) {
            let list = if rule.refuses { &mut refused } else { &mut notices };
            list.push(rule.finding);
        }
    }
    if refused.is_empty() { Ok(notices) } else { Err(Findings::new(refused)) }
}

/// Checked before every rule.
const READABLE: Finding = Finding {
    rule: "reads_as_der",
    requirement: "the certificate and its extensions read as DER",
    clause: "RFC 5280, 4.1",
    fixed_by: FixedBy::Signet,
};

#[cfg(test)]
mod tests;
