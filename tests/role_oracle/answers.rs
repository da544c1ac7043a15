//! The decision of `Role::permit`, in the types of the oracle.

use signet::ca::permit::{BasicConstraints, SubjectName, Template};
use signet::ca::role::RoleViolation;

use super::judge::{Leaf, Pair, Verdict, instant};
use super::names::bytes_of;

pub(crate) fn answer(pair: &Pair) -> Verdict {
    let Ok((role, _)) = pair.role.clone().compile("web") else { return Verdict::NoRole };
    match role.permit(&pair.ask, pair.csr.as_ref(), pair.kind, &pair.bounds, pair.now) {
        Ok(permit) => Verdict::Permitted(Box::new(leaf(permit.template()))),
        Err(refusal) => Verdict::Refused(step(pair, &refusal)),
    }
}

fn leaf(template: &Template) -> Leaf {
    let SubjectName::Composed(subject) = &template.subject else { return Leaf::default() };
    let names = &template.names;
    Leaf {
        common_name: subject.common_name.clone(),
        serial_number: subject.serial_number.clone(),
        user_ids: subject.user_ids.clone(),
        attributes: [
            &subject.country,
            &subject.organization,
            &subject.organizational_unit,
            &subject.locality,
            &subject.province,
            &subject.street_address,
            &subject.postal_code,
        ]
        .map(Clone::clone)
        .to_vec(),
        other: names.other.iter().map(|it| (it.oid.to_string(), it.value.clone())).collect(),
        dns: names.dns.clone(),
        email: names.email.clone(),
        ip: names.ip.iter().map(|it| bytes_of(*it)).collect(),
        uri: names.uri.clone(),
        not_before: instant(template.not_before),
        not_after: instant(template.not_after),
        key_usage: (0..9).filter(|bit| template.key_usage.0 >> bit & 1 == 1).collect(),
        extended_key_usage: template.extended_key_usage.iter().map(ToString::to_string).collect(),
        is_authority: matches!(template.basic_constraints, BasicConstraints::Authority { .. }),
        is_marked_end_entity: template.basic_constraints == BasicConstraints::EndEntity,
    }
}

/// The step of `docs/dev/vault-pki.md`, "Order of the checks of issue and sign" that this refusal
/// belongs to, by its text.
fn step(pair: &Pair, refusal: &RoleViolation) -> u8 {
    const TEXTS: &[(u8, &str)] = &[
        (11, "the common_name field is required"),
        (12, "idna: invalid label"),
        (12, "the e-mail address"),
        (12, "the common name"),
        (12, "the DNS name"),
        (12, "the name"),
        (13, "common name"),
        (14, "serial_number"),
        (14, "the serial_number"),
        (15, "subject alternate name"),
        (16, "email address"),
        (16, "the alternative name"),
        (17, "could not parse requested other SAN"),
        (17, "other SAN"),
        (17, "the other SAN"),
        (18, "the value"),
        (18, "IP Subject Alternative Names"),
        (18, "the IP address"),
        (20, "URI Subject Alternative Names"),
        (20, "the provided URI Subject Alternative Name"),
        (20, "unable to parse created certificate"),
        (24, "not_before"),
        (24, "not_after"),
        (24, "parsing time"),
        (24, "Either ttl or not_after"),
        (24, "cannot satisfy request"),
        (24, "The certificate's Not Before"),
        (25, "user_id"),
        (25, "the user_id"),
        (26, "this role takes the common name"),
        (26, "the path of"),
    ];
    let found = TEXTS.iter().find(|(_, text)| refusal.text.starts_with(text)).map_or(0, |it| it.0);
    if found == 13 && pair.role.cn_from_spiffe_path { 26 } else { found }
}
