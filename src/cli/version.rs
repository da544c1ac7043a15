//! `signet version`.

use clap::Command;

use super::arguments::positional;
use super::{CommandResult, Context};

pub(super) fn command() -> Command {
    Command::new("version")
        .about("Print the version")
        .override_usage("signet version")
        .arg(positional(""))
        .after_help("Example:\n  signet version")
}

pub(super) fn run(context: &mut Context<'_>) -> CommandResult {
    context.output.line(concat!("Signet v", env!("CARGO_PKG_VERSION")))?;
    Ok(0)
}
