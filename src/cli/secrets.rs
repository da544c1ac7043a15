//! `signet secrets enable | tune | list | disable`.

use std::collections::BTreeMap;

use clap::{ArgMatches, Command};
use hyper::Method;
use serde::Serialize;
use serde_json::Value;

use super::arguments::{flag, is_on, positional, repeated, switch, text, texts, words};
use super::connection::with_connection;
use super::failure::CommandFailure;
use super::render::{Display, OutputFormat, warn, with_format};
use super::{CommandResult, Context, duration, table};
use crate::client::Reply;
use crate::go;
use crate::wire::answer::Answer;
use crate::wire::sys::{EnableRequest, MountAnswer, MountSettings, TuneRequest};

pub(super) fn command() -> Command {
    Command::new("secrets")
        .about("Enable, tune, list and disable engines")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .after_help("Example:\n  signet secrets list")
        .subcommands([enable_command(), tune_command(), list_command(), disable_command()])
}

fn enable_command() -> Command {
    with_connection(with_tuning(
        Command::new("enable")
            .about("Enable an engine at a path")
            .override_usage("signet secrets enable [flags] TYPE")
            .arg(positional("TYPE"))
            .arg(flag("path", "PATH", "Path of the engine; its type if unset"))
            .arg(switch("local", "Keep the engine on this cluster"))
            .after_help(
                "Examples:\n  \
                 signet secrets enable pki\n  \
                 signet secrets enable -path=pki_int -max-lease-ttl=43800h pki",
            ),
    ))
}

fn tune_command() -> Command {
    with_connection(with_tuning(
        Command::new("tune")
            .about("Change lifetimes and other settings of a mounted engine")
            .override_usage("signet secrets tune [flags] PATH")
            .arg(positional("PATH"))
            .after_help("Example:\n  signet secrets tune -max-lease-ttl=8760h pki"),
    ))
}

fn list_command() -> Command {
    with_format(with_connection(
        Command::new("list")
            .about("List mounted engines")
            .override_usage("signet secrets list [flags]")
            .arg(positional(""))
            .arg(switch("detailed", "Also print lifetimes, options and versions"))
            .after_help("Example:\n  signet secrets list -format=json"),
    ))
}

fn disable_command() -> Command {
    with_connection(
        Command::new("disable")
            .about("Disable an engine and delete all its data")
            .override_usage("signet secrets disable [flags] PATH")
            .arg(positional("PATH"))
            .after_help("Example:\n  signet secrets disable pki_int"),
    )
}

fn with_tuning(command: Command) -> Command {
    let header = "A request header that is passed to the engine; repeatable";
    command.args([
        flag("description", "TEXT", "Description of the engine"),
        flag(
            "default-lease-ttl",
            "DURATION",
            "Lifetime of a certificate if the request names none",
        ),
        flag("max-lease-ttl", "DURATION", "Longest lifetime of a certificate"),
        switch("force-no-cache", "Cache nothing"),
        flag("version", "NUMBER", "Version of the engine"),
        repeated("options", "KEY=VALUE", "An option of the engine; repeatable"),
        repeated(
            "audit-non-hmac-request-keys",
            "KEY",
            "A key that the audit log shows in clear; repeatable",
        ),
        repeated(
            "audit-non-hmac-response-keys",
            "KEY",
            "A key that the audit log shows in clear; repeatable",
        ),
        repeated("passthrough-request-headers", "NAME", header),
        repeated(
            "allowed-response-headers",
            "NAME",
            "A header that the engine may set in its answer; repeatable",
        ),
        flag("listing-visibility", "VALUE", "unauth or hidden"),
    ])
}

pub(super) async fn run(context: &mut Context<'_>, matches: &ArgMatches) -> CommandResult {
    match matches.subcommand() {
        Some(("enable", matches)) => enable(context, matches).await,
        Some(("tune", matches)) => tune(context, matches).await,
        Some(("disable", matches)) => disable(context, matches).await,
        Some((_, matches)) => list(context, matches).await,
        None => Ok(1),
    }
}

async fn enable(context: &mut Context<'_>, matches: &ArgMatches) -> CommandResult {
    let words = words(matches, 1, 1)?;
    let kind = words.first().cloned().unwrap_or_default();
    let path = text(matches, "path").unwrap_or(&kind).trim_matches('/').to_owned();
    let options = options(matches)?;
    let ask = EnableRequest {
        description: text(matches, "description").unwrap_or_default().to_owned(),
        config: TuneRequest { options: None, ..tuning(matches, "0s")? },
        local: is_on(matches, "local"),
        seal_wrap: false,
        external_entropy_access: false,
        options,
        kind,
    };
    let client = context.client(matches)?;
    let answer = client
        .post(&format!("sys/mounts/{path}"), &ask)
        .await
        .map_err(|error| CommandFailure::request("Error enabling", &error))?;
    let kind = ask.kind;
    context.output.line(&format!("Success! Enabled the {kind} secrets engine at: {path}/"))?;
    warn_of(context, answer);
    Ok(0)
}

async fn tune(context: &mut Context<'_>, matches: &ArgMatches) -> CommandResult {
    let words = words(matches, 1, 1)?;
    let path = words.first().map_or("", |path| path.trim_matches('/'));
    let mut ask = tuning(matches, "")?;
    ask.description = text(matches, "description").map(str::to_owned);
    ask.options = options(matches)?;
    let client = context.client(matches)?;
    let answer = client.post(&format!("sys/mounts/{path}/tune"), &ask).await.map_err(|error| {
        CommandFailure::request(format_args!("Error tuning secrets engine {path}/"), &error)
    })?;
    context.output.line(&format!("Success! Tuned the secrets engine at: {path}/"))?;
    warn_of(context, answer);
    Ok(0)
}

async fn disable(context: &mut Context<'_>, matches: &ArgMatches) -> CommandResult {
    let words = words(matches, 1, 1)?;
    let path = words.first().map_or("", |path| path.trim_matches('/'));
    let client = context.client(matches)?;
    let answer = client.delete(&format!("sys/mounts/{path}"), &[]).await.map_err(|error| {
        CommandFailure::request(format_args!("Error disabling secrets engine at {path}/"), &error)
    })?;
    let text = format!("Success! Disabled the secrets engine (if it existed) at: {path}/");
    context.output.line(&text)?;
    warn_of(context, answer);
    Ok(0)
}

/// Prints the warnings of an answer that has nothing else to print.
fn warn_of(context: &mut Context<'_>, answer: Option<Answer>) {
    let warnings = answer.and_then(|answer| answer.warnings);
    warn(context, warnings.as_deref().unwrap_or_default());
}

async fn list(context: &mut Context<'_>, matches: &ArgMatches) -> CommandResult {
    let display = Display::cooked(context, matches)?;
    words(matches, 0, 0)?;
    let client = context.client(matches)?;
    let failed = |error| CommandFailure::request("Error listing secrets engines", &error);
    let answer = client
        .raw(Method::GET, "sys/mounts", &[], None)
        .await
        .and_then(Reply::answer)
        .map_err(failed)?;
    let mounts = Value::Object(answer.and_then(|answer| answer.data).unwrap_or_default());
    let mounts: BTreeMap<String, MountAnswer> =
        serde_json::from_value(mounts).map_err(|error| {
            CommandFailure::server(format!(
                "Error listing secrets engines: an entry is malformed: {error}"
            ))
        })?;
    if display.format != OutputFormat::Table {
        let printed: BTreeMap<_, _> =
            mounts.iter().map(|(path, mount)| (path, PrintedMount::new(mount))).collect();
        return display.whole(context, &printed);
    }
    let rows = if is_on(matches, "detailed") { detailed(&mounts) } else { brief(&mounts) };
    context.output.line(&table::columns(&rows))?;
    Ok(0)
}

fn brief(mounts: &BTreeMap<String, MountAnswer>) -> Vec<Vec<String>> {
    let mut rows = vec![row(&["Path", "Type", "Accessor", "Description"])];
    rows.extend(
        mounts
            .iter()
            .map(|(path, mount)| row(&[path, &mount.kind, &mount.accessor, &mount.description])),
    );
    rows
}

fn detailed(mounts: &BTreeMap<String, MountAnswer>) -> Vec<Vec<String>> {
    let mut rows = vec![row(&[
        "Path",
        "Plugin",
        "Accessor",
        "Default TTL",
        "Max TTL",
        "Force No Cache",
        "Replication",
        "Seal Wrap",
        "External Entropy Access",
        "Options",
        "Description",
        "UUID",
        "Version",
        "Running Version",
        "Running SHA256",
        "Deprecation Status",
    ])];
    rows.extend(mounts.iter().map(|(path, mount)| {
        let lifetime = |seconds: i64| match (mount.kind.as_str(), seconds) {
            ("system" | "cubbyhole", _) => String::new(),
            (_, 0) => "system".to_owned(),
            (_, seconds) => seconds.to_string(),
        };
        let options = serde_json::to_value(mount.options.clone().unwrap_or_default());
        row(&[
            path,
            &mount.kind,
            &mount.accessor,
            &lifetime(mount.config.default_lease_ttl),
            &lifetime(mount.config.max_lease_ttl),
            &mount.config.force_no_cache.to_string(),
            if mount.local { "local" } else { "replicated" },
            &mount.seal_wrap.to_string(),
            &mount.external_entropy_access.to_string(),
            &table::go(&options.unwrap_or_default()),
            &mount.description,
            &mount.uuid,
            &mount.plugin_version,
            &mount.running_plugin_version,
            &mount.running_sha256,
            mount.deprecation_status.as_deref().unwrap_or_default(),
        ])
    }));
    rows
}

/// A mount as JSON or YAML, in Vault's names and order.
#[derive(Serialize)]
struct PrintedMount<'a> {
    uuid: &'a str,
    r#type: &'a str,
    description: &'a str,
    accessor: &'a str,
    config: PrintedConfig<'a>,
    options: Option<&'a BTreeMap<String, String>>,
    local: bool,
    seal_wrap: bool,
    external_entropy_access: bool,
    plugin_version: &'a str,
    running_plugin_version: &'a str,
    running_sha256: &'a str,
    deprecation_status: &'a str,
}

#[derive(Serialize)]
struct PrintedConfig<'a> {
    default_lease_ttl: i64,
    max_lease_ttl: i64,
    force_no_cache: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    audit_non_hmac_request_keys: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    audit_non_hmac_response_keys: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    listing_visibility: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    passthrough_request_headers: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    allowed_response_headers: Option<&'a [String]>,
}

impl<'a> PrintedMount<'a> {
    fn new(mount: &'a MountAnswer) -> Self {
        let (config, settings) = (&mount.config, &mount.config.settings);
        Self {
            uuid: &mount.uuid,
            r#type: &mount.kind,
            description: &mount.description,
            accessor: &mount.accessor,
            config: PrintedConfig {
                default_lease_ttl: config.default_lease_ttl,
                max_lease_ttl: config.max_lease_ttl,
                force_no_cache: config.force_no_cache,
                audit_non_hmac_request_keys: settings.audit_non_hmac_request_keys.as_deref(),
                audit_non_hmac_response_keys: settings.audit_non_hmac_response_keys.as_deref(),
                listing_visibility: settings.listing_visibility.as_deref(),
                passthrough_request_headers: settings.passthrough_request_headers.as_deref(),
                allowed_response_headers: settings.allowed_response_headers.as_deref(),
            },
            options: mount.options.as_ref(),
            local: mount.local,
            seal_wrap: mount.seal_wrap,
            external_entropy_access: mount.external_entropy_access,
            plugin_version: &mount.plugin_version,
            running_plugin_version: &mount.running_plugin_version,
            running_sha256: &mount.running_sha256,
            deprecation_status: mount.deprecation_status.as_deref().unwrap_or_default(),
        }
    }
}

fn row(cells: &[&str]) -> Vec<String> {
    cells.iter().map(|cell| (*cell).to_owned()).collect()
}

/// The settings that enabling and tuning share; `unset` is the value of a lifetime without a flag.
fn tuning(matches: &ArgMatches, unset: &str) -> Result<TuneRequest, CommandFailure> {
    let lifetime = |name: &str| match text(matches, name) {
        None => Ok(unset.to_owned()),
        Some(given) => match duration::parse(given) {
            Ok(span) if span.whole_seconds() < 0 => Ok("system".to_owned()),
            Ok(span) => Ok(go::duration::format(span.whole_seconds())),
            Err(why) => Err(CommandFailure::local(format!(
                "invalid value {given:?} for flag -{name}: {why}"
            ))),
        },
    };
    let several = |name: &str| Some(texts(matches, name)).filter(|texts| !texts.is_empty());
    Ok(TuneRequest {
        default_lease_ttl: lifetime("default-lease-ttl")?,
        description: None,
        max_lease_ttl: lifetime("max-lease-ttl")?,
        force_no_cache: is_on(matches, "force-no-cache"),
        options: None,
        settings: MountSettings {
            allowed_response_headers: several("allowed-response-headers"),
            audit_non_hmac_request_keys: several("audit-non-hmac-request-keys"),
            audit_non_hmac_response_keys: several("audit-non-hmac-response-keys"),
            passthrough_request_headers: several("passthrough-request-headers"),
            listing_visibility: text(matches, "listing-visibility").map(str::to_owned),
            ..MountSettings::default()
        },
    })
}

fn options(matches: &ArgMatches) -> Result<Option<BTreeMap<String, String>>, CommandFailure> {
    let mut options = BTreeMap::new();
    for given in texts(matches, "options") {
        let (name, value) = given.split_once('=').ok_or_else(|| {
            CommandFailure::local(format!(
                "invalid value {given:?} for flag -options: missing = in KV pair: {given:?}"
            ))
        })?;
        options.insert(name.to_owned(), value.to_owned());
    }
    if let Some(version) = text(matches, "version") {
        options.insert("version".to_owned(), version.to_owned());
    }
    Ok(Some(options).filter(|options| !options.is_empty()))
}
