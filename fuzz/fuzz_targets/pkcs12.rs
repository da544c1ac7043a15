//! PKCS#12: an archive opens as what was written, under its password alone; a damaged one is an
//! error or says the same.

#![no_main]

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use signet::ca::keystore::{KeyStoreError, Opened, StoreContents};
use signet::ca::pkcs12::{Encoder, key_store, open};
use signet::secret::Secret;
use signet_fuzz::der::{SEQUENCE, element};

#[derive(Arbitrary, Debug)]
enum Input<'a> {
    /// An archive of others under the password `changeit`.
    Octets(&'a [u8]),
    Written(Written),
}

#[derive(Arbitrary, Debug)]
struct Written {
    /// The slow ones, which iterate five times as often, in one of eight.
    encoder: u8,
    password: String,
    alias: String,
    key: Option<Vec<u8>>,
    leaf: Vec<u8>,
    chain: Vec<Vec<u8>>,
    damage: Option<(u16, u8)>,
}

fuzz_target!(|input: Input<'_>| match input {
    Input::Octets(archive) => {
        let _opened = open(archive, &Secret::new("changeit".to_owned()));
    }
    Input::Written(written) => round_trip(&written),
});

const fn encoder(choice: u8) -> Encoder {
    match choice % 16 {
        0 => Encoder::Auto,
        1 => Encoder::Legacy,
        2..9 => Encoder::Modern2023,
        _ => Encoder::Modern2026,
    }
}

fn round_trip(written: &Written) {
    let password = Secret::new(written.password.clone());
    let key = written.key.as_deref().map(signet_fuzz::private_key_info);
    let der = |content: &[u8]| element(SEQUENCE, &[content]);
    let leaf = der(&written.leaf);
    let chain: Vec<_> = written.chain.iter().take(8).map(|content| der(content)).collect();
    let chain: Vec<_> = chain.iter().map(Vec::as_slice).collect();
    let contents = StoreContents { key: key.as_ref(), leaf: &leaf, chain: &chain };
    let mut state = 9_u8;
    let random = &mut |target: &mut [u8]| {
        for octet in target {
            state = state.wrapping_mul(5).wrapping_add(7);
            *octet = state;
        }
    };
    let encoder = encoder(written.encoder);
    let archive = key_store(contents, &written.alias, &password, encoder, random);
    let Ok(mut archive) = archive else {
        let characters = written.alias.chars().count();
        assert_eq!(archive.err(), Some(KeyStoreError::Alias));
        assert!(characters == 0 || characters > 255);
        return;
    };
    let Some((place, flip)) = written.damage else {
        let opened = open(&archive, &password).expect("it was written under this password");
        assert!(says(&opened, contents, &written.alias), "{opened:?}");
        let other = Secret::new(format!("{}x", written.password));
        assert_eq!(open(&archive, &other).err(), Some(KeyStoreError::Password));
        return;
    };
    let place = usize::from(place) % archive.len();
    archive[place] ^= flip;
    // Some octets have no meaning: the salt that PBMAC1 does not use.
    if let Ok(opened) = open(&archive, &password) {
        assert!(says(&opened, contents, &written.alias), "octet {place} changed the content");
    }
}

/// Does the archive say what was written?
fn says(opened: &Opened, contents: StoreContents<'_>, alias: &str) -> bool {
    let certificates: Vec<_> = contents.certificates().collect();
    match (contents.key, opened.keys.as_slice()) {
        (None, []) => opened.trusted.iter().map(|entry| &entry.certificate).eq(certificates),
        (Some(key), [entry]) => {
            entry.key.matches(key.expose())
                && entry.alias == alias
                && entry.chain == certificates
                && opened.trusted.is_empty()
        }
        _ => false,
    }
}
