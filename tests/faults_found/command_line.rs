//! The command line: trust, files that it writes, flags, checks of the configuration.

#[path = "command_line/configuration.rs"]
mod configuration;
#[path = "command_line/files.rs"]
mod files;
#[path = "command_line/protection.rs"]
mod protection;
#[path = "command_line/trust.rs"]
mod trust;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A folder of a test.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn root(&self) -> &Path {
        self.0.path()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

/// The present second: what certificates are valid against.
fn now() -> time::OffsetDateTime {
    let now = signet::clock::Clock::System.now();
    time::OffsetDateTime::from_unix_timestamp(now.unix()).unwrap()
}

/// What a command did.
#[derive(Debug)]
struct Done {
    code: i32,
    stdout: String,
    stderr: String,
}

/// Runs the binary with this environment and no other.
fn signet(line: &[&str], environment: &[(&str, &str)]) -> Done {
    let output = Command::new(env!("CARGO_BIN_EXE_signet"))
        .args(line)
        .env_clear()
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Done {
        code: output.status.code().unwrap_or(-1),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

/// Starts a server that must not start: what it says. One that listens all the same is ended.
fn refused_start(line: &[&str], environment: &[(&str, &str)]) -> Done {
    let mut child = Command::new(env!("CARGO_BIN_EXE_signet"))
        .arg("server")
        .args(line)
        .env_clear()
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    let read = BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    if read > 0 {
        child.kill().unwrap();
    }
    let output = child.wait_with_output().unwrap();
    assert_eq!(read, 0, "it listens: {first}");
    let stderr = String::from_utf8(output.stderr).unwrap();
    Done { code: output.status.code().unwrap_or(-1), stdout: first, stderr }
}

/// A development server on a free port; its token is `root`, and it ends with this value.
struct Development {
    child: Child,
    address: String,
    /// What it printed, address and lines to paste.
    printed: String,
    errors: PathBuf,
}

impl Development {
    fn start(home: &Folder, flags: &[&str]) -> Self {
        let errors = home.path("stderr");
        let mut child = Command::new(env!("CARGO_BIN_EXE_signet"))
            .args(["server", "-dev", "-dev-root-token-id=root", "-log-level=error"])
            .args(["-dev-listen-address=127.0.0.1:0"])
            .args(flags)
            .env_clear()
            .env("HOME", home.root())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(&errors).unwrap())
            .spawn()
            .unwrap();
        let mut printed = String::new();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        // The last line that it prints is the one to issue with, and an empty one.
        while !printed.ends_with("\n\n") || !printed.contains("signet ") {
            assert!(lines.read_line(&mut printed).unwrap() > 0, "{printed}");
        }
        let address = printed.lines().find_map(|line| line.strip_prefix("address: "));
        let address = address.unwrap().to_owned();
        // The token is stored behind the announcement, before any request is answered.
        let server = Self { child, address, printed, errors };
        let ready = signet(&["status"], &[("SIGNET_ADDR", &server.address)]);
        assert_eq!(ready.code, 0, "{}", ready.stderr);
        server
    }

    fn errors(&self) -> String {
        std::fs::read_to_string(&self.errors).unwrap()
    }

    fn signet(&self, line: &[&str]) -> Done {
        signet(line, &[("SIGNET_ADDR", &self.address), ("SIGNET_TOKEN", "root")])
    }
}

impl Drop for Development {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
