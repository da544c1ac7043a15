//! Instructions of one issue, step by step: a number that hardly moves between runs and machines,
//! where a time moves by a fifth.
//!
//!     scripts/bench --instructions
//!
//! Each step runs under valgrind's callgrind, which counts only what happens inside of [`measured`].
//! Clock and serial numbers are fixed and every key is Ed25519, whose signatures need no randomness;
//! only key generation uses real randomness. The allocator is the server's.
//!
//! `SIGNET_BENCH_KNOWN` names the file of the known numbers, `SIGNET_BENCH_WRITE` the file to write.

#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a measurement, configured by the environment, that may panic"
)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::hint::black_box;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use signet::ca::authority::CaCertificateParams;
use signet::ca::cert::{Tbs, compose, compose_self_signed};
use signet::ca::certificate::Certificate;
use signet::ca::key::KeyKind;
use signet::ca::lint::{lint, lint_self_signed};
use signet::ca::pem;
use signet::ca::permit::{IssuingUrls, Permit};
use signet::ca::role::{
    CertificateParams, IssuanceLimits, LeafNotAfterBehavior, Role, RoleFields, TtlLimits,
};
use signet::ca::serial::Serial;
use signet::ca::time::Timestamp;
use signet::engine::pki::records::CertificateRecord;
use signet::http::json::parameters;
use signet::keys::{PrivateKey, SubjectKey};
use signet::store::id::IssuerId;
use signet::store::record;
use support::Server;

#[global_allocator]
static ALLOCATOR: zeroizing_alloc::ZeroAlloc<std::alloc::System> =
    zeroizing_alloc::ZeroAlloc(std::alloc::System);

const KIND: KeyKind = KeyKind::Ed25519;
const NOW: Timestamp = Timestamp::from_unix(support::START);
const LIMITS: TtlLimits = TtlLimits { default: 3600, max: 86_400 };
const NAME: &str = "spiffe://example.org/ns/bench/sa/w1";

/// The steps, in the order in which a request takes them.
const STEPS: [&str; 11] = [
    "read JSON",
    "permit",
    "make a key",
    "compose",
    "lint",
    "sign",
    "encode the record",
    "write PEM",
    "lookup-self, without a socket",
    "issue, not stored, without a socket",
    "issue, stored in memory, without a socket",
];

/// How often a step is counted.
const TIMES: usize = 100;

fn main() {
    let arguments: Vec<String> = env::args().skip(1).filter(|word| word != "--bench").collect();
    match arguments.as_slice() {
        [run, step] if run == "--step" => run_step(step),
        [run] if run == "--all" => all(),
        // Without a run nothing is counted: `cargo bench` names none.
        _ => {}
    }
}

/// Counts every step, compares and writes.
fn all() {
    let known = env::var("SIGNET_BENCH_KNOWN").ok().and_then(|file| fs::read_to_string(file).ok());
    let known: Value = known.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
    let mut found = BTreeMap::new();
    println!("{:<44} {:>12} {:>12} {:>8}", "instructions of one", "now", "before", "change");
    for step in STEPS {
        let each = count(step) / TIMES as u64;
        match known["steps"][step].as_u64() {
            Some(before) => {
                let change = (each as f64 / before as f64 - 1.0) * 100.0;
                println!("{step:<44} {each:>12} {before:>12} {change:>+7.1}%");
            }
            None => println!("{step:<44} {each:>12} {:>12} {:>8}", "-", "-"),
        }
        found.insert(step, each);
    }
    if let Ok(file) = env::var("SIGNET_BENCH_WRITE") {
        let compiler = output_of("rustc", &["--version"]);
        let commit = output_of("git", &["rev-parse", "--short=12", "HEAD"]);
        let result = json!({
            "run": "instructions",
            "compiler": compiler,
            "commit": commit,
            "order": STEPS,
            "steps": found,
        });
        let text = serde_json::to_string_pretty(&result).expect("JSON");
        fs::write(&file, text + "\n").expect("the result can be written");
        eprintln!("written: {file}");
    }
}

fn output_of(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output
        .map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
        .unwrap_or_default()
}

/// Instructions inside of [`measured`].
fn count(step: &str) -> u64 {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let own = env::current_exe().expect("this program");
    let status = Command::new("valgrind")
        .args(["--tool=callgrind", "-q", "--read-inline-info=no"])
        .arg(format!("--toggle-collect={}::measured*", env!("CARGO_CRATE_NAME")))
        .arg(format!("--callgrind-out-file={}", file.path().display()))
        .arg(own)
        .args(["--step", step])
        .stdout(Stdio::null())
        .status()
        .expect("valgrind is needed: it is a package of every distribution");
    assert!(status.success(), "valgrind failed on {step}");
    let text = fs::read_to_string(file.path()).expect("callgrind writes its counts");
    let totals = text.lines().find_map(|line| line.strip_prefix("totals: ")).unwrap_or_default();
    totals.trim().parse().expect("a count")
}

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
        let key = PrivateKey::generate(KIND).unwrap();
        let mut root = CaCertificateParams::default();
        root.params.common_name = "root".to_owned();
        let permit = root.permit_root(LIMITS, IssuingUrls::default(), NOW).unwrap();
        let serial = Serial::new(permit.template().not_after, [7; 16]);
        let tbs = compose_self_signed(permit, key.public(), serial).unwrap();
        let signed = key.sign(lint_self_signed(tbs).unwrap()).unwrap();
        let root = Certificate::parse(signed.into_der()).unwrap();
        let mut fields = RoleFields::unspecified();
        fields.allowed_uri_sans = vec!["spiffe://example.org/*".to_owned()];
        fields.key_type = "ed25519".to_owned();
        fields.require_cn = false;
        let (role, _) = fields.compile("svid").unwrap();
        let ask =
            CertificateParams { uri_sans: vec![NAME.to_owned()], ..CertificateParams::default() };
        let bounds = IssuanceLimits {
            issuer_end: root.not_after(),
            behavior: LeafNotAfterBehavior::Truncate,
            mount: LIMITS,
            urls: IssuingUrls::default(),
        };
        Self { key, root, role, ask, bounds }
    }

    fn permit(&self) -> Permit {
        self.role.permit(&self.ask, None, KIND, &self.bounds, NOW).unwrap()
    }

    fn compose(&self, permit: Permit, key: &SubjectKey) -> Tbs {
        let serial = Serial::new(permit.template().not_after, [7; 16]);
        compose(permit, &self.root.issuer_view(), key.public(), serial).unwrap()
    }
}

/// Callgrind counts inside this function, which it finds by name.
#[inline(never)]
fn measured(step: &mut dyn FnMut()) {
    step();
}

fn run_step(step: &str) {
    if step.ends_with("without a socket") {
        return whole(step);
    }
    let bench = Bench::new();
    let view = bench.root.issuer_view();
    let subject = SubjectKey::generate(KIND).unwrap();
    let body = json!({ "uri_sans": NAME }).to_string();
    let der = bench.root.der();
    let certificate = CertificateRecord { der: der.to_vec(), issuer: IssuerId::new([7; 16]) };
    let permit = || bench.permit();
    let composed = || bench.compose(permit(), &subject);
    let linted = || lint(composed(), &view).unwrap();
    match step {
        "read JSON" => repeat(|| (), |()| parameters(black_box(body.as_bytes())).unwrap()),
        "permit" => repeat(|| (), |()| bench.permit()),
        "make a key" => repeat(|| (), |()| SubjectKey::generate(KIND).unwrap()),
        "compose" => repeat(permit, |permit| bench.compose(permit, &subject)),
        "lint" => repeat(composed, |tbs| lint(tbs, &view).unwrap()),
        "sign" => repeat(linted, |linted| bench.key.sign(linted).unwrap()),
        "encode the record" => repeat(|| (), |()| record::encode(black_box(&certificate))),
        "write PEM" => repeat(|| (), |()| pem::encode("CERTIFICATE", black_box(der))),
        other => eprintln!("{other} is not a step"),
    }
}

/// Counts the step, but neither the creation of its input nor the drop of its result.
fn repeat<T, U>(make: impl Fn() -> T, step: impl Fn(T) -> U) {
    for _ in 0..TIMES {
        let (mut need, mut result) = (Some(make()), None);
        measured(&mut || result = need.take().map(&step));
        black_box(result);
    }
}

/// A whole request through the API, without a socket.
fn whole(step: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let server = runtime.block_on(prepare(step.contains("not stored")));
    let request = json!({ "uri_sans": NAME });
    let ask = async || {
        if step.starts_with("lookup") {
            server.get("auth/token/lookup-self").await
        } else {
            server.call("POST", "pki/issue/svid", Some(&request)).await
        }
    };
    // The first request fills the caches; it is not counted.
    runtime.block_on(ask()).ok();
    for _ in 0..TIMES {
        let mut answer = None;
        measured(&mut || answer = Some(runtime.block_on(ask())));
        black_box(answer.map(support::Answer::ok));
    }
}

async fn prepare(no_store: bool) -> Server {
    let server = Server::new().await;
    server.post("sys/mounts/pki", json!({ "type": "pki" })).await.ok();
    let root = json!({ "common_name": "root", "key_type": "ed25519", "ttl": "700h" });
    server.post("pki/root/generate/internal", root).await.ok();
    let role = json!({
        "allowed_uri_sans": "spiffe://example.org/*",
        "require_cn": false,
        "key_type": "ed25519",
        "ttl": "1h",
        "no_store": no_store,
    });
    server.post("pki/roles/svid", role).await.ok();
    server
}
