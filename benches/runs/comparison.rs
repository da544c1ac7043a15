//! Side by side in one run: the bare cryptography, a static answer, Signet, the peer. Forth and
//! back in turn, so that a slow drift of the machine meets all alike.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::{Options, middle, number, rounded, row, say};
use crate::load::bare;
use crate::load::closed;
use crate::load::connect::Caller;
use crate::load::server::Running;
use crate::load::work::Work;

const CONNECTIONS: usize = 64;

/// The contenders; each is started anew in each round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Contender<'a> {
    Still,
    Signet,
    Raft(&'a Path),
    Memory(&'a Path),
}

/// What each row is called, by its key in the file.
const LABELS: [(&str, &str); 7] = [
    ("still", "static answer of 2.5 kB on the same listener"),
    ("signet unstored", "Signet, not stored"),
    ("signet stored", "Signet, stored and synced"),
    ("raft unstored", "OpenBao (raft), not stored"),
    ("raft stored", "OpenBao (raft), stored and synced"),
    ("memory unstored", "OpenBao (memory), not stored"),
    ("memory stored", "OpenBao (memory), stored in memory"),
];

type Rounds = BTreeMap<String, Vec<Map<String, Value>>>;

/// The rows, and what the bare cryptography needed in each round.
pub async fn compare(options: &Options) -> (Vec<Value>, Value) {
    let mut contenders = vec![Contender::Still, Contender::Signet];
    if let Some(peer) = &options.peer {
        contenders.extend([Contender::Raft(peer), Contender::Memory(peer)]);
    }
    let (mut rounds, mut bare) = (Rounds::new(), Vec::new());
    for round in 0..options.rounds {
        let before = bare::cryptography(options.length / 4);
        for contender in &contenders {
            say(&format!("round {} of {}: {contender:?}", round + 1, options.rounds));
            measure(options, *contender, round % 2 == 1, &mut rounds).await;
        }
        contenders.reverse();
        let after = bare::cryptography(options.length / 4);
        let this = (before + after).as_secs_f64() / 2.0 * 1e6;
        bare.push(rounded(this));
        for rows in rounds.values_mut() {
            if let Some(row) = rows.last_mut() {
                let ratio = number(row, &["used", "processor_us"]) / this;
                row.insert("ratio".to_owned(), rounded(ratio).into());
            }
        }
    }
    let [median, least, greatest] = middle(&bare);
    let bare = json!({ "us": median, "spread": [least, greatest], "rounds": bare });
    let summary = |(name, label): &(&str, &str)| summary(&rounds, name, label, least);
    (LABELS.iter().filter_map(summary).collect(), bare)
}

async fn measure(options: &Options, contender: Contender<'_>, back: bool, rounds: &mut Rounds) {
    let (server, prefix) = match contender {
        Contender::Still => (Running::still(), None),
        Contender::Signet => (Running::signet("").await, Some("signet")),
        Contender::Raft(binary) => (Running::peer(binary, true).await, Some("raft")),
        Contender::Memory(binary) => (Running::peer(binary, false).await, Some("memory")),
    };
    let mut works = match prefix {
        None => vec![("still".to_owned(), Work::Post("pki/issue/nobody"))],
        Some(prefix) => vec![
            (format!("{prefix} unstored"), Work::Issue("pki/issue/unstored")),
            (format!("{prefix} stored"), Work::Issue("pki/issue/stored")),
        ],
    };
    if back {
        works.reverse();
    }
    for (name, work) in works {
        let callers = Caller::several(&server.target(), CONNECTIONS).await;
        let times = (options.length / 5, options.length);
        let measured = closed::measure(callers, &work, server.process, times).await;
        let row = row(&measured, &server.roots);
        say(&format!("  {name}: {} us", number(&row, &["used", "processor_us"])));
        rounds.entry(name).or_default().push(row);
    }
}

/// The median round and the spread. A disturbance only ever adds time, so the quietest round of
/// a row over the quietest of the bare work is what was disturbed least.
fn summary(rounds: &Rounds, name: &str, label: &str, least_bare: f64) -> Option<Value> {
    let rows = rounds.get(name)?;
    let of = |path: &[&str]| middle(&rows.iter().map(|row| number(row, path)).collect::<Vec<_>>());
    let [processor, least, greatest] = of(&["used", "processor_us"]);
    let void = rows.iter().any(|row| row["answers"]["void"] == true);
    Some(json!({
        "name": name,
        "label": label,
        "connections": CONNECTIONS,
        "processor_us": processor,
        "spread": [least, greatest],
        "ratio": of(&["ratio"])[0],
        "ratio_spread": of(&["ratio"])[1..],
        "quietest": rounded(least / least_bare),
        "a_second": of(&["a_second"])[0],
        "a_processor_second": of(&["used", "a_processor_second"])[0],
        "void": void,
        "rounds": rows,
    }))
}
