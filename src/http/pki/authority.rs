//! Roots and intermediates as JSON (pki-api chapters 5 and 8).

use serde_json::{Map, Value, json};

use crate::ca::authority::AuthorityAsk;
use crate::ca::name_constraints::AskedConstraints;
use crate::ca::pem;
use crate::ca::permit::Subject;
use crate::engine::Failure;
use crate::engine::identifier::format_uuid;
use crate::engine::pki::Pki;
use crate::engine::pki::generate::{KeyInUse, KeyOrigin, KeyWish, RootRequest};
use crate::engine::pki::intermediate::{IntermediateRequest, SignIntermediateRequest};
use crate::engine::pki::output::{ArchiveKind, FORMATS, Format};
use crate::http::call::Call;
use crate::http::fields::{Fields, Kind, Schema};
use crate::http::reply::Reply;

use super::leaf::{NAMES, archive_wish, ask, format, key_text};
use super::route::fields;

const SUBJECT: Schema = &[
    ("ou", Kind::Words),
    ("organization", Kind::Words),
    ("country", Kind::Words),
    ("locality", Kind::Words),
    ("province", Kind::Words),
    ("street_address", Kind::Words),
    ("postal_code", Kind::Words),
    ("not_before_duration", Kind::Seconds),
    ("signature_bits", Kind::Integer),
    ("use_pss", Kind::Flag),
    ("key_usage", Kind::Words),
];

const KEY: Schema = &[
    ("key_type", Kind::Text),
    ("key_bits", Kind::Integer),
    ("key_name", Kind::Text),
    ("key_ref", Kind::Text),
    ("external_key_ref", Kind::Text),
    ("managed_key_name", Kind::Text),
    ("managed_key_id", Kind::Text),
];

const CONSTRAINTS: Schema = &[
    ("max_path_length", Kind::Integer),
    ("permitted_dns_domains", Kind::Words),
    ("excluded_dns_domains", Kind::Words),
    ("permitted_ip_ranges", Kind::Words),
    ("excluded_ip_ranges", Kind::Words),
    ("permitted_email_addresses", Kind::Words),
    ("excluded_email_addresses", Kind::Words),
    ("permitted_uri_domains", Kind::Words),
    ("excluded_uri_domains", Kind::Words),
    ("issuer_name", Kind::Text),
    ("ext_key_usage", Kind::Words),
    ("ext_key_usage_oids", Kind::Words),
];

const ARCHIVE: Schema = &[
    ("pkcs12_encoder", Kind::Text),
    ("pkcs12_password", Kind::Text),
    ("jks_password", Kind::Text),
    ("jks_private_key_alias", Kind::Text),
];

fn authority_ask(fields: &Fields) -> AuthorityAsk {
    AuthorityAsk {
        ask: ask(fields),
        subject: Subject {
            country: fields.words("country"),
            organization: fields.words("organization"),
            organizational_unit: fields.words("ou"),
            locality: fields.words("locality"),
            province: fields.words("province"),
            street_address: fields.words("street_address"),
            postal_code: fields.words("postal_code"),
            ..Subject::default()
        },
        not_before_duration: fields.integer("not_before_duration"),
        max_path_length: fields.optional_integer("max_path_length"),
        constraints: constraints(fields),
        key_usage: fields.words("key_usage"),
        // Sending OIDs discards the names and adds nothing: so does the reference (pki-api 5.1).
        ext_key_usage: if fields.has("ext_key_usage_oids") {
            Vec::new()
        } else {
            fields.words("ext_key_usage")
        },
        use_csr_values: fields.flag("use_csr_values"),
        subject_key_identifier: fields.text("skid"),
        signature_bits: fields.integer("signature_bits"),
        use_pss: fields.flag("use_pss"),
    }
}

fn constraints(fields: &Fields) -> AskedConstraints {
    AskedConstraints {
        permitted_dns_domains: fields.words("permitted_dns_domains"),
        excluded_dns_domains: fields.words("excluded_dns_domains"),
        permitted_ip_ranges: fields.words("permitted_ip_ranges"),
        excluded_ip_ranges: fields.words("excluded_ip_ranges"),
        permitted_email_addresses: fields.words("permitted_email_addresses"),
        excluded_email_addresses: fields.words("excluded_email_addresses"),
        permitted_uri_domains: fields.words("permitted_uri_domains"),
        excluded_uri_domains: fields.words("excluded_uri_domains"),
    }
}

fn key_wish(fields: &Fields, kind: &str) -> Result<KeyWish, Failure> {
    Ok(KeyWish {
        origin: KeyOrigin::parse(kind)?,
        key_type: fields.optional_text("key_type"),
        key_bits: fields.optional_integer("key_bits"),
        name: fields.optional_text("key_name"),
        reference: fields.optional_text("key_ref").unwrap_or_else(|| "default".to_owned()),
    })
}

pub(super) async fn root(
    pki: &Pki,
    kind: &str,
    rotates: bool,
    call: &Call,
) -> Result<Reply, Failure> {
    let schemas = [NAMES, SUBJECT, KEY, CONSTRAINTS, ARCHIVE];
    let fields = fields(call, &[("exported", kind)], &schemas)?;
    let key = key_wish(&fields, kind)?;
    let format = format(&fields).ok_or_else(|| Format::unknown(FORMATS))?;
    if key.origin == KeyOrigin::Exported && format == Format::Archive(ArchiveKind::Pkcs12Truststore)
    {
        return Err(Failure::refused(
            "format \"pkcs12_truststore\" holds no private key, and an exported key is returned only once; use \"pkcs12_bundle\", or root/generate/internal",
        ));
    }
    let archive = archive_wish(&fields, Some(format))?;
    let mut issuer_name = fields.optional_text("issuer_name");
    if rotates && issuer_name.is_none() {
        let authorities = pki.read_authorities().await?;
        issuer_name = authorities.issuer("next").is_err().then(|| "next".to_owned());
    }
    let request = RootRequest { ask: authority_ask(&fields), key, issuer_name, archive };
    let mut root = pki.generate_root(&request, call.now).await?;
    let mut warnings = std::mem::take(&mut root.warnings);
    warnings.extend(request.archive.iter().filter_map(|wish| wish.warning()).map(str::to_owned));
    let as_der = format == Format::Der;
    let text = |der: &[u8]| {
        if as_der { data_encoding::BASE64.encode(der) } else { pem::encode("CERTIFICATE", der) }
    };
    let mut data = Map::new();
    data.insert("certificate".to_owned(), text(&root.der).into());
    data.insert("expiration".to_owned(), root.not_after.unix().into());
    data.insert("issuer_id".to_owned(), format_uuid(&root.issuer.0).into());
    data.insert("issuer_name".to_owned(), root.issuer.1.clone().into());
    data.insert("issuing_ca".to_owned(), text(&root.der).into());
    data.insert("key_id".to_owned(), format_uuid(&root.key.id).into());
    data.insert("key_name".to_owned(), root.key.name.clone().into());
    data.insert("serial_number".to_owned(), root.serial.to_string().into());
    if let Some(archives) = &root.archives {
        let text = data_encoding::BASE64.encode(&archives.certificate);
        data.insert("certificate".to_owned(), text.into());
    } else {
        put_exported(&mut data, "certificate", &root.key, &fields, format)?;
    }
    Ok(Reply::with_warnings(Value::Object(data), warnings).warned(fields.warnings()))
}

/// The private key of an `exported` one, alone and in front of a bundle.
fn put_exported(
    data: &mut Map<String, Value>,
    document: &str,
    key: &KeyInUse,
    fields: &Fields,
    format: Format,
) -> Result<(), Failure> {
    let Some(pkcs8) = key.returned()? else { return Ok(()) };
    let wanted = fields.text("private_key_format");
    let text = key_text(&pkcs8, &wanted, format == Format::Der)?;
    data.insert("private_key".to_owned(), text.into());
    data.insert("private_key_type".to_owned(), key.key.kind().word().into());
    if format == Format::PemBundle
        && let Some(Value::String(text)) = data.get(document)
    {
        let bundle = format!("{}\n{text}", key_text(&pkcs8, "", false)?);
        data.insert(document.to_owned(), bundle.into());
    }
    Ok(())
}

pub(super) async fn intermediate(pki: &Pki, kind: &str, call: &Call) -> Result<Reply, Failure> {
    const OWN: Schema = &[("add_basic_constraints", Kind::Flag)];
    let fields = fields(call, &[("exported", kind)], &[NAMES, SUBJECT, KEY, OWN])?;
    let format = format(&fields)
        .filter(|format| !matches!(format, Format::Archive(_)))
        .ok_or_else(|| Format::unknown(FORMATS))?;
    let request = IntermediateRequest {
        ask: authority_ask(&fields),
        key: key_wish(&fields, kind)?,
        add_basic_constraints: fields.flag("add_basic_constraints"),
    };
    let made = pki.generate_intermediate(&request).await?;
    let csr = if format == Format::Der {
        data_encoding::BASE64.encode(&made.csr)
    } else {
        pem::encode("CERTIFICATE REQUEST", &made.csr)
    };
    let mut data = Map::new();
    data.insert("csr".to_owned(), csr.into());
    data.insert("key_id".to_owned(), format_uuid(&made.key.id).into());
    put_exported(&mut data, "csr", &made.key, &fields, format)?;
    Ok(Reply::with_warnings(Value::Object(data), made.warnings).warned(fields.warnings()))
}

pub(super) async fn sign(pki: &Pki, issuer: Option<&str>, call: &Call) -> Result<Reply, Failure> {
    const OWN: Schema = &[
        ("csr", Kind::Text),
        ("use_csr_values", Kind::Flag),
        ("skid", Kind::Text),
        ("issuer_ref", Kind::Text),
    ];
    let path: Vec<_> = issuer.map(|issuer| ("issuer_ref", issuer)).into_iter().collect();
    let fields = fields(call, &path, &[NAMES, SUBJECT, CONSTRAINTS, ARCHIVE, OWN])?;
    let format = format(&fields);
    let named = fields.optional_text("issuer_ref").filter(|reference| !reference.is_empty());
    let request = SignIntermediateRequest {
        ask: authority_ask(&fields),
        csr: fields.text("csr"),
        issuer_ref: issuer.map(str::to_owned).or(named).unwrap_or_else(|| "default".to_owned()),
        format_is_known: format.is_some(),
        archive: archive_wish(&fields, format)?,
    };
    let mut signed = pki.sign_intermediate(&request, call.now).await?;
    let mut warnings = std::mem::take(&mut signed.warnings);
    warnings.extend(request.archive.iter().filter_map(|wish| wish.warning()).map(str::to_owned));
    let format = format.unwrap_or(Format::Pem);
    let as_der = format == Format::Der;
    let text = |der: &[u8]| {
        if as_der { data_encoding::BASE64.encode(der) } else { pem::encode("CERTIFICATE", der) }
    };
    let mut chain = vec![text(&signed.der)];
    chain.extend(signed.issuer.chain_der.iter().map(|der| text(der)));
    let certificate = match format {
        Format::PemBundle => chain.join("\n"),
        _ => text(&signed.der),
    };
    let mut data = Map::new();
    data.insert("ca_chain".to_owned(), json!(chain));
    data.insert("certificate".to_owned(), certificate.into());
    data.insert("expiration".to_owned(), signed.not_after.unix().into());
    data.insert("issuing_ca".to_owned(), text(signed.issuer.certificate.der()).into());
    data.insert("serial_number".to_owned(), signed.serial.to_string().into());
    if let Some(archives) = &signed.archives {
        let text = data_encoding::BASE64.encode(&archives.certificate);
        data.insert("certificate".to_owned(), text.into());
        // Only this archive is a trust store; the others do not come with one here.
        if format == Format::Archive(ArchiveKind::Pkcs12Truststore) {
            warnings.extend(archives.trust_warning.map(str::to_owned));
        }
    }
    Ok(Reply::with_warnings(Value::Object(data), warnings).warned(fields.warnings()))
}

pub(super) async fn set_signed(pki: &Pki, call: &Call) -> Result<Reply, Failure> {
    const OWN: Schema = &[("certificate", Kind::Text), ("pem_bundle", Kind::Text)];
    let fields = fields(call, &[], &[OWN])?;
    let (certificate, bundle) = (fields.text("certificate"), fields.text("pem_bundle"));
    if !certificate.is_empty() && !bundle.is_empty() {
        return Err(Failure::refused(
            "'pem_bundle' and 'certificate' parameters were both provided",
        ));
    }
    let text = if certificate.is_empty() { bundle } else { certificate };
    let imported = pki.set_signed(&text, call.now).await?;
    let ids = |ids: &[[u8; 16]]| {
        let texts: Vec<_> = ids.iter().map(format_uuid).collect();
        if texts.is_empty() { Value::Null } else { json!(texts) }
    };
    let mapping: Map<String, Value> = imported
        .mapping
        .iter()
        .map(|(issuer, key)| {
            (format_uuid(issuer), key.as_ref().map(format_uuid).unwrap_or_default().into())
        })
        .collect();
    let data = json!({
        "existing_issuers": ids(&imported.existing_issuers),
        "existing_keys": null,
        "imported_issuers": ids(&imported.issuers),
        "imported_keys": null,
        "mapping": mapping,
    });
    Ok(Reply::with_warnings(data, imported.warnings).warned(fields.warnings()))
}
