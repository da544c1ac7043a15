//! Checks the files that a configuration names, before anything is opened.
//!
//! `signet config check` and the start of the server run this same code: a problem that ends the
//! start is an error, a setting that works and is dangerous is a warning.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::fs::{Access, access};

use super::checked::Checking;
use super::file::Location;
use super::listener::{ListenerConfig, ListenerTls};

/// What is wrong with a file of a listener's TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileProblem {
    /// The key of the listener that names the file.
    pub key: &'static str,
    /// The server starts anyway.
    pub warning: bool,
    /// The problem and its remedy.
    pub message: String,
}

/// Checks certificate and key of a listener, as the start does.
pub type Examine<'a> = dyn Fn(&ListenerTls) -> Vec<FileProblem> + 'a;

/// Mode bits that a file with a secret must not have: any access of others, write access of the group.
const TOO_OPEN: u32 = 0o026;

/// Bits of group and others.
const NOT_OWNER: u32 = 0o077;

impl Checking<'_> {
    /// Checks the content of certificate and key, and the mode of the key.
    pub(super) fn check_tls(
        &mut self,
        tls: &ListenerTls,
        location: impl Fn(&str) -> Option<Location>,
    ) {
        let Some(examine) = self.examine else { return };
        for problem in examine(tls) {
            let message = format!("`{}`: {}", problem.key, problem.message);
            let location = location(problem.key);
            if problem.warning {
                self.warning(location.as_ref(), message);
            } else {
                self.fault(location.as_ref(), message);
            }
        }
        let (certificate, key) = (location("tls_cert_file"), location("tls_key_file"));
        self.check_relative("tls_cert_file", &tls.certificate, certificate.as_ref());
        self.check_relative("tls_key_file", &tls.key, key.as_ref());
        self.check_secret("tls_key_file", &tls.key, key.as_ref());
    }

    /// Checks the mode of a file with a secret. `name` is the key that names it.
    pub(super) fn check_secret(&mut self, name: &str, path: &Path, location: Option<&Location>) {
        if self.examine.is_none() {
            return;
        }
        // A file that cannot be read is reported already.
        let Ok(found) = fs::metadata(path) else { return };
        let mode = found.permissions().mode();
        if mode & TOO_OPEN != 0 {
            let message = format!(
                "`{name}`: others than its owner may read or change {} (mode {:04o}): chmod 600 {0}",
                path.display(),
                mode & 0o7777
            );
            self.warning(location, message);
        }
    }

    /// Checks that the folder of the store can be created, or exists and can be written.
    pub(super) fn check_store(&mut self, path: &Path, location: Option<&Location>) {
        if self.examine.is_none() {
            return;
        }
        self.check_relative("path", path, location);
        if let Err(why) = writable(path) {
            self.fault(location, format!("`path`: {why}"));
            return;
        }
        let mode = fs::metadata(path).map_or(0, |found| found.permissions().mode());
        if mode & NOT_OWNER != 0 {
            let message = format!(
                "`path`: others than its owner may read {} (mode {:04o}): chmod 700 {0}",
                path.display(),
                mode & 0o7777
            );
            self.warning(location, message);
        }
    }

    /// Checks that a file which the start overwrites is empty, missing or holds the number of a process.
    pub(super) fn check_process_file(&mut self, path: &Path, location: Option<&Location>) {
        if self.examine.is_none() {
            return;
        }
        self.check_relative("pid_file", path, location);
        let is_ours = match fs::read(path) {
            Ok(content) => content.trim_ascii().iter().all(u8::is_ascii_digit),
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        };
        if !is_ours {
            let message = format!(
                "`pid_file`: {} exists and does not hold the number of a process; the start would overwrite it: name another file",
                path.display()
            );
            self.fault(location, message);
        } else if let Err(error) = may_write(path) {
            let message = format!(
                "`pid_file`: {} cannot be written by this user ({}), and the server would run without it: create its folder, or name another file",
                path.display(),
                io::Error::from(error)
            );
            self.warning(location, message);
        }
    }

    fn check_relative(&mut self, name: &str, path: &Path, location: Option<&Location>) {
        if path.is_relative() {
            let message = format!(
                "`{name}`: {} is relative and depends on the folder where the server starts: write an absolute path",
                path.display()
            );
            self.warning(location, message);
        }
    }

    /// Checks that no two listeners have one address: the second could not be bound.
    pub(super) fn check_addresses(&mut self, listeners: &[(ListenerConfig, Location)]) {
        for (at, (listener, location)) in listeners.iter().enumerate() {
            let clashes = |(other, _): &&(ListenerConfig, Location)| {
                let (one, other) = (listener.address, other.address);
                one.port() != 0
                    && one.port() == other.port()
                    && (one.ip() == other.ip()
                        || one.is_ipv4() == other.is_ipv4()
                            && (one.ip().is_unspecified() || other.ip().is_unspecified()))
            };
            if let Some((other, _)) = listeners.iter().take(at).find(clashes) {
                let message = format!(
                    "`address`: {} is taken by the listener on {}: choose another port",
                    listener.address, other.address
                );
                self.fault(Some(location), message);
            }
        }
    }
}

/// Whether this file can be written, or created in its folder.
fn may_write(path: &Path) -> rustix::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    match access(path, Access::WRITE_OK) {
        Err(rustix::io::Errno::NOENT) => {
            access(folder.unwrap_or(Path::new(".")), Access::WRITE_OK | Access::EXEC_OK)
        }
        outcome => outcome,
    }
}

/// Whether a database can be opened here, or its folder created.
fn writable(path: &Path) -> Result<(), String> {
    let mut folder = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    loop {
        match fs::metadata(folder) {
            Ok(found) if !found.is_dir() => {
                return Err(format!("{} is not a folder: name another one", folder.display()));
            }
            Ok(_) => {
                return access(folder, Access::WRITE_OK | Access::EXEC_OK).map_err(|error| {
                    format!(
                        "{} cannot be written by this user ({}): give it to the server's user, and check as that user",
                        folder.display(),
                        io::Error::from(error)
                    )
                });
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                folder = match folder.parent() {
                    Some(above) if above.as_os_str().is_empty() => Path::new("."),
                    Some(above) => above,
                    None => return Ok(()),
                };
            }
            Err(error) => return Err(format!("{} cannot be read: {error}", folder.display())),
        }
    }
}
