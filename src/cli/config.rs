//! `signet config check`: every fault of a configuration, with its place.

use std::path::PathBuf;

use clap::{ArgMatches, Command};

use super::arguments::{positional, words};
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
                .arg(positional("FILE…"))
                .after_help("Example:\n  signet config check /etc/signet/server.hcl"),
        )
}

pub(super) fn run(context: &mut Context<'_>, matches: &ArgMatches) -> Outcome {
    let Some((_, matches)) = matches.subcommand() else {
        return Err(Failure::local("Say what to do: signet config check FILE"));
    };
    let files: Vec<PathBuf> =
        words(matches, 1, usize::MAX)?.into_iter().map(PathBuf::from).collect();
    let config = crate::config::load(&files, context.environment).map_err(|faults| all(&faults))?;
    crate::server::check_certificates(&config)
        .map_err(|error| Failure::local(error.to_string()))?;
    context.output.line("The configuration has no fault.")?;
    Ok(0)
}
