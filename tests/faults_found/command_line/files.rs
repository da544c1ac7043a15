//! Files that the command line writes, and files that it must keep.

use std::fs;
use std::os::unix::fs::symlink;

use super::{Development, Done, Folder, refused_start};

const IDENTITY: &str = "spiffe://example.com/web";

fn issue(server: &Development, out: &Folder, flags: &[&str]) -> Done {
    let folder = format!("-out={}", out.root().display());
    let line = [&["pki", "issue", &folder, IDENTITY], flags].concat();
    server.signet(&line)
}

fn visible(out: &Folder) -> Vec<String> {
    let names = fs::read_dir(out.root()).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
    names.retain(|name| !name.starts_with('.'));
    names.sort();
    names
}

/// `echo mine > f/key.pem; signet pki issue -out=f …`.
#[test]
fn n04_a_file_that_signet_did_not_write_is_kept_unless_forced() {
    let home = Folder::new();
    let server = Development::start(&home, &["-dev-spiffe=example.com"]);
    let out = Folder::new();
    fs::write(out.path("key.pem"), "mine\n").unwrap();
    fs::write(out.path("notes.txt"), "mine too\n").unwrap();
    let done = issue(&server, &out, &[]);
    assert_eq!(done.code, 1, "{}", done.stdout);
    assert!(done.stderr.contains("key.pem") && done.stderr.contains("-force"), "{}", done.stderr);
    assert_eq!(fs::read_to_string(out.path("key.pem")).unwrap(), "mine\n");
    assert_eq!(visible(&out), ["key.pem", "notes.txt"]);

    let done = issue(&server, &out, &["-force"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(done.stderr.contains("Replaced") && done.stderr.contains("key.pem"), "{}", done.stderr);
    assert!(fs::read_to_string(out.path("key.pem")).unwrap().contains("PRIVATE KEY"));
    assert_eq!(fs::read_to_string(out.path("notes.txt")).unwrap(), "mine too\n");

    // Replacing Signet's own files needs no `-force` and prints nothing.
    for _ in 0..2 {
        let done = issue(&server, &out, &[]);
        assert_eq!((done.code, done.stderr.as_str()), (0, ""));
    }
    // A file that was copied over one of Signet's, through its link.
    fs::write(out.path("key.pem"), "mine\n").unwrap();
    let done = issue(&server, &out, &[]);
    assert_eq!(done.code, 1);
    assert_eq!(fs::read_to_string(out.path("key.pem")).unwrap(), "mine\n");
    // The same for a format that would remove the file.
    assert_eq!(issue(&server, &out, &["-format=pkcs12"]).code, 1);
    assert_eq!(fs::read_to_string(out.path("key.pem")).unwrap(), "mine\n");
}

/// The certificate was issued and its key was lost.
#[test]
fn n04_no_certificate_is_requested_for_a_folder_that_cannot_be_written() {
    let home = Folder::new();
    let server = Development::start(&home, &["-dev-spiffe=example.com"]);
    let certificates = || server.signet(&["list", "-format=json", "pki/certs"]).stdout;
    assert_eq!(issue(&server, &Folder::new(), &[]).code, 0);
    let before = certificates();
    assert!(before.contains(':'), "{before}");
    // Folder permissions do not stop root, so the test uses a folder that is never writable.
    let done = server.signet(&["pki", "issue", "-out=/proc/self", IDENTITY]);
    assert_eq!(done.code, 1, "{}", done.stdout);
    assert!(done.stderr.contains("/proc/self"), "{}", done.stderr);
    assert_eq!(certificates(), before);
}

/// `kill -9` between two steps left a folder with a private key behind.
#[test]
fn n04_keys_of_a_killed_run_are_removed_an_hour_later() {
    let home = Folder::new();
    let server = Development::start(&home, &["-dev-spiffe=example.com"]);
    let out = Folder::new();
    let leave = |name: &str, is_old: bool| {
        fs::create_dir(out.path(name)).unwrap();
        fs::write(out.path(name).join("key.pem"), "a key").unwrap();
        if is_old {
            let folder = fs::File::open(out.path(name)).unwrap();
            folder.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
        }
    };
    leave(".set-00000000-0000-0000-0000-000000000001", true);
    leave(".set-00000000-0000-0000-0000-000000000002", false);
    leave(".set-mine", true);
    assert_eq!(issue(&server, &out, &[]).code, 0);
    assert!(!out.path(".set-00000000-0000-0000-0000-000000000001").exists());
    // The folder of a run in progress, and a folder that Signet did not make.
    for kept in [".set-00000000-0000-0000-0000-000000000002", ".set-mine"] {
        assert!(out.path(kept).join("key.pem").exists(), "{kept}");
    }
    assert!(fs::read_to_string(out.path("key.pem")).unwrap().contains("PRIVATE KEY"));
}

#[test]
fn n04_files_that_another_format_removes_are_reported() {
    let home = Folder::new();
    let server = Development::start(&home, &["-dev-spiffe=example.com"]);
    let out = Folder::new();
    assert_eq!(issue(&server, &out, &["-format=pkcs12"]).code, 0);
    assert_eq!(visible(&out), ["keystore.p12", "truststore.p12"]);
    let done = issue(&server, &out, &[]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let expected = ["Removed", "keystore.p12", "truststore.p12"];
    assert!(expected.iter().all(|word| done.stderr.contains(word)), "{}", done.stderr);
    assert_eq!(visible(&out), ["bundle.pem", "key.pem", "svid.pem"]);
    // A file that Signet did not write and that this format does not use is kept.
    fs::write(out.path("keystore.jks"), "mine").unwrap();
    assert_eq!(issue(&server, &out, &["-format=pkcs12"]).code, 0);
    assert_eq!(fs::read_to_string(out.path("keystore.jks")).unwrap(), "mine");
    assert_eq!(issue(&server, &out, &["-format=jks"]).code, 1);
    assert_eq!(fs::read_to_string(out.path("keystore.jks")).unwrap(), "mine");
}

#[test]
fn n04_links_and_folders_in_the_way_are_kept() {
    let home = Folder::new();
    let server = Development::start(&home, &["-dev-spiffe=example.com"]);
    let (out, elsewhere) = (Folder::new(), Folder::new());
    fs::write(elsewhere.path("real.pem"), "mine").unwrap();
    symlink(elsewhere.path("real.pem"), out.path("svid.pem")).unwrap();
    assert_eq!(issue(&server, &out, &[]).code, 1);
    assert_eq!(fs::read_link(out.path("svid.pem")).unwrap(), elsewhere.path("real.pem"));
    assert_eq!(issue(&server, &out, &["-force"]).code, 0);
    assert_eq!(fs::read_to_string(elsewhere.path("real.pem")).unwrap(), "mine");

    let out = Folder::new();
    fs::create_dir(out.path("bundle.pem")).unwrap();
    for flags in [&[][..], &["-force"]] {
        let done = issue(&server, &out, flags);
        assert_eq!(done.code, 1);
        assert!(done.stderr.contains("is a folder"), "{}", done.stderr);
        assert_eq!(visible(&out), ["bundle.pem"]);
    }
}

/// `-dev` with an existing `~/.vault-token` of a real server.
#[test]
fn n04_a_development_server_keeps_the_token_of_a_real_one() {
    let home = Folder::new();
    fs::write(home.path(".vault-token"), "hvs.real").unwrap();
    let server = Development::start(&home, &[]);
    assert_eq!(fs::read_to_string(home.path(".vault-token")).unwrap(), "hvs.real");
    let errors = server.errors();
    assert!(errors.contains(".vault-token") && errors.contains("SIGNET_TOKEN"), "{errors}");
    assert!(server.printed.contains("export SIGNET_TOKEN=root"), "{}", server.printed);
    drop(server);

    // The token of a development server is replaced by that of the next one.
    fs::remove_file(home.path(".vault-token")).unwrap();
    for token in ["-dev-root-token-id=one", "-dev-root-token-id=two"] {
        let server = Development::start(&home, &[token]);
        assert_eq!(server.errors(), "");
        let (_, token) = token.split_once('=').unwrap();
        assert_eq!(fs::read_to_string(home.path(".vault-token")).unwrap(), token);
    }
    // A token that a later login stored is kept.
    fs::write(home.path(".vault-token"), "hvs.later").unwrap();
    let _server = Development::start(&home, &[]);
    assert_eq!(fs::read_to_string(home.path(".vault-token")).unwrap(), "hvs.later");
}

/// `-dev-root-token-id=$TOKEN` with an empty variable: no token was accepted.
#[test]
fn n04_an_empty_root_token_of_a_development_server_is_generated() {
    let home = Folder::new();
    let server = Development::start(&home, &["-dev-root-token-id="]);
    let stored = fs::read_to_string(home.path(".vault-token")).unwrap();
    assert!(server.printed.contains(&format!("root token: {stored}\n")), "{}", server.printed);
    let environment = [("SIGNET_ADDR", &*server.address), ("SIGNET_TOKEN", &*stored)];
    let done = super::signet(&["token", "lookup"], &environment);
    assert_eq!(done.code, 0, "{}", done.stderr);
}

#[test]
fn n04_a_development_server_keeps_existing_certificate_files() {
    let (home, folder) = (Folder::new(), Folder::new());
    let flag = format!("-dev-tls-cert-dir={}", folder.root().display());
    fs::write(folder.path("ca.pem"), "mine").unwrap();
    let line = ["-dev", "-dev-listen-address=127.0.0.1:0", "-dev-tls", &flag];
    let done = refused_start(&line, &[("HOME", home.root().to_str().unwrap())]);
    assert_eq!(done.code, 1);
    assert!(done.stderr.contains("ca.pem"), "{}", done.stderr);
    assert_eq!(fs::read_to_string(folder.path("ca.pem")).unwrap(), "mine");
}
