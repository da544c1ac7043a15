//! The words of this repository: plain terms of the field, and one meaning for each name.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of a test, where a surprise is a failure"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Retired words and phrases, in lower case. Letters and digits bound a word; an underscore does not, so that
/// names in code are read as well as sentences.
const RETIRED: &[&str] = &[
    "whoever",
    "nobody",
    "somebody",
    "stranger",
    "strangers",
    "evening",
    "octet",
    "octets",
    "the book",
    "the house",
    "for ever",
    "his",
    "his own",
    "hers",
    "workshop",
    "pressing",
    "all the same",
    "in earnest",
    "of old",
    "shall",
    "those who",
    "who comes",
    "so many as",
    "into so many",
    "take leave",
    "the floors",
    "comes to be",
];

/// Retired phrases that are names of the standard library with an underscore: only the phrase with a space is one.
const RETIRED_WITH_SPACE: &[&str] = &["is none", "are none"];

/// Terms that contain a retired word and are those of a standard.
const TERMS: &[&str] =
    &["octet string", "octet-string", "octet_string", "octetstring", "octet-stream", ".octets()"];

/// Lines that quote a standard or another language: the file, and a part of the line.
const QUOTATIONS: &[(&str, &str)] = &[
    ("scripts/issue-path", "if count is None:"),
    ("scripts/issue-path", "if first is None:"),
    ("benches/page.py", "if number is None:"),
];

const ROOTS: &[&str] = &[
    "src",
    "docs",
    "scripts",
    "tests",
    "benches",
    "fuzz/fuzz_targets",
    "fuzz/src",
    "README.md",
    "CHANGELOG.md",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files_below(path: &Path, files: &mut Vec<PathBuf>) {
    if path.is_file() {
        files.push(path.to_owned());
        return;
    }
    let folder = fs::read_dir(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut entries: Vec<_> = folder.map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for entry in entries.iter().filter(|entry| !entry.ends_with("target")) {
        files_below(entry, files);
    }
}

/// Every text file that a person reads, with its path from the root of the repository.
fn texts() -> Vec<(String, String)> {
    let mut files = Vec::new();
    for name in ROOTS {
        files_below(&root().join(name), &mut files);
    }
    let relative = |path: &Path| path.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
    let is_this_file = |path: &Path| relative(path) == "tests/language.rs";
    let read = |path: PathBuf| Some((relative(&path), fs::read_to_string(&path).ok()?));
    files.into_iter().filter(|path| !is_this_file(path)).filter_map(read).collect()
}

fn is_bounded(text: &str, start: usize, end: usize) -> bool {
    let before = text[..start].chars().next_back();
    let after = text[end..].chars().next();
    ![before, after].into_iter().flatten().any(char::is_alphanumeric)
}

fn contains_word(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(start, _)| is_bounded(text, start, start + word.len()))
}

/// The retired words of one line.
fn retired_in(line: &str) -> Vec<&'static str> {
    let mut line = line.to_lowercase();
    for term in TERMS {
        line = line.replace(term, "");
    }
    let words = line.replace('_', " ");
    let retired = RETIRED.iter().filter(|word| contains_word(&words, word));
    let spaced = RETIRED_WITH_SPACE.iter().filter(|phrase| contains_word(&line, phrase));
    retired.chain(spaced).copied().collect()
}

fn is_quotation(path: &str, line: &str) -> bool {
    QUOTATIONS.iter().any(|(file, part)| *file == path && line.contains(part))
}

#[test]
fn retired_words_are_found_in_sentences_and_in_names() {
    assert_eq!(retired_in("/// Nobody waits."), ["nobody"]);
    assert_eq!(retired_in("fn a_stranger_is_refused() {"), ["stranger"]);
    assert_eq!(retired_in("// 16 octets of his own"), ["octets", "his", "his own"]);
    assert_eq!(retired_in("// a validity is none if"), ["is none"]);
    assert!(retired_in("if this.is_none() { /* an OCTET STRING, marshalled */ }").is_empty());
}

#[test]
fn no_line_has_a_retired_word() {
    let mut found = Vec::new();
    for (path, text) in texts() {
        for (number, line) in text.lines().enumerate() {
            let words = retired_in(line);
            if !words.is_empty() && !is_quotation(&path, line) {
                found.push(format!("{path}:{}: {}: {}", number + 1, words.join(", "), line.trim()));
            }
        }
    }
    assert!(found.is_empty(), "{} lines have retired words:\n{}", found.len(), found.join("\n"));
}

#[test]
fn every_excepted_line_is_still_there() {
    for (path, part) in QUOTATIONS {
        let text = fs::read_to_string(root().join(path)).unwrap_or_default();
        let line = text.lines().find(|line| line.contains(part));
        assert!(
            line.is_some_and(|line| !retired_in(line).is_empty()),
            "{path} has no line `{part}` to except"
        );
    }
}

/// The name of a type that a line at the beginning of a column defines.
fn defined_type(line: &str) -> Option<&str> {
    let line = match line.strip_prefix("pub") {
        Some(rest) if rest.starts_with('(') => rest.split_once(") ")?.1,
        Some(rest) => rest.trim_start(),
        None => line,
    };
    let kinds = ["struct ", "enum ", "trait ", "type ", "union "];
    let rest = kinds.iter().find_map(|kind| line.strip_prefix(kind))?;
    let end = rest.find(|character: char| !character.is_alphanumeric() && character != '_');
    Some(&rest[..end.unwrap_or(rest.len())])
}

#[test]
fn each_name_of_a_type_has_one_meaning() {
    assert_eq!(defined_type("pub(in crate::ca) struct Reader<'a> {"), Some("Reader"));
    assert_eq!(defined_type("type Data = Bytes;"), Some("Data"));
    assert_eq!(defined_type("    type Error = Infallible;"), None);
    let is_test = |path: &str| {
        path.contains("tests/") || path.ends_with("tests.rs") || path.ends_with("suite.rs")
    };
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (path, text) in texts() {
        if !path.starts_with("src/") || is_test(&path) {
            continue;
        }
        for name in text.lines().filter_map(defined_type) {
            places.entry(name.to_owned()).or_default().push(path.clone());
        }
    }
    places.retain(|_, places| places.len() > 1);
    assert!(places.is_empty(), "types of one name: {places:#?}");
}
