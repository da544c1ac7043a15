//! `signet pki`: a certificate authority for a trust domain, and certificates for services in files.

mod exec;
mod fraction;
mod init;
mod issue;
mod options;
mod stored;
mod summary;

use clap::{ArgMatches, Command};

pub(super) use options::password;

use super::{CommandResult, Context};

pub(super) fn command() -> Command {
    Command::new("pki")
        .about("Set up a certificate authority, and get certificates into files")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommands([init::command(), issue::command()])
}

pub(super) async fn run(context: &mut Context<'_>, matches: &ArgMatches) -> CommandResult {
    match matches.subcommand() {
        Some(("init", matches)) => init::run(context, matches).await,
        Some(("issue", matches)) => issue::run(context, matches).await,
        // clap refuses any other.
        _ => Ok(1),
    }
}
