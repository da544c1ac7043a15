//! Revocations, and the CRLs that must list them.

use serde_json::Value;

use crate::Finding;
use crate::certificates::Crl;
use crate::judge::hexadecimal;
use crate::model::{IssuerSeen, Model, MountSeen, Revoked, Round};
use crate::requests::{Asked, Subject};
use crate::world::Answer;

/// If the clock is set back by at most this many seconds, thisUpdate stays.
const CLOCK_STEP: i64 = 60;

/// An unauthenticated read moves thisUpdate forward by at most a year, in seconds.
const MAX_UNAUTHENTICATED_ADVANCE: i64 = 365 * 24 * 3600;

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
            // The certificate has expired: it is not revoked, and need not be.
            if found.not_after >= round.clock.1.saturating_add(2) {
                return Err(Finding::new(format!("treated as expired: {asked:?}")));
            }
            if round.is_plain() && found.revoked == Revoked::Perhaps {
                found.revoked = Revoked::Never;
            }
            return Ok(());
        }
        let time = data["revocation_time"].as_i64().unwrap_or_default();
        if matches!(found.revoked, Revoked::At(before) if before != time) || time <= 0 {
            let known = found.revoked;
            return Err(Finding::new(format!(
                "revoked again with another time: {known:?}: {asked:?}: {data}"
            )));
        }
        found.revoked = Revoked::At(time);
        Ok(())
    }

    /// Checks the answer of a read of a CRL.
    pub(super) fn crl(
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
                    issuer.exists()
                        && seen
                            .issuers
                            .iter()
                            .any(|one| one.group == issuer.group && one.signs_crls())
                });
            let body = String::from_utf8_lossy(&answer.body);
            let what = format!("no CRL: {} {body}: {asked:?}", answer.status);
            return if must { Err(Finding::new(what)) } else { Ok(()) };
        }
        let (crl, issuer) = match named {
            Some(issuer) => (Crl::read(&answer.body, &issuer.certificate)?, issuer),
            // The CRL of the default issuer, which may be any known issuer.
            None => {
                let mut readers = seen.issuers.iter();
                let found = readers.find_map(|issuer| {
                    Crl::read(&answer.body, &issuer.certificate).ok().map(|crl| (crl, issuer))
                });
                let Some(found) = found else { return Ok(()) };
                found
            }
        };
        let group = issuer.group.clone();
        check_crl(seen, &crl, &group, round)?;
        let newer = seen.crls.get(&group).is_none_or(|before| before.number < crl.number);
        if newer {
            seen.crls.insert(group, Crl { clock: round.clock, ..crl });
        }
        Ok(())
    }
}

fn check_crl(
    seen: &MountSeen,
    crl: &Crl,
    group: &crate::certificates::Group,
    round: &Round,
) -> Result<(), Finding> {
    let no = |what: &str| {
        let before = seen.crls.get(group).map(|crl| (crl.number, crl.this_update));
        let now = (crl.number, crl.this_update);
        Finding::new(format!("a CRL {what}: before {before:?}, now {now:?}"))
    };
    if let Some(before) = seen.crls.get(group) {
        // Answers of concurrent reads may arrive in any order.
        let concurrent = round.asked.len() > 1;
        if crl.number < before.number && !concurrent {
            return Err(no("whose number went back"));
        }
        // thisUpdate may go back only if the clock was set back by more than a minute. CRLs
        // between the two, which no request read, may have any reading of the clock since.
        let has_unread = crl.number > before.number.saturating_add(1);
        let latest = if has_unread { before.clock.1 } else { before.this_update };
        let was_in_the_future =
            latest.max(before.this_update) > before.clock.0.saturating_add(CLOCK_STEP);
        if crl.this_update < before.this_update && !concurrent && !was_in_the_future {
            return Err(no("whose thisUpdate went back"));
        }
        if crl.number == before.number && crl.der != before.der {
            return Err(no("with the number of another CRL"));
        }
    }
    // A read builds no CRL while the clock is more than a year past the previous one.
    let is_frozen = crl.this_update.saturating_add(MAX_UNAUTHENTICATED_ADVANCE) < round.clock.1;
    if crl.next_update <= crl.this_update || crl.next_update <= round.clock.0 && !is_frozen {
        return Err(no("that is out of date"));
    }
    for certificate in seen.certificates.iter().filter(|one| one.group == *group) {
        let is_listed = crl.serials.iter().any(|one| hexadecimal(one) == certificate.serial);
        match certificate.revoked {
            Revoked::At(_) if !is_listed && !seen.may_be_unlisted(certificate) => {
                return Err(no(&format!("without the revoked {}", certificate.serial)));
            }
            Revoked::Never if is_listed => {
                return Err(no(&format!("with {}, which was not revoked", certificate.serial)));
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
    fn exists(&self) -> bool {
        !self.deleted.now.any(|deleted| *deleted)
    }

    /// Whether it certainly signs CRLs.
    fn signs_crls(&self) -> bool {
        self.has_key && self.exists() && self.usage.now.all(|usage| usage.signs_crls)
    }
}
