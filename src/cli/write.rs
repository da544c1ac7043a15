//! `signet write`.

use clap::{ArgMatches, Command};
use serde_json::Value;

use super::arguments::{is_on, positional, switch, words};
use super::connection::with_connection;
use super::failure::CommandFailure;
use super::remedy::Remedy;
use super::render::{Display, OutputFormat, sorted, with_display};
use super::{CommandResult, Context, data};
use crate::wire::answer::Answer;

pub(super) fn command() -> Command {
    with_display(with_connection(
        Command::new("write")
            .about("Write data to a path, or run the operation at a path")
            .override_usage("signet write [flags] PATH [KEY=VALUE...]")
            .arg(positional("PATH"))
            .arg(switch("force", "Write without data").alias("f"))
            .after_help(
                "A value is a string: KEY=VALUE, KEY=@FILE, or KEY=- for standard input. A repeated\n\
                 key makes a list. @FILE.json, or - for standard input, is a whole JSON document.\n\n\
                 Examples:\n  \
                 signet write pki/roles/web allowed_domains=example.com allow_subdomains=true key_type=ec\n  \
                 signet write pki/issue/web common_name=www.example.com ttl=24h\n  \
                 signet write -field=certificate pki/sign/web csr=@request.pem\n  \
                 echo '{\"common_name\":\"www.example.com\",\"ttl\":3600}' | signet write pki/issue/web -",
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
    let data = data::parse(pairs, context.input).map_err(data::mistake)?;
    let data = Some(Value::Object(data)).filter(|_| !pairs.is_empty());
    let client = context.client(matches)?;
    let answer = client.write(&path, data.as_ref()).await.map_err(|error| {
        CommandFailure::request(format_args!("Error writing data to {path}"), &error)
    })?;
    finish(context, &display, &path, answer)
}

/// The path without slashes at its ends, and the other words.
pub(super) fn path_and_pairs(words: &[String]) -> (String, &[String]) {
    words
        .split_first()
        .map_or((String::new(), &[][..]), |(path, rest)| (path.trim_matches('/').to_owned(), rest))
}

/// Prints the answer of a write, or that it succeeded without one.
pub(super) fn finish(
    context: &mut Context<'_>,
    display: &Display,
    path: &str,
    answer: Option<Answer>,
) -> CommandResult {
    match answer {
        Some(answer) => display.answer(context, &sorted(answer)),
        None => {
            if display.format == OutputFormat::Table {
                context.output.line(&format!("Success! Data written to: {path}"))?;
            }
            Ok(0)
        }
    }
}
