//! The examples of `--help`, pasted into a shell.
//!
//! Each command of the tree has examples, and each works: in the order of the help text, against a
//! development server on a free port. [`SETUPS`] says what a command needs before. Two things
//! differ from a paste: the address `http://127.0.0.1:8200` is that of the test's server, and
//! `/etc/signet` is a temporary folder.

use super::{Shell, configuration};

/// The server that the examples meet.
#[derive(Clone, Copy, PartialEq)]
enum Met {
    /// None.
    Nothing,
    /// `signet server -dev` with this flag.
    Development(&'static str),
    /// A new server with a store, not initialised.
    New,
}

/// What is there before the examples of a command are pasted.
struct Setup {
    /// The words of the command.
    command: &'static str,
    server: Met,
    /// Lines that run first; they must succeed.
    before: &'static [&'static str],
}

const SPIFFE: Met = Met::Development("-dev-spiffe=example.com");

const WEB: &str =
    "signet write pki/roles/web allowed_domains=example.com allow_subdomains=true key_type=ec";

/// A request for a certificate, made by OpenSSL.
const REQUEST: &str = "openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout request-key.pem -subj /CN=www.example.com -out request.pem";

/// Commands that are not listed meet the server of `-dev-spiffe=example.com`, and nothing else.
const SETUPS: &[Setup] = &[
    Setup { command: "", server: SPIFFE, before: &[] },
    Setup { command: "read", server: SPIFFE, before: &[WEB] },
    Setup { command: "write", server: SPIFFE, before: &[REQUEST] },
    Setup { command: "delete", server: SPIFFE, before: &[WEB] },
    Setup { command: "patch", server: SPIFFE, before: &[WEB] },
    Setup { command: "login", server: SPIFFE, before: &["echo root > token.txt"] },
    Setup {
        command: "secrets enable",
        server: Met::Development("-dev-no-store-token"),
        before: &[],
    },
    Setup {
        command: "secrets disable",
        server: SPIFFE,
        before: &["signet secrets enable -path=pki_int pki"],
    },
    Setup {
        command: "pki issue",
        server: SPIFFE,
        before: &[
            "echo changeit > pw",
            "signet read -format=json -field=data pki/roles/spiffe > spiffe.json",
            "signet write pki/roles/kafka @spiffe.json",
        ],
    },
    Setup {
        command: "keystore",
        server: SPIFFE,
        before: &[
            "echo changeit > pw",
            "signet pki issue -format=pkcs12 -password-file=pw -out=tls spiffe://example.com/broker",
        ],
    },
    Setup {
        command: "keystore inspect",
        server: SPIFFE,
        before: &[
            "echo changeit > pw",
            "signet pki issue -format=pkcs12 -password-file=pw -out=tls spiffe://example.com/broker",
            "signet pki issue -format=jks -out=jks spiffe://example.com/broker",
            "cp jks/truststore.jks truststore.jks",
        ],
    },
    Setup { command: "operator", server: Met::New, before: &["signet operator init"] },
    Setup { command: "operator init", server: Met::New, before: &[] },
    Setup { command: "server", server: Met::Nothing, before: &[] },
    Setup { command: "config", server: Met::Nothing, before: &[] },
    Setup { command: "config check", server: Met::Nothing, before: &[] },
];

/// The commands of the tree, each by its words; the first is the program itself.
fn commands(command: &clap::Command, words: &str, into: &mut Vec<(String, String)>) {
    let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    into.push((words.to_owned(), help));
    for sub in command.get_subcommands() {
        let words = format!("{words} {}", sub.get_name());
        commands(sub, words.trim(), into);
    }
}

/// The indented lines after `Example:` or `Examples:`; those of the program itself have other
/// headings.
fn examples(words: &str, help: &str) -> Vec<String> {
    let text =
        if words.is_empty() { help } else { help.split_once("Example").map_or("", |it| it.1) };
    text.lines().filter_map(|line| line.strip_prefix("  ")).map(str::to_owned).collect()
}

fn paste(setup: &Setup, lines: &[String]) {
    let mut shell = Shell::new();
    let etc = shell.path("etc");
    std::fs::create_dir(&etc).unwrap();
    let config = configuration(shell.folder.path(), "127.0.0.1:0");
    std::fs::write(etc.join("server.hcl"), config).unwrap();
    shell.set("SIGNET_DEV_LISTEN_ADDRESS", "127.0.0.1:0");
    let command = match setup.server {
        Met::Nothing => None,
        Met::Development(flag) => {
            Some(format!("signet server -dev -dev-root-token-id=root {flag}"))
        }
        Met::New => Some("signet server -config=etc/server.hcl".to_owned()),
    };
    let server = command.map(|command| shell.serve(&command).unwrap());
    let address = server.as_ref().map(|server| server.address.clone()).unwrap_or_default();
    if server.is_some() {
        shell.set("SIGNET_ADDR", &address);
    }
    if matches!(setup.server, Met::Development(_)) {
        shell.set("SIGNET_TOKEN", "root");
    }
    for line in setup.before {
        shell.must(line);
    }
    let mut exports = String::new();
    for example in lines {
        let line = example
            .replace("http://127.0.0.1:8200", &address)
            .replace("/etc/signet", etc.to_str().unwrap());
        if line.starts_with("export ") {
            exports.push_str(&format!("{line}; "));
        } else if line.starts_with("signet server ") {
            shell.serve(&line).unwrap_or_else(|error| panic!("{example}\n{error}"));
        } else {
            shell.must(&format!("{exports}{line}"));
        }
    }
}

#[test]
fn n11_the_examples_in_the_help_of_every_command_work_as_pasted() {
    let mut all = Vec::new();
    commands(&signet::cli::tree(), "", &mut all);
    for setup in SETUPS {
        let known = all.iter().any(|(words, _)| words == setup.command);
        assert!(known, "{} is not a command", setup.command);
    }
    let other = |command| Setup { command, server: SPIFFE, before: &[] };
    for (words, help) in &all {
        let lines = examples(words, help);
        assert!(!lines.is_empty(), "the help of \"signet {words}\" has no example");
        match SETUPS.iter().find(|setup| setup.command == words) {
            Some(setup) => paste(setup, &lines),
            None => paste(&other(""), &lines),
        }
    }
}

#[test]
fn n15_help_of_a_command_is_its_help_flag() {
    let shell = Shell::new();
    let mut all = Vec::new();
    commands(&signet::cli::tree(), "", &mut all);
    for (words, _) in &all {
        if words == "help" {
            continue;
        }
        let help = shell.must(&format!("signet help {words}")).stdout;
        assert_eq!(help, shell.must(&format!("signet {words} --help")).stdout, "{words}");
        assert!(help.contains("Usage: signet"), "{help}");
    }
}

#[test]
fn n15_bash_completes_commands_and_flags() {
    let shell = Shell::new();
    let complete = |words: &str| {
        let count = words.split(' ').count();
        let line = format!(
            "source <(signet completion bash); COMP_WORDS=({words}); COMP_CWORD={}; _signet signet \"${{COMP_WORDS[-1]}}\" \"${{COMP_WORDS[-2]}}\"; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            count - 1
        );
        shell.must(&line).stdout
    };
    assert!(complete("signet stat").contains("status"));
    assert!(complete("signet pki iss").contains("issue"));
    assert!(complete("signet read --form").contains("--format"));
    assert!(shell.must("signet completion zsh").stdout.starts_with("#compdef signet"));
    assert!(shell.must("signet completion fish").stdout.contains("complete -c signet"));
}
