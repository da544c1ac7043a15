//! The reference server in a separate process: OpenBao, on raft (which syncs) or in memory.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};

use super::connect::{Answer, Caller, Target, Way, text};
use super::machine::ON_THE_FIRST_CORE;
use super::work::{Expect, LoadRequest};

/// A running reference server. Dropping it kills it.
pub struct Peer {
    child: Child,
    pub address: String,
    pub token: String,
}

/// The most health checks until it is active: raft takes seconds for its first election.
const ATTEMPTS: usize = 300;

impl Peer {
    pub async fn start(binary: &Path, folder: &Path, durable: bool) -> Self {
        let (first, second) = free_pair();
        let address = format!("127.0.0.1:{first}");
        let mut command = Command::new(ON_THE_FIRST_CORE[0]);
        command.args(&ON_THE_FIRST_CORE[1..]).arg(binary).arg("server");
        if durable {
            let config = config(folder, &address, second);
            command.arg(format!("-config={}", config.display()));
        } else {
            command.args(["-dev", "-dev-no-store-token", "-dev-root-token-id=root"]);
            command.arg(format!("-dev-listen-address={address}"));
            command.arg("-log-level=warn");
        }
        let log = File::create(folder.join("log")).expect("the folder can be written");
        let error = log.try_clone().expect("a file can be shared");
        command.env("HOME", folder).stdin(Stdio::null()).stdout(log).stderr(error);
        let child = command.spawn().expect("the reference server runs");
        let mut peer = Self { child, address, token: "root".to_owned() };
        if durable {
            peer.initialize().await;
        }
        peer.until_active().await;
        peer
    }

    pub fn process(&self) -> u32 {
        self.child.id()
    }

    async fn initialize(&mut self) {
        let wish = json!({ "secret_shares": 1, "secret_threshold": 1 });
        for _ in 0..ATTEMPTS {
            if let Ok(answer) = self.ask(Method::PUT, "sys/init", &wish).await {
                let made: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
                self.token = text(&made["root_token"]);
                let key = json!({ "key": made["keys_base64"][0] });
                let answer = self.ask(Method::PUT, "sys/unseal", &key).await.expect("an answer");
                assert!(answer.status.is_success(), "unseal: {:?}", answer.body);
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("the reference server does not answer; its log is in its folder");
    }

    async fn until_active(&self) {
        for _ in 0..ATTEMPTS {
            let answer = self.ask(Method::GET, "sys/health", &Value::Null).await;
            if answer.is_ok_and(|answer| answer.status.as_u16() == 200) {
                // Mounts are loaded shortly after the server reports that it is active.
                tokio::time::sleep(Duration::from_millis(500)).await;
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("the reference server did not become active");
    }

    async fn ask(&self, method: Method, path: &str, body: &Value) -> Result<Answer, String> {
        let body = if body.is_null() { Bytes::new() } else { body.to_string().into() };
        let ask = LoadRequest { method, path: path.to_owned(), body, expect: Expect::Success };
        let target =
            Target { address: self.address.clone(), token: self.token.clone(), way: Way::Clear };
        Caller::new(target).send(&ask).await
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn config(folder: &Path, address: &str, second: u16) -> std::path::PathBuf {
    let (config, store) = (folder.join("peer.hcl"), folder.join("store"));
    fs::create_dir_all(&store).expect("the folder can be written");
    let text = format!(
        "storage \"raft\" {{ path = \"{}\" node_id = \"one\" }}\n\
         listener \"tcp\" {{ address = \"{address}\" tls_disable = true }}\n\
         api_addr = \"http://{address}\"\ncluster_addr = \"http://127.0.0.1:{second}\"\n\
         disable_mlock = true\nlog_level = \"warn\"\n",
        store.display()
    );
    fs::write(&config, text).expect("the folder can be written");
    config
}

/// A free port whose successor is free too: the reference's server takes both.
fn free_pair() -> (u16, u16) {
    loop {
        let first = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = first.local_addr().expect("an address").port();
        if let Some(next) = port.checked_add(1)
            && TcpListener::bind(("127.0.0.1", next)).is_ok()
        {
            return (port, next);
        }
    }
}
