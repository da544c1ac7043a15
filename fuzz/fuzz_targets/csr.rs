//! A certificate signing request gives no key away but to the signature of its holder, and
//! whatever a holder signs verifies.

#![no_main]

use libfuzzer_sys::fuzz_target;
use signet::ca::csr::ParsedCsr;
use signet::ca::uri;

fuzz_target!(|data: &[u8]| {
    if let Ok(parsed) = ParsedCsr::parse(data) {
        check(&parsed, data);
        if parsed.verify().is_ok() {
            refuses_another_content(data);
        }
    }
    // The same octets inside a request that is sound around them.
    let (subject, attributes) = signet_fuzz::halves(data);
    let request = signet_fuzz::request(subject, attributes);
    if let Ok(parsed) = ParsedCsr::parse(&request) {
        check(&parsed, &request);
        let verified = parsed.verify().expect("its holder signed it");
        assert_eq!(verified.public_key().spki(), signet_fuzz::public_key_info());
    }
});

fn check(parsed: &ParsedCsr, der: &[u8]) {
    assert_eq!(parsed.der(), der);
    assert!(der.windows(parsed.subject().len()).any(|window| window == parsed.subject()));
    let extensions = parsed.extensions();
    for (position, extension) in extensions.iter().enumerate() {
        assert!(extensions[..position].iter().all(|before| before.oid != extension.oid));
    }
    let names = parsed.names();
    for text in names.dns.iter().chain(&names.email).chain(&names.uri) {
        assert!(text.is_ascii(), "{text:?}");
    }
    for text in &names.uri {
        assert!(uri::canonical(text).is_some() && uri::host_is_domain(text), "{text:?}");
    }
    assert!(parsed.has_basic_constraints() || extensions.iter().all(|one| !is_constraints(one)));
}

/// basicConstraints by its arcs.
fn is_constraints(extension: &signet::ca::permit::RawExtension) -> bool {
    extension.oid.to_string() == "2.5.29.19"
}

/// A third of the way into a request lies what was signed: one bit of it changed, and nothing
/// verifies.
fn refuses_another_content(der: &[u8]) {
    let mut other = der.to_vec();
    other[der.len() / 3] ^= 1;
    if let Ok(parsed) = ParsedCsr::parse(&other) {
        assert!(parsed.verify().is_err(), "another content under the same signature");
    }
}
