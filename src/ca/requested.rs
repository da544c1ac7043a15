//! Extensions that the CSR of an authority requests (`use_csr_values`): parsed, checked and encoded
//! again, or refused. What cannot be parsed here is not signed, so that verifiers interpret a
//! certificate in the same way as its issuer.

use std::collections::BTreeSet;

use super::alternative_names::{SubjectKind, add_address, refuse_malformed, uris};
use super::asn1::{DerError, DerReader, NamedBits, TaggedValue, encode, tag};
use super::control::{first_control, refuse_control};
use super::copied_extensions;
use super::csr::ParsedCsr;
use super::distinguished_name;
use super::extensions::{self, CPS, USER_NOTICE};
use super::general_names::{self, URI};
use super::name_constraints;
use super::oid::ObjectIdentifier;
use super::permit::{AlternativeNames, KeyUsage, Policy, RawExtension};
use super::role::RoleViolation;
use crate::go::{self, idna::to_ascii};

/// What is taken from the CSR of an authority.
#[derive(Debug, Default)]
pub(in crate::ca) struct Requested {
    /// The alternative names, which are also among the extensions.
    pub(in crate::ca) names: AlternativeNames,
    /// The extensions, encoded again.
    pub(in crate::ca) extensions: Vec<RawExtension>,
    /// Warnings for the caller.
    pub(in crate::ca) warnings: Vec<String>,
}

/// The parameters that replace extensions of the CSR.
#[derive(Clone, Copy, Debug)]
pub(in crate::ca) struct ParameterOverrides {
    /// Name constraints were sent.
    pub(in crate::ca) name_constraints: bool,
    /// A subject key identifier was sent.
    pub(in crate::ca) subject_key_identifier: bool,
    /// Key usages were sent.
    pub(in crate::ca) key_usage: bool,
    /// Extended key usages were sent.
    pub(in crate::ca) extended_key_usage: bool,
}

impl ParameterOverrides {
    /// What decides on this extension instead of the CSR, if anything.
    const fn source(self, oid: &ObjectIdentifier) -> Option<&'static str> {
        let parameter = match *oid {
            extensions::AUTHORITY_KEY_IDENTIFIER | copied_extensions::ISSUER_ALT_NAME => {
                return Some("the issuer");
            }
            extensions::SUBJECT_KEY_IDENTIFIER if self.subject_key_identifier => "skid",
            extensions::KEY_USAGE if self.key_usage => "key_usage",
            extensions::EXTENDED_KEY_USAGE if self.extended_key_usage => "ext_key_usage",
            _ => return None,
        };
        Some(parameter)
    }
}

/// Takes names and extensions from the CSR. A requester chooses neither basic constraints
/// (`docs/dev/vault-pki.md`, "Signing an intermediate") nor the issuer of the certificate.
///
/// # Errors
/// Names the extension and what is wrong with it.
pub(in crate::ca) fn from_csr(
    csr: &ParsedCsr,
    overrides: ParameterOverrides,
) -> Result<Requested, RoleViolation> {
    let mut taken = Requested::default();
    let subject_is_empty = csr.subject() == distinguished_name::EMPTY;
    check_subject(csr)?;
    for asked in csr.extensions() {
        let oid = asked.oid;
        if let Some(decides) = overrides.source(&oid) {
            let name = name_of(&oid);
            taken.warnings.push(format!(
                "Signet: the CSR's {name} is not in the certificate, as {decides} decides on it"
            ));
            continue;
        }
        let value = match oid {
            extensions::BASIC_CONSTRAINTS => continue,
            extensions::NAME_CONSTRAINTS if overrides.name_constraints => {
                return refuse(
                    "the request and its CSR both contain name constraints; leave one of them out",
                );
            }
            extensions::SUBJECT_ALT_NAME => {
                taken.names = alternative_names(csr)?;
                general_names::encode(&taken.names)
            }
            _ => encode_again(&oid, &asked.value).map_err(|why| extension_error(&oid, &why))?,
        };
        // RFC 5280, 4.2.1.6 and 4.2.1.10: critical.
        let critical = match oid {
            extensions::SUBJECT_ALT_NAME => asked.critical || subject_is_empty,
            extensions::NAME_CONSTRAINTS => true,
            _ => copied_extensions::criticality(&oid, asked.critical),
        };
        if critical && name_of(&oid) == UNNAMED && !copied_extensions::is_known(&oid) {
            taken.warnings.push(format!(
                "Signet: the CSR's extension {oid} is critical: verifiers that do not support it refuse the certificate (RFC 5280, 4.2)"
            ));
        }
        taken.extensions.push(RawExtension { oid, critical, value });
    }
    if subject_is_empty && taken.names.is_empty() {
        return refuse(
            "the CSR has neither a subject nor subject alternative names, so that the certificate would name nothing; send names without use_csr_values",
        );
    }
    Ok(taken)
}

fn refuse<T>(text: impl Into<String>) -> Result<T, RoleViolation> {
    Err(RoleViolation { text: text.into(), hint: None })
}

/// The longest subject key identifier, in bytes: the length of a SHA-512 hash.
pub(in crate::ca) const MAX_KEY_IDENTIFIER: usize = 64;

const UNNAMED: &str = "extension";

fn name_of(oid: &ObjectIdentifier) -> &'static str {
    match *oid {
        extensions::AUTHORITY_KEY_IDENTIFIER => "authority key identifier",
        extensions::SUBJECT_KEY_IDENTIFIER => "subject key identifier",
        extensions::KEY_USAGE => "key usage",
        extensions::EXTENDED_KEY_USAGE => "extended key usage",
        extensions::NAME_CONSTRAINTS => "name constraints",
        extensions::CERTIFICATE_POLICIES => "certificate policies",
        extensions::CRL_DISTRIBUTION_POINTS => "CRL distribution points",
        extensions::FRESHEST_CRL => "freshest CRL",
        extensions::AUTHORITY_INFO_ACCESS => "authority information access",
        copied_extensions::ISSUER_ALT_NAME => "issuer alternative name",
        extensions::SUBJECT_ALT_NAME => "subject alternative names",
        _ => UNNAMED,
    }
}

fn extension_error(oid: &ObjectIdentifier, why: &str) -> RoleViolation {
    let name = name_of(oid);
    let text = if *oid == extensions::KEY_USAGE && why.starts_with("lacks") {
        format!(
            "the CSR's key usage {why}; leave key usage out of the CSR, or do not set use_csr_values"
        )
    } else {
        format!(
            "the CSR's {name} ({oid}) cannot be taken into the certificate: {why}; leave it out of the CSR, or do not set use_csr_values"
        )
    };
    RoleViolation { text, hint: None }
}

/// Checks the whole subject, since it is copied byte for byte.
fn check_subject(csr: &ParsedCsr) -> Result<(), RoleViolation> {
    let defect = DerReader::new(csr.subject())
        .sequence("pkix.RDNSequence")
        .and_then(|name| distinguished_name::find_defect(name.rest()));
    match defect {
        Ok(None) => Ok(()),
        Ok(Some(why)) => refuse(format!("the CSR's subject cannot be taken: {why}")),
        Err(why) => refuse(format!("the CSR's subject cannot be taken: {why}")),
    }
}

/// The alternative names of the CSR, each checked like a parameter.
fn alternative_names(csr: &ParsedCsr) -> Result<AlternativeNames, RoleViolation> {
    let wrong = |why: &str| {
        refuse(format!(
            "the CSR's subject alternative names cannot be taken into the certificate: {why}; leave them out of the CSR, or do not set use_csr_values"
        ))
    };
    let asked = csr.names();
    if csr.has_unreadable_other_name() {
        return wrong("an otherName is not a UTF8String");
    }
    if let Some(kind) = csr.unsupported_names().first() {
        return wrong(&format!("{kind} is not supported"));
    }
    if asked.is_empty() {
        return wrong("there is no name");
    }
    let mut names = AlternativeNames { ip: asked.ip.clone(), ..AlternativeNames::default() };
    for name in &asked.dns {
        refuse_control("DNS name", name).or_else(refuse)?;
        let is_name = !name.is_empty()
            && name.bytes().all(|byte| byte.is_ascii_graphic())
            && to_ascii(name).is_ok_and(|ascii| ascii == *name);
        if !is_name {
            return wrong(&format!("{} is not a DNS name", go::quote(name)));
        }
        names.dns.push(name.clone());
    }
    for address in &asked.email {
        if !address.contains('@') || address.contains(' ') {
            return wrong(&format!("{} is not an e-mail address", go::quote(address)));
        }
        add_address(address, &mut names).or_else(refuse)?;
    }
    for other in &asked.other {
        refuse_control("otherName", &other.value).or_else(refuse)?;
        names.other.push(other.clone());
    }
    refuse_malformed(&names).or_else(refuse)?;
    names.uri = uris(&asked.uri, SubjectKind::Authority).or_else(refuse)?;
    Ok(names)
}

/// The value of an extension, parsed to its end and encoded again.
fn encode_again(oid: &ObjectIdentifier, value: &[u8]) -> Result<Vec<u8>, String> {
    let plain = |error: DerError| error.to_string();
    let mut reader = DerReader::new(value);
    match *oid {
        extensions::SUBJECT_KEY_IDENTIFIER => {
            let identifier = reader.expect(tag::OCTET_STRING, "[]uint8").map_err(plain)?.content;
            reader.end().map_err(plain)?;
            if identifier.is_empty() || identifier.len() > MAX_KEY_IDENTIFIER {
                return Err(format!("it must have 1 to {MAX_KEY_IDENTIFIER} bytes"));
            }
            Ok(encode(&TaggedValue::of(tag::OCTET_STRING, identifier)))
        }
        extensions::KEY_USAGE => {
            let usage = reader.named_bits().map_err(plain)?;
            reader.end().map_err(plain)?;
            key_usage(KeyUsage(usage), value.len())
        }
        extensions::EXTENDED_KEY_USAGE => {
            let usages = identifiers(value).map_err(plain)?;
            if usages.is_empty() {
                return Err("it names no usage".to_owned());
            }
            Ok(encode(&usages))
        }
        extensions::NAME_CONSTRAINTS => {
            let constraints = name_constraints::read(value)?;
            if constraints.has_an_empty_host() {
                return Err(
                    "a subtree is an empty e-mail address or host of URIs, which Java rejects"
                        .to_owned(),
                );
            }
            Ok(extensions::name_constraints(&constraints))
        }
        extensions::CERTIFICATE_POLICIES => Ok(extensions::policy_list(&policies(value)?)),
        extensions::CRL_DISTRIBUTION_POINTS | extensions::FRESHEST_CRL => {
            points(value)?;
            Ok(value.to_vec())
        }
        extensions::AUTHORITY_INFO_ACCESS | copied_extensions::SUBJECT_INFO_ACCESS => {
            descriptions(value)?;
            Ok(value.to_vec())
        }
        _ => {
            copied_extensions::check(oid, value)?;
            Ok(value.to_vec())
        }
    }
}

/// RFC 5280, 4.2.1.3: an authority whose key usage lacks keyCertSign can sign nothing. Vault signs
/// it; here it is an error of the request (`docs/compatibility.md`, "What differs, on purpose").
fn key_usage(usage: KeyUsage, length: usize) -> Result<Vec<u8>, String> {
    const KNOWN: u16 = (1 << 9) - 1;
    // Nine bits need two bytes: tag, length, unused bits, and no more than these.
    if usage.0 & !KNOWN != 0 || length > 5 {
        return Err("it has bits that RFC 5280 does not name".to_owned());
    }
    let one_way = [KeyUsage::ENCIPHER_ONLY, KeyUsage::DECIPHER_ONLY];
    if one_way.iter().any(|bit| usage.contains(*bit)) && !usage.contains(KeyUsage::KEY_AGREEMENT) {
        return Err("it has encipherOnly or decipherOnly without keyAgreement".to_owned());
    }
    if !usage.contains(KeyUsage::KEY_CERT_SIGN) {
        return Err("lacks keyCertSign, so that the certificate could not sign".to_owned());
    }
    Ok(encode(&NamedBits(usage.0)))
}

/// A SEQUENCE of object identifiers, each once.
fn identifiers(value: &[u8]) -> Result<Vec<ObjectIdentifier>, DerError> {
    let mut outer = DerReader::new(value);
    let mut list = outer.sequence("[]asn1.ObjectIdentifier")?;
    outer.end()?;
    let (mut found, mut seen) = (Vec::new(), BTreeSet::new());
    while !list.is_empty() {
        let oid = list.oid()?;
        if seen.insert(oid) {
            found.push(oid);
        }
    }
    Ok(found)
}

/// RFC 5280, 4.2.1.4: each policy once, with a CPS and a notice of text at most.
fn policies(value: &[u8]) -> Result<Vec<Policy>, String> {
    let plain = |error: DerError| error.to_string();
    let mut outer = DerReader::new(value);
    let mut list = outer.sequence("[]x509.policyInformation").map_err(plain)?;
    outer.end().map_err(plain)?;
    let (mut found, mut seen) = (Vec::new(), BTreeSet::new());
    while !list.is_empty() {
        let mut fields = list.sequence("x509.policyInformation").map_err(plain)?;
        let oid = fields.oid().map_err(plain)?;
        let mut policy = Policy { oid, cps: None, notice: None };
        if !fields.is_empty() {
            let mut qualifiers = fields.sequence("[]x509.policyQualifier").map_err(plain)?;
            fields.end().map_err(plain)?;
            while !qualifiers.is_empty() {
                qualifier(&mut qualifiers, &mut policy)?;
            }
        }
        if !seen.insert(oid) {
            return Err(format!("the policy {oid} occurs twice"));
        }
        found.push(policy);
    }
    if found.is_empty() { Err("it names no policy".to_owned()) } else { Ok(found) }
}

fn qualifier(list: &mut DerReader<'_>, policy: &mut Policy) -> Result<(), String> {
    let plain = |error: DerError| error.to_string();
    let mut fields = list.sequence("x509.policyQualifierInfo").map_err(plain)?;
    let kind = fields.oid().map_err(plain)?;
    let (target, content) = match kind {
        CPS => {
            let text = fields.expect(tag::IA5_STRING, "string").map_err(plain)?;
            (&mut policy.cps, text.content)
        }
        USER_NOTICE => {
            let mut notice = fields.sequence("x509.userNotice").map_err(plain)?;
            let text = notice.expect(tag::UTF8_STRING, "string").map_err(plain)?;
            notice.end().map_err(plain)?;
            (&mut policy.notice, text.content)
        }
        other => return Err(format!("a policy has the qualifier {other}")),
    };
    fields.end().map_err(plain)?;
    let text = std::str::from_utf8(content).map_err(|_| "a qualifier is not text".to_owned())?;
    if first_control(text).is_some() || (kind == CPS && !text.is_ascii()) {
        return Err("a qualifier contains a character that is not allowed".to_owned());
    }
    if target.replace(text.to_owned()).is_some() {
        return Err("a policy has a qualifier twice".to_owned());
    }
    Ok(())
}

/// RFC 5280, 4.2.1.13: distribution points that are URIs.
fn points(value: &[u8]) -> Result<(), String> {
    let plain = |error: DerError| error.to_string();
    let mut outer = DerReader::new(value);
    let mut list = outer.sequence("[]x509.distributionPoint").map_err(plain)?;
    outer.end().map_err(plain)?;
    if list.is_empty() {
        return Err("it names no location".to_owned());
    }
    while !list.is_empty() {
        let mut point = list.sequence("x509.distributionPoint").map_err(plain)?;
        let name = point.expect(tag::explicit(0), "x509.distributionPointName").map_err(plain)?;
        point.end().map_err(|_| "a point has reasons or an issuer of its own".to_owned())?;
        let mut name = DerReader::new(name.content);
        let full = name.expect(tag::explicit(0), "[]asn1.RawValue").map_err(plain)?;
        name.end().map_err(plain)?;
        let mut locations = DerReader::new(full.content);
        if locations.is_empty() {
            return Err("it names no location".to_owned());
        }
        while !locations.is_empty() {
            check_location(&mut locations)?;
        }
    }
    Ok(())
}

/// RFC 5280, 4.2.2.1: descriptions whose location is a URI.
fn descriptions(value: &[u8]) -> Result<(), String> {
    let plain = |error: DerError| error.to_string();
    let mut outer = DerReader::new(value);
    let mut list = outer.sequence("[]x509.accessDescription").map_err(plain)?;
    outer.end().map_err(plain)?;
    if list.is_empty() {
        return Err("it names no location".to_owned());
    }
    while !list.is_empty() {
        let mut description = list.sequence("x509.accessDescription").map_err(plain)?;
        description.oid().map_err(plain)?;
        check_location(&mut description)?;
        description.end().map_err(plain)?;
    }
    Ok(())
}

/// A GeneralName that is a URI.
fn check_location(names: &mut DerReader<'_>) -> Result<(), String> {
    let name = names.any().map_err(|error| error.to_string())?;
    let text = std::str::from_utf8(name.content).ok().filter(|_| name.tag == URI);
    match text {
        Some(text) if text.is_ascii() && go::url::canonical(text).is_some() => Ok(()),
        _ => Err("a location is not a URI".to_owned()),
    }
}
