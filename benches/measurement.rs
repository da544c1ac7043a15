//! Tests of the load driver: histograms, loops and the check of answers.

#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "the driver reads the clock; helpers of tests panic"
)]

#[path = "load/mod.rs"]
#[allow(
    dead_code,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "parts of another program"
)]
mod load;
#[path = "../tests/process/mod.rs"]
mod process;
#[path = "../tests/support/mod.rs"]
mod support;

use std::time::Duration;

use http::StatusCode;
use load::closed;
use load::connect::{Answer, Caller, Target, Way};
use load::histogram::{Histogram, milliseconds};
use load::judge::Verdict;
use load::open::{self, Schedule};
use load::tally::Tally;
use load::work::{Expect, Memory, Work};
use proptest::prelude::*;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// The percentile by sorting.
fn exact(sorted: &[u64], percent: f64) -> u64 {
    let rank = (sorted.len() as f64 * percent / 100.0).ceil().max(1.0) as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

fn histogram(values: &[u64]) -> Histogram {
    let mut histogram = Histogram::default();
    values.iter().for_each(|value| histogram.record(Duration::from_nanos(*value)));
    histogram
}

proptest! {
    #[test]
    fn a_percentile_is_never_below_the_exact_one_and_less_than_a_hundredth_above(
        mut values in prop::collection::vec(0_u64..100_000_000_000, 1..300),
        percent in 0.0..100.0_f64,
    ) {
        let found = histogram(&values).percentile(percent);
        values.sort_unstable();
        let exact = exact(&values, percent);
        let found = u64::try_from(found.as_nanos()).unwrap_or(u64::MAX);
        prop_assert!(exact <= found && found as f64 <= exact as f64 * 1.01, "{exact} {found}");
    }

    #[test]
    fn merging_is_recording_everything_in_one(
        left in prop::collection::vec(0_u64..1_000_000, 1..50),
        right in prop::collection::vec(0_u64..1_000_000_000, 1..50),
    ) {
        let mut merged = histogram(&left);
        merged.merge(&histogram(&right));
        prop_assert_eq!(merged.json(), histogram(&[left, right].concat()).json());
    }
}

#[test]
fn the_greatest_is_exact() {
    let greatest = Duration::from_nanos(123_456_789);
    assert_eq!(histogram(&[1, 123_456_789]).percentile(100.0), greatest);
    assert_eq!(milliseconds(greatest), 123.457);
}

/// Answers every request with 200, the first one late.
async fn stalling(stall: Duration) -> Target {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut buffer = [0; 4096];
        let mut stall = Some(stall);
        while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {
            tokio::time::sleep(stall.take().unwrap_or_default()).await;
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        }
    });
    Target { address, token: String::new(), way: Way::Clear }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_open_loop_counts_a_stall_in_every_request_that_was_due_meanwhile() {
    let stall = Duration::from_millis(500);
    let schedule = Schedule::patient(100.0, Duration::from_secs(1));
    let callers = Caller::several(&stalling(stall).await, 1).await;
    let work = Work::Post("anything");
    let measured = open::measure(callers, &work, std::process::id(), schedule).await;
    assert_eq!((measured.tally.good, measured.tally.unsent), (100, 0));
    // 40 of 100 were due in the first 400 ms and were answered after 500.
    assert!(measured.tally.latencies.percentile(61.0) >= Duration::from_millis(100));

    // The closed loop sees one slow request, as many as there are callers.
    let callers = Caller::several(&stalling(stall).await, 1).await;
    let (_, tally) = closed::run(callers, &work, &Default::default(), stall * 2).await;
    assert!(tally.latencies.percentile(0.0) < tally.latencies.percentile(100.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bounded_open_loop_sends_no_more_than_its_bound() {
    let schedule = Schedule { a_second: 1_000.0, length: Duration::from_millis(300), bound: 1 };
    let callers = Caller::several(&stalling(Duration::from_millis(600)).await, 1).await;
    let work = Work::Post("anything");
    let measured = open::measure(callers, &work, std::process::id(), schedule).await;
    assert_eq!((measured.tally.good, measured.tally.unsent), (1, 299));
}

/// Faults that are found in these answers.
fn faults(answers: Vec<(Expect, bytes::Bytes)>, roots: &[String]) -> Vec<String> {
    let mut sum = Tally::default();
    for (expect, body) in answers {
        // One tally for each answer: the first answer of a tally is always checked.
        let mut tally = Tally::default();
        let answer = Answer { status: StatusCode::OK, retry_after: false, body };
        let of = (&Work::Mixed, &mut Memory::new());
        tally.take(Ok(answer), expect, Duration::ZERO, of);
        sum.merge(tally);
    }
    let verdict = Verdict::of(&sum, roots);
    assert_eq!(verdict.is_void(), !verdict.faults.is_empty());
    verdict.faults
}

#[tokio::test]
async fn false_answers_are_found() {
    let server = support::Server::with_root().await;
    let role = json!({
        "allowed_uri_sans": "spiffe://example.org/*", "require_cn": false, "key_type": "ec",
        "max_ttl": "80000h",
    });
    server.post("pki/roles/workload", role).await.ok();
    let root = server.get("pki/cert/ca").await.text("certificate");
    let issue = async |name: &str| {
        let parameters = json!({ "uri_sans": name, "ttl": "80000h" });
        server.post("pki/issue/workload", parameters).await.ok().body
    };
    let (one, other) = ("spiffe://example.org/one", "spiffe://example.org/other");
    let (first, second) = (issue(one).await, issue(other).await);
    let issued = |name: &str| Expect::Issued(name.to_owned());
    let roots = [root];
    let good = vec![(issued(one), first.clone()), (issued(other), second.clone())];
    assert_eq!(faults(good, &roots), [""; 0]);
    let twice = vec![(issued(one), first.clone()), (issued(one), first.clone())];
    assert_eq!(faults(twice, &roots), ["1 serial numbers came twice"]);
    let name = faults(vec![(issued(other), first.clone())], &roots);
    assert_eq!(name, ["its name is not spiffe://example.org/other"]);

    let mut mixed: serde_json::Value = serde_json::from_slice(&first).unwrap();
    let other_answer: serde_json::Value = serde_json::from_slice(&second).unwrap();
    mixed["data"]["private_key"] = other_answer["data"]["private_key"].clone();
    let mixed = mixed.to_string().into();
    let key = faults(vec![(issued(one), mixed)], &roots);
    assert_eq!(key, ["the private key is another one's"]);
    let other_server = support::Server::with_root().await;
    let other_roots = [other_server.get("pki/cert/ca").await.text("certificate")];
    let chain = faults(vec![(issued(one), first)], &other_roots);
    assert!(chain.iter().any(|why| why.contains("does not verify")), "{chain:?}");
}
