//! SPIFFE IDs by the standard (SPIFFE-ID, sections 2.1 to 2.4).
//!
//! One pass over the bytes; nothing is normalised, folded or unescaped, and IDs compare as
//! bytes: a cleaned-up ID is another identity.

use std::fmt;

/// The longest ID that may be issued, in bytes (SPIFFE-ID, section 2.3).
pub const MAX_ID_BYTES: usize = 2048;

/// The longest trust domain, in bytes (SPIFFE-ID, section 2.3: the limit of a URI host).
pub const MAX_TRUST_DOMAIN_BYTES: usize = 255;

const PREFIX: &str = "spiffe://";

/// A valid SPIFFE ID.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpiffeId {
    text: String,
    path_starts: usize,
}

/// Why a text is not a SPIFFE ID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpiffeIdError {
    /// The text is empty.
    Empty,
    /// It does not begin with `spiffe://` (lower case).
    Scheme,
    /// No trust domain.
    MissingTrustDomain,
    /// A character outside `a-z 0-9 . - _` in the trust domain.
    TrustDomainCharacter,
    /// `//` in the path.
    EmptySegment,
    /// A `.` or `..` segment.
    DotSegment,
    /// A slash at the end.
    TrailingSlash,
    /// A character outside `a-z A-Z 0-9 . - _` in the path.
    PathCharacter,
    /// A `%`: nothing is escaped in an ID.
    Percent,
    /// A query or a fragment, also an empty one.
    QueryOrFragment,
    /// A user or a port in front of the path, also an empty one.
    UserOrPort,
    /// Over 2048 bytes, or a trust domain over 255.
    TooLong,
}

impl fmt::Display for SpiffeIdError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Empty => "it is empty",
            Self::Scheme => "it does not begin with spiffe://",
            Self::MissingTrustDomain => "the trust domain is missing",
            Self::TrustDomainCharacter => {
                "the trust domain may hold only a-z, 0-9, dot, hyphen and underscore"
            }
            Self::EmptySegment => "a path segment is empty",
            Self::DotSegment => "a path segment is . or ..",
            Self::TrailingSlash => "the path ends in a slash",
            Self::PathCharacter => {
                "the path may hold only letters, digits, dot, hyphen, underscore and slash"
            }
            Self::Percent => "it holds a %, and nothing is escaped in a SPIFFE ID",
            Self::QueryOrFragment => "it has a query or a fragment",
            Self::UserOrPort => "it has a user or a port",
            Self::TooLong => "it is longer than 2048 bytes, or its trust domain than 255",
        })
    }
}

impl std::error::Error for SpiffeIdError {}

impl SpiffeId {
    /// Parses an ID; the only constructor.
    pub fn parse(text: &str) -> Result<Self, SpiffeIdError> {
        let path = Self::path_of(text)?;
        Ok(Self { text: text.to_owned(), path_starts: text.len().saturating_sub(path.len()) })
    }

    /// The path of a text that is an ID, with its leading slash; empty if the ID is that of a
    /// trust domain.
    ///
    /// # Errors
    /// Why the text is not an ID.
    pub fn path_of(text: &str) -> Result<&str, SpiffeIdError> {
        if text.is_empty() {
            return Err(SpiffeIdError::Empty);
        }
        let rest = text.strip_prefix(PREFIX).ok_or(SpiffeIdError::Scheme)?;
        let end = rest.bytes().position(|byte| byte == b'/').unwrap_or(rest.len());
        let (domain, path) = rest.split_at(end);
        trust_domain(domain)?;
        if let Some(path) = path.strip_prefix('/') {
            segments(path)?;
        }
        if text.len() > MAX_ID_BYTES {
            return Err(SpiffeIdError::TooLong);
        }
        Ok(path)
    }

    /// The ID as text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The ID as an owned text.
    pub fn into_string(self) -> String {
        self.text
    }

    /// The trust domain's name.
    pub fn trust_domain(&self) -> &str {
        self.text.get(PREFIX.len()..self.path_starts).unwrap_or_default()
    }

    /// The path with its leading slash; empty if the ID is that of a trust domain.
    pub fn path(&self) -> &str {
        self.text.get(self.path_starts..).unwrap_or_default()
    }
}

impl fmt::Display for SpiffeId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

/// Does the text have the scheme `spiffe`, in upper or lower case? Then it must be a valid ID to be
/// signed.
pub fn has_spiffe_scheme(text: &str) -> bool {
    text.split_once(':').is_some_and(|(scheme, _)| scheme.eq_ignore_ascii_case("spiffe"))
}

fn trust_domain(name: &str) -> Result<(), SpiffeIdError> {
    if name.is_empty() {
        return Err(SpiffeIdError::MissingTrustDomain);
    }
    let legal = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_');
    match name.bytes().find(|byte| !legal(*byte)) {
        None => {}
        Some(b'%') => return Err(SpiffeIdError::Percent),
        Some(b'?' | b'#') => return Err(SpiffeIdError::QueryOrFragment),
        Some(b'@' | b':') => return Err(SpiffeIdError::UserOrPort),
        Some(_) => return Err(SpiffeIdError::TrustDomainCharacter),
    }
    if name.len() > MAX_TRUST_DOMAIN_BYTES {
        return Err(SpiffeIdError::TooLong);
    }
    Ok(())
}

fn segments(path: &str) -> Result<(), SpiffeIdError> {
    let legal = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    let mut segments = path.as_bytes().split(|byte| *byte == b'/').peekable();
    while let Some(segment) = segments.next() {
        match segment {
            b"" if segments.peek().is_none() => return Err(SpiffeIdError::TrailingSlash),
            b"" => return Err(SpiffeIdError::EmptySegment),
            b"." | b".." => return Err(SpiffeIdError::DotSegment),
            _ => match segment.iter().find(|byte| !legal(byte)) {
                None => {}
                Some(b'%') => return Err(SpiffeIdError::Percent),
                Some(b'?' | b'#') => return Err(SpiffeIdError::QueryOrFragment),
                Some(_) => return Err(SpiffeIdError::PathCharacter),
            },
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
