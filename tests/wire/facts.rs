//! The contents of a certificate, in the format of the recording.

use const_oid::ObjectIdentifier;
use der::asn1::Any;
use der::{Decode, Tag, Tagged};
use serde_json::{Map, Value, json};
use x509_cert::Certificate;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::name::{DistributionPointName, GeneralName};
use x509_cert::ext::pkix::{
    AuthorityInfoAccessSyntax, AuthorityKeyIdentifier, BasicConstraints, CertificatePolicies,
    CrlDistributionPoints, ExtendedKeyUsage, KeyUsage, NameConstraints, SubjectAltName,
    SubjectKeyIdentifier,
};
use x509_cert::name::Name;
use x509_cert::time::Time;

/// Decodes a certificate into the format of the recording.
pub(crate) fn facts(der: &[u8]) -> Value {
    let certificate = Certificate::from_der(der).unwrap();
    let tbs = certificate.tbs_certificate();
    let (start, end) = (&tbs.validity().not_before, &tbs.validity().not_after);
    let seconds = |time: &Time| time.to_unix_duration().as_secs().cast_signed();
    let mut facts = Map::new();
    let mut say = |name: &str, value: Value| facts.insert(name.to_owned(), value);
    say("version", format!("v{}", tbs.version() as u8 + 1).into());
    say("subject", subject(tbs.subject()));
    say("issuer", subject(tbs.issuer()));
    say("validity_s", (seconds(end) - seconds(start)).into());
    say("time_types", json!([time_type(start), time_type(end)]));
    let key = tbs.subject_public_key_info();
    let curve = key.algorithm.parameters.as_ref().and_then(|any| any.decode_as().ok());
    say("key", public_key(key.algorithm.oid, curve, key.subject_public_key.raw_bytes()));
    let algorithm = certificate.signature_algorithm();
    say("sig", signature(algorithm.oid).into());
    if let ("rsa-pss", Some(parameters)) = (signature(algorithm.oid), &algorithm.parameters) {
        say("pss_hash", pss_hash(parameters).into());
    }
    let extensions = tbs.extensions().map(Vec::as_slice).unwrap_or_default();
    let order: Vec<Value> = extensions
        .iter()
        .map(|extension| json!([extension.extn_id.to_string(), extension.critical]))
        .collect();
    say("ext", order.into());
    for extension in extensions {
        for (name, value) in read(extension, key.subject_public_key.raw_bytes()) {
            say(name, value);
        }
    }
    Value::Object(facts)
}

const fn time_type(time: &Time) -> &'static str {
    match time {
        Time::UtcTime(_) => "utc_time",
        Time::GeneralTime(_) => "general_time",
    }
}

fn subject(name: &Name) -> Value {
    let relative = |rdn: &x509_cert::name::RelativeDistinguishedName| {
        let mut attributes: Vec<Value> = rdn
            .iter()
            .map(|attribute| {
                let value = String::from_utf8_lossy(attribute.value.value()).into_owned();
                let kind = match attribute.value.tag() {
                    Tag::PrintableString => "PrintableString",
                    Tag::Utf8String => "UTF8String",
                    Tag::Ia5String => "IA5String",
                    _ => "another",
                };
                json!([attribute_name(&attribute.oid.to_string()), value, kind])
            })
            .collect();
        if attributes.len() == 1 { attributes.remove(0) } else { attributes.into() }
    };
    name.iter_rdn().map(relative).collect()
}

fn attribute_name(oid: &str) -> &str {
    match oid {
        "2.5.4.3" => "CN",
        "2.5.4.5" => "SERIALNUMBER",
        "2.5.4.6" => "C",
        "2.5.4.7" => "L",
        "2.5.4.8" => "ST",
        "2.5.4.9" => "STREET",
        "2.5.4.10" => "O",
        "2.5.4.11" => "OU",
        "2.5.4.17" => "POSTAL",
        "0.9.2342.19200300.100.1.1" => "UID",
        other => other,
    }
}

fn public_key(oid: ObjectIdentifier, curve: Option<ObjectIdentifier>, key: &[u8]) -> Value {
    let curve = curve.map(|curve| curve.to_string()).unwrap_or_default();
    match (oid.to_string().as_str(), curve.as_str()) {
        ("1.2.840.10045.2.1", "1.2.840.10045.3.1.7") => json!(["ec", 256]),
        ("1.2.840.10045.2.1", "1.3.132.0.34") => json!(["ec", 384]),
        ("1.2.840.10045.2.1", "1.3.132.0.35") => json!(["ec", 521]),
        ("1.3.101.112", _) => json!(["ed25519", 256]),
        ("1.2.840.113549.1.1.1", _) => {
            let modulus: Vec<Any> = Vec::from_der(key).unwrap();
            let modulus = modulus[0].value();
            let count = modulus.iter().skip_while(|byte| **byte == 0).count();
            json!(["rsa", count * 8])
        }
        (other, curve) => json!([other, curve]),
    }
}

fn signature(oid: ObjectIdentifier) -> &'static str {
    match oid.to_string().as_str() {
        "1.2.840.10045.4.3.2" => "ecdsa-sha256",
        "1.2.840.10045.4.3.3" => "ecdsa-sha384",
        "1.2.840.10045.4.3.4" => "ecdsa-sha512",
        "1.2.840.113549.1.1.10" => "rsa-pss",
        "1.2.840.113549.1.1.11" => "rsa-sha256",
        "1.2.840.113549.1.1.12" => "rsa-sha384",
        "1.2.840.113549.1.1.13" => "rsa-sha512",
        "1.3.101.112" => "ed25519",
        _ => "another",
    }
}

/// The hash is the first member, with an explicit tag (RFC 4055, 3.1).
fn pss_hash(parameters: &Any) -> &'static str {
    let has = |oid: &[u8]| parameters.value().windows(oid.len()).any(|window| window == oid);
    let sha2 = |last: u8| [0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, last];
    [(1, "sha256"), (2, "sha384"), (3, "sha512")]
        .into_iter()
        .find(|(last, _)| has(&sha2(*last)))
        .map_or("another", |(_, name)| name)
}

fn read(extension: &Extension, key: &[u8]) -> Vec<(&'static str, Value)> {
    let value = extension.extn_value.as_bytes();
    match extension.extn_id.to_string().as_str() {
        "2.5.29.14" => {
            let identifier = SubjectKeyIdentifier::from_der(value).unwrap();
            let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, key);
            let same = identifier.0.as_bytes() == hash.as_ref();
            vec![
                ("ski_len", identifier.0.as_bytes().len().into()),
                ("ski_is_sha1_of_key", same.into()),
            ]
        }
        "2.5.29.15" => vec![("ku", key_usage(&KeyUsage::from_der(value).unwrap()))],
        "2.5.29.17" => {
            let names = SubjectAltName::from_der(value).unwrap();
            vec![("san", names.0.iter().map(general_name).collect())]
        }
        "2.5.29.19" => {
            let constraints = BasicConstraints::from_der(value).unwrap();
            vec![("bc", json!([constraints.ca, constraints.path_len_constraint]))]
        }
        "2.5.29.30" => vec![("name_constraints", name_constraints(value))],
        "2.5.29.31" => {
            let points = CrlDistributionPoints::from_der(value).unwrap();
            vec![(
                "cdp",
                points.0.iter().map(|point| full_name(point.distribution_point.as_ref())).collect(),
            )]
        }
        "2.5.29.32" => vec![("policies", policies(value))],
        "2.5.29.35" => {
            let identifier = AuthorityKeyIdentifier::from_der(value).unwrap();
            let members = [
                ("key_identifier", identifier.key_identifier.is_some()),
                ("authority_cert_issuer", identifier.authority_cert_issuer.is_some()),
                ("authority_cert_serial_number", identifier.authority_cert_serial_number.is_some()),
            ];
            let there = members.into_iter().filter(|(_, there)| *there);
            vec![("aki", there.map(|(name, _)| Value::from(name)).collect())]
        }
        "2.5.29.37" => {
            let usages = ExtendedKeyUsage::from_der(value).unwrap();
            vec![("eku", usages.0.iter().map(ObjectIdentifier::to_string).collect())]
        }
        "1.3.6.1.5.5.7.1.1" => vec![("aia", information_access(value))],
        _ => Vec::new(),
    }
}

fn key_usage(usage: &KeyUsage) -> Value {
    [
        ("digital_signature", usage.digital_signature()),
        ("non_repudiation", usage.non_repudiation()),
        ("key_encipherment", usage.key_encipherment()),
        ("data_encipherment", usage.data_encipherment()),
        ("key_agreement", usage.key_agreement()),
        ("key_cert_sign", usage.key_cert_sign()),
        ("crl_sign", usage.crl_sign()),
        ("encipher_only", usage.encipher_only()),
        ("decipher_only", usage.decipher_only()),
    ]
    .into_iter()
    .filter(|(_, set)| *set)
    .map(|(name, _)| Value::from(name))
    .collect()
}

fn general_name(name: &GeneralName) -> Value {
    match name {
        GeneralName::DnsName(text) => json!(["dns", text.as_str()]),
        GeneralName::UniformResourceIdentifier(text) => json!(["uri", text.as_str()]),
        GeneralName::Rfc822Name(text) => json!(["email", text.as_str()]),
        GeneralName::IpAddress(bytes) => json!(["ip", address(bytes.as_bytes())]),
        GeneralName::OtherName(other) => {
            // [0] EXPLICIT UTF8String: the text is the inner value.
            let text = match other.value.tag() {
                Tag::Utf8String => other.value.value(),
                _ => Any::from_der(other.value.value()).map(|_| &other.value.value()[2..]).unwrap(),
            };
            json!(["other", other.type_id.to_string(), String::from_utf8_lossy(text)])
        }
        other => json!(["another", format!("{other:?}")]),
    }
}

fn address(bytes: &[u8]) -> String {
    // A name constraint contains address and mask.
    if let 8 | 32 = bytes.len() {
        let (network, mask) = bytes.split_at(bytes.len() / 2);
        return format!("{}/{}", address(network), address(mask));
    }
    if let Ok(bytes) = <[u8; 4]>::try_from(bytes) {
        return std::net::Ipv4Addr::from(bytes).to_string();
    }
    std::net::Ipv6Addr::from(<[u8; 16]>::try_from(bytes).unwrap()).to_string()
}

fn full_name(point: Option<&DistributionPointName>) -> Value {
    let Some(DistributionPointName::FullName(names)) = point else { return Value::Null };
    names.iter().map(|name| general_name(name)[1].clone()).collect()
}

fn information_access(value: &[u8]) -> Value {
    let access = AuthorityInfoAccessSyntax::from_der(value).unwrap();
    let method = |oid: &ObjectIdentifier| match oid.to_string().as_str() {
        "1.3.6.1.5.5.7.48.1" => "ocsp",
        "1.3.6.1.5.5.7.48.2" => "ca_issuers",
        _ => "another",
    };
    access
        .0
        .iter()
        .map(|entry| json!([method(&entry.access_method), general_name(&entry.access_location)[1]]))
        .collect()
}

fn policies(value: &[u8]) -> Value {
    let policies = CertificatePolicies::from_der(value).unwrap();
    let qualifiers = |policy: &x509_cert::ext::pkix::certpolicy::PolicyInformation| -> Value {
        let qualifiers = policy.policy_qualifiers.as_deref().unwrap_or_default();
        qualifiers
            .iter()
            .map(|qualifier| {
                let value = qualifier.qualifier.as_ref().unwrap();
                match qualifier.policy_qualifier_id.to_string().as_str() {
                    "1.3.6.1.5.5.7.2.1" => {
                        json!([
                            "certification_practice_statement",
                            String::from_utf8_lossy(value.value())
                        ])
                    }
                    _ => {
                        let text = Any::from_der(value.value()).unwrap();
                        json!(["user_notice", String::from_utf8_lossy(text.value())])
                    }
                }
            })
            .collect()
    };
    policies
        .0
        .iter()
        .map(|policy| json!([policy.policy_identifier.to_string(), qualifiers(policy)]))
        .collect()
}

fn name_constraints(value: &[u8]) -> Value {
    let constraints = NameConstraints::from_der(value).unwrap();
    let mut members = Map::new();
    for (name, subtrees) in [
        ("permitted_subtrees", &constraints.permitted_subtrees),
        ("excluded_subtrees", &constraints.excluded_subtrees),
    ] {
        if let Some(subtrees) = subtrees {
            let bases = subtrees.iter().map(|subtree| general_name(&subtree.base)).collect();
            members.insert(name.to_owned(), bases);
        }
    }
    Value::Object(members)
}
