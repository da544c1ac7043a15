//! Recorded commands against a server that answers as recorded, and what recordings lack.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::Value;

use super::*;

/// What a command did.
struct Done {
    code: u8,
    stdout: String,
    stderr: String,
}

fn signet(line: &[&str], input: &str, environment: &[(&str, &str)]) -> Done {
    let lookup = |name: &str| {
        environment.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
    };
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let arguments = std::iter::once("signet").chain(line.iter().copied()).map(OsString::from);
    let context = Context {
        environment: &lookup,
        input: &mut input.as_bytes(),
        output: Output::new(&mut stdout, &mut stderr, false),
    };
    let code = run(arguments.collect(), context);
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Done { code, stdout: text(stdout), stderr: text(stderr) }
}

/// A request as the server saw it: method, target, body.
#[derive(Debug, PartialEq)]
struct Request(String, String, Option<Value>);

fn read_request(stream: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|length| *length > 0)?;
    let mut words = line.split(' ').map(str::to_owned);
    let (method, target) = (words.next()?, words.next()?);
    let mut length = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let header = header.trim_end().to_ascii_lowercase();
        if header.is_empty() {
            break;
        }
        if let Some(value) = header.strip_prefix("content-length: ") {
            length = value.parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let body = serde_json::from_slice(&body).ok().filter(|body: &Value| !body.is_null());
    Some(Request(method, target, body))
}

/// A server that gives the recorded answer to each recorded request and 500 to any other; the
/// requests that it did not know.
fn server(exchanges: Vec<Value>) -> (String, Arc<Mutex<Vec<Request>>>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let strange = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&strange);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let Some(request) = read_request(&stream) else { continue };
            let known = exchanges.iter().find(|exchange| recorded(exchange) == request);
            let (status, body) = match known {
                Some(exchange) => (
                    exchange["status"].as_u64().unwrap(),
                    match (exchange.get("answer"), exchange.get("answer_text")) {
                        (Some(answer), _) => answer.to_string(),
                        (None, Some(text)) => text.as_str().unwrap().to_owned(),
                        (None, None) => String::new(),
                    },
                ),
                None => {
                    log.lock().unwrap().push(request);
                    (500, r#"{"errors":["not recorded"]}"#.to_owned())
                }
            };
            let head = format!(
                "HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all(format!("{head}{body}").as_bytes());
        }
    });
    (address, strange)
}

fn recorded(exchange: &Value) -> Request {
    let text = |name: &str| exchange.get(name).and_then(Value::as_str).unwrap_or_default();
    let query = Some(text("query")).filter(|query| !query.is_empty());
    let target =
        query.map_or_else(|| text("path").to_owned(), |query| format!("{}?{query}", text("path")));
    let body = exchange.get("body").filter(|body| !body.is_null()).cloned();
    Request(text("method").to_owned(), target, body)
}

/// The recorded text with our names in it.
fn expected(text: &Value, address: &str) -> String {
    let text = text.as_str().unwrap();
    ["http://127.0.0.1:18290", "http://127.0.0.1:18275"]
        .iter()
        .fold(text.to_owned(), |text, theirs| text.replace(theirs, address))
        .replace("were returned from Vault", "were returned from Signet")
        .replace("Vault is not initialized\n", "Signet is not initialized\n")
        .replace("Future OpenBao requests", "Future Signet requests")
        .replace("\"bao login\"", "\"signet login\"")
}

#[test]
fn prints_sends_and_ends_as_recorded() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path().to_str().unwrap();
    let mut count = 0;
    for line in include_str!("../../testdata/cli/sessions.jsonl").lines() {
        let session: Value = serde_json::from_str(line).unwrap();
        let command: Vec<&str> =
            session["command"].as_array().unwrap().iter().map(|w| w.as_str().unwrap()).collect();
        let (address, strange) = server(session["exchanges"].as_array().unwrap().clone());
        let mut environment = vec![("HOME", home), ("SIGNET_ADDR", address.as_str())];
        if command[0] != "login" {
            environment.push(("VAULT_TOKEN", "root"));
        }
        let done = signet(&command, "", &environment);
        assert_eq!(*strange.lock().unwrap(), [], "{command:?} sends something else");
        // Where lines are broken depends on the length of a command's name.
        let flat = |text: &str| match command[0] {
            "login" => text.split_whitespace().collect::<Vec<_>>().join(" "),
            // A member that only one of the servers has.
            _ => text.replace("  \"build_date\": \"\",\n", ""),
        };
        let (stdout, stderr) =
            (expected(&session["stdout"], &address), expected(&session["stderr"], &address));
        assert_eq!(flat(&done.stdout), flat(&stdout), "{command:?}");
        // The line that this command line adds.
        match done.stderr.split_once("\n\nTo fix it: ") {
            Some((text, _)) => assert_eq!(text, stderr.trim_end(), "{command:?}"),
            None => assert_eq!(done.stderr, stderr, "{command:?}"),
        }
        assert_eq!(u64::from(done.code), session["code"].as_u64().unwrap(), "{command:?}");
        count += 1;
    }
    assert!(count > 70, "only {count} sessions");
}

#[test]
fn a_flag_behind_the_data_is_a_flag() {
    let exchange = serde_json::json!({
        "method": "PUT", "path": "/v1/pki/issue/web", "body": { "common_name": "a" },
        "status": 200, "answer": { "data": { "serial_number": "01:02" } },
    });
    let (address, _) = server(vec![exchange]);
    let line = ["write", "pki/issue/web", "common_name=a", "--field", "serial_number"];
    let done = signet(&line, "", &[("VAULT_ADDR", &address)]);
    assert_eq!((done.code, done.stdout.as_str()), (0, "01:02"), "{}", done.stderr);
}

#[test]
fn our_own_variables_win_over_vaults_and_empty_ones_do_not_count() {
    let exchange = serde_json::json!({
        "method": "GET", "path": "/v1/x", "status": 200, "answer": { "data": { "a": 1 } },
    });
    let (address, _) = server(vec![exchange]);
    let nowhere = "http://127.0.0.1:1";
    for environment in [
        [("SIGNET_ADDR", address.as_str()), ("VAULT_ADDR", nowhere)],
        [("SIGNET_ADDR", ""), ("VAULT_ADDR", address.as_str())],
    ] {
        assert_eq!(signet(&["read", "x"], "", &environment).code, 0);
    }
    let done = signet(&["read", "-address", &address, "x"], "", &[("SIGNET_ADDR", nowhere)]);
    assert_eq!(done.code, 0);
}

#[test]
fn a_login_keeps_the_token_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let exchange = serde_json::json!({
        "method": "GET", "path": "/v1/auth/token/lookup-self", "status": 200,
        "answer": { "data": { "id": "hvs.abc", "policies": ["root"], "ttl": 0 } },
    });
    let (address, _) = server(vec![exchange]);
    let home = tempfile::tempdir().unwrap();
    let environment = [("HOME", home.path().to_str().unwrap()), ("SIGNET_ADDR", &address)];
    let done = signet(&["login", "-no-print", "-"], "hvs.abc\n", &environment);
    assert_eq!((done.code, done.stdout.as_str(), done.stderr.as_str()), (0, "", ""));
    let file = home.path().join(".vault-token");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(signet(&["print", "token"], "", &environment).stdout, "hvs.abc\n");
}

#[test]
fn a_local_error_exits_with_one_and_a_refusal_or_no_server_with_two() {
    let nowhere = [("SIGNET_ADDR", "http://127.0.0.1:1")];
    for (line, code) in [
        (&["read"][..], 1),
        (&["read", "-nosuch", "x"], 1),
        (&["nosuch"], 127),
        (&["kv", "get", "x"], 127),
        (&["help", "nosuch"], 127),
        (&["pki", "isue"], 1),
        (&["operator", "unseal"], 1),
        (&["read", "-formt=json", "x"], 1),
        (&["help"], 0),
        (&["help", "pki", "issue"], 0),
        (&["completion", "bash"], 0),
        (&["completion", "tcsh"], 1),
        (&["secrets"], 1),
        (&["read", "-format=xml", "x"], 1),
        (&["write", "x"], 1),
        (&["write", "-format=raw", "x", "a=b"], 1),
        (&["login", "-no-store", "-no-print", "x"], 1),
        (&["pki", "issue", "web"], 1),
        (&["read", "x"], 2),
        (&["read", "-header=X-Vault-Token=a", "x"], 2),
        (&["status"], 1),
        (&["status", "-address=here"], 1),
        (&["read", "-address=here", "x"], 2),
        (&["-h"], 0),
        (&["secrets", "tune", "--help"], 0),
        (&["version"], 0),
    ] {
        let done = signet(line, "", &nowhere);
        assert_eq!(done.code, code, "{line:?}: {}", done.stderr);
        assert_eq!(done.stderr.is_empty(), code == 0, "{line:?}");
    }
}

#[test]
fn warnings_of_an_answer_without_data_are_printed() {
    let exchange = serde_json::json!({
        "method": "POST", "path": "/v1/sys/mounts/pki/tune",
        "body": {
            "default_lease_ttl": "", "max_lease_ttl": "8760h0m0s", "force_no_cache": false,
            "options": null,
        },
        "status": 200,
        "answer": { "warnings": ["the lifetime is longer than that of the CA"] },
    });
    let (address, unknown) = server(vec![exchange]);
    let line = ["secrets", "tune", "-max-lease-ttl=8760h", "pki"];
    let done = signet(&line, "", &[("SIGNET_ADDR", &address)]);
    assert_eq!(*unknown.lock().unwrap(), []);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(done.stderr.contains("longer than that of the CA"), "{}", done.stderr);
}

#[test]
fn key_stores_are_written_with_the_password_of_the_file() {
    let archive = data_encoding::BASE64.encode(&[0x30, 0x03, 0x02, 0x01, 0x03]);
    let folder = tempfile::tempdir().unwrap();
    let ask = |format: &str| {
        serde_json::json!({
            "method": "PUT", "path": "/v1/pki/issue/spiffe", "status": 200,
            "body": {
                "uri_sans": "spiffe://example.com/web", "format": format,
                "pkcs12_password": "correct horse",
            },
            "answer": { "data": { "certificate": archive } },
        })
    };
    let (address, strange) = server(vec![ask("pkcs12_bundle"), ask("pkcs12_truststore")]);
    let password = folder.path().join("pw");
    std::fs::write(&password, "correct horse\n").unwrap();
    let out = folder.path().join("out");
    let line = [
        "pki",
        "issue",
        "spiffe://example.com/web",
        "-format=pkcs12",
        "-password-file",
        password.to_str().unwrap(),
        "-out",
        out.to_str().unwrap(),
    ];
    let done = signet(&line, "", &[("SIGNET_ADDR", &address)]);
    assert_eq!(*strange.lock().unwrap(), []);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(out.join("keystore.p12").is_file() && out.join("truststore.p12").is_file());
    assert!(!done.stdout.contains("correct horse"));
}
