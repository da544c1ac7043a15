//! `signet keystore inspect`: what a PKCS#12 or JKS file holds, and what Java refuses in it.
//!
//! Only this module reads key stores: the server writes them and does not read them. Start reading at [`inspect`] in `report.rs`; `pkcs12.rs` and `jks.rs` open files.

mod algorithms;
mod java;
pub mod jks;
mod key_kind;
pub mod opened;
mod order;
pub mod pkcs12;
mod print;
mod report;

use std::fs::File;
use std::io::Read;
use std::sync::mpsc;
use std::time::Duration;

use clap::{ArgMatches, Command};
use data_encoding::BASE64_MIME_PERMISSIVE;

use super::arguments::{flag, positional, text, words};
use super::failure::CommandFailure;
use super::render::{Display, OutputFormat, with_format};
use super::{CommandResult, Context, pki, prompt};
use crate::ca::jks::MAGIC;
use crate::ca::keystore::{MAX_ARCHIVE, MAX_PASSWORD};
use crate::clock::Clock;
use crate::secret::Secret;
use opened::{KeyStoreOpenError, OtherFile};
use report::{KeyStoreFormat, Report, printable};

/// The most time that one file takes. It bounds what the outer structure does not show: iterations
/// inside encrypted parts, and thousands of entries.
const MAX_TIME: Duration = Duration::from_secs(20);

/// The mark of JCEKS, a format that only Java's own provider writes.
const JCEKS: u32 = 0xCECE_CECE;

pub(super) fn command() -> Command {
    Command::new("keystore")
        .about("Inspect key stores and trust stores")
        .after_help("Example:\n  signet keystore inspect -password-file=pw tls/keystore.p12")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(with_format(
            Command::new("inspect")
                .about("Show what a PKCS#12 or JKS file holds, and what Java refuses in it")
                .override_usage("signet keystore inspect [flags] FILE")
                .arg(positional("FILE"))
                .arg(flag("password-file", "FILE", "Password of the key store, on the first line of FILE (SIGNET_KEYSTORE_PASSWORD)"))
                .after_help(
                    "Shows the format and its algorithms, each entry with its alias, whether the private key\n\
                     belongs to the certificate, the order of the chain and gaps in it, when each certificate\n\
                     expires, and SPIFFE IDs. Neither keys nor the password are shown; no request is sent.\n\
                     Without -password-file and SIGNET_KEYSTORE_PASSWORD, the password is asked for at the\n\
                     terminal. The exit code is 2 for a file that cannot be opened, 0 otherwise.\n\n\
                     Examples:\n  \
                     signet keystore inspect -password-file=pw tls/keystore.p12\n  \
                     SIGNET_KEYSTORE_PASSWORD=changeit signet keystore inspect -format=json truststore.jks",
                ),
        ))
}

pub(super) fn run(context: &mut Context<'_>, matches: &ArgMatches) -> CommandResult {
    // `inspect` is the only one; clap refuses any other.
    let Some((_, matches)) = matches.subcommand() else { return Ok(1) };
    let display = Display::cooked(context, matches)?;
    let words = words(matches, 1, 1)?;
    let file = words.first().cloned().unwrap_or_default();
    let bytes = read_file(&file)?;
    let kind = kind_of(&bytes).map_err(|error| refused(&file, &error))?;
    let password = password(context, matches)?;
    let now = Clock::System.now();
    let work = {
        let file = file.clone();
        move || report::inspect(&file, kind, &bytes, &password, now)
    };
    let report = within(MAX_TIME, work).map_err(|error| refused(&file, &error))?;
    show(context, &display, &report)
}

fn show(context: &mut Context<'_>, display: &Display, report: &Report) -> CommandResult {
    if display.format != OutputFormat::Table {
        return display.whole(context, report);
    }
    context.output.line(&print::text(report))?;
    Ok(0)
}

/// The bytes of a file, at most one more than the limit, which shows that it is too large.
fn read_file(file: &str) -> Result<Vec<u8>, CommandFailure> {
    let limit = u64::try_from(MAX_ARCHIVE).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    File::open(file).and_then(|open| open.take(limit).read_to_end(&mut bytes)).map_err(
        |error| {
            CommandFailure::local(format!("{} cannot be read: {error}", printable(file)))
                .with_remedy("name a key store that this user can read.")
        },
    )?;
    Ok(bytes)
}

/// The format of a file by its first bytes, before the password is asked for.
fn kind_of(bytes: &[u8]) -> Result<KeyStoreFormat, KeyStoreOpenError> {
    if bytes.is_empty() {
        return Err(KeyStoreOpenError::Empty);
    }
    if bytes.len() > MAX_ARCHIVE {
        return Err(KeyStoreOpenError::TooLarge);
    }
    if bytes.starts_with(&MAGIC.to_be_bytes()) {
        return Ok(KeyStoreFormat::Jks);
    }
    if bytes.starts_with(&JCEKS.to_be_bytes()) {
        return Err(KeyStoreOpenError::Unsupported("the format JCEKS".to_owned()));
    }
    if let Some(other) = text_of_other_kind(bytes) {
        return Err(KeyStoreOpenError::OtherFile(other));
    }
    pkcs12::read(bytes).and_then(|pfx| pkcs12::outline(&pfx))?;
    Ok(KeyStoreFormat::Pkcs12)
}

fn text_of_other_kind(bytes: &[u8]) -> Option<OtherFile> {
    let text = std::str::from_utf8(bytes).ok()?;
    if text.contains("-----BEGIN ") {
        return Some(OtherFile::Pem);
    }
    let decoded = BASE64_MIME_PERMISSIVE.decode(text.trim().as_bytes()).ok()?;
    let is_store = decoded.starts_with(&MAGIC.to_be_bytes()) || decoded.first() == Some(&0x30);
    is_store.then_some(OtherFile::Base64)
}

/// From the flag, the environment, or the terminal.
fn password(
    context: &mut Context<'_>,
    matches: &ArgMatches,
) -> Result<Secret<String>, CommandFailure> {
    let given = match text(matches, "password-file") {
        Some(file) => pki::password(file).map_err(|failure| {
            failure.with_remedy("name a file whose first line is the password with -password-file.")
        })?,
        None => match (context.environment)("SIGNET_KEYSTORE_PASSWORD") {
            // A password may be empty, so an empty variable is not treated as unset.
            Some(password) => Secret::new(password),
            None => {
                let no_terminal = "There is no terminal to ask for the password of the key store. Give it with -password-file=FILE or SIGNET_KEYSTORE_PASSWORD.";
                let mut typed = prompt::ask(context, "Password of the key store", no_terminal)?;
                Secret::new(std::mem::take(&mut *typed))
            }
        },
    };
    if given.expose().chars().take(MAX_PASSWORD + 1).count() > MAX_PASSWORD {
        return Err(CommandFailure::local(format!(
            "The password has more than {MAX_PASSWORD} characters: name a file that holds only the password."
        )));
    }
    Ok(given)
}

/// A file that is not opened: what is wrong with it, and the next step. Exit code 2.
fn refused(file: &str, error: &KeyStoreOpenError) -> CommandFailure {
    let file = printable(file);
    CommandFailure::server(format!("{file}: {error}. {}", error.remedy(&file)))
}

/// The result of the work, or an error if it takes longer than the limit. The thread then goes on
/// until the process ends, which is soon after.
fn within<T: Send + 'static>(
    limit: Duration,
    work: impl FnOnce() -> Result<T, KeyStoreOpenError> + Send + 'static,
) -> Result<T, KeyStoreOpenError> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        // After the limit there is no receiver.
        let _ = sender.send(work());
    });
    match receiver.recv_timeout(limit) {
        Ok(result) => result,
        Err(mpsc::RecvTimeoutError::Timeout) => Err(KeyStoreOpenError::TooCostly(None)),
        // A panic in a library, on a file that it does not expect.
        Err(mpsc::RecvTimeoutError::Disconnected) => {
            Err(KeyStoreOpenError::Malformed("it cannot be read".to_owned()))
        }
    }
}

#[cfg(test)]
mod tests;
