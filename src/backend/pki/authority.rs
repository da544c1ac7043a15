//! Roots and intermediates: generate, sign, set.

use std::mem::take;
use std::sync::Arc;

use crate::backend::call::Call;
use crate::backend::call::{Seconds, params};
use crate::backend::event::{CertificateAction, CertificateEvent};
use crate::backend::response::Response;
use crate::ca::authority::CaCertificateParams;
use crate::ca::name_constraints::NameConstraintParams;
use crate::ca::pem::{self, KeyForm};
use crate::ca::permit::Subject;
use crate::engine::Failure;
use crate::engine::IssuerId;
use crate::engine::pki::Pki;
use crate::engine::pki::generate::{KeyInUse, KeyOrigin, KeySpec, RootRequest};
use crate::engine::pki::intermediate::{IntermediateRequest, SignIntermediateRequest};
use crate::engine::pki::output::{ArchiveKind, FORMATS, Format};
use crate::wire::pki::{ExportedKey, ImportAnswer, RequestAnswer, RootAnswer, SignedAnswer};

use super::issue::{KeyStore, Names, key_form};

params! {
    /// Subject and signature of an authority.
    pub(super) struct SubjectFields {
        /// Organizational units of the subject.
        ou: Vec<String>,
        /// Organizations of the subject.
        organization: Vec<String>,
        /// Countries of the subject.
        country: Vec<String>,
        /// Localities of the subject.
        locality: Vec<String>,
        /// Provinces of the subject.
        province: Vec<String>,
        /// Street addresses of the subject.
        street_address: Vec<String>,
        /// Postal codes of the subject.
        postal_code: Vec<String>,
        /// How long before now the validity starts.
        not_before_duration: Seconds,
        /// Bits of the hash of the signature; 0 takes what fits the key.
        signature_bits: i64,
        /// Signs by RSA-PSS instead of PKCS#1 v1.5.
        use_pss: bool,
        /// Key usages beside CertSign and CRLSign.
        key_usage: Vec<String>,
    }
}

params! {
    /// The key of an authority.
    pub(super) struct AuthorityKey {
        /// Type of the key: `rsa`, `ec` or `ed25519`.
        key_type: Option<String>,
        /// Size of the key; 0 takes the default of the type.
        key_bits: Option<i64>,
        /// Name of the key.
        key_name: Option<String>,
        /// Key to use where the type of the path is `existing`: identifier, name or `default`.
        key_ref: Option<String>,
    } accepts {
        /// Not supported: a key outside this server.
        external_key_ref: String,
        /// Not supported: a managed key, by name.
        managed_key_name: String,
        /// Not supported: a managed key, by identifier.
        managed_key_id: String,
    }
}

params! {
    /// What an authority may certify.
    pub(super) struct Constraints {
        /// Most intermediates below it; -1 sets no limit.
        max_path_length: Option<i64>,
        /// DNS domains that names below it must lie in.
        permitted_dns_domains: Vec<String>,
        /// DNS domains that names below it must not lie in.
        excluded_dns_domains: Vec<String>,
        /// IP ranges that addresses below it must lie in.
        permitted_ip_ranges: Vec<String>,
        /// IP ranges that addresses below it must not lie in.
        excluded_ip_ranges: Vec<String>,
        /// E-mail addresses or hosts that addresses below it must match.
        permitted_email_addresses: Vec<String>,
        /// E-mail addresses or hosts that addresses below it must not match.
        excluded_email_addresses: Vec<String>,
        /// Hosts that URIs below it must have.
        permitted_uri_domains: Vec<String>,
        /// Hosts that URIs below it must not have.
        excluded_uri_domains: Vec<String>,
        /// Name of the issuer.
        issuer_name: Option<String>,
        /// Extended key usages, by name.
        ext_key_usage: Vec<String>,
        /// Extended key usages, by object identifier.
        ext_key_usage_oids: Option<Vec<String>>,
    }
}

params! {
    /// A request for an intermediate.
    pub(super) struct RequestOptions {
        /// Adds the basic constraints extension to the request.
        add_basic_constraints: bool,
    }
}

params! {
    /// The request that is signed as an intermediate.
    pub(super) struct Signing {
        /// Certificate signing request, PEM.
        csr: String,
        /// Takes subject, names and extensions from the request.
        use_csr_values: bool,
        /// Subject key identifier, in hexadecimal.
        skid: String,
        /// Issuer that signs: identifier, name or `default`.
        issuer_ref: Option<String>,
    }
}

params! {
    /// Certificates that were signed elsewhere.
    pub(super) struct SetSignedParams {
        /// Certificate and chain, PEM.
        certificate: String,
        /// The same under another name.
        pem_bundle: String,
    }
}

/// What the groups of parameters say of the certificate.
fn ca_certificate_params(
    mut names: Names,
    subject: SubjectFields,
    constraints: Constraints,
    signing: Option<&mut Signing>,
) -> CaCertificateParams {
    let SubjectFields { ou: organizational_unit, organization, country, locality, .. } = subject;
    let SubjectFields { province, street_address, postal_code, .. } = subject;
    let (use_csr_values, subject_key_identifier) = match signing {
        Some(signing) => (signing.use_csr_values, take(&mut signing.skid)),
        None => (false, String::new()),
    };
    CaCertificateParams {
        params: names.ask(Vec::new()),
        subject: Subject {
            country,
            organization,
            organizational_unit,
            locality,
            province,
            street_address,
            postal_code,
            ..Subject::default()
        },
        not_before_duration: subject.not_before_duration.0,
        max_path_length: constraints.max_path_length,
        key_usage: subject.key_usage,
        // Sending object identifiers discards the names and adds nothing: so does Vault.
        ext_key_usage: match constraints.ext_key_usage_oids {
            Some(_) => Vec::new(),
            None => constraints.ext_key_usage,
        },
        constraints: NameConstraintParams {
            permitted_dns_domains: constraints.permitted_dns_domains,
            excluded_dns_domains: constraints.excluded_dns_domains,
            permitted_ip_ranges: constraints.permitted_ip_ranges,
            excluded_ip_ranges: constraints.excluded_ip_ranges,
            permitted_email_addresses: constraints.permitted_email_addresses,
            excluded_email_addresses: constraints.excluded_email_addresses,
            permitted_uri_domains: constraints.permitted_uri_domains,
            excluded_uri_domains: constraints.excluded_uri_domains,
        },
        use_csr_values,
        subject_key_identifier,
        signature_bits: subject.signature_bits,
        use_pss: subject.use_pss,
    }
}

fn key_spec(key: AuthorityKey, kind: &str, form: KeyForm) -> Result<KeySpec, Failure> {
    Ok(KeySpec {
        origin: KeyOrigin::parse(kind)?,
        key_type: key.key_type,
        key_bits: key.key_bits,
        name: key.key_name,
        reference: key.key_ref.unwrap_or_else(|| "default".to_owned()),
        form,
    })
}

/// DER in base64, or PEM.
fn text(label: &str, der: &[u8], format: Format) -> String {
    match format {
        Format::Der => data_encoding::BASE64.encode(der),
        _ => pem::encode(label, der),
    }
}

/// The key of an `exported` authority alone, and in front of `document` if the format is a bundle.
fn exported(key: &KeyInUse, format: Format, document: &mut String) -> ExportedKey {
    let Some(exported) = &key.exported else { return ExportedKey::default() };
    let encoded = exported.requested();
    let text = match format {
        Format::Der => data_encoding::BASE64.encode(&encoded.der),
        _ => encoded.pem().to_string(),
    };
    if format == Format::PemBundle {
        *document = format!("{}\n{document}", &*exported.traditional().pem());
    }
    let kind = exported.kind().as_str().to_owned();
    ExportedKey { private_key: Some(text), private_key_type: Some(kind) }
}

pub(super) async fn generate_root(pki: Arc<Pki>, call: Call) -> Result<Response, Failure> {
    root(&pki, call, false).await
}

/// The issuer is named `next` if no name is sent.
pub(super) async fn rotate_root(pki: Arc<Pki>, call: Call) -> Result<Response, Failure> {
    root(&pki, call, true).await
}

async fn root(pki: &Pki, mut call: Call, rotates: bool) -> Result<Response, Failure> {
    let (names, subject): (Names, SubjectFields) = (call.read(), call.read());
    let (key, mut constraints): (AuthorityKey, Constraints) = (call.read(), call.read());
    let key_store: KeyStore = call.read();
    let form = key_form(&names.private_key_format);
    let key = key_spec(key, call.captures.get("exported"), form)?;
    let format = names.format().ok_or_else(|| Format::unknown(FORMATS))?;
    if key.origin == KeyOrigin::Exported && format == Format::Archive(ArchiveKind::Pkcs12Truststore)
    {
        return Err(Failure::refused(
            "format \"pkcs12_truststore\" holds no private key, and an exported key is returned only once; use \"pkcs12_bundle\", or root/generate/internal",
        ));
    }
    let archive = key_store.parsed(Some(format), false)?;
    let mut issuer_name = constraints.issuer_name.take();
    if rotates && issuer_name.is_none() {
        let ca_state = pki.read_ca_state().await?;
        issuer_name = ca_state.issuer("next").is_err().then(|| "next".to_owned());
    }
    let params = ca_certificate_params(names, subject, constraints, None);
    let request = RootRequest { params, key, issuer_name, archive };
    let mut root = pki.generate_root(&request, call.now).await?;
    let mut warnings = take(&mut root.warnings);
    warnings.extend(request.archive.iter().filter_map(|wish| wish.warning()).map(str::to_owned));
    let mut certificate = text(pem::CERTIFICATE, &root.der, format);
    let exported = match &root.archives {
        Some(archives) => {
            certificate = data_encoding::BASE64.encode(&archives.certificate);
            ExportedKey::default()
        }
        None => exported(&root.key, format, &mut certificate),
    };
    let answer = RootAnswer {
        certificate,
        expiration: root.not_after.unix(),
        issuer_id: root.issuer.0.to_string(),
        issuer_name: root.issuer.1.clone(),
        issuing_ca: text(pem::CERTIFICATE, &root.der, format),
        key_id: root.key.id.to_string(),
        key_name: root.key.name.clone(),
        serial_number: root.serial.to_string(),
        exported,
    };
    let event = CertificateEvent {
        action: CertificateAction::Issued,
        serial: answer.serial_number.clone(),
        identity: request.params.params.common_name,
        role: String::new(),
        issuer: match answer.issuer_name.as_str() {
            "" => answer.issuer_id.clone(),
            name => name.to_owned(),
        },
        not_after: root.not_after,
    };
    Ok(Response::with_warnings(answer, warnings).warned(call.warnings()).with_event(event))
}

pub(super) async fn generate_intermediate(pki: Arc<Pki>, call: Call) -> Result<Response, Failure> {
    let kind = call.captures.get("exported").to_owned();
    intermediate(&pki, call, &kind).await
}

/// A request for an existing key, to be signed by another authority too.
pub(super) async fn cross_sign(pki: Arc<Pki>, call: Call) -> Result<Response, Failure> {
    intermediate(&pki, call, "existing").await
}

async fn intermediate(pki: &Pki, mut call: Call, kind: &str) -> Result<Response, Failure> {
    let (names, subject): (Names, SubjectFields) = (call.read(), call.read());
    let (key, constraints): (AuthorityKey, Constraints) = (call.read(), call.read());
    let options: RequestOptions = call.read();
    let format = names
        .format()
        .filter(|format| !matches!(format, Format::Archive(_)))
        .ok_or_else(|| Format::unknown(FORMATS))?;
    let form = key_form(&names.private_key_format);
    let request = IntermediateRequest {
        params: ca_certificate_params(names, subject, constraints, None),
        key: key_spec(key, kind, form)?,
        add_basic_constraints: options.add_basic_constraints,
    };
    let made = pki.generate_intermediate(&request).await?;
    let mut csr = text("CERTIFICATE REQUEST", &made.csr, format);
    let exported = exported(&made.key, format, &mut csr);
    let answer = RequestAnswer { csr, key_id: made.key.id.to_string(), exported };
    Ok(Response::with_warnings(answer, made.warnings).warned(call.warnings()))
}

pub(super) async fn sign(pki: Arc<Pki>, mut call: Call) -> Result<Response, Failure> {
    let (names, subject): (Names, SubjectFields) = (call.read(), call.read());
    let constraints: Constraints = call.read();
    let (key_store, mut signing): (KeyStore, Signing) = (call.read(), call.read());
    let format = names.format();
    let in_path = call.captures.optional("issuer_ref").map(str::to_owned);
    let named = signing.issuer_ref.take().filter(|reference| !reference.is_empty());
    let request = SignIntermediateRequest {
        params: ca_certificate_params(names, subject, constraints, Some(&mut signing)),
        csr: signing.csr,
        issuer_ref: in_path.or(named).unwrap_or_else(|| "default".to_owned()),
        format_is_known: format.is_some(),
        archive: key_store.parsed(format, false)?,
    };
    let mut signed = pki.sign_intermediate(&request, call.now).await?;
    let mut warnings = take(&mut signed.warnings);
    warnings.extend(request.archive.iter().filter_map(|wish| wish.warning()).map(str::to_owned));
    let format = format.unwrap_or(Format::Pem);
    let text = |der: &[u8]| text(pem::CERTIFICATE, der, format);
    let mut chain = vec![text(&signed.der)];
    chain.extend(signed.issuer.chain_der.iter().map(|der| text(der)));
    let certificate = match (&signed.archives, format) {
        (Some(archives), format) => {
            // Only this archive is a trust store; the others do not come with one here.
            if format == Format::Archive(ArchiveKind::Pkcs12Truststore) {
                warnings.extend(archives.trust_warning.map(str::to_owned));
            }
            data_encoding::BASE64.encode(&archives.certificate)
        }
        (None, Format::PemBundle) => chain.join("\n"),
        (None, _) => text(&signed.der),
    };
    let answer = SignedAnswer {
        certificate,
        expiration: signed.not_after.unix(),
        issuing_ca: text(signed.issuer.certificate.der()),
        serial_number: signed.serial.to_string(),
        ca_chain: chain,
    };
    let event = CertificateEvent::new(
        CertificateAction::Signed,
        signed.serial,
        signed.identity,
        &signed.issuer,
        signed.not_after,
    );
    Ok(Response::with_warnings(answer, warnings).warned(call.warnings()).with_event(event))
}

pub(super) async fn set_signed(pki: Arc<Pki>, mut call: Call) -> Result<Response, Failure> {
    let SetSignedParams { certificate, pem_bundle } = call.read();
    if !certificate.is_empty() && !pem_bundle.is_empty() {
        return Err(Failure::refused(
            "'pem_bundle' and 'certificate' parameters were both provided",
        ));
    }
    let text = if certificate.is_empty() { pem_bundle } else { certificate };
    let imported = pki.set_signed(&text, call.now).await?;
    let ids = |ids: &[IssuerId]| {
        let texts: Vec<_> = ids.iter().map(ToString::to_string).collect();
        (!texts.is_empty()).then_some(texts)
    };
    let answer = ImportAnswer {
        existing_issuers: ids(&imported.existing_issuers),
        existing_keys: None,
        imported_issuers: ids(&imported.issuers),
        imported_keys: None,
        mapping: imported
            .mapping
            .iter()
            .map(|(issuer, key)| {
                (issuer.to_string(), key.as_ref().map(ToString::to_string).unwrap_or_default())
            })
            .collect(),
    };
    Ok(Response::with_warnings(answer, imported.warnings).warned(call.warnings()))
}
