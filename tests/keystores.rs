//! Outside programs load the key stores that Signet writes: Java, `keytool`, OpenSSL, Python's
//! `cryptography` and the crate `p12-keystore`; and `signet keystore inspect` opens theirs.
//!
//! A program that is not installed is skipped with a message, or fails the test with
//! `SIGNET_REQUIRE_TOOLS=1`. `SIGNET_TEST_JAVAS` names further `java` programs, separated by colons.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "the helpers of tests, too")]

#[path = "keystores/inspect.rs"]
mod inspect;

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use data_encoding::HEXLOWER;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, PublicKeyData};
use signet::ca::keystore::StoreContents;
use signet::ca::pkcs12::{self, Encoder};
use signet::ca::time::Timestamp;
use signet::ca::{jks, pem};
use signet::secret::Secret;

const PASSWORDS: [&str; 3] = ["changeit", "", "pässwörd…"];
const KEYS: [&str; 5] = ["rsa2048", "p256", "p384", "p521", "ed25519"];
const ENCODERS: [Encoder; 4] =
    [Encoder::Auto, Encoder::Modern2026, Encoder::Modern2023, Encoder::Legacy];

/// A key with its certificate, the intermediate and the root.
struct Identity {
    key: Secret<Vec<u8>>,
    leaf: Vec<u8>,
    intermediate: Vec<u8>,
    root: Vec<u8>,
}

fn key_pair(kind: &str) -> KeyPair {
    match kind {
        "rsa2048" => {
            KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).unwrap()
        }
        "p384" => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap(),
        "p521" => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P521_SHA512).unwrap(),
        "ed25519" => KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap(),
        _ => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap(),
    }
}

fn authority(name: &str) -> CertificateParams {
    let mut parameters = CertificateParams::new(Vec::new()).unwrap();
    parameters.distinguished_name.push(rcgen::DnType::CommonName, name);
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters
}

fn identity(kind: &str) -> Identity {
    let root_key = key_pair("p256");
    let root_parameters = authority("root");
    let root = root_parameters.self_signed(&root_key).unwrap().der().to_vec();
    let root = (root, Issuer::new(root_parameters, root_key));

    let intermediate_key = key_pair("p256");
    let parameters = authority("intermediate");
    let intermediate = parameters.signed_by(&intermediate_key, &root.1).unwrap().der().to_vec();
    let issuer = Issuer::new(parameters, intermediate_key);

    let key = key_pair(kind);
    let mut parameters = CertificateParams::new(vec!["payments.example.com".into()]).unwrap();
    parameters.distinguished_name.push(rcgen::DnType::CommonName, "payments-api");
    let leaf = parameters.signed_by(&key, &issuer).unwrap().der().to_vec();
    Identity { key: Secret::new(key.serialize_der()), leaf, intermediate, root: root.0 }
}

impl Identity {
    fn with<T>(&self, key: bool, use_it: impl FnOnce(StoreContents<'_>) -> T) -> T {
        let chain: [&[u8]; 2] = [&self.intermediate, &self.root];
        let key = key.then_some(&self.key);
        use_it(StoreContents { key, leaf: &self.leaf, chain: &chain })
    }
}

/// A deterministic byte generator, sufficient for key stores in tests.
fn random() -> impl FnMut(&mut [u8]) {
    let mut state = 1_u8;
    move |target| {
        for byte in target {
            state = state.wrapping_mul(5).wrapping_add(7);
            *byte = state;
        }
    }
}

fn secret(text: &str) -> Secret<String> {
    Secret::new(text.to_owned())
}

/// A key store and the contents that every program must find.
struct Case {
    format: &'static str,
    file: PathBuf,
    password: &'static str,
    key: &'static str,
    encoder: Option<Encoder>,
    expected: &'static str,
}

impl Case {
    fn name(&self) -> String {
        self.file.file_name().unwrap().to_string_lossy().into_owned()
    }
}

fn write_cases(folder: &Path, keys: &[&'static str]) -> Vec<Case> {
    let now = Timestamp::from_unix(1_900_000_000);
    let mut cases = Vec::new();
    let mut add =
        |format, key, password, encoder: Option<Encoder>, kind: &str, expected, bytes: &[u8]| {
            let encoder_name = encoder.map_or("", Encoder::as_str);
            let number = cases.len();
            let file = folder.join(format!("{number:02}-{format}-{encoder_name}-{key}-{kind}"));
            fs::write(&file, bytes).unwrap();
            cases.push(Case { format, file, password, key, encoder, expected });
        };
    for &key in keys {
        let identity = identity(key);
        let roots: [&[u8]; 2] = [&identity.root, &identity.intermediate];
        for password in PASSWORDS {
            let secret = secret(password);
            for encoder in ENCODERS {
                let store = identity.with(true, |contents| {
                    pkcs12::key_store(contents, "api", &secret, encoder, &mut random()).unwrap()
                });
                add("PKCS12", key, password, Some(encoder), "key", "ok key:api:3", &store);
            }
            let store = identity.with(true, |contents| {
                jks::key_store(contents, "Äpi", &secret, now, &mut random()).unwrap()
            });
            add("JKS", key, password, None, "key", "ok key:äpi:3", &store);
            if key != "p256" {
                continue;
            }
            for encoder in ENCODERS {
                let store = pkcs12::trust_store(&roots, &secret, encoder, &mut random()).unwrap();
                add(
                    "PKCS12",
                    key,
                    password,
                    Some(encoder),
                    "trust",
                    "ok trusted:1 trusted:2",
                    &store,
                );
                let store = identity.with(false, |contents| {
                    pkcs12::key_store(contents, "api", &secret, encoder, &mut random()).unwrap()
                });
                let expected = "ok trusted:1 trusted:2 trusted:3";
                add("PKCS12", key, password, Some(encoder), "no-key", expected, &store);
            }
            let store = jks::trust_store(&roots, &secret, now).unwrap();
            add("JKS", key, password, None, "trust", "ok trusted:1 trusted:2", &store);
        }
    }
    cases
}

/// Runs a program; returns `None`, with a message, if it is not installed.
fn run(program: impl AsRef<OsStr>, arguments: &[&OsStr], input: &str) -> Option<Output> {
    let program = program.as_ref();
    let child = Command::new(program)
        .args(arguments)
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut child) = child else {
        missing(&program.to_string_lossy());
        return None;
    };
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().unwrap();
    let _ = writer.join().unwrap();
    Some(output)
}

fn missing(tool: &str) {
    let required = std::env::var_os("SIGNET_REQUIRE_TOOLS").is_some_and(|value| value == "1");
    assert!(!required, "SIGNET_REQUIRE_TOOLS=1, but {tool} is missing");
    println!("skipped: needs {tool}");
}

fn words(arguments: &[&'static str]) -> Vec<&'static OsStr> {
    arguments.iter().map(|argument| OsStr::new(*argument)).collect()
}

/// `java` on the PATH, then those in `SIGNET_TEST_JAVAS`.
fn javas() -> Vec<PathBuf> {
    let more = std::env::var_os("SIGNET_TEST_JAVAS").unwrap_or_default();
    // Splitting an empty value yields one empty path.
    let more = std::env::split_paths(&more).filter(|path| !path.as_os_str().is_empty());
    std::iter::once(PathBuf::from("java")).chain(more).collect()
}

fn java_may_refuse(version: u32, case: &Case) -> bool {
    // Ed25519 needs Java 15 (JEP 339), PBMAC1 needs Java 26 (JDK-8343232).
    // A non-ASCII password does not open PKCS#12 up to Java 21 at least, because `PBEKey` refuses
    // it. Java 25 accepts it, but for triple DES encodes it as UTF-8 instead of BMPString. JKS has
    // no such limit.
    (case.key == "ed25519" && case.expected.contains("key:") && version < 15)
        || (case.encoder == Some(Encoder::Modern2026) && version < 26)
        || (case.format == "PKCS12"
            && !case.password.is_ascii()
            && (version < 25 || case.encoder == Some(Encoder::Legacy)))
}

#[test]
fn every_java_loads_the_key_stores_that_its_version_supports() {
    let folder = tempfile::tempdir().unwrap();
    let cases = write_cases(folder.path(), &KEYS);
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/java/Stores.java");
    let classes = folder.path().join("classes");
    let arguments: [&OsStr; 5] = [
        OsStr::new("--release"),
        OsStr::new("8"),
        OsStr::new("-d"),
        classes.as_os_str(),
        source.as_os_str(),
    ];
    let Some(compiled) = run("javac", &arguments, "") else { return };
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    let input: String = cases
        .iter()
        .map(|case| {
            let password = HEXLOWER.encode(case.password.as_bytes());
            format!("{}\t{}\t{password}\n", case.format, case.file.display())
        })
        .collect();
    for java in javas() {
        let arguments: [&OsStr; 4] = [
            OsStr::new("-Dfile.encoding=UTF-8"),
            OsStr::new("-cp"),
            classes.as_os_str(),
            OsStr::new("Stores"),
        ];
        let Some(output) = run(&java, &arguments, &input) else { continue };
        let text = String::from_utf8(output.stdout).unwrap();
        let mut lines = text.lines();
        let version = lines.next().unwrap().trim_start_matches("1.").parse().unwrap();
        let mut wrong = Vec::new();
        let mut refused = 0;
        for case in &cases {
            let answer = lines.next().unwrap_or("nothing");
            match (answer == case.expected, java_may_refuse(version, case)) {
                (true, _) => {}
                (false, true) => refused += 1,
                (false, false) => {
                    wrong.push(format!("{} ({}): {answer}", case.name(), case.password));
                }
            }
        }
        assert!(wrong.is_empty(), "Java {version}: {wrong:#?}");
        println!("Java {version}: {} stores, {refused} not supported by this version", cases.len());
    }
}

#[test]
fn a_wrong_key_or_order_is_detected() {
    let other = identity("p256");
    for kind in KEYS {
        let identity = identity(kind);
        let (leaf, key) = (identity.leaf.as_slice(), Some(&identity.key));
        let chain: [&[u8]; 2] = [&identity.intermediate, &identity.root];
        let right = StoreContents { key, leaf, chain: &chain };
        assert_eq!(right.is_consistent(), Ok(true), "{kind}");
        let wrong_key = StoreContents { key: Some(&other.key), ..right };
        assert_eq!(wrong_key.is_consistent(), Ok(false), "{kind}");
        let reversed: [&[u8]; 2] = [&identity.root, &identity.intermediate];
        let wrong_order = StoreContents { chain: &reversed, ..right };
        assert_eq!(wrong_order.is_consistent(), Ok(false), "{kind}");
    }
}

#[test]
fn keytool_lists_the_right_number_of_entries() {
    let folder = tempfile::tempdir().unwrap();
    for case in write_cases(folder.path(), &["p256"]) {
        // keytool refuses short passwords on its command line; the Java program, which starts only
        // once, covers the other passwords and kinds of keys.
        if case.password != "changeit" || java_may_refuse(17, &case) {
            continue;
        }
        let mut arguments =
            words(&["-list", "-storepass", case.password, "-storetype", case.format]);
        arguments.extend([OsStr::new("-keystore"), case.file.as_os_str()]);
        let Some(output) = run("keytool", &arguments, "") else { return };
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        for kind in [("key:", "PrivateKeyEntry"), ("trusted:", "trustedCertEntry")] {
            let expected = case.expected.matches(kind.0).count();
            assert_eq!(text.matches(kind.1).count(), expected, "{}: {text}", case.name());
        }
    }
}

/// Major and minor version of the `openssl` on the path.
fn openssl_version() -> Option<(u32, u32)> {
    let output = run("openssl", &words(&["version"]), "")?;
    let text = String::from_utf8(output.stdout).unwrap();
    let mut numbers =
        text.split_whitespace().nth(1)?.split('.').map(|part| part.parse().unwrap_or(0));
    Some((numbers.next()?, numbers.next()?))
}

#[test]
fn openssl_opens_every_pkcs12_that_its_version_supports() {
    let Some(version) = openssl_version() else { return };
    let folder = tempfile::tempdir().unwrap();
    for case in write_cases(folder.path(), &KEYS) {
        let newer = case.encoder == Some(Encoder::Modern2026) && version < (3, 4);
        if case.format != "PKCS12" || newer {
            continue;
        }
        let mut arguments = words(&["pkcs12", "-nodes", "-passin", "stdin", "-in"]);
        arguments.push(case.file.as_os_str());
        if case.encoder == Some(Encoder::Legacy) && version >= (3, 0) {
            arguments.push(OsStr::new("-legacy"));
        }
        let output = run("openssl", &arguments, &format!("{}\n", case.password)).unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {errors}", case.name());
        let blocks = pem::decode_all(&String::from_utf8(output.stdout).unwrap());
        let count = |label| blocks.iter().filter(|block| block.label == label).count();
        let certificates = if case.expected.contains("key:") { 3 } else { 0 }
            + case.expected.matches("trusted:").count();
        assert_eq!(count("CERTIFICATE"), certificates, "{}", case.name());
        assert_eq!(count("PRIVATE KEY"), case.expected.matches("key:").count(), "{}", case.name());
    }
}

/// Passwords with surrogate pairs, which the crate `p12-keystore` does not accept for the classic MAC.
#[test]
fn openssl_opens_key_stores_with_a_password_outside_the_basic_plane() {
    let Some(version) = openssl_version().filter(|version| *version >= (3, 0)) else {
        return missing("OpenSSL 3");
    };
    let folder = tempfile::tempdir().unwrap();
    let identity = identity("p256");
    for encoder in ENCODERS {
        if encoder == Encoder::Modern2026 && version < (3, 4) {
            continue;
        }
        let store = identity.with(true, |contents| {
            pkcs12::key_store(contents, "api", &secret("pass😀"), encoder, &mut random()).unwrap()
        });
        let file = folder.path().join("store.p12");
        fs::write(&file, store).unwrap();
        let mut arguments = words(&["pkcs12", "-nodes", "-legacy", "-passin", "stdin", "-in"]);
        arguments.push(file.as_os_str());
        let Some(output) = run("openssl", &arguments, "pass😀\n") else { return };
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {errors}", encoder.as_str());
        let key = pem::decode_first(&String::from_utf8(output.stdout).unwrap(), &["PRIVATE KEY"]);
        assert!(key.is_some(), "{}", encoder.as_str());
    }
}

#[test]
fn openssl_reads_every_form_of_a_private_key() {
    for kind in KEYS {
        let pair = key_pair(kind);
        for form in [pem::KeyForm::Traditional, pem::KeyForm::Pkcs8] {
            let key = pem::private_key(&pair.serialize_der(), form).unwrap();
            let arguments = words(&["pkey", "-in", "/dev/stdin", "-pubout"]);
            let Some(output) = run("openssl", &arguments, &key.pem()) else { return };
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{kind} as {}: {errors}", key.label);
            let public = pem::decode_all(&String::from_utf8(output.stdout).unwrap());
            let expected = pair.subject_public_key_info();
            assert_eq!(public[0].der.as_slice(), expected, "{kind} as {}", key.label);
        }
    }
}

const PYTHON: &str = r"
import sys
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.hazmat.primitives.serialization.pkcs12 import load_pkcs12
for line in sys.stdin:
    path, password = line.rstrip('\n').split('\t')
    store = load_pkcs12(open(path, 'rb').read(), bytes.fromhex(password))
    if store.key:
        spki = lambda key: key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        leaf = store.cert.certificate.public_key()
        assert spki(store.key.public_key()) == spki(leaf)
        print('key', store.cert.friendly_name.decode(), 1 + len(store.additional_certs))
    else:
        print('certificates', len(store.additional_certs))
";

#[test]
fn python_cryptography_opens_every_pkcs12() {
    let check =
        words(&["-c", "import cryptography as c; assert int(c.__version__.split('.')[0]) >= 45"]);
    let Some(output) = run("python3", &check, "") else { return };
    if !output.status.success() {
        return missing("Python's cryptography 45");
    }
    let folder = tempfile::tempdir().unwrap();
    let cases: Vec<_> = write_cases(folder.path(), &KEYS)
        .into_iter()
        .filter(|case| case.format == "PKCS12")
        .collect();
    let input: String = cases
        .iter()
        .map(|case| {
            format!("{}\t{}\n", case.file.display(), HEXLOWER.encode(case.password.as_bytes()))
        })
        .collect();
    let output = run("python3", &words(&["-c", PYTHON]), &input).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let text = String::from_utf8(output.stdout).unwrap();
    for (case, answer) in cases.iter().zip(text.lines()) {
        let expected = match case.expected.matches("trusted:").count() {
            0 => "key api 3".to_owned(),
            certificates => format!("certificates {certificates}"),
        };
        assert_eq!(answer, expected, "{}", case.name());
    }
    assert_eq!(text.lines().count(), cases.len());
}
