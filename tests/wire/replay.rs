//! Sends the recorded requests in order and reports differences in the responses.

use std::collections::BTreeMap;

use data_encoding::BASE64;
use serde_json::{Map, Value, json};

use super::facts::facts;
use super::normal;
use super::support::{Answer, ROOT_TOKEN, Server, der};

/// A recorded request whose response differs, and how.
#[derive(Debug)]
pub(crate) struct Difference {
    pub(crate) id: Option<u64>,
    pub(crate) group: String,
    pub(crate) request: Value,
    pub(crate) why: Vec<String>,
}

/// The result of a replay.
#[derive(Debug, Default)]
pub(crate) struct ReplayReport {
    pub(crate) compared: usize,
    pub(crate) differences: Vec<Difference>,
    /// Responses of 500 and above, except those that the recording has with 501 or 503.
    pub(crate) failures: Vec<String>,
}

/// The recording, one line at a time, against one server.
pub(crate) struct Replay {
    server: Server,
    requests: BTreeMap<String, String>,
    kept: BTreeMap<String, String>,
    roles: BTreeMap<String, String>,
    report: ReplayReport,
}

impl Replay {
    pub(crate) async fn new() -> Self {
        Self {
            server: Server::new().await,
            requests: BTreeMap::new(),
            kept: BTreeMap::new(),
            roles: BTreeMap::new(),
            report: ReplayReport::default(),
        }
    }

    pub(crate) fn finish(self) -> ReplayReport {
        self.report
    }

    /// Replays one line of the recording.
    pub(crate) async fn line(&mut self, line: &Value) {
        let text = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
        match line["kind"].as_str() {
            Some("csr") => {
                self.requests.insert(text("name"), text("pem"));
            }
            Some("role") => {
                // The roots are older than the first request, as in the recording.
                if self.roles.is_empty() {
                    self.server.advance(1);
                }
                self.roles.insert(text("name"), line["body"].to_string());
                let path = format!("{}/roles/{}", text("mount"), text("name"));
                let request = json!({ "method": "POST", "path": path, "body": line["body"] });
                let answer = self.send(&request).await;
                self.note_failure(&request, &answer, line);
                let mut why = compare(&answer, line);
                if answer.status < 400 {
                    why.extend(self.read_back(&path, &line["read_diff"]).await);
                }
                self.note(None, "role", request, why);
            }
            Some(kind @ ("case" | "setup")) => {
                let request = line["request"].clone();
                let answer = self.send(&request).await;
                self.note_failure(&request, &answer, line);
                self.keep(&answer, &line["keep"]);
                if kind == "setup" {
                    let recorded = line["status"].as_u64().unwrap_or_default();
                    assert!(recorded >= 400 || answer.status < 400, "{request}: {answer:?}");
                    return;
                }
                let mut why = compare(&answer, line);
                let fixed = request["body"].to_string().contains("not_after")
                    || self.roles.get(&text("role")).is_some_and(|role| role.contains("not_after"));
                why.extend(compare_data(&answer, &line["data"]));
                why.extend(compare_certificate(&answer, &line["cert"], fixed));
                self.note(line["id"].as_u64(), &text("group"), request, why);
            }
            other => panic!("an unknown kind of line: {other:?}"),
        }
    }

    fn note_failure(&mut self, request: &Value, answer: &Answer, line: &Value) {
        let recorded = line["status"].as_u64().unwrap_or_default();
        let expected = matches!(recorded, 501 | 503) && recorded == u64::from(answer.status);
        if answer.status >= 500 && !expected {
            let body = String::from_utf8_lossy(&answer.body);
            self.report.failures.push(format!("{request} → {} {body}", answer.status));
        }
    }

    fn note(&mut self, id: Option<u64>, group: &str, request: Value, why: Vec<String>) {
        self.report.compared += 1;
        if !why.is_empty() {
            let group = group.to_owned();
            self.report.differences.push(Difference { id, group, request, why });
        }
    }

    async fn send(&self, request: &Value) -> Answer {
        let method = request["method"].as_str().unwrap();
        let path = self.filled(request["path"].as_str().unwrap());
        let body = match (request["raw"].as_str(), &request["body"]) {
            (Some(raw), _) => raw.to_owned(),
            (None, Value::Null) => String::new(),
            (None, body) => self.substituted(body).to_string(),
        };
        self.server.send(method, &path, Some(ROOT_TOKEN), &[], body.into()).await
    }

    /// Expands `{var:NAME}` in a path, and percent-encodes it as clients do.
    fn filled(&self, path: &str) -> String {
        let mut path = path.to_owned();
        for (name, value) in &self.kept {
            path = path.replace(&format!("{{var:{name}}}"), value);
        }
        let mut escaped = String::new();
        for byte in path.bytes() {
            if byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte) {
                escaped.push(char::from(byte));
            } else {
                escaped.push_str(&format!("%{byte:02X}"));
            }
        }
        escaped
    }

    fn substituted(&self, body: &Value) -> Value {
        match body {
            Value::String(text) => self.named(text).unwrap_or_else(|| body.clone()),
            Value::Array(items) => items.iter().map(|item| self.substituted(item)).collect(),
            Value::Object(members) => {
                let members = members.iter();
                Value::Object(
                    members.map(|(name, value)| (name.clone(), self.substituted(value))).collect(),
                )
            }
            other => other.clone(),
        }
    }

    fn named(&self, text: &str) -> Option<Value> {
        if let Some(name) = text.strip_prefix("@csr:") {
            return Some(self.requests[name].clone().into());
        }
        let name = text.strip_prefix("@var:")?;
        Some(self.kept[name].clone().into())
    }

    fn keep(&mut self, answer: &Answer, names: &Value) {
        let data = answer.data();
        for (member, name) in names.as_object().unwrap_or(&Map::new()) {
            if let (Some(value), Some(name)) = (data[member].as_str(), name.as_str()) {
                self.kept.insert(name.to_owned(), value.to_owned());
            }
        }
    }

    async fn read_back(&self, path: &str, expected: &Value) -> Vec<String> {
        let Some(expected) = expected.as_object() else { return Vec::new() };
        let data = self.server.get(path).await.data();
        expected
            .iter()
            .filter(|(name, value)| data[name.as_str()] != **value)
            .map(|(name, value)| format!("role reads {name}={} for {value}", data[name.as_str()]))
            .collect()
    }
}

/// Compares status, errors, warnings and content type.
fn compare(answer: &Answer, expected: &Value) -> Vec<String> {
    let mut why = Vec::new();
    let recorded = expected["status"].as_u64().unwrap_or_default();
    let status = u64::from(answer.status);
    // The third rule: a client error is 4xx where the recording has 500.
    if status != recorded && !(recorded == 500 && (400..500).contains(&status)) {
        why.push(format!("status {status} for {recorded}"));
    }
    let texts = |list: &Value| -> Vec<String> {
        let list = list.as_array().into_iter().flatten();
        list.map(|item| normal::text(item.as_str().unwrap_or_default())).collect()
    };
    let body = answer.json();
    if body.is_object() {
        for (member, ordered) in [("errors", true), ("warnings", false)] {
            let (mut actual, mut expected) = (texts(&body[member]), texts(&expected[member]));
            // Signet's own warnings have its name as prefix, which is a placeholder here.
            actual.retain(|text| ordered || !text.starts_with("<product>: "));
            if !ordered {
                actual.sort();
                expected.sort();
            }
            if actual != expected {
                why.push(format!("{member} {actual:?} for {expected:?}"));
            }
        }
    } else if expected["errors"].is_array() || expected["data"].is_object() {
        why.push(format!("no JSON: {:?}", answer.body));
    }
    let content_type = expected["content_type"].as_str();
    if content_type.is_some() && content_type != answer.content_type.as_deref() {
        why.push(format!("content type {:?} for {content_type:?}", answer.content_type));
    }
    why
}

fn compare_data(answer: &Answer, expected: &Value) -> Vec<String> {
    let Some(expected) = normal::data(expected).as_object().cloned() else { return Vec::new() };
    let actual = normal::data(&normal::shape(&answer.data()));
    expected
        .iter()
        .filter_map(|(name, value)| match actual.get(name) {
            None => Some(format!("data lacks {name}")),
            Some(actual) if actual != value => Some(format!("data.{name} {actual} for {value}")),
            Some(_) => None,
        })
        .collect()
}

fn compare_certificate(answer: &Answer, expected: &Value, fixed_end: bool) -> Vec<String> {
    let data = answer.data();
    let (true, Some(text)) = (expected.is_object(), data["certificate"].as_str()) else {
        return Vec::new();
    };
    let der = match BASE64.decode(text.as_bytes()) {
        Ok(der) => der,
        Err(_) => der(&text[text.find("-----BEGIN CERTIFICATE").unwrap()..]),
    };
    let (actual, expected) = (normal::certificate(&facts(&der)), normal::certificate(expected));
    let empty = Map::new();
    let names = [&actual, &expected].map(|facts| facts.as_object().unwrap_or(&empty).keys());
    let names: std::collections::BTreeSet<&String> = names.into_iter().flatten().collect();
    names
        .into_iter()
        .filter(|name| actual.get(*name) != expected.get(*name))
        .filter(|name| !(*name == "validity_s" && near(&actual, &expected, fixed_end)))
        .map(|name| format!("cert.{name} {:?} for {:?}", actual.get(name), expected.get(name)))
        .collect()
}

/// The recorded clock may advance a second between request and certificate. With a fixed end, the
/// length depends on the date of the run.
fn near(actual: &Value, expected: &Value, fixed_end: bool) -> bool {
    let length = |facts: &Value| facts["validity_s"].as_i64().unwrap_or_default();
    fixed_end || (length(actual) - length(expected)).abs() <= 2
}
