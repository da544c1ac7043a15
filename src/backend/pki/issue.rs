//! `issue` and `sign`: a certificate under a role, and the parameters that paths for authorities share with
//! them.

use serde::ser::Error as _;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use std::sync::Arc;

use crate::backend::call::Call;
use crate::backend::call::{Seconds, params};
use crate::backend::event::{CertificateAction, CertificateEvent};
use crate::backend::response::Response;
use crate::ca::pem::{self, KeyForm};
use crate::ca::role::CertificateParams;
use crate::engine::Failure;
use crate::engine::pki::Pki;
use crate::engine::pki::issue::{KeySource, Leaf, LeafRequest};
use crate::engine::pki::output::{ArchiveKind, ArchiveParams, Format, KeyStoreOptions, KeyStores};
use crate::secret::Secret;

params! {
    /// Names, validity and output of a certificate.
    pub(super) struct Names {
        /// Common name of the subject.
        common_name: String,
        /// Further DNS names and e-mail addresses, separated by commas.
        alt_names: Option<String>,
        /// IP addresses.
        ip_sans: Vec<String>,
        /// URIs, a SPIFFE ID among them.
        uri_sans: Vec<String>,
        /// Names of other kinds: `<oid>;<type>:<value>`.
        other_sans: Vec<String>,
        /// Serial number in the subject; not that of the certificate.
        serial_number: String,
        /// Requested time to live.
        ttl: Seconds,
        /// End of validity, in RFC 3339; instead of `ttl`.
        not_after: String,
        /// Start of validity, in RFC 3339.
        not_before: String,
        /// Leaves the common name out of the names beside it.
        exclude_cn_from_sans: bool,
        /// Form of the answer: `pem`, `der`, `pem_bundle`, `pkcs12_bundle`, `jks_bundle` or `pkcs12_truststore`.
        format: Option<String>,
        /// Form of the private key: `der` for the traditional form, or `pkcs8`.
        private_key_format: String,
    }
}

params! {
    /// What goes into a key store.
    pub(super) struct KeyStore {
        /// Encoder of PKCS#12: `auto`, `modern2026`, `modern2023` or `legacy`.
        pkcs12_encoder: String,
        /// Password of the PKCS#12 file; `changeit` if none is sent.
        pkcs12_password: Option<Secret<String>>,
        /// Password of the Java key store; `changeit` if none is sent.
        jks_password: Option<Secret<String>>,
        /// Alias of the private key; `1` if none is sent.
        jks_private_key_alias: Option<String>,
    }
}

impl Names {
    /// The form of the answer; `None` for a word that names none.
    pub(super) fn format(&self) -> Option<Format> {
        self.format.as_deref().map_or(Some(Format::Pem), Format::parse)
    }

    /// Names and validity, as a role reads them.
    pub(super) fn ask(&mut self, user_ids: Vec<String>) -> CertificateParams {
        use std::mem::take;
        CertificateParams {
            common_name: take(&mut self.common_name),
            alt_names: self.alt_names.take(),
            ip_sans: take(&mut self.ip_sans),
            uri_sans: take(&mut self.uri_sans),
            other_sans: take(&mut self.other_sans),
            user_ids,
            serial_number: take(&mut self.serial_number),
            ttl: self.ttl.0,
            not_after: take(&mut self.not_after),
            not_before: take(&mut self.not_before),
            exclude_cn_from_sans: self.exclude_cn_from_sans,
        }
    }
}

impl KeyStore {
    /// What a request says about its key store, if its format is one. Nothing of it is refused later.
    ///
    /// # Errors
    /// An encoder, an alias or a password that cannot be used.
    pub(super) fn parsed(
        self,
        format: Option<Format>,
        with_intermediates: bool,
    ) -> Result<Option<Arc<KeyStoreOptions>>, Failure> {
        let Some(Format::Archive(kind)) = format else { return Ok(None) };
        let password = match kind {
            ArchiveKind::JksBundle => self.jks_password,
            ArchiveKind::Pkcs12Bundle | ArchiveKind::Pkcs12Truststore => self.pkcs12_password,
        };
        let ask = ArchiveParams {
            password: password.map(|password| password.expose().clone()),
            encoder: self.pkcs12_encoder,
            alias: self.jks_private_key_alias,
            with_intermediates,
        };
        KeyStoreOptions::parse(kind, ask).map(|wish| Some(Arc::new(wish)))
    }
}

params! {
    /// What paths for leaves take beside the names.
    pub(super) struct LeafOptions {
        /// User identifiers in the subject.
        user_ids: Vec<String>,
        /// Leaves roots out of the chain.
        remove_roots_from_chain: bool,
        /// A trust store holds the intermediates too.
        pkcs12_truststore_intermediates: bool,
    } accepts {
        /// Not used: the role or the path names the issuer.
        issuer_ref: String,
    }
}

params! {
    /// The new key.
    pub(super) struct NewKey {
        /// Type of the key, if the role allows any: `rsa`, `ec` or `ed25519`.
        key_type: String,
        /// Size of the key, if the role allows any.
        key_bits: i64,
    }
}

params! {
    /// The request that is signed.
    pub(super) struct Csr {
        /// Certificate signing request, PEM.
        csr: String,
    }
}

/// The form of the answer.
struct AnswerForm {
    format: Format,
    without_roots: bool,
}

pub(super) async fn issue(pki: Arc<Pki>, mut call: Call) -> Result<Response, Failure> {
    let key: NewKey = call.read();
    let key = KeySource::Generate { key_type: key.key_type, key_bits: key.key_bits };
    answer(&pki, call, key).await
}

pub(super) async fn sign(pki: Arc<Pki>, mut call: Call) -> Result<Response, Failure> {
    let request: Csr = call.read();
    answer(&pki, call, KeySource::Csr(request.csr)).await
}

async fn answer(pki: &Pki, mut call: Call, key: KeySource) -> Result<Response, Failure> {
    let (mut names, options): (Names, LeafOptions) = (call.read(), call.read());
    let format = names.format();
    let key_store: KeyStore = call.read();
    let key_store = key_store.parsed(format, options.pkcs12_truststore_intermediates)?;
    let request = LeafRequest {
        role: call.captures.get("role").to_owned(),
        issuer_ref: call.captures.optional("issuer_ref").map(str::to_owned),
        params: names.ask(options.user_ids),
        format,
        key,
        key_form: key_form(&names.private_key_format),
    };
    let action = match &request.key {
        KeySource::Generate { .. } => CertificateAction::Issued,
        KeySource::Csr(_) => CertificateAction::Signed,
    };
    let form = AnswerForm {
        format: format.unwrap_or(Format::Pem),
        without_roots: options.remove_roots_from_chain,
    };
    let slot = call.slot.take().ok_or_else(|| {
        Failure::Internal("a route that issues was run without a slot".to_owned())
    })?;
    let (mut leaf, archives, more) = match key_store {
        None => {
            let leaf = pki.issue(&request, call.now).await?.into_inner();
            drop(slot);
            (leaf, None, Vec::new())
        }
        Some(wish) => {
            let issuing = pki.issue_archive(&request, &wish, call.now, slot);
            let (leaf, mut archives) = issuing.await?.into_inner();
            let warnings = archives.trust_warning.into_iter().chain(wish.warning());
            let more = warnings.map(str::to_owned).collect();
            if wish.kind() == ArchiveKind::Pkcs12Truststore {
                archives.truststore = None;
            }
            (leaf, Some(archives), more)
        }
    };
    let mut warnings = std::mem::take(&mut leaf.warnings);
    warnings.extend(more);
    let identity = std::mem::take(&mut leaf.identity);
    let event = CertificateEvent {
        role: leaf.role.name().to_owned(),
        ..CertificateEvent::new(action, leaf.serial, identity, &leaf.issuer, leaf.not_after)
    };
    let answer = LeafAnswer { leaf, form, archives };
    Ok(Response::with_warnings(answer, warnings).warned(call.warnings()).with_event(event))
}

/// `pkcs8` if asked, else the traditional form (PKCS#1, SEC 1).
pub(super) fn key_form(wanted: &str) -> KeyForm {
    if wanted == "pkcs8" { KeyForm::Pkcs8 } else { KeyForm::Traditional }
}

/// `data` of the answer.
struct LeafAnswer {
    leaf: Leaf,
    form: AnswerForm,
    archives: Option<KeyStores>,
}

/// The members, in the order of their names.
#[derive(Serialize)]
struct Members<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ca_chain: Vec<Text<'a>>,
    certificate: Text<'a>,
    expiration: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    issuing_ca: Option<Text<'a>>,
    not_before: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    private_key: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    private_key_type: Option<&'static str>,
    serial_number: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    truststore: Option<Text<'a>>,
}

/// What most certificates and keys fit into as PEM, in bytes.
const PEM_SIZE: usize = 1536;

/// A text of the answer, by its source.
enum Text<'a> {
    /// A PEM block: label and DER.
    Pem(&'static str, &'a [u8]),
    /// Base64 of these bytes.
    Base64(&'a [u8]),
    /// JSON already, because it is the same in every answer.
    Json(&'a RawValue),
    /// A text of several blocks.
    Plain(String),
}

impl Serialize for Text<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Pem(label, der) => {
                // Only the ends of lines need an escape, so the text is written as JSON at once: looking
                // at each byte again is a twentieth of an issue.
                let mut json = String::with_capacity(PEM_SIZE);
                pem::push_json(&mut json, label, der);
                RawValue::from_string(json).map_err(S::Error::custom)?.serialize(serializer)
            }
            Self::Base64(bytes) => serializer.serialize_str(&data_encoding::BASE64.encode(bytes)),
            Self::Json(json) => json.serialize(serializer),
            Self::Plain(text) => serializer.serialize_str(text),
        }
    }
}

impl Serialize for LeafAnswer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.members().serialize(serializer)
    }
}

impl LeafAnswer {
    fn members(&self) -> Members<'_> {
        let leaf = &self.leaf;
        let as_der = self.form.format == Format::Der;
        let text = |label, der| if as_der { Text::Base64(der) } else { Text::Pem(label, der) };
        let certificate = match (&self.archives, self.form.format) {
            (Some(archives), _) => Text::Base64(&archives.certificate),
            (None, Format::PemBundle) => Text::Plain(bundle(leaf)),
            (None, _) => text(pem::CERTIFICATE, &leaf.der),
        };
        let key = leaf.key.as_ref();
        let truststore = self.archives.as_ref().and_then(|archives| archives.truststore.as_deref());
        Members {
            ca_chain: self.chain(as_der),
            certificate,
            expiration: leaf.not_after.unix(),
            issuing_ca: leaf
                .issuer
                .chain_texts()
                .next()
                .map(|(_, der, json)| if as_der { Text::Base64(der) } else { Text::Json(json) }),
            not_before: leaf.not_before.unix(),
            private_key: key.map(|key| {
                let encoded = key.requested();
                text(encoded.label, &encoded.der)
            }),
            private_key_type: key.map(|key| key.kind().as_str()),
            serial_number: leaf.serial.to_string(),
            truststore: truststore.map(Text::Base64),
        }
    }

    fn chain(&self, as_der: bool) -> Vec<Text<'_>> {
        let leaf = &self.leaf;
        let is_root = |id| leaf.ca_state.issuers.get(id).is_some_and(|issuer| issuer.is_root);
        leaf.issuer
            .chain_texts()
            .filter(|(id, ..)| !self.form.without_roots || !is_root(*id))
            .map(|(_, der, json)| if as_der { Text::Base64(der) } else { Text::Json(json) })
            .collect()
    }
}

/// Key, certificate and chain in one PEM text; the key always has its traditional form.
fn bundle(leaf: &Leaf) -> String {
    let key = leaf.key.as_ref().map(|key| key.traditional().pem().to_string());
    let own = pem::encode(pem::CERTIFICATE, &leaf.der);
    let parts: Vec<_> = key.into_iter().chain([own]).chain(leaf.issuer.chain_pem()).collect();
    parts.join("\n")
}
