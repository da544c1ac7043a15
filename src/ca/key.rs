//! Public keys and signature algorithms: what may be certified and what may sign.
//!
//! Encodings by RFC 3279 and RFC 4055 (RSA), RFC 5480 (EC) and RFC 8410 (Ed25519).

use std::fmt;

/// A named curve. `P224` is recognised so that it can be refused by name
/// (`docs/design.md`, "aws-lc-rs for all cryptography").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Curve {
    /// secp224r1; never issued.
    P224,
    /// secp256r1.
    P256,
    /// secp384r1.
    P384,
    /// secp521r1.
    P521,
}

impl Curve {
    /// The size of the field in bits, which is how Vault names the curve.
    pub const fn bits(self) -> u32 {
        match self {
            Self::P224 => 224,
            Self::P256 => 256,
            Self::P384 => 384,
            Self::P521 => 521,
        }
    }
}

/// The kind of a key, with its size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// RSA, with the length of the modulus in bits.
    Rsa(u32),
    /// Elliptic curve.
    Ec(Curve),
    /// Ed25519.
    Ed25519,
}

impl KeyKind {
    /// The value of `private_key_type` and `key_type`: `rsa`, `ec`, `ed25519`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rsa(_) => "rsa",
            Self::Ec(_) => "ec",
            Self::Ed25519 => "ed25519",
        }
    }

    /// Size in bits; 256 for Ed25519.
    pub const fn bits(self) -> u32 {
        match self {
            Self::Rsa(bits) => bits,
            Self::Ec(curve) => curve.bits(),
            Self::Ed25519 => 256,
        }
    }
}

/// The hash of a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SignatureHash {
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

/// A signature algorithm that Signet signs with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SignatureAlgorithm {
    /// ECDSA with this hash.
    Ecdsa(SignatureHash),
    /// RSASSA-PKCS1-v1_5.
    RsaPkcs1(SignatureHash),
    /// RSASSA-PSS, salt as long as the hash.
    RsaPss(SignatureHash),
    /// Ed25519.
    Ed25519,
}

/// The requested hash and padding: RSA issuers use both, EC issuers may use the hash, Ed25519
/// issuers use neither.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct SignaturePreference {
    /// 0 (default), 256, 384 or 512.
    pub bits: u32,
    /// RSASSA-PSS instead of PKCS#1 v1.5.
    pub pss: bool,
    /// EC issuers, too, use the hash of `bits` instead of that of their curve.
    pub ec_takes_bits: bool,
}

impl SignatureAlgorithm {
    /// What a key of this kind signs with: RSA by preference, EC by curve or, if the preference
    /// says so, by preference (`docs/dev/vault-pki.md`, "Signature algorithm").
    pub const fn choose(kind: KeyKind, preference: SignaturePreference) -> Self {
        if let (KeyKind::Ec(_), true) = (kind, preference.ec_takes_bits) {
            match preference.bits {
                256 => return Self::Ecdsa(SignatureHash::Sha256),
                384 => return Self::Ecdsa(SignatureHash::Sha384),
                512 => return Self::Ecdsa(SignatureHash::Sha512),
                _ => {}
            }
        }
        match kind {
            KeyKind::Rsa(_) => {
                let hash = match preference.bits {
                    384 => SignatureHash::Sha384,
                    512 => SignatureHash::Sha512,
                    _ => SignatureHash::Sha256,
                };
                if preference.pss { Self::RsaPss(hash) } else { Self::RsaPkcs1(hash) }
            }
            KeyKind::Ec(Curve::P224 | Curve::P256) => Self::Ecdsa(SignatureHash::Sha256),
            KeyKind::Ec(Curve::P384) => Self::Ecdsa(SignatureHash::Sha384),
            KeyKind::Ec(Curve::P521) => Self::Ecdsa(SignatureHash::Sha512),
            KeyKind::Ed25519 => Self::Ed25519,
        }
    }

    /// Go's name of the algorithm, which Vault uses (`ECDSAWithSHA256`, `SHA256WithRSAPSS`).
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ecdsa(SignatureHash::Sha256) => "ECDSAWithSHA256",
            Self::Ecdsa(SignatureHash::Sha384) => "ECDSAWithSHA384",
            Self::Ecdsa(SignatureHash::Sha512) => "ECDSAWithSHA512",
            Self::RsaPkcs1(SignatureHash::Sha256) => "SHA256WithRSA",
            Self::RsaPkcs1(SignatureHash::Sha384) => "SHA384WithRSA",
            Self::RsaPkcs1(SignatureHash::Sha512) => "SHA512WithRSA",
            Self::RsaPss(SignatureHash::Sha256) => "SHA256WithRSAPSS",
            Self::RsaPss(SignatureHash::Sha384) => "SHA384WithRSAPSS",
            Self::RsaPss(SignatureHash::Sha512) => "SHA512WithRSAPSS",
            Self::Ed25519 => "Ed25519",
        }
    }

    /// Every algorithm, in the order Vault lists them.
    pub const ALL: [Self; 10] = [
        Self::RsaPkcs1(SignatureHash::Sha256),
        Self::RsaPkcs1(SignatureHash::Sha384),
        Self::RsaPkcs1(SignatureHash::Sha512),
        Self::Ecdsa(SignatureHash::Sha256),
        Self::Ecdsa(SignatureHash::Sha384),
        Self::Ecdsa(SignatureHash::Sha512),
        Self::RsaPss(SignatureHash::Sha256),
        Self::RsaPss(SignatureHash::Sha384),
        Self::RsaPss(SignatureHash::Sha512),
        Self::Ed25519,
    ];

    /// Parses the result of [`Self::as_str`], ignoring case.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.as_str().eq_ignore_ascii_case(name))
    }

    /// Can a key of this kind create this signature?
    pub const fn fits(self, kind: KeyKind) -> bool {
        matches!(
            (self, kind),
            (Self::Ecdsa(_), KeyKind::Ec(_))
                | (Self::RsaPkcs1(_) | Self::RsaPss(_), KeyKind::Rsa(_))
                | (Self::Ed25519, KeyKind::Ed25519)
        )
    }
}

impl fmt::Display for SignatureAlgorithm {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}
