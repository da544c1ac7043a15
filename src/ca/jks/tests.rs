use super::*;

const NOW: Timestamp = Timestamp::from_unix(1_900_000_000);

fn secret(text: &str) -> Secret<String> {
    Secret::new(text.to_owned())
}

#[test]
fn the_entry_has_the_given_instant() {
    let store = trust_store(&[b"root"], &secret("changeit"), NOW).unwrap();
    assert_eq!(store[..4], [0xfe, 0xed, 0xfe, 0xed]);
    // Magic, version, count, kind, "1" with its length; then milliseconds.
    assert_eq!(store[19..27], 1_900_000_000_000_i64.to_be_bytes());
}

#[test]
fn refuses_an_empty_store_and_a_long_alias() {
    let empty = trust_store(&[], &secret("changeit"), NOW).unwrap_err();
    assert_eq!(empty, KeyStoreError::Empty);
    let contents = StoreContents { key: None, leaf: b"leaf", chain: &[] };
    let long = key_store(contents, &"x".repeat(256), &secret(""), NOW, &mut |_| {}).unwrap_err();
    assert_eq!(long, KeyStoreError::Alias);
}
