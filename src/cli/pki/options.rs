//! What a line of `signet pki issue` asks for.

use std::path::PathBuf;

use clap::ArgMatches;
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use super::fraction::Fraction;
use crate::cli::arguments::{is_on, text, words};
use crate::cli::failure::CommandFailure;
use crate::cli::file_set::{FileAccess, ReplacementPlan, ReplacementRefusal};
use crate::cli::{Context, data};
use crate::secret::Secret;

/// The password of a key store that is asked for without one.
const DEFAULT_PASSWORD: &str = "changeit";

/// Parameters that hold a secret.
const PASSWORDS: [&str; 2] = ["pkcs12_password", "jks_password"];

/// What the files are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileFormat {
    Pem,
    Pkcs12,
    Jks,
}

/// The line, read and checked.
pub(super) struct IssueOptions {
    pub(super) identity: String,
    pub(super) mount: String,
    pub(super) role: String,
    pub(super) format: FileFormat,
    pub(super) folder: PathBuf,
    pub(super) force: bool,
    pub(super) password: Option<Secret<String>>,
    pub(super) parameters: Map<String, Value>,
    pub(super) access: FileAccess,
    pub(super) if_expiring: Option<Fraction>,
    pub(super) command: Option<String>,
    pub(super) json: bool,
}

impl FileFormat {
    fn read(text: &str) -> Result<Self, CommandFailure> {
        match text {
            "pem" => Ok(Self::Pem),
            "pkcs12" | "p12" | "pkcs12_bundle" => Ok(Self::Pkcs12),
            "jks" | "jks_bundle" => Ok(Self::Jks),
            "json" | "yaml" | "table" => Err(CommandFailure::local(format!(
                "-format={text}: here -format names the files, pem, pkcs12 or jks; what is printed is named by -output=json"
            ))),
            other => Err(CommandFailure::local(format!(
                "Invalid format: {other}; write pem, pkcs12 or jks"
            ))),
        }
    }

    /// As `-format` has it.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Pem => "pem",
            Self::Pkcs12 => "pkcs12",
            Self::Jks => "jks",
        }
    }

    /// As the parameter `format` of the request has it.
    pub(super) const fn parameter(self) -> &'static str {
        match self {
            Self::Pem => "pem",
            Self::Pkcs12 => "pkcs12_bundle",
            Self::Jks => "jks_bundle",
        }
    }

    /// The names of the files, as far as they are known before the server answers.
    pub(super) const fn names(self) -> &'static [&'static str] {
        match self {
            Self::Pem => &["svid.pem", "key.pem", "bundle.pem"],
            Self::Pkcs12 => &["keystore.p12", "truststore.p12"],
            Self::Jks => &["keystore.jks", "truststore.jks"],
        }
    }

    /// The parameters that take the password.
    pub(super) const fn password_parameters(self) -> &'static [&'static str] {
        match self {
            Self::Pem => &[],
            Self::Pkcs12 => &["pkcs12_password"],
            // A trust store in PKCS#12 stands beside a JKS of a server that writes no other.
            Self::Jks => &["jks_password", "pkcs12_password"],
        }
    }
}

impl IssueOptions {
    /// From the flags and arguments.
    pub(super) fn read(
        context: &mut Context<'_>,
        matches: &ArgMatches,
    ) -> Result<Self, CommandFailure> {
        let words = words(matches, 1, usize::MAX)?;
        let (identity, pairs) =
            words.split_first().ok_or_else(|| CommandFailure::local("No SPIFFE ID"))?;
        if !identity.starts_with("spiffe://") {
            return Err(CommandFailure::local(format!(
                "{identity:?} is not a SPIFFE ID: write spiffe://TRUST-DOMAIN/PATH. Other certificates come from \"signet write pki/issue/ROLE common_name=…\"."
            )));
        }
        let format = FileFormat::read(text(matches, "format").unwrap_or("pem"))?;
        if format == FileFormat::Pem && text(matches, "password-file").is_some() {
            return Err(CommandFailure::local(
                "-password-file has no effect on PEM files, whose key is not encrypted: add -format=pkcs12 or -format=jks, or leave it out",
            ));
        }
        let command = text(matches, "exec").map(str::to_owned);
        if command.as_deref().is_some_and(|command| command.trim().is_empty()) {
            return Err(CommandFailure::local("-exec is empty: write a command, or leave it out"));
        }
        let fraction = text(matches, "if-expiring").map(Fraction::parse);
        let access = FileAccess::read(text(matches, "mode"), text(matches, "owner"));
        Ok(Self {
            identity: identity.clone(),
            mount: text(matches, "mount").unwrap_or("pki").trim_matches('/').to_owned(),
            role: text(matches, "role").unwrap_or("spiffe").to_owned(),
            format,
            folder: PathBuf::from(text(matches, "out").unwrap_or(".")),
            force: is_on(matches, "force"),
            password: text(matches, "password-file").map(password).transpose()?,
            parameters: parameters(context, matches, identity, pairs)?,
            access: access.map_err(CommandFailure::local)?,
            if_expiring: fraction.transpose().map_err(CommandFailure::local)?,
            command,
            json: json_output(matches)?,
        })
    }

    /// Where the request goes.
    pub(super) fn path(&self) -> String {
        format!("{}/issue/{}", self.mount, self.role)
    }

    /// What is asked from the server, without passwords: kept beside the files, so that a later
    /// run knows whether it asks for the same.
    pub(super) fn request(&self) -> Value {
        let mut parameters = self.parameters.clone();
        parameters.retain(|name, _| !PASSWORDS.contains(&name.as_str()));
        json!({ "path": self.path(), "format": self.format.as_str(), "parameters": parameters })
    }

    /// The password that the key store has.
    pub(super) fn store_password(&self) -> Secret<String> {
        let parameter = self.format.password_parameters().first();
        let given = parameter.and_then(|name| self.parameters.get(*name)).and_then(Value::as_str);
        match (&self.password, given) {
            (Some(password), _) => Secret::new(password.expose().clone()),
            (None, given) => Secret::new(given.unwrap_or(DEFAULT_PASSWORD).to_owned()),
        }
    }

    /// What a set of these names replaces.
    pub(super) fn plan(&self, names: &[&str]) -> Result<ReplacementPlan, CommandFailure> {
        ReplacementPlan::make(&self.folder, names, self.force).map_err(|refusal| {
            let is_unreadable = matches!(refusal, ReplacementRefusal::Unreadable(_));
            let failure = CommandFailure::local(format!("Nothing is written: {refusal}"));
            if is_unreadable {
                return failure.with_remedy("name a folder that this user can write with -out.");
            }
            failure
        })
    }
}

/// Whether JSON is printed.
fn json_output(matches: &ArgMatches) -> Result<bool, CommandFailure> {
    match text(matches, "output").unwrap_or("text") {
        "text" => Ok(false),
        "json" => Ok(true),
        other => Err(CommandFailure::local(format!(
            "-output={other} is not offered: write text or json"
        ))),
    }
}

fn parameters(
    context: &mut Context<'_>,
    matches: &ArgMatches,
    identity: &str,
    pairs: &[String],
) -> Result<Map<String, Value>, CommandFailure> {
    let mut parameters = data::parse(pairs, context.input).map_err(CommandFailure::local)?;
    refuse_repetitions(matches, &parameters)?;
    for (flag, name) in [("ttl", "ttl"), ("common-name", "common_name")] {
        if let Some(value) = text(matches, flag) {
            parameters.insert(name.to_owned(), Value::String(value.to_owned()));
        }
    }
    parameters.insert("uri_sans".to_owned(), Value::String(identity.to_owned()));
    Ok(parameters)
}

/// A parameter that a flag or the SPIFFE ID decides would be replaced without a word.
fn refuse_repetitions(
    matches: &ArgMatches,
    parameters: &Map<String, Value>,
) -> Result<(), CommandFailure> {
    let given = |flag: &str| text(matches, flag).is_some();
    for (name, replaced, instead) in [
        ("uri_sans", true, "the certificate holds the SPIFFE ID of the line and no other URI"),
        ("format", true, "say it by -format"),
        ("ttl", given("ttl"), "-ttl says it"),
        ("common_name", given("common-name"), "-common-name says it"),
        ("pkcs12_password", given("password-file"), "-password-file says it"),
        ("jks_password", given("password-file"), "-password-file says it"),
    ] {
        if replaced && parameters.contains_key(name) {
            return Err(CommandFailure::local(format!(
                "{name}= would be replaced, leave it out: {instead}"
            )));
        }
    }
    Ok(())
}

/// The first line of a file.
pub(in crate::cli) fn password(path: &str) -> Result<Secret<String>, CommandFailure> {
    let text = std::fs::read_to_string(path)
        .map(Zeroizing::new)
        .map_err(|error| CommandFailure::local(format!("{path} cannot be read: {error}")))?;
    match text.lines().next().filter(|line| !line.is_empty()) {
        Some(line) => Ok(Secret::new(line.to_owned())),
        None => Err(CommandFailure::local(format!("{path} holds no password on its first line"))),
    }
}
