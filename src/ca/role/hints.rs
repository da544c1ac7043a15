//! What would change a refusal: the value, the role and its entries, and the line to paste. They go
//! to `warnings`; the refusal keeps the reference's text. `{mount}` stands for the mount's path.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::Role;
use super::permit::{Ask, CsrFacts};
use crate::ca::alternative_names::shortened;
use crate::ca::control::first_control;
use crate::ca::hostname::is_host_pattern;
use crate::ca::spiffe::{SpiffeId, has_spiffe_scheme};
use crate::ca::uri::go_quote;

/// So many entries of a role are shown; with more of them there is no line to paste.
const SHOWN: usize = 8;

impl Role {
    /// A newcomer's first refusal: the identity is allowed and the name in front of it is not.
    /// The line admits exactly that name.
    pub(super) fn common_name_hint(
        &self,
        ask: &Ask,
        csr: Option<&CsrFacts>,
        name: &str,
    ) -> Option<String> {
        let [id] = ask.uri_sans.as_slice() else { return None };
        let allowed = SpiffeId::path_of(id).is_ok() && self.allows_uri(id);
        if csr.is_some() || !allowed || !is_host_pattern(name) {
            return None;
        }
        let mut domains = self.fields.allowed_domains.clone();
        domains.push(name.to_owned());
        Some(format!(
            "Signet: the URI SAN is allowed, the common name is not; to allow this name: signet patch {{mount}}roles/{} allowed_domains={} allow_bare_domains=true",
            self.name,
            domains.join(",")
        ))
    }

    /// The URI that no pattern allows.
    pub(super) fn uri_hint(&self, uri: &str) -> String {
        let id = SpiffeId::path_of(uri);
        let mut hint = self.unlisted(
            uri,
            ("allowed_uri_sans", &self.fields.allowed_uri_sans),
            "",
            id.is_ok_and(|path| !path.is_empty()),
        );
        if let Err(why) = id
            && has_spiffe_scheme(uri)
        {
            hint.push_str("; and it is no SPIFFE ID: ");
            hint.push_str(&why.to_string());
        }
        hint
    }

    /// The DNS name or e-mail address that no domain allows.
    pub(super) fn name_hint(&self, name: &str) -> String {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._@+".contains(&byte);
        let listed = ("allowed_domains", &self.fields.allowed_domains);
        self.unlisted(name, listed, " allow_bare_domains=true", name.bytes().all(plain))
    }

    /// The address that lies in no range, or that no range is asked about.
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

    /// Another value that is not listed: `field` with its entries.
    pub(super) fn value_hint(&self, value: &str, field: (&str, &Vec<String>)) -> String {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._@+:;/ ".contains(&byte);
        self.unlisted(value, field, "", value.bytes().all(plain))
    }

    /// `value is not among entries of role name`, and the line that adds it to `field` where a
    /// shell can take it.
    fn unlisted(
        &self,
        value: &str,
        (field, entries): (&str, &Vec<String>),
        beside: &str,
        can_be_pasted: bool,
    ) -> String {
        let can_be_pasted = can_be_pasted && matches!(shortened(value), Cow::Borrowed(_));
        let value = &*shortened(value);
        let shown = if first_control(value).is_some() { &*go_quote(value) } else { value };
        let shown_entries: Vec<&str> = entries.iter().take(SHOWN).map(String::as_str).collect();
        let mut hint = match entries.len().saturating_sub(SHOWN) {
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
        let quotable = |entry: &&str| {
            !entry.contains(['\'', ',']) && first_control(entry).is_none() && !entry.is_empty()
        };
        let entries_are_plain = entries.len() <= SHOWN && shown_entries.iter().all(quotable);
        if can_be_pasted && quotable(&value) && entries_are_plain {
            let mut all = shown_entries;
            if !all.contains(&value) {
                all.push(value);
            }
            let _infallible = write!(
                hint,
                "; to allow it: signet patch {{mount}}roles/{} {field}='{}'{beside}",
                self.name,
                all.join(",")
            );
        }
        hint
    }
}
