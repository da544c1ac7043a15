//! A folder for a server that runs with the preloaded library.

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
    /// Writes the first half only, then kills the process.
    Tear = 3,
    Fail = 4,
    Delay = 5,
    /// Makes the process dumpable, so that the test can read its memory.
    Expose = 6,
}

/// `enum kind` of the library.
pub(crate) const WRITE: u64 = 1;
pub(crate) const SYNC: u64 = 2;
pub(crate) const NAME: u64 = 4;

/// An action and the operations that it applies to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    pub(crate) action: Action,
    /// The sum of the kinds above.
    pub(crate) kinds: u64,
    /// The first and the last operation of these kinds, counted from 1.
    pub(crate) first: u64,
    pub(crate) last: u64,
    /// For `Fail` the errno, for `Delay` milliseconds.
    pub(crate) value: u64,
}

pub(crate) struct Machine {
    folder: TempDir,
    command: Vec<String>,
    control: File,
}

impl Machine {
    pub(crate) fn new() -> Self {
        Self::with(&[])
    }

    /// Faults apply to the folder that holds the store, too; a loss of power cannot be simulated.
    pub(crate) fn watching_the_parent() -> Self {
        let mut machine = Self::new();
        let watched = format!("FAULT_STORE={}", machine.path().display());
        machine.command.retain(|word| !word.starts_with("FAULT_S"));
        machine.command.insert(machine.command.len() - 1, watched);
        machine
    }

    /// `before` begins the command, such as a shell that sets limits.
    pub(crate) fn with(before: &[&str]) -> Self {
        // The library compares with the paths that the kernel reports.
        let temporary = fs::canonicalize(std::env::temp_dir()).expect("a temporary folder");
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
        let mut command: Vec<String> = before.iter().map(|word| (*word).to_owned()).collect();
        command.extend([
            "env".to_owned(),
            setting("LD_PRELOAD", library()),
            setting("FAULT_STORE", &path("store")),
            setting("FAULT_CONTROL", &path("control")),
            setting("FAULT_SHADOW", &path("shadow")),
            binary().display().to_string(),
        ]);
        Self { folder, command, control }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.path().join("store")
    }

    /// Applies this fault to the operations that follow.
    pub(crate) fn arm(&self, fault: Fault) {
        self.set(6, Action::Nothing as u64);
        for (index, value) in
            [(0, 0), (1, 0), (2, fault.kinds), (3, fault.first), (4, fault.last), (5, fault.value)]
        {
            self.set(index, value);
        }
        self.set(6, fault.action as u64);
    }

    pub(crate) fn disarm(&self) {
        self.set(6, Action::Nothing as u64);
    }

    /// The number of operations of the armed kinds since `arm`, and of those that the fault hit.
    pub(crate) fn tally(&self) -> (u64, u64) {
        (self.number(0), self.number(1))
    }

    /// After `Expose`: `PR_GET_DUMPABLE` before it.
    pub(crate) fn value(&self) -> u64 {
        self.number(5)
    }

    fn number(&self, index: u64) -> u64 {
        let mut bytes = [0; 8];
        self.control.read_exact_at(&mut bytes, index * 8).expect("the control file");
        u64::from_ne_bytes(bytes)
    }

    fn set(&self, index: u64, value: u64) {
        self.control.write_all_at(&value.to_ne_bytes(), index * 8).expect("the control file");
    }

    pub(crate) fn try_start(&self) -> Result<Server, (ExitStatus, String)> {
        let command: Vec<&str> = self.command.iter().map(String::as_str).collect();
        // Keep the log of this start only.
        let _ = fs::remove_file(self.path().join("log"));
        Server::try_start(&command, self.path())
    }

    pub(crate) fn start(&self) -> Server {
        self.try_start()
            .unwrap_or_else(|(status, log)| panic!("the server did not start, {status}:\n{log}"))
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path().join("log")).unwrap_or_default()
    }
}

/// The exit status of the server, and the time from this call to its exit.
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

/// The binary as it was when the tests began: a concurrent build must not change it.
pub(crate) fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        // A link: the linker of a later build writes a new file.
        install("faults-signet", |path| {
            fs::hard_link(env!("CARGO_BIN_EXE_signet"), path).expect("a link to the binary");
        })
    })
}

/// Creates a file in the target folder under a temporary name and renames it.
fn install(name: &str, create: impl FnOnce(&Path)) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let temporary = target.with_extension(std::process::id().to_string());
    create(&temporary);
    fs::rename(temporary, &target).expect("a file in the target folder");
    target
}

/// The library, compiled on first use.
pub(crate) fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/crash/preload.c");
        install("faults.so", |path| {
            let status = Command::new("cc")
                .args(["-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-o"])
                .args([path, &source])
                .status()
                .expect("a C compiler, which RocksDB needs too");
            assert!(status.success(), "the library does not compile");
        })
    })
}
