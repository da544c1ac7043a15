//! Certificates and CRLs as a client parses them, and CSRs.

use std::collections::BTreeSet;
use std::net::IpAddr;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use der::{Decode, Encode};
use rcgen::{CertificateParams, DistinguishedName, DnType, SanType};
use signet::ca::certificate::Certificate;
use signet::ca::key::SignatureAlgorithm;
use x509_cert::crl::CertificateList;

use crate::Finding;
use crate::names::{Names, SignedNames};

/// Issuers with the same name and key share one CRL
/// (`docs/dev/vault-pki.md`, "Revocation lists of a mount").
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Group(Vec<u8>);

impl Group {
    /// The group that an issuer belongs to.
    pub(crate) fn of_issuer(issuer: &Certificate) -> Self {
        let key = issuer.subject_key_identifier().unwrap_or_default();
        Self([issuer.subject(), key].concat())
    }

    /// The group that signed this.
    pub(crate) fn that_signed(certificate: &Certificate) -> Self {
        let key = certificate.authority_key_identifier().unwrap_or_default();
        Self([certificate.issuer(), key].concat())
    }
}

/// The DER of the first block of a PEM text.
pub(crate) fn der_of(pem: &str) -> Result<Vec<u8>, Finding> {
    let body: String = pem.lines().skip(1).take_while(|line| !line.starts_with('-')).collect();
    data_encoding::BASE64
        .decode(body.as_bytes())
        .map_err(|error| Finding::new(format!("not PEM: {error}: {pem}")))
}

/// The certificate in a PEM text.
pub(crate) fn certificate_of(pem: &str) -> Result<Certificate, Finding> {
    Certificate::parse(der_of(pem)?)
        .map_err(|error| Finding::new(format!("not a certificate: {error}: {pem}")))
}

/// The names in a certificate.
pub(crate) fn names_in(certificate: &Certificate) -> SignedNames {
    let names = certificate.names();
    SignedNames {
        common: certificate.common_name().to_owned(),
        hosts: names.dns.iter().chain(&names.email).cloned().collect(),
        uris: names.uri.iter().cloned().collect(),
        addresses: names.ip.iter().map(IpAddr::to_string).collect(),
    }
}

/// Whether this is the private key of the certificate.
pub(crate) fn is_key_of(pem: &str, certificate: &Certificate) -> Result<bool, Finding> {
    let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der_of(pem)?)
        .map_err(|error| Finding::new(format!("not a private key: {error}")))?;
    Ok(certificate.public_key().spki().ends_with(pair.public_key().as_ref()))
}

/// A parsed CRL.
#[derive(Clone, Debug)]
pub(crate) struct Crl {
    pub(crate) der: Vec<u8>,
    pub(crate) number: u64,
    pub(crate) this_update: i64,
    pub(crate) next_update: i64,
    pub(crate) serials: BTreeSet<Vec<u8>>,
    /// The lowest and the highest reading of the clock since the step in which it was read.
    pub(crate) clock: (i64, i64),
}

impl Crl {
    /// Parses a CRL that this issuer, or one with its name and key, must have signed.
    pub(crate) fn read(der: &[u8], issuer: &Certificate) -> Result<Self, Finding> {
        let no = |what: &str| Finding::new(format!("a CRL {what}"));
        let list = CertificateList::<x509_cert::certificate::Rfc5280>::from_der(der)
            .map_err(|error| no(&format!("that cannot be read: {error}")))?;
        let body = &list.tbs_cert_list;
        let name = body.issuer.to_der().map_err(|error| no(&error.to_string()))?;
        if name != issuer.subject() {
            return Err(no("that another name signed"));
        }
        let signed = list.tbs_cert_list.to_der().map_err(|error| no(&error.to_string()))?;
        let signature = list.signature.raw_bytes();
        if !issuer.public_key().verify(SignatureAlgorithm::Ed25519, &signed, signature) {
            return Err(no("whose signature does not verify"));
        }
        let seconds = |time: &x509_cert::time::Time| {
            i64::try_from(time.to_unix_duration().as_secs()).unwrap_or(i64::MAX)
        };
        let next = body.next_update.as_ref().ok_or_else(|| no("without nextUpdate"))?;
        let entries = body.revoked_certificates.iter().flatten();
        let serials = entries.map(|entry| unsigned(entry.serial_number.as_bytes())).collect();
        Ok(Self {
            der: der.to_vec(),
            number: number_of(&list).ok_or_else(|| no("without number"))?,
            this_update: seconds(&body.this_update),
            next_update: seconds(next),
            serials,
            clock: (i64::MAX, i64::MIN),
        })
    }
}

fn number_of(list: &CertificateList<x509_cert::certificate::Rfc5280>) -> Option<u64> {
    let extensions = list.tbs_cert_list.crl_extensions.as_ref()?;
    let number = extensions.iter().find(|one| one.extn_id.to_string() == "2.5.29.20")?;
    u64::from_der(number.extn_value.as_bytes()).ok()
}

fn unsigned(bytes: &[u8]) -> Vec<u8> {
    bytes.strip_prefix(&[0]).unwrap_or(bytes).to_vec()
}

/// A CSR for these names, with a key that is the same in every run.
pub(crate) fn request_for(names: &Names) -> Result<String, Finding> {
    let wrong = |error: &dyn std::fmt::Display| Finding::new(format!("no CSR: {error}"));
    // PKCS#8 of an Ed25519 key (RFC 8410, 7): this prefix, then the 32 bytes of the seed.
    let prefix = [48, 46, 2, 1, 0, 48, 5, 6, 3, 43, 101, 112, 4, 34, 4, 32];
    let pkcs8 = [prefix.as_slice(), &[0x5e; 32]].concat();
    let key = rcgen::KeyPair::try_from(pkcs8.as_slice()).map_err(|error| wrong(&error))?;
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = DistinguishedName::new();
    if !names.common.is_empty() {
        parameters.distinguished_name.push(DnType::CommonName, names.common);
    }
    for host in names.hosts {
        let host = (*host).try_into().map_err(|error| wrong(&error))?;
        parameters.subject_alt_names.push(SanType::DnsName(host));
    }
    for uri in names.uris {
        let uri = (*uri).try_into().map_err(|error| wrong(&error))?;
        parameters.subject_alt_names.push(SanType::URI(uri));
    }
    for address in names.addresses.iter().filter_map(|address| address.parse().ok()) {
        parameters.subject_alt_names.push(SanType::IpAddress(address));
    }
    parameters
        .serialize_request(&key)
        .map(|request| {
            let body = data_encoding::BASE64.encode(request.der());
            format!(
                "-----BEGIN CERTIFICATE REQUEST-----\n{body}\n-----END CERTIFICATE REQUEST-----\n"
            )
        })
        .map_err(|error| wrong(&error))
}
