//! Subject public keys: parsing, encoding, key identifiers and verification.

use std::fmt;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use aws_lc_rs::signature::{self, ParsedPublicKey, UnparsedPublicKey, VerificationAlgorithm};
use der::EncodeValue;

use super::asn1::{DerReader, TaggedValue, Verbatim, WholeBits, encode, sequences, tag};
use super::key::{Curve, KeyKind, SignatureAlgorithm, SignatureHash};
use crate::secret::Secret;

/// A public key, as SubjectPublicKeyInfo.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    spki: Vec<u8>,
    bits_start: usize,
    kind: KeyKind,
}

/// Why a SubjectPublicKeyInfo is rejected. The texts are Go's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublicKeyError {
    /// An algorithm that is not supported.
    UnknownAlgorithm,
    /// A curve that is not supported.
    UnsupportedCurve,
    /// Anything else.
    Malformed(String),
}

impl fmt::Display for PublicKeyError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownAlgorithm => formatter.write_str("x509: unknown public key algorithm"),
            Self::UnsupportedCurve => formatter.write_str("x509: unsupported elliptic curve"),
            Self::Malformed(text) => formatter.write_str(text),
        }
    }
}

impl std::error::Error for PublicKeyError {}

impl From<super::asn1::DerError> for PublicKeyError {
    fn from(error: super::asn1::DerError) -> Self {
        Self::Malformed(error.to_string())
    }
}

fn malformed(text: &str) -> PublicKeyError {
    PublicKeyError::Malformed(text.to_owned())
}

/// rsaEncryption (RFC 3279, 2.3.1).
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1];
/// id-ecPublicKey (RFC 5480, 2.1.1).
const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
/// id-Ed25519 (RFC 8410, 3).
const ED25519: &[u8] = &[0x2b, 0x65, 0x70];

/// The AlgorithmIdentifier of an EC key is followed by the curve's name (RFC 5480, 2.1.1.1).
const fn curve_oid(curve: Curve) -> &'static [u8] {
    match curve {
        Curve::P224 => &[0x2b, 0x81, 4, 0, 33],
        Curve::P256 => &[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7],
        Curve::P384 => &[0x2b, 0x81, 4, 0, 34],
        Curve::P521 => &[0x2b, 0x81, 4, 0, 35],
    }
}

/// RFC 5280, 4.1.
#[derive(EncodeValue)]
struct SubjectPublicKeyInfo<'a> {
    algorithm: KeyAlgorithm<'a>,
    subject_public_key: WholeBits<'a>,
}

#[derive(EncodeValue)]
struct KeyAlgorithm<'a> {
    algorithm: TaggedValue<Verbatim<'a>>,
    parameters: Option<TaggedValue<Verbatim<'a>>>,
}

/// RFC 5208, 5.
#[derive(EncodeValue)]
struct WrittenPrivateKeyInfo<'a> {
    version: u8,
    algorithm: Verbatim<'a>,
    private_key: TaggedValue<WrittenEcPrivateKey<'a>>,
}

/// RFC 5915, 3.
#[derive(EncodeValue)]
struct WrittenEcPrivateKey<'a> {
    version: u8,
    private_key: TaggedValue<Verbatim<'a>>,
    public_key: TaggedValue<WholeBits<'a>>,
}

sequences!(
    SubjectPublicKeyInfo<'_>,
    KeyAlgorithm<'_>,
    WrittenPrivateKeyInfo<'_>,
    WrittenEcPrivateKey<'_>
);

impl PublicKey {
    /// Parses the DER of a SubjectPublicKeyInfo and encodes it again, so that only checked bytes
    /// are certified. An EC point must be on its curve; weak keys are refused.
    pub fn parse(spki: &[u8]) -> Result<Self, PublicKeyError> {
        let mut outer = DerReader::new(spki);
        let mut fields = outer.sequence("x509.publicKeyInfo")?;
        outer.end()?;
        let mut algorithm = fields.sequence("pkix.AlgorithmIdentifier")?;
        let oid = algorithm.oid_bytes()?;
        let bits = fields.bit_string_bytes()?;
        fields.end()?;
        let kind = match oid {
            RSA => rsa(algorithm, bits)?,
            EC => ec(algorithm, bits)?,
            ED25519 => ed25519(algorithm, bits)?,
            _ => return Err(PublicKeyError::UnknownAlgorithm),
        };
        Ok(Self::new_unchecked(kind, bits))
    }

    /// Encodes a key without checks, for one that was generated here or is checked already. The
    /// bits are the point of an EC key, the bytes of an Ed25519 key, or the `RSAPublicKey`.
    pub(crate) fn new_unchecked(kind: KeyKind, bits: &[u8]) -> Self {
        let identifier = |content| TaggedValue::of(tag::OBJECT_IDENTIFIER, content);
        let (algorithm, parameters) = match kind {
            KeyKind::Rsa(_) => (RSA, Some(TaggedValue::of(tag::NULL, &[]))),
            KeyKind::Ec(curve) => (EC, Some(identifier(curve_oid(curve)))),
            KeyKind::Ed25519 => (ED25519, None),
        };
        let spki = encode(&SubjectPublicKeyInfo {
            algorithm: KeyAlgorithm { algorithm: identifier(algorithm), parameters },
            subject_public_key: WholeBits(bits),
        });
        let bits_start = spki.len().saturating_sub(bits.len());
        Self { spki, bits_start, kind }
    }

    /// The PKCS#8 document (RFC 5208) of the EC private key with this scalar and the public key
    /// (RFC 5915, 3). The scalar has the length of the field. `None` for other kinds of keys.
    pub fn ec_pkcs8(&self, scalar: &[u8]) -> Option<Secret<Vec<u8>>> {
        let KeyKind::Ec(_) = self.kind else { return None };
        let mut info = DerReader::new(&self.spki).sequence("x509.publicKeyInfo").ok()?;
        let algorithm = info.expect(tag::SEQUENCE, "pkix.AlgorithmIdentifier").ok()?.whole;
        let private_key = WrittenEcPrivateKey {
            version: 1,
            private_key: TaggedValue::of(tag::OCTET_STRING, scalar),
            public_key: TaggedValue::new(tag::explicit(1), WholeBits(self.subject_public_key())),
        };
        // `encode` allocates the whole length at once, so that no copy of the secret is left
        // behind.
        Some(Secret::new(encode(&WrittenPrivateKeyInfo {
            version: 0,
            algorithm: Verbatim(algorithm),
            private_key: TaggedValue::new(tag::OCTET_STRING, private_key),
        })))
    }

    /// The DER of the SubjectPublicKeyInfo.
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// Kind and size.
    pub const fn kind(&self) -> KeyKind {
        self.kind
    }

    /// The content of the BIT STRING subjectPublicKey.
    pub fn subject_public_key(&self) -> &[u8] {
        self.spki.get(self.bits_start..).unwrap_or_default()
    }

    /// SHA-1 of the subjectPublicKey bits (RFC 5280, 4.2.1.2, method 1).
    pub fn key_identifier(&self) -> [u8; 20] {
        let mut identifier = [0; 20];
        let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, self.subject_public_key());
        identifier.copy_from_slice(hash.as_ref());
        identifier
    }

    /// Does this key verify the signature? Also false if key and algorithm do not match.
    pub fn verify(&self, algorithm: SignatureAlgorithm, message: &[u8], signature: &[u8]) -> bool {
        verification(algorithm, self.kind).is_some_and(|algorithm| {
            UnparsedPublicKey::new(algorithm, self.subject_public_key())
                .verify(message, signature)
                .is_ok()
        })
    }
}

/// RFC 3279, 2.3.1: NULL parameters, `RSAPublicKey`.
fn rsa(mut algorithm: DerReader<'_>, bits: &[u8]) -> Result<KeyKind, PublicKeyError> {
    let null = algorithm.any().map(|element| element.whole == [5, 0]);
    if null != Ok(true) || !algorithm.is_empty() {
        return Err(malformed("x509: RSA key missing NULL parameters"));
    }
    let mut outer = DerReader::new(bits);
    let invalid = |_| malformed("x509: invalid RSA public key");
    let mut fields = outer.sequence("pkcs1PublicKey").map_err(invalid)?;
    let modulus = fields.integer().map_err(|_| malformed("x509: invalid RSA modulus"))?;
    let exponent = fields.integer().map_err(|_| malformed("x509: invalid RSA public exponent"))?;
    fields.end().and(outer.end()).map_err(invalid)?;
    if is_negative_or_zero(modulus) {
        return Err(malformed("x509: RSA modulus is not a positive number"));
    }
    if is_negative_or_zero(exponent) {
        return Err(malformed("x509: RSA public exponent is not a positive number"));
    }
    refuse_weak_rsa(modulus, exponent)?;
    let significant = modulus.strip_prefix(&[0]).unwrap_or(modulus);
    let zeros = significant.first().map_or(0, |first| first.leading_zeros());
    let length = u32::try_from(significant.len()).unwrap_or(u32::MAX);
    Ok(KeyKind::Rsa(length.saturating_mul(8).saturating_sub(zeros)))
}

/// FIPS 186-5, A.1.1: two odd primes make an odd modulus, and the exponent is odd and above 1. With
/// the exponent 1 a signature is the message itself. A properly generated key has no factor below
/// 752 (Baseline Requirements, 6.1.6).
fn refuse_weak_rsa(modulus: &[u8], exponent: &[u8]) -> Result<(), PublicKeyError> {
    let is_even = |integer: &[u8]| integer.last().is_none_or(|byte| byte % 2 == 0);
    if is_even(modulus) {
        return Err(malformed("x509: RSA modulus is even, so that anyone can factor it"));
    }
    if is_even(exponent) || exponent == [1] {
        return Err(malformed("x509: RSA public exponent must be an odd number of at least 3"));
    }
    // Go and aws-lc support no larger one.
    if exponent.len() > 4 {
        return Err(malformed("x509: RSA public exponent is larger than 2147483647"));
    }
    if let Some(prime) = small_factor(modulus) {
        let text =
            format!("x509: RSA modulus is divisible by {prime}, so that anyone can factor it");
        return Err(PublicKeyError::Malformed(text));
    }
    Ok(())
}

/// The smallest odd prime below 752 that divides the integer.
fn small_factor(integer: &[u8]) -> Option<u64> {
    let number = |word: &[u8]| word.iter().fold(0, |sum, byte| (sum << 8) | u64::from(*byte));
    let words: Vec<u64> = integer.rchunks(4).rev().map(number).collect();
    let divides =
        |prime: u64| words.iter().fold(0, |rest, word| ((rest << 32) | word) % prime) == 0;
    let is_prime =
        |number: u64| (3..28).step_by(2).all(|root| number == root || !number.is_multiple_of(root));
    (3..752).step_by(2).filter(|number| is_prime(*number)).find(|prime| divides(*prime))
}

fn is_negative_or_zero(integer: &[u8]) -> bool {
    integer == [0] || integer.first().is_some_and(|first| *first >= 0x80)
}

/// RFC 5480, 2.2: an uncompressed point.
fn ec(mut algorithm: DerReader<'_>, bits: &[u8]) -> Result<KeyKind, PublicKeyError> {
    let invalid = |_| malformed("x509: invalid ECDSA parameters");
    let named = algorithm.oid_bytes().map_err(invalid)?;
    algorithm.end().map_err(invalid)?;
    let curve = [Curve::P224, Curve::P256, Curve::P384, Curve::P521]
        .into_iter()
        .find(|curve| curve_oid(*curve) == named)
        .ok_or(PublicKeyError::UnsupportedCurve)?;
    let length = usize::try_from(curve.bits().div_ceil(8)).unwrap_or(0);
    let invalid = || malformed("ecdsa: invalid uncompressed public key");
    if bits.first() != Some(&4) || bits.len() != length.saturating_mul(2).saturating_add(1) {
        return Err(invalid());
    }
    // aws-lc has no P-224; such a key is refused by name before it is used.
    let choice = SignatureAlgorithm::choose(KeyKind::Ec(curve), Default::default());
    if let Some(algorithm) = verification(choice, KeyKind::Ec(curve)) {
        ParsedPublicKey::new(algorithm, bits).map_err(|_| invalid())?;
    }
    Ok(KeyKind::Ec(curve))
}

/// RFC 8410, 4: no parameters, 32 bytes.
fn ed25519(algorithm: DerReader<'_>, bits: &[u8]) -> Result<KeyKind, PublicKeyError> {
    if !algorithm.is_empty() {
        return Err(malformed("x509: Ed25519 key encoded with illegal parameters"));
    }
    let Ok(point) = <[u8; 32]>::try_from(bits) else {
        return Err(malformed("x509: wrong Ed25519 public key size"));
    };
    edwards_point(point)?;
    Ok(KeyKind::Ed25519)
}

/// RFC 8032, 5.1.3: y is below p. With one of the eight points of small order as the key, a single
/// signature verifies for every message, so that such a key proves nothing. The x of a point is
/// checked when a signature is verified.
fn edwards_point(mut point: [u8; 32]) -> Result<(), PublicKeyError> {
    let [.., sign] = &mut point;
    *sign &= 0x7f;
    // Little-endian, so the comparison begins at the last byte.
    if point.iter().rev().ge(ORDER_OF_FIELD.iter().rev()) {
        return Err(malformed("x509: Ed25519 public key is not canonical"));
    }
    if SMALL_ORDER.contains(&point) {
        return Err(malformed("x509: Ed25519 public key has small order"));
    }
    Ok(())
}

/// p = 2^255 - 19.
const ORDER_OF_FIELD: [u8; 32] = edge(0xed, 0xff, 0x7f);

/// The y of the eight points of small order: 0 (order 4), 1 and -1 (orders 1 and 2), and the two
/// of order 8, each with both signs of x.
const SMALL_ORDER: [[u8; 32]; 5] = [
    edge(0, 0, 0),
    edge(1, 0, 0),
    edge(0xec, 0xff, 0x7f),
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98,
        0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53,
        0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67,
        0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac,
        0x03, 0x7a,
    ],
];

/// 32 bytes with this first, these between, and this last.
const fn edge(first: u8, between: u8, last: u8) -> [u8; 32] {
    let mut bytes = [between; 32];
    let [start, .., end] = &mut bytes;
    *start = first;
    *end = last;
    bytes
}

/// How aws-lc verifies this algorithm with a key of this kind. Short RSA keys are supported, so
/// that they are refused because of their size and not because of a wrong signature.
fn verification(
    algorithm: SignatureAlgorithm,
    kind: KeyKind,
) -> Option<&'static dyn VerificationAlgorithm> {
    use SignatureAlgorithm::{Ecdsa, Ed25519, RsaPkcs1, RsaPss};
    Some(match (algorithm, kind) {
        (Ecdsa(SignatureHash::Sha256), KeyKind::Ec(Curve::P256)) => {
            &signature::ECDSA_P256_SHA256_ASN1
        }
        (Ecdsa(SignatureHash::Sha384), KeyKind::Ec(Curve::P256)) => {
            &signature::ECDSA_P256_SHA384_ASN1
        }
        (Ecdsa(SignatureHash::Sha512), KeyKind::Ec(Curve::P256)) => {
            &signature::ECDSA_P256_SHA512_ASN1
        }
        (Ecdsa(SignatureHash::Sha256), KeyKind::Ec(Curve::P384)) => {
            &signature::ECDSA_P384_SHA256_ASN1
        }
        (Ecdsa(SignatureHash::Sha384), KeyKind::Ec(Curve::P384)) => {
            &signature::ECDSA_P384_SHA384_ASN1
        }
        (Ecdsa(SignatureHash::Sha512), KeyKind::Ec(Curve::P384)) => {
            &signature::ECDSA_P384_SHA512_ASN1
        }
        (Ecdsa(SignatureHash::Sha256), KeyKind::Ec(Curve::P521)) => {
            &signature::ECDSA_P521_SHA256_ASN1
        }
        (Ecdsa(SignatureHash::Sha384), KeyKind::Ec(Curve::P521)) => {
            &signature::ECDSA_P521_SHA384_ASN1
        }
        (Ecdsa(SignatureHash::Sha512), KeyKind::Ec(Curve::P521)) => {
            &signature::ECDSA_P521_SHA512_ASN1
        }
        (RsaPkcs1(SignatureHash::Sha256), KeyKind::Rsa(1024..2048)) => {
            &signature::RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY
        }
        (RsaPkcs1(SignatureHash::Sha512), KeyKind::Rsa(1024..2048)) => {
            &signature::RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY
        }
        (RsaPkcs1(SignatureHash::Sha256), KeyKind::Rsa(_)) => {
            &signature::RSA_PKCS1_2048_8192_SHA256
        }
        (RsaPkcs1(SignatureHash::Sha384), KeyKind::Rsa(_)) => {
            &signature::RSA_PKCS1_2048_8192_SHA384
        }
        (RsaPkcs1(SignatureHash::Sha512), KeyKind::Rsa(_)) => {
            &signature::RSA_PKCS1_2048_8192_SHA512
        }
        (RsaPss(SignatureHash::Sha256), KeyKind::Rsa(_)) => &signature::RSA_PSS_2048_8192_SHA256,
        (RsaPss(SignatureHash::Sha384), KeyKind::Rsa(_)) => &signature::RSA_PSS_2048_8192_SHA384,
        (RsaPss(SignatureHash::Sha512), KeyKind::Rsa(_)) => &signature::RSA_PSS_2048_8192_SHA512,
        (Ed25519, KeyKind::Ed25519) => &signature::ED25519,
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
