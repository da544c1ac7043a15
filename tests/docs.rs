//! The pages agree with the code: their tables are those of the code, and the files that they name exist.

#![expect(clippy::panic, reason = "the helpers of tests, too")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    match fs::read_to_string(root().join(path)) {
        Ok(text) => text,
        Err(error) => panic!("{path}: {error}"),
    }
}

/// The README and the pages of `docs` and `docs/dev`, by their paths in the repository.
fn pages() -> Vec<(PathBuf, String)> {
    let files = |folder| {
        fs::read_dir(root().join(folder)).into_iter().flatten().flatten().map(|entry| entry.path())
    };
    files("docs")
        .chain(files("docs/dev"))
        .chain([root().join("README.md")])
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap_or_default();
            (path.strip_prefix(root()).unwrap_or(&path).to_owned(), text)
        })
        .collect()
}

/// The cells of the tables' rows that begin with a word in backquotes.
fn rows(page: &str) -> Vec<Vec<String>> {
    page.lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| {
            line.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect()
        })
        .collect()
}

/// What stands in backquotes or in quotes, by the mark.
fn marked(text: &str, mark: char) -> Vec<String> {
    text.split(mark).skip(1).step_by(2).map(str::to_owned).collect()
}

/// The names under the tables of dependencies of both manifests, without our own package.
fn direct_dependencies() -> BTreeSet<String> {
    let mut inside = false;
    let mut names = BTreeSet::new();
    let manifests = read("Cargo.toml") + &read("benches/Cargo.toml");
    for line in manifests.lines() {
        if line.starts_with('[') {
            inside = line.contains("dependencies]");
        } else if let (true, Some((name, _))) = (inside, line.split_once('=')) {
            names.insert(name.trim().trim_end_matches(".workspace").to_owned());
        }
    }
    names.remove("signet");
    names
}

#[test]
fn every_dependency_has_its_line_and_no_other() {
    let page = rows(&read("docs/dev/dependencies.md"));
    let listed: Vec<_> =
        page.iter().filter_map(|row| marked(row.first()?, '`').into_iter().next()).collect();
    let distinct: BTreeSet<_> = listed.iter().cloned().collect();
    assert_eq!(distinct.len(), listed.len(), "a dependency is listed twice");
    assert_eq!(distinct, direct_dependencies());
    for row in page {
        assert!(row.len() == 3 && row.iter().all(|cell| cell.len() > 3), "{row:?} says too little");
    }
}

#[test]
fn every_file_that_a_page_names_is_there() {
    let mut missing = Vec::new();
    for (path, text) in pages() {
        let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || "/._-".contains(c)));
        for word in words.map(|word| word.trim_end_matches('.')) {
            let ours = ["src/", "docs/", "scripts/", "tests/", "testdata/", "benches/", ".ci/"];
            if ours.iter().any(|folder| word.starts_with(folder)) && !root().join(word).exists() {
                missing.push(format!("{} names {word}", path.display()));
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn the_readme_links_to_every_page() {
    let map = read("README.md");
    for (path, _) in pages() {
        let name = path.display().to_string();
        assert!(name == "README.md" || map.contains(&format!("({name})")), "{name}");
    }
}

#[test]
fn every_page_has_a_command_to_paste() {
    for (path, text) in pages() {
        let command = text.lines().any(|line| {
            ["    signet ", "    scripts/", "    cargo ", "    openssl ", "    curl ", "$ "]
                .iter()
                .any(|start| line.starts_with(start))
        });
        assert!(command, "{} shows no command", path.display());
    }
}

/// The rows of the table of weaknesses: row number, fault, public numbers, what is here.
fn weaknesses() -> Vec<Vec<String>> {
    let page = read("docs/dev/weaknesses.md");
    let numbered = |line: &&str| {
        line.strip_prefix("| ").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    let cells = |line: &str| {
        line.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect()
    };
    page.lines().filter(numbered).map(cells).collect()
}

#[test]
fn every_weakness_has_its_row_with_a_test_or_a_reason() {
    let rows = weaknesses();
    let numbers: Vec<_> = rows.iter().map(|row| row.first().cloned().unwrap_or_default()).collect();
    assert_eq!(numbers, (1..=92).map(|number: u8| number.to_string()).collect::<Vec<_>>());
    for row in &rows {
        let here = row.get(3).cloned().unwrap_or_default();
        let reasoned = ["Never: ", "Not yet: ", "Open: "].iter().any(|word| here.starts_with(word));
        assert!(reasoned || marked(&here, '`').len() > 1, "{row:?} names no test and no reason");
    }
}

/// Whether a public number has the form that its registry gives it.
fn is_well_formed(number: &str) -> bool {
    let digits = |text: &str, lengths: std::ops::RangeInclusive<usize>| {
        lengths.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    let dated = |text: &str, lengths| {
        let parts = text.split_once('-');
        parts.is_some_and(|(year, rest)| digits(year, 4..=4) && digits(rest, lengths))
    };
    // GitHub leaves out the letters and digits that are easily confused.
    let ghsa =
        |part: &str| part.len() == 4 && part.chars().all(|c| "23456789cfghjmpqrvwx".contains(c));
    let project = |text: &str| {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        let named = |text: &str| !text.is_empty() && text.chars().all(allowed);
        text.split_once('/').is_some_and(|(owner, name)| named(owner) && named(name))
    };
    if let Some(rest) = number.strip_prefix("CVE-") {
        dated(rest, 4..=7)
    } else if let Some(rest) = number.strip_prefix("RUSTSEC-") {
        dated(rest, 4..=4)
    } else if let Some(rest) = number.strip_prefix("GHSA-") {
        rest.split('-').count() == 3 && rest.split('-').all(ghsa)
    } else if let Some(rest) = number.strip_prefix("CWE-") {
        digits(rest, 1..=4)
    } else if let Some(rest) = number.strip_prefix("VU#") {
        digits(rest, 6..=6)
    } else if let Some(rest) = number.strip_prefix("Mozilla bug ") {
        digits(rest, 6..=7)
    } else {
        number.split_once('#').is_some_and(|(name, rest)| project(name) && digits(rest, 1..=6))
    }
}

#[test]
fn every_weakness_has_a_well_formed_public_number_or_says_that_it_has_none() {
    for wrong in
        ["CVE-24-1234", "CVE-2024-123", "RUSTSEC-2023-71", "GHSA-aaaa-2222-3333", "CWE-", "VU#1"]
    {
        assert!(!is_well_formed(wrong), "{wrong} is accepted");
    }
    let mut numbered = 0;
    for row in weaknesses() {
        assert_eq!(row.len(), 4, "{row:?}");
        let cell = row.get(2).cloned().unwrap_or_default();
        if let Some(source) = cell.strip_prefix("no public number: ") {
            assert!(source.len() > 10, "{row:?} does not say where the fault was made public");
            continue;
        }
        let numbers: Vec<_> = cell.split(", ").collect();
        for number in &numbers {
            assert!(is_well_formed(number), "{row:?}: {number} is malformed");
        }
        let distinct: BTreeSet<_> = numbers.iter().collect();
        assert_eq!(distinct.len(), numbers.len(), "{row:?} has a number twice");
        numbered += 1;
    }
    assert!(numbered > 80, "{numbered} rows with a number");
}

#[test]
fn every_advisory_that_bans_a_library_is_on_the_page_of_weaknesses() {
    let page: String = weaknesses().concat().join(" ");
    let banned = read("tests/known_weaknesses.rs") + &read("deny.toml");
    let advisories: BTreeSet<_> = banned
        .split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'))
        .filter(|word| word.starts_with("RUSTSEC-"))
        .collect();
    assert!(advisories.len() > 8, "{advisories:?}");
    for advisory in advisories {
        assert!(is_well_formed(advisory) && page.contains(advisory), "{advisory} is missing");
    }
}

#[test]
fn every_test_that_stands_against_a_weakness_is_there() {
    let mut named = 0;
    for row in weaknesses() {
        let mut file = String::new();
        for word in row.get(3).map(|here| marked(here, '`')).unwrap_or_default() {
            if word.ends_with(".rs") {
                file = read(&word);
                continue;
            }
            let definition = format!("fn {word}(");
            assert!(file.contains(&definition), "{row:?}: {word} is not in the file before it");
            named += 1;
        }
    }
    assert!(named > 50, "{named} tests");
}

#[test]
fn the_numbers_of_the_measurements_are_those_of_their_files() {
    let check = ["benches/page.py", "docs/dev/performance", "docs/performance.md", "--check"];
    // Without Python the page cannot be made either.
    if let Ok(output) = Command::new("python3").args(check).current_dir(root()).output() {
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
}

/// One row for each path: its operations, and whether it needs a token.
fn table_of_paths() -> String {
    let mut table = "| type of mount | path | operations |\n|---|---|---|\n".to_owned();
    for kind in signet::backend::registry::kinds() {
        let mut paths: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for info in kind.routes() {
            let public = if info.needs_no_token() { " (no token)" } else { "" };
            let operation = format!("{}{public}", info.operation.method());
            paths.entry(info.path()).or_default().push(operation);
        }
        for (path, operations) in paths {
            let operations = operations.join(", ");
            table.push_str(&format!("| {} | `{path}` | {operations} |\n", kind.kind()));
        }
    }
    table
}

#[test]
fn the_table_of_paths_is_that_of_the_routes() {
    let page = read("docs/compatibility.md");
    let table = table_of_paths();
    assert!(page.contains(&table), "docs/compatibility.md does not hold this table:\n{table}");
}
