use aws_lc_rs::signature::Ed25519KeyPair;
use proptest::prelude::*;

use super::*;

const NOW: Timestamp = Timestamp::from_unix(1_900_000_000);

fn secret(text: &str) -> Secret<String> {
    Secret::new(text.to_owned())
}

fn key() -> Secret<Vec<u8>> {
    let pair = Ed25519KeyPair::generate().unwrap();
    let version_1 = pem::pkcs8_version_1(pair.to_pkcs8().unwrap().as_ref()).unwrap();
    Secret::new(version_1.to_vec())
}

fn written(alias: &str, key: Option<&Secret<Vec<u8>>>, password: &str) -> Vec<u8> {
    let contents = StoreContents { key, leaf: b"leaf", chain: &[b"issuer", b"root"] };
    key_store(contents, alias, &secret(password), NOW, &mut |salt| salt.fill(7)).unwrap()
}

#[test]
fn keeps_key_alias_and_order() {
    let key = key();
    for password in ["changeit", "", "pässwörd…😀"] {
        let mut opened =
            open(&written("Päyments\0😀", Some(&key), password), &secret(password)).unwrap();
        let entry = opened.keys.pop().unwrap();
        assert_eq!(entry.alias, "päyments\0😀");
        assert!(entry.key.matches(key.expose()));
        assert_eq!(entry.chain, [&b"leaf"[..], b"issuer", b"root"]);
        assert!(opened.keys.is_empty() && opened.trusted.is_empty());
    }
}

#[test]
fn the_entry_bears_the_given_instant() {
    let store = trust_store(&[b"root"], &secret("changeit"), NOW).unwrap();
    assert_eq!(store[..4], [0xfe, 0xed, 0xfe, 0xed]);
    // Magic, version, count, kind, "1" with its length; then milliseconds.
    assert_eq!(store[19..27], 1_900_000_000_000_i64.to_be_bytes());
}

#[test]
fn a_store_without_a_key_holds_trusted_entries() {
    let opened = open(&written("1", None, "changeit"), &secret("changeit")).unwrap();
    let aliases: Vec<_> = opened.trusted.iter().map(|entry| entry.alias.as_str()).collect();
    assert_eq!(aliases, ["1", "2", "3"]);
    assert_eq!(opened.trusted[2].certificate, b"root");
}

#[test]
fn refuses_a_wrong_password_and_a_changed_byte() {
    let mut store = written("1", Some(&key()), "changeit");
    assert_eq!(open(&store, &secret("changeIt")).unwrap_err(), KeyStoreError::Password);
    let last = store.len() - 30;
    store[last] ^= 1;
    assert_eq!(open(&store, &secret("changeit")).unwrap_err(), KeyStoreError::Password);
}

#[test]
fn refuses_an_empty_store_and_a_name_too_long() {
    let empty = trust_store(&[], &secret("changeit"), NOW).unwrap_err();
    assert_eq!(empty, KeyStoreError::Empty);
    let contents = StoreContents { key: None, leaf: b"leaf", chain: &[] };
    let long = key_store(contents, &"x".repeat(256), &secret(""), NOW, &mut |_| {}).unwrap_err();
    assert_eq!(long, KeyStoreError::Alias);
}

/// Seals any content, as someone who knows the password could.
fn sealed(content: &[u8], password: &str) -> Vec<u8> {
    Writer(content.to_vec()).seal(&utf16(password))
}

proptest! {
    #[test]
    fn aliases_of_all_characters_are_read_back(alias in "\\PC{1,40}") {
        let opened = open(&written(&alias, Some(&key()), "changeit"), &secret("changeit")).unwrap();
        prop_assert_eq!(&opened.keys[0].alias, &alias.to_lowercase());
    }

    #[test]
    fn hostile_content_does_no_harm(
        place in any::<prop::sample::Index>(),
        bytes in prop::collection::vec(any::<u8>(), 1..6),
    ) {
        let store = written("1", Some(&key()), "changeit");
        let mut content = store[..store.len() - SHA1_OUTPUT_LEN].to_vec();
        let place = place.index(content.len());
        for (target, byte) in content[place..].iter_mut().zip(bytes) {
            *target = byte;
        }
        let _ = open(&sealed(&content, "changeit"), &secret("changeit"));
    }

    #[test]
    fn hostile_bytes_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        let mut content = MAGIC.to_be_bytes().to_vec();
        content.extend_from_slice(&VERSION.to_be_bytes());
        content.extend_from_slice(&bytes);
        let _ = open(&sealed(&content, ""), &secret(""));
        prop_assert!(open(&bytes, &secret("")).is_err());
    }
}
