//! notBefore and notAfter of leaves and of authorities (`docs/dev/vault-pki.md`, "notBefore", and
//! `docs/dev/vault-pki.md`, "notAfter").

use std::fmt;

use super::{CertificateParams, IssuanceLimits, Role};
use crate::ca::time::{LAST_SECOND, Timestamp};
use crate::go::{self, duration};

impl Role {
    /// Steps 23 and 24 of `docs/dev/vault-pki.md`, "Order of the checks of issue and sign":
    /// notBefore and notAfter of a leaf.
    pub(super) fn validity(
        &self,
        params: &CertificateParams,
        has_csr: bool,
        limits: &IssuanceLimits,
        now: Timestamp,
        warnings: &mut Vec<String>,
    ) -> Result<(Timestamp, Timestamp), ValidityError> {
        let fields = &self.fields;
        let requested = RequestedValidity {
            ttl: params.ttl,
            not_after: &params.not_after,
            not_before: &params.not_before,
        };
        let backdate = fields.not_before_duration;
        let start_rules = NotBeforeRules {
            fixed: &fields.not_before,
            bound: &fields.not_before_bound,
            backdate,
            may_backdate: fields.allow_backdating,
        };
        let start = choose_start(start_rules, requested, now)?;
        let or = |value: i64, otherwise: i64| if value > 0 { value } else { otherwise };
        let end_rules = NotAfterRules {
            fixed: &fields.not_after,
            bound: &fields.not_after_bound,
            limits: TtlLimits {
                default: or(fields.ttl, limits.mount.default),
                max: or(fields.max_ttl, limits.mount.max),
            },
            max_bounds_not_after: fields.max_ttl > 0,
        };
        let not_after = choose_end(end_rules, requested, now, warnings)?;
        let not_after = limit_to_issuer(not_after, limits.issuer_end, limits.behavior, now)
            .map_err(|error| ValidityError {
                hint: Some(self.shorter_ttl_hint(limits.issuer_end, now)),
                ..error
            })?;
        let not_after = within_bound(not_after, &fields.not_after_bound)?;
        check_order(start, not_after)?;
        if !has_csr {
            return Ok((start, not_after));
        }
        // As in Vault, `not_before` is checked but not used when a CSR is signed.
        let requested = RequestedValidity { not_before: "", ..requested };
        let rules = NotBeforeRules { fixed: "", bound: "", ..start_rules };
        let start = choose_start(rules, requested, now)?;
        check_order(start, not_after)?;
        Ok((start, not_after))
    }
}

/// What happens when a leaf would outlive its issuer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeafNotAfterBehavior {
    /// Refuse.
    Err,
    /// End with the issuer.
    Truncate,
    /// Sign anyway.
    Permit,
}

impl LeafNotAfterBehavior {
    /// Parses the value of `leaf_not_after_behavior`.
    pub fn parse(value: &str) -> Option<Self> {
        match value {
            "err" => Some(Self::Err),
            "truncate" => Some(Self::Truncate),
            "permit" => Some(Self::Permit),
            _ => None,
        }
    }

    /// Its value in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Err => "err",
            Self::Truncate => "truncate",
            Self::Permit => "permit",
        }
    }
}

/// Lifetimes in seconds: the default and the maximum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TtlLimits {
    /// Applies if no lifetime is requested.
    pub default: i64,
    /// The maximum; a longer lifetime is shortened, with a warning.
    pub max: i64,
}

/// The validity that a request asks for.
#[derive(Clone, Copy, Debug)]
pub struct RequestedValidity<'a> {
    /// Seconds; 0 means not sent.
    pub ttl: i64,
    /// RFC 3339, or empty.
    pub not_after: &'a str,
    /// RFC 3339, or empty.
    pub not_before: &'a str,
}

/// Why a validity is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValidityError {
    /// Vault's text.
    pub text: String,
    /// What would help.
    pub hint: Option<String>,
}

impl fmt::Display for ValidityError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

fn refused<T>(text: impl Into<String>) -> Result<T, ValidityError> {
    Err(ValidityError { text: text.into(), hint: None })
}

/// The rules for notBefore.
#[derive(Clone, Copy, Debug)]
pub struct NotBeforeRules<'a> {
    /// `not_before` of the role, or empty.
    pub fixed: &'a str,
    /// `permit`, `duration` or `forbid`.
    pub bound: &'a str,
    /// Backdating in seconds; 0 means 30.
    pub backdate: i64,
    /// May a request go back further than that?
    pub may_backdate: bool,
}

/// Chooses notBefore. The time of the role takes precedence over that of the request.
pub fn choose_start(
    rules: NotBeforeRules<'_>,
    requested: RequestedValidity<'_>,
    now: Timestamp,
) -> Result<Timestamp, ValidityError> {
    let backdate = if rules.backdate == 0 { 30 } else { rules.backdate };
    let earliest = now.plus(backdate.saturating_neg());
    if rules.bound == "forbid" && !requested.not_before.is_empty() {
        return refused("not_before_bound is set to forbid. not_before cannot be provided.");
    }
    let text = if rules.fixed.is_empty() { requested.not_before } else { rules.fixed };
    if text.is_empty() {
        return Ok(earliest);
    }
    let start = parse_time(text)?;
    if rules.bound == "duration" && rules.fixed.is_empty() && start < earliest {
        return refused(format!(
            "not_before_bound is set to duration. Cannot satisfy request as it would result in notBefore of {start} that is older than the allowed not_before_duration of {}",
            duration::format(backdate)
        ));
    }
    // A backdated certificate looks as if it was issued before a revocation or a change of the
    // role.
    if !rules.may_backdate && rules.fixed.is_empty() && start < earliest {
        return refused(format!(
            "not_before {start} is earlier than not_before_duration allows ({}), and the role does not set allow_backdating=true",
            duration::format(backdate)
        ));
    }
    Ok(start)
}

/// The rules for notAfter.
#[derive(Clone, Copy, Debug)]
pub struct NotAfterRules<'a> {
    /// `not_after` of the role, or empty.
    pub fixed: &'a str,
    /// `permit`, `ttl-limited` or `forbid`; an instant is checked later.
    pub bound: &'a str,
    /// The lifetimes that apply.
    pub limits: TtlLimits,
    /// Does `limits.max` bound a `not_after` too? Yes for roles that set `max_ttl`
    /// (`docs/compatibility.md`).
    pub max_bounds_not_after: bool,
}

/// Chooses notAfter, before that of the issuer is considered.
pub fn choose_end(
    rules: NotAfterRules<'_>,
    requested: RequestedValidity<'_>,
    now: Timestamp,
    warnings: &mut Vec<String>,
) -> Result<Timestamp, ValidityError> {
    if rules.bound == "forbid" && !requested.not_after.is_empty() {
        return refused("not_after_bound is set to forbid. not_after cannot be provided.");
    }
    let text = if rules.fixed.is_empty() { requested.not_after } else { rules.fixed };
    if requested.ttl > 0 && !text.is_empty() {
        return refused(
            "Either ttl or not_after should be provided. Both should not be provided in the same request.",
        );
    }
    let ttl_requested = if requested.ttl > 0 { requested.ttl } else { rules.limits.default };
    let max = rules.limits.max;
    if ttl_requested > max && text.is_empty() {
        warnings.push(format!(
            "TTL \"{}\" is longer than permitted maxTTL \"{}\", so maxTTL is being used",
            duration::format(ttl_requested),
            duration::format(max)
        ));
    }
    let ttl = ttl_requested.min(max);
    if text.is_empty() {
        return Ok(now.plus(ttl));
    }
    let end = parse_time(text)?;
    if rules.bound == "ttl-limited" && rules.fixed.is_empty() && end > now.plus(ttl) {
        return refused(format!(
            "not_after_bound is set to ttl-limited. Cannot satisfy request as that would result in notAfter of {end} that is beyond the TTL of {}",
            duration::format(ttl)
        ));
    }
    if rules.max_bounds_not_after && end > now.plus(max) {
        return refused(format!(
            "cannot satisfy request, as not_after {end} is beyond the role's max_ttl of {}",
            duration::format(max)
        ));
    }
    Ok(end)
}

/// Refuses, shortens or keeps an end beyond the issuer's (`docs/dev/vault-pki.md`, "notAfter", step
/// 7).
pub fn limit_to_issuer(
    end: Timestamp,
    issuer_end: Timestamp,
    behavior: LeafNotAfterBehavior,
    now: Timestamp,
) -> Result<Timestamp, ValidityError> {
    if end <= issuer_end {
        return Ok(end);
    }
    match behavior {
        LeafNotAfterBehavior::Permit => Ok(end),
        LeafNotAfterBehavior::Truncate if issuer_end < now => {
            refused(format!("cannot satisfy request, as NotAfter date {issuer_end} is in the past"))
        }
        LeafNotAfterBehavior::Truncate => Ok(issuer_end),
        LeafNotAfterBehavior::Err => refused(format!(
            "cannot satisfy request, as TTL would result in notAfter of {end} that is beyond the expiration of the CA certificate at {issuer_end}"
        )),
    }
}

/// Checks the end against a `not_after_bound` that is an instant, wherever the end comes from
/// (`docs/dev/vault-pki.md`, "notAfter", step 8).
fn within_bound(end: Timestamp, bound: &str) -> Result<Timestamp, ValidityError> {
    match Timestamp::parse_rfc3339(bound) {
        Some(limit) if end > limit => refused(format!(
            "not_after_bound is set to {limit}. Cannot statisfy request as that would result in notAfter of {end} that is beyond the maximum timestamp of {limit}"
        )),
        _ => Ok(end),
    }
}

/// Checks that the start is before the end and that a certificate can encode both.
pub(in crate::ca) fn check_order(start: Timestamp, end: Timestamp) -> Result<(), ValidityError> {
    if start > end {
        return refused(format!(
            "The certificate's Not Before ({start}) is later than the certificate's Not After ({end})"
        ));
    }
    if start == end {
        return refused(format!(
            "The certificate's Not Before ({start}) is equal to the certificate's Not After ({end})"
        ));
    }
    if end.unix() > LAST_SECOND || start.unix() < -62_135_596_800 {
        return refused("not_before and not_after must lie between the years 1 and 9999");
    }
    Ok(())
}

/// Reads a time; the error is the text of Go's parser.
fn parse_time(text: &str) -> Result<Timestamp, ValidityError> {
    Timestamp::parse_rfc3339(text)
        .ok_or_else(|| ValidityError { text: go::time_parse_error(text), hint: None })
}
