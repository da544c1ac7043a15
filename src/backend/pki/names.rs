//! The parameters that several paths of a PKI mount share.

use std::sync::Arc;

use crate::backend::params::{Seconds, params};
use crate::ca::role::Ask;
use crate::engine::Failure;
use crate::engine::pki::output::{ArchiveAsk, ArchiveKind, ArchiveWish, Format};
use crate::secret::Secret;

params! {
    /// Names, validity and output of a certificate.
    pub(super) struct Names {
        /// Common name of the subject.
        common_name: String,
        /// DNS names and e-mail addresses beside it, with commas between them.
        alt_names: Option<String>,
        /// IP addresses.
        ip_sans: Vec<String>,
        /// URIs, a SPIFFE ID among them.
        uri_sans: Vec<String>,
        /// Names of other kinds: `<oid>;<type>:<value>`.
        other_sans: Vec<String>,
        /// Serial number in the subject; not that of the certificate.
        serial_number: String,
        /// Requested time to live.
        ttl: Seconds,
        /// End of validity, in RFC 3339; instead of `ttl`.
        not_after: String,
        /// Start of validity, in RFC 3339.
        not_before: String,
        /// Leaves the common name out of the names beside it.
        exclude_cn_from_sans: bool,
        /// Form of the answer: `pem`, `der`, `pem_bundle`, `pkcs12_bundle`, `jks_bundle` or `pkcs12_truststore`.
        format: Option<String>,
        /// Form of the private key: `der` for the traditional form, or `pkcs8`.
        private_key_format: String,
    }
}

params! {
    /// What goes into a key store.
    pub(super) struct KeyStore {
        /// Encoder of PKCS#12: `auto`, `modern2026`, `modern2023` or `legacy`.
        pkcs12_encoder: String,
        /// Password of the PKCS#12 file; `changeit` if none is sent.
        pkcs12_password: Option<Secret<String>>,
        /// Password of the Java key store; `changeit` if none is sent.
        jks_password: Option<Secret<String>>,
        /// Alias of the private key; `1` if none is sent.
        jks_private_key_alias: Option<String>,
    }
}

impl Names {
    /// The form of the answer; `None` for a word that names none.
    pub(super) fn format(&self) -> Option<Format> {
        self.format.as_deref().map_or(Some(Format::Pem), Format::parse)
    }

    /// Names and validity, as a role reads them.
    pub(super) fn ask(&mut self, user_ids: Vec<String>) -> Ask {
        use std::mem::take;
        Ask {
            common_name: take(&mut self.common_name),
            alt_names: self.alt_names.take(),
            ip_sans: take(&mut self.ip_sans),
            uri_sans: take(&mut self.uri_sans),
            other_sans: take(&mut self.other_sans),
            user_ids,
            serial_number: take(&mut self.serial_number),
            ttl: self.ttl.0,
            not_after: take(&mut self.not_after),
            not_before: take(&mut self.not_before),
            exclude_cn_from_sans: self.exclude_cn_from_sans,
        }
    }
}

impl KeyStore {
    /// What a request says about its key store, if its format is one. Nothing of it is refused later.
    ///
    /// # Errors
    /// An encoder, an alias or a password that cannot be used.
    pub(super) fn parsed(
        self,
        format: Option<Format>,
        with_intermediates: bool,
    ) -> Result<Option<Arc<ArchiveWish>>, Failure> {
        let Some(Format::Archive(kind)) = format else { return Ok(None) };
        let password = match kind {
            ArchiveKind::JksBundle => self.jks_password,
            ArchiveKind::Pkcs12Bundle | ArchiveKind::Pkcs12Truststore => self.pkcs12_password,
        };
        let ask = ArchiveAsk {
            password: password.map(|password| password.expose().clone()),
            encoder: self.pkcs12_encoder,
            alias: self.jks_private_key_alias,
            with_intermediates,
        };
        ArchiveWish::parse(kind, ask).map(|wish| Some(Arc::new(wish)))
    }
}
