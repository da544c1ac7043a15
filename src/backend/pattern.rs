//! Which route of a kind a path means.
//!
//! A pattern is segments with slashes between them. `{name}` captures one segment that is a name as Vault
//! allows it for roles, issuers and keys; `{name:any}` captures any one segment; `{name:serial}` a serial
//! number in hexadecimal, with or without separators; `{name:path}` one segment or more, also in the middle
//! of a pattern. `matchit`, axum's matcher, has no capture of several segments in the middle, and
//! `sys/mounts/{path:path}/tune` needs one.
//!
//! A literal segment comes before a capture, and a capture of one segment before one of several.

use std::collections::HashMap;
use std::ops::Range;

use super::call::Captures;
use super::route::{Operation, RouteInfo};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Name,
    Any,
    Serial,
    Path,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Segment {
    Literal(&'static str),
    Capture(&'static str, Shape),
}

/// What a path means to a kind of mount.
#[derive(Debug, PartialEq, Eq)]
pub enum PathMatch {
    /// The route at this position of the table.
    Route(usize, Captures),
    /// The path exists, but not this operation.
    NoOperation {
        /// The path is readable without a token, so the answer discloses nothing new.
        is_public: bool,
    },
    /// The path does not exist.
    Nothing,
}

/// One path with its routes.
#[derive(Debug)]
struct Path {
    segments: Vec<Segment>,
    /// Positions in the table.
    routes: Vec<(Operation, usize)>,
    is_public: bool,
}

/// The route table of a kind, prepared for path lookup.
#[derive(Debug, Default)]
pub(super) struct Matcher {
    paths: Vec<Path>,
    /// Positions in `paths` by their first segment, the most specific first.
    by_first: HashMap<&'static str, Vec<usize>>,
    /// Those that begin with a capture.
    others: Vec<usize>,
}

impl Matcher {
    /// The matcher of a table. The order of its routes does not count.
    pub(super) fn new<'a>(routes: impl Iterator<Item = &'a RouteInfo>) -> Self {
        let mut matcher = Self::default();
        let mut known: HashMap<&'static str, usize> = HashMap::new();
        for (position, info) in routes.enumerate() {
            let at = *known.entry(info.pattern).or_insert_with(|| {
                let segments = parsed(info.pattern);
                matcher.paths.push(Path { segments, routes: Vec::new(), is_public: false });
                matcher.paths.len().saturating_sub(1)
            });
            if let Some(path) = matcher.paths.get_mut(at) {
                path.routes.push((info.operation, position));
                path.is_public |= info.needs_no_token() && info.operation == Operation::Read;
            }
        }
        let mut order: Vec<usize> = (0..matcher.paths.len()).collect();
        order.sort_by_key(|at| matcher.paths.get(*at).map(|path| path.rank()));
        for at in order {
            match matcher.paths.get(at).and_then(|path| path.segments.first()) {
                Some(Segment::Literal(first)) => {
                    matcher.by_first.entry(first).or_default().push(at);
                }
                _ => matcher.others.push(at),
            }
        }
        matcher
    }

    /// What this path behind the mount means. One slash at its end counts for nothing.
    pub(super) fn find(&self, path: &str, operation: Operation) -> PathMatch {
        let Some((found, captures)) = self.path(path) else { return PathMatch::Nothing };
        let route = found.routes.iter().find(|(known, _)| *known == operation);
        match route {
            Some((_, position)) => PathMatch::Route(*position, captures),
            None => PathMatch::NoOperation { is_public: found.is_public },
        }
    }

    /// The positions of the routes of this path.
    pub(super) fn positions(&self, path: &str) -> impl Iterator<Item = usize> {
        let routes = self.path(path).map(|(found, _)| found.routes.iter());
        routes.into_iter().flatten().map(|(_, position)| *position)
    }

    fn path(&self, path: &str) -> Option<(&Path, Captures)> {
        let path = path.strip_suffix('/').unwrap_or(path);
        let first = path.split('/').next().unwrap_or_default();
        let candidates = self.by_first.get(first).into_iter().flatten().chain(&self.others);
        candidates
            .filter_map(|at| self.paths.get(*at))
            .find_map(|candidate| Some((candidate, candidate.captures(path)?)))
    }
}

impl Path {
    /// Sorts the more specific pattern in front: segment by segment, literals before captures.
    fn rank(&self) -> Vec<u8> {
        let rank = |segment: &Segment| match segment {
            Segment::Literal(_) => 0,
            Segment::Capture(_, Shape::Name | Shape::Any | Shape::Serial) => 1,
            Segment::Capture(_, Shape::Path) => 2,
        };
        // What follows a capture of several segments makes a pattern more specific.
        self.segments.iter().map(rank).chain([3]).collect()
    }

    fn captures(&self, path: &str) -> Option<Captures> {
        let spans: Vec<Range<usize>> = spans(path).collect();
        let several = self
            .segments
            .iter()
            .position(|segment| matches!(segment, Segment::Capture(_, Shape::Path)));
        let surplus = spans.len().checked_sub(self.segments.len())?;
        if several.is_none() && surplus > 0 {
            return None;
        }
        let mut captures = Vec::new();
        let mut next = 0_usize;
        for (position, segment) in self.segments.iter().enumerate() {
            let more = if several == Some(position) { surplus } else { 0 };
            let last = next.checked_add(more)?;
            let text = path.get(spans.get(next)?.start..spans.get(last)?.end)?;
            next = last.checked_add(1)?;
            match segment {
                Segment::Literal(literal) if *literal == text => {}
                Segment::Capture(name, shape) if shape.fits(text) => {
                    captures.push((*name, text.to_owned()));
                }
                _ => return None,
            }
        }
        Some(Captures::new(captures))
    }
}

impl Shape {
    /// The same as a regular expression, as Vault shows it.
    const fn regex(self) -> &'static str {
        match self {
            Self::Name => r"\w(([\w-.]+)?\w)?",
            Self::Any => "[^/]+",
            Self::Serial => "[0-9A-Fa-f:-]+",
            Self::Path => ".+",
        }
    }

    const fn ecma(self) -> &'static str {
        match self {
            Self::Name => "[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?",
            Self::Any | Self::Serial | Self::Path => self.regex(),
        }
    }

    fn fits(self, text: &str) -> bool {
        match self {
            Self::Name => is_name(text),
            Self::Any | Self::Path => !text.is_empty(),
            Self::Serial => {
                let fits = |byte: u8| byte.is_ascii_hexdigit() || matches!(byte, b'-' | b':');
                !text.is_empty() && text.bytes().all(fits)
            }
        }
    }
}

/// The position of each segment.
fn spans(path: &str) -> impl Iterator<Item = Range<usize>> + '_ {
    let mut start = 0_usize;
    path.split('/').map(move |segment| {
        let span = start..start.saturating_add(segment.len());
        start = span.end.saturating_add(1);
        span
    })
}

fn parsed(pattern: &'static str) -> Vec<Segment> {
    pattern.split('/').map(segment).collect()
}

fn segment(text: &'static str) -> Segment {
    let Some(inner) = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')) else {
        return Segment::Literal(text);
    };
    match inner.split_once(':') {
        None => Segment::Capture(inner, Shape::Name),
        Some((name, "serial")) => Segment::Capture(name, Shape::Serial),
        Some((name, "path")) => Segment::Capture(name, Shape::Path),
        Some((name, _)) => Segment::Capture(name, Shape::Any),
    }
}

/// A parameter that a pattern captures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Captured {
    pub(super) name: &'static str,
    /// What it may be, as a regular expression of ECMA-262, which JSON Schema uses.
    pub(super) regex: &'static str,
}

/// The parameters that a pattern captures.
pub(super) fn captured(pattern: &'static str) -> impl Iterator<Item = Captured> {
    pattern.split('/').map(segment).filter_map(|segment| match segment {
        Segment::Capture(name, shape) => Some(Captured { name, regex: shape.ecma() }),
        Segment::Literal(_) => None,
    })
}

/// The pattern as a regular expression: `^issue/(?P<role>\w(([\w-.]+)?\w)?)$`.
pub(super) fn regex(pattern: &'static str) -> String {
    let segments = pattern.split('/').map(|text| match segment(text) {
        Segment::Literal(text) => text.to_owned(),
        Segment::Capture(name, shape) => format!("(?P<{name}>{})", shape.regex()),
    });
    format!("^{}$", segments.collect::<Vec<_>>().join("/"))
}

/// The pattern as people read it, without the shapes: `issue/{role}`.
pub(super) fn plain(pattern: &'static str) -> String {
    let segments = pattern.split('/').map(|text| match segment(text) {
        Segment::Literal(text) => text.to_owned(),
        Segment::Capture(name, _) => format!("{{{name}}}"),
    });
    segments.collect::<Vec<_>>().join("/")
}

impl RouteInfo {
    /// The path behind the mount as people read it: `issue/{role}`.
    pub fn path(&self) -> String {
        plain(self.pattern)
    }
}

/// `\w(([\w-.]+)?\w)?`: what Vault allows as the name of a role, an issuer or a key.
fn is_name(name: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    name.bytes().next().is_some_and(word)
        && name.bytes().next_back().is_some_and(word)
        && name.bytes().all(|byte| word(byte) || matches!(byte, b'-' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::route::{Access, BodyKind, Class};

    const fn info(operation: Operation, pattern: &'static str, access: Access) -> RouteInfo {
        RouteInfo {
            pattern,
            operation,
            access,
            class: Class::Light,
            body: BodyKind::Json,
            fields: &[],
            help: "",
            when_sealed: false,
            file: None,
        }
    }

    const TABLE: &[RouteInfo] = &[
        info(Operation::Read, "mounts", Access::Token),
        info(Operation::Update, "mounts/{path:path}", Access::Token),
        info(Operation::Read, "mounts/{path:path}/tune", Access::Token),
        info(Operation::Read, "cert/{serial:serial}", Access::Public),
        info(Operation::Read, "cert/ca", Access::Public),
        info(Operation::Read, "cert/crl", Access::Public),
        info(Operation::Update, "issue/{role}", Access::Token),
        info(Operation::Update, "root/generate/{exported:any}", Access::Token),
    ];

    fn found(path: &str, operation: Operation) -> (Option<&'static str>, Vec<String>) {
        match Matcher::new(TABLE.iter()).find(path, operation) {
            PathMatch::Route(at, captures) => (
                Some(TABLE[at].pattern),
                captures.iter().map(|(_, text)| text.to_owned()).collect(),
            ),
            PathMatch::NoOperation { .. } => (Some("no operation"), Vec::new()),
            PathMatch::Nothing => (None, Vec::new()),
        }
    }

    #[test]
    fn literals_come_before_captures_and_short_captures_before_long_ones() {
        use Operation::{Read, Update};
        for (path, operation, pattern, captures) in [
            ("mounts", Read, Some("mounts"), vec![]),
            ("mounts/", Read, Some("mounts"), vec![]),
            ("mounts/a/b", Update, Some("mounts/{path:path}"), vec!["a/b"]),
            ("mounts/a/b/tune", Read, Some("mounts/{path:path}/tune"), vec!["a/b"]),
            ("mounts/tune", Update, Some("mounts/{path:path}"), vec!["tune"]),
            ("mounts/tune/tune", Read, Some("mounts/{path:path}/tune"), vec!["tune"]),
            ("mounts/a/tune", Update, Some("no operation"), vec![]),
            ("cert/ca", Read, Some("cert/ca"), vec![]),
            ("cert/cb", Read, Some("cert/{serial:serial}"), vec!["cb"]),
            ("cert/0a:0b", Read, Some("cert/{serial:serial}"), vec!["0a:0b"]),
            ("cert/crl", Read, Some("cert/crl"), vec![]),
            ("cert/xyz", Read, None, vec![]),
            ("cert/ca", Update, Some("no operation"), vec![]),
            ("issue/web-1.x", Update, Some("issue/{role}"), vec!["web-1.x"]),
            ("issue/-web", Update, None, vec![]),
            ("issue/a/b", Update, None, vec![]),
            ("issue", Update, None, vec![]),
            ("issue//web", Update, None, vec![]),
            ("root/generate/@", Update, Some("root/generate/{exported:any}"), vec!["@"]),
            ("", Read, None, vec![]),
        ] {
            let captures: Vec<String> = captures.into_iter().map(str::to_owned).collect();
            assert_eq!(found(path, operation), (pattern, captures), "{path}");
        }
    }

    #[test]
    fn a_path_is_public_if_it_is_read_without_a_token() {
        let matcher = Matcher::new(TABLE.iter());
        let missing = |path| matcher.find(path, Operation::Delete);
        assert_eq!(missing("cert/ca"), PathMatch::NoOperation { is_public: true });
        assert_eq!(missing("mounts"), PathMatch::NoOperation { is_public: false });
    }

    #[test]
    fn people_read_patterns_without_shapes() {
        assert_eq!(plain("mounts/{path:path}/tune"), "mounts/{path}/tune");
        let names: Vec<_> =
            captured("issuer/{issuer_ref}/issue/{role}").map(|one| one.name).collect();
        assert_eq!(names, ["issuer_ref", "role"]);
        assert_eq!(regex("issue/{role}"), r"^issue/(?P<role>\w(([\w-.]+)?\w)?)$");
    }
}
