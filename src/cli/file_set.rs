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
//! ```
//!
//! | the power goes after | what programs read |
//! |---|---|
//! | some files | the old set; the new folder is unused |
//! | the rename of `.current` | the new set, whole |
//!
//! Not promised: that a program which opens two files around the switch gets both of one set;
//! and a plain file that has the name of one of ours becomes a link just after the switch.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::entropy::Entropy;

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

/// A name and what it shall hold.
pub(super) type Entry = (&'static str, Zeroizing<Vec<u8>>);

/// Makes the folder, if it is not there: before anything is asked for that would be lost.
///
/// # Errors
/// Why it cannot be made, with its path in the text.
pub(super) fn prepare(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true).mode(0o700).create(folder).map_err(|error| at(folder, &error))
}

/// Puts the set in place of the one that the folder holds, or fails and changes nothing.
///
/// # Errors
/// What could not be written, with its path in the text.
pub(super) fn replace(folder: &Path, entries: &[Entry]) -> io::Result<()> {
    prepare(folder)?;
    let mark = Entropy::System.uuid();
    let fresh = folder.join(format!(".set-{mark}"));
    let outcome = write_all(&fresh, entries).and_then(|()| switch(folder, &fresh, &mark, entries));
    if outcome.is_err() && !is_current(folder, &fresh) {
        // The set was never in use; what is left of it holds a key, so it must go.
        let _ = fs::remove_dir_all(&fresh);
    }
    outcome
}

fn write_all(fresh: &Path, entries: &[Entry]) -> io::Result<()> {
    fs::DirBuilder::new().mode(0o700).create(fresh).map_err(|error| at(fresh, &error))?;
    for (name, content) in entries {
        let path = fresh.join(name);
        let write = || {
            let mut options = OpenOptions::new();
            let mut file = options.write(true).create_new(true).mode(0o600).open(&path)?;
            file.write_all(content)?;
            file.sync_all()
        };
        write().map_err(|error| at(&path, &error))?;
    }
    sync(fresh)
}

fn switch(folder: &Path, fresh: &Path, mark: &str, entries: &[Entry]) -> io::Result<()> {
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
    for name in NAMES {
        if is_ours(folder, name) && entries.iter().all(|(entry, _)| *entry != name) {
            fs::remove_file(folder.join(name)).map_err(|error| at(&folder.join(name), &error))?;
        }
    }
    if let Some(old) = old.filter(|old| is_set(old) && *old != target) {
        // The old key is of no use to anybody; a reader that holds it open keeps it so long.
        let _ = fs::remove_dir_all(folder.join(old));
    }
    sync(folder)
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

/// Only a folder that we made is ever removed: one plain name of our form.
fn is_set(target: &Path) -> bool {
    target.components().count() == 1 && target.to_string_lossy().starts_with(".set-")
}

fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| at(folder, &error))
}

fn at(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn set(entries: &[(&'static str, &str)]) -> Vec<Entry> {
        entries
            .iter()
            .map(|(name, text)| (*name, Zeroizing::new(text.as_bytes().to_vec())))
            .collect()
    }

    fn read(folder: &Path, name: &str) -> String {
        fs::read_to_string(folder.join(name)).unwrap()
    }

    fn visible_and_hidden(folder: &Path) -> (Vec<String>, usize) {
        let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
        let names: Vec<String> = names.map(|name| name.into_string().unwrap()).collect();
        let hidden = names.iter().filter(|name| name.starts_with(".set-")).count();
        let mut names: Vec<_> = names.into_iter().filter(|name| !name.starts_with('.')).collect();
        names.sort();
        (names, hidden)
    }

    #[test]
    fn a_new_set_replaces_the_old_one_and_the_old_key_is_gone() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("out");
        replace(&folder, &set(&[("svid.pem", "one"), ("key.pem", "k1")])).unwrap();
        replace(&folder, &set(&[("svid.pem", "two"), ("key.pem", "k2")])).unwrap();
        assert_eq!(
            (read(&folder, "svid.pem"), read(&folder, "key.pem")),
            ("two".into(), "k2".into())
        );
        assert_eq!(visible_and_hidden(&folder), (vec!["key.pem".into(), "svid.pem".into()], 1));
    }

    #[test]
    fn nobody_else_can_read_a_set() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("out");
        replace(&folder, &set(&[("key.pem", "k")])).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&folder), 0o700);
        assert_eq!(mode(&folder.join(CURRENT)), 0o700);
        assert_eq!(mode(&folder.join("key.pem")), 0o600);
    }

    #[test]
    fn a_set_of_other_names_takes_the_old_names_away() {
        let root = tempfile::tempdir().unwrap();
        replace(root.path(), &set(&[("svid.pem", "one"), ("key.pem", "k1")])).unwrap();
        replace(root.path(), &set(&[("keystore.p12", "p")])).unwrap();
        assert_eq!(visible_and_hidden(root.path()), (vec!["keystore.p12".into()], 1));
    }

    #[test]
    fn a_plain_file_of_the_same_name_becomes_a_link_and_strangers_stay() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("key.pem"), "old").unwrap();
        fs::write(root.path().join("notes.txt"), "mine").unwrap();
        replace(root.path(), &set(&[("key.pem", "new")])).unwrap();
        assert_eq!(read(root.path(), "key.pem"), "new");
        assert_eq!(read(root.path(), "notes.txt"), "mine");
    }

    #[test]
    fn a_set_that_cannot_be_written_changes_nothing() {
        let root = tempfile::tempdir().unwrap();
        replace(root.path(), &set(&[("svid.pem", "one"), ("key.pem", "k1")])).unwrap();
        // The same name twice: the second cannot be created.
        let broken = set(&[("svid.pem", "two"), ("svid.pem", "two")]);
        assert!(replace(root.path(), &broken).is_err());
        assert_eq!(read(root.path(), "svid.pem"), "one");
        assert_eq!(visible_and_hidden(root.path()), (vec!["key.pem".into(), "svid.pem".into()], 1));
    }

    #[test]
    fn a_folder_that_is_not_ours_is_never_removed() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("theirs")).unwrap();
        symlink("theirs", root.path().join(CURRENT)).unwrap();
        replace(root.path(), &set(&[("key.pem", "k")])).unwrap();
        assert!(root.path().join("theirs").is_dir());
    }
}
