//! Hostile clients beside honest ones: the latency of the honest ones, and the memory of the server. On
//! loopback only.
//!
//! The attacks are in `load/attack.rs` and, over HTTP/2, in `load/streams.rs`; each protocol has its own
//! server. Honest clients issue at a fixed rate over kept connections, and one more opens a new
//! connection for each request.

use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};
use tokio::task::JoinHandle;

use super::{Options, Results, number, rounded, row, say};
use crate::load::attack::{Attack, MEMORY_END, Protocol};
use crate::load::connect::Caller;
use crate::load::histogram::Histogram;
use crate::load::machine::pin;
use crate::load::open::{self, Schedule};
use crate::load::server::Running;
use crate::load::usage::{Used, Watcher, memory};
use crate::load::work::{Work, get};

/// The limit of the server's memory with 10,000 hostile connections, in KiB.
const MEMORY_MARK: u64 = 1024 * 1024;

/// The longest duration of the first wave, in seconds.
const SETTLING: u32 = 30;

/// Honest requests a second.
const HONEST: f64 = 200.0;

pub async fn run(options: &Options) {
    let mut results = Results::start(options);
    pin();
    let connections = options.counts.first().copied().unwrap_or(1_000);
    // More than the hostile connections, so that they do not use up the limit.
    let limit = (connections + 1_024).max(8_192);
    results.put("connections", connections.into());
    results.put("max_connections", limit.into());
    for (name, value) in beside(Protocol::Http1, connections, limit, options.length * 2).await {
        results.put(&name, value);
    }
    let http2 = beside(Protocol::Http2, connections, limit, options.length * 2).await;
    results.put("http2", http2.into());
    results.put("memory_mark_kib", MEMORY_MARK.into());
    results.finish();
}

/// Honest clients before, during and after the arrival of the hostile ones.
async fn beside(
    protocol: Protocol,
    connections: u64,
    limit: u64,
    length: Duration,
) -> Map<String, Value> {
    let server = Running::signet(&format!("max_connections = {limit}")).await;
    say(&format!("{protocol:?}: without hostile connections"));
    let (calm, calm_new, _) = honest(&server, length).await;
    let (address, process) = (server.target().address, server.process);
    let mut attacking = Attack { address, process, connections, protocol }.begin();
    say(&format!("while {connections} hostile connections come"));
    let (coming, coming_new, _) = honest(&server, length).await;
    let attacking = apart(move || {
        attacking.gathered();
        attacking
    })
    .await;
    settled(process).await;
    say("once they are there");
    let (under, under_new, used) = honest(&server, length).await;
    let met = apart(move || attacking.end()).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (after, peak) = memory(process);
    let p99 = |row: &Value| row["latency_ms"]["p99"].clone();
    say(&format!(
        "honest p99 {} ms without, {} ms while they come, {} ms with; peak {} MiB; {met}",
        p99(&calm),
        p99(&coming),
        p99(&under),
        peak / 1024
    ));
    let share = used.processor().as_secs_f64() / length.as_secs_f64();
    [
        ("met", met),
        ("without", json!({ "kept": calm, "new": calm_new })),
        ("coming", json!({ "kept": coming, "new": coming_new })),
        ("with", json!({ "kept": under, "new": under_new })),
        ("processor_share", rounded(share).into()),
        ("peak_kib", peak.into()),
        ("after_kib", after.into()),
        ("given_up", (peak > MEMORY_END).into()),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect()
}

/// Waits until the first wave is served: for a second the server uses less than half of its core.
async fn settled(process: u32) {
    for _ in 0..SETTLING {
        let watcher = Watcher::start(process);
        tokio::time::sleep(Duration::from_secs(1)).await;
        if watcher.used().processor() < Duration::from_millis(500) {
            return;
        }
    }
    say("the server did not become idle");
}

/// On a thread that may block.
async fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.expect("a thread ends")
}

/// Honest clients over kept connections, and the latencies of one that connects for each request.
async fn honest(server: &Running, length: Duration) -> (Value, Value, Used) {
    let callers = Caller::several(&server.target(), 16).await;
    let work = Work::Issue("pki/issue/stored");
    let newcomer = newcomer(server, length);
    let watcher = Watcher::start(server.process);
    let schedule = Schedule::patient(HONEST, length);
    let measured = open::measure(callers, &work, server.process, schedule).await;
    let row = row(&measured, &server.roots);
    say(&format!("  honest: p99 {} ms", number(&row, &["latency_ms", "p99"])));
    (row.into(), newcomer.await.expect("the newcomer ends"), watcher.used())
}

fn newcomer(server: &Running, length: Duration) -> JoinHandle<Value> {
    let target = server.target();
    tokio::spawn(async move {
        let (mut latencies, mut failed) = (Histogram::default(), 0);
        let mut clock = tokio::time::interval(Duration::from_millis(100));
        let end = Instant::now() + length;
        while Instant::now() < end {
            clock.tick().await;
            let start = Instant::now();
            let ask = get("sys/health");
            let mut caller = Caller::new(target.clone());
            match tokio::time::timeout(Duration::from_secs(5), caller.send(&ask)).await {
                Ok(Ok(_)) => latencies.record(start.elapsed()),
                _ => failed += 1,
            }
        }
        json!({ "latency_ms": latencies.json(), "failed": failed })
    })
}
