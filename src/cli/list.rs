//! `signet list`.

use clap::{ArgMatches, Command};
use serde_json::{Map, Value};

use super::arguments::{is_on, positional, switch, words};
use super::connection::with_connection;
use super::failure::CommandFailure;
use super::render::{Display, OutputFormat, sorted, warn, with_format};
use super::write::path_and_pairs;
use super::{CommandResult, Context, table};

pub(super) fn command() -> Command {
    with_format(with_connection(
        Command::new("list")
            .about("List the names under a path")
            .override_usage("signet list [flags] PATH")
            .arg(positional("PATH"))
            .arg(switch("detailed", "Also print the details of each name"))
            .after_help("Examples:\n  signet list pki/roles\n  signet list -detailed pki/issuers"),
    ))
}

pub(super) async fn run(context: &mut Context<'_>, matches: &ArgMatches) -> CommandResult {
    let display = Display::cooked(context, matches)?;
    let words = words(matches, 1, 1)?;
    let (path, _) = path_and_pairs(&words);
    let client = context.client(matches)?;
    let answer = client
        .list(&path)
        .await
        .map_err(|error| CommandFailure::request(format_args!("Error listing {path}"), &error))?;
    let Some(answer) = answer.map(sorted) else {
        if display.format == OutputFormat::Table {
            return Err(CommandFailure::server(format!("No value found at {path}")));
        }
        // A script always gets a document; the exit code says that nothing was found.
        display.whole(context, &Map::new())?;
        return Ok(2);
    };
    let data = answer.data.as_ref();
    let keys = data.and_then(|data| data.get("keys")).and_then(Value::as_array);
    let Some(keys) = keys else {
        return Err(CommandFailure::server(format!("No entries found at {path}")));
    };
    let info = data.and_then(|data| data.get("key_info")).and_then(Value::as_object);
    match (display.format, is_on(matches, "detailed")) {
        (OutputFormat::Table, detailed) => {
            let rows = match info.filter(|_| detailed) {
                Some(info) => with_info(keys, info),
                None => heading(&["Keys"], keys.iter().map(|key| vec![table::go(key)])),
            };
            context.output.line(&table::columns(&rows))?;
            warn(context, answer.warnings.as_deref().unwrap_or_default());
            Ok(0)
        }
        (_, true) => display.answer(context, &answer),
        (_, false) => display.whole(context, keys),
    }
}

fn heading(names: &[&str], rows: impl Iterator<Item = Vec<String>>) -> Vec<Vec<String>> {
    let mut all = vec![names.iter().map(|name| (*name).to_owned()).collect()];
    all.extend(rows);
    all
}

/// A column for each member that any of the names has.
fn with_info(keys: &[Value], info: &Map<String, Value>) -> Vec<Vec<String>> {
    let members = info.values().filter_map(Value::as_object).flat_map(Map::keys);
    let columns: Vec<&str> = members
        .map(String::as_str)
        .collect::<std::collections::BTreeSet<_>>()
        .into_iter()
        .collect();
    let mut names = vec!["Keys"];
    names.extend(&columns);
    let row = |key: &Value| {
        let of_key = key.as_str().and_then(|key| info.get(key));
        let cell = |column: &&str| {
            let value = of_key.and_then(|members| members.get(*column));
            value.map(|value| table::named(column, value)).unwrap_or_default()
        };
        let mut row = vec![table::go(key)];
        row.extend(columns.iter().map(cell));
        row
    };
    heading(&names, keys.iter().map(row))
}
