//! Hostile clients in a separate process, which runs only when its core is otherwise idle (SCHED_IDLE,
//! sched(7)), so that it does not delay the honest clients. On loopback only.
//!
//! Over HTTP/1.1: headers that arrive one byte at a time; answers that are never read; JSON that is deep,
//! or huge and without an end, or of many small objects. Attacks over HTTP/2 are in `streams.rs`. A
//! connection that the server closes is opened again.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use std::{env, io};

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;

use super::streams;
use super::usage::memory;

/// The target and the number of connections.
#[derive(Clone, Debug)]
pub struct Attack {
    pub address: String,
    /// The server's process: the attack ends when it uses too much memory.
    pub process: u32,
    pub connections: u64,
    pub protocol: Protocol,
}

/// The protocol of the hostile clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Http1,
    Http2,
}

/// The resident memory of the server at which the attack stops, in KiB.
pub const MEMORY_END: u64 = 2 * 1024 * 1024;

/// The longest wait until nearly all connections are open.
const GATHERING: Duration = Duration::from_secs(60);

/// The longest duration of an attack.
const LONGEST: Duration = Duration::from_secs(600);

/// The interval of the checks of memory and connections.
const LOOK: Duration = Duration::from_millis(200);

/// The time between two bytes, or two pieces of a body, on each connection.
pub(super) const TRICKLE: Duration = Duration::from_secs(1);

/// A huge body: this many pieces of this many bytes, then one byte at a time.
const PIECES: usize = 16;
const PIECE: usize = 64 * 1024;

/// An attack that runs.
pub struct Attacking {
    child: Child,
    output: BufReader<ChildStdout>,
}

#[derive(Debug, Default)]
pub(super) struct Counts {
    stop: AtomicBool,
    open: AtomicU64,
    most: AtomicU64,
    cut: AtomicU64,
    refused: AtomicU64,
}

impl Attack {
    /// Starts the process. It ends on [`Attacking::end`], or with this process.
    pub fn begin(&self) -> Attacking {
        let mut child = Command::new("chrt")
            .args(["--idle", "0"])
            .arg(env::current_exe().expect("this program"))
            .arg("--attack")
            .arg(&self.address)
            .args([self.process.to_string()])
            .arg(self.connections.to_string())
            .arg(if self.protocol == Protocol::Http2 { "2" } else { "1" })
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("chrt (util-linux) runs this program");
        let output = BufReader::new(child.stdout.take().expect("the output is piped"));
        Attacking { child, output }
    }

    /// In the child: the words after `--attack`.
    pub fn from_words(words: &[String]) -> Self {
        let number = |index: usize| words[index].parse::<u64>().expect("a number");
        let process = u32::try_from(number(1)).expect("a process");
        let address: SocketAddr = words[0].parse().expect("an address");
        assert!(address.ip().is_loopback(), "only this machine is attacked");
        let protocol = if number(3) == 2 { Protocol::Http2 } else { Protocol::Http1 };
        Self { address: words[0].clone(), process, connections: number(2), protocol }
    }

    /// In the child: opens the connections, prints a line, attacks until its input is closed, prints the counts.
    pub fn run(self) {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let counts = Arc::new(Counts::default());
        runtime.block_on(async {
            let mut attacking = JoinSet::new();
            for number in 0..self.connections {
                attacking.spawn(one(self.clone(), number, Arc::clone(&counts)));
            }
            let enough = self.connections * 95 / 100;
            self.watch(&counts, GATHERING, || counts.open.load(Ordering::Relaxed) >= enough).await;
            println!("{{}}");
            let stopped = tokio::task::spawn_blocking(|| io::stdin().read_to_end(&mut Vec::new()));
            self.watch(&counts, LONGEST, || stopped.is_finished()).await;
            counts.stop.store(true, Ordering::Relaxed);
            attacking.shutdown().await;
        });
        let met = json!({
            "open_at_most": counts.most,
            "cut": counts.cut,
            "refused": counts.refused,
        });
        println!("{met}");
    }

    /// Waits until `enough`, the end of the time, or too much memory of the server.
    async fn watch(&self, counts: &Counts, length: Duration, is_enough: impl Fn() -> bool) {
        let looks = length.as_millis() / LOOK.as_millis();
        for _ in 0..looks {
            tokio::time::sleep(LOOK).await;
            counts.most.fetch_max(counts.open.load(Ordering::Relaxed), Ordering::Relaxed);
            if is_enough() || memory(self.process).0 > MEMORY_END {
                return;
            }
        }
    }
}

impl Attacking {
    /// Returns when nearly all connections are open, or after [`GATHERING`].
    pub fn gathered(&mut self) {
        self.output.read_line(&mut String::new()).expect("the attack reports its start");
    }

    /// Ends the attack and returns its counts.
    pub fn end(mut self) -> Value {
        drop(self.child.stdin.take());
        let mut last = String::new();
        self.output.read_to_string(&mut last).expect("the attack reports its counts");
        self.child.wait().expect("the attack ends");
        serde_json::from_str(&last).unwrap_or_default()
    }
}

async fn one(attack: Attack, number: u64, counts: Arc<Counts>) {
    // Spread over two seconds.
    tokio::time::sleep(Duration::from_millis(number * 2_000 / attack.connections)).await;
    while !counts.stop.load(Ordering::Relaxed) {
        let Ok(stream) = connect(&attack.address).await else {
            counts.refused.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(TRICKLE).await;
            continue;
        };
        counts.open.fetch_add(1, Ordering::Relaxed);
        let _ = match attack.protocol {
            Protocol::Http1 => harass(stream, number, &counts).await,
            Protocol::Http2 => streams::harass(stream, number, &counts).await,
        };
        counts.open.fetch_sub(1, Ordering::Relaxed);
        counts.cut.fetch_add(1, Ordering::Relaxed);
        // Prevents a tight loop when the server refuses at once.
        tokio::time::sleep(TRICKLE / 10).await;
    }
}

/// A connection with a small receive buffer.
async fn connect(address: &str) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(4_096)?;
    let connecting = socket.connect(address.parse().expect("an address"));
    tokio::time::timeout(Duration::from_secs(5), connecting).await?
}

/// Until the connection breaks or the attack ends.
async fn harass(stream: TcpStream, number: u64, counts: &Counts) -> io::Result<()> {
    match number % 5 {
        0 => slow_headers(stream, counts).await,
        1 => never_reads(stream, counts).await,
        2 => deep(stream, counts).await,
        3 => many(stream, counts).await,
        _ => huge(stream, counts).await,
    }
}

async fn slow_headers(mut stream: TcpStream, counts: &Counts) -> io::Result<()> {
    stream.write_all(b"GET /v1/sys/health HTTP/1.1\r\nhost: a\r\nx-slow: ").await?;
    while counts.is_running() {
        stream.write_all(b"a").await?;
        tokio::time::sleep(TRICKLE).await;
    }
    Ok(())
}

async fn never_reads(mut stream: TcpStream, counts: &Counts) -> io::Result<()> {
    let request = b"GET /v1/pki/ca/pem HTTP/1.1\r\nhost: a\r\n\r\n".repeat(64);
    while counts.is_running() {
        // When the buffers are full, the server waits for a read that never happens.
        if let Ok(written) = tokio::time::timeout(TRICKLE, stream.write_all(&request)).await {
            written?;
        }
        tokio::time::sleep(TRICKLE).await;
    }
    Ok(())
}

async fn deep(mut stream: TcpStream, counts: &Counts) -> io::Result<()> {
    let body = format!("{{\"a\":{}", "[".repeat(PIECE));
    while counts.is_running() {
        stream.write_all(head(body.len()).as_bytes()).await?;
        stream.write_all(body.as_bytes()).await?;
        tokio::time::sleep(TRICKLE).await;
    }
    Ok(())
}

async fn many(mut stream: TcpStream, counts: &Counts) -> io::Result<()> {
    let body = streams::many_objects();
    while counts.is_running() {
        stream.write_all(head(body.len()).as_bytes()).await?;
        stream.write_all(&body).await?;
        tokio::time::sleep(TRICKLE).await;
    }
    Ok(())
}

async fn huge(mut stream: TcpStream, counts: &Counts) -> io::Result<()> {
    stream.write_all(head(32 * 1024 * 1024).as_bytes()).await?;
    stream.write_all(b"{\"a\":[").await?;
    let piece = format!("\"{}\",", "x".repeat(PIECE - 3));
    for _ in 0..PIECES {
        stream.write_all(piece.as_bytes()).await?;
        tokio::time::sleep(TRICKLE / 4).await;
    }
    while counts.is_running() {
        stream.write_all(b" ").await?;
        tokio::time::sleep(TRICKLE).await;
    }
    Ok(())
}

fn head(length: usize) -> String {
    format!("POST /v1/pki/issue/stored HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\n\r\n")
}

impl Counts {
    pub(super) fn is_running(&self) -> bool {
        !self.stop.load(Ordering::Relaxed)
    }
}
