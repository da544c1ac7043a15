//! The decision: a request and a role in, a [`Permit`] or a refusal out.
//!
//! The checks are steps 11 to 25 of `docs/dev/vault-pki.md`, "Order of the checks of issue and
//! sign": clients and tests see the first one that fails.

use std::net::IpAddr;

use super::names::other_name;
use super::parameters::{CertificateParams, CsrFields, IssuanceLimits, RoleViolation};
use super::{OtherSans, Role};
use crate::ca::alternative_names::{
    SubjectKind, add_address, add_listed, add_name, addresses, deduplicated, refuse_malformed,
    relative_uri, uris,
};
use crate::ca::control::refuse_control;
use crate::ca::glob;
use crate::ca::key::{KeyKind, SignaturePreference};
use crate::ca::permit::{
    AlternativeNames, BasicConstraints, KeyUsage, Permit, Subject, SubjectName, Template,
};
use crate::ca::spiffe::{SpiffeId, has_spiffe_scheme};
use crate::ca::time::Timestamp;
use crate::go::url::canonical;

const W_CN: &str = "the common_name field was provided but the role is set with \"use_csr_common_name\" set to true";
const W_ALT: &str =
    "the alt_names field was provided but the role is set with \"use_csr_sans\" set to true";
const W_BC: &str =
    "specified CSR contained a Basic Constraints extension that was ignored during issuance";
const W_NAMELESS: &str = "Signet: this certificate has neither a subject nor a subject alternative name, so it identifies nothing; request a name";
const NO_CN: &str = "the common_name field is required, or must be provided in a CSR with \"use_csr_common_name\" set to true, unless \"require_cn\" is set to false";

impl Role {
    /// Decides whether a certificate may be signed for a key of this kind. `csr` is set if a CSR
    /// was sent.
    pub fn permit(
        &self,
        params: &CertificateParams,
        csr: Option<&CsrFields>,
        key: KeyKind,
        limits: &IssuanceLimits,
        now: Timestamp,
    ) -> Result<Permit, RoleViolation> {
        let mut warnings = self.override_warnings(params, csr);
        let common_name = self.common_name(params, csr)?;
        let mut names = self.collect_names(params, csr, &common_name, &mut warnings)?;
        self.check_common_name(params, csr, &common_name)?;
        let serial_number = self.subject_serial_number(params, csr)?;
        self.check_names(&names)?;
        names.other = self.other_sans(params, csr)?;
        names.ip = self.ip_sans(params, csr)?;
        names.uri = self.uri_sans(params, csr)?;
        let (not_before, not_after) =
            self.validity(params, csr.is_some(), limits, now, &mut warnings)?;
        let user_ids = self.user_ids(params, csr)?;
        let common_name = self.resolve_common_name(common_name, &names)?;
        let subject = self.subject(common_name, serial_number, user_ids);
        warnings.extend(relative_uri(&names));
        if names.is_empty() && subject == Subject::default() {
            warnings.push(W_NAMELESS.to_owned());
        }
        let template = Template {
            subject: SubjectName::Composed(subject),
            basic_constraints: self.basic_constraints(&names),
            names,
            not_before,
            not_after,
            key_usage: self.key_usage_for(key),
            extended_key_usage: self.extended_key_usage.clone(),
            policies: self.policies.clone(),
            name_constraints: None,
            urls: limits.urls.clone(),
            subject_key_identifier: None,
            verbatim_extensions: Vec::new(),
            signature: SignaturePreference {
                bits: u32::try_from(self.fields.signature_bits).unwrap_or_default(),
                pss: self.fields.use_pss,
                // As in Vault: for `sign` an EC issuer uses the hash of the role, for `issue` that
                // of its curve (`docs/dev/vault-pki.md`, "Signature algorithm").
                ec_takes_bits: csr.is_some() && self.fields.key_type != "rsa",
            },
        };
        Ok(Permit::new(template, warnings))
    }

    /// Warnings about parameters and extensions that the CSR or the role overrides.
    fn override_warnings(
        &self,
        params: &CertificateParams,
        csr: Option<&CsrFields>,
    ) -> Vec<String> {
        let Some(csr) = csr else { return Vec::new() };
        let mut warnings = Vec::new();
        if self.fields.use_csr_common_name && !params.common_name.is_empty() {
            warnings.push(W_CN.to_owned());
        }
        if self.fields.use_csr_sans
            && params.alt_names.as_ref().is_some_and(|names| !names.is_empty())
        {
            warnings.push(W_ALT.to_owned());
        }
        if csr.has_basic_constraints && !self.fields.basic_constraints_valid_for_non_ca {
            warnings.push(W_BC.to_owned());
        }
        warnings
    }

    /// Step 11.
    fn common_name(
        &self,
        params: &CertificateParams,
        csr: Option<&CsrFields>,
    ) -> Result<String, RoleViolation> {
        let from_csr = csr
            .filter(|_| self.fields.use_csr_common_name)
            .map(|csr| csr.common_name.as_str())
            .unwrap_or_default();
        let name = if from_csr.is_empty() { &params.common_name } else { from_csr };
        if name.is_empty() && self.fields.require_cn && !self.fields.cn_from_spiffe_path {
            return RoleViolation::new(NO_CN);
        }
        Ok(name.to_owned())
    }

    /// Step 12: DNS names and e-mail addresses, the common name among them.
    fn collect_names(
        &self,
        params: &CertificateParams,
        csr: Option<&CsrFields>,
        common_name: &str,
        warnings: &mut Vec<String>,
    ) -> Result<AlternativeNames, RoleViolation> {
        let mut names = AlternativeNames::default();
        refuse_control("common name", common_name).or_else(RoleViolation::new)?;
        let from_csr = csr.filter(|_| self.fields.use_csr_sans);
        if let Some(csr) = from_csr {
            for name in &csr.names.dns {
                refuse_control("DNS name", name).or_else(RoleViolation::new)?;
            }
            names.dns.clone_from(&csr.names.dns);
            for address in &csr.names.email {
                add_address(address, &mut names).or_else(RoleViolation::new)?;
            }
        }
        let excluded = params.exclude_cn_from_sans || self.fields.cn_from_spiffe_path;
        if !common_name.is_empty() && !excluded {
            add_name(common_name, &mut names).or_else(RoleViolation::new)?;
        }
        if from_csr.is_none() {
            add_listed(params.alt_names.as_deref(), &mut names, warnings)
                .or_else(RoleViolation::new)?;
        }
        names.dns = deduplicated(&names.dns);
        names.email = deduplicated(&names.email);
        names.email.sort();
        Ok(names)
    }

    /// Step 13.
    fn check_common_name(
        &self,
        params: &CertificateParams,
        csr: Option<&CsrFields>,
        name: &str,
    ) -> Result<(), RoleViolation> {
        if name.is_empty() || self.fields.cn_from_spiffe_path || self.allows_common_name(name) {
            return Ok(());
        }
        let text = format!("common name {name} not allowed by this role");
        Err(RoleViolation { text, hint: self.common_name_hint(params, csr, name) })
    }

    /// Step 14.
    fn subject_serial_number(
        &self,
        params: &CertificateParams,
        csr: Option<&CsrFields>,
    ) -> Result<String, RoleViolation> {
        let from_csr = csr
            .filter(|_| self.fields.serial_number_source == "json-csr")
            .map(|csr| csr.serial_number.as_str())
            .unwrap_or_default();
        let value = if params.serial_number.is_empty() { from_csr } else { &params.serial_number };
        refuse_control("serial_number", value).or_else(RoleViolation::new)?;
        let allowed = &self.fields.allowed_serial_numbers;
        if !value.is_empty() && !allowed.iter().any(|pattern| glob::matches(pattern, value)) {
            return RoleViolation::with(
                format!("serial_number {value} not allowed by this role"),
                self.value_hint(value, ("allowed_serial_numbers", allowed)),
            );
        }
        Ok(value.to_owned())
    }

    /// Steps 15 and 16.
    fn check_names(&self, names: &AlternativeNames) -> Result<(), RoleViolation> {
        if let Some(name) = names.dns.iter().find(|name| !self.allows_name(name)) {
            return RoleViolation::with(
                format!("subject alternate name {name} not allowed by this role"),
                self.name_hint(name),
            );
        }
        if let Some(name) = names.email.iter().find(|name| !self.allows_name(name)) {
            return RoleViolation::with(
                format!("email address {name} not allowed by this role"),
                self.name_hint(name),
            );
        }
        refuse_malformed(names).or_else(RoleViolation::new)
    }

    /// Step 17.
    fn other_sans(
        &self,
        params: &CertificateParams,
        csr: Option<&CsrFields>,
    ) -> Result<Vec<crate::ca::permit::OtherName>, RoleViolation> {
        let mut names = Vec::new();
        for text in &params.other_sans {
            names.push(other_name(text).or_else(|why| {
                RoleViolation::new(format!("could not parse requested other SAN: {why}"))
            })?);
        }
        if let Some(csr) = csr.filter(|_| self.fields.use_csr_sans) {
            if csr.has_unreadable_other_name {
                return RoleViolation::new(
                    "could not parse requested other SAN: no UTF-8 string found in OtherName",
                );
            }
            names.extend(csr.names.other.iter().cloned());
        }
        for name in &names {
            refuse_control("other SAN", &name.value).or_else(RoleViolation::new)?;
        }
        let OtherSans::Globs(allowed) = &self.other_sans else { return Ok(names) };
        let hint = |name: &crate::ca::permit::OtherName| {
            let value = format!("{};UTF8:{}", name.oid, name.value);
            self.value_hint(&value, ("allowed_other_sans", &self.fields.allowed_other_sans))
        };
        for name in &names {
            let mut same_type = allowed.iter().filter(|allowed| allowed.oid == name.oid).peekable();
            if same_type.peek().is_none() {
                let text = format!("other SAN OID {} not allowed by this role", name.oid);
                return RoleViolation::with(text, hint(name));
            }
            if !same_type.any(|allowed| glob::matches(&allowed.value, &name.value)) {
                return RoleViolation::with(
                    format!(
                        "other SAN {} not allowed for OID {} by this role",
                        name.value, name.oid
                    ),
                    hint(name),
                );
            }
        }
        Ok(names)
    }

    /// Steps 18 and 19.
    fn ip_sans(
        &self,
        params: &CertificateParams,
        csr: Option<&CsrFields>,
    ) -> Result<Vec<IpAddr>, RoleViolation> {
        let from_csr = csr.filter(|_| self.fields.use_csr_sans);
        let via = if from_csr.is_some() { "CSR" } else { "the API" };
        let asked = from_csr.map_or(params.ip_sans.len(), |csr| csr.names.ip.len());
        if asked > 0 && !self.fields.allow_ip_sans {
            return RoleViolation::with(
                format!(
                    "IP Subject Alternative Names are not allowed in this role, but was provided via {via}"
                ),
                self.address_hint(""),
            );
        }
        let addresses = match from_csr {
            Some(csr) => csr.names.ip.clone(),
            None => addresses(&params.ip_sans).or_else(RoleViolation::new)?,
        };
        let outside = |address: &&IpAddr| {
            !self.ip_ranges.is_empty()
                && !self.ip_ranges.iter().any(|range| range.contains(**address))
        };
        if let Some(address) = addresses.iter().find(outside) {
            return RoleViolation::with(
                format!("the IP address \"{address}\" is not allowed in this role"),
                self.address_hint(&address.to_string()),
            );
        }
        Ok(addresses)
    }

    /// Steps 20 to 22.
    fn uri_sans(
        &self,
        params: &CertificateParams,
        csr: Option<&CsrFields>,
    ) -> Result<Vec<String>, RoleViolation> {
        let from_csr = csr.filter(|_| self.fields.use_csr_sans);
        let (via, asked) = match from_csr {
            Some(csr) => ("CSR", &csr.names.uri),
            None => ("the API", &params.uri_sans),
        };
        let Some(first) = asked.first() else { return Ok(Vec::new()) };
        if self.fields.allowed_uri_sans.is_empty() {
            return RoleViolation::with(
                format!(
                    "URI Subject Alternative Names are not allowed in this role, but were provided via {via}"
                ),
                self.uri_hint(first),
            );
        }
        // A parameter is compared as it was sent, a URI of a CSR as it will be written
        // (`docs/dev/vault-pki.md`, "Patterns").
        let allowed = |uri: &&String| match from_csr {
            None => self.allows_uri(uri),
            Some(_) => canonical(uri).is_some_and(|written| self.allows_uri(&written)),
        };
        if let Some(other) = asked.iter().find(|uri| !allowed(uri)) {
            return RoleViolation::with(
                format!(
                    "URI Subject Alternative Names were provided via {via} which are not valid for this role"
                ),
                self.uri_hint(other),
            );
        }
        uris(asked, SubjectKind::Leaf).or_else(RoleViolation::new)
    }

    /// Does a pattern of the role allow this URI?
    pub(super) fn allows_uri(&self, uri: &str) -> bool {
        self.fields.allowed_uri_sans.iter().any(|pattern| glob::matches(pattern, uri))
    }

    /// Step 25.
    fn user_ids(
        &self,
        params: &CertificateParams,
        csr: Option<&CsrFields>,
    ) -> Result<Vec<String>, RoleViolation> {
        let ids = match csr {
            Some(csr) if params.user_ids.is_empty() => &csr.user_ids,
            _ => &params.user_ids,
        };
        let allowed = |id: &str| {
            self.fields.allowed_user_ids.iter().any(|pattern| {
                if pattern.contains('*') {
                    glob::matches(pattern, id)
                } else {
                    pattern.eq_ignore_ascii_case(id)
                }
            })
        };
        for id in ids {
            refuse_control("user_id", id).or_else(RoleViolation::new)?;
        }
        match ids.iter().find(|id| !allowed(id)) {
            Some(id) => RoleViolation::with(
                format!("user_id {id} is not allowed by this role"),
                self.value_hint(id, ("allowed_user_ids", &self.fields.allowed_user_ids)),
            ),
            None => Ok(ids.iter().filter(|id| !id.is_empty()).cloned().collect()),
        }
    }

    /// Signet's `cn_from_spiffe_path`: the path without its slash, at most 64 characters
    /// (RFC 5280, ub-common-name).
    fn resolve_common_name(
        &self,
        asked: String,
        names: &AlternativeNames,
    ) -> Result<String, RoleViolation> {
        if !self.fields.cn_from_spiffe_path {
            return Ok(asked);
        }
        let id = match names.uri.as_slice() {
            [only] => SpiffeId::parse(only).ok().filter(|id| !id.path().is_empty()),
            _ => None,
        };
        let Some(id) = id else {
            return RoleViolation::new(
                "this role takes the common name from the path of a SPIFFE ID: exactly one URI SAN, a SPIFFE ID with a path, is required",
            );
        };
        let name = id.path().trim_start_matches('/').to_owned();
        if name.len() > 64 {
            return RoleViolation::new(format!(
                "the path of {id} is longer than the 64 characters that a common name may have"
            ));
        }
        if !asked.is_empty() && asked != name {
            return RoleViolation::new(format!("common name {asked} not allowed by this role"));
        }
        Ok(name)
    }

    fn subject(
        &self,
        common_name: String,
        serial_number: String,
        user_ids: Vec<String>,
    ) -> Subject {
        let fields = &self.fields;
        Subject {
            country: deduplicated(&fields.country),
            organization: deduplicated(&fields.organization),
            organizational_unit: deduplicated(&fields.ou),
            locality: deduplicated(&fields.locality),
            province: deduplicated(&fields.province),
            street_address: deduplicated(&fields.street_address),
            postal_code: deduplicated(&fields.postal_code),
            common_name,
            serial_number,
            user_ids,
        }
    }

    /// RFC 5480, 3: keyEncipherment must not be set for a key that only signs and agrees; Vault's
    /// default role sets it on every leaf (`docs/compatibility.md`).
    const fn key_usage_for(&self, key: KeyKind) -> KeyUsage {
        match key {
            KeyKind::Rsa(_) => self.key_usage,
            KeyKind::Ec(_) | KeyKind::Ed25519 => self.key_usage.without(KeyUsage::KEY_ENCIPHERMENT),
        }
    }

    /// The strictest SPIFFE client refuses a leaf without basic constraints
    /// (`docs/compatibility.md`).
    fn basic_constraints(&self, names: &AlternativeNames) -> BasicConstraints {
        let is_svid = names.uri.iter().any(|uri| has_spiffe_scheme(uri));
        if is_svid || self.fields.basic_constraints_valid_for_non_ca {
            BasicConstraints::EndEntity
        } else {
            BasicConstraints::Absent
        }
    }
}
