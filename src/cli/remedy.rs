//! The line `To fix it: …` below an error.
//!
//! The API answers with Vault's texts, because clients compare them. They name the mistake and
//! seldom the remedy, so the command line adds it.

use super::Context;
use crate::client::{Error, Refused};

/// What to do about a failure.
#[derive(Debug)]
pub(super) enum Remedy {
    /// The text of the failure says it, or nothing can be said.
    InText,
    /// A sentence to print.
    Sentence(String),
    /// The arguments do not fit the command: its usage is the remedy.
    Usage,
    /// The server refused the token that was sent, or that none was sent.
    Token(TokenProblem),
}

/// Why a server refuses a token.
#[derive(Clone, Copy, Debug)]
pub(super) enum TokenProblem {
    /// The server does not know the token.
    Unknown,
    /// The token may not do this, or the request has no token.
    Denied,
}

/// Where the token of a command comes from.
#[derive(Debug)]
pub(super) enum TokenSource {
    /// A variable of the environment.
    Variable(&'static str),
    /// The file that `signet login` writes.
    File(std::path::PathBuf),
}

/// What to do about a failed request.
pub(super) fn of(error: &Error) -> Remedy {
    match error {
        // The server's own advice is more exact.
        Error::Refused(refused) if refused.warnings.is_empty() => of_refusal(refused),
        _ => Remedy::InText,
    }
}

fn of_refusal(refused: &Refused) -> Remedy {
    let says = |words: &str| refused.errors.iter().any(|text| text.contains(words));
    if refused.status == 403 {
        if says("invalid token") || says("bad token") {
            return Remedy::Token(TokenProblem::Unknown);
        }
        if says("permission denied") || says("missing client token") {
            return Remedy::Token(TokenProblem::Denied);
        }
    }
    let is_tls_port = |body: &String| body.contains("an HTTP request to an HTTPS server");
    let mount = mount(&refused.url).unwrap_or("MOUNT");
    let sentence = if refused.body.as_ref().is_some_and(is_tls_port) {
        format!("this port speaks TLS: write {}", tls_address(&refused.url))
    } else if says("unknown role") {
        format!(
            "\"signet list {mount}/roles\" lists the roles of this mount: name one of them, for \"signet pki issue\" with -role."
        )
    } else if says("no handler for route") {
        "check the first part of the path: \"signet secrets list\" lists the mounts.".to_owned()
    } else if says("path is already in use") {
        "choose another path with -path; \"signet secrets list\" lists those in use.".to_owned()
    } else if says("plugin not found") {
        "check the type: pki is the only engine of Signet.".to_owned()
    } else if says("already initialized") {
        "this Signet server was initialized before, and its first token was printed then. Use that token with \"signet login\" or SIGNET_TOKEN; without it, start again with an empty storage folder."
            .to_owned()
    } else if says("not applicable to seal type") {
        "leave out -key-shares and -key-threshold: this server opens its store with the key of its configuration."
            .to_owned()
    } else if says("is sealed") {
        "\"signet status\" shows the state: a new server is opened by \"signet operator init\"; for any other, the server's log says why its store is sealed."
            .to_owned()
    } else if says("no default issuer currently configured") {
        format!(
            "make a root with \"signet write {mount}/root/generate/internal common_name=NAME\", or import one and name it with \"signet write {mount}/config/issuers default=NAME\"."
        )
    } else if says("for field \"ttl\"") || says("for field \"max_ttl\"") {
        "write a duration: 3600, 90s, 30m, 72h or 30d.".to_owned()
    } else {
        return Remedy::InText;
    };
    Remedy::Sentence(sentence)
}

/// The address to write instead of one with `http://`.
fn tls_address(url: &str) -> String {
    let address = url.split_once("/v1/").map_or(url, |(address, _)| address);
    format!("https://{}", address.trim_start_matches("http://"))
}

/// The mount of a URL such as `http://127.0.0.1:8200/v1/pki/issue/web`.
fn mount(url: &str) -> Option<&str> {
    let (_, path) = url.split_once("/v1/")?;
    let path = path.split('?').next()?;
    ["/issue/", "/sign/", "/roles/", "/root/", "/cert/", "/issuer/", "/config/"]
        .iter()
        .filter_map(|part| path.split_once(part))
        .map(|(mount, _)| mount)
        .min_by_key(|mount| mount.len())
}

impl Remedy {
    /// The sentence; `usage` is that of the command.
    pub(super) fn sentence(&self, context: &Context<'_>, usage: &str) -> Option<String> {
        match self {
            Self::InText => None,
            Self::Sentence(text) => Some(text.clone()),
            Self::Usage => Some(usage.to_owned()),
            Self::Token(problem) => Some(about_token(*problem, context.token_source().as_ref())),
        }
    }
}

fn about_token(problem: TokenProblem, source: Option<&TokenSource>) -> String {
    let (place, file) = match source {
        None => {
            return "this command sent no token. Keep one with \"signet login\", or set SIGNET_TOKEN."
                .to_owned();
        }
        Some(TokenSource::Variable(name)) => ((*name).to_owned(), false),
        Some(TokenSource::File(path)) => (path.display().to_string(), true),
    };
    match (problem, file) {
        (TokenProblem::Unknown, true) => format!(
            "the server does not know the token in {place}, which may belong to another or an earlier server. Replace it with \"signet login\", or set SIGNET_TOKEN, which takes precedence."
        ),
        (TokenProblem::Unknown, false) => format!(
            "the server does not know the token in {place}. Set {place} to a token of this server, or unset it and use \"signet login\"; -address or SIGNET_ADDR names another server."
        ),
        (TokenProblem::Denied, _) => format!(
            "the token in {place} may not do this: \"signet token lookup\" shows its policies. Use another with \"signet login\" or SIGNET_TOKEN."
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mount_of_a_url_ends_before_the_engine_s_path() {
        for (url, expected) in [
            ("http://127.0.0.1:8200/v1/pki/issue/web", Some("pki")),
            ("https://ca.example.com/x/v1/team/pki/roles/web?list=true", Some("team/pki")),
            ("http://127.0.0.1:8200/v1/sys/mounts", None),
        ] {
            assert_eq!(mount(url), expected, "{url}");
        }
    }
}
