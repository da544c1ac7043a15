//! SPIFFE IDs against the standard once more, written as plainly as it reads (SPIFFE-ID, 2.1-2.4).

#![no_main]

use libfuzzer_sys::fuzz_target;
use signet::ca::authority::CaCertificateParams;
use signet::ca::role::CertificateParams;
use signet::ca::spiffe::SpiffeId;
use signet::go::url;

fuzz_target!(|text: &str| {
    check(text);
    check(&format!("spiffe://{text}"));
    check(&format!("spiffe://example.org/{text}"));
});

fn check(text: &str) {
    let parsed = SpiffeId::parse(text);
    assert_eq!(parsed.is_ok(), plainly(text), "{text:?}: {parsed:?}");
    is_signed_only_as_an_id(text, parsed.as_ref().ok());
    let Ok(id) = parsed else { return };
    assert_eq!(id.as_str(), text);
    assert_eq!(format!("spiffe://{}{}", id.trust_domain(), id.path()), text);
    // Nothing on the way to the certificate may make another identity of it.
    assert_eq!(url::canonical(text).as_deref(), Some(text));
    assert_eq!(url::host(text), id.trust_domain());
}

/// Whatever has the scheme, in any case, is an ID without a path in an authority, or refused.
fn is_signed_only_as_an_id(text: &str, id: Option<&SpiffeId>) {
    let ask = CertificateParams { uri_sans: vec![text.to_owned()], ..CertificateParams::default() };
    let Ok((_, names)) = (CaCertificateParams { params: ask, ..CaCertificateParams::default() })
        .csr_subject(&mut Vec::new())
    else {
        return;
    };
    let scheme = |text: &str| text.to_ascii_lowercase().starts_with("spiffe:");
    if scheme(text) || names.uri.iter().any(|uri| scheme(uri)) {
        assert!(id.is_some_and(|id| id.path().is_empty()), "{text:?}");
        assert_eq!(names.uri, [text]);
    }
}

fn plainly(text: &str) -> bool {
    let Some(rest) = text.strip_prefix("spiffe://") else { return false };
    let mut parts = rest.split('/');
    let domain = parts.next().unwrap_or_default();
    let domain_is_sound = (1..=255).contains(&domain.len())
        && domain.chars().all(|c| "abcdefghijklmnopqrstuvwxyz0123456789.-_".contains(c));
    let path_is_sound = parts.all(|segment| {
        !["", ".", ".."].contains(&segment)
            && segment.chars().all(|c| c.is_ascii_alphanumeric() || ".-_".contains(c))
    });
    text.len() <= 2048 && domain_is_sound && path_is_sound
}
