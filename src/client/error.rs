//! Errors of the client, by their cause; the texts are Vault's where Vault has one.

use std::fmt;
use std::time::Duration;

use hyper::Method;

/// Why a request has no usable answer.
#[derive(Debug)]
pub enum Error {
    /// The settings cannot work; no request was sent.
    Settings(String),
    /// No complete answer came; `why` says what to do about it.
    Transport {
        /// Of the request.
        method: Method,
        /// Of the request.
        url: String,
        /// A sentence that names the fix.
        why: String,
    },
    /// The server answered with an error status. Boxed, because it is rare and large.
    Refused(Box<Refused>),
    /// The server answered with success, but not in the form of this API.
    Garbled {
        /// Of the request.
        url: String,
        /// Where the parser stopped.
        why: String,
    },
}

/// An answer with an error status.
#[derive(Debug)]
pub struct Refused {
    /// Of the request.
    pub method: Method,
    /// Of the request.
    pub url: String,
    /// The HTTP status.
    pub status: u16,
    /// The texts of the server.
    pub errors: Vec<String>,
    /// The server's advice.
    pub warnings: Vec<String>,
    /// The body, if it is not this API's JSON.
    pub body: Option<String>,
}

impl Error {
    /// Whether the server answered `status` and one of its texts holds `words`.
    pub fn says(&self, words: &str) -> bool {
        matches!(self, Self::Refused(refused) if refused.errors.iter().any(|text| text.contains(words)))
    }

    pub(super) fn timed_out(limit: Duration) -> AttemptError {
        AttemptError::permanent(format!(
            "no answer within {} s: raise SIGNET_CLIENT_TIMEOUT if the server needs longer",
            limit.as_secs()
        ))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Settings(why) => formatter.write_str(why),
            Self::Transport { method, url, why } => {
                let mut verb = method.as_str().to_ascii_lowercase();
                if let Some(first) = verb.get_mut(..1) {
                    first.make_ascii_uppercase();
                }
                write!(formatter, "{verb} \"{url}\": {why}")
            }
            Self::Refused(refused) => refused.fmt(formatter),
            Self::Garbled { url, why } => {
                write!(
                    formatter,
                    "the answer of {url} is not JSON of this API ({why}): check -address and SIGNET_ADDR, which must name the server and not a path of it"
                )
            }
        }
    }
}

impl std::error::Error for Error {}

impl fmt::Display for Refused {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { method, url, status, errors, warnings, body } = self;
        let kind = if body.is_some() { "Raw Message" } else { "Errors" };
        write!(
            formatter,
            "Error making API request.\n\nURL: {method} {url}\nCode: {status}. {kind}:\n\n"
        )?;
        match body {
            Some(body) => formatter.write_str(body),
            None => {
                for (position, error) in errors.iter().enumerate() {
                    write!(formatter, "{}* {error}", if position == 0 { "" } else { "\n" })?;
                }
                Ok(())
            }
        }?;
        // Not wrapped: it may hold a command to copy.
        if !warnings.is_empty() {
            formatter.write_str("\n\nThe server's advice:\n")?;
        }
        warnings.iter().try_for_each(|warning| write!(formatter, "\n* {warning}"))
    }
}

/// Why one attempt brought no answer.
#[derive(Clone, Debug)]
pub(super) struct AttemptError {
    pub(super) why: String,
    /// Whether another attempt may succeed.
    pub(super) is_transient: bool,
}

impl AttemptError {
    pub(super) const fn transient(why: String) -> Self {
        Self { why, is_transient: true }
    }

    pub(super) const fn permanent(why: String) -> Self {
        Self { why, is_transient: false }
    }
}

/// The connector returns it through hyper's client.
impl std::error::Error for AttemptError {}

impl fmt::Display for AttemptError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.why)
    }
}
