//! Every key of the database on one page.
//!
//! A key is a string of bytes; their order is the order of a scan. The first byte is the
//! key space. The keys of a mount start with the mount's identifier, so that one range
//! delete removes a whole mount. The part of variable length always comes last, so no key
//! needs an escape and no two shapes overlap (a test checks this).
//!
//! | bytes | key | order | written by |
//! |---|---|---|---|
//! | `00 01` | the engine's own header: its format | – | the engine |
//! | `01 01` | `meta/seal`: how the root key is wrapped | – | `store::sealed` |
//! | `01 02` | `meta/keyring`: data keys and salt, under the root key | – | `store::sealed` |
//! | `01 03` | `meta/cluster`: identifier and name | – | `engine/sys` |
//! | `01 04` | `meta/usage`: how many values the newest data key may have sealed | – | `store::sealed` |
//! | `02` mount(16) | `mounts/`: path, type, settings of one mount | mount | `engine/mount` |
//! | `03` hash(32) | `token/`: HMAC of the token under the sealed salt | hash | `auth` |
//! | `04` hash(32) | `accessor/`: HMAC of the accessor, leads to its token | hash | `auth` |
//! | `10` mount(16) `01` name | `config/`: issuers, urls, cluster, departed, auto-tidy, tidy | name | `engine/pki` |
//! | `10` mount(16) `02` name | `role/` | name | `engine/pki/roles` |
//! | `10` mount(16) `03` issuer(16) | `issuer/` | issuer | `engine/pki/issuers` |
//! | `10` mount(16) `04` key(16) | `key/`: a private key of a CA | key | `keys` |
//! | `10` mount(16) `05` serial | `intent/`: a CA certificate about to be signed | serial | `engine/pki` |
//! | `10` mount(16) `06` issuer(16) | `crl/`: number and bytes of the newest | issuer | `engine/pki/crl` |
//! | `10` mount(16) `07` issuer(16) serial | `revoked/` | issuer, serial | `engine/pki/revoke` |
//! | `10` mount(16) `08` serial(20) | `certificate/`: signed here; the serial begins with the expiry | expiry | `engine/pki` |
//! | `10` mount(16) `09` serial | `foreign/`: certificates signed elsewhere | serial | `engine/pki/import` |

use std::fmt;

use super::id::{IssuerId, KeyId, MountId};

/// Bytes that name one record. Made only by the functions of this file.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Vec<u8>);

/// The common beginning of a family of keys. Made only by the functions of this file.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix(Vec<u8>);

/// The keys from `from` up to, but without, `to`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct KeyRange {
    from: Vec<u8>,
    to: Vec<u8>,
}

/// The engine's own header; no range or prefix of this file contains it.
pub(super) fn header() -> Key {
    Key(vec![ENGINE, 0x01])
}

/// The wrapped root key.
pub fn seal() -> Key {
    Key(vec![META, 0x01])
}

/// Data keys and salt, encrypted under the root key.
pub fn keyring() -> Key {
    Key(vec![META, 0x02])
}

/// Identifier and name of the cluster.
pub fn cluster() -> Key {
    Key(vec![META, 0x03])
}

/// The usage of the newest data key.
pub fn usage() -> Key {
    Key(vec![META, 0x04])
}

/// Everything but the engine's header, the seal and the keyring.
pub(super) fn contents() -> KeyRange {
    KeyRange { from: cluster().0, to: vec![0xff] }
}

/// All mounts.
pub fn mounts() -> Prefix {
    Prefix(vec![MOUNT_TABLE])
}

/// The entry of one mount in the table of mounts.
pub fn mount(mount: &MountId) -> Key {
    mounts().with(mount.as_bytes())
}

/// All tokens.
pub fn tokens() -> Prefix {
    Prefix(vec![TOKEN])
}

/// A token, by its HMAC under the sealed salt (`Store::hmac`).
pub fn token(hash: &[u8; 32]) -> Key {
    tokens().with(hash)
}

/// All accessors.
pub fn accessors() -> Prefix {
    Prefix(vec![ACCESSOR])
}

/// An accessor, by its HMAC under the sealed salt.
pub fn accessor(hash: &[u8; 32]) -> Key {
    accessors().with(hash)
}

/// All records of one mount except its entry in the table of mounts.
pub fn everything_in(mount: &MountId) -> Prefix {
    let mut bytes = Vec::with_capacity(18);
    bytes.push(MOUNT);
    bytes.extend_from_slice(mount.as_bytes());
    Prefix(bytes)
}

/// All configurations of a mount.
pub fn configs(mount: &MountId) -> Prefix {
    everything_in(mount).then(0x01)
}

/// One configuration of a mount: `issuers`, `keys`, `urls`, `crl`.
pub fn config(mount: &MountId, name: &str) -> Key {
    configs(mount).with(name.as_bytes())
}

/// All roles of a mount, in the order of their names.
pub fn roles(mount: &MountId) -> Prefix {
    everything_in(mount).then(0x02)
}

/// A role.
pub fn role(mount: &MountId, name: &str) -> Key {
    roles(mount).with(name.as_bytes())
}

/// All issuers of a mount.
pub fn issuers(mount: &MountId) -> Prefix {
    everything_in(mount).then(0x03)
}

/// An issuer.
pub fn issuer(mount: &MountId, issuer: &IssuerId) -> Key {
    issuers(mount).with(issuer.as_bytes())
}

/// All private keys of a mount.
pub fn private_keys(mount: &MountId) -> Prefix {
    everything_in(mount).then(0x04)
}

/// A private key of a CA.
pub fn private_key(mount: &MountId, key: &KeyId) -> Key {
    private_keys(mount).with(key.as_bytes())
}

/// All intents of a mount: CA certificates about to be signed.
pub fn intents(mount: &MountId) -> Prefix {
    everything_in(mount).then(0x05)
}

/// The intent to sign the CA certificate with this serial.
pub fn intent(mount: &MountId, serial: &[u8]) -> Key {
    intents(mount).with(serial)
}

/// The newest CRL of each issuer of a mount.
pub fn crls(mount: &MountId) -> Prefix {
    everything_in(mount).then(0x06)
}

/// The newest CRL of an issuer.
pub fn crl(mount: &MountId, issuer: &IssuerId) -> Key {
    crls(mount).with(issuer.as_bytes())
}

/// All revocations of a mount.
pub fn revocations(mount: &MountId) -> Prefix {
    everything_in(mount).then(0x07)
}

/// The revocations of one issuer, in the order of the serials.
pub fn revoked_by(mount: &MountId, issuer: &IssuerId) -> Prefix {
    let mut prefix = revocations(mount);
    prefix.0.extend_from_slice(issuer.as_bytes());
    prefix
}

/// The revocation of one certificate.
pub fn revoked(mount: &MountId, issuer: &IssuerId, serial: &[u8]) -> Key {
    revoked_by(mount, issuer).with(serial)
}

/// All certificates that a mount signed, in the order of their expiry.
pub fn certificates(mount: &MountId) -> Prefix {
    everything_in(mount).then(0x08)
}

/// A certificate that a mount signed.
pub fn certificate(mount: &MountId, serial: &[u8; 20]) -> Key {
    certificates(mount).with(serial)
}

/// The certificates whose serial starts before `minute` (since the Unix epoch, clamped as
/// the serials are): tidy may delete them at once. In the end buckets notAfter decides.
pub fn certificates_before(mount: &MountId, minute: u32) -> KeyRange {
    let prefix = certificates(mount);
    let to = prefix.with(&minute.to_be_bytes());
    KeyRange { from: prefix.0, to: to.0 }
}

/// All certificates of a mount that were signed elsewhere.
pub fn foreign_certificates(mount: &MountId) -> Prefix {
    everything_in(mount).then(0x09)
}

/// A certificate signed elsewhere, whose serial has any length.
pub fn foreign_certificate(mount: &MountId, serial: &[u8]) -> Key {
    foreign_certificates(mount).with(serial)
}

impl Key {
    /// The bytes as they are stored.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Bytes that an engine read back.
    pub(super) fn from_stored(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

impl Prefix {
    /// Every key that starts with this prefix.
    pub fn range(&self) -> KeyRange {
        // The successor of a prefix: drop trailing ff, raise the last byte that is left. A
        // prefix starts with a space byte below ff, so there always is one.
        let mut to = self.0.clone();
        while let Some(last) = to.pop() {
            if let Some(raised) = last.checked_add(1) {
                to.push(raised);
                break;
            }
        }
        KeyRange { from: self.0.clone(), to }
    }

    /// The rest of `key` after this prefix: a name, an identifier, a serial. `None` if the key
    /// has another prefix.
    pub fn rest<'key>(&self, key: &'key Key) -> Option<&'key [u8]> {
        key.0.strip_prefix(self.0.as_slice())
    }

    /// Whether `key` starts with this prefix.
    pub fn covers(&self, key: &Key) -> bool {
        key.0.starts_with(&self.0)
    }

    /// The key with this rest, unchecked: for names that the caller has validated.
    pub fn with(&self, rest: &[u8]) -> Key {
        let mut bytes = Vec::with_capacity(self.0.len() + rest.len());
        bytes.extend_from_slice(&self.0);
        bytes.extend_from_slice(rest);
        Key(bytes)
    }

    fn then(mut self, byte: u8) -> Self {
        self.0.push(byte);
        self
    }
}

impl KeyRange {
    /// The keys from `first` to `last`, both inside.
    pub fn spanning(first: &Key, last: &Key) -> Self {
        let mut to = last.0.clone();
        to.push(0);
        Self { from: first.0.clone(), to }
    }

    /// The same range without `key` and the keys before it: the start of the next page.
    #[must_use]
    pub fn after(mut self, key: &Key) -> Self {
        let mut from = key.0.clone();
        from.push(0);
        self.from = self.from.max(from);
        self
    }

    /// Whether `key` lies inside.
    pub fn contains(&self, key: &Key) -> bool {
        self.from <= key.0 && key.0 < self.to
    }

    /// Whether a key can be in both.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.from < other.to && other.from < self.to && !self.is_empty() && !other.is_empty()
    }

    /// Whether no key can be inside.
    pub fn is_empty(&self) -> bool {
        self.from >= self.to
    }

    /// The first bytes inside.
    pub(super) fn from(&self) -> &[u8] {
        &self.from
    }

    /// The first bytes past the end.
    pub(super) fn to(&self) -> &[u8] {
        &self.to
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hexadecimal(formatter, &self.0)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hexadecimal(formatter, &self.0)
    }
}

impl fmt::Debug for Prefix {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hexadecimal(formatter, &self.0)?;
        formatter.write_str("…")
    }
}

impl fmt::Debug for KeyRange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hexadecimal(formatter, &self.from)?;
        formatter.write_str("..")?;
        write_hexadecimal(formatter, &self.to)
    }
}

fn write_hexadecimal(formatter: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
}

/// The key space of the engine's own records; only [`header`] makes such a key.
const ENGINE: u8 = 0x00;
const META: u8 = 0x01;
const MOUNT_TABLE: u8 = 0x02;
const TOKEN: u8 = 0x03;
const ACCESSOR: u8 = 0x04;
const MOUNT: u8 = 0x10;

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNT_ID: &MountId = &MountId::new([0xff; 16]);
    const OTHER_ID: &MountId = &MountId::new([0x07; 16]);
    const ISSUER_ID: &IssuerId = &IssuerId::new([0x07; 16]);

    fn families() -> Vec<(&'static str, Prefix)> {
        vec![
            ("header", Prefix(header().0)),
            ("seal", Prefix(seal().0)),
            ("keyring", Prefix(keyring().0)),
            ("cluster", Prefix(cluster().0)),
            ("usage", Prefix(usage().0)),
            ("mounts", mounts()),
            ("tokens", tokens()),
            ("accessors", accessors()),
            ("configs", configs(MOUNT_ID)),
            ("roles", roles(MOUNT_ID)),
            ("issuers", issuers(MOUNT_ID)),
            ("private keys", private_keys(MOUNT_ID)),
            ("intents", intents(MOUNT_ID)),
            ("crls", crls(MOUNT_ID)),
            ("revocations", revocations(MOUNT_ID)),
            ("certificates", certificates(MOUNT_ID)),
            ("foreign certificates", foreign_certificates(MOUNT_ID)),
            ("everything in another mount", everything_in(OTHER_ID)),
        ]
    }

    #[test]
    fn no_two_families_overlap() {
        for (position, (name, family)) in families().iter().enumerate() {
            for (other_name, other) in families().iter().skip(position + 1) {
                assert!(!family.range().overlaps(&other.range()), "{name} and {other_name}");
            }
        }
    }

    #[test]
    fn every_key_lies_in_its_own_family_and_in_no_other() {
        let keys = [
            ("header", header()),
            ("seal", seal()),
            ("keyring", keyring()),
            ("cluster", cluster()),
            ("usage", usage()),
            ("mounts", mount(MOUNT_ID)),
            ("tokens", token(&[0xff; 32])),
            ("accessors", accessor(&[0; 32])),
            ("configs", config(MOUNT_ID, "issuers")),
            ("roles", role(MOUNT_ID, "")),
            ("roles", role(MOUNT_ID, "ÿ/web")),
            ("issuers", issuer(MOUNT_ID, ISSUER_ID)),
            ("private keys", private_key(MOUNT_ID, &KeyId::new([0x07; 16]))),
            ("intents", intent(MOUNT_ID, &[0xff; 20])),
            ("crls", crl(MOUNT_ID, ISSUER_ID)),
            ("revocations", revoked(MOUNT_ID, ISSUER_ID, &[0xff; 9])),
            ("certificates", certificate(MOUNT_ID, &[0xff; 20])),
            ("foreign certificates", foreign_certificate(MOUNT_ID, &[])),
        ];
        for (name, key) in keys {
            for (family_name, family) in families() {
                let inside = family.range().contains(&key);
                assert_eq!(inside, family.covers(&key), "{family_name}, {key}");
                assert_eq!(inside, name == family_name, "{family_name}, {key}");
            }
        }
    }

    #[test]
    fn one_range_holds_a_whole_mount_and_nothing_else() {
        let whole = everything_in(MOUNT_ID).range();
        assert!(whole.contains(&role(MOUNT_ID, "web")));
        assert!(whole.contains(&foreign_certificate(MOUNT_ID, &[0xff; 64])));
        assert!(!whole.contains(&role(OTHER_ID, "web")));
        assert!(!whole.contains(&mount(MOUNT_ID)));
    }

    #[test]
    fn the_contents_are_what_neither_the_engine_nor_the_seal_wrote() {
        let contents = contents();
        for outside in [header(), seal(), keyring()] {
            assert!(!contents.contains(&outside), "{outside}");
        }
        for inside in [cluster(), usage(), mount(MOUNT_ID), role(MOUNT_ID, "web")] {
            assert!(contents.contains(&inside), "{inside}");
        }
    }

    #[test]
    fn expired_certificates_are_a_range() {
        let expired = certificates_before(OTHER_ID, 0x01c0_0000);
        let mut serial = [0xff; 20];
        serial[..4].copy_from_slice(&[0x01, 0xbf, 0xff, 0xff]);
        assert!(expired.contains(&certificate(OTHER_ID, &serial)));
        serial[..4].copy_from_slice(&[0x01, 0xc0, 0, 0]);
        assert!(!expired.contains(&certificate(OTHER_ID, &serial)));
    }

    #[test]
    fn a_range_spans_from_its_first_key_to_its_last() {
        let names = ["a", "b", "c", "d"].map(|name| role(MOUNT_ID, name));
        let range = KeyRange::spanning(&names[1], &names[2]);
        let inside = names.map(|key| range.contains(&key));
        assert_eq!(inside, [false, true, true, false]);
        assert!(!range.contains(&role(MOUNT_ID, "c\0")));
    }

    #[test]
    fn a_page_starts_after_the_last_key_of_the_page_before() {
        let range = roles(MOUNT_ID).range().after(&role(MOUNT_ID, "b"));
        assert!(!range.contains(&role(MOUNT_ID, "a")));
        assert!(!range.contains(&role(MOUNT_ID, "b")));
        assert!(range.contains(&role(MOUNT_ID, "b\0")));
        assert!(range.contains(&role(MOUNT_ID, "c")));
    }

    #[test]
    fn the_rest_of_a_key_is_what_its_family_does_not_say() {
        assert_eq!(roles(MOUNT_ID).rest(&role(MOUNT_ID, "web")), Some(b"web".as_slice()));
        assert_eq!(roles(OTHER_ID).rest(&role(MOUNT_ID, "web")), None);
    }
}
