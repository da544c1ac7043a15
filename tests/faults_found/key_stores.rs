//! Object identifiers, key stores, and parameters that are checked before anything is signed.

use std::collections::BTreeSet;
use std::process::Command;

use data_encoding::BASE64;
use der::Decode;
use serde_json::{Value, json};
use signet::ca::certificate::Certificate;
use signet::ca::oid::ObjectIdentifier;
use signet::ca::time::Timestamp;
use signet::cli::keystore::opened::Opened;
use signet::cli::keystore::{jks, pkcs12};
use signet::clock::Clock;
use signet::http::tls::{MinimumVersion, Tls, self_signed};
use signet::secret::Secret;
use x509_cert::ext::pkix::CertificatePolicies;

use crate::support::{Answer, START, Server, der, pem};

const KEY_STORES: [&str; 3] = ["pkcs12_bundle", "jks_bundle", "pkcs12_truststore"];
const AD_CS: &str =
    "1.3.6.1.4.1.311.21.8.3719450.11115469.11946914.3506198.8878958.75.1492336001.1138714952";
const UUID: &str = "2.25.329800735698586629295641978511506172918";
const BYTE_ORDER_MARK: char = '\u{feff}';

async fn server() -> Server {
    let server = Server::with_root().await;
    let role = json!({ "allow_any_name": true, "key_type": "ec", "max_ttl": "24h" });
    server.post("pki/roles/web", role).await.ok();
    server
}

async fn keys(server: &Server, path: &str) -> Vec<String> {
    let data = server.list(path).await.data();
    let keys = data.get("keys").and_then(Value::as_array).cloned().unwrap_or_default();
    keys.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// What a refused request must not change: certificates, issuers and keys.
async fn stock(server: &Server, mount: &str) -> [Vec<String>; 3] {
    [
        keys(server, &format!("{mount}/certs")).await,
        keys(server, &format!("{mount}/issuers")).await,
        keys(server, &format!("{mount}/keys")).await,
    ]
}

fn csr(change: impl FnOnce(&mut rcgen::CertificateParams)) -> String {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    parameters.distinguished_name.push(rcgen::DnType::CommonName, "a.example.org");
    change(&mut parameters);
    pem("CERTIFICATE REQUEST", parameters.serialize_request(&key).unwrap().der())
}

fn merged(mut body: Value, more: &Value) -> Value {
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

fn open(format: &str, store: &str) -> Opened {
    let store = BASE64.decode(store.as_bytes()).unwrap();
    let password = Secret::new("changeit".to_owned());
    match format {
        "jks_bundle" => jks::open(&store, &password),
        _ => pkcs12::open(&store, &password),
    }
    .unwrap()
}

/// Whether each certificate (DER) is signed by the next one.
fn is_a_path(chain: &[Vec<u8>]) -> bool {
    let chain: Vec<_> =
        chain.iter().map(|der| Certificate::parse(der.as_slice()).unwrap()).collect();
    chain.windows(2).all(|pair| {
        pair[0].issuer() == pair[1].subject() && pair[0].verify_signed_by(pair[1].public_key())
    })
}

#[tokio::test]
async fn f14_a_refused_request_issues_nothing() {
    let server = server().await;
    let long = "x".repeat(256);
    let mut invalid = Vec::new();
    for format in KEY_STORES {
        let password = if format == "jks_bundle" { "jks_password" } else { "pkcs12_password" };
        for wrong in [
            json!({ "pkcs12_encoder": "bogus" }),
            json!({ "pkcs12_encoder": "AUTO" }),
            json!({ "jks_private_key_alias": "" }),
            json!({ "jks_private_key_alias": long }),
            json!({ "jks_private_key_alias": "a\u{0}b" }),
            json!({ password: "from a file\n" }),
            json!({ password: "a\u{0}b" }),
            json!({ password: "x".repeat(1025) }),
            json!({ password: ["x"] }),
            json!({ "jks_private_key_alias": {} }),
        ] {
            invalid.push(merged(json!({ "format": format }), &wrong));
        }
    }
    invalid.extend(
        ["", "PEM", "pkcs12", "pkcs12_bundle ", "jks"].map(|word| json!({ "format": word })),
    );
    invalid.push(json!({ "format": ["pem"] }));
    invalid.push(json!({ "remove_roots_from_chain": "bogus", "exclude_cn_from_sans": "bogus" }));
    let csr = csr(|_| {});
    let name = json!({ "common_name": "a.example.org", "key_type": "ec" });
    let signing = json!({ "common_name": "Below", "csr": csr });
    let before = stock(&server, "pki").await;
    for (path, body) in [
        ("pki/issue/web", json!({ "common_name": "a.example.org" })),
        ("pki/issuer/root/issue/web", json!({ "common_name": "a.example.org" })),
        ("pki/sign/web", json!({ "csr": csr })),
        ("pki/root/sign-intermediate", signing.clone()),
        ("pki/issuer/root/sign-intermediate", signing),
        ("pki/root/generate/exported", name.clone()),
        ("pki/root/generate/internal", name.clone()),
        ("pki/root/rotate/exported", name.clone()),
        ("pki/intermediate/generate/exported", name.clone()),
    ] {
        for parameters in &invalid {
            let answer = server.post(path, merged(body.clone(), parameters)).await;
            assert_eq!(answer.status, 400, "{path} {parameters}: {:?}", answer.json());
            assert_eq!(stock(&server, "pki").await, before, "{path} {parameters}");
        }
    }
    // A key store for a CSR, and a trust store that would drop the exported key.
    for format in KEY_STORES {
        let body = merged(name.clone(), &json!({ "format": format }));
        server.post("pki/intermediate/generate/exported", body).await.refused(400, "\"format\"");
    }
    let body = merged(name, &json!({ "format": "pkcs12_truststore" }));
    server.post("pki/root/generate/exported", body).await.refused(400, "holds no private key");
    assert_eq!(stock(&server, "pki").await, before);
}

#[tokio::test]
async fn f14_a_certificate_whose_key_store_cannot_be_built_is_not_issued() {
    let server = server().await;
    let large: Vec<_> = (0..10).map(|number| number.to_string().repeat(1_000_000)).collect();
    let before = stock(&server, "pki").await;
    for (path, body) in [
        ("pki/root/generate/exported", json!({ "common_name": "R", "key_type": "ec" })),
        ("pki/root/sign-intermediate", json!({ "common_name": "Below", "csr": csr(|_| {}) })),
    ] {
        let large = json!({ "organization": large, "format": "pkcs12_bundle" });
        let answer = server.post(path, merged(body, &large)).await;
        assert!((400..500).contains(&answer.status), "{path}: {:?}", answer.json());
        assert_eq!(stock(&server, "pki").await, before, "{path}");
    }
    // In a mount without a root, the contents of the trust store are known only after the signature.
    let server = intermediate_without_its_root().await;
    let before = stock(&server, "pki_int").await;
    for (path, body) in [
        ("pki_int/issue/web", json!({ "common_name": "a.example.org" })),
        ("pki_int/sign/web", json!({ "csr": csr(|_| {}) })),
        ("pki_int/root/sign-intermediate", json!({ "common_name": "Below", "csr": csr(|_| {}) })),
    ] {
        let body = merged(body, &json!({ "format": "pkcs12_truststore" }));
        server.post(path, body).await.refused(400, "holds no root certificate to trust");
        assert_eq!(stock(&server, "pki_int").await, before, "{path}");
    }
}

/// `pki_int` issues under the root of `pki`, which it does not hold.
async fn intermediate_without_its_root() -> Server {
    let server = Server::with_root().await;
    let mount = json!({ "type": "pki", "config": { "max_lease_ttl": "87600h" } });
    server.post("sys/mounts/pki_int", mount).await.ok();
    let asked = json!({ "common_name": "Int", "key_type": "ec" });
    let asked = server.post("pki_int/intermediate/generate/internal", asked).await.ok();
    let signing = json!({ "common_name": "Int", "csr": asked.text("csr"), "ttl": "8760h" });
    let signed = server.post("pki/root/sign-intermediate", signing).await.ok();
    let signed = json!({ "certificate": signed.text("certificate") });
    server.post("pki_int/intermediate/set-signed", signed).await.ok();
    let role = json!({ "allow_any_name": true, "key_type": "ec", "max_ttl": "24h" });
    server.post("pki_int/roles/web", role).await.ok();
    server
}

#[tokio::test]
async fn a_key_store_without_a_trust_store_has_a_warning() {
    let server = intermediate_without_its_root().await;
    let ours = |answer: &Answer| {
        answer
            .warnings()
            .into_iter()
            .filter(|text| text.starts_with("Signet: "))
            .collect::<Vec<_>>()
    };
    for format in ["pkcs12_bundle", "jks_bundle"] {
        let body = json!({ "common_name": "a.example.org", "format": format });
        let answer = server.post("pki_int/issue/web", body.clone()).await.ok();
        assert!(answer.data().get("truststore").is_none());
        assert!(ours(&answer)[0].contains("no trust store"), "{:?}", answer.warnings());
        // There is no warning if the mount holds the root; there is one if it holds another root.
        let answer =
            server.post("pki/roles/web", json!({ "allow_any_name": true, "key_type": "ec" }));
        answer.await.ok();
        let answer = server.post("pki/issue/web", body).await.ok();
        assert_eq!(ours(&answer), [""; 0]);
    }
    let other = json!({ "common_name": "Other", "key_type": "ec" });
    server.post("pki_int/root/generate/internal", other).await.ok();
    for format in KEY_STORES {
        let body = json!({ "common_name": "a.example.org", "format": format });
        let answer = server.post("pki_int/issue/web", body).await.ok();
        let text = &ours(&answer)[0];
        assert!(text.contains("does not hold the root of this certificate"), "{text}");
    }
}

/// Vault's tutorial on rotating a root: `pki` holds Root A and Root B, and both certify the same key
/// of `pki_int`. Returns the ids of the certificate under A, the certificate under B, A and B.
async fn rotation(server: &Server) -> [String; 4] {
    let b =
        json!({ "common_name": "Root B", "key_type": "ec", "issuer_name": "b", "ttl": "87600h" });
    server.post("pki/root/generate/internal", b).await.ok();
    let mount = json!({ "type": "pki", "config": { "max_lease_ttl": "87600h" } });
    server.post("sys/mounts/pki_int", mount).await.ok();
    let asked = json!({ "common_name": "Int", "key_type": "ec" });
    let asked = server.post("pki_int/intermediate/generate/internal", asked).await.ok();
    let mut bundle = String::new();
    for root in ["root", "b"] {
        let signing = json!({ "common_name": "Int", "csr": asked.text("csr"), "ttl": "8760h" });
        let path = format!("pki/issuer/{root}/sign-intermediate");
        let signed = server.post(&path, signing).await.ok();
        bundle += &format!("{}\n{}\n", signed.text("certificate"), signed.text("issuing_ca"));
    }
    let imported = json!({ "pem_bundle": bundle });
    let imported = server.post("pki_int/intermediate/set-signed", imported).await.ok();
    let role = json!({ "allow_any_name": true, "key_type": "ec", "max_ttl": "24h" });
    server.post("pki_int/roles/web", role).await.ok();
    let ids = imported.data()["imported_issuers"].as_array().unwrap().clone();
    let ids: Vec<_> = ids.iter().map(|id| id.as_str().unwrap().to_owned()).collect();
    [ids[0].clone(), ids[2].clone(), ids[1].clone(), ids[3].clone()]
}

#[tokio::test]
async fn r03_a_key_store_holds_a_verifiable_path_for_any_manual_chain() {
    let server = Server::with_root().await;
    let [own, other, a, b] = rotation(&server).await;
    let certificate = async |id: &str| {
        der(&server.get(&format!("pki_int/issuer/{id}/json")).await.ok().text("certificate"))
    };
    let roots = BTreeSet::from([certificate(&a).await, certificate(&b).await]);
    let path = [certificate(&own).await, certificate(&a).await];
    for (chain, wanted) in [
        (vec![&own, &other, &a, &b], &path[..]),
        (vec![], &path[..]),
        (vec![&own, &b, &a, &other], &path[..]),
        (vec![&own, &b, &a], &path[..]),
        (vec![&own, &own, &a, &a], &path[..]),
        (vec![&own, &other, &a], &path[..]),
        (vec![&own], &path[..1]),
        (vec![&own, &other, &b], &path[..1]),
        (vec![&own, &b], &path[..1]),
    ] {
        let change = json!({ "manual_chain": chain });
        let changed = server.call("PATCH", &format!("pki_int/issuer/{own}"), Some(&change)).await;
        changed.ok();
        for format in ["pkcs12_bundle", "jks_bundle"] {
            let body = json!({ "common_name": "a.example.org", "format": format });
            let answer = server.post(&format!("pki_int/issuer/{own}/issue/web"), body).await.ok();
            let entry = open(format, &answer.text("certificate")).keys.remove(0);
            assert_eq!(entry.chain[1..], *wanted, "{format} {chain:?}");
            assert!(is_a_path(&entry.chain), "{format} {chain:?}");
            let trusted = open(format, &answer.text("truststore")).trusted;
            let trusted: BTreeSet<_> = trusted.into_iter().map(|entry| entry.certificate).collect();
            assert_eq!(trusted, roots, "{format} {chain:?}");
            let csr = json!({ "csr": csr(|_| {}), "format": format });
            let answer = server.post(&format!("pki_int/issuer/{own}/sign/web"), csr).await.ok();
            let trusted = open(format, &answer.text("certificate")).trusted;
            let chain: Vec<_> = trusted.into_iter().map(|entry| entry.certificate).collect();
            assert_eq!(chain[1..], *wanted);
        }
    }
    let chain = json!({ "manual_chain": [own, other, a, b] });
    server.call("PATCH", &format!("pki_int/issuer/{own}"), Some(&chain)).await.ok();
    let signing = json!({ "common_name": "Below", "csr": csr(|_| {}), "format": "pkcs12_bundle" });
    let answer =
        server.post(&format!("pki_int/issuer/{own}/sign-intermediate"), signing).await.ok();
    assert_eq!(open("pkcs12_bundle", &answer.text("certificate")).trusted.len(), 3);
}

#[tokio::test]
async fn r05_every_oid_of_x660_is_accepted_in_every_field() {
    let server = server().await;
    for oid in [AD_CS, "2.999.1", "2.999", "0.9.2342.19200300.100.1.1", UUID, "1.2.4294967296"] {
        let content = ObjectIdentifier::new(oid).unwrap();
        let element =
            [&[6, u8::try_from(content.as_bytes().len()).unwrap()], content.as_bytes()].concat();
        let role = json!({
            "allow_any_name": true, "key_type": "ec", "policy_identifiers": [oid],
            "ext_key_usage_oids": [oid], "allowed_other_sans": [format!("{oid};UTF8:*")],
        });
        let written = server.post("pki/roles/oid", role.clone()).await.ok();
        assert_eq!(written.data()["policy_identifiers"], json!([oid]));
        let qualified = json!([{ "oid": oid, "cps": "https://example.org/cps" }]).to_string();
        let qualified = merged(role, &json!({ "policy_identifiers": qualified }));
        let other = format!("{oid};UTF8:some@example.org");
        let body = json!({ "common_name": "a.example.org", "other_sans": [other] });
        for role in [None, Some(qualified)] {
            if let Some(role) = role {
                server.post("pki/roles/oid", role).await.ok();
            }
            let issued = server.post("pki/issue/oid", body.clone()).await.ok();
            let issued = der(&issued.text("certificate"));
            let times = issued.windows(element.len()).filter(|part| *part == element).count();
            assert_eq!(times, 3, "{oid}");
            let read = Certificate::parse(issued).unwrap();
            assert!(read.extended_key_usage().contains(&content), "{oid}");
            assert_eq!(read.names().other[0].oid.to_string(), oid);
        }
        let warned =
            server.post("pki/roles/oid", json!({ "ext_key_usage_oids": [oid] })).await.ok();
        let warned = warned.warnings().iter().any(|text| text.contains("2147483648"));
        assert_eq!(warned, [UUID, "1.2.4294967296"].contains(&oid), "{oid}");
    }
    // Extensions of CSRs and imported certificates, which other programs write.
    let arcs: Vec<u64> = AD_CS.split('.').map(|arc| arc.parse().unwrap()).collect();
    let foreign = |parameters: &mut rcgen::CertificateParams| {
        let content = vec![4, 1, 0];
        parameters.custom_extensions =
            vec![rcgen::CustomExtension::from_oid_content(&arcs, content)];
        let purpose = rcgen::ExtendedKeyUsagePurpose::Other(arcs.clone());
        parameters.extended_key_usages = vec![purpose];
    };
    let request = csr(foreign);
    server.post("pki/sign/web", json!({ "csr": request })).await.ok();
    let signing = json!({ "common_name": "Below", "csr": request, "use_csr_values": true });
    server.post("pki/root/sign-intermediate", signing).await.ok();
    let mut root = rcgen::CertificateParams::new(Vec::new()).unwrap();
    root.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    foreign(&mut root);
    let root = root.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap();
    let imported = json!({ "pem_bundle": pem("CERTIFICATE", root.der()) });
    server.post("pki/intermediate/set-signed", imported).await.ok();
}

/// Compares with OpenSSL. Without OpenSSL, only the second implementations in the unit tests check this.
#[test]
fn r05_openssl_encodes_an_oid_in_the_same_way() {
    for text in [AD_CS, UUID, "2.999.1", "0.39", "1.39.1", "2.47.1", "2.48", "1.2.4294967296"] {
        let oid = ObjectIdentifier::new(text).unwrap();
        let written = Command::new("openssl")
            .args(["asn1parse", "-genstr", &format!("OID:{text}"), "-noout", "-out", "/dev/stdout"])
            .output();
        let Ok(written) = written else { return };
        assert!(written.status.success(), "{text}");
        let length = u8::try_from(oid.as_bytes().len()).unwrap();
        assert_eq!(written.stdout, [&[6, length], oid.as_bytes()].concat(), "{text}");
    }
}

#[tokio::test]
async fn r05_a_malformed_oid_is_refused_with_the_reason() {
    let server = server().await;
    let long = format!("2.25.{}", "9".repeat(300));
    for (oid, why) in [
        ("1", "at least two numbers"),
        ("3.1.2", "is 0, 1 or 2"),
        ("1.40.1", "at most 39"),
        (&long, "more than 127 bytes"),
    ] {
        for role in [
            json!({ "policy_identifiers": [oid] }),
            json!({ "ext_key_usage_oids": [oid] }),
            json!({ "allowed_other_sans": [format!("{oid};UTF8:*")] }),
        ] {
            server.post("pki/roles/bad", role).await.refused(400, why);
        }
        server
            .post(
                "pki/roles/any",
                json!({ "allow_any_name": true, "allowed_other_sans": "*", "key_type": "ec" }),
            )
            .await
            .ok();
        let body =
            json!({ "common_name": "a.example.org", "other_sans": [format!("{oid};UTF8:x")] });
        server.post("pki/issue/any", body).await.refused(400, why);
    }
    for word in ["bogus", "1..2", "1.x", "-1.2", "1.2."] {
        let role = json!({ "policy_identifiers": [word] });
        server
            .post("pki/roles/bad", role)
            .await
            .refused(400, "is neither a valid OID: strconv.Atoi");
    }
}

async fn policies(server: &Server, identifiers: Value) -> CertificatePolicies {
    let role =
        json!({ "allow_any_name": true, "key_type": "ec", "policy_identifiers": identifiers });
    server.post("pki/roles/policies", role).await.ok();
    let issued = server.post("pki/issue/policies", json!({ "common_name": "a.example.org" })).await;
    let issued = der(&issued.ok().text("certificate"));
    let issued = x509_cert::Certificate::from_der(&issued).unwrap();
    let (_, found) = issued.tbs_certificate().get_extension().unwrap().unwrap();
    found
}

#[tokio::test]
async fn r06_a_certificate_names_each_policy_once() {
    let server = server().await;
    let shown = |policies: &CertificatePolicies| {
        let one = |policy: &x509_cert::ext::pkix::certpolicy::PolicyInformation| {
            let qualifiers = policy.policy_qualifiers.as_ref().map_or(0, Vec::len);
            (policy.policy_identifier.to_string(), qualifiers)
        };
        policies.0.iter().map(one).collect::<Vec<_>>()
    };
    let named = |oid: &str, count: usize| (oid.to_owned(), count);
    let found = policies(&server, json!(["1.2.3", "1.2.3"])).await;
    assert_eq!(shown(&found), [named("1.2.3", 0)]);
    let found = policies(&server, json!(["1.2.3", "1.2.4", "1.2.03", "1.2.4"])).await;
    assert_eq!(shown(&found), [named("1.2.3", 0), named("1.2.4", 0)]);
    // Equal qualifiers are written once; different ones are merged under one policy.
    let cps = |host: &str| json!({ "oid": "1.2.3", "cps": format!("https://{host}.example.org") });
    let notice = json!({ "oid": "1.2.3", "notice": "N" });
    for (list, count) in [
        (json!([cps("a"), cps("a")]), 1),
        (json!([cps("a"), { "oid": "1.2.3" }, cps("a")]), 1),
        (json!([{ "oid": "1.2.3" }, cps("a"), notice]), 2),
        (json!([cps("a"), { "oid": "1.2.4" }, cps("b"), notice, notice]), 3),
    ] {
        let found = policies(&server, Value::String(list.to_string())).await;
        let again = shown(&found);
        assert_eq!(again[0], named("1.2.3", count), "{list}");
        assert_eq!(again.iter().filter(|(oid, _)| oid == "1.2.3").count(), 1, "{list}");
    }
}

#[tokio::test]
async fn r15_a_wrong_format_is_refused_with_the_list_of_formats() {
    let server = server().await;
    let name = json!({ "common_name": "a.example.org", "key_type": "ec" });
    let three = "the \"format\" path parameter must be \"pem\", \"der\", or \"pem_bundle\"";
    for (path, body, text) in [
        ("pki/issue/web", name.clone(), three),
        ("pki/sign/web", json!({ "csr": csr(|_| {}) }), three),
        ("pki/root/generate/internal", name.clone(), three),
        ("pki/intermediate/generate/internal", name, three),
        (
            "pki/root/sign-intermediate",
            json!({ "common_name": "Below", "csr": csr(|_| {}) }),
            "The \"format\" path parameter must be \"pem\" or \"der\"",
        ),
    ] {
        let answer = server.post(path, merged(body, &json!({ "format": "p12" }))).await;
        // The error has Vault's exact text; formats that only this server has are in a warning.
        assert_eq!((answer.status, answer.errors()), (400, vec![text.to_owned()]), "{path}");
        let [hint] = &answer.warnings()[..] else { panic!("{path}: {:?}", answer.json()) };
        assert!(hint.starts_with("Signet: ") && KEY_STORES.iter().all(|word| hint.contains(word)));
    }
}

#[tokio::test]
async fn a_byte_order_mark_before_pem_is_ignored() {
    let server = server().await;
    let request = csr(|_| {});
    let marked = format!("{BYTE_ORDER_MARK}{request}");
    server.post("pki/sign/web", json!({ "csr": marked })).await.ok();
    let signing = json!({ "common_name": "Below", "csr": marked });
    server.post("pki/root/sign-intermediate", signing).await.ok();
    let issued = server.post("pki/issue/web", json!({ "common_name": "a.example.org" })).await.ok();
    let certificate = format!("{BYTE_ORDER_MARK}{}", issued.text("certificate"));
    server.post("pki/revoke", json!({ "certificate": certificate })).await.ok();
    let authorities: Vec<_> = ["One", "Two"]
        .map(|name| {
            let mut root = rcgen::CertificateParams::new(Vec::new()).unwrap();
            root.distinguished_name.push(rcgen::DnType::CommonName, name);
            root.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
            let root = root.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap();
            format!("{BYTE_ORDER_MARK}{}", pem("CERTIFICATE", root.der()))
        })
        .into();
    let imported = json!({ "pem_bundle": authorities.concat() });
    let imported = server.post("pki/intermediate/set-signed", imported).await.ok();
    assert_eq!(imported.data()["imported_issuers"].as_array().unwrap().len(), 2);
    // The certificate and key files of the listener.
    let pair = self_signed(&["localhost".to_owned()], Timestamp::from_unix(START)).unwrap();
    let certificate = format!("{BYTE_ORDER_MARK}{}", pair.certificate);
    let key = format!("{BYTE_ORDER_MARK}{}", pair.key.expose());
    let (clock, _) = Clock::manual(START);
    let minimum = MinimumVersion::Tls13;
    assert!(Tls::from_pem(certificate.as_bytes(), key.as_bytes(), minimum, clock).is_ok());
}

#[tokio::test]
async fn a_serial_number_is_found_with_and_without_separators() {
    let server = server().await;
    let issue = async || {
        let body = json!({ "common_name": "a.example.org" });
        server.post("pki/issue/web", body).await.ok().text("serial_number")
    };
    let serial = issue().await;
    let plain = serial.replace(':', "");
    let spellings = |serial: &str| {
        let plain = serial.replace(':', "");
        [
            serial.to_owned(),
            serial.to_uppercase(),
            serial.replace(':', "-"),
            plain.clone(),
            plain.to_uppercase(),
            plain.trim_start_matches('0').to_owned(),
            format!("00{plain}"),
            format!("00:{serial}"),
        ]
    };
    for text in spellings(&serial) {
        server.get(&format!("pki/cert/{text}")).await.ok();
        assert_eq!(server.get(&format!("pki/cert/{text}/raw")).await.status, 200, "{text}");
        assert_eq!(server.get(&format!("pki/cert/{text}/raw/pem")).await.status, 200, "{text}");
    }
    for position in 0..8 {
        let text = spellings(&issue().await)[position].clone();
        let revoked = server.post("pki/revoke", json!({ "serial_number": text })).await.ok();
        assert_eq!(revoked.data()["state"], "revoked", "{text}");
    }
    // Anything else gets the same answers as from Vault.
    for text in ["zz", "0x01", "1:2", "00:01", &plain[1..39], "", ":", "-"] {
        let answer = server.post("pki/revoke", json!({ "serial_number": text })).await;
        let said = if text.is_empty() {
            "The serial number must be provided".to_owned()
        } else {
            format!("certificate with serial {text} not found.")
        };
        answer.refused(400, &said);
    }
    for text in ["00", "1", "ab-", "::", "0000"] {
        assert_eq!(server.get(&format!("pki/cert/{text}")).await.status, 404, "{text}");
        assert_eq!(server.get(&format!("pki/cert/{text}/raw")).await.status, 204, "{text}");
    }
}

/// Row 19 of docs/dev/weaknesses.md: each of the 128 random bits varies.
#[tokio::test]
async fn a_serial_number_has_128_bits_that_vary() {
    let server = server().await;
    let mut seen = [(0_u32, 0_u32); 20];
    const COUNT: u32 = 64;
    for _ in 0..COUNT {
        let body = json!({ "common_name": "a.example.org" });
        let serial = server.post("pki/issue/web", body).await.ok().text("serial_number");
        let bytes: Vec<_> =
            serial.split(':').map(|byte| u32::from_str_radix(byte, 16).unwrap()).collect();
        assert_eq!(bytes.len(), 20);
        for (bits, byte) in seen.iter_mut().zip(bytes) {
            *bits = (bits.0 | byte, bits.1 | (byte ^ 0xff));
        }
    }
    // The first four bytes encode the minute of the expiry. Each other bit was both 0 and 1.
    for (ones, zeros) in &seen[4..] {
        assert_eq!((*ones, *zeros), (0xff, 0xff), "{seen:x?}");
    }
}

#[tokio::test]
async fn f14_a_password_that_java_rejects_has_a_warning() {
    let server = server().await;
    let csr = csr(|_| ());
    for format in KEY_STORES {
        for (password, is_odd) in [("changeit", false), ("", false), ("pässwörd", true)] {
            let body = json!({
                "common_name": "a.example.org", "format": format, "csr": csr, "key_type": "ec",
                "pkcs12_password": password, "jks_password": password,
            });
            for path in
                ["issue/web", "sign/web", "root/sign-intermediate", "root/generate/internal"]
            {
                let answer = server.post(&format!("pki/{path}"), body.clone()).await.ok();
                let warned = answer.warnings().iter().any(|text| text.contains("is not ASCII"));
                assert_eq!(warned, is_odd && format != "jks_bundle", "{path} {format} {password}");
            }
        }
    }
}
