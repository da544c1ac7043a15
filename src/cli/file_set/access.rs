//! Mode and owner of the files of a set: `-mode` and `-owner`.

use std::fs::{self, File, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};

/// The files that hold a private key. The others hold certificates alone.
const PRIVATE: [&str; 3] = ["key.pem", "keystore.p12", "keystore.jks"];

/// The users that may read a set. Without a mode and an owner: only the user that wrote it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct FileAccess {
    mode: Option<u32>,
    user: Option<u32>,
    group: Option<u32>,
}

impl FileAccess {
    /// Reads the flags.
    ///
    /// # Errors
    /// What is wrong with the mode, or which user or group is unknown.
    pub(crate) fn read(mode: Option<&str>, owner: Option<&str>) -> Result<Self, String> {
        let mode = mode.map(read_mode).transpose()?;
        let (user, group) = match owner {
            None => (None, None),
            Some(owner) => read_owner(owner)?,
        };
        Ok(Self { mode, user, group })
    }

    /// Whether no flag asks for anything.
    pub(crate) fn is_default(self) -> bool {
        self == Self::default()
    }

    /// The mode of the folder of a set: the mode of a private file protects the key, and the
    /// certificates are for every user.
    pub(super) fn folder_mode(self) -> u32 {
        if self.is_default() { 0o700 } else { 0o755 }
    }

    /// Sets owner and mode of a file that is open, made with mode 0600 and not yet in use.
    pub(super) fn apply(self, file: &File, name: &str) -> io::Result<()> {
        if self.is_default() {
            return Ok(());
        }
        if !PRIVATE.contains(&name) {
            return file.set_permissions(Permissions::from_mode(0o644));
        }
        if self.user.is_some() || self.group.is_some() {
            // The owner first: the mode must let no group in that the file leaves.
            fchown(file, self.user, self.group).map_err(|error| {
                let why = format!("its owner cannot be changed to that of -owner: {error}; run the command as root, or leave out -owner");
                io::Error::new(error.kind(), why)
            })?;
        }
        file.set_permissions(Permissions::from_mode(self.private_mode()))
    }

    /// Whether a file has the mode and the owner that were asked for.
    pub(super) fn matches(self, name: &str, found: &Metadata) -> bool {
        if self.is_default() {
            return true;
        }
        let mode = found.mode() & 0o7777;
        if !PRIVATE.contains(&name) {
            return mode == 0o644;
        }
        mode == self.private_mode()
            && self.user.is_none_or(|user| user == found.uid())
            && self.group.is_none_or(|group| group == found.gid())
    }

    fn private_mode(self) -> u32 {
        self.mode.unwrap_or(0o600)
    }
}

fn read_mode(text: &str) -> Result<u32, String> {
    let mode = u32::from_str_radix(text, 8)
        .ok()
        .filter(|_| text.len() <= 5 && text.bytes().all(|byte| byte.is_ascii_digit()));
    let why = match mode {
        None => "is not a mode in octal digits",
        Some(mode) if mode & 0o007 != 0 => {
            "would let every user of this machine at the private key"
        }
        Some(mode) if mode & !0o660 != 0 => "holds more than reading and writing",
        Some(mode) if mode & 0o400 == 0 => "would not let the owner read the private key",
        Some(mode) => return Ok(mode),
    };
    Err(format!("-mode={text} {why}: write 0600, 0640 or 0440"))
}

/// `USER`, `USER:GROUP` or `:GROUP`.
fn read_owner(text: &str) -> Result<(Option<u32>, Option<u32>), String> {
    let (user, group) = match text.split_once(':') {
        None => (text, None),
        Some((user, group)) => (user, Some(group)),
    };
    if group == Some("") || (user.is_empty() && group.is_none()) {
        return Err(format!(
            "-owner={text}: write USER, USER:GROUP or :GROUP, as names or numbers"
        ));
    }
    let user = (!user.is_empty()).then(|| identifier(user, "user", "/etc/passwd", "id -u"));
    let group = group.map(|group| identifier(group, "group", "/etc/group", "getent group"));
    Ok((user.transpose()?, group.transpose()?))
}

/// A number, or what the system's file says of the name.
fn identifier(name: &str, what: &str, file: &str, command: &str) -> Result<u32, String> {
    if name.bytes().all(|byte| byte.is_ascii_digit()) {
        // The largest number means "leave it as it is" to chown(2).
        let number = name.parse().ok().filter(|number| *number != u32::MAX);
        return number.ok_or_else(|| format!("-owner: {name} is not the number of a {what}"));
    }
    let text =
        fs::read_to_string(file).map_err(|error| format!("{file} cannot be read: {error}"))?;
    number_of(&text, name).ok_or_else(|| {
        format!("-owner: {file} has no {what} {name:?}: create it, or give the number that \"{command} {name}\" shows")
    })
}

/// The third field of the line of this name (passwd(5), group(5)).
fn number_of(text: &str, name: &str) -> Option<u32> {
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next()? == name).then(|| fields.nth(1)?.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mode_that_lets_others_read_the_key_is_refused() {
        for (text, part) in [
            ("0644", "every user"),
            ("0604", "every user"),
            ("606", "every user"),
            ("0750", "more than reading"),
            ("4600", "more than reading"),
            ("0040", "the owner"),
            ("0", "the owner"),
            ("u+r", "octal"),
            ("+640", "octal"),
            ("0680", "octal"),
            ("", "octal"),
        ] {
            let why = read_mode(text).unwrap_err();
            assert!(why.contains(part) && why.contains("0640"), "{text}: {why}");
        }
        for (text, mode) in [("0600", 0o600), ("640", 0o640), ("0440", 0o440), ("0660", 0o660)] {
            assert_eq!(read_mode(text), Ok(mode), "{text}");
        }
    }

    #[test]
    fn an_owner_is_a_name_or_a_number() {
        assert_eq!(read_owner("12:34"), Ok((Some(12), Some(34))));
        assert_eq!(read_owner(":34"), Ok((None, Some(34))));
        assert_eq!(read_owner("root"), Ok((Some(0), None)));
        for text in
            ["", ":", "root:", "no such user", "root:no such group", "4294967295", "99999999999"]
        {
            let why = read_owner(text).unwrap_err();
            assert!(why.starts_with("-owner"), "{text}: {why}");
        }
    }

    #[test]
    fn a_name_is_found_whole_and_alone() {
        let text = "root:x:0:0::/root:/bin/sh\nweb:x:33:34::/:/bin/false\n\nbroken\n";
        assert_eq!(number_of(text, "web"), Some(33));
        for name in ["we", "33", "broken", "webx"] {
            assert_eq!(number_of(text, name), None, "{name}");
        }
    }
}
