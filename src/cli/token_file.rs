//! `~/.vault-token`, where Vault's command line keeps the token, and what may replace it there.
//!
//! A login replaces the file. A development server replaces only what a development server wrote:
//! its own token is useless after it ends, and the token in the file may be the only one of
//! another server. The file beside it holds the digest of what a development server wrote.

use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::Context;
use super::failure::CommandFailure;
use super::remedy::TokenSource;
use crate::secret::Secret;

impl Context<'_> {
    /// The token of the environment, else the stored one.
    pub(super) fn token(&self) -> Result<Option<Secret<String>>, CommandFailure> {
        if let Some(token) = self.variable("TOKEN") {
            return Ok(Some(Secret::new(token)));
        }
        let Ok(path) = self.token_file() else { return Ok(None) };
        stored(&path)
    }

    /// Where [`Context::token`] finds a token, if it finds one.
    pub(super) fn token_source(&self) -> Option<TokenSource> {
        if let Some(name) = self.token_variable() {
            return Some(TokenSource::Variable(name));
        }
        let path = self.token_file().ok()?;
        stored(&path).ok().flatten().map(|_| TokenSource::File(path))
    }

    fn token_file(&self) -> Result<PathBuf, CommandFailure> {
        let home = (self.environment)("HOME").filter(|home| !home.is_empty());
        home.map(|home| PathBuf::from(home).join(".vault-token")).ok_or_else(|| {
            CommandFailure::local("HOME is not set, so there is no file for the token: set SIGNET_TOKEN, or use -no-store")
        })
    }

    /// Keeps the token for later commands, readable by its owner only.
    pub(super) fn store_token(&self, token: &Secret<String>) -> Result<(), CommandFailure> {
        write_whole(&self.token_file()?, token.expose().as_bytes())
    }

    /// The same for a development server. A token that no development server wrote is kept; the
    /// result is then the sentence that says so.
    pub(super) fn store_development_token(
        &self,
        token: &Secret<String>,
    ) -> Result<Option<String>, CommandFailure> {
        let path = self.token_file()?;
        let mark = path.with_file_name(".signet-dev-token");
        if let Some(found) = stored(&path)? {
            let known = std::fs::read_to_string(&mark).unwrap_or_default();
            let same = token.matches(found.expose().as_bytes());
            if !same && known.trim() != digest(&found) {
                return Ok(Some(format!(
                    "{} holds a token that no development server wrote, so the file is not changed: for this server, paste the line with SIGNET_TOKEN.",
                    path.display()
                )));
            }
        }
        // The digest is written first: without it, the token would be taken for that of another server.
        write_whole(&mark, digest(token).as_bytes())?;
        write_whole(&path, token.expose().as_bytes())?;
        Ok(None)
    }
}

fn stored(path: &Path) -> Result<Option<Secret<String>>, CommandFailure> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text.trim())
            .filter(|text| !text.is_empty())
            .map(|text| Secret::new(text.to_owned()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => {
            Err(CommandFailure::local(format!("{} cannot be read: {error}", path.display())))
        }
    }
}

fn digest(token: &Secret<String>) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, token.expose().as_bytes());
    data_encoding::HEXLOWER.encode(digest.as_ref())
}

/// Writes a new file and renames it, so that the file never holds half a token.
fn write_whole(path: &Path, content: &[u8]) -> Result<(), CommandFailure> {
    let failed = |error: io::Error| {
        CommandFailure::server(format!(
            "Error storing token: {} cannot be written: {error}",
            path.display()
        ))
    };
    let fresh = path.with_extension(format!("tmp-{}", std::process::id()));
    // A killed process with the same number may have left the file; `create_new` would refuse it.
    let _ = std::fs::remove_file(&fresh);
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    options.mode(0o600);
    let written = options
        .open(&fresh)
        .and_then(|mut file| {
            file.write_all(content)?;
            file.sync_all()
        })
        .and_then(|()| std::fs::rename(&fresh, path));
    written.map_err(|error| {
        let _ = std::fs::remove_file(&fresh);
        failed(error)
    })
}
