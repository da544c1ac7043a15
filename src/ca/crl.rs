//! Certificate revocation lists (RFC 5280, 5; pki-api 16.4), fast for a million entries.

use super::asn1::{Writer, header, tag, time};
use super::cert::ComposeError;
use super::certificate::IssuerView;
use super::key::SignatureAlgorithm;
use super::signed::ToSign;
use super::time::Timestamp;
use super::{algorithm_identifier, extensions};

/// The values of a list but for its entries.
#[derive(Clone, Debug)]
pub struct CrlValues<'a> {
    /// cRLNumber.
    pub number: u64,
    /// thisUpdate.
    pub this_update: Timestamp,
    /// nextUpdate.
    pub next_update: Timestamp,
    /// How it is signed.
    pub algorithm: SignatureAlgorithm,
    /// freshestCRL: where deltas are found; empty means no extension.
    pub freshest_crl: &'a [String],
}

/// A composed list, not yet linted.
#[derive(Debug)]
#[must_use]
pub struct TbsCrl {
    der: Vec<u8>,
    algorithm: SignatureAlgorithm,
    facts: CrlFacts,
}

/// What is known of a list that we composed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CrlFacts {
    /// cRLNumber.
    pub number: u64,
    /// thisUpdate, as encoded.
    pub this_update: Timestamp,
    /// nextUpdate, as encoded.
    pub next_update: Timestamp,
    /// How many entries.
    pub entries: usize,
}

/// The DER of one entry: serial number (big-endian octets) and instant; no entry extensions.
pub fn encode_entry(serial: &[u8], revoked_at: Timestamp) -> Result<Vec<u8>, ComposeError> {
    let mut date = Vec::with_capacity(17);
    time(&mut date, revoked_at).ok_or(ComposeError::Instant(revoked_at))?;
    let mut writer = Writer::with_capacity(48);
    writer.sequence(|writer| {
        writer.unsigned(serial);
        writer.raw(&date);
    });
    Ok(writer.into_bytes())
}

/// Composes a list from entries that are encoded already, in the order given.
pub fn compose_crl<E: AsRef<[u8]>>(
    issuer: &IssuerView<'_>,
    values: &CrlValues<'_>,
    entries: impl IntoIterator<Item = E>,
) -> Result<TbsCrl, ComposeError> {
    if let Some(url) = values.freshest_crl.iter().find(|url| !url.is_ascii()) {
        return Err(ComposeError::NotIa5(url.clone()));
    }
    let head = head(issuer, values)?;
    let tail = tail(issuer, values);
    let mut revoked = Vec::new();
    let mut count = 0_usize;
    for entry in entries {
        revoked.extend_from_slice(entry.as_ref());
        count = count.saturating_add(1);
    }
    let mut list = Vec::with_capacity(6);
    if count > 0 {
        header(&mut list, tag::SEQUENCE, revoked.len());
    }
    let parts = [&head[..], &list, &revoked, &tail];
    let length = parts.iter().map(|part| part.len()).sum();
    let mut der = Vec::with_capacity(usize::saturating_add(length, 6));
    header(&mut der, tag::SEQUENCE, length);
    for part in parts {
        der.extend_from_slice(part);
    }
    let facts = CrlFacts {
        number: values.number,
        this_update: values.this_update.whole(),
        next_update: values.next_update.whole(),
        entries: count,
    };
    Ok(TbsCrl { der, algorithm: values.algorithm, facts })
}

/// Version, algorithm, issuer and both instants.
fn head(issuer: &IssuerView<'_>, values: &CrlValues<'_>) -> Result<Vec<u8>, ComposeError> {
    let mut head = vec![tag::INTEGER, 1, 1];
    head.extend_from_slice(algorithm_identifier::encode(values.algorithm));
    head.extend_from_slice(issuer.subject);
    for instant in [values.this_update, values.next_update] {
        time(&mut head, instant).ok_or(ComposeError::Instant(instant))?;
    }
    Ok(head)
}

/// crlExtensions: AKI, cRLNumber, freshestCRL.
fn tail(issuer: &IssuerView<'_>, values: &CrlValues<'_>) -> Vec<u8> {
    let mut writer = Writer::with_capacity(96);
    writer.element(tag::explicit(0), |writer| {
        writer.sequence(|writer| {
            if let Some(identifier) = issuer.key_identifier {
                extensions::write_authority_key_identifier(writer, identifier);
            }
            extensions::extension(writer, &extensions::CRL_NUMBER, false, |writer| {
                writer.unsigned(&values.number.to_be_bytes());
            });
            extensions::distribution_points(writer, &extensions::FRESHEST_CRL, values.freshest_crl);
        });
    });
    writer.into_bytes()
}

impl TbsCrl {
    /// The DER of the `TBSCertList`.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// What is known of it.
    pub const fn facts(&self) -> &CrlFacts {
        &self.facts
    }
}

impl ToSign for TbsCrl {
    type Facts = CrlFacts;

    fn to_be_signed(&self) -> &[u8] {
        &self.der
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        self.algorithm
    }

    fn is_grave(&self) -> bool {
        true
    }

    fn into_facts(self) -> CrlFacts {
        self.facts
    }
}
