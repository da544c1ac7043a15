//! Commands: one file each; they print, and ask server or client to do it.
//!
//! As with Vault, flags have one dash or two and stand anywhere on the line; the environment is
//! read as `SIGNET_*` and where unset as `VAULT_*`; the exit code is 0 for success, 1 for a
//! mistake on this side, 2 for what the server refused, 127 for a command that does not exist.
//! Start reading at [`run`].

mod arguments;
mod completion;
mod config;
mod connection;
mod data;
mod delete;
mod duration;
mod failure;
mod file_set;
mod help;
pub mod keystore;
mod list;
mod login;
mod operator;
mod output;
mod paragraph;
mod patch;
mod pki;
mod process;
mod prompt;
mod read;
mod remedy;
mod render;
mod secrets;
mod server;
mod status;
mod svid;
mod table;
mod token;
mod token_file;
mod trust_file;
mod unknown;
mod version;
mod write;

use std::ffi::OsString;
use std::io::{IsTerminal, Read};

use clap::error::ErrorKind;
use clap::{ArgMatches, Command};

use failure::CommandFailure;
use output::Output;

/// What commands use of the process: the environment, standard input and the two outputs.
pub(crate) struct Context<'a> {
    environment: &'a dyn Fn(&str) -> Option<String>,
    input: &'a mut dyn Read,
    output: Output<'a>,
}

/// The exit code, or what went wrong.
type CommandResult = Result<u8, CommandFailure>;

/// Runs the command line; the result is the exit code of the process.
pub fn main(
    arguments: impl Iterator<Item = OsString>,
    environment: &dyn Fn(&str) -> Option<String>,
) -> u8 {
    let mut stdout = std::io::stdout();
    let terminal = stdout.is_terminal();
    let mut stderr = std::io::stderr();
    run(
        arguments.collect(),
        Context {
            environment,
            input: &mut std::io::stdin(),
            output: Output::new(&mut stdout, &mut stderr, terminal),
        },
    )
}

/// The same, in a process of which every part is an argument.
fn run(arguments: Vec<OsString>, mut context: Context<'_>) -> u8 {
    let tree = tree();
    let line = arguments::normalise(&tree, help::rewrite(arguments));
    let outcome = match tree.clone().try_get_matches_from(&line) {
        Ok(matches) => dispatch(&mut context, &matches),
        Err(error) => match arguments::unsupported(&error) {
            Some(text) => Err(CommandFailure::local(text)),
            None => match unknown::explain(&tree, &line, &error) {
                Some(failure) => Err(failure),
                None => return context.output.usage(&error, is_help(&error)),
            },
        },
    };
    outcome.unwrap_or_else(|failure| report(&mut context, &tree, &line, &failure))
}

/// Prints the failure and what to do about it; its exit code.
fn report(
    context: &mut Context<'_>,
    tree: &Command,
    line: &[OsString],
    failure: &CommandFailure,
) -> u8 {
    let (path, command) = unknown::addressed(tree, line);
    let usage = command.clone().bin_name(&path).render_usage().to_string();
    let usage = usage.trim_start_matches("Usage:").trim();
    let usage = format!("the usage is {usage}. \"{path} --help\" has examples.");
    let remedy = failure.remedy.sentence(context, &usage);
    context.output.failure(failure, remedy.as_deref())
}

fn is_help(error: &clap::Error) -> bool {
    matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion)
}

/// All commands, with their flags and help.
pub fn tree() -> Command {
    Command::new("signet")
        .about("Issues workload certificates and speaks Vault's HTTP API")
        .version(env!("CARGO_PKG_VERSION"))
        .disable_version_flag(true)
        .arg(arguments::switch("version", "Print the version").alias("v"))
        .subcommand_required(false)
        .arg_required_else_help(true)
        .disable_help_subcommand(true)
        .after_help(
            "Start a server for trials:\n  \
             signet server -dev -dev-root-token-id=root -dev-spiffe=example.com\n\n\
             Then, in another terminal, get a certificate:\n  \
             export SIGNET_ADDR=http://127.0.0.1:8200 SIGNET_TOKEN=root\n  \
             signet pki issue spiffe://example.com/web",
        )
        .subcommands([
            read::command(),
            write::command(),
            list::command(),
            delete::command(),
            patch::command(),
            status::command(),
            secrets::command(),
            pki::command()
                .after_help("Example:\n  signet pki issue spiffe://example.com/payments/api"),
            keystore::command(),
            login::command(),
            token::command(),
            token::print_command(),
            operator::command(),
            server::command(),
            config::command(),
            version::command(),
            completion::command(),
            help::command(),
        ])
}

fn dispatch(context: &mut Context<'_>, matches: &ArgMatches) -> CommandResult {
    let Some((name, matches)) = matches.subcommand() else { return version::run(context) };
    match name {
        "server" => server::run(context, matches),
        "config" => config::run(context, matches),
        "keystore" => keystore::run(context, matches),
        "version" => version::run(context),
        "completion" => completion::run(context, matches),
        "help" => help::run(context),
        "print" => token::print(context, matches),
        _ => runtime()?.block_on(ask(context, name, matches)),
    }
}

/// The commands that talk to a server.
async fn ask(context: &mut Context<'_>, name: &str, matches: &ArgMatches) -> CommandResult {
    match name {
        "read" => read::run(context, matches).await,
        "write" => write::run(context, matches).await,
        "list" => list::run(context, matches).await,
        "delete" => delete::run(context, matches).await,
        "patch" => patch::run(context, matches).await,
        "status" => status::run(context, matches).await,
        "secrets" => secrets::run(context, matches).await,
        "pki" => pki::run(context, matches).await,
        "login" => login::run(context, matches).await,
        "token" => token::run(context, matches).await,
        "operator" => operator::run(context, matches).await,
        // clap refuses every name that is not in the tree.
        other => Err(CommandFailure::local(format!("{other:?} is not a command"))),
    }
}

/// One thread, because requests follow one another.
fn runtime() -> Result<tokio::runtime::Runtime, CommandFailure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CommandFailure::local(format!("cannot start: {error}")))
}

#[cfg(test)]
mod tests;
