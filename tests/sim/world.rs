//! The server under simulation: the API over an engine over the reference store, one runtime with
//! one thread, a clock that stands still, randomness from a seed.

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
use crate::steps::Trouble;
use crate::upkeep;

/// The token that may do everything.
pub(crate) const TOKEN: &str = "root";

/// Where the clock stands at first: 2026-11-22 12:00:00 UTC.
const START: i64 = 1_795_348_800;

/// The clock stays between 2005 and 2095: notAfter keeps its place in the serial number, and
/// both encodings of a time are met.
const CLOCK: std::ops::RangeInclusive<i64> = 1_104_537_600..=3_944_678_400;

/// A request that was polled so often and did not end never will.
const ENDLESS: u32 = 20_000;

/// The whole world: what survives a loss of power, and the server that does not.
pub(crate) struct World {
    life: Option<Life>,
    memory: Memory,
    entropy: Entropy,
    hand: Arc<AtomicI64>,
    clock: Clock,
}

/// A server from its start to its end. The runtime goes first, and every task with it.
struct Life {
    runtime: Runtime,
    api: Api,
    engine: Arc<Engine>,
}

/// A request as it comes from the listener.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: &'static str,
    pub(crate) path: String,
    pub(crate) token: Option<&'static str>,
    pub(crate) body: Option<Value>,
}

/// What came back.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content_type: String,
    pub(crate) body: Bytes,
}

/// When a request starts and when its caller hangs up, in polls; how the clock moves before.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Timing {
    pub(crate) starts: u32,
    pub(crate) leaves: Option<u32>,
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
        let (clock, hand) = Clock::manual(START);
        let entropy = Entropy::danger_seeded(seed);
        let mut world = Self { life: None, memory, entropy, hand, clock };
        let life = world.birth()?;
        let (engine, now) = (Arc::clone(&life.engine), world.clock.now());
        life.runtime
            .block_on(engine.initialize(None, Some(TOKEN), now))
            .map_err(|error| Finding::new(format!("cannot be initialised: {error}")))?;
        world.life = Some(life);
        Ok(world)
    }

    fn birth(&self) -> Result<Life, Finding> {
        // With one event between two looks at the callers, each poll is a step that counts.
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
        Ok(Life { runtime, api: Api::new(Arc::clone(&engine)), engine })
    }

    fn life(&self) -> Result<&Life, Finding> {
        self.life.as_ref().ok_or_else(|| Finding::new("the server is not there"))
    }

    /// The power goes: every task ends where it stands.
    pub(crate) fn power_off(&mut self) {
        self.life = None;
        self.memory.danger_pace(0, 0);
    }

    /// It comes back: sealed first, then unsealed.
    pub(crate) fn power_on(&mut self) -> Result<Vec<(Request, Answer)>, Finding> {
        self.life = Some(self.birth()?);
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
        // A start that meets a fault ends the process; whoever runs it starts it again.
        for _ in 0..16 {
            let life = self.life()?;
            let engine = Arc::clone(&life.engine);
            if life.runtime.block_on(engine.start()).is_ok_and(|status| !status.sealed) {
                return Ok(sealed);
            }
            self.life = Some(self.birth()?);
        }
        Err(Finding::new("a server that does not start"))
    }

    /// Runs requests side by side until each has its answer, the caller hung up, and whatever
    /// they left behind has ended; or until the power goes after `dies` polls.
    pub(crate) fn run(
        &self,
        requests: Vec<(Request, Timing)>,
        dies: Option<u32>,
    ) -> Result<Vec<Option<Answer>>, Finding> {
        let life = self.life()?;
        let mut callers: Vec<_> = requests
            .into_iter()
            .map(|(request, timing)| {
                let request = Some(request);
                Caller { timing, request, waiting: None, polls: 0, answer: None }
            })
            .collect();
        let ended = life.runtime.block_on(async {
            for round in 0..ENDLESS {
                if dies.is_some_and(|dies| round >= dies) {
                    return true;
                }
                let idle = self.poll_all(&mut callers, round).await;
                if idle && Handle::current().metrics().num_alive_tasks() == 0 {
                    return true;
                }
                breathe().await;
            }
            false
        });
        if !ended {
            return Err(Finding::new("a request that does not end"));
        }
        Ok(callers.into_iter().map(|caller| caller.answer).collect())
    }

    /// One poll of every caller that is there; true when none waits any more.
    async fn poll_all(&self, callers: &mut [Caller], round: u32) -> bool {
        let mut idle = true;
        for caller in callers {
            if let Some(request) = caller.request.take_if(|_| round >= caller.timing.starts) {
                self.jump(caller.timing.jump);
                caller.waiting = self.life().ok().map(|life| self.send(life, request));
            }
            if caller.timing.leaves.is_some_and(|leaves| caller.polls >= leaves) {
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

    fn send(&self, life: &Life, request: Request) -> Pin<Box<dyn Future<Output = Answer>>> {
        let (engine, now) = (Arc::clone(&life.engine), self.clock.now());
        match request.method {
            upkeep::JOBS => Box::pin(async move { upkeep::run_jobs(&engine, now).await }),
            upkeep::AUTO_TIDY => {
                Box::pin(async move { upkeep::write_auto_tidy(&engine, request, now).await })
            }
            _ => send(life.api.clone(), request),
        }
    }

    pub(crate) fn jump(&self, seconds: i64) {
        let there = self.now().saturating_add(seconds).clamp(*CLOCK.start(), *CLOCK.end());
        self.hand.store(there, Ordering::SeqCst);
    }

    pub(crate) fn now(&self) -> i64 {
        self.hand.load(Ordering::SeqCst)
    }

    pub(crate) fn pace(&self, seed: u64, most: u32) {
        self.memory.danger_pace(seed, most);
    }

    pub(crate) fn heal(&self) {
        self.memory.danger_heal();
    }

    /// How many injected failures have happened.
    pub(crate) fn failures(&self) -> u64 {
        self.memory.failures()
    }

    pub(crate) fn inject(&self, nth: u8, trouble: Trouble) {
        let nth = u64::from(nth);
        let commit = |fault| self.memory.danger_inject(nth, fault);
        match trouble {
            Trouble::Conflict => commit(CommitFault::Conflict),
            Trouble::NotDone => commit(CommitFault::FailedNotDone),
            Trouble::LostRequest => commit(CommitFault::LostRequest),
            Trouble::LostResponse => commit(CommitFault::LostResponse),
            Trouble::Pending(polls) => commit(CommitFault::Pending(polls.into())),
            Trouble::Late(polls) => commit(CommitFault::Late(polls.into())),
            Trouble::ReadFails => self.memory.danger_inject_read(nth, ReadFault::Failed),
            Trouble::ReadPending(polls) => {
                self.memory.danger_inject_read(nth, ReadFault::Pending(polls.into()));
            }
        }
    }

    /// How many records lie under a mount that is gone.
    pub(crate) fn left_behind(&self, mount: &MountId) -> Result<usize, Finding> {
        let life = self.life()?;
        let store = life.engine.env().store.clone();
        life.runtime.block_on(async {
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
        let (parts, ()) = builder.body(()).expect("a request of ours is well-formed").into_parts();
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

/// Lets the tasks of the runtime have a turn.
async fn breathe() {
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
    /// The JSON body; `null` if there is none or it is not JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    pub(crate) const fn is_success(&self) -> bool {
        self.status < 300
    }
}
