//! Side by side in one run: the bare cryptography, a static answer, Signet, another binary of Signet, the
//! peer. Each second round is in reverse order, so that a slow drift of the machine affects all alike.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::{Options, Results, middle, number, rounded, row, say};
use crate::load::bare;
use crate::load::closed;
use crate::load::connect::Caller;
use crate::load::server::Running;
use crate::load::work::Work;

const CONNECTIONS: usize = 64;

/// The contenders; each round starts new servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Contender<'a> {
    Static,
    Signet,
    Against(&'a Path),
    Raft(&'a Path),
    Memory(&'a Path),
}

/// The label of each row, by its key in the file.
const LABELS: [(&str, &str); 9] = [
    ("static", "static answer of 2.5 kB on the same listener"),
    ("signet unstored", "Signet, not stored"),
    ("signet stored", "Signet, stored and synced"),
    ("against unstored", "Signet, the other binary, not stored"),
    ("against stored", "Signet, the other binary, stored and synced"),
    ("raft unstored", "OpenBao (raft), not stored"),
    ("raft stored", "OpenBao (raft), stored and synced"),
    ("memory unstored", "OpenBao (memory), not stored"),
    ("memory stored", "OpenBao (memory), stored in memory"),
];

type Rounds = BTreeMap<String, Vec<Map<String, Value>>>;

/// What a comparison found.
pub struct Comparison {
    pub rows: Vec<Value>,
    /// The bare cryptography, with its rounds.
    pub bare: Value,
    /// The processor time of this binary over that of the other one, of the same round.
    pub against: Vec<Value>,
}

impl Comparison {
    /// Adds it to the results of a run.
    pub fn put(self, results: &mut Results) {
        results.put("bare", self.bare);
        results.put("comparison", self.rows.into());
        if !self.against.is_empty() {
            results.put("against", self.against.into());
        }
    }
}

/// Measures every contender in each round.
pub async fn compare(options: &Options) -> Comparison {
    let mut contenders = vec![Contender::Static, Contender::Signet];
    if let Some(other) = &options.against {
        contenders.push(Contender::Against(other));
    }
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
    let rows = LABELS.iter().filter_map(summary).collect();
    let against = ["unstored", "stored"].iter().filter_map(|kind| ratios(&rounds, kind)).collect();
    Comparison { rows, bare, against }
}

/// The median and the spread of the ratios between two binaries of Signet, round by round.
fn ratios(rounds: &Rounds, kind: &str) -> Option<Value> {
    let spent = |name: &str| rounds.get(&format!("{name} {kind}"));
    let (own, other) = (spent("signet")?, spent("against")?);
    let cost = |row: &Map<String, Value>| number(row, &["used", "processor_us"]);
    let each: Vec<f64> =
        own.iter().zip(other).map(|(own, other)| cost(own) / cost(other)).collect();
    let [median, least, greatest] = middle(&each);
    Some(json!({ "name": kind, "ratio": median, "spread": [least, greatest] }))
}

async fn measure(options: &Options, contender: Contender<'_>, back: bool, rounds: &mut Rounds) {
    let (server, prefix) = match contender {
        Contender::Static => (Running::static_server(), None),
        Contender::Signet => (Running::signet("").await, Some("signet")),
        Contender::Against(binary) => (Running::signet_of(binary, "").await, Some("against")),
        Contender::Raft(binary) => (Running::peer(binary, true).await, Some("raft")),
        Contender::Memory(binary) => (Running::peer(binary, false).await, Some("memory")),
    };
    let mut works = match prefix {
        None => vec![("static".to_owned(), Work::Post("pki/issue/static"))],
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

/// The median round and the spread. A disturbance only adds time, so the minimum of a row over the
/// minimum of the bare work is the ratio with the least disturbance.
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
