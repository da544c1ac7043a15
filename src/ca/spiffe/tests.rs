//! Examples for every rule of the standard, and every byte as a character of both parts.

use super::{SpiffeId, SpiffeIdError as Error};

#[test]
fn accepts_ids_that_the_standard_allows() {
    let long = format!("spiffe://td/{}", "a".repeat(2036));
    let wide = format!("spiffe://{}/a", "d".repeat(255));
    for id in [
        "spiffe://example.org",
        "spiffe://example.org/a",
        "spiffe://example.org/ns/staging/sa/default",
        "spiffe://example.org/9eebccd2-12bf-40a6-b262-65fe0487d453",
        "spiffe://trust_domain_name.example.com/x",
        "spiffe://1.2.3.4/service",
        "spiffe://a/b",
        "spiffe://td/.hidden",
        "spiffe://td/..x",
        "spiffe://td/...",
        "spiffe://td/A/a",
        "spiffe://-._/-._",
        &long,
        &wide,
    ] {
        let parsed = SpiffeId::parse(id).unwrap_or_else(|why| panic!("{id}: {why}"));
        assert_eq!(parsed.as_str(), id);
        assert_eq!(format!("spiffe://{}{}", parsed.trust_domain(), parsed.path()), id);
    }
}

#[test]
fn refuses_ids_that_the_standard_forbids() {
    let long = format!("spiffe://td/{}", "a".repeat(2037));
    let wide = format!("spiffe://{}/a", "d".repeat(256));
    for (id, why) in [
        ("", Error::Empty),
        ("s", Error::Scheme),
        ("spiffe:/td/a", Error::Scheme),
        ("spiffe:td", Error::Scheme),
        ("Spiffe://td/a", Error::Scheme),
        ("SPIFFE://td", Error::Scheme),
        ("http://td/a", Error::Scheme),
        ("//td/a", Error::Scheme),
        (" spiffe://td/a", Error::Scheme),
        ("spiffe://td/a ", Error::PathCharacter),
        ("spiffe://", Error::MissingTrustDomain),
        ("spiffe:///a", Error::MissingTrustDomain),
        ("spiffe://Example.org/a", Error::TrustDomainCharacter),
        ("spiffe://td:8080/a", Error::UserOrPort),
        ("spiffe://td:/a", Error::UserOrPort),
        ("spiffe://user@td/a", Error::UserOrPort),
        ("spiffe://user:pw@td/a", Error::UserOrPort),
        ("spiffe://[::1]/a", Error::TrustDomainCharacter),
        ("spiffe://t%64/a", Error::Percent),
        ("spiffe://%F0%9F%A4%AF/path", Error::Percent),
        ("spiffe://tdé/a", Error::TrustDomainCharacter),
        ("spiffe://t~d/a", Error::TrustDomainCharacter),
        ("spiffe://t$d/a", Error::TrustDomainCharacter),
        ("spiffe://td#", Error::QueryOrFragment),
        ("spiffe://td?x", Error::QueryOrFragment),
        ("spiffe://td/", Error::TrailingSlash),
        ("spiffe://td//", Error::EmptySegment),
        ("spiffe://td//a", Error::EmptySegment),
        ("spiffe://td/a/", Error::TrailingSlash),
        ("spiffe://td/a//b", Error::EmptySegment),
        ("spiffe://td/.", Error::DotSegment),
        ("spiffe://td/..", Error::DotSegment),
        ("spiffe://td/./a", Error::DotSegment),
        ("spiffe://td/a/../b", Error::DotSegment),
        ("spiffe://td/a/..", Error::DotSegment),
        ("spiffe://td/%61", Error::Percent),
        ("spiffe://td/a%2Fb", Error::Percent),
        ("spiffe://td/a:b", Error::PathCharacter),
        ("spiffe://td/a@b", Error::PathCharacter),
        ("spiffe://td/a*", Error::PathCharacter),
        ("spiffe://td/a~b", Error::PathCharacter),
        ("spiffe://td/a?x=1", Error::QueryOrFragment),
        ("spiffe://td/a?", Error::QueryOrFragment),
        ("spiffe://td/a#f", Error::QueryOrFragment),
        ("spiffe://td/a\\b", Error::PathCharacter),
        ("spiffe://td/a\0", Error::PathCharacter),
        (&long, Error::TooLong),
        (&wide, Error::TooLong),
    ] {
        assert_eq!(SpiffeId::parse(id), Err(why), "{id}");
    }
}

#[test]
fn accepts_only_the_characters_of_each_part() {
    for code in 0..=255_u8 {
        let character = char::from(code);
        let domain = SpiffeId::parse(&format!("spiffe://td{character}"));
        let legal = matches!(character, 'a'..='z' | '0'..='9' | '.' | '-' | '_');
        // A slash ends the trust domain and leaves an empty path segment.
        assert_eq!(domain.is_ok(), legal, "{character:?} in a trust domain");
        let path = SpiffeId::parse(&format!("spiffe://td/p{character}"));
        assert_eq!(
            path.is_ok(),
            legal || character.is_ascii_uppercase(),
            "{character:?} in a path"
        );
    }
}
