//! Rules of revocation lists (RFC 5280, 5) and of composed requests (RFC 2986).

use crate::ca::asn1::{DerError, DerReader, tag};
use crate::ca::certificate::IssuerView;
use crate::ca::crl::TbsCrl;
use crate::ca::extensions::{AUTHORITY_KEY_IDENTIFIER, CRL_NUMBER};
use crate::ca::finding::{Finding, Findings, FixedBy};
use crate::ca::request::TbsRequest;
use crate::ca::signed::ToSign;

fn findings(broken: Vec<Finding>) -> Result<(), Findings> {
    if broken.is_empty() { Ok(()) } else { Err(Findings::new(broken)) }
}

const fn rule(rule: &'static str, clause: &'static str, requirement: &'static str) -> Finding {
    Finding { rule, requirement, clause, fixed_by: FixedBy::Signet }
}

const LIST_READABLE: Finding =
    rule("list_reads_as_der", "RFC 5280, 5.1", "the revocation list reads as DER");
const LIST_VERSION: Finding =
    rule("list_version_is_2", "RFC 5280, 5.1.2.1", "a revocation list has the version 2");
const LIST_ISSUER: Finding = rule(
    "list_issuer_is_the_signer",
    "RFC 5280, 5.1.2.3",
    "the issuer of a revocation list is the subject of its signer",
);
const LIST_ORDER: Finding = rule(
    "list_updates_are_in_order",
    "RFC 5280, 5.1.2.5",
    "thisUpdate is not later than nextUpdate",
);
const LIST_ABSENT: Finding = rule(
    "list_is_absent_when_empty",
    "RFC 5280, 5.1.2.6",
    "with nothing revoked there is no list of entries",
);
/// An imported certificate may lack the identifier that a list names.
const LIST_KEY: Finding = Finding {
    fixed_by: FixedBy::Operator("sign the certificate with a subject key identifier"),
    ..rule(
        "list_names_its_key",
        "RFC 5280, 5.2.1",
        "a revocation list has the key identifier of its signer",
    )
};
const LIST_NUMBER: Finding =
    rule("list_is_numbered", "RFC 5280, 5.2.3", "a revocation list has a number");
const LIST_ALGORITHM: Finding = rule(
    "algorithm_fits_the_signer",
    "RFC 5280, 5.1.1.2",
    "the signature algorithm is one of the signer's key",
);
const REQUEST_READABLE: Finding =
    rule("request_reads_as_der", "RFC 2986, 4.1", "the request reads as DER");

/// The parts of a `TBSCertList` that rules check. Entries are not parsed one by one: each was
/// encoded by [`crate::ca::crl::CrlEntries`], and a million of them must not take a second.
struct CertListView<'a> {
    version: &'a [u8],
    issuer: &'a [u8],
    in_order: bool,
    revoked: Option<&'a [u8]>,
    has_authority: bool,
    has_number: bool,
}

impl<'a> CertListView<'a> {
    fn read(der: &'a [u8]) -> Result<Self, DerError> {
        let mut outer = DerReader::new(der);
        let mut fields = outer.sequence("pkix.TBSCertificateList")?;
        outer.end()?;
        let version = fields.integer()?;
        fields.expect(tag::SEQUENCE, "pkix.AlgorithmIdentifier")?;
        let issuer = fields.expect(tag::SEQUENCE, "pkix.RDNSequence")?.whole;
        let in_order = fields.time()? <= fields.time()?;
        let revoked = fields.optional(tag::SEQUENCE)?.map(|list| list.content);
        let wrapped = fields.expect(tag::explicit(0), "[]pkix.Extension")?;
        fields.end()?;
        let mut list = DerReader::new(wrapped.content).sequence("[]pkix.Extension")?;
        let (mut has_authority, mut has_number) = (false, false);
        while !list.is_empty() {
            let oid = list.sequence("pkix.Extension")?.oid()?;
            has_authority |= oid == AUTHORITY_KEY_IDENTIFIER;
            has_number |= oid == CRL_NUMBER;
        }
        Ok(Self { version, issuer, in_order, revoked, has_authority, has_number })
    }
}

/// Checks every rule of a list.
pub(super) fn check(crl: &TbsCrl, issuer: &IssuerView<'_>) -> Result<(), Findings> {
    let Ok(list) = CertListView::read(crl.der()) else { return findings(vec![LIST_READABLE]) };
    // 5.1.2.6: with nothing revoked the list is absent, not empty.
    let has_entries = list.revoked.is_some_and(|entries| !entries.is_empty());
    let rules = [
        (LIST_VERSION, list.version == [1]),
        (LIST_ISSUER, list.issuer == issuer.subject),
        (LIST_ORDER, list.in_order),
        (LIST_ABSENT, has_entries == (crl.facts().entries > 0)),
        (LIST_KEY, list.has_authority),
        (LIST_NUMBER, list.has_number),
        (LIST_ALGORITHM, crl.algorithm().fits(issuer.key_kind)),
    ];
    let broken = rules.into_iter().filter(|(_, holds)| !holds);
    findings(broken.map(|(finding, _)| finding).collect())
}

/// RFC 2986, 4.1: version 0, a subject, a key, attributes.
pub(super) fn check_request(request: &TbsRequest) -> Result<(), Findings> {
    let read = || -> Result<bool, DerError> {
        let mut outer = DerReader::new(request.der());
        let mut fields = outer.sequence("x509.tbsCertificateRequest")?;
        outer.end()?;
        let version = fields.integer()?;
        fields.expect(tag::SEQUENCE, "asn1.RawValue")?;
        fields.expect(tag::SEQUENCE, "x509.publicKeyInfo")?;
        fields.expect(tag::explicit(0), "[]asn1.RawValue")?;
        fields.end()?;
        Ok(version == [0])
    };
    if read() == Ok(true) {
        return Ok(());
    }
    findings(vec![REQUEST_READABLE])
}
