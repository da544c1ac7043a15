use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};

use super::*;

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
fn the_same_random_bytes_write_the_same_archive() {
    let key = key();
    let write = || written(Some(&key), "changeit", Encoder::Auto);
    assert_eq!(write(), write());
}

#[test]
fn refuses_an_invalid_certificate_and_a_store_without_any() {
    let secret = secret("changeit");
    let result = trust_store(&[b"not DER"], &secret, Encoder::Auto, &mut random());
    assert_eq!(result.unwrap_err(), KeyStoreError::Malformed);
    let result = trust_store(&[], &secret, Encoder::Auto, &mut random());
    assert_eq!(result.unwrap_err(), KeyStoreError::Empty);
    let contents = StoreContents { key: None, leaf: LEAF, chain: &[] };
    let result = key_store(contents, "", &secret, Encoder::Auto, &mut random());
    assert_eq!(result.unwrap_err(), KeyStoreError::Alias);
}

#[test]
fn names_are_read_as_they_are_written() {
    for encoder in ENCODERS {
        assert_eq!(Encoder::parse(encoder.as_str()), Some(encoder));
    }
    assert_eq!(Encoder::parse("Modern2026"), None);
}
