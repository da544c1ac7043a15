//! Unknown commands and flags: the nearest known one, or what Signet has instead.

use std::ffi::OsString;

use clap::Command;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use strsim::osa_distance;

use super::failure::CommandFailure;

/// The exit code of an unknown command, as in Vault's command line and in shells.
const NOT_FOUND: u8 = 127;

/// Commands of Vault and OpenBao that Signet does not have, and what to use instead.
const ABSENT: [(&str, &str); 42] = [
    ("agent", "run \"signet pki issue\" from a timer, or Vault's agent against this server"),
    ("audit", "there are no audit devices; the server's log names each request"),
    ("auth", "tokens are the only auth method; \"signet login\" keeps one"),
    ("debug", "\"signet status\" and the server's log show its state"),
    ("events", "there are no event notifications; the server's log names each request"),
    ("kv", "Signet stores no application secrets; its only engine is pki"),
    (
        "lease",
        "certificates have no leases; they expire, or \"signet write pki/revoke serial_number=…\" revokes one",
    ),
    ("license", "Signet needs no license"),
    ("monitor", "the server writes its log to standard error"),
    (
        "namespace",
        "there is one namespace; separate teams by mount: \"signet secrets enable -path=TEAM pki\"",
    ),
    ("path-help", "\"signet read PATH help=1\" shows what a path takes"),
    ("plugin", "the engines are part of the program; there are no plugins"),
    (
        "policy",
        "there are no policies yet; a role limits what is issued: \"signet read pki/roles/NAME\"",
    ),
    ("proxy", "clients use the address of the server"),
    ("scan", "\"signet list PATH\" lists one level"),
    ("ssh", "its only engine is pki"),
    ("transform", "its only engine is pki"),
    ("transit", "its only engine is pki"),
    ("unwrap", "answers are not wrapped"),
    ("version-history", "\"signet version\" prints the version of the program"),
    ("operator diagnose", "\"signet config check FILE\" finds faults of a configuration"),
    (
        "operator generate-root",
        "keep the token that \"signet operator init\" prints; it is printed once",
    ),
    ("operator key-status", "the server replaces the data key of the store on its own"),
    ("operator members", "a server runs alone"),
    ("operator migrate", "a store is not moved between kinds of storage"),
    ("operator raft", "a server runs alone, with its own store"),
    (
        "operator rekey",
        "the seal key is replaced in the configuration: previous_key and current_key of seal \"static\"",
    ),
    ("operator rotate", "the server replaces the data key of the store on its own"),
    ("operator seal", "stop the server to close its store"),
    ("operator step-down", "a server runs alone"),
    (
        "operator unseal",
        "the server opens its store with the key of its configuration when it starts",
    ),
    ("operator usage", "\"signet list pki/certs\" lists what was issued"),
    (
        "pki add-intermediate",
        "\"signet write pki/intermediate/generate/internal\" makes one, and the issuer signs its CSR",
    ),
    (
        "pki health-check",
        "\"signet read pki/issuer/default\" shows the issuer, \"signet status\" the server",
    ),
    ("pki list-intermediates", "\"signet list -detailed pki/issuers\" lists the issuers"),
    ("pki reissue", "\"signet pki issue\" issues a new certificate"),
    (
        "pki verify-sign",
        "\"openssl verify -CAfile bundle.pem -untrusted svid.pem svid.pem\" checks a chain",
    ),
    ("secrets move", "enable an engine at the new path and import the issuers"),
    ("token capabilities", "there are no policies yet"),
    (
        "token create",
        "the first token is the only one; other clients use it until there are policies",
    ),
    ("token renew", "the first token does not expire"),
    ("token revoke", "the first token is the only one"),
];

/// The failure for an unknown command or flag; `line` is what clap parsed.
pub(super) fn explain(
    tree: &Command,
    line: &[OsString],
    error: &clap::Error,
) -> Option<CommandFailure> {
    let (path, command) = addressed(tree, line);
    let context = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    match error.kind() {
        ErrorKind::InvalidSubcommand => {
            let mut failure =
                unknown_command(&path, command, context(ContextKind::InvalidSubcommand)?);
            if path == tree.get_name() {
                failure.code = NOT_FOUND;
            }
            Some(failure)
        }
        ErrorKind::UnknownArgument => {
            unknown_flag(&path, command, context(ContextKind::InvalidArg)?)
        }
        ErrorKind::InvalidValue if context(ContextKind::InvalidValue).is_none_or(str::is_empty) => {
            // `--format <FORMAT>`
            let (flag, value) = context(ContextKind::InvalidArg)?.split_once(' ')?;
            let name = flag.trim_start_matches('-');
            let value = value.trim_matches(['<', '>']);
            Some(
                CommandFailure::local(format!("-{name} has no value."))
                    .with_remedy(format!("write -{name}={value}, or leave it out.")),
            )
        }
        _ => None,
    }
}

/// The command that a line names, with its words: `signet pki issue`.
pub(super) fn addressed<'a>(tree: &'a Command, line: &[OsString]) -> (String, &'a Command) {
    let mut path = tree.get_name().to_owned();
    let mut command = tree;
    for word in line.iter().skip(1) {
        let Some(found) = command.find_subcommand(word) else { break };
        command = found;
        path = format!("{path} {}", found.get_name());
    }
    (path, command)
}

fn unknown_command(path: &str, command: &Command, given: &str) -> CommandFailure {
    let full = format!("{path} {given}");
    let of_vault = full.split_once(' ').map_or("", |(_, words)| words);
    if let Some((_, instead)) = ABSENT.iter().find(|(name, _)| *name == of_vault) {
        let version = env!("CARGO_PKG_VERSION");
        return CommandFailure::local(format!("\"{full}\" is not in Signet {version}: {instead}."));
    }
    let names: Vec<&str> = command.get_subcommands().map(Command::get_name).collect();
    let remedy = match nearest(given, names.iter().copied()) {
        Some(name) => format!("did you mean \"{path} {name}\"?"),
        None => format!("use one of {}.", names.join(", ")),
    };
    CommandFailure::local(format!("\"{full}\" is not a command."))
        .with_remedy(format!("{remedy} \"{path} --help\" describes the commands."))
}

fn unknown_flag(path: &str, command: &Command, given: &str) -> Option<CommandFailure> {
    let name = given.strip_prefix("--")?.split('=').next().unwrap_or_default();
    let known = command.get_arguments().filter_map(clap::Arg::get_long);
    let near = match nearest(name, known) {
        Some(near) => format!("did you mean -{near}? "),
        None => String::new(),
    };
    Some(
        CommandFailure::local(format!("-{name} is not a flag of \"{path}\"."))
            .with_remedy(format!("{near}\"{path} --help\" lists the flags.")),
    )
}

/// The name that differs from the given one by few letters, if there is one.
fn nearest<'a>(given: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let limit = match given.chars().count() {
        0..=2 => 0,
        3..=4 => 1,
        _ => 2,
    };
    names
        .map(|name| (osa_distance(given, name), name))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_near_name_is_suggested() {
        let tree = super::super::tree();
        let names = || tree.get_subcommands().map(Command::get_name);
        for (given, expected) in [
            ("statsu", Some("status")),
            ("reed", Some("read")),
            ("oprator", Some("operator")),
            ("auth", None),
            ("kv", None),
            ("x", None),
        ] {
            assert_eq!(nearest(given, names()), expected, "{given}");
        }
    }

    #[test]
    fn no_command_of_signet_is_listed_as_absent() {
        let tree = super::super::tree();
        for (name, _) in ABSENT {
            let line: Vec<OsString> =
                format!("signet {name}").split(' ').map(OsString::from).collect();
            assert_ne!(addressed(&tree, &line).0, format!("signet {name}"));
        }
    }
}
