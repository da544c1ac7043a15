//! Pages whose tables are tried line by line: `docs/spiffe-role.md` and `docs/from-vault.md`.

#![expect(clippy::unwrap_used, reason = "helpers of a test, where a surprise is a failure")]

mod development;
mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use der::Decode;
use serde_json::{Map, Value, json};
use support::{Answer, Server, der};
use x509_cert::Certificate;
use x509_cert::ext::pkix::KeyUsage;

fn page(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name)).unwrap()
}

/// The rows below the heading of a table that begins with this cell, each as its cells.
fn table(page: &str, heading: &str) -> Vec<Vec<String>> {
    let start = format!("| {heading} |");
    let rows = page.lines().skip_while(|line| !line.starts_with(&start)).skip(2);
    rows.take_while(|line| line.starts_with('|'))
        .map(|line| {
            let cells = line.trim().trim_matches('|').split(" | ");
            cells.map(|cell| cell.trim().to_owned()).collect()
        })
        .collect()
}

/// What stands in backquotes.
fn code(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

/// `name=value` as a member of a body.
fn member(word: &str) -> (String, Value) {
    let (name, value) = word.split_once('=').unwrap();
    (name.to_owned(), json!(value.trim_matches('\'')))
}

/// The fields of the command that writes the role.
fn good_role(page: &str) -> Vec<String> {
    let command =
        page.lines().find_map(|line| line.strip_prefix("    signet write pki/roles/spiffe "));
    command.unwrap().split(' ').map(|word| word.replace('\'', "")).collect()
}

/// A server with a root, and the role of these fields.
async fn server_with(role: &[String]) -> (Server, Answer) {
    let server = Server::with_root().await;
    let fields: Map<String, Value> = role.iter().map(|word| member(word)).collect();
    let written = server.post("pki/roles/spiffe", Value::Object(fields)).await;
    (server, written)
}

/// Issues for `uri_sans=spiffe://example.com/web` unless the request names another.
async fn issue(server: &Server, request: &[&str]) -> Answer {
    let mut body = Map::from_iter([member("uri_sans=spiffe://example.com/web")]);
    body.extend(request.iter().map(|word| member(word)));
    server.post("pki/issue/spiffe", Value::Object(body)).await
}

fn without(role: &[String], field: &str) -> Vec<String> {
    let rest: Vec<String> = role.iter().filter(|word| *word != field).cloned().collect();
    assert_eq!(rest.len() + 1, role.len(), "{field} is not in the role");
    rest
}

#[test]
fn each_field_of_the_role_has_its_reason() {
    let page = page("spiffe-role.md");
    let explained: Vec<String> =
        table(&page, "field").iter().map(|row| code(&row[0])[0].to_owned()).collect();
    let role: Vec<_> = good_role(&page).into_iter().filter(|word| !word.contains("ttl=")).collect();
    assert_eq!(&explained[..role.len()], role);
    assert_eq!(explained.len(), good_role(&page).len());
}

#[tokio::test]
async fn a_missing_field_lets_through_what_the_page_says() {
    let page = page("spiffe-role.md");
    let role = good_role(&page);
    let rows = table(&page, "field left out");
    let tried = rows.iter().filter(|row| row.len() == 4);
    let mut count = 0;
    for row in tried {
        let (field, request, refusal) = (code(&row[0])[0], code(&row[2]), code(&row[3])[0]);
        issue(&server_with(&without(&role, field)).await.0, &request).await.ok();
        issue(&server_with(&role).await.0, &request).await.refused(400, refusal);
        count += 1;
    }
    assert_eq!(count, 3);
}

/// The usages of an issued certificate, and the seconds that it is valid.
fn usage_and_lifetime(answer: &Answer) -> (KeyUsage, u64) {
    let certificate = Certificate::from_der(&der(&answer.text("certificate"))).unwrap();
    let fields = certificate.tbs_certificate();
    let usage = fields.get_extension::<KeyUsage>().unwrap().unwrap().1;
    let validity = fields.validity();
    let [end, start] =
        [&validity.not_after, &validity.not_before].map(|time| time.to_unix_duration());
    (usage, (end - start).as_secs())
}

#[tokio::test]
async fn a_missing_field_changes_what_is_issued_as_the_page_says() {
    let page = page("spiffe-role.md");
    let role = good_role(&page);
    let (server, _) = server_with(&role).await;
    let (usage, lifetime) = usage_and_lifetime(&issue(&server, &[]).await.ok());
    assert!(usage.digital_signature() && !usage.key_agreement());
    assert_eq!(lifetime, 3600 + 30);
    let start = page.find("Other fields change").unwrap();
    let rows = table(&page[start..], "field left out");
    let mut fields = BTreeSet::new();
    for row in &rows {
        let field = code(&row[0])[0];
        assert!(fields.insert(field.to_owned()), "{field} is listed twice");
        let (server, written) = server_with(&without(&role, field)).await;
        match field.split_once('=').unwrap().0 {
            "allowed_uri_sans" => issue(&server, &[]).await.refused(400, code(&row[1])[0]),
            "require_cn" => issue(&server, &[]).await.refused(400, code(&row[1])[0]),
            "key_type" => {
                written.refused(400, code(&row[1])[0]);
                let rest = without(&without(&role, field), "key_bits=256");
                let (server, written) = server_with(&rest).await;
                written.ok();
                assert_eq!(issue(&server, &[]).await.ok().text("private_key_type"), "rsa");
            }
            "key_usage" => {
                let (usage, _) = usage_and_lifetime(&issue(&server, &[]).await.ok());
                assert!(usage.key_agreement());
            }
            "ttl" => {
                let answer = issue(&server, &[]).await.ok();
                assert_eq!(usage_and_lifetime(&answer).1, 24 * 3600 + 30);
                assert_eq!(answer.warnings().len(), 1, "{answer:?}");
            }
            "max_ttl" => {
                let answer = issue(&server, &[code(&row[1])[0]]).await.ok();
                assert_eq!(usage_and_lifetime(&answer).1, 700 * 3600 + 30);
            }
            _ => {
                assert!(row[1].starts_with("Nothing changes"), "{field} is not tried");
                let same = server_with(&role).await.1.ok().data();
                let mut other = written.ok().data();
                // The one field that is stored otherwise, and the condition under which it counts.
                if field == "allow_wildcard_certificates=false" {
                    assert_eq!(other["allow_wildcard_certificates"], json!(true));
                    other["allow_wildcard_certificates"] = json!(false);
                    wildcards_count_with_domains(&role).await;
                }
                assert_eq!(same, other, "{field}");
            }
        }
    }
    let left_out = ["allow_ip_sans=false", "allow_localhost=false"].map(str::to_owned);
    let all: BTreeSet<_> = fields.into_iter().chain(left_out).collect();
    assert_eq!(all, role.into_iter().collect());
}

async fn wildcards_count_with_domains(role: &[String]) {
    let domains = ["allowed_domains=example.com", "allow_subdomains=true"].map(str::to_owned);
    let with = [role, &domains].concat();
    let request = ["alt_names=*.example.com"];
    issue(&server_with(&with).await.0, &request).await.refused(400, "not allowed by this role");
    let without = without(&with, "allow_wildcard_certificates=false");
    issue(&server_with(&without).await.0, &request).await.ok();
}

#[tokio::test]
async fn the_mistakes_of_the_page_let_through_what_it_says() {
    let page = page("spiffe-role.md");
    let role = good_role(&page);
    let rows = table(&page, "written");
    assert_eq!(rows.len(), 2);
    let mut no_slash = role.clone();
    no_slash[0] = code(&rows[0][0])[0].to_owned();
    let request = [&*format!("uri_sans={}", code(&rows[0][1])[0])];
    issue(&server_with(&role).await.0, &request).await.refused(400, "not valid for this role");
    issue(&server_with(&no_slash).await.0, &request).await.ok();
    let any_name = [role, vec![code(&rows[1][0])[0].to_owned()]].concat();
    let (server, _) = server_with(&any_name).await;
    let request = ["common_name=a.example.net", "alt_names=b.example.net,me@example.net"];
    issue(&server, &request).await.ok();
}

#[tokio::test]
async fn what_passes_the_role_with_a_warning_is_refused_by_the_command_of_the_page() {
    let page = page("spiffe-role.md");
    let (server, _) = server_with(&good_role(&page)).await;
    let requests = ["uri_sans=spiffe://example.com/a,spiffe://example.com/b", "uri_sans="];
    for request in requests {
        assert_eq!(issue(&server, &[request]).await.ok().warnings().len(), 1, "{request}");
    }
    let patch =
        page.lines().find_map(|line| line.strip_prefix("    signet patch pki/roles/spiffe "));
    let body = Value::Object(Map::from_iter([member(patch.unwrap())]));
    server.call("PATCH", "pki/roles/spiffe", Some(&body)).await.ok();
    for request in requests {
        issue(&server, &[request]).await.refused(400, "exactly one URI SAN");
    }
    issue(&server, &[]).await.ok();
}

#[tokio::test]
async fn each_refusal_of_the_page_has_its_fix() {
    let page = page("spiffe-role.md");
    let role = good_role(&page);
    let rows = table(&page, "request");
    assert_eq!(rows.len(), 7);
    for row in rows {
        let (server, _) = server_with(&role).await;
        let request = code(&row[0]);
        let refusal = issue(&server, &request).await;
        refusal.refused(400, code(&row[1])[0]);
        let remedy = code(&row[2]).pop();
        match remedy.and_then(|remedy| remedy.strip_prefix("signet patch pki/roles/spiffe ")) {
            Some(fields) => {
                let command = remedy.unwrap();
                let warnings = refusal.warnings();
                assert!(warnings.iter().any(|warning| warning.ends_with(command)), "{warnings:?}");
                let body = fields.split(' ').map(member).collect();
                server.call("PATCH", "pki/roles/spiffe", Some(&Value::Object(body))).await.ok();
                issue(&server, &request).await.ok();
            }
            // The last column names what to ask instead, if it is not only words.
            None => {
                let instead = remedy.filter(|remedy| remedy.contains('=')).unwrap_or("ttl=1m");
                issue(&server, &[instead]).await.ok();
            }
        }
    }
}

/// `METHOD path name=value…` as it stands in the table.
async fn send(server: &Server, request: &str) -> Answer {
    let mut words = request.split(' ');
    let (method, path) = (words.next().unwrap(), words.next().unwrap());
    let body: Map<String, Value> = words.map(member).collect();
    server.call(method, path, (method == "POST").then_some(&Value::Object(body))).await
}

#[tokio::test]
async fn each_request_that_breaks_is_answered_as_the_page_says() {
    let page = page("from-vault.md");
    let server = Server::with_root().await;
    let rows = table(&page, "command of Vault");
    let mut count = 0;
    for row in &rows {
        assert_eq!(row.len(), 4, "{row:?}");
        for request in code(&row[1]) {
            let answer = send(&server, request).await;
            assert_eq!(answer.status.to_string(), row[2], "{request}: {answer:?}");
            count += 1;
        }
    }
    assert!(count > 45, "{count} requests");
    // With this path instead of another one, the answer is the path's and not that of a wrong test.
    assert_eq!(send(&server, "GET pki/config/urls").await.status, 200);
}

/// Commands of Vault, from the list of its documentation.
const VAULT_COMMANDS: [&str; 37] = [
    "agent",
    "audit",
    "auth",
    "debug",
    "delete",
    "events",
    "kv",
    "lease",
    "list",
    "login",
    "monitor",
    "namespace",
    "operator diagnose",
    "operator generate-root",
    "operator init",
    "operator key-status",
    "operator raft",
    "operator rekey",
    "operator rotate",
    "operator seal",
    "operator step-down",
    "operator unseal",
    "patch",
    "path-help",
    "pki",
    "plugin",
    "policy",
    "print",
    "proxy",
    "read",
    "secrets",
    "server",
    "ssh",
    "status",
    "token",
    "transit",
    "write",
];

#[test]
fn every_command_of_vault_is_either_here_or_on_the_page() {
    let page = page("from-vault.md");
    for command in VAULT_COMMANDS {
        let words: Vec<&str> = command.split(' ').collect();
        let done = signet(&[&words[..], &["--help"]].concat(), &[]);
        let is_named = page.contains(&format!("`vault {command}"));
        assert!(done.status.success() || is_named, "{command} is neither here nor on the page");
        let works = page.split("## What breaks").next().unwrap();
        if works.contains(&format!("`{command}`")) {
            assert!(done.status.success(), "{command} is not here");
        }
    }
    for command in
        ["secrets enable", "secrets tune", "secrets list", "secrets disable", "token lookup"]
    {
        let words: Vec<&str> = command.split(' ').collect();
        assert!(signet(&[&words[..], &["--help"]].concat(), &[]).status.success(), "{command}");
    }
}

fn signet(words: &[&str], environment: &[(&str, &str)]) -> std::process::Output {
    let mut command = std::process::Command::new(development::BINARY);
    command.args(words).env_clear().envs(environment.iter().copied()).output().unwrap()
}

#[test]
fn each_line_of_vaults_configuration_is_answered_as_the_page_says() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("server.hcl");
    let rows = table(&page("from-vault.md"), "in Vault's file");
    assert_eq!(rows.len(), 6);
    for row in rows {
        let line = code(&row[0])[0];
        let storage = if line.starts_with("storage") { "" } else { "storage \"inmem\" {}\n" };
        fs::write(&file, format!("listener \"tcp\" {{ tls_disable = true }}\n{storage}{line}\n"))
            .unwrap();
        let done = signet(&["config", "check", file.to_str().unwrap()], &[]);
        assert_eq!(done.status.code(), Some(1), "{line}");
        let warnings = String::from_utf8(done.stderr).unwrap();
        let expected = row[1].trim_matches('`').trim();
        assert!(warnings.contains(expected), "{line}: {warnings}");
    }
}

/// The commands of a page between a heading and the next one.
fn commands(page: &str, heading: &str) -> String {
    let (_, section) = page.split_once(&format!("\n## {heading}\n")).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let lines: Vec<&str> = section.lines().filter_map(|line| line.strip_prefix("    ")).collect();
    assert!(!lines.is_empty(), "{heading}");
    lines.join("\n")
}

#[test]
fn the_commands_of_the_page_for_roles_work_as_pasted() {
    let page = page("spiffe-role.md");
    let server = development::Server::start();
    let quick = commands(&page, "The quick way");
    let printed = server.paste(&format!("set -e\n{quick}")).good();
    assert!(printed.contains("spiffe://example.com/payments/api, valid until"), "{printed}");
    let before = server.read("pki/roles/spiffe");
    // The role by hand is that of the command.
    server
        .paste(&format!("signet delete pki/roles/spiffe\n{}", commands(&page, "The role")))
        .good();
    assert_eq!(server.read("pki/roles/spiffe"), before);
    server.paste(&commands(&page, "What a missing field lets through")).good();
    assert_eq!(server.read("pki/roles/spiffe")["cn_from_spiffe_path"], json!(true));
}

/// Another server stands for Vault, and the binary under another name for its command line.
#[test]
fn roles_and_an_authority_move_by_the_commands_of_the_page() {
    let page = page("from-vault.md");
    let (vault, server) = (development::Server::start(), development::Server::start());
    let wrapper = format!("#!/bin/sh\nSIGNET_ADDR={} exec signet \"$@\"\n", vault.address);
    let path = server.path("bin/vault");
    fs::write(&path, wrapper).unwrap();
    fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let prepare = "set -e
        vault secrets enable -max-lease-ttl=87600h pki
        vault write pki/root/generate/internal common_name='Example Root' key_type=ec ttl=87600h
        vault write pki/roles/web allowed_domains=example.com,example.net allow_subdomains=true ttl=90m key_type=ec
        vault read -field=certificate pki/issuer/default > root.pem";
    server.paste(prepare).good();
    let authority = commands(&page, "Move an authority");
    server.paste(&format!("set -e\n{authority}")).good();
    server.paste(&format!("set -e\n{}", commands(&page, "Move the roles"))).good();
    assert_eq!(server.read("pki/roles/web"), vault.read("pki/roles/web"));
    let checked = server.paste(
        "set -e
        signet write -field=certificate pki/issue/web common_name=www.example.com > leaf.pem
        signet read -field=certificate pki/issuer/default > intermediate.pem
        openssl verify -CAfile root.pem -untrusted intermediate.pem leaf.pem",
    );
    assert_eq!(checked.good(), "leaf.pem: OK\n");
    assert_eq!(server.keys("pki/issuers").len(), 2, "the root of the bundle is there too");
}
