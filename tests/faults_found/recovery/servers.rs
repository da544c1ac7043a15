//! The same with a separate process on RocksDB: the log, and files on disk.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use signet::store::Rocks;

use super::{BOUND, half_initialised, set_used};
use crate::process::Connection;

const K1: &str = "current_key_id = \"k1\"\ncurrent_key = \"0101010101010101010101010101010101010101010101010101010101010101\"\n";
const K2: &str = "current_key_id = \"k2\"\ncurrent_key = \"0202020202020202020202020202020202020202020202020202020202020202\"\n";
const PREVIOUS_K1: &str = "previous_key_id = \"k1\"\nprevious_key = \"0101010101010101010101010101010101010101010101010101010101010101\"\n";

/// A server in a separate process; its store is the subfolder `store`.
struct Signet {
    child: Child,
    address: String,
    log: PathBuf,
}

impl Signet {
    /// Panics with the log if the server does not start.
    fn start(folder: &Path, seal: &str, more: &str) -> Self {
        Self::try_start(folder, seal, more).unwrap_or_else(|log| panic!("{log}"))
    }

    fn try_start(folder: &Path, seal: &str, more: &str) -> Result<Self, String> {
        let (config, log) = (folder.join("server.hcl"), folder.join("log"));
        let store = folder.join("store");
        let text = format!(
            "listener \"tcp\" {{\naddress = \"127.0.0.1:0\"\ntls_disable = true\n}}\nstorage \"rocksdb\" {{ path = \"{}\" }}\nseal \"static\" {{\n{seal}}}\n{more}\n",
            store.display()
        );
        fs::write(&config, text).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_signet"))
            .arg("server")
            .arg(format!("-config={}", config.display()))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let address = output
            .lines()
            .map_while(Result::ok)
            .find_map(|line| line.strip_prefix("address: http://").map(str::to_owned));
        let Some(address) = address else {
            child.wait().unwrap();
            return Err(fs::read_to_string(&log).unwrap());
        };
        Ok(Self { child, address, log })
    }

    fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// Sends SIGTERM and waits for the end.
    fn stop(mut self) {
        let kill = Command::new("kill").arg(self.child.id().to_string()).status().unwrap();
        assert!(kill.success());
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Signet {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn get(server: &Signet, path: &str) -> Value {
    let mut connection = Connection::open(&server.address, "").await.unwrap();
    connection.send("GET", path, "").await.unwrap().json()
}

async fn init(server: &Signet) {
    let mut connection = Connection::open(&server.address, "").await.unwrap();
    let answer = connection.send("POST", "sys/init", "{}").await.unwrap();
    assert_eq!(answer.status, 200, "{:?}", answer.body);
}

#[tokio::test]
async fn f18_a_store_that_an_older_version_left_half_initialised_is_initialised_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store");
    half_initialised(Rocks::open(&store, |why: &str| panic!("{why}")).unwrap()).await;
    let server = Signet::start(folder.path(), K1, "");
    assert!(
        server.log().contains("initialization of this store was interrupted"),
        "{}",
        server.log()
    );
    let mut connection = Connection::open(&server.address, "").await.unwrap();
    let health = connection.send("GET", "sys/health", "").await.unwrap();
    assert_eq!(health.status, 501);
    let status = connection.send("GET", "sys/init", "").await.unwrap().json();
    assert_eq!(status, json!({ "initialized": false }));
    let answer = connection.send("POST", "sys/init", "{}").await.unwrap();
    let token = answer.json()["root_token"].as_str().unwrap().to_owned();
    let again = connection.send("POST", "sys/init", "{}").await.unwrap();
    assert_eq!(again.status, 400);
    drop(server);
    let server = Signet::start(folder.path(), K1, "");
    assert!(!server.log().contains("interrupted"), "{}", server.log());
    let mut connection = Connection::open(&server.address, &token).await.unwrap();
    let mounts = connection.send("GET", "sys/mounts", "").await.unwrap();
    assert_eq!(mounts.status, 200, "{:?}", mounts.body);
}

#[tokio::test]
async fn f17_reaching_a_share_of_the_limit_is_logged() {
    let folder = tempfile::tempdir().unwrap();
    let server = Signet::start(folder.path(), K1, "");
    init(&server).await;
    assert!(!server.log().contains("data key"), "{}", server.log());
    server.stop();
    let store = folder.path().join("store");
    set_used(Rocks::open(&store, |why: &str| panic!("{why}")).unwrap(), BOUND / 10 * 8).await;
    let server = Signet::start(folder.path(), K1, "");
    let log = server.log();
    let line = log.lines().find(|line| line.contains("data key")).unwrap_or_default();
    assert!(line.contains("WARN") && line.contains("75 %"), "{log}");
}

#[tokio::test]
async fn f21_the_name_and_the_address_of_the_configuration_are_shown() {
    let folder = tempfile::tempdir().unwrap();
    let named = "cluster_name = \"corp\"\napi_addr = \"https://ca.example.org:8200/\"";
    let server = Signet::start(folder.path(), K1, named);
    init(&server).await;
    for path in ["sys/health", "sys/seal-status"] {
        assert_eq!(get(&server, path).await["cluster_name"], "corp", "{path}");
    }
    let leader = get(&server, "sys/leader").await;
    assert_eq!(leader["leader_address"], "https://ca.example.org:8200");
    drop(server);
    // The first name was stored; a name in the configuration overrides it.
    for (more, expected) in [("", "corp"), ("cluster_name = \"new\"", "new")] {
        let server = Signet::start(folder.path(), K1, more);
        assert_eq!(get(&server, "sys/health").await["cluster_name"], expected);
        assert_eq!(get(&server, "sys/leader").await["leader_address"], "");
    }
}

#[tokio::test]
async fn f21_the_pid_file_is_removed_when_the_process_stops() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("signet.pid");
    let more = format!("pid_file = \"{}\"", file.display());
    let server = Signet::start(folder.path(), K1, &more);
    assert_eq!(fs::read_to_string(&file).unwrap(), format!("{}\n", server.child.id()));
    server.stop();
    assert!(!file.exists());
}

#[tokio::test]
async fn f20_a_symbolic_link_at_the_path_of_a_server_file_is_not_followed() {
    let folder = tempfile::tempdir().unwrap();
    let (pid, lock) = (folder.path().join("signet.pid"), folder.path().join("store/signet.lock"));
    let theirs = folder.path().join("theirs");
    fs::write(&theirs, "theirs").unwrap();
    std::os::unix::fs::symlink(&theirs, &pid).unwrap();
    let more = format!("pid_file = \"{}\"", pid.display());
    // The configuration check may refuse the file; the test only requires that it is unchanged.
    drop(Signet::try_start(folder.path(), K1, &more));
    assert_eq!(fs::read_to_string(&theirs).unwrap(), "theirs");
    let _ = fs::remove_file(&lock);
    fs::create_dir_all(folder.path().join("store")).unwrap();
    let planted = folder.path().join("planted");
    std::os::unix::fs::symlink(&planted, &lock).unwrap();
    assert!(Signet::try_start(folder.path(), K1, "").is_err());
    assert!(!planted.exists());
}

/// A development server with TLS, and the printed path of the certificate to trust. `folder` is its
/// home and holds its temporary files.
fn development_certificate(folder: &Path, flags: &[&str]) -> (Signet, Option<PathBuf>) {
    let log = folder.join("log");
    let mut child = Command::new(env!("CARGO_BIN_EXE_signet"))
        .args(["server", "-dev", "-dev-tls", "-dev-no-store-token"])
        .arg("-dev-listen-address=127.0.0.1:0")
        .args(flags)
        .env("TMPDIR", folder)
        .env("HOME", folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(fs::File::create(&log).unwrap())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    let mut certificate = None;
    for line in output.lines().map_while(Result::ok) {
        let line = line.trim();
        if let Some(path) = line.strip_prefix("export SIGNET_CACERT=") {
            certificate = Some(PathBuf::from(path));
        }
        // The last command to paste.
        if line.starts_with("signet ") {
            break;
        }
    }
    (Signet { child, address: String::new(), log }, certificate)
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn f20_the_certificate_of_a_development_server_is_in_a_new_private_folder() {
    let folder = tempfile::tempdir().unwrap();
    let (server, certificate) = development_certificate(folder.path(), &[]);
    let certificate = certificate.unwrap();
    let made = certificate.parent().unwrap();
    assert_eq!((made.parent(), mode(made)), (Some(folder.path()), 0o700));
    let name = made.file_name().unwrap().to_str().unwrap();
    assert_ne!(name, format!("signet-dev-tls-{}", server.child.id()), "is predictable");
    assert!(name.len() > 32, "{name} can be guessed");
    assert!(fs::read_to_string(&certificate).unwrap().contains("BEGIN CERTIFICATE"));
}

#[test]
fn f20_a_symbolic_link_at_the_path_of_the_certificate_is_not_followed() {
    let folder = tempfile::tempdir().unwrap();
    let (theirs, planted) = (folder.path().join("theirs"), folder.path().join("planted"));
    fs::write(&theirs, "theirs").unwrap();
    for target in [&theirs, &planted] {
        let given = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(target, given.path().join("ca.pem")).unwrap();
        let flag = format!("-dev-tls-cert-dir={}", given.path().display());
        drop(development_certificate(folder.path(), &[&flag]));
    }
    assert_eq!(fs::read_to_string(&theirs).unwrap(), "theirs");
    assert!(!planted.exists());
}

#[test]
fn f20_files_that_others_may_read_or_change_are_logged() {
    let folder = tempfile::tempdir().unwrap();
    let (key, store) = (folder.path().join("seal.key"), folder.path().join("store"));
    fs::write(&key, [7; 32]).unwrap();
    fs::create_dir(&store).unwrap();
    let seal = format!("current_key_id = \"k1\"\ncurrent_key = \"file://{}\"\n", key.display());
    for (key_mode, store_mode, warned) in
        [(0o644, 0o777, true), (0o620, 0o720, true), (0o600, 0o700, false), (0o640, 0o700, false)]
    {
        fs::set_permissions(&key, fs::Permissions::from_mode(key_mode)).unwrap();
        fs::set_permissions(&store, fs::Permissions::from_mode(store_mode)).unwrap();
        let server = Signet::start(folder.path(), &seal, "");
        let log = server.log();
        for path in [&key, &store] {
            let path = path.display().to_string();
            let logged = log.lines().any(|line| line.contains("WARN") && line.contains(&path));
            assert_eq!(logged, warned, "{key_mode:o} {store_mode:o} {path}: {log}");
        }
    }
}

#[tokio::test]
async fn f18_a_development_server_refuses_a_store_in_use_with_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    init(&Signet::start(folder.path(), K1, "")).await;
    let refused = Command::new(env!("CARGO_BIN_EXE_signet"))
        .args(["server", "-dev", "-dev-no-store-token"])
        .arg(format!("-config={}", folder.path().join("server.hcl").display()))
        .output()
        .unwrap();
    let text = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success() && text.contains("start without -dev"), "{text}");
}

#[tokio::test]
async fn n09_a_change_of_the_seal_key_is_logged() {
    let folder = tempfile::tempdir().unwrap();
    let server = Signet::start(folder.path(), K1, "");
    init(&server).await;
    assert!(!server.log().contains("previous_key"), "{}", server.log());
    drop(server);
    let both = format!("{K2}{PREVIOUS_K1}");
    let server = Signet::start(folder.path(), &both, "");
    let line = "the store is now sealed under \"k2\"; previous_key may go";
    assert!(server.log().contains(line), "{}", server.log());
    drop(server);
    // The next start logs it again.
    let server = Signet::start(folder.path(), &both, "");
    let line = "the store is sealed under \"k2\"; previous_key may go";
    assert!(server.log().contains(line), "{}", server.log());
    drop(server);
    let refused = Signet::try_start(folder.path(), K1, "").err().unwrap();
    assert!(refused.contains("k2"), "{refused}");
    let server = Signet::start(folder.path(), K2, "");
    assert!(!server.log().contains("previous_key"), "{}", server.log());
}
