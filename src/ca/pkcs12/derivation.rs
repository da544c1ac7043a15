//! Keys from passwords: PBKDF2 (RFC 8018) for what is new, PKCS#12's own function (RFC 7292,
//! appendix B) for what is old, and one budget over all of them.

use std::num::NonZeroU32;

use aws_lc_rs::digest::{self, SHA1_FOR_LEGACY_USE_ONLY, SHA256};
use aws_lc_rs::pbkdf2;
use der::Encode;
use der::asn1::{AnyRef, OctetStringRef};
use x509_cert::spki::AlgorithmIdentifierRef;
use zeroize::{Zeroize, Zeroizing};

use super::shape::{
    HMAC_SHA1, HMAC_SHA256, HMAC_SHA384, HMAC_SHA512, PBKDF2, Pbkdf2Parameters, plain,
};
use crate::ca::keystore::{KeyStoreError, utf16};
use crate::secret::Secret;

/// Iterations that one archive may ask for in all, when read: about two seconds' work. Java
/// before 8u301 asked for 150,000.
pub(super) const MAX_ITERATIONS: u32 = 2_000_000;

/// Salts of PBKDF2 and of the integrity check, in bytes: what RFC 9579 and NIST SP 800-132 ask.
pub(super) const SALT: usize = 16;

/// The block of SHA-1 and SHA-256, in bytes: `v` in RFC 7292, appendix B.2.
const BLOCK: usize = 64;

/// A password in the two spellings that PKCS#12 knows, and what deriving may still cost.
pub(super) struct Password<'a> {
    /// UTF-8: for PBES2 and PBMAC1.
    utf8: &'a [u8],
    /// BMPString with its two zero bytes at the end: for the function of RFC 7292.
    bmp: Zeroizing<Vec<u8>>,
    budget: u32,
}

/// What the bytes of RFC 7292's function are for (appendix B.3).
#[derive(Clone, Copy)]
#[repr(u8)]
pub(super) enum Diversifier {
    Key = 1,
    InitializationVector = 2,
    Mac = 3,
}

/// The digest under RFC 7292's function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hash {
    Sha1,
    Sha256,
}

impl Hash {
    fn algorithm(self) -> &'static digest::Algorithm {
        match self {
            Self::Sha1 => &SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => &SHA256,
        }
    }
}

impl<'a> Password<'a> {
    pub(super) fn new(password: &'a Secret<String>) -> Self {
        let mut bmp = utf16(password.expose());
        bmp.extend_from_slice(&[0, 0]);
        Self { utf8: password.expose().as_bytes(), bmp, budget: MAX_ITERATIONS }
    }

    pub(super) fn spend(&mut self, iterations: u32) -> Result<(), KeyStoreError> {
        self.budget = self.budget.checked_sub(iterations).ok_or(KeyStoreError::TooCostly)?;
        Ok(())
    }

    /// 32 bytes by PBKDF2 with HMAC-SHA-256, and the parameters that say so.
    pub(super) fn pbkdf2(
        &mut self,
        salt: &[u8; SALT],
        iterations: u32,
    ) -> Result<([u8; 32], Vec<u8>), KeyStoreError> {
        let parameters = Pbkdf2Parameters {
            salt: OctetStringRef::new(salt)?,
            iterations,
            // Java's reader wants the function spelled out; the length is what Java writes too.
            key_length: Some(32),
            function: Some(plain(HMAC_SHA256)),
        };
        let der = parameters.to_der()?;
        Ok((self.pbkdf2_as(&parameters)?, der))
    }

    /// 32 bytes as the algorithm identifier of an archive asks.
    pub(super) fn pbkdf2_read(
        &mut self,
        derivation: AlgorithmIdentifierRef<'_>,
    ) -> Result<[u8; 32], KeyStoreError> {
        if derivation.oid != PBKDF2 {
            return Err(KeyStoreError::Unsupported);
        }
        let parameters = derivation.parameters.ok_or(KeyStoreError::Malformed)?;
        self.pbkdf2_as(&parameters.decode_as::<Pbkdf2Parameters<'_>>()?)
    }

    fn pbkdf2_as(&mut self, parameters: &Pbkdf2Parameters<'_>) -> Result<[u8; 32], KeyStoreError> {
        if parameters.key_length.is_some_and(|length| length != 32) {
            return Err(KeyStoreError::Unsupported);
        }
        let algorithm = match parameters.function.map_or(HMAC_SHA1, |function| function.oid) {
            HMAC_SHA1 => pbkdf2::PBKDF2_HMAC_SHA1,
            HMAC_SHA256 => pbkdf2::PBKDF2_HMAC_SHA256,
            HMAC_SHA384 => pbkdf2::PBKDF2_HMAC_SHA384,
            HMAC_SHA512 => pbkdf2::PBKDF2_HMAC_SHA512,
            _ => return Err(KeyStoreError::Unsupported),
        };
        let iterations = NonZeroU32::new(parameters.iterations).ok_or(KeyStoreError::Malformed)?;
        // Over SHA-1 the 32 bytes take two blocks, each with its own round of iterations.
        self.spend(parameters.iterations.saturating_mul(2))?;
        let mut key = [0; 32];
        pbkdf2::derive(algorithm, iterations, parameters.salt.as_bytes(), self.utf8, &mut key);
        Ok(key)
    }

    /// `N` bytes by the function of RFC 7292, appendix B.2.
    pub(super) fn rfc7292<const N: usize>(
        &mut self,
        hash: Hash,
        diversifier: Diversifier,
        salt: &[u8],
        iterations: u32,
    ) -> Result<[u8; N], KeyStoreError> {
        if iterations == 0 || salt.is_empty() {
            return Err(KeyStoreError::Malformed);
        }
        let algorithm = hash.algorithm();
        let mut input = Zeroizing::new(Vec::new());
        extend_to_blocks(&mut input, salt);
        extend_to_blocks(&mut input, &self.bmp);
        let mut output = [0; N];
        for chunk in output.chunks_mut(algorithm.output_len()) {
            self.spend(iterations)?;
            let mut context = digest::Context::new(algorithm);
            context.update(&[diversifier as u8; BLOCK]);
            context.update(&input);
            let mut block = context.finish();
            for _ in 1..iterations {
                block = digest::digest(algorithm, block.as_ref());
            }
            for (target, source) in chunk.iter_mut().zip(block.as_ref()) {
                *target = *source;
            }
            add_to_blocks(&mut input, block.as_ref());
        }
        Ok(output)
    }
}

/// Repeats `bytes` until whole blocks are filled; nothing stays nothing.
fn extend_to_blocks(input: &mut Vec<u8>, bytes: &[u8]) {
    let length = bytes.len().div_ceil(BLOCK) * BLOCK;
    input.extend(bytes.iter().cycle().take(length));
}

/// Step 6C: every block becomes itself + `digest` (repeated to a block) + 1, modulo 2^512.
fn add_to_blocks(input: &mut [u8], digest: &[u8]) {
    let mut addend = [0; BLOCK];
    for (target, source) in addend.iter_mut().zip(digest.iter().cycle()) {
        *target = *source;
    }
    for block in input.chunks_mut(BLOCK) {
        let mut carry = 1_u16;
        for (byte, add) in block.iter_mut().zip(&addend).rev() {
            carry += u16::from(*byte) + u16::from(*add);
            let [high, low] = carry.to_be_bytes();
            *byte = low;
            carry = u16::from(high);
        }
    }
    addend.zeroize();
}

/// The algorithm identifier of PBKDF2 with these parameters.
pub(super) fn pbkdf2_identifier(
    parameters: &[u8],
) -> Result<AlgorithmIdentifierRef<'_>, KeyStoreError> {
    Ok(AlgorithmIdentifierRef { oid: PBKDF2, parameters: Some(AnyRef::try_from(parameters)?) })
}
