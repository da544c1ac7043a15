//! The workloads, each on a new server: by number of connections in the closed loop, and by latency
//! in the open one.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::{Options, middle, number, rounded, row, say};
use crate::load::bare;
use crate::load::closed;
use crate::load::connect::{Caller, Target};
use crate::load::open::{self, Schedule};
use crate::load::server::{Running, folder};
use crate::load::usage::syncs;
use crate::load::work::{Work, requests};

/// Bursts of requests for RSA keys: several, because a burst takes only milliseconds.
const BURSTS: usize = 9;

/// How a workload travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Travels {
    Clear,
    Tls,
    TlsEach,
}

/// The lower bound of a workload that is compared with anything but a key and a signature.
#[derive(Clone, Copy, Debug)]
enum LowerBound {
    Connection,
    RsaSignature,
}

impl LowerBound {
    fn of(load: &Load) -> Option<Self> {
        match load.work {
            Work::Issue(UNDER_RSA) => Some(Self::RsaSignature),
            _ if load.travels == Travels::TlsEach => Some(Self::Connection),
            _ => None,
        }
    }

    /// What it is, and the goal.
    const fn words(self) -> (&'static str, f64) {
        match self {
            Self::Connection => (
                "the server's side of a whole handshake, without a socket, a key and a signature",
                1.3,
            ),
            Self::RsaSignature => ("one signature by an RSA key of 2048 bits, verified", 1.2),
        }
    }

    fn measure(self, length: Duration) -> Duration {
        match self {
            Self::Connection => bare::handshake(length) + bare::cryptography(length),
            Self::RsaSignature => bare::rsa_signature(length),
        }
    }
}

/// One workload at one number of connections.
struct Load {
    id: &'static str,
    what: &'static str,
    work: Work,
    travels: Travels,
    connections: usize,
}

const UNSTORED: Work = Work::Issue("pki/issue/unstored");
const STORED: Work = Work::Issue("pki/issue/stored");
const UNDER_RSA: &str = "rsa/issue/ec";

fn loads() -> Vec<Load> {
    use Travels::{Clear, Tls, TlsEach};
    let load = |id, what, work, travels, connections| Load { id, what, work, travels, connections };
    let mut loads = Vec::new();
    for connections in [1, 16, 64] {
        loads.push(load("W1", "issue, not stored", UNSTORED, Clear, connections));
    }
    for connections in [1, 16, 64] {
        loads.push(load("W2", "issue, stored", STORED, Clear, connections));
    }
    let csrs = requests(1_000);
    for connections in [16, 64] {
        let sign = Work::Sign("pki/sign/stored", csrs.clone());
        loads.push(load("W4", "sign a CSR, stored", sign, Clear, connections));
    }
    let rsa = Work::Issue("pki/issue/rsa");
    loads.push(load("W5", "issue, stored, TLS kept alive", STORED, Tls, 64));
    loads.push(load("W6", "issue, stored, TLS, a connection each", STORED, TlsEach, 64));
    loads.push(load("W9", "issue RSA-2048 under EC", rsa, Clear, 16));
    for connections in [4, 16] {
        let rsa = Work::Issue("rsa/issue/rsa");
        loads.push(load("W9", "issue RSA-2048 under RSA-2048", rsa, Clear, connections));
    }
    let what = "issue EC P-256 under RSA-2048, not stored";
    loads.push(load("W9", what, Work::Issue(UNDER_RSA), Clear, 64));
    let what = "mixed: issue 70, lookup-self 10, CRL 5, revoke 2; TLS";
    loads.push(load("W12", what, Work::Mixed, Tls, 64));
    loads
}

fn target(server: &Running, travels: Travels) -> Target {
    match travels {
        Travels::Clear => server.target(),
        Travels::Tls => server.by_tls(false),
        Travels::TlsEach => server.by_tls(true),
    }
}

/// The closed loop of the workloads that `wanted` selects by name and number of connections: processor
/// time and rate.
pub async fn closed(options: &Options, wanted: impl Fn(&str, usize) -> bool) -> Vec<Value> {
    let mut rows = Vec::new();
    for load in loads().into_iter().filter(|load| wanted(load.id, load.connections)) {
        let bound = LowerBound::of(&load);
        let Load { id, what, work, travels, connections } = load;
        let mut server = Running::signet("").await;
        if id == "W9" {
            server.expect_rsa().await;
        }
        let callers = Caller::several(&target(&server, travels), connections).await;
        let times = (options.length / 5, options.length);
        let bare = || bound.map(|bound| bound.measure(options.length / 8));
        let before = bare();
        let measured = closed::measure(callers, &work, server.process, times).await;
        let mut row = row(&measured, &server.roots);
        if let (Some(bound), Some(before), Some(after)) = (bound, before, bare()) {
            compare(&mut row, bound, (before + after) / 2);
        }
        say(&format!(
            "{id}, {connections} connections, {what}: {} a second, {} us",
            number(&row, &["a_second"]),
            number(&row, &["used", "processor_us"])
        ));
        row.insert("id".to_owned(), id.into());
        row.insert("what".to_owned(), what.into());
        row.insert("connections".to_owned(), connections.into());
        rows.push(row.into());
    }
    rows
}

/// Adds the lower bound and the ratio to the row.
fn compare(row: &mut Map<String, Value>, bound: LowerBound, bare: Duration) {
    let bare = bare.as_secs_f64() * 1e6;
    let ratio = number(row, &["used", "processor_us"]) / bare;
    let (of, goal) = bound.words();
    say(&format!("  {ratio:.2} times {of}"));
    row.insert("bare_us".to_owned(), rounded(bare).into());
    row.insert("bare_of".to_owned(), of.into());
    row.insert("goal".to_owned(), goal.into());
    row.insert("ratio".to_owned(), rounded(ratio).into());
}

/// Bursts of 64 requests for an RSA key at the same instant: the time until half of them are answered, and
/// until all are. Median, minimum and maximum.
pub async fn bursts() -> Value {
    let mut server = Running::signet("").await;
    server.expect_rsa().await;
    let work = Work::Issue("pki/issue/rsa");
    let (mut half, mut last) = (Vec::new(), Vec::new());
    for _ in 0..BURSTS {
        server.rested().await;
        let callers = Caller::several(&server.target(), 64).await;
        // Warms up the server and the connections.
        let warm = Duration::from_millis(500);
        let (callers, _) = closed::run(callers, &UNSTORED, &Arc::default(), warm).await;
        let row = row(&closed::once(callers, &work, server.process).await, &server.roots);
        half.push(number(&row, &["latency_ms", "p50"]));
        last.push(number(&row, &["latency_ms", "max"]));
    }
    let (half, last) = (middle(&half), middle(&last));
    say(&format!("W9, {BURSTS} bursts of 64: half of them after {half:?} ms, the last {last:?}"));
    json!({ "bursts": BURSTS, "half_ms": half, "last_ms": last })
}

/// The open loop at half of the peak rate and at 300 a second, beside a bare loop of appends and
/// syncs under the same arrivals, on the same file system.
pub async fn open(options: &Options, closed: &[Value]) -> Vec<Value> {
    let half = |id: &str| peak(closed, id) / 2.0;
    let if_measured = |id: &str, a_second: f64| if peak(closed, id) > 0.0 { a_second } else { 0.0 };
    let length = options.length * 3;
    let mut rows = Vec::new();
    let mut own = Vec::from([
        ("W1", "issue, not stored", UNSTORED, Travels::Clear, half("W1")),
        ("W2", "issue, stored", STORED, Travels::Clear, half("W2")),
        ("W2", "issue, stored", STORED, Travels::Clear, 300.0),
        ("W5", "issue, stored, TLS kept alive", STORED, Travels::Tls, half("W5")),
        (
            "W6",
            "issue, stored, TLS, a connection each",
            STORED,
            Travels::TlsEach,
            if_measured("W6", 200.0),
        ),
        ("W12", "mixed, TLS", Work::Mixed, Travels::Tls, half("W12")),
    ]);
    own.retain(|(.., a_second)| *a_second >= 1.0);
    for (id, what, work, travels, a_second) in own {
        let schedule = Schedule::patient(a_second, length);
        let server = Running::signet("").await;
        rows.push(measure(&server, target(&server, travels), (id, what), &work, schedule).await);
        if id == "W2" {
            drop(server);
            rows.push(bare_syncs(schedule));
        }
    }
    if let Some(peer) = &options.peer {
        let server = Running::peer(peer, true).await;
        let name = ("W2", "OpenBao (raft), issue, stored");
        let schedule = Schedule::patient(300.0, length);
        rows.push(measure(&server, server.target(), name, &STORED, schedule).await);
    }
    rows
}

async fn measure(
    server: &Running,
    target: Target,
    (id, what): (&str, &str),
    work: &Work,
    schedule: Schedule,
) -> Value {
    let callers = Caller::several(&target, 64).await;
    // The first requests fill caches and open connections; they are not part of the distribution.
    let warm = Schedule { length: schedule.length / 15, ..schedule };
    open::measure(callers, work, server.process, warm).await;
    let callers = Caller::several(&target, 64).await;
    let measured = open::measure(callers, work, server.process, schedule).await;
    let mut row = row(&measured, &server.roots);
    say(&format!(
        "{id} at {:.0} a second, {what}: p50 {}, p99 {} ms",
        schedule.a_second,
        number(&row, &["latency_ms", "p50"]),
        number(&row, &["latency_ms", "p99"]),
    ));
    describe(&mut row, id, what, schedule);
    Value::Object(row)
}

fn bare_syncs(schedule: Schedule) -> Value {
    let (latencies, syncs) = bare::append_and_sync(folder().path(), schedule);
    let mut row = Map::new();
    row.insert("requests".to_owned(), latencies.count().into());
    row.insert("syncs".to_owned(), syncs.into());
    row.insert("latency_ms".to_owned(), latencies.json());
    say(&format!(
        "bare appends and syncs at {:.0} a second: p50 {}, p99 {} ms",
        schedule.a_second,
        number(&row, &["latency_ms", "p50"]),
        number(&row, &["latency_ms", "p99"]),
    ));
    describe(&mut row, "sync", "bare append and fdatasync, in groups", schedule);
    Value::Object(row)
}

fn describe(row: &mut Map<String, Value>, id: &str, what: &str, schedule: Schedule) {
    row.insert("id".to_owned(), id.into());
    row.insert("what".to_owned(), what.into());
    row.insert("due_a_second".to_owned(), rounded(schedule.a_second).into());
}

/// The rate of a workload at its greatest number of connections.
fn peak(closed: &[Value], id: &str) -> f64 {
    let last = closed.iter().rfind(|row| row["id"] == id);
    last.and_then(|row| row["a_second"].as_f64()).unwrap_or_default()
}

/// The number of syncs while certificates are stored.
pub async fn count_syncs(options: &Options) -> Value {
    let mut counts = Map::new();
    let mut servers = vec![("signet", Running::signet("").await)];
    if let Some(peer) = &options.peer {
        servers.push(("raft", Running::peer(peer, true).await));
    }
    for (name, server) in servers {
        let callers = Caller::several(&server.target(), 64).await;
        let times = (Duration::ZERO, Duration::from_secs(2));
        let measuring = closed::measure(callers, &STORED, server.process, times);
        let Some((syncs, measured)) = syncs(server.process, measuring).await else {
            say(&format!("syncs of {name}: not counted (no strace, or not allowed)"));
            continue;
        };
        let stored = measured.tally.good;
        say(&format!("syncs of {name}: {syncs} for {stored} certificates, traced"));
        counts.insert(name.to_owned(), json!({ "syncs": syncs, "certificates": stored }));
    }
    Value::Object(counts)
}
