//! What Java refuses in a key store or does not show, by version. `docs/keystores.md` lists the
//! versions that were tested.

use std::collections::BTreeMap;

use super::algorithms::JavaSupport;
use super::pkcs12::Outline;
use super::report::{EntryKind, EntryReport};

/// What depends on the algorithms of a PKCS#12 archive.
pub(super) fn of_outline(outline: &Outline, password: &str, into: &mut Vec<String>) {
    let mut add = |text: String| {
        if !into.contains(&text) {
            into.push(text);
        }
    };
    let ciphers = outline.ciphers.iter().map(|(_, cipher)| cipher);
    for algorithm in outline.mac.iter().chain(ciphers) {
        let name = &algorithm.name;
        match algorithm.java {
            JavaSupport::Every => {}
            JavaSupport::Since2021 => add(
                "Java before 8u301, 11.0.12 and 16 refuses these algorithms; for those versions write it with pkcs12_encoder=legacy"
                    .to_owned(),
            ),
            JavaSupport::Since26 => add(
                "Java before 26 refuses PBMAC1; for those versions write it with pkcs12_encoder=auto"
                    .to_owned(),
            ),
            JavaSupport::Never => add(format!("No version of Java reads {name}")),
        }
    }
    if outline.has_plain_key {
        add("Java does not show a private key that is stored without encryption".to_owned());
    }
    if !password.is_ascii() {
        add("Java up to 21 refuses a PKCS#12 password outside ASCII".to_owned());
    }
}

/// What depends on the entries.
pub(super) fn of_entries(entries: &[EntryReport], password: &str, into: &mut Vec<String>) {
    if password.chars().count() < 6 {
        into.push(
            "keytool refuses passwords of fewer than 6 characters; programs accept them".to_owned(),
        );
    }
    let unmarked =
        entries.iter().filter(|entry| entry.kind == EntryKind::UnmarkedCertificate).count();
    if unmarked > 0 {
        into.push(format!(
            "Java does not show certificates without a key that lack its attribute for trusted certificates; here: {unmarked}"
        ));
    }
    // Java compares aliases in lower case; the last of several equal ones replaces the others.
    let mut aliases: BTreeMap<String, usize> = BTreeMap::new();
    for entry in entries.iter().filter(|entry| !entry.alias.is_empty()) {
        *aliases.entry(entry.alias.to_lowercase()).or_default() += 1;
    }
    for (alias, count) in aliases.into_iter().filter(|(_, count)| *count > 1) {
        into.push(format!(
            "Java shows only the last of the {count} entries with the alias {alias:?}"
        ));
    }
    for entry in entries {
        let Some(key) = &entry.key else { continue };
        let alias = &entry.alias;
        if key.kind.as_deref() == Some("Ed25519") {
            into.push(format!("Java before 15 does not load the Ed25519 key {alias:?}"));
        }
        if key.kind.is_none() {
            into.push(format!("Java programs need the password of the key {alias:?} beside that of the store (ssl.key.password, -keypass)"));
        }
        if key.belongs_to_first_certificate == Some(false) {
            into.push(format!("Java loads {alias:?} and its TLS handshakes fail, because the key does not belong to the certificate"));
        }
        if entry.certificates.is_empty() {
            into.push(format!("Java's TLS does not use the key {alias:?} without a certificate"));
        }
    }
}
