//! The steps of a run: plain data, so that a failing run can be shrunk and printed.
//!
//! A step refers to a certificate or an issuer by its position among those created so far, counted
//! from the newest, so that a list is still valid after steps are removed.

use crate::names::{NAMES, Rules};
use crate::odd::Shape;
use crate::rng::Rng;
use crate::upkeep::Tidy;

/// One step of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A request from its beginning to its end.
    Do(Op),
    /// Two requests that overlap. The second one starts when the first has been polled `lag`
    /// times, and the clock moves by `jump` seconds before; `pace` chooses where the store waits.
    Both { first: Op, second: Op, lag: u8, jump: i64, pace: u64 },
    /// The caller disconnects after `polls` polls; the server continues.
    Cancel { op: Op, polls: u8, pace: u64 },
    /// The power is lost after `polls` polls; what was committed survives.
    CrashIn { op: Op, polls: u8, pace: u64 },
    /// The power is lost between two requests.
    Crash,
    /// The clock moves by this many seconds.
    Jump(i64),
    /// This many hours pass, and the due jobs run in each.
    Pass(u8),
    /// The nth commit, or read, from now fails.
    Inject(u8, StoreFault),
}

/// A fault of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum StoreFault {
    /// Reports a conflict with another commit.
    Conflict,
    /// Failed, and not committed.
    NotDone,
    /// Unknown to the caller, and not committed.
    LostRequest,
    /// Unknown to the caller, and committed.
    LostResponse,
    /// Committed after this many polls.
    Pending(u8),
    /// Committed, and reported after this many polls.
    Late(u8),
    /// A read fails.
    ReadFails,
    /// A read is slow.
    ReadPending(u8),
}

/// One request; `Jobs` runs those that are due in every mount. `mount` is 0 or 1, `role` is below 3;
/// other numbers count from the newest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    Enable { mount: u8 },
    Disable { mount: u8 },
    Root { mount: u8, name: u8, same_key: bool, ttl: i64 },
    Request { mount: u8, name: u8 },
    SignRequest { mount: u8, request: u8, ttl: i64 },
    SetSigned { mount: u8, certificate: u8 },
    WriteRole { mount: u8, role: u8, rules: Rules },
    PatchRole { mount: u8, role: u8, rules: Rules, fields: u8 },
    DeleteRole { mount: u8, role: u8 },
    Issue { mount: u8, role: u8, names: u8, ttl: i64, issuer: Option<u8> },
    Sign { mount: u8, role: u8, names: u8, csr: u8, ttl: i64 },
    Revoke { mount: u8, certificate: u8 },
    RevokeCertificate { mount: u8, certificate: u8 },
    Usage { mount: u8, issuer: u8, issues: bool, signs_crls: bool },
    NotAfterBehavior { mount: u8, issuer: u8, behavior: u8 },
    Default { mount: u8, issuer: u8 },
    DeleteIssuer { mount: u8, issuer: u8 },
    ReadCrl { mount: u8, issuer: Option<u8> },
    ReadCertificate { mount: u8, certificate: u8 },
    List { mount: u8 },
    ReadRole { mount: u8, role: u8 },
    Unauthenticated { mount: u8 },
    Jobs { mount: u8 },
    AutoTidy { mount: u8, tidy: Tidy },
    Odd { mount: u8, shape: Shape, pick: u8 },
}

impl Op {
    pub(crate) const fn mount(self) -> u8 {
        match self {
            Self::Enable { mount }
            | Self::Disable { mount }
            | Self::Root { mount, .. }
            | Self::Request { mount, .. }
            | Self::SignRequest { mount, .. }
            | Self::SetSigned { mount, .. }
            | Self::WriteRole { mount, .. }
            | Self::PatchRole { mount, .. }
            | Self::DeleteRole { mount, .. }
            | Self::Issue { mount, .. }
            | Self::Sign { mount, .. }
            | Self::Revoke { mount, .. }
            | Self::RevokeCertificate { mount, .. }
            | Self::Usage { mount, .. }
            | Self::NotAfterBehavior { mount, .. }
            | Self::Default { mount, .. }
            | Self::DeleteIssuer { mount, .. }
            | Self::ReadCrl { mount, .. }
            | Self::ReadCertificate { mount, .. }
            | Self::List { mount }
            | Self::ReadRole { mount, .. }
            | Self::Unauthenticated { mount }
            | Self::Jobs { mount }
            | Self::AutoTidy { mount, .. }
            | Self::Odd { mount, .. } => mount,
        }
    }
}

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;
const YEAR: i64 = 365 * DAY;

/// Names that most roles allow.
const GOOD_NAMES: [u8; 7] = [0, 1, 4, 5, 6, 8, 11];

/// The steps of one run: two mounts with a root and roles, then random steps.
pub(crate) fn generate(seed: u64, length: usize) -> Vec<Step> {
    let mut rng = Rng::new(seed);
    let mut steps = vec![
        Step::Do(Op::Enable { mount: 0 }),
        Step::Do(Op::Root { mount: 0, name: 0, same_key: false, ttl: YEAR }),
        Step::Do(Op::WriteRole { mount: 0, role: 0, rules: Rules::GENEROUS }),
        Step::Do(Op::WriteRole { mount: 0, role: 1, rules: Rules::any(rng.next()) }),
        Step::Do(Op::AutoTidy { mount: 0, tidy: Tidy::any(rng.next()) }),
        Step::Do(Op::Enable { mount: 1 }),
        Step::Do(Op::Root { mount: 1, name: 1, same_key: false, ttl: 9 * YEAR }),
        Step::Do(Op::WriteRole { mount: 1, role: 0, rules: Rules::GENEROUS }),
    ];
    while steps.len() < length {
        steps.push(step(&mut rng));
    }
    steps.truncate(length);
    steps
}

fn step(rng: &mut Rng) -> Step {
    let polls = rng.byte() % 48;
    match rng.below(100) {
        0..=1 => Step::Crash,
        2..=6 => Step::CrashIn { op: op(rng), polls, pace: rng.below(1 << 16) },
        7..=11 => Step::Cancel { op: op(rng), polls, pace: rng.below(1 << 16) },
        12..=18 => Step::Jump(jump(rng)),
        19 => Step::Pass(1 + rng.byte() % 40),
        20..=33 => Step::Inject(1 + rng.small() % 4, fault(rng)),
        34..=55 => Step::Both {
            first: op(rng),
            second: op(rng),
            lag: polls,
            jump: if rng.one_in(8) { jump(rng) } else { 0 },
            pace: rng.below(1 << 16),
        },
        _ => Step::Do(op(rng)),
    }
}

fn jump(rng: &mut Rng) -> i64 {
    let spans = [1, 60, 60, HOUR, HOUR, HOUR, 12 * HOUR, 12 * HOUR, 37 * HOUR, 40 * DAY];
    let span = if rng.one_in(30) { 3 * YEAR } else { rng.of(&spans) };
    let seconds = 1 + i64::try_from(rng.below(1 << 40)).unwrap_or_default() % span;
    // An issuer signs nothing before its notBefore, and a run without signatures finds little: so
    // large jumps go back less often than forward.
    let back = if span > HOUR { 8 } else { 2 };
    if rng.one_in(back) { -seconds } else { seconds }
}

fn rules(rng: &mut Rng) -> Rules {
    let any = Rules::any(rng.next());
    if rng.one_in(2) { Rules(any.0 | Rules::GENEROUS.0) } else { any }
}

fn fault(rng: &mut Rng) -> StoreFault {
    let polls = 1 + rng.byte() % 16;
    rng.of(&[
        StoreFault::Conflict,
        StoreFault::NotDone,
        StoreFault::LostRequest,
        StoreFault::LostResponse,
        StoreFault::Pending(polls),
        StoreFault::Late(polls),
        StoreFault::ReadFails,
        StoreFault::ReadPending(polls),
    ])
}

fn op(rng: &mut Rng) -> Op {
    let mount = u8::from(rng.one_in(5));
    let role = rng.of(&[0, 0, 0, 0, 1, 1, 2]);
    let names = if rng.one_in(2) {
        rng.of(&GOOD_NAMES)
    } else {
        u8::try_from(rng.below(NAMES.len() as u64)).unwrap_or_default()
    };
    let ttl = rng.of(&[0, 60, HOUR, HOUR, HOUR, DAY, 40 * DAY, YEAR]);
    let certificate = rng.small();
    let issuer = rng.small();
    if rng.one_in(20) {
        return Op::Odd { mount, shape: odd(rng), pick: certificate };
    }
    match rng.below(108) {
        0..=1 => Op::Enable { mount },
        2 if rng.one_in(2) => Op::Disable { mount: u8::from(!rng.one_in(4)) },
        2..=5 => Op::Root {
            mount,
            name: rng.byte() % 3,
            same_key: rng.one_in(2),
            ttl: rng.of(&[0, DAY, YEAR, YEAR, 9 * YEAR, 9 * YEAR]),
        },
        6..=8 => Op::Request { mount, name: rng.byte() % 3 },
        9..=11 => {
            Op::SignRequest { mount, request: certificate, ttl: rng.of(&[0, DAY, YEAR, YEAR]) }
        }
        12..=14 => Op::SetSigned { mount, certificate },
        15..=19 => Op::WriteRole { mount, role, rules: rules(rng) },
        20..=23 => Op::PatchRole { mount, role, rules: rules(rng), fields: rng.byte() },
        24 => Op::DeleteRole { mount, role },
        25..=46 => {
            let issuer = rng.one_in(3).then_some(issuer);
            Op::Issue { mount, role, names, ttl, issuer }
        }
        47..=53 => {
            let csr = u8::try_from(rng.below(NAMES.len() as u64)).unwrap_or_default();
            Op::Sign { mount, role, names, csr, ttl }
        }
        54..=63 => Op::Revoke { mount, certificate },
        64..=66 => Op::RevokeCertificate { mount, certificate },
        67..=69 => Op::Usage { mount, issuer, issues: !rng.one_in(6), signs_crls: !rng.one_in(3) },
        70..=71 => Op::NotAfterBehavior { mount, issuer, behavior: rng.byte() % 3 },
        72..=73 => Op::Default { mount, issuer },
        74 => Op::DeleteIssuer { mount, issuer },
        75..=85 => Op::ReadCrl { mount, issuer: (!rng.one_in(4)).then_some(issuer) },
        86..=92 => Op::ReadCertificate { mount, certificate },
        93..=95 => Op::List { mount },
        96..=97 => Op::ReadRole { mount, role },
        98..=99 => Op::Unauthenticated { mount },
        100..=105 => Op::Jobs { mount },
        _ => Op::AutoTidy { mount, tidy: Tidy::any(rng.next()) },
    }
}

/// Roles are written often enough that the next requests use each of them.
fn odd(rng: &mut Rng) -> Shape {
    let at = rng.byte();
    match rng.below(16) {
        0..=3 => Shape::Role(at),
        4 => Shape::ReadRole(at),
        5..=9 => Shape::Issue(at),
        10..=11 => Shape::Sign(at, rng.byte()),
        12..=13 => Shape::Authority(at),
        14 => Shape::Issuer(at),
        _ => Shape::Urls(at),
    }
}
