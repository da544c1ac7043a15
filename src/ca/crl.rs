//! Certificate revocation lists (RFC 5280, 5). Entries are kept encoded, since a list may have a
//! million of them.

use std::collections::BTreeMap;

use der::EncodeValue;

use super::asn1::{
    DerError, DerReader, TaggedValue, Time, Unsigned, Verbatim, append, encode, sequences, tag,
};
use super::cert::ComposeError;
use super::certificate::IssuerView;
use super::key::SignatureAlgorithm;
use super::signed::ToSign;
use super::time::Timestamp;
use super::{algorithm_identifier, extensions};

/// The values of a list, without its entries.
#[derive(Clone, Debug)]
pub struct CrlValues<'a> {
    /// cRLNumber.
    pub number: u64,
    /// thisUpdate.
    pub this_update: Timestamp,
    /// nextUpdate.
    pub next_update: Timestamp,
    /// Signature algorithm.
    pub algorithm: SignatureAlgorithm,
    /// freshestCRL: URLs of delta CRLs; empty means no extension.
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

/// Fields of a composed list that outlive its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CrlFacts {
    /// cRLNumber.
    pub number: u64,
    /// thisUpdate, as encoded.
    pub this_update: Timestamp,
    /// nextUpdate, as encoded.
    pub next_update: Timestamp,
    /// The number of entries.
    pub entries: usize,
}

/// The encoded entries of a list: serial number and revocation date, without entry extensions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CrlEntries {
    der: Vec<u8>,
    count: usize,
}

impl CrlEntries {
    /// The entries of a signed list.
    ///
    /// # Errors
    /// Fails if the bytes are not a revocation list.
    pub fn from_crl(list: &[u8]) -> Result<Self, String> {
        let read = || -> Result<Self, DerError> {
            let mut signed = DerReader::new(list).sequence("pkix.CertificateList")?;
            let mut fields = signed.sequence("pkix.TBSCertificateList")?;
            fields.integer()?;
            fields.expect(tag::SEQUENCE, "pkix.AlgorithmIdentifier")?;
            fields.expect(tag::SEQUENCE, "pkix.RDNSequence")?;
            let _updates = (fields.time()?, fields.time()?);
            let Some(revoked) = fields.optional(tag::SEQUENCE)? else { return Ok(Self::default()) };
            let der = revoked.content.to_vec();
            let count = walk(&der, |_, _| ())?;
            Ok(Self { der, count })
        };
        read().map_err(|error| error.to_string())
    }

    /// Adds an entry: the serial number as big-endian bytes, and when it was revoked.
    ///
    /// # Errors
    /// Refuses an instant that a list cannot encode.
    pub fn push(&mut self, serial: &[u8], revoked_at: Timestamp) -> Result<(), ComposeError> {
        let revocation_date = Time::new(revoked_at).ok_or(ComposeError::Instant(revoked_at))?;
        append(
            &mut self.der,
            &RevokedCertificate { serial_number: Unsigned(serial), revocation_date },
        );
        self.count = self.count.saturating_add(1);
        Ok(())
    }

    /// Adds the entries of `others` whose serial numbers are not listed yet, and returns their
    /// number.
    ///
    /// # Errors
    /// Fails on malformed entries.
    pub fn add_missing(&mut self, others: &Self) -> Result<usize, String> {
        let missing = self.missing(others)?;
        let count = missing.len();
        self.der.extend(missing.into_values().flatten());
        self.count = self.count.saturating_add(count);
        Ok(count)
    }

    /// The entries of `others` whose serial numbers are not listed, by serial number.
    fn missing<'a>(&self, others: &'a Self) -> Result<BTreeMap<&'a [u8], &'a [u8]>, String> {
        let mut missing = BTreeMap::new();
        let mut compare = || -> Result<(), DerError> {
            walk(&others.der, |serial, entry| {
                missing.insert(serial, entry);
            })?;
            walk(&self.der, |serial, _| {
                missing.remove(serial);
            })?;
            Ok(())
        };
        compare().map_err(|error| error.to_string())?;
        Ok(missing)
    }

    /// The length of the encoded entries, in bytes.
    pub const fn byte_length(&self) -> usize {
        self.der.len()
    }

    /// Is the list without entries?
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }
}

/// Calls `visit` with the serial number and the encoding of each entry, and returns their number.
fn walk<'a>(der: &'a [u8], mut visit: impl FnMut(&'a [u8], &'a [u8])) -> Result<usize, DerError> {
    let (mut list, mut count) = (DerReader::new(der), 0_usize);
    while !list.is_empty() {
        let entry = list.expect(tag::SEQUENCE, "pkix.RevokedCertificate")?;
        visit(DerReader::new(entry.content).integer()?, entry.whole);
        count = count.saturating_add(1);
    }
    Ok(count)
}

/// Composes a list with the entries in the given order.
pub fn compose_crl(
    issuer: &IssuerView<'_>,
    values: &CrlValues<'_>,
    entries: &CrlEntries,
) -> Result<TbsCrl, ComposeError> {
    if let Some(url) = values.freshest_crl.iter().find(|url| !url.is_ascii()) {
        return Err(ComposeError::NotIa5(url.clone()));
    }
    let time = |instant| Time::new(instant).ok_or(ComposeError::Instant(instant));
    let list = TaggedValue::of(tag::SEQUENCE, &entries.der);
    let extensions = crl_extensions(issuer, values);
    let extensions = TaggedValue::of(tag::SEQUENCE, &extensions);
    let der = encode(&TbsCertList {
        version: VERSION_2,
        signature: Verbatim(algorithm_identifier::encode(values.algorithm)),
        issuer: Verbatim(issuer.subject),
        this_update: time(values.this_update)?,
        next_update: time(values.next_update)?,
        revoked_certificates: Some(list).filter(|_| !entries.is_empty()),
        extensions: TaggedValue::new(tag::explicit(0), extensions),
    });
    let facts = CrlFacts {
        number: values.number,
        this_update: values.this_update.whole(),
        next_update: values.next_update.whole(),
        entries: entries.count,
    };
    Ok(TbsCrl { der, algorithm: values.algorithm, facts })
}

/// The encoding of version 2.
const VERSION_2: u8 = 1;

/// RFC 5280, 5.1.
#[derive(EncodeValue)]
struct TbsCertList<'a> {
    version: u8,
    signature: Verbatim<'a>,
    issuer: Verbatim<'a>,
    this_update: Time,
    next_update: Time,
    revoked_certificates: Option<TaggedValue<Verbatim<'a>>>,
    /// `[0] EXPLICIT` around a SEQUENCE.
    extensions: TaggedValue<TaggedValue<Verbatim<'a>>>,
}

/// One of the revokedCertificates.
#[derive(EncodeValue)]
struct RevokedCertificate<'a> {
    serial_number: Unsigned<'a>,
    revocation_date: Time,
}

sequences!(TbsCertList<'_>, RevokedCertificate<'_>);

/// crlExtensions: AKI, cRLNumber, freshestCRL.
fn crl_extensions(issuer: &IssuerView<'_>, values: &CrlValues<'_>) -> Vec<u8> {
    let mut list = Vec::with_capacity(96);
    if let Some(identifier) = issuer.key_identifier {
        extensions::write_authority_key_identifier(&mut list, identifier);
    }
    extensions::extension(&mut list, &extensions::CRL_NUMBER, false, values.number);
    extensions::distribution_points(&mut list, &extensions::FRESHEST_CRL, values.freshest_crl);
    list
}

impl TbsCrl {
    /// The DER of the `TBSCertList`.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// Its number, dates and size.
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

    fn is_verified_after_signing(&self) -> bool {
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
    use crate::ca::key::SignatureHash;
    use crate::ca::lint::lint_crl;

    const VALUES: CrlValues<'static> = CrlValues {
        number: 0x80,
        this_update: NOW,
        next_update: NOW.plus(3600),
        algorithm: SignatureAlgorithm::Ecdsa(SignatureHash::Sha256),
        freshest_crl: &[],
    };

    #[test]
    fn a_list_reads_back_with_its_entries_in_order() {
        let (root, pair) = for_tests::root("root");
        let mut entries = CrlEntries::default();
        entries.push(&[0x80, 1], NOW).unwrap();
        entries.push(&[0, 2], NOW.plus(1)).unwrap();
        let view = root.issuer_view();
        let crl = compose_crl(&view, &VALUES, &entries).unwrap();
        let signed = pair.sign(lint_crl(crl, &view).unwrap());
        assert_eq!((signed.facts().entries, signed.facts().number), (2, 0x80));
        assert_eq!(CrlEntries::from_crl(signed.der()).unwrap(), entries);
        let read = CertificateList::<x509_cert::certificate::Rfc5280>::from_der(signed.der());
        let read = read.unwrap().tbs_cert_list;
        let revoked = read.revoked_certificates.unwrap();
        let serials: Vec<_> =
            revoked.iter().map(|entry| entry.serial_number.as_bytes().to_vec()).collect();
        assert_eq!(serials, [vec![0, 0x80, 1], vec![2]]);
        let oids: Vec<_> = read.crl_extensions.unwrap();
        assert!(oids.iter().all(|one| !one.critical));
        let oids: Vec<_> = oids.iter().map(|one| one.extn_id).collect();
        assert_eq!(oids, [extensions::AUTHORITY_KEY_IDENTIFIER, extensions::CRL_NUMBER]);
    }

    #[test]
    fn the_sequence_of_entries_is_absent_if_nothing_is_revoked() {
        let (root, pair) = for_tests::root("root");
        let view = root.issuer_view();
        let freshest = ["http://a/delta".to_owned()];
        let values = CrlValues { freshest_crl: &freshest, ..VALUES };
        let crl = compose_crl(&view, &values, &CrlEntries::default()).unwrap();
        let signed = pair.sign(lint_crl(crl, &view).unwrap());
        let read = CertificateList::<x509_cert::certificate::Rfc5280>::from_der(signed.der());
        let read = read.unwrap().tbs_cert_list;
        assert!(read.revoked_certificates.is_none());
        assert_eq!(read.crl_extensions.unwrap().len(), 3);
        assert!(CrlEntries::from_crl(signed.der()).unwrap().is_empty());
    }

    #[test]
    fn a_list_of_twenty_thousand_is_one_list() {
        let (root, pair) = for_tests::root("root");
        let view = root.issuer_view();
        let mut entries = CrlEntries::default();
        for serial in 1_u32..=20_000 {
            entries.push(&serial.to_be_bytes(), NOW).unwrap();
        }
        let crl = compose_crl(&view, &VALUES, &entries).unwrap();
        let signed = pair.sign(lint_crl(crl, &view).unwrap());
        let read = CertificateList::<x509_cert::certificate::Rfc5280>::from_der(signed.der());
        assert_eq!(read.unwrap().tbs_cert_list.revoked_certificates.unwrap().len(), 20_000);
    }

    #[test]
    fn a_serial_number_is_listed_once() {
        let of = |serials: &[u8]| {
            let mut entries = CrlEntries::default();
            for serial in serials {
                entries.push(&[0, *serial], NOW.plus(i64::from(*serial))).unwrap();
            }
            entries
        };
        let mut entries = of(&[9, 2, 200]);
        assert_eq!(entries.add_missing(&of(&[200, 7, 2, 7])), Ok(1));
        assert_eq!(entries, of(&[9, 2, 200, 7]));
        assert_eq!(entries.add_missing(&of(&[9, 7])), Ok(0));
        assert_eq!(CrlEntries::default().add_missing(&entries), Ok(4));
    }

    #[test]
    fn bytes_that_are_not_a_list_are_refused() {
        for list in [&b""[..], &[0x30, 0], &[0x30, 3, 0x30, 1, 0]] {
            assert!(CrlEntries::from_crl(list).is_err());
        }
    }
}
