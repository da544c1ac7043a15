//! Names that a role allows (`docs/dev/vault-pki.md`, "Which names a role allows"), and the form of
//! other SANs.

use crate::ca::oid::ObjectIdentifier;

use super::Role;
use crate::ca::glob;
use crate::ca::hostname::{is_host_name, is_wildcard_label};
use crate::ca::permit::OtherName;
use crate::go::idna::to_ascii;

impl Role {
    /// Step 13: is this common name allowed? The check runs even if the name stays out of the
    /// SANs.
    pub(super) fn allows_common_name(&self, name: &str) -> bool {
        let validations = &self.fields.cn_validations;
        if matches!(validations.as_slice(), [only] if only == "disabled") {
            return true;
        }
        let needed = if name.contains('@') { "email" } else { "hostname" };
        self.allows_name(name) && validations.iter().any(|name| name == needed)
    }

    /// Steps 15 and 16: is this DNS name or e-mail address allowed?
    pub(super) fn allows_name(&self, name: &str) -> bool {
        let Some(parts) = NameParts::of(name) else { return false };
        if parts.wildcard.is_some() {
            let count = name.matches('*').count();
            if !self.fields.allow_wildcard_certificates || count > 1 || parts.is_email {
                return false;
            }
        }
        if self.fields.enforce_hostnames && !parts.is_well_formed() {
            return false;
        }
        if self.fields.allow_any_name {
            return true;
        }
        (self.fields.allow_localhost && self.is_localhost(parts.host))
            || self
                .fields
                .allowed_domains
                .iter()
                .filter(|domain| !domain.is_empty())
                .any(|domain| self.is_within(name, &parts, domain))
    }

    fn is_localhost(&self, host: &str) -> bool {
        ["localhost", "localdomain"].iter().any(|base| {
            host == *base
                || (self.fields.allow_subdomains
                    && host.strip_suffix(base).is_some_and(|rest| rest.ends_with('.')))
        })
    }

    fn is_within(&self, name: &str, parts: &NameParts<'_>, domain: &str) -> bool {
        let fields = &self.fields;
        let host_is_domain = parts.host.eq_ignore_ascii_case(domain);
        let bare = name.eq_ignore_ascii_case(domain) || (parts.is_email && host_is_domain);
        let below = parts.host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'))
            || (parts.wildcard.is_some() && host_is_domain);
        (fields.allow_bare_domains && bare)
            || (fields.allow_subdomains && below)
            || (fields.allow_glob_domains && domain.contains('*') && glob::matches(domain, name))
    }
}

/// The parts of a name: the host after an `@`, with a wildcard label separate from the rest.
struct NameParts<'a> {
    is_email: bool,
    wildcard: Option<&'a str>,
    host: &'a str,
}

impl<'a> NameParts<'a> {
    fn of(name: &'a str) -> Option<Self> {
        let (is_email, host) = match name.split_once('@') {
            Some((_, host)) if host.contains('@') => return None,
            Some((_, host)) => (true, host),
            None => (false, name),
        };
        if !host.contains('*') {
            return Some(Self { is_email, wildcard: None, host });
        }
        let (label, rest) = host.split_once('.').unwrap_or((host, ""));
        if rest.contains('*') {
            return None;
        }
        Some(Self { is_email, wildcard: Some(label), host: rest })
    }

    fn is_well_formed(&self) -> bool {
        let host = self.host.is_empty() && self.wildcard.is_some()
            || to_ascii(self.host).is_ok_and(|ascii| is_host_name(&ascii));
        host && self.wildcard.is_none_or(is_wildcard_label)
    }
}

/// Reads `<oid>;UTF8:<value>` (`docs/dev/vault-pki.md`, "Writing a role", check 1). The error is
/// Vault's text.
pub fn other_name(text: &str) -> Result<OtherName, String> {
    let Some((oid, value)) = text.split_once(';') else {
        return Err(format!("expected a semicolon in other SAN \"{text}\""));
    };
    let Some((kind, value)) = value.split_once(':') else {
        return Err(format!("expected a colon in other SAN \"{text}\""));
    };
    if !kind.eq_ignore_ascii_case("utf8") && !kind.eq_ignore_ascii_case("utf-8") {
        return Err(format!(
            "only utf8 other SANs are supported; found non-supported type in other SAN \"{text}\""
        ));
    }
    let oid = ObjectIdentifier::new(oid)
        .map_err(|why| format!("could not parse the OID of other SAN \"{text}\": {why}"))?;
    Ok(OtherName { oid, value: value.to_owned() })
}
