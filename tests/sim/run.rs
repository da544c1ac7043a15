//! One run: applies steps to a world and checks the answers with a model.

use std::hash::{DefaultHasher, Hash, Hasher};

use crate::Finding;
use crate::model::{Model, Round};
use crate::report::Tally;
use crate::requests::{Asked, MOUNTS, Subject, ask};
use crate::steps::{Op, Step};
use crate::world::{Answer, Request, TOKEN, Timing, World};
use signet::store::id::MountId;

/// A run, which ends with its steps or with the first finding.
pub(crate) struct Run {
    world: World,
    model: Model,
    trace: DefaultHasher,
    pub(crate) tally: Tally,
}

/// The maximum number of polls that a commit or read of the store takes while requests overlap.
const MAX_STORE_POLLS: u32 = 3;

const HOUR: i64 = 3600;

/// Runs these steps, then reads everything, before and after a loss of power. Returns a digest of
/// all answers.
pub(crate) fn run(seed: u64, steps: &[Step]) -> (Tally, Result<u64, Finding>) {
    let mut run = match Run::new(seed) {
        Ok(run) => run,
        Err(finding) => return (Tally::default(), Err(finding)),
    };
    let outcome = run.all(steps);
    (run.tally, outcome.map(|()| run.trace.finish()))
}

impl Run {
    fn new(seed: u64) -> Result<Self, Finding> {
        Ok(Self {
            world: World::new(seed)?,
            model: Model::new()?,
            trace: DefaultHasher::new(),
            tally: Tally::default(),
        })
    }

    fn all(&mut self, steps: &[Step]) -> Result<(), Finding> {
        for step in steps {
            self.step(*step)?;
            self.tally.steps += 1;
        }
        self.audit()?;
        self.crash()?;
        self.audit()
    }

    fn step(&mut self, step: Step) -> Result<(), Finding> {
        let plain = Timing::default();
        match step {
            Step::Do(op) => self.ask(&[(op, plain)], None),
            Step::Both { first, second, lag, jump, pace } => {
                self.world.pace(pace, MAX_STORE_POLLS);
                let later = Timing { starts: lag.into(), cancels: None, jump };
                let outcome = self.ask(&[(first, plain), (second, later)], None);
                self.world.pace(0, 0);
                outcome
            }
            Step::Cancel { op, polls, pace } => {
                self.world.pace(pace, MAX_STORE_POLLS);
                let cancels = Timing { cancels: Some(polls.into()), ..plain };
                let outcome = self.ask(&[(op, cancels)], None);
                self.world.pace(0, 0);
                outcome
            }
            Step::CrashIn { op, polls, pace } => {
                self.world.pace(pace, MAX_STORE_POLLS);
                self.ask(&[(op, plain)], Some(polls.into()))
            }
            Step::Crash => self.crash(),
            Step::Jump(seconds) => {
                self.world.jump(seconds);
                self.tally.jumps += 1;
                Ok(())
            }
            Step::Pass(hours) => {
                for _ in 0..hours {
                    self.world.jump(HOUR);
                    self.ask(&[(Op::Jobs { mount: 0 }, plain)], None)?;
                }
                Ok(())
            }
            Step::Inject(nth, fault) => {
                self.world.inject(nth, fault);
                self.tally.injected(fault);
                Ok(())
            }
        }
    }

    /// Sends the requests, waits until they end or the power is lost, and checks the answers.
    fn ask(&mut self, ops: &[(Op, Timing)], crash_after: Option<u32>) -> Result<(), Finding> {
        let (mut asked, mut requests) = (Vec::new(), Vec::new());
        for (op, timing) in ops {
            match ask(*op, &self.model) {
                Some(one) => {
                    requests.push((one.request.clone(), *timing));
                    asked.push(one);
                }
                None => self.tally.skipped += 1,
            }
        }
        let (failures, before) = (self.world.failures(), self.world.now());
        let answers = self.world.run(requests, crash_after)?;
        let after = self.world.now();
        let without_faults = self.world.failures() == failures;
        self.tally.failures += self.world.failures() - failures;
        for (asked, answer) in asked.iter().zip(&answers) {
            self.tally.answered(asked.op, answer.as_ref().map(|answer| answer.status));
            self.trace(asked, answer.as_ref());
        }
        if crash_after.is_some() {
            self.crash_and_restart()?;
        }
        let moves_mounts =
            asked.iter().any(|asked| matches!(asked.op, Op::Enable { .. } | Op::Disable { .. }));
        let table = if moves_mounts || crash_after.is_some() { Some(self.table()?) } else { None };
        let clock = (before.min(after), before.max(after));
        self.model.judge(&Round { asked, answers, without_faults, clock, table })
    }

    fn crash(&mut self) -> Result<(), Finding> {
        self.crash_and_restart()?;
        let table = Some(self.table()?);
        let now = self.world.now();
        let (asked, answers) = (Vec::new(), Vec::new());
        self.model.judge(&Round { asked, answers, without_faults: true, clock: (now, now), table })
    }

    fn crash_and_restart(&mut self) -> Result<(), Finding> {
        self.tally.crashes += 1;
        self.world.power_off();
        for (request, answer) in self.world.power_on()? {
            let fits = answer.status == 503 && crate::shape::check_errors(&answer).is_ok();
            // Reading the store's state is allowed to fail.
            if !fits && answer.status != 500 {
                return Err(Finding::new(format!(
                    "an answer of a sealed server: {} {} → {}",
                    request.method, request.path, answer.status
                )));
            }
        }
        Ok(())
    }

    /// The table of mounts; retried while the store fails.
    fn table(&self) -> Result<[Option<String>; 2], Finding> {
        let request = Request {
            method: "GET",
            path: "sys/mounts".to_owned(),
            token: Some(TOKEN),
            body: None,
        };
        for _ in 0..16 {
            let answers = self.world.run(vec![(request.clone(), Timing::default())], None)?;
            if let Some(Some(answer)) = answers.first()
                && answer.is_success()
            {
                return Ok(Model::table(answer));
            }
        }
        Err(Finding::new("the table of mounts cannot be read"))
    }

    /// Reads everything that the model knows, without faults of the store.
    fn audit(&mut self) -> Result<(), Finding> {
        self.world.heal();
        for mount in 0..MOUNTS.len() {
            let seen = &self.model.mounts[mount];
            let (issuers, certificates) = (seen.issuers.len(), seen.certificates.len());
            let mount = u8::try_from(mount).unwrap_or_default();
            let count = |length: usize| 0..u8::try_from(length).unwrap_or(u8::MAX);
            let mut ops = vec![Op::List { mount }, Op::ReadCrl { mount, issuer: None }];
            ops.extend(count(3).map(|role| Op::ReadRole { mount, role }));
            ops.extend(count(issuers).map(|at| Op::ReadCrl { mount, issuer: Some(at) }));
            ops.extend(
                count(certificates).map(|certificate| Op::ReadCertificate { mount, certificate }),
            );
            for op in ops {
                self.ask(&[(op, Timing::default())], None)?;
            }
        }
        for uuid in &self.model.disabled {
            let id = MountId::parse(uuid);
            let id = id.ok_or_else(|| Finding::new(format!("a mount's identifier is {uuid}")))?;
            let left = self.world.records_left(&id)?;
            if left > 0 {
                return Err(Finding::new(format!(
                    "a disabled mount left records: {left} of {uuid}"
                )));
            }
        }
        Ok(())
    }

    fn trace(&mut self, asked: &Asked, answer: Option<&Answer>) {
        asked.request.path.hash(&mut self.trace);
        if let Subject::Certificate(serial) | Subject::Issuer(serial) = &asked.subject {
            serial.hash(&mut self.trace);
        }
        match answer {
            Some(answer) => (answer.status, answer.body.as_ref()).hash(&mut self.trace),
            None => 0_u16.hash(&mut self.trace),
        }
    }
}
