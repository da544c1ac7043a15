//! `issue`, `sign`, `revoke` (pki-api chapters 4, 11, 17).

use std::sync::Arc;

use serde_json::{Value, json};

use crate::ca::pem::{self, KeyForm};
use crate::ca::role::Ask;
use crate::ca::time::Timestamp;
use crate::engine::Failure;
use crate::engine::pki::Pki;
use crate::engine::pki::issue::{KeySource, Leaf, LeafRequest};
use crate::engine::pki::output::{
    ArchiveAsk, ArchiveKind, ArchiveWish, Archives, Format, private_key,
};
use crate::engine::pki::revoke::{Revocation, RevokeRequest, Revoked};
use crate::http::call::Call;
use crate::http::fields::{Fields, Kind, Schema};
use crate::http::reply::{Reply, Written};
use crate::secret::Secret;

use super::issued::{Issued, Text};
use super::route::{fields, typed};

/// What every path that makes a certificate knows.
pub(super) const NAMES: Schema = &[
    ("common_name", Kind::Text),
    ("alt_names", Kind::Text),
    ("ip_sans", Kind::Words),
    ("uri_sans", Kind::Words),
    ("other_sans", Kind::Words),
    ("serial_number", Kind::Text),
    ("ttl", Kind::Seconds),
    ("not_after", Kind::Text),
    ("not_before", Kind::Text),
    ("exclude_cn_from_sans", Kind::Flag),
    ("format", Kind::Text),
    ("private_key_format", Kind::Text),
];

const LEAF: Schema = &[
    ("user_ids", Kind::Words),
    ("remove_roots_from_chain", Kind::Flag),
    ("issuer_ref", Kind::Text),
    ("pkcs12_encoder", Kind::Text),
    ("pkcs12_password", Kind::Text),
    ("pkcs12_truststore_intermediates", Kind::Flag),
    ("jks_password", Kind::Text),
    ("jks_private_key_alias", Kind::Text),
];

const GENERATED: Schema = &[("key_type", Kind::Text), ("key_bits", Kind::Integer)];

const SIGNED: Schema = &[("csr", Kind::Text)];

pub(super) async fn issue(
    pki: &Pki,
    (issuer, role): (Option<&str>, &str),
    call: Call,
) -> Result<Reply, Failure> {
    let now = call.now;
    let fields = read(call, issuer, role, GENERATED)?;
    let key = KeySource::Generate {
        key_type: fields.text("key_type"),
        key_bits: fields.integer("key_bits"),
    };
    let request = request(&fields, issuer, role, key);
    answer(pki, &fields, request, now).await
}

pub(super) async fn sign(
    pki: &Pki,
    (issuer, role): (Option<&str>, &str),
    call: Call,
) -> Result<Reply, Failure> {
    let now = call.now;
    let fields = read(call, issuer, role, SIGNED)?;
    let key = KeySource::Csr(fields.text("csr"));
    let request = request(&fields, issuer, role, key);
    answer(pki, &fields, request, now).await
}

fn read(call: Call, issuer: Option<&str>, role: &str, own: Schema) -> Result<Fields, Failure> {
    let schemas = [NAMES, LEAF, own];
    match issuer {
        None => typed(call.parameters, &[("role", role)], &schemas),
        Some(issuer) => typed(call.parameters, &[("role", role), ("issuer_ref", issuer)], &schemas),
    }
}

/// Names and validity, as every path takes them.
pub(super) fn ask(fields: &Fields) -> Ask {
    Ask {
        common_name: fields.text("common_name"),
        alt_names: fields.optional_text("alt_names"),
        ip_sans: fields.words("ip_sans"),
        uri_sans: fields.words("uri_sans"),
        other_sans: fields.words("other_sans"),
        user_ids: fields.words("user_ids"),
        serial_number: fields.text("serial_number"),
        ttl: fields.integer("ttl"),
        not_after: fields.text("not_after"),
        not_before: fields.text("not_before"),
        exclude_cn_from_sans: fields.flag("exclude_cn_from_sans"),
    }
}

/// The format of the answer; `pem` if nothing was said.
pub(super) fn format(fields: &Fields) -> Option<Format> {
    fields.optional_text("format").map_or(Some(Format::Pem), |word| Format::parse(&word))
}

fn request(fields: &Fields, issuer: Option<&str>, role: &str, key: KeySource) -> LeafRequest {
    LeafRequest {
        role: role.to_owned(),
        issuer_ref: issuer.map(str::to_owned),
        ask: ask(fields),
        format: format(fields),
        key,
    }
}

async fn answer(
    pki: &Pki,
    fields: &Fields,
    request: LeafRequest,
    now: Timestamp,
) -> Result<Reply, Failure> {
    if let Some(wish) = archive_wish(fields, request.format)? {
        let making = pki.issue_archive(&request, &wish, now);
        let (mut leaf, archives) = Box::pin(making).await?.into_inner();
        let mut warnings = std::mem::take(&mut leaf.warnings);
        warnings
            .extend(archives.trust_warning.into_iter().chain(wish.warning()).map(str::to_owned));
        let data = archived(fields, wish.kind(), &leaf, &archives);
        return Ok(Reply::Issued { data, warnings }.warned(fields.warnings()));
    }
    let format = request.format.unwrap_or(Format::Pem);
    let write = |mut leaf: Leaf| {
        let warnings = std::mem::take(&mut leaf.warnings);
        Ok(Reply::Issued { data: written(fields, format, &leaf)?, warnings })
    };
    let recorded = pki.issue(&request, now, write).await?;
    Ok(recorded.into_inner().warned(fields.warnings()))
}

/// The members that every format shares.
fn shared<'a>(fields: &Fields, leaf: &'a Leaf, as_der: bool, certificate: Text<'a>) -> Issued<'a> {
    let issuer = &*leaf.issuer;
    let without_roots = fields.flag("remove_roots_from_chain");
    let is_root = |id| leaf.authorities.issuers.get(id).is_some_and(|issuer| issuer.is_root);
    let text = |(der, json): (&'a Vec<u8>, &'a String)| {
        if as_der { Text::Base64(der) } else { Text::Json(json) }
    };
    let chain = || issuer.chain_der.iter().zip(&issuer.chain_json);
    Issued {
        ca_chain: issuer
            .chain
            .iter()
            .zip(chain())
            .filter(|(id, _)| !without_roots || !is_root(*id))
            .map(|(_, forms)| text(forms))
            .collect(),
        certificate,
        expiration: leaf.not_after,
        issuing_ca: chain().next().map(text),
        not_before: leaf.not_before,
        private_key: None,
        serial_number: leaf.serial,
        truststore: None,
    }
}

/// PEM, DER, or everything in one PEM text.
fn written(fields: &Fields, format: Format, leaf: &Leaf) -> Result<Written, Failure> {
    let as_der = format == Format::Der;
    let text = |label, der| if as_der { Text::Base64(der) } else { Text::Pem(label, der) };
    let bundle;
    let certificate = if format == Format::PemBundle {
        bundle = Value::from(pem_bundle(leaf)?).to_string();
        Text::Json(&bundle)
    } else {
        text(pem::CERTIFICATE, &leaf.der)
    };
    let mut data = shared(fields, leaf, as_der, certificate);
    let encoded;
    if let Some((kind, key)) = &leaf.key {
        encoded = private_key(key, key_form(&fields.text("private_key_format")))?;
        data.private_key = Some((text(encoded.label, &encoded.der), kind.word()));
    }
    Ok(data.written())
}

fn pem_bundle(leaf: &Leaf) -> Result<String, Failure> {
    let mut parts = Vec::new();
    if let Some((_, key)) = &leaf.key {
        parts.push(private_key(key, KeyForm::Traditional)?.pem().to_string());
    }
    parts.push(pem::encode(pem::CERTIFICATE, &leaf.der));
    parts.extend(leaf.issuer.chain_pem.iter().map(ToString::to_string));
    Ok(parts.join("\n"))
}

/// `private_key`: `pkcs8` if asked, else the form of old (pki-api 17.2).
pub(super) fn key_text(
    key: &Secret<Vec<u8>>,
    wanted: &str,
    as_der: bool,
) -> Result<String, Failure> {
    let encoded = private_key(key, key_form(wanted))?;
    Ok(if as_der { data_encoding::BASE64.encode(&encoded.der) } else { encoded.pem().to_string() })
}

fn key_form(wanted: &str) -> KeyForm {
    if wanted == "pkcs8" { KeyForm::Pkcs8 } else { KeyForm::Traditional }
}

/// What a request says about its archive, if it wants one. Nothing of it is refused later.
pub(super) fn archive_wish(
    fields: &Fields,
    format: Option<Format>,
) -> Result<Option<Arc<ArchiveWish>>, Failure> {
    let Some(Format::Archive(kind)) = format else { return Ok(None) };
    let password = match kind {
        ArchiveKind::JksBundle => "jks_password",
        ArchiveKind::Pkcs12Bundle | ArchiveKind::Pkcs12Truststore => "pkcs12_password",
    };
    let ask = ArchiveAsk {
        password: fields.optional_text(password),
        encoder: fields.text("pkcs12_encoder"),
        alias: fields.optional_text("jks_private_key_alias"),
        with_intermediates: fields.flag("pkcs12_truststore_intermediates"),
    };
    ArchiveWish::parse(kind, ask).map(|wish| Some(Arc::new(wish)))
}

/// A key store in `certificate`, and the trust store of the same moment beside it.
fn archived(fields: &Fields, kind: ArchiveKind, leaf: &Leaf, archives: &Archives) -> Written {
    let mut data = shared(fields, leaf, false, Text::Base64(&archives.certificate));
    let truststore = archives.truststore.as_deref();
    data.truststore = truststore.filter(|_| kind != ArchiveKind::Pkcs12Truststore);
    data.written()
}

const REVOKE: Schema = &[("serial_number", Kind::Text), ("certificate", Kind::Text)];

pub(super) async fn revoke(pki: &Pki, call: &Call) -> Result<Reply, Failure> {
    let fields = fields(call, &[], &[REVOKE])?;
    let request = match (fields.optional_text("serial_number"), fields.optional_text("certificate"))
    {
        (Some(_), Some(_)) => {
            return Err(Failure::refused(
                "Must provide either the certificate or the serial to revoke; not both.",
            ));
        }
        (None, None) => {
            return Err(Failure::refused(
                "The serial number or certificate to revoke must be provided.",
            ));
        }
        (Some(serial), None) if serial.is_empty() => {
            return Err(Failure::refused("The serial number must be provided"));
        }
        (Some(serial), None) => RevokeRequest::Serial(serial),
        (None, Some(certificate)) => RevokeRequest::Certificate(certificate),
    };
    let Revoked { outcome, serial, warnings } = pki.revoke(&request, call.now).await?;
    Ok(match outcome {
        Revocation::Revoked(at) => {
            let data = json!({
                "revocation_time": at.unix(),
                "revocation_time_rfc3339": at.to_string(),
                "state": "revoked",
            });
            Reply::with_warnings(data, warnings).warned(fields.warnings())
        }
        Revocation::Expired => Reply::done(vec![format!(
            "certificate with serial {serial} already expired; refusing to add to CRL"
        )]),
    })
}
