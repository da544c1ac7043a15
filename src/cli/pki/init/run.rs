//! Runs the open steps of `signet pki init`: each is the command that the plan shows.

use std::collections::BTreeMap;
use std::ffi::OsString;

use clap::ArgMatches;

use super::plan::{InitStep, StepId, StepWord};
use super::status::StepStatus;
use crate::cli::arguments::{normalise, texts};
use crate::cli::failure::CommandFailure;
use crate::cli::output::Output;
use crate::cli::{Context, secrets, tree, write};

/// How the steps reach the server.
pub(super) struct StepConnection {
    /// Variables that win over the environment.
    variables: Vec<(&'static str, String)>,
    /// Flags that have no variable.
    headers: Vec<String>,
}

impl StepConnection {
    pub(super) fn new(variables: Vec<(&'static str, String)>, matches: &ArgMatches) -> Self {
        let headers =
            texts(matches, "header").iter().map(|text| format!("-header={text}")).collect();
        Self { variables, headers }
    }
}

/// Shows each step and does it, unless it is done.
///
/// # Errors
/// The step that failed; those before it are done.
pub(super) async fn run(
    context: &mut Context<'_>,
    steps: &[(InitStep, StepStatus)],
    connection: &StepConnection,
) -> Result<(), CommandFailure> {
    let mut variables = BTreeMap::new();
    for (number, (step, status)) in (1..).zip(steps) {
        let count = steps.len();
        context.output.line(&format!("{number}/{count} {}\n  {}", step.summary, step.shown()))?;
        if *status == StepStatus::Done {
            context.output.line("  already there, left as it is")?;
            continue;
        }
        let printed = run_step(context, step, &variables, connection).await.map_err(|failure| {
            CommandFailure {
                text: format!(
                    "Step {number} of {count} failed; the steps before it are done. Fix the problem, then run the same command again: it goes on here.\n{}",
                    failure.text
                ),
                ..failure
            }
        })?;
        if let Some(variable) = step.variable {
            // Other texts would be read as a file's name (`@FILE`), and the file sent.
            if !printed.starts_with("-----BEGIN ") {
                return Err(CommandFailure::server(format!(
                    "Step {number} of {count}: the server's answer is not used, since it is not PEM; is it the address of a Signet server?"
                )));
            }
            variables.insert(variable, printed);
        }
        context.output.line("  done")?;
    }
    Ok(())
}

/// What the step's command printed.
async fn run_step(
    context: &mut Context<'_>,
    step: &InitStep,
    variables: &BTreeMap<&'static str, String>,
    connection: &StepConnection,
) -> Result<String, CommandFailure> {
    let words = step.words.iter().map(|word| match word {
        StepWord::Text(text) => text.clone(),
        StepWord::Captured { parameter, variable } => {
            let value = variables.get(variable).map_or("", |text| text.trim_end());
            format!("{parameter}={value}")
        }
    });
    let line = std::iter::once("signet".to_owned()).chain(words).chain(connection.headers.clone());
    let tree = tree();
    let arguments = normalise(&tree, line.map(OsString::from).collect());
    let matches = tree
        .try_get_matches_from(arguments)
        .map_err(|error| CommandFailure::local(error.to_string()))?;
    let outer = context.environment;
    let environment = |name: &str| {
        let given = connection.variables.iter().find(|(variable, _)| *variable == name);
        given.map(|(_, value)| value.clone()).or_else(|| outer(name))
    };
    let (mut printed, mut notes) = (Vec::new(), Vec::new());
    let mut inner = Context {
        environment: &environment,
        input: &mut std::io::empty(),
        output: Output::new(&mut printed, &mut notes, false),
    };
    match matches.subcommand() {
        Some(("secrets", matches)) => secrets::run(&mut inner, matches).await,
        Some(("write", matches)) => write::run(&mut inner, matches).await,
        // The plan has no other command.
        _ => Err(CommandFailure::local("a step of the plan is neither secrets nor write")),
    }?;
    let notes = String::from_utf8_lossy(&notes);
    let is_expected = step.id == StepId::Root && is_about_urls_alone(&notes);
    if !is_expected && !notes.trim().is_empty() {
        context.output.note(notes.trim_end());
    }
    Ok(String::from_utf8_lossy(&printed).into_owned())
}

/// The one warning that the root's step announces.
fn is_about_urls_alone(notes: &str) -> bool {
    notes.matches("* ").count() == 1
        && notes.contains("hasn't configured any authority information access")
}
