//! Commands that a newcomer types wrong, and their answers: `testdata/cli/mistakes.txt`.
//!
//! The file holds a command after `$`, its exit code in brackets and its output. In commands and
//! output, HTTP stands for the port of a server without TLS, TLS for that of one with TLS.
//! Renew it with `SIGNET_RENEW=1 cargo test --test command_line mistakes`, and read the difference:
//! each answer must say what to do.

use std::path::Path;

use super::Shell;

const FILE: &str = "testdata/cli/mistakes.txt";

#[test]
fn n12_n15_mistakes_of_a_newcomer_are_answered_with_the_fix() {
    let mut shell = Shell::new();
    shell.set("SIGNET_DEV_LISTEN_ADDRESS", "127.0.0.1:0");
    let server = "signet server -dev -dev-root-token-id=root -dev-no-store-token";
    let plain = shell.serve(&format!("{server} -dev-spiffe=example.com")).unwrap();
    let secured = shell.serve(&format!("{server} -dev-tls -dev-tls-cert-dir=ca")).unwrap();
    shell.set("SIGNET_ADDR", &plain.address);
    shell.set("SIGNET_TOKEN", "root");
    shell.must("mkdir earlier && echo hvs.earlier > earlier/.vault-token");
    shell.must("echo changeit > pw && echo '{\"ttl\":' > half.json");
    shell.must("signet pki issue -format=pkcs12 -out=. spiffe://example.com/web");

    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE);
    let recorded = std::fs::read_to_string(&path).unwrap();
    let commands: Vec<&str> = recorded.lines().filter_map(|line| line.strip_prefix("$ ")).collect();
    assert!(commands.len() >= 12, "{} commands", commands.len());

    let (introduction, _) = recorded.split_once("\n$ ").unwrap();
    let mut found = format!("{introduction}\n");
    for command in commands {
        let line = command
            .replace("127.0.0.1:HTTP", &format!("127.0.0.1:{}", plain.port()))
            .replace("127.0.0.1:TLS", &format!("127.0.0.1:{}", secured.port()));
        let done = shell.run(&line);
        assert_ne!(done.code, 0, "{command} is not a mistake: {}", done.stdout);
        assert_eq!(done.stdout, "", "{command}: errors go to standard error");
        let output = done
            .stderr
            .replace(&format!("127.0.0.1:{}", plain.port()), "127.0.0.1:HTTP")
            .replace(&format!("127.0.0.1:{}", secured.port()), "127.0.0.1:TLS")
            .replace(shell.folder.path().to_str().unwrap(), "FOLDER");
        found.push_str(&format!("$ {command}\n[{}]\n{}\n\n", done.code, output.trim_end()));
    }
    if std::env::var_os("SIGNET_RENEW").is_some() {
        std::fs::write(&path, &found).unwrap();
    }
    assert!(
        found == recorded,
        "{FILE} differs; renew it with\n  SIGNET_RENEW=1 cargo test --test command_line mistakes\n\nfound:\n{found}"
    );
}
