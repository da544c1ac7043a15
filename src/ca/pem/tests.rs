use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rsa;
use aws_lc_rs::signature::{ECDSA_P521_SHA512_ASN1_SIGNING, Ed25519KeyPair};
use proptest::prelude::*;

use super::*;

#[test]
fn writes_sixty_four_columns_and_no_newline_at_the_end() {
    let text = encode(CERTIFICATE, &[0xff; 49]);
    let expected =
        format!("-----BEGIN CERTIFICATE-----\n{}\n/w==\n-----END CERTIFICATE-----", "/".repeat(64));
    assert_eq!(text, expected);
    assert_eq!(encode_line(CERTIFICATE, &[0xff; 49]), expected.clone() + "\n");
    let two: [&[u8]; 2] = [&[0xff; 49], &[0xff; 49]];
    assert_eq!(encode_all(CERTIFICATE, two), format!("{expected}\n{expected}"));
}

#[test]
fn the_buffer_never_grows_while_a_block_is_written() {
    for length in 0..400 {
        let der = vec![7; length];
        let text = encode(PRIVATE_KEY, &der);
        let columns = BASE64.encode_len(length);
        assert!(text.len() <= columns + columns / 64 + 2 * PRIVATE_KEY.len() + 40);
    }
}

#[test]
fn skips_what_is_not_a_block() {
    let text = "subject=/CN=a\r\n\
        -----BEGIN CERTIFICATE-----\r\nAQID\r\n-----END CERTIFICATE-----\r\n\
        between\n\
        -----BEGIN BROKEN-----\nAQ!D\n-----END BROKEN-----\n\
        -----BEGIN ONE-----\nAQID\n-----END OTHER-----\n\
        -----BEGIN UNENDED-----\nAQID\n\
        -----BEGIN EC PRIVATE KEY-----\nProc-Type: 4\n\n  BAU= \n-----END EC PRIVATE KEY-----";
    let blocks: Vec<_> =
        decode_all(text).into_iter().map(|block| (block.label, block.der.to_vec())).collect();
    assert_eq!(
        blocks,
        [("CERTIFICATE".to_owned(), vec![1, 2, 3]), ("EC PRIVATE KEY".to_owned(), vec![4, 5])]
    );
    assert_eq!(decode_first(text, &[EC_PRIVATE_KEY]).unwrap().der.as_slice(), [4, 5]);
    assert!(decode_all("").is_empty());
}

#[test]
fn a_block_without_an_end_is_skipped_in_linear_time() {
    let headers = format!("-----BEGIN A-----\n{}", "a:\n".repeat(350_000));
    assert!(decode_all(&headers).is_empty());
    let beginnings = "-----BEGIN A-----\nAQID\n".repeat(50_000);
    assert!(decode_all(&beginnings).is_empty());
    let last = format!("{headers}{beginnings}-----END A-----");
    assert_eq!(decode_all(&last).len(), 1);
}

#[test]
fn a_block_is_not_printed() {
    let block = PemBlock { label: PRIVATE_KEY.into(), der: Zeroizing::new(vec![1]) };
    assert_eq!(format!("{block:?}"), "PemBlock(PRIVATE KEY, 1 bytes)");
}

#[test]
fn an_ec_key_is_written_as_sec1_with_curve_and_public_key() {
    let pair = EcdsaKeyPair::generate(&ECDSA_P521_SHA512_ASN1_SIGNING).unwrap();
    let pkcs8 = pair.to_pkcs8v1().unwrap();
    let key = private_key(pkcs8.as_ref(), KeyForm::Traditional).unwrap();
    assert_eq!(key.label, "EC PRIVATE KEY");
    let sec1 = EcPrivateKey::from_der(&key.der).unwrap();
    assert_eq!(sec1.version, 1);
    assert_eq!(sec1.key.as_bytes().len(), 66);
    assert_eq!(sec1.curve, Some(P521));
    assert_eq!(sec1.public.unwrap().raw_bytes(), pair.public_key().as_ref());
}

#[test]
fn a_public_key_that_pkcs8_lacks_is_computed() {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
    let pkcs8 = pair.to_pkcs8v1().unwrap();
    let mut info = read_info(pkcs8.as_ref()).unwrap();
    let inner = EcPrivateKey::from_der(info.key.as_bytes()).unwrap();
    let bare = EcPrivateKey { curve: None, public: None, ..inner }.to_der().unwrap();
    info.key = OctetStringRef::new(&bare).unwrap();
    let key = private_key(&info.to_der().unwrap(), KeyForm::Traditional).unwrap();
    let sec1 = EcPrivateKey::from_der(&key.der).unwrap();
    assert_eq!(sec1.public.unwrap().raw_bytes(), pair.public_key().as_ref());
}

#[test]
fn an_rsa_key_is_written_as_pkcs1() {
    let pair = rsa::KeyPair::generate(rsa::KeySize::Rsa2048).unwrap();
    let pkcs8: aws_lc_rs::encoding::Pkcs8V1Der<'_> = pair.as_der().unwrap();
    let key = private_key(pkcs8.as_ref(), KeyForm::Traditional).unwrap();
    assert_eq!(key.label, "RSA PRIVATE KEY");
    assert!(rsa::KeyPair::from_der(&key.der).is_ok());
    let key = private_key(pkcs8.as_ref(), KeyForm::Pkcs8).unwrap();
    assert_eq!((key.label, key.der.as_slice()), ("PRIVATE KEY", pkcs8.as_ref()));
}

#[test]
fn an_ed25519_key_is_pkcs8_version_1_in_either_form() {
    let pair = Ed25519KeyPair::generate().unwrap();
    let version_2 = pair.to_pkcs8().unwrap();
    for form in [KeyForm::Traditional, KeyForm::Pkcs8] {
        let key = private_key(version_2.as_ref(), form).unwrap();
        assert_eq!(key.label, "PRIVATE KEY");
        // SEQUENCE, INTEGER 0, AlgorithmIdentifier, OCTET STRING in OCTET STRING: 48 bytes.
        assert_eq!(key.der.len(), 48);
        assert!(Ed25519KeyPair::from_pkcs8_maybe_unchecked(&key.der).is_ok());
    }
}

#[test]
fn refuses_unsupported_keys() {
    assert_eq!(private_key(b"", KeyForm::Pkcs8).unwrap_err(), UnknownKey);
    assert_eq!(private_key(&[0x30, 0], KeyForm::Traditional).unwrap_err(), UnknownKey);
}

#[test]
fn byte_order_marks_of_utf_8_do_not_hide_a_block() {
    let (one, two) = (encode_line(CERTIFICATE, b"one"), encode_line(CERTIFICATE, b"two"));
    for text in [
        format!("\u{feff}{one}{two}"),
        format!("\u{feff}{one}\u{feff}{two}"),
        format!("\u{feff}# a comment\r\n\u{feff}\u{feff}{one}\u{feff}{two}\u{feff}")
            .replace('\n', "\r\n"),
    ] {
        let read: Vec<_> = decode_all(&text).into_iter().map(|block| block.der.to_vec()).collect();
        assert_eq!(read, [b"one", b"two"], "{text:?}");
    }
    let marked = format!("\u{feff}{one}\u{feff}{two}");
    assert_eq!(without_byte_order_marks(marked.as_bytes()), format!("{one}{two}").as_bytes());
    assert!(matches!(without_byte_order_marks(one.as_bytes()), Cow::Borrowed(_)));
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        blocks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..4)
    ) {
        let text = encode_all(CERTIFICATE, blocks.iter().map(Vec::as_slice));
        let read: Vec<_> = decode_all(&text).into_iter().map(|block| block.der.to_vec()).collect();
        prop_assert_eq!(read, blocks);
    }

    #[test]
    fn push_json_writes_what_a_json_serializer_writes(
        der in prop::collection::vec(any::<u8>(), 0..200)
    ) {
        let text = serde_json::to_string(&encode(CERTIFICATE, &der)).unwrap();
        let mut json = String::new();
        push_json(&mut json, CERTIFICATE, &der);
        prop_assert_eq!(json, text);
    }

    #[test]
    fn never_panics_on_hostile_text(text in "(-----(BEGIN|END) [A-Z]{0,2}-----\r?\n|[A-Za-z0-9=: \n-]{0,20}|.{0,8}){0,12}") {
        for block in decode_all(&text) {
            prop_assert!(block.der.len() <= text.len());
        }
    }

    #[test]
    fn never_panics_on_hostile_keys(bytes in prop::collection::vec(any::<u8>(), 0..120)) {
        let _ = private_key(&bytes, KeyForm::Traditional);
    }
}
