//! `signet pki init`: the plan, the command, and what both refuse to touch.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of a test, where a surprise is a failure"
)]

mod development;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use der::{Decode, Encode};
use development::{BINARY, Done, Server};
use serde_json::{Value, json};
use x509_cert::Certificate;

const DOMAIN: &str = "-spiffe=example.com";
const PUBLIC: &str = "-public-address=http://pki.example.com";

/// Everything that the steps set, without what differs from run to run.
fn settings(server: &Server, root: &str, mount: &str, role: &str) -> BTreeMap<String, Value> {
    let mut state = BTreeMap::new();
    let mounts = server.read("sys/mounts");
    for (name, path) in [("root", root), ("intermediate", mount)] {
        let entry = &mounts[format!("{path}/")];
        for member in ["type", "description", "config"] {
            state.insert(format!("{name} {member}"), entry[member].clone());
        }
        for settings in ["cluster", "urls", "auto-tidy"] {
            let settings_path = format!("{path}/config/{settings}");
            state.insert(format!("{name} {settings}"), server.read(&settings_path));
        }
        let issuer = server.read(&format!("{path}/issuer/default"));
        state.insert(format!("{name} issuer name"), issuer["issuer_name"].clone());
        let chain = issuer["ca_chain"].as_array().unwrap().iter().map(described);
        state.insert(format!("{name} chain"), chain.collect());
        for list in ["issuers", "keys"] {
            state.insert(
                format!("{name} {list}"),
                server.keys(&format!("{path}/{list}")).len().into(),
            );
        }
    }
    state.insert("role".to_owned(), server.read(&format!("{mount}/roles/{role}")));
    state
}

/// Every mount with its issuers, keys, certificates and roles.
fn everything(server: &Server) -> Vec<(String, Vec<String>)> {
    let mounts = server.read("sys/mounts");
    let paths = mounts.as_object().unwrap().iter();
    paths
        .filter(|(_, mount)| mount["type"] == "pki")
        .flat_map(|(path, _)| {
            ["issuers", "keys", "certs", "roles"].map(|list| format!("{path}{list}"))
        })
        .map(|path| (path.clone(), server.keys(&path)))
        .collect()
}

/// The fields of a certificate that do not differ from run to run.
fn described(pem: &Value) -> Value {
    let pem = pem.as_str().unwrap();
    let base64: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    let der = data_encoding::BASE64.decode(base64.as_bytes()).unwrap();
    let certificate = Certificate::from_der(&der).unwrap();
    let fields = certificate.tbs_certificate();
    let validity = fields.validity();
    let seconds = |time: &x509_cert::time::Time| time.to_unix_duration().as_secs();
    // Identifiers of keys, and URLs with the issuer's identifier.
    let differs = ["2.5.29.14", "2.5.29.35", "2.5.29.31", "1.3.6.1.5.5.7.1.1"];
    let extensions = fields.extensions().into_iter().flatten().map(|extension| {
        let oid = extension.extn_id.to_string();
        let value =
            (!differs.contains(&oid.as_str())).then(|| format!("{:02x?}", extension.extn_value));
        json!([oid, extension.critical, value])
    });
    json!({
        "subject": fields.subject().to_string(),
        "issuer": fields.issuer().to_string(),
        "lifetime": seconds(&validity.not_after) - seconds(&validity.not_before),
        "key": format!("{:?}", fields.subject_public_key_info().algorithm.to_der().unwrap()),
        "extensions": extensions.collect::<Vec<_>>(),
    })
}

/// The commands of a plan, in order.
fn commands(plan: &str) -> Vec<&str> {
    plan.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect()
}

/// The reference of the tests below, without what each run chooses.
fn expected_settings() -> BTreeMap<String, Value> {
    let server = Server::start();
    server.init(&["pki", DOMAIN, PUBLIC]).good();
    settings(&server, "pki-root", "pki", "spiffe")
}

#[test]
fn the_command_and_its_pasted_plan_have_the_same_result() {
    let expected = expected_settings();
    let server = Server::start();
    let before = everything(&server);
    let plan = server.init(&["-plan", "pki", DOMAIN, PUBLIC]).good();
    assert_eq!(everything(&server), before, "a plan writes nothing");
    assert_eq!(commands(&plan).len(), 13, "{plan}");
    let done = server.paste(&format!("set -e\n{plan}"));
    assert_eq!(done.code, 0, "{done:?}");
    assert_eq!(settings(&server, "pki-root", "pki", "spiffe"), expected);

    assert_eq!(expected["root urls"], expected["intermediate urls"]);
    assert_eq!(expected["intermediate cluster"]["aia_path"], "http://pki.example.com/v1/pki");
    assert_eq!(expected["intermediate keys"], 1);
    assert_eq!(expected["intermediate chain"].as_array().unwrap().len(), 2);
    assert_eq!(expected["role"]["allowed_uri_sans"], json!(["spiffe://example.com/*"]));
    assert_eq!(expected["root chain"][0]["extensions"].as_array().unwrap().len(), 5, "no URLs");
}

#[test]
fn every_flag_has_its_effect_in_the_command_and_in_the_plan() {
    let flags = [
        "-root-mount=top/root",
        "-role=svid",
        PUBLIC,
        "-key=ec-384",
        "-root-ttl=1000h",
        "-intermediate-ttl=500h",
        "-ttl=10m",
        "-max-ttl=20m",
        "-max-path-length=1",
        "team/pki",
        "-spiffe=spiffe://example.org",
    ];
    let server = Server::start();
    server.init(&flags).good();
    let state = settings(&server, "top/root", "team/pki", "svid");
    let role = &state["role"];
    assert_eq!((&role["ttl"], &role["max_ttl"]), (&json!(600), &json!(1200)));
    assert_eq!(role["allowed_uri_sans"], json!(["spiffe://example.org/*"]));
    assert_eq!(state["root config"]["max_lease_ttl"], 1000 * 3600);
    assert_eq!(state["intermediate config"]["max_lease_ttl"], 500 * 3600);
    let chain = &state["intermediate chain"];
    assert_eq!(chain[0]["subject"], "CN=example.org intermediate");
    assert_eq!(chain[0]["lifetime"], 500 * 3600 + 30);
    assert_eq!(chain[1]["lifetime"], 1000 * 3600 + 30);
    // secp384r1, and a path length of one.
    let text = chain[0].to_string();
    assert!(chain[0]["key"].as_str().unwrap().contains("43, 129, 4, 0, 34"), "{text}");
    assert!(text.contains("[30, 06, 01, 01, ff, 02, 01, 01]"), "{text}");

    let other = Server::start();
    let plan = other.init(&[&["-plan"], &flags[..]].concat()).good();
    assert_eq!(other.paste(&format!("set -e\n{plan}")).code, 0, "{plan}");
    assert_eq!(settings(&other, "top/root", "team/pki", "svid"), state);
}

#[test]
fn an_interrupted_run_is_finished_by_the_next_one() {
    let mut expected = expected_settings();
    let server = Server::start();
    for interrupted_after in [1, 2, 4, 6, 10, 11, 12] {
        let mount = format!("pki{interrupted_after}");
        let plan = server.init(&["-plan", &mount, DOMAIN, PUBLIC]).good();
        let begun = commands(&plan)[..interrupted_after].join("\n");
        server.paste(&format!("set -e\n{begun}")).good();
        let done = server.init(&[&mount, DOMAIN, PUBLIC]).good();
        let skipped = done.matches("already there").count();
        // The request and the signature of an interrupted run are made again: they were not kept.
        let kept = if matches!(interrupted_after, 10 | 11) { 9 } else { interrupted_after };
        assert_eq!(skipped, kept, "{done}");
        let mut state = settings(&server, &format!("{mount}-root"), &mount, "spiffe");
        for name in ["root cluster", "intermediate cluster"] {
            let path = state[name]["aia_path"].as_str().unwrap().replace(&mount, "pki");
            assert_eq!(path, expected[name]["aia_path"].as_str().unwrap());
            state.insert(name.to_owned(), Value::Null);
            expected.insert(name.to_owned(), json!({ "aia_path": path }));
        }
        let same = |(name, value): (&String, &Value)| {
            assert_eq!(value, &state[name], "{name} after {interrupted_after}");
        };
        expected.iter().filter(|(name, _)| !name.ends_with("cluster")).for_each(same);
    }
}

/// The same with the command, ended by SIGKILL when a step has begun.
#[test]
fn a_killed_run_is_finished_by_the_next_one() {
    let mut expected = expected_settings();
    expected.retain(|name, _| !name.ends_with("cluster"));
    let server = Server::start();
    for step in [1, 3, 7, 10, 11, 13] {
        let mount = format!("pki{step}");
        let mut run = server
            .command(BINARY)
            .args(["pki", "init", &mount, DOMAIN, PUBLIC])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(run.stdout.take().unwrap()).lines();
        let begins = format!("{step}/13 ");
        assert!(lines.map(Result::unwrap).any(|line| line.starts_with(&begins)), "{begins}");
        run.kill().unwrap();
        run.wait().unwrap();
        if server.init(&[&mount, DOMAIN, PUBLIC]).code != 0 {
            // The last request of the killed run was still being answered.
            server.init(&[&mount, DOMAIN, PUBLIC]).good();
        }
        let mut settings = settings(&server, &format!("{mount}-root"), &mount, "spiffe");
        settings.retain(|name, _| !name.ends_with("cluster"));
        assert_eq!(settings, expected, "killed in step {step}");
    }
}

#[test]
fn addresses_that_verifiers_cannot_use_are_told() {
    let server = Server::start();
    for (flags, expected_text) in [
        (&[][..], "which other machines cannot reach"),
        (&["-public-address=http://localhost:8200"], "which other machines cannot reach"),
        (&["-public-address=http://[::1]:8200"], "which other machines cannot reach"),
        (&["-public-address=https://pki.example.com/"], "purpose = \"public\""),
    ] {
        let done = server.init(&[&["-plan", "pki", DOMAIN], flags].concat());
        assert!(done.stderr.contains(expected_text), "{flags:?}: {}", done.stderr);
        done.good();
    }
    assert_eq!(server.init(&["-plan", "pki", DOMAIN, PUBLIC]).stderr, "");
    assert_eq!(server.init(&["pki", DOMAIN, PUBLIC]).stderr, "", "the root's warning is expected");
}

#[test]
fn a_second_run_changes_nothing() {
    let server = Server::start();
    server.init(&["pki", DOMAIN]).good();
    let before = (everything(&server), settings(&server, "pki-root", "pki", "spiffe"));
    let again = server.init(&["pki", DOMAIN]).good();
    assert_eq!(again.matches("already there").count(), 13, "{again}");
    let plan = server.init(&["-plan", "pki", DOMAIN]).good();
    assert_eq!(commands(&plan), [""; 0]);
    assert_eq!(plan.matches("(done)").count(), 13, "{plan}");
    assert_eq!((everything(&server), settings(&server, "pki-root", "pki", "spiffe")), before);
}

#[test]
fn what_serves_another_use_is_not_touched() {
    for (before, expected_text) in [
        ("signet secrets enable pki", "signet secrets tune -max-lease-ttl=8760h pki"),
        ("signet secrets enable -max-lease-ttl=90h pki", "90h as the longest lifetime, not 8760h"),
        ("signet secrets enable -path=pki/below pki", "pki/ cannot be mounted beside pki/below/"),
        (
            "signet secrets enable -path=pki-root -max-lease-ttl=87600h pki; signet write pki-root/root/generate/internal common_name=Other ttl=87600h",
            "the default issuer of pki-root/ is not a root for spiffe://example.com",
        ),
        (
            "signet pki init pki -spiffe=example.org",
            "the default issuer of pki/ is not an intermediate for spiffe://example.com",
        ),
        (
            "signet pki init pki -spiffe=example.com -root-mount=other",
            "not an intermediate for spiffe://example.com under the root of pki-root/",
        ),
        (
            "signet secrets enable -max-lease-ttl=8760h pki; signet write pki/config/cluster aia_path=http://other/v1/pki",
            "-public-address",
        ),
        (
            "signet secrets enable -max-lease-ttl=8760h pki; signet write pki/config/urls issuing_certificates=http://other/ca",
            "pki/config/urls names other URLs",
        ),
        (
            "signet secrets enable -max-lease-ttl=8760h pki; signet write pki/roles/spiffe allow_any_name=true",
            "allow_any_name is true, not false",
        ),
    ] {
        let server = Server::start();
        server.paste(before).good();
        let (mounts, all) = (server.read("sys/mounts"), everything(&server));
        for plan in [&[][..], &["-plan"]] {
            let done = server.init(&[plan, &["pki", DOMAIN]].concat());
            assert_eq!((done.code, done.stdout.as_str()), (1, ""), "{before}");
            assert!(done.stderr.starts_with("Nothing was written"), "{}", done.stderr);
            assert!(done.stderr.contains(expected_text), "{before}: {}", done.stderr);
        }
        assert_eq!((server.read("sys/mounts"), everything(&server)), (mounts, all), "{before}");
    }
}

/// The fixes that the sentences of the test above name.
#[test]
fn a_conflict_is_fixed_by_the_command_that_it_names() {
    let server = Server::start();
    server.paste("signet secrets enable pki; signet write pki/config/urls ocsp_servers=http://other; signet write pki/roles/spiffe ttl=1h").good();
    let expected_text = server.init(&["pki", DOMAIN]).stderr;
    let fixes: Vec<&str> = expected_text
        .lines()
        .filter_map(|line| line.rsplit_once(": signet "))
        .map(|(_, remedy)| remedy)
        .collect();
    assert_eq!(fixes.len(), 3, "{expected_text}");
    for remedy in fixes {
        server.paste(&format!("signet {remedy}")).good();
    }
    server.init(&["pki", DOMAIN]).good();
}

#[test]
fn a_failed_step_is_named_and_the_same_line_goes_on() {
    let server = Server::start();
    // Only the server knows that this path is reserved.
    let done = server.init(&["identity/pki", "-root-mount=root", DOMAIN]);
    assert_eq!(done.code, 2, "{done:?}");
    assert!(done.stderr.contains("Step 6 of 13 failed"), "{}", done.stderr);
    assert!(done.stdout.contains("5/13") && !done.stdout.contains("7/13"), "{}", done.stdout);
    let done = server.init(&["pki", "-root-mount=root", DOMAIN]).good();
    assert_eq!(done.matches("already there").count(), 5, "{done}");
}

#[test]
fn a_plan_needs_no_server_and_names_the_flags_of_the_connection() {
    let output = Command::new(BINARY)
        .args([
            "pki",
            "init",
            "-plan",
            "-address=http://127.0.0.1:1",
            "-tls-skip-verify",
            "pki",
            DOMAIN,
        ])
        .env_clear()
        .output()
        .unwrap();
    let done = Done::of(output);
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.stderr.contains("every step is shown"), "{}", done.stderr);
    assert!(
        done.stdout
            .contains("\nexport SIGNET_ADDR=http://127.0.0.1:1\nexport SIGNET_SKIP_VERIFY=true\n")
    );
    assert_eq!(commands(&done.stdout).len(), 15, "{}", done.stdout);
}

/// The flags reach every step, and win over the environment.
#[test]
fn the_flags_of_the_connection_hold_for_every_step() {
    let server = Server::start();
    let output = server
        .command(BINARY)
        .env("SIGNET_ADDR", "http://127.0.0.1:1")
        .args([
            "pki",
            "init",
            &format!("-address={}", server.address),
            "-header=X-Trace=1",
            "pki",
            DOMAIN,
        ])
        .output()
        .unwrap();
    Done::of(output).good();
    assert_eq!(server.read("pki/config/cluster")["aia_path"], format!("{}/v1/pki", server.address));
}

/// The last line that the command prints, pasted; then OpenSSL looks at chain and lists.
#[test]
fn the_next_line_issues_and_every_url_of_the_certificate_answers() {
    let server = Server::start();
    let printed = server.init(&["pki", DOMAIN]).good();
    let (_, next) = printed.trim_end().rsplit_once("Try next:\n  ").unwrap();
    assert_eq!(next, "signet pki issue -mount=pki -role=spiffe spiffe://example.com/you");
    server.paste(next).good();
    let script = r#"set -e
        openssl verify -CAfile bundle.pem -untrusted svid.pem svid.pem
        awk '/BEGIN/ {n++} {print > ("chain" n ".pem")}' svid.pem
        for n in 1 2; do
          for url in $(openssl x509 -in chain$n.pem -noout -text | sed -n 's/.*URI:\(http.*\)/\1/p'); do
            echo "$url"
            case $url in
              */crl/der) curl -sSf "$url" | openssl crl -inform der -out list$n.pem ;;
              *) curl -sSf "$url" | openssl x509 -inform der -out above$n.pem ;;
            esac
          done
        done
        cmp above1.pem chain2.pem
        cmp above2.pem bundle.pem
        cat list1.pem list2.pem > lists.pem
        openssl verify -crl_check_all -CRLfile lists.pem -CAfile bundle.pem -untrusted svid.pem svid.pem"#;
    let checked = server.paste(script).good();
    assert_eq!(checked.matches("/v1/pki/issuer/").count(), 2, "{checked}");
    assert_eq!(checked.matches("/v1/pki-root/issuer/").count(), 2, "{checked}");
    assert_eq!(checked.matches("svid.pem: OK").count(), 2, "{checked}");
    assert!(server.path("key.pem").is_file());
}

#[test]
fn wrong_parameters_are_refused_before_a_request_is_sent() {
    for (words, expected_text) in [
        (&[DOMAIN][..], "Not enough arguments"),
        (&["pki"], "-spiffe is missing"),
        (&["pki", "-spiffe=Example.com"], "only a-z, 0-9"),
        (&["pki", "-spiffe=example.com/web"], "it has a path"),
        (&["pki", "-spiffe=example.com:8080"], "a user or a port"),
        (&["pki", "-spiffe="], "the trust domain is missing"),
        (
            &["pki", "-spiffe=a123456789.b123456789.c123456789.d123456789.e1234567.example"],
            "51 characters",
        ),
        (&["a b", DOMAIN], "is not a path for a mount"),
        (&["../pki", DOMAIN], "is not a path for a mount"),
        (&["a//b", DOMAIN], "is not a path for a mount"),
        (&["pki", DOMAIN, "-root-mount="], "is not a path for a mount"),
        (&["pki", DOMAIN, "-root-mount=pki"], "overlap"),
        (&["pki", DOMAIN, "-root-mount=pki/root"], "overlap"),
        (&["pki", DOMAIN, "-role=a/b"], "is not a name for a role"),
        (&["pki", DOMAIN, "-key=ec"], "ec-256, ec-384"),
        (&["pki", DOMAIN, "-ttl=soon"], "-ttl=soon cannot be used"),
        (&["pki", DOMAIN, "-root-ttl=0"], "a second or longer"),
        (&["pki", DOMAIN, "-ttl=25h"], "-ttl=25h is too long for -max-ttl=24h"),
        (&["pki", DOMAIN, "-intermediate-ttl=87600h"], "too long for -root-ttl=87600h"),
        (&["pki", DOMAIN, "-max-path-length=few"], "write 0, or 1"),
        (&["pki", DOMAIN, "-public-address=pki.example.com"], "such as http://pki.example.com"),
        (&["pki", DOMAIN, "-public-address=http://a/b"], "such as http://pki.example.com"),
        (&["pki", DOMAIN, "-public-address=http://me@a"], "such as http://pki.example.com"),
    ] {
        for plan in [&[][..], &["-plan"]] {
            let output = Command::new(BINARY)
                .args(["pki", "init"])
                .args(plan)
                .args(words)
                .env_clear()
                .env("SIGNET_ADDR", "http://127.0.0.1:1")
                .output()
                .unwrap();
            let done = Done::of(output);
            assert_eq!((done.code, done.stdout.as_str()), (1, ""), "{words:?}");
            assert!(done.stderr.contains(expected_text), "{words:?}: {}", done.stderr);
        }
    }
}
