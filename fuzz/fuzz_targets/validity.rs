//! Validity: for any role, request, mount and issuer, a permitted certificate is within every limit
//! that applies; `max_ttl` also limits a requested `not_after` (`docs/compatibility.md`).

#![no_main]

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use signet::backend::fields::seconds;
use signet::ca::key::KeyKind;
use signet::ca::permit::{IssuingUrls, Template};
use signet::ca::role::{
    CertificateParams, IssuanceLimits, LeafNotAfterBehavior, RoleFields, TtlLimits,
};
use signet::ca::time::{LAST_SECOND, Timestamp};
use signet::go::duration;

#[derive(Arbitrary, Debug)]
struct Input {
    now: Moment,
    role_ttl: Seconds,
    role_max_ttl: Seconds,
    role_not_after: Option<Moment>,
    role_not_before: Option<Moment>,
    after_bound: AfterBound,
    before_bound: BeforeBound,
    backdate: Seconds,
    ttl: Seconds,
    not_after: Option<Moment>,
    not_before: Option<Moment>,
    allow_backdating: bool,
    mount_default: Seconds,
    mount_max: Seconds,
    issuer_end: Moment,
    behavior: Behavior,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Seconds {
    Near(i16),
    Far(i64),
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Moment {
    Near(i16, u32),
    Far(i64, u32),
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum AfterBound {
    Permit,
    TtlLimited,
    Forbid,
    Until(Moment),
}

#[derive(Arbitrary, Clone, Copy, Debug, PartialEq, Eq)]
enum BeforeBound {
    Permit,
    Duration,
    Forbid,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Behavior {
    Err,
    Truncate,
    Permit,
}

impl Seconds {
    const fn number(self) -> i64 {
        match self {
            Self::Near(near) => near as i64,
            Self::Far(far) => far,
        }
    }
}

impl Moment {
    const fn instant(self) -> Timestamp {
        match self {
            Self::Near(near, nanoseconds) => {
                Timestamp::from_unix(1_900_000_000 + near as i64).with_nanoseconds(nanoseconds)
            }
            Self::Far(far, nanoseconds) => Timestamp::from_unix(far).with_nanoseconds(nanoseconds),
        }
    }

    /// The text in a request; a time outside the calendar yields an invalid one.
    fn text(moment: Option<Self>) -> String {
        moment.map(|moment| moment.instant().to_string()).unwrap_or_default()
    }
}

fuzz_target!(|input: Input| {
    durations(input.ttl.number());
    let mut fields = RoleFields::unspecified();
    fields.allow_any_name = true;
    fields.ttl = input.role_ttl.number();
    fields.max_ttl = input.role_max_ttl.number();
    fields.not_after = Moment::text(input.role_not_after);
    fields.not_before = Moment::text(input.role_not_before);
    fields.not_before_duration = input.backdate.number();
    fields.allow_backdating = input.allow_backdating;
    fields.not_after_bound = match input.after_bound {
        AfterBound::Permit => "permit".to_owned(),
        AfterBound::TtlLimited => "ttl-limited".to_owned(),
        AfterBound::Forbid => "forbid".to_owned(),
        AfterBound::Until(moment) => moment.instant().to_string(),
    };
    fields.not_before_bound = match input.before_bound {
        BeforeBound::Permit => "permit".to_owned(),
        BeforeBound::Duration => "duration".to_owned(),
        BeforeBound::Forbid => "forbid".to_owned(),
    };
    let Ok((role, _)) = fields.compile("web") else { return };
    let ask = CertificateParams {
        common_name: "a.example.org".to_owned(),
        ttl: input.ttl.number(),
        not_after: Moment::text(input.not_after),
        not_before: Moment::text(input.not_before),
        ..CertificateParams::default()
    };
    let bounds = IssuanceLimits {
        issuer_end: input.issuer_end.instant(),
        behavior: match input.behavior {
            Behavior::Err => LeafNotAfterBehavior::Err,
            Behavior::Truncate => LeafNotAfterBehavior::Truncate,
            Behavior::Permit => LeafNotAfterBehavior::Permit,
        },
        mount: TtlLimits { default: input.mount_default.number(), max: input.mount_max.number() },
        urls: IssuingUrls::default(),
    };
    let now = input.now.instant();
    let Ok(permit) = role.permit(&ask, None, KeyKind::Ed25519, &bounds, now) else { return };
    starts(permit.template(), role.fields(), &ask, now);
    ends(permit.template(), role.fields(), &ask, &bounds, now);
});

fn starts(permitted: &Template, role: &RoleFields, ask: &CertificateParams, now: Timestamp) {
    let start = permitted.not_before;
    assert!(start < permitted.not_after && start.whole() <= permitted.not_after.whole());
    assert!(start.unix() >= -62_135_596_800);
    if role.not_before_bound == "forbid" {
        assert!(ask.not_before.is_empty());
    }
    let backdate = if role.not_before_duration == 0 { 30 } else { role.not_before_duration };
    let earliest = now.plus(backdate.saturating_neg());
    // The bounds limit the times of a request, not the role's own times
    // (`docs/dev/vault-pki.md`, "notBefore", and `docs/dev/vault-pki.md`, "notAfter").
    let may_backdate = role.allow_backdating && role.not_before_bound != "duration";
    if role.not_before.is_empty() && !may_backdate {
        assert!(start >= earliest, "{start} {earliest}");
    }
    if role.not_before.is_empty() && ask.not_before.is_empty() {
        assert_eq!(start, earliest);
    }
}

fn ends(
    permitted: &Template,
    role: &RoleFields,
    ask: &CertificateParams,
    bounds: &IssuanceLimits,
    now: Timestamp,
) {
    let end = permitted.not_after;
    assert!(end.unix() <= LAST_SECOND);
    if bounds.behavior != LeafNotAfterBehavior::Permit {
        assert!(end <= bounds.issuer_end, "{end} is after the issuer's {}", bounds.issuer_end);
    }
    let or = |own: i64, default: i64| if own > 0 { own } else { default };
    let max_ttl = or(role.max_ttl, bounds.mount.max);
    let by_time = !role.not_after.is_empty() || !ask.not_after.is_empty();
    if !by_time || role.max_ttl > 0 {
        assert!(end <= now.plus(max_ttl), "{end} is beyond {}", duration::format(max_ttl));
    }
    if ask.ttl > 0 {
        assert!(!by_time && end <= now.plus(ask.ttl));
    }
    match role.not_after_bound.as_str() {
        "permit" => {}
        "forbid" => assert!(ask.not_after.is_empty()),
        "ttl-limited" if role.not_after.is_empty() => {
            let requested = or(ask.ttl, or(role.ttl, bounds.mount.default));
            assert!(end <= now.plus(requested.min(max_ttl)));
        }
        "ttl-limited" => {}
        limit if by_time => assert!(Timestamp::parse_rfc3339(limit).is_some_and(|at| end <= at)),
        _ => {}
    }
}

/// A duration in Go's format is read as the same number of seconds.
fn durations(number: i64) {
    let read = seconds(&Value::String(duration::format(number)));
    if (0..=i64::MAX / 1_000_000_000).contains(&number) {
        assert_eq!(read, Ok(number));
    } else {
        assert!(read.is_err());
    }
}
