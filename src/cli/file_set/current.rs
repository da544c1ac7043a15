//! Reads back the set that a folder holds, whole or not at all.

use std::fs;
use std::path::Path;

use zeroize::Zeroizing;

use super::{
    CURRENT, FileAccess, NAMES, NamedFile, PENDING, REQUEST, SUMS, digest, is_ours, is_set,
};

/// A set with every file that was written, each with its digest, mode and owner.
pub(crate) struct CurrentSet {
    /// The files that programs read.
    pub(crate) files: Vec<NamedFile>,
    /// What was asked from the server.
    pub(crate) request: Vec<u8>,
    /// Whether the command of `-exec` has not yet succeeded since the set was written.
    pub(crate) command_pending: bool,
}

impl CurrentSet {
    /// The set in use; `None` if a file is missing, damaged, not linked, or has another mode or
    /// owner than asked for.
    pub(crate) fn read(folder: &Path, access: FileAccess) -> Option<Self> {
        let target = fs::read_link(folder.join(CURRENT)).ok().filter(|target| is_set(target))?;
        let set = folder.join(target);
        let sums = fs::read_to_string(set.join(SUMS)).ok()?;
        let mut found = Self {
            files: Vec::new(),
            request: Vec::new(),
            command_pending: set.join(PENDING).symlink_metadata().is_ok(),
        };
        for line in sums.lines() {
            let (sum, name) = line.split_once("  ")?;
            if name == REQUEST {
                found.request = content(&set, name, sum)?.to_vec();
                continue;
            }
            // Any other name could lead out of the folder.
            let name = NAMES.into_iter().find(|known| *known == name)?;
            let content = content(&set, name, sum)?;
            let metadata = set.join(name).symlink_metadata().ok()?;
            if !is_ours(folder, name) || !metadata.is_file() || !access.matches(name, &metadata) {
                return None;
            }
            found.files.push((name, content));
        }
        Some(found)
    }

    /// The content of a file of the set.
    pub(crate) fn file(&self, name: &str) -> Option<&[u8]> {
        self.files.iter().find(|(known, _)| *known == name).map(|(_, content)| content.as_slice())
    }
}

/// The command of `-exec` has succeeded for the set in use.
pub(crate) fn command_succeeded(folder: &Path) {
    // If the mark cannot be removed, the command is run once more.
    let _ = fs::remove_file(folder.join(CURRENT).join(PENDING));
}

fn content(set: &Path, name: &str, sum: &str) -> Option<Zeroizing<Vec<u8>>> {
    let content = Zeroizing::new(fs::read(set.join(name)).ok()?);
    (digest(&content) == sum).then_some(content)
}
