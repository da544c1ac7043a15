//! `signet delete`.

use clap::{ArgMatches, Command};

use super::arguments::{positional, words};
use super::connection::with_connection;
use super::failure::CommandFailure;
use super::render::{Display, OutputFormat, sorted, with_display};
use super::write::path_and_pairs;
use super::{CommandResult, Context, data};

pub(super) fn command() -> Command {
    with_display(with_connection(
        Command::new("delete")
            .about("Delete the data at a path")
            .override_usage("signet delete [flags] PATH [KEY=VALUE...]")
            .arg(positional("PATH"))
            .after_help("Example:\n  signet delete pki/roles/web"),
    ))
}

pub(super) async fn run(context: &mut Context<'_>, matches: &ArgMatches) -> CommandResult {
    let display = Display::cooked(context, matches)?;
    let words = words(matches, 1, usize::MAX)?;
    let (path, pairs) = path_and_pairs(&words);
    let query = data::query(pairs, context.input).map_err(data::mistake)?;
    let client = context.client(matches)?;
    let answer = client
        .delete(&path, &query)
        .await
        .map_err(|error| CommandFailure::request(format_args!("Error deleting {path}"), &error))?;
    match answer {
        Some(answer) => display.answer(context, &sorted(answer)),
        None => {
            if display.format == OutputFormat::Table {
                let text = format!("Success! Data deleted (if it existed) at: {path}");
                context.output.line(&text)?;
            }
            Ok(0)
        }
    }
}
