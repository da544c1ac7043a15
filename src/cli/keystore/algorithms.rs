//! The algorithms of a PKCS#12 archive: their names, whether they are read here, and which Java
//! reads them.

use der::asn1::{AnyRef, ObjectIdentifier};

use crate::ca::algorithm_identifier::AlgorithmIdentifierRef;
use crate::ca::pkcs12::shape::{
    HMAC_SHA1, HMAC_SHA256, HMAC_SHA384, HMAC_SHA512, MacData, PBES2, PBKDF2, PBMAC1,
    Pbes1Parameters, Pbes2Parameters, Pbkdf2Parameters, Pbmac1Parameters, SHA1,
};

/// The Java versions that read an algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum JavaSupport {
    Every,
    /// JDK-8076190, which is also in 8u301 and 11.0.12.
    Since2021,
    /// JDK-8343232.
    Since26,
    Never,
}

/// An algorithm with the parameters that the report prints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Algorithm {
    pub(super) name: String,
    pub(super) iterations: Option<u32>,
    /// Whether it is read here.
    pub(super) is_read: bool,
    /// Whether its key comes from the function of RFC 7292, which takes the password as BMPString.
    pub(super) takes_bmp: bool,
    pub(super) java: JavaSupport,
}

const fn oid(arcs: &str) -> ObjectIdentifier {
    ObjectIdentifier::new_unwrap(arcs)
}

/// Identifier, name, whether it is read here, and by which Java.
type Known = (ObjectIdentifier, &'static str, bool, JavaSupport);

/// Ciphers under PBES1 and RFC 7292's own function (RFC 7292, appendix C; RFC 8018, A.3).
const OLD_CIPHERS: [Known; 6] = [
    (oid("1.2.840.113549.1.12.1.1"), "RC4-128", false, JavaSupport::Every),
    (oid("1.2.840.113549.1.12.1.2"), "RC4-40", false, JavaSupport::Every),
    (oid("1.2.840.113549.1.12.1.3"), "triple DES", true, JavaSupport::Every),
    (oid("1.2.840.113549.1.12.1.4"), "triple DES with two keys", false, JavaSupport::Never),
    (oid("1.2.840.113549.1.12.1.5"), "RC2-128", false, JavaSupport::Every),
    (oid("1.2.840.113549.1.12.1.6"), "RC2-40", true, JavaSupport::Every),
];

/// Ciphers under PBES2. Java's reader accepts AES-128 and AES-256 in CBC mode only.
const CIPHERS: [Known; 6] = [
    (oid("2.16.840.1.101.3.4.1.2"), "AES-128-CBC", true, JavaSupport::Since2021),
    (oid("2.16.840.1.101.3.4.1.22"), "AES-192-CBC", true, JavaSupport::Never),
    (oid("2.16.840.1.101.3.4.1.42"), "AES-256-CBC", true, JavaSupport::Since2021),
    (oid("2.16.840.1.101.3.4.1.6"), "AES-128-GCM", true, JavaSupport::Never),
    (oid("2.16.840.1.101.3.4.1.46"), "AES-256-GCM", true, JavaSupport::Never),
    (oid("1.2.840.113549.3.7"), "triple DES under PBES2", false, JavaSupport::Never),
];

/// Pseudo-random functions of PBKDF2.
const FUNCTIONS: [(ObjectIdentifier, &str); 5] = [
    (HMAC_SHA1, "HMAC-SHA-1"),
    (oid("1.2.840.113549.2.8"), "HMAC-SHA-224"),
    (HMAC_SHA256, "HMAC-SHA-256"),
    (HMAC_SHA384, "HMAC-SHA-384"),
    (HMAC_SHA512, "HMAC-SHA-512"),
];

/// Digests of the MAC of RFC 7292.
const DIGESTS: [Known; 7] = [
    (SHA1, "HMAC-SHA-1", true, JavaSupport::Every),
    (oid("2.16.840.1.101.3.4.2.4"), "HMAC-SHA-224", true, JavaSupport::Since2021),
    (oid("2.16.840.1.101.3.4.2.1"), "HMAC-SHA-256", true, JavaSupport::Since2021),
    (oid("2.16.840.1.101.3.4.2.2"), "HMAC-SHA-384", true, JavaSupport::Since2021),
    (oid("2.16.840.1.101.3.4.2.3"), "HMAC-SHA-512", true, JavaSupport::Since2021),
    (oid("2.16.840.1.101.3.4.2.5"), "HMAC-SHA-512/224", true, JavaSupport::Since2021),
    (oid("2.16.840.1.101.3.4.2.6"), "HMAC-SHA-512/256", true, JavaSupport::Since2021),
];

impl Algorithm {
    /// An algorithm that is not known here, named by its identifier.
    fn unknown(oid: ObjectIdentifier) -> Self {
        Self {
            name: oid.to_string(),
            iterations: None,
            is_read: false,
            takes_bmp: false,
            java: JavaSupport::Never,
        }
    }

    fn known(table: &[Known], oid: ObjectIdentifier, iterations: Option<u32>) -> Self {
        match table.iter().find(|known| known.0 == oid) {
            Some((_, name, is_read, java)) => Self {
                name: (*name).to_owned(),
                iterations,
                is_read: *is_read,
                takes_bmp: true,
                java: *java,
            },
            None => Self::unknown(oid),
        }
    }

    /// The cipher that an algorithm identifier names.
    pub(super) fn of_cipher(identifier: AlgorithmIdentifierRef<'_>) -> Self {
        let parameters = identifier.parameters;
        if identifier.oid != PBES2 {
            let iterations = parameters
                .and_then(|found| found.decode_as::<Pbes1Parameters<'_>>().ok())
                .map(|found| found.iterations);
            return Self::known(&OLD_CIPHERS, identifier.oid, iterations);
        }
        let Some(found) = parameters.and_then(|any| any.decode_as::<Pbes2Parameters<'_>>().ok())
        else {
            return Self::unknown(identifier.oid);
        };
        let cipher = Self::known(&CIPHERS, found.encryption.oid, None);
        match Derivation::read(found.derivation) {
            Some(derivation) => Self {
                name: format!("{}, PBKDF2 with {}", cipher.name, derivation.function),
                iterations: Some(derivation.iterations),
                takes_bmp: false,
                ..cipher
            },
            None => Self {
                name: format!("{}, key derivation {}", cipher.name, found.derivation.oid),
                ..Self::unknown(found.derivation.oid)
            },
        }
    }

    /// The MAC of an archive.
    pub(super) fn of_mac(mac: &MacData<'_>) -> Self {
        let identifier = mac.mac.algorithm;
        if identifier.oid != PBMAC1 {
            return Self::known(&DIGESTS, identifier.oid, Some(mac.iterations));
        }
        let derivation = identifier
            .parameters
            .and_then(|any| any.decode_as::<Pbmac1Parameters<'_>>().ok())
            .and_then(|found| Some((name_of(found.mac.oid)?, Derivation::read(found.derivation)?)));
        match derivation {
            Some((mac, derivation)) => Self {
                name: format!("PBMAC1 with {mac}, PBKDF2 with {}", derivation.function),
                iterations: Some(derivation.iterations),
                is_read: true,
                takes_bmp: false,
                java: JavaSupport::Since26,
            },
            None => Self::unknown(identifier.oid),
        }
    }
}

fn name_of(function: ObjectIdentifier) -> Option<&'static str> {
    FUNCTIONS.iter().find(|known| known.0 == function).map(|known| known.1)
}

/// PBKDF2 with its parameters.
pub(super) struct Derivation<'a> {
    pub(super) salt: &'a [u8],
    pub(super) iterations: u32,
    pub(super) key_length: Option<u32>,
    pub(super) function: &'static str,
}

impl<'a> Derivation<'a> {
    /// `None` for other functions and for parameters that are not understood.
    pub(super) fn read(identifier: AlgorithmIdentifierRef<'a>) -> Option<Self> {
        if identifier.oid != PBKDF2 {
            return None;
        }
        let parameters: AnyRef<'a> = identifier.parameters?;
        let found = parameters.decode_as::<Pbkdf2Parameters<'a>>().ok()?;
        let function = found.function.map_or(HMAC_SHA1, |function| function.oid);
        Some(Self {
            salt: found.salt.as_bytes(),
            iterations: found.iterations,
            key_length: found.key_length,
            function: name_of(function)?,
        })
    }
}
