//! `signet config check`: every fault of a configuration, with its place.

use std::path::PathBuf;

use clap::{ArgMatches, Command};

use super::arguments::{positional, repeated, texts, words};
use super::failure::Failure;
use super::server::all;
use super::{Context, Outcome};

pub(super) fn command() -> Command {
    Command::new("config")
        .about("Look at configuration files")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(
            Command::new("check")
                .about("Print every fault of a configuration, or that there is none")
                .override_usage("signet config check FILE...")
                .arg(positional("FILE"))
                .arg(repeated("config", "FILE", "A configuration file or folder; the same as FILE"))
                .after_help(
                    "Looks at what the server's start looks at: run it as the server's user. What starts\n\
                     and is dangerous is a warning on standard error, and the exit code stays 0.\n\n\
                     Example:\n  signet config check /etc/signet/server.hcl",
                ),
        )
}

pub(super) fn run(context: &mut Context<'_>, matches: &ArgMatches) -> Outcome {
    let Some((_, matches)) = matches.subcommand() else {
        return Err(Failure::local("Say what to do: signet config check FILE"));
    };
    let mut files: Vec<PathBuf> = texts(matches, "config").into_iter().map(PathBuf::from).collect();
    let least = usize::from(files.is_empty());
    files.extend(words(matches, least, usize::MAX)?.into_iter().map(PathBuf::from));
    let config = crate::config::examine(&files, context.environment, &crate::server::examine_tls)
        .map_err(|faults| all(&faults))?;
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
