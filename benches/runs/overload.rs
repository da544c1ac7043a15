//! Ten times the peak rate: the goodput, the answers with Retry-After, and the latency of health
//! checks and revocations.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::runtime;
use tokio::task::{JoinHandle, spawn_blocking};

use super::{Options, Results, number, row, say};
use crate::load::closed;
use crate::load::connect::{Caller, text};
use crate::load::histogram::Histogram;
use crate::load::machine::{idle_priority, normal_priority, normal_priority_here, pin};
use crate::load::open::{self, Schedule};
use crate::load::server::Running;
use crate::load::work::{LoadRequest, Work, get, issue, revoke};

/// The most requests in flight; a further arrival is not sent.
const OUTSTANDING: usize = 1_024;

/// The rate, as a multiple of the peak rate.
const TIMES: f64 = 10.0;

/// The first number in the names of the probe's certificates, above those of the load.
const PROBES: u64 = 1 << 32;

pub async fn run(options: &Options) {
    let mut results = Results::start(options);
    pin();
    let mut rows = Vec::new();
    for (name, work) in [
        ("not stored", Work::Issue("pki/issue/unstored")),
        ("stored", Work::Issue("pki/issue/stored")),
    ] {
        rows.push(measure(options, name, &work).await);
    }
    results.put("outstanding", OUTSTANDING.into());
    results.put("times", TIMES.into());
    results.put("rows", rows.into());
    results.finish();
}

async fn measure(options: &Options, name: &str, work: &Work) -> Value {
    let server = Running::signet("").await;
    let callers = Caller::several(&server.target(), 64).await;
    let times = (options.length / 5, options.length);
    let peak = closed::measure(callers, work, server.process, times).await;
    let peak = row(&peak, &server.roots);
    let capacity = number(&peak, &["a_second"]);
    say(&format!("{name}: {capacity} a second is its peak"));
    let calm = probe(&server, options.length).await.expect("a probe ends");
    let callers = Caller::several(&server.target(), OUTSTANDING).await;
    let length = options.length * 2;
    let schedule = Schedule { a_second: capacity * TIMES, length, bound: OUTSTANDING };
    idle_priority();
    let probing = probe(&server, length);
    let under = open::measure(callers, work, server.process, schedule).await;
    normal_priority();
    let probed = probing.await.expect("a probe ends");
    let under = row(&under, &server.roots);
    let goodput = number(&under, &["a_second"]);
    say(&format!(
        "  under {TIMES} times: {goodput} a second, {} with Retry-After, health p99 {} ms",
        under["retry_after"], probed["health"]["p99"]
    ));
    json!({
        "name": name,
        "peak": peak,
        "under": under,
        "goodput_of_peak": (goodput / capacity * 1e3).round() / 1e3,
        "calm": calm,
        "probed": probed,
    })
}

/// Sends a hundred health checks and ten revocations a second, over one connection for each kind. Runs
/// on a separate thread with normal priority, so that it does not wait for the callers of the load.
fn probe(server: &Running, length: Duration) -> JoinHandle<Value> {
    let target = server.target();
    spawn_blocking(move || {
        normal_priority_here();
        let own = runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let (health, revocations) = own.block_on(async {
            let [one, other] = [&target; 2].map(|target| Caller::new(target.clone()));
            tokio::join!(ask_for_health(one, length), revoke_some(other, length))
        });
        json!({
            "health": health.latencies.json(),
            "revoke": revocations.latencies.json(),
            "failed": health.failed + revocations.failed,
        })
    })
}

/// What a probe found.
#[derive(Default)]
struct Probed {
    latencies: Histogram,
    failed: u64,
}

async fn ask_for_health(mut caller: Caller, length: Duration) -> Probed {
    let mut probed = Probed::default();
    let end = Instant::now() + length;
    let mut clock = tokio::time::interval(Duration::from_millis(10));
    while Instant::now() < end {
        clock.tick().await;
        probed.ask(&mut caller, &get("sys/health")).await;
    }
    probed
}

/// Measures only the revocation, not the issue before it.
async fn revoke_some(mut caller: Caller, length: Duration) -> Probed {
    let mut probed = Probed::default();
    let end = Instant::now() + length;
    let mut clock = tokio::time::interval(Duration::from_millis(100));
    let mut number = PROBES;
    while Instant::now() < end {
        clock.tick().await;
        number += 1;
        let Ok(answer) = caller.send(&issue("pki/issue/stored", number)).await else {
            probed.failed += 1;
            continue;
        };
        let issued: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let serial = text(&issued["data"]["serial_number"]);
        probed.ask(&mut caller, &revoke(&serial)).await;
    }
    probed
}

impl Probed {
    async fn ask(&mut self, caller: &mut Caller, ask: &LoadRequest) {
        let start = Instant::now();
        match caller.send(ask).await {
            Ok(answer) if answer.status.is_success() => self.latencies.record(start.elapsed()),
            _ => self.failed += 1,
        }
    }
}
