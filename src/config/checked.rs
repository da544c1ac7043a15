//! The checked configuration: every value is final, every default is filled in.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::config::ConfigError;
use crate::config::file::{Location, Setting, WrittenSection, from_text};
use crate::config::files::Examine;
use crate::config::listener::ListenerConfig;
use crate::config::manual::{ConfigKey, SECTIONS, Section};
use crate::config::seal::{self, SealConfig, SealKey};

/// The configuration of a server.
#[derive(Debug)]
pub struct Checked {
    /// The listeners; at least one serves the API.
    pub listeners: Vec<ListenerConfig>,
    /// The storage.
    pub storage: Storage,
    /// The seal.
    pub seal: SealConfig,
    /// Level and format of the log.
    pub log: Log,
    /// The URL by which clients reach this server, without a slash at its end.
    pub api_addr: Option<String>,
    /// The name of the installation.
    pub cluster_name: Option<String>,
    /// The lifetime of a lease whose request names none.
    pub default_lease_ttl: Duration,
    /// The longest lease.
    pub max_lease_ttl: Duration,
    /// The file that holds the process's number.
    pub pid_file: Option<PathBuf>,
    /// Settings that work and are dangerous, for the log and for `config check`.
    pub warnings: Vec<ConfigError>,
}

/// The storage of the records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Storage {
    /// The embedded store in this folder.
    Rocksdb {
        /// The folder.
        path: PathBuf,
    },
    /// Memory.
    Inmem,
}

/// Level and format of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Log {
    /// The least severe lines that are logged.
    pub level: LogLevel,
    /// The format of a line.
    pub format: LogFormat,
}

/// The severity of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Every step.
    Trace,
    /// For diagnosis.
    Debug,
    /// Events of normal operation.
    Info,
    /// Events that may need an operator.
    Warn,
    /// Events that need an operator.
    Error,
}

impl fmt::Display for LogLevel {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        })
    }
}

/// The format of lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Text.
    Standard,
    /// One JSON object a line.
    Json,
}

/// What a check reads besides the files of the configuration.
pub(super) struct Surroundings<'a> {
    /// Looks up environment variables.
    pub(super) lookup: &'a dyn Fn(&str) -> Option<String>,
    /// Checks certificates; with `None` the files that the configuration names are not read.
    pub(super) examine: Option<&'a Examine<'a>>,
}

/// Checks all sections. `broken` means that a file could not be read completely, so
/// that missing sections are not reported.
pub(super) fn check(
    sections: &[WrittenSection],
    origin: &Path,
    broken: bool,
    surroundings: &Surroundings<'_>,
    faults: &mut Vec<ConfigError>,
) -> Option<Checked> {
    let Surroundings { lookup, examine } = *surroundings;
    let mut checking = Checking {
        origin: Location { file: origin.to_owned(), position: None },
        broken,
        lookup,
        examine,
        faults,
    };
    let listeners = checking.listeners(sections);
    let storage = checking.storage(sections);
    let seal = checking.seal(sections, storage.as_ref());
    let top = checking.top(sections)?;
    let log = Log {
        level: match top.text("log_level").as_deref() {
            Some("trace") => LogLevel::Trace,
            Some("debug") => LogLevel::Debug,
            Some("warn") => LogLevel::Warn,
            Some("error") => LogLevel::Error,
            _ => LogLevel::Info,
        },
        format: match top.text("log_format").as_deref() {
            Some("json") => LogFormat::Json,
            _ => LogFormat::Standard,
        },
    };
    let (default_lease_ttl, max_lease_ttl) =
        (top.duration("default_lease_ttl"), top.duration("max_lease_ttl"));
    if default_lease_ttl > max_lease_ttl {
        let message = "`default_lease_ttl` is longer than `max_lease_ttl`: lower it";
        let location = top.location("default_lease_ttl").or_else(|| top.location("max_lease_ttl"));
        checking.fault(location, message);
    }
    let api_addr = top.text("api_addr").map(|url| url.trim_end_matches('/').to_owned());
    if api_addr.as_deref().is_some_and(|url| !is_url(url)) {
        checking.fault(top.location("api_addr"), "`api_addr` must be a URL: https://host:port");
    }
    if top.value("disable_mlock") == Some(Setting::Bool(false)) {
        let message = "`disable_mlock` = false asks for locked memory, which Signet does not have: switch swap off or encrypt it, and write true";
        checking.fault(top.location("disable_mlock"), message);
    }
    let pid_file = top.text("pid_file").map(PathBuf::from);
    if let Some(path) = &pid_file {
        checking.check_process_file(path, top.location("pid_file"));
    }
    Some(Checked {
        listeners,
        storage: storage?,
        seal: seal?,
        log,
        api_addr,
        cluster_name: top.text("cluster_name"),
        default_lease_ttl,
        max_lease_ttl,
        pid_file,
        warnings: Vec::new(),
    })
}

fn is_url(url: &str) -> bool {
    ["https://", "http://"]
        .iter()
        .filter_map(|scheme| url.strip_prefix(scheme))
        .any(|host| !host.is_empty() && !host.starts_with([':', '/']))
}

/// The values of one section: what was set, else the default of the manual.
pub(super) struct Values {
    section: &'static Section,
    set: Vec<(&'static str, Location, Setting)>,
}

impl Values {
    pub(super) fn of(written: &WrittenSection) -> Self {
        let mut values = Self { section: written.section, set: Vec::new() };
        values.add(written);
        values
    }

    fn add(&mut self, written: &WrittenSection) {
        for (name, (location, setting)) in &written.values {
            self.set(name, location.clone(), setting.clone());
        }
    }

    fn set(&mut self, name: &'static str, location: Location, setting: Setting) {
        self.set.retain(|(known, ..)| *known != name);
        self.set.push((name, location, setting));
    }

    pub(super) fn location(&self, name: &str) -> Option<&Location> {
        self.set.iter().find(|(known, ..)| *known == name).map(|(_, location, _)| location)
    }

    fn value(&self, name: &str) -> Option<Setting> {
        if let Some((.., setting)) = self.set.iter().find(|(known, ..)| *known == name) {
            return Some(setting.clone());
        }
        let key: &ConfigKey = self.section.keys.iter().find(|key| key.name == name)?;
        from_text(key, key.default)
    }

    pub(super) fn text(&self, name: &str) -> Option<String> {
        match self.value(name) {
            Some(Setting::Text(text)) => Some(text),
            _ => None,
        }
    }

    pub(super) fn yes(&self, name: &str) -> bool {
        self.value(name) == Some(Setting::Bool(true))
    }

    /// Zero only for a key without a default; a test checks that every such key has one.
    pub(super) fn duration(&self, name: &str) -> Duration {
        match self.value(name) {
            Some(Setting::Duration(duration)) => duration,
            _ => Duration::ZERO,
        }
    }

    /// As [`Values::duration`].
    pub(super) fn count(&self, name: &str) -> usize {
        match self.value(name) {
            Some(Setting::Count(count)) => count,
            _ => 0,
        }
    }
}

pub(super) struct Checking<'a> {
    origin: Location,
    broken: bool,
    lookup: &'a dyn Fn(&str) -> Option<String>,
    /// With `None` the files that the configuration names are not read.
    pub(super) examine: Option<&'a Examine<'a>>,
    faults: &'a mut Vec<ConfigError>,
}

impl Checking<'_> {
    pub(super) fn fault(&mut self, location: Option<&Location>, message: impl Into<String>) {
        self.faults.push(location.unwrap_or(&self.origin).fault(message));
    }

    pub(super) fn warning(&mut self, location: Option<&Location>, message: impl Into<String>) {
        let fault = location.unwrap_or(&self.origin).fault(message);
        self.faults.push(ConfigError { warning: true, ..fault });
    }

    pub(super) fn missing(&mut self, message: &str) {
        if !self.broken {
            self.fault(None, message);
        }
    }

    fn storage(&mut self, sections: &[WrittenSection]) -> Option<Storage> {
        let Some(block) = self.only(sections, "storage") else {
            self.missing("no storage: add storage \"rocksdb\" { path = \"/var/lib/signet\" }");
            return None;
        };
        if block.section.label == "inmem" {
            return Some(Storage::Inmem);
        }
        let values = Values::of(block);
        let path = values.text("path").map(PathBuf::from);
        if let Some(path) = &path {
            self.check_store(path, values.location("path"));
        }
        if path.is_none() && !block.malformed.contains("path") {
            self.fault(Some(&block.location), "this storage needs `path`: the database's folder");
        }
        Some(Storage::Rocksdb { path: path? })
    }

    fn seal(
        &mut self,
        sections: &[WrittenSection],
        storage: Option<&Storage>,
    ) -> Option<SealConfig> {
        let Some(block) = self.only(sections, "seal") else {
            if matches!(storage, Some(Storage::Rocksdb { .. })) {
                self.missing(
                    "no seal: add seal \"static\" { current_key_id = \"1\" current_key = \"file:///…\" }",
                );
                return None;
            }
            return Some(SealConfig::Ephemeral);
        };
        let values = Values::of(block);
        let current = self.seal_key(block, &values, "current_key", "current_key_id", true);
        let previous = self.seal_key(block, &values, "previous_key", "previous_key_id", false);
        if let (Some(current), Some(previous)) = (&current, &previous)
            && current.id == previous.id
        {
            let message =
                "`previous_key_id` is the same as `current_key_id`: give each key its own";
            self.fault(values.location("previous_key_id"), message);
        }
        Some(SealConfig::Static { current: current?, previous })
    }

    fn seal_key(
        &mut self,
        block: &WrittenSection,
        values: &Values,
        key: &str,
        id: &str,
        needed: bool,
    ) -> Option<SealKey> {
        let (key_text, id_text) = (values.text(key), values.text(id));
        for (name, here, other) in [(key, &key_text, &id_text), (id, &id_text, &key_text)] {
            if here.is_none() && (needed || other.is_some()) && !block.malformed.contains(name) {
                self.fault(Some(&block.location), format!("this seal needs `{name}`"));
            }
        }
        let key_text = key_text?;
        let location = values.location(key);
        if let Some(path) = key_text.strip_prefix("file://") {
            self.check_secret(key, Path::new(path), location);
        } else if !key_text.starts_with("env://") {
            // The key is in the configuration itself.
            let file = location.map(|location| location.file.clone()).unwrap_or_default();
            self.check_secret(key, &file, location);
        }
        match seal::find(&key_text, self.lookup) {
            Ok(found) => Some(SealKey { id: id_text?, key: found }),
            Err(message) => {
                self.fault(values.location(key), format!("`{key}`: {message}"));
                None
            }
        }
    }

    /// The one section of this name, a second one being a fault.
    fn only<'b>(
        &mut self,
        sections: &'b [WrittenSection],
        name: &str,
    ) -> Option<&'b WrittenSection> {
        let mut blocks = named(sections, name);
        let first = blocks.next();
        for further in blocks {
            self.fault(Some(&further.location), format!("a second {name}: keep one"));
        }
        first
    }

    /// The keys outside blocks: later files over earlier ones, the environment over all.
    fn top(&mut self, sections: &[WrittenSection]) -> Option<Values> {
        let mut values = Values { section: SECTIONS.first()?, set: Vec::new() };
        for written in sections.iter().filter(|written| written.section.name.is_empty()) {
            values.add(written);
        }
        for key in values.section.keys {
            let Some(variable) = key.variable else { continue };
            let names = [format!("SIGNET_{variable}"), format!("VAULT_{variable}")];
            let found = names.into_iter().find_map(|name| {
                let text = (self.lookup)(&name).filter(|text| !text.is_empty())?;
                Some((name, text))
            });
            let Some((name, text)) = found else { continue };
            let location = Location { file: name.into(), position: None };
            match from_text(key, &text) {
                Some(setting) => values.set(key.name, location, setting),
                None => self.fault(Some(&location), format!("must be {}", key.form.words())),
            }
        }
        Some(values)
    }
}

pub(super) fn named<'a>(
    sections: &'a [WrittenSection],
    name: &str,
) -> impl Iterator<Item = &'a WrittenSection> {
    sections.iter().filter(move |written| written.section.name == name)
}
