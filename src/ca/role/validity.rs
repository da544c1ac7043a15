//! notBefore and notAfter of leaves and of authorities (`docs/dev/vault-pki.md`, "notBefore", and
//! `docs/dev/vault-pki.md`, "notAfter").

use std::fmt;

use super::{CertificateParams, IssuanceLimits, Role};
use crate::ca::time::{LAST_SECOND, Timestamp};
use crate::go::{self, duration};

impl Role {
    /// Steps 23 and 24 of `docs/dev/vault-pki.md`, "Order of the checks of issue and sign": notBefore and
    /// notAfter of a leaf.
    pub(super) fn validity(
        &self,
        ask: &CertificateParams,
        has_csr: bool,
        bounds: &IssuanceLimits,
        now: Timestamp,
        warnings: &mut Vec<String>,
    ) -> Result<(Timestamp, Timestamp), ValidityError> {
        let fields = &self.fields;
        let wish = RequestedValidity {
            ttl: ask.ttl,
            not_after: &ask.not_after,
            not_before: &ask.not_before,
        };
        let backdate = fields.not_before_duration;
        let start = NotBeforeRules {
            fixed: &fields.not_before,
            bound: &fields.not_before_bound,
            backdate,
            may_backdate: fields.allow_backdating,
        };
        let asked = choose_start(start, wish, now)?;
        let or = |value: i64, otherwise: i64| if value > 0 { value } else { otherwise };
        let end = NotAfterRules {
            fixed: &fields.not_after,
            bound: &fields.not_after_bound,
            limits: TtlLimits {
                default: or(fields.ttl, bounds.mount.default),
                max: or(fields.max_ttl, bounds.mount.max),
            },
            max_bounds_not_after: fields.max_ttl > 0,
        };
        let not_after = choose_end(end, wish, now, warnings)?;
        let not_after = limit_to_issuer(not_after, bounds.issuer_end, bounds.behavior, now)?;
        let not_after = within_bound(not_after, &fields.not_after_bound)?;
        check_order(asked, not_after)?;
        if !has_csr {
            return Ok((asked, not_after));
        }
        // 15.8: where a CSR is signed, the time is looked at and not used.
        let unasked = RequestedValidity { not_before: "", ..wish };
        let usual = choose_start(NotBeforeRules { fixed: "", bound: "", ..start }, unasked, now)?;
        check_order(usual, not_after)?;
        Ok((usual, not_after))
    }
}

/// What happens when a leaf would outlive its issuer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeafNotAfterBehavior {
    /// Refuse.
    Err,
    /// End with the issuer.
    Truncate,
    /// Sign all the same.
    Permit,
}

impl LeafNotAfterBehavior {
    /// Reads the word of `leaf_not_after_behavior`.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "err" => Some(Self::Err),
            "truncate" => Some(Self::Truncate),
            "permit" => Some(Self::Permit),
            _ => None,
        }
    }

    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Err => "err",
            Self::Truncate => "truncate",
            Self::Permit => "permit",
        }
    }
}

/// Lifetimes in seconds: the default and the longest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TtlLimits {
    /// Used when nothing is asked.
    pub default: i64,
    /// Never exceeded; what asks for more is cut, with a warning.
    pub max: i64,
}

/// What a request says about its validity.
#[derive(Clone, Copy, Debug)]
pub struct RequestedValidity<'a> {
    /// Seconds; 0 means nothing was asked.
    pub ttl: i64,
    /// RFC 3339, or empty.
    pub not_after: &'a str,
    /// RFC 3339, or empty.
    pub not_before: &'a str,
}

/// Why there is no validity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValidityError(pub String);

impl fmt::Display for ValidityError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

fn refused<T>(text: impl Into<String>) -> Result<T, ValidityError> {
    Err(ValidityError(text.into()))
}

/// What decides where validity starts.
#[derive(Clone, Copy, Debug)]
pub struct NotBeforeRules<'a> {
    /// The role's own time, or empty.
    pub fixed: &'a str,
    /// `permit`, `duration` or `forbid`.
    pub bound: &'a str,
    /// Backdating in seconds; 0 is read as 30.
    pub backdate: i64,
    /// May a request go back further than that?
    pub may_backdate: bool,
}

/// The first instant. A role's own time goes before the request's.
pub fn choose_start(
    choice: NotBeforeRules<'_>,
    wish: RequestedValidity<'_>,
    now: Timestamp,
) -> Result<Timestamp, ValidityError> {
    let backdate = if choice.backdate == 0 { 30 } else { choice.backdate };
    let earliest = now.plus(backdate.saturating_neg());
    if choice.bound == "forbid" && !wish.not_before.is_empty() {
        return refused("not_before_bound is set to forbid. not_before cannot be provided.");
    }
    let text = if choice.fixed.is_empty() { wish.not_before } else { choice.fixed };
    if text.is_empty() {
        return Ok(earliest);
    }
    let start = parse_time(text)?;
    if choice.bound == "duration" && choice.fixed.is_empty() && start < earliest {
        return refused(format!(
            "not_before_bound is set to duration. Cannot satisfy request as it would result in notBefore of {start} that is older than the allowed not_before_duration of {}",
            duration::format(backdate)
        ));
    }
    // A certificate that seems older than it is passes for one that was there before a revocation
    // or a change of the role.
    if !choice.may_backdate && choice.fixed.is_empty() && start < earliest {
        return refused(format!(
            "not_before {start} lies further back than not_before_duration allows ({}), and the role does not set allow_backdating=true",
            duration::format(backdate)
        ));
    }
    Ok(start)
}

/// What decides where validity ends.
#[derive(Clone, Copy, Debug)]
pub struct NotAfterRules<'a> {
    /// The role's own time, or empty.
    pub fixed: &'a str,
    /// `permit`, `ttl-limited`, `forbid`; a time is looked at in the end.
    pub bound: &'a str,
    /// Lifetimes that apply.
    pub limits: TtlLimits,
    /// Does `limits.max` bound a `not_after` too? Yes for roles that set `max_ttl` (`docs/compatibility.md`).
    pub max_bounds_not_after: bool,
}

/// The last instant, before the issuer's end is looked at.
pub fn choose_end(
    choice: NotAfterRules<'_>,
    wish: RequestedValidity<'_>,
    now: Timestamp,
    warnings: &mut Vec<String>,
) -> Result<Timestamp, ValidityError> {
    if choice.bound == "forbid" && !wish.not_after.is_empty() {
        return refused("not_after_bound is set to forbid. not_after cannot be provided.");
    }
    let text = if choice.fixed.is_empty() { wish.not_after } else { choice.fixed };
    if wish.ttl > 0 && !text.is_empty() {
        return refused(
            "Either ttl or not_after should be provided. Both should not be provided in the same request.",
        );
    }
    let asked = if wish.ttl > 0 { wish.ttl } else { choice.limits.default };
    let max = choice.limits.max;
    if asked > max && text.is_empty() {
        warnings.push(format!(
            "TTL \"{}\" is longer than permitted maxTTL \"{}\", so maxTTL is being used",
            duration::format(asked),
            duration::format(max)
        ));
    }
    let ttl = asked.min(max);
    if text.is_empty() {
        return Ok(now.plus(ttl));
    }
    let end = parse_time(text)?;
    if choice.bound == "ttl-limited" && choice.fixed.is_empty() && end > now.plus(ttl) {
        return refused(format!(
            "not_after_bound is set to ttl-limited. Cannot satisfy request as that would result in notAfter of {end} that is beyond the TTL of {}",
            duration::format(ttl)
        ));
    }
    if choice.max_bounds_not_after && end > now.plus(max) {
        return refused(format!(
            "cannot satisfy request, as not_after {end} is beyond the role's max_ttl of {}",
            duration::format(max)
        ));
    }
    Ok(end)
}

/// Refuses, shortens or keeps an end beyond the issuer's (`docs/dev/vault-pki.md`, "notAfter", step 7).
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

/// Does the start lie before the end, and can a certificate write both?
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
    Timestamp::parse_rfc3339(text).ok_or_else(|| ValidityError(go::time_parse_error(text)))
}
