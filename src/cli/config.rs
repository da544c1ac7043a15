//! `signet config check`.

use clap::{ArgMatches, Command};

use super::arguments::positional;
use super::failure::Failure;
use super::{Context, Outcome};

pub(super) fn command() -> Command {
    Command::new("config")
        .about("Look at configuration files")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(
            Command::new("check").about("Print every fault of a file").arg(positional("FILE")),
        )
}

pub(super) fn run(_context: &mut Context<'_>, _matches: &ArgMatches) -> Outcome {
    Err(Failure::local("Checking configuration files is not part of this build."))
}
