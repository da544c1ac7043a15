//! What a new set would take away from its folder, found before anything is asked for.
//!
//! Signet knows its own files by three marks: the name is a link by way of `.current`, `.current`
//! is a link to a set, and the set's `SHA256SUMS` has the digest of what lies there. A file that
//! was copied over one of ours goes through the links and is known by its digest alone. Sets of
//! versions before this list are known by the links. A file of ours that is empty or holds zeros
//! alone is damaged, and not a file of another program.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::{CURRENT, NAMES, SUMS, at, digest, is_ours, is_set};

/// What a set would replace that Signet did not write.
#[derive(Debug)]
pub(crate) struct ReplacementPlan {
    foreign: Vec<PathBuf>,
}

/// Why no set can be written.
#[derive(Debug)]
pub(crate) enum ReplacementRefusal {
    /// These are not ours.
    Foreign(Vec<PathBuf>),
    /// A folder has the name of a file: no force removes what may lie in it.
    Folder(PathBuf),
    /// The folder cannot be looked into.
    Unreadable(io::Error),
}

impl fmt::Display for ReplacementRefusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Foreign(paths) => {
                let are = if paths.len() == 1 { "is not a file" } else { "are not files" };
                write!(
                    formatter,
                    "{} {are} that Signet wrote, or changed since, and would be lost: move away what is there, name another folder with -out, or add -force to replace it",
                    listed(paths)
                )
            }
            Self::Folder(path) => write!(
                formatter,
                "{} is a folder with the name of a file to write: move it away, or name another folder with -out",
                path.display()
            ),
            Self::Unreadable(error) => error.fmt(formatter),
        }
    }
}

/// Paths as a person reads them.
pub(crate) fn listed(paths: &[PathBuf]) -> String {
    let names: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
    match names.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
        None => String::new(),
    }
}

impl ReplacementPlan {
    /// Looks at what a set of these names would replace or remove. `force` lets what is not
    /// ours go.
    ///
    /// # Errors
    /// See [`ReplacementRefusal`].
    pub(crate) fn make(
        folder: &Path,
        names: &[&str],
        force: bool,
    ) -> Result<Self, ReplacementRefusal> {
        let mut foreign = Vec::new();
        let current = folder.join(CURRENT);
        let set = match fs::read_link(&current) {
            Ok(target) if is_set(&target) => Some(folder.join(target)),
            Ok(_) => {
                foreign.push(current);
                None
            }
            Err(_) => {
                foreign.extend(occupied(&current)?.then_some(current));
                None
            }
        };
        let sums = set.as_deref().map(sums).transpose()?.flatten();
        for name in NAMES {
            let path = folder.join(name);
            let is_wanted = names.contains(&name);
            let is_theirs = match (&set, is_ours(folder, name)) {
                (Some(set), true) => is_changed(&set.join(name), name, sums.as_deref())?,
                // A link to nothing: nothing is lost.
                (None, true) => false,
                (_, false) => is_wanted && occupied(&path)?,
            };
            foreign.extend(is_theirs.then_some(path));
        }
        if foreign.is_empty() || force {
            Ok(Self { foreign })
        } else {
            Err(ReplacementRefusal::Foreign(foreign))
        }
    }

    /// What is not ours and goes.
    pub(crate) fn foreign(&self) -> &[PathBuf] {
        &self.foreign
    }
}

/// Is something there that a link would replace?
fn occupied(path: &Path) -> Result<bool, ReplacementRefusal> {
    match path.symlink_metadata() {
        Ok(found) if found.is_dir() => Err(ReplacementRefusal::Folder(path.to_owned())),
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(ReplacementRefusal::Unreadable(at(path, &error))),
    }
}

/// The list of digests of a set; a set of an older version has none.
fn sums(set: &Path) -> Result<Option<String>, ReplacementRefusal> {
    match fs::read_to_string(set.join(SUMS)) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(ReplacementRefusal::Unreadable(at(&set.join(SUMS), &error))),
    }
}

fn is_changed(path: &Path, name: &str, sums: Option<&str>) -> Result<bool, ReplacementRefusal> {
    let Some(sums) = sums else { return Ok(false) };
    let content = match fs::read(path) {
        Ok(content) => Zeroizing::new(content),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(ReplacementRefusal::Unreadable(at(path, &error))),
    };
    // What a full disk or a loss of power leaves: nothing is lost with it.
    if content.iter().all(|byte| *byte == 0) {
        return Ok(false);
    }
    let line = format!("{}  {name}", digest(&content));
    Ok(!sums.lines().any(|known| known == line))
}
