//! `signet print token` and `signet token lookup`.

use clap::{ArgMatches, Command};
use serde_json::json;

use super::arguments::{positional, words};
use super::connection::with_connection;
use super::failure::CommandFailure;
use super::render::{Display, sorted, with_display};
use super::{CommandResult, Context};

pub(super) fn print_command() -> Command {
    Command::new("print")
        .about("Print settings that commands use")
        .after_help("Example:\n  signet print token")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(
            Command::new("token")
                .about("Print the token of the environment, else the stored one")
                .override_usage("signet print token")
                .arg(positional(""))
                .after_help("Example:\n  signet print token"),
        )
}

pub(super) fn command() -> Command {
    Command::new("token")
        .about("Show tokens")
        .after_help("Example:\n  signet token lookup")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(with_display(with_connection(
            Command::new("lookup")
                .about(
                    "Show what the server knows about a token; without an argument, about your own",
                )
                .override_usage("signet token lookup [flags] [TOKEN]")
                .arg(positional("TOKEN"))
                .after_help(
                    "Examples:\n  signet token lookup\n  signet token lookup -field=policies",
                ),
        )))
}

pub(super) fn print(context: &mut Context<'_>, matches: &ArgMatches) -> CommandResult {
    if let Some((_, matches)) = matches.subcommand() {
        words(matches, 0, 0)?;
    }
    let token = context.token()?;
    context.output.line(token.as_ref().map_or("", |token| token.expose()))?;
    Ok(0)
}

pub(super) async fn run(context: &mut Context<'_>, matches: &ArgMatches) -> CommandResult {
    // `lookup` is the only one; clap refuses any other.
    let Some((_, matches)) = matches.subcommand() else { return Ok(1) };
    let display = Display::cooked(context, matches)?;
    let words = words(matches, 0, 1)?;
    let client = context.client(matches)?;
    let answer = match words.first() {
        None => client.read("auth/token/lookup-self", &[]).await,
        Some(token) => client.post("auth/token/lookup", &json!({ "token": token.trim() })).await,
    };
    let answer = answer
        .map_err(|error| CommandFailure::request("Error looking up token", &error))?
        .ok_or_else(|| {
            CommandFailure::server("Error looking up token: the server answered nothing")
        })?;
    display.answer(context, &sorted(answer))
}
