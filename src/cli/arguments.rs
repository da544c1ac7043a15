//! Go's flags for clap: one dash or two, anywhere on the line, switches with or without value.
//!
//! The command line is rewritten before clap parses it. The command tree says whether a flag takes
//! the next argument as its value, so that `-description -x` sets the description to `-x`.

use std::ffi::{OsStr, OsString};

use clap::builder::TypedValueParser;
use clap::error::{ContextKind, ContextValue};
use clap::{Arg, ArgAction, ArgMatches, Command};

use super::failure::CommandFailure;
use super::remedy::Remedy;
use crate::go::parse_bool;

/// Flags of Vault's command line that ask for protection which this one does not give, and why.
const UNSUPPORTED: [(&str, &str); 10] = [
    ("wrap-ttl", "Signet does not wrap answers, so that private keys would be printed in clear"),
    ("mfa", "Signet asks for no second factor"),
    ("policy-override", "Signet has no policies that could be overridden"),
    ("pgp-keys", "Signet encrypts nothing for PGP, so that the output would be in clear"),
    ("recovery-pgp-keys", "Signet encrypts nothing for PGP and has no recovery keys"),
    ("root-token-pgp-key", "Signet encrypts nothing for PGP, so that the token would be in clear"),
    ("seal-wrap", "Signet encrypts its whole store once, and no value a second time"),
    ("external-entropy-access", "Signet uses the random numbers of this machine only"),
    ("output-curl-string", "this command line sends requests and does not print them"),
    ("output-policy", "this command line sends requests and does not print policies"),
];

/// The sentence for such a flag; nothing was sent.
pub(super) fn unsupported(error: &clap::Error) -> Option<String> {
    let Some(ContextValue::String(given)) = error.get(ContextKind::InvalidArg) else { return None };
    let given = given.trim_start_matches('-').split('=').next().unwrap_or_default();
    let (name, why) = UNSUPPORTED.iter().find(|(name, _)| *name == given)?;
    Some(format!("-{name} is not offered: {why}. Nothing was sent; leave the flag out."))
}

/// A flag with a value; given twice, the last one counts.
pub(crate) fn flag(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    Arg::new(name)
        .long(name)
        .value_name(value)
        .help(help)
        .overrides_with(name)
        .allow_hyphen_values(true)
}

/// A flag that may be given several times.
pub(super) fn repeated(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    Arg::new(name)
        .long(name)
        .value_name(value)
        .help(help)
        .action(ArgAction::Append)
        .allow_hyphen_values(true)
}

/// A flag that is on or off: `-x`, `-x=true`, `-x=0`.
pub(crate) fn switch(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name)
        .long(name)
        .help(help)
        .value_name("true|false")
        .num_args(0..=1)
        .require_equals(true)
        .default_missing_value("true")
        .hide_possible_values(true)
        .overrides_with(name)
        .value_parser(clap::builder::StringValueParser::new().try_map(|text| truth(&text)))
}

/// Whether the switch is given and on.
pub(crate) fn is_on(matches: &ArgMatches, name: &str) -> bool {
    matches.get_one::<bool>(name).copied().unwrap_or(false)
}

/// The value of a flag.
pub(crate) fn text<'a>(matches: &'a ArgMatches, name: &str) -> Option<&'a str> {
    matches.get_one::<String>(name).map(String::as_str)
}

/// The values of a repeated flag.
pub(super) fn texts(matches: &ArgMatches, name: &str) -> Vec<String> {
    matches.get_many::<String>(name).into_iter().flatten().cloned().collect()
}

/// The arguments beside flags; [`words`] checks their number.
pub(super) fn positional(name: &'static str) -> Arg {
    Arg::new("words").value_name(name).num_args(0..).hide(true)
}

/// The arguments beside flags, at least `least` and at most `most`.
pub(super) fn words(
    matches: &ArgMatches,
    least: usize,
    most: usize,
) -> Result<Vec<String>, CommandFailure> {
    let words = texts(matches, "words");
    let got = words.len();
    let at_least = if most == usize::MAX { "at least " } else { "" };
    if got < least {
        let text = format!("Not enough arguments (expected {at_least}{least}, got {got})");
        return Err(CommandFailure::local(text).remedied_by(Remedy::Usage));
    }
    if got > most {
        let text = format!("Too many arguments (expected {most}, got {got})");
        return Err(CommandFailure::local(text).remedied_by(Remedy::Usage));
    }
    Ok(words)
}

/// Rewrites `-flag=x` and `-flag x` to `--flag=x`, and moves flags in front of the command's name
/// behind it. The arguments after `--` are left as they are.
pub(super) fn normalise(tree: &Command, arguments: Vec<OsString>) -> Vec<OsString> {
    let mut arguments = arguments.into_iter();
    let mut line: Vec<OsString> = arguments.next().into_iter().collect();
    let mut early = Vec::new();
    let mut command = tree;
    let mut rest = Vec::new();
    for argument in arguments.by_ref() {
        match flag_name(&argument) {
            Some(name) if command.has_subcommands() && find(tree, name).is_none() => {
                early.push(argument);
            }
            None if command.has_subcommands() => match command.find_subcommand(&argument) {
                Some(found) => {
                    command = found;
                    line.push(argument);
                }
                None => {
                    rest.push(argument);
                    break;
                }
            },
            _ => {
                rest.push(argument);
                break;
            }
        }
    }
    let mut behind = early.into_iter().chain(rest).chain(arguments);
    while let Some(argument) = behind.next() {
        if argument == "--" {
            line.push(argument);
            line.extend(behind);
            break;
        }
        let rewritten = rewrite(command, &argument);
        match rewritten {
            Some((flag, true)) => match behind.next() {
                Some(value) => line.push(joined(&flag, &value)),
                None => line.push(flag),
            },
            Some((flag, false)) => line.push(flag),
            None => line.push(argument),
        }
    }
    line
}

/// The flag in clap's form, and whether the next argument is its value.
fn rewrite(command: &Command, argument: &OsStr) -> Option<(OsString, bool)> {
    let name = flag_name(argument)?;
    let text = argument.to_str()?.trim_start_matches('-');
    if matches!(text, "h" | "help") {
        return Some(("--help".into(), false));
    }
    let wants_value = !text.contains('=')
        && find(command, name).is_some_and(|found| {
            found.get_action().takes_values() && !found.is_require_equals_set()
        });
    Some((format!("--{text}").into(), wants_value))
}

/// `name` of `-name`, `--name` and `-name=x`; a single dash is not a flag, nor is a number.
fn flag_name(argument: &OsStr) -> Option<&str> {
    let text = argument.to_str()?.strip_prefix('-')?;
    let text = text.strip_prefix('-').unwrap_or(text);
    let name = text.split('=').next().unwrap_or_default();
    name.starts_with(|c: char| c.is_ascii_alphabetic()).then_some(name)
}

fn find<'a>(command: &'a Command, name: &str) -> Option<&'a Arg> {
    if matches!(name, "h" | "help") {
        return None;
    }
    command.get_arguments().find(|argument| {
        argument.get_long() == Some(name)
            || argument.get_all_aliases().is_some_and(|aliases| aliases.contains(&name))
    })
}

fn joined(flag: &OsStr, value: &OsStr) -> OsString {
    let mut joined = flag.to_owned();
    joined.push("=");
    joined.push(value);
    joined
}

/// Go's spellings of true and false.
pub(super) fn truth(text: &str) -> Result<bool, String> {
    parse_bool(text)
        .ok_or_else(|| format!("{text:?} is neither true nor false: write true or false"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normalised(line: &str) -> String {
        let arguments = line.split(' ').map(|word| word.replace('_', " ").into()).collect();
        let words = normalise(&super::super::tree(), arguments);
        let words: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
        words.join("|")
    }

    #[test]
    fn a_flag_has_one_dash_or_two_at_any_position() {
        for (line, expected) in [
            ("signet read -field=x pki/ca", "signet|read|--field=x|pki/ca"),
            ("signet read --field=x pki/ca", "signet|read|--field=x|pki/ca"),
            ("signet read pki/ca -field x", "signet|read|pki/ca|--field=x"),
            ("signet -address=a read x", "signet|read|--address=a|x"),
            ("signet secrets -address=a list", "signet|secrets|list|--address=a"),
            ("signet write -f x", "signet|write|--f|x"),
            ("signet write x -", "signet|write|x|-"),
            ("signet write x ttl=-1h", "signet|write|x|ttl=-1h"),
            ("signet write x -1", "signet|write|x|-1"),
            ("signet secrets tune -description -x pki", "signet|secrets|tune|--description=-x|pki"),
            (
                "signet secrets tune -description a_b pki",
                "signet|secrets|tune|--description=a b|pki",
            ),
            ("signet write x -- -f", "signet|write|x|--|-f"),
            ("signet -version", "signet|--version"),
            ("signet -h", "signet|--help"),
            ("signet read -h", "signet|read|--help"),
            ("signet", "signet"),
        ] {
            assert_eq!(normalised(line), expected, "{line}");
        }
    }

    #[test]
    fn a_switch_takes_no_following_word() {
        assert_eq!(normalised("signet write -force x"), "signet|write|--force|x");
        assert_eq!(normalised("signet list -detailed=false x"), "signet|list|--detailed=false|x");
    }

    #[test]
    fn the_command_tree_is_sound() {
        super::super::tree().debug_assert();
    }
}
