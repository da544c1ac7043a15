//! PEM (RFC 7468), and the three DER forms of a private key that it carries.
//!
//! The reader is not that of `rustls-pki-types`, which drops unknown labels (`NEW CERTIFICATE
//! REQUEST`, `X509 CERTIFICATE`), stops at the first damaged block and fails on blocks with
//! headers. Clients of Vault expect the behaviour of Go, which skips what is not a block. The
//! writer is our own because it runs for every certificate.

use std::borrow::Cow;
use std::fmt;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_P521_SHA512_ASN1_SIGNING,
    EcdsaKeyPair, KeyPair,
};
use data_encoding::{BASE64, BASE64_MIME_PERMISSIVE};
use der::asn1::{AnyRef, BitStringRef, ObjectIdentifier, OctetStringRef};
use der::{Decode, Encode, Reader, Sequence, SliceReader};
use zeroize::Zeroizing;

use crate::ca::algorithm_identifier::AlgorithmIdentifierRef;
use crate::ca::key::KeyKind;
use crate::secret::Secret;

/// The label of a certificate.
pub const CERTIFICATE: &str = "CERTIFICATE";
/// The label of a certification request.
pub const CERTIFICATE_REQUEST: &str = "CERTIFICATE REQUEST";
/// The label of a revocation list.
pub const X509_CRL: &str = "X509 CRL";
/// The label of a PKCS#8 private key.
pub const PRIVATE_KEY: &str = "PRIVATE KEY";
/// The label of a PKCS#1 private key.
pub const RSA_PRIVATE_KEY: &str = "RSA PRIVATE KEY";
/// The label of a SEC1 private key.
pub const EC_PRIVATE_KEY: &str = "EC PRIVATE KEY";

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const P521: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");

/// Bytes in a line of 64 columns.
const LINE: usize = 48;

/// One block without a newline at its end, as in the answers of Vault's `issue`.
pub fn encode(label: &str, der: &[u8]) -> String {
    let columns = BASE64.encode_len(der.len());
    // Allocated once, so that no copy of a secret is left behind.
    let mut text = String::with_capacity(columns + columns / 64 + 2 * label.len() + 40);
    encode_into(&mut text, label, der);
    text
}

/// One block with a newline at its end, as in files and in Vault's raw endpoints.
pub fn encode_line(label: &str, der: &[u8]) -> String {
    let mut text = encode(label, der);
    text.push('\n');
    text
}

/// Appends [`encode`] as a JSON string; only newlines have to be escaped.
pub fn push_json(text: &mut String, label: &str, der: &[u8]) {
    text.push('"');
    encode_lines(text, label, der, "\\n");
    text.push('"');
}

/// [`encode`] for a secret: the text is overwritten when dropped.
pub fn encode_secret(label: &str, der: &[u8]) -> Zeroizing<String> {
    Zeroizing::new(encode(label, der))
}

/// Several blocks joined by newlines, without one at the end, as Vault writes chains.
pub fn encode_all<'a>(label: &str, ders: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut text = String::new();
    for der in ders {
        if !text.is_empty() {
            text.push('\n');
        }
        encode_into(&mut text, label, der);
    }
    text
}

fn encode_into(text: &mut String, label: &str, der: &[u8]) {
    encode_lines(text, label, der, "\n");
}

fn encode_lines(text: &mut String, label: &str, der: &[u8], end: &str) {
    text.push_str("-----BEGIN ");
    text.push_str(label);
    text.push_str("-----");
    text.push_str(end);
    for line in der.chunks(LINE) {
        BASE64.encode_append(line, text);
        text.push_str(end);
    }
    text.push_str("-----END ");
    text.push_str(label);
    text.push_str("-----");
}

/// A decoded block.
#[derive(Clone, PartialEq, Eq)]
pub struct PemBlock {
    /// The text between `BEGIN` and the dashes.
    pub label: String,
    /// The content.
    pub der: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for PemBlock {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "PemBlock({}, {} bytes)", self.label, self.der.len())
    }
}

/// Every block in the text, in order. What is not a whole block is skipped, as in Go's
/// `pem.Decode`: text around blocks, a block without its end, one whose base64 is damaged.
/// Header lines (`Proc-Type: …`) are skipped.
pub fn decode_all(text: &str) -> Vec<PemBlock> {
    let mut blocks = Vec::new();
    let mut rest = text;
    while let Some((label, body)) = next_begin(rest) {
        match decode_block(label, body) {
            Some((block, after)) => {
                blocks.push(block);
                rest = after;
            }
            // A later BEGIN may still be the start of a whole block.
            None => rest = body,
        }
    }
    blocks
}

/// The first block with one of these labels.
pub fn decode_first(text: &str, labels: &[&str]) -> Option<PemBlock> {
    decode_all(text).into_iter().find(|block| labels.contains(&block.label.as_str()))
}

/// The label of the next line that begins a block, and what follows that line.
fn next_begin(text: &str) -> Option<(&str, &str)> {
    let mut rest = text;
    loop {
        let (line, after) = rest.split_once('\n').unwrap_or((rest, ""));
        // Windows editors and shells write a byte order mark in front of a file, and so into the
        // middle of a bundle of files.
        let line = line.trim_start_matches('\u{feff}').trim_end();
        let label = line.strip_prefix("-----BEGIN ").and_then(|line| line.strip_suffix("-----"));
        if let Some(label) = label {
            return Some((label, after));
        }
        if after.is_empty() {
            return None;
        }
        rest = after;
    }
}

fn decode_block<'a>(label: &str, body: &'a str) -> Option<(PemBlock, &'a str)> {
    let mut rest = body;
    // One allocation, so that no copy of a key is left behind. The next dashes limit it, so that a
    // text of many lines without an end takes linear time.
    let capacity = body.find("-----").unwrap_or(0);
    let mut base64 = Zeroizing::new(Vec::with_capacity(capacity));
    loop {
        let (line, after) = rest.split_once('\n').unwrap_or((rest, ""));
        let line = line.trim();
        if let Some(end) = line.strip_prefix("-----END ") {
            if end.strip_suffix("-----") != Some(label) {
                return None;
            }
            let der = Zeroizing::new(decode_base64(&base64)?);
            return Some((PemBlock { label: label.to_owned(), der }, after));
        }
        if line.starts_with("-----BEGIN ") || rest.is_empty() {
            return None;
        }
        if !line.contains(':') {
            base64.extend(line.bytes().filter(|byte| !byte.is_ascii_whitespace()));
        }
        rest = after;
    }
}

/// A PEM text without the UTF-8 byte order marks in front of its lines, for parsers that skip a
/// block after one.
pub fn without_byte_order_marks(text: &[u8]) -> Cow<'_, [u8]> {
    let start = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    let lines = || start.split_inclusive(|byte| *byte == b'\n');
    if !lines().any(|line| line.starts_with(BYTE_ORDER_MARK)) {
        return Cow::Borrowed(start);
    }
    let unmarked = lines().map(|line| line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line));
    Cow::Owned(unmarked.collect::<Vec<_>>().concat())
}

/// U+FEFF in UTF-8.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// Base64; the bits after the last byte may be set, as in Go.
fn decode_base64(base64: &[u8]) -> Option<Vec<u8>> {
    BASE64.decode(base64).or_else(|_| BASE64_MIME_PERMISSIVE.decode(base64)).ok()
}

/// PKCS#8 as of RFC 5208; the public key that RFC 5958 added is read and dropped.
#[derive(Sequence)]
struct PrivateKeyInfo<'a> {
    version: u8,
    algorithm: AlgorithmIdentifierRef<'a>,
    key: &'a OctetStringRef,
}

/// SEC1 (RFC 5915).
#[derive(Sequence)]
struct EcPrivateKey<'a> {
    version: u8,
    key: &'a OctetStringRef,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    curve: Option<ObjectIdentifier>,
    #[asn1(context_specific = "1", tag_mode = "EXPLICIT", optional = "true")]
    public: Option<BitStringRef<'a>>,
}

/// The encoding of a private key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyForm {
    /// PKCS#1 for RSA, SEC1 for EC; Ed25519 has no other form than PKCS#8.
    Traditional,
    /// PKCS#8 for every key.
    Pkcs8,
}

/// A private key ready to be written as PEM or DER.
pub struct EncodedKey {
    /// The PEM label of the form.
    pub label: &'static str,
    /// The content.
    pub der: Zeroizing<Vec<u8>>,
}

impl EncodedKey {
    /// The PEM block, without a newline at its end.
    pub fn pem(&self) -> Zeroizing<String> {
        encode_secret(self.label, &self.der)
    }
}

impl fmt::Debug for EncodedKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "EncodedKey({}, …)", self.label)
    }
}

/// The bytes are not a PKCS#8 private key of a supported kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownKey;

impl fmt::Display for UnknownKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("not a PKCS#8 private key of a known kind")
    }
}

impl std::error::Error for UnknownKey {}

impl From<der::Error> for UnknownKey {
    fn from(_: der::Error) -> Self {
        Self
    }
}

/// Writes a PKCS#8 key (RSA, EC on P-256, P-384 or P-521, Ed25519) in the given form. SEC1 comes
/// with the curve and the public key, as Go writes it; PKCS#8 in its version 1.
///
/// # Errors
/// [`UnknownKey`] where the bytes are anything else.
pub fn private_key(pkcs8: &[u8], form: KeyForm) -> Result<EncodedKey, UnknownKey> {
    let info = read_info(pkcs8)?;
    match (form, info.algorithm.oid) {
        (KeyForm::Traditional, RSA) => {
            let der = Zeroizing::new(info.key.as_bytes().to_vec());
            Ok(EncodedKey { label: RSA_PRIVATE_KEY, der })
        }
        (KeyForm::Traditional, EC) => {
            Ok(EncodedKey { label: EC_PRIVATE_KEY, der: sec1(&info, pkcs8)? })
        }
        (_, RSA | EC | ED25519) => {
            Ok(EncodedKey { label: PRIVATE_KEY, der: Zeroizing::new(info.to_der()?) })
        }
        _ => Err(UnknownKey),
    }
}

/// The same key as PKCS#8 version 1. aws-lc writes Ed25519 keys as version 2, with the public
/// key inside, which Java before 21 and OpenSSL 1.1 refuse.
///
/// # Errors
/// [`UnknownKey`] where the bytes are not a PKCS#8 key.
pub fn pkcs8_version_1(pkcs8: &[u8]) -> Result<Zeroizing<Vec<u8>>, UnknownKey> {
    Ok(Zeroizing::new(read_info(pkcs8)?.to_der()?))
}

/// Reads either version of PKCS#8; what follows the key (attributes, the public key) is dropped.
fn read_info(pkcs8: &[u8]) -> Result<PrivateKeyInfo<'_>, UnknownKey> {
    let mut outer = SliceReader::new(pkcs8)?;
    let info = outer.sequence(|reader| {
        let version = u8::decode(reader)?;
        let algorithm = AlgorithmIdentifierRef::decode(reader)?;
        let key = <&OctetStringRef>::decode(reader)?;
        while !reader.is_finished() {
            AnyRef::decode(reader)?;
        }
        Ok::<_, der::Error>((version, PrivateKeyInfo { version: 0, algorithm, key }))
    })?;
    match info {
        (0 | 1, info) if outer.is_finished() => Ok(info),
        _ => Err(UnknownKey),
    }
}

fn sec1(info: &PrivateKeyInfo<'_>, pkcs8: &[u8]) -> Result<Zeroizing<Vec<u8>>, UnknownKey> {
    let curve = info.algorithm.parameters.ok_or(UnknownKey)?.decode_as::<ObjectIdentifier>()?;
    let inner = EcPrivateKey::from_der(info.key.as_bytes())?;
    let pair;
    let public = match inner.public {
        Some(public) => public,
        None => {
            let algorithm = match curve {
                P256 => &ECDSA_P256_SHA256_ASN1_SIGNING,
                P384 => &ECDSA_P384_SHA384_ASN1_SIGNING,
                P521 => &ECDSA_P521_SHA512_ASN1_SIGNING,
                _ => return Err(UnknownKey),
            };
            pair = EcdsaKeyPair::from_pkcs8(algorithm, pkcs8).map_err(|_| UnknownKey)?;
            BitStringRef::from_bytes(pair.public_key().as_ref())?
        }
    };
    let key = EcPrivateKey { curve: Some(curve), public: Some(public), ..inner };
    Ok(Zeroizing::new(key.to_der()?))
}

/// A private key that an answer returns. It is encoded before anything is signed, because encoding
/// can fail.
#[derive(Debug)]
pub struct PrivateKeyEncodings {
    kind: KeyKind,
    /// The PKCS#8 document of the key pair.
    raw: Secret<Vec<u8>>,
    traditional: EncodedKey,
    /// Present if requested.
    pkcs8: Option<EncodedKey>,
}

impl PrivateKeyEncodings {
    /// Encodes the key, traditional and in the form of the request.
    ///
    /// # Errors
    /// Fails only on bytes that are not a PKCS#8 key.
    pub fn encode(kind: KeyKind, raw: Secret<Vec<u8>>, form: KeyForm) -> Result<Self, UnknownKey> {
        let traditional = private_key(raw.expose(), KeyForm::Traditional)?;
        let pkcs8 = match form {
            KeyForm::Pkcs8 => Some(private_key(raw.expose(), form)?),
            KeyForm::Traditional => None,
        };
        Ok(Self { kind, traditional, pkcs8, raw })
    }

    /// Its kind.
    pub const fn kind(&self) -> KeyKind {
        self.kind
    }

    /// In the form of the request.
    pub fn requested(&self) -> &EncodedKey {
        self.pkcs8.as_ref().unwrap_or(&self.traditional)
    }

    /// PKCS#1 for RSA, SEC 1 for EC, PKCS#8 for Ed25519: the form of `pem_bundle`.
    pub const fn traditional(&self) -> &EncodedKey {
        &self.traditional
    }

    /// The PKCS#8 of a key store.
    pub fn into_pkcs8(self) -> Secret<Vec<u8>> {
        self.raw
    }
}

#[cfg(test)]
mod tests;
