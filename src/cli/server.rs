//! `signet server`.

use clap::{ArgMatches, Command};

use super::arguments::positional;
use super::failure::Failure;
use super::{Context, Outcome};

pub(super) fn command() -> Command {
    Command::new("server").about("Run a server").arg(positional(""))
}

pub(super) fn run(_context: &mut Context<'_>, _matches: &ArgMatches) -> Outcome {
    Err(Failure::local("The server is not part of this build."))
}
