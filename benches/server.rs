//! What a certificate costs the server, as a multiple of what its key and signature cost alone.
//!
//! `scripts/bench` builds and runs it. In one run: the processor time of making an EC P-256 key and
//! signing with another one, in this process; then the processor time (user and system, of the
//! whole server) of `pki/issue`, not stored and stored on RocksDB, through 64 kept connections. The
//! server has one core, this driver another one. Ratios carry from machine to machine; the
//! microseconds beside them do not.
//!
//! `SIGNET_BIN` names the server, `SIGNET_BENCH_SECONDS` (5) the length of a measurement,
//! `SIGNET_BENCH_PAGE` a page whose part between the two marks is written anew.

#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a measurement, told by the environment, that may end badly"
)]

#[path = "../tests/process/mod.rs"]
mod process;

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use process::{Connection, ROLE, Server, prepare};
use serde_json::json;
use tokio::task::JoinSet;

const CONNECTIONS: usize = 64;

/// The kernel counts processor time in hundredths of a second, whatever its own tick.
const TICK: Duration = Duration::from_millis(10);

/// Octets of a typical `TBSCertificate` here.
const TO_SIGN: usize = 400;

const BEGIN: &str = "<!-- scripts/bench writes from here -->";
const END: &str = "<!-- to here -->";

/// The mark of the first version.
const GOAL: f64 = 2.5;

/// One measurement of the server.
struct Measured {
    what: &'static str,
    requests: usize,
    wall: Duration,
    processor: Duration,
    latencies: Vec<Duration>,
    /// Bare key and signature, before and after.
    bare: Duration,
}

impl Measured {
    fn each(&self) -> Duration {
        self.processor / u32::try_from(self.requests.max(1)).unwrap_or(u32::MAX)
    }

    fn ratio(&self) -> f64 {
        self.each().as_secs_f64() / self.bare.as_secs_f64()
    }

    fn latency(&self, percent: usize) -> Duration {
        let last = self.latencies.len().saturating_sub(1);
        self.latencies.get(last * percent / 100).copied().unwrap_or_default()
    }
}

fn main() {
    let binary = env::var("SIGNET_BIN").unwrap_or_else(|_| env!("CARGO_BIN_EXE_signet").to_owned());
    let seconds = env::var("SIGNET_BENCH_SECONDS").ok().and_then(|text| text.parse().ok());
    let length = Duration::from_secs(seconds.unwrap_or(5));
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    pin(cores);
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let rows = [("not stored", true), ("stored, synced", false)].map(|(what, no_store)| {
        let before = bare(length / 4);
        let mut measured = runtime.block_on(measure(&binary, what, no_store, length));
        measured.bare = (before + bare(length / 4)) / 2;
        measured
    });
    let text = report(&rows, cores);
    println!("{text}");
    if let Ok(page) = env::var("SIGNET_BENCH_PAGE") {
        write_page(&page, &text);
    }
}

/// This process, and the threads it will have, on the last core; the server gets the first.
fn pin(cores: usize) {
    let last = cores.saturating_sub(1).to_string();
    let process = std::process::id().to_string();
    let status =
        Command::new("taskset").args(["-cp", &last, &process]).stdout(Stdio::null()).status();
    assert!(status.is_ok_and(|status| status.success()), "taskset (util-linux) is needed");
}

/// Processor time of one new key and one signature by another.
fn bare(length: Duration) -> Duration {
    let algorithm = &ECDSA_P256_SHA256_ASN1_SIGNING;
    let issuer = EcdsaKeyPair::generate(algorithm).expect("a key");
    let (random, message) = (SystemRandom::new(), [0x5a; TO_SIGN]);
    let own = std::process::id();
    let (start, before, mut rounds) = (Instant::now(), processor_time(own), 0_u32);
    while start.elapsed() < length {
        for _ in 0..64 {
            std::hint::black_box(EcdsaKeyPair::generate(algorithm).expect("a key"));
            std::hint::black_box(issuer.sign(&random, &message).expect("a signature"));
        }
        rounds += 64;
    }
    (processor_time(own) - before) / rounds
}

/// Processor time of a process so far, user and system, threads that ended included.
fn processor_time(process: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).expect("Linux's /proc");
    // The second field is the name in brackets and may hold anything; utime is the 14th.
    let (_, fields) = stat.rsplit_once(')').expect("a name in brackets");
    let ticks: Vec<u32> = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(|text| text.parse().expect("ticks"))
        .collect();
    TICK * ticks.iter().sum()
}

async fn measure(binary: &str, what: &'static str, no_store: bool, length: Duration) -> Measured {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start(&["taskset", "-c", "0", binary], folder.path());
    let token = prepare(&server.address, &[("no_store", json!(no_store))]).await;
    // Caches warm, connections open, first files of the store made.
    load(&server.address, &token, length / 5).await;
    let (start, before) = (Instant::now(), processor_time(server.process()));
    let mut latencies = load(&server.address, &token, length).await;
    let (wall, processor) = (start.elapsed(), processor_time(server.process()) - before);
    latencies.sort_unstable();
    Measured { what, requests: latencies.len(), wall, processor, latencies, bare: Duration::ZERO }
}

/// Issues through every connection for this long; how long each request took.
async fn load(address: &str, token: &str, length: Duration) -> Vec<Duration> {
    let mut callers = JoinSet::new();
    let end = Instant::now() + length;
    for _ in 0..CONNECTIONS {
        let mut connection = Connection::open(address, token).await.expect("a connection");
        callers.spawn(async move {
            let path = format!("pki/{ROLE}");
            let body = bytes::Bytes::from(
                json!({ "uri_sans": "spiffe://example.org/payments/api" }).to_string(),
            );
            let mut latencies = Vec::new();
            while Instant::now() < end {
                let start = Instant::now();
                let answer = connection.send("POST", &path, body.clone()).await.expect("an answer");
                assert!(answer.status.is_success(), "{:?}", answer.body);
                latencies.push(start.elapsed());
            }
            latencies
        });
    }
    callers.join_all().await.concat()
}

fn report(rows: &[Measured], cores: usize) -> String {
    let facts = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = facts
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map_or("unknown", |rest| rest.trim_start_matches(['\t', ':', ' ']));
    let mut text = format!(
        "{cores} cores, {model}; {CONNECTIONS} kept connections, HTTP/1.1 in clear, the server on one core.\n\n\
         | EC P-256 `issue` | server ÷ bare key and signature | goal | server, µs | bare, µs | a second | p50, ms | p99, ms |\n\
         |---|---:|---:|---:|---:|---:|---:|---:|\n"
    );
    for row in rows {
        let _ = writeln!(
            text,
            "| {} | **{:.2}** | ≤ {GOAL} | {:.1} | {:.1} | {:.0} | {:.1} | {:.1} |",
            row.what,
            row.ratio(),
            row.each().as_secs_f64() * 1e6,
            row.bare.as_secs_f64() * 1e6,
            row.requests as f64 / row.wall.as_secs_f64(),
            row.latency(50).as_secs_f64() * 1e3,
            row.latency(99).as_secs_f64() * 1e3,
        );
    }
    text
}

fn write_page(page: &str, text: &str) {
    let before = fs::read_to_string(page).unwrap_or_else(|error| panic!("{page}: {error}"));
    let (head, rest) = before.split_once(BEGIN).expect("the page has the first mark");
    let (_, tail) = rest.split_once(END).expect("the page has the second mark");
    fs::write(page, format!("{head}{BEGIN}\n\n{text}\n{END}{tail}")).expect("the page is written");
}
