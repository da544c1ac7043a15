//! The oracle: records what the server acknowledged, and checks afterwards that it still holds.
//!
//! I1: a certificate that was returned is in the store, byte for byte. I2: an acknowledged
//! revocation is on the CRL. I3: no serial number is used twice. I4: CRL numbers only grow and
//! thisUpdate never goes back. The tests name the invariants by these numbers.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use data_encoding::HEXLOWER;
use der::Decode;
use der::asn1::UintRef;
use serde_json::{Value, json};
use x509_cert::crl::CertificateList;

use crate::process::{Answer, Connection, Gone, ROLE};

/// cRLNumber (RFC 5280, 5.2.3).
const CRL_NUMBER: &str = "2.5.29.20";

/// No request may take longer.
const DEADLINE: Duration = Duration::from_secs(30);

/// What the server has answered so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger {
    token: Option<String>,
    /// The number of preparation steps that were answered.
    prepared: usize,
    /// Certificates by serial number.
    certificates: BTreeMap<String, String>,
    revoked: BTreeSet<String>,
    /// Revocations that were requested and not answered.
    requested: BTreeSet<String>,
    crl: Option<CrlFacts>,
}

#[derive(Clone, Copy, Debug)]
struct CrlFacts {
    number: u64,
    this_update: Duration,
}

/// How a request can fail without breaking an invariant: whether it was executed is unknown.
#[derive(Debug)]
pub(crate) enum Trouble {
    Gone,
    /// An answer of 5xx.
    #[expect(dead_code, reason = "printed when a test fails")]
    Refused(String),
}

impl From<Gone> for Trouble {
    fn from(_: Gone) -> Self {
        Self::Gone
    }
}

/// Sends one request. A 4xx answer is returned as it is: a fault must not cause one.
pub(crate) async fn ask(
    connection: &mut Connection,
    method: &str,
    path: &str,
    body: &Value,
) -> Result<Answer, Trouble> {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let answer = tokio::time::timeout(DEADLINE, connection.send(method, path, body))
        .await
        .unwrap_or_else(|_| panic!("{method} {path} took longer than {DEADLINE:?}"))?;
    if answer.status.is_server_error() {
        return Err(Trouble::Refused(String::from_utf8_lossy(&answer.body).into_owned()));
    }
    Ok(answer)
}

fn steps() -> [(&'static str, Value); 3] {
    [
        ("sys/mounts/pki", json!({ "type": "pki", "config": { "max_lease_ttl": "8760h" } })),
        (
            "pki/root/generate/internal",
            json!({ "common_name": "Example Root", "key_type": "ec", "key_bits": 256, "ttl": "8000h" }),
        ),
        (
            "pki/roles/workload",
            json!({ "allowed_uri_sans": "spiffe://example.org/*", "require_cn": false,
                "key_type": "ec", "key_bits": 256, "ttl": "1h", "max_ttl": "24h" }),
        ),
    ]
}

impl Ledger {
    pub(crate) fn token(&self) -> &str {
        self.token.as_deref().unwrap_or_default()
    }

    /// A connection with the root token.
    pub(crate) async fn connect(&self, address: &str) -> Result<Connection, Trouble> {
        Ok(Connection::open(address, self.token()).await?)
    }

    /// Prepares what is not prepared yet, issues `leaves` certificates, revokes the first of them and
    /// reads the CRL.
    pub(crate) async fn scenario(&mut self, address: &str, leaves: usize) -> Result<(), Trouble> {
        self.prepare(address).await?;
        let mut connection = self.connect(address).await?;
        let mut first = None;
        for _ in 0..leaves {
            let serial = self.issue(&mut connection).await?;
            first.get_or_insert(serial);
        }
        if let Some(serial) = first {
            self.revoke(&mut connection, &serial).await?;
        }
        self.read_crl(&mut connection).await?;
        Ok(())
    }

    /// Initialises the store and records the token.
    pub(crate) async fn initialise(&mut self, address: &str) -> Result<(), Trouble> {
        let mut connection = Connection::open(address, "").await?;
        let answer = ask(&mut connection, "POST", "sys/init", &json!({})).await?;
        let token = answer.json()["root_token"].as_str().map(str::to_owned);
        self.token = Some(token.unwrap_or_else(|| panic!("sys/init: {:?}", answer.body)));
        Ok(())
    }

    /// Whether the server reports its store as initialised.
    pub(crate) async fn is_initialised(address: &str) -> Result<bool, Trouble> {
        let mut connection = Connection::open(address, "").await?;
        let answer = ask(&mut connection, "GET", "sys/init", &Value::Null).await?;
        Ok(answer.json()["initialized"] == json!(true))
    }

    async fn prepare(&mut self, address: &str) -> Result<(), Trouble> {
        if self.token.is_none() {
            self.initialise(address).await?;
        }
        let mut connection = self.connect(address).await?;
        for (path, body) in steps().iter().skip(self.prepared) {
            let answer = ask(&mut connection, "POST", path, body).await?;
            // An earlier request that was not answered may have been executed.
            let exists = answer.body.windows(11).any(|text| text == b"path is alr");
            assert!(answer.status.is_success() || exists, "{path}: {:?}", answer.body);
            self.prepared += 1;
        }
        Ok(())
    }

    pub(crate) async fn issue(&mut self, connection: &mut Connection) -> Result<String, Trouble> {
        let body = json!({ "uri_sans": "spiffe://example.org/payments/api" });
        let answer = ask(connection, "POST", &format!("pki/{ROLE}"), &body).await?;
        assert!(answer.status.is_success(), "{:?}", answer.body);
        let serial = answer.text("serial_number");
        let before = self.certificates.insert(serial.clone(), answer.text("certificate"));
        assert!(before.is_none(), "I3: the serial number {serial} was used twice");
        Ok(serial)
    }

    pub(crate) async fn revoke(
        &mut self,
        connection: &mut Connection,
        serial: &str,
    ) -> Result<(), Trouble> {
        self.requested.insert(serial.to_owned());
        let body = json!({ "serial_number": serial });
        let answer = ask(connection, "POST", "pki/revoke", &body).await?;
        assert!(answer.status.is_success(), "{:?}", answer.body);
        self.requested.remove(serial);
        self.revoked.insert(serial.to_owned());
        Ok(())
    }

    /// The serial numbers on the CRL; checks its number and time against the previous one (I4) and
    /// its entries (I2).
    pub(crate) async fn read_crl(
        &mut self,
        connection: &mut Connection,
    ) -> Result<BTreeSet<String>, Trouble> {
        let answer = ask(connection, "GET", "pki/crl", &Value::Null).await?;
        assert!(answer.status.is_success(), "{:?}", answer.body);
        let list: CertificateList = CertificateList::from_der(&answer.body).expect("a CRL");
        let list = list.tbs_cert_list;
        let extensions = list.crl_extensions.unwrap_or_default();
        let number = extensions
            .iter()
            .find(|extension| extension.extn_id.to_string() == CRL_NUMBER)
            .map(|extension| UintRef::from_der(extension.extn_value.as_bytes()).expect("a number"))
            .expect("a CRL number");
        let number =
            number.as_bytes().iter().fold(0, |number, byte| (number << 8) | u64::from(*byte));
        let facts = CrlFacts { number, this_update: list.this_update.to_unix_duration() };
        if let Some(before) = self.crl {
            assert!(before.number <= facts.number, "I4: the CRL's number went back");
            assert!(before.this_update <= facts.this_update, "I4: thisUpdate went back");
        }
        self.crl = Some(facts);
        let entries = list.revoked_certificates.unwrap_or_default();
        let listed: BTreeSet<String> =
            entries.iter().map(|entry| colons(entry.serial_number.as_bytes())).collect();
        let lost = self.revoked.iter().find(|serial| !listed.contains(*serial));
        assert_eq!(lost, None, "I2: an acknowledged revocation is not on the CRL");
        let unexpected = listed
            .iter()
            .find(|serial| !self.revoked.contains(*serial) && !self.requested.contains(*serial));
        assert_eq!(unexpected, None, "the CRL has a revocation that was not requested");
        Ok(listed)
    }

    /// Checks that everything that was acknowledged still holds.
    pub(crate) async fn verify(&mut self, address: &str) -> Result<(), Trouble> {
        let mut connection = self.connect(address).await?;
        let initialised = Self::is_initialised(address).await?;
        assert!(initialised || self.token.is_none(), "the store was initialised, and is not");
        // A CRL exists once there is a root; without the answered token nothing can be read.
        if self.prepared < 2 {
            return Ok(());
        }
        self.read_crl(&mut connection).await?;
        for (serial, issued) in &self.certificates {
            let path = format!("pki/cert/{serial}");
            let answer = ask(&mut connection, "GET", &path, &Value::Null).await?;
            assert!(answer.status.is_success(), "I1: {serial} is lost: {:?}", answer.body);
            assert_eq!(answer.text("certificate").trim_end(), issued.trim_end(), "I1: {serial}");
            let revoked = answer.json()["data"]["revocation_time"].as_i64().unwrap_or_default() > 0;
            assert!(revoked || !self.revoked.contains(serial), "I2: {serial} is not revoked");
        }
        let answer = ask(&mut connection, "LIST", "pki/certs", &Value::Null).await?;
        let kept: BTreeSet<String> = answer.json()["data"]["keys"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|serial| serial.as_str().expect("a text").to_owned())
            .collect();
        let missing = self.certificates.keys().find(|serial| !kept.contains(*serial));
        assert_eq!(missing, None, "I1: an acknowledged certificate is not listed");
        Ok(())
    }

    /// Continues after a restart: repeats what was not answered, issues a new certificate and reads a
    /// new CRL. `false` if the store was initialised but its token was never answered.
    pub(crate) async fn resume(&mut self, address: &str) -> Result<bool, Trouble> {
        if self.token.is_none() && Self::is_initialised(address).await? {
            return Ok(false);
        }
        let before = self.crl;
        self.scenario(address, 1).await?;
        let mut connection = self.connect(address).await?;
        for serial in self.requested.clone() {
            self.revoke(&mut connection, &serial).await?;
        }
        self.read_crl(&mut connection).await?;
        if let (Some(before), Some(after)) = (before, self.crl) {
            assert!(before.number < after.number, "I4: a new revocation makes a new CRL");
        }
        Ok(true)
    }
}

/// A serial number in the API's format.
fn colons(bytes: &[u8]) -> String {
    let pairs: Vec<String> = bytes.iter().map(|byte| HEXLOWER.encode(&[*byte])).collect();
    pairs.join(":")
}
