//! `signet help COMMAND`, which is `signet COMMAND --help`.

use std::ffi::OsString;

use clap::Command;

use super::arguments::positional;
use super::{CommandResult, Context, tree};

pub(super) fn command() -> Command {
    Command::new("help")
        .about("Show the help of a command")
        .override_usage("signet help [COMMAND...]")
        .arg(positional("COMMAND"))
        .after_help("Examples:\n  signet help pki issue\n  signet help")
}

/// Rewrites `help COMMAND...` to `COMMAND... --help`.
pub(super) fn rewrite(mut arguments: Vec<OsString>) -> Vec<OsString> {
    let is_flag = |argument: &OsString| argument.as_encoded_bytes().starts_with(b"-");
    let asks = arguments.get(1).is_some_and(|first| first == "help");
    if asks && !arguments.iter().skip(2).any(is_flag) {
        arguments.remove(1);
        arguments.push("--help".into());
    }
    arguments
}

/// For a line that [`rewrite`] left as it is.
pub(super) fn run(context: &mut Context<'_>) -> CommandResult {
    context.output.line(&tree().render_help().to_string())?;
    Ok(0)
}
