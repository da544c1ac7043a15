use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use proptest::prelude::*;

use super::open::Bags;
use super::*;
use crate::ca::keystore::TrustedEntry;

const LEAF: &[u8] = &[0x30, 1, 1];
const ISSUER: &[u8] = &[0x30, 1, 2];
const ROOT: &[u8] = &[0x30, 1, 3];
const ENCODERS: [Encoder; 4] =
    [Encoder::Auto, Encoder::Modern2026, Encoder::Modern2023, Encoder::Legacy];

fn secret(text: &str) -> Secret<String> {
    Secret::new(text.to_owned())
}

fn key() -> Secret<Vec<u8>> {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
    Secret::new(pair.to_pkcs8v1().unwrap().as_ref().to_vec())
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

fn written(key: Option<&Secret<Vec<u8>>>, password: &str, encoder: Encoder) -> Vec<u8> {
    // The chain is not in the order of its bytes, so a sorted SET would be noticed.
    let contents = StoreContents { key, leaf: LEAF, chain: &[ROOT, ISSUER] };
    key_store(contents, "päyments 😀", &secret(password), encoder, &mut random()).unwrap()
}

#[test]
fn every_encoder_keeps_key_alias_and_order() {
    let key = key();
    for encoder in ENCODERS {
        for password in ["changeit", "", "pässwörd…😀"] {
            let archive = written(Some(&key), password, encoder);
            let mut opened = open(&archive, &secret(password)).unwrap();
            let entry = opened.keys.pop().unwrap();
            assert_eq!(entry.alias, "päyments 😀");
            assert!(entry.key.matches(key.expose()), "{encoder:?}");
            assert_eq!(entry.chain, [LEAF, ROOT, ISSUER]);
            assert!(opened.trusted.is_empty() && opened.keys.is_empty());
        }
    }
}

#[test]
fn a_store_without_a_key_shows_its_certificates() {
    let opened = open(&written(None, "changeit", Encoder::Auto), &secret("changeit")).unwrap();
    let expected = [("1", LEAF), ("2", ROOT), ("3", ISSUER)].map(|(alias, certificate)| {
        TrustedEntry { alias: alias.to_owned(), certificate: certificate.to_vec() }
    });
    assert_eq!(opened.trusted, expected);
    assert!(opened.keys.is_empty());
}

#[test]
fn the_same_random_bytes_write_the_same_archive() {
    let key = key();
    let write = || written(Some(&key), "changeit", Encoder::Auto);
    assert_eq!(write(), write());
}

#[test]
fn refuses_a_wrong_password_and_a_changed_byte() {
    let key = key();
    for encoder in ENCODERS {
        let mut archive = written(Some(&key), "changeit", encoder);
        let wrong = open(&archive, &secret("Changeit")).unwrap_err();
        assert_eq!(wrong, KeyStoreError::Password);
        let middle = archive.len() / 2;
        archive[middle] ^= 1;
        assert!(open(&archive, &secret("changeit")).is_err());
    }
}

#[test]
fn refuses_rubbish_for_a_certificate_and_a_store_without_any() {
    let secret = secret("changeit");
    let result = trust_store(&[b"no DER"], &secret, Encoder::Auto, &mut random());
    assert_eq!(result.unwrap_err(), KeyStoreError::Malformed);
    let result = trust_store(&[], &secret, Encoder::Auto, &mut random());
    assert_eq!(result.unwrap_err(), KeyStoreError::Empty);
    let contents = StoreContents { key: None, leaf: LEAF, chain: &[] };
    let result = key_store(contents, "", &secret, Encoder::Auto, &mut random());
    assert_eq!(result.unwrap_err(), KeyStoreError::Alias);
}

#[test]
fn an_archive_cannot_ask_for_endless_work() {
    let secret = secret("changeit");
    let mut password = Password::new(&secret);
    assert!(password.pbkdf2(&[0; 16], 1_000).is_ok());
    assert_eq!(password.pbkdf2(&[0; 16], 2_000_000_000).unwrap_err(), KeyStoreError::TooCostly);
    let endless =
        password.rfc7292::<32>(Hash::Sha256, derivation::Diversifier::Mac, &[0], u32::MAX);
    assert_eq!(endless.unwrap_err(), KeyStoreError::TooCostly);
    // What many parts ask for adds up.
    for _ in 0..9 {
        let _ = password.spend(200_000);
    }
    assert_eq!(password.spend(200_000), Err(KeyStoreError::TooCostly));
}

#[test]
fn names_are_read_as_they_are_written() {
    for encoder in ENCODERS {
        assert_eq!(Encoder::named(encoder.name()), Some(encoder));
    }
    assert_eq!(Encoder::named("Modern2026"), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn hostile_archives_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(open(&bytes, &secret("changeit")).is_err());
    }

    #[test]
    fn a_damaged_archive_never_says_something_else(place in any::<prop::sample::Index>(), flip in 1_u8..) {
        let mut archive = written(None, "changeit", Encoder::Modern2026);
        let place = place.index(archive.len());
        archive[place] ^= flip;
        // Bytes that no seal covers (salt, PBMAC1's unused fields) may change nothing.
        if let Ok(opened) = open(&archive, &secret("changeit")) {
            prop_assert_eq!(opened.trusted.len(), 3);
        }
    }

    /// Past the seal: whoever knows the password may send any content.
    #[test]
    fn hostile_content_does_no_harm(place in any::<prop::sample::Index>(), flip in 1_u8..) {
        let key = key();
        let secret = secret("changeit");
        let mut password = Password::new(&secret);
        let encrypted =
            Scheme::TripleDes { iterations: 1 }.encrypt(key.expose(), &mut password, &mut random()).unwrap();
        let shrouded = EncryptedKey {
            algorithm: encrypted.algorithm().unwrap(),
            bytes: OctetStringRef::new(&encrypted.bytes).unwrap(),
        }
        .to_der()
        .unwrap();
        let name = utf16("alias");
        let attributes =
            || vec![attribute(FRIENDLY_NAME, AnyRef::new(Tag::BmpString, &name).unwrap()).unwrap()];
        let mut safe = sequence(&[
            bag(SHROUDED_KEY_BAG, &shrouded, attributes()).unwrap(),
            certificate_bag(LEAF, attributes()).unwrap(),
        ])
        .unwrap();
        prop_assert!(Bags::default().read(&safe, &mut password).is_ok());
        let place = place.index(safe.len());
        safe[place] ^= flip;
        let _ = Bags::default().read(&safe, &mut password);
    }
}
