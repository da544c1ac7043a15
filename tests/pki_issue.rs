//! `signet pki issue` as a timer and a script run it: JSON, mode and owner, renewal only when due,
//! and a command after a change.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "helpers of a test, where a surprise is a failure"
)]

mod development;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use development::{Done, Server};
use serde_json::{Value, json};

const IDENTITY: &str = "spiffe://example.com/web";

/// The exit code for files that are still good, and for a command that failed.
const STILL_GOOD: i32 = 3;
const COMMAND_FAILED: i32 = 4;

/// A root and a role; certificates are valid from 30 seconds before their issue, for an hour.
fn server() -> Server {
    let server = Server::start();
    let prepare = "set -e
        signet secrets enable pki
        signet write pki/root/generate/internal common_name='Example Root' key_type=ec ttl=700h
        signet write pki/roles/spiffe allowed_uri_sans='spiffe://example.com/*' require_cn=false key_type=ec key_bits=256 ttl=1h";
    server.paste(prepare).good();
    server
}

fn issue(server: &Server, flags: &[&str]) -> Done {
    server.signet(&[&["pki", "issue", "-out=out", IDENTITY], flags].concat())
}

fn issue_json(server: &Server, flags: &[&str]) -> (i32, Value) {
    let done = issue(server, &[&["-output=json"], flags].concat());
    (done.code, serde_json::from_str(&done.stdout).unwrap())
}

fn content(server: &Server, name: &str) -> String {
    fs::read_to_string(server.path("out").join(name)).unwrap_or_default()
}

/// Serial numbers of all certificates that were issued.
fn count(server: &Server) -> usize {
    server.keys("pki/certs").len()
}

#[test]
fn json_tells_what_was_issued_and_where_it_is() {
    let server = server();
    let (code, report) = issue_json(&server, &[]);
    assert_eq!(code, 0);
    let serial = report["serial_number"].as_str().unwrap();
    let stored = server.read(&format!("pki/cert/{serial}"));
    assert_eq!(stored["certificate"].as_str().unwrap().trim(), content(&server, "svid.pem").trim());
    let (start, end) =
        (report["not_before"].as_str().unwrap(), report["not_after"].as_str().unwrap());
    assert!(start < end && end.ends_with('Z'), "{report}");
    assert!(report["expiration"].as_i64().unwrap() > 1_700_000_000);
    for (name, value) in [
        ("issued", json!(true)),
        ("identity", json!(IDENTITY)),
        ("mount", json!("pki")),
        ("role", json!("spiffe")),
        ("issuer", json!("CN=Example Root")),
        ("format", json!("pem")),
        ("folder", json!("out")),
        ("files", json!(["out/svid.pem", "out/key.pem", "out/bundle.pem"])),
        ("removed", json!([])),
        ("warnings", json!([])),
        ("command", Value::Null),
    ] {
        assert_eq!(report[name], value, "{name}");
    }
    let (code, again) = issue_json(&server, &["-if-expiring=1/3"]);
    assert_eq!(code, STILL_GOOD);
    let mut expected = report.clone();
    expected["issued"] = json!(false);
    assert_eq!(again, expected);

    let (_, report) = issue_json(&server, &["-format=pkcs12"]);
    assert_eq!(report["files"], json!(["out/keystore.p12", "out/truststore.p12"]));
    assert_eq!(report["removed"].as_array().unwrap().len(), 3);
    assert_eq!(report["issuer"], json!("CN=Example Root"));
    assert_eq!(
        issue_json(&server, &["-format=pkcs12", "-if-expiring=1/3"]).1["serial_number"],
        report["serial_number"]
    );
}

#[test]
fn flags_that_cannot_be_done_are_refused_before_anything_is_asked_or_touched() {
    let server = server();
    issue(&server, &[]).good();
    let before = (count(&server), content(&server, "key.pem"));
    for (flag, report) in [
        ("-mode=0644", "every user"),
        ("-mode=0604", "every user"),
        ("-mode=u+r", "octal"),
        ("-mode=0040", "the owner"),
        ("-owner=no-such-user", "/etc/passwd"),
        ("-owner=:no-such-group", "/etc/group"),
        ("-owner=", "USER:GROUP"),
        ("-if-expiring=2", "1/3"),
        ("-if-expiring=0", "33%"),
        ("-if-expiring=soon", "0.33"),
        ("-exec=", "command"),
        ("-output=yaml", "json"),
        ("-format=json", "-output=json"),
    ] {
        let done = issue(&server, &[flag]);
        assert_eq!((done.code, done.stdout.as_str()), (1, ""), "{flag}");
        assert!(done.stderr.contains(report), "{flag}: {}", done.stderr);
    }
    assert_eq!((count(&server), content(&server, "key.pem")), before);
}

#[test]
fn mode_and_owner_are_those_of_the_private_key() {
    let server = server();
    let done = issue(&server, &["-mode=0640"]);
    assert_eq!((done.code, done.stderr.as_str()), (0, ""));
    let mode = |name: &str| {
        fs::metadata(server.path("out").join(name)).unwrap().permissions().mode() & 0o777
    };
    assert_eq!(["key.pem", "svid.pem", "bundle.pem", ""].map(mode), [0o640, 0o644, 0o644, 0o755]);
    // Without the flag, only the owner reads: the default stays.
    issue(&server, &[]).good();
    assert_eq!(["key.pem", "svid.pem", ".current"].map(mode), [0o600, 0o600, 0o700]);
    issue(&server, &["-format=pkcs12", "-mode=0440"]).good();
    assert_eq!(["keystore.p12", "truststore.p12"].map(mode), [0o440, 0o644]);
    // A folder that keeps the group out is printed.
    fs::set_permissions(server.path("out"), fs::Permissions::from_mode(0o700)).unwrap();
    let done = issue(&server, &["-mode=0640"]);
    assert!(done.code == 0 && done.stderr.contains("chmod 755 out"), "{done:?}");
    // The mode is part of what a good set has.
    assert_eq!(issue(&server, &["-mode=0640", "-if-expiring=1/3"]).code, STILL_GOOD);
    assert_eq!(issue(&server, &["-mode=0600", "-if-expiring=1/3"]).code, 0);
}

#[test]
fn an_owner_is_set_or_the_permission_to_set_it_is_missed_before_anything_is_asked() {
    let server = server();
    let root = server.path("out").parent().unwrap().metadata().unwrap().uid() == 0;
    let before = count(&server);
    if !root {
        let done = issue(&server, &["-owner=root"]);
        assert!(done.code == 1 && done.stderr.contains("-owner"), "{done:?}");
        assert_eq!(count(&server), before);
        return;
    }
    issue(&server, &["-owner=12345:54321", "-mode=0640"]).good();
    let owner = |name: &str| {
        let found = fs::metadata(server.path("out").join(name)).unwrap();
        (found.uid(), found.gid())
    };
    assert_eq!(owner("key.pem"), (12345, 54321));
    assert_eq!(owner("svid.pem").0, 0);
    assert_eq!(
        issue(&server, &["-owner=12345", "-mode=0640", "-if-expiring=1/3"]).code,
        STILL_GOOD
    );
    assert_eq!(issue(&server, &["-owner=12346", "-mode=0640", "-if-expiring=1/3"]).code, 0);
    // A user without the right to give files away.
    let before = count(&server);
    let folder = server.path("theirs");
    fs::create_dir(&folder).unwrap();
    std::os::unix::fs::chown(&folder, Some(12345), Some(12345)).unwrap();
    let line = format!(
        "chmod 755 . && setpriv --reuid=12345 --regid=12345 --clear-groups signet pki issue -out={} -owner=0 {IDENTITY}",
        folder.display()
    );
    let done = server.paste(&line);
    assert!(done.code == 1 && done.stderr.contains("-owner"), "{done:?}");
    assert_eq!((count(&server), fs::read_dir(&folder).unwrap().count()), (before, 0));
}

#[test]
fn a_set_is_renewed_when_due_and_the_exit_code_says_so() {
    let server = server();
    assert_eq!(issue(&server, &["-if-expiring=1/3"]).code, 0, "nothing was there");
    let first = content(&server, "svid.pem");
    let done = issue(&server, &["-if-expiring=1/3"]);
    assert_eq!((done.code, done.stderr.as_str()), (STILL_GOOD, ""));
    assert!(
        done.stdout.contains("still good") && done.stdout.contains(IDENTITY),
        "{}",
        done.stdout
    );
    assert_eq!((count(&server), content(&server, "svid.pem")), (2, first.clone()));
    // Valid since 30 seconds of 3630: less than 0.995 of its life remains.
    assert_eq!(issue(&server, &["-if-expiring=99.5%"]).code, 0);
    assert_ne!(content(&server, "svid.pem"), first);
    // Another lifetime is another request.
    assert_eq!(issue(&server, &["-if-expiring=1/3", "-ttl=30m"]).code, 0);
    assert_eq!(issue(&server, &["-if-expiring=1/3", "-ttl=30m"]).code, STILL_GOOD);
    assert_eq!(issue(&server, &["-if-expiring=1/3"]).code, 0);
    // No server is asked for what is good, and none can be asked for what is due.
    let away = |fraction: &str| {
        server.paste(&format!(
            "SIGNET_ADDR=http://127.0.0.1:1 signet pki issue -out=out -if-expiring={fraction} {IDENTITY}"
        ))
    };
    let kept = content(&server, "svid.pem");
    assert_eq!(away("1/3").code, STILL_GOOD);
    assert_eq!(away("99.5%").code, 2);
    assert_eq!(content(&server, "svid.pem"), kept);
}

#[test]
fn damaged_and_other_sets_are_renewed_and_foreign_files_are_kept() {
    let server = server();
    let out = |name: &str| server.path("out").join(name);
    let due = || issue(&server, &["-if-expiring=1/3"]);
    due().good();
    fs::remove_file(out("key.pem")).unwrap();
    due().good();
    fs::write(out("key.pem"), "").unwrap();
    due().good();
    assert!(content(&server, "key.pem").contains("PRIVATE KEY"));
    let other = server.signet(&[
        "pki",
        "issue",
        "-out=out",
        "-if-expiring=1/3",
        "spiffe://example.com/api",
    ]);
    assert_eq!(other.code, 0);
    due().good();
    fs::write(out("key.pem"), "mine").unwrap();
    let done = due();
    assert!(done.code == 1 && done.stderr.contains("-force"), "{done:?}");
    assert_eq!(content(&server, "key.pem"), "mine");
    assert_eq!(issue(&server, &["-if-expiring=1/3", "-force"]).code, 0);
    assert_eq!(due().code, STILL_GOOD);
}

#[test]
fn a_key_store_is_good_only_with_its_password() {
    let server = server();
    fs::write(server.path("one"), "correct horse\n").unwrap();
    fs::write(server.path("two"), "battery staple\n").unwrap();
    for format in ["-format=pkcs12", "-format=jks"] {
        let due = |password: &str| issue(&server, &[format, "-if-expiring=1/3", password]).code;
        assert_eq!(due("-password-file=one"), 0, "{format}");
        assert_eq!(due("-password-file=one"), STILL_GOOD, "{format}");
        assert_eq!(due("-password-file=two"), 0, "{format}");
        assert_eq!(due("-password-file=two"), STILL_GOOD, "{format}");
        // Without a flag it is changeit.
        let bare = || issue(&server, &[format, "-if-expiring=1/3"]).code;
        assert_eq!((bare(), bare()), (0, STILL_GOOD), "{format}");
    }
}

#[test]
fn the_command_runs_after_a_change_alone_and_gets_no_token() {
    let server = server();
    let command =
        "-exec=test -s \"$SIGNET_FOLDER/key.pem\" && env > seen; echo \"new $SIGNET_SERIAL\"";
    let done = issue(&server, &["-if-expiring=1/3", command]);
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.stdout.contains("\nnew ") && done.stdout.contains(":"), "{}", done.stdout);
    let seen = fs::read_to_string(server.path("seen")).unwrap();
    let folder = server.path("out").canonicalize().unwrap();
    for line in [
        format!("SIGNET_FOLDER={}", folder.display()),
        format!("SIGNET_IDENTITY={IDENTITY}"),
        format!("SIGNET_ADDR={}", server.address),
    ] {
        assert!(seen.lines().any(|found| found == line), "{line}: {seen}");
    }
    assert!(seen.contains("SIGNET_SERIAL=") && seen.contains("SIGNET_EXPIRATION=2"), "{seen}");
    assert!(!seen.contains("TOKEN"), "{seen}");
    fs::remove_file(server.path("seen")).unwrap();
    assert_eq!(issue(&server, &["-if-expiring=1/3", command]).code, STILL_GOOD);
    assert!(!server.path("seen").exists(), "nothing changed");
    // Refused by the server: nothing changed.
    let refused = server.signet(&["pki", "issue", "-out=out", command, "spiffe://example.net/web"]);
    assert!(refused.code == 2 && !server.path("seen").exists(), "{refused:?}");
    // With JSON, standard output holds nothing else.
    let done = issue(&server, &["-output=json", command]);
    let report: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(report["command"], json!({ "exit_code": 0 }));
    assert!(done.stderr.starts_with("new "), "{}", done.stderr);
}

#[test]
fn a_command_that_fails_leaves_the_files_and_is_run_again() {
    let server = server();
    let failing = ["-if-expiring=1/3", "-exec=echo once; exit 7"];
    let done = issue(&server, &failing);
    assert_eq!(done.code, COMMAND_FAILED);
    assert!(done.stderr.contains('7') && done.stderr.contains("exit 7"), "{}", done.stderr);
    let first = content(&server, "svid.pem");
    assert!(first.contains("CERTIFICATE"));
    let (code, report) = issue_json(&server, &failing);
    assert_eq!(
        (code, &report["issued"], &report["command"]),
        (COMMAND_FAILED, &json!(false), &json!({ "exit_code": 7 }))
    );
    let (code, report) = issue_json(&server, &["-if-expiring=1/3", "-exec=kill -9 $$"]);
    assert_eq!((code, &report["command"]), (COMMAND_FAILED, &json!({ "exit_code": null })));
    let done = issue(&server, &["-if-expiring=1/3", "-exec=echo again"]);
    assert!(done.code == 0 && done.stdout.contains("again"), "{done:?}");
    assert_eq!(issue(&server, &["-if-expiring=1/3", "-exec=echo again"]).code, STILL_GOOD);
    assert_eq!((content(&server, "svid.pem"), count(&server)), (first, 2));
}

#[test]
fn the_examples_of_the_help_work_as_pasted() {
    let server = server();
    let help = server.signet(&["pki", "issue", "--help"]).good();
    let (_, examples) = help.split_once("Examples:\n").unwrap();
    let lines: Vec<&str> =
        examples.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    assert_eq!(lines.len(), 4, "{examples}");
    for line in lines {
        server.paste(line).good();
    }
}
