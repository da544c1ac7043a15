//! The report about a key store: entries, chains, expiry, and what Java refuses. It holds neither
//! keys nor passwords.

use der::Decode;
use serde::Serialize;
use x509_cert::name::Name;

use super::algorithms::Algorithm;
use super::key_kind;
use super::opened::{CertificateEntry, KeyEntry, KeyStoreOpenError, Opened};
use super::order::{self, MAX_CHAIN};
use super::{jks, pkcs12};
use crate::ca::certificate::Certificate;
use crate::ca::keystore::StoreContents;
use crate::ca::serial::colon_hex;
use crate::ca::spiffe::has_spiffe_scheme;
use crate::ca::time::Timestamp;
use crate::secret::Secret;

/// The content of a key store as the command prints it.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) file: String,
    pub(super) kind: KeyStoreFormat,
    /// How changes of the file are noticed.
    pub(super) integrity: Option<Protection>,
    pub(super) encryption: Vec<Protection>,
    pub(super) entries: Vec<EntryReport>,
    pub(super) problems: Vec<String>,
    /// What Java refuses or does not show, by version.
    pub(super) java: Vec<String>,
}

/// The format of a key store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) enum KeyStoreFormat {
    #[serde(rename = "PKCS#12")]
    Pkcs12,
    #[serde(rename = "JKS")]
    Jks,
}

impl KeyStoreFormat {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Pkcs12 => "PKCS#12",
            Self::Jks => "JKS",
        }
    }
}

/// A part of the file and the algorithm that protects it.
#[derive(Debug, Serialize)]
pub(super) struct Protection {
    pub(super) part: &'static str,
    pub(super) algorithm: String,
    pub(super) iterations: Option<u32>,
}

impl Protection {
    fn new(part: &'static str, algorithm: &Algorithm) -> Self {
        let Algorithm { name, iterations, .. } = algorithm;
        Self { part, algorithm: name.clone(), iterations: *iterations }
    }

    fn without_iterations(part: &'static str, algorithm: &str) -> Self {
        Self { part, algorithm: algorithm.to_owned(), iterations: None }
    }
}

/// What an entry holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum EntryKind {
    PrivateKey,
    TrustedCertificate,
    /// In PKCS#12, without a key and without Java's attribute.
    UnmarkedCertificate,
    SecretKey,
}

impl EntryKind {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::PrivateKey => "Private key",
            Self::TrustedCertificate => "Trusted certificate",
            Self::UnmarkedCertificate => "Certificate, not marked as trusted",
            Self::SecretKey => "Secret key",
        }
    }
}

/// One entry.
#[derive(Debug, Serialize)]
pub(super) struct EntryReport {
    pub(super) kind: EntryKind,
    pub(super) alias: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) created: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) key: Option<KeyReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) chain: Option<Chain>,
    pub(super) certificates: Vec<CertificateReport>,
}

/// A private key, without its value.
#[derive(Debug, Serialize)]
pub(super) struct KeyReport {
    /// `None` where the key has another password than the store.
    pub(super) kind: Option<String>,
    /// Whether it is the key of the first certificate; `None` where that cannot be checked.
    pub(super) belongs_to_first_certificate: Option<bool>,
}

/// The order of a key's certificates.
#[derive(Debug, Serialize)]
pub(super) struct Chain {
    pub(super) leaf_first: bool,
    /// Whether each certificate is issued by the next one.
    pub(super) in_order: Option<bool>,
    /// Whether it leads to a self-signed root.
    pub(super) complete: Option<bool>,
    /// The issuer that is not in the file.
    pub(super) missing_issuer: Option<String>,
}

/// One certificate.
#[derive(Debug, Serialize)]
pub(super) struct CertificateReport {
    pub(super) subject: String,
    pub(super) issuer: String,
    pub(super) serial_number: String,
    pub(super) not_before: String,
    pub(super) not_after: String,
    pub(super) validity: String,
    pub(super) key: String,
    pub(super) is_ca: bool,
    pub(super) spiffe_ids: Vec<String>,
    /// Why it cannot be read; the other fields are empty then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) unreadable: Option<String>,
}

/// Opens a file and describes it.
///
/// # Errors
/// Why it is not opened.
pub(super) fn inspect(
    file: &str,
    kind: KeyStoreFormat,
    bytes: &[u8],
    password: &Secret<String>,
    now: Timestamp,
) -> Result<Report, KeyStoreOpenError> {
    let mut report = Report {
        file: printable(file),
        kind,
        integrity: None,
        encryption: Vec::new(),
        entries: Vec::new(),
        problems: Vec::new(),
        java: Vec::new(),
    };
    let plain = password.expose();
    let opened = match kind {
        KeyStoreFormat::Jks => {
            let opened = jks::open(bytes, password)?;
            report.integrity =
                Some(Protection::without_iterations("MAC", "SHA-1 over password and content"));
            if !opened.keys.is_empty() {
                let protection = "SHA-1 keystream, no work factor";
                report.encryption.push(Protection::without_iterations("Private key", protection));
                report.problems.push("JKS protects the key by SHA-1 without a work factor, so its password is guessed quickly: prefer PKCS#12".to_owned());
            }
            opened
        }
        KeyStoreFormat::Pkcs12 => {
            let pfx = pkcs12::read(bytes)?;
            let outline = pkcs12::outline(&pfx)?;
            let opened = pkcs12::open_as(bytes, &pfx, &outline, password)?;
            report.integrity = outline.mac.as_ref().map(|mac| Protection::new("MAC", mac));
            let ciphers = outline.ciphers.iter();
            report.encryption =
                ciphers.map(|(part, cipher)| Protection::new(part, cipher)).collect();
            if outline.mac.is_none() {
                report.problems.push("There is no MAC, so changes of the file are not noticed; NSS and Node.js refuse it".to_owned());
            }
            if outline.has_plain_key {
                report
                    .problems
                    .push("A private key is stored without encryption of its own".to_owned());
            }
            super::java::of_outline(&outline, plain, &mut report.java);
            opened
        }
    };
    report.add_entries(&opened, now);
    super::java::of_entries(&report.entries, plain, &mut report.java);
    Ok(report)
}

impl Report {
    fn add_entries(&mut self, opened: &Opened, now: Timestamp) {
        if opened.keys.is_empty()
            && opened.trusted.is_empty()
            && opened.unmarked.is_empty()
            && opened.secret_keys.is_empty()
        {
            self.problems.push("The key store has no entry".to_owned());
        }
        for entry in &opened.keys {
            self.add_key(entry, now);
        }
        let kinds = [
            (EntryKind::TrustedCertificate, &opened.trusted),
            (EntryKind::UnmarkedCertificate, &opened.unmarked),
        ];
        for (kind, entries) in kinds {
            for CertificateEntry { alias, certificate, created } in entries {
                let facts = certificate_facts(certificate, now);
                self.note_validity(alias, &facts);
                self.entries.push(EntryReport {
                    kind,
                    alias: printable(alias),
                    created: created.map(|created| created.to_string()),
                    key: None,
                    chain: None,
                    certificates: vec![facts],
                });
            }
        }
        self.entries.extend(opened.secret_keys.iter().map(|alias| EntryReport {
            kind: EntryKind::SecretKey,
            alias: printable(alias),
            created: None,
            key: None,
            chain: None,
            certificates: Vec::new(),
        }));
    }

    fn add_key(&mut self, entry: &KeyEntry, now: Timestamp) {
        let alias = printable(&entry.alias);
        let facts: Vec<_> = entry.chain.iter().map(|der| certificate_facts(der, now)).collect();
        for facts in &facts {
            self.note_validity(&entry.alias, facts);
        }
        let belongs = entry.chain.first().and_then(|leaf| belongs(entry, leaf));
        if entry.key.is_none() {
            self.problems.push(format!(
                "The key {alias:?} has another password than the store, or is damaged: it is not decrypted"
            ));
        }
        if belongs == Some(false) {
            let of = entry.chain.iter().position(|der| self::belongs(entry, der) == Some(true));
            let of = of.map_or_else(
                || "to no certificate of its chain".to_owned(),
                |position| format!("to certificate {}", position + 1),
            );
            self.problems.push(format!(
                "The key {alias:?} does not belong to its first certificate, but {of}"
            ));
        }
        let chain = self.add_chain(&alias, entry, &facts);
        self.entries.push(EntryReport {
            kind: EntryKind::PrivateKey,
            alias,
            created: entry.created.map(|created| created.to_string()),
            key: Some(KeyReport {
                kind: entry.key.as_ref().map(key_kind::of),
                belongs_to_first_certificate: belongs,
            }),
            chain,
            certificates: facts,
        });
    }

    fn add_chain(
        &mut self,
        alias: &str,
        entry: &KeyEntry,
        facts: &[CertificateReport],
    ) -> Option<Chain> {
        if entry.chain.is_empty() {
            self.problems.push(format!("The key {alias:?} has no certificate"));
            return None;
        }
        if !entry.leaf_first {
            self.problems.push(format!(
                "The certificate of the key {alias:?} comes after its issuers in the file; readers that take the first one take the wrong one"
            ));
        }
        let parsed: Result<Vec<_>, _> =
            entry.chain.iter().map(|der| Certificate::parse(der.as_slice())).collect();
        let order = parsed.ok().and_then(|chain| order::judge(&chain));
        let Some(order) = order else {
            self.problems.push(format!(
                "The order of the chain of {alias:?} is not checked: a certificate cannot be read, or there are more than {MAX_CHAIN}"
            ));
            return Some(Chain {
                leaf_first: entry.leaf_first,
                in_order: None,
                complete: None,
                missing_issuer: None,
            });
        };
        if let Some(right) = &order.right_order {
            let right: Vec<_> = right.iter().map(|position| (position + 1).to_string()).collect();
            self.problems.push(format!(
                "The chain of {alias:?} is out of order; from leaf to root it is {}",
                right.join(", ")
            ));
        }
        let missing_issuer =
            facts.get(order.last).filter(|_| !order.is_complete).map(|last| last.issuer.clone());
        if let Some(beside) = list(&order.beside) {
            let gap = missing_issuer.as_ref().map_or_else(String::new, |issuer| {
                format!(": {issuer}, the issuer of certificate {}, is missing", order.last + 1)
            });
            self.problems.push(format!(
                "The chain of {alias:?} has a gap or foreign certificates: {beside} not on the path from the leaf{gap}"
            ));
        }
        Some(Chain {
            leaf_first: entry.leaf_first,
            in_order: Some(order.right_order.is_none() && order.beside.is_empty()),
            complete: Some(order.is_complete),
            missing_issuer,
        })
    }

    fn note_validity(&mut self, alias: &str, facts: &CertificateReport) {
        if facts.validity.starts_with("expired") || facts.validity.starts_with("not valid") {
            let alias = printable(alias);
            let CertificateReport { subject, validity, .. } = facts;
            self.problems.push(format!("The certificate {subject} of {alias:?} is {validity}"));
        }
        if let Some(why) = &facts.unreadable {
            let alias = printable(alias);
            self.problems.push(format!("A certificate of {alias:?} cannot be read: {why}"));
        }
    }
}

/// `certificate 3 is`, `certificates 3, 4 are`.
fn list(positions: &[usize]) -> Option<String> {
    let numbers: Vec<_> = positions.iter().map(|position| (position + 1).to_string()).collect();
    match numbers.as_slice() {
        [] => None,
        [one] => Some(format!("certificate {one} is")),
        more => Some(format!("certificates {} are", more.join(", "))),
    }
}

/// Whether the key is that of the certificate; `None` where one of them is of an unknown kind.
fn belongs(entry: &KeyEntry, leaf: &[u8]) -> Option<bool> {
    let key = entry.key.as_ref()?;
    StoreContents { key: Some(key), leaf, chain: &[] }.is_consistent().ok()
}

fn certificate_facts(der: &[u8], now: Timestamp) -> CertificateReport {
    let certificate = match Certificate::parse(der) {
        Ok(certificate) => certificate,
        Err(error) => {
            return CertificateReport {
                subject: String::new(),
                issuer: String::new(),
                serial_number: String::new(),
                not_before: String::new(),
                not_after: String::new(),
                validity: String::new(),
                key: String::new(),
                is_ca: false,
                spiffe_ids: Vec::new(),
                unreadable: Some(printable(&error.to_string())),
            };
        }
    };
    let uris = certificate.names().uri.iter().map(ToString::to_string);
    CertificateReport {
        subject: name(certificate.subject()),
        issuer: name(certificate.issuer()),
        serial_number: colon_hex(certificate.serial()),
        not_before: certificate.not_before().to_string(),
        not_after: certificate.not_after().to_string(),
        validity: validity(&certificate, now),
        key: key_kind::name(certificate.public_key().kind()),
        is_ca: certificate.is_authority(),
        spiffe_ids: uris.filter(|uri| has_spiffe_scheme(uri)).map(|uri| printable(&uri)).collect(),
        unreadable: None,
    }
}

/// RFC 4514, or `(no name)`.
fn name(der: &[u8]) -> String {
    let text = Name::from_der(der).map(|name| name.to_string()).unwrap_or_default();
    if text.is_empty() { "(no name)".to_owned() } else { printable(&text) }
}

fn validity(certificate: &Certificate, now: Timestamp) -> String {
    let (start, end) = (certificate.not_before(), certificate.not_after());
    if now < start {
        format!("not valid before {start}")
    } else if now > end {
        format!("expired {} ago", span(now.unix().saturating_sub(end.unix())))
    } else {
        format!("expires in {}", span(end.unix().saturating_sub(now.unix())))
    }
}

/// The number of seconds in the largest unit that fits at least twice.
fn span(seconds: i64) -> String {
    let units = [(86_400, "days"), (3600, "hours"), (60, "minutes")];
    match units.iter().find(|(length, _)| seconds >= 2 * length) {
        Some((length, unit)) => format!("{} {unit}", seconds / length),
        None => format!("{seconds} seconds"),
    }
}

/// Text of a file in which control characters and those that change the direction of text are
/// escaped, so that it cannot control the terminal.
pub(super) fn printable(text: &str) -> String {
    let is_unsafe = |character: char| {
        character.is_control()
            || matches!(character, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if is_unsafe(character) {
            shown.extend(character.escape_unicode());
        } else {
            shown.push(character);
        }
    }
    shown
}
