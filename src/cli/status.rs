//! `signet status`: exit code 0 unsealed, 2 sealed, 1 unreachable.

use clap::{ArgMatches, Command};
use hyper::Method;
use serde::Serialize;

use super::arguments::{positional, words};
use super::connection::with_connection;
use super::failure::CommandFailure;
use super::render::{Display, OutputFormat, with_display};
use super::{CommandResult, Context, table};
use crate::client::{Client, Error};
use crate::wire::sys::{Leader, SealStatus};

/// Both answers as one JSON or YAML document, in Vault's names and order.
#[derive(Serialize)]
struct StatusOutput<'a> {
    r#type: &'a str,
    initialized: bool,
    sealed: bool,
    t: u32,
    n: u32,
    progress: u32,
    nonce: &'a str,
    version: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    build_date: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    commit_date: Option<&'a str>,
    migration: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    cluster_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cluster_id: Option<&'a str>,
    recovery_seal: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    recovery_seal_type: Option<&'a str>,
    storage_type: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    warnings: &'a [String],
    ha_enabled: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    is_self: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    active_time: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    leader_address: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    leader_cluster_address: Option<&'a str>,
}

impl<'a> StatusOutput<'a> {
    fn new(seal: &'a SealStatus, leader: &'a Leader) -> Self {
        let known = |text: &'a str| (!text.is_empty()).then_some(text);
        Self {
            r#type: &seal.kind,
            initialized: seal.initialized,
            sealed: seal.sealed,
            t: seal.t,
            n: seal.n,
            progress: seal.progress,
            nonce: &seal.nonce,
            version: &seal.version,
            build_date: seal.build_date.as_deref(),
            commit_date: seal.commit_date.as_deref(),
            migration: seal.migration,
            cluster_name: known(&seal.cluster_name),
            cluster_id: known(&seal.cluster_id),
            recovery_seal: seal.recovery_seal,
            recovery_seal_type: known(&seal.recovery_seal_type),
            storage_type: &seal.storage_type,
            warnings: &seal.warnings,
            ha_enabled: leader.ha_enabled,
            is_self: leader.is_self.then_some(true),
            // A time in year 1 is how Go writes an unknown time.
            active_time: known(&leader.active_time).filter(|time| !time.starts_with("0001-")),
            leader_address: known(&leader.leader_address),
            leader_cluster_address: known(&leader.leader_cluster_address),
        }
    }
}

pub(super) fn command() -> Command {
    with_display(with_connection(
        Command::new("status")
            .about("Print whether the server is initialised and sealed, and which server is active")
            .override_usage("signet status [flags]")
            .arg(positional(""))
            .after_help("Exit code: 0 unsealed, 2 sealed, 1 not reachable. A Signet server has no key shares; its seal\n\
                 counts as one share.\n\nExamples:\n  signet status\n  signet status -format=json"),
    ))
}

pub(super) async fn run(context: &mut Context<'_>, matches: &ArgMatches) -> CommandResult {
    let display = Display::cooked(context, matches)?;
    words(matches, 0, 0)?;
    // Exit code 2 means "sealed": no error may end this command with it.
    let client =
        context.client(matches).map_err(|failure| CommandFailure { code: 1, ..failure })?;
    let seal = seal_status(&client).await.map_err(|error| {
        CommandFailure::request("Error checking seal status", &error).with_code(1)
    })?;
    let leader = match client.raw(Method::GET, "sys/leader", &[], None).await {
        Ok(reply) => reply.bare(),
        Err(error) => Err(error),
    };
    let leader = match leader {
        Ok(leader) => leader,
        // This endpoint needs an unsealed server only if several servers share a store.
        Err(error) if error.says("is sealed") => Leader { ha_enabled: true, ..Leader::default() },
        Err(error) => {
            return Err(CommandFailure::local(format!("Error checking leader status: {error}")));
        }
    };
    let code = if seal.sealed { 2 } else { 0 };
    print(context, &display, &seal, &leader)?;
    Ok(code)
}

/// `GET sys/seal-status`.
pub(super) async fn seal_status(client: &Client) -> Result<SealStatus, Error> {
    client.raw(Method::GET, "sys/seal-status", &[], None).await?.bare()
}

fn print(
    context: &mut Context<'_>,
    display: &Display,
    seal: &SealStatus,
    leader: &Leader,
) -> CommandResult {
    let printed = StatusOutput::new(seal, leader);
    if let Some(name) = &display.field {
        let members = serde_json::to_value(printed).ok();
        let value = members.and_then(|members| members.get(name).cloned());
        return display.value(context, name, value);
    }
    if display.format != OutputFormat::Table {
        return display.whole(context, &printed);
    }
    context.output.line(&table::pairs(&rows(seal, leader)))?;
    Ok(0)
}

fn rows(seal: &SealStatus, leader: &Leader) -> Vec<(&'static str, String)> {
    let mut rows = vec![("Seal Type", seal.kind.clone())];
    if !seal.recovery_seal_type.is_empty() {
        rows.push(("Recovery Seal Type", seal.recovery_seal_type.clone()));
    }
    rows.push(("Initialized", seal.initialized.to_string()));
    rows.push(("Sealed", seal.sealed.to_string()));
    let shares = if seal.recovery_seal { "Total Recovery Shares" } else { "Total Shares" };
    rows.push((shares, seal.n.to_string()));
    rows.push(("Threshold", seal.t.to_string()));
    if seal.sealed {
        rows.push(("Unseal Progress", format!("{}/{}", seal.progress, seal.t)));
        rows.push(("Unseal Nonce", seal.nonce.clone()));
    }
    if seal.migration {
        rows.push(("Seal Migration in Progress", "true".to_owned()));
    }
    rows.push(("Version", seal.version.clone()));
    match &seal.commit_date {
        Some(date) => rows.push(("Commit Date", date.clone())),
        None => rows.push(("Build Date", seal.build_date.clone().unwrap_or_default())),
    }
    rows.push(("Storage Type", seal.storage_type.clone()));
    if !seal.cluster_name.is_empty() && !seal.cluster_id.is_empty() {
        rows.push(("Cluster Name", seal.cluster_name.clone()));
        rows.push(("Cluster ID", seal.cluster_id.clone()));
    }
    rows.push(("HA Enabled", leader.ha_enabled.to_string()));
    if leader.ha_enabled && !seal.sealed {
        rows.push(("HA Cluster", leader.leader_cluster_address.clone()));
        rows.push(("HA Mode", if leader.is_self { "active" } else { "standby" }.to_owned()));
        if leader.is_self {
            rows.push(("Active Since", leader.active_time.clone()));
        } else if !leader.leader_address.is_empty() {
            rows.push(("Active Node Address", leader.leader_address.clone()));
        }
    }
    rows
}
