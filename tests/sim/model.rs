//! The model: what the answers so far imply about the state of the server.

use std::collections::{BTreeMap, BTreeSet};

use signet::ca::certificate::Certificate;

use crate::Finding;
use crate::certificates::{Crl, Group, request_for};
use crate::names::{NAMES, Rules};
use crate::odd::Shape;
use crate::outcomes::{Change, Effect, Tracked, Transition};
use crate::requests::{Asked, Subject};
use crate::steps::Op;
use crate::upkeep::{Removed, Tidy};
use crate::world::Answer;

/// The state as far as the answers determine it.
pub(crate) struct Model {
    pub(crate) mounts: [MountSeen; 2],
    /// CSRs of intermediates, signed or not; the newest last.
    pub(crate) requests: Vec<String>,
    /// CA certificates that can be imported.
    pub(crate) authorities: Vec<String>,
    /// A CSR for each of the names.
    pub(crate) leaf_requests: Vec<String>,
    /// Every serial number that was ever answered.
    pub(super) serials: BTreeSet<String>,
    /// UUIDs of mounts that were disabled while no other request was in flight.
    pub(crate) disabled: Vec<String>,
}

/// One mount, from its enabling to its disabling.
pub(crate) struct MountSeen {
    /// `None` while nothing is mounted at the path.
    pub(crate) uuid: Option<String>,
    pub(crate) roles: [Tracked<Option<Rules>>; 3],
    pub(crate) issuers: Vec<IssuerSeen>,
    pub(crate) certificates: Vec<Recorded>,
    /// The newest CRL of each group.
    pub(crate) crls: BTreeMap<Group, Crl>,
    pub(crate) tidy: Tracked<Tidy>,
    /// What tidy may have removed.
    pub(crate) removed: Removed,
    /// URLs of an odd shape may be in what the mount signs, or prevent it from signing.
    pub(crate) has_odd_urls: bool,
}

/// An issuer that an answer named.
pub(crate) struct IssuerSeen {
    pub(crate) id: String,
    pub(crate) certificate: Certificate,
    pub(crate) group: Group,
    pub(crate) has_key: bool,
    pub(crate) usage: Tracked<Usage>,
    pub(crate) may_exceed_issuer: Tracked<bool>,
    pub(crate) deleted: Tracked<bool>,
}

/// The usages of an issuer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) issues: bool,
    pub(crate) signs_crls: bool,
}

/// A certificate that was answered and must be in the store.
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
    /// It was not requested, or it was refused.
    Never,
    /// It was requested and not acknowledged.
    Perhaps,
    /// It was acknowledged, with this time.
    At(i64),
}

/// One step: the requests, the answers, and what the clock and the store did meanwhile.
pub(crate) struct Round {
    pub(crate) asked: Vec<Asked>,
    pub(crate) answers: Vec<Option<Answer>>,
    /// The store did not fail.
    pub(crate) without_faults: bool,
    /// The earliest and the latest instant of the step.
    pub(crate) clock: (i64, i64),
    /// The UUIDs of the two mounts afterwards, if they may have changed.
    pub(crate) table: Option<[Option<String>; 2]>,
}

impl Round {
    /// A single answered request without a fault of the store: it must succeed if it is valid.
    pub(crate) fn is_plain(&self) -> bool {
        self.without_faults && self.asked.len() == 1 && self.answers.iter().all(Option::is_some)
    }

    fn effect(&self, at: usize) -> Effect {
        match self.answers.get(at).and_then(Option::as_ref) {
            Some(answer) if answer.is_success() => Effect::Done,
            Some(answer) if answer.status < 500 => Effect::Refused,
            _ => Effect::Unknown,
        }
    }

    /// The changes that the requests of this step ask for, by `transition`.
    fn changes<'a, T: 'a>(
        &'a self,
        mount: usize,
        replaced: bool,
        transition: impl Fn(&'a Asked) -> Option<Transition<'a, T>>,
    ) -> Vec<Change<'a, T>> {
        let here = self.asked.iter().enumerate().filter(|(_, asked)| asked.mount == mount);
        here.filter_map(|(at, asked)| {
            let effect = if replaced { Effect::Unknown } else { self.effect(at) };
            Some(Change { apply: transition(asked)?, effect })
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
            disabled: Vec::new(),
        })
    }

    /// Checks a step and updates the model.
    pub(crate) fn judge(&mut self, round: &Round) -> Result<(), Finding> {
        for (asked, answer) in round.asked.iter().zip(&round.answers) {
            if let Some(answer) = answer {
                super::shape::check(asked, answer, round.without_faults)?;
            }
        }
        for list in self.mounts.iter_mut().flat_map(|seen| seen.crls.values_mut()) {
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
        self.mark_pending_revocations(round);
        // A read may precede a concurrent change, so reads are checked against the model first.
        for order in 0..3 {
            for (asked, answer) in round.asked.iter().zip(&round.answers) {
                if let Some(answer) = answer
                    && order_of(asked.op) == order
                {
                    self.check(asked, answer, round, replaced[asked.mount])?;
                }
            }
        }
        Ok(())
    }

    /// Which mounts were replaced or disabled.
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
                // Requests of this step may have seen the roles of the previous mount.
                role.include_during(before);
            }
            // A request concurrent with the disabling may still write records.
            self.disabled.extend(before.uuid.filter(|_| round.is_plain()));
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
                role.include_during(&before);
            }
        }
        seen.tidy.settle(&round.changes(mount, replaced, |asked| match asked.op {
            Op::AutoTidy { tidy, .. } => {
                Some(Box::new(move |_: &Tidy| tidy) as Transition<'_, Tidy>)
            }
            _ => None,
        }));
        if round.asked.iter().any(|asked| matches!(asked.op, Op::Jobs { .. })) {
            seen.removed.extend(&seen.tidy, round.clock.1);
        }
        for issuer in &mut seen.issuers {
            let subject = Subject::Issuer(issuer.id.clone());
            let mine = |asked: &&Asked| asked.subject == subject;
            issuer.usage.settle(&round.changes(mount, false, |asked| {
                let Some(Op::Usage { issues, signs_crls, .. }) =
                    Some(asked).filter(mine).map(|a| a.op)
                else {
                    return None;
                };
                Some(Box::new(move |_: &Usage| Usage { issues, signs_crls }))
            }));
            issuer.may_exceed_issuer.settle(&round.changes(mount, false, |asked| {
                let Some(Op::NotAfterBehavior { behavior, .. }) =
                    Some(asked).filter(mine).map(|a| a.op)
                else {
                    return None;
                };
                Some(Box::new(move |_: &bool| behavior % 3 == 2))
            }));
            issuer.deleted.settle(&round.changes(mount, false, |asked| {
                let deletes = mine(&asked) && matches!(asked.op, Op::DeleteIssuer { .. });
                deletes.then(|| Box::new(|_: &bool| true) as Transition<'_, bool>)
            }));
        }
        seen.issuers.retain(|issuer| !issuer.deleted.now.all(|deleted| *deleted));
    }

    fn mark_pending_revocations(&mut self, round: &Round) {
        for (at, asked) in round.asked.iter().enumerate() {
            let Subject::Certificate(serial) = &asked.subject else { continue };
            let revokes = matches!(asked.op, Op::Revoke { .. } | Op::RevokeCertificate { .. });
            if revokes
                && round.effect(at) != Effect::Refused
                && let Some(found) = self.mounts[asked.mount].certificate(serial)
                && found.revoked == Revoked::Never
            {
                found.revoked = Revoked::Perhaps;
            }
        }
    }
}

/// Reads are checked first, then issuance, then revocations.
const fn order_of(op: Op) -> u8 {
    match op {
        Op::List { .. } | Op::ReadCrl { .. } | Op::ReadCertificate { .. } => 0,
        Op::Revoke { .. } | Op::RevokeCertificate { .. } => 2,
        _ => 1,
    }
}

fn role_change<'a>(op: Op, number: usize) -> Option<Transition<'a, Option<Rules>>> {
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
            crls: BTreeMap::new(),
            tidy: Tracked::new(Tidy::OFF),
            removed: Removed::default(),
            has_odd_urls: false,
        }
    }

    pub(super) fn certificate(&mut self, serial: &str) -> Option<&mut Recorded> {
        self.certificates.iter_mut().find(|found| found.serial == serial)
    }

    /// Whether tidy may have removed this certificate.
    pub(super) fn may_be_removed(&self, certificate: &Recorded) -> bool {
        certificate.not_after < self.removed.certificates
    }

    /// Whether tidy may have removed its revocation.
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
            usage: Tracked::new(Usage { issues: true, signs_crls: true }),
            may_exceed_issuer: Tracked::new(false),
            deleted: Tracked::new(false),
        }
    }
}
