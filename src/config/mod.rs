//! The server's configuration: files and environment in, checked values out.
//!
//! [`load`] reads files (or folders of them) and environment variables, and
//! returns the configuration, or every error at once, each with its location.

mod checked;
mod file;
mod files;
mod listener;
pub mod logs;
mod manual;
mod seal;

use std::fmt;
use std::path::{Path, PathBuf};

pub use checked::{Checked, Log, LogFormat, LogLevel, Storage};
pub use files::{Examine, FileProblem};
pub use listener::{ListenerConfig, ListenerPurpose, ListenerTls, TlsVersion};
pub use manual::manual;
pub use seal::{SealConfig, SealKey};

use crate::hcl::Position;
use checked::Surroundings;

/// An error or warning of a configuration, with its location and remedy.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConfigError {
    /// The file or folder; the name of the variable where the environment is wrong.
    pub file: PathBuf,
    /// The position in it; `None` for the whole file.
    pub position: Option<Position>,
    /// The problem and its remedy. Never holds a secret.
    pub message: String,
    /// The server starts anyway.
    pub warning: bool,
}

impl ConfigError {
    /// The line, from 1; 0 for the whole file.
    pub fn line(&self) -> u32 {
        self.position.map_or(0, |position| position.line)
    }

    /// The column in characters, from 1; 0 for the whole file.
    pub fn column(&self) -> u32 {
        self.position.map_or(0, |position| position.column)
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (file, message) = (self.file.display(), &self.message);
        let kind = if self.warning { "warning: " } else { "" };
        match self.position {
            Some(position) => write!(formatter, "{file}:{position}: {kind}{message}"),
            None => write!(formatter, "{file}: {kind}{message}"),
        }
    }
}

impl std::error::Error for ConfigError {}

/// [`load`], and checks of the files that the configuration names: the server's start and
/// `config check` call it. `examine` checks the certificates.
///
/// # Errors
/// All errors and warnings, ordered by file and position; at least one is an error.
pub fn examine(
    paths: &[PathBuf],
    lookup: &dyn Fn(&str) -> Option<String>,
    examine: &Examine<'_>,
) -> Result<Checked, Vec<ConfigError>> {
    read(paths, lookup, Some(examine))
}

/// Reads these files, in this order; a folder stands for its `*.hcl` and `*.json` files in
/// the order of their names. All listener blocks are used; for other keys the last file wins; a second
/// storage or seal is an error. `lookup` returns environment variables.
///
/// # Errors
/// All errors, ordered by file and position.
pub fn load(
    paths: &[PathBuf],
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<Checked, Vec<ConfigError>> {
    read(paths, lookup, None)
}

fn read(
    paths: &[PathBuf],
    lookup: &dyn Fn(&str) -> Option<String>,
    examine: Option<&Examine<'_>>,
) -> Result<Checked, Vec<ConfigError>> {
    let mut faults = Vec::new();
    let mut sections = Vec::new();
    for path in paths.iter().flat_map(|path| files_of(path, &mut faults)).collect::<Vec<_>>() {
        match std::fs::read_to_string(&path) {
            Ok(text) => sections.extend(file::read(&path, &text, &mut faults)),
            Err(error) => faults.push(whole(&path, format!("cannot be read: {error}"))),
        }
    }
    settle(&sections, paths.first().cloned(), faults, lookup, examine)
}

/// The configuration of a development server: in memory, one listener without TLS.
///
/// # Errors
/// Wrong values of environment variables.
pub fn in_memory(lookup: &dyn Fn(&str) -> Option<String>) -> Result<Checked, Vec<ConfigError>> {
    let text = "listener \"tcp\" { address = \"127.0.0.1:8200\" tls_disable = true }\nstorage \"inmem\" {}\n";
    parse(Path::new("built-in configuration"), text, lookup)
}

/// The configuration in one text; `origin` is the file name of its errors.
///
/// # Errors
/// All errors, ordered by position.
pub fn parse(
    origin: &Path,
    text: &str,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<Checked, Vec<ConfigError>> {
    let mut faults = Vec::new();
    let sections = file::read(origin, text, &mut faults);
    settle(&sections, Some(origin.to_owned()), faults, lookup, None)
}

fn settle(
    sections: &[file::WrittenSection],
    origin: Option<PathBuf>,
    mut faults: Vec<ConfigError>,
    lookup: &dyn Fn(&str) -> Option<String>,
    examine: Option<&Examine<'_>>,
) -> Result<Checked, Vec<ConfigError>> {
    let origin = origin.unwrap_or_else(|| PathBuf::from("configuration"));
    let broken = !faults.is_empty();
    let checked =
        checked::check(sections, &origin, broken, &Surroundings { lookup, examine }, &mut faults);
    faults.sort();
    faults.dedup();
    match checked {
        Some(mut checked) if faults.iter().all(|fault| fault.warning) => {
            checked.warnings = faults;
            Ok(checked)
        }
        _ => Err(faults),
    }
}

fn whole(path: &Path, message: String) -> ConfigError {
    ConfigError { file: path.to_owned(), position: None, message, warning: false }
}

fn files_of(path: &Path, faults: &mut Vec<ConfigError>) -> Vec<PathBuf> {
    if !path.is_dir() {
        return vec![path.to_owned()];
    }
    let entries = match std::fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) => {
            faults.push(whole(path, format!("cannot be read: {error}")));
            return Vec::new();
        }
    };
    let mut files: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|end| end == "hcl" || end == "json"))
        .filter(|path| path.is_file())
        .collect();
    files.sort();
    if files.is_empty() {
        faults.push(whole(path, "this folder has no .hcl or .json file".to_owned()));
    }
    files
}

#[cfg(test)]
mod tests;
