//! The workloads: which request comes next, and what its answer must be.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use http::Method;
use rcgen::{CertificateParams, KeyPair, PublicKeyData, SanType};
use serde_json::json;
use signet::ca::pem;

/// One request.
pub struct LoadRequest {
    pub method: Method,
    pub path: String,
    pub body: Bytes,
    pub expect: Expect,
}

/// What a good answer holds.
#[derive(Clone, Debug)]
pub enum Expect {
    /// A certificate with this one name, and its private key.
    Issued(String),
    /// A certificate with this one name, over this key (SubjectPublicKeyInfo, DER).
    Signed(String, Arc<[u8]>),
    /// Any 2xx.
    Success,
}

/// A certificate signing request made before the run.
#[derive(Debug)]
pub struct Csr {
    body: Bytes,
    name: String,
    key: Arc<[u8]>,
}

/// A workload.
#[derive(Clone, Debug)]
pub enum Work {
    /// `issue` by this role, such as `pki/issue/stored`.
    Issue(&'static str),
    /// `sign` by this role, with requests that were made before.
    Sign(&'static str, Arc<Vec<Csr>>),
    /// 70 parts issue, 10 lookup-self, 5 CRL, 2 revoke.
    Mixed,
    /// The body of an issue, to a server that does nothing with it.
    Post(&'static str),
}

/// Serial numbers that a caller may revoke.
pub type Memory = VecDeque<String>;

/// The most serial numbers of a caller.
const REMEMBERED: usize = 32;

impl Work {
    pub fn ask(&self, sequence: u64, memory: &mut Memory) -> LoadRequest {
        match self {
            Self::Issue(path) => issue(path, sequence),
            Self::Sign(path, requests) => {
                let csr = &requests[sequence as usize % requests.len()];
                let expect = Expect::Signed(csr.name.clone(), Arc::clone(&csr.key));
                post(path, csr.body.clone(), expect)
            }
            Self::Mixed => mixed(sequence, memory),
            Self::Post(path) => post(path, names(sequence).1, Expect::Success),
        }
    }

    /// Remembers what was issued, where the workload revokes.
    pub fn remember(&self, serial: &[u8], memory: &mut Memory) {
        if matches!(self, Self::Mixed) {
            if memory.len() == REMEMBERED {
                memory.pop_front();
            }
            memory.push_back(String::from_utf8_lossy(serial).into_owned());
        }
    }
}

/// 87 requests, the rare ones spread among the others.
fn mixed(sequence: u64, memory: &mut Memory) -> LoadRequest {
    match sequence % 87 {
        7 | 50 => match memory.pop_back() {
            Some(serial) => revoke(&serial),
            None => issue("pki/issue/stored", sequence),
        },
        3 | 20 | 37 | 54 | 71 => get("pki/crl"),
        position if position % 8 == 1 && position < 80 => get("auth/token/lookup-self"),
        _ => issue("pki/issue/stored", sequence),
    }
}

pub fn revoke(serial: &str) -> LoadRequest {
    let body = json!({ "serial_number": serial }).to_string();
    post("pki/revoke", body.into(), Expect::Success)
}

pub fn get(path: &str) -> LoadRequest {
    let (method, path) = (Method::GET, path.to_owned());
    LoadRequest { method, path, body: Bytes::new(), expect: Expect::Success }
}

pub fn issue(path: &str, sequence: u64) -> LoadRequest {
    let (name, body) = names(sequence);
    post(path, body, Expect::Issued(name))
}

fn post(path: &str, body: Bytes, expect: Expect) -> LoadRequest {
    LoadRequest { method: Method::POST, path: path.to_owned(), body, expect }
}

fn names(sequence: u64) -> (String, Bytes) {
    let name = format!("spiffe://example.org/ns/bench/sa/w{sequence}");
    let body = json!({ "uri_sans": name }).to_string();
    (name, body.into())
}

/// Requests for EC P-256 keys, to be signed again and again.
pub fn requests(count: usize) -> Arc<Vec<Csr>> {
    let make = |number| {
        let name = format!("spiffe://example.org/ns/bench/sa/c{number}");
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.subject_alt_names = vec![SanType::URI(name.as_str().try_into().expect("a URI"))];
        let csr = params.serialize_request(&key).expect("a request");
        let pem = pem::encode(pem::CERTIFICATE_REQUEST, csr.der());
        let body = json!({ "csr": pem }).to_string().into();
        Csr { body, name, key: key.subject_public_key_info().into() }
    };
    Arc::new((0..count).map(make).collect())
}
