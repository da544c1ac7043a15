//! Subjects and alternative names: composed names are read back, and as DER by another parser; names
//! read from external bytes can be composed again.

#![no_main]

use std::collections::BTreeSet;
use std::net::IpAddr;

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use signet::ca::certificate::Certificate;
use signet::ca::csr::ParsedCsr;
use signet::ca::key::SignatureAlgorithm;
use signet::ca::oid::ObjectIdentifier;
use signet::ca::permit::{AlternativeNames, KeyUsage, OtherName, Subject, SubjectName};
use signet::ca::public_key::PublicKey;
use signet::ca::request::{RequestValues, compose_request};
use signet::ca::uri;
use signet::go::url;
use x509_cert::der::{Decode, Encode};
use x509_cert::name::Name;

#[derive(Arbitrary, Debug)]
enum Input<'a> {
    /// The contents of an external subject and subjectAltName.
    External(&'a [u8], &'a [u8]),
    /// Values for Signet to compose.
    Values(Box<Values>),
}

#[derive(Arbitrary, Debug)]
struct Values {
    /// Sets, because a subject never contains repetitions.
    organization: BTreeSet<String>,
    organizational_unit: BTreeSet<String>,
    common_name: String,
    serial_number: String,
    user_ids: Vec<String>,
    other: Vec<(u16, String)>,
    dns: Vec<String>,
    email: Vec<String>,
    ip: Vec<IpAddr>,
    uri: Vec<String>,
}

fuzz_target!(|input: Input<'_>| match input {
    Input::External(subject, names) => external(subject, names),
    Input::Values(values) => composed_values(&values),
});

fn external(subject: &[u8], names: &[u8]) {
    let extension = signet_fuzz::extension(&[0x55, 0x1d, 0x11], names);
    let der = signet_fuzz::certificate(subject, &extension);
    let Ok(certificate) = Certificate::parse(der) else { return };
    assert!(certificate.is_authority() && certificate.is_self_issued());
    assert!(certificate.verify_signed_by(certificate.public_key()));
    let names = AlternativeNames {
        ip: certificate.names().ip.iter().map(IpAddr::to_canonical).collect(),
        ..certificate.names().clone()
    };
    let subject = SubjectName::Verbatim(certificate.subject().to_vec());
    let readable = names.uri.iter().all(|text| is_readable(text));
    match ParsedCsr::parse(&composed(subject, &names).expect("what was read is ASCII")) {
        Ok(read) => {
            assert_eq!(*read.names(), names);
            assert_eq!(read.common_name(), certificate.common_name());
        }
        Err(error) => assert!(!readable, "{error}"),
    }
}

fn composed_values(values: &Values) {
    let subject = Subject {
        organization: values.organization.iter().cloned().collect(),
        organizational_unit: values.organizational_unit.iter().cloned().collect(),
        common_name: values.common_name.clone(),
        serial_number: values.serial_number.clone(),
        user_ids: values.user_ids.clone(),
        ..Subject::default()
    };
    let oid = |last| ObjectIdentifier::new(&format!("1.3.6.1.4.1.{last}")).expect("seven arcs");
    let names = AlternativeNames {
        other: values
            .other
            .iter()
            .map(|(last, value)| OtherName { oid: oid(last), value: value.clone() })
            .collect(),
        dns: values.dns.clone(),
        email: values.email.clone(),
        ip: values.ip.iter().map(IpAddr::to_canonical).collect(),
        uri: values.uri.clone(),
    };
    let ascii = names.dns.iter().chain(&names.email).chain(&names.uri).all(|text| text.is_ascii());
    let Some(der) = composed(SubjectName::Composed(subject.clone()), &names) else {
        assert!(!ascii);
        return;
    };
    assert!(ascii);
    let readable = names.uri.iter().all(|text| is_readable(text));
    match ParsedCsr::parse(&der) {
        Ok(read) => {
            assert!(readable && !read.has_unreadable_other_name());
            assert_eq!(*read.names(), names);
            assert_eq!(read.common_name(), subject.common_name);
            assert_eq!(read.serial_number(), subject.serial_number);
            assert_eq!(read.user_ids(), subject.user_ids);
            let name = Name::from_der(read.subject()).expect("a composed subject is DER");
            assert_eq!(name.to_der().expect("it was read"), read.subject());
        }
        Err(error) => assert!(!readable, "{error}"),
    }
}

/// A request with these names; `None` if they cannot be encoded.
fn composed(subject: SubjectName, names: &AlternativeNames) -> Option<Vec<u8>> {
    let values = RequestValues {
        subject,
        names: names.clone(),
        basic_constraints: false,
        key_usage: KeyUsage::default(),
    };
    let key = PublicKey::parse(&signet_fuzz::public_key_info()).expect("the key of the targets");
    let request = compose_request(&values, &key, SignatureAlgorithm::Ed25519).ok()?;
    Some(signet_fuzz::signed(request.der()))
}

/// Whether Go accepts a CSR with this URI.
fn is_readable(text: &str) -> bool {
    url::canonical(text).is_some() && uri::host_is_domain(text)
}
