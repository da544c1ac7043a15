//! Shrinks a failing pair and prints it.

use serde_json::{Map, Value, json};
use signet::ca::role::{CertificateParams, CsrFields, RoleFields};

use super::judge::Pair;

/// Calls the macro for each part with its default value and the names of its fields.
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
            not_after, not_after_bound, cn_from_spiffe_path, allow_backdating);
        $do!(ask, CertificateParams::default(); common_name, alt_names, ip_sans, uri_sans, other_sans, user_ids,
            serial_number, ttl, not_after, not_before, exclude_cn_from_sans);
    };
}

/// A failing pair and its predicate.
struct Failing<'a> {
    pair: Pair,
    fails: &'a dyn Fn(&Pair) -> bool,
}

/// Resets fields to their defaults as long as the pair still fails.
pub(crate) fn shrunk(pair: Pair, fails: &dyn Fn(&Pair) -> bool) -> Pair {
    let mut failing = Failing { pair, fails };
    failing.attempt(|pair| pair.csr = None);
    macro_rules! plain {
        ($part:ident, $plain:expr; $($field:ident),*) => {
            $(failing.attempt(|pair| pair.$part.$field = $plain.$field);)*
        };
    }
    for _ in 0..2 {
        each_field!(plain);
        failing.attempt(|pair| pair.role.require_cn = false);
        failing.attempt(|pair| pair.now = pair.now.whole());
        failing.shrink_csr();
        (0..3).for_each(|at| failing.shrink_lists(at));
    }
    failing.pair
}

impl Failing<'_> {
    /// Keeps the change if the pair still fails with it.
    fn attempt(&mut self, change: impl Fn(&mut Pair)) {
        let mut smaller = self.pair.clone();
        change(&mut smaller);
        if (self.fails)(&smaller) {
            self.pair = smaller;
        }
    }

    fn attempt_csr(&mut self, change: impl Fn(&mut CsrFields)) {
        self.attempt(|pair| {
            if let Some(csr) = &mut pair.csr {
                change(csr);
            }
        });
    }

    fn shrink_csr(&mut self) {
        self.attempt_csr(|csr| csr.common_name.clear());
        self.attempt_csr(|csr| csr.serial_number.clear());
        self.attempt_csr(|csr| csr.user_ids.clear());
        self.attempt_csr(|csr| csr.has_unreadable_other_name = false);
        self.attempt_csr(|csr| csr.names.other.clear());
        self.attempt_csr(|csr| csr.names.dns.clear());
        self.attempt_csr(|csr| csr.names.email.clear());
        self.attempt_csr(|csr| csr.names.ip.clear());
        self.attempt_csr(|csr| csr.names.uri.clear());
    }

    /// Removes the entry at this index of each list.
    fn shrink_lists(&mut self, at: usize) {
        self.attempt(|pair| without(&mut pair.role.allowed_domains, at));
        self.attempt(|pair| without(&mut pair.role.allowed_uri_sans, at));
        self.attempt(|pair| without(&mut pair.role.allowed_ip_sans_cidr, at));
        self.attempt(|pair| without(&mut pair.ask.uri_sans, at));
        self.attempt(|pair| without(&mut pair.ask.ip_sans, at));
        self.attempt_csr(|csr| without(&mut csr.names.uri, at));
        self.attempt_csr(|csr| without(&mut csr.names.dns, at));
        self.attempt(|pair| {
            if let Some(names) = &pair.ask.alt_names {
                let mut names: Vec<String> = names.split(',').map(str::to_owned).collect();
                without(&mut names, at);
                pair.ask.alt_names = Some(names.join(","));
            }
        });
    }
}

fn without(list: &mut Vec<String>, at: usize) {
    if at < list.len() {
        list.remove(at);
    }
}

/// Role and request as JSON: the fields that differ from the defaults, by their API names.
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
        "issuer_end": pair.bounds.issuer_end.to_string(), "leaf_not_after_behavior": pair.bounds.behavior.as_str(),
        "default_lease_ttl": pair.bounds.mount.default, "max_lease_ttl": pair.bounds.mount.max,
        "now": pair.now.to_string(), "key": pair.kind.as_str(),
    });
    format!(
        "role:    {}\nrequest: {}\ncsr:     {csr}\nunder:   {bounds}",
        Value::from(role),
        Value::from(ask)
    )
}
