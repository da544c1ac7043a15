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

impl super::signed::sealed::Sealed for TbsCrl {}

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

#[cfg(test)]
mod tests {
    use der::Decode;
    use x509_cert::crl::CertificateList;

    use super::*;
    use crate::ca::for_tests::{self, NOW};
    use crate::ca::key::Hash;
    use crate::ca::lint::lint_crl;

    const VALUES: CrlValues<'static> = CrlValues {
        number: 0x80,
        this_update: NOW,
        next_update: NOW.plus(3600),
        algorithm: SignatureAlgorithm::Ecdsa(Hash::Sha256),
        freshest_crl: &[],
    };

    #[test]
    fn a_list_reads_back_with_its_entries_in_order() {
        let (root, pair) = for_tests::root("root");
        let entries = [encode_entry(&[0x80, 1], NOW), encode_entry(&[0, 2], NOW.plus(1))];
        let view = root.issuer_view();
        let crl = compose_crl(&view, &VALUES, entries.map(Result::unwrap)).unwrap();
        let signed = pair.sign(lint_crl(crl, &view).unwrap());
        assert_eq!((signed.facts().entries, signed.facts().number), (2, 0x80));
        let read = CertificateList::<x509_cert::certificate::Rfc5280>::from_der(signed.der());
        let read = read.unwrap().tbs_cert_list;
        let revoked = read.revoked_certificates.unwrap();
        let serials: Vec<_> =
            revoked.iter().map(|entry| entry.serial_number.as_bytes().to_vec()).collect();
        assert_eq!(serials, [vec![0, 0x80, 1], vec![2]]);
        let oids: Vec<_> = read.crl_extensions.unwrap();
        let oids: Vec<_> = oids.iter().map(|one| (one.extn_id, one.critical)).collect();
        assert_eq!(
            oids,
            [(extensions::AUTHORITY_KEY_IDENTIFIER, false), (extensions::CRL_NUMBER, false)]
        );
    }

    #[test]
    fn with_nothing_revoked_the_list_of_entries_is_absent() {
        let (root, pair) = for_tests::root("root");
        let view = root.issuer_view();
        let freshest = ["http://a/delta".to_owned()];
        let values = CrlValues { freshest_crl: &freshest, ..VALUES };
        let crl = compose_crl(&view, &values, [[0_u8; 0]; 0]).unwrap();
        let signed = pair.sign(lint_crl(crl, &view).unwrap());
        let read = CertificateList::<x509_cert::certificate::Rfc5280>::from_der(signed.der());
        let read = read.unwrap().tbs_cert_list;
        assert!(read.revoked_certificates.is_none());
        assert_eq!(read.crl_extensions.unwrap().len(), 3);
    }

    #[test]
    fn a_list_of_twenty_thousand_is_one_list() {
        let (root, pair) = for_tests::root("root");
        let view = root.issuer_view();
        let entries: Vec<_> = (1_u32..=20_000)
            .map(|serial| encode_entry(&serial.to_be_bytes(), NOW).unwrap())
            .collect();
        let crl = compose_crl(&view, &VALUES, &entries).unwrap();
        let signed = pair.sign(lint_crl(crl, &view).unwrap());
        let read = CertificateList::<x509_cert::certificate::Rfc5280>::from_der(signed.der());
        assert_eq!(read.unwrap().tbs_cert_list.revoked_certificates.unwrap().len(), 20_000);
    }
}
