//! Files that belong together, replaced all at once.
//!
//! A certificate beside the key of another one stops the service that reads both. Renaming
//! each file alone leaves such a pair if the machine stops between two renames. So a set lies
//! in a folder of its own, and the names that programs read are links by way of one more link:
//!
//! ```text
//! out/svid.pem -> .current/svid.pem        never changes
//! out/.current -> .set-5f1c…               one rename switches every name
//! out/.set-5f1c…/{svid,key,bundle}.pem     mode 0600 in a folder of mode 0700, synced before
//! out/.set-5f1c…/REQUEST                   what was asked from the server, without passwords
//! out/.set-5f1c…/PENDING                   only until the command after the change succeeds
//! out/.set-5f1c…/SHA256SUMS                what was written, to know it again
//! ```
//!
//! | the power goes after | what programs read |
//! |---|---|
//! | some files | the old set; the new folder is unused, and a run of an hour later removes it |
//! | the rename of `.current` | the new set, whole |
//!
//! What Signet did not write is kept: [`ReplacementPlan::make`] finds it before anything is asked for, and
//! only a plan that was forced takes it away.
//!
//! Not promised: that a program which opens two files around the switch gets both of one set;
//! and a plain file that has the name of one of ours becomes a link just after the switch.

mod access;
mod current;
mod plan;
#[cfg(test)]
mod tests;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use zeroize::Zeroizing;

use crate::entropy::Entropy;

pub(super) use access::FileAccess;
pub(super) use current::{CurrentSet, command_succeeded};
pub(super) use plan::{ReplacementPlan, ReplacementRefusal};

/// Names that a set may have; those that the newest set lacks disappear with the old one.
pub(super) const NAMES: [&str; 7] = [
    "svid.pem",
    "key.pem",
    "bundle.pem",
    "keystore.p12",
    "truststore.p12",
    "keystore.jks",
    "truststore.jks",
];

const CURRENT: &str = ".current";

/// What a set holds and its digests, in the form of `sha256sum`.
const SUMS: &str = "SHA256SUMS";

/// What was asked from the server. A set of an older version has none.
const REQUEST: &str = "REQUEST";

/// An empty file: the command that follows a change has not succeeded yet.
const PENDING: &str = "PENDING";

/// No run takes so long.
const ABANDONED: Duration = Duration::from_secs(3600);

/// A name and the content of the file.
pub(super) type NamedFile = (&'static str, Zeroizing<Vec<u8>>);

/// What is written at once.
#[derive(Default)]
pub(super) struct NewSet {
    /// The files that programs read.
    pub(super) files: Vec<NamedFile>,
    /// What was asked from the server, without secrets.
    pub(super) request: Vec<u8>,
    /// Whether a command follows that must succeed once.
    pub(super) has_command: bool,
    /// Mode and owner of the files.
    pub(super) access: FileAccess,
}

/// Makes the folder, if it is not there, and tries whether a set can be made in it: before anything is
/// asked for that would be lost.
///
/// # Errors
/// Why that cannot be done, with the path in the text.
pub(super) fn prepare(folder: &Path, access: FileAccess) -> io::Result<()> {
    make(folder, access)?;
    let trial = folder.join(format!(".set-{}", Entropy::System.uuid()));
    fs::create_dir(&trial).map_err(|error| at(folder, &error))?;
    let written = write(&trial, "key.pem", &[], access);
    remove_set(&trial);
    written
}

fn make(folder: &Path, access: FileAccess) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    let builder = builder.recursive(true).mode(access.folder_mode());
    builder.create(folder).map_err(|error| at(folder, &error))
}

/// Puts the set in place of the one that the folder holds, or fails and changes nothing. The
/// names that disappeared are returned.
///
/// # Errors
/// What could not be written, with its path in the text.
pub(super) fn replace(folder: &Path, new: &NewSet) -> io::Result<Vec<&'static str>> {
    make(folder, new.access)?;
    let mark = Entropy::System.uuid();
    let fresh = folder.join(format!(".set-{mark}"));
    let outcome = write_all(&fresh, new).and_then(|()| switch(folder, &fresh, &mark, &new.files));
    if outcome.is_err() && !is_current(folder, &fresh) {
        // The set was never in use; what is left of it holds a key, so it must go.
        let _ = fs::remove_dir_all(&fresh);
    }
    outcome
}

fn write_all(fresh: &Path, new: &NewSet) -> io::Result<()> {
    let made = fs::DirBuilder::new().mode(0o700).create(fresh);
    made.map_err(|error| at(fresh, &error))?;
    let mut sums = String::new();
    for (name, content) in &new.files {
        write(fresh, name, content, new.access)?;
        sums.push_str(&format!("{}  {name}\n", digest(content)));
    }
    write(fresh, REQUEST, &new.request, FileAccess::default())?;
    sums.push_str(&format!("{}  {REQUEST}\n", digest(&new.request)));
    write(fresh, SUMS, sums.as_bytes(), FileAccess::default())?;
    if new.has_command {
        write(fresh, PENDING, &[], FileAccess::default())?;
    }
    // The folder's own mode last: until then its user is alone in it, whatever the umask is.
    let mode = fs::Permissions::from_mode(new.access.folder_mode());
    fs::set_permissions(fresh, mode).map_err(|error| at(fresh, &error))?;
    sync(fresh)
}

fn write(set: &Path, name: &str, content: &[u8], access: FileAccess) -> io::Result<()> {
    let path = set.join(name);
    let write = || {
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o600).open(&path)?;
        file.write_all(content)?;
        access.apply(&file, name)?;
        file.sync_all()
    };
    write().map_err(|error| at(&path, &error))
}

/// SHA-256 in hexadecimal.
fn digest(content: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, content);
    data_encoding::HEXLOWER.encode(digest.as_ref())
}

fn switch(
    folder: &Path,
    fresh: &Path,
    mark: &str,
    entries: &[NamedFile],
) -> io::Result<Vec<&'static str>> {
    // Missing names first: until the switch they lead nowhere, with it all appear at once.
    for (name, _) in entries {
        if folder.join(name).symlink_metadata().is_err() {
            link(folder, name, mark)?;
        }
    }
    let old = fs::read_link(folder.join(CURRENT)).ok();
    let target = fresh.file_name().map(PathBuf::from).unwrap_or_default();
    rename_link(folder, &target, CURRENT, mark)?;
    sync(folder)?;
    for (name, _) in entries {
        if !is_ours(folder, name) {
            link(folder, name, mark)?;
        }
    }
    let mut gone = Vec::new();
    for name in NAMES {
        if is_ours(folder, name) && entries.iter().all(|(entry, _)| *entry != name) {
            fs::remove_file(folder.join(name)).map_err(|error| at(&folder.join(name), &error))?;
            gone.push(name);
        }
    }
    if let Some(old) = old.filter(|old| is_set(old) && *old != target) {
        remove_set(&folder.join(old));
    }
    remove_abandoned(folder, fresh);
    sync(folder)?;
    Ok(gone)
}

/// The old key is of no use any more; a reader that holds it open keeps it so long. What a set
/// holds besides its own files stays, and its folder with it.
fn remove_set(set: &Path) {
    for name in NAMES.into_iter().chain([REQUEST, PENDING, SUMS]) {
        let _ = fs::remove_file(set.join(name));
    }
    let _ = fs::remove_dir(set);
}

/// Removes the sets of runs that were killed before the switch: each holds a private key. The set of a
/// run that is under way is younger. What cannot be looked at stays: the new set is in use already.
fn remove_abandoned(folder: &Path, fresh: &Path) {
    let modified = |path: &Path| path.symlink_metadata().and_then(|found| found.modified());
    let (Ok(now), Ok(entries)) = (modified(fresh), fs::read_dir(folder)) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        let is_old = modified(&path)
            .is_ok_and(|then| now.duration_since(then).is_ok_and(|age| age > ABANDONED));
        if is_old && is_set_of_ours(&path) {
            remove_set(&path);
        }
    }
}

/// A folder with the name that we give: a mark of 36 characters.
fn is_set_of_ours(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let mark = name.strip_prefix(".set-").unwrap_or_default();
    mark.len() == 36
        && mark.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
        && path.symlink_metadata().is_ok_and(|found| found.is_dir())
}

fn link(folder: &Path, name: &str, mark: &str) -> io::Result<()> {
    rename_link(folder, &Path::new(CURRENT).join(name), name, mark)
}

/// A link that replaces whatever has its name, in one step.
fn rename_link(folder: &Path, target: &Path, name: &str, mark: &str) -> io::Result<()> {
    let made = folder.join(format!(".link-{mark}"));
    let path = folder.join(name);
    symlink(target, &made).and_then(|()| fs::rename(&made, &path)).map_err(|error| {
        let _ = fs::remove_file(&made);
        at(&path, &error)
    })
}

fn is_ours(folder: &Path, name: &str) -> bool {
    fs::read_link(folder.join(name)).is_ok_and(|to| to == Path::new(CURRENT).join(name))
}

fn is_current(folder: &Path, fresh: &Path) -> bool {
    fs::read_link(folder.join(CURRENT)).is_ok_and(|to| Some(to.as_os_str()) == fresh.file_name())
}

/// Only in a folder that we made is anything ever removed: one plain name of our form.
fn is_set(target: &Path) -> bool {
    target.components().count() == 1 && target.to_string_lossy().starts_with(".set-")
}

fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| at(folder, &error))
}

fn at(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}
