//! The command line: trust, the files that it writes, flags, and checks of the configuration.

#[path = "command_line/configuration.rs"]
mod configuration;
#[path = "command_line/files.rs"]
mod files;
#[path = "command_line/logs.rs"]
mod logs;
#[path = "command_line/protection.rs"]
mod protection;
#[path = "command_line/trust.rs"]
mod trust;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A temporary folder of a test.
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

/// The current time, for the validity of certificates.
fn now() -> time::OffsetDateTime {
    let now = signet::clock::Clock::System.now();
    time::OffsetDateTime::from_unix_timestamp(now.unix()).unwrap()
}

/// The outcome of a command.
#[derive(Debug)]
struct Done {
    code: i32,
    stdout: String,
    stderr: String,
}

/// Runs the binary with exactly this environment.
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

/// Starts a server that must refuse to start, and returns its output. If it listens, it is killed.
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

/// A development server on a free port with the token `root`; it is killed on drop.
struct Development {
    child: Child,
    address: String,
    /// Its standard output: the address and the commands to paste.
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
        // The output ends with the command that issues a certificate and an empty line.
        while !printed.ends_with("\n\n") || !printed.contains("signet ") {
            assert!(lines.read_line(&mut printed).unwrap() > 0, "{printed}");
        }
        let address = printed.lines().find_map(|line| line.strip_prefix("address: "));
        let address = address.unwrap().to_owned();
        // The token is stored after this output and before the first response.
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
