//! A development server in a process of its own, with a folder of its own, and the command line
//! beside it.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    unreachable_pub,
    missing_docs,
    reason = "helpers of tests, of which each takes its part"
)]

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

pub const BINARY: &str = env!("CARGO_BIN_EXE_signet");

/// What a command did.
#[derive(Debug)]
pub struct Done {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Done {
    pub fn of(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    /// Its standard output, if it succeeded.
    pub fn good(self) -> String {
        assert_eq!(self.code, 0, "{self:?}");
        self.stdout
    }
}

/// A development server on a free port with a folder of its own; it ends with this value.
pub struct Server {
    child: Child,
    pub address: String,
    folder: tempfile::TempDir,
}

impl Server {
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("bin")).unwrap();
        symlink(BINARY, folder.path().join("bin/signet")).unwrap();
        let mut child = Command::new(BINARY)
            .args(["server", "-dev", "-dev-root-token-id=root", "-log-level=error"])
            .args(["-dev-listen-address=127.0.0.1:0", "-dev-no-store-token"])
            .env_clear()
            .env("HOME", folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let address =
            lines.find_map(|line| Some(line.unwrap().strip_prefix("address: ")?.to_owned()));
        // The rest is read, so that the server can print it.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, address: address.unwrap(), folder }
    }

    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let path = format!("{}:/usr/bin:/bin", self.folder.path().join("bin").display());
        command
            .env_clear()
            .env("PATH", path)
            .env("HOME", self.folder.path())
            .env("SIGNET_ADDR", &self.address)
            .env("SIGNET_TOKEN", "root")
            .current_dir(self.folder.path())
            .stdin(Stdio::null());
        command
    }

    pub fn signet(&self, words: &[&str]) -> Done {
        Done::of(self.command(BINARY).args(words).output().unwrap())
    }

    pub fn init(&self, words: &[&str]) -> Done {
        self.signet(&[&["pki", "init"], words].concat())
    }

    /// Runs a script as a person who pastes it does.
    pub fn paste(&self, script: &str) -> Done {
        Done::of(self.command("sh").args(["-c", script]).output().unwrap())
    }

    /// `data` of a path.
    pub fn read(&self, path: &str) -> Value {
        let answer = self.signet(&["read", "-format=json", path]).good();
        serde_json::from_str::<Value>(&answer).unwrap()["data"].clone()
    }

    pub fn keys(&self, path: &str) -> Vec<String> {
        let done = self.signet(&["list", "-format=json", path]);
        serde_json::from_str(&done.stdout).unwrap_or_default()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
