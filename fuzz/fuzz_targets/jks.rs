//! JKS: a store opens with its password only and yields what was written; with a valid digest any
//! content is an error or a store that can be written again.

#![no_main]

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use signet::ca::jks::{key_store, trust_store};
use signet::ca::keystore::{KeyStoreError, StoreContents};
use signet::ca::time::Timestamp;
use signet::cli::keystore::jks::open;
use signet::cli::keystore::opened::{KeyStoreOpenError, Opened};
use signet::secret::Secret;

const NOW: Timestamp = Timestamp::from_unix(1_900_000_000);

#[derive(Arbitrary, Debug)]
enum Input<'a> {
    /// The content before the digest.
    Content(&'a [u8]),
    Entries(&'a [u8]),
    Written(Written),
}

#[derive(Arbitrary, Debug)]
struct Written {
    password: String,
    alias: String,
    key: Option<Vec<u8>>,
    leaf: Vec<u8>,
    chain: Vec<Vec<u8>>,
    flip: u16,
}

fuzz_target!(|input: Input<'_>| match input {
    Input::Content(content) => any_content(content),
    // A header that announces one entry.
    Input::Entries(entries) => {
        any_content(&[&[0xfe, 0xed, 0xfe, 0xed, 0, 0, 0, 2, 0, 0, 0, 1], entries].concat());
    }
    Input::Written(written) => round_trip(&written),
});

fn any_content(content: &[u8]) {
    assert!(open(content, &Secret::new(String::new())).is_err(), "a valid digest by chance");
    let password: Vec<u8> = "changeit".encode_utf16().flat_map(u16::to_be_bytes).collect();
    let sealed = [&password, &b"Mighty Aphrodite"[..], content].concat();
    let seal = digest(&SHA1_FOR_LEGACY_USE_ONLY, &sealed);
    let secret = Secret::new("changeit".to_owned());
    let Ok(opened) = open(&[content, seal.as_ref()].concat(), &secret) else { return };
    // The certificates are parts of the content, and together not longer than it.
    let certificates = opened.trusted.iter().map(|entry| entry.certificate.as_slice());
    let certificates: Vec<_> = certificates
        .chain(opened.keys.iter().flat_map(|key| key.chain.iter().map(Vec::as_slice)))
        .collect();
    assert!(certificates.iter().map(|der| der.len()).sum::<usize>() <= content.len());
    if !certificates.is_empty() {
        let again = trust_store(&certificates, &secret, NOW).expect("it was read from a store");
        assert_eq!(trusted(&open(&again, &secret).expect("it was written here")), certificates);
    }
}

fn trusted(opened: &Opened) -> Vec<&[u8]> {
    opened.trusted.iter().map(|entry| entry.certificate.as_slice()).collect()
}

fn round_trip(written: &Written) {
    let password = Secret::new(written.password.clone());
    let key = written.key.as_deref().map(signet_fuzz::private_key_info);
    let chain: Vec<_> = written.chain.iter().map(Vec::as_slice).collect();
    let contents = StoreContents { key: key.as_ref(), leaf: &written.leaf, chain: &chain };
    let store = key_store(contents, &written.alias, &password, NOW, &mut |salt| salt.fill(7));
    let characters = written.alias.chars().count();
    let Ok(store) = store else {
        assert!(store.is_err_and(|error| error == KeyStoreError::Alias));
        assert!(characters == 0 || characters > 255);
        return;
    };
    let certificates: Vec<_> = contents.certificates().collect();
    let opened = open(&store, &password).expect("it was written under this password");
    match (&key, opened.keys.as_slice()) {
        (None, []) => assert_eq!(trusted(&opened), certificates),
        (Some(key), [entry]) => {
            assert!(entry.has_key(key.expose()) && opened.trusted.is_empty());
            assert_eq!(entry.alias, written.alias.to_lowercase());
            assert_eq!(entry.chain, certificates);
        }
        _ => panic!("another number of keys"),
    }
    let other = Secret::new(format!("{}x", written.password));
    assert_eq!(open(&store, &other).err(), Some(KeyStoreOpenError::Password));
    let mut damaged = store;
    let position = usize::from(written.flip) % damaged.len();
    damaged[position] ^= 1;
    assert!(open(&damaged, &password).is_err(), "byte {position} is not covered by the digest");
}
