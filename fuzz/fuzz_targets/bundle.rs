//! Certificates to import: a bundle yields CA certificates, byte for byte as in the bundle and equal
//! to what another parser reads; everything else is refused and never an internal error.

#![no_main]

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use signet::ca::certificate::Certificate;
use signet::ca::pem;
use signet::engine::pki::import::read_bundle;
use x509_cert::der::{Decode, Encode};

#[derive(Arbitrary, Debug)]
enum Input<'a> {
    Text(&'a [u8]),
    /// One block with this content.
    Der(Label, &'a [u8]),
    /// Blocks with valid certificates of any subject and additional extensions.
    Around(Vec<(Label, &'a [u8])>),
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Label {
    Certificate,
    X509Certificate,
    TrustedCertificate,
    Crl,
    Key,
}

impl Label {
    const fn text(self) -> &'static str {
        match self {
            Self::Certificate => "CERTIFICATE",
            Self::X509Certificate => "X509 CERTIFICATE",
            Self::TrustedCertificate => "TRUSTED CERTIFICATE",
            Self::Crl => "X509 CRL",
            Self::Key => "EC PRIVATE KEY",
        }
    }
}

fuzz_target!(|input: Input<'_>| match input {
    Input::Text(text) => check(&String::from_utf8_lossy(text)),
    Input::Der(label, der) => {
        if let Ok(certificate) = Certificate::parse(der) {
            agrees(&certificate);
        }
        check(&pem::encode(label.text(), der));
    }
    Input::Around(blocks) => {
        let blocks = blocks.iter().map(|(label, data)| {
            let (subject, extensions) = signet_fuzz::halves(data);
            pem::encode_line(label.text(), &signet_fuzz::certificate(subject, extensions))
        });
        check(&blocks.collect::<String>());
    }
});

fn check(text: &str) {
    let certificates = match read_bundle(text) {
        Ok(certificates) => certificates,
        Err(failure) => {
            assert_eq!(failure.label(), "refused", "{failure:?}");
            return;
        }
    };
    let blocks = pem::decode_all(text);
    assert!(blocks.iter().all(|block| block.label != "EC PRIVATE KEY"));
    let mut rest = blocks.iter();
    for certificate in &certificates {
        assert!(certificate.is_authority());
        assert!(rest.any(|block| *block.der == certificate.der()), "not in the order of the text");
        agrees(certificate);
    }
    if certificates.is_empty() {
        return;
    }
    let written = pem::encode_all(pem::CERTIFICATE, certificates.iter().map(Certificate::der));
    let again = read_bundle(&written).expect("it was read before");
    let ders = |list: &[Certificate]| list.iter().map(|one| one.der().to_vec()).collect::<Vec<_>>();
    assert_eq!(ders(&again), ders(&certificates));
}

/// If another parser accepts the certificate, it reads the same fields.
fn agrees(certificate: &Certificate) {
    let der = certificate.der();
    for part in [certificate.subject(), certificate.issuer()] {
        assert!(part.starts_with(&[0x30]) && der.windows(part.len()).any(|window| window == part));
    }
    let _verified = certificate.verify_signed_by(certificate.public_key());
    let Ok(other) = x509_cert::Certificate::from_der(der) else { return };
    let other = other.tbs_certificate();
    let serial = other.serial_number().as_bytes();
    assert_eq!(serial.strip_prefix(&[0]).unwrap_or(serial), certificate.serial());
    let instant = |time: x509_cert::time::Time| i64::try_from(time.to_unix_duration().as_secs());
    assert_eq!(instant(other.validity().not_before), Ok(certificate.not_before().unix()));
    assert_eq!(instant(other.validity().not_after), Ok(certificate.not_after().unix()));
    let key = other.subject_public_key_info().to_der().expect("it was read");
    assert_eq!(key, certificate.public_key().spki());
}
