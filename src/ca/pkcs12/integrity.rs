//! The MAC of an archive: HMAC under a key from RFC 7292's own function, or
//! PBMAC1 (RFC 9579), where that key comes from PBKDF2.

use aws_lc_rs::hmac;
use der::Encode;
use der::asn1::{AnyRef, OctetStringRef};
use zeroize::Zeroize;

use super::derivation::{Diversifier, KdfHash, Password, SALT, pbkdf2_identifier};
use super::shape::{
    DigestInfo, HMAC_SHA256, MacData, PBMAC1, Pbmac1Parameters, SHA1, SHA256, once, plain,
};
use crate::ca::algorithm_identifier::AlgorithmIdentifierRef;
use crate::ca::keystore::{KeyStoreError, Random};

/// How the integrity of an archive is protected.
#[derive(Clone, Copy, Debug)]
pub(super) enum Integrity {
    /// HMAC under RFC 7292's function, both over the same digest.
    Classic { hash: KdfHash, iterations: u32 },
    /// PBMAC1 with PBKDF2 and HMAC-SHA-256.
    Pbmac1 { iterations: u32 },
}

/// RFC 9579 does not use the salt of `MacData` and its examples contain this text.
const UNUSED_SALT: &[u8] = b"NOT USED";

impl Integrity {
    /// The `MacData` over the content, as DER.
    pub(super) fn mac_data(
        self,
        content: &[u8],
        password: &Password<'_>,
        random: Random<'_>,
    ) -> Result<Vec<u8>, KeyStoreError> {
        let mut salt = [0; SALT];
        random(&mut salt);
        match self {
            Self::Classic { hash, iterations } => {
                let key = classic_key(hash, password, &salt, iterations);
                let tag = hmac::sign(&key, content);
                let oid = match hash {
                    KdfHash::Sha1 => SHA1,
                    KdfHash::Sha256 => SHA256,
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
    hash: KdfHash,
    password: &Password<'_>,
    salt: &[u8; SALT],
    iterations: u32,
) -> hmac::Key {
    let (purpose, legacy) = (Diversifier::Mac, hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY);
    match hash {
        KdfHash::Sha1 => bind::<20>(legacy, password.rfc7292(hash, purpose, salt, iterations)),
        KdfHash::Sha256 => {
            bind::<32>(hmac::HMAC_SHA256, password.rfc7292(hash, purpose, salt, iterations))
        }
    }
}

fn bind<const N: usize>(algorithm: hmac::Algorithm, mut key: [u8; N]) -> hmac::Key {
    let bound = hmac::Key::new(algorithm, &key);
    key.zeroize();
    bound
}
