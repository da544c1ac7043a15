//! SPIFFE IDs against a second, simple implementation of the standard (SPIFFE-ID, 2.1-2.4).

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
    assert_eq!(parsed.is_ok(), reference(text), "{text:?}: {parsed:?}");
    is_signed_only_as_an_id(text, parsed.as_ref().ok());
    let Ok(id) = parsed else { return };
    assert_eq!(id.as_str(), text);
    assert_eq!(format!("spiffe://{}{}", id.trust_domain(), id.path()), text);
    // Serialisation to the certificate must not change the identity.
    assert_eq!(url::canonical(text).as_deref(), Some(text));
    assert_eq!(url::host(text), id.trust_domain());
}

/// A URI of an authority with the scheme `spiffe`, in any case, is an ID without a path or refused.
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

fn reference(text: &str) -> bool {
    let Some(rest) = text.strip_prefix("spiffe://") else { return false };
    let mut parts = rest.split('/');
    let domain = parts.next().unwrap_or_default();
    let domain_is_valid = (1..=255).contains(&domain.len())
        && domain.chars().all(|c| "abcdefghijklmnopqrstuvwxyz0123456789.-_".contains(c));
    let path_is_valid = parts.all(|segment| {
        !["", ".", ".."].contains(&segment)
            && segment.chars().all(|c| c.is_ascii_alphanumeric() || ".-_".contains(c))
    });
    text.len() <= 2048 && domain_is_valid && path_is_valid
}
