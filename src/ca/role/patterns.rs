//! Checks of a role when an operator writes it, in addition to [`RoleFields::compile`]. A role that
//! was stored before a check was added still compiles; each certificate is linted anyway.

use super::check::unknown_usage_warnings;
use super::{
    CertificateParams, IssuanceLimits, LeafNotAfterBehavior, Role, RoleError, RoleFields, TtlLimits,
};
use crate::ca::alternative_names::shortened;
use crate::ca::control::{first_control, refuse_control};
use crate::ca::glob;
use crate::ca::permit::{IssuingUrls, KeyUsage};
use crate::ca::spiffe::{SpiffeId, has_spiffe_scheme};
use crate::ca::time::{LAST_SECOND, Timestamp};
use crate::ca::uri::host_is_domain;
use crate::go;

const SCHEME: &str = "spiffe://";

impl RoleFields {
    /// Compiles a role that an operator writes. The warnings are for the operator.
    ///
    /// # Errors
    /// What [`RoleFields::compile`] refuses, and settings with which a certificate could never be
    /// signed: control characters in the subject, a policy that cannot be encoded, usages of an
    /// authority together with SPIFFE IDs.
    pub fn accept(
        self,
        name: &str,
        mount: TtlLimits,
        now: Timestamp,
    ) -> Result<(Role, Vec<String>), RoleError> {
        let (role, mut warnings) = self.compile(name)?;
        let fields = &role.fields;
        fields.check_characters().map_err(RoleError::Invalid)?;
        fields.check_policies().map_err(RoleError::Invalid)?;
        let signs = role.key_usage.contains(KeyUsage::KEY_CERT_SIGN)
            || role.key_usage.contains(KeyUsage::CRL_SIGN);
        for pattern in &fields.allowed_uri_sans {
            if signs && has_spiffe_scheme(pattern) {
                return Err(RoleError::Invalid(format!(
                    "key_usage holds CertSign or CRLSign and allowed_uri_sans {}: an SVID asserts neither keyCertSign nor cRLSign (X509-SVID, 4.3); leave them out of key_usage, or use a role without SPIFFE IDs",
                    shortened(pattern)
                )));
            }
            warnings.extend(pattern_warning(pattern));
        }
        warnings.extend(unknown_usage_warnings(&fields.key_usage, &fields.ext_key_usage));
        warnings.extend(role.unusable_warning(mount, now));
        Ok((role, warnings))
    }

    /// The subject comes from the role, except common name, serial number and user ids.
    fn check_characters(&self) -> Result<(), String> {
        for (what, texts) in [
            ("country", &self.country),
            ("organization", &self.organization),
            ("ou", &self.ou),
            ("locality", &self.locality),
            ("province", &self.province),
            ("street_address", &self.street_address),
            ("postal_code", &self.postal_code),
        ] {
            texts.iter().try_for_each(|text| refuse_control(what, text))?;
        }
        Ok(())
    }

    /// RFC 5280, 4.2.1.4: the URI of a practice statement is an IA5String.
    fn check_policies(&self) -> Result<(), String> {
        for policy in &self.policy_identifiers {
            let (cps, notice) = (policy.cps.as_deref(), policy.notice.as_deref());
            if let Some(cps) = cps
                && !cps.bytes().all(|byte| byte.is_ascii_graphic())
            {
                return Err(format!(
                    "policy_identifiers: the cps {} of {} is not a URI of ASCII characters",
                    go::quote(&shortened(cps)),
                    policy.oid
                ));
            }
            refuse_control("notice of a policy", notice.unwrap_or_default())?;
        }
        Ok(())
    }
}

impl Role {
    /// Would the role's own times refuse every request? Such a role is stored, as in Vault, with a
    /// warning.
    fn unusable_warning(&self, mount: TtlLimits, now: Timestamp) -> Option<String> {
        let limits = IssuanceLimits {
            issuer_end: Timestamp::from_unix(LAST_SECOND),
            behavior: LeafNotAfterBehavior::Permit,
            mount,
            urls: IssuingUrls::default(),
        };
        let refused = self
            .validity(&CertificateParams::default(), false, &limits, now, &mut Vec::new())
            .err()?;
        Some(format!(
            "Signet: as it is written, role {} refuses every request: {refused}",
            self.name
        ))
    }
}

/// A warning about a pattern that allows more than it seems to, or nothing.
fn pattern_warning(pattern: &str) -> Option<String> {
    let shown = shortened(pattern);
    if first_control(pattern).is_some() {
        return Some(format!(
            "Signet: allowed_uri_sans: {} holds a control character and allows nothing",
            go::quote(&shown)
        ));
    }
    if let Some(other) = id_outside(pattern) {
        return Some(format!(
            "Signet: allowed_uri_sans: {shown} is not bound to one trust domain, as * also matches dots and slashes: it allows {other}; write spiffe://TRUST-DOMAIN/*"
        ));
    }
    // What a template allows is known only when it is rendered.
    if !has_spiffe_scheme(pattern) || pattern.contains("{{") {
        return None;
    }
    let tried = ["x", "x/x", "/x", ""].map(|filler| pattern.replace('*', filler));
    let is_id = |text: &String| SpiffeId::path_of(text).is_ok_and(|path| !path.is_empty());
    if tried.iter().any(is_id) {
        return None;
    }
    let why = match SpiffeId::path_of(tried.first()?) {
        Ok(_) => "the ID of a leaf has a path".to_owned(),
        Err(why) => why.to_string(),
    };
    Some(format!("Signet: allowed_uri_sans: {shown} allows no SPIFFE ID: {why}"))
}

/// An ID of another trust domain that a pattern allows because its star is before the slash that
/// ends the trust domain.
fn id_outside(pattern: &str) -> Option<String> {
    let (head, tail) = pattern.split_once('*')?;
    if head.strip_prefix(SCHEME).is_some_and(|rest| rest.contains('/')) {
        return None;
    }
    let sample = "spiffe://other.example/x";
    let fillers = [
        sample.strip_prefix(head).unwrap_or_default(),
        ".other.example/x",
        ".other.example",
        "other.example/x",
    ];
    let candidates = fillers.iter().filter(|filler| !filler.is_empty()).flat_map(|filler| {
        ["x", ""].map(|rest| format!("{head}{filler}{}", tail.replace('*', rest)))
    });
    let is_id = |text: &String| {
        host_is_domain(text) && SpiffeId::path_of(text).is_ok_and(|path| !path.is_empty())
    };
    candidates.filter(is_id).find(|text| glob::matches(pattern, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_that_is_not_bound_to_one_trust_domain_names_what_it_allows() {
        for (pattern, id) in [
            ("spiffe://*.example.org/*", "spiffe://other.example/x.example.org/x"),
            ("spiffe://example.org*", "spiffe://example.org.other.example/x"),
            ("*", "spiffe://other.example/x"),
            ("spiffe://*", "spiffe://other.example/x"),
            ("spiffe:*", "spiffe://other.example/x"),
            ("spiffe://*/a", "spiffe://other.example/x/a"),
            ("*/payments", "spiffe://other.example/x/payments"),
            ("spiffe://prod-*", "spiffe://prod-.other.example/x"),
            ("spiffe://example.*/x", "spiffe://example.other.example/x/x"),
            ("sp*", "spiffe://other.example/x"),
            ("spiffe://example.org*/ns/x", "spiffe://example.org.other.example/x/ns/x"),
            ("s*/ns/*/sa/*", "spiffe://other.example/x/ns/x/sa/x"),
        ] {
            assert_eq!(id_outside(pattern).as_deref(), Some(id), "{pattern}");
            assert!(pattern_warning(pattern).unwrap().contains(id), "{pattern}");
            assert!(glob::matches(pattern, id) && SpiffeId::parse(id).is_ok());
        }
        for pattern in [
            "spiffe://example.org/*",
            "spiffe://example.org/ns/*/sa/*",
            "spiffe://example.org/a",
            "https://*",
            "urn:*",
            "",
            "spiffe://{{identity.entity.name}}/*",
        ] {
            assert_eq!(pattern_warning(pattern), None, "{pattern}");
        }
    }

    #[test]
    fn a_pattern_that_allows_no_id_causes_a_warning() {
        for pattern in [
            "spiffe://Example.org/*",
            "SPIFFE://example.org/*",
            "spiffe://example.org",
            "spiffe://example.org/a b",
            "spiffe://example.org/%2e",
            "spiffe://example.org:8443/*",
            "spiffe://example.org/a/../*",
        ] {
            let warning = pattern_warning(pattern).unwrap();
            assert!(warning.contains("allows no SPIFFE ID"), "{pattern}: {warning}");
        }
    }
}
