//! `signet completion`: a script with which a shell completes commands and flags.

use clap::{ArgMatches, Command};
use clap_complete::{Generator, Shell};

use super::arguments::{positional, words};
use super::failure::CommandFailure;
use super::{CommandResult, Context, tree};

pub(super) fn command() -> Command {
    Command::new("completion")
        .about("Print the completion script of a shell: bash, zsh or fish")
        .override_usage("signet completion SHELL")
        .arg(positional("SHELL"))
        .after_help(
            "Examples:\n  \
             source <(signet completion bash)\n  \
             signet completion zsh > _signet\n  \
             signet completion fish > signet.fish",
        )
}

pub(super) fn run(context: &mut Context<'_>, matches: &ArgMatches) -> CommandResult {
    let words = words(matches, 1, 1)?;
    let shell = match words.first().map(String::as_str) {
        Some("bash") => Shell::Bash,
        Some("zsh") => Shell::Zsh,
        Some("fish") => Shell::Fish,
        other => {
            let name = other.unwrap_or_default();
            return Err(CommandFailure::local(format!("no completion for the shell {name:?}"))
                .with_remedy("write bash, zsh or fish."));
        }
    };
    let mut tree = tree();
    tree.set_bin_name("signet");
    tree.build();
    let mut script = Vec::new();
    shell.try_generate(&tree, &mut script)?;
    context.output.bytes(&script)?;
    Ok(0)
}
