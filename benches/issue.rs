//! What one leaf costs, step by step: keys and signature (the lower bound), composing, linting.

#![expect(clippy::unwrap_used, reason = "a bench stops where something is wrong")]

use std::hint::black_box;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use signet::ca::authority::CaCertificateParams;
use signet::ca::cert::{Tbs, compose, compose_self_signed};
use signet::ca::certificate::Certificate;
use signet::ca::crl::{CrlEntries, CrlValues, compose_crl};
use signet::ca::csr::ParsedCsr;
use signet::ca::key::{Curve, KeyKind, SignatureAlgorithm, SignatureHash};
use signet::ca::lint::{lint, lint_crl, lint_request, lint_self_signed};
use signet::ca::permit::{IssuingUrls, Permit, SubjectName};
use signet::ca::request::{RequestValues, compose_request};
use signet::ca::role::{
    CertificateParams, IssuanceLimits, LeafNotAfterBehavior, Role, RoleFields, TtlLimits,
};
use signet::ca::serial::Serial;
use signet::ca::time::Timestamp;
use signet::keys::{PrivateKey, SubjectKey};

const P256: KeyKind = KeyKind::Ec(Curve::P256);
const NOW: Timestamp = Timestamp::from_unix(1_795_305_600);
const LIMITS: TtlLimits = TtlLimits { default: 3600, max: 86_400 };

/// A root, its key, and a role for SVIDs.
struct Bench {
    key: PrivateKey,
    root: Certificate,
    role: Role,
    ask: CertificateParams,
    bounds: IssuanceLimits,
}

impl Bench {
    fn new() -> Self {
        let key = PrivateKey::generate(P256).unwrap();
        let mut root = CaCertificateParams::default();
        root.params.common_name = "root".to_owned();
        let permit = root.permit_root(LIMITS, IssuingUrls::default(), NOW).unwrap();
        let serial = Serial::new(permit.template().not_after, [7; 16]);
        let tbs = compose_self_signed(permit, key.public(), serial).unwrap();
        let signed = key.sign(lint_self_signed(tbs).unwrap()).unwrap();
        let root = Certificate::parse(signed.into_der()).unwrap();
        let mut fields = RoleFields::unspecified();
        fields.allowed_uri_sans = vec!["spiffe://example.com/*".to_owned()];
        fields.key_type = "ec".to_owned();
        fields.key_bits = 256;
        fields.require_cn = false;
        let (role, _) = fields.compile("svid").unwrap();
        let uris = vec!["spiffe://example.com/payments/api".to_owned()];
        let ask = CertificateParams { uri_sans: uris, ..CertificateParams::default() };
        let bounds = IssuanceLimits {
            issuer_end: root.not_after(),
            behavior: LeafNotAfterBehavior::Truncate,
            mount: LIMITS,
            urls: IssuingUrls::default(),
        };
        Self { key, root, role, ask, bounds }
    }

    fn permit(&self) -> Permit {
        self.role.permit(&self.ask, None, P256, &self.bounds, NOW).unwrap()
    }

    fn compose(&self, permit: Permit, key: &SubjectKey) -> Tbs {
        let serial = Serial::new(permit.template().not_after, [7; 16]);
        compose(permit, &self.root.issuer_view(), key.public(), serial).unwrap()
    }
}

fn leaf(criterion: &mut Criterion) {
    let bench = Bench::new();
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
    let random = SystemRandom::new();
    let subject = SubjectKey::generate(P256).unwrap();
    let tbs = || bench.compose(bench.permit(), &subject);
    let view = bench.root.issuer_view();
    let mut group = criterion.benchmark_group("leaf");
    group.bench_function("1 bare key", |bencher| {
        bencher.iter(|| EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap());
    });
    group.bench_function("2 bare signature", |bencher| {
        bencher.iter(|| pair.sign(&random, black_box(&[7; 400])).unwrap());
    });
    group.bench_function("3 key, PKCS#8, SPKI", |bencher| {
        bencher.iter(|| SubjectKey::generate(P256).unwrap());
    });
    group.bench_function("4 permit", |bencher| bencher.iter(|| bench.permit()));
    group.bench_function("5 compose", |bencher| {
        let permit = || bench.permit();
        bencher.iter_batched(permit, |it| bench.compose(it, &subject), BatchSize::SmallInput);
    });
    group.bench_function("6 lint", |bencher| {
        bencher.iter_batched(tbs, |it| lint(it, &view).unwrap(), BatchSize::SmallInput);
    });
    group.bench_function("7 sign and assemble", |bencher| {
        let linted = || lint(tbs(), &view).unwrap();
        bencher.iter_batched(linted, |it| bench.key.sign(it).unwrap(), BatchSize::SmallInput);
    });
    group.bench_function("8 all of it", |bencher| {
        bencher.iter(|| {
            let subject = SubjectKey::generate(P256).unwrap();
            let tbs = bench.compose(bench.permit(), &subject);
            bench.key.sign(lint(tbs, &view).unwrap()).unwrap()
        });
    });
    group.finish();
}

fn request(criterion: &mut Criterion) {
    let key = PrivateKey::generate(P256).unwrap();
    let values = RequestValues {
        subject: SubjectName::Composed(Default::default()),
        names: Default::default(),
        basic_constraints: false,
        key_usage: Default::default(),
    };
    let algorithm = SignatureAlgorithm::Ecdsa(SignatureHash::Sha256);
    let request = compose_request(&values, key.public(), algorithm).unwrap();
    let der = key.sign(lint_request(request).unwrap()).unwrap().into_der();
    criterion.bench_function("request/parse", |bencher| {
        bencher.iter(|| ParsedCsr::parse(black_box(&der)).unwrap());
    });
    criterion.bench_function("request/parse and verify", |bencher| {
        bencher.iter(|| ParsedCsr::parse(black_box(&der)).unwrap().verify().unwrap());
    });
}

fn list(criterion: &mut Criterion) {
    let bench = Bench::new();
    let mut entries = CrlEntries::default();
    for number in 0..1_000_000_u128 {
        entries.push(&(number | 1 << 124).to_be_bytes(), NOW).unwrap();
    }
    let values = CrlValues {
        number: 1,
        this_update: NOW,
        next_update: NOW.plus(3600),
        algorithm: SignatureAlgorithm::Ecdsa(SignatureHash::Sha256),
        freshest_crl: &[],
    };
    let view = bench.root.issuer_view();
    let mut group = criterion.benchmark_group("list");
    group.sample_size(10);
    group.bench_function("a million entries, composed, linted, signed, verified", |bencher| {
        bencher.iter(|| {
            let crl = compose_crl(&view, &values, &entries).unwrap();
            bench.key.sign(lint_crl(crl, &view).unwrap()).unwrap()
        });
    });
    group.finish();
}

criterion_group!(issue, leaf, request, list);
criterion_main!(issue);
