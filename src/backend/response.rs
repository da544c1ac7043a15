//! An answer as a value: what a handler returns, before it has a status line or is JSON.
//!
//! It is serialised once into the body and once through the serializer of an audit device; leases and
//! response wrapping work on this value.

use std::fmt;

use bytes::Bytes;
use http::StatusCode;
use serde::Serialize;

use crate::ca::time::Timestamp;
use crate::engine::Failure;
use crate::engine::pki::certificates::Serials;

use super::event::CertificateEvent;

/// A typed answer, whatever its type. [`fmt::Debug`] is left out: it may hold a private key.
pub type Data = Box<dyn erased_serde::Serialize + Send + Sync>;

/// The answer of a handler.
pub enum Response {
    /// Vault's envelope.
    Envelope(Envelope),
    /// Vault's envelope around a list that is too long to be held in memory: its first page, and the rest.
    KeyList(Vec<String>, Box<Serials>),
    /// JSON without envelope, with its status.
    Plain(StatusCode, Data),
    /// A public file: it needs no token, and caches may keep it.
    File(PublicFile),
    /// A status without a body.
    Status(StatusCode),
}

/// The members of the envelope that vary.
#[derive(Default)]
pub struct Envelope {
    /// `data`
    pub data: Option<Data>,
    /// `warnings`
    pub warnings: Vec<String>,
    /// Every member of `data` is at the top level too, as in the answers of `sys/mounts`.
    pub copied: bool,
    /// What was done with a certificate, for the log and for audit devices; it is not sent.
    pub event: Option<Box<CertificateEvent>>,
}

/// A certificate, a chain or a revocation list in a raw form.
#[derive(Debug)]
pub struct PublicFile {
    /// `application/pkix-crl`
    pub media: &'static str,
    /// The bytes.
    pub body: Bytes,
    /// Names these bytes: another file has another tag. Letters, digits, `-` and `_`.
    pub tag: String,
    /// When it last changed, if that is known.
    pub changed: Option<Timestamp>,
    /// How long the path answers with these bytes.
    pub stability: Stability,
}

/// How long a path answers with the same public file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stability {
    /// Always: a certificate by its serial number.
    Fixed,
    /// Until an operator chooses another: the certificate of the default issuer.
    Replaceable,
    /// Until the next revocation, and at most until nextUpdate: a revocation list.
    List {
        /// thisUpdate
        this_update: Timestamp,
        /// nextUpdate
        next_update: Timestamp,
    },
}

impl Response {
    /// `data` in the envelope.
    pub fn data(data: impl Serialize + Send + Sync + 'static) -> Self {
        Self::with_warnings(data, Vec::new())
    }

    /// `data` and `warnings` in the envelope.
    pub fn with_warnings(
        data: impl Serialize + Send + Sync + 'static,
        warnings: Vec<String>,
    ) -> Self {
        let data: Option<Data> = Some(Box::new(data));
        Self::Envelope(Envelope { data, warnings, ..Envelope::default() })
    }

    /// The same, with every member of `data` at the top level too.
    pub fn copied(data: impl Serialize + Send + Sync + 'static) -> Self {
        let data: Option<Data> = Some(Box::new(data));
        Self::Envelope(Envelope { data, copied: true, ..Envelope::default() })
    }

    /// JSON without envelope.
    pub fn plain(status: StatusCode, data: impl Serialize + Send + Sync + 'static) -> Self {
        Self::Plain(status, Box::new(data))
    }

    /// 204, or 200 with nothing but warnings.
    pub fn done(warnings: Vec<String>) -> Self {
        if warnings.is_empty() {
            return Self::Status(StatusCode::NO_CONTENT);
        }
        Self::Envelope(Envelope { warnings, ..Envelope::default() })
    }

    /// A list of keys; an empty one is 404.
    ///
    /// # Errors
    /// [`Failure::NotFound`] if there is nothing to list.
    pub fn keys(keys: Vec<String>) -> Result<Self, Failure> {
        Self::keys_with(keys, None::<()>)
    }

    /// A list of keys with details of each; an empty one is 404.
    ///
    /// # Errors
    /// [`Failure::NotFound`] if there is nothing to list.
    pub fn keys_with(
        keys: Vec<String>,
        key_info: Option<impl Serialize + Send + Sync + 'static>,
    ) -> Result<Self, Failure> {
        #[derive(Serialize)]
        struct KeyList<T> {
            keys: Vec<String>,
            #[serde(skip_serializing_if = "Option::is_none")]
            key_info: Option<T>,
        }
        if keys.is_empty() {
            return Err(Failure::NotFound);
        }
        Ok(Self::data(KeyList { keys, key_info }))
    }

    /// A list of serial numbers, which may be very long.
    ///
    /// # Errors
    /// As [`Response::keys`]; and if the first page cannot be read.
    pub async fn long_list(mut serials: Serials) -> Result<Self, Failure> {
        let first = serials.page().await?;
        if first.len() < Serials::PAGE {
            return Self::keys(first);
        }
        Ok(Self::KeyList(first, Box::new(serials)))
    }

    /// 200 with `data: null` where others answer 204.
    #[must_use]
    pub fn or_null(self) -> Self {
        match self {
            Self::Status(StatusCode::NO_CONTENT) => Self::Envelope(Envelope::default()),
            other => other,
        }
    }

    /// Reports to the log and the audit devices what was done with a certificate.
    #[must_use]
    pub fn with_event(mut self, event: CertificateEvent) -> Self {
        if let Self::Envelope(envelope) = &mut self {
            envelope.event = Some(Box::new(event));
        }
        self
    }

    /// What was done with a certificate.
    pub fn event(&self) -> Option<&CertificateEvent> {
        match self {
            Self::Envelope(envelope) => envelope.event.as_deref(),
            Self::KeyList(..) | Self::Plain(..) | Self::File(_) | Self::Status(_) => None,
        }
    }

    /// Adds the framework's warnings behind the endpoint's own.
    #[must_use]
    pub fn warned(mut self, more: &[String]) -> Self {
        if let Self::Envelope(envelope) = &mut self {
            envelope.warnings.extend_from_slice(more);
        }
        self
    }
}

impl fmt::Debug for Response {
    /// Never its content: it may be a private key.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Envelope(_) => "Envelope(…)",
            Self::KeyList(..) => "KeyList(…)",
            Self::Plain(..) => "Plain(…)",
            Self::File(_) => "File(…)",
            Self::Status(_) => "Status(…)",
        })
    }
}
