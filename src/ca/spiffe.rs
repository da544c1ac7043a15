//! SPIFFE IDs by the standard (SPIFFE-ID, sections 2.1 to 2.4).
//!
//! One pass over the bytes; nothing is normalised, folded or unescaped, and IDs compare as
//! bytes: a cleaned-up ID is another identity.

use std::fmt;

/// The longest ID that may be issued, in bytes (SPIFFE-ID, section 2.3).
pub const LONGEST_ID: usize = 2048;

/// The longest trust domain, in bytes (SPIFFE-ID, section 2.3: the limit of a URI host).
pub const LONGEST_TRUST_DOMAIN: usize = 255;

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
    /// Nothing there.
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
            Self::TooLong => "it is longer than 2048 bytes, or its trust domain than 255",
        })
    }
}

impl std::error::Error for SpiffeIdError {}

impl SpiffeId {
    /// Reads an ID; the only way to one.
    pub fn parse(text: &str) -> Result<Self, SpiffeIdError> {
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
        if text.len() > LONGEST_ID {
            return Err(SpiffeIdError::TooLong);
        }
        Ok(Self { text: text.to_owned(), path_starts: PREFIX.len().saturating_add(end) })
    }

    /// The ID as it is written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The same, taken out.
    pub fn into_text(self) -> String {
        self.text
    }

    /// The trust domain's name.
    pub fn trust_domain(&self) -> &str {
        self.text.get(PREFIX.len()..self.path_starts).unwrap_or_default()
    }

    /// The path with its leading slash; empty if the ID is a trust domain's.
    pub fn path(&self) -> &str {
        self.text.get(self.path_starts..).unwrap_or_default()
    }
}

impl fmt::Display for SpiffeId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

fn trust_domain(name: &str) -> Result<(), SpiffeIdError> {
    if name.is_empty() {
        return Err(SpiffeIdError::MissingTrustDomain);
    }
    let legal = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_');
    if !name.bytes().all(legal) {
        return Err(SpiffeIdError::TrustDomainCharacter);
    }
    if name.len() > LONGEST_TRUST_DOMAIN {
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
            _ if !segment.iter().all(legal) => return Err(SpiffeIdError::PathCharacter),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
