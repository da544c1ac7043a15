//! The key that seals the store: found, decoded, and out of sight.

use data_encoding::{BASE64, BASE64_NOPAD, HEXLOWER_PERMISSIVE};
use zeroize::Zeroizing;

use crate::secret::Secret;

/// What unseals the store.
#[derive(Debug)]
pub enum SealConfig {
    /// A key that the operator keeps.
    Static {
        /// Seals and unseals.
        current: SealKey,
        /// May still unseal what an older key sealed.
        previous: Option<SealKey>,
    },
    /// A key that is made at the start and forgotten at the end, for a store in memory.
    Ephemeral,
}

/// A key and the name that stands beside what it sealed.
#[derive(Debug)]
pub struct SealKey {
    /// The name.
    pub id: String,
    /// AES-256 key material.
    pub key: Box<Secret<[u8; 32]>>,
}

/// Finds the 32 octets that `text` names or holds.
///
/// # Errors
/// What is wrong, without the key.
pub(super) fn find(
    text: &str,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<Box<Secret<[u8; 32]>>, String> {
    let (octets, origin) = if let Some(name) = text.strip_prefix("env://") {
        let value = lookup(name).filter(|value| !value.is_empty());
        let value =
            value.ok_or_else(|| format!("the environment has no variable {name}: set it"))?;
        (Zeroizing::new(value.into_bytes()), format!("the environment variable {name}"))
    } else if let Some(path) = text.strip_prefix("file://") {
        if !path.starts_with('/') {
            return Err("a key in a file is written file:///absolute/path".to_owned());
        }
        let octets = std::fs::read(path).map_err(|error| format!("cannot read {path}: {error}"))?;
        let octets = Zeroizing::new(octets);
        if let Ok(key) = octets.as_slice().try_into() {
            return Ok(Secret::boxed(key));
        }
        (octets, format!("the file {path}"))
    } else {
        (Zeroizing::new(text.as_bytes().to_vec()), "the key here".to_owned())
    };
    decode(octets.trim_ascii())
        .ok_or_else(|| format!("{origin} must hold 32 octets in base64 or hexadecimal"))
}

fn decode(text: &[u8]) -> Option<Box<Secret<[u8; 32]>>> {
    // 64 digits can be no base64 of 32 octets, so the two never meet.
    [&HEXLOWER_PERMISSIVE, &BASE64, &BASE64_NOPAD].into_iter().find_map(|encoding| {
        let octets = Zeroizing::new(encoding.decode(text).ok()?);
        octets.as_slice().try_into().ok().map(Secret::boxed)
    })
}
