//! The commands of the README and their output.

use std::path::Path;

use super::{Serving, Shell};

/// The session between ```` ```console ```` and the end of its block.
fn session(page: &str) -> &str {
    let (_, rest) = page.split_once("```console\n").unwrap();
    rest.split_once("```").unwrap().0
}

/// The text with each instant replaced, since it differs in every run.
fn without_instants(text: &str) -> String {
    let is_instant = |word: &str| word.len() == 20 && word.starts_with("20") && word.ends_with('Z');
    let words = text.split_inclusive(|character: char| character.is_whitespace()).map(|word| {
        let instant = word.trim_end();
        if is_instant(instant) { word.replace(instant, "INSTANT") } else { word.to_owned() }
    });
    words.collect()
}

/// A shell with the address and token of a development server, which ends with the second value.
fn shell_beside_a_server() -> (Shell, Serving) {
    let mut shell = Shell::new();
    shell.set("SIGNET_DEV_LISTEN_ADDRESS", "127.0.0.1:0");
    let server = shell
        .serve("signet server -dev -dev-root-token-id=root -dev-no-store-token -dev-spiffe=example.com")
        .unwrap();
    shell.set("SIGNET_ADDR", &server.address);
    shell.set("SIGNET_TOKEN", "root");
    (shell, server)
}

#[test]
fn the_session_of_the_readme_is_real_output() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let page = std::fs::read_to_string(page).unwrap();
    let (shell, _server) = shell_beside_a_server();
    let mut found = String::new();
    for command in session(&page).lines().filter_map(|line| line.strip_prefix("$ ")) {
        let done = shell.run(command);
        found.push_str(&format!("$ {command}\n{}", done.stdout));
    }
    assert!(found.lines().count() >= 10, "{found}");
    assert_eq!(without_instants(session(&page)), without_instants(&found));
}

#[test]
fn the_commands_after_try_next_work() {
    let (shell, _server) = shell_beside_a_server();
    for format in ["pem", "pkcs12", "jks"] {
        let issue =
            format!("signet pki issue -out={format} -format={format} spiffe://example.com/a");
        let printed = shell.must(&issue).stdout;
        let (_, next) = printed.split_once("Try next:\n").unwrap();
        let commands: Vec<&str> = next.lines().filter_map(|line| line.strip_prefix("  ")).collect();
        assert!(!commands.is_empty(), "{printed}");
        for command in commands {
            shell.must(command);
        }
    }
}
