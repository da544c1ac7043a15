//! Checks the answers with other code than ours: rustls and its verifier.

use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, TrustAnchor, UnixTime};
use serde_json::{Value, json};
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, KeyUsage, anchor_from_trusted_cert};

use super::tally::Tally;
use super::work::Expect;

/// The result of the check.
#[derive(Debug, Default)]
pub struct Verdict {
    pub checked: usize,
    /// The first few faults.
    pub faults: Vec<String>,
    pub error_rate: f64,
}

/// A row with a greater share of errors is void.
const TOLERATED: f64 = 1e-4;

impl Verdict {
    /// Checks the samples of a tally. `roots` are PEM.
    pub fn of(tally: &Tally, roots: &[String]) -> Self {
        let roots: Vec<_> = roots
            .iter()
            .map(|pem| CertificateDer::from_pem_slice(pem.as_bytes()).expect("a root in PEM"))
            .collect();
        let anchors: Vec<_> = roots
            .iter()
            .map(|root| anchor_from_trusted_cert(root).expect("a root that can be trusted"))
            .collect();
        let mut faults: Vec<String> = tally
            .samples
            .iter()
            .filter_map(|(expect, body)| look(expect, body, &anchors).err())
            .take(5)
            .collect();
        if tally.repeated_serials > 0 {
            faults.push(format!("{} serial numbers came twice", tally.repeated_serials));
        }
        let bad: u64 = tally.bad.values().sum();
        let error_rate = bad as f64 / tally.answers.max(1) as f64;
        Self { checked: tally.samples.len(), faults, error_rate }
    }

    pub fn is_void(&self) -> bool {
        !self.faults.is_empty() || self.error_rate > TOLERATED
    }

    pub fn json(&self, tally: &Tally) -> Value {
        json!({
            "checked": self.checked,
            "faults": self.faults,
            "errors": tally.bad,
            "error_rate": self.error_rate,
            "void": self.is_void(),
        })
    }
}

fn look(expect: &Expect, body: &[u8], anchors: &[TrustAnchor<'_>]) -> Result<(), String> {
    let answer: Value = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let data = &answer["data"];
    let pem = data["certificate"].as_str().ok_or("no certificate")?;
    let der = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|error| error.to_string())?;
    let leaf = EndEntityCert::try_from(&der).map_err(|error| error.to_string())?;
    leaf.verify_for_usage(
        ALL_VERIFICATION_ALGS,
        anchors,
        &[],
        UnixTime::now(),
        KeyUsage::client_auth(),
        None,
        None,
    )
    .map_err(|error| format!("the chain does not verify: {error}"))?;
    let name = match expect {
        Expect::Success => return Ok(()),
        Expect::Signed(name, key) => {
            // The certificate contains the SubjectPublicKeyInfo of the request.
            holds(&der, key).then_some(()).ok_or("not the key of the request")?;
            name
        }
        Expect::Issued(name) => {
            let pem = data["private_key"].as_str().ok_or("no private key")?;
            let key = PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|e| e.to_string())?;
            let key = any_supported_type(&key).map_err(|error| error.to_string())?;
            let public = key.public_key().ok_or("no public key")?;
            let own = leaf.subject_public_key_info();
            (public == own).then_some(()).ok_or("the private key is another one's")?;
            name
        }
    };
    holds(&der, &only_name(name)).then_some(()).ok_or_else(|| format!("its name is not {name}"))
}

/// The value of a subjectAltName with this one URI (RFC 5280, 4.2.1.6), in its OCTET STRING.
fn only_name(uri: &str) -> Vec<u8> {
    let length = u8::try_from(uri.len()).expect("a short name");
    let mut value = vec![0x04, length + 4, 0x30, length + 2, 0x86, length];
    value.extend_from_slice(uri.as_bytes());
    value
}

fn holds(whole: &[u8], part: &[u8]) -> bool {
    whole.windows(part.len()).any(|window| window == part)
}
