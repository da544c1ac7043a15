//! The names that a run requests, the rules of its roles, and a check of what such a rule allows,
//! independent of the server's.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

/// The names of one request.
pub(crate) struct Names {
    pub(crate) common: &'static str,
    pub(crate) hosts: &'static [&'static str],
    pub(crate) uris: &'static [&'static str],
    pub(crate) addresses: &'static [&'static str],
}

const fn names(
    common: &'static str,
    hosts: &'static [&'static str],
    uris: &'static [&'static str],
    addresses: &'static [&'static str],
) -> Names {
    Names { common, hosts, uris, addresses }
}

/// Every request has one of these.
pub(crate) const NAMES: [Names; 14] = [
    names("", &[], &["spiffe://example.org/web"], &[]),
    names("", &[], &["spiffe://example.org/ns/shop/sa/cart"], &[]),
    names("", &[], &["spiffe://evil.test/web"], &[]),
    names("", &[], &["spiffe://example.org/web", "spiffe://example.org/db"], &[]),
    names("example.org", &[], &[], &[]),
    names("a.example.org", &["b.a.example.org"], &[], &[]),
    names("*.example.org", &[], &[], &[]),
    names("a.example.org", &["notexample.org"], &[], &[]),
    names("other.test", &["a.other.test"], &[], &["10.1.2.3"]),
    names("localhost", &[], &[], &["127.0.0.1"]),
    names("example.org.evil.test", &[], &[], &[]),
    names("a.example.org", &[], &["spiffe://example.org/web"], &[]),
    names("", &["*.a.example.org", "evil.test"], &[], &[]),
    names("", &[], &["spiffe://example.org.evil.test/web"], &[]),
];

/// The rules of a role, one bit each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rules(pub(crate) u16);

const BARE: u16 = 1;
const SUBDOMAINS: u16 = 1 << 1;
const WILDCARDS: u16 = 1 << 2;
const LOCALHOST: u16 = 1 << 3;
const ANY_NAME: u16 = 1 << 4;
const ADDRESSES: u16 = 1 << 5;
const ALL_URIS: u16 = 1 << 6;
const ONE_URI: u16 = 1 << 7;
const EXAMPLE: u16 = 1 << 8;
const OTHER: u16 = 1 << 9;
const UNSTORED: u16 = 1 << 10;
const FROM_CSR: u16 = 1 << 11;
/// Two bits: an index into `MAX_TTLS`.
const MAX_TTL: u16 = 3 << 12;

const MAX_TTLS: [i64; 4] = [0, 600, 24 * 3600, 30 * 24 * 3600];

impl Rules {
    /// Allows most names, and stores.
    pub(crate) const GENEROUS: Self =
        Self(BARE | SUBDOMAINS | WILDCARDS | ADDRESSES | ALL_URIS | EXAMPLE | OTHER);

    /// Any rules; rarely `ANY_NAME`, which makes most others irrelevant, and `UNSTORED`.
    pub(crate) const fn any(bits: u64) -> Self {
        let rules = (bits & 0x3fff) as u16;
        let any_name = if bits & 0x3_0000 == 0 { 0 } else { ANY_NAME };
        let unstored = if bits & 0xc_0000 == 0 { 0 } else { UNSTORED };
        Self(rules & !any_name & !unstored)
    }

    const fn has(self, bit: u16) -> bool {
        self.0 & bit != 0
    }

    pub(crate) const fn stores(self) -> bool {
        !self.has(UNSTORED)
    }

    pub(crate) const fn takes_names_from_csr(self) -> bool {
        self.has(FROM_CSR)
    }

    /// The maximum TTL in seconds; 0 means the mount's.
    pub(crate) const fn max_ttl(self) -> i64 {
        MAX_TTLS[((self.0 & MAX_TTL) >> 12) as usize]
    }

    /// These rules with the fields of `other` in the given groups.
    pub(crate) fn patched(self, other: Self, fields: u8) -> Self {
        let groups = GROUPS.into_iter().enumerate();
        let taken = groups.filter(|(group, _)| (fields >> group) & 1 == 1);
        let mask = taken.fold(0, |mask, (_, bits)| mask | bits);
        Self((self.0 & !mask) | (other.0 & mask))
    }

    /// The parameters of a role with these rules; only the given groups of fields, for a patch.
    pub(crate) fn parameters(self, fields: u8) -> Value {
        let mut body = Map::new();
        let mut put = |group: usize, name: &str, value: Value| {
            if (fields >> group) & 1 == 1 {
                body.insert(name.to_owned(), value);
            }
        };
        put(0, "allow_bare_domains", self.has(BARE).into());
        put(0, "allow_subdomains", self.has(SUBDOMAINS).into());
        put(0, "allow_wildcard_certificates", self.has(WILDCARDS).into());
        put(0, "allow_localhost", self.has(LOCALHOST).into());
        put(0, "allow_any_name", self.has(ANY_NAME).into());
        put(1, "allow_ip_sans", self.has(ADDRESSES).into());
        put(1, "allowed_uri_sans", json!(self.uris()));
        put(2, "allowed_domains", json!(self.domains()));
        put(3, "no_store", self.has(UNSTORED).into());
        put(3, "use_csr_common_name", self.has(FROM_CSR).into());
        put(3, "use_csr_sans", self.has(FROM_CSR).into());
        put(3, "max_ttl", self.max_ttl().into());
        Value::Object(body)
    }

    fn domains(self) -> Vec<&'static str> {
        let all = [(EXAMPLE, "example.org"), (OTHER, "other.test")];
        all.into_iter().filter(|(bit, _)| self.has(*bit)).map(|(_, domain)| domain).collect()
    }

    fn uris(self) -> Vec<&'static str> {
        let all = [(ALL_URIS, "spiffe://example.org/*"), (ONE_URI, "spiffe://example.org/web")];
        all.into_iter().filter(|(bit, _)| self.has(*bit)).map(|(_, uri)| uri).collect()
    }

    /// Whether these rules allow every name.
    pub(crate) fn allow(self, signed: &SignedNames) -> bool {
        let common = signed.common.is_empty() || self.allow_host(&signed.common);
        let hosts = signed.hosts.iter().all(|host| self.allow_host(host));
        let addresses = signed.addresses.is_empty() || self.has(ADDRESSES);
        let uri = |uri: &String| {
            (self.has(ALL_URIS) && uri.starts_with("spiffe://example.org/"))
                || (self.has(ONE_URI) && uri == "spiffe://example.org/web")
        };
        common && hosts && addresses && signed.uris.iter().all(uri)
    }

    fn allow_host(self, name: &str) -> bool {
        let wild = name.strip_prefix("*.");
        if wild.is_some() && !self.has(WILDCARDS) {
            return false;
        }
        if self.has(ANY_NAME) || (self.has(LOCALHOST) && name == "localhost") {
            return true;
        }
        self.domains().into_iter().any(|domain| {
            let below = name.ends_with(&format!(".{domain}"));
            (self.has(BARE) && name == domain) || (self.has(SUBDOMAINS) && below)
        })
    }
}

/// The bits of each group of fields of a patch.
const GROUPS: [u16; 4] = [
    BARE | SUBDOMAINS | WILDCARDS | LOCALHOST | ANY_NAME,
    ADDRESSES | ALL_URIS | ONE_URI,
    EXAMPLE | OTHER,
    UNSTORED | FROM_CSR | MAX_TTL,
];

/// The names in a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SignedNames {
    pub(crate) common: String,
    pub(crate) hosts: BTreeSet<String>,
    pub(crate) uris: BTreeSet<String>,
    pub(crate) addresses: BTreeSet<String>,
}

impl Names {
    /// The names of a certificate for these names: a common name is also a host.
    pub(crate) fn signed(&self) -> SignedNames {
        let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
        let mut hosts: BTreeSet<String> = texts(self.hosts);
        if !self.common.is_empty() {
            hosts.insert(self.common.to_owned());
        }
        SignedNames {
            common: self.common.to_owned(),
            hosts,
            uris: texts(self.uris),
            addresses: texts(self.addresses),
        }
    }
}
