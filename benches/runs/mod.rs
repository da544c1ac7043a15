//! The runs of `scripts/bench`, and the files in which their results lie.

#![allow(unreachable_pub, reason = "parts of one program")]

pub mod comparison;
pub mod hostile;
pub mod latency;
pub mod overload;
pub mod quick;
pub mod rsa;
pub mod standard;
pub mod sweep;
pub mod workloads;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::load::closed::Measured;
use crate::load::judge::Verdict;
use crate::load::machine::{self, StolenTime};
use crate::load::server::folder;

/// The options of the command line.
#[derive(Clone, Debug)]
pub struct Options {
    pub run: String,
    pub length: Duration,
    pub rounds: usize,
    /// The numbers of certificates of a sweep, or of connections of a hostile run.
    pub counts: Vec<u64>,
    /// The reference server's binary.
    pub peer: Option<PathBuf>,
    /// Another binary of Signet, measured in the same rounds.
    pub against: Option<PathBuf>,
    /// The folder of the results.
    pub results: PathBuf,
}

/// The result of a run, member by member.
pub struct Results {
    file: PathBuf,
    members: Map<String, Value>,
    stolen: StolenTime,
}

impl Results {
    /// Reads the facts of the machine, before the process is pinned.
    pub fn start(options: &Options) -> Self {
        let mut members = Map::new();
        members.insert("run".to_owned(), options.run.clone().into());
        members.insert("seconds".to_owned(), rounded(options.length.as_secs_f64()).into());
        members.insert("machine".to_owned(), machine::facts(folder().path()).into());
        let file = options.results.join(format!("{}.json", options.run));
        Self { file, members, stolen: StolenTime::start() }
    }

    pub fn put(&mut self, name: &str, value: Value) {
        self.members.insert(name.to_owned(), value);
    }

    /// Writes the file.
    pub fn finish(mut self) {
        self.put("stolen_percent", self.stolen.percent().into());
        let folder = self.file.parent().expect("a file lies in a folder");
        fs::create_dir_all(folder).expect("the folder of results can be made");
        fs::write(&self.file, laid_out(&self.members)).expect("the result can be written");
        say(&format!("written: {}", self.file.display()));
    }
}

/// JSON with a line for each member and each row: a file that can be read and compared by line.
fn laid_out(members: &Map<String, Value>) -> String {
    let member = |(name, value): (&String, &Value)| match value {
        Value::Array(rows) if rows.iter().any(Value::is_object) => {
            let rows: Vec<_> = rows.iter().map(|row| format!("    {row}")).collect();
            format!("  {}: [\n{}\n  ]", json!(name), rows.join(",\n"))
        }
        value => format!("  {}: {value}", json!(name)),
    };
    let members: Vec<_> = members.iter().map(member).collect();
    format!("{{\n{}\n}}\n", members.join(",\n"))
}

/// One line of progress.
pub fn say(text: &str) {
    eprintln!("{text}");
}

/// A measurement as a row of a result. Reports a void row at once.
pub fn row(measured: &Measured, roots: &[String]) -> Map<String, Value> {
    let Measured { tally, wall, used } = measured;
    let verdict = Verdict::of(tally, roots);
    if verdict.is_void() {
        say(&format!("  VOID: {:?}, errors {:?}", verdict.faults, tally.bad));
    }
    let row = json!({
        "requests": tally.good,
        "wall_seconds": rounded(wall.as_secs_f64()),
        "a_second": (tally.good as f64 / wall.as_secs_f64()).round(),
        "used": used.json(tally.good),
        "latency_ms": tally.latencies.json(),
        "answers": verdict.json(tally),
        "unsent": tally.unsent,
        "retry_after": tally.retry_after,
    });
    match row {
        Value::Object(row) => row,
        _ => Map::new(),
    }
}

/// Three decimal places.
pub fn rounded(number: f64) -> f64 {
    (number * 1e3).round() / 1e3
}

/// Median, least and greatest.
pub fn middle(numbers: &[f64]) -> [f64; 3] {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().saturating_sub(1);
    let at = |index: usize| rounded(sorted.get(index).copied().unwrap_or_default());
    [at(last / 2), at(0), at(last)]
}

/// A number somewhere inside a row.
pub fn number(row: &Map<String, Value>, path: &[&str]) -> f64 {
    let mut value = row.get(path[0]);
    for name in &path[1..] {
        value = value.and_then(|inner| inner.get(name));
    }
    value.and_then(Value::as_f64).unwrap_or_default()
}
