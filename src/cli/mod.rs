//! Commands: one file each; they print, and ask server or client to do it.
//!
//! Vault's habits hold: flags with one dash or two and anywhere on the line, `SIGNET_*` and
//! where unset `VAULT_*` in the environment, exit code 0 for success, 1 for a mistake on this
//! side, 2 for what the server refused. Start reading at [`run`].

mod arguments;
mod config;
mod connection;
mod data;
mod delete;
mod duration;
mod failure;
mod file_set;
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
mod render;
mod secrets;
mod server;
mod status;
mod svid;
mod table;
mod token;
mod token_file;
mod trust_file;
mod version;
mod write;

use std::ffi::OsString;
use std::io::{IsTerminal, Read};

use clap::error::ErrorKind;
use clap::{ArgMatches, Command};

use failure::Failure;
use output::Output;

/// What every command may touch: the environment, standard input and the two outputs.
pub(crate) struct Context<'a> {
    environment: &'a dyn Fn(&str) -> Option<String>,
    input: &'a mut dyn Read,
    output: Output<'a>,
}

/// Exit code and nothing more, or what went wrong.
type Outcome = Result<u8, Failure>;

/// Runs the command line; the result is the process's exit code (0, 1 usage or network, 2 refused).
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

/// The same with everything it touches as an argument.
fn run(arguments: Vec<OsString>, mut context: Context<'_>) -> u8 {
    let tree = tree();
    let matches = match tree.clone().try_get_matches_from(arguments::normalise(&tree, arguments)) {
        Ok(matches) => matches,
        Err(error) => {
            return match arguments::unsupported(&error) {
                Some(text) => context.output.failure(&Failure::local(text)),
                None => context.output.usage(&error, is_help(&error)),
            };
        }
    };
    match dispatch(&mut context, &matches) {
        Ok(code) => code,
        Err(failure) => context.output.failure(&failure),
    }
}

fn is_help(error: &clap::Error) -> bool {
    matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion)
}

/// Every command there is.
fn tree() -> Command {
    Command::new("signet")
        .about("Issues workload certificates and speaks Vault's HTTP API")
        .version(env!("CARGO_PKG_VERSION"))
        .disable_version_flag(true)
        .arg(arguments::switch("version", "Print the version").alias("v"))
        .subcommand_required(false)
        .arg_required_else_help(true)
        .disable_help_subcommand(true)
        .after_help(
            "Start a server to play with:\n  \
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
            pki::command(),
            keystore::command(),
            login::command(),
            token::command(),
            token::print_command(),
            operator::command(),
            server::command(),
            config::command(),
            version::command(),
        ])
}

fn dispatch(context: &mut Context<'_>, matches: &ArgMatches) -> Outcome {
    let Some((name, matches)) = matches.subcommand() else { return version::run(context) };
    match name {
        "server" => server::run(context, matches),
        "config" => config::run(context, matches),
        "keystore" => keystore::run(context, matches),
        "version" => version::run(context),
        "print" => token::print(context, matches),
        _ => runtime()?.block_on(ask(context, name, matches)),
    }
}

/// The commands that talk to a server.
async fn ask(context: &mut Context<'_>, name: &str, matches: &ArgMatches) -> Outcome {
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
        // clap accepts no name that the tree lacks.
        other => Err(Failure::local(format!("no command is called {other}"))),
    }
}

/// One thread is plenty for one request after another.
fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::local(format!("cannot start: {error}")))
}

#[cfg(test)]
mod tests;
