//! Path help, as `?help=1` asks for it, in the shape of Vault's.

use std::fmt::Write as _;
use std::sync::Arc;

use http::StatusCode;
use serde::Serialize;

use crate::ca::time::Timestamp;
use crate::engine::{Engine, Failure};
use crate::secret::Secret;

use super::field::FieldKind;
use super::kind::Surface;
use super::located::Rejection;
use super::pattern::{captured, regex};
use super::registry::{ResolvedMount, resolve};
use super::response::Response;
use super::route::{Operation, RouteInfo};
use super::unbuilt;

/// The answer to a request for help.
#[derive(Serialize)]
struct HelpAnswer {
    help: String,
}

/// Answers a request for help about a path. Every valid token may ask.
///
/// # Errors
/// A caller without a valid token, and a path that no mount holds or knows.
pub async fn answer(
    engine: &Arc<Engine>,
    path: &str,
    token: Option<Secret<String>>,
    now: Timestamp,
) -> Result<Response, Rejection> {
    let mounts = engine.current_mounts().await.map_err(Rejection::Failed)?;
    let _caller = engine.gate().authenticate(token, now).await.map_err(Rejection::Denied)?;
    let path = path.strip_suffix('/').unwrap_or(path);
    let with_slash = format!("{path}/");
    let Some(ResolvedMount { surface, rest, .. }) = resolve(engine, &mounts, &with_slash) else {
        return Err(Rejection::NoMount(path.to_owned()));
    };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let help = match surface.routes_at(rest) {
        _ if rest.is_empty() => of_mount(surface),
        routes if routes.is_empty() => match unbuilt::notice(surface.kind(), rest) {
            Some(notice) => format!("Request:        {rest}\n\n## DESCRIPTION\n\n{notice}.\n"),
            None => {
                return Err(Rejection::Failed(Failure::UnsupportedPath { notice: None }));
            }
        },
        routes => of_path(rest, &routes),
    };
    Ok(Response::plain(StatusCode::OK, HelpAnswer { help }))
}

impl FieldKind {
    /// The name of the kind in path help.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Bool => "bool",
            Self::Integer => "int",
            Self::Seconds => "duration (sec)",
            Self::List | Self::ListOrJson => "slice",
            Self::KeyValues => "keypair",
            Self::Object => "map",
        }
    }
}

/// The help of a mount's root: what it is for, and its paths.
fn of_mount(surface: &dyn Surface) -> String {
    let mut text = format!("## DESCRIPTION\n\n{}\n\n## PATHS\n\n{ABOUT_PATHS}\n\n", surface.help());
    let mut shown: Vec<&'static str> = Vec::new();
    for info in surface.routes() {
        if shown.contains(&info.pattern) {
            continue;
        }
        shown.push(info.pattern);
        // Writing to a string does not fail.
        let _ = write!(text, "    {}\n        {}\n\n", regex(info.pattern), info.help);
    }
    text
}

const ABOUT_PATHS: &str = "The following paths are supported by this backend. To view help for\nany of the paths below, use the help command with any route matching\nthe path pattern. Note that depending on the policy of your auth token,\nyou may or may not be able to access certain paths.";

/// The help of one path: what each of its operations does, and the parameters of all of them.
fn of_path(request: &str, routes: &[&'static RouteInfo]) -> String {
    let pattern = routes.first().map(|info| regex(info.pattern)).unwrap_or_default();
    let synopsis = routes.first().map_or("", |info| info.help);
    let mut text =
        format!("Request:        {request}\nMatching Route: {pattern}\n\n{synopsis}\n\n");
    let mut fields: Vec<(&str, &str, &str)> = routes
        .first()
        .into_iter()
        .flat_map(|info| captured(info.pattern))
        .map(|captured| (captured.name, "string", "Part of the path."))
        .chain(
            routes
                .iter()
                .flat_map(|info| info.fields())
                .map(|field| (field.name, field.kind.as_str(), field.help)),
        )
        .collect();
    fields.sort_unstable();
    fields.dedup();
    if !fields.is_empty() {
        text.push_str("## PARAMETERS\n\n");
        for (name, kind, help) in fields {
            let _ = write!(text, "    {name} ({kind})\n\n        {help}\n\n");
        }
    }
    text.push_str("## DESCRIPTION\n\n");
    for info in routes {
        let _ = writeln!(text, "{}: {}", operation(info.operation), info.help);
    }
    text
}

const fn operation(operation: Operation) -> &'static str {
    match operation {
        Operation::Read => "read",
        Operation::List => "list",
        Operation::Update => "write",
        Operation::Patch => "patch",
        Operation::Delete => "delete",
    }
}
