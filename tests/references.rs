//! Links and citations lead to a page of the repository and, where one is named, to an existing
//! section.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};

/// Folders and files whose text may name a page.
const ROOTS: [&str; 13] = [
    ".ci",
    "benches",
    "docs",
    "fuzz",
    "scripts",
    "src",
    "testdata/README.md",
    "tests",
    "CHANGELOG.md",
    "Cargo.toml",
    "README.md",
    "clippy.toml",
    "deny.toml",
];
/// Folders of recorded or generated data.
const DATA: [&str; 5] = ["target", "corpus", "artifacts", "dictionaries", "__pycache__"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn collect(path: &Path, found: &mut Vec<(PathBuf, String)>) {
    if path.is_dir() {
        for entry in fs::read_dir(path).into_iter().flatten().flatten() {
            if !DATA.iter().any(|name| entry.file_name().to_string_lossy() == *name) {
                collect(&entry.path(), found);
            }
        }
    } else if let Ok(text) = fs::read_to_string(path) {
        found.push((path.strip_prefix(root()).unwrap_or(path).to_owned(), text));
    }
}

/// Every text file that may name a page: its path in the repository and its content.
fn files() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for path in ROOTS {
        assert!(root().join(path).exists(), "{path} does not exist");
        collect(&root().join(path), &mut found);
    }
    found
}

/// The text as one line without comment markers: a citation may continue on the next line.
fn one_line(text: &str) -> String {
    text.lines()
        .map(|line| line.trim().trim_start_matches(['/', '!', '#']).trim())
        .collect::<Vec<_>>()
        .join(" ")
        .replace("\\\"", "\"")
}

/// The headings of a page, without their backquotes.
fn headings(page: &str) -> BTreeSet<String> {
    let mut code = false;
    let mut found = BTreeSet::new();
    for line in page.lines() {
        code ^= line.starts_with("```");
        if line.starts_with('#') && !code {
            found.insert(line.trim_start_matches('#').trim().replace('`', ""));
        }
    }
    found
}

/// The anchor that GitHub gives a heading.
fn anchor(heading: &str) -> String {
    heading
        .to_lowercase()
        .chars()
        .filter(|c| c.is_alphanumeric() || " -_".contains(*c))
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

/// The pages of `docs/` that a text names, each with the section that follows its name in quotes.
fn citations(text: &str) -> Vec<(String, Option<String>)> {
    let line = one_line(text);
    let mut found = Vec::new();
    for (start, _) in line.match_indices("docs/") {
        let before = line.get(..start).unwrap_or_default();
        // Part of a URL such as `api-docs/…`, or of another path.
        if before.ends_with(|c: char| c.is_alphanumeric() || "-_/.".contains(c)) {
            continue;
        }
        let rest = line.get(start..).unwrap_or_default();
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "/._-".contains(c)));
        let (path, after) = rest.split_at(end.unwrap_or(rest.len()));
        let section = after
            .trim_start_matches(['`', '*'])
            .strip_prefix(", \"")
            .and_then(|rest| rest.split_once('"'))
            .map(|(section, _)| section.replace('`', ""));
        found.push((path.trim_end_matches(['.', '/']).to_owned(), section));
    }
    found
}

#[test]
fn every_page_and_section_that_is_cited_exists() {
    let mut wrong = Vec::new();
    let mut sections = 0;
    for (file, text) in files() {
        // This test contains examples.
        if file.ends_with("references.rs") {
            continue;
        }
        for (path, section) in citations(&text) {
            let Ok(page) = fs::read_to_string(root().join(&path)) else {
                if !root().join(&path).is_dir() {
                    wrong.push(format!("{} names {path}", file.display()));
                }
                continue;
            };
            let Some(section) = section else { continue };
            sections += 1;
            if !headings(&page).contains(&section) {
                wrong.push(format!("{} names {path}, \"{section}\"", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(sections > 40, "{sections} sections are cited: are citations found?");
}

/// `path` without `.` and `..`.
fn plain(path: &Path) -> PathBuf {
    let mut parts = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => _ = parts.pop(),
            Component::CurDir => {}
            other => parts.push(other),
        }
    }
    parts
}

/// The targets of links and images in a page: `[text](target)`, and `[name]: target`.
fn links(page: &str) -> Vec<String> {
    let inline = page.match_indices("](").filter_map(|(at, _)| {
        page.get(at + 2..)?.split_once(')').map(|(target, _)| target.trim().to_owned())
    });
    let defined = page.lines().filter_map(|line| {
        line.strip_prefix('[')?.split_once("]: ").map(|(_, target)| target.trim().to_owned())
    });
    inline.chain(defined).collect()
}

#[test]
fn every_link_of_a_page_resolves() {
    let mut wrong = Vec::new();
    for (file, text) in files() {
        if file.extension().is_none_or(|extension| extension != "md") {
            continue;
        }
        for link in links(&text) {
            if link.starts_with("http://") || link.starts_with("https://") {
                continue;
            }
            let (path, fragment) = link.split_once('#').unwrap_or((&link, ""));
            let target = if path.is_empty() {
                file.clone()
            } else {
                plain(&file.parent().unwrap_or(Path::new("")).join(path))
            };
            let page = fs::read_to_string(root().join(&target)).unwrap_or_default();
            let known = fragment.is_empty()
                || headings(&page).iter().any(|heading| anchor(heading) == fragment);
            if !root().join(&target).exists() || !known {
                wrong.push(format!("{} links to {link}", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn no_comment_cites_a_page_outside_of_the_repository() {
    let mut wrong = Vec::new();
    for (file, text) in files() {
        if file.ends_with("references.rs") {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            let words: Vec<_> = line
                .split(|c: char| !(c.is_ascii_alphanumeric() || "-_./".contains(c)))
                .map(|word| word.trim_end_matches('.'))
                .collect();
            let retired = ["pki-api", "vault-core-api", "vault-spiffe-api", "real-clients"];
            let by_number = words.windows(2).any(|pair| match pair {
                ["design" | "Design", number] => number
                    .strip_prefix('D')
                    .is_some_and(|digits| digits.chars().all(|c| c.is_ascii_digit())),
                _ => false,
            });
            let folder = root().join(file.parent().unwrap_or(Path::new("")));
            // Code may build a path; prose and comments must name existing pages.
            let is_prose = file.extension().is_some_and(|extension| extension == "md")
                || ["//", "#"].iter().any(|start| line.trim_start().starts_with(start));
            let is_missing = |word: &&str| {
                retired.contains(word)
                    || is_prose
                        && word.ends_with(".md")
                        && ![root(), &folder].iter().any(|start| start.join(word).exists())
            };
            if by_number || words.iter().any(is_missing) {
                wrong.push(format!("{}:{}: {line}", file.display(), number + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_citation_is_read_across_lines_with_its_section() {
    let text = "//! Why: `docs/design.md`,\n//! \"Serial numbers begin with\n//! the expiry\".\n";
    let section = "Serial numbers begin with the expiry".to_owned();
    assert_eq!(citations(text), [("docs/design.md".to_owned(), Some(section))]);
    assert_eq!(citations("see https://example.com/api-docs/x.md"), []);
    assert_eq!(citations("# as docs/jobs.md."), [("docs/jobs.md".to_owned(), None)]);
}

#[test]
fn links_and_anchors_are_read_as_github_shows_them() {
    let page = "[a](b.md#c-d), ![e](f.svg)\n[g]: h.md\n";
    assert_eq!(links(page), ["b.md#c-d", "f.svg", "h.md"]);
    assert_eq!(anchor("What differs, on purpose"), "what-differs-on-purpose");
    assert_eq!(headings("# A `b`\n```\n# no\n```\n## C\n"), ["A b", "C"].map(str::to_owned).into());
}
