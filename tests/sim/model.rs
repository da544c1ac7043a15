//! What a reader who noted every answer knows of the server.

use std::collections::{BTreeMap, BTreeSet};

use signet::ca::certificate::Certificate;

use crate::Finding;
use crate::certificates::{Group, List, request_for};
use crate::names::{NAMES, Rules};
use crate::odd::Shape;
use crate::possible::{Change, Ending, Making, Tracked};
use crate::requests::{Asked, Subject};
use crate::steps::Op;
use crate::upkeep::{Removed, Tidy};
use crate::world::Answer;

/// Everything that was told.
pub(crate) struct Model {
    pub(crate) mounts: [MountSeen; 2],
    /// Requests of intermediates that nobody has signed yet, or has; the newest last.
    pub(crate) requests: Vec<String>,
    /// Certificates of authorities that may be imported.
    pub(crate) authorities: Vec<String>,
    /// A CSR for each of the names.
    pub(crate) leaf_requests: Vec<String>,
    /// Every serial number that was ever answered.
    pub(super) serials: BTreeSet<String>,
    /// Mounts that were disabled while nothing else happened.
    pub(crate) gone: Vec<String>,
}

/// One mount, from its enabling to its disabling.
pub(crate) struct MountSeen {
    /// `None` while nothing is mounted there.
    pub(crate) uuid: Option<String>,
    pub(crate) roles: [Tracked<Option<Rules>>; 3],
    pub(crate) issuers: Vec<IssuerSeen>,
    pub(crate) certificates: Vec<Recorded>,
    /// The newest list of each group.
    pub(crate) lists: BTreeMap<Group, List>,
    pub(crate) tidy: Tracked<Tidy>,
    /// What a tidy may have removed.
    pub(crate) removed: Removed,
    /// URLs of an odd shape may stand in what it signs, or keep it from signing.
    pub(crate) has_odd_urls: bool,
}

/// An issuer that was answered.
pub(crate) struct IssuerSeen {
    pub(crate) id: String,
    pub(crate) certificate: Certificate,
    pub(crate) group: Group,
    pub(crate) has_key: bool,
    pub(crate) usage: Tracked<Usage>,
    pub(crate) may_overstay: Tracked<bool>,
    pub(crate) deleted: Tracked<bool>,
}

/// What an issuer may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) issues: bool,
    pub(crate) lists: bool,
}

/// A certificate that was answered and must be on record.
pub(crate) struct Recorded {
    pub(crate) serial: String,
    pub(crate) pem: String,
    pub(crate) group: Group,
    pub(crate) not_after: i64,
    pub(crate) revoked: Revoked,
}

/// What is known of a certificate's revocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Revoked {
    /// Nobody asked for it, or it was refused.
    Never,
    /// It was asked for and not acknowledged.
    Perhaps,
    /// It was acknowledged, and this is its time.
    At(i64),
}

/// One step: what was asked, what came back, and what the clock and the store did meanwhile.
pub(crate) struct Round {
    pub(crate) asked: Vec<Asked>,
    pub(crate) answers: Vec<Option<Answer>>,
    /// The store did not fail.
    pub(crate) quiet: bool,
    /// The earliest and the latest instant of the step.
    pub(crate) clock: (i64, i64),
    /// The identifiers of the two mounts afterwards, if they may have changed.
    pub(crate) table: Option<[Option<String>; 2]>,
}

impl Round {
    /// One request, answered, with nothing beside it and nothing wrong: it must succeed if it can.
    pub(crate) fn is_plain(&self) -> bool {
        self.quiet && self.asked.len() == 1 && self.answers.iter().all(Option::is_some)
    }

    fn ending(&self, at: usize) -> Ending {
        match self.answers.get(at).and_then(Option::as_ref) {
            Some(answer) if answer.is_success() => Ending::Done,
            Some(answer) if answer.status < 500 => Ending::Refused,
            _ => Ending::Unknown,
        }
    }

    /// The changes that this step asked for, by what `make` sees in each request.
    fn changes<'a, T: 'a>(
        &'a self,
        mount: usize,
        may_be_elsewhere: bool,
        make: impl Fn(&'a Asked) -> Option<Making<'a, T>>,
    ) -> Vec<Change<'a, T>> {
        let here = self.asked.iter().enumerate().filter(|(_, asked)| asked.mount == mount);
        here.filter_map(|(at, asked)| {
            let ending = if may_be_elsewhere { Ending::Unknown } else { self.ending(at) };
            Some(Change { make: make(asked)?, ending })
        })
        .collect()
    }
}

impl Model {
    pub(crate) fn new() -> Result<Self, Finding> {
        Ok(Self {
            mounts: [MountSeen::new(None), MountSeen::new(None)],
            requests: Vec::new(),
            authorities: Vec::new(),
            leaf_requests: NAMES.iter().map(request_for).collect::<Result<_, _>>()?,
            serials: BTreeSet::new(),
            gone: Vec::new(),
        })
    }

    /// Judges a step and notes what it told.
    pub(crate) fn judge(&mut self, round: &Round) -> Result<(), Finding> {
        for (asked, answer) in round.asked.iter().zip(&round.answers) {
            if let Some(answer) = answer {
                super::shape::check(asked, answer, round.quiet)?;
            }
        }
        for list in self.mounts.iter_mut().flat_map(|seen| seen.lists.values_mut()) {
            list.clock = (list.clock.0.min(round.clock.0), list.clock.1.max(round.clock.1));
        }
        let replaced = self.settle_mounts(round);
        for asked in &round.asked {
            let shapes_urls = matches!(asked.op, Op::Odd { shape: Shape::Urls(_), .. });
            self.mounts[asked.mount].has_odd_urls |= shapes_urls;
        }
        for (mount, replaced) in replaced.into_iter().enumerate() {
            self.settle(mount, round, replaced);
        }
        self.doubt_revocations(round);
        // What is told beside a reader need not be what the reader was told.
        for turn in 0..3 {
            for (asked, answer) in round.asked.iter().zip(&round.answers) {
                if let Some(answer) = answer
                    && turn_of(asked.op) == turn
                {
                    self.check(asked, answer, round, replaced[asked.mount])?;
                }
            }
        }
        Ok(())
    }

    /// Which mounts are others than before, or gone.
    fn settle_mounts(&mut self, round: &Round) -> [bool; 2] {
        let mut replaced = [false; 2];
        for (at, uuid) in round.table.iter().flatten().enumerate() {
            let seen = &mut self.mounts[at];
            if seen.uuid == *uuid {
                continue;
            }
            replaced[at] = true;
            let before = std::mem::replace(seen, MountSeen::new(uuid.clone()));
            for (role, before) in seen.roles.iter_mut().zip(&before.roles) {
                // For the judgement of this step, which `settle` looks at first.
                role.was_also(before);
            }
            // A request beside the disabling may still write what nobody will read.
            self.gone.extend(before.uuid.filter(|_| round.is_plain()));
        }
        replaced
    }

    fn settle(&mut self, mount: usize, round: &Round, replaced: bool) {
        let seen = &mut self.mounts[mount];
        for (number, role) in seen.roles.iter_mut().enumerate() {
            let changes = round.changes(mount, replaced, |asked| role_change(asked.op, number));
            let before = role.clone();
            role.settle(&changes);
            if replaced {
                role.was_also(&before);
            }
        }
        seen.tidy.settle(&round.changes(mount, replaced, |asked| match asked.op {
            Op::AutoTidy { tidy, .. } => Some(Box::new(move |_: &Tidy| tidy) as Making<'_, Tidy>),
            _ => None,
        }));
        if round.asked.iter().any(|asked| matches!(asked.op, Op::Jobs { .. })) {
            seen.removed.extend(&seen.tidy, round.clock.1);
        }
        for issuer in &mut seen.issuers {
            let subject = Subject::Issuer(issuer.id.clone());
            let mine = |asked: &&Asked| asked.subject == subject;
            issuer.usage.settle(&round.changes(mount, false, |asked| {
                let Some(Op::Usage { issues, lists, .. }) = Some(asked).filter(mine).map(|a| a.op)
                else {
                    return None;
                };
                Some(Box::new(move |_: &Usage| Usage { issues, lists }))
            }));
            issuer.may_overstay.settle(&round.changes(mount, false, |asked| {
                let Some(Op::Overstay { behavior, .. }) = Some(asked).filter(mine).map(|a| a.op)
                else {
                    return None;
                };
                Some(Box::new(move |_: &bool| behavior % 3 == 2))
            }));
            issuer.deleted.settle(&round.changes(mount, false, |asked| {
                let deletes = mine(&asked) && matches!(asked.op, Op::DeleteIssuer { .. });
                deletes.then(|| Box::new(|_: &bool| true) as Making<'_, bool>)
            }));
        }
        seen.issuers.retain(|issuer| !issuer.deleted.now.all(|deleted| *deleted));
    }

    fn doubt_revocations(&mut self, round: &Round) {
        for (at, asked) in round.asked.iter().enumerate() {
            let Subject::Certificate(serial) = &asked.subject else { continue };
            let asks = matches!(asked.op, Op::Revoke { .. } | Op::RevokeCertificate { .. });
            if asks
                && round.ending(at) != Ending::Refused
                && let Some(found) = self.mounts[asked.mount].certificate(serial)
                && found.revoked == Revoked::Never
            {
                found.revoked = Revoked::Perhaps;
            }
        }
    }
}

/// Readers are judged first, then what makes certificates, then revocations.
const fn turn_of(op: Op) -> u8 {
    match op {
        Op::List { .. } | Op::ReadCrl { .. } | Op::ReadCertificate { .. } => 0,
        Op::Revoke { .. } | Op::RevokeCertificate { .. } => 2,
        _ => 1,
    }
}

fn role_change<'a>(op: Op, number: usize) -> Option<Making<'a, Option<Rules>>> {
    match op {
        Op::WriteRole { role, rules, .. } if usize::from(role) == number => {
            Some(Box::new(move |_| Some(rules)))
        }
        Op::PatchRole { role, rules, fields, .. } if usize::from(role) == number => {
            Some(Box::new(move |before| before.map(|before| before.patched(rules, fields))))
        }
        Op::DeleteRole { role, .. } if usize::from(role) == number => Some(Box::new(|_| None)),
        _ => None,
    }
}

impl MountSeen {
    fn new(uuid: Option<String>) -> Self {
        Self {
            uuid,
            roles: std::array::from_fn(|_| Tracked::new(None)),
            issuers: Vec::new(),
            certificates: Vec::new(),
            lists: BTreeMap::new(),
            tidy: Tracked::new(Tidy::OFF),
            removed: Removed::default(),
            has_odd_urls: false,
        }
    }

    pub(super) fn certificate(&mut self, serial: &str) -> Option<&mut Recorded> {
        self.certificates.iter_mut().find(|found| found.serial == serial)
    }

    /// May a tidy have removed this certificate?
    pub(super) fn may_be_removed(&self, certificate: &Recorded) -> bool {
        certificate.not_after < self.removed.certificates
    }

    /// May a tidy have removed its revocation?
    pub(super) fn may_be_unlisted(&self, certificate: &Recorded) -> bool {
        certificate.not_after < self.removed.revocations
    }

    pub(super) fn issuer(&self, id: &str) -> Option<&IssuerSeen> {
        self.issuers.iter().find(|issuer| issuer.id == id)
    }
}

impl IssuerSeen {
    pub(super) fn new(id: &str, certificate: Certificate, has_key: bool) -> Self {
        Self {
            id: id.to_owned(),
            group: Group::of_issuer(&certificate),
            certificate,
            has_key,
            usage: Tracked::new(Usage { issues: true, lists: true }),
            may_overstay: Tracked::new(false),
            deleted: Tracked::new(false),
        }
    }
}
