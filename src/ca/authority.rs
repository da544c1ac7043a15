//! Permits for authorities: roots, intermediates, and the requests for them
//! (`docs/dev/vault-pki.md`, "Authorities").
//!
//! Roles do not apply to authorities: a caller with access to these paths may request any name.
//! Only the encoding of the certificate and the constraints of the issuers above it are checked.

use crate::ca::oid::ObjectIdentifier;

use super::alternative_names::{
    SubjectKind, add_listed, add_name, addresses, deduplicated, refuse_malformed, relative_uri,
    uris,
};
use super::control::refuse_control;
use super::csr::ParsedCsr;
use super::dropped;
use super::key::{KeyKind, SignatureAlgorithm, SignaturePreference};
use super::name_constraints::NameConstraintParams;
use super::name_limits::IssuerLimits;
use super::permit::{
    AlternativeNames, BasicConstraints, IssuingUrls, KeyUsage, Permit, Subject, SubjectName,
    Template,
};
use super::requested::{self, MAX_KEY_IDENTIFIER, ParameterOverrides};
use super::role::{
    CertificateParams, NotAfterRules, NotBeforeRules, RequestedValidity, RoleViolation, TtlLimits,
    choose_end, choose_start, extended_key_usages, key_usages, other_name,
};
use super::time::Timestamp;

/// The parameters of a request for an authority.
#[derive(Clone, Debug, Default)]
pub struct CaCertificateParams {
    /// Names and validity.
    pub params: CertificateParams,
    /// Subject attributes by Vault's field names.
    pub subject: Subject,
    /// Backdating in seconds.
    pub not_before_duration: i64,
    /// `max_path_length`, if it was sent.
    pub max_path_length: Option<i64>,
    /// Name constraints.
    pub constraints: NameConstraintParams,
    /// `key_usage`
    pub key_usage: Vec<String>,
    /// `ext_key_usage`
    pub ext_key_usage: Vec<String>,
    /// Take subject and extensions from the CSR.
    pub use_csr_values: bool,
    /// `skid`, hexadecimal.
    pub subject_key_identifier: String,
    /// `signature_bits`
    pub signature_bits: i64,
    /// `use_pss`
    pub use_pss: bool,
}

/// What the certificates of the issuer and of the issuers above it allow below them.
#[derive(Clone, Copy, Debug)]
pub struct IssuerConstraints<'a> {
    /// Name constraints and path length of the issuer and of those above it.
    pub limits: &'a IssuerLimits,
    /// Its notAfter.
    pub not_after: Timestamp,
    /// The kind of its key.
    pub key_kind: KeyKind,
}

const W_EXPIRES_LATER: &str = "The expiration time for the signed certificate is after the CA's expiration time. If the new certificate is not treated as a root, validation paths with the certificate past the issuing CA's expiration time will fail.";
const W_NO_SUBJECT: &str = "This issuer certificate was generated without a Subject; this makes it likely that issuing leaf certs with this certificate will cause TLS validation libraries to reject this certificate.";

impl CaCertificateParams {
    /// The permit for a root.
    pub fn permit_root(
        &self,
        limits: TtlLimits,
        urls: IssuingUrls,
        now: Timestamp,
    ) -> Result<Permit, RoleViolation> {
        let mut warnings = Vec::new();
        self.check_characters()?;
        let names = names(&self.params, &mut warnings)?;
        let (not_before, not_after) = self.validity(limits, now, &mut warnings)?;
        let subject = self.composed_subject(&self.params.common_name, &self.params.serial_number);
        if subject == Subject::default() {
            warnings.push(W_NO_SUBJECT.to_owned());
        }
        let path_length = self.asked_path_length()?.flatten();
        let mut template = self.template(
            SubjectName::Composed(subject),
            names,
            (not_before, not_after),
            path_length,
            urls,
        )?;
        template.signature = self.signature_preference(false)?;
        Ok(Permit::new(template, warnings))
    }

    /// The permit for an intermediate that an issuer of the mount signs.
    pub fn permit_intermediate(
        &self,
        csr: &ParsedCsr,
        issuer: IssuerConstraints<'_>,
        limits: TtlLimits,
        urls: IssuingUrls,
        now: Timestamp,
    ) -> Result<Permit, RoleViolation> {
        let mut warnings = Vec::new();
        self.check_characters()?;
        let skid = self.skid()?;
        let mut params = self.params.clone();
        if params.common_name.is_empty() {
            csr.common_name().clone_into(&mut params.common_name);
        }
        let names = if self.use_csr_values {
            AlternativeNames::default()
        } else {
            names(&params, &mut warnings)?
        };
        let (not_before, not_after) = self.validity(limits, now, &mut warnings)?;
        if not_after > issuer.not_after {
            warnings.insert(0, W_EXPIRES_LATER.to_owned());
        }
        let serial_number = if params.serial_number.is_empty() {
            csr.serial_number()
        } else {
            &params.serial_number
        };
        for (what, text) in
            [("common name", &*params.common_name), ("serial number", serial_number)]
        {
            if !self.use_csr_values {
                refuse_control(what, text).map_err(|text| RoleViolation { text, hint: None })?;
            }
        }
        let subject = if self.use_csr_values {
            SubjectName::Verbatim(csr.subject().to_vec())
        } else {
            SubjectName::Composed(self.composed_subject(&params.common_name, serial_number))
        };
        if subject.is_empty() {
            // Before those of the values (`docs/dev/vault-pki.md`, "Signing an intermediate").
            let position = usize::from(not_after > issuer.not_after);
            warnings.insert(position, W_NO_SUBJECT.to_owned());
        }
        let path_length = self.path_length_below(issuer.limits.path_length(), &mut warnings)?;
        let mut template =
            self.template(subject, names, (not_before, not_after), path_length, urls)?;
        template.subject_key_identifier = skid;
        template.signature = self.signature_preference(true)?;
        warnings.extend(self.ineffective_parameters(issuer.key_kind, true));
        if self.use_csr_values {
            self.copy_from_csr(csr, &mut template, &mut warnings)?;
        } else {
            warnings.extend(dropped::from_authority(csr, &template.names));
        }
        issuer.limits.check(&template)?;
        Ok(Permit::new(template, warnings))
    }

    /// Copies names and extensions of the CSR, except those that parameters override.
    fn copy_from_csr(
        &self,
        csr: &ParsedCsr,
        template: &mut Template,
        warnings: &mut Vec<String>,
    ) -> Result<(), RoleViolation> {
        let overrides = ParameterOverrides {
            name_constraints: template.name_constraints.is_some(),
            subject_key_identifier: template.subject_key_identifier.is_some(),
            key_usage: !self.key_usage.is_empty(),
            extended_key_usage: !template.extended_key_usage.is_empty(),
        };
        let taken = requested::from_csr(csr, overrides)?;
        template.names = taken.names;
        template.verbatim_extensions = taken.extensions;
        warnings.extend(taken.warnings);
        warnings.extend(self.ignored_parameters());
        Ok(())
    }

    /// A warning about the parameters that `use_csr_values` replaces by those of the CSR
    /// (`docs/dev/vault-pki.md`, "Signing an intermediate").
    fn ignored_parameters(&self) -> Option<String> {
        let params = &self.params;
        let sent = [
            ("common_name", !params.common_name.is_empty()),
            ("alt_names", params.alt_names.as_ref().is_some_and(|names| !names.is_empty())),
            ("ip_sans", !params.ip_sans.is_empty()),
            ("uri_sans", !params.uri_sans.is_empty()),
            ("other_sans", !params.other_sans.is_empty()),
            ("serial_number", !params.serial_number.is_empty()),
            ("subject attributes", self.subject != Subject::default()),
        ];
        let sent: Vec<_> = sent.iter().filter(|(_, is)| *is).map(|(name, _)| *name).collect();
        (!sent.is_empty()).then(|| {
            format!(
                "Signet: use_csr_values is set, so these parameters are ignored: {}",
                sent.join(", ")
            )
        })
    }

    /// The requested signature algorithm. As in Vault, an EC key uses the hash of its curve for its
    /// own certificate and the requested hash for others.
    ///
    /// # Errors
    /// Refuses a hash size other than 256, 384 and 512.
    pub fn signature_preference(
        &self,
        ec_takes_bits: bool,
    ) -> Result<SignaturePreference, RoleViolation> {
        let bits = match self.signature_bits {
            0 => 0,
            256 => 256,
            384 => 384,
            512 => 512,
            other => {
                return Err(RoleViolation {
                    text: format!("unsupported hash signature algorithm: {other}"),
                    hint: None,
                });
            }
        };
        Ok(SignaturePreference { bits, pss: self.use_pss, ec_takes_bits })
    }

    /// Warnings about parameters that have no effect with a key of this kind.
    pub fn ineffective_parameters(&self, signer: KeyKind, ec_takes_bits: bool) -> Vec<String> {
        let Ok(preference) = self.signature_preference(ec_takes_bits) else { return Vec::new() };
        let algorithm = SignatureAlgorithm::choose(signer, preference);
        let asked = SignatureAlgorithm::choose(
            signer,
            SignaturePreference { ec_takes_bits: true, ..preference },
        );
        let is_edwards = signer == KeyKind::Ed25519;
        let other_hash = preference.bits != 0 && (is_edwards || algorithm != asked);
        let other_padding = self.use_pss && !matches!(signer, KeyKind::Rsa(_));
        [("signature_bits", other_hash), ("use_pss", other_padding)]
            .into_iter()
            .filter(|(_, is_ineffective)| *is_ineffective)
            .map(|(parameter, _)| {
                format!(
                    "Signet: {parameter} has no effect on this key, which signs with {algorithm}"
                )
            })
            .collect()
    }

    /// Subject and names of a CSR for an external issuer.
    pub fn csr_subject(
        &self,
        warnings: &mut Vec<String>,
    ) -> Result<(Subject, AlternativeNames), RoleViolation> {
        self.check_characters()?;
        let subject = self.composed_subject(&self.params.common_name, &self.params.serial_number);
        Ok((subject, names(&self.params, warnings)?))
    }

    /// Refuses control characters in the subject; [`names`] checks the alternative names.
    fn check_characters(&self) -> Result<(), RoleViolation> {
        let given = &self.subject;
        let lists = [
            ("country", given.country.as_slice()),
            ("organization", &given.organization),
            ("ou", &given.organizational_unit),
            ("locality", &given.locality),
            ("province", &given.province),
            ("street_address", &given.street_address),
            ("postal_code", &given.postal_code),
            ("common_name", std::slice::from_ref(&self.params.common_name)),
            ("serial_number", std::slice::from_ref(&self.params.serial_number)),
        ];
        for (what, texts) in lists {
            for text in texts {
                refuse_control(what, text).map_err(|text| RoleViolation { text, hint: None })?;
            }
        }
        Ok(())
    }

    fn composed_subject(&self, common_name: &str, serial_number: &str) -> Subject {
        let given = &self.subject;
        Subject {
            country: deduplicated(&given.country),
            organization: deduplicated(&given.organization),
            organizational_unit: deduplicated(&given.organizational_unit),
            locality: deduplicated(&given.locality),
            province: deduplicated(&given.province),
            street_address: deduplicated(&given.street_address),
            postal_code: deduplicated(&given.postal_code),
            common_name: common_name.to_owned(),
            serial_number: serial_number.to_owned(),
            user_ids: Vec::new(),
        }
    }

    fn validity(
        &self,
        limits: TtlLimits,
        now: Timestamp,
        warnings: &mut Vec<String>,
    ) -> Result<(Timestamp, Timestamp), RoleViolation> {
        let requested = RequestedValidity {
            ttl: self.params.ttl,
            not_after: &self.params.not_after,
            not_before: &self.params.not_before,
        };
        let backdate = self.not_before_duration;
        // Roles do not apply to authorities, so backdating is not limited.
        let rules = NotBeforeRules { fixed: "", bound: "permit", backdate, may_backdate: true };
        let start = choose_start(rules, requested, now)?;
        let rules =
            NotAfterRules { fixed: "", bound: "permit", limits, max_bounds_not_after: false };
        let end = choose_end(rules, requested, now, warnings)?;
        super::role::check_order(start, end)?;
        Ok((start, end))
    }

    fn template(
        &self,
        subject: SubjectName,
        names: AlternativeNames,
        (not_before, not_after): (Timestamp, Timestamp),
        path_length: Option<u8>,
        urls: IssuingUrls,
    ) -> Result<Template, RoleViolation> {
        // keyCertSign and cRLSign are always set; of the requested usages only digitalSignature
        // counts.
        let signs = KeyUsage::KEY_CERT_SIGN.with(KeyUsage::CRL_SIGN);
        let asked = key_usages(&self.key_usage);
        let key_usage = if asked.contains(KeyUsage::DIGITAL_SIGNATURE) {
            signs.with(KeyUsage::DIGITAL_SIGNATURE)
        } else {
            signs
        };
        let name_constraints =
            self.constraints.compile().map_err(|text| RoleViolation { text, hint: None })?;
        Ok(Template {
            subject,
            names,
            not_before,
            not_after,
            key_usage,
            extended_key_usage: self.extended_key_usage(),
            basic_constraints: BasicConstraints::Authority { path_length },
            policies: Vec::new(),
            name_constraints,
            urls,
            subject_key_identifier: None,
            verbatim_extensions: Vec::new(),
            signature: SignaturePreference::default(),
        })
    }

    fn extended_key_usage(&self) -> Vec<ObjectIdentifier> {
        extended_key_usages(&self.ext_key_usage)
    }

    /// `max_path_length`, if it was sent: a negative one means no limit.
    fn asked_path_length(&self) -> Result<Option<Option<u8>>, RoleViolation> {
        match self.max_path_length {
            None => Ok(None),
            Some(..0) => Ok(Some(None)),
            Some(asked) => match u8::try_from(asked) {
                Ok(asked) => Ok(Some(Some(asked))),
                Err(_) => Err(RoleViolation {
                    text: format!(
                        "max_path_length {asked} is too large; the largest is {}, and -1 sets no limit",
                        u8::MAX
                    ),
                    hint: None,
                }),
            },
        }
    }

    /// What was sent, else one less than the signer's (`docs/dev/vault-pki.md`, "Signing an
    /// intermediate").
    fn path_length_below(
        &self,
        above: Option<u8>,
        warnings: &mut Vec<String>,
    ) -> Result<Option<u8>, RoleViolation> {
        if above == Some(0) {
            return Err(RoleViolation {
                text: "signing certificate has a max path length of zero, and cannot issue further CA certificates".to_owned(),
                hint: None,
            });
        }
        let below = above.map(|length| length.saturating_sub(1));
        let Some(asked) = self.asked_path_length()? else { return Ok(below) };
        if let Some(below) = below
            && asked.is_none_or(|asked| asked > below)
        {
            warnings.push(format!(
                "Signet: max_path_length exceeds what the issuer allows; verifiers accept {below} further authorities"
            ));
        }
        Ok(asked)
    }

    fn skid(&self) -> Result<Option<Vec<u8>>, RoleViolation> {
        let digits: String = self
            .subject_key_identifier
            .chars()
            .filter(|character| !matches!(character, ':' | '-' | ' '))
            .collect();
        if digits.is_empty() {
            return Ok(None);
        }
        match data_encoding::HEXLOWER_PERMISSIVE.decode(digits.as_bytes()) {
            // The same limit applies to CSRs.
            Ok(bytes) if bytes.len() > MAX_KEY_IDENTIFIER => Err(RoleViolation {
                text: format!(
                    "skid has {} bytes; the longest has {MAX_KEY_IDENTIFIER}",
                    bytes.len()
                ),
                hint: None,
            }),
            Ok(bytes) => Ok(Some(bytes)),
            Err(_) => {
                let why = match digits.chars().find(|character| !character.is_ascii_hexdigit()) {
                    Some(other) => format!("invalid byte: U+{:04X} '{other}'", other as u32),
                    None => "odd length hex string".to_owned(),
                };
                Err(RoleViolation {
                    text: format!("cannot parse requested SKID value as hex: encoding/hex: {why}"),
                    hint: None,
                })
            }
        }
    }
}

fn names(
    params: &CertificateParams,
    warnings: &mut Vec<String>,
) -> Result<AlternativeNames, RoleViolation> {
    let refused = |text: String| RoleViolation { text, hint: None };
    let mut names = AlternativeNames::default();
    if !params.common_name.is_empty() && !params.exclude_cn_from_sans {
        add_name(&params.common_name, &mut names).map_err(refused)?;
    }
    add_listed(params.alt_names.as_deref(), &mut names, warnings).map_err(refused)?;
    names.dns = deduplicated(&names.dns);
    names.email = deduplicated(&names.email);
    for text in &params.other_sans {
        let name = other_name(text)
            .map_err(|why| refused(format!("could not parse requested other SAN: {why}")))?;
        refuse_control("other SAN", &name.value).map_err(refused)?;
        names.other.push(name);
    }
    names.ip = addresses(&params.ip_sans).map_err(refused)?;
    names.uri = uris(&params.uri_sans, SubjectKind::Authority).map_err(refused)?;
    refuse_malformed(&names).map_err(refused)?;
    warnings.extend(relative_uri(&names));
    Ok(names)
}
