//! Where and how it was measured: a part of every result.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Map, Value, json};

/// This process, and the threads it will have, on the last core; servers get the first.
pub fn pin() {
    let last = cores().saturating_sub(1).to_string();
    let process = std::process::id().to_string();
    let status =
        Command::new("taskset").args(["-cp", &last, &process]).stdout(Stdio::null()).status();
    assert!(status.is_ok_and(|status| status.success()), "taskset (util-linux) is needed");
}

/// This process, and the threads it will have, run when nothing else on their core wants to
/// (SCHED_IDLE, sched(7)), until [`as_ever`]. So would a server that is started meanwhile.
pub fn step_back() {
    schedule(&["--idle", "--all-tasks"], &std::process::id().to_string());
}

/// The end of [`step_back`].
pub fn as_ever() {
    schedule(&["--other", "--all-tasks"], &std::process::id().to_string());
}

/// The end of [`step_back`] for this thread alone.
pub fn step_forward() {
    let own = fs::read_link("/proc/thread-self").expect("a thread knows itself");
    let own = own.file_name().unwrap_or_default().to_string_lossy();
    schedule(&["--other"], &own);
}

fn schedule(policy: &[&str], whose: &str) {
    let status = Command::new("chrt").args(policy).args(["--pid", "0", whose]).status();
    assert!(status.is_ok_and(|status| status.success()), "chrt (util-linux) is needed");
}

/// What a result says of its machine. Asked for before [`pin`], which hides cores.
pub fn facts(folder: &Path) -> Map<String, Value> {
    let facts = json!({
        "cores": cores(),
        "processor": processor(),
        "memory_mib": memory(),
        "kernel": said("uname", &["-sr"]),
        "file_system": said("stat", &["-f", "-c", "%T", &folder.to_string_lossy()]),
        "commit": commit(),
        "compiler": said("rustc", &["--version"]),
        "date": said("date", &["-u", "+%Y-%m-%d %H:%M"]),
        "load_before": load(),
        "pinned": "the server on the first core, the driver on the last",
    });
    match facts {
        Value::Object(facts) => facts,
        _ => Map::new(),
    }
}

/// One of them, by its number, is the driver's.
fn cores() -> usize {
    let online = fs::read_to_string("/sys/devices/system/cpu/online").unwrap_or_default();
    online
        .trim()
        .split(',')
        .filter_map(|range| match range.split_once('-') {
            Some((from, to)) => Some(to.parse::<usize>().ok()? - from.parse::<usize>().ok()? + 1),
            None => range.parse::<usize>().ok().map(|_| 1),
        })
        .sum::<usize>()
        .max(1)
}

fn processor() -> String {
    let facts = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    facts
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map_or("unknown", |rest| rest.trim_start_matches(['\t', ':', ' ']))
        .to_owned()
}

fn memory() -> u64 {
    let facts = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let word = facts.split_whitespace().nth(1).unwrap_or_default();
    word.parse::<u64>().unwrap_or_default() / 1024
}

/// The load of the last minute: a number that should be below 1 before a run that counts.
fn load() -> f64 {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or_default()
}

fn commit() -> String {
    let commit = said("git", &["rev-parse", "--short=12", "HEAD"]);
    // Results of an earlier run are no change of what is measured.
    let changed = said("git", &["status", "--porcelain", "--", "src", "Cargo.lock", "Cargo.toml"]);
    if changed.is_empty() { commit } else { format!("{commit}, changed") }
}

fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).stderr(Stdio::null()).output();
    output
        .map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
        .unwrap_or_default()
}

/// Hundredths of a second that the host gave to others, of all that passed, since the start.
pub struct Stolen(u64, u64);

impl Stolen {
    pub fn start() -> Self {
        let (stolen, all) = Self::read();
        Self(stolen, all)
    }

    pub fn percent(&self) -> f64 {
        let (stolen, all) = Self::read();
        let share = (stolen - self.0) as f64 / (all - self.1).max(1) as f64;
        (share * 1e4).round() / 100.0
    }

    fn read() -> (u64, u64) {
        let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
        let line = stat.lines().next().unwrap_or_default();
        let ticks: Vec<u64> =
            line.split_whitespace().skip(1).take(8).filter_map(|word| word.parse().ok()).collect();
        (ticks.last().copied().unwrap_or_default(), ticks.iter().sum())
    }
}
