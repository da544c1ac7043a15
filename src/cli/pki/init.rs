//! `signet pki init`: a root, an intermediate and a role for a trust domain, step by step.
//!
//! [`plan`] has the steps as data, [`found`] reads what the server has, [`status`] compares the
//! two. Nothing is written unless every step fits what is there, so that no mount, role or URL of
//! another use is changed, and an interrupted run is finished by the next one.

mod found;
mod parameters;
mod plan;
mod role;
mod run;
mod status;

use clap::{ArgMatches, Command};

use crate::cli::arguments::{flag, is_on, positional, switch};
use crate::cli::connection::with_connection;
use crate::cli::failure::CommandFailure;
use crate::cli::{CommandResult, Context};
use found::FoundState;
use plan::{InitParameters, InitStep, shell_word, steps};
use status::{StepStatus, status};

pub(super) fn command() -> Command {
    with_connection(
        Command::new("init")
            .about("Set up a root, an intermediate and a role for a SPIFFE trust domain")
            .override_usage("signet pki init [flags] PATH -spiffe=TRUST-DOMAIN")
            .arg(positional("PATH"))
            .arg(flag("spiffe", "TRUST-DOMAIN", "The trust domain, such as example.com"))
            .arg(switch("plan", "Print the steps as commands to paste, and do none of them"))
            .arg(flag("root-mount", "PATH", "Mount of the root; PATH-root if unset"))
            .arg(flag("role", "NAME", "Name of the role; spiffe if unset"))
            .arg(flag(
                "public-address",
                "URL",
                "Address in certificates, for issuers and revocation lists; that of the server if unset",
            ))
            .arg(flag("key", "KIND", "Key of root and intermediate: ec-256, ec-384, ec-521, rsa-2048, rsa-3072, rsa-4096 or ed25519; ec-256 if unset"))
            .arg(flag("root-ttl", "DURATION", "Lifetime of the root; 87600h (ten years) if unset"))
            .arg(flag("intermediate-ttl", "DURATION", "Lifetime of the intermediate; 8760h (a year) if unset"))
            .arg(flag("ttl", "DURATION", "Lifetime of a certificate of the role; 1h if unset"))
            .arg(flag("max-ttl", "DURATION", "Longest lifetime that a request of the role can ask for; 24h if unset"))
            .arg(flag("max-path-length", "NUMBER", "Intermediates that may follow the intermediate in a chain, such as one of SPIRE; 0 if unset"))
            .after_help(
                "PATH is the mount of the intermediate, which issues; the root has a mount of its own.\n\
                 The keys stay on the server. Steps that are done are left as they are: after an\n\
                 interruption the same line goes on. If a step does not fit what is there, nothing\n\
                 is written. docs/spiffe-role.md explains the role.\n\n\
                 Examples:\n  \
                 signet pki init -plan team/pki -spiffe=example.com\n  \
                 signet pki init team/pki -spiffe=example.com\n  \
                 signet pki init -public-address=http://pki.example.com -ttl=30m edge -spiffe=example.com",
            ),
    )
}

pub(super) async fn run(context: &mut Context<'_>, matches: &ArgMatches) -> CommandResult {
    let init = parameters::read(context, matches)?;
    let client = context.client(matches)?;
    let found = match FoundState::read(&client, &init).await {
        Ok(found) => found,
        // A plan needs no server.
        Err(failure) if is_on(matches, "plan") => {
            context.output.note(&format!(
                "What is done already is not known, so that every step is shown: {}",
                failure.text
            ));
            FoundState::default()
        }
        Err(failure) => return Err(failure),
    };
    let has_key = found.intermediate.key_names.iter().any(|name| name == plan::INTERMEDIATE_NAME);
    let steps: Vec<(InitStep, StepStatus)> = steps(&init, has_key)
        .into_iter()
        .map(|step| {
            let status = status(step.id, &init, &found);
            (step, status)
        })
        .collect();
    refuse_conflicts(&steps)?;
    if steps.iter().any(|(_, status)| *status == StepStatus::Open) {
        for note in parameters::notes(&init) {
            context.output.note(&note);
        }
    }
    let given = parameters::connection(matches);
    if is_on(matches, "plan") {
        print_plan(context, &init, &steps, &given)?;
    } else {
        run::run(context, &steps, &run::StepConnection::new(given, matches)).await?;
        context.output.line(&format!("\nTry next:\n  {}", next_line(&init)))?;
    }
    Ok(0)
}

/// Every conflict, before anything is written.
fn refuse_conflicts(steps: &[(InitStep, StepStatus)]) -> Result<(), CommandFailure> {
    let conflicts: Vec<String> = steps
        .iter()
        .filter_map(|(_, status)| match status {
            StepStatus::Conflict(why) => Some(format!("* {why}")),
            StepStatus::Done | StepStatus::Open => None,
        })
        .collect();
    if conflicts.is_empty() {
        return Ok(());
    }
    Err(CommandFailure::local(format!(
        "Nothing was written, since the plan does not fit what is there:\n{}",
        conflicts.join("\n")
    )))
}

/// A script for a POSIX shell: what is done already is a comment.
fn print_plan(
    context: &mut Context<'_>,
    init: &InitParameters,
    steps: &[(InitStep, StepStatus)],
    connection: &[(&'static str, String)],
) -> Result<(), CommandFailure> {
    let InitParameters { domain, mount, root_mount, role, .. } = init;
    let mut lines = vec![format!(
        "# Root in {root_mount}, intermediate in {mount} and role {role} for {domain}"
    )];
    lines.extend(
        connection
            .iter()
            .map(|(name, value)| format!("export {}", shell_word(&format!("{name}={value}")))),
    );
    for (number, (step, status)) in (1..).zip(steps) {
        let is_done = *status == StepStatus::Done;
        let (done, comment) = if is_done { (" (done)", "# ") } else { ("", "") };
        lines.push(format!("\n# {number}. {}{done}", step.summary));
        lines.push(format!("{comment}{}", step.shown()));
    }
    lines.push(format!("\n# Try next:\n# {}", next_line(init)));
    Ok(context.output.line(&lines.join("\n"))?)
}

fn next_line(init: &InitParameters) -> String {
    let InitParameters { domain, mount, role, .. } = init;
    format!("signet pki issue -mount={mount} -role={role} {domain}/you")
}
