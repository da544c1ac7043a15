//! The key that seals the store: found, decoded and kept secret.

use data_encoding::{BASE64, BASE64_NOPAD, HEXLOWER_PERMISSIVE};
use zeroize::Zeroizing;

use crate::secret::Secret;

/// The seal of the store.
#[derive(Debug)]
pub enum SealConfig {
    /// A key that the operator keeps.
    Static {
        /// The key that seals.
        current: SealKey,
        /// An older key that may still unseal.
        previous: Option<SealKey>,
    },
    /// A random key that is lost when the process ends, for a store in memory.
    Ephemeral,
}

/// A key and the name that is stored with the values it seals.
#[derive(Debug)]
pub struct SealKey {
    /// The name.
    pub id: String,
    /// AES-256 key material.
    pub key: Box<Secret<[u8; 32]>>,
}

/// Finds the 32 bytes that `text` names or holds.
///
/// # Errors
/// What is wrong, without the key.
pub(super) fn find(
    text: &str,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<Box<Secret<[u8; 32]>>, String> {
    let (bytes, origin) = if let Some(name) = text.strip_prefix("env://") {
        let value = lookup(name).filter(|value| !value.is_empty());
        let value =
            value.ok_or_else(|| format!("the environment has no variable {name}: set it"))?;
        (Zeroizing::new(value.into_bytes()), format!("the environment variable {name}"))
    } else if let Some(path) = text.strip_prefix("file://") {
        if !path.starts_with('/') {
            return Err("a key in a file is written file:///absolute/path".to_owned());
        }
        let bytes = std::fs::read(path).map_err(|error| format!("cannot read {path}: {error}"))?;
        let bytes = Zeroizing::new(bytes);
        if let Ok(key) = bytes.as_slice().try_into() {
            return Ok(Secret::boxed(key));
        }
        (bytes, format!("the file {path}"))
    } else {
        (Zeroizing::new(text.as_bytes().to_vec()), "the key here".to_owned())
    };
    decode(bytes.trim_ascii())
        .ok_or_else(|| format!("{origin} must hold 32 bytes in base64 or hexadecimal"))
}

fn decode(text: &[u8]) -> Option<Box<Secret<[u8; 32]>>> {
    // 64 digits cannot be the base64 of 32 bytes, so the two forms never overlap.
    [&HEXLOWER_PERMISSIVE, &BASE64, &BASE64_NOPAD].into_iter().find_map(|encoding| {
        let bytes = Zeroizing::new(encoding.decode(text).ok()?);
        bytes.as_slice().try_into().ok().map(Secret::boxed)
    })
}
