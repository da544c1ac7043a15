//! A certificate signing request yields its key only if its signature verifies, and a CSR that its
//! holder signed verifies. Whatever it requests, under issuers and roles of odd shapes, is refused
//! with a reason or becomes a certificate that passes the lint and that other parsers read.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use signet::ca::authority::{CaCertificateParams, IssuerConstraints};
use signet::ca::cert::compose;
use signet::ca::certificate::Certificate;
use signet::ca::csr::{ParsedCsr, VerifiedCsr};
use signet::ca::lint::lint;
use signet::ca::name_limits::IssuerLimits;
use signet::ca::permit::{IssuingUrls, Permit};
use signet::ca::role::{
    CertificateParams, CsrFields, IssuanceLimits, LeafNotAfterBehavior, Role, RoleFields, TtlLimits,
};
use signet::ca::serial::Serial;
use signet::ca::time::Timestamp;
use signet::ca::uri;
use signet::go::url;
use signet_fuzz::der::{SEQUENCE, element};
use x509_cert::der::Decode;

fuzz_target!(|data: &[u8]| {
    if let Ok(parsed) = ParsedCsr::parse(data) {
        check(&parsed, data);
        if parsed.verify().is_ok() {
            refuses_modified_content(data);
        }
    }
    // The same bytes inside an otherwise valid request.
    let (subject, attributes) = signet_fuzz::halves(data);
    let request = signet_fuzz::request(subject, attributes);
    if let Ok(parsed) = ParsedCsr::parse(&request) {
        check(&parsed, &request);
        let verified = parsed.verify().expect("its holder signed it");
        assert_eq!(verified.public_key().spki(), signet_fuzz::public_key_info());
        ISSUERS.iter().for_each(|issuer| sign(issuer, &verified));
    }
});

/// 2026-11-22T00:00:00Z
const NOW: Timestamp = Timestamp::from_unix(1_795_305_600);
const LIMITS: TtlLimits = TtlLimits { default: 3600, max: 86_400 };

/// Issuers with and without subject key identifier and name constraints.
static ISSUERS: LazyLock<Vec<Certificate>> = LazyLock::new(|| {
    let name = |tag: u8, text: &[u8]| element(SEQUENCE, &[&element(tag, &[text])]);
    let permitted = element(0xa0, &[&name(0x82, b"example.org"), &name(0x86, b"example.org")]);
    let excluded = element(0xa1, &[&name(0x87, &[0; 32]), &name(0x81, b".example.org")]);
    let constraints = element(SEQUENCE, &[&permitted, &excluded]);
    let limited = signet_fuzz::extension(&[0x55, 0x1d, 30], &constraints);
    let identified = signet_fuzz::extension(&[0x55, 0x1d, 14], &[4, 2, 1, 2]);
    [vec![], identified.clone(), [identified, limited].concat()]
        .into_iter()
        .map(|extensions| Certificate::parse(signet_fuzz::certificate(&[], &extensions)).unwrap())
        .collect()
});

/// A role that allows everything, and one that ignores the names of a CSR.
static ROLES: LazyLock<Vec<Role>> = LazyLock::new(|| {
    let mut open = RoleFields::unspecified();
    open.key_type = "any".to_owned();
    open.require_cn = false;
    open.allow_any_name = true;
    open.enforce_hostnames = false;
    open.allowed_uri_sans = vec!["*".to_owned()];
    open.allowed_other_sans = vec!["*".to_owned()];
    open.key_usage = Vec::new();
    let mut closed = open.clone();
    closed.use_csr_sans = false;
    closed.use_csr_common_name = false;
    [open, closed].into_iter().map(|fields| fields.compile("any").unwrap().0).collect()
});

fn sign(issuer: &Certificate, csr: &VerifiedCsr) {
    let (parsed, limits) = (csr.parsed(), IssuerLimits::new(issuer, &[]));
    let above = IssuerConstraints {
        limits: &limits,
        not_after: issuer.not_after(),
        key_kind: issuer.public_key().kind(),
    };
    for use_csr_values in [true, false] {
        let asked = CaCertificateParams { use_csr_values, ..CaCertificateParams::default() };
        let urls = IssuingUrls::default();
        if let Ok(permit) = asked.permit_intermediate(parsed, above, LIMITS, urls, NOW) {
            composed(issuer, csr, permit, true);
        }
    }
    let facts = CsrFields {
        common_name: parsed.common_name().to_owned(),
        serial_number: parsed.serial_number().to_owned(),
        user_ids: parsed.user_ids().to_vec(),
        names: parsed.names().clone(),
        has_unreadable_other_name: parsed.has_unreadable_other_name(),
        has_basic_constraints: parsed.has_basic_constraints(),
    };
    for role in ROLES.iter() {
        let bounds = IssuanceLimits {
            issuer_end: issuer.not_after(),
            behavior: LeafNotAfterBehavior::Err,
            mount: LIMITS,
            urls: IssuingUrls::default(),
        };
        let ask = CertificateParams::default();
        let permit = role.permit(&ask, Some(&facts), parsed.key_kind(), &bounds, NOW);
        if let Ok(permit) = permit
            && limits.check(permit.template()).is_ok()
        {
            composed(issuer, csr, permit, false);
        }
    }
}

/// What was permitted passes the lint, and Signet and another parser read it.
fn composed(issuer: &Certificate, csr: &VerifiedCsr, permit: Permit, is_authority: bool) {
    let view = issuer.issuer_view();
    let serial = Serial::new(permit.template().not_after, [7; 16]);
    let Ok(tbs) = compose(permit, &view, csr.public_key(), serial) else { return };
    let der = tbs.der().to_vec();
    assert!(lint(tbs, &view).is_ok(), "the lint refuses what was permitted");
    let whole = signet_fuzz::signed(&der);
    let parsed = Certificate::parse(whole.clone()).expect("a composed certificate is valid");
    assert_eq!(parsed.is_authority(), is_authority);
    assert_eq!(parsed.public_key().spki(), csr.public_key().spki());
    x509_cert::Certificate::from_der(&whole).expect("another parser reads it");
}

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
        assert!(url::canonical(text).is_some() && uri::host_is_domain(text), "{text:?}");
    }
    assert!(parsed.has_basic_constraints() || extensions.iter().all(|one| !is_constraints(one)));
}

/// Whether the extension is basicConstraints, by its OID.
fn is_constraints(extension: &signet::ca::permit::RawExtension) -> bool {
    extension.oid.to_string() == "2.5.29.19"
}

/// The signed content is at a third of the length: if one of its bits changes, the signature does
/// not verify.
fn refuses_modified_content(der: &[u8]) {
    let mut other = der.to_vec();
    other[der.len() / 3] ^= 1;
    if let Ok(parsed) = ParsedCsr::parse(&other) {
        assert!(parsed.verify().is_err(), "other content with the same signature");
    }
}
