//! The floors of the house: imports only go down, files and functions stay small.

#![expect(clippy::unwrap_used, reason = "the helpers of tests, too")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Module, and what of ours it may import. The table of `docs/architecture.md`.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("secret", &[]),
    ("go", &[]),
    ("entropy", &["secret"]),
    ("ca", &["secret", "go"]),
    ("wire", &["secret"]),
    ("hcl", &[]),
    ("clock", &["ca"]),
    ("store", &["secret", "entropy"]),
    ("client", &["wire", "secret"]),
    ("config", &["ca", "hcl", "secret", "go"]),
    ("keys", &["ca", "store", "secret", "entropy"]),
    ("auth", &["ca", "hcl", "store", "secret", "entropy"]),
    ("engine", &["ca", "keys", "store", "auth", "secret", "clock", "entropy", "go"]),
    ("backend", &["go", "wire", "engine", "auth", "ca", "secret"]),
    ("http", &["go", "backend", "engine", "auth", "ca", "config", "secret", "clock"]),
    (
        "server",
        &[
            "http", "wire", "engine", "auth", "ca", "config", "secret", "clock", "entropy",
            "store", "keys",
        ],
    ),
    ("cli", &["server", "client", "config", "wire", "ca", "secret", "clock", "entropy", "go"]),
];

fn rust_files(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(path);
        }
    }
    into.sort();
}

fn sources() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    rust_files(&root, &mut files);
    files
        .into_iter()
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            (path.strip_prefix(&root).unwrap().to_owned(), text)
        })
        .collect()
}

/// The code without comments and without the tests at its end.
fn code(text: &str) -> String {
    let end = text.find("#[cfg(test)]\nmod tests").unwrap_or(text.len());
    text[..end]
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .collect::<Vec<_>>()
        .join("\n")
}

fn module_of(path: &Path) -> String {
    path.components().next().unwrap().as_os_str().to_string_lossy().trim_end_matches(".rs").into()
}

fn is_test_file(path: &Path) -> bool {
    let name = path.file_name().unwrap().to_string_lossy();
    name == "suite.rs" || name.ends_with("tests.rs")
}

/// Every module of ours that follows a `crate::` in the code.
fn imports(code: &str) -> BTreeSet<String> {
    code.split("crate::")
        .skip(1)
        .flat_map(|rest| match rest.strip_prefix('{') {
            Some(group) => group
                .split('}')
                .next()
                .unwrap_or_default()
                .split(',')
                .map(|name| name.trim().split("::").next().unwrap_or_default().to_owned())
                .collect::<Vec<_>>(),
            None => {
                vec![rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect()]
            }
        })
        .filter(|name| MAY_IMPORT.iter().any(|(module, _)| module == name))
        .collect()
}

#[test]
fn imports_only_go_down() {
    let table: BTreeMap<_, _> = MAY_IMPORT.iter().copied().collect();
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let module = module_of(&path);
        let Some(allowed) = table.get(module.as_str()) else {
            assert!(matches!(module.as_str(), "lib" | "main"), "no floor for {}", path.display());
            continue;
        };
        for import in imports(&code(&text)) {
            if import != module && !allowed.contains(&import.as_str()) {
                wrong.push(format!("{} imports {import}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "arrows that are not in the table: {wrong:#?}");
}

#[test]
fn the_table_itself_only_goes_down() {
    let floors: Vec<_> = MAY_IMPORT.iter().map(|(module, _)| *module).collect();
    for (position, (module, allowed)) in MAY_IMPORT.iter().enumerate() {
        for below in *allowed {
            let at = floors.iter().position(|floor| floor == below).unwrap();
            assert!(at < position, "{module} may not import {below}: it stands above");
        }
    }
}

#[test]
fn the_core_knows_no_clock_no_randomness_and_no_machine() {
    for (path, text) in sources() {
        if module_of(&path) != "ca" || is_test_file(&path) {
            continue;
        }
        for word in [
            "async ",
            "std::fs",
            "std::net::Tcp",
            "std::env",
            "std::thread",
            "tracing",
            "SystemTime",
            "rand::",
        ] {
            assert!(!code(&text).contains(word), "{} uses {word}", path.display());
        }
    }
}

#[test]
fn one_file_reads_the_clock_and_one_asks_for_randomness() {
    for (path, text) in sources() {
        let code = code(&text);
        if path != Path::new("clock.rs") {
            for word in ["SystemTime::now", "Instant::now", "now_utc"] {
                assert!(!code.contains(word), "{} reads a clock", path.display());
            }
        }
        if path != Path::new("entropy.rs") {
            assert!(!code.contains("rand::fill"), "{} asks for randomness", path.display());
        }
    }
}

#[test]
fn files_are_under_five_hundred_lines() {
    for (path, text) in sources() {
        let lines =
            if is_test_file(&path) { text.lines().count() } else { code(&text).lines().count() };
        assert!(lines < 500, "{} has {lines} lines: split it by idea", path.display());
    }
}

#[test]
fn nobody_calls_a_module_common_or_util() {
    for (path, _) in sources() {
        for part in path.components() {
            let part = part.as_os_str().to_string_lossy();
            let name = part.trim_end_matches(".rs");
            assert!(
                !matches!(name, "util" | "utils" | "common" | "misc" | "manager" | "helpers"),
                "{} names nothing",
                path.display()
            );
        }
    }
}

#[test]
fn what_is_dangerous_is_called_by_tests_alone() {
    // The definitions, and the flag by which a person asks a client not to check whom it talks to.
    let known = [
        "entropy.rs",
        "store/mod.rs",
        "store/memory.rs",
        "store/memory/faults.rs",
        "client/trust.rs",
        "cli/connection.rs",
    ];
    for (path, text) in sources() {
        let code = code(&text);
        let expected = known.iter().any(|file| path == Path::new(file)) || is_test_file(&path);
        assert!(expected || !code.contains("danger_"), "{} is dangerous", path.display());
        // A definition is no call.
        for call in [".danger_", "::danger_"] {
            let calls = code.contains(call) && path != Path::new("client/trust.rs");
            assert!(is_test_file(&path) || !calls, "{} calls what is dangerous", path.display());
        }
        for word in ["cfg(feature", "cfg!(test)", "debug_assertions"] {
            assert!(!code.contains(word), "{} has a mode of its own: {word}", path.display());
        }
    }
}
