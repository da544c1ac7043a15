//! The command after a change: `-exec`.

use std::io;
use std::process::{Command, ExitStatus, Stdio};

use super::options::IssueOptions;
use super::summary::IssueSummary;

/// Variables with a secret that `signet` itself reads.
const SECRETS: [&str; 5] = [
    "SIGNET_TOKEN",
    "VAULT_TOKEN",
    "SIGNET_DEV_ROOT_TOKEN_ID",
    "VAULT_DEV_ROOT_TOKEN_ID",
    "SIGNET_KEYSTORE_PASSWORD",
];

/// Runs the command by `sh -c` and waits for its end. What it prints goes where `signet` prints; if
/// JSON is printed, to standard error.
pub(super) fn run(
    command: &str,
    options: &IssueOptions,
    summary: &IssueSummary,
) -> io::Result<ExitStatus> {
    let mut shell = Command::new("sh");
    shell.args(["-c", command]).stdin(Stdio::null());
    for name in SECRETS {
        shell.env_remove(name);
    }
    shell
        .env("SIGNET_FOLDER", std::path::absolute(&options.folder)?)
        .env("SIGNET_IDENTITY", &options.identity)
        .env("SIGNET_SERIAL", summary.serial_number.as_deref().unwrap_or_default())
        .env("SIGNET_EXPIRATION", summary.not_after.map(|end| end.to_string()).unwrap_or_default());
    if options.json {
        shell.stdout(io::stderr());
    }
    shell.status()
}
