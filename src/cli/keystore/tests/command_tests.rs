use std::collections::BTreeMap;
use std::ffi::OsString;

use serde_json::Value;

use super::*;
use crate::cli::output::Output;

/// What the command did: exit code, standard output, standard error.
fn run_command(line: &[&str], environment: &[(&str, &str)]) -> (u8, String, String) {
    let environment: BTreeMap<_, _> = environment.iter().copied().collect();
    let lookup = |name: &str| environment.get(name).map(|value| (*value).to_owned());
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let line = ["signet", "keystore", "inspect"].iter().chain(line).map(OsString::from);
    let context = Context {
        environment: &lookup,
        input: &mut std::io::empty(),
        output: Output::new(&mut stdout, &mut stderr, false),
    };
    let code = crate::cli::run(line.collect(), context);
    (code, String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

#[test]
fn the_command_takes_the_password_from_file_or_environment_and_shows_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (store, password) = (path("a.p12"), path("pw"));
    let identity = identity();
    let archive = identity.pkcs12(true, &[0, 1, 2], "correct horse", Encoder::Auto);
    std::fs::write(&store, archive).unwrap();
    std::fs::write(&password, "correct horse\n").unwrap();
    let key = data_encoding::BASE64.encode(identity.key.expose());
    for format in ["table", "json", "yaml"] {
        let format = format!("-format={format}");
        let from_file = run_command(&["-password-file", &password, &format, &store], &[]);
        let environment = [("SIGNET_KEYSTORE_PASSWORD", "correct horse")];
        let from_environment = run_command(&[&format, &store], &environment);
        assert_eq!(from_file, from_environment, "{format}");
        let (code, stdout, stderr) = from_file;
        assert_eq!((code, stderr.as_str()), (0, ""), "{format}");
        assert!(stdout.contains(SPIFFE_ID), "{stdout}");
        assert!(!stdout.contains("correct horse") && !stdout.contains(&key[60..90]), "{stdout}");
    }
    let (_, stdout, _) = run_command(&["-password-file", &password, "-format=json", &store], &[]);
    let report_json: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(report_json["entries"][0]["key"]["belongs_to_first_certificate"], true);
}

#[test]
fn a_file_that_cannot_be_opened_ends_with_a_sentence_and_the_next_step() {
    let folder = tempfile::tempdir().unwrap();
    let identity = identity();
    let archive = identity.pkcs12(true, &[0, 1, 2], "changeit", Encoder::Auto);
    let jks = identity.jks(true, "1", "changeit");
    let certificate = identity.chain[0].clone();
    let followed = [archive.as_slice(), b"x"].concat();
    let large = vec![0; MAX_ARCHIVE + 1];
    for (name, bytes, password, said, step) in [
        ("wrong.p12", archive.clone(), "x", "the password is wrong", "-password-file"),
        ("wrong.jks", jks.clone(), "x", "the password is wrong", "-password-file"),
        ("empty.p12", Vec::new(), "changeit", "the file is empty", "Copy it again"),
        ("cut.p12", archive[..900].to_vec(), "changeit", "ends too early", "Copy it again"),
        ("cut.jks", jks[..900].to_vec(), "changeit", "ends too early", "Copy it again"),
        ("long.p12", followed, "changeit", "bytes follow its end", "Copy it again"),
        ("large.p12", large, "changeit", "larger than 8 MiB", "importkeystore"),
        ("a.txt", b"hello".to_vec(), "changeit", "not a key store", "Name a .p12"),
        (
            "a.pem",
            pem::encode("CERTIFICATE", &certificate).into_bytes(),
            "changeit",
            "is PEM text",
            "openssl x509",
        ),
        ("a.der", certificate, "changeit", "one certificate in DER", "openssl x509 -inform DER"),
        (
            "a.b64",
            data_encoding::BASE64.encode(&archive).into_bytes(),
            "changeit",
            "base64 text",
            "base64 -d",
        ),
        (
            "a.jceks",
            vec![0xce, 0xce, 0xce, 0xce, 0, 0],
            "changeit",
            "JCEKS",
            "keytool -importkeystore",
        ),
        (
            "ber.p12",
            vec![0x30, 0x80, 2, 1, 3, 0, 0],
            "changeit",
            "indefinite lengths",
            "openssl pkcs12",
        ),
    ] {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let environment = [("SIGNET_KEYSTORE_PASSWORD", password)];
        let (code, stdout, stderr) = run_command(&[path.to_str().unwrap()], &environment);
        assert_eq!((code, stdout.as_str()), (2, ""), "{name}: {stderr}");
        assert!(stderr.contains(said) && stderr.contains(step), "{name}: {stderr}");
        assert_eq!(stderr.lines().count(), 1, "{name}: {stderr}");
    }
    let absent = folder.path().join("absent");
    let (code, _, stderr) = run_command(&[absent.to_str().unwrap()], &[]);
    assert!(code == 1 && stderr.contains("cannot be read"), "{stderr}");
}
