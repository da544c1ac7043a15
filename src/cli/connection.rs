//! From flags and environment to a client: `SIGNET_*`, and where unset `VAULT_*`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Arg, ArgMatches, Command};

use super::arguments::{flag, is_on, repeated, switch, text, texts, truth};
use super::failure::CommandFailure;
use super::{Context, duration};
use crate::client::{Client, Settings, Trust};
use crate::secret::Secret;

/// Variables of Vault's clients that this client does not support, and why it does not ignore
/// them.
const UNSUPPORTED: [(&str, &str); 5] = [
    ("WRAP_TTL", "Signet does not wrap answers, so that private keys would be printed in clear"),
    ("MFA", "Signet asks for no second factor, so that nothing would be checked"),
    ("HTTP_PROXY", "this client uses no proxy, so that it would connect to the server itself"),
    ("PROXY_ADDR", "this client uses no proxy, so that it would connect to the server itself"),
    ("SRV_LOOKUP", "this client looks up no SRV records, so that it would connect to another port"),
];

/// The flags of every command that talks to a server.
pub(super) fn with_connection(command: Command) -> Command {
    let flags: [Arg; 10] = [
        flag(
            "address",
            "URL",
            "Address of the server (SIGNET_ADDR); https://127.0.0.1:8200 if unset",
        ),
        flag("ca-cert", "FILE", "PEM certificates to trust (SIGNET_CACERT)"),
        flag("ca-path", "FOLDER", "Folder of PEM certificates to trust (SIGNET_CAPATH)"),
        flag("client-cert", "FILE", "Client certificate for TLS, PEM (SIGNET_CLIENT_CERT)"),
        flag("client-key", "FILE", "Its private key, PEM (SIGNET_CLIENT_KEY)"),
        flag(
            "tls-server-name",
            "NAME",
            "Name to expect in the server's certificate (SIGNET_TLS_SERVER_NAME)",
        ),
        switch(
            "tls-skip-verify",
            "Do not verify the server's certificate (SIGNET_SKIP_VERIFY); only on your own machine",
        ),
        flag("namespace", "NAME", "Namespace (SIGNET_NAMESPACE)").alias("ns"),
        repeated("header", "NAME=VALUE", "An additional header; repeatable"),
        flag(
            "agent-address",
            "URL",
            "Address of an agent; takes precedence over -address (SIGNET_AGENT_ADDR)",
        ),
    ];
    command.args(flags.map(|flag| flag.help_heading("Connection")))
}

impl Context<'_> {
    /// `SIGNET_name`, else `VAULT_name`; empty counts as unset.
    pub(super) fn variable(&self, name: &str) -> Option<String> {
        ["SIGNET_", "VAULT_"]
            .iter()
            .filter_map(|prefix| (self.environment)(&format!("{prefix}{name}")))
            .find(|value| !value.is_empty())
    }

    /// The name of the variable that holds a token, if one does.
    pub(super) fn token_variable(&self) -> Option<&'static str> {
        ["SIGNET_TOKEN", "VAULT_TOKEN"]
            .into_iter()
            .find(|name| (self.environment)(name).is_some_and(|value| !value.is_empty()))
    }

    /// A client with the configured token.
    pub(super) fn client(&self, matches: &ArgMatches) -> Result<Client, CommandFailure> {
        let token = self.token()?;
        self.client_with(matches, token)
    }

    /// The server's own address, also where an agent is asked instead.
    pub(super) fn address(&self, matches: &ArgMatches) -> String {
        text(matches, "address")
            .map(str::to_owned)
            .or_else(|| self.variable("ADDR"))
            .unwrap_or_else(|| Settings::default().address)
    }

    /// A client with this token, or without a token.
    pub(super) fn client_with(
        &self,
        matches: &ArgMatches,
        token: Option<Secret<String>>,
    ) -> Result<Client, CommandFailure> {
        self.refuse_unsupported_variables()?;
        let choose = |name: &str, variable: &str| {
            text(matches, name).map(str::to_owned).or_else(|| self.variable(variable))
        };
        let defaults = Settings::default();
        let settings = Settings {
            address: choose("agent-address", "AGENT_ADDR").unwrap_or_else(|| self.address(matches)),
            token,
            namespace: choose("namespace", "NAMESPACE"),
            headers: headers(&texts(matches, "header"))?,
            trust: self.trust(matches)?,
            redirects: !self.truth("DISABLE_REDIRECTS")?,
            timeout: self.timeout()?.unwrap_or(defaults.timeout),
            retries: self.retries()?,
            pause: defaults.pause,
        };
        // Vault's command line answers 2 for settings that the client refuses.
        Client::new(settings).map_err(|error| CommandFailure::server(error.to_string()))
    }

    /// A variable that asks for protection is supported or refused, never ignored.
    fn refuse_unsupported_variables(&self) -> Result<(), CommandFailure> {
        for (name, why) in UNSUPPORTED {
            let is_set = |full: &String| {
                let value = (self.environment)(full).unwrap_or_default();
                !value.is_empty() && truth(&value) != Ok(false)
            };
            let names = [format!("SIGNET_{name}"), format!("VAULT_{name}")];
            if let Some(full) = names.iter().find(|full| is_set(full)) {
                return Err(CommandFailure::local(format!(
                    "{full} is set, but {why}: unset {full}"
                )));
            }
        }
        Ok(())
    }

    fn truth(&self, name: &str) -> Result<bool, CommandFailure> {
        let Some(text) = self.variable(name) else { return Ok(false) };
        truth(&text).map_err(|why| CommandFailure::server(format!("SIGNET_{name}: {why}")))
    }

    fn trust(&self, matches: &ArgMatches) -> Result<Trust, CommandFailure> {
        let choose = |name: &str, variable: &str| {
            text(matches, name).map(str::to_owned).or_else(|| self.variable(variable))
        };
        let path = |name: &str, variable: &str| choose(name, variable).map(PathBuf::from);
        let skip = match matches.get_one::<bool>("tls-skip-verify") {
            Some(_) => is_on(matches, "tls-skip-verify"),
            None => self.truth("SKIP_VERIFY")?,
        };
        Ok(Trust {
            authority_file: path("ca-cert", "CACERT"),
            authority_pem: self.variable("CACERT_BYTES"),
            authority_folder: path("ca-path", "CAPATH"),
            client_certificate: path("client-cert", "CLIENT_CERT"),
            client_key: path("client-key", "CLIENT_KEY"),
            server_name: choose("tls-server-name", "TLS_SERVER_NAME"),
            danger_accept_any: skip,
        })
    }

    fn timeout(&self) -> Result<Option<Duration>, CommandFailure> {
        let Some(text) = self.variable("CLIENT_TIMEOUT") else { return Ok(None) };
        let span = duration::parse(&text)
            .map_err(|why| CommandFailure::server(format!("SIGNET_CLIENT_TIMEOUT: {why}")))?;
        Ok(span.to_std().filter(|timeout| !timeout.is_zero()))
    }

    /// No retries by default: the user sees the error and decides.
    fn retries(&self) -> Result<u32, CommandFailure> {
        let Some(text) = self.variable("MAX_RETRIES") else { return Ok(0) };
        text.parse().map_err(|_| {
            CommandFailure::server(format!(
                "SIGNET_MAX_RETRIES: {text:?} is not a number: write 0, 1, 2 …"
            ))
        })
    }
}

fn headers(given: &[String]) -> Result<Vec<(String, String)>, CommandFailure> {
    let mut headers = Vec::new();
    for text in given {
        let (name, value) = text.split_once('=').ok_or_else(|| {
            CommandFailure::local(format!(
                "invalid value {text:?} for flag -header: missing = in KV pair: {text:?}"
            ))
        })?;
        if name.to_ascii_lowercase().starts_with("x-vault-") {
            return Err(CommandFailure::server(format!(
                "failed to setup Headers[{name}]: Header starting by 'X-Vault-' are for internal usage only"
            )));
        }
        headers.push((name.to_owned(), value.to_owned()));
    }
    Ok(headers)
}
