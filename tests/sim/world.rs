//! The server under simulation: the API, an engine and the reference store on a single-threaded
//! runtime, with a clock that the test sets and randomness from a seed.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::task::Poll;

use bytes::Bytes;
use http_body_util::BodyExt;
use serde_json::Value;
use signet::ca::role::TtlLimits;
use signet::clock::Clock;
use signet::engine::env::SYSTEM_TTL;
use signet::engine::{Engine, Env};
use signet::entropy::Entropy;
use signet::http::v1::Api;
use signet::secret::Secret;
use signet::store::id::MountId;
use signet::store::memory::{CommitFault, ReadFault};
use signet::store::sealed::{Seal, StaticKey};
use signet::store::{Memory, Sealed, Store, key};
use tokio::runtime::{Builder, Handle, Runtime};

use crate::Finding;
use crate::steps::StoreFault;
use crate::upkeep;

/// The root token.
pub(crate) const TOKEN: &str = "root";

/// The initial time: 2026-11-22 12:00:00 UTC.
const START: i64 = 1_795_348_800;

/// The clock stays between 2005 and 2095: notAfter fits in the serial number, and both encodings
/// of a time (RFC 5280, 4.1.2.5) occur.
const CLOCK: std::ops::RangeInclusive<i64> = 1_104_537_600..=3_944_678_400;

/// A request that has not ended after this many polls hangs.
const MAX_POLLS: u32 = 20_000;

/// The state that survives a loss of power, and the process that does not.
pub(crate) struct World {
    running: Option<Process>,
    memory: Memory,
    entropy: Entropy,
    time: Arc<AtomicI64>,
    clock: Clock,
}

/// A running server. The runtime is dropped first, and every task with it.
struct Process {
    runtime: Runtime,
    api: Api,
    engine: Arc<Engine>,
}

/// A request, as the listener passes it on.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: &'static str,
    pub(crate) path: String,
    pub(crate) token: Option<&'static str>,
    pub(crate) body: Option<Value>,
}

/// The answer to a request.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content_type: String,
    pub(crate) body: Bytes,
}

/// When a request starts and when its caller disconnects, in polls; how the clock moves before.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Timing {
    pub(crate) starts: u32,
    pub(crate) cancels: Option<u32>,
    pub(crate) jump: i64,
}

struct Caller {
    timing: Timing,
    request: Option<Request>,
    waiting: Option<Pin<Box<dyn Future<Output = Answer>>>>,
    polls: u32,
    answer: Option<Answer>,
}

impl World {
    pub(crate) fn new(seed: u64) -> Result<Self, Finding> {
        let memory = Memory::new();
        let (clock, time) = Clock::manual(START);
        let entropy = Entropy::danger_seeded(seed);
        let mut world = Self { running: None, memory, entropy, time, clock };
        let process = world.start_process()?;
        let (engine, now) = (Arc::clone(&process.engine), world.clock.now());
        process
            .runtime
            .block_on(engine.initialize(None, Some(TOKEN), now))
            .map_err(|error| Finding::new(format!("cannot be initialised: {error}")))?;
        world.running = Some(process);
        Ok(world)
    }

    fn start_process(&self) -> Result<Process, Finding> {
        // One event between two polls of the callers: each poll is one step.
        let runtime = Builder::new_current_thread()
            .event_interval(1)
            .build()
            .map_err(|error| Finding::new(format!("no runtime: {error}")))?;
        let current = StaticKey { id: "1".to_owned(), key: Secret::boxed(&[7; 32]) };
        let seal = Seal::Static { current, previous: None };
        let sealed = Sealed::new(self.memory.clone(), seal, self.entropy.clone());
        let engine = Engine::new(Env {
            store: Store::from(Arc::clone(&sealed)),
            sealed,
            clock: self.clock.clone(),
            entropy: self.entropy.clone(),
            storage_type: "inmem",
            lifetimes: TtlLimits { default: SYSTEM_TTL, max: SYSTEM_TTL },
        });
        Ok(Process { runtime, api: Api::new(Arc::clone(&engine)), engine })
    }

    fn process(&self) -> Result<&Process, Finding> {
        self.running.as_ref().ok_or_else(|| Finding::new("the server is not running"))
    }

    /// Loses power: every task ends where it is.
    pub(crate) fn power_off(&mut self) {
        self.running = None;
        self.memory.danger_pace(0, 0);
    }

    /// Restarts: sealed first, then unsealed. Returns the answers of the sealed server.
    pub(crate) fn power_on(&mut self) -> Result<Vec<(Request, Answer)>, Finding> {
        self.running = Some(self.start_process()?);
        let mut sealed = Vec::new();
        for (method, path) in [("GET", "pki/crl"), ("POST", "pki/issue/r0"), ("LIST", "pki/certs")]
        {
            let body = (method == "POST").then(|| Value::Object(serde_json::Map::new()));
            let request = Request { method, path: path.to_owned(), token: Some(TOKEN), body };
            let answers = self.run(vec![(request.clone(), Timing::default())], None)?;
            for answer in answers.into_iter().flatten() {
                sealed.push((request.clone(), answer));
            }
        }
        // A fault during the start ends the process; a supervisor would restart it.
        for _ in 0..16 {
            let process = self.process()?;
            let engine = Arc::clone(&process.engine);
            if process.runtime.block_on(engine.start()).is_ok_and(|status| !status.sealed) {
                return Ok(sealed);
            }
            self.running = Some(self.start_process()?);
        }
        Err(Finding::new("a server that does not start"))
    }

    /// Runs requests concurrently until each is answered or cancelled and all their tasks have ended,
    /// or until the power is lost after `crash_after` polls.
    pub(crate) fn run(
        &self,
        requests: Vec<(Request, Timing)>,
        crash_after: Option<u32>,
    ) -> Result<Vec<Option<Answer>>, Finding> {
        let process = self.process()?;
        let mut callers: Vec<_> = requests
            .into_iter()
            .map(|(request, timing)| {
                let request = Some(request);
                Caller { timing, request, waiting: None, polls: 0, answer: None }
            })
            .collect();
        let ended = process.runtime.block_on(async {
            for round in 0..MAX_POLLS {
                if crash_after.is_some_and(|crash_after| round >= crash_after) {
                    return true;
                }
                let idle = self.poll_all(&mut callers, round).await;
                if idle && Handle::current().metrics().num_alive_tasks() == 0 {
                    return true;
                }
                yield_to_tasks().await;
            }
            false
        });
        if !ended {
            return Err(Finding::new("a request that does not end"));
        }
        Ok(callers.into_iter().map(|caller| caller.answer).collect())
    }

    /// Polls every caller once; true when no caller waits.
    async fn poll_all(&self, callers: &mut [Caller], round: u32) -> bool {
        let mut idle = true;
        for caller in callers {
            if let Some(request) = caller.request.take_if(|_| round >= caller.timing.starts) {
                self.jump(caller.timing.jump);
                caller.waiting = self.process().ok().map(|process| self.send(process, request));
            }
            if caller.timing.cancels.is_some_and(|cancels| caller.polls >= cancels) {
                caller.waiting = None;
            }
            caller.polls += 1;
            if let Some(waiting) = &mut caller.waiting {
                let polled = poll_fn(|context| Poll::Ready(waiting.as_mut().poll(context))).await;
                if let Poll::Ready(answer) = polled {
                    caller.answer = Some(answer);
                    caller.waiting = None;
                }
            }
            idle &= caller.request.is_none() && caller.waiting.is_none();
        }
        idle
    }

    fn send(&self, process: &Process, request: Request) -> Pin<Box<dyn Future<Output = Answer>>> {
        let (engine, now) = (Arc::clone(&process.engine), self.clock.now());
        match request.method {
            upkeep::JOBS => Box::pin(async move { upkeep::run_jobs(&engine, now).await }),
            upkeep::AUTO_TIDY => {
                Box::pin(async move { upkeep::write_auto_tidy(&engine, request, now).await })
            }
            _ => send(process.api.clone(), request),
        }
    }

    pub(crate) fn jump(&self, seconds: i64) {
        let time = self.now().saturating_add(seconds).clamp(*CLOCK.start(), *CLOCK.end());
        self.time.store(time, Ordering::SeqCst);
    }

    pub(crate) fn now(&self) -> i64 {
        self.time.load(Ordering::SeqCst)
    }

    pub(crate) fn pace(&self, seed: u64, max_polls: u32) {
        self.memory.danger_pace(seed, max_polls);
    }

    pub(crate) fn heal(&self) {
        self.memory.danger_heal();
    }

    /// The number of injected failures that have occurred.
    pub(crate) fn failures(&self) -> u64 {
        self.memory.failures()
    }

    pub(crate) fn inject(&self, nth: u8, fault: StoreFault) {
        let nth = u64::from(nth);
        let commit = |fault| self.memory.danger_inject(nth, fault);
        match fault {
            StoreFault::Conflict => commit(CommitFault::Conflict),
            StoreFault::NotDone => commit(CommitFault::FailedNotDone),
            StoreFault::LostRequest => commit(CommitFault::LostRequest),
            StoreFault::LostResponse => commit(CommitFault::LostResponse),
            StoreFault::Pending(polls) => commit(CommitFault::Pending(polls.into())),
            StoreFault::Late(polls) => commit(CommitFault::Late(polls.into())),
            StoreFault::ReadFails => self.memory.danger_inject_read(nth, ReadFault::Failed),
            StoreFault::ReadPending(polls) => {
                self.memory.danger_inject_read(nth, ReadFault::Pending(polls.into()));
            }
        }
    }

    /// The number of records under a disabled mount.
    pub(crate) fn records_left(&self, mount: &MountId) -> Result<usize, Finding> {
        let process = self.process()?;
        let store = process.engine.env().store.clone();
        process.runtime.block_on(async {
            let unreadable = |error| Finding::new(format!("the store cannot be read: {error}"));
            let snapshot = store.snapshot().await.map_err(unreadable)?;
            let range = key::everything_in(mount).range();
            Ok(snapshot.keys(&range, usize::MAX).await.map_err(unreadable)?.len())
        })
    }
}

fn send(api: Api, request: Request) -> Pin<Box<dyn Future<Output = Answer>>> {
    Box::pin(async move {
        let mut builder =
            http::Request::builder().method(request.method).uri(format!("/v1/{}", request.path));
        if let Some(token) = request.token {
            builder = builder.header("X-Vault-Token", token);
        }
        if request.method == "PATCH" {
            builder = builder.header("Content-Type", "application/merge-patch+json");
        }
        let body = request.body.map(|body| body.to_string()).unwrap_or_default();
        let (parts, ()) = builder.body(()).expect("the request is well-formed").into_parts();
        let response = api.answer(parts, body.into()).await;
        let (parts, body) = response.into_parts();
        let content_type = parts.headers.get("content-type").and_then(|value| value.to_str().ok());
        Answer {
            status: parts.status.as_u16(),
            content_type: content_type.unwrap_or_default().to_owned(),
            body: body.collect().await.map(|body| body.to_bytes()).unwrap_or_default(),
        }
    })
}

/// Lets the other tasks of the runtime run.
async fn yield_to_tasks() {
    let mut first = true;
    poll_fn(|context| {
        if std::mem::take(&mut first) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(())
    })
    .await;
}

impl Answer {
    /// The JSON body; `null` if it is empty or not JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    pub(crate) const fn is_success(&self) -> bool {
        self.status < 300
    }
}
