//! What shows that an archive was not changed: HMAC under a key from RFC 7292's own function, or
//! PBMAC1 (RFC 9579), where that key comes from PBKDF2.

use aws_lc_rs::hmac;
use der::Encode;
use der::asn1::{AnyRef, OctetStringRef};
use x509_cert::spki::AlgorithmIdentifierRef;
use zeroize::Zeroize;

use super::derivation::{Diversifier, Hash, Password, SALT, pbkdf2_identifier};
use super::shape::{
    DigestInfo, HMAC_SHA256, MacData, PBMAC1, Pbmac1Parameters, SHA1, SHA256, once, plain,
};
use crate::ca::keystore::{KeyStoreError, Random};

/// How the integrity of an archive is shown.
#[derive(Clone, Copy, Debug)]
pub(super) enum Integrity {
    /// HMAC under RFC 7292's function, both over the same digest.
    Classic { hash: Hash, iterations: u32 },
    /// PBMAC1 with PBKDF2 and HMAC-SHA-256.
    Pbmac1 { iterations: u32 },
}

/// RFC 9579 does not use the salt of `MacData` and its examples put these words there.
const UNUSED_SALT: &[u8] = b"NOT USED";

impl Integrity {
    /// The `MacData` over the content, as DER.
    pub(super) fn seal(
        self,
        content: &[u8],
        password: &mut Password<'_>,
        random: Random<'_>,
    ) -> Result<Vec<u8>, KeyStoreError> {
        let mut salt = [0; SALT];
        random(&mut salt);
        match self {
            Self::Classic { hash, iterations } => {
                let key = classic_key(hash, password, &salt, iterations)?;
                let tag = hmac::sign(&key, content);
                let oid = match hash {
                    Hash::Sha1 => SHA1,
                    Hash::Sha256 => SHA256,
                };
                let digest = OctetStringRef::new(tag.as_ref())?;
                let mac = DigestInfo { algorithm: plain(oid), digest };
                Ok(MacData { mac, salt: OctetStringRef::new(&salt)?, iterations }.to_der()?)
            }
            Self::Pbmac1 { iterations } => {
                let (key, derivation) = password.pbkdf2(&salt, iterations)?;
                let tag = hmac::sign(&bind(hmac::HMAC_SHA256, key), content);
                let parameters = Pbmac1Parameters {
                    derivation: pbkdf2_identifier(&derivation)?,
                    mac: plain(HMAC_SHA256),
                }
                .to_der()?;
                let parameters = Some(AnyRef::try_from(parameters.as_slice())?);
                let algorithm = AlgorithmIdentifierRef { oid: PBMAC1, parameters };
                let digest = OctetStringRef::new(tag.as_ref())?;
                let mac = DigestInfo { algorithm, digest };
                let salt = OctetStringRef::new(UNUSED_SALT)?;
                Ok(MacData { mac, salt, iterations: once() }.to_der()?)
            }
        }
    }
}

/// The key of RFC 7292, as long as the digest.
fn classic_key(
    hash: Hash,
    password: &mut Password<'_>,
    salt: &[u8],
    iterations: u32,
) -> Result<hmac::Key, KeyStoreError> {
    Ok(match hash {
        Hash::Sha1 => bind::<20>(
            hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            password.rfc7292(hash, Diversifier::Mac, salt, iterations)?,
        ),
        Hash::Sha256 => bind::<32>(
            hmac::HMAC_SHA256,
            password.rfc7292(hash, Diversifier::Mac, salt, iterations)?,
        ),
    })
}

fn bind<const N: usize>(algorithm: hmac::Algorithm, mut key: [u8; N]) -> hmac::Key {
    let bound = hmac::Key::new(algorithm, &key);
    key.zeroize();
    bound
}

/// Compares the archive's own claim with its content.
pub(super) fn verify(
    mac: &MacData<'_>,
    content: &[u8],
    password: &mut Password<'_>,
) -> Result<(), KeyStoreError> {
    let (salt, iterations) = (mac.salt.as_bytes(), mac.iterations);
    let key = match mac.mac.algorithm.oid {
        SHA1 => classic_key(Hash::Sha1, password, salt, iterations)?,
        SHA256 => classic_key(Hash::Sha256, password, salt, iterations)?,
        PBMAC1 => {
            let parameters = mac.mac.algorithm.parameters.ok_or(KeyStoreError::Malformed)?;
            let parameters = parameters.decode_as::<Pbmac1Parameters<'_>>()?;
            if parameters.mac.oid != HMAC_SHA256 {
                return Err(KeyStoreError::Unsupported);
            }
            bind(hmac::HMAC_SHA256, password.pbkdf2_read(parameters.derivation)?)
        }
        _ => return Err(KeyStoreError::Unsupported),
    };
    hmac::verify(&key, content, mac.mac.digest.as_bytes()).map_err(|_| KeyStoreError::Password)
}
