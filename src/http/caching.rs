//! Public files: validators, conditional requests and cache lifetimes (RFC 9110, 8.8 and 13; RFC 9111).

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};

use crate::backend::response::{PublicFile, Stability};
use crate::ca::time::{LAST_SECOND, Timestamp};

use super::sending::HttpResponse;

/// The longest time, in seconds, that a cache keeps a revocation list. A revocation replaces the list before
/// its nextUpdate, and a cache does not notice: this is the longest delay that a cache adds until a client
/// sees a revocation.
const MAX_LIST_AGE: i64 = 3600;

/// A cache keeps a revocation list for at most its validity divided by this: a list that is valid for minutes
/// must not be kept for an hour.
const LIST_AGE_DIVISOR: i64 = 10;

/// How long a cache keeps a certificate that another one may replace, in seconds. After a change of the
/// default issuer all clients see the new one within this time.
const MAX_REPLACEABLE_AGE: i64 = 300;

/// How long a cache keeps a file that never changes, in seconds.
const MAX_FIXED_AGE: i64 = 24 * 3600;

/// The response to a GET or HEAD request for a public file: the file, or 304 if the client has it.
pub(super) fn into_response(file: PublicFile, request: &HeaderMap, now: Timestamp) -> HttpResponse {
    let PublicFile { media, body, tag, changed, stability } = file;
    let changed = changed.and_then(|changed| last_modified(changed, now));
    let (status, body) = match is_not_modified(request, &tag, changed) {
        true => (StatusCode::NOT_MODIFIED, Bytes::new()),
        false => (StatusCode::OK, body),
    };
    let length = body.len();
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    if status == StatusCode::OK {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
        // The answer to HEAD has it, too (RFC 9110, 8.6).
        headers.insert(header::CONTENT_LENGTH, length.into());
    }
    let mut set = |name, text: String| {
        // Each text is printable ASCII.
        if let Ok(value) = HeaderValue::try_from(text) {
            headers.insert(name, value);
        }
    };
    set(header::ETAG, format!("\"{tag}\""));
    set(header::CACHE_CONTROL, cache_control(stability, now));
    if let Some(changed) = changed {
        set(header::LAST_MODIFIED, httpdate::fmt_http_date(changed));
    }
    response
}

/// The time of a change, if it is a validator. A time has a resolution of one second: another change may follow within the same second, and a time in the future is not sent (RFC 9110, 8.8.2.1 and 8.8.2.2).
fn last_modified(changed: Timestamp, now: Timestamp) -> Option<SystemTime> {
    let seconds = changed.unix();
    let is_past = seconds < now.unix() && seconds <= LAST_SECOND;
    let seconds = u64::try_from(seconds).ok().filter(|_| is_past)?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

/// Does the client have this file already? If `If-None-Match` is sent, it decides, and
/// `If-Modified-Since` is ignored (RFC 9110, 13.1.3).
fn is_not_modified(request: &HeaderMap, tag: &str, changed: Option<SystemTime>) -> bool {
    let mut tags = request.get_all(header::IF_NONE_MATCH).iter().peekable();
    if tags.peek().is_some() {
        return tags.any(|list| contains_tag(list.as_bytes(), tag.as_bytes()));
    }
    let mut times = request.get_all(header::IF_MODIFIED_SINCE).iter();
    let (Some(time), None, Some(changed)) = (times.next(), times.next(), changed) else {
        return false;
    };
    // Only an equal time matches: after a wrong clock is set back, the next list is older than the last one,
    // and a client that holds the last one must get it.
    let time = time.to_str().ok().and_then(|time| httpdate::parse_http_date(time).ok());
    time == Some(changed)
}

/// Does this list of entity tags hold the tag, by weak comparison (RFC 9110, 8.8.3.2 and 13.1.2)? Parsing stops
/// at the first syntax error.
fn contains_tag(list: &[u8], tag: &[u8]) -> bool {
    let mut rest = list.trim_ascii();
    if rest == b"*" {
        return true;
    }
    loop {
        while let [b',' | b' ' | b'\t', after @ ..] = rest {
            rest = after;
        }
        let Some(quoted) = rest.strip_prefix(b"W/").unwrap_or(rest).strip_prefix(b"\"") else {
            return false;
        };
        let mut parts = quoted.splitn(2, |byte| *byte == b'"');
        let (Some(opaque), Some(after)) = (parts.next(), parts.next()) else { return false };
        if opaque == tag {
            return true;
        }
        rest = after;
    }
}

fn cache_control(stability: Stability, now: Timestamp) -> String {
    match stability {
        Stability::Fixed => format!("public, max-age={MAX_FIXED_AGE}"),
        Stability::Replaceable => format!("public, max-age={MAX_REPLACEABLE_AGE}"),
        // A stale list must be revalidated, even if the server cannot be reached (RFC 9111, 5.2.2.2): otherwise
        // a cache could serve it past its nextUpdate.
        Stability::List { this_update, next_update } => {
            let age = list_age(this_update.unix(), next_update.unix(), now.unix());
            format!("public, max-age={age}, must-revalidate")
        }
    }
}

/// How long a cache keeps a revocation list, in seconds; never beyond its nextUpdate.
fn list_age(this_update: i64, next_update: i64, now: i64) -> i64 {
    let part = next_update.saturating_sub(this_update) / LIST_AGE_DIVISOR;
    next_update.saturating_sub(now).min(part).clamp(0, MAX_LIST_AGE)
}

#[cfg(test)]
mod tests {
    use http::HeaderName;

    use super::*;

    const NOW: Timestamp = Timestamp::from_unix(1_900_000_000);
    const HOUR: i64 = 3600;

    fn list(this_update: i64, next_update: i64) -> PublicFile {
        let (this_update, next_update) = (NOW.plus(this_update), NOW.plus(next_update));
        PublicFile {
            media: "application/pkix-crl",
            body: Bytes::from_static(b"list"),
            tag: "a1".to_owned(),
            changed: Some(this_update),
            stability: Stability::List { this_update, next_update },
        }
    }

    fn certificate(stability: Stability) -> PublicFile {
        PublicFile { changed: None, stability, ..list(0, 0) }
    }

    fn answer(file: PublicFile, headers: &[(HeaderName, &str)]) -> HttpResponse {
        let mut request = HeaderMap::new();
        for (name, value) in headers {
            request.append(name, value.parse().unwrap());
        }
        into_response(file, &request, NOW)
    }

    fn status(headers: &[(HeaderName, &str)]) -> u16 {
        answer(list(-HOUR, 71 * HOUR), headers).status().as_u16()
    }

    fn header_of(response: &HttpResponse, name: HeaderName) -> &str {
        response.headers().get(name).map_or("", |value| value.to_str().unwrap())
    }

    #[test]
    fn a_file_has_a_tag_a_time_and_a_length() {
        let answer = answer(list(-HOUR, 71 * HOUR), &[]);
        assert_eq!(answer.status(), 200);
        assert_eq!(header_of(&answer, header::ETAG), "\"a1\"");
        assert_eq!(header_of(&answer, header::LAST_MODIFIED), "Sun, 17 Mar 2030 16:46:40 GMT");
        assert_eq!(header_of(&answer, header::CONTENT_TYPE), "application/pkix-crl");
        assert_eq!(header_of(&answer, header::CONTENT_LENGTH), "4");
        assert_eq!(answer.body().whole().unwrap(), "list");
    }

    #[test]
    fn a_client_that_has_the_file_gets_304_with_the_same_validators_and_no_body() {
        let full = answer(list(-HOUR, 71 * HOUR), &[]);
        let short = answer(list(-HOUR, 71 * HOUR), &[(header::IF_NONE_MATCH, "\"a1\"")]);
        assert_eq!(short.status(), 304);
        for name in [header::ETAG, header::LAST_MODIFIED, header::CACHE_CONTROL] {
            assert!(!header_of(&full, name.clone()).is_empty());
            assert_eq!(header_of(&short, name.clone()), header_of(&full, name));
        }
        assert!(short.body().whole().unwrap().is_empty());
        assert!(!short.headers().contains_key(header::CONTENT_TYPE));
        assert!(!short.headers().contains_key(header::CONTENT_LENGTH));
    }

    #[test]
    fn a_list_of_tags_is_compared_weakly() {
        for (value, expected) in [
            ("\"a1\"", 304),
            ("W/\"a1\"", 304),
            ("*", 304),
            (" * ", 304),
            ("\"b2\", W/\"c,3\" , \"a1\"", 304),
            (",\"b2\",,\"a1\"", 304),
            ("\"b2\"", 200),
            ("\"a1", 200),
            ("a1", 200),
            ("\"\"", 200),
            ("", 200),
            ("\"A1\"", 200),
            ("w/\"a1\"", 200),
            ("\"b2\" x \"a1\"", 200),
            ("\"x,a1\"", 200),
            ("\"*\"", 200),
            ("*, \"b2\"", 200),
        ] {
            assert_eq!(status(&[(header::IF_NONE_MATCH, value)]), expected, "{value}");
        }
        let lines = [(header::IF_NONE_MATCH, "\"b2\""), (header::IF_NONE_MATCH, "\"a1\"")];
        assert_eq!(status(&lines), 304);
    }

    #[test]
    fn a_time_counts_only_without_a_tag_and_only_if_it_is_the_same() {
        const SAME: &str = "Sun, 17 Mar 2030 16:46:40 GMT";
        for (value, expected) in [
            (SAME, 304),
            ("Sunday, 17-Mar-30 16:46:40 GMT", 304),
            ("Sun Mar 17 16:46:40 2030", 304),
            ("Sun, 17 Mar 2030 16:46:39 GMT", 200),
            ("Sun, 17 Mar 2030 16:46:41 GMT", 200),
            ("2030-03-17T16:46:40Z", 200),
            ("", 200),
        ] {
            assert_eq!(status(&[(header::IF_MODIFIED_SINCE, value)]), expected, "{value}");
        }
        let time = (header::IF_MODIFIED_SINCE, SAME);
        assert_eq!(status(&[time.clone(), time.clone()]), 200);
        assert_eq!(status(&[(header::IF_NONE_MATCH, "\"b2\""), time]), 200);
    }

    #[test]
    fn a_time_of_this_second_or_of_the_future_is_not_sent_and_not_compared() {
        for changed in [0, 1, HOUR] {
            let time = SystemTime::UNIX_EPOCH
                + Duration::from_secs(NOW.plus(changed).unix().try_into().unwrap());
            let time = httpdate::fmt_http_date(time);
            let answer = answer(list(changed, 72 * HOUR), &[(header::IF_MODIFIED_SINCE, &time)]);
            assert_eq!(answer.status(), 200, "{changed}");
            assert!(!answer.headers().contains_key(header::LAST_MODIFIED), "{changed}");
        }
    }

    #[test]
    fn a_time_that_no_header_can_hold_is_not_sent() {
        let far = Timestamp::from_unix(i64::MAX);
        for changed in [Timestamp::from_unix(-1), Timestamp::from_unix(LAST_SECOND + 1)] {
            let file = PublicFile { changed: Some(changed), ..list(0, 0) };
            let answer = into_response(file, &HeaderMap::new(), far);
            assert!(!answer.headers().contains_key(header::LAST_MODIFIED));
        }
    }

    #[test]
    fn a_list_is_kept_for_an_hour_a_tenth_of_its_validity_or_until_its_next_update() {
        for (this_update, next_update, age) in [
            (-HOUR, 71 * HOUR, HOUR),
            (0, HOUR, HOUR / 10),
            (-HOUR + 60, 60, 60),
            (-72 * HOUR, 0, 0),
            (-73 * HOUR, -HOUR, 0),
            (HOUR, 73 * HOUR, HOUR),
            (HOUR, -HOUR, 0),
        ] {
            let answer = answer(list(this_update, next_update), &[]);
            let expected = format!("public, max-age={age}, must-revalidate");
            assert_eq!(header_of(&answer, header::CACHE_CONTROL), expected);
        }
        assert_eq!(list_age(i64::MIN, i64::MAX, i64::MIN), MAX_LIST_AGE);
    }

    #[test]
    fn a_certificate_is_kept_for_a_day_and_one_that_can_be_replaced_for_minutes() {
        let kept = |stability| {
            let answer = answer(certificate(stability), &[]);
            header_of(&answer, header::CACHE_CONTROL).to_owned()
        };
        assert_eq!(kept(Stability::Fixed), "public, max-age=86400");
        assert_eq!(kept(Stability::Replaceable), "public, max-age=300");
    }
}
