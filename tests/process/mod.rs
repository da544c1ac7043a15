//! A real server in its own process, with RocksDB in a folder, and a plain client.
//!
//! For tests and measurements from outside the process.

#![allow(
    dead_code,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    unreachable_pub,
    missing_docs,
    reason = "helpers of tests, each of which uses a part"
)]

use std::fmt;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;

/// The seal key of every server here, with the identifier `1`. The folders are removed when the
/// test ends.
pub const SEAL_KEY: &str = "5f5e5d5c5b5a595857565554535251504f4e4d4c4b4a49484746454443424140";

/// The settings of a listener without TLS.
const WITHOUT_TLS: &str = "tls_disable = true";

/// The path that issues certificates, below the mount.
pub const ROLE: &str = "issue/workload";

/// A running `signet server`. Dropping it sends SIGKILL.
#[derive(Debug)]
pub struct Server {
    child: Child,
    _output: BufReader<ChildStdout>,
    /// Host and port of the first listener.
    pub address: String,
    /// Host and port of each listener.
    pub addresses: Vec<String>,
}

impl Server {
    /// Starts `command`, which must end with the binary, with the store in `folder`, and returns when
    /// the server listens.
    pub fn start(command: &[&str], folder: &Path) -> Self {
        Self::start_on(command, folder, &[WITHOUT_TLS])
    }

    /// The same with these listeners: the settings of each without its address, which gets a free port.
    pub fn start_on(command: &[&str], folder: &Path, listeners: &[&str]) -> Self {
        match Self::try_start_on(command, folder, listeners) {
            Ok(server) => server,
            Err((_, log)) => panic!("the server did not start:\n{log}"),
        }
    }

    /// Like [`Server::start`]; a server that ends before it listens yields its status and its log.
    pub fn try_start(command: &[&str], folder: &Path) -> Result<Self, (ExitStatus, String)> {
        Self::try_start_on(command, folder, &[WITHOUT_TLS])
    }

    fn try_start_on(
        command: &[&str],
        folder: &Path,
        listeners: &[&str],
    ) -> Result<Self, (ExitStatus, String)> {
        let mut child = Self::spawn_on(command, folder, listeners);
        let mut output = BufReader::new(child.stdout.take().expect("the output is piped"));
        let mut line = String::new();
        let mut addresses = Vec::new();
        while addresses.len() < listeners.len() {
            line.clear();
            if output.read_line(&mut line).expect("the output is text") == 0 {
                let status = child.wait().expect("a child can be waited for");
                let log = fs::read_to_string(folder.join("log")).unwrap_or_default();
                return Err((status, log));
            }
            if let Some((_, address)) =
                line.trim().strip_prefix("address: ").and_then(|url| url.split_once("://"))
            {
                addresses.push(address.to_owned());
            }
        }
        let address = addresses.first().expect("a listener").clone();
        Ok(Self { child, _output: output, address, addresses })
    }

    /// Starts the process without waiting.
    pub fn spawn(command: &[&str], folder: &Path) -> Child {
        Self::spawn_on(command, folder, &[WITHOUT_TLS])
    }

    fn spawn_on(command: &[&str], folder: &Path, listeners: &[&str]) -> Child {
        let config = folder.join("server.hcl");
        let store = folder.join("store");
        let listeners: String = listeners
            .iter()
            .map(|rest| format!("listener \"tcp\" {{\naddress = \"127.0.0.1:0\"\n{rest}\n}}\n"))
            .collect();
        fs::write(
            &config,
            format!(
                "{listeners}storage \"rocksdb\" {{ path = \"{}\" }}\nseal \"static\" {{ current_key = \"{SEAL_KEY}\" current_key_id = \"1\" }}\nlog_level = \"warn\"\n",
                store.display()
            ),
        )
        .expect("the folder can be written");
        let log = fs::File::options().create(true).append(true).open(folder.join("log"));
        let (program, arguments) = command.split_first().expect("a command has a first word");
        Command::new(program)
            .args(arguments)
            .arg("server")
            .arg(format!("-config={}", config.display()))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log.expect("the folder can be written"))
            .spawn()
            .expect("the binary runs")
    }

    /// The process identifier.
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// The exit status, if the process has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be asked")
    }

    /// Sends SIGKILL. The server has no other processes.
    pub fn kill(&mut self) {
        self.child.kill().expect("a child can be killed");
        self.child.wait().expect("a child can be waited for");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One persistent HTTP/1.1 connection.
pub struct Connection {
    sender: SendRequest<Full<Bytes>>,
    host: String,
    token: String,
}

/// An answer of the server.
pub struct Answer {
    pub status: StatusCode,
    pub body: Bytes,
}

impl Connection {
    /// Connects.
    pub async fn open(address: &str, token: &str) -> Result<Self, Gone> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        // The request in flight reports an error of the connection.
        tokio::spawn(connection);
        Ok(Self { sender, host: address.to_owned(), token: token.to_owned() })
    }

    /// Sends one request and reads the whole answer.
    pub async fn send(
        &mut self,
        method: &str,
        path: &str,
        body: impl Into<Bytes>,
    ) -> Result<Answer, Gone> {
        self.sender.ready().await?;
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        let request = Request::builder()
            .method(method)
            .uri(format!("/v1/{path}"))
            .header(header::HOST, &self.host)
            .header("x-vault-token", &self.token)
            .body(Full::new(body.into()))
            .expect("a request");
        let response = self.sender.send_request(request).await?;
        let (parts, body) = response.into_parts();
        let body = body.collect().await?.to_bytes();
        Ok(Answer { status: parts.status, body })
    }
}

impl Answer {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// A text field of `data`.
    pub fn text(&self, field: &str) -> String {
        self.json()["data"][field].as_str().unwrap_or_default().to_owned()
    }
}

/// The connection failed; whether the request was executed is unknown.
#[derive(Debug)]
pub struct Gone(String);

impl<E: std::error::Error> From<E> for Gone {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

impl fmt::Display for Gone {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Initialises a new server with a mount `pki`, an EC P-256 root and the role of [`ROLE`] with
/// these additional fields. Returns the root token.
pub async fn prepare(address: &str, role: &[(&str, Value)]) -> String {
    let mut unauthenticated = Connection::open(address, "").await.expect("the server answers");
    let answer = unauthenticated.send("POST", "sys/init", "{}").await.expect("the server answers");
    let token = answer.json()["root_token"].as_str().expect("a root token").to_owned();
    let mut connection = Connection::open(address, &token).await.expect("the server answers");
    let mut fields = json!({
        "allowed_uri_sans": "spiffe://example.org/*",
        "require_cn": false,
        "key_type": "ec",
        "key_bits": 256,
        "ttl": "1h",
        "max_ttl": "24h",
    });
    for (name, value) in role {
        fields[*name] = value.clone();
    }
    let steps = [
        ("sys/mounts/pki", json!({ "type": "pki", "config": { "max_lease_ttl": "8760h" } })),
        (
            "pki/root/generate/internal",
            json!({ "common_name": "Example Root", "key_type": "ec", "key_bits": 256, "ttl": "8000h" }),
        ),
        ("pki/roles/workload", fields),
    ];
    for (path, body) in steps {
        let answer = connection.send("POST", path, body.to_string()).await.expect("an answer");
        assert!(answer.status.is_success(), "{path}: {:?}", answer.body);
    }
    token
}
