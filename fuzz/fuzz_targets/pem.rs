//! Every block that is read can be written and read again unchanged, whatever surrounds it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use signet::ca::pem;

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let blocks = pem::decode_all(&text);
    let bytes: usize = blocks.iter().map(|block| block.der.len()).sum();
    assert!(bytes <= text.len() / 4 * 3);
    let written: String =
        blocks.iter().map(|block| pem::encode_line(&block.label, &block.der)).collect();
    assert!(pem::decode_all(&written) == blocks, "{blocks:?}");
    let labels = [pem::CERTIFICATE, pem::CERTIFICATE_REQUEST];
    let first = blocks.iter().find(|block| labels.contains(&block.label.as_str()));
    assert!(pem::decode_first(&text, &labels).as_ref() == first);

    // Any bytes survive, between lines that are not part of a block.
    let block = pem::encode(pem::X509_CRL, data);
    assert!(block.lines().all(|line| line.len() <= 64) && !block.ends_with('\n'));
    let read = pem::decode_all(&format!("text\n{block}\ntext"));
    assert!(matches!(read.as_slice(), [one] if *one.der == data && one.label == pem::X509_CRL));
    keys(data);
});

/// A private key has one PKCS#8 form, from which every other form is derived.
fn keys(data: &[u8]) {
    let Ok(plain) = pem::private_key(data, pem::KeyForm::Pkcs8) else { return };
    assert_eq!(plain.label, pem::PRIVATE_KEY);
    let again = pem::pkcs8_version_1(&plain.der).expect("it was written here");
    assert!(again == plain.der);
    if let Ok(traditional) = pem::private_key(data, pem::KeyForm::Traditional) {
        let of_plain = pem::private_key(&plain.der, pem::KeyForm::Traditional);
        assert!(of_plain.is_ok_and(|other| *other.der == *traditional.der));
    }
}
