//! Keys in memory, by aws-lc.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest::{self, Digest};
use aws_lc_rs::encoding::{AsBigEndian, AsDer, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{
    self, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _, RsaEncoding,
};

use crate::ca::key::{Curve, KeyKind, SignatureAlgorithm, SignatureHash};
use crate::ca::public_key::PublicKey;
use crate::ca::signed::{Linted, Signed, ToSign};
use crate::entropy::Entropy;
use crate::secret::Secret;

use super::{KeyError, SignError};

/// A private key that signs; parsed once, shared by cloning.
#[derive(Clone)]
pub struct PrivateKey {
    key: Arc<SoftwareKey>,
}

struct SoftwareKey {
    pair: LibraryKeyPair,
    public: PublicKey,
}

/// The library's key pairs.
enum LibraryKeyPair {
    Ec(Curve, EcdsaKeyPair),
    Rsa(RsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "PrivateKey({:?})", self.kind())
    }
}

impl PrivateKey {
    /// Generates a key. RSA of 4096 bits takes seconds: never on an I/O thread.
    pub fn generate(kind: KeyKind) -> Result<Self, KeyError> {
        let pair = LibraryKeyPair::generate(kind)?;
        let public = pair.public()?;
        Ok(Self { key: Arc::new(SoftwareKey { pair, public }) })
    }

    /// As [`Self::generate`]; a seeded source gives reproducible Ed25519 keys, for simulations.
    pub fn generate_with(kind: KeyKind, entropy: &Entropy) -> Result<Self, KeyError> {
        let pair = LibraryKeyPair::generate_with(kind, entropy)?;
        let public = pair.public()?;
        Ok(Self { key: Arc::new(SoftwareKey { pair, public }) })
    }

    /// Reads an unencrypted PKCS#8 document.
    pub fn from_pkcs8(pkcs8: &Secret<Vec<u8>>) -> Result<Self, KeyError> {
        let pair = LibraryKeyPair::read(pkcs8.expose()).ok_or(KeyError::Rejected)?;
        let public = pair.public()?;
        Ok(Self { key: Arc::new(SoftwareKey { pair, public }) })
    }

    /// The PKCS#8 document, for the sealed store and for `exported` keys.
    pub fn to_pkcs8(&self) -> Result<Secret<Vec<u8>>, KeyError> {
        self.key.pair.pkcs8(&self.key.public)
    }

    /// The public half.
    pub fn public(&self) -> &PublicKey {
        &self.key.public
    }

    /// Kind and size.
    pub fn kind(&self) -> KeyKind {
        self.key.public.kind()
    }

    /// Signs what was linted, with the algorithm that it names. Signatures of authorities, lists and
    /// requests, and those by RSA keys, are verified before they leave
    /// (`docs/design.md`, "Check signatures of our own where an error is costly").
    pub fn sign<T: ToSign>(&self, linted: Linted<T>) -> Result<Signed<T>, SignError> {
        let document = linted.document();
        let algorithm = document.algorithm();
        if !algorithm.fits(self.kind()) {
            return Err(SignError::Unfit);
        }
        let message = document.to_be_signed();
        let signature = self.key.pair.sign(algorithm, message)?;
        let checked =
            document.is_verified_after_signing() || matches!(self.kind(), KeyKind::Rsa(_));
        if checked && !self.public().verify(algorithm, message, &signature) {
            return Err(SignError::Wrong);
        }
        Ok(linted.with_signature(&signature))
    }
}

const fn signing(curve: Curve) -> Option<&'static EcdsaSigningAlgorithm> {
    match curve {
        Curve::P224 => None,
        Curve::P256 => Some(&signature::ECDSA_P256_SHA256_ASN1_SIGNING),
        Curve::P384 => Some(&signature::ECDSA_P384_SHA384_ASN1_SIGNING),
        Curve::P521 => Some(&signature::ECDSA_P521_SHA512_ASN1_SIGNING),
    }
}

impl LibraryKeyPair {
    fn generate_with(kind: KeyKind, entropy: &Entropy) -> Result<Self, KeyError> {
        match (kind, entropy.key_seed()) {
            (KeyKind::Ed25519, Some(seed)) => Ed25519KeyPair::from_seed_unchecked(seed.expose())
                .map(Self::Ed25519)
                .map_err(|_| KeyError::Failed),
            _ => Self::generate(kind),
        }
    }

    fn generate(kind: KeyKind) -> Result<Self, KeyError> {
        let size = match kind {
            KeyKind::Ec(curve) => {
                let algorithm = signing(curve).ok_or(KeyError::Unsupported)?;
                let pair = EcdsaKeyPair::generate(algorithm).map_err(|_| KeyError::Failed)?;
                return Ok(Self::Ec(curve, pair));
            }
            KeyKind::Ed25519 => {
                let pair = Ed25519KeyPair::generate().map_err(|_| KeyError::Failed)?;
                return Ok(Self::Ed25519(pair));
            }
            KeyKind::Rsa(2048) => KeySize::Rsa2048,
            KeyKind::Rsa(3072) => KeySize::Rsa3072,
            KeyKind::Rsa(4096) => KeySize::Rsa4096,
            KeyKind::Rsa(8192) => KeySize::Rsa8192,
            KeyKind::Rsa(_) => return Err(KeyError::Unsupported),
        };
        RsaKeyPair::generate(size).map(Self::Rsa).map_err(|_| KeyError::Failed)
    }

    fn read(pkcs8: &[u8]) -> Option<Self> {
        if let Ok(pair) = Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8) {
            return Some(Self::Ed25519(pair));
        }
        let curves = [Curve::P256, Curve::P384, Curve::P521];
        curves
            .into_iter()
            .find_map(|curve| {
                let pair = EcdsaKeyPair::from_pkcs8(signing(curve)?, pkcs8).ok()?;
                Some(Self::Ec(curve, pair))
            })
            .or_else(|| RsaKeyPair::from_pkcs8(pkcs8).ok().map(Self::Rsa))
    }

    fn public(&self) -> Result<PublicKey, KeyError> {
        let (kind, bits) = match self {
            Self::Ec(curve, pair) => (KeyKind::Ec(*curve), pair.public_key().as_ref()),
            Self::Ed25519(pair) => (KeyKind::Ed25519, pair.public_key().as_ref()),
            Self::Rsa(pair) => {
                let length = u32::try_from(pair.public_modulus_len()).unwrap_or(u32::MAX);
                (KeyKind::Rsa(length.saturating_mul(8)), pair.public_key().as_ref())
            }
        };
        let key = PublicKey::new_unchecked(kind, bits);
        match self {
            // The modulus of an imported key need not fill its bytes.
            Self::Rsa(_) => PublicKey::parse(key.spki()).map_err(|_| KeyError::Rejected),
            Self::Ec(..) | Self::Ed25519(_) => Ok(key),
        }
    }

    fn pkcs8(&self, public: &PublicKey) -> Result<Secret<Vec<u8>>, KeyError> {
        let failed = |_| KeyError::Failed;
        let document = match self {
            // What the library would write (a test compares): 0.6 % of an issue in a profile, not 3.4 %.
            Self::Ec(_, pair) => {
                let scalar = pair.private_key().as_be_bytes().map_err(failed)?;
                return public.ec_pkcs8(scalar.as_ref()).ok_or(KeyError::Failed);
            }
            Self::Ed25519(pair) => pair.to_pkcs8v1().map_err(failed)?.as_ref().to_vec(),
            Self::Rsa(pair) => {
                AsDer::<Pkcs8V1Der<'_>>::as_der(pair).map_err(failed)?.as_ref().to_vec()
            }
        };
        Ok(Secret::new(document))
    }

    fn sign(&self, algorithm: SignatureAlgorithm, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let random = SystemRandom::new();
        match self {
            Self::Ec(curve, pair) => {
                let own = SignatureAlgorithm::choose(KeyKind::Ec(*curve), Default::default());
                if own != algorithm {
                    return sign_with_other_hash(*curve, pair, algorithm, message);
                }
                let signature = pair.sign(&random, message).map_err(|_| SignError::Failed)?;
                Ok(signature.as_ref().to_vec())
            }
            Self::Ed25519(pair) => Ok(pair.sign(message).as_ref().to_vec()),
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(padding(algorithm)?, &random, message, &mut signature)
                    .map_err(|_| SignError::Failed)?;
                Ok(signature)
            }
        }
    }
}

/// The library binds a key to the hash of its curve. ECDSA signs a number, and of a hash that is
/// longer than the curve's order the first bits count (FIPS 186-5, 6.4.1): so another hash, cut or
/// filled up with zeros in front, is signed as if it were the curve's own.
fn sign_with_other_hash(
    curve: Curve,
    pair: &EcdsaKeyPair,
    algorithm: SignatureAlgorithm,
    message: &[u8],
) -> Result<Vec<u8>, SignError> {
    let hash = match algorithm {
        SignatureAlgorithm::Ecdsa(SignatureHash::Sha256) => &digest::SHA256,
        SignatureAlgorithm::Ecdsa(SignatureHash::Sha384) => &digest::SHA384,
        SignatureAlgorithm::Ecdsa(SignatureHash::Sha512) => &digest::SHA512,
        _ => return Err(SignError::Unfit),
    };
    let own = match curve {
        Curve::P224 | Curve::P256 => &digest::SHA256,
        Curve::P384 => &digest::SHA384,
        Curve::P521 => &digest::SHA512,
    };
    let length = own.output_len();
    let hashed = digest::digest(hash, message);
    let used = hashed.as_ref().get(..length).unwrap_or(hashed.as_ref());
    let mut number = vec![0; length.saturating_sub(used.len())];
    number.extend_from_slice(used);
    let number = Digest::import_less_safe(&number, own).map_err(|_| SignError::Failed)?;
    let signature = pair.sign_digest(&number).map_err(|_| SignError::Failed)?;
    Ok(signature.as_ref().to_vec())
}

const fn padding(algorithm: SignatureAlgorithm) -> Result<&'static dyn RsaEncoding, SignError> {
    Ok(match algorithm {
        SignatureAlgorithm::RsaPkcs1(SignatureHash::Sha256) => &signature::RSA_PKCS1_SHA256,
        SignatureAlgorithm::RsaPkcs1(SignatureHash::Sha384) => &signature::RSA_PKCS1_SHA384,
        SignatureAlgorithm::RsaPkcs1(SignatureHash::Sha512) => &signature::RSA_PKCS1_SHA512,
        SignatureAlgorithm::RsaPss(SignatureHash::Sha256) => &signature::RSA_PSS_SHA256,
        SignatureAlgorithm::RsaPss(SignatureHash::Sha384) => &signature::RSA_PSS_SHA384,
        SignatureAlgorithm::RsaPss(SignatureHash::Sha512) => &signature::RSA_PSS_SHA512,
        SignatureAlgorithm::Ecdsa(_) | SignatureAlgorithm::Ed25519 => {
            return Err(SignError::Unfit);
        }
    })
}

/// The key pair of a certificate's subject, made for a caller who asked for one.
#[derive(Debug)]
pub struct SubjectKey {
    public: PublicKey,
    pkcs8: Secret<Vec<u8>>,
}

impl SubjectKey {
    /// Makes a key pair. RSA takes its time: not on an I/O thread.
    pub fn generate(kind: KeyKind) -> Result<Self, KeyError> {
        let pair = LibraryKeyPair::generate(kind)?;
        let public = pair.public()?;
        let pkcs8 = pair.pkcs8(&public)?;
        Ok(Self { public, pkcs8 })
    }

    /// As [`Self::generate`]; a seeded source gives reproducible Ed25519 keys, for simulations.
    pub fn generate_with(kind: KeyKind, entropy: &Entropy) -> Result<Self, KeyError> {
        let pair = LibraryKeyPair::generate_with(kind, entropy)?;
        let public = pair.public()?;
        let pkcs8 = pair.pkcs8(&public)?;
        Ok(Self { public, pkcs8 })
    }

    /// The public half.
    pub const fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The private half as PKCS#8.
    pub const fn pkcs8(&self) -> &Secret<Vec<u8>> {
        &self.pkcs8
    }

    /// The private half as PKCS#8, by value.
    pub fn into_pkcs8(self) -> Secret<Vec<u8>> {
        self.pkcs8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_the_pkcs8_that_the_library_writes() {
        for curve in [Curve::P256, Curve::P384, Curve::P521] {
            let pair = LibraryKeyPair::generate(KeyKind::Ec(curve)).unwrap();
            let ours = pair.pkcs8(&pair.public().unwrap()).unwrap();
            let LibraryKeyPair::Ec(_, library) = &pair else { panic!("an EC key") };
            assert_eq!(
                ours.expose().as_slice(),
                library.to_pkcs8v1().unwrap().as_ref(),
                "{curve:?}"
            );
        }
    }
}
