//! A second implementation of the decision, from `docs/dev/vault-pki.md` ("Order of the checks of issue
//! and sign" and the sections named below) and the deliberate differences (`docs/compatibility.md`) only.

use signet::ca::key::KeyKind;
use signet::ca::role::{
    CertificateParams, CsrFields, IssuanceLimits, LeafNotAfterBehavior, RoleFields,
};
use signet::ca::time::Timestamp;

use super::names::{
    address, allows, allows_common_name, ascii, bytes_of, glob, host_pattern, lies_in, range,
};
use super::times::{SECOND, parse};
use super::uris::{
    has_readable_host, is_of_the_scheme, is_well_formed, spiffe_id, spiffe_path, written,
};

/// The fields of a role, and one request under it.
#[derive(Clone, Debug)]
pub(crate) struct Pair {
    pub(crate) role: RoleFields,
    pub(crate) ask: CertificateParams,
    pub(crate) csr: Option<CsrFields>,
    pub(crate) kind: KeyKind,
    pub(crate) bounds: IssuanceLimits,
    pub(crate) now: Timestamp,
}

/// The decision about a pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The role is invalid ("Writing a role").
    NoRole,
    /// The first step that fails; 18 and 19, 20 to 22, and 23 and 24 count as one. 26 is
    /// `cn_from_spiffe_path`, which only Signet has.
    Refused(u8),
    Permitted(Box<Leaf>),
}

/// Every value of a certificate that the decision determines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Leaf {
    pub(crate) common_name: String,
    pub(crate) serial_number: String,
    pub(crate) user_ids: Vec<String>,
    pub(crate) attributes: Vec<Vec<String>>,
    pub(crate) other: Vec<(String, String)>,
    pub(crate) dns: Vec<String>,
    pub(crate) email: Vec<String>,
    pub(crate) ip: Vec<Vec<u8>>,
    pub(crate) uri: Vec<String>,
    pub(crate) not_before: i128,
    pub(crate) not_after: i128,
    /// Numbers of bits.
    pub(crate) key_usage: Vec<u8>,
    pub(crate) extended_key_usage: Vec<String>,
    pub(crate) is_authority: bool,
    pub(crate) is_marked_end_entity: bool,
}

/// The name of the first value in which two verdicts differ.
pub(crate) fn difference(one: &Verdict, other: &Verdict) -> String {
    let name = |verdict: &Verdict| match verdict {
        Verdict::Permitted(_) => "permitted".to_owned(),
        other => format!("{other:?}"),
    };
    let (Verdict::Permitted(a), Verdict::Permitted(b)) = (one, other) else {
        return format!("{} / {}", name(one), name(other));
    };
    let (a, b) = (format!("{a:#?}"), format!("{b:#?}"));
    let lines = a.lines().zip(b.lines()).filter(|(a, b)| a != b);
    lines.map(|(a, _)| a.split(':').next().unwrap_or_default().trim().to_owned()).take(1).collect()
}

pub(crate) fn judge(pair: &Pair) -> Verdict {
    if !is_role(&pair.role) {
        return Verdict::NoRole;
    }
    let mut leaf = Leaf::default();
    for step in [
        names,
        subject_serial_number,
        check_names,
        other_sans,
        ip_sans,
        uri_sans,
        validity,
        user_ids,
        common_name_from_path,
    ] {
        if let Err(number) = step(pair, &mut leaf) {
            return Verdict::Refused(number);
        }
    }
    role_values(pair, &mut leaf);
    Verdict::Permitted(Box::new(leaf))
}

/// "Writing a role", checks 1, 2, 4, 5, 6, 7 and 10.
fn is_role(role: &RoleFields) -> bool {
    let any_other = role.allowed_other_sans == ["*"];
    let bounds = ["permit", "ttl-limited", "forbid"];
    let validations: Vec<String> =
        role.cn_validations.iter().map(|word| word.to_lowercase()).collect();
    let count = |word: &str| validations.iter().filter(|found| *found == word).count();
    let known = count("email") + count("hostname") + count("disabled");
    (any_other || role.allowed_other_sans.iter().all(|text| other(text).is_some()))
        && role.allowed_ip_sans_cidr.iter().all(|text| range(text).is_some())
        && (bounds.contains(&role.not_after_bound.as_str())
            || parse(&role.not_after_bound).is_some())
        && ["permit", "duration", "forbid"].contains(&role.not_before_bound.as_str())
        && (role.max_ttl == 0 || role.ttl <= role.max_ttl)
        && match role.key_type.as_str() {
            "rsa" => {
                [0, 2048, 3072, 4096, 8192].contains(&role.key_bits)
                    && [0, 256, 384, 512].contains(&role.signature_bits)
            }
            "ec" => [0, 224, 256, 384, 521].contains(&role.key_bits),
            "ed25519" | "any" => true,
            _ => false,
        }
        && role.ext_key_usage_oids.iter().all(|oid| is_oid(oid))
        && known == validations.len()
        && ["email", "hostname", "disabled"].iter().all(|word| count(word) <= 1)
        && (count("disabled") == 0 || validations.len() == 1)
}

fn is_oid(text: &str) -> bool {
    let arcs: Vec<&str> = text.trim().split('.').collect();
    arcs.len() > 2
        && arcs.iter().all(|arc| !arc.is_empty() && arc.chars().all(|c| c.is_ascii_digit()))
}

/// `<oid>;UTF8:<value>`
fn other(text: &str) -> Option<(String, String)> {
    let (oid, rest) = text.split_once(';')?;
    let (kind, value) = rest.split_once(':')?;
    (["utf8", "utf-8"].contains(&kind.to_lowercase().as_str()) && is_oid(oid))
        .then(|| (oid.to_owned(), value.to_owned()))
}

/// The CSR, if its names count ("Where names come from").
fn csr_names(pair: &Pair) -> Option<&CsrFields> {
    if pair.role.use_csr_sans { pair.csr.as_ref() } else { None }
}

/// Steps 11 to 13.
fn names(pair: &Pair, leaf: &mut Leaf) -> Result<(), u8> {
    let role = &pair.role;
    if role.use_csr_common_name
        && let Some(csr) = &pair.csr
    {
        leaf.common_name.clone_from(&csr.common_name);
    }
    if leaf.common_name.is_empty() {
        leaf.common_name.clone_from(&pair.ask.common_name);
    }
    if leaf.common_name.is_empty() && role.require_cn && !role.cn_from_spiffe_path {
        return Err(11);
    }
    let mut wanted: Vec<String> = Vec::new();
    if let Some(csr) = csr_names(pair) {
        leaf.dns.clone_from(&csr.names.dns);
        leaf.email.clone_from(&csr.names.email);
    }
    if [&leaf.dns, &leaf.email].into_iter().flatten().any(|name| has_odd_character(name))
        || has_odd_character(&leaf.common_name)
    {
        return Err(12);
    }
    if !leaf.common_name.is_empty() && !pair.ask.exclude_cn_from_sans && !role.cn_from_spiffe_path {
        wanted.push(leaf.common_name.clone());
    }
    if csr_names(pair).is_none() {
        let listed = pair.ask.alt_names.clone().unwrap_or_default();
        // docs/compatibility.md: blanks around names are trimmed.
        let listed = listed.split(',').map(str::trim);
        wanted.extend(listed.filter(|name| !name.is_empty()).map(str::to_owned));
    }
    for name in wanted {
        if has_odd_character(&name) {
            return Err(12);
        }
        if name.contains('@') {
            leaf.email.push(name);
        } else {
            let converted = ascii(&name).ok_or(12)?;
            if host_pattern(&converted) {
                leaf.dns.push(converted);
            }
        }
    }
    let all = std::mem::take(&mut leaf.dns);
    for name in all {
        if !leaf.dns.contains(&name) {
            leaf.dns.push(name);
        }
    }
    leaf.email.sort();
    leaf.email.dedup();
    let checked = !leaf.common_name.is_empty() && !role.cn_from_spiffe_path;
    if checked && !allows_common_name(role, &leaf.common_name) { Err(13) } else { Ok(()) }
}

/// docs/compatibility.md: a name with a control character, a line separator or a character that
/// changes the direction of writing is refused.
fn has_odd_character(name: &str) -> bool {
    name.chars().any(|c| {
        let code = u32::from(c);
        code < 32
            || (127..160).contains(&code)
            || (0x2028..=0x202e).contains(&code)
            || (0x2066..=0x2069).contains(&code)
    })
}

/// Step 14.
fn subject_serial_number(pair: &Pair, leaf: &mut Leaf) -> Result<(), u8> {
    leaf.serial_number.clone_from(&pair.ask.serial_number);
    if leaf.serial_number.is_empty()
        && pair.role.serial_number_source == "json-csr"
        && let Some(csr) = &pair.csr
    {
        leaf.serial_number.clone_from(&csr.serial_number);
    }
    if has_odd_character(&leaf.serial_number) {
        return Err(14);
    }
    let allowed = pair.role.allowed_serial_numbers.iter().any(|it| glob(it, &leaf.serial_number));
    if leaf.serial_number.is_empty() || allowed { Ok(()) } else { Err(14) }
}

/// Steps 15 and 16.
fn check_names(pair: &Pair, leaf: &mut Leaf) -> Result<(), u8> {
    if !leaf.dns.iter().all(|name| allows(&pair.role, name)) {
        return Err(15);
    }
    if !leaf.email.iter().all(|name| allows(&pair.role, name)) {
        return Err(16);
    }
    // RFC 5280, 4.2.1.6: a mailbox has a local part and a domain, a DNS name has no empty label.
    let mailbox = |it: &String| it.contains('@') && !it.starts_with('@') && !it.ends_with('@');
    let named = |it: &String| {
        let labels = it.strip_suffix('.').unwrap_or(it);
        labels.split('.').all(|label| label.chars().any(|it| it > ' '))
            && it.chars().all(|it| ('!'..='~').contains(&it))
    };
    if leaf.email.iter().all(mailbox) && leaf.dns.iter().all(named) { Ok(()) } else { Err(16) }
}

/// Step 17.
fn other_sans(pair: &Pair, leaf: &mut Leaf) -> Result<(), u8> {
    for text in &pair.ask.other_sans {
        leaf.other.push(other(text).ok_or(17)?);
    }
    if let Some(csr) = csr_names(pair) {
        if csr.has_unreadable_other_name {
            return Err(17);
        }
        leaf.other.extend(csr.names.other.iter().map(|it| (it.oid.to_string(), it.value.clone())));
    }
    let allowed = &pair.role.allowed_other_sans;
    let is_allowed = |(oid, value): &(String, String)| {
        *allowed == ["*"]
            || allowed
                .iter()
                .filter_map(|text| other(text))
                .any(|(its, it)| its == *oid && glob(&it, value))
    };
    let is_valid = |it: &(String, String)| !has_odd_character(&it.1) && is_allowed(it);
    if leaf.other.iter().all(is_valid) { Ok(()) } else { Err(17) }
}

/// Steps 18 and 19.
fn ip_sans(pair: &Pair, leaf: &mut Leaf) -> Result<(), u8> {
    match csr_names(pair) {
        Some(csr) => leaf.ip = csr.names.ip.iter().map(|it| bytes_of(*it)).collect(),
        None => {
            for text in &pair.ask.ip_sans {
                leaf.ip.push(address(text).ok_or(18)?);
            }
        }
    }
    if leaf.ip.is_empty() {
        return Ok(());
    }
    let ranges: Vec<_> = pair.role.allowed_ip_sans_cidr.iter().filter_map(|it| range(it)).collect();
    let inside = |it: &Vec<u8>| ranges.is_empty() || ranges.iter().any(|range| lies_in(it, range));
    if pair.role.allow_ip_sans && leaf.ip.iter().all(inside) { Ok(()) } else { Err(18) }
}

/// Steps 20 to 22.
fn uri_sans(pair: &Pair, leaf: &mut Leaf) -> Result<(), u8> {
    let from_csr = csr_names(pair);
    let asked = from_csr.map_or(&pair.ask.uri_sans, |csr| &csr.names.uri);
    for sent in asked {
        let written = written(sent);
        // "Patterns": the text of a parameter as sent, the URI of a CSR as re-serialised.
        let compared = if from_csr.is_some() { written.clone().ok_or(20)? } else { sent.clone() };
        if !pair.role.allowed_uri_sans.iter().any(|pattern| glob(pattern, &compared)) {
            return Err(20);
        }
        let written = written.ok_or(20)?;
        // docs/compatibility.md: a leaf's SPIFFE ID has a path (X509-SVID, 3.1).
        if !has_readable_host(&written) || (is_of_the_scheme(sent) && spiffe_id(sent) != Some(true))
        {
            return Err(20);
        }
        if !is_well_formed(&written) {
            return Err(20);
        }
        leaf.uri.push(written);
    }
    Ok(())
}

/// Steps 23 and 24.
fn validity(pair: &Pair, leaf: &mut Leaf) -> Result<(), u8> {
    let (role, ask) = (&pair.role, &pair.ask);
    let now = instant(pair.now);
    let backdate = if role.not_before_duration == 0 { 30 } else { role.not_before_duration };
    let usual = now - i128::from(backdate) * SECOND;
    if role.not_before_bound == "forbid" && !ask.not_before.is_empty() {
        return Err(24);
    }
    let mut wanted = usual;
    if !role.not_before.is_empty() {
        wanted = parse(&role.not_before).ok_or(24)?;
    } else if !ask.not_before.is_empty() {
        wanted = parse(&ask.not_before).ok_or(24)?;
        // docs/compatibility.md: an earlier notBefore needs `allow_backdating`, whatever the bound.
        let may_go_back = role.not_before_bound == "permit" && role.allow_backdating;
        if wanted < usual && !may_go_back {
            return Err(24);
        }
    }
    // `sign` checks `not_before`, but does not use it.
    leaf.not_before = if pair.csr.is_some() { usual } else { wanted };
    leaf.not_after = end(pair, now)?;
    let latest = parse("9999-12-31T23:59:59Z").unwrap() + SECOND - 1;
    if wanted >= leaf.not_after || leaf.not_before >= leaf.not_after || leaf.not_after > latest {
        return Err(24);
    }
    Ok(())
}

/// "notAfter", 1 to 8.
fn end(pair: &Pair, now: i128) -> Result<i128, u8> {
    let (role, ask) = (&pair.role, &pair.ask);
    if role.not_after_bound == "forbid" && !ask.not_after.is_empty() {
        return Err(24);
    }
    let fixed = if role.not_after.is_empty() { &ask.not_after } else { &role.not_after };
    if ask.ttl > 0 && !fixed.is_empty() {
        return Err(24);
    }
    let first = |values: [i64; 3]| values.into_iter().find(|value| *value > 0).unwrap_or(0);
    let max = first([role.max_ttl, pair.bounds.mount.max, 0]);
    let ttl = first([ask.ttl, role.ttl, pair.bounds.mount.default]).min(max);
    let after = |seconds: i64| now + i128::from(seconds) * SECOND;
    let mut end = after(ttl);
    if !fixed.is_empty() {
        end = parse(fixed).ok_or(24)?;
        if role.not_after_bound == "ttl-limited" && role.not_after.is_empty() && end > after(ttl) {
            return Err(24);
        }
        // docs/compatibility.md: a role's `max_ttl` limits `not_after`, too.
        if role.max_ttl > 0 && end > after(max) {
            return Err(24);
        }
    }
    let issuer_end = instant(pair.bounds.issuer_end);
    if end > issuer_end {
        match pair.bounds.behavior {
            LeafNotAfterBehavior::Err => return Err(24),
            LeafNotAfterBehavior::Truncate if issuer_end < now => return Err(24),
            LeafNotAfterBehavior::Truncate => end = issuer_end,
            LeafNotAfterBehavior::Permit => {}
        }
    }
    match parse(&role.not_after_bound) {
        Some(bound) if end > bound => Err(24),
        _ => Ok(end),
    }
}

pub(crate) fn instant(time: Timestamp) -> i128 {
    i128::from(time.unix()) * SECOND + i128::from(time.nanoseconds())
}

/// Step 25.
fn user_ids(pair: &Pair, leaf: &mut Leaf) -> Result<(), u8> {
    leaf.user_ids.clone_from(&pair.ask.user_ids);
    if leaf.user_ids.is_empty()
        && let Some(csr) = &pair.csr
    {
        leaf.user_ids.clone_from(&csr.user_ids);
    }
    // docs/compatibility.md: case is ignored for ASCII only.
    let same = |it: &str, id: &str| it.eq_ignore_ascii_case(id);
    let is_allowed = |id: &String| {
        pair.role
            .allowed_user_ids
            .iter()
            .any(|it| if it.contains('*') { glob(it, id) } else { same(it, id) })
    };
    let allowed = leaf.user_ids.iter().all(|id| !has_odd_character(id) && is_allowed(id));
    leaf.user_ids.retain(|id| !id.is_empty());
    if allowed { Ok(()) } else { Err(25) }
}

/// `cn_from_spiffe_path`: exactly one URI, a SPIFFE ID whose path has at most 64 characters; a
/// requested common name must equal the path.
fn common_name_from_path(pair: &Pair, leaf: &mut Leaf) -> Result<(), u8> {
    if !pair.role.cn_from_spiffe_path {
        return Ok(());
    }
    let path = match leaf.uri.as_slice() {
        [only] => spiffe_path(only).filter(|path| path.len() <= 64).ok_or(26)?,
        _ => return Err(26),
    };
    if !leaf.common_name.is_empty() && leaf.common_name != path {
        return Err(26);
    }
    leaf.common_name = path.to_owned();
    Ok(())
}

/// What the role alone determines: attributes ("The subject"), usages ("Names of usages") and
/// basic constraints.
fn role_values(pair: &Pair, leaf: &mut Leaf) {
    let role = &pair.role;
    for list in [
        &role.country,
        &role.organization,
        &role.ou,
        &role.locality,
        &role.province,
        &role.street_address,
        &role.postal_code,
    ] {
        let mut once: Vec<String> = Vec::new();
        for value in list {
            if !once.contains(value) {
                once.push(value.clone());
            }
        }
        leaf.attributes.push(once);
    }
    let named =
        |list: &[String], word: &str| list.iter().any(|it| it.trim().eq_ignore_ascii_case(word));
    for (bit, word) in (0u8..).zip(KEY_USAGES) {
        // docs/compatibility.md: keyEncipherment is for RSA.
        let fits = *word != "KeyEncipherment" || matches!(pair.kind, KeyKind::Rsa(_));
        if fits && named(&role.key_usage, word) {
            leaf.key_usage.push(bit);
        }
    }
    let flags = [
        ("ServerAuth", role.server_flag),
        ("ClientAuth", role.client_flag),
        ("CodeSigning", role.code_signing_flag),
        ("EmailProtection", role.email_protection_flag),
    ];
    for (word, oid) in EXTENDED_KEY_USAGES {
        if named(&role.ext_key_usage, word) || flags.contains(&(*word, true)) {
            leaf.extended_key_usage.push((*oid).to_owned());
        }
    }
    leaf.extended_key_usage.extend(role.ext_key_usage_oids.iter().map(|oid| oid.trim().to_owned()));
    // docs/compatibility.md: CA:FALSE where a URI SAN has the scheme `spiffe`.
    leaf.is_marked_end_entity = role.basic_constraints_valid_for_non_ca
        || leaf.uri.iter().any(|uri| uri.starts_with("spiffe://"));
}

/// By the number of the bit (RFC 5280, 4.2.1.3).
pub(crate) const KEY_USAGES: &[&str] = &[
    "DigitalSignature",
    "ContentCommitment",
    "KeyEncipherment",
    "DataEncipherment",
    "KeyAgreement",
    "CertSign",
    "CRLSign",
    "EncipherOnly",
    "DecipherOnly",
];

const EXTENDED_KEY_USAGES: &[(&str, &str)] = &[
    ("Any", "2.5.29.37.0"),
    ("ServerAuth", "1.3.6.1.5.5.7.3.1"),
    ("ClientAuth", "1.3.6.1.5.5.7.3.2"),
    ("CodeSigning", "1.3.6.1.5.5.7.3.3"),
    ("EmailProtection", "1.3.6.1.5.5.7.3.4"),
    ("IPSECEndSystem", "1.3.6.1.5.5.7.3.5"),
    ("IPSECTunnel", "1.3.6.1.5.5.7.3.6"),
    ("IPSECUser", "1.3.6.1.5.5.7.3.7"),
    ("TimeStamping", "1.3.6.1.5.5.7.3.8"),
    ("OCSPSigning", "1.3.6.1.5.5.7.3.9"),
    ("MicrosoftServerGatedCrypto", "1.3.6.1.4.1.311.10.3.3"),
    ("NetscapeServerGatedCrypto", "2.16.840.1.113730.4.1"),
];
