//! The server that is measured, ready to issue: mounts, roots and roles made over its API.
//!
//! The peer is prepared by the same requests, so that both do the same work.

use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{env, fs};

use serde_json::{Value, json};
use signet::clock::Clock;
use signet::http::tls::self_signed;
use tempfile::TempDir;

use super::connect::{Caller, Target, Way, connector, text};
use super::machine::ON_THE_FIRST_CORE;
use super::peer::Peer;
use super::usage::Watcher;
use super::work::{Expect, LoadRequest};
use crate::process;

/// A running server, with its addresses and its token.
pub struct Running {
    pub process: u32,
    pub token: String,
    /// The certificates of the roots, PEM.
    pub roots: Vec<String>,
    clear: String,
    tls: Option<(String, String)>,
    // Dropped in this order: the process ends before its folder goes.
    _process: Process,
    folder: TempDir,
}

enum Process {
    Ours(#[expect(dead_code, reason = "ends when dropped")] process::Server),
    Theirs(#[expect(dead_code, reason = "ends when dropped")] Peer),
}

/// A folder on the disk that holds the checkout: `/tmp` may be memory, where nothing is synced.
pub fn folder() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder")
}

/// The binary that is measured.
pub fn binary() -> PathBuf {
    let named = env::var_os("SIGNET_BIN");
    named.expect("SIGNET_BIN names a release binary; scripts/bench builds one").into()
}

impl Running {
    /// Signet on RocksDB in a new folder, in clear and by TLS, with `more` settings of the listener
    /// in clear.
    pub async fn signet(more: &str) -> Self {
        Self::signet_of(&binary(), more).await
    }

    /// The same with this binary.
    pub async fn signet_of(binary: &Path, more: &str) -> Self {
        let mut running = Self::signet_on(binary, folder(), more);
        let answer = running.ask("POST", "sys/init", json!({})).await;
        running.token = text(&answer["root_token"]);
        running.prepare().await;
        running
    }

    /// Signet on a folder that may hold a store already.
    pub fn signet_in(folder: TempDir, more: &str) -> Self {
        Self::signet_on(&binary(), folder, more)
    }

    fn signet_on(binary: &Path, folder: TempDir, more: &str) -> Self {
        let trust = certificate(folder.path());
        let clear = format!("tls_disable = true\n{more}");
        let tls = format!(
            "tls_cert_file = \"{}\"\ntls_key_file = \"{}\"",
            folder.path().join("tls.pem").display(),
            folder.path().join("tls.key").display()
        );
        let binary = binary.to_string_lossy();
        let command = [&ON_THE_FIRST_CORE[..], &[&binary]].concat();
        let server = process::Server::start_on(&command, folder.path(), &[&clear, &tls]);
        Self {
            process: server.process(),
            token: String::new(),
            roots: Vec::new(),
            clear: server.address.clone(),
            tls: server.addresses.get(1).map(|address| (address.clone(), trust)),
            _process: Process::Ours(server),
            folder,
        }
    }

    /// The server that gives one static answer.
    pub fn static_server() -> Self {
        let folder = folder();
        let own = env::current_exe().expect("this program");
        let own = own.to_string_lossy();
        let command = [&ON_THE_FIRST_CORE[..], &[&own, "--static-server"]].concat();
        let server = process::Server::start(&command, folder.path());
        Self {
            process: server.process(),
            token: String::new(),
            roots: Vec::new(),
            clear: server.address.clone(),
            tls: None,
            _process: Process::Ours(server),
            folder,
        }
    }

    /// The reference server, on its durable storage or in memory.
    pub async fn peer(binary: &Path, durable: bool) -> Self {
        let folder = folder();
        let peer = Peer::start(binary, folder.path(), durable).await;
        let mut running = Self {
            process: peer.process(),
            token: peer.token.clone(),
            roots: Vec::new(),
            clear: peer.address.clone(),
            tls: None,
            _process: Process::Theirs(peer),
            folder,
        };
        running.prepare().await;
        running
    }

    pub fn target(&self) -> Target {
        Target { address: self.clear.clone(), token: self.token.clone(), way: Way::Clear }
    }

    /// By TLS: kept alive, or a connection for each request.
    pub fn by_tls(&self, each: bool) -> Target {
        let (address, trust) = self.tls.as_ref().expect("a listener with TLS");
        let connector = connector(trust);
        let way = if each { Way::TlsEach(connector) } else { Way::Tls(connector) };
        Target { address: address.clone(), token: self.token.clone(), way }
    }

    /// Ends the process and keeps the folder.
    pub fn into_folder(self) -> TempDir {
        let Self { _process, folder, .. } = self;
        drop(_process);
        folder
    }

    /// A mount with an EC root, and the roles of most workloads.
    async fn prepare(&mut self) {
        self.mount("pki", "ec", 256).await;
        self.role("pki/roles/stored", "ec", false).await;
        self.role("pki/roles/unstored", "ec", true).await;
    }

    /// A mount with an RSA root and the roles for RSA keys. Separate, because the server then fills its
    /// pool of RSA keys while it is idle. Returns when the pool is full.
    pub async fn expect_rsa(&mut self) {
        self.mount("rsa", "rsa", 2048).await;
        self.role("pki/roles/rsa", "rsa", true).await;
        self.role("rsa/roles/rsa", "rsa", true).await;
        self.role("rsa/roles/ec", "ec", true).await;
        self.rested().await;
    }

    /// Returns when the server is idle.
    pub async fn rested(&self) {
        for _ in 0..LONGEST {
            let watcher = Watcher::start(self.process);
            tokio::time::sleep(Duration::from_secs(1)).await;
            let used = watcher.used();
            if used.user + used.system < Duration::from_millis(50) {
                break;
            }
        }
    }

    async fn mount(&mut self, mount: &str, kind: &str, bits: u32) {
        let wish = json!({ "type": "pki", "config": { "max_lease_ttl": "8760h" } });
        self.ask("POST", &format!("sys/mounts/{mount}"), wish).await;
        let root = json!({
            "common_name": format!("Example Root {mount}"),
            "key_type": kind,
            "key_bits": bits,
            "ttl": "8000h",
        });
        let path = format!("{mount}/root/generate/internal");
        let answer = self.ask("POST", &path, root).await;
        self.roots.push(text(&answer["data"]["certificate"]));
    }

    async fn role(&self, path: &str, kind: &str, no_store: bool) {
        let role = json!({
            "allowed_uri_sans": "spiffe://example.org/*",
            "require_cn": false,
            "key_type": kind,
            "key_bits": if kind == "ec" { 256 } else { 2048 },
            "ttl": "1h",
            "max_ttl": "72h",
            "no_store": no_store,
        });
        self.ask("POST", path, role).await;
    }

    /// One request over a new connection, which must succeed.
    pub async fn ask(&self, method: &str, path: &str, body: Value) -> Value {
        let ask = LoadRequest {
            method: method.parse().expect("a method"),
            path: path.to_owned(),
            body: if body.is_null() { Default::default() } else { body.to_string().into() },
            expect: Expect::Success,
        };
        let answer = Caller::new(self.target()).send(&ask).await.expect("an answer");
        assert!(answer.status.is_success(), "{path}: {:?}", answer.body);
        serde_json::from_slice(&answer.body).unwrap_or_default()
    }
}

/// The longest wait for an idle server, in seconds.
const LONGEST: u32 = 60;

/// Makes the listener's certificate, if the folder has none. Returns the CA to trust, PEM.
fn certificate(folder: &Path) -> String {
    let trusted = folder.join("trusted.pem");
    if let Ok(known) = fs::read_to_string(&trusted) {
        return known;
    }
    let made = self_signed(&["localhost".to_owned()], Clock::System.now()).expect("a certificate");
    for (name, pem) in
        [("tls.pem", &made.certificate), ("tls.key", made.key.expose()), ("trusted.pem", &made.ca)]
    {
        fs::write(folder.join(name), pem).expect("the folder can be written");
    }
    made.ca
}

/// Bytes of all files in a folder, by their extensions: `sst`, `log` and the rest.
pub fn bytes_by_extension(folder: &Path) -> Vec<(String, u64)> {
    let mut sums = std::collections::BTreeMap::<String, u64>::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let end = entry.path().extension().map(|end| end.to_string_lossy().into_owned());
        let length = entry.metadata().map(|data| data.len()).unwrap_or_default();
        *sums.entry(end.unwrap_or_default()).or_default() += length;
    }
    sums.into_iter().collect()
}
