//! What would avoid a refusal: the value, the role and its entries, and the command to paste. They
//! go to `warnings`; the refusal keeps Vault's text. `{mount}` is replaced by the mount's path.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::Role;
use super::parameters::{CertificateParams, CsrFields};
use crate::ca::alternative_names::shortened;
use crate::ca::control::first_control;
use crate::ca::hostname::is_host_pattern;
use crate::ca::permit::KeyUsage;
use crate::ca::spiffe::{SpiffeId, has_spiffe_scheme};
use crate::ca::time::Timestamp;
use crate::go;

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

/// The number of entries of a role that are shown; with more of them no command is offered.
const MAX_SHOWN: usize = 8;

impl Role {
    /// For a common first refusal: the SPIFFE ID is allowed and the common name is not. The command
    /// allows exactly that name.
    pub(super) fn common_name_hint(
        &self,
        params: &CertificateParams,
        csr: Option<&CsrFields>,
        name: &str,
    ) -> Option<String> {
        let [id] = params.uri_sans.as_slice() else { return None };
        let allowed = SpiffeId::path_of(id).is_ok() && self.allows_uri(id);
        if csr.is_some() || !allowed || !is_host_pattern(name) {
            return None;
        }
        let entries: Vec<&str> = self.fields.allowed_domains.iter().map(String::as_str).collect();
        let domains = with_value(entries, name)?;
        Some(format!(
            "Signet: the URI SAN is allowed, the common name is not; to allow this name: signet patch {{mount}}roles/{} allowed_domains={} allow_bare_domains=true",
            self.name,
            shell_word(&domains)
        ))
    }

    /// For a URI that no pattern allows.
    pub(super) fn uri_hint(&self, uri: &str) -> String {
        let id = SpiffeId::path_of(uri);
        // With these usages the changed role would be refused.
        let signs = self.key_usage.contains(KeyUsage::KEY_CERT_SIGN)
            || self.key_usage.contains(KeyUsage::CRL_SIGN);
        let mut hint = self.unlisted(
            uri,
            ("allowed_uri_sans", &self.fields.allowed_uri_sans),
            "",
            !signs && id.is_ok_and(|path| !path.is_empty()),
        );
        if let Err(why) = id
            && has_spiffe_scheme(uri)
        {
            hint.push_str("; and it is not a SPIFFE ID: ");
            hint.push_str(&why.to_string());
        }
        hint
    }

    /// For a DNS name or e-mail address that no domain allows.
    pub(super) fn name_hint(&self, name: &str) -> String {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._@+".contains(&byte);
        let listed = ("allowed_domains", &self.fields.allowed_domains);
        // No domain allows a name with two `@`.
        let can_be_allowed = name.bytes().all(plain) && name.matches('@').count() < 2;
        self.unlisted(name, listed, " allow_bare_domains=true", can_be_allowed)
    }

    /// For an IP address outside the ranges, or of a role that allows no IP addresses.
    pub(super) fn address_hint(&self, address: &str) -> String {
        if !self.fields.allow_ip_sans {
            return format!(
                "Signet: role {0} has allow_ip_sans=false; to allow IP SANs: signet patch {{mount}}roles/{0} allow_ip_sans=true",
                self.name
            );
        }
        let range = format!("{address}/{}", if address.contains(':') { 128 } else { 32 });
        self.unlisted(&range, ("allowed_ip_sans_cidr", &self.fields.allowed_ip_sans_cidr), "", true)
    }

    /// The end of the leaf lies beyond that of its issuer: the longest of three usual lifetimes that fits.
    pub(super) fn shorter_ttl_hint(&self, issuer_end: Timestamp, now: Timestamp) -> String {
        let fits = |seconds: i64| now.plus(seconds) < issuer_end;
        let ttl = [(DAY, "24h"), (HOUR, "1h"), (HOUR / 6, "10m")];
        match ttl.into_iter().find(|(seconds, _)| fits(*seconds)) {
            Some((_, ttl)) => format!(
                "Signet: the issuer ends at {issuer_end}; ask for less, for example ttl={ttl}, or give the role a shorter lifetime: signet patch {{mount}}roles/{} ttl={ttl} max_ttl={ttl}",
                self.name
            ),
            None => format!("Signet: the issuer ends at {issuer_end}; make a new issuer first"),
        }
    }

    /// For another value that the entries of `field` do not allow.
    pub(super) fn value_hint(&self, value: &str, field: (&str, &Vec<String>)) -> String {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._@+:;/ ".contains(&byte);
        self.unlisted(value, field, "", value.bytes().all(plain))
    }

    /// `value is not among entries of role name`, and the command that adds it to `field` if it
    /// is safe to paste.
    fn unlisted(
        &self,
        value: &str,
        (field, entries): (&str, &Vec<String>),
        further: &str,
        can_be_pasted: bool,
    ) -> String {
        let can_be_pasted = can_be_pasted && matches!(shortened(value), Cow::Borrowed(_));
        let value = &*shortened(value);
        let shown = if first_control(value).is_some() { &*go::quote(value) } else { value };
        let shown_entries: Vec<&str> = entries.iter().take(MAX_SHOWN).map(String::as_str).collect();
        let mut hint = match entries.len().saturating_sub(MAX_SHOWN) {
            _ if entries.is_empty() => {
                format!("Signet: {shown} is not allowed: {field} of role {} is empty", self.name)
            }
            0 => {
                format!(
                    "Signet: {shown} is not among {} of role {}",
                    shown_entries.join(", "),
                    self.name
                )
            }
            more => format!(
                "Signet: {shown} is not among {} and {more} more of role {}",
                shown_entries.join(", "),
                self.name
            ),
        };
        if can_be_pasted
            && entries.len() <= MAX_SHOWN
            && let Some(all) = with_value(shown_entries, value)
            && !all.contains('\'')
        {
            let _infallible = write!(
                hint,
                "; to allow it: signet patch {{mount}}roles/{} {field}='{all}'{further}",
                self.name,
            );
        }
        hint
    }
}

/// The entries and the value as one argument of the command line, if it is read literally: a
/// leading `@` means a file, a single hyphen means standard input.
fn with_value(entries: Vec<&str>, value: &str) -> Option<String> {
    let mut all = entries;
    if !all.contains(&value) {
        all.push(value);
    }
    let odd = |entry: &&str| entry.contains(',') || entry.is_empty();
    let line = all.join(",");
    let is_read = line.starts_with('@') || line == "-";
    (!is_read && !all.iter().any(odd) && first_control(&line).is_none()).then_some(line)
}

/// A text as one word for a shell, quoted if necessary.
pub fn shell_word(text: &str) -> Cow<'_, str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./,@:".contains(&byte);
    if text.bytes().all(plain) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(format!("'{}'", text.replace('\'', r"'\''")))
}
