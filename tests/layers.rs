//! The layers: imports only go down, each allowed import exists, files and functions stay small.

#![expect(clippy::unwrap_used, reason = "the helpers of tests, too")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Each module and its imports, lowest layer first: the table of `docs/dev/architecture.md`.
#[rustfmt::skip]
const IMPORTS: &[(&str, &[&str])] = &[
    ("secret", &[]),
    ("go", &[]),
    ("entropy", &["secret"]),
    ("ca", &["go", "secret"]),
    ("wire", &[]),
    ("hcl", &[]),
    ("clock", &["ca"]),
    ("store", &["secret", "entropy"]),
    ("client", &["ca", "wire", "secret"]),
    ("config", &["go", "hcl", "secret"]),
    ("keys", &["ca", "secret", "entropy"]),
    ("auth", &["ca", "store", "secret", "entropy"]),
    ("engine", &["go", "ca", "keys", "store", "auth", "secret", "clock", "entropy"]),
    ("backend", &["go", "wire", "engine", "auth", "ca", "secret"]),
    ("http", &["go", "backend", "engine", "auth", "ca", "config", "secret", "clock"]),
    ("server", &["http", "engine", "ca", "config", "secret", "clock", "entropy", "store"]),
    ("cli", &["go", "server", "client", "config", "wire", "ca", "secret", "clock", "entropy"]),
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

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources() -> Vec<(PathBuf, String)> {
    let source = root().join("src");
    let mut files = Vec::new();
    rust_files(&source, &mut files);
    files
        .into_iter()
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            (path.strip_prefix(&source).unwrap().to_owned(), text)
        })
        .collect()
}

/// The code without comments and without the tests at its end.
fn code(text: &str) -> String {
    let end = text.find("#[cfg(test)]\nmod tests").unwrap_or(text.len());
    text[..end].lines().map(without_comment).collect::<Vec<_>>().join("\n")
}

/// The line up to `//`, which does not begin a comment inside a string.
fn without_comment(line: &str) -> &str {
    let (mut is_string, mut before) = (false, ' ');
    for (position, character) in line.char_indices() {
        match character {
            '"' if before == '\'' && !is_string => {}
            '"' if before != '\\' => is_string = !is_string,
            '/' if !is_string && line[position..].starts_with("//") => return &line[..position],
            _ => {}
        }
        before = if before == '\\' { ' ' } else { character };
    }
    line
}

/// The path of a file's module below the crate.
fn module_path(path: &Path) -> Vec<String> {
    let parts = path.components().map(|part| part.as_os_str().to_string_lossy());
    let names = parts.map(|name| name.trim_end_matches(".rs").to_owned());
    names.filter(|name| name != "mod").collect()
}

fn module_of(path: &Path) -> String {
    module_path(path).swap_remove(0)
}

fn is_test_file(path: &Path) -> bool {
    let name = path.file_name().unwrap().to_string_lossy();
    name == "suite.rs" || name.ends_with("tests.rs")
}

/// The names that a path or a tree of paths begins with: `a::{b, c}` with `a`, `{a::{b, c}, d}`
/// with `a` and `d`.
fn first_names(tree: &str) -> Vec<String> {
    let tree = tree.trim_start();
    let Some(group) = tree.strip_prefix('{') else {
        return vec![tree.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect()];
    };
    let (mut depth, mut names) = (1, first_names(group));
    for (position, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => names.extend(first_names(&group[position + 1..])),
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    names
}

/// Every module that the code names below `crate`, or below as many `super` as lead there from a
/// file whose module path has `depth` names.
fn imports(code: &str, depth: usize) -> BTreeSet<String> {
    let from_below = "super::".repeat(depth);
    ["crate::", &from_below]
        .into_iter()
        .flat_map(|prefix| code.match_indices(prefix))
        .filter(|(position, _)| {
            let before = code[..*position].chars().next_back().unwrap_or(' ');
            !(before.is_ascii_alphanumeric() || "_:".contains(before))
        })
        .flat_map(|(position, prefix)| first_names(&code[position + prefix.len()..]))
        .filter(|name| IMPORTS.iter().any(|(module, _)| module == name))
        .collect()
}

/// The imports of a file, without its own module.
fn imports_of(path: &Path, text: &str) -> BTreeSet<String> {
    let own = module_of(path);
    let mut found = imports(&code(text), module_path(path).len());
    found.remove(&own);
    found
}

#[test]
fn imports_are_read_from_whole_trees() {
    let names = |code: &str, depth| imports(code, depth).into_iter().collect::<Vec<_>>();
    assert_eq!(
        names("use crate::{ca::{key::Key, pem}, store::{self, Batch}};", 1),
        ["ca", "store"]
    );
    assert_eq!(
        names("use crate::{\n    http::{reply},\n    engine,\n};\nlet auth = 1;", 2),
        ["engine", "http"]
    );
    assert_eq!(names("fn a() { crate::clock::now() }", 2), ["clock"]);
    assert_eq!(names("$crate::entropy::fill(); other_crate::wire::a()", 2), ["entropy"]);
    assert_eq!(names("use super::super::engine::Engine; use super::keys;", 2), ["engine"]);
    assert_eq!(names("use super::hcl;", 1), ["hcl"]);
    let line = r#"let url = "https://a"; crate::wire::b('"', "\""); // crate::ca"#;
    assert_eq!(names(&code(line), 1), ["wire"]);
}

#[test]
fn imports_only_go_down() {
    let table: BTreeMap<_, _> = IMPORTS.iter().copied().collect();
    let mut wrong = Vec::new();
    // Tests may build what a module is used with, in a file of their own as at the end of a file.
    for (path, text) in sources().into_iter().filter(|(path, _)| !is_test_file(path)) {
        let module = module_of(&path);
        let Some(allowed) = table.get(module.as_str()) else {
            assert!(matches!(module.as_str(), "lib" | "main"), "no layer for {}", path.display());
            continue;
        };
        for import in imports_of(&path, &text) {
            if !allowed.contains(&import.as_str()) {
                wrong.push(format!("{} imports {import}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "imports that are not in the table: {wrong:#?}");
}

#[test]
fn every_import_in_the_table_exists() {
    let mut found = BTreeMap::<String, BTreeSet<String>>::new();
    for (path, text) in sources().iter().filter(|(path, _)| !is_test_file(path)) {
        found.entry(module_of(path)).or_default().extend(imports_of(path, text));
    }
    let mut unused = Vec::new();
    for (module, allowed) in IMPORTS {
        let Some(own) = found.get(*module) else { panic!("there is no module {module}") };
        let missing = allowed.iter().filter(|import| !own.contains(**import));
        unused.extend(missing.map(|import| format!("{module} does not import {import}")));
    }
    assert!(unused.is_empty(), "remove from the table: {unused:#?}");
}

#[test]
fn the_table_itself_only_goes_down() {
    let layers: Vec<_> = IMPORTS.iter().map(|(module, _)| *module).collect();
    for (position, (module, allowed)) in IMPORTS.iter().enumerate() {
        for below in *allowed {
            let at = layers.iter().position(|layer| layer == below).unwrap();
            assert!(at < position, "{module} may not import {below}, which is above it");
        }
    }
}

/// The words between backquotes.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

#[test]
fn the_table_of_the_page_is_the_table_of_this_test() {
    let page = fs::read_to_string(root().join("docs/dev/architecture.md")).unwrap();
    let section = page.split("## Who may import whom").nth(1).unwrap_or_default();
    let section = section.split("\n## ").next().unwrap_or_default();
    let rows = section.lines().filter(|line| line.starts_with("| `")).map(quoted);
    let on_page: Vec<_> = rows.map(|row| (row[0], row[1..].to_vec())).collect();
    let here: Vec<_> =
        IMPORTS.iter().map(|(module, allowed)| (*module, allowed.to_vec())).collect();
    assert_eq!(on_page, here);
}

#[test]
fn the_layers_of_the_crate_documentation_are_those_of_the_table() {
    let source = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let mut layer_of = BTreeMap::new();
    for line in source.lines().filter_map(|line| line.strip_prefix("//! | ")) {
        let Some((layer, rest)) = line.split_once(" | ") else { continue };
        let Ok(layer) = layer.parse::<u32>() else { continue };
        for module in quoted(rest.split(" | ").next().unwrap_or_default()) {
            assert!(layer_of.insert(module, layer).is_none(), "{module} has two layers");
        }
    }
    let modules: BTreeSet<_> = IMPORTS.iter().map(|(module, _)| *module).collect();
    assert_eq!(layer_of.keys().copied().collect::<BTreeSet<_>>(), modules);
    for (module, allowed) in IMPORTS {
        for below in *allowed {
            assert!(layer_of[below] < layer_of[module], "{module} imports {below}");
        }
    }
}

#[test]
fn the_core_uses_no_clock_no_randomness_and_no_files() {
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
fn one_file_reads_the_clock_and_one_reads_randomness() {
    for (path, text) in sources() {
        let code = code(&text);
        if path != Path::new("clock.rs") {
            for word in ["SystemTime::now", "Instant::now", "now_utc"] {
                assert!(!code.contains(word), "{} reads a clock", path.display());
            }
        }
        if path != Path::new("entropy.rs") {
            assert!(!code.contains("rand::fill"), "{} reads randomness", path.display());
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
fn no_module_is_called_common_or_util() {
    for (path, _) in sources() {
        for part in path.components() {
            let part = part.as_os_str().to_string_lossy();
            let name = part.trim_end_matches(".rs");
            assert!(
                !matches!(name, "util" | "utils" | "common" | "misc" | "manager" | "helpers"),
                "the name of {} says nothing",
                path.display()
            );
        }
    }
}

#[test]
fn only_tests_call_dangerous_functions() {
    // The definitions, and the flag that turns off the check of the server's certificate.
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
        assert!(
            expected || !code.contains("danger_"),
            "{} defines a dangerous function",
            path.display()
        );
        // A definition is not a call.
        for call in [".danger_", "::danger_"] {
            let calls = code.contains(call) && path != Path::new("client/trust.rs");
            assert!(is_test_file(&path) || !calls, "{} calls a dangerous function", path.display());
        }
        for word in ["cfg(feature", "cfg!(test)", "debug_assertions"] {
            assert!(!code.contains(word), "{} behaves differently by {word}", path.display());
        }
    }
}

#[test]
fn only_the_command_line_reads_key_stores() {
    let mut key_store_files = BTreeSet::new();
    for (path, text) in sources() {
        let code = code(&text);
        if path.starts_with("cli/keystore") {
            continue;
        }
        assert!(!code.contains("p12_keystore"), "{} reads PKCS#12", path.display());
        let is_command_line = path.starts_with("cli");
        assert!(
            is_command_line || !code.contains("keystore::opened"),
            "{} takes an opened key store",
            path.display()
        );
        let name = path.to_string_lossy().into_owned();
        let writes =
            ["ca/pkcs12", "ca/jks", "ca/keystore"].iter().any(|part| name.starts_with(part));
        if writes && !is_test_file(&path) {
            for word in ["fn open", "fn read", "fn verify", "Decrypt", "decrypt", "Reader"] {
                assert!(!code.contains(word), "{name} reads key stores: {word}");
            }
            key_store_files.insert(name);
        }
    }
    assert!(key_store_files.contains("ca/jks.rs") && key_store_files.contains("ca/pkcs12/mod.rs"));
}
