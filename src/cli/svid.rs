//! What an issued X.509-SVID must be before it is written: of its key, of the identity asked for.
//!
//! SPIFFE X.509-SVID, sections 2 and 4.1: exactly one URI SAN, and the roots are handed out
//! apart from the chain.

use std::fmt::Display;

use der::Decode;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use serde_json::{Map, Value};
use x509_cert::name::Name;
use zeroize::Zeroizing;

use super::file_set::NamedFile;
use crate::ca::certificate::CertificateFields;

/// Splits an answer of `issue` in PEM into `svid.pem`, `key.pem` and `bundle.pem`.
///
/// # Errors
/// What is missing, or what does not belong together.
pub(super) fn pem_set(data: &Map<String, Value>, identity: &str) -> Result<Vec<NamedFile>, String> {
    let text = |name: &str| {
        data.get(name).and_then(Value::as_str).ok_or_else(|| format!("the answer has no {name}"))
    };
    let leaf = one_certificate(text("certificate")?)?;
    let key = text("private_key")?;
    let mut above = Vec::new();
    for text in data.get("ca_chain").and_then(Value::as_array).into_iter().flatten() {
        above.extend(certificates(text.as_str().unwrap_or_default())?);
    }
    if above.is_empty() {
        above.extend(certificates(text("issuing_ca")?)?);
    }
    belongs_together(&leaf, key)?;
    names(&leaf, identity)?;
    let mut roots = Vec::new();
    let mut svid = vec![leaf];
    for certificate in above {
        if signs_itself(&certificate)? { roots.push(certificate) } else { svid.push(certificate) }
    }
    if roots.is_empty() {
        return Err("the answer's chain ends without a root: import the root into the mount, or ask with -format=pkcs12".to_owned());
    }
    let mut key = Zeroizing::new(key.as_bytes().to_vec());
    if !key.ends_with(b"\n") {
        key.push(b'\n');
    }
    Ok(vec![
        ("svid.pem", Zeroizing::new(pem(&svid))),
        ("key.pem", key),
        ("bundle.pem", Zeroizing::new(pem(&roots))),
    ])
}

/// The certificates of `svid.pem`, leaf first, where `key.pem` is the key of the leaf.
///
/// # Errors
/// What does not belong together.
pub(super) fn stored_chain(svid: &[u8], key: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    let chain = CertificateDer::pem_slice_iter(svid).collect::<Result<Vec<_>, _>>();
    let chain = chain.map_err(unreadable)?;
    let leaf = chain.first().ok_or_else(|| "there is not a certificate in it".to_owned())?;
    belongs_together(leaf, str::from_utf8(key).map_err(unreadable)?)?;
    Ok(chain.into_iter().map(|certificate| certificate.to_vec()).collect())
}

/// The subject of a certificate in PEM, as RFC 4514 writes it; empty if it cannot be read.
pub(super) fn subject(pem: &str) -> String {
    let certificate = certificates(pem).ok().and_then(|found| found.into_iter().next());
    let certificate = certificate.as_deref().map(CertificateFields::read);
    certificate.and_then(Result::ok).map(|fields| name(fields.subject())).unwrap_or_default()
}

/// A name in DER, as RFC 4514 writes it.
pub(super) fn name(der: &[u8]) -> String {
    Name::from_der(der).map(|name| name.to_string()).unwrap_or_default()
}

fn one_certificate(text: &str) -> Result<CertificateDer<'static>, String> {
    let mut found = certificates(text)?.into_iter();
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(one),
        _ => Err("the answer does not hold one certificate".to_owned()),
    }
}

fn certificates(text: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    CertificateDer::pem_slice_iter(text.as_bytes()).collect::<Result<_, _>>().map_err(unreadable)
}

fn belongs_together(leaf: &CertificateDer<'static>, key: &str) -> Result<(), String> {
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes())
        .map_err(|_| "the private key of the answer cannot be read".to_owned())?;
    let key = any_supported_type(&key)
        .map_err(|_| "the private key of the answer is of no kind known here".to_owned())?;
    CertifiedKey::new(vec![leaf.clone()], key)
        .keys_match()
        .map_err(|_| "the private key of the answer is not that of its certificate".to_owned())
}

fn names(leaf: &CertificateDer<'_>, identity: &str) -> Result<(), String> {
    let names = fields(leaf)?.names().map_err(unreadable)?;
    if names.is_empty() {
        return Err("the certificate holds no alternative name".to_owned());
    }
    match names.uri.as_slice() {
        [one] if one == identity => Ok(()),
        _ => Err(format!("the certificate's only URI is not {identity}")),
    }
}

fn signs_itself(certificate: &CertificateDer<'_>) -> Result<bool, String> {
    let fields = fields(certificate)?;
    Ok(fields.issuer() == fields.subject())
}

fn fields<'a>(certificate: &'a CertificateDer<'_>) -> Result<CertificateFields<'a>, String> {
    CertificateFields::read(certificate).map_err(unreadable)
}

fn unreadable(error: impl Display) -> String {
    format!("a certificate of the answer cannot be read: {error}")
}

fn pem(certificates: &[CertificateDer<'_>]) -> Vec<u8> {
    certificates.iter().flat_map(|der| block("CERTIFICATE", der).into_bytes()).collect()
}

/// RFC 7468: lines of 64 characters between the labels.
fn block(label: &str, der: &[u8]) -> String {
    let encoded = data_encoding::BASE64.encode(der);
    let mut text = format!("-----BEGIN {label}-----\n");
    let mut rest = encoded.as_str();
    while let Some((line, after)) = rest.split_at_checked(64) {
        text.push_str(line);
        text.push('\n');
        rest = after;
    }
    if !rest.is_empty() {
        text.push_str(rest);
        text.push('\n');
    }
    text.push_str(&format!("-----END {label}-----\n"));
    text
}

#[cfg(test)]
mod tests {
    use rcgen::{
        BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SanType,
    };
    use serde_json::json;

    use super::*;

    const IDENTITY: &str = "spiffe://example.com/web";

    fn authority(name: &str) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
    }

    /// An answer as the server gives it: leaf, intermediate, root, and the leaf's key.
    fn answer() -> Map<String, Value> {
        let key = || KeyPair::generate().unwrap();
        let root = CertifiedIssuer::self_signed(authority("root"), key()).unwrap();
        let middle = CertifiedIssuer::signed_by(authority("middle"), key(), &root).unwrap();
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![SanType::URI(IDENTITY.try_into().unwrap())];
        let leaf_key = key();
        let leaf = params.signed_by(&leaf_key, &middle).unwrap();
        let data = json!({
            "certificate": block("CERTIFICATE", leaf.der()),
            "private_key": block("PRIVATE KEY", &leaf_key.serialize_der()).trim_end(),
            "issuing_ca": block("CERTIFICATE", middle.der()),
            "ca_chain": [block("CERTIFICATE", middle.der()), block("CERTIFICATE", root.der())],
        });
        data.as_object().unwrap().clone()
    }

    fn count(entry: &NamedFile) -> usize {
        String::from_utf8_lossy(&entry.1).matches("-----BEGIN ").count()
    }

    #[test]
    fn the_leaf_goes_with_its_intermediates_and_the_root_apart() {
        let set = pem_set(&answer(), IDENTITY).unwrap();
        let counts: Vec<_> = set.iter().map(|entry| (entry.0, count(entry))).collect();
        assert_eq!(counts, [("svid.pem", 2), ("key.pem", 1), ("bundle.pem", 1)]);
        assert!(set.iter().all(|(_, content)| content.ends_with(b"-----\n")));
    }

    #[test]
    fn refuses_a_key_of_another_certificate() {
        let mut data = answer();
        let other = block("PRIVATE KEY", &KeyPair::generate().unwrap().serialize_der());
        data.insert("private_key".to_owned(), Value::String(other));
        let why = pem_set(&data, IDENTITY).unwrap_err();
        assert_eq!(why, "the private key of the answer is not that of its certificate");
    }

    #[test]
    fn refuses_a_certificate_of_another_identity() {
        let why = pem_set(&answer(), "spiffe://example.com/other").unwrap_err();
        assert_eq!(why, "the certificate's only URI is not spiffe://example.com/other");
    }

    #[test]
    fn refuses_an_answer_that_lacks_a_part() {
        for part in ["certificate", "private_key"] {
            let mut data = answer();
            data.shift_remove(part);
            assert_eq!(pem_set(&data, IDENTITY).unwrap_err(), format!("the answer has no {part}"));
        }
        let mut data = answer();
        let chain = data.get_mut("ca_chain").and_then(Value::as_array_mut).unwrap();
        chain.pop();
        assert!(pem_set(&data, IDENTITY).unwrap_err().contains("ends without a root"));
    }
}
