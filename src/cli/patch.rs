//! `signet patch`.

use clap::{ArgMatches, Command};
use serde_json::Value;

use super::arguments::{is_on, positional, switch, words};
use super::connection::with_connection;
use super::failure::CommandFailure;
use super::remedy::Remedy;
use super::render::{Display, with_display};
use super::write::{finish, path_and_pairs};
use super::{CommandResult, Context, data};

pub(super) fn command() -> Command {
    with_display(with_connection(
        Command::new("patch")
            .about("Change some fields at a path and keep the others")
            .override_usage("signet patch [flags] PATH KEY=VALUE...")
            .arg(positional("PATH"))
            .arg(switch("force", "Patch without data").alias("f"))
            .after_help(
                "Examples:\n  \
                 signet patch pki/roles/web max_ttl=48h\n  \
                 signet patch pki/issuer/default issuer_name=root-2026",
            ),
    ))
}

pub(super) async fn run(context: &mut Context<'_>, matches: &ArgMatches) -> CommandResult {
    let display = Display::cooked(context, matches)?;
    let words = words(matches, 1, usize::MAX)?;
    let (path, pairs) = path_and_pairs(&words);
    if pairs.is_empty() && !is_on(matches, "force") {
        return Err(
            CommandFailure::local("Must supply data or use -force").remedied_by(Remedy::Usage)
        );
    }
    let data = Value::Object(data::parse(pairs, context.input).map_err(data::mistake)?);
    let client = context.client(matches)?;
    let answer = client.patch(&path, &data).await.map_err(|error| {
        CommandFailure::request(format_args!("Error writing data to {path}"), &error)
    })?;
    finish(context, &display, &path, answer)
}
