//! notBefore and notAfter, to the second (`docs/dev/vault-pki.md`, "notBefore", and
//! `docs/dev/vault-pki.md`, "notAfter").

use super::*;
use crate::ca::time::LAST_SECOND;

/// Seconds from now to notBefore and notAfter of the permitted certificate.
fn span(
    role: &Role,
    params: &CertificateParams,
    csr: Option<&CsrFields>,
) -> Result<(i64, i64), RoleViolation> {
    let permit = role.permit(params, csr, P256, &limits(), now())?;
    let template = permit.template();
    Ok((template.not_before.unix() - NOW, template.not_after.unix() - NOW))
}

fn at(seconds: i64) -> String {
    Timestamp::from_unix(NOW + seconds).to_string()
}

fn from(seconds: i64) -> CertificateParams {
    CertificateParams { not_before: at(seconds), ..for_name("a.example.org") }
}

fn until(seconds: i64) -> CertificateParams {
    CertificateParams { not_after: at(seconds), ..for_name("a.example.org") }
}

#[test]
fn a_certificate_ends_when_requested_and_never_later() {
    let role = role(|fields| (fields.ttl, fields.max_ttl) = (600, 7200));
    let lasting =
        |ttl| span(&role, &CertificateParams { ttl, ..for_name("a.example.org") }, None).unwrap();
    assert_eq!(lasting(0), (-30, 600));
    assert_eq!(lasting(1), (-30, 1));
    assert_eq!(lasting(7200), (-30, 7200));
    assert_eq!(lasting(7201), (-30, 7200));
    assert_eq!(span(&role, &until(7200), None).unwrap(), (-30, 7200));
    assert!(span(&role, &until(7201), None).is_err());
}

#[test]
fn a_request_starts_no_earlier_than_the_role_lets_it() {
    let bound = |value: &str, allow_backdating: bool| {
        role(|fields| {
            (fields.not_before_bound, fields.allow_backdating) =
                (value.to_owned(), allow_backdating);
        })
    };
    let start = |role: &Role, seconds| span(role, &from(seconds), None).map(|span| span.0);
    for value in ["permit", "duration"] {
        let strict = bound(value, false);
        for seconds in [-30, 0, 60] {
            assert_eq!(start(&strict, seconds).unwrap(), seconds, "{value}");
        }
        for seconds in [-31, -86_400, -NOW] {
            assert!(start(&strict, seconds).is_err(), "{value} {seconds}");
        }
    }
    // `allow_backdating` has an effect only as far as the bound permits.
    for seconds in [-31, -86_400, -NOW] {
        assert_eq!(start(&bound("permit", true), seconds).unwrap(), seconds);
        assert!(start(&bound("duration", true), seconds).is_err());
    }
    for seconds in [-31, 0, 60] {
        assert!(start(&bound("forbid", true), seconds).is_err());
    }
    // The duration of the role counts.
    let hour = role(|fields| fields.not_before_duration = 3600);
    assert_eq!(start(&hour, -3600).unwrap(), -3600);
    assert!(start(&hour, -3601).is_err());
    let refusal = start(&hour, -3601).unwrap_err();
    assert!(refusal.text.contains("allow_backdating=true"), "{}", refusal.text);
    // In the year 1, in another offset, and before the epoch.
    for text in ["0001-01-01T00:00:00Z", "2026-11-22T12:00:00+02:00", "1949-01-01T00:00:00Z"] {
        let old = CertificateParams { not_before: text.to_owned(), ..for_name("a.example.org") };
        assert!(span(&bound("permit", false), &old, None).is_err(), "{text}");
    }
}

#[test]
fn signing_a_request_starts_when_the_role_says() {
    let csr = CsrFields::default();
    let strict = role(|fields| fields.not_before_duration = 60);
    for seconds in [-60, 0, 600] {
        assert_eq!(span(&strict, &from(seconds), Some(&csr)).unwrap(), (-60, 3600));
    }
    // The requested time is checked anyway.
    for seconds in [-61, -86_400, 3600] {
        assert!(span(&strict, &from(seconds), Some(&csr)).is_err());
    }
    let soon = CertificateParams { not_before: "soon".to_owned(), ..from(0) };
    assert!(span(&strict, &soon, Some(&csr)).is_err());
    let old = CertificateParams { not_after: at(-60), ..from(-86_400) };
    let lenient = role(|fields| {
        (fields.not_before_duration, fields.allow_backdating) = (60, true);
    });
    assert_eq!(span(&lenient, &from(-86_400), Some(&csr)).unwrap(), (-60, 3600));
    assert!(span(&lenient, &old, Some(&csr)).is_err());
    assert_eq!(span(&lenient, &old, None).unwrap(), (-86_400, -60));
    assert!(span(&strict, &old, None).is_err());
}

#[test]
fn the_bounds_do_not_apply_to_the_times_of_the_role() {
    let role = role(|fields| {
        (fields.not_before, fields.not_before_bound) = (at(-86_400), "duration".to_owned());
        (fields.not_after, fields.not_after_bound) = (at(7200), "ttl-limited".to_owned());
    });
    assert_eq!(span(&role, &for_name("a.example.org"), None).unwrap(), (-86_400, 7200));
}

#[test]
fn a_bound_that_is_an_instant_applies_to_every_end() {
    let role = role(|fields| fields.not_after_bound = at(600));
    assert_eq!(
        span(&role, &CertificateParams { ttl: 600, ..for_name("a.example.org") }, None).unwrap(),
        (-30, 600)
    );
    for params in [
        for_name("a.example.org"),
        CertificateParams { ttl: 601, ..for_name("a.example.org") },
        until(601),
    ] {
        let refusal = span(&role, &params, None).unwrap_err();
        assert!(refusal.text.contains("beyond the maximum timestamp"), "{}", refusal.text);
    }
    // An end that is shortened to the issuer's is compared afterwards.
    let short = IssuanceLimits {
        issuer_end: Timestamp::from_unix(NOW + 500),
        behavior: LeafNotAfterBehavior::Truncate,
        ..limits()
    };
    let cut = role.permit(&until(9000), None, P256, &short, now()).unwrap();
    assert_eq!(cut.template().not_after.unix(), NOW + 500);
}

#[test]
fn a_start_after_the_end_is_reported_before_a_user_id() {
    let role = role(|_| {});
    let wrong = CertificateParams { user_ids: strings(&["root"]), ..from(7200) };
    refused(&role, &wrong, "is later than the certificate's Not After");
}

#[test]
fn start_and_end_are_in_order_and_in_years_that_a_certificate_can_encode() {
    // The first second of the year 1 (RFC 3339 in Go), and the last of 9999 (RFC 5280, 4.1.2.5).
    const FIRST: i64 = -62_135_596_800;
    let check = |start: i64, end: i64| {
        check_order(Timestamp::from_unix(start), Timestamp::from_unix(end))
            .map_err(|error| error.to_string())
    };
    assert_eq!(check(FIRST, LAST_SECOND), Ok(()));
    for (start, end, text) in [
        (FIRST - 1, NOW, "between the years 1 and 9999"),
        (NOW, LAST_SECOND + 1, "between the years 1 and 9999"),
        (NOW, NOW, "is equal to the certificate's Not After"),
        (NOW + 1, NOW, "is later than the certificate's Not After"),
    ] {
        let said = check(start, end).unwrap_err();
        assert!(said.contains(text), "{said}");
    }
}

#[test]
fn a_bound_that_refuses_a_request_allows_the_same_time_of_the_role() {
    let limited = |fields: &mut RoleFields| {
        (fields.ttl, fields.not_after_bound) = (600, "ttl-limited".to_owned());
    };
    assert!(span(&role(limited), &until(601), None).is_err());
    assert_eq!(span(&role(limited), &until(600), None).unwrap().1, 600);
    let fixed = role(|fields| {
        limited(fields);
        fields.not_after = at(7200);
    });
    assert_eq!(span(&fixed, &for_name("a.example.org"), None).unwrap().1, 7200);
    let early = role(|fields| {
        fields.not_before_bound = "duration".to_owned();
        fields.not_before = at(-86_400);
    });
    assert_eq!(span(&early, &for_name("a.example.org"), None).unwrap().0, -86_400);
}
