//! The ASN.1 of PKCS#12 (RFC 7292), of PBES2 and PBMAC1 (RFC 8018, RFC 9579), and the OIDs of
//! their algorithms.

use der::asn1::{AnyRef, ObjectIdentifier, OctetStringRef, SetOfVec};
use der::{Sequence, ValueOrd};

use crate::ca::algorithm_identifier::AlgorithmIdentifierRef;

macro_rules! names {
    ($($name:ident = $arcs:literal;)*) => {
        $(pub(crate) const $name: ObjectIdentifier = ObjectIdentifier::new_unwrap($arcs);)*
    };
}

names! {
    DATA = "1.2.840.113549.1.7.1";
    ENCRYPTED_DATA = "1.2.840.113549.1.7.6";
    SHROUDED_KEY_BAG = "1.2.840.113549.1.12.10.1.2";
    CERTIFICATE_BAG = "1.2.840.113549.1.12.10.1.3";
    X509_CERTIFICATE = "1.2.840.113549.1.9.22.1";
    FRIENDLY_NAME = "1.2.840.113549.1.9.20";
    LOCAL_KEY_ID = "1.2.840.113549.1.9.21";
    TRUSTED_KEY_USAGE = "2.16.840.1.113894.746875.1.1";
    ANY_EXTENDED_KEY_USAGE = "2.5.29.37.0";
    PBES2 = "1.2.840.113549.1.5.13";
    PBKDF2 = "1.2.840.113549.1.5.12";
    PBMAC1 = "1.2.840.113549.1.5.14";
    PBE_SHA1_3DES = "1.2.840.113549.1.12.1.3";
    HMAC_SHA1 = "1.2.840.113549.2.7";
    HMAC_SHA256 = "1.2.840.113549.2.9";
    HMAC_SHA384 = "1.2.840.113549.2.10";
    HMAC_SHA512 = "1.2.840.113549.2.11";
    AES_256_CBC = "2.16.840.1.101.3.4.1.42";
    SHA1 = "1.3.14.3.2.26";
    SHA256 = "2.16.840.1.101.3.4.2.1";
}

#[derive(Sequence)]
pub(crate) struct Pfx<'a> {
    pub(crate) version: u8,
    pub(crate) safes: ContentInfo<'a>,
    #[asn1(optional = "true")]
    pub(crate) mac: Option<MacData<'a>>,
}

#[derive(Sequence)]
pub(crate) struct ContentInfo<'a> {
    pub(crate) kind: ObjectIdentifier,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    pub(crate) content: AnyRef<'a>,
}

#[derive(Sequence)]
pub(crate) struct MacData<'a> {
    pub(crate) mac: DigestInfo<'a>,
    pub(crate) salt: &'a OctetStringRef,
    #[asn1(default = "once")]
    pub(crate) iterations: u32,
}

pub(crate) const fn once() -> u32 {
    1
}

#[derive(Sequence)]
pub(crate) struct DigestInfo<'a> {
    pub(crate) algorithm: AlgorithmIdentifierRef<'a>,
    pub(crate) digest: &'a OctetStringRef,
}

#[derive(Sequence)]
pub(crate) struct EncryptedData<'a> {
    pub(crate) version: u8,
    pub(crate) content: EncryptedContent<'a>,
}

#[derive(Sequence)]
pub(crate) struct EncryptedContent<'a> {
    pub(crate) kind: ObjectIdentifier,
    pub(crate) algorithm: AlgorithmIdentifierRef<'a>,
    #[asn1(context_specific = "0", tag_mode = "IMPLICIT")]
    pub(crate) bytes: &'a OctetStringRef,
}

#[derive(Sequence)]
pub(crate) struct EncryptedKey<'a> {
    pub(crate) algorithm: AlgorithmIdentifierRef<'a>,
    pub(crate) bytes: &'a OctetStringRef,
}

#[derive(Sequence)]
pub(crate) struct SafeBag<'a> {
    pub(crate) kind: ObjectIdentifier,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    pub(crate) value: AnyRef<'a>,
    #[asn1(optional = "true")]
    pub(crate) attributes: Option<SetOfVec<BagAttribute<'a>>>,
}

#[derive(Clone, Sequence, ValueOrd)]
pub(crate) struct BagAttribute<'a> {
    pub(crate) kind: ObjectIdentifier,
    pub(crate) values: SetOfVec<AnyRef<'a>>,
}

#[derive(Sequence)]
pub(crate) struct CertificateBag<'a> {
    pub(crate) kind: ObjectIdentifier,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    pub(crate) certificate: &'a OctetStringRef,
}

#[derive(Sequence)]
pub(crate) struct Pbes2Parameters<'a> {
    pub(crate) derivation: AlgorithmIdentifierRef<'a>,
    pub(crate) encryption: AlgorithmIdentifierRef<'a>,
}

#[derive(Sequence)]
pub(crate) struct Pbmac1Parameters<'a> {
    pub(crate) derivation: AlgorithmIdentifierRef<'a>,
    pub(crate) mac: AlgorithmIdentifierRef<'a>,
}

#[derive(Sequence)]
pub(crate) struct Pbkdf2Parameters<'a> {
    pub(crate) salt: &'a OctetStringRef,
    pub(crate) iterations: u32,
    #[asn1(optional = "true")]
    pub(crate) key_length: Option<u32>,
    #[asn1(optional = "true")]
    pub(crate) function: Option<AlgorithmIdentifierRef<'a>>,
}

#[derive(Sequence)]
pub(crate) struct Pbes1Parameters<'a> {
    pub(crate) salt: &'a OctetStringRef,
    pub(crate) iterations: u32,
}

/// An algorithm whose parameters are the ASN.1 NULL.
pub(crate) const fn plain(oid: ObjectIdentifier) -> AlgorithmIdentifierRef<'static> {
    AlgorithmIdentifierRef { oid, parameters: Some(AnyRef::NULL) }
}
