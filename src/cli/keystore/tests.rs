mod command_tests;

use der::{Decode, Encode};
use proptest::prelude::*;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType};
use time::OffsetDateTime;

use super::opened::Opened;
use super::report::inspect;
use super::*;
use crate::ca::keystore::{StoreContents, utf16};
use crate::ca::pkcs12::shape::{MacData, Pfx};
use crate::ca::pkcs12::{self as written, Encoder};
use crate::ca::time::Timestamp;
use crate::ca::{jks as written_jks, pem};

const ENCODERS: [Encoder; 4] =
    [Encoder::Auto, Encoder::Modern2026, Encoder::Modern2023, Encoder::Legacy];
const NOW: Timestamp = Timestamp::from_unix(1_900_000_000);
const DAY: i64 = 86_400;
const SPIFFE_ID: &str = "spiffe://example.com/payments/api";

/// A key, its certificate and the certificates above it.
struct Identity {
    key: Secret<Vec<u8>>,
    chain: Vec<Vec<u8>>,
}

fn parameters(name: &str, is_ca: bool) -> CertificateParams {
    let mut parameters = CertificateParams::new(Vec::new()).unwrap();
    parameters.distinguished_name.push(DnType::CommonName, name);
    let at = |seconds: i64| OffsetDateTime::from_unix_timestamp(NOW.unix() + seconds).unwrap();
    (parameters.not_before, parameters.not_after) = (at(-DAY), at(30 * DAY));
    if is_ca {
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    } else {
        parameters.subject_alt_names = vec![SanType::URI(SPIFFE_ID.try_into().unwrap())];
    }
    parameters
}

fn identity_with(change: impl FnOnce(&mut CertificateParams)) -> Identity {
    let new_key = || KeyPair::generate().unwrap();
    let root_key = new_key();
    let root_parameters = parameters("root", true);
    let root = root_parameters.self_signed(&root_key).unwrap().der().to_vec();
    let root_issuer = Issuer::new(root_parameters, root_key);
    let middle_key = new_key();
    let middle_parameters = parameters("middle", true);
    let middle = middle_parameters.signed_by(&middle_key, &root_issuer).unwrap().der().to_vec();
    let issuer = Issuer::new(middle_parameters, middle_key);
    let key = new_key();
    let mut leaf_parameters = parameters("payments", false);
    change(&mut leaf_parameters);
    let leaf = leaf_parameters.signed_by(&key, &issuer).unwrap().der().to_vec();
    let version_1 = pem::pkcs8_version_1(&key.serialize_der()).unwrap();
    Identity { key: Secret::new(version_1.to_vec()), chain: vec![leaf, middle, root] }
}

fn identity() -> Identity {
    identity_with(|_| {})
}

fn secret(text: &str) -> Secret<String> {
    Secret::new(text.to_owned())
}

fn random() -> impl FnMut(&mut [u8]) {
    let mut state = 9_u8;
    move |target| {
        for byte in target {
            state = state.wrapping_mul(5).wrapping_add(7);
            *byte = state;
        }
    }
}

impl Identity {
    fn contents<T>(
        &self,
        with_key: bool,
        order: &[usize],
        with: impl FnOnce(StoreContents<'_>) -> T,
    ) -> T {
        let certificates: Vec<&[u8]> = order.iter().map(|at| self.chain[*at].as_slice()).collect();
        let (leaf, chain) = certificates.split_first().unwrap();
        with(StoreContents { key: with_key.then_some(&self.key), leaf, chain })
    }

    fn pkcs12(&self, with_key: bool, order: &[usize], password: &str, encoder: Encoder) -> Vec<u8> {
        self.contents(with_key, order, |contents| {
            let (alias, password) = ("päyments 😀", secret(password));
            written::key_store(contents, alias, &password, encoder, &mut random()).unwrap()
        })
    }

    fn jks(&self, with_key: bool, alias: &str, password: &str) -> Vec<u8> {
        self.contents(with_key, &[0, 1, 2], |contents| {
            let salt = &mut |salt: &mut [u8]| salt.fill(7);
            written_jks::key_store(contents, alias, &secret(password), NOW, salt).unwrap()
        })
    }
}

fn report(kind: KeyStoreFormat, bytes: &[u8]) -> Report {
    inspect("a.p12", kind, bytes, &secret("changeit"), NOW).unwrap()
}

/// The archive of the same content without its MAC.
fn without_mac(archive: &[u8]) -> Vec<u8> {
    Pfx { mac: None, ..Pfx::from_der(archive).unwrap() }.to_der().unwrap()
}

fn assert_holds(opened: &Opened, identity: &Identity, alias: &str) {
    let [entry] = opened.keys.as_slice() else { panic!("{opened:?}") };
    assert_eq!(entry.alias, alias);
    assert!(entry.has_key(identity.key.expose()));
    assert_eq!(entry.chain, identity.chain);
    assert!(opened.trusted.is_empty() && opened.unmarked.is_empty());
}

#[test]
fn every_encoder_keeps_key_alias_and_order() {
    let identity = identity();
    for encoder in ENCODERS {
        for password in ["changeit", "", "pässwörd…"] {
            let archive = identity.pkcs12(true, &[0, 1, 2], password, encoder);
            let opened = pkcs12::open(&archive, &secret(password)).unwrap();
            assert_holds(&opened, &identity, "päyments 😀");
        }
    }
}

#[test]
fn only_algorithms_of_utf8_take_a_password_outside_the_basic_plane() {
    let identity = identity();
    for encoder in ENCODERS {
        let archive = identity.pkcs12(true, &[0, 1, 2], "pass😀", encoder);
        match pkcs12::open(&archive, &secret("pass😀")) {
            Ok(opened) => {
                assert_eq!(encoder, Encoder::Modern2026);
                assert_holds(&opened, &identity, "päyments 😀");
            }
            Err(error) => {
                assert_ne!(encoder, Encoder::Modern2026);
                assert!(matches!(error, KeyStoreOpenError::Unsupported(_)), "{error:?}");
            }
        }
    }
}

#[test]
fn jks_keeps_key_alias_order_and_time() {
    let identity = identity();
    for password in ["changeit", "", "pässwörd…😀"] {
        let store = identity.jks(true, "Päyments\0😀", password);
        let opened = jks::open(&store, &secret(password)).unwrap();
        assert_holds(&opened, &identity, "päyments\0😀");
        assert_eq!(opened.keys[0].created, Some(NOW));
    }
}

#[test]
fn a_store_without_a_key_holds_trusted_entries() {
    let identity = identity();
    let archive = identity.pkcs12(false, &[0, 1, 2], "changeit", Encoder::Auto);
    let store = identity.jks(false, "1", "changeit");
    for opened in [
        pkcs12::open(&archive, &secret("changeit")).unwrap(),
        jks::open(&store, &secret("changeit")).unwrap(),
    ] {
        assert!(opened.keys.is_empty() && opened.unmarked.is_empty());
        let entries = opened.trusted.iter();
        let found: Vec<_> =
            entries.map(|entry| (entry.alias.as_str(), entry.certificate.clone())).collect();
        let expected: Vec<_> = ["1", "2", "3"].into_iter().zip(identity.chain.clone()).collect();
        assert_eq!(found, expected);
    }
}

#[test]
fn a_wrong_password_and_a_changed_byte_are_refused() {
    let identity = identity();
    for encoder in ENCODERS {
        let mut archive = identity.pkcs12(true, &[0, 1, 2], "changeit", encoder);
        let wrong = pkcs12::open(&archive, &secret("Changeit")).unwrap_err();
        assert_eq!(wrong, KeyStoreOpenError::Password, "{encoder:?}");
        let middle = archive.len() / 2;
        archive[middle] ^= 1;
        assert!(pkcs12::open(&archive, &secret("changeit")).is_err(), "{encoder:?}");
    }
    let mut store = identity.jks(true, "1", "changeit");
    assert_eq!(jks::open(&store, &secret("changeIt")).unwrap_err(), KeyStoreOpenError::Password);
    let inside = store.len() - 30;
    store[inside] ^= 1;
    assert_eq!(jks::open(&store, &secret("changeit")).unwrap_err(), KeyStoreOpenError::Password);
}

#[test]
fn a_wrong_password_is_named_without_a_mac_too() {
    let archive = without_mac(&identity().pkcs12(true, &[0, 1, 2], "changeit", Encoder::Legacy));
    let error = pkcs12::open(&archive, &secret("Changeit")).unwrap_err();
    assert_eq!(error, KeyStoreOpenError::Password);
}

#[test]
fn a_truncated_file_is_called_truncated_at_every_length() {
    let identity = identity();
    for (kind, whole) in [
        (
            KeyStoreFormat::Pkcs12,
            identity.pkcs12(true, &[0, 1, 2], "changeit", Encoder::Modern2023),
        ),
        (KeyStoreFormat::Jks, identity.jks(true, "1", "changeit")),
    ] {
        for length in 0..whole.len() {
            let part = &whole[..length];
            let found = kind_of(part)
                .and_then(|_| inspect("a", kind, part, &secret("changeit"), NOW).map(|_| ()));
            let expected = match length {
                0 => KeyStoreOpenError::Empty,
                1..4 if kind == KeyStoreFormat::Jks => {
                    KeyStoreOpenError::OtherFile(OtherFile::Unknown)
                }
                _ => KeyStoreOpenError::Truncated,
            };
            assert_eq!(found, Err(expected), "{kind:?} of {length} bytes");
        }
    }
}

#[test]
fn more_iterations_than_the_limit_are_refused_before_any_work() {
    let archive = identity().pkcs12(true, &[0, 1, 2], "changeit", Encoder::Auto);
    for iterations in [pkcs12::MAX_ITERATIONS + 1, u32::MAX] {
        let Pfx { safes, mac, .. } = Pfx::from_der(&archive).unwrap();
        let mac = Some(MacData { iterations, ..mac.unwrap() });
        let costly = Pfx { version: 3, safes, mac }.to_der().unwrap();
        assert_eq!(kind_of(&costly), Err(KeyStoreOpenError::TooCostly(Some(iterations))));
    }
}

#[test]
fn work_that_takes_too_long_is_abandoned() {
    let (keep, wait) = mpsc::channel::<()>();
    let endless = move || {
        let _ = wait.recv();
        Ok(())
    };
    assert_eq!(within(Duration::ZERO, endless), Err(KeyStoreOpenError::TooCostly(None)));
    drop(keep);
    assert_eq!(within(MAX_TIME, || Ok(7)), Ok(7));
}

#[test]
fn a_report_shows_algorithms_key_chain_expiry_and_spiffe_id() {
    let identity = identity();
    let archive = identity.pkcs12(true, &[0, 1, 2], "changeit", Encoder::Modern2026);
    let report = report(KeyStoreFormat::Pkcs12, &archive);
    assert!(report.problems.is_empty(), "{:?}", report.problems);
    assert_eq!(
        report.java,
        [
            "Java before 26 refuses PBMAC1; for those versions write it with pkcs12_encoder=auto",
            "Java before 8u301, 11.0.12 and 16 refuses these algorithms; for those versions write it with pkcs12_encoder=legacy"
        ]
    );
    let text = print::text(&report);
    for line in [
        "  Kind            PKCS#12",
        "  MAC             PBMAC1 with HMAC-SHA-256, PBKDF2 with HMAC-SHA-256, 2048 iterations",
        "  Encrypted part  AES-256-CBC, PBKDF2 with HMAC-SHA-256, 2048 iterations",
        "  Private key     AES-256-CBC, PBKDF2 with HMAC-SHA-256, 2048 iterations",
        "Private key \"päyments 😀\"",
        "  Key             EC P-256, belongs to certificate 1",
        "  Chain           3 certificates, leaf first, up to a root",
        "  Certificate 1   CN=payments",
        "    SPIFFE ID     spiffe://example.com/payments/api",
        "    Valid         2030-03-16T17:46:40Z to 2030-04-16T17:46:40Z, expires in 30 days",
        "    Key           EC P-256, not a CA certificate",
        "  Certificate 3   CN=root",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    let report_json = serde_json::to_value(&report).unwrap();
    assert_eq!(report_json["kind"], "PKCS#12");
    assert_eq!(report_json["entries"][0]["kind"], "private_key");
    assert_eq!(report_json["entries"][0]["chain"]["complete"], true);
    assert_eq!(report_json["entries"][0]["certificates"][0]["spiffe_ids"][0], SPIFFE_ID);
}

#[test]
fn a_report_names_what_is_wrong_with_a_chain() {
    let identity = identity();
    for (order, problem, complete) in [
        (&[0, 2, 1][..], "is out of order; from leaf to root it is 1, 3, 2", true),
        (
            &[0, 2],
            "certificate 2 is not on the path from the leaf: CN=middle, the issuer of certificate 1, is missing",
            false,
        ),
        (&[0, 1, 1], "certificate 3 is not on the path from the leaf", false),
        (&[1, 2], "does not belong to its first certificate, but to no certificate", true),
        (&[1, 0, 2], "does not belong to its first certificate, but to certificate 2", true),
    ] {
        let archive = identity.pkcs12(true, order, "changeit", Encoder::Modern2023);
        let report = report(KeyStoreFormat::Pkcs12, &archive);
        let found = report.problems.iter().any(|found| found.contains(problem));
        assert!(found, "{order:?}: {:?}", report.problems);
        let chain = report.entries[0].chain.as_ref().unwrap();
        assert_eq!(chain.complete, Some(complete), "{order:?}");
    }
    let archive = identity.pkcs12(true, &[0, 1], "changeit", Encoder::Modern2023);
    let report = report(KeyStoreFormat::Pkcs12, &archive);
    assert!(report.problems.is_empty(), "{:?}", report.problems);
    let chain = report.entries[0].chain.as_ref().unwrap();
    assert_eq!(chain.missing_issuer.as_deref(), Some("CN=root"));
}

#[test]
fn a_report_names_certificates_outside_their_validity() {
    let at = |days: i64| OffsetDateTime::from_unix_timestamp(NOW.unix() + days * DAY).unwrap();
    for (from, to, expected) in
        [(-9, -5, "is expired 5 days ago"), (5, 9, "is not valid before 2030-03-22T17:46:40Z")]
    {
        let identity = identity_with(|leaf| (leaf.not_before, leaf.not_after) = (at(from), at(to)));
        let report = report(KeyStoreFormat::Jks, &identity.jks(true, "1", "changeit"));
        let found = report.problems.iter().any(|problem| problem.contains(expected));
        assert!(found, "{expected}: {:?}", report.problems);
    }
}

#[test]
fn an_archive_without_a_mac_is_shown_with_a_warning() {
    let archive = identity().pkcs12(true, &[0, 1, 2], "changeit", Encoder::Modern2023);
    let report = report(KeyStoreFormat::Pkcs12, &without_mac(&archive));
    assert!(report.integrity.is_none() && report.entries.len() == 1);
    assert!(report.problems[0].starts_with("There is no MAC"), "{:?}", report.problems);
}

#[test]
fn names_in_a_file_cannot_control_the_terminal() {
    let identity = identity_with(|leaf| {
        leaf.distinguished_name.push(DnType::OrganizationName, "\u{1b}[2Jgone\u{202e}");
    });
    let report =
        report(KeyStoreFormat::Jks, &identity.jks(true, "a\u{1b}]0;title\u{7}\nb", "changeit"));
    let text = print::text(&report);
    let is_harmless = |character: char| {
        character == '\n' || printable(&character.to_string()).chars().eq([character])
    };
    assert!(text.chars().all(is_harmless), "{text:?}");
    assert!(text.contains("a\\u{1b}]0;title\\u{7}\\u{a}b"), "{text}");
}

#[test]
fn a_jks_key_with_another_password_is_reported_and_the_rest_is_shown() {
    let identity = identity();
    let store = identity.jks(true, "web", "changeit");
    // The same entries, sealed under another password: so does `keytool -storepasswd`.
    let content = &store[..store.len() - 20];
    let again = [content, &written_jks::integrity_digest(content, &utf16("another"))].concat();
    let report = inspect("a.jks", KeyStoreFormat::Jks, &again, &secret("another"), NOW).unwrap();
    assert_eq!(report.entries[0].certificates.len(), 3);
    assert!(report.problems.iter().any(|problem| problem.contains("has another password")));
    assert!(report.java.iter().any(|line| line.contains("ssl.key.password")), "{:?}", report.java);
}

#[test]
fn equal_aliases_and_short_passwords_are_reported() {
    let certificates = identity().chain;
    let roots: Vec<&[u8]> = certificates.iter().map(Vec::as_slice).collect();
    let mut store = written_jks::trust_store(&roots, &secret("a"), NOW).unwrap();
    // The second entry takes the alias of the first.
    let second = store.windows(3).position(|bytes| bytes == [0, 1, b'2']).unwrap();
    store[second + 2] = b'1';
    let content = &store[..store.len() - 20];
    let again = [content, &written_jks::integrity_digest(content, &utf16("a"))].concat();
    let report = inspect("a.jks", KeyStoreFormat::Jks, &again, &secret("a"), NOW).unwrap();
    let java = report.java.join("\n");
    assert!(java.contains("only the last of the 2 entries with the alias \"1\""), "{java}");
    assert!(java.contains("fewer than 6 characters"), "{java}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn hostile_bytes_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(pkcs12::open(&bytes, &secret("changeit")).is_err());
        prop_assert!(jks::open(&bytes, &secret("")).is_err());
        let mut content = [MAGIC, 2].map(u32::to_be_bytes).concat();
        content.extend_from_slice(&bytes);
        let seal = written_jks::integrity_digest(&content, &utf16(""));
        let _ = jks::open(&[content.as_slice(), &seal].concat(), &secret(""));
    }

    #[test]
    fn a_damaged_archive_never_says_something_else(position in any::<prop::sample::Index>(), flip in 1_u8..) {
        let mut archive = identity().pkcs12(false, &[0, 1, 2], "changeit", Encoder::Modern2026);
        let position = position.index(archive.len());
        archive[position] ^= flip;
        // Bytes that the MAC does not cover (salt, PBMAC1's unused fields) may change nothing.
        if let Ok(opened) = pkcs12::open(&archive, &secret("changeit")) {
            prop_assert_eq!(opened.trusted.len(), 3);
        }
    }

    /// Content with a valid MAC: an author who knows the password may write any content.
    #[test]
    fn hostile_content_does_no_harm(position in any::<prop::sample::Index>(), flip in 1_u8..) {
        let identity = identity();
        let archive = identity.pkcs12(true, &[0, 1, 2], "changeit", Encoder::Modern2023);
        let mut archive = without_mac(&archive);
        let at = position.index(archive.len());
        archive[at] ^= flip;
        let _ = inspect("a", KeyStoreFormat::Pkcs12, &archive, &secret("changeit"), NOW);

        let store = identity.jks(true, "1", "changeit");
        let mut content = store[..store.len() - 20].to_vec();
        let at = position.index(content.len());
        content[at] ^= flip;
        let seal = written_jks::integrity_digest(&content, &utf16("changeit"));
        let again = [content.as_slice(), &seal].concat();
        let _ = inspect("a", KeyStoreFormat::Jks, &again, &secret("changeit"), NOW);
    }

    #[test]
    fn aliases_of_all_characters_are_read_back(alias in "\\PC{1,40}") {
        let store = identity().jks(true, &alias, "changeit");
        let opened = jks::open(&store, &secret("changeit")).unwrap();
        prop_assert_eq!(&opened.keys[0].alias, &alias.to_lowercase());
    }
}
