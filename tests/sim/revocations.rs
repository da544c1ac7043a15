//! What was revoked, and the lists that must say so.

use serde_json::Value;

use crate::Finding;
use crate::certificates::List;
use crate::judge::hexadecimal;
use crate::model::{IssuerSeen, Model, MountSeen, Revoked, Round};
use crate::requests::{Asked, Subject};
use crate::world::Answer;

/// A clock that is set back by no more seconds leaves thisUpdate where it is.
const CLOCK_STEP: i64 = 60;

/// A reader without a token moves thisUpdate on by no more than a year.
const LONGEST_SILENCE: i64 = 365 * 24 * 3600;

impl Model {
    /// An acknowledged revocation keeps its time.
    pub(super) fn revoked(
        &mut self,
        asked: &Asked,
        data: &Value,
        round: &Round,
    ) -> Result<(), Finding> {
        let Subject::Certificate(serial) = &asked.subject else { return Ok(()) };
        let Some(found) = self.mounts[asked.mount].certificate(serial) else { return Ok(()) };
        if data.is_null() {
            // It has expired: nothing is revoked, and nothing needs to be.
            if found.not_after >= round.clock.1.saturating_add(2) {
                return Err(Finding::new(format!("taken for expired: {asked:?}")));
            }
            if round.is_plain() && found.revoked == Revoked::Perhaps {
                found.revoked = Revoked::Never;
            }
            return Ok(());
        }
        let time = data["revocation_time"].as_i64().unwrap_or_default();
        if matches!(found.revoked, Revoked::At(before) if before != time) || time <= 0 {
            let known = found.revoked;
            return Err(Finding::new(format!("revoked anew: {known:?}: {asked:?}: {data}")));
        }
        found.revoked = Revoked::At(time);
        Ok(())
    }

    /// A list as somebody reads it, or its absence.
    pub(super) fn list(
        &mut self,
        asked: &Asked,
        answer: &Answer,
        round: &Round,
    ) -> Result<(), Finding> {
        let seen = &mut self.mounts[asked.mount];
        let named = match &asked.subject {
            Subject::Issuer(id) => seen.issuer(id),
            _ => None,
        };
        if answer.status != 200 {
            let must = round.is_plain()
                && named.is_some_and(|issuer| {
                    issuer.is_there()
                        && seen.issuers.iter().any(|one| one.group == issuer.group && one.signs())
                });
            let body = String::from_utf8_lossy(&answer.body);
            let what = format!("no CRL: {} {body}: {asked:?}", answer.status);
            return if must { Err(Finding::new(what)) } else { Ok(()) };
        }
        let (list, issuer) = match named {
            Some(issuer) => (List::read(&answer.body, &issuer.certificate)?, issuer),
            // The default issuer's: whoever that is now, if it was ever answered.
            None => {
                let mut readers = seen.issuers.iter();
                let found = readers.find_map(|issuer| {
                    List::read(&answer.body, &issuer.certificate).ok().map(|list| (list, issuer))
                });
                let Some(found) = found else { return Ok(()) };
                found
            }
        };
        let group = issuer.group.clone();
        judge_list(seen, &list, &group, round)?;
        let newer = seen.lists.get(&group).is_none_or(|before| before.number < list.number);
        if newer {
            seen.lists.insert(group, List { clock: round.clock, ..list });
        }
        Ok(())
    }
}

fn judge_list(
    seen: &MountSeen,
    list: &List,
    group: &crate::certificates::Group,
    round: &Round,
) -> Result<(), Finding> {
    let no = |what: &str| {
        let before = seen.lists.get(group).map(|list| (list.number, list.this_update));
        let now = (list.number, list.this_update);
        Finding::new(format!("a CRL {what}: before {before:?}, now {now:?}"))
    };
    if let Some(before) = seen.lists.get(group) {
        // Two readers side by side may be served one after the other.
        let beside = round.asked.len() > 1;
        if list.number < before.number && !beside {
            return Err(no("whose number went back"));
        }
        // Only where the clock was set back behind it by more than a minute. Lists between the two,
        // which a revocation made and no request read, may lie at any reading of the clock since.
        let has_unread = list.number > before.number.saturating_add(1);
        let latest = if has_unread { before.clock.1 } else { before.this_update };
        let lay_in_the_future =
            latest.max(before.this_update) > before.clock.0.saturating_add(CLOCK_STEP);
        if list.this_update < before.this_update && !beside && !lay_in_the_future {
            return Err(no("whose thisUpdate went back"));
        }
        if list.number == before.number && list.der != before.der {
            return Err(no("with the number of another"));
        }
    }
    // No reader makes a list while the clock is more than a year past the last one.
    let silent = list.this_update.saturating_add(LONGEST_SILENCE) < round.clock.1;
    if list.next_update <= list.this_update || list.next_update <= round.clock.0 && !silent {
        return Err(no("that is out of date"));
    }
    for certificate in seen.certificates.iter().filter(|one| one.group == *group) {
        let is_listed = list.serials.iter().any(|one| hexadecimal(one) == certificate.serial);
        match certificate.revoked {
            Revoked::At(_) if !is_listed && !seen.may_be_unlisted(certificate) => {
                return Err(no(&format!("without the revoked {}", certificate.serial)));
            }
            Revoked::Never if is_listed => {
                return Err(no(&format!("with {}, which nobody revoked", certificate.serial)));
            }
            _ => {}
        }
    }
    Ok(())
}

impl MountSeen {
    pub(super) fn authorities(&self) -> impl Iterator<Item = &IssuerSeen> {
        self.issuers.iter()
    }
}

impl IssuerSeen {
    fn is_there(&self) -> bool {
        !self.deleted.now.any(|deleted| *deleted)
    }

    /// Does it certainly sign lists?
    fn signs(&self) -> bool {
        self.has_key && self.is_there() && self.usage.now.all(|usage| usage.lists)
    }
}
