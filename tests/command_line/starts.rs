//! Starts that fail, each with its own sentence; a listener certificate that is not replaced; the
//! initialisation of a new server.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use super::{Shell, configuration};

const START: &str = "signet server -config=server.hcl";

fn configure(shell: &Shell, address: &str) -> String {
    let text = configuration(shell.folder.path(), address);
    std::fs::write(shell.path("server.hcl"), &text).unwrap();
    text
}

fn fails(shell: &Shell) -> String {
    match shell.serve(START) {
        Ok(server) => panic!("it serves on {}", server.address),
        Err(error) => error,
    }
}

#[test]
fn a_second_server_a_used_port_and_a_wrong_seal_key_have_sentences_of_their_own() {
    let shell = Shell::new();
    let text = configure(&shell, "127.0.0.1:0");
    let server = shell.serve(START).unwrap();
    shell.must(&format!("SIGNET_ADDR={} signet operator init", server.address));

    let second = fails(&shell);
    assert!(second.contains("is in use by another process: stop that one"), "{second}");

    let other = Shell::new();
    configure(&other, &format!("127.0.0.1:{}", server.port()));
    let used = fails(&other);
    assert!(used.contains(&format!("127.0.0.1:{}", server.port())), "{used}");
    assert!(used.to_lowercase().contains("in use"), "{used}");
    assert!(!used.contains("another process: stop that one"), "{used}");

    drop(server);
    std::fs::write(shell.path("server.hcl"), text.replace("5f5e", "0000")).unwrap();
    let wrong = fails(&shell);
    assert!(wrong.contains("does not open this store"), "{wrong}");
}

#[test]
fn a_bad_listener_certificate_is_a_warning_and_the_old_one_stays() {
    let shell = Shell::new();
    let text = configure(&shell, "127.0.0.1:0");
    let files = "tls_cert_file = \"tls.crt\"\n  tls_key_file = \"tls.key\"";
    let text = text.replace("tls_disable = true", files);
    std::fs::write(shell.path("server.hcl"), text).unwrap();
    shell.must("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout tls.key -out tls.crt -subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1 && cp tls.crt trusted.crt");
    let mut child = shell
        .command(&format!("exec {START}"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut printed = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
    let address =
        printed.find_map(|line| line.unwrap().strip_prefix("address: ").map(str::to_owned));
    let Some(address) = address else {
        panic!("{:?}", log.collect::<Vec<_>>());
    };

    std::fs::write(shell.path("tls.crt"), "not a certificate").unwrap();
    shell.must(&format!("kill -HUP {}", child.id()));
    let warning =
        log.by_ref().map(Result::unwrap).find(|line| line.contains("not replaced")).unwrap();
    assert!(warning.contains("WARN") && warning.contains("the old one stays in use"), "{warning}");
    let status =
        shell.run(&format!("SIGNET_ADDR={address} SIGNET_CACERT=trusted.crt signet status"));
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(status.stdout.contains("Initialized"), "{status:?}");
}

#[test]
fn a_configuration_error_has_file_line_column_and_the_known_keys() {
    let shell = Shell::new();
    let text = configure(&shell, "127.0.0.1:0");
    let text = text.replace("  tls_disable = true", "  tls_disable = true\n  colour = 1");
    std::fs::write(shell.path("server.hcl"), text).unwrap();
    let check = shell.run("signet config check server.hcl");
    assert_eq!(check.code, 1);
    assert!(check.stderr.starts_with("server.hcl:4:3: unknown key `colour`"), "{}", check.stderr);
    for known in ["tls_disable", "tls_cert_file"] {
        assert!(check.stderr.contains(known), "{}", check.stderr);
    }
}

/// `status` counted one share where `operator init` had asked for five, three of which recover.
#[test]
fn n15_a_server_without_key_shares_is_initialised_without_them() {
    let shell = Shell::new();
    configure(&shell, "127.0.0.1:0");
    let help = shell.must("signet operator init --help").stdout;
    assert!(!help.contains("-shares") && !help.contains("-threshold"), "{help}");

    let server = shell.serve(START).unwrap();
    let address = format!("SIGNET_ADDR={}", server.address);
    let refused = shell.run(&format!("{address} signet operator init -key-shares=5"));
    assert_eq!(refused.code, 2);
    assert!(refused.stderr.contains("To fix it: leave out -key-shares"), "{}", refused.stderr);
    let done =
        shell.must(&format!("{address} signet operator init -recovery-shares=5 -format=json"));
    assert!(done.stderr.contains("-recovery-shares had no effect"), "{}", done.stderr);
    let answer: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
    for name in ["unseal_shares", "recovery_keys_shares", "recovery_keys_threshold"] {
        assert_eq!(answer[name], 0, "{name}");
    }
}

/// As in `signet server 2>&1 | logger` after `logger` has ended.
#[test]
fn a_server_serves_on_when_the_reader_of_its_log_has_ended() {
    let shell = Shell::new();
    configure(&shell, "127.0.0.1:0");
    let mut child = shell
        .command(&format!("SIGNET_LOG_LEVEL=debug exec {START}"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut printed = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(log.next().is_some());
    drop(log);
    let address =
        printed.find_map(|line| line.unwrap().strip_prefix("address: ").map(str::to_owned));
    let address = address.expect("the server prints its address");
    for _ in 0..3 {
        let status = shell.run(&format!("SIGNET_ADDR={address} signet status"));
        assert!(status.stdout.contains("Initialized"), "{status:?}");
    }
    assert!(child.try_wait().unwrap().is_none(), "the server still runs");
    child.kill().unwrap();
    child.wait().unwrap();
}
