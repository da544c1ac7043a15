//! A report as text.

use super::report::{
    CertificateReport, Chain, EntryKind, EntryReport, KeyReport, Protection, Report,
};

/// The lines of a report, without a newline at the end.
pub(super) fn text(report: &Report) -> String {
    let mut lines = vec![report.file.clone(), field("Kind", report.kind.as_str())];
    match &report.integrity {
        Some(protection) => lines.push(protected(protection)),
        None => lines.push(field("MAC", "none")),
    }
    lines.extend(report.encryption.iter().map(protected));
    for entry in &report.entries {
        lines.push(String::new());
        add_entry(entry, &mut lines);
    }
    for (heading, items) in [("Problems:", &report.problems), ("Java:", &report.java)] {
        if !items.is_empty() {
            lines.push(String::new());
            lines.push(heading.to_owned());
            lines.extend(items.iter().map(|item| format!("  - {item}.")));
        }
    }
    lines.join("\n")
}

fn field(name: &str, value: &str) -> String {
    format!("  {name:<15} {value}")
}

fn protected(protection: &Protection) -> String {
    let Protection { part, algorithm, iterations } = protection;
    match iterations {
        Some(iterations) => field(part, &format!("{algorithm}, {iterations} iterations")),
        None => field(part, algorithm),
    }
}

fn add_entry(entry: &EntryReport, lines: &mut Vec<String>) {
    let alias = if entry.alias.is_empty() {
        "without an alias".to_owned()
    } else {
        format!("\"{}\"", entry.alias)
    };
    lines.push(format!("{} {alias}", entry.kind.as_str()));
    if let Some(created) = &entry.created {
        lines.push(field("Created", created));
    }
    if let Some(key) = &entry.key {
        lines.push(field("Key", &key_text(key, entry.certificates.len())));
    }
    if let Some(chain) = &entry.chain {
        lines.push(field("Chain", &chain_text(chain, &entry.certificates)));
    }
    let is_numbered = entry.kind == EntryKind::PrivateKey;
    for (position, facts) in entry.certificates.iter().enumerate() {
        let label = if is_numbered {
            format!("Certificate {}", position + 1)
        } else {
            "Certificate".to_owned()
        };
        add_certificate(&label, facts, lines);
    }
}

fn key_text(key: &KeyReport, certificates: usize) -> String {
    let Some(kind) = &key.kind else {
        return "not decrypted: it has another password than the store".to_owned();
    };
    match key.belongs_to_first_certificate {
        Some(true) => format!("{kind}, belongs to certificate 1"),
        Some(false) => format!("{kind}, DOES NOT BELONG to certificate 1"),
        None if certificates == 0 => format!("{kind}, without a certificate"),
        None => format!("{kind}; whether it belongs to certificate 1 is not known"),
    }
}

fn chain_text(chain: &Chain, certificates: &[CertificateReport]) -> String {
    let count = match certificates.len() {
        1 => "1 certificate".to_owned(),
        count => format!("{count} certificates"),
    };
    let order = match (chain.leaf_first, chain.in_order) {
        (_, None) => "order not checked",
        (true, Some(true)) => "leaf first",
        (false, Some(true)) => "leaf not first in the file",
        (_, Some(false)) => "not in order or with a gap",
    };
    let end = match (&chain.missing_issuer, chain.complete) {
        (Some(issuer), _) => format!("; the issuer {issuer} is not in the file"),
        (None, Some(true)) => ", up to a root".to_owned(),
        (None, _) => String::new(),
    };
    format!("{count}, {order}{end}")
}

fn add_certificate(label: &str, facts: &CertificateReport, lines: &mut Vec<String>) {
    if let Some(why) = &facts.unreadable {
        lines.push(field(label, &format!("cannot be read: {why}")));
        return;
    }
    lines.push(field(label, &facts.subject));
    lines.extend(facts.spiffe_ids.iter().map(|id| field("  SPIFFE ID", id)));
    let CertificateReport { not_before, not_after, validity, .. } = facts;
    lines.push(field("  Valid", &format!("{not_before} to {not_after}, {validity}")));
    let role = if facts.is_ca { "CA certificate" } else { "not a CA certificate" };
    lines.push(field("  Key", &format!("{}, {role}", facts.key)));
    lines.push(field("  Issuer", &facts.issuer));
    lines.push(field("  Serial number", &facts.serial_number));
}
