//! The files that a configuration names, looked at before anything is opened.
//!
//! `signet config check` and the start of the server run this same code: what would end the
//! start is a fault, what works and is dangerous a warning.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::fs::{Access, access};

use super::checked::Checking;
use super::file::Place;
use super::listener::{ListenerConfig, ListenerTls};

/// What is wrong with a file of a listener's TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// The key of the listener that names the file.
    pub key: &'static str,
    /// It works all the same.
    pub warning: bool,
    /// What is wrong and how to put it right.
    pub message: String,
}

/// Looks into certificate and key of a listener, as the start does.
pub type Examine<'a> = dyn Fn(&ListenerTls) -> Vec<Remark> + 'a;

/// Who may read a file that holds a secret: the bits of others, and those of a group that writes.
const TOO_OPEN: u32 = 0o026;

/// Bits of group and others.
const NOT_OWNER: u32 = 0o077;

impl Checking<'_> {
    /// Certificate and key: what they hold, and who may read the key.
    pub(super) fn look_at_tls(&mut self, tls: &ListenerTls, place: impl Fn(&str) -> Option<Place>) {
        let Some(examine) = self.examine else { return };
        for remark in examine(tls) {
            let message = format!("`{}`: {}", remark.key, remark.message);
            let place = place(remark.key);
            if remark.warning {
                self.warning(place.as_ref(), message);
            } else {
                self.fault(place.as_ref(), message);
            }
        }
        let (certificate, key) = (place("tls_cert_file"), place("tls_key_file"));
        self.look_at_relative("tls_cert_file", &tls.certificate, certificate.as_ref());
        self.look_at_relative("tls_key_file", &tls.key, key.as_ref());
        self.look_at_secret("tls_key_file", &tls.key, key.as_ref());
    }

    /// A file whose content others must not see. `name` is the key that names it.
    pub(super) fn look_at_secret(&mut self, name: &str, path: &Path, place: Option<&Place>) {
        if self.examine.is_none() {
            return;
        }
        // One that cannot be looked at has its fault already.
        let Ok(found) = fs::metadata(path) else { return };
        let mode = found.permissions().mode();
        if mode & TOO_OPEN != 0 {
            let message = format!(
                "`{name}`: others than its owner may read or change {} (mode {:04o}): chmod 600 {0}",
                path.display(),
                mode & 0o7777
            );
            self.warning(place, message);
        }
    }

    /// The folder of the store: somewhere it can be made, or is and can be written.
    pub(super) fn look_at_store(&mut self, path: &Path, place: Option<&Place>) {
        if self.examine.is_none() {
            return;
        }
        self.look_at_relative("path", path, place);
        if let Err(why) = writable(path) {
            self.fault(place, format!("`path`: {why}"));
            return;
        }
        let mode = fs::metadata(path).map_or(0, |found| found.permissions().mode());
        if mode & NOT_OWNER != 0 {
            let message = format!(
                "`path`: others than its owner may look into {} (mode {:04o}): chmod 700 {0}",
                path.display(),
                mode & 0o7777
            );
            self.warning(place, message);
        }
    }

    /// A file that the start overwrites must hold the number of a process, if anything.
    pub(super) fn look_at_process_file(&mut self, path: &Path, place: Option<&Place>) {
        if self.examine.is_none() {
            return;
        }
        self.look_at_relative("pid_file", path, place);
        let is_ours = match fs::read(path) {
            Ok(content) => content.trim_ascii().iter().all(u8::is_ascii_digit),
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        };
        if !is_ours {
            let message = format!(
                "`pid_file`: {} is there and holds no number of a process, so it would be lost: name another file",
                path.display()
            );
            self.fault(place, message);
        } else if let Err(error) = may_write(path) {
            let message = format!(
                "`pid_file`: {} cannot be written by this user ({}), and the server would run without it: make its folder, or name another file",
                path.display(),
                io::Error::from(error)
            );
            self.warning(place, message);
        }
    }

    fn look_at_relative(&mut self, name: &str, path: &Path, place: Option<&Place>) {
        if path.is_relative() {
            let message = format!(
                "`{name}`: {} is relative, so that it depends on the folder where the server starts: write the path from / on",
                path.display()
            );
            self.warning(place, message);
        }
    }

    /// Two listeners on one address: the second could not be bound.
    pub(super) fn look_at_addresses(&mut self, listeners: &[(ListenerConfig, Place)]) {
        for (at, (listener, place)) in listeners.iter().enumerate() {
            let clashes = |(other, _): &&(ListenerConfig, Place)| {
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
                self.fault(Some(place), message);
            }
        }
    }
}

/// Can this file be written, or made in its folder?
fn may_write(path: &Path) -> rustix::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    match access(path, Access::WRITE_OK) {
        Err(rustix::io::Errno::NOENT) => {
            access(folder.unwrap_or(Path::new(".")), Access::WRITE_OK | Access::EXEC_OK)
        }
        outcome => outcome,
    }
}

/// Can a database be opened here, or its folder be made?
fn writable(path: &Path) -> Result<(), String> {
    let mut folder = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    loop {
        match fs::metadata(folder) {
            Ok(found) if !found.is_dir() => {
                return Err(format!("{} is no folder: name another one", folder.display()));
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
            Err(error) => return Err(format!("{} cannot be looked at: {error}", folder.display())),
        }
    }
}
