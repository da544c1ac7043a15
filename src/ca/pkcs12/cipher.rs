//! Encryption of a key or a list of certificates: PBES2 with AES-256-CBC, or triple DES under
//! RFC 7292's own function for readers that support nothing newer.

use aws_lc_rs::cipher::{AES_256, EncryptionContext, PaddedBlockEncryptingKey, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;
use der::Encode;
use der::asn1::{AnyRef, OctetStringRef};
use zeroize::Zeroize;

use super::derivation::{Diversifier, KdfHash, Password, SALT, pbkdf2_identifier};
use super::shape::{AES_256_CBC, PBE_SHA1_3DES, PBES2, Pbes1Parameters, Pbes2Parameters};
use crate::ca::algorithm_identifier::AlgorithmIdentifierRef;
use crate::ca::keystore::{KeyStoreError, Random};

/// How the content of an archive is encrypted.
#[derive(Clone, Copy, Debug)]
pub(super) enum Scheme {
    /// PBES2: PBKDF2 with HMAC-SHA-256, AES-256-CBC.
    Aes256 { iterations: u32 },
    /// `pbeWithSHAAnd3-KeyTripleDES-CBC` (RFC 7292, appendix C).
    TripleDes { iterations: u32 },
}

/// Ciphertext with the parameters that its algorithm identifier needs.
pub(super) struct Encrypted {
    scheme: Scheme,
    parameters: Vec<u8>,
    pub(super) bytes: Vec<u8>,
}

impl Encrypted {
    pub(super) fn algorithm(&self) -> Result<AlgorithmIdentifierRef<'_>, KeyStoreError> {
        let oid = match self.scheme {
            Scheme::Aes256 { .. } => PBES2,
            Scheme::TripleDes { .. } => PBE_SHA1_3DES,
        };
        let parameters = Some(AnyRef::try_from(self.parameters.as_slice())?);
        Ok(AlgorithmIdentifierRef { oid, parameters })
    }
}

impl Scheme {
    /// Encrypts under a key of its own: salt and initialisation vector are fresh each time.
    pub(super) fn encrypt(
        self,
        plain: &[u8],
        password: &Password<'_>,
        random: Random<'_>,
    ) -> Result<Encrypted, KeyStoreError> {
        // Allocated with the padding, so that no plaintext copy is left behind.
        let mut bytes = Vec::with_capacity(plain.len() + 16);
        bytes.extend_from_slice(plain);
        let parameters = match self {
            Self::Aes256 { iterations } => {
                let (mut salt, mut vector) = ([0; SALT], [0; 16]);
                random(&mut salt);
                random(&mut vector);
                let (mut key, derivation) = password.pbkdf2(&salt, iterations)?;
                let cipher = UnboundCipherKey::new(&AES_256, &key);
                key.zeroize();
                PaddedBlockEncryptingKey::cbc_pkcs7(cipher?)?.less_safe_encrypt(
                    &mut bytes,
                    EncryptionContext::Iv128(FixedLength::from(vector)),
                )?;
                pbes2_parameters(&derivation, &vector)?
            }
            Self::TripleDes { iterations } => {
                let mut salt = [0; SALT];
                random(&mut salt);
                let (key, vector) = triple_des(password, &salt, iterations)?;
                PaddedBlockEncryptingKey::cbc_pkcs7(key)?.less_safe_encrypt(
                    &mut bytes,
                    EncryptionContext::Iv64(FixedLength::from(vector)),
                )?;
                Pbes1Parameters { salt: OctetStringRef::new(&salt)?, iterations }.to_der()?
            }
        };
        Ok(Encrypted { scheme: self, parameters, bytes })
    }
}

fn pbes2_parameters(derivation: &[u8], vector: &[u8; 16]) -> Result<Vec<u8>, KeyStoreError> {
    let encryption = AlgorithmIdentifierRef {
        oid: AES_256_CBC,
        parameters: Some(AnyRef::from(OctetStringRef::new(vector)?)),
    };
    Ok(Pbes2Parameters { derivation: pbkdf2_identifier(derivation)?, encryption }.to_der()?)
}

// aws-lc marks triple DES as deprecated; only the encoder `legacy`, requested by name, uses it.
#[expect(deprecated, reason = "the only cipher of aws-lc that Java before 8u301 reads")]
const TRIPLE_DES: &aws_lc_rs::cipher::Algorithm = &aws_lc_rs::cipher::DES_EDE3_FOR_LEGACY_USE_ONLY;

/// Key and initialisation vector, both from the password (RFC 7292, appendix B).
fn triple_des(
    password: &Password<'_>,
    salt: &[u8; SALT],
    iterations: u32,
) -> Result<(UnboundCipherKey, [u8; 8]), KeyStoreError> {
    let mut key: [u8; 24] = password.rfc7292(KdfHash::Sha1, Diversifier::Key, salt, iterations);
    let vector =
        password.rfc7292(KdfHash::Sha1, Diversifier::InitializationVector, salt, iterations);
    let cipher = UnboundCipherKey::new(TRIPLE_DES, &key);
    key.zeroize();
    Ok((cipher?, vector))
}
