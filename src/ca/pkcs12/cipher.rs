//! What hides a key or a list of certificates: PBES2 with AES-256-CBC.

use aws_lc_rs::cipher::{
    AES_256, DecryptionContext, EncryptionContext, PaddedBlockDecryptingKey,
    PaddedBlockEncryptingKey, UnboundCipherKey,
};
use aws_lc_rs::iv::FixedLength;
use der::Encode;
use der::asn1::{AnyRef, OctetStringRef};
use x509_cert::spki::AlgorithmIdentifierRef;
use zeroize::{Zeroize, Zeroizing};

use super::derivation::{Password, SALT, pbkdf2_identifier};
use super::shape::{AES_256_CBC, PBES2, Pbes2Parameters};
use crate::ca::keystore::{KeyStoreError, Random};

/// How the content of an archive is encrypted.
#[derive(Clone, Copy, Debug)]
pub(super) enum Scheme {
    /// PBES2: PBKDF2 with HMAC-SHA-256, AES-256-CBC.
    Aes256 { iterations: u32 },
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
        password: &mut Password<'_>,
        random: Random<'_>,
    ) -> Result<Encrypted, KeyStoreError> {
        // Room for the padding from the start, so that no plain copy is left behind.
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

/// Decrypts what [`Scheme::encrypt`] made. The integrity of the archive was checked before, so a
/// failure here says that the password of this part differs, or that the bytes are damaged.
pub(super) fn decrypt(
    algorithm: AlgorithmIdentifierRef<'_>,
    bytes: &[u8],
    password: &mut Password<'_>,
) -> Result<Zeroizing<Vec<u8>>, KeyStoreError> {
    let parameters = algorithm.parameters.ok_or(KeyStoreError::Malformed)?;
    let mut plain = Zeroizing::new(bytes.to_vec());
    let (key, context) = match algorithm.oid {
        PBES2 => aes_256_cbc(parameters, password)?,
        _ => return Err(KeyStoreError::Unsupported),
    };
    let length = key.decrypt(&mut plain, context).map_err(|_| KeyStoreError::Password)?.len();
    plain.truncate(length);
    Ok(plain)
}

fn aes_256_cbc(
    parameters: AnyRef<'_>,
    password: &mut Password<'_>,
) -> Result<(PaddedBlockDecryptingKey, DecryptionContext), KeyStoreError> {
    let parameters = parameters.decode_as::<Pbes2Parameters<'_>>()?;
    if parameters.encryption.oid != AES_256_CBC {
        return Err(KeyStoreError::Unsupported);
    }
    let vector = parameters.encryption.parameters.ok_or(KeyStoreError::Malformed)?;
    let vector = vector.decode_as::<&OctetStringRef>()?.as_bytes();
    let vector: [u8; 16] = vector.try_into().map_err(|_| KeyStoreError::Malformed)?;
    let mut key = password.pbkdf2_read(parameters.derivation)?;
    let cipher = UnboundCipherKey::new(&AES_256, &key);
    key.zeroize();
    let context = DecryptionContext::Iv128(FixedLength::from(vector));
    Ok((PaddedBlockDecryptingKey::cbc_pkcs7(cipher?)?, context))
}
