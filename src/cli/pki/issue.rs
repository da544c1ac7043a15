//! `signet pki issue`: from an identity to files that a service can load.

use std::os::unix::fs::MetadataExt;

use clap::{ArgMatches, Command};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::options::{FileFormat, IssueOptions};
use super::summary::{IssueSummary, shown};
use super::{exec, stored};
use crate::cli::arguments::{flag, positional, switch};
use crate::cli::connection::with_connection;
use crate::cli::failure::CommandFailure;
use crate::cli::file_set::{self, NamedFile, NewSet, ReplacementPlan};
use crate::cli::render::warn;
use crate::cli::{CommandResult, Context, svid};
use crate::client::{Client, Error};
use crate::clock::Clock;
use crate::wire::answer::Answer;

/// The exit code for files that are still good: nothing was done.
const STILL_GOOD: u8 = 3;

/// The exit code for a command of `-exec` that failed: the files are in place.
const COMMAND_FAILED: u8 = 4;

pub(super) fn command() -> Command {
    with_connection(
        Command::new("issue")
            .about("Issue an X.509-SVID and write it where a service can load it")
            .override_usage("signet pki issue [flags] spiffe://TRUST-DOMAIN/PATH [KEY=VALUE...]")
            .arg(positional("SPIFFE-ID"))
            .arg(flag("mount", "PATH", "Where the PKI engine is; pki if unset"))
            .arg(flag("role", "NAME", "The role to ask; spiffe if unset"))
            .arg(flag("out", "FOLDER", "Where the files go; the present folder if unset"))
            .arg(flag("format", "FORMAT", "The files: pem, pkcs12 or jks; pem if unset"))
            .arg(flag("output", "FORMAT", "What is printed: text or json; text if unset"))
            .arg(flag("password-file", "FILE", "Password of the key store and trust store, on its first line; changeit if unset"))
            .arg(flag("mode", "MODE", "Mode of key.pem or the key store, such as 0640; the other files get 0644. 0600 for all if unset"))
            .arg(flag("owner", "USER[:GROUP]", "Owner of key.pem or the key store, names or numbers; the present user if unset"))
            .arg(flag("if-expiring", "FRACTION", "Do nothing while more than this fraction of the lifetime remains: 1/3, 0.33 or 33%"))
            .arg(flag("exec", "COMMAND", "Run this by sh -c once the files have changed and are in place"))
            .arg(switch("force", "Replace files that Signet did not write").alias("f"))
            .arg(flag("ttl", "DURATION", "Lifetime of the certificate"))
            .arg(flag("common-name", "NAME", "Common name of the subject, where the role wants one"))
            .after_help(
                "pem writes svid.pem (with the intermediates), key.pem and bundle.pem (the roots); pkcs12\n\
                 and jks write a key store and a trust store. The set is replaced all at once, and\n\
                 only its owner can read it unless -mode or -owner is given. What Signet did not\n\
                 write is kept: with a name of the set it is refused unless -force is given. Further\n\
                 parameters of the request are KEY=VALUE.\n\n\
                 The command of -exec gets SIGNET_FOLDER, SIGNET_IDENTITY, SIGNET_SERIAL and\n\
                 SIGNET_EXPIRATION, and not the token. With -if-expiring, one that failed is run\n\
                 again by the next run.\n\n\
                 Exit code: 0 issued, 1 usage or files, 2 refused by the server or not reachable,\n\
                 3 nothing done since the files are still good (-if-expiring), 4 the files are in\n\
                 place and the command of -exec failed.\n\n\
                 Examples:\n  \
                 signet pki issue spiffe://example.com/payments/api\n  \
                 signet pki issue -format=pkcs12 -out=broker spiffe://example.com/broker\n  \
                 signet pki issue -out=web -mode=0640 -output=json spiffe://example.com/web\n  \
                 signet pki issue -out=api -if-expiring=1/3 -exec='echo renewed' spiffe://example.com/api",
            ),
    )
}

pub(super) async fn run(context: &mut Context<'_>, matches: &ArgMatches) -> CommandResult {
    let options = IssueOptions::read(context, matches)?;
    let plan = options.plan(options.format.names())?;
    let now = Clock::System.now();
    let kept = options
        .if_expiring
        // With -force, files that are not ours are to be replaced.
        .filter(|_| plan.foreign().is_empty())
        .and_then(|fraction| stored::still_good(&options, fraction, now));
    let summary = match kept {
        Some(summary) => summary,
        None => renew(context, matches, &options).await?,
    };
    finish(context, &options, summary)
}

/// Asks for a certificate and puts its files in place.
async fn renew(
    context: &mut Context<'_>,
    matches: &ArgMatches,
    options: &IssueOptions,
) -> Result<IssueSummary, CommandFailure> {
    let client = context.client(matches)?;
    let unwritable = |error| {
        CommandFailure::local(format!("Error writing the files: {error}"))
            .with_remedy("name a folder that this user can write with -out.")
    };
    file_set::prepare(&options.folder, options.access).map_err(unwritable)?;
    let answer = issue(&client, options, options.format.parameter()).await?;
    let warnings = answer.warnings.clone().unwrap_or_default();
    let data = answer.data.unwrap_or_default();
    let files = match options.format {
        FileFormat::Pem => svid::pem_set(&data, &options.identity).map_err(|why| {
            CommandFailure::server(format!(
                "The server's answer is not used, nothing is written: {why}"
            ))
        })?,
        FileFormat::Pkcs12 | FileFormat::Jks => stores(&client, options, &data).await?,
    };
    // Again, as close to the switch as can be, and for the names that it really has.
    let names: Vec<&'static str> = files.iter().map(|(name, _)| *name).collect();
    let plan = options.plan(&names)?;
    let set = NewSet {
        files,
        request: options.request().to_string().into_bytes(),
        has_command: options.command.is_some(),
        access: options.access,
    };
    let removed = file_set::replace(&options.folder, &set).map_err(unwritable)?;
    note_changes(context, options, &plan, &removed);
    warn(context, &warnings);
    let command_pending = set.has_command;
    let summary = IssueSummary::issued(&data);
    Ok(IssueSummary { files: names, removed, warnings, command_pending, ..summary })
}

/// Prints what was done and runs the command, if it is to be run: the exit code.
fn finish(
    context: &mut Context<'_>,
    options: &IssueOptions,
    mut summary: IssueSummary,
) -> CommandResult {
    // Before the command prints anything; a reader that has gone away must not keep it from running.
    let printed = if options.json { Ok(()) } else { context.output.line(&summary.text(options)) };
    let command = options.command.as_deref().filter(|_| summary.command_pending);
    let failure = command.and_then(|command| run_command(options, &mut summary, command).err());
    printed?;
    if options.json {
        let text = serde_json::to_string_pretty(&summary.json(options));
        let text = text.map_err(|error| CommandFailure::local(format!("cannot print: {error}")))?;
        context.output.line(&text)?;
    }
    match failure {
        Some(failure) => Err(failure),
        None if summary.issued || summary.command_code.is_some() => Ok(0),
        None => Ok(STILL_GOOD),
    }
}

fn run_command(
    options: &IssueOptions,
    summary: &mut IssueSummary,
    text: &str,
) -> Result<(), CommandFailure> {
    let status = exec::run(text, options, summary);
    summary.command_code = Some(status.as_ref().ok().and_then(std::process::ExitStatus::code));
    let why = match status {
        Ok(status) if status.success() => {
            file_set::command_succeeded(&options.folder);
            return Ok(());
        }
        Ok(status) => status.to_string(),
        Err(error) => error.to_string(),
    };
    Err(CommandFailure::local(format!(
        "The files in {} are in place, but the command of -exec failed ({why}): {text}\nRun it yourself, or run the same line again with -if-expiring, which repeats it.",
        options.folder.display()
    ))
    .with_code(COMMAND_FAILED))
}

async fn issue(
    client: &Client,
    options: &IssueOptions,
    format: &str,
) -> Result<Answer, CommandFailure> {
    let mut body = options.parameters.clone();
    body.insert("format".to_owned(), Value::String(format.to_owned()));
    if let Some(password) = &options.password {
        for name in options.format.password_parameters() {
            body.insert((*name).to_owned(), Value::String(password.expose().clone()));
        }
    }
    let path = options.path();
    let answer = client.write(&path, Some(&Value::Object(body))).await;
    let answer = answer.map_err(|error| refused(options, &error))?;
    answer.ok_or_else(|| {
        CommandFailure::server(format!("Error writing data to {path}: no certificate came back"))
    })
}

/// The server's refusal, with the next step where we know one.
fn refused(options: &IssueOptions, error: &Error) -> CommandFailure {
    let mut failure =
        CommandFailure::request(format_args!("Error writing data to {}", options.path()), error);
    if error.says("common_name field is required") {
        failure.text.push_str("\n\nTry -common-name=NAME, or set require_cn=false on the role.");
    }
    failure
}

/// Key store and trust store. The server hands over both where it can; otherwise the trust
/// store is asked for apart.
async fn stores(
    client: &Client,
    options: &IssueOptions,
    data: &Map<String, Value>,
) -> Result<Vec<NamedFile>, CommandFailure> {
    let key_store = archive(options, data.get("certificate"))?;
    let (trust_store, same_format) = match data.get("truststore") {
        Some(given) => (archive(options, Some(given))?, true),
        None => {
            let answer = issue(client, options, "pkcs12_truststore").await?;
            let data = answer.data.unwrap_or_default();
            (archive(options, data.get("certificate"))?, false)
        }
    };
    Ok(match options.format {
        FileFormat::Jks if same_format => {
            vec![("keystore.jks", key_store), ("truststore.jks", trust_store)]
        }
        FileFormat::Jks => vec![("keystore.jks", key_store), ("truststore.p12", trust_store)],
        _ => vec![("keystore.p12", key_store), ("truststore.p12", trust_store)],
    })
}

fn archive(
    options: &IssueOptions,
    value: Option<&Value>,
) -> Result<Zeroizing<Vec<u8>>, CommandFailure> {
    let wrong = |why: &str| {
        CommandFailure::server(format!(
            "The server's answer is not used, nothing is written: {why}; does it know format={}?",
            options.format.parameter()
        ))
    };
    let text = value.and_then(Value::as_str).ok_or_else(|| wrong("it holds no archive"))?;
    let bytes = data_encoding::BASE64
        .decode(text.trim().as_bytes())
        .map_err(|_| wrong("the archive is not base64"))?;
    // JKS starts with its magic number, PKCS#12 with a SEQUENCE (RFC 7292, section 4).
    let known = bytes.starts_with(&[0xfe, 0xed, 0xfe, 0xed]) || bytes.first() == Some(&0x30);
    if known { Ok(Zeroizing::new(bytes)) } else { Err(wrong("the archive is not a key store")) }
}

/// On standard error: files that are no longer there, files that Signet had not written, and a
/// folder that keeps the readers of -mode and -owner out.
fn note_changes(
    context: &mut Context<'_>,
    options: &IssueOptions,
    plan: &ReplacementPlan,
    removed: &[&str],
) {
    for path in plan.foreign() {
        context
            .output
            .note(&format!("Replaced {}, which Signet had not written (-force).", path.display()));
    }
    if !removed.is_empty() {
        let names: Vec<String> = removed.iter().map(|name| shown(&options.folder, name)).collect();
        context
            .output
            .note(&format!("Removed {} of the set that was here before.", names.join(" and ")));
    }
    let folder = options.folder.display();
    let mode = options.folder.metadata().map(|found| found.mode() & 0o777);
    if let (false, Ok(mode)) = (options.access.is_default(), mode)
        && mode & 0o011 == 0
    {
        context.output.note(&format!(
            "Only its owner can enter {folder} (mode {mode:04o}), whatever the mode of the files is: chmod 755 {folder}"
        ));
    }
}
