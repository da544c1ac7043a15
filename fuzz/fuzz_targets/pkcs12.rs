//! PKCS#12: an archive opens with its password only and yields what was written; a damaged one is an
//! error or has the same content.

#![no_main]

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use signet::ca::keystore::{KeyStoreError, StoreContents};
use signet::ca::pkcs12::{Encoder, key_store};
use signet::cli::keystore::opened::{KeyStoreOpenError, Opened};
use signet::cli::keystore::pkcs12::open;
use signet::secret::Secret;

#[derive(Arbitrary, Debug)]
enum Input<'a> {
    /// An external archive with the password `changeit`.
    Bytes(&'a [u8]),
    Written(Written),
}

#[derive(Arbitrary, Debug)]
struct Written {
    /// The slow encoders, which iterate five times as often, have a share of one in eight.
    encoder: u8,
    password: String,
    alias: String,
    key: Option<Vec<u8>>,
    /// Common names: opening parses the certificates.
    leaf: String,
    chain: Vec<String>,
    damage: Option<(u16, u8)>,
}

fuzz_target!(|input: Input<'_>| match input {
    Input::Bytes(archive) => {
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
    let leaf = signet_fuzz::certificate_of(&written.leaf);
    let chain: Vec<_> =
        written.chain.iter().take(8).map(|name| signet_fuzz::certificate_of(name)).collect();
    let chain: Vec<_> = chain.iter().map(Vec::as_slice).collect();
    let contents = StoreContents { key: key.as_ref(), leaf: &leaf, chain: &chain };
    let mut state = 9_u8;
    let random = &mut |target: &mut [u8]| {
        for byte in target {
            state = state.wrapping_mul(5).wrapping_add(7);
            *byte = state;
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
    let Some((position, flip)) = written.damage else {
        let opened = match open(&archive, &password) {
            Ok(opened) => opened,
            // RFC 7292, B.1: only PBES2 and PBMAC1 accept every password.
            Err(KeyStoreOpenError::Unsupported(_)) => {
                assert!(encoder != Encoder::Modern2026);
                assert!(written.password.chars().any(|character| u32::from(character) >= 0xffff));
                return;
            }
            Err(error) => panic!("it was written under this password: {error}"),
        };
        assert!(has_content(&opened, contents, &written.alias), "{opened:?}");
        let other = Secret::new(format!("{}x", written.password));
        assert_eq!(open(&archive, &other).err(), Some(KeyStoreOpenError::Password));
        return;
    };
    let position = usize::from(position) % archive.len();
    archive[position] ^= flip;
    // Some bytes have no meaning: the salt that PBMAC1 does not use.
    if let Ok(opened) = open(&archive, &password) {
        assert!(
            has_content(&opened, contents, &written.alias),
            "byte {position} changed the content"
        );
    }
}

/// Whether the archive has the content that was written.
fn has_content(opened: &Opened, contents: StoreContents<'_>, alias: &str) -> bool {
    let certificates: Vec<_> = contents.certificates().collect();
    match (contents.key, opened.keys.as_slice()) {
        (None, []) => opened.trusted.iter().map(|entry| &entry.certificate).eq(certificates),
        (Some(key), [entry]) => {
            entry.has_key(key.expose())
                && entry.alias == alias
                && entry.chain == certificates
                && opened.trusted.is_empty()
        }
        _ => false,
    }
}
