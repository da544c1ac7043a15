//! `data` of `issue` and `sign`, written as JSON at once (pki-api 17.1).
//!
//! It is on the way of every certificate, so neither a tree nor a serializer stands in between.

use std::fmt::Write;

use data_encoding::BASE64;

use crate::ca::pem;
use crate::ca::serial::Serial;
use crate::ca::time::Timestamp;
use crate::http::reply::Written;

/// The members in the order of their names. No `Debug`: one may be a private key.
pub(super) struct Issued<'a> {
    /// The issuer's chain, the issuer first.
    pub(super) ca_chain: Vec<Text<'a>>,
    /// The certificate, a bundle, or a key store.
    pub(super) certificate: Text<'a>,
    /// notAfter
    pub(super) expiration: Timestamp,
    /// The issuer's certificate.
    pub(super) issuing_ca: Option<Text<'a>>,
    /// notBefore
    pub(super) not_before: Timestamp,
    /// The private key, where the server made it, and its type: `rsa`, `ec`, `ed25519`.
    pub(super) private_key: Option<(Text<'a>, &'static str)>,
    /// Its serial number.
    pub(super) serial_number: Serial,
    /// A trust store of the same moment, beside a key store.
    pub(super) truststore: Option<&'a [u8]>,
}

/// A text in the answer, and what it is made of.
#[derive(Clone, Copy)]
pub(super) enum Text<'a> {
    /// A PEM block: label and DER.
    Pem(&'static str, &'a [u8]),
    /// Base64 of these octets.
    Base64(&'a [u8]),
    /// A JSON string already: it is the same in every answer.
    Json(&'a str),
}

/// What most answers fit into, envelope and all: a certificate with its key and a chain of two.
/// Reserved once, so that no key is moved.
const USUAL: usize = 4096;

impl Issued<'_> {
    /// The envelope around it, begun. It may hold a private key.
    pub(super) fn written(&self) -> Written {
        Written::begun(USUAL, |json| self.write(json))
    }

    /// A JSON object.
    fn write(&self, json: &mut String) {
        json.push('{');
        if let Some((first, rest)) = self.ca_chain.split_first() {
            json.push_str("\"ca_chain\":[");
            first.push(json);
            for text in rest {
                json.push(',');
                text.push(json);
            }
            json.push_str("],");
        }
        json.push_str("\"certificate\":");
        self.certificate.push(json);
        // Writing to a string does not fail.
        let _ = write!(json, ",\"expiration\":{}", self.expiration.unix());
        if let Some(issuing_ca) = self.issuing_ca {
            json.push_str(",\"issuing_ca\":");
            issuing_ca.push(json);
        }
        let _ = write!(json, ",\"not_before\":{}", self.not_before.unix());
        if let Some((key, kind)) = self.private_key {
            json.push_str(",\"private_key\":");
            key.push(json);
            json.push_str(",\"private_key_type\":\"");
            json.push_str(kind);
            json.push('"');
        }
        let _ = write!(json, ",\"serial_number\":\"{}\"", self.serial_number);
        if let Some(truststore) = self.truststore {
            json.push_str(",\"truststore\":");
            Text::Base64(truststore).push(json);
        }
        json.push('}');
    }
}

impl Text<'_> {
    fn push(self, json: &mut String) {
        match self {
            Self::Pem(label, der) => pem::push_json(json, label, der),
            Self::Base64(octets) => {
                json.push('"');
                BASE64.encode_append(octets, json);
                json.push('"');
            }
            Self::Json(text) => json.push_str(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(issued: &Issued<'_>) -> Value {
        let mut json = String::new();
        issued.write(&mut json);
        serde_json::from_str(&json).unwrap()
    }

    fn issued() -> Issued<'static> {
        Issued {
            ca_chain: vec![],
            certificate: Text::Base64(b"der"),
            expiration: Timestamp::from_unix(3600),
            issuing_ca: None,
            not_before: Timestamp::from_unix(-30),
            private_key: None,
            serial_number: Serial::new(Timestamp::from_unix(0), [0xab; 16]),
            truststore: None,
        }
    }

    #[test]
    fn what_an_answer_does_not_have_it_does_not_name() {
        let serial = format!("01:00:00:00{}", ":ab".repeat(16));
        let least = json!({
            "certificate": "ZGVy",
            "expiration": 3600,
            "not_before": -30,
            "serial_number": serial,
        });
        assert_eq!(read(&issued()), least);
    }

    #[test]
    fn members_stand_in_the_order_of_their_names_and_texts_are_what_they_say() {
        let all = Issued {
            ca_chain: vec![Text::Json("\"issuer\""), Text::Pem("X", b"root")],
            issuing_ca: Some(Text::Json("\"issuer\"")),
            private_key: Some((Text::Pem("PRIVATE KEY", b"key"), "ec")),
            truststore: Some(b"store"),
            ..issued()
        };
        let read = read(&all);
        let names: Vec<_> = read.as_object().unwrap().keys().collect();
        assert!(names.is_sorted() && names.len() == 9, "{names:?}");
        assert_eq!(read["ca_chain"], json!(["issuer", pem::encode("X", b"root")]));
        assert_eq!(read["issuing_ca"], "issuer");
        assert_eq!(read["private_key"], pem::encode("PRIVATE KEY", b"key"));
        assert_eq!(read["private_key_type"], "ec");
        assert_eq!(read["truststore"], BASE64.encode(b"store"));
    }
}
