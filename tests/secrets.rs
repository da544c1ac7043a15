//! Who opens a secret: the list of files that call `Secret::expose`, and how often.
//!
//! A new line here is a new place where a secret can leak. Read what it does with the value
//! before you add it.

#![expect(clippy::unwrap_used, reason = "helpers of a test, where a surprise is a failure")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

const OPENERS: &[(&str, usize)] = &[
    ("auth/gate.rs", 1),
    ("auth/token.rs", 2),
    ("backend/pki/issue.rs", 1),
    ("backend/sys/status.rs", 1),
    ("backend/token/mod.rs", 1),
    ("ca/jks.rs", 3),
    ("ca/keystore.rs", 1),
    ("ca/pem.rs", 2),
    ("ca/pkcs12/derivation.rs", 2),
    ("ca/pkcs12/mod.rs", 1),
    ("cli/keystore/jks.rs", 1),
    ("cli/keystore/key_kind.rs", 1),
    ("cli/keystore/mod.rs", 1),
    ("cli/keystore/pkcs12.rs", 1),
    ("cli/keystore/report.rs", 1),
    ("cli/login.rs", 1),
    ("cli/pki/issue.rs", 1),
    ("cli/pki/options.rs", 1),
    ("cli/server.rs", 1),
    ("cli/token.rs", 1),
    ("cli/token_file.rs", 4),
    ("client/settings.rs", 1),
    ("engine/pki/generate.rs", 1),
    ("engine/pki/output.rs", 1),
    ("keys/software.rs", 2),
    ("server.rs", 2),
    ("store/sealed/keyring.rs", 7),
];

fn count(folder: &Path, root: &Path, into: &mut BTreeMap<String, usize>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            count(&path, root, into);
            continue;
        }
        let name = path.strip_prefix(root).unwrap().to_string_lossy().replace('\\', "/");
        if !name.ends_with(".rs") || name.ends_with("tests.rs") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        let calls = code.matches(".expose()").count() + code.matches("Secret::expose").count();
        if calls > 0 {
            into.insert(name, calls);
        }
    }
}

#[test]
fn a_secret_is_opened_only_where_the_list_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = BTreeMap::new();
    count(&root, &root, &mut found);
    found.remove("secret.rs");
    let listed: BTreeMap<String, usize> =
        OPENERS.iter().map(|(file, calls)| ((*file).to_owned(), *calls)).collect();
    assert_eq!(found, listed);
}
