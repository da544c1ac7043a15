//! What happens in a run: plain data, so that a failing run can be made shorter and printed.
//!
//! A list of steps is replayed as it stands. What a step refers to (a certificate, an issuer) is
//! a position in what the run has made so far, counted from the newest, so that a list from
//! which steps were taken away still means something.

use crate::chance::Chance;
use crate::names::{NAMES, Rules};
use crate::odd::Shape;
use crate::upkeep::Tidy;

/// One step of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A request from its beginning to its end.
    Do(Op),
    /// Two requests that overlap. The second one starts when the first has been polled `lag`
    /// times, and the clock moves by `jump` seconds before; `pace` chooses where the store waits.
    Both { first: Op, second: Op, lag: u8, jump: i64, pace: u64 },
    /// The caller hangs up after so many polls; the server goes on.
    Leave { op: Op, polls: u8, pace: u64 },
    /// The power goes after so many polls; what was committed is there when it comes back.
    CrashIn { op: Op, polls: u8, pace: u64 },
    /// The power goes between two requests.
    Crash,
    /// The clock moves by so many seconds.
    Jump(i64),
    /// So many hours pass, and jobs run in each, as while a server runs.
    Pass(u8),
    /// The nth commit, or read, from now goes wrong.
    Inject(u8, Trouble),
}

/// What goes wrong in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Trouble {
    /// Another commit came between, or so it says.
    Conflict,
    /// Failed and not done.
    NotDone,
    /// Unknown, and not done.
    LostRequest,
    /// Unknown, and done.
    LostResponse,
    /// Slow, then done.
    Pending(u8),
    /// Done, and slow to say so.
    Late(u8),
    /// A read fails.
    ReadFails,
    /// A read is slow.
    ReadPending(u8),
}

/// One request; `Jobs` are those that are due in every mount. `mount` is 0 or 1, `role` below 3; other numbers count from the newest.
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
    Usage { mount: u8, issuer: u8, issues: bool, lists: bool },
    Overstay { mount: u8, issuer: u8, behavior: u8 },
    Default { mount: u8, issuer: u8 },
    DeleteIssuer { mount: u8, issuer: u8 },
    ReadCrl { mount: u8, issuer: Option<u8> },
    ReadCertificate { mount: u8, certificate: u8 },
    List { mount: u8 },
    ReadRole { mount: u8, role: u8 },
    Stranger { mount: u8 },
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
            | Self::Overstay { mount, .. }
            | Self::Default { mount, .. }
            | Self::DeleteIssuer { mount, .. }
            | Self::ReadCrl { mount, .. }
            | Self::ReadCertificate { mount, .. }
            | Self::List { mount }
            | Self::ReadRole { mount, .. }
            | Self::Stranger { mount }
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

/// The steps of one run: two mounts with a root and roles, and then anything.
pub(crate) fn generate(seed: u64, length: usize) -> Vec<Step> {
    let mut chance = Chance::new(seed);
    let mut steps = vec![
        Step::Do(Op::Enable { mount: 0 }),
        Step::Do(Op::Root { mount: 0, name: 0, same_key: false, ttl: YEAR }),
        Step::Do(Op::WriteRole { mount: 0, role: 0, rules: Rules::GENEROUS }),
        Step::Do(Op::WriteRole { mount: 0, role: 1, rules: Rules::any(chance.next()) }),
        Step::Do(Op::AutoTidy { mount: 0, tidy: Tidy::any(chance.next()) }),
        Step::Do(Op::Enable { mount: 1 }),
        Step::Do(Op::Root { mount: 1, name: 1, same_key: false, ttl: 9 * YEAR }),
        Step::Do(Op::WriteRole { mount: 1, role: 0, rules: Rules::GENEROUS }),
    ];
    while steps.len() < length {
        steps.push(step(&mut chance));
    }
    steps.truncate(length);
    steps
}

fn step(chance: &mut Chance) -> Step {
    let polls = chance.byte() % 48;
    match chance.below(100) {
        0..=1 => Step::Crash,
        2..=6 => Step::CrashIn { op: op(chance), polls, pace: chance.below(1 << 16) },
        7..=11 => Step::Leave { op: op(chance), polls, pace: chance.below(1 << 16) },
        12..=18 => Step::Jump(jump(chance)),
        19 => Step::Pass(1 + chance.byte() % 40),
        20..=33 => Step::Inject(1 + chance.small() % 4, trouble(chance)),
        34..=55 => Step::Both {
            first: op(chance),
            second: op(chance),
            lag: polls,
            jump: if chance.one_in(8) { jump(chance) } else { 0 },
            pace: chance.below(1 << 16),
        },
        _ => Step::Do(op(chance)),
    }
}

fn jump(chance: &mut Chance) -> i64 {
    let spans = [1, 60, 60, HOUR, HOUR, HOUR, 12 * HOUR, 12 * HOUR, 37 * HOUR, 40 * DAY];
    let span = if chance.one_in(30) { 3 * YEAR } else { chance.of(&spans) };
    let seconds = 1 + i64::try_from(chance.below(1 << 40)).unwrap_or_default() % span;
    // Before its first day an issuer signs nothing, and a run in which nothing is signed finds
    // little: so the clock goes far back less often than forward.
    let back = if span > HOUR { 8 } else { 2 };
    if chance.one_in(back) { -seconds } else { seconds }
}

fn rules(chance: &mut Chance) -> Rules {
    let any = Rules::any(chance.next());
    if chance.one_in(2) { Rules(any.0 | Rules::GENEROUS.0) } else { any }
}

fn trouble(chance: &mut Chance) -> Trouble {
    let polls = 1 + chance.byte() % 16;
    chance.of(&[
        Trouble::Conflict,
        Trouble::NotDone,
        Trouble::LostRequest,
        Trouble::LostResponse,
        Trouble::Pending(polls),
        Trouble::Late(polls),
        Trouble::ReadFails,
        Trouble::ReadPending(polls),
    ])
}

fn op(chance: &mut Chance) -> Op {
    let mount = u8::from(chance.one_in(5));
    let role = chance.of(&[0, 0, 0, 0, 1, 1, 2]);
    let names = if chance.one_in(2) {
        chance.of(&GOOD_NAMES)
    } else {
        u8::try_from(chance.below(NAMES.len() as u64)).unwrap_or_default()
    };
    let ttl = chance.of(&[0, 60, HOUR, HOUR, HOUR, DAY, 40 * DAY, YEAR]);
    let certificate = chance.small();
    let issuer = chance.small();
    if chance.one_in(20) {
        return Op::Odd { mount, shape: odd(chance), pick: certificate };
    }
    match chance.below(108) {
        0..=1 => Op::Enable { mount },
        2 if chance.one_in(2) => Op::Disable { mount: u8::from(!chance.one_in(4)) },
        2..=5 => Op::Root {
            mount,
            name: chance.byte() % 3,
            same_key: chance.one_in(2),
            ttl: chance.of(&[0, DAY, YEAR, YEAR, 9 * YEAR, 9 * YEAR]),
        },
        6..=8 => Op::Request { mount, name: chance.byte() % 3 },
        9..=11 => {
            Op::SignRequest { mount, request: certificate, ttl: chance.of(&[0, DAY, YEAR, YEAR]) }
        }
        12..=14 => Op::SetSigned { mount, certificate },
        15..=19 => Op::WriteRole { mount, role, rules: rules(chance) },
        20..=23 => Op::PatchRole { mount, role, rules: rules(chance), fields: chance.byte() },
        24 => Op::DeleteRole { mount, role },
        25..=46 => {
            let issuer = chance.one_in(3).then_some(issuer);
            Op::Issue { mount, role, names, ttl, issuer }
        }
        47..=53 => {
            let csr = u8::try_from(chance.below(NAMES.len() as u64)).unwrap_or_default();
            Op::Sign { mount, role, names, csr, ttl }
        }
        54..=63 => Op::Revoke { mount, certificate },
        64..=66 => Op::RevokeCertificate { mount, certificate },
        67..=69 => Op::Usage { mount, issuer, issues: !chance.one_in(6), lists: !chance.one_in(3) },
        70..=71 => Op::Overstay { mount, issuer, behavior: chance.byte() % 3 },
        72..=73 => Op::Default { mount, issuer },
        74 => Op::DeleteIssuer { mount, issuer },
        75..=85 => Op::ReadCrl { mount, issuer: (!chance.one_in(4)).then_some(issuer) },
        86..=92 => Op::ReadCertificate { mount, certificate },
        93..=95 => Op::List { mount },
        96..=97 => Op::ReadRole { mount, role },
        98..=99 => Op::Stranger { mount },
        100..=105 => Op::Jobs { mount },
        _ => Op::AutoTidy { mount, tidy: Tidy::any(chance.next()) },
    }
}

/// Roles are written often enough that the next requests meet each of them.
fn odd(chance: &mut Chance) -> Shape {
    let at = chance.byte();
    match chance.below(16) {
        0..=3 => Shape::Role(at),
        4 => Shape::ReadRole(at),
        5..=9 => Shape::Issue(at),
        10..=11 => Shape::Sign(at, chance.byte()),
        12..=13 => Shape::Authority(at),
        14 => Shape::Issuer(at),
        _ => Shape::Urls(at),
    }
}
