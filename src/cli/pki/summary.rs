//! What `signet pki issue` did, for people and as JSON.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::options::IssueOptions;
use crate::ca::time::Timestamp;
use crate::cli::svid;

/// The certificate that the folder holds, and what was done for it.
#[derive(Default)]
pub(super) struct IssueSummary {
    /// Whether a certificate was issued and its files are in place.
    pub(super) issued: bool,
    pub(super) serial_number: Option<String>,
    /// The subject of the issuer, as RFC 4514 writes it.
    pub(super) issuer: String,
    pub(super) not_before: Option<Timestamp>,
    pub(super) not_after: Option<Timestamp>,
    pub(super) files: Vec<&'static str>,
    /// Files of the earlier set that are no longer there.
    pub(super) removed: Vec<&'static str>,
    pub(super) warnings: Vec<String>,
    /// Whether the command of `-exec` is still to be run.
    pub(super) command_pending: bool,
    /// The exit code of the command, if it ran; `Some(None)` if it was ended by a signal or did not start.
    pub(super) command_code: Option<Option<i32>>,
}

impl IssueSummary {
    /// From the data of the server's answer.
    pub(super) fn issued(data: &Map<String, Value>) -> Self {
        let instant = |name: &str| data.get(name).and_then(Value::as_i64).map(Timestamp::from_unix);
        let text = |name: &str| data.get(name).and_then(Value::as_str);
        Self {
            issued: true,
            serial_number: text("serial_number").map(str::to_owned),
            issuer: text("issuing_ca").map(svid::subject).unwrap_or_default(),
            not_before: instant("not_before"),
            not_after: instant("expiration"),
            ..Self::default()
        }
    }

    /// For scripts. The names of the members are those of the API where it has them.
    pub(super) fn json(&self, options: &IssueOptions) -> Value {
        let paths = |names: &[&str]| -> Vec<String> {
            names.iter().map(|name| shown(&options.folder, name)).collect()
        };
        let text = |instant: Option<Timestamp>| instant.map(|instant| instant.to_string());
        json!({
            "issued": self.issued,
            "identity": options.identity,
            "serial_number": self.serial_number,
            "mount": options.mount,
            "role": options.role,
            "issuer": self.issuer,
            "expiration": self.not_after.map(Timestamp::unix),
            "not_before": text(self.not_before),
            "not_after": text(self.not_after),
            "format": options.format.as_str(),
            "folder": options.folder.display().to_string(),
            "files": paths(&self.files),
            "removed": paths(&self.removed),
            "warnings": self.warnings,
            "command": self.command_code.map(|code| json!({ "exit_code": code })),
        })
    }

    /// For people: what is there, and what to try with it.
    pub(super) fn text(&self, options: &IssueOptions) -> String {
        let until = self.not_after.map(|end| format!(", valid until {end}")).unwrap_or_default();
        let mut lines = vec![format!("{}{until}", options.identity)];
        if !self.issued {
            lines.push(format!(
                "Nothing is issued: the files in {} are still good.",
                options.folder.display()
            ));
            return lines.join("\n");
        }
        for name in &self.files {
            let what = match *name {
                "svid.pem" => "the certificate with its intermediates",
                "key.pem" => "its private key",
                "bundle.pem" => "the roots to trust",
                "keystore.p12" | "keystore.jks" => "the certificate, its chain and its private key",
                _ => "the roots to trust",
            };
            lines.push(format!("  {:<28} {what}", shown(&options.folder, name)));
        }
        lines.push(String::new());
        lines.push("Try next:".to_owned());
        lines.extend(self.next_steps(options));
        lines.join("\n")
    }

    fn next_steps(&self, options: &IssueOptions) -> Vec<String> {
        match self.files.iter().find(|name| name.starts_with("keystore")) {
            None => {
                let svid = shown(&options.folder, "svid.pem");
                let bundle = shown(&options.folder, "bundle.pem");
                vec![
                    format!("  openssl verify -CAfile {bundle} -untrusted {svid} {svid}"),
                    format!("  openssl x509 -in {svid} -noout -text"),
                ]
            }
            Some(store) => {
                let store = shown(&options.folder, store);
                let password = if options.password.is_some() { "" } else { " -storepass changeit" };
                vec![format!("  keytool -list -keystore {store}{password}")]
            }
        }
    }
}

/// The path of a file as a person reads it.
pub(super) fn shown(folder: &Path, name: &str) -> String {
    if folder == Path::new(".") { name.to_owned() } else { folder.join(name).display().to_string() }
}
