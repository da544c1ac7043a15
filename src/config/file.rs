//! Reads a file into sections: known keys, each value in its form and with its
//! location. `checked` checks how the values fit together.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use strsim::levenshtein;

use crate::config::ConfigError;
use crate::config::manual::{ConfigKey, SECTIONS, Section, ValueForm};
use crate::go::duration;
use crate::hcl::{self, Body, HclEntry, Position, Value, ValueKind};

/// A section of a file and the values set in it.
#[derive(Debug)]
pub(super) struct WrittenSection {
    pub(super) section: &'static Section,
    pub(super) location: Location,
    pub(super) values: BTreeMap<&'static str, (Location, Setting)>,
    /// Keys whose value does not have their form; reported already.
    pub(super) malformed: BTreeSet<&'static str>,
}

/// The location of a value or section.
#[derive(Clone, Debug)]
pub(super) struct Location {
    pub(super) file: PathBuf,
    pub(super) position: Option<Position>,
}

impl Location {
    pub(super) fn fault(&self, message: impl Into<String>) -> ConfigError {
        let (file, position) = (self.file.clone(), self.position);
        ConfigError { file, position, message: message.into(), warning: false }
    }
}

/// A value in the form of its key.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Setting {
    Text(String),
    Bool(bool),
    Duration(Duration),
    Count(usize),
}

/// Reads the text of one file. Errors are added to `faults`, and the valid part is returned anyway, so
/// that one run shows every error.
pub(super) fn read(file: &Path, text: &str, faults: &mut Vec<ConfigError>) -> Vec<WrittenSection> {
    let mut reading = Reading { file, faults };
    match hcl::parse(text) {
        Ok(tree) => reading.sections(&tree),
        Err(error) => {
            reading.fault(error.position, error.message);
            Vec::new()
        }
    }
}

struct Reading<'a> {
    file: &'a Path,
    faults: &'a mut Vec<ConfigError>,
}

impl Reading<'_> {
    fn location(&self, position: Position) -> Location {
        Location { file: self.file.to_owned(), position: Some(position) }
    }

    fn fault(&mut self, position: Position, message: impl Into<String>) {
        self.faults.push(self.location(position).fault(message));
    }

    fn sections(&mut self, tree: &Body) -> Vec<WrittenSection> {
        let Some(top) = SECTIONS.first() else { return Vec::new() };
        let (blocks, plain): (Vec<_>, Vec<_>) = tree
            .entries
            .iter()
            .partition(|entry| names(SECTIONS.iter()).any(|name| name == entry.key.text));
        let whole = Position { line: 1, column: 1 };
        let mut sections = vec![self.section(top, whole, plain.into_iter())];
        for entry in blocks {
            match entry.blocks(1) {
                Err(error) => self.fault(error.position, error.message),
                Ok(found) => {
                    for block in found {
                        let label = block.labels.first().map_or("", |word| word.text.as_str());
                        let known = SECTIONS
                            .iter()
                            .find(|known| known.name == entry.key.text && known.label == label);
                        match known {
                            Some(known) => {
                                let entries = block.body.entries.iter();
                                sections.push(self.section(known, block.position, entries));
                            }
                            None => self.unknown_label(entry, block.position, label),
                        }
                    }
                }
            }
        }
        sections
    }

    fn unknown_label(&mut self, entry: &HclEntry, position: Position, label: &str) {
        let name = &entry.key.text;
        let known: Vec<_> = SECTIONS
            .iter()
            .filter(|known| known.name == *name)
            .map(|known| format!("{name} \"{}\"", known.label))
            .collect();
        self.fault(
            position,
            format!("there is no {name} \"{label}\": write {}", known.join(" or ")),
        );
    }

    fn section<'b>(
        &mut self,
        section: &'static Section,
        position: Position,
        entries: impl Iterator<Item = &'b HclEntry>,
    ) -> WrittenSection {
        let mut values = BTreeMap::new();
        let mut malformed = BTreeSet::new();
        for entry in entries {
            let (at, name) = (entry.key.position, entry.key.text.as_str());
            let Some(key) = section.keys.iter().find(|key| key.name == name) else {
                self.fault(at, unknown_key(section, name));
                continue;
            };
            if values.contains_key(key.name) {
                self.fault(at, format!("`{name}` is set twice: keep one"));
                continue;
            }
            if !entry.labels.is_empty() {
                self.fault(at, format!("`{name}` is set with an equals sign"));
                continue;
            }
            match setting(key, &entry.value) {
                Some(value) => {
                    values.insert(key.name, (self.location(entry.value.position), value));
                }
                None => {
                    malformed.insert(key.name);
                    let message = format!("`{name}` must be {}", key.form.words());
                    self.fault(entry.value.position, message);
                }
            }
        }
        WrittenSection { section, location: self.location(position), values, malformed }
    }
}

fn names(sections: impl Iterator<Item = &'static Section>) -> impl Iterator<Item = &'static str> {
    sections.map(|section| section.name).filter(|name| !name.is_empty())
}

fn unknown_key(section: &Section, name: &str) -> String {
    let mut known: Vec<_> = section.keys.iter().map(|key| key.name).collect();
    if section.name.is_empty() {
        known.extend(names(SECTIONS.iter()));
        known.dedup();
    }
    let differ = |known: &str| {
        if name.len() > 2 && known.starts_with(name) { 1 } else { levenshtein(known, name) }
    };
    let close = known.iter().map(|known| (differ(known), known)).min();
    match close {
        Some((distance, known)) if distance <= 3 => {
            format!("unknown key `{name}`: did you mean `{known}`?")
        }
        _ if known.is_empty() => format!("unknown key `{name}`: this block has none"),
        _ => format!("unknown key `{name}`: remove it; known here are {}", known.join(", ")),
    }
}

fn setting(key: &ConfigKey, value: &Value) -> Option<Setting> {
    match (&value.kind, key.form) {
        (ValueKind::String(text), _) => from_text(key, text),
        (ValueKind::Bool(yes), ValueForm::Bool) => Some(Setting::Bool(*yes)),
        (ValueKind::Integer(number @ (0 | 1)), ValueForm::Bool) => {
            Some(Setting::Bool(*number == 1))
        }
        (ValueKind::Integer(number), ValueForm::Duration | ValueForm::Count) => {
            from_text(key, &number.to_string())
        }
        _ => None,
    }
}

/// A value in quotes, or of an environment variable.
pub(super) fn from_text(key: &ConfigKey, text: &str) -> Option<Setting> {
    match key.form {
        ValueForm::Text => (!text.is_empty()).then(|| Setting::Text(text.to_owned())),
        ValueForm::Bool => match text.to_ascii_lowercase().as_str() {
            "true" | "1" => Some(Setting::Bool(true)),
            "false" | "0" => Some(Setting::Bool(false)),
            _ => None,
        },
        ValueForm::Duration => {
            let time = duration::parse(text).ok()?.to_std()?;
            (!time.is_zero()).then_some(Setting::Duration(time))
        }
        ValueForm::Count => text.parse().ok().filter(|count| *count > 0).map(Setting::Count),
        ValueForm::OneOf(words) => words
            .iter()
            .find(|word| word.eq_ignore_ascii_case(text))
            .map(|word| Setting::Text((*word).to_owned())),
    }
}
