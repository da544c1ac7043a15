//! `signet keystore inspect` over files that Signet, OpenSSL and `keytool` wrote.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;

use p12_keystore::{KeyStore, KeyStoreEntry, Pkcs12ImportPolicy};
use serde_json::Value;
use signet::ca::pkcs12::Encoder;

use crate::{Case, KEYS, missing, openssl_version, run, words, write_cases};

/// The report as JSON, or the exit code and standard error.
fn inspect(file: &Path, password: &str) -> Result<Value, (i32, String)> {
    let output = Command::new(env!("CARGO_BIN_EXE_signet"))
        .args(["keystore", "inspect", "-format=json"])
        .arg(file)
        .env_clear()
        .env("SIGNET_KEYSTORE_PASSWORD", password)
        .output()
        .unwrap();
    if !output.status.success() {
        let errors = String::from_utf8(output.stderr).unwrap();
        return Err((output.status.code().unwrap(), errors));
    }
    Ok(serde_json::from_slice(&output.stdout).unwrap())
}

/// The kinds of the entries, each with its alias.
fn entries(report: &Value) -> Vec<(String, String)> {
    let text = |entry: &Value, name: &str| entry[name].as_str().unwrap().to_owned();
    let entries = report["entries"].as_array().unwrap().iter();
    entries.map(|entry| (text(entry, "kind"), text(entry, "alias"))).collect()
}

/// The number of certificates in the first entry.
fn certificates(report: &Value) -> usize {
    report.pointer("/entries/0/certificates").and_then(Value::as_array).unwrap().len()
}

fn problems(report: &Value) -> String {
    report["problems"].to_string()
}

fn java(report: &Value) -> String {
    report["java"].to_string()
}

#[test]
fn the_crate_p12_keystore_reads_every_key_store_with_a_classic_mac() {
    let folder = tempfile::tempdir().unwrap();
    let mut read = 0;
    for case in write_cases(folder.path(), &KEYS) {
        if case.format != "PKCS12" || case.encoder == Some(Encoder::Modern2026) {
            continue;
        }
        let bytes = std::fs::read(&case.file).unwrap();
        let store = KeyStore::from_pkcs12(&bytes, case.password, Pkcs12ImportPolicy::Strict);
        let store = store.unwrap_or_else(|error| panic!("{}: {error}", case.name()));
        let mut found = vec!["ok".to_owned()];
        found.extend(store.entries().map(|(alias, entry)| match entry {
            KeyStoreEntry::PrivateKeyChain(chain) => format!("key:{alias}:{}", chain.certs().len()),
            KeyStoreEntry::Certificate(_) => format!("trusted:{alias}"),
            KeyStoreEntry::Secret(_) => format!("secret:{alias}"),
        }));
        assert_eq!(found.join(" "), case.expected, "{}", case.name());
        assert!(KeyStore::from_pkcs12(&bytes, "wrong", Pkcs12ImportPolicy::Strict).is_err());
        read += 1;
    }
    assert_eq!(read, 63);
}

/// The entries that Java finds in the case, in the format of a report.
fn expected(case: &Case) -> Vec<(String, String)> {
    case.expected
        .split(' ')
        .skip(1)
        .map(|entry| match entry.split(':').collect::<Vec<_>>().as_slice() {
            ["key", alias, _] => ("private_key".to_owned(), (*alias).to_owned()),
            ["trusted", alias] => ("trusted_certificate".to_owned(), (*alias).to_owned()),
            _ => ("unknown".to_owned(), entry.to_owned()),
        })
        .collect()
}

#[test]
fn inspect_finds_in_every_store_of_signet_what_java_finds() {
    let folder = tempfile::tempdir().unwrap();
    for case in write_cases(folder.path(), &KEYS) {
        let report = inspect(&case.file, case.password).unwrap();
        assert_eq!(entries(&report), expected(&case), "{}", case.name());
        let first = &report["entries"][0];
        if case.expected.contains("key:") {
            assert_eq!(first["key"]["belongs_to_first_certificate"], true, "{}", case.name());
            assert_eq!(first["chain"]["in_order"], true, "{}", case.name());
            assert_eq!(first["chain"]["complete"], true, "{}", case.name());
            let kind = match case.key {
                "rsa2048" => "RSA 2048",
                "p256" => "EC P-256",
                "p384" => "EC P-384",
                "p521" => "EC P-521",
                _ => "Ed25519",
            };
            assert_eq!(first["key"]["kind"], kind, "{}", case.name());
        }
        let needs_26 = java(&report).contains("before 26");
        assert_eq!(needs_26, case.encoder == Some(Encoder::Modern2026), "{}", case.name());
        let (code, errors) = inspect(&case.file, "wrong password").unwrap_err();
        assert!(code == 2 && errors.contains("password is wrong"), "{}: {errors}", case.name());
    }
}

/// A folder with a key, its self-signed certificate and another root, in PEM.
fn openssl_files() -> Option<tempfile::TempDir> {
    let folder = tempfile::tempdir().unwrap();
    for name in ["own", "other"] {
        let path = |end: &str| folder.path().join(format!("{name}.{end}")).into_os_string();
        let subject = OsString::from(format!("/CN={name}"));
        let mut line = words(&["req", "-x509", "-newkey", "ec", "-pkeyopt"]);
        line.extend(words(&["ec_paramgen_curve:prime256v1", "-nodes", "-days", "3", "-subj"]));
        let (key, certificate) = (path("key"), path("pem"));
        line.extend([&*subject, OsStr::new("-keyout"), &*key, OsStr::new("-out"), &*certificate]);
        let output = run("openssl", &line, "")?;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    Some(folder)
}

/// A PKCS#12 file that OpenSSL writes with these further arguments.
fn openssl_store(folder: &Path, arguments: &[&'static str]) -> PathBuf {
    let (key, certificate) = (folder.join("own.key"), folder.join("own.pem"));
    let (others, file) = (folder.join("other.pem"), folder.join("store.p12"));
    let mut line = words(&["pkcs12", "-export", "-name", "web", "-passout", "pass:changeit"]);
    line.extend([
        OsStr::new("-inkey"),
        key.as_os_str(),
        OsStr::new("-in"),
        certificate.as_os_str(),
    ]);
    line.extend([OsStr::new("-certfile"), others.as_os_str()]);
    line.extend([OsStr::new("-out"), file.as_os_str()]);
    line.extend(words(arguments));
    let output = run("openssl", &line, "").unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    file
}

#[test]
fn inspect_opens_what_openssl_writes() {
    let Some(version) = openssl_version().filter(|version| *version >= (3, 0)) else {
        return missing("OpenSSL 3");
    };
    let Some(folder) = openssl_files() else { return };
    for (arguments, mac, cipher, says) in [
        (&[][..], "HMAC-SHA-256", "AES-256-CBC, PBKDF2 with HMAC-SHA-256", ""),
        (&["-legacy"], "HMAC-SHA-1", "RC2-40", ""),
        (&["-descert", "-legacy"], "HMAC-SHA-1", "triple DES", ""),
        (&["-macalg", "sha512"], "HMAC-SHA-512", "AES-256-CBC", ""),
        (
            &["-keypbe", "AES-192-CBC", "-certpbe", "AES-192-CBC"],
            "HMAC-SHA-256",
            "AES-192-CBC",
            "No version of Java reads AES-192-CBC",
        ),
        (&["-keypbe", "AES-128-CBC", "-certpbe", "NONE"], "HMAC-SHA-256", "AES-128-CBC", ""),
        (&["-keypbe", "NONE"], "HMAC-SHA-256", "AES-256-CBC", "Java does not show a private key"),
        (&["-nomac"], "null", "AES-256-CBC", ""),
    ] {
        let report = inspect(&openssl_store(folder.path(), arguments), "changeit").unwrap();
        assert!(
            report["integrity"]["algorithm"].to_string().contains(mac),
            "{arguments:?}: {report}"
        );
        let encryption = report["encryption"].to_string();
        assert!(encryption.contains(cipher), "{arguments:?}: {report}");
        assert_eq!(entries(&report), [("private_key".to_owned(), "web".to_owned())]);
        assert_eq!(report["entries"][0]["key"]["belongs_to_first_certificate"], true);
        assert!(java(&report).contains(says), "{arguments:?}: {report}");
        // The other root is in the file but not in the chain of the leaf.
        assert!(problems(&report).contains("certificate 2 is not on the path"), "{report}");
        assert_eq!(problems(&report).contains("no MAC"), arguments == ["-nomac"], "{report}");
    }
    let camellia = &["-keypbe", "camellia-256-cbc", "-certpbe", "camellia-256-cbc"];
    let refused = inspect(&openssl_store(folder.path(), camellia), "changeit").unwrap_err();
    assert!(refused.0 == 2 && refused.1.contains("the algorithm 1.2.392"), "{refused:?}");
    if version >= (3, 4) {
        let report = inspect(&openssl_store(folder.path(), &["-pbmac1_pbkdf2"]), "changeit");
        assert!(java(&report.unwrap()).contains("before 26"));
    }
}

#[test]
fn inspect_names_certificates_that_java_does_not_show() {
    let Some(folder) = openssl_files() else { return };
    let (certificate, file) = (folder.path().join("own.pem"), folder.path().join("trust.p12"));
    let mut line = words(&["pkcs12", "-export", "-nokeys", "-passout", "pass:changeit", "-in"]);
    line.extend([certificate.as_os_str(), OsStr::new("-out"), file.as_os_str()]);
    assert!(run("openssl", &line, "").unwrap().status.success());
    let report = inspect(&file, "changeit").unwrap();
    assert_eq!(entries(&report)[0].0, "unmarked_certificate");
    assert!(java(&report).contains("trusted certificates; here: 1"), "{report}");
    assert_eq!(keytool_entries(&file).unwrap_or_default(), 0);
}

/// `keytool` on a file with the store's password `changeit`.
fn keytool(file: &Path, arguments: &[&'static str]) -> Option<String> {
    let mut line = words(arguments);
    line.extend([OsStr::new("-keystore"), file.as_os_str()]);
    line.extend(words(&["-storepass", "changeit", "-noprompt"]));
    let output = run("keytool", &line, "")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{arguments:?}: {text}");
    Some(text)
}

fn keytool_entries(file: &Path) -> Option<usize> {
    let text = keytool(file, &["-list"])?;
    Some(text.matches("PrivateKeyEntry").count() + text.matches("trustedCertEntry").count())
}

#[test]
fn inspect_opens_what_keytool_writes() {
    let folder = tempfile::tempdir().unwrap();
    for kind in ["PKCS12", "JKS"] {
        let file = folder.path().join(kind);
        for (alias, algorithm) in [("Web", "EC"), ("old", "RSA")] {
            let line = ["-genkeypair", "-storetype", kind, "-alias", alias, "-keyalg", algorithm];
            let name = ["-dname", "CN=web", "-validity", "3"];
            let Some(_) = keytool(&file, &[&line[..], &name].concat()) else { return };
        }
        let copy = folder.path().join("certificate");
        let mut line = words(&["-exportcert", "-alias", "web", "-storepass", "changeit", "-file"]);
        line.extend([copy.as_os_str(), OsStr::new("-keystore"), file.as_os_str()]);
        assert!(run("keytool", &line, "").unwrap().status.success());
        let trust = folder.path().join(format!("{kind}-trust"));
        let mut line = words(&["-importcert", "-noprompt", "-storetype", kind, "-storepass"]);
        line.extend(words(&["changeit", "-alias", "root", "-file"]));
        line.extend([copy.as_os_str(), OsStr::new("-keystore"), trust.as_os_str()]);
        assert!(run("keytool", &line, "").unwrap().status.success());

        let report = inspect(&file, "changeit").unwrap();
        let mut found = entries(&report);
        found.sort();
        let key = |alias: &str| ("private_key".to_owned(), alias.to_owned());
        assert_eq!(found, [key("old"), key("web")], "{kind}");
        assert_eq!(keytool_entries(&file), Some(2), "{kind}");
        for entry in report["entries"].as_array().unwrap() {
            assert_eq!(entry["key"]["belongs_to_first_certificate"], true, "{entry}");
            assert_eq!(entry["chain"]["complete"], true, "{entry}");
        }
        assert_eq!(certificates(&report), 1);
        assert_eq!(problems(&report).contains("without a work factor"), kind == "JKS");

        let report = inspect(&trust, "changeit").unwrap();
        let root = ("trusted_certificate".to_owned(), "root".to_owned());
        assert_eq!(entries(&report), [root], "{kind}");
        assert!(
            report["entries"][0]["certificates"][0]["validity"]
                .as_str()
                .unwrap()
                .starts_with("expires in")
        );
    }
}

#[test]
fn a_keytool_key_with_a_separate_password_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("store.jks");
    let line = ["-genkeypair", "-storetype", "JKS", "-alias", "web", "-keyalg", "EC"];
    let more = ["-dname", "CN=web", "-keypass", "another"];
    let Some(_) = keytool(&file, &[&line[..], &more].concat()) else { return };
    let report = inspect(&file, "changeit").unwrap();
    assert_eq!(report["entries"][0]["key"]["kind"], Value::Null);
    assert_eq!(certificates(&report), 1);
    assert!(java(&report).contains("-keypass"), "{report}");
}
