//! `signet read`.

use clap::{ArgMatches, Command};
use hyper::Method;

use super::arguments::{positional, words};
use super::connection::with_connection;
use super::failure::CommandFailure;
use super::render::{Display, OutputFormat, sorted, with_display};
use super::{CommandResult, Context, data};

pub(super) fn command() -> Command {
    with_display(with_connection(
        Command::new("read")
            .about("Read the data at a path")
            .override_usage("signet read [flags] PATH [KEY=VALUE...]")
            .arg(positional("PATH"))
            .after_help(
                "Examples:\n  \
                 signet read pki/roles/web\n  \
                 signet read -field=certificate pki/cert/ca\n  \
                 signet read -format=raw pki/ca/pem > ca.pem",
            ),
    ))
}

pub(super) async fn run(context: &mut Context<'_>, matches: &ArgMatches) -> CommandResult {
    let display = Display::from(context, matches)?;
    let words = words(matches, 1, usize::MAX).map_err(|mut failure| {
        // Vault's text counts only the path here.
        failure.text = failure.text.replace("at least ", "");
        failure
    })?;
    let (path, pairs) = words.split_first().map_or((String::new(), &[][..]), |(path, pairs)| {
        (path.trim_start_matches('/').to_owned(), pairs)
    });
    let query = data::query(pairs, context.input).map_err(data::mistake)?;
    let client = context.client(matches)?;
    if display.format == OutputFormat::Raw && display.field.is_none() {
        let reply = client.raw(Method::GET, &path, &query, None).await;
        let reply = reply.and_then(crate::client::Reply::succeeded);
        let reply = reply.map_err(|error| {
            CommandFailure::request(format_args!("Error reading: {path}"), &error)
        })?;
        context.output.bytes(reply.body())?;
        if std::str::from_utf8(reply.body()).is_ok() {
            // Vault adds a line end; after DER it would be an extra byte.
            context.output.bytes(b"\n")?;
        }
        return Ok(0);
    }
    let answer = client
        .read(&path, &query)
        .await
        .map_err(|error| CommandFailure::request(format_args!("Error reading {path}"), &error))?
        .ok_or_else(|| nothing_at(&path))?;
    display.answer(context, &sorted(answer))
}

fn nothing_at(path: &str) -> CommandFailure {
    let failure = CommandFailure::server(format!("No value found at {path}"));
    match path.trim_end_matches('/').rsplit_once('/') {
        Some((parent, _)) => failure.with_remedy(format!(
            "check the path: \"signet list {parent}\" lists the names below {parent}, \"signet secrets list\" the mounts."
        )),
        None => failure,
    }
}
