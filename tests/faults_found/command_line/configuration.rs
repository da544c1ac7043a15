//! What `config check` reports, and that `signet server` reports the same.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};

use super::super::support;
use super::{Done, Folder, refused_start, signet};

const SEAL: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

fn write(path: &Path, content: &str, mode: u32) {
    fs::write(path, content).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// A folder with a valid certificate, key, seal key and configuration.
fn valid() -> Folder {
    let folder = Folder::new();
    pair(&folder, |_| {});
    write(&folder.path("seal.key"), SEAL, 0o600);
    configure(&folder, "", "");
    folder
}

fn pair(folder: &Folder, change: impl Fn(&mut CertificateParams)) {
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "localhost");
    change(&mut params);
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    write(&folder.path("tls.crt"), &support::pem("CERTIFICATE", certificate.der()), 0o644);
    write(&folder.path("tls.key"), &support::pem("PRIVATE KEY", &key.serialize_der()), 0o600);
}

fn configure(folder: &Folder, from: &str, to: &str) {
    let root = folder.root().display();
    let text = format!(
        "listener \"tcp\" {{\n  address = \"127.0.0.1:0\"\n  tls_cert_file = \"{root}/tls.crt\"\n  tls_key_file = \"{root}/tls.key\"\n}}\n\
         storage \"rocksdb\" {{ path = \"{root}/store\" }}\n\
         seal \"static\" {{\n  current_key_id = \"1\"\n  current_key = \"file://{root}/seal.key\"\n}}\n"
    );
    assert!(text.contains(from));
    write(&folder.path("signet.hcl"), &text.replacen(from, to, 1), 0o600);
}

fn check(folder: &Folder) -> Done {
    signet(&["config", "check", folder.path("signet.hcl").to_str().unwrap()], &[])
}

/// `signet server` refuses to start with the same lines.
#[track_caller]
fn refused(folder: &Folder, lines: &[(&str, &[&str])]) {
    let done = check(folder);
    let config = format!("-config={}", folder.path("signet.hcl").display());
    let start = refused_start(&[&config], &[]);
    assert_eq!((done.code, start.code), (1, 1), "{}", done.stderr);
    assert_eq!(done.stderr, start.stderr);
    for (position, words) in lines {
        let found = done
            .stderr
            .lines()
            .any(|line| line.contains(position) && words.iter().all(|word| line.contains(word)));
        assert!(found, "{position} {words:?} in {}", done.stderr);
    }
}

#[track_caller]
fn warned(folder: &Folder, position: &str, words: &[&str]) {
    let done = check(folder);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let line = done.stderr.lines().find(|line| line.contains("warning: ")).unwrap_or_default();
    assert!(line.contains(position), "{position} in {}", done.stderr);
    assert!(words.iter().all(|word| line.contains(word)), "{words:?} in {}", done.stderr);
    assert_eq!(done.stderr.lines().count(), 1, "{}", done.stderr);
}

#[test]
fn n10_all_missing_seal_and_tls_files_are_reported_together_with_line_and_key() {
    let folder = valid();
    assert_eq!((check(&folder).code, check(&folder).stderr), (0, String::new()));
    for name in ["seal.key", "tls.crt", "tls.key"] {
        fs::remove_file(folder.path(name)).unwrap();
    }
    refused(
        &folder,
        &[
            ("signet.hcl:3:", &["`tls_cert_file`", "tls.crt", "No such file"]),
            ("signet.hcl:4:", &["`tls_key_file`", "tls.key", "No such file"]),
            ("signet.hcl:9:", &["`current_key`", "seal.key", "No such file"]),
        ],
    );
}

#[test]
fn n10_a_setting_that_prevents_the_start_is_an_error_with_its_position() {
    let folder = valid();
    let other = KeyPair::generate().unwrap();
    write(&folder.path("tls.key"), &support::pem("PRIVATE KEY", &other.serialize_der()), 0o600);
    refused(&folder, &[("signet.hcl:4:", &["tls_key_file", "does not belong"])]);

    let folder = valid();
    write(&folder.path("tls.crt"), "nothing", 0o644);
    write(&folder.path("tls.key"), "nothing", 0o600);
    refused(
        &folder,
        &[
            ("signet.hcl:3:", &["tls_cert_file", "not a certificate in PEM"]),
            ("signet.hcl:4:", &["tls_key_file", "not an unencrypted private key"]),
        ],
    );

    // A key of an unsupported kind: the message is Signet's, not that of the TLS library.
    let folder = valid();
    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P521_SHA512).unwrap();
    let mut der = key.serialize_der();
    // Replaces the OID of the curve (RFC 5480, 2.1.1.1: secp521r1) with that of another curve.
    let name = [0x2b, 0x81, 0x04, 0x00, 0x23];
    let at = der.windows(name.len()).position(|bytes| bytes == name).unwrap();
    der[at + 4] = 0x0a;
    write(&folder.path("tls.key"), &support::pem("PRIVATE KEY", &der), 0o600);
    refused(&folder, &[("signet.hcl:4:", &["tls_key_file", "of a kind", "ECDSA P-256"])]);

    let folder = valid();
    write(&folder.path("store"), "a file", 0o600);
    refused(&folder, &[("signet.hcl:6:", &["`path`", "is not a folder"])]);

    let folder = valid();
    write(&folder.path("letter"), "mine", 0o600);
    let line = format!("pid_file = \"{}\"\nlistener", folder.path("letter").display());
    configure(&folder, "listener", &line);
    refused(&folder, &[("signet.hcl:1:", &["`pid_file`", "letter"])]);
    assert_eq!(fs::read_to_string(folder.path("letter")).unwrap(), "mine");

    let folder = valid();
    configure(&folder, "listener", "disable_mlock = false\nlistener");
    refused(&folder, &[("signet.hcl:1:", &["`disable_mlock`", "swap"])]);

    let folder = valid();
    let two = "listener \"tcp\" {\n  address = \"127.0.0.1:8203\"\n  tls_disable = true\n}\n";
    configure(&folder, "storage", &format!("{two}{two}storage"));
    refused(&folder, &[("signet.hcl:11:", &["`address`", "is taken"])]);
}

#[test]
fn n10_a_dangerous_setting_is_a_warning_with_its_position() {
    let folder = valid();
    write(&folder.path("tls.key"), &fs::read_to_string(folder.path("tls.key")).unwrap(), 0o644);
    warned(&folder, "signet.hcl:4:", &["tls_key_file", "others", "chmod 600"]);

    let folder = valid();
    write(&folder.path("seal.key"), SEAL, 0o604);
    warned(&folder, "signet.hcl:9:", &["current_key", "others", "chmod 600"]);

    // The seal key in a configuration that others may read.
    let folder = valid();
    configure(&folder, &format!("file://{}/seal.key", folder.root().display()), SEAL);
    assert_eq!(check(&folder).stderr, "");
    fs::set_permissions(folder.path("signet.hcl"), fs::Permissions::from_mode(0o644)).unwrap();
    warned(&folder, "signet.hcl:9:", &["current_key", "signet.hcl", "chmod 600"]);

    let folder = valid();
    pair(&folder, |params| params.subject_alt_names.clear());
    warned(&folder, "signet.hcl:3:", &["tls_cert_file", "subjectAltName"]);

    let now = super::now();
    let folder = valid();
    pair(&folder, |params| {
        (params.not_before, params.not_after) =
            (now - time::Duration::days(9), now - time::Duration::days(1));
    });
    warned(&folder, "signet.hcl:3:", &["expired"]);
    let folder = valid();
    pair(&folder, |params| {
        (params.not_before, params.not_after) =
            (now + time::Duration::days(1), now + time::Duration::days(9));
    });
    warned(&folder, "signet.hcl:3:", &["not valid before"]);

    let folder = valid();
    configure(&folder, &format!("{}/store", folder.root().display()), "store");
    warned(&folder, "signet.hcl:6:", &["`path`", "relative"]);

    let folder = valid();
    fs::create_dir(folder.path("store")).unwrap();
    fs::set_permissions(folder.path("store"), fs::Permissions::from_mode(0o755)).unwrap();
    warned(&folder, "signet.hcl:6:", &["`path`", "chmod 700"]);

    let folder = valid();
    let missing = folder.path("run/signet.pid");
    let line = format!("pid_file = \"{}\"\nstorage", missing.display());
    configure(&folder, "storage", &line);
    warned(&folder, "signet.hcl:6:", &["`pid_file`", "cannot be written", "create its folder"]);
    fs::create_dir(missing.parent().unwrap()).unwrap();
    assert_eq!(check(&folder).stderr, "");
}

#[test]
fn n10_the_file_may_be_named_by_a_flag_and_the_usage_names_it() {
    let folder = valid();
    let file = folder.path("signet.hcl");
    for line in [
        vec!["config".to_owned(), "check".to_owned(), format!("-config={}", file.display())],
        vec![
            "config".to_owned(),
            "check".to_owned(),
            "-config".to_owned(),
            file.display().to_string(),
        ],
    ] {
        let line: Vec<&str> = line.iter().map(String::as_str).collect();
        let done = signet(&line, &[]);
        assert_eq!((done.code, done.stderr.as_str()), (0, ""), "{line:?}");
    }
    let help = signet(&["config", "check", "--help"], &[]).stdout;
    assert!(help.contains("check FILE"), "{help}");
    assert_eq!(signet(&["config", "check"], &[]).code, 1);
}
