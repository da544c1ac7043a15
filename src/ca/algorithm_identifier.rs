//! `AlgorithmIdentifier` of signatures: RFC 4055 (RSA), RFC 5758 (ECDSA), RFC 8410 (Ed25519).

use der::Sequence;
use der::asn1::{AnyRef, ObjectIdentifier};

use super::asn1::DerReader;
use super::key::{SignatureAlgorithm, SignatureHash};

/// The identifier of any algorithm, as PKCS#8 documents and key stores contain it (RFC 5280,
/// 4.1.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Sequence)]
pub(crate) struct AlgorithmIdentifierRef<'a> {
    pub(crate) oid: ObjectIdentifier,
    pub(crate) parameters: Option<AnyRef<'a>>,
}

/// The DER of the identifier: NULL parameters for PKCS#1, explicit ones for PSS, none otherwise.
pub(in crate::ca) const fn encode(algorithm: SignatureAlgorithm) -> &'static [u8] {
    match algorithm {
        SignatureAlgorithm::Ecdsa(SignatureHash::Sha256) => const { &ecdsa(2) },
        SignatureAlgorithm::Ecdsa(SignatureHash::Sha384) => const { &ecdsa(3) },
        SignatureAlgorithm::Ecdsa(SignatureHash::Sha512) => const { &ecdsa(4) },
        SignatureAlgorithm::RsaPkcs1(SignatureHash::Sha256) => const { &pkcs1(11) },
        SignatureAlgorithm::RsaPkcs1(SignatureHash::Sha384) => const { &pkcs1(12) },
        SignatureAlgorithm::RsaPkcs1(SignatureHash::Sha512) => const { &pkcs1(13) },
        SignatureAlgorithm::RsaPss(SignatureHash::Sha256) => const { &pss(1, 32) },
        SignatureAlgorithm::RsaPss(SignatureHash::Sha384) => const { &pss(2, 48) },
        SignatureAlgorithm::RsaPss(SignatureHash::Sha512) => const { &pss(3, 64) },
        SignatureAlgorithm::Ed25519 => &[0x30, 5, 6, 3, 0x2b, 0x65, 0x70],
    }
}

const fn ecdsa(last: u8) -> [u8; 12] {
    [0x30, 10, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, last]
}

const fn pkcs1(last: u8) -> [u8; 15] {
    [0x30, 13, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, last, 5, 0]
}

/// PKCS#1 without the NULL parameters, which some implementations omit and Go accepts.
const fn pkcs1_bare(last: u8) -> [u8; 13] {
    [0x30, 11, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, last]
}

/// RSASSA-PSS-params: the hash, MGF1 with the same hash, the salt; the trailer is the default.
#[rustfmt::skip]
const fn pss(hash: u8, salt: u8) -> [u8; 67] {
    [
        0x30, 65, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 10,
        0x30, 52,
        0xa0, 15, 0x30, 13, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, hash, 5, 0,
        0xa1, 28, 0x30, 26, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 8,
        0x30, 13, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, hash, 5, 0,
        0xa2, 3, 2, 1, salt,
    ]
}

/// The same without NULL in the identifiers of the hashes, to be accepted by RFC 4055, 2.1.
#[rustfmt::skip]
const fn pss_bare(hash: u8, salt: u8) -> [u8; 63] {
    [
        0x30, 61, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 10,
        0x30, 48,
        0xa0, 13, 0x30, 11, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, hash,
        0xa1, 26, 0x30, 24, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 8,
        0x30, 11, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, hash,
        0xa2, 3, 2, 1, salt,
    ]
}

/// The algorithm that an identifier names; `None` for unsupported ones, such as SHA-1.
pub(in crate::ca) fn decode(der: &[u8]) -> Option<SignatureAlgorithm> {
    let known = SignatureAlgorithm::ALL.into_iter().find(|algorithm| encode(*algorithm) == der);
    known.or_else(|| {
        [
            (SignatureHash::Sha256, 11, 1, 32),
            (SignatureHash::Sha384, 12, 2, 48),
            (SignatureHash::Sha512, 13, 3, 64),
        ]
        .into_iter()
        .find_map(|(hash, rsa, digest, salt)| {
            if der == pkcs1_bare(rsa) {
                Some(SignatureAlgorithm::RsaPkcs1(hash))
            } else if der == pss_bare(digest, salt) {
                Some(SignatureAlgorithm::RsaPss(hash))
            } else {
                None
            }
        })
    })
}

/// The name of an algorithm that [`decode`] does not support, or else its OID.
pub(in crate::ca) fn unsupported_name(der: &[u8]) -> String {
    let mut fields = match DerReader::new(der).sequence("pkix.AlgorithmIdentifier") {
        Ok(fields) => fields,
        Err(error) => return error.to_string(),
    };
    let oid = match fields.oid() {
        Ok(oid) => oid.to_string(),
        Err(error) => return error.to_string(),
    };
    let known = UNSUPPORTED.iter().find(|(dotted, _)| *dotted == oid);
    match known {
        Some((_, name)) => (*name).to_owned(),
        None if SUPPORTED_WITH_OTHER_PARAMETERS.contains(&oid.as_str()) => {
            format!("{oid} with these parameters")
        }
        None => oid,
    }
}

/// Algorithms that [`decode`] supports with other parameters.
const SUPPORTED_WITH_OTHER_PARAMETERS: [&str; 7] = [
    "1.2.840.113549.1.1.11",
    "1.2.840.113549.1.1.12",
    "1.2.840.113549.1.1.13",
    "1.2.840.10045.4.3.2",
    "1.2.840.10045.4.3.3",
    "1.2.840.10045.4.3.4",
    "1.3.101.112",
];

/// Algorithms that CSRs are signed with and that are not accepted.
const UNSUPPORTED: [(&str, &str); 20] = [
    ("1.2.840.113549.1.1.2", "MD2-RSA"),
    ("1.2.840.113549.1.1.3", "MD4-RSA"),
    ("1.2.840.113549.1.1.4", "MD5-RSA"),
    ("1.2.840.113549.1.1.5", "SHA1-RSA"),
    ("1.3.14.3.2.29", "SHA1-RSA"),
    ("1.2.840.113549.1.1.10", "RSA-PSS with these parameters"),
    ("1.2.840.113549.1.1.14", "SHA224-RSA"),
    ("1.2.840.113549.1.1.15", "SHA512/224-RSA"),
    ("1.2.840.113549.1.1.16", "SHA512/256-RSA"),
    ("1.2.840.10045.4.1", "ECDSA-SHA1"),
    ("1.2.840.10045.4.3.1", "ECDSA-SHA224"),
    ("1.2.840.10040.4.3", "DSA-SHA1"),
    ("2.16.840.1.101.3.4.3.1", "DSA-SHA224"),
    ("2.16.840.1.101.3.4.3.2", "DSA-SHA256"),
    ("2.16.840.1.101.3.4.3.10", "ECDSA-SHA3-256"),
    ("2.16.840.1.101.3.4.3.14", "SHA3-256-RSA"),
    ("1.3.101.113", "Ed448"),
    ("2.16.840.1.101.3.4.3.17", "ML-DSA-44"),
    ("2.16.840.1.101.3.4.3.18", "ML-DSA-65"),
    ("2.16.840.1.101.3.4.3.19", "ML-DSA-87"),
];

#[cfg(test)]
mod tests {
    use der::{Decode, Encode};
    use x509_cert::spki::AlgorithmIdentifierOwned;

    use super::*;

    #[test]
    fn every_identifier_is_der_and_reads_back() {
        for algorithm in SignatureAlgorithm::ALL {
            let bytes = encode(algorithm);
            let parsed = AlgorithmIdentifierOwned::from_der(bytes).unwrap();
            assert_eq!(parsed.to_der().unwrap(), bytes, "{algorithm}");
            assert_eq!(decode(bytes), Some(algorithm));
        }
        for bare in [&pkcs1_bare(12)[..], &pss_bare(2, 48)] {
            AlgorithmIdentifierOwned::from_der(bare).unwrap();
            assert!(decode(bare).is_some());
        }
    }

    #[test]
    fn sha1_is_unsupported_and_reported_by_its_name() {
        assert_eq!(decode(&pkcs1(5)), None);
        assert_eq!(unsupported_name(&pkcs1(5)), "SHA1-RSA");
        let mut trailing = ecdsa(2).to_vec();
        trailing.extend_from_slice(&[5, 0]);
        trailing[1] += 2;
        assert_eq!(decode(&trailing), None);
        assert_eq!(unsupported_name(&trailing), "1.2.840.10045.4.3.2 with these parameters");
        assert_eq!(unsupported_name(&[0x30, 4, 6, 2, 0x2a, 3]), "1.2.3");
        assert_eq!(unsupported_name(&[0x30, 0]), "asn1: syntax error: sequence truncated");
    }
}
