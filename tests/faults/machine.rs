//! A folder for a server, with the preloaded library under it.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::process::Server;

/// What is done to an operation on the store's files: `enum action` of the library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub(crate) enum Action {
    Nothing = 0,
    KillBefore = 1,
    KillAfter = 2,
    /// Half of what was to be written, then death.
    Tear = 3,
    Fail = 4,
    Delay = 5,
    /// The process may be looked into from now on.
    Expose = 6,
}

/// `enum kind` of the library.
pub(crate) const WRITE: u64 = 1;
pub(crate) const SYNC: u64 = 2;
pub(crate) const NAME: u64 = 4;

/// What is done to which operations.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    pub(crate) action: Action,
    /// A sum of the kinds above.
    pub(crate) kinds: u64,
    /// The operations of these kinds that it is done to, counted from 1.
    pub(crate) first: u64,
    pub(crate) last: u64,
    /// For `Fail` the error's number, for `Delay` milliseconds.
    pub(crate) value: u64,
}

pub(crate) struct Machine {
    folder: TempDir,
    words: Vec<String>,
    control: File,
}

impl Machine {
    pub(crate) fn new() -> Self {
        Self::with(&[])
    }

    /// Faults also of the folder that holds the store; no loss of power.
    pub(crate) fn watching_the_parent() -> Self {
        let mut machine = Self::new();
        let watched = format!("FAULT_STORE={}", machine.path().display());
        machine.words.retain(|word| !word.starts_with("FAULT_S"));
        machine.words.insert(machine.words.len() - 1, watched);
        machine
    }

    /// `before` stands before everything else, such as a shell that sets limits.
    pub(crate) fn with(before: &[&str]) -> Self {
        // The library compares with what the kernel says.
        let temporary = fs::canonicalize(std::env::temp_dir()).expect("a folder for all");
        let folder = tempfile::tempdir_in(temporary).expect("a folder");
        let path = |name: &str| folder.path().join(name);
        let control = File::options()
            .create_new(true)
            .read(true)
            .write(true)
            .open(path("control"))
            .expect("the folder can be written");
        control.set_len(4096).expect("the folder can be written");
        fs::create_dir(path("shadow")).expect("the folder can be written");
        let setting = |name: &str, path: &Path| format!("{name}={}", path.display());
        let mut words: Vec<String> = before.iter().map(|word| (*word).to_owned()).collect();
        words.extend([
            "env".to_owned(),
            setting("LD_PRELOAD", library()),
            setting("FAULT_STORE", &path("store")),
            setting("FAULT_CONTROL", &path("control")),
            setting("FAULT_SHADOW", &path("shadow")),
            binary().display().to_string(),
        ]);
        Self { folder, words, control }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.path().join("store")
    }

    /// Everything that happens from now on meets this fault.
    pub(crate) fn arm(&self, fault: Fault) {
        self.set(6, Action::Nothing as u64);
        for (place, value) in
            [(0, 0), (1, 0), (2, fault.kinds), (3, fault.first), (4, fault.last), (5, fault.value)]
        {
            self.set(place, value);
        }
        self.set(6, fault.action as u64);
    }

    pub(crate) fn disarm(&self) {
        self.set(6, Action::Nothing as u64);
    }

    /// Operations of the armed kinds since then, and those that something was done to.
    pub(crate) fn tally(&self) -> (u64, u64) {
        (self.number(0), self.number(1))
    }

    /// After `Expose`: whether the process could be looked into before.
    pub(crate) fn value(&self) -> u64 {
        self.number(5)
    }

    fn number(&self, place: u64) -> u64 {
        let mut bytes = [0; 8];
        self.control.read_exact_at(&mut bytes, place * 8).expect("the control file");
        u64::from_ne_bytes(bytes)
    }

    fn set(&self, place: u64, value: u64) {
        self.control.write_all_at(&value.to_ne_bytes(), place * 8).expect("the control file");
    }

    pub(crate) fn try_start(&self) -> Result<Server, (ExitStatus, String)> {
        let words: Vec<&str> = self.words.iter().map(String::as_str).collect();
        // The log of this start alone.
        let _ = fs::remove_file(self.path().join("log"));
        Server::try_start(&words, self.path())
    }

    pub(crate) fn start(&self) -> Server {
        self.try_start()
            .unwrap_or_else(|(status, log)| panic!("it did not start, {status}:\n{log}"))
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path().join("log")).unwrap_or_default()
    }
}

/// How the server ended, and how long that took from now on.
pub(crate) async fn end_of(server: &mut Server, within: Duration) -> (ExitStatus, Duration) {
    let start = Instant::now();
    loop {
        if let Some(status) = server.ended() {
            return (status, start.elapsed());
        }
        assert!(start.elapsed() < within, "the server still runs after {within:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Copies a folder of plain files.
pub(crate) fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        fs::copy(entry.path(), to.join(entry.file_name())).expect("a copy");
    }
}

/// The binary as it was when the tests began: a build that goes on beside must not change it.
pub(crate) fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        // A link: the linker of a later build writes a new file.
        put("faults-signet", |part| {
            fs::hard_link(env!("CARGO_BIN_EXE_signet"), part).expect("a link to the binary");
        })
    })
}

/// A file beside the build's, made aside and renamed.
fn put(name: &str, make: impl FnOnce(&Path)) -> PathBuf {
    let made = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let part = made.with_extension(std::process::id().to_string());
    make(&part);
    fs::rename(part, &made).expect("a file beside the build's");
    made
}

/// The library, compiled when first asked for.
pub(crate) fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/crash/preload.c");
        put("faults.so", |part| {
            let status = Command::new("cc")
                .args(["-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-o"])
                .args([part, &source])
                .status()
                .expect("a C compiler is there: RocksDB needed it too");
            assert!(status.success(), "the library does not compile");
        })
    })
}
