//! The machine: which core a process runs on, and the facts that every result carries.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Map, Value, json};

/// The prefix of a server's command line: it runs on the first core, the driver on the last.
pub const ON_THE_FIRST_CORE: [&str; 3] = ["taskset", "-c", "0"];

/// Moves this process, and the threads it starts later, to the last core.
pub fn pin() {
    let last = cores().saturating_sub(1).to_string();
    let process = std::process::id().to_string();
    let status =
        Command::new("taskset").args(["-cp", &last, &process]).stdout(Stdio::null()).status();
    assert!(status.is_ok_and(|status| status.success()), "taskset (util-linux) is needed");
}

/// Runs this process, and the threads it starts later, only when their core is otherwise idle
/// (SCHED_IDLE, sched(7)), until [`normal_priority`]. A server that is started meanwhile inherits it.
pub fn idle_priority() {
    schedule(&["--idle", "--all-tasks"], &std::process::id().to_string());
}

/// The end of [`idle_priority`].
pub fn normal_priority() {
    schedule(&["--other", "--all-tasks"], &std::process::id().to_string());
}

/// The end of [`idle_priority`] for this thread alone.
pub fn normal_priority_here() {
    let own = fs::read_link("/proc/thread-self").expect("procfs names the thread");
    let own = own.file_name().unwrap_or_default().to_string_lossy();
    schedule(&["--other"], &own);
}

fn schedule(policy: &[&str], process: &str) {
    let status = Command::new("chrt").args(policy).args(["--pid", "0", process]).status();
    assert!(status.is_ok_and(|status| status.success()), "chrt (util-linux) is needed");
}

/// The facts of the machine. Read before [`pin`], which hides cores.
pub fn facts(folder: &Path) -> Map<String, Value> {
    let facts = json!({
        "cores": cores(),
        "processor": processor(),
        "memory_mib": memory(),
        "kernel": output_of("uname", &["-sr"]),
        "file_system": output_of("stat", &["-f", "-c", "%T", &folder.to_string_lossy()]),
        "commit": commit(),
        "compiler": output_of("rustc", &["--version"]),
        "date": output_of("date", &["-u", "+%Y-%m-%d %H:%M"]),
        "load_before": load(),
        "pinned": "the server on the first core, the driver on the last",
    });
    match facts {
        Value::Object(facts) => facts,
        _ => Map::new(),
    }
}

/// The number of cores that are online.
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

/// The load average of the last minute, which should be below 1 before a run.
fn load() -> f64 {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or_default()
}

fn commit() -> String {
    let commit = output_of("git", &["rev-parse", "--short=12", "HEAD"]);
    // Only what is compiled counts: the results of an earlier run change nothing.
    let changed =
        output_of("git", &["status", "--porcelain", "--", ":/src", ":/Cargo.lock", ":/Cargo.toml"]);
    if changed.is_empty() { commit } else { format!("{commit}, changed") }
}

fn output_of(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).stderr(Stdio::null()).output();
    output
        .map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
        .unwrap_or_default()
}

/// Processor time that the hypervisor gave to other machines since the start.
pub struct StolenTime {
    stolen: u64,
    all: u64,
}

impl StolenTime {
    pub fn start() -> Self {
        let (stolen, all) = Self::read();
        Self { stolen, all }
    }

    pub fn percent(&self) -> f64 {
        let (stolen, all) = Self::read();
        let share = (stolen - self.stolen) as f64 / (all - self.all).max(1) as f64;
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
