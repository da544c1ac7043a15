//! Keys from passwords: PBKDF2 (RFC 8018) for PBES2 and PBMAC1, PKCS#12's own function (RFC 7292,
//! appendix B) for triple DES and the classic MAC.

use std::num::NonZeroU32;

use aws_lc_rs::digest::{self, SHA1_FOR_LEGACY_USE_ONLY, SHA256};
use aws_lc_rs::pbkdf2;
use der::Encode;
use der::asn1::{AnyRef, OctetStringRef};
use zeroize::{Zeroize, Zeroizing};

use super::shape::{HMAC_SHA256, PBKDF2, Pbkdf2Parameters, plain};
use crate::ca::algorithm_identifier::AlgorithmIdentifierRef;
use crate::ca::keystore::{KeyStoreError, utf16};
use crate::secret::Secret;

/// Salts of PBKDF2 and of the integrity check, in bytes: as RFC 9579 and NIST SP 800-132 require.
pub(super) const SALT: usize = 16;

/// The block of SHA-1 and SHA-256, in bytes: `v` in RFC 7292, appendix B.2.
const BLOCK: usize = 64;

/// A password in the two encodings of PKCS#12.
pub(super) struct Password<'a> {
    /// UTF-8: for PBES2 and PBMAC1.
    utf8: &'a [u8],
    /// BMPString with its two zero bytes at the end: for the function of RFC 7292.
    bmp: Zeroizing<Vec<u8>>,
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
pub(super) enum KdfHash {
    Sha1,
    Sha256,
}

impl KdfHash {
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
        Self { utf8: password.expose().as_bytes(), bmp }
    }

    /// 32 bytes by PBKDF2 with HMAC-SHA-256, and the parameters that say so.
    pub(super) fn pbkdf2(
        &self,
        salt: &[u8; SALT],
        iterations: u32,
    ) -> Result<([u8; 32], Vec<u8>), KeyStoreError> {
        let rounds = NonZeroU32::new(iterations).ok_or(KeyStoreError::Malformed)?;
        let mut key = [0; 32];
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, rounds, salt, self.utf8, &mut key);
        let parameters = Pbkdf2Parameters {
            salt: OctetStringRef::new(salt)?,
            iterations,
            // Java's reader requires the function; Java writes the length too.
            key_length: Some(32),
            function: Some(plain(HMAC_SHA256)),
        };
        Ok((key, parameters.to_der()?))
    }

    /// `N` bytes by the function of RFC 7292, appendix B.2.
    pub(super) fn rfc7292<const N: usize>(
        &self,
        hash: KdfHash,
        diversifier: Diversifier,
        salt: &[u8; SALT],
        iterations: u32,
    ) -> [u8; N] {
        let algorithm = hash.algorithm();
        let mut input = Zeroizing::new(Vec::new());
        extend_to_blocks(&mut input, salt);
        extend_to_blocks(&mut input, &self.bmp);
        let mut output = [0; N];
        for chunk in output.chunks_mut(algorithm.output_len()) {
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
        output
    }
}

/// Repeats `bytes` until whole blocks are filled; an empty slice adds no block.
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
