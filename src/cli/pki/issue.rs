//! `signet pki issue`: from an identity to files that a service can load.

use std::path::{Path, PathBuf};

use clap::{ArgMatches, Command};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::ca::time::Timestamp;
use crate::cli::arguments::{flag, is_on, positional, switch, text, words};
use crate::cli::connection::with_connection;
use crate::cli::failure::Failure;
use crate::cli::file_set::{self, Entry, Plan};
use crate::cli::render::warn;
use crate::cli::{Context, Outcome, data, svid};
use crate::client::{Client, Error};
use crate::secret::Secret;
use crate::wire::answer::Answer;

/// What the files are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Pem,
    Pkcs12,
    Jks,
}

/// What was typed.
struct Ask {
    identity: String,
    path: String,
    kind: Kind,
    folder: PathBuf,
    force: bool,
    password: Option<Secret<String>>,
    parameters: Map<String, Value>,
}

pub(super) fn command() -> Command {
    with_connection(
        Command::new("issue")
            .about("Issue an X.509-SVID and write it where a service can load it")
            .override_usage("signet pki issue [flags] spiffe://TRUST-DOMAIN/PATH [KEY=VALUE...]")
            .arg(positional("SPIFFE-ID"))
            .arg(flag("mount", "PATH", "Where the PKI engine is; pki if unset"))
            .arg(flag("role", "NAME", "The role to ask; spiffe if unset"))
            .arg(flag("out", "FOLDER", "Where the files go; the present folder if unset"))
            .arg(flag("format", "FORMAT", "pem, pkcs12 or jks; pem if unset"))
            .arg(flag("password-file", "FILE", "Password of the key store and trust store, on its first line; changeit if unset"))
            .arg(switch("force", "Replace files that Signet did not write").alias("f"))
            .arg(flag("ttl", "DURATION", "Lifetime of the certificate"))
            .arg(flag("common-name", "NAME", "Common name of the subject, where the role wants one"))
            .after_help(
                "pem writes svid.pem (with the intermediates), key.pem and bundle.pem (the roots); pkcs12\n\
                 and jks write a key store and a trust store. The set is replaced all at once, and\n\
                 only its owner can read it. What Signet did not write is kept: with a name of\n\
                 the set it is refused unless -force is given. Further parameters of the request\n\
                 are KEY=VALUE.\n\n\
                 Examples:\n  \
                 signet pki issue spiffe://example.com/payments/api\n  \
                 signet pki issue -role=kafka -format=pkcs12 -password-file=pw -out=tls spiffe://example.com/broker",
            ),
    )
}

pub(super) async fn run(context: &mut Context<'_>, matches: &ArgMatches) -> Outcome {
    let ask = ask(context, matches)?;
    let client = context.client(matches)?;
    let unwritable = |error| {
        Failure::local(format!("Error writing the files: {error}"))
            .with_mend("name a folder that this user can write with -out.")
    };
    file_set::prepare(&ask.folder).map_err(unwritable)?;
    ask.plan(ask.names())?;
    let answer = issue(&client, &ask, ask.format()).await?;
    let warnings = answer.warnings.clone().unwrap_or_default();
    let data = answer.data.unwrap_or_default();
    let entries = match ask.kind {
        Kind::Pem => svid::pem_set(&data, &ask.identity).map_err(|why| {
            Failure::server(format!("The server's answer is not used, nothing is written: {why}"))
        })?,
        Kind::Pkcs12 | Kind::Jks => stores(&client, &ask, &data).await?,
    };
    // Again, as close to the switch as can be, and for the names that it really has.
    let names: Vec<&str> = entries.iter().map(|(name, _)| *name).collect();
    let plan = ask.plan(&names)?;
    let gone = file_set::replace(&ask.folder, &entries).map_err(unwritable)?;
    tell_what_went(context, &ask.folder, &plan, &gone);
    warn(context, &warnings);
    tell(context, &ask, &data, &entries)
}

fn ask(context: &mut Context<'_>, matches: &ArgMatches) -> Result<Ask, Failure> {
    let words = words(matches, 1, usize::MAX)?;
    let (identity, pairs) = words.split_first().ok_or_else(|| Failure::local("No SPIFFE ID"))?;
    if !identity.starts_with("spiffe://") {
        return Err(Failure::local(format!(
            "{identity:?} is no SPIFFE ID: write spiffe://TRUST-DOMAIN/PATH. Other certificates come from \"signet write pki/issue/ROLE common_name=…\"."
        )));
    }
    let kind = match text(matches, "format").unwrap_or("pem") {
        "pem" => Kind::Pem,
        "pkcs12" | "p12" | "pkcs12_bundle" => Kind::Pkcs12,
        "jks" | "jks_bundle" => Kind::Jks,
        other => {
            return Err(Failure::local(format!(
                "Invalid format: {other}; write pem, pkcs12 or jks"
            )));
        }
    };
    if kind == Kind::Pem && text(matches, "password-file").is_some() {
        return Err(Failure::local(
            "-password-file has no effect on PEM files, whose key is not encrypted: add -format=pkcs12 or -format=jks, or leave it out",
        ));
    }
    let mut parameters = data::parse(pairs, context.input).map_err(Failure::local)?;
    said_twice(matches, &parameters)?;
    for (flag, name) in [("ttl", "ttl"), ("common-name", "common_name")] {
        if let Some(value) = text(matches, flag) {
            parameters.insert(name.to_owned(), Value::String(value.to_owned()));
        }
    }
    parameters.insert("uri_sans".to_owned(), Value::String(identity.clone()));
    let mount = text(matches, "mount").unwrap_or("pki").trim_matches('/');
    let role = text(matches, "role").unwrap_or("spiffe");
    Ok(Ask {
        identity: identity.clone(),
        path: format!("{mount}/issue/{role}"),
        kind,
        folder: PathBuf::from(text(matches, "out").unwrap_or(".")),
        force: is_on(matches, "force"),
        password: text(matches, "password-file").map(password).transpose()?,
        parameters,
    })
}

/// A parameter that a flag or the SPIFFE ID decides would be replaced without a word.
fn said_twice(matches: &ArgMatches, parameters: &Map<String, Value>) -> Result<(), Failure> {
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
            return Err(Failure::local(format!(
                "{name}= would be replaced, leave it out: {instead}"
            )));
        }
    }
    Ok(())
}

/// The first line of a file.
pub(in crate::cli) fn password(path: &str) -> Result<Secret<String>, Failure> {
    let text = std::fs::read_to_string(path)
        .map(Zeroizing::new)
        .map_err(|error| Failure::local(format!("{path} cannot be read: {error}")))?;
    match text.lines().next().filter(|line| !line.is_empty()) {
        Some(line) => Ok(Secret::new(line.to_owned())),
        None => Err(Failure::local(format!("{path} holds no password on its first line"))),
    }
}

impl Ask {
    /// The names that the files will have, as far as is known before the server answers.
    const fn names(&self) -> &'static [&'static str] {
        match self.kind {
            Kind::Pem => &["svid.pem", "key.pem", "bundle.pem"],
            Kind::Pkcs12 => &["keystore.p12", "truststore.p12"],
            Kind::Jks => &["keystore.jks", "truststore.jks"],
        }
    }

    fn plan(&self, names: &[&str]) -> Result<Plan, Failure> {
        Plan::make(&self.folder, names, self.force)
            .map_err(|refusal| Failure::local(format!("Nothing is written: {refusal}")))
    }

    const fn format(&self) -> &'static str {
        match self.kind {
            Kind::Pem => "pem",
            Kind::Pkcs12 => "pkcs12_bundle",
            Kind::Jks => "jks_bundle",
        }
    }
}

async fn issue(client: &Client, ask: &Ask, format: &str) -> Result<Answer, Failure> {
    let mut body = ask.parameters.clone();
    body.insert("format".to_owned(), Value::String(format.to_owned()));
    let names: &[&str] = match ask.kind {
        Kind::Pem => &[],
        Kind::Pkcs12 => &["pkcs12_password"],
        // A trust store in PKCS#12 stands beside a JKS of a server that writes no other.
        Kind::Jks => &["jks_password", "pkcs12_password"],
    };
    if let Some(password) = &ask.password {
        for name in names {
            body.insert((*name).to_owned(), Value::String(password.expose().clone()));
        }
    }
    let path = &ask.path;
    let answer = client.write(path, Some(&Value::Object(body))).await;
    let answer = answer.map_err(|error| refused(ask, &error))?;
    answer.ok_or_else(|| {
        Failure::server(format!("Error writing data to {path}: no certificate came back"))
    })
}

/// The server's refusal, with the next step where we know one.
fn refused(ask: &Ask, error: &Error) -> Failure {
    let mut failure = Failure::request(format_args!("Error writing data to {}", ask.path), error);
    if error.says("common_name field is required") {
        failure.text.push_str("\n\nTry -common-name=NAME, or set require_cn=false on the role.");
    }
    failure
}

/// Key store and trust store. The server hands over both where it can; otherwise the trust
/// store is asked for apart.
async fn stores(
    client: &Client,
    ask: &Ask,
    data: &Map<String, Value>,
) -> Result<Vec<Entry>, Failure> {
    let key_store = archive(ask, data.get("certificate"))?;
    let (trust_store, same_kind) = match data.get("truststore") {
        Some(given) => (archive(ask, Some(given))?, true),
        None => {
            let answer = issue(client, ask, "pkcs12_truststore").await?;
            let data = answer.data.unwrap_or_default();
            (archive(ask, data.get("certificate"))?, false)
        }
    };
    Ok(match ask.kind {
        Kind::Jks if same_kind => {
            vec![("keystore.jks", key_store), ("truststore.jks", trust_store)]
        }
        Kind::Jks => vec![("keystore.jks", key_store), ("truststore.p12", trust_store)],
        _ => vec![("keystore.p12", key_store), ("truststore.p12", trust_store)],
    })
}

fn archive(ask: &Ask, value: Option<&Value>) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let wrong = |why: &str| {
        Failure::server(format!(
            "The server's answer is not used, nothing is written: {why}; does it know format={}?",
            ask.format()
        ))
    };
    let text = value.and_then(Value::as_str).ok_or_else(|| wrong("it holds no archive"))?;
    let bytes = data_encoding::BASE64
        .decode(text.trim().as_bytes())
        .map_err(|_| wrong("the archive is not base64"))?;
    // JKS starts with its magic number, PKCS#12 with a SEQUENCE (RFC 7292, section 4).
    let known = bytes.starts_with(&[0xfe, 0xed, 0xfe, 0xed]) || bytes.first() == Some(&0x30);
    if known { Ok(Zeroizing::new(bytes)) } else { Err(wrong("the archive is no key store")) }
}

/// On standard error: files that are no longer there, and files that were not ours.
fn tell_what_went(context: &mut Context<'_>, folder: &Path, plan: &Plan, gone: &[&str]) {
    for path in plan.foreign() {
        context
            .output
            .note(&format!("Replaced {}, which Signet had not written (-force).", path.display()));
    }
    if !gone.is_empty() {
        let names: Vec<String> = gone.iter().map(|name| shown(folder, name)).collect();
        context
            .output
            .note(&format!("Removed {} of the set that was here before.", names.join(" and ")));
    }
}

/// What was written, and what to try with it.
fn tell(
    context: &mut Context<'_>,
    ask: &Ask,
    data: &Map<String, Value>,
    entries: &[Entry],
) -> Outcome {
    let until = data.get("expiration").and_then(Value::as_i64);
    let until = until.map(|end| format!(", valid until {}", Timestamp::from_unix(end)));
    let mut lines = vec![format!("{}{}", ask.identity, until.unwrap_or_default())];
    for (name, _) in entries {
        let what = match *name {
            "svid.pem" => "the certificate with its intermediates",
            "key.pem" => "its private key",
            "bundle.pem" => "the roots to trust",
            "keystore.p12" | "keystore.jks" => "the certificate, its chain and its private key",
            _ => "the roots to trust",
        };
        lines.push(format!("  {:<28} {what}", shown(&ask.folder, name)));
    }
    lines.push(String::new());
    lines.push("Try next:".to_owned());
    match entries.iter().map(|(name, _)| *name).find(|name| name.starts_with("keystore")) {
        None => {
            let (svid, bundle) = (shown(&ask.folder, "svid.pem"), shown(&ask.folder, "bundle.pem"));
            lines.push(format!("  openssl verify -CAfile {bundle} -untrusted {svid} {svid}"));
            lines.push(format!("  openssl x509 -in {svid} -noout -text"));
        }
        Some(store) => {
            let store = shown(&ask.folder, store);
            let password = if ask.password.is_some() { "" } else { " -storepass changeit" };
            lines.push(format!("  keytool -list -keystore {store}{password}"));
        }
    }
    context.output.line(&lines.join("\n"))?;
    Ok(0)
}

fn shown(folder: &Path, name: &str) -> String {
    if folder == Path::new(".") { name.to_owned() } else { folder.join(name).display().to_string() }
}
