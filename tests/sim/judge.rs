//! Checks each answer against the earlier answers.

use serde_json::Value;
use signet::ca::certificate::Certificate;

use crate::Finding;
use crate::certificates::{Group, certificate_of, is_key_of, names_in};
use crate::model::{IssuerSeen, Model, MountSeen, Recorded, Revoked, Round};
use crate::names::{NAMES, Rules, SignedNames};
use crate::requests::{Asked, MOUNTS, Subject};
use crate::steps::Op;
use crate::world::Answer;

/// The `max_lease_ttl` of every mount, in seconds.
const MOUNT_MAX_TTL: i64 = 87_600 * 3600;

/// notBefore is this many seconds before the present.
const BACKDATED: i64 = 30;

impl Model {
    /// Checks one answer. If the mount was replaced meanwhile, only its own consistency.
    pub(super) fn check(
        &mut self,
        asked: &Asked,
        answer: &Answer,
        round: &Round,
        replaced: bool,
    ) -> Result<(), Finding> {
        if round.is_plain() && !replaced {
            self.must_succeed(asked, answer, round)?;
        }
        if matches!(asked.op, Op::ReadCrl { .. }) {
            return if replaced { Ok(()) } else { self.crl(asked, answer, round) };
        }
        if !matches!(answer.status, 200) {
            return Ok(());
        }
        let data = answer.json()["data"].take();
        match asked.op {
            Op::Issue { .. } | Op::Sign { .. } => self.leaf(asked, &data, round, replaced),
            Op::Request { .. } => {
                self.requests.push(text(&data, "csr")?);
                Ok(())
            }
            Op::Root { .. } | Op::SignRequest { .. } => self.authority(asked, &data, replaced),
            _ if replaced => Ok(()),
            Op::SetSigned { .. } => self.imported(asked, &data),
            Op::Revoke { .. } | Op::RevokeCertificate { .. } => self.revoked(asked, &data, round),
            Op::ReadCertificate { .. } => self.read_back(asked, &data),
            Op::List { .. } => self.listed(asked, &data),
            Op::ReadRole { role, .. } => self.role(asked, usize::from(role), &data),
            _ => Ok(()),
        }
    }

    /// Fails if a request was refused that had to succeed.
    fn must_succeed(&self, asked: &Asked, answer: &Answer, round: &Round) -> Result<(), Finding> {
        let seen = &self.mounts[asked.mount];
        let exists = seen.uuid.is_some();
        // The table of mounts is unchanged here.
        if matches!((asked.op, exists), (Op::Enable { .. }, false) | (Op::Disable { .. }, true)) {
            return Err(Finding::new(format!("a table of mounts that did not change: {asked:?}")));
        }
        if let Subject::Certificate(serial) = &asked.subject
            && seen.certificates.iter().any(|one| one.serial == *serial && seen.may_be_removed(one))
        {
            return Ok(());
        }
        let must = match asked.op {
            Op::WriteRole { .. } | Op::Request { .. } => exists,
            Op::Root { same_key: false, .. } => exists && !seen.has_odd_urls,
            Op::ReadRole { role, .. } => {
                seen.roles.get(usize::from(role)).is_some_and(|role| role.now.all(Option::is_some))
            }
            // A revoked issuer does not get that usage back.
            Op::Usage { issues: true, .. } if self.may_be_revoked(asked) => false,
            Op::ReadCertificate { .. } | Op::Usage { .. } | Op::NotAfterBehavior { .. } => {
                !matches!(&asked.subject, Subject::Issuer(id) if seen.issuer(id).is_none_or(
                    |issuer| issuer.deleted.now.any(|deleted| *deleted)))
            }
            Op::Revoke { .. } | Op::RevokeCertificate { .. } => {
                let Subject::Certificate(serial) = &asked.subject else { return Ok(()) };
                !seen.authorities().any(|issuer| serial_of(issuer) == *serial)
                    && !self.may_be_imported(serial)
            }
            Op::List { .. } => seen.certificates.iter().any(|one| !seen.may_be_removed(one)),
            _ => false,
        };
        if must && !answer.is_success() && round.is_plain() {
            let body = String::from_utf8_lossy(&answer.body).into_owned();
            return Err(Finding::new(format!("refused without a reason: {asked:?}: {body}")));
        }
        Ok(())
    }

    /// Whether the certificate of this issuer may have been revoked.
    fn may_be_revoked(&self, asked: &Asked) -> bool {
        let seen = &self.mounts[asked.mount];
        let Subject::Issuer(id) = &asked.subject else { return false };
        let Some(issuer) = seen.issuer(id) else { return false };
        let serial = serial_of(issuer);
        seen.certificates.iter().any(|one| one.serial == serial && one.revoked != Revoked::Never)
    }

    /// Whether an import whose answer was lost may have made this certificate an issuer.
    fn may_be_imported(&self, serial: &str) -> bool {
        self.authorities
            .iter()
            .any(|pem| certificate_of(pem).is_ok_and(|found| hexadecimal(found.serial()) == serial))
    }

    fn leaf(
        &mut self,
        asked: &Asked,
        data: &Value,
        round: &Round,
        replaced: bool,
    ) -> Result<(), Finding> {
        let pem = text(data, "certificate")?;
        let leaf = certificate_of(&pem)?;
        let issuer = certificate_of(&text(data, "issuing_ca")?)?;
        let no = |what: &str| Finding::new(format!("{what}: {asked:?}: {data}"));
        self.check_serial(&leaf, data)?;
        if !leaf.verify_signed_by(issuer.public_key()) || leaf.issuer() != issuer.subject() {
            return Err(no("a leaf that its issuer did not sign"));
        }
        let issues = matches!(asked.op, Op::Issue { .. });
        if issues != data.get("private_key").is_some()
            || issues && !is_key_of(&text(data, "private_key")?, &leaf)?
        {
            return Err(no("a leaf with another key, or without a key"));
        }
        if data["expiration"] != leaf.not_after().unix() {
            return Err(no("an expiration that is not the certificate's"));
        }
        let start = leaf.not_before().unix().saturating_add(BACKDATED);
        if start < round.clock.0 || start > round.clock.1 {
            return Err(no("a leaf whose validity does not begin now"));
        }
        let seen = &self.mounts[asked.mount];
        if let Err(what) = may_sign(seen, &issuer, round) {
            return Err(no(what));
        }
        // An issuer that was perhaps deleted and imported again is known twice.
        let known = || seen.authorities().filter(|one| one.certificate.der() == issuer.der());
        // The settings of the issuers of a replaced mount are not known any more.
        let may_exceed_issuer = (replaced && known().next().is_none())
            || known().any(|known| known.may_exceed_issuer.during.any(|may| *may));
        if leaf.not_after() > issuer.not_after() && !may_exceed_issuer {
            return Err(no("a leaf that expires after its issuer"));
        }
        let may_issue = |known: &IssuerSeen| known.usage.during.any(|usage| usage.issues);
        if known().next().is_some() && !known().any(may_issue) {
            return Err(no("a leaf of an issuer without the usage to issue"));
        }
        let (names, lifetime) = (names_in(&leaf), leaf.not_after().unix().saturating_sub(start));
        let permits = |role: &Option<Rules>| {
            role.is_some_and(|rules| {
                let max_ttl = if rules.max_ttl() > 0 { rules.max_ttl() } else { MOUNT_MAX_TTL };
                lifetime <= max_ttl
                    && rules.allow(&names)
                    && names == expected_names(asked.op, rules)
            })
        };
        let (Op::Issue { role, .. } | Op::Sign { role, .. }) = asked.op else { return Ok(()) };
        let role = &seen.roles[usize::from(role)];
        if !role.during.any(permits) {
            return Err(no("a leaf that no role in force permits"));
        }
        let stored = role.during.all(|role| !permits(role) || role.is_some_and(Rules::stores));
        if stored && !replaced {
            self.record(asked.mount, &leaf, pem);
        }
        Ok(())
    }

    fn authority(&mut self, asked: &Asked, data: &Value, replaced: bool) -> Result<(), Finding> {
        let pem = text(data, "certificate")?;
        let certificate = certificate_of(&pem)?;
        let issuer = certificate_of(&text(data, "issuing_ca")?)?;
        self.check_serial(&certificate, data)?;
        if !certificate.verify_signed_by(issuer.public_key()) || !certificate.is_authority() {
            return Err(Finding::new(format!(
                "not a CA certificate, or not signed by its issuer: {asked:?}: {data}"
            )));
        }
        if replaced {
            return Ok(());
        }
        if matches!(asked.op, Op::Root { .. }) {
            let id = text(data, "issuer_id")?;
            let seen = IssuerSeen::new(&id, certificate.clone(), true);
            self.mounts[asked.mount].issuers.push(seen);
        } else {
            self.authorities.push(pem.clone());
        }
        self.record(asked.mount, &certificate, pem);
        Ok(())
    }

    fn imported(&mut self, asked: &Asked, data: &Value) -> Result<(), Finding> {
        let Subject::Authority(pem) = &asked.subject else { return Ok(()) };
        let certificate = certificate_of(pem)?;
        for id in data["imported_issuers"].as_array().into_iter().flatten() {
            let id = id.as_str().unwrap_or_default();
            let has_key = data["mapping"][id].as_str().is_some_and(|key| !key.is_empty());
            let seen = IssuerSeen::new(id, certificate.clone(), has_key);
            self.mounts[asked.mount].issuers.push(seen);
        }
        Ok(())
    }

    /// A serial number is that of the certificate, and is answered once.
    fn check_serial(&mut self, certificate: &Certificate, data: &Value) -> Result<(), Finding> {
        let serial = text(data, "serial_number")?;
        if serial != hexadecimal(certificate.serial()) {
            return Err(Finding::new(format!(
                "a serial number that is not the certificate's: {data}"
            )));
        }
        if !self.serials.insert(serial) {
            return Err(Finding::new(format!("a serial number used twice: {data}")));
        }
        Ok(())
    }

    fn record(&mut self, mount: usize, certificate: &Certificate, pem: String) {
        self.mounts[mount].certificates.push(Recorded {
            serial: hexadecimal(certificate.serial()),
            pem,
            group: Group::that_signed(certificate),
            not_after: certificate.not_after().unix(),
            revoked: Revoked::Never,
        });
    }

    /// The stored certificate is the one that was answered, with its revocation.
    fn read_back(&mut self, asked: &Asked, data: &Value) -> Result<(), Finding> {
        let Subject::Certificate(serial) = &asked.subject else { return Ok(()) };
        let Some(found) = self.mounts[asked.mount].certificate(serial) else { return Ok(()) };
        if data["certificate"].as_str().map(str::trim) != Some(found.pem.trim()) {
            return Err(Finding::new(format!("a certificate that changed: {asked:?}: {data}")));
        }
        let time = data["revocation_time"].as_i64().unwrap_or(-1);
        let holds = match found.revoked {
            Revoked::Never => time == 0,
            Revoked::Perhaps => time >= 0,
            Revoked::At(then) => time == then,
        };
        if !holds {
            let known = found.revoked;
            return Err(Finding::new(format!(
                "a wrong revocation time: {known:?}, {asked:?}: {data}"
            )));
        }
        Ok(())
    }

    fn listed(&self, asked: &Asked, data: &Value) -> Result<(), Finding> {
        let keys: Vec<_> =
            data["keys"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let seen = &self.mounts[asked.mount];
        let mut known = seen.certificates.iter().filter(|one| !seen.may_be_removed(one));
        match known.find(|known| !keys.contains(&known.serial.as_str())) {
            Some(lost) => Err(Finding::new(format!("a certificate not listed: {}", lost.serial))),
            None => Ok(()),
        }
    }

    fn role(&self, asked: &Asked, role: usize, data: &Value) -> Result<(), Finding> {
        let is = |state: &Option<Rules>| {
            let Some(rules) = state else { return false };
            let parameters = rules.parameters(0xff);
            let mut members = parameters.as_object().into_iter().flatten();
            members.all(|(name, value)| data.get(name) == Some(value))
        };
        if self.mounts[asked.mount].roles[role].during.any(is) {
            return Ok(());
        }
        Err(Finding::new(format!("a role that was not written: {asked:?}: {data}")))
    }

    /// The UUIDs of the mounts, from the answer of `sys/mounts`.
    pub(crate) fn table(answer: &Answer) -> [Option<String>; 2] {
        let mounts = answer.json()["data"].take();
        MOUNTS.map(|path| mounts[format!("{path}/")]["uuid"].as_str().map(str::to_owned))
    }
}

/// An issuer that is not valid, or whose certificate was revoked before, does not sign.
fn may_sign(seen: &MountSeen, issuer: &Certificate, round: &Round) -> Result<(), &'static str> {
    if issuer.not_before().unix() > round.clock.1 || issuer.not_after().unix() < round.clock.0 {
        return Err("a leaf of an issuer that is not valid");
    }
    let serial = hexadecimal(issuer.serial());
    let own = seen.certificates.iter().find(|one| one.serial == serial);
    match own.filter(|one| !seen.may_be_unlisted(one)).map(|one| one.revoked) {
        Some(Revoked::At(_)) => Err("a leaf of an issuer that was revoked"),
        _ => Ok(()),
    }
}

/// The names that a certificate has under these rules: the request's own, or the CSR's.
fn expected_names(op: Op, rules: Rules) -> SignedNames {
    match op {
        Op::Sign { names, csr, .. } if rules.takes_names_from_csr() => {
            let csr = &NAMES[usize::from(csr) % NAMES.len()];
            let mut signed = csr.signed();
            if csr.common.is_empty() {
                NAMES[usize::from(names) % NAMES.len()].common.clone_into(&mut signed.common);
                signed.hosts.extend(Some(signed.common.clone()).filter(|name| !name.is_empty()));
            }
            signed
        }
        Op::Issue { names, .. } | Op::Sign { names, .. } => {
            NAMES[usize::from(names) % NAMES.len()].signed()
        }
        _ => NAMES[0].signed(),
    }
}

pub(super) fn text(data: &Value, field: &str) -> Result<String, Finding> {
    let found = data[field].as_str().filter(|text| !text.is_empty());
    found.map(str::to_owned).ok_or_else(|| Finding::new(format!("no {field}: {data}")))
}

pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":")
}

fn serial_of(issuer: &IssuerSeen) -> String {
    hexadecimal(issuer.certificate.serial())
}
