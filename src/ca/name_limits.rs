//! What the certificates of an issuer and of those above it leave to it (RFC 5280, 6.1): name
//! constraints and path length, compiled when an issuer is loaded and asked before anything is
//! signed. An issuer without constraints costs one look at an empty list.

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
    /// Of the value of an extension. What is not understood does not make the certificate
    /// unreadable; nothing is signed below it.
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

    /// Why they are not understood, if they are not.
    pub(in crate::ca) fn fault(&self) -> Option<&str> {
        self.read.as_ref().err().map(String::as_str)
    }
}

/// What is left to an issuer.
#[derive(Clone, Debug, Default)]
pub struct IssuerLimits {
    /// Its own name constraints and those above it.
    names: Vec<NameLimits>,
    /// How many further authorities may follow; `None` means any number.
    path_length: Option<u8>,
    /// A certificate above it allows fewer authorities than there are.
    exhausted: bool,
}

/// No chain of authorities is longer; it ends a walk through certificates that name one another.
const LONGEST_CHAIN: u8 = 32;

/// Names times constraints in one certificate.
const MOST_COMPARISONS: usize = 250_000;

impl IssuerLimits {
    /// Those of a certificate and of the certificates above it, as far as exactly one of `others`
    /// is its issuer. With several (cross-signed ones) a path through any of them may do.
    pub fn new<'a>(own: &'a Certificate, others: &[&'a Certificate]) -> Self {
        let mut limits = Self { path_length: own.path_length(), ..Self::default() };
        limits.names.extend(own.name_limits().cloned());
        // To look for an issuer means to verify signatures, and most have no limits.
        let is_limited =
            |other: &&Certificate| other.name_limits().is_some() || other.path_length().is_some();
        if !others.iter().any(is_limited) {
            return limits;
        }
        let mut current = own;
        let mut below = 0_u8;
        while !current.is_self_issued() && below < LONGEST_CHAIN {
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

    /// How many authorities may follow below the issuer; `None` means any number.
    pub const fn path_length(&self) -> Option<u8> {
        self.path_length
    }

    /// Go compares no more than this in one certificate, and no request shall cost more.
    fn check_number(&self, template: &Template) -> Result<(), RoleViolation> {
        let names = &template.names;
        let count = names.dns.len() + names.email.len() + names.ip.len() + names.uri.len();
        let subtrees = |limits: &NameLimits| limits.read.as_ref().map_or(0, |own| own.names.len());
        let subtrees = self.names.iter().map(subtrees).sum::<usize>();
        if count.saturating_mul(subtrees) <= MOST_COMPARISONS {
            return Ok(());
        }
        refuse(format!(
            "{count} names are too many to compare with the {subtrees} name constraints of the issuer"
        ))
    }

    /// May this be signed?
    ///
    /// # Errors
    /// Names the name that is not allowed, or the constraint that is not understood.
    pub fn check(&self, template: &Template) -> Result<(), RoleViolation> {
        if self.exhausted {
            return refuse("the issuer cannot sign: a certificate above it has a path length that allows no further authority at its place".to_owned());
        }
        if self.names.is_empty() {
            return Ok(());
        }
        let facts = SubjectNames::of(template)?;
        self.check_number(template)?;
        for limits in &self.names {
            match &limits.read {
                Ok(compiled) => compiled.check(template, &facts)?,
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

/// What a subject says of itself.
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
    fn check(&self, template: &Template, facts: &SubjectNames) -> Result<(), RoleViolation> {
        let (asked, own) = (&template.names, &self.names);
        for name in asked.dns.iter().chain(&facts.host) {
            // Go and OpenSSL compare no such name and refuse it.
            if name.ends_with('.') {
                return refuse(format!(
                    "the issuer has name constraints, and the DNS name {} ends with a dot, so that readers cannot compare it",
                    go::quote(name)
                ));
            }
            let permitted = own.permitted_dns.iter().any(|base| is_below(name, base));
            let excluded = own.excluded_dns.iter().any(|base| touches(name, base));
            judge("DNS name", name, own.permitted_dns.is_empty() || permitted, excluded)?;
        }
        for name in asked.email.iter().chain(&facts.email) {
            let permitted = own.permitted_email.iter().any(|base| is_mailbox_of(name, base, false));
            let excluded = own.excluded_email.iter().any(|base| is_mailbox_of(name, base, true));
            judge("e-mail address", name, own.permitted_email.is_empty() || permitted, excluded)?;
        }
        for address in &asked.ip {
            let permitted = own.permitted_ip.iter().any(|range| lies_in(*address, range));
            let excluded = own.excluded_ip.iter().any(|range| lies_in(*address, range));
            let permitted = own.permitted_ip.is_empty() || permitted;
            judge("IP address", &address.to_string(), permitted, excluded)?;
        }
        if !own.permitted_uri.is_empty() || !own.excluded_uri.is_empty() {
            asked.uri.iter().try_for_each(|uri| self.check_uri(uri))?;
        }
        self.check_subject(&facts.subject)
    }

    /// RFC 5280, 4.2.1.10: the constraint applies to the host; a URI without one is not permitted.
    fn check_uri(&self, text: &str) -> Result<(), RoleViolation> {
        let own = &self.names;
        if !has_one_host(text) {
            return refuse(format!(
                "the issuer's name constraints limit URIs by their host, and readers differ about that of {}: it has a user, or no slash behind the host",
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
        judge("URI", text, own.permitted_uri.is_empty() || permitted, excluded)
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

/// Does every reader find the same host? OpenSSL ends it at the first colon or slash, others behind
/// the user and before a question mark or a number sign.
fn has_one_host(text: &str) -> bool {
    let behind = text.split_once("://").map_or("", |(_, behind)| behind);
    let authority = behind.split_once('/').map_or(behind, |(authority, _)| authority);
    !authority.contains(['@', '?', '#'])
}

/// What OpenSSL takes for a host in a common name: letters, digits, underscores, a dot at least;
/// dots and hyphens neither first nor last, and no dot beside another of them. So also an address.
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

fn judge(kind: &str, name: &str, permitted: bool, excluded: bool) -> Result<(), RoleViolation> {
    if permitted && !excluded {
        return Ok(());
    }
    let verb = if excluded { "exclude" } else { "do not permit" };
    refuse(format!("the issuer's name constraints {verb} the {kind} {}", go::quote(name)))
}

/// The name or one below it; with a dot in front, one below it; empty, any.
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

/// The same, where a name with a star also stands for what it may be compared with: `*.a.org`
/// touches `b.a.org`.
fn touches(name: &str, base: &str) -> bool {
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

/// RFC 5280, 4.2.1.10: a host is exactly that one; with a dot in front, those below it. `widely`
/// also counts what is below a host, as Go does: what is excluded is excluded for every reader.
fn is_host_of(host: &str, base: &str, widely: bool) -> bool {
    let exact = || host.strip_suffix('.').unwrap_or(host).eq_ignore_ascii_case(base);
    if base.is_empty() || base.starts_with('.') || widely { is_below(host, base) } else { exact() }
}

fn is_mailbox_of(address: &str, base: &str, widely: bool) -> bool {
    let Some((local, host)) = address.rsplit_once('@') else { return base.is_empty() };
    match base.rsplit_once('@') {
        Some((own, at)) => own == local && host.eq_ignore_ascii_case(at),
        None => is_host_of(host, base, widely),
    }
}

/// Does the address lie in the range of address and mask?
fn lies_in(address: IpAddr, range: &[u8]) -> bool {
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
        for (name, base, below, touched) in [
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
            assert_eq!(touches(name, base), touched, "{name} {base}");
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
    fn a_host_is_itself_where_it_is_permitted_and_all_below_it_where_it_is_excluded() {
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
    fn an_address_lies_in_ranges_of_its_own_family() {
        let v4 = |text: &str| lies_in(text.parse().unwrap(), &[10, 0, 0, 0, 255, 0, 0, 0]);
        assert!(v4("10.2.3.4") && v4("::ffff:10.0.0.1"));
        assert!(!v4("11.0.0.0") && !v4("a00::"));
        assert!(lies_in("2001:db8::1".parse().unwrap(), &[0; 32]));
        assert!(!lies_in("10.0.0.1".parse().unwrap(), &[0; 32]));
    }
}
