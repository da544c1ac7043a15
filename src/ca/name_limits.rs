//! Name constraints and path length of an issuer and of the issuers above it (RFC 5280, 6.1):
//! compiled when an issuer is loaded, and checked before a certificate is signed. Without
//! constraints the check reads one empty list.

use std::net::IpAddr;

use crate::go::{self, url};

use super::certificate::Certificate;
use super::distinguished_name::{self, Comparable};
use super::name_constraints;
use super::permit::{BasicConstraints, NameConstraints, Template};
use super::role::RoleViolation;

/// The name constraints of one certificate.
#[derive(Clone, Debug)]
pub(in crate::ca) struct NameLimits {
    critical: bool,
    read: Result<Compiled, String>,
}

#[derive(Clone, Debug)]
struct Compiled {
    names: NameConstraints,
    permitted_directory: Vec<Comparable>,
    excluded_directory: Vec<Comparable>,
}

impl NameLimits {
    /// Compiles the value of an extension. An error does not make the certificate unreadable: it is
    /// kept, and [`IssuerLimits::check`] refuses to sign if the extension is critical.
    pub(in crate::ca) fn of(value: &[u8], critical: bool) -> Self {
        let directory = |names: &[Vec<u8>]| -> Result<Vec<Comparable>, String> {
            let compared = names.iter().map(|name| distinguished_name::comparable_name(name));
            compared.collect::<Result<_, _>>().map_err(|error| error.to_string())
        };
        let read = name_constraints::read(value).and_then(|names| {
            Ok(Compiled {
                permitted_directory: directory(&names.permitted_directory)?,
                excluded_directory: directory(&names.excluded_directory)?,
                names,
            })
        });
        Self { critical, read }
    }

    /// Why they cannot be enforced, if so.
    pub(in crate::ca) fn error(&self) -> Option<&str> {
        self.read.as_ref().err().map(String::as_str)
    }
}

/// What the certificates of an issuer and of those above it allow it to sign.
#[derive(Clone, Debug, Default)]
pub struct IssuerLimits {
    /// Its own name constraints and those above it.
    names: Vec<NameLimits>,
    /// The number of authorities that may follow; `None` means any number.
    path_length: Option<u8>,
    /// A certificate above it allows fewer authorities than there are.
    exhausted: bool,
}

/// The maximum length of a chain of authorities; it also ends the search in a cycle.
const MAX_CHAIN_LENGTH: u8 = 32;

/// The maximum number of names times constraints for one certificate; Go rejects more.
const MAX_COMPARISONS: usize = 250_000;

impl IssuerLimits {
    /// Collects the limits of a certificate and of those above it, as long as exactly one of
    /// `others` is the issuer. With several (cross-signed) issuers a path through any of them may
    /// be valid.
    pub fn new<'a>(own: &'a Certificate, others: &[&'a Certificate]) -> Self {
        let mut limits = Self { path_length: own.path_length(), ..Self::default() };
        limits.names.extend(own.name_limits().cloned());
        // The search verifies signatures, and most issuers have no limits.
        let is_limited =
            |other: &&Certificate| other.name_limits().is_some() || other.path_length().is_some();
        if !others.iter().any(is_limited) {
            return limits;
        }
        let mut current = own;
        let mut below = 0_u8;
        while !current.is_self_issued() && below < MAX_CHAIN_LENGTH {
            below = below.saturating_add(1);
            let mut above = others.iter().filter(|other| {
                other.der() != current.der()
                    && other.subject() == current.issuer()
                    && current.verify_signed_by(other.public_key())
            });
            let (Some(issuer), None) = (above.next(), above.next()) else { break };
            limits.names.extend(issuer.name_limits().cloned());
            if let Some(allowed) = issuer.path_length() {
                let left = allowed.checked_sub(below);
                limits.exhausted |= left.is_none();
                let left = left.unwrap_or(0);
                limits.path_length = Some(limits.path_length.map_or(left, |own| own.min(left)));
            }
            current = issuer;
        }
        limits
    }

    /// The number of authorities that may follow below the issuer; `None` means any number.
    pub const fn path_length(&self) -> Option<u8> {
        self.path_length
    }

    /// Limits the comparisons, as Go does, and so the cost of a request.
    fn check_comparisons(&self, template: &Template) -> Result<(), RoleViolation> {
        let names = &template.names;
        let count = names.dns.len() + names.email.len() + names.ip.len() + names.uri.len();
        let subtrees = |limits: &NameLimits| limits.read.as_ref().map_or(0, |own| own.names.len());
        let subtrees = self.names.iter().map(subtrees).sum::<usize>();
        if count.saturating_mul(subtrees) <= MAX_COMPARISONS {
            return Ok(());
        }
        refuse(format!(
            "{count} names are too many to compare with the {subtrees} name constraints of the issuer"
        ))
    }

    /// Checks whether the issuer may sign this certificate.
    ///
    /// # Errors
    /// Contains the name that is not allowed, or the constraint that cannot be checked.
    pub fn check(&self, template: &Template) -> Result<(), RoleViolation> {
        if self.exhausted {
            return refuse("the issuer cannot sign: a certificate above it has a path length that does not allow this authority".to_owned());
        }
        if self.names.is_empty() {
            return Ok(());
        }
        let subject_names = SubjectNames::of(template)?;
        self.check_comparisons(template)?;
        for limits in &self.names {
            match &limits.read {
                Ok(compiled) => compiled.check(template, &subject_names)?,
                Err(why) if limits.critical => {
                    return refuse(format!(
                        "the issuer cannot sign: its name constraints are critical and cannot be checked ({why})"
                    ));
                }
                Err(_) => {}
            }
        }
        Ok(())
    }
}

fn refuse<T>(text: String) -> Result<T, RoleViolation> {
    Err(RoleViolation { text, hint: None })
}

/// The names of a subject that constraints apply to.
struct SubjectNames {
    subject: Comparable,
    email: Vec<String>,
    host: Option<String>,
}

impl SubjectNames {
    fn of(template: &Template) -> Result<Self, RoleViolation> {
        let der = distinguished_name::encode(&template.subject);
        let wrong =
            |error: super::asn1::DerError| RoleViolation { text: error.to_string(), hint: None };
        let attributes = distinguished_name::read_name(&der).map_err(wrong)?;
        let names = &template.names;
        // Without e-mail names those of the subject count (RFC 5280, 4.2.1.10); without DNS names
        // OpenSSL compares the common name of a leaf if it looks like one.
        let email = if names.email.is_empty() { attributes.email_addresses } else { Vec::new() };
        let common_name = attributes.common_name;
        let is_leaf = !matches!(template.basic_constraints, BasicConstraints::Authority { .. });
        let like_host = is_leaf && names.dns.is_empty() && looks_like_host(&common_name);
        Ok(Self {
            subject: distinguished_name::comparable_name(&der).map_err(wrong)?,
            email,
            host: like_host.then_some(common_name),
        })
    }
}

impl Compiled {
    fn check(
        &self,
        template: &Template,
        subject_names: &SubjectNames,
    ) -> Result<(), RoleViolation> {
        let (asked, own) = (&template.names, &self.names);
        for name in asked.dns.iter().chain(&subject_names.host) {
            // Go and OpenSSL refuse such a name.
            if name.ends_with('.') {
                return refuse(format!(
                    "the issuer has name constraints, and the DNS name {} ends with a dot, so that verifiers cannot compare it",
                    go::quote(name)
                ));
            }
            let permitted = own.permitted_dns.iter().any(|base| is_below(name, base));
            let excluded = own.excluded_dns.iter().any(|base| overlaps(name, base));
            check_constraint(
                "DNS name",
                name,
                own.permitted_dns.is_empty() || permitted,
                excluded,
            )?;
        }
        for name in asked.email.iter().chain(&subject_names.email) {
            let permitted = own.permitted_email.iter().any(|base| is_mailbox_of(name, base, false));
            let excluded = own.excluded_email.iter().any(|base| is_mailbox_of(name, base, true));
            check_constraint(
                "e-mail address",
                name,
                own.permitted_email.is_empty() || permitted,
                excluded,
            )?;
        }
        for address in &asked.ip {
            let permitted = own.permitted_ip.iter().any(|range| is_in_range(*address, range));
            let excluded = own.excluded_ip.iter().any(|range| is_in_range(*address, range));
            let permitted = own.permitted_ip.is_empty() || permitted;
            check_constraint("IP address", &address.to_string(), permitted, excluded)?;
        }
        if !own.permitted_uri.is_empty() || !own.excluded_uri.is_empty() {
            asked.uri.iter().try_for_each(|uri| self.check_uri(uri))?;
        }
        self.check_subject(&subject_names.subject)
    }

    /// RFC 5280, 4.2.1.10: the constraint applies to the host; a URI without one is not permitted.
    fn check_uri(&self, text: &str) -> Result<(), RoleViolation> {
        let own = &self.names;
        if !has_one_host(text) {
            return refuse(format!(
                "the issuer's name constraints limit URIs by their host, and verifiers find different hosts in {}: it has a user, or no slash after the host",
                go::quote(text)
            ));
        }
        let host = url::host(text);
        let host = match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
            _ => host,
        };
        if host.is_empty() || host.starts_with('[') || host.parse::<IpAddr>().is_ok() {
            return refuse(format!(
                "the issuer's name constraints limit URIs by their host, and {} has no host name",
                go::quote(text)
            ));
        }
        let permitted = own.permitted_uri.iter().any(|base| is_host_of(host, base, false));
        let excluded = own.excluded_uri.iter().any(|base| is_host_of(host, base, true));
        check_constraint("URI", text, own.permitted_uri.is_empty() || permitted, excluded)
    }

    fn check_subject(&self, subject: &Comparable) -> Result<(), RoleViolation> {
        if subject.is_empty() {
            return Ok(());
        }
        let within = |list: &[Comparable]| list.iter().any(|base| subject.starts_with(base));
        let permitted = self.permitted_directory.is_empty() || within(&self.permitted_directory);
        if permitted && !within(&self.excluded_directory) {
            return Ok(());
        }
        refuse("the issuer's name constraints do not permit the subject".to_owned())
    }
}

/// Do all verifiers find the same host? OpenSSL ends it at the first colon or slash; others begin
/// after the user and end before a question mark or a number sign.
fn has_one_host(text: &str) -> bool {
    let rest = text.split_once("://").map_or("", |(_, rest)| rest);
    let authority = rest.split_once('/').map_or(rest, |(authority, _)| authority);
    !authority.contains(['@', '?', '#'])
}

/// Does OpenSSL take a common name for a host? It consists of letters, digits, underscores, hyphens
/// and at least one dot; dots and hyphens are neither first nor last, and a dot has neither beside
/// it. An IPv4 address has that form, too.
fn looks_like_host(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let is_host = |byte: u8| plain(byte) || matches!(byte, b'-' | b'.');
    let bytes = name.as_bytes();
    name.contains('.')
        && bytes.iter().all(|byte| is_host(*byte))
        && bytes.first().is_some_and(|byte| plain(*byte))
        && bytes.last().is_some_and(|byte| plain(*byte))
        && !["..", ".-", "-."].iter().any(|pair| name.contains(pair))
}

fn check_constraint(
    kind: &str,
    name: &str,
    permitted: bool,
    excluded: bool,
) -> Result<(), RoleViolation> {
    if permitted && !excluded {
        return Ok(());
    }
    let verb = if excluded { "exclude" } else { "do not permit" };
    refuse(format!("the issuer's name constraints {verb} the {kind} {}", go::quote(name)))
}

/// Is the name `base` or below it? With a leading dot, only below it; an empty `base` matches every
/// name.
fn is_below(name: &str, base: &str) -> bool {
    let (name, base) = (name.strip_suffix('.').unwrap_or(name).as_bytes(), base.as_bytes());
    let Some(at) = name.len().checked_sub(base.len()) else { return false };
    let (labels, tail) = name.split_at(at);
    tail.eq_ignore_ascii_case(base)
        && match base.first() {
            None => true,
            Some(b'.') => !labels.is_empty(),
            Some(_) => labels.is_empty() || labels.ends_with(b"."),
        }
}

/// The same, and a wildcard overlaps the names that it matches: `*.a.org` overlaps `b.a.org`.
fn overlaps(name: &str, base: &str) -> bool {
    if is_below(name, base) {
        return true;
    }
    let Some((first, rest)) = name.split_once('.') else { return false };
    if !first.contains('*') {
        return false;
    }
    let base = base.strip_prefix('.').unwrap_or(base);
    base.split_once('.').is_some_and(|(_, above)| above.eq_ignore_ascii_case(rest))
}

/// RFC 5280, 4.2.1.10: a host matches exactly; with a leading dot, the hosts below it match. With
/// `include_subdomains`, hosts below a host match as well, as in Go: an exclusion must hold for
/// every verifier.
fn is_host_of(host: &str, base: &str, include_subdomains: bool) -> bool {
    let exact = || host.strip_suffix('.').unwrap_or(host).eq_ignore_ascii_case(base);
    if base.is_empty() || base.starts_with('.') || include_subdomains {
        is_below(host, base)
    } else {
        exact()
    }
}

fn is_mailbox_of(address: &str, base: &str, include_subdomains: bool) -> bool {
    let Some((local, host)) = address.rsplit_once('@') else { return base.is_empty() };
    match base.rsplit_once('@') {
        Some((own, at)) => own == local && host.eq_ignore_ascii_case(at),
        None => is_host_of(host, base, include_subdomains),
    }
}

/// Is the address in the range, given as network and mask?
fn is_in_range(address: IpAddr, range: &[u8]) -> bool {
    let (network, mask) = range.split_at(range.len() / 2);
    let within = |bytes: &[u8]| {
        bytes.len() == network.len()
            && bytes
                .iter()
                .zip(mask)
                .zip(network)
                .all(|((byte, mask), own)| byte & mask == own & mask)
    };
    match address.to_canonical() {
        IpAddr::V4(address) => within(&address.octets()),
        IpAddr::V6(address) => within(&address.octets()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_compared_label_by_label() {
        for (name, base, below, overlapping) in [
            ("example.org", "example.org", true, true),
            ("EXAMPLE.org.", "example.ORG", true, true),
            ("a.example.org", "example.org", true, true),
            ("aexample.org", "example.org", false, false),
            ("example.org", ".example.org", false, false),
            ("a.example.org", ".example.org", true, true),
            ("org", "example.org", false, false),
            ("anything", "", true, true),
            ("*.example.org", "example.org", true, true),
            ("*.example.org", "a.example.org", false, true),
            ("a*.example.org", "a.example.org", false, true),
            ("*.example.org", "b.a.example.org", false, false),
            ("*.example.org", "a.example.com", false, false),
        ] {
            assert_eq!(is_below(name, base), below, "{name} {base}");
            assert_eq!(overlaps(name, base), overlapping, "{name} {base}");
        }
    }

    #[test]
    fn a_common_name_is_compared_if_openssl_takes_it_for_a_host() {
        for name in ["a.org", "10.0.0.1", "a_b.org", "_a.b", "A-b.c", "a--b.c"] {
            assert!(looks_like_host(name), "{name}");
        }
        for name in
            ["", "a", ".", "a.", ".a", "a..b", "a.-b", "a-.b", "-a.b", "a.b-", "a b.c", "*.a.b"]
        {
            assert!(!looks_like_host(name), "{name}");
        }
    }

    #[test]
    fn a_permitted_host_matches_exactly_and_an_excluded_one_with_its_subdomains() {
        for (host, base, permitted, excluded) in [
            ("example.org", "example.org", true, true),
            ("a.example.org", "example.org", false, true),
            ("a.example.org", ".example.org", true, true),
            ("example.org", ".example.org", false, false),
            ("x", "", true, true),
        ] {
            assert_eq!(is_host_of(host, base, false), permitted, "{host} {base}");
            assert_eq!(is_host_of(host, base, true), excluded, "{host} {base}");
            let address = format!("u@{host}");
            assert_eq!(is_mailbox_of(&address, base, false), permitted, "{host} {base}");
        }
        assert!(is_mailbox_of("u@Example.org", "u@example.org", false));
        assert!(!is_mailbox_of("U@example.org", "u@example.org", false));
    }

    #[test]
    fn an_address_is_in_ranges_of_its_own_family_only() {
        let v4 = |text: &str| is_in_range(text.parse().unwrap(), &[10, 0, 0, 0, 255, 0, 0, 0]);
        assert!(v4("10.2.3.4") && v4("::ffff:10.0.0.1"));
        assert!(!v4("11.0.0.0") && !v4("a00::"));
        assert!(is_in_range("2001:db8::1".parse().unwrap(), &[0; 32]));
        assert!(!is_in_range("10.0.0.1".parse().unwrap(), &[0; 32]));
    }
}
