//! A pair that fails, made small and shown.

use serde_json::{Map, Value, json};
use signet::ca::permit::AlternativeNames;
use signet::ca::role::{Ask, CsrFacts, RoleFields};

use super::judge::Pair;

/// For each named field of each part: the macro gets part, its plain value, and the field.
macro_rules! each_field {
    ($do:ident) => {
        $do!(role, RoleFields::unspecified(); ttl, max_ttl, allow_localhost, allowed_domains,
            allowed_domains_template, allow_globs_in_identity_templates, allow_bare_domains,
            allow_subdomains, allow_glob_domains, allow_wildcard_certificates, allow_any_name,
            enforce_hostnames, cn_validations, require_cn, allow_ip_sans, allowed_ip_sans_cidr,
            allowed_uri_sans, allowed_uri_sans_template, allowed_other_sans,
            allowed_serial_numbers, allowed_user_ids, serial_number_source, server_flag,
            client_flag, code_signing_flag, email_protection_flag, key_usage, ext_key_usage,
            ext_key_usage_oids, key_type, key_bits, signature_bits, use_csr_common_name,
            use_csr_sans, ou, organization, policy_identifiers,
            basic_constraints_valid_for_non_ca, not_before_duration, not_before, not_before_bound,
            not_after, not_after_bound, cn_from_spiffe_path);
        $do!(ask, Ask::default(); common_name, alt_names, ip_sans, uri_sans, other_sans, user_ids,
            serial_number, ttl, not_after, not_before, exclude_cn_from_sans);
    };
}

/// Puts fields back to their plain values as long as the pair goes on failing.
pub(crate) fn shrunk(mut pair: Pair, fails: &dyn Fn(&Pair) -> bool) -> Pair {
    let mut attempt = |change: &dyn Fn(&mut Pair)| {
        let mut smaller = pair.clone();
        change(&mut smaller);
        if fails(&smaller) {
            pair = smaller;
        }
    };
    attempt(&|pair| pair.csr = None);
    macro_rules! plain {
        ($part:ident, $plain:expr; $($field:ident),*) => {
            $(attempt(&|pair| pair.$part.$field = $plain.$field);)*
        };
    }
    for _ in 0..2 {
        each_field!(plain);
        attempt(&|pair| pair.role.require_cn = false);
        csr(&mut attempt);
        attempt(&|pair| pair.now = pair.now.whole());
        for at in 0..3 {
            lists(at, &mut attempt);
        }
    }
    pair
}

fn csr(attempt: &mut dyn FnMut(&dyn Fn(&mut Pair))) {
    macro_rules! plain {
        ($($field:ident),*) => {
            $(attempt(&|pair| if let Some(csr) = &mut pair.csr { csr.$field = CsrFacts::default().$field });)*
        };
    }
    plain!(
        common_name,
        serial_number,
        user_ids,
        names,
        has_unreadable_other_name,
        has_basic_constraints
    );
    macro_rules! plain {
        ($($field:ident),*) => {
            $(attempt(&|pair| if let Some(csr) = &mut pair.csr { csr.names.$field = AlternativeNames::default().$field });)*
        };
    }
    plain!(other, dns, email, ip, uri);
}

/// One entry less.
fn lists(at: usize, attempt: &mut dyn FnMut(&dyn Fn(&mut Pair))) {
    fn without(list: &mut Vec<String>, at: usize) {
        if at < list.len() {
            list.remove(at);
        }
    }
    attempt(&|pair| without(&mut pair.role.allowed_domains, at));
    attempt(&|pair| without(&mut pair.role.allowed_uri_sans, at));
    attempt(&|pair| without(&mut pair.role.allowed_ip_sans_cidr, at));
    attempt(&|pair| without(&mut pair.ask.uri_sans, at));
    attempt(&|pair| without(&mut pair.ask.ip_sans, at));
    attempt(&|pair| {
        if let Some(names) = &pair.ask.alt_names {
            let mut names: Vec<String> = names.split(',').map(str::to_owned).collect();
            without(&mut names, at);
            pair.ask.alt_names = Some(names.join(","));
        }
    });
}

/// Role and request as JSON: what differs from the plain values, in the names of the API.
pub(crate) fn shown(pair: &Pair) -> String {
    let (mut role, mut ask) = (Map::new(), Map::new());
    macro_rules! put {
        (role, $plain:expr; $($field:ident),*) => { $(put!(role, role, $plain, $field);)* };
        (ask, $plain:expr; $($field:ident),*) => { $(put!(ask, ask, $plain, $field);)* };
        ($map:ident, $part:ident, $plain:expr, policy_identifiers) => {};
        ($map:ident, $part:ident, $plain:expr, $field:ident) => {
            if pair.$part.$field != $plain.$field {
                $map.insert(stringify!($field).to_owned(), json!(pair.$part.$field));
            }
        };
    }
    each_field!(put);
    let csr = pair.csr.as_ref().map_or(Value::Null, |csr| {
        json!({
            "common_name": csr.common_name, "serial_number": csr.serial_number, "user_ids": csr.user_ids,
            "dns": csr.names.dns, "email": csr.names.email, "uri": csr.names.uri,
            "ip": csr.names.ip.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "other": csr.names.other.iter().map(|it| format!("{};UTF8:{}", it.oid, it.value)).collect::<Vec<_>>(),
            "has_unreadable_other_name": csr.has_unreadable_other_name,
        })
    });
    let bounds = json!({
        "issuer_end": pair.bounds.issuer_end.to_string(), "leaf_not_after_behavior": pair.bounds.behavior.word(),
        "default_lease_ttl": pair.bounds.mount.default, "max_lease_ttl": pair.bounds.mount.max,
        "now": pair.now.to_string(), "key": pair.kind.word(),
    });
    format!(
        "role:    {}\nrequest: {}\ncsr:     {csr}\nunder:   {bounds}",
        Value::from(role),
        Value::from(ask)
    )
}
