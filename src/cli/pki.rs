//! `signet pki issue`.

use clap::{ArgMatches, Command};

use super::{Context, Outcome};

pub(super) fn command() -> Command {
    Command::new("pki").about("Get certificates").subcommand_required(true)
}

pub(super) async fn run(_context: &mut Context<'_>, _matches: &ArgMatches) -> Outcome {
    Ok(1)
}
