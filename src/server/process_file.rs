//! The file that holds the process's number while the server runs.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

/// A file with the number of this process. Dropping it removes the file, unless another process has
/// written its own number there.
#[derive(Debug)]
pub(super) struct ProcessFile(PathBuf);

impl ProcessFile {
    /// Writes the number, or logs why it cannot.
    pub(super) fn write(path: &Path) -> Option<Self> {
        match write(path) {
            Ok(()) => Some(Self(path.to_owned())),
            Err(error) => {
                let path = path.display();
                tracing::warn!(%error, %path, "the pid_file could not be written");
                None
            }
        }
    }
}

impl Drop for ProcessFile {
    fn drop(&mut self) {
        if fs::read_to_string(&self.0).is_ok_and(|text| text == number()) {
            // A folder that the server may not write keeps the file.
            let _ = fs::remove_file(&self.0);
        }
    }
}

/// Writes in place, since the folder may belong to another user. Links are not followed: one could direct the
/// write to another file.
fn write(path: &Path) -> io::Result<()> {
    let flags = i32::try_from(OFlags::NOFOLLOW.bits()).map_err(io::Error::other)?;
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o644).custom_flags(flags);
    options.open(path)?.write_all(number().as_bytes())
}

fn number() -> String {
    format!("{}\n", std::process::id())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn holds_the_number_until_it_is_dropped_and_follows_no_link() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("signet.pid");
        fs::write(&path, "4294967295 and more\n").unwrap();
        let file = ProcessFile::write(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), number());
        drop(file);
        assert!(!path.exists());
        let other = folder.path().join("other");
        fs::write(&other, "theirs").unwrap();
        symlink(&other, &path).unwrap();
        assert!(ProcessFile::write(&path).is_none());
        assert_eq!(fs::read_to_string(&other).unwrap(), "theirs");
        fs::remove_file(&path).unwrap();
        let file = ProcessFile::write(&path).unwrap();
        fs::write(&path, "1\n").unwrap();
        drop(file);
        assert!(path.exists(), "another process wrote its number there");
    }
}
