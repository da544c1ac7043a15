//! The cost by number of stored and of revoked certificates.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};
use tempfile::TempDir;

use super::{Options, Results, middle, number, rounded, row, say};
use crate::load::closed;
use crate::load::connect::{Answer, Caller, text};
use crate::load::machine::pin;
use crate::load::seed_store::{Seed, Seeded, seed_store};
use crate::load::server::{Running, bytes_by_extension};
use crate::load::usage::{memory, processor_time};
use crate::load::work::{Expect, LoadRequest, Work, get, revoke};

/// Repetitions of what can be repeated.
const TIMES: usize = 3;

/// A prepared folder, with the token and the roots of its server.
struct State {
    folder: TempDir,
    token: String,
    roots: Vec<String>,
    known: String,
}

pub async fn run(options: &Options) {
    let mut results = Results::start(options);
    pin();
    let mut rows = Vec::new();
    for count in &options.counts {
        say(&format!("== {count} stored"));
        let mut row = stored(options, *count).await;
        say(&format!("== {count} revoked"));
        row.extend(revoked(*count).await);
        rows.push(Value::Object(row));
    }
    results.put("rows", rows.into());
    results.finish();
}

/// Start, size, memory, lists, and an issue with this many stored.
async fn stored(options: &Options, count: u64) -> Map<String, Value> {
    let mut state = prepare().await;
    let store = state.folder.path().join("store");
    let certificates = count;
    let seeded = seed_store(&store, &state.known, Seed { certificates, revoked: false }).await;
    say(&format!("  seeded in {:.1} s", seeded.took.as_secs_f64()));
    let mut starts = Vec::new();
    for _ in 0..TIMES {
        let (server, took) = start(state).await;
        starts.push(took.as_secs_f64());
        state = State { known: String::new(), ..stop(server) };
    }
    // Compaction cannot be requested: the sizes are those after three starts.
    let sizes = bytes_by_extension(&store);
    let of = |end: &str| sizes.iter().filter(|(name, _)| name == end).map(|(_, n)| n).sum::<u64>();
    let [start_median, start_least, start_greatest] = middle(&starts);
    let (server, _) = start(state).await;
    let (idle, _) = memory(server.process);
    let mut row = Map::new();
    row.insert("stored".to_owned(), count.into());
    row.insert("start_to_first_issue_seconds".to_owned(), start_median.into());
    row.insert("start_spread".to_owned(), json!([start_least, start_greatest]));
    row.insert("table_bytes_each".to_owned(), rounded(of("sst") as f64 / count as f64).into());
    row.insert("files".to_owned(), json!(sizes.into_iter().collect::<BTreeMap<_, _>>()));
    row.insert("resident_idle_kib".to_owned(), idle.into());
    row.insert("list".to_owned(), list(&server, "pki/certs?list=true").await);
    row.insert("list_page".to_owned(), page(&server).await);
    row.insert("issue".to_owned(), issue(options, &server).await);
    row.insert("resident_kib".to_owned(), memory(server.process).0.into());
    row.insert("peak_kib".to_owned(), memory(server.process).1.into());
    say(&format!("  start to first issue {start_median} s, idle {idle} KiB, {}", row["list"]));
    row
}

/// The time to build the full CRL, and to revoke one more.
async fn revoked(count: u64) -> Map<String, Value> {
    let state = prepare().await;
    let store = state.folder.path().join("store");
    let seed = Seed { certificates: count, revoked: true };
    let Seeded { took, some } = seed_store(&store, &state.known, seed).await;
    say(&format!("  seeded in {:.1} s", took.as_secs_f64()));
    let (server, _) = start(state).await;
    let mut row = Map::new();
    // The first read of a process builds the list.
    let (build, answer) = timed(&server, &get("pki/crl")).await;
    row.insert("crl_bytes".to_owned(), answer.body.len().into());
    row.insert("crl_build".to_owned(), build);
    let (read, _) = timed(&server, &get("pki/crl")).await;
    row.insert("crl_read".to_owned(), read);
    let mut revocations = Vec::new();
    for _ in 0..TIMES {
        let parameters = json!({ "uri_sans": "spiffe://example.org/ns/bench/sa/revoked" });
        let answer = server.ask("POST", "pki/issue/stored", parameters).await;
        let serial = text(&answer["data"]["serial_number"]);
        let (took, _) = timed(&server, &revoke(&serial)).await;
        revocations.push(took["seconds"].as_f64().unwrap_or_default());
    }
    let [median, least, greatest] = middle(&revocations);
    row.insert("revoke_seconds".to_owned(), median.into());
    row.insert("revoke_spread".to_owned(), json!([least, greatest]));
    let known = some.first().map(|serial| format!("pki/cert/{serial}")).unwrap_or_default();
    let (read, _) = timed(&server, &get(&known)).await;
    row.insert("read_one".to_owned(), read);
    row.insert("revoked_peak_kib".to_owned(), memory(server.process).1.into());
    say(&format!("  build {}, revoke one {median} s", row["crl_build"]));
    row
}

/// The folder of a stopped server with one certificate, valid as long as the role allows.
async fn prepare() -> State {
    let server = Running::signet("").await;
    let parameters =
        json!({ "uri_sans": "spiffe://example.org/ns/bench/sa/w0000000", "ttl": "72h" });
    let answer = server.ask("POST", "pki/issue/stored", parameters).await;
    let known = text(&answer["data"]["serial_number"]);
    State { known, ..stop(server) }
}

fn stop(server: Running) -> State {
    let (token, roots) = (server.token.clone(), server.roots.clone());
    State { folder: server.into_folder(), token, roots, known: String::new() }
}

/// Starts the server over a folder. Returns the time until its first certificate.
async fn start(state: State) -> (Running, Duration) {
    let start = Instant::now();
    let mut server = Running::signet_in(state.folder, "");
    server.token = state.token;
    server.roots = state.roots;
    let parameters = json!({ "uri_sans": "spiffe://example.org/ns/bench/sa/first" });
    server.ask("POST", "pki/issue/stored", parameters).await;
    (server, start.elapsed())
}

async fn list(server: &Running, path: &str) -> Value {
    let (took, answer) = timed(server, &get(path)).await;
    let mut took = took;
    took["bytes"] = answer.body.len().into();
    took["resident_after_kib"] = memory(server.process).0.into();
    took
}

/// A page of 100, where the server has pages.
async fn page(server: &Running) -> Value {
    let (took, answer) = timed(server, &get("pki/certs?list=true&limit=100")).await;
    // A serial number takes 62 bytes: a longer answer is the whole list.
    if answer.body.len() > 100 * 80 { Value::Null } else { took }
}

/// The closed loop at this state: does an issue cost more?
async fn issue(options: &Options, server: &Running) -> Value {
    let callers = Caller::several(&server.target(), 64).await;
    let times = (options.length / 5, options.length);
    let work = Work::Issue("pki/issue/stored");
    let measured = closed::measure(callers, &work, server.process, times).await;
    let row = row(&measured, &server.roots);
    say(&format!("  an issue: {} us", number(&row, &["used", "processor_us"])));
    Value::Object(row)
}

/// Sends one request. Returns its time, the processor time of the server, and the answer.
async fn timed(server: &Running, ask: &LoadRequest) -> (Value, Answer) {
    let spent = || {
        let (user, system) = processor_time(server.process);
        user + system
    };
    let before = spent();
    let start = Instant::now();
    let answer = Caller::new(server.target()).send(ask).await.expect("an answer");
    let took = start.elapsed();
    let processor = spent() - before;
    debug_assert!(matches!(ask.expect, Expect::Success));
    let took = json!({
        "seconds": (took.as_secs_f64() * 1e6).round() / 1e6,
        "processor_seconds": rounded(processor.as_secs_f64()),
        "status": answer.status.as_u16(),
    });
    (took, answer)
}
