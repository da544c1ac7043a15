//! Replays a recorded session with a real Vault (see `testdata/README.md`): the same requests in the
//! same order must get the same responses, except for the two rules in `wire/normal.rs` and the
//! table in `wire/deliberate.rs`.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of a test, where a surprise is a failure"
)]

mod support;

#[path = "wire/deliberate.rs"]
mod deliberate;
#[path = "wire/facts.rs"]
mod facts;
#[path = "wire/members.rs"]
mod members;
#[path = "wire/normal.rs"]
mod normal;
#[path = "wire/replay.rs"]
mod replay;

use std::collections::BTreeSet;
use std::path::Path;

use deliberate::DELIBERATE;
use replay::{Replay, ReplayReport};

async fn replay() -> ReplayReport {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/wire/pki-matrix.jsonl");
    let recording = std::fs::read_to_string(path).unwrap();
    let mut replay = Replay::new().await;
    for line in recording.lines() {
        replay.line(&serde_json::from_str(line).unwrap()).await;
    }
    replay.finish()
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_what_the_recorded_server_answered() {
    let report = replay().await;
    let known = |id: Option<u64>| DELIBERATE.iter().any(|(known, _)| Some(*known) == id);
    let (deliberate, others): (Vec<_>, Vec<_>) =
        report.differences.iter().partition(|difference| known(difference.id));
    let failures = report.failures.join("\n");
    assert!(failures.is_empty(), "a request must not cause a 5xx:\n{failures}");
    assert!(report.compared > 1000, "only {} lines were compared", report.compared);
    let lines: Vec<String> = others
        .iter()
        .map(|d| format!("{:?} {} {}: {:#?}", d.id, d.group, d.request, d.why))
        .collect();
    assert!(others.is_empty(), "{} differences:\n{}", others.len(), lines.join("\n"));
    let found: BTreeSet<u64> = deliberate.iter().filter_map(|difference| difference.id).collect();
    let listed: BTreeSet<u64> = DELIBERATE.iter().map(|(id, _)| *id).collect();
    assert_eq!(found, listed, "a listed difference that no longer occurs must leave the table");
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_name_their_members_in_the_order_of_the_transcript() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/wire/answers.txt");
    let expected = std::fs::read_to_string(path).unwrap();
    let transcript = members::transcript().await;
    for (answer, expected) in transcript.lines().zip(expected.lines()) {
        assert_eq!(answer, expected);
    }
    assert_eq!(transcript.lines().count(), expected.lines().count());
}
