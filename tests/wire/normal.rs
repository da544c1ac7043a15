//! Removes differences that do not matter.

use serde_json::{Map, Value, json};

/// Members of `data` whose values differ in each run.
const VOLATILE: &[&str] = &[
    "last_modified",
    "serial_number",
    "expiration",
    "not_before",
    "issuer_id",
    "key_id",
    "revocation_time",
    "revocation_time_rfc3339",
    "crl_number",
];

/// The contents of a certificate after the two rules of `docs/compatibility.md`: EC and Ed25519 keys
/// never have keyEncipherment, and a leaf with a SPIFFE ID has CA:FALSE.
pub(crate) fn certificate(facts: &Value) -> Value {
    let mut facts = facts.clone();
    let members = facts.as_object_mut().unwrap();
    if let Some(Value::Array(names)) = members.get_mut("san") {
        // The recording does not keep the order of other names.
        let is_other = |name: &Value| name[0] == "other";
        let (mut others, rest): (Vec<_>, Vec<_>) = names.drain(..).partition(is_other);
        others.sort_by_key(Value::to_string);
        names.extend(others.into_iter().chain(rest));
    }
    let signs_only =
        matches!(members.get("key"), Some(key) if key[0] == "ec" || key[0] == "ed25519");
    if let (true, Some(Value::Array(usages))) = (signs_only, members.get_mut("ku")) {
        usages.retain(|usage| usage != "key_encipherment");
    }
    let is_svid = members.get("san").and_then(Value::as_array).is_some_and(|names| {
        names.iter().any(|name| {
            name[0] == "uri" && name[1].as_str().is_some_and(|id| id.starts_with("spiffe://"))
        })
    });
    let is_authority = members.get("bc").is_some_and(|constraints| constraints[0] == true);
    if is_svid && !is_authority {
        members.remove("bc");
        if let Some(Value::Array(extensions)) = members.get_mut("ext") {
            extensions.retain(|extension| extension[0] != "2.5.29.19");
        }
    }
    facts
}

/// A value in the format of the recording: the labels of PEM, and a flag for long base64.
pub(crate) fn shape(value: &Value) -> Value {
    match value {
        Value::String(text) => text_shape(text),
        Value::Array(items) => items.iter().map(shape).collect(),
        Value::Object(members) => Value::Object(
            members.iter().map(|(name, value)| (name.clone(), shape(value))).collect(),
        ),
        other => other.clone(),
    }
}

fn text_shape(text: &str) -> Value {
    if text.starts_with("-----BEGIN") {
        let labels: Vec<&str> = text
            .lines()
            .filter_map(|line| line.strip_prefix("-----BEGIN ")?.strip_suffix("-----"))
            .collect();
        return json!({ "pem": labels, "trailing_newline": text.ends_with('\n') });
    }
    let base64 = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte);
    if text.len() > 60 && text.bytes().all(base64) {
        return json!({ "base64": true });
    }
    if is_serial(text, ':', 2) {
        return json!({ "serial_bytes": text.split(':').count() });
    }
    if is_uuid(text) { json!({ "uuid": true }) } else { text.into() }
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn is_serial(text: &str, separator: char, least: usize) -> bool {
    let bytes: Vec<&str> = text.split(separator).collect();
    bytes.len() >= least && bytes.iter().all(|byte| byte.len() == 2 && is_hex(byte))
}

fn is_uuid(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12])
        && groups.iter().all(|group| is_hex(group))
}

/// `data` with placeholders for what differs in each run.
pub(crate) fn data(value: &Value) -> Value {
    match value {
        Value::Object(members) => Value::Object(members.iter().map(member).collect::<Map<_, _>>()),
        Value::Array(items) => items.iter().map(data).collect(),
        other => other.clone(),
    }
}

fn member((name, value): (&String, &Value)) -> (String, Value) {
    let serial = value.get("serial_bytes").is_some();
    let value = match value {
        _ if serial || VOLATILE.contains(&name.as_str()) => "*".into(),
        Value::Array(items) if name == "ca_chain" || name == "keys" => {
            if items.is_empty() {
                json!([])
            } else {
                json!(["*"])
            }
        }
        other => data(other),
    };
    (name.clone(), value)
}

/// A text without times, identifiers, serial numbers and the name of the product.
pub(crate) fn text(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let (taken, word) = volatile(rest).unwrap_or((first.len_utf8(), ""));
        out.push_str(if word.is_empty() { &rest[..taken] } else { word });
        rest = &rest[taken..];
    }
    ["OpenBao", "Vault", "Signet"]
        .iter()
        .fold(out, |text, product| text.replace(product, "<product>"))
}

/// The number of bytes at the start that vary between runs, and their placeholder.
fn volatile(text: &str) -> Option<(usize, &'static str)> {
    if let Some(time) = time_length(text) {
        return Some((time, "<time>"));
    }
    if text.get(..36).is_some_and(is_uuid) {
        return Some((36, "<id>"));
    }
    for count in (16..=20).rev() {
        let length = count * 3 - 1;
        let serial = text.get(..length);
        if serial.is_some_and(|part| is_serial(part, ':', 16) || is_serial(part, '-', 16)) {
            return Some((length, "<serial>"));
        }
    }
    None
}

/// `2026-11-22T12:00:00Z`, with or without a fraction.
fn time_length(text: &str) -> Option<usize> {
    let pattern = "dddd-dd-ddTdd:dd:dd";
    let head = text.get(..pattern.len())?;
    let fits = head.chars().zip(pattern.chars()).all(|(character, wanted)| {
        if wanted == 'd' { character.is_ascii_digit() } else { character == wanted }
    });
    let fraction = text.get(pattern.len()..)?;
    let digits = fraction.find('Z')?;
    let legal = fraction.get(..digits)?.chars().all(|c| c == '.' || c.is_ascii_digit());
    (fits && legal).then_some(pattern.len() + digits + 1)
}
