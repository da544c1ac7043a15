//! The log of the process: its start, its end, and a start that fails.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::{Folder, refused_start, signet};

fn objects(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}")))
        .collect()
}

#[test]
fn n06_start_and_stop_are_in_the_log() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_signet"))
        .args(["server", "-dev", "-dev-no-store-token", "-dev-listen-address=127.0.0.1:0"])
        .arg("-log-format=json")
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains("Now paste") {
        line.clear();
        assert!(output.read_line(&mut line).unwrap() > 0, "the server did not start");
    }
    let process = Pid::from_child(&child);
    for signal in [Signal::HUP, Signal::TERM] {
        kill_process(process, signal).unwrap();
    }
    assert!(child.wait().unwrap().success());
    let mut log = String::new();
    child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
    let lines = objects(&log);
    let one = |message: &str| {
        let found = lines.iter().find(|line| line["message"] == message);
        found.unwrap_or_else(|| panic!("no {message} in {log}")).clone()
    };
    let start = one("server starting");
    assert_eq!((&start["version"], &start["storage"]), (&"0.1.0".into(), &"inmem".into()));
    assert_eq!(one("store not initialized")["seal"], "ephemeral");
    one("store initialized");
    let listener = one("listener ready");
    assert!(listener["address"].as_str().unwrap().starts_with("127.0.0.1:"), "{listener}");
    assert_eq!((&listener["tls"], &listener["purpose"]), (&false.into(), &"api".into()));
    assert_eq!(one("server stopping")["signal"], "SIGTERM");
    one("server stopped");
}

#[test]
fn n06_a_start_that_fails_writes_json_where_json_is_asked_for() {
    let folder = Folder::new();
    let config = format!("-config={}", folder.path("missing.hcl").display());
    let by_flag = signet(&["server", &config, "-log-format=json"], &[]);
    let by_variable = signet(&["server", &config], &[("SIGNET_LOG_FORMAT", "json")]);
    for done in [by_flag, by_variable] {
        assert_eq!(done.code, 1);
        let lines = objects(&done.stderr);
        assert_eq!(lines[0]["message"], "server not started");
        assert!(lines[0]["reason"].as_str().unwrap().contains("missing.hcl"), "{}", done.stderr);
    }
    let plain = refused_start(&[&config], &[]);
    assert!(plain.stderr.contains("missing.hcl") && !plain.stderr.starts_with('{'));
}
