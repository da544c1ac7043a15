//! A third implementation of the rules, as predicates over the values of a certificate: a field of
//! the role must allow each value. It works on lists of labels and bytes, independent of the order of
//! the checks and of the rest of the request.

use signet::ca::key::KeyKind;
use signet::ca::role::{LeafNotAfterBehavior, RoleFields};

use super::judge::{KEY_USAGES, Leaf, Pair, instant};
use super::names::{lies_in, range};
use super::times::SECOND;
use super::uris::written;

/// The first value of the certificate that no field of the role allows.
pub(crate) fn unexplained(pair: &Pair, leaf: &Leaf) -> Option<String> {
    let role = &pair.role;
    let dns = leaf.dns.iter().find(|name| !name_is_explained(role, name, name));
    let email = leaf.email.iter().find(|it| !email_is_explained(role, it));
    let others = leaf.other.iter().map(|(_, value)| value);
    let mut texts = leaf.dns.iter().chain(&leaf.email).chain(&leaf.uri).chain(&leaf.user_ids);
    let subject = [&leaf.common_name, &leaf.serial_number];
    let unprintable = texts
        .find(|it| it.chars().any(unprintable))
        .or_else(|| others.chain(subject).find(|it| it.chars().any(unprintable)));
    if let Some(text) = unprintable {
        return Some(format!("{text:?}"));
    }
    let ip = leaf.ip.iter().find(|ip| !ip_is_explained(role, ip)).map(|ip| format!("{ip:?}"));
    let uri = leaf.uri.iter().find(|uri| !uri_is_explained(pair, uri));
    let user = leaf.user_ids.iter().find(|id| {
        !role.allowed_user_ids.iter().any(|it| fits(it, id) || it.eq_ignore_ascii_case(id))
    });
    dns.or(email).or(uri).or(user).cloned().or(ip).or_else(|| {
        let faults = [
            ("common name", common_name_is_explained(role, leaf)),
            ("subject serial number", serial_is_explained(role, leaf)),
            ("validity", validity_is_explained(pair, leaf)),
            ("usage", usage_is_explained(pair, leaf)),
            ("authority", !leaf.is_authority),
        ];
        faults.into_iter().find(|(_, holds)| !holds).map(|(what, _)| what.to_owned())
    })
}

/// Control characters, line and paragraph separators, and bidirectional formatting.
fn unprintable(c: char) -> bool {
    c.is_control()
        || "\u{2028}\u{2029}\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}".contains(c)
        || "\u{2066}\u{2067}\u{2068}\u{2069}".contains(c)
}

/// Matches a pattern by dynamic programming over the prefixes of the value, without recursion or
/// search.
fn fits(pattern: &str, value: &str) -> bool {
    let value: Vec<char> = value.chars().collect();
    let mut reached = vec![false; value.len() + 1];
    reached[0] = true;
    for mark in pattern.chars() {
        let mut next = vec![false; value.len() + 1];
        for at in 0..=value.len() {
            next[at] = if mark == '*' {
                reached[at] || (at > 0 && next[at - 1])
            } else {
                at > 0 && reached[at - 1] && value[at - 1] == mark
            };
        }
        reached = next;
    }
    reached[value.len()]
}

fn labels(name: &str) -> Vec<&str> {
    name.split('.').collect()
}

/// `host` is the name, or the part after its `@`.
fn name_is_explained(role: &RoleFields, name: &str, host: &str) -> bool {
    let host_labels = labels(host);
    let stars = host.matches('*').count();
    if stars > 0
        && (!role.allow_wildcard_certificates || stars > 1 || !host_labels[0].contains('*'))
    {
        return false;
    }
    if role.enforce_hostnames
        && !host_labels
            .iter()
            .enumerate()
            .all(|(at, label)| label_is_plain(label, at, host_labels.len()))
    {
        return false;
    }
    let below = |base: &str| {
        let base = labels(base);
        host_labels.len() > base.len() && host_labels.ends_with(&base)
    };
    let parent = if stars > 0 { host_labels[1..].join(".") } else { host.to_owned() };
    let local = ["localhost", "localdomain"]
        .iter()
        .any(|base| parent == *base || (role.allow_subdomains && below(base)));
    role.allow_any_name
        || (role.allow_localhost && local)
        || role.allowed_domains.iter().any(|base| {
            !base.is_empty()
                && ((role.allow_bare_domains
                    && (base.eq_ignore_ascii_case(name) || base.eq_ignore_ascii_case(host)))
                    || (role.allow_subdomains
                        && (below(base) || (stars > 0 && base.eq_ignore_ascii_case(&parent))))
                    || (role.allow_glob_domains && base.contains('*') && fits(base, name)))
        })
}

fn label_is_plain(label: &str, at: usize, count: usize) -> bool {
    let root = at + 1 == count && label.is_empty();
    let parts: Vec<&str> = if at == 0 { label.split('*').collect() } else { vec![label] };
    let whole = parts.iter().all(|part| !part.starts_with('-') && !part.ends_with('-'));
    root || (!label.is_empty()
        && whole
        && label.len() < 64
        && label.chars().all(|c| c.is_alphanumeric() || c == '-' || c == '*'))
}

fn email_is_explained(role: &RoleFields, address: &str) -> bool {
    match address.split('@').collect::<Vec<_>>().as_slice() {
        // An address without a host has no host for a rule to check.
        [_, ""] => {
            role.allow_any_name
                || (role.allow_glob_domains
                    && role.allowed_domains.iter().any(|it| it.contains('*') && fits(it, address)))
        }
        [_, host] => !host.contains('*') && name_is_explained(role, address, host),
        _ => false,
    }
}

fn common_name_is_explained(role: &RoleFields, leaf: &Leaf) -> bool {
    let name = leaf.common_name.as_str();
    let word = if name.contains('@') { "email" } else { "hostname" };
    let validations = &role.cn_validations;
    let named = |word: &str| validations.iter().any(|it| it.eq_ignore_ascii_case(word));
    if role.cn_from_spiffe_path {
        return leaf.uri.len() == 1 && leaf.uri[0].ends_with(&format!("/{name}"));
    }
    if name.is_empty() {
        return !role.require_cn;
    }
    named("disabled")
        || ((validations.is_empty() || named(word))
            && if word == "email" {
                email_is_explained(role, name)
            } else {
                name_is_explained(role, name, name)
            })
}

fn ip_is_explained(role: &RoleFields, ip: &[u8]) -> bool {
    let ranges = &role.allowed_ip_sans_cidr;
    role.allow_ip_sans
        && (ranges.is_empty()
            || ranges.iter().filter_map(|it| range(it)).any(|it| lies_in(ip, &it)))
}

/// A pattern matches the URI in the certificate, or a URI parameter that is serialised to it.
fn uri_is_explained(pair: &Pair, uri: &str) -> bool {
    let allowed = |text: &str| pair.role.allowed_uri_sans.iter().any(|it| fits(it, text));
    let sent =
        || pair.ask.uri_sans.iter().any(|it| allowed(it) && written(it).as_deref() == Some(uri));
    let is_id = || {
        let parts: Vec<&str> = uri.split('/').collect();
        let plain = |part: &&str| {
            let dots = part.chars().all(|c| c == '.') && part.len() < 3;
            !dots && part.chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c))
        };
        uri.len() <= 2048
            && parts.len() > 3
            && parts[..2] == ["spiffe:", ""]
            && (1..=255).contains(&parts[2].len())
            && parts[2].chars().all(|c| !c.is_ascii_uppercase())
            && parts[2].chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c))
            && parts[3..].iter().all(plain)
    };
    (!uri.to_ascii_lowercase().starts_with("spiffe:") || is_id())
        && (allowed(uri) || (!(pair.csr.is_some() && pair.role.use_csr_sans) && sent()))
}

fn serial_is_explained(role: &RoleFields, leaf: &Leaf) -> bool {
    leaf.serial_number.is_empty()
        || role.allowed_serial_numbers.iter().any(|it| fits(it, &leaf.serial_number))
}

/// Within the maximum TTL, within the issuer's validity unless it permits more, not reversed.
fn validity_is_explained(pair: &Pair, leaf: &Leaf) -> bool {
    let (role, ask) = (&pair.role, &pair.ask);
    let now = instant(pair.now);
    let later = |seconds: i64| now + i128::from(seconds) * SECOND;
    let fixed = !(role.not_after.is_empty() && ask.not_after.is_empty());
    let max_ttl = if role.max_ttl > 0 { role.max_ttl } else { pair.bounds.mount.max };
    let permits = pair.bounds.behavior == LeafNotAfterBehavior::Permit;
    let backdate = if role.not_before_duration > 0 { role.not_before_duration } else { 30 };
    let may_backdate = role.allow_backdating && role.not_before_bound == "permit";
    let start_is_free = pair.csr.is_none() && (may_backdate || !role.not_before.is_empty());
    leaf.not_before < leaf.not_after
        && (leaf.not_after <= later(max_ttl) || (fixed && role.max_ttl == 0))
        && (permits || leaf.not_after <= instant(pair.bounds.issuer_end))
        && super::times::parse(&role.not_after_bound).is_none_or(|bound| leaf.not_after <= bound)
        && (start_is_free || leaf.not_before >= later(-backdate))
}

fn usage_is_explained(pair: &Pair, leaf: &Leaf) -> bool {
    leaf.key_usage.iter().all(|bit| {
        let word = KEY_USAGES[usize::from(*bit)];
        let listed = pair.role.key_usage.iter().any(|it| it.trim().eq_ignore_ascii_case(word));
        listed && (*bit != 2 || matches!(pair.kind, KeyKind::Rsa(_)))
    })
}
