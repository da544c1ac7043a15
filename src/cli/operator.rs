//! `signet operator init`.

use clap::{ArgMatches, Command};
use hyper::Method;
use serde::Serialize;

use super::arguments::{flag, is_on, positional, switch, text, words};
use super::connection::with_connection;
use super::failure::CommandFailure;
use super::render::{Display, OutputFormat, with_format};
use super::status::seal_status;
use super::{CommandResult, Context, paragraph};
use crate::client::Client;
use crate::wire::sys::{InitAnswer, InitRequest, InitStatus};

/// Flags of Vault's `operator init` and their short names.
const SHARES: [(&str, Option<&str>); 4] = [
    ("key-shares", Some("n")),
    ("key-threshold", Some("t")),
    ("recovery-shares", None),
    ("recovery-threshold", None),
];

pub(super) fn command() -> Command {
    Command::new("operator")
        .about("Operate a server: initialise it")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .after_help("Example:\n  signet operator init -status")
        .subcommand(with_format(with_connection(
            Command::new("init")
                .about("Initialise a new server and print its first token, which is shown only once")
                .override_usage("signet operator init [flags]")
                .arg(positional(""))
                .arg(switch("status", "Only print whether the server is initialised: exit code 0 if it is, 2 if not"))
                .args(SHARES.map(|(name, short)| {
                    // For Vault's servers: Signet's have no shares, and the help does not offer any.
                    let shares = flag(name, "NUMBER", "").hide(true);
                    match short { Some(short) => shares.alias(short), None => shares }
                }))
                .after_help(
                    "A Signet server opens its store with the key of its configuration: there are no key\n\
                     shares to keep and none to enter. Keep the token: it is the only one.\n\n\
                     Examples:\n  \
                     umask 077; signet operator init -format=json > init.json\n  \
                     signet operator init -status",
                ),
        )))
}

pub(super) async fn run(context: &mut Context<'_>, matches: &ArgMatches) -> CommandResult {
    // `init` is the only one; clap refuses any other.
    let Some((_, matches)) = matches.subcommand() else { return Ok(1) };
    let display = Display::cooked(context, matches)?;
    words(matches, 0, 0)?;
    let client = context.client(matches)?;
    if is_on(matches, "status") {
        return status(context, &client).await;
    }
    let seal =
        seal_status(&client).await.map_err(|error| CommandFailure::server(error.to_string()))?;
    let ask = ask(matches, seal.recovery_seal)?;
    let body =
        serde_json::to_vec(&ask).map_err(|error| CommandFailure::local(error.to_string()))?;
    let init: InitAnswer = client
        .raw(Method::PUT, "sys/init", &[], Some(body.into()))
        .await
        .and_then(crate::client::Reply::bare)
        .map_err(|error| CommandFailure::request("Error initializing", &error))?;
    if text(matches, "recovery-shares").is_some()
        && init.recovery_keys_base64.as_deref().unwrap_or_default().is_empty()
    {
        context.output.note("-recovery-shares had no effect: this server has no recovery key.");
    }
    if display.format == OutputFormat::Table {
        context.output.line(&as_text(&ask, &init))?;
        Ok(0)
    } else {
        display.whole(context, &InitOutput::new(&ask, &init))
    }
}

async fn status(context: &mut Context<'_>, client: &Client) -> CommandResult {
    let reply = client.raw(Method::GET, "sys/init", &[], None).await;
    let state: InitStatus = reply
        .and_then(crate::client::Reply::bare)
        .map_err(|error| CommandFailure::request("Error checking init status", &error))?;
    let (text, code) = if state.initialized {
        ("Signet is initialized", 0)
    } else {
        ("Signet is not initialized", 2)
    };
    context.output.line(text)?;
    Ok(code)
}

/// Vault's default of five shares, three of which unseal; recovery shares only when named.
fn ask(matches: &ArgMatches, recovers: bool) -> Result<InitRequest, CommandFailure> {
    let number = |name: &str, otherwise: u32| match text(matches, name) {
        None => Ok(otherwise),
        Some(given) => given.parse::<u32>().map_err(|_| {
            CommandFailure::local(format!(
                "invalid value {given:?} for flag -{name}: write a number"
            ))
        }),
    };
    let (shares, threshold) = if recovers { (0, 0) } else { (5, 3) };
    Ok(InitRequest {
        secret_shares: number("key-shares", shares)?,
        secret_threshold: number("key-threshold", threshold)?,
        recovery_shares: number("recovery-shares", if recovers { 5 } else { 0 })?,
        recovery_threshold: number("recovery-threshold", if recovers { 3 } else { 0 })?,
        ..InitRequest::default()
    })
}

/// As text.
fn as_text(ask: &InitRequest, init: &InitAnswer) -> String {
    let mut lines = Vec::new();
    let unseal = init.keys_base64.as_deref().unwrap_or_default();
    let recovery = init.recovery_keys_base64.as_deref().unwrap_or_default();
    for (kind, keys) in [("Unseal", unseal), ("Recovery", recovery)] {
        let numbered = keys.iter().enumerate();
        lines.extend(numbered.map(|(at, key)| format!("{kind} Key {}: {key}", at + 1)));
    }
    if !lines.is_empty() {
        lines.push(String::new());
    }
    lines.push(format!("Initial Root Token: {}", init.root_token));
    lines.push(String::new());
    if unseal.is_empty() {
        lines.push("Success! Signet is initialized".to_owned());
    } else {
        let (shares, threshold) = (ask.secret_shares, ask.secret_threshold);
        lines.push(paragraph::wrap(&format!("Signet initialized with {shares} key shares and a key threshold of {threshold}. Please securely distribute the key shares printed above. When Signet is re-sealed, restarted, or stopped, you must supply at least {threshold} of these keys to unseal it before it can start servicing requests."), 0));
        lines.push(String::new());
        lines.push(paragraph::wrap(&format!("Signet does not store the generated root key. Without at least {threshold} keys to reconstruct the root key, Signet will remain permanently sealed!"), 0));
    }
    if !recovery.is_empty() {
        let (shares, threshold) = (ask.recovery_shares, ask.recovery_threshold);
        lines.push(String::new());
        lines.push(paragraph::wrap(&format!("Recovery key initialized with {shares} key shares and a key threshold of {threshold}. Please securely distribute the key shares printed above."), 0));
    }
    lines.join("\n")
}

/// As JSON or YAML, in Vault's names and order.
#[derive(Serialize)]
struct InitOutput<'a> {
    unseal_keys_b64: &'a [String],
    unseal_keys_hex: &'a [String],
    unseal_shares: u32,
    unseal_threshold: u32,
    recovery_keys_b64: Option<&'a [String]>,
    recovery_keys_hex: Option<&'a [String]>,
    recovery_keys_shares: u32,
    recovery_keys_threshold: u32,
    root_token: &'a str,
}

impl<'a> InitOutput<'a> {
    fn new(ask: &InitRequest, init: &'a InitAnswer) -> Self {
        // A server that opens its store on its own may make no recovery key: then it has no shares.
        let has_recovery_keys =
            init.recovery_keys_base64.as_ref().is_some_and(|keys| !keys.is_empty());
        let of_recovery = |count| if has_recovery_keys { count } else { 0 };
        Self {
            unseal_keys_b64: init.keys_base64.as_deref().unwrap_or_default(),
            unseal_keys_hex: init.keys.as_deref().unwrap_or_default(),
            unseal_shares: ask.secret_shares,
            unseal_threshold: ask.secret_threshold,
            recovery_keys_b64: init.recovery_keys_base64.as_deref(),
            recovery_keys_hex: init.recovery_keys.as_deref(),
            recovery_keys_shares: of_recovery(ask.recovery_shares),
            recovery_keys_threshold: of_recovery(ask.recovery_threshold),
            root_token: &init.root_token,
        }
    }
}
