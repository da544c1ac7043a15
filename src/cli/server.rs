//! `signet server`: flags and configuration in, a running server out.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};

use clap::{ArgMatches, Command};
use tokio::signal::unix::{SignalKind, signal};

use crate::ca::spiffe::SpiffeId;
use crate::config::{self, Checked, ConfigError, ListenerPurpose, LogFormat};
use crate::server::{self, Controls, DevOptions, ServerInfo};

use super::arguments::{flag, is_on, positional, repeated, switch, text, texts, words};
use super::failure::CommandFailure;
use super::{CommandResult, Context, process, trust_file};

/// Where a development server listens if nothing else was said.
const DEVELOPMENT_ADDRESS: &str = "127.0.0.1:8200";

pub(super) fn command() -> Command {
    Command::new("server")
        .about("Run a server")
        .arg(repeated("config", "FILE", "A configuration file or folder; repeat to merge"))
        .arg(switch("dev", "Development server: in memory, initialised, unsealed"))
        .arg(flag("dev-root-token-id", "TOKEN", "The root token (SIGNET_DEV_ROOT_TOKEN_ID)"))
        .arg(flag(
            "dev-listen-address",
            "ADDRESS",
            "Where to listen (SIGNET_DEV_LISTEN_ADDRESS); 127.0.0.1:8200 if unset, port 0 takes a free one",
        ))
        .arg(switch("dev-no-store-token", "Do not put the root token into ~/.vault-token"))
        .arg(switch("dev-tls", "Serve TLS with a certificate made for the occasion"))
        .arg(flag(
            "dev-tls-cert-dir",
            "FOLDER",
            "Where to write the certificate to trust; a new folder if unset",
        ))
        .arg(flag(
            "dev-spiffe",
            "TRUST_DOMAIN",
            "Make a root, an intermediate that signs, and a role for this trust domain",
        ))
        .arg(flag("log-level", "LEVEL", "trace, debug, info, warn or error (SIGNET_LOG_LEVEL)"))
        .arg(flag("log-format", "FORMAT", "standard or json (SIGNET_LOG_FORMAT)"))
        .arg(positional(""))
        .after_help(
            "Examples:\n  signet server -dev -dev-spiffe=example.com\n  signet server -config=/etc/signet/server.hcl\n  signet config check /etc/signet/server.hcl",
        )
}

pub(super) fn run(context: &mut Context<'_>, matches: &ArgMatches) -> CommandResult {
    let mut format = requested_format(context, matches);
    let outcome = start(context, matches, &mut format);
    if let (Err(failure), LogFormat::Json) = (&outcome, format) {
        log_failure(failure);
        return Ok(failure.code);
    }
    outcome
}

/// The format of the log before the configuration is read: what flag or environment say.
fn requested_format(context: &Context<'_>, matches: &ArgMatches) -> LogFormat {
    let flag = text(matches, "log-format").map(str::to_owned);
    match flag.or_else(|| context.variable("LOG_FORMAT")).as_deref() {
        Some("json") => LogFormat::Json,
        _ => LogFormat::Standard,
    }
}

/// Writes a failure as lines of the log in JSON, so that nothing else stands in the stream.
fn log_failure(failure: &CommandFailure) {
    config::logs::install(config::Log { level: config::LogLevel::Info, format: LogFormat::Json });
    for reason in failure.text.lines() {
        tracing::error!(reason, "server not started");
    }
}

fn start(context: &mut Context<'_>, matches: &ArgMatches, format: &mut LogFormat) -> CommandResult {
    words(matches, 0, 0)?;
    belong_together(matches)?;
    let development = is_on(matches, "dev").then(|| development(context, matches)).transpose()?;
    let mut config = configuration(context, matches, development.is_some())?;
    *format = config.log.format;
    config::logs::install(config.log);
    log_panics();
    log_start(matches, &config);
    for warning in &config.warnings {
        let file = warning.file.display();
        tracing::warn!(%file, line = warning.line(), why = warning.message, "the configuration works and is dangerous");
    }
    process::prepare();
    process::leave_descriptors(&mut config.listeners);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| CommandFailure::local(format!("cannot start the runtime: {error}")))?;
    let stores_token = development.is_some() && !is_on(matches, "dev-no-store-token");
    let folder = text(matches, "dev-tls-cert-dir").map(PathBuf::from);
    if let Some(folder) = &folder {
        trust_file::check(folder)?;
    }
    let domain = development.as_ref().and_then(|development| development.trust_domain.clone());
    runtime.block_on(async {
        let (controls, signals) = server::control_channels();
        tokio::spawn(follow_signals(controls));
        let announce = |announcement: &ServerInfo| {
            if let Err(failure) =
                introduce(context, announcement, domain.as_ref(), folder.as_deref())
            {
                context.output.note(&failure.text);
            }
            if let (true, Some(token)) = (stores_token, &announcement.root_token) {
                match context.store_development_token(token) {
                    Ok(None) => {}
                    Ok(Some(kept)) => context.output.note(&kept),
                    Err(failure) => context.output.note(&failure.text),
                }
            }
        };
        server::run(config, development, announce, signals)
            .await
            .map_err(|error| CommandFailure::local(format!("The server did not start: {error}")))
    })?;
    Ok(0)
}

/// Logs what is started, before anything can fail.
fn log_start(matches: &ArgMatches, config: &Checked) {
    let storage = match &config.storage {
        config::Storage::Inmem => "inmem".to_owned(),
        config::Storage::Rocksdb { path } => format!("rocksdb {}", path.display()),
    };
    let version = env!("CARGO_PKG_VERSION");
    let configuration = texts(matches, "config").join(" ");
    tracing::info!(version, pid = std::process::id(), storage, configuration, "server starting");
}

/// Sends the texts of panics to the log, in its format. A panic ends one request or one task, and the log is
/// where an operator looks for the reason.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let reason = panic.payload_as_str().unwrap_or_default();
        let location = panic.location().map(ToString::to_string);
        tracing::error!(reason, location, "panic");
    }));
}

/// A flag without the one that gives it effect would be passed over.
fn belong_together(matches: &ArgMatches) -> Result<(), CommandFailure> {
    let given = |name: &str| match matches.try_get_one::<bool>(name) {
        Ok(on) => on == Some(&true),
        Err(_) => matches.contains_id(name),
    };
    let pairs = [
        ("dev-root-token-id", "dev"),
        ("dev-listen-address", "dev"),
        ("dev-tls", "dev"),
        ("dev-spiffe", "dev"),
        ("dev-tls-cert-dir", "dev-tls"),
    ];
    for (flag, other) in pairs {
        if given(flag) && !is_on(matches, other) {
            return Err(CommandFailure::local(format!(
                "-{flag} has no effect without -{other}: add -{other}, or leave it out"
            )));
        }
    }
    Ok(())
}

/// SIGTERM and SIGINT stop, SIGHUP reloads certificates.
async fn follow_signals(controls: Controls) {
    let listen = |kind| signal(kind).ok();
    let (Some(mut terminate), Some(mut interrupt), Some(mut hang_up)) = (
        listen(SignalKind::terminate()),
        listen(SignalKind::interrupt()),
        listen(SignalKind::hangup()),
    ) else {
        // Without signals the process can still be killed; the store survives that.
        std::future::pending::<()>().await;
        return;
    };
    loop {
        tokio::select! {
            _ = terminate.recv() => break tracing::info!(signal = "SIGTERM", "server stopping"),
            _ = interrupt.recv() => break tracing::info!(signal = "SIGINT", "server stopping"),
            _ = hang_up.recv() => {
                tracing::info!(signal = "SIGHUP", "certificates reload requested");
                controls.reload.send_modify(|count| *count = count.wrapping_add(1));
            }
        }
    }
    // The receivers live as long as the server does.
    let _ = controls.stop.send(true);
    controls.stop.closed().await;
}

fn development(context: &Context<'_>, matches: &ArgMatches) -> Result<DevOptions, CommandFailure> {
    let trust_domain = match text(matches, "dev-spiffe") {
        None => None,
        Some(name) => {
            let id = name.strip_prefix("spiffe://").unwrap_or(name);
            let id =
                SpiffeId::parse(&format!("spiffe://{id}")).ok().filter(|id| id.path().is_empty());
            Some(id.ok_or_else(|| {
                CommandFailure::local(format!(
                    "-dev-spiffe={name} is not a trust domain: write a name such as example.com, in lower case and without a path"
                ))
            })?)
        }
    };
    Ok(DevOptions {
        root_token: text(matches, "dev-root-token-id")
            // As in Vault, an empty one is made up: a variable that is not set must not lock every user out.
            .filter(|token| !token.is_empty())
            .map(str::to_owned)
            .or_else(|| context.variable("DEV_ROOT_TOKEN_ID")),
        tls: is_on(matches, "dev-tls"),
        trust_domain,
    })
}

fn configuration(
    context: &Context<'_>,
    matches: &ArgMatches,
    development: bool,
) -> Result<Checked, CommandFailure> {
    let overrides =
        [("LOG_LEVEL", text(matches, "log-level")), ("LOG_FORMAT", text(matches, "log-format"))];
    let lookup = |name: &str| {
        let own = name.strip_prefix("SIGNET_").unwrap_or_default();
        let given = overrides.iter().find(|(known, _)| *known == own).and_then(|(_, value)| *value);
        given.map(str::to_owned).or_else(|| (context.environment)(name))
    };
    let files: Vec<PathBuf> = texts(matches, "config").into_iter().map(PathBuf::from).collect();
    if files.is_empty() && !development {
        return Err(CommandFailure::local(
            "Must specify at least one configuration file with -config=FILE, or -dev for a server to play with",
        ));
    }
    let mut config = if files.is_empty() {
        config::in_memory(&lookup).map_err(|faults| all(&faults))?
    } else {
        config::examine(&files, &lookup, &server::examine_tls).map_err(|faults| all(&faults))?
    };
    if development {
        let address = text(matches, "dev-listen-address")
            .map(str::to_owned)
            .or_else(|| context.variable("DEV_LISTEN_ADDRESS"))
            .unwrap_or_else(|| DEVELOPMENT_ADDRESS.to_owned());
        let address = address_of(&address)?;
        let mut listeners = config.listeners.iter_mut();
        if let Some(listener) = listeners.find(|listener| listener.purpose == ListenerPurpose::Api)
        {
            listener.address = address;
        }
    }
    Ok(config)
}

fn address_of(text: &str) -> Result<SocketAddr, CommandFailure> {
    text.to_socket_addrs().ok().and_then(|mut addresses| addresses.next()).ok_or_else(|| {
        CommandFailure::local(format!(
            "-dev-listen-address={text} is not an address: write HOST:PORT, such as 127.0.0.1:8200"
        ))
    })
}

/// Every fault, a line each.
pub(super) fn all(faults: &[ConfigError]) -> CommandFailure {
    let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
    CommandFailure::local(lines.join("\n"))
}

/// What a person, or a script, needs to go on: address, token, three lines to paste.
fn introduce(
    context: &mut Context<'_>,
    announcement: &ServerInfo,
    domain: Option<&SpiffeId>,
    folder: Option<&Path>,
) -> Result<(), CommandFailure> {
    let scheme = if announcement.tls { "https" } else { "http" };
    for address in &announcement.addresses {
        context.output.line(&format!("address: {scheme}://{address}"))?;
    }
    for (address, has_tls) in &announcement.public {
        let scheme = if *has_tls { "https" } else { "http" };
        context.output.line(&format!("public files: {scheme}://{address}"))?;
    }
    let Some(address) = announcement.addresses.first() else { return Ok(()) };
    let mut paste = vec![format!("export SIGNET_ADDR={scheme}://{address}")];
    if let Some(trust) = &announcement.trust {
        let file = trust_file::write(folder, trust)?;
        paste.push(format!("export SIGNET_CACERT={}", file.display()));
    }
    match &announcement.root_token {
        Some(token) => {
            let token = token.expose();
            context.output.line(&format!("root token: {token}"))?;
            paste.push(format!("export SIGNET_TOKEN={token}"));
            paste.push(match domain {
                Some(id) => format!("signet pki issue -role=spiffe {id}/hello"),
                None => "signet secrets enable pki".to_owned(),
            });
        }
        None if !announcement.initialized => paste.push("signet operator init".to_owned()),
        None => return Ok(()),
    }
    context.output.line("\nNow paste into another terminal:\n")?;
    for line in paste {
        context.output.line(&format!("  {line}"))?;
    }
    Ok(context.output.line("")?)
}
