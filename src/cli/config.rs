//! `signet config check`: every fault of a configuration, with its position in the file.

use std::path::PathBuf;

use clap::{ArgMatches, Command};

use super::arguments::{positional, repeated, texts, words};
use super::failure::CommandFailure;
use super::server::all;
use super::{CommandResult, Context};

pub(super) fn command() -> Command {
    Command::new("config")
        .about("Check configuration files")
        .after_help("Example:\n  signet config check /etc/signet/server.hcl")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(
            Command::new("check")
                .about("Print every fault of a configuration, or that it has no fault")
                .override_usage("signet config check FILE...")
                .arg(positional("FILE"))
                .arg(repeated("config", "FILE", "A configuration file or folder, like FILE"))
                .after_help(
                    "Checks what the server checks when it starts: run it as the user of the server. A setting\n\
                     that works but is dangerous is a warning on standard error; the exit code is 0 then.\n\n\
                     Example:\n  signet config check /etc/signet/server.hcl",
                ),
        )
}

pub(super) fn run(context: &mut Context<'_>, matches: &ArgMatches) -> CommandResult {
    let Some((_, matches)) = matches.subcommand() else {
        return Err(CommandFailure::local("No subcommand: write signet config check FILE"));
    };
    let mut files: Vec<PathBuf> = texts(matches, "config").into_iter().map(PathBuf::from).collect();
    let least = usize::from(files.is_empty());
    files.extend(words(matches, least, usize::MAX)?.into_iter().map(PathBuf::from));
    let config = crate::config::examine(&files, context.environment, &crate::server::examine_tls)
        .map_err(|faults| {
        let failure = all(&faults);
        if failure.text.contains("cannot be read") {
            return failure.with_remedy("name files that exist and that this user can read.");
        }
        failure
    })?;
    for warning in &config.warnings {
        context.output.note(&warning.to_string());
    }
    context.output.line(match config.warnings.as_slice() {
        [] => "The configuration has no fault.",
        _ => {
            "The configuration has no fault that keeps the server from starting; see the warnings."
        }
    })?;
    Ok(0)
}
