//! Keys in memory, by aws-lc.

use std::sync::Arc;

use crate::ca::key::KeyKind;
use crate::ca::public_key::PublicKey;
use crate::ca::signed::{Linted, Signed, ToSign};
use crate::secret::Secret;

use super::{KeyError, SignError};

/// A private key that signs; parsed once, shared by cloning.
#[derive(Clone, Debug)]
pub struct PrivateKey {
    inner: Arc<PublicKey>,
}

impl PrivateKey {
    /// Makes a key. RSA of 4096 bits takes seconds: not on an I/O thread.
    pub fn generate(kind: KeyKind) -> Result<Self, KeyError> {
        let _ = kind;
        todo!()
    }

    /// Reads an unencrypted PKCS#8 document.
    pub fn from_pkcs8(pkcs8: &Secret<Vec<u8>>) -> Result<Self, KeyError> {
        let _ = pkcs8;
        todo!()
    }

    /// The PKCS#8 document, for the sealed store and for keys made as `exported`.
    pub fn to_pkcs8(&self) -> Result<Secret<Vec<u8>>, KeyError> {
        todo!()
    }

    /// The public half.
    pub fn public(&self) -> &PublicKey {
        &self.inner
    }

    /// Kind and size.
    pub fn kind(&self) -> KeyKind {
        self.inner.kind()
    }

    /// Signs what was linted, with the algorithm that it names.
    pub fn sign<T: ToSign>(&self, linted: Linted<T>) -> Result<Signed<T>, SignError> {
        let _ = linted;
        todo!()
    }
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
        let _ = kind;
        todo!()
    }

    /// The public half.
    pub const fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The private half as PKCS#8.
    pub const fn pkcs8(&self) -> &Secret<Vec<u8>> {
        &self.pkcs8
    }

    /// The private half as PKCS#8, handed over.
    pub fn into_pkcs8(self) -> Secret<Vec<u8>> {
        self.pkcs8
    }
}
