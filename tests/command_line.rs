//! The command line as a newcomer meets it: the examples of every help text, and frequent mistakes.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

#[path = "command_line/examples.rs"]
mod examples;
#[path = "command_line/mistakes.rs"]
mod mistakes;
#[path = "command_line/readme.rs"]
mod readme;
#[path = "command_line/starts.rs"]
mod starts;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A shell in a temporary folder, which is also its home, with `signet` on its path.
struct Shell {
    folder: tempfile::TempDir,
    environment: Vec<(&'static str, String)>,
}

/// The result of a command.
#[derive(Debug)]
struct Done {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Shell {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let environment = vec![("HOME", folder.path().to_str().unwrap().to_owned())];
        Self { folder, environment }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn set(&mut self, name: &'static str, value: &str) {
        self.environment.push((name, value.to_owned()));
    }

    #[expect(clippy::disallowed_methods, reason = "openssl is on the path of the test")]
    fn command(&self, line: &str) -> Command {
        let binaries = Path::new(env!("CARGO_BIN_EXE_signet")).parent().unwrap();
        let search = std::env::var("PATH").unwrap_or_default();
        let mut command = Command::new("bash");
        command
            .args(["-c", line])
            .current_dir(self.folder.path())
            .env_clear()
            .env("PATH", format!("{}:{search}", binaries.display()))
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null());
        command
    }

    /// Runs a line to its end.
    fn run(&self, line: &str) -> Done {
        let output = self.command(line).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Done {
            code: output.status.code().unwrap_or(-1),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    /// Runs a line that must succeed.
    fn must(&self, line: &str) -> Done {
        let done = self.run(line);
        assert_eq!(done.code, 0, "{line}\n{}{}", done.stdout, done.stderr);
        done
    }

    /// Runs a line that starts a server, until the server prints its address.
    ///
    /// # Errors
    /// The error output of a line that ends without an address.
    fn serve(&self, line: &str) -> Result<Serving, String> {
        let errors = self.path(".errors");
        // Without `exec`, the end of the shell would leave the server running.
        let mut child = self
            .command(&format!("exec {line}"))
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(&errors).unwrap())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let mut server = Serving { address: String::new(), child, output };
        let mut text = String::new();
        while server.output.read_line(&mut text).unwrap() > 0 {
            if let Some(address) = text.trim().strip_prefix("address: ") {
                server.address = address.to_owned();
                return Ok(server);
            }
            text.clear();
        }
        Err(std::fs::read_to_string(&errors).unwrap())
    }
}

/// A server; it ends with this value.
struct Serving {
    address: String,
    child: Child,
    /// Kept open: the server prints more.
    output: BufReader<std::process::ChildStdout>,
}

impl Serving {
    fn port(&self) -> &str {
        self.address.rsplit_once(':').unwrap().1
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A configuration that starts: one listener without TLS, a store in the folder.
fn configuration(folder: &Path, address: &str) -> String {
    format!(
        "listener \"tcp\" {{\n  address = \"{address}\"\n  tls_disable = true\n}}\nstorage \"rocksdb\" {{\n  path = \"{}\"\n}}\nseal \"static\" {{\n  current_key = \"5f5e5d5c5b5a595857565554535251504f4e4d4c4b4a49484746454443424140\"\n  current_key_id = \"1\"\n}}\n",
        folder.join("store").display()
    )
}
