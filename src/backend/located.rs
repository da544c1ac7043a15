//! From a path to a handler: [`Located`], [`Authorized`], [`Permitted`]. Each is built from the one before,
//! which it consumes, so that no handler runs without the check of every step.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Map, Value};

use crate::auth::{Action, Capability, Denied, Gate, Granted};
use crate::ca::time::Timestamp;
use crate::engine::MountId;
use crate::engine::limiter::IssuanceSlot;
use crate::engine::mount::MountTable;
use crate::engine::{Engine, Failure};
use crate::secret::Secret;

use super::call::Call;
use super::call::Captures;
use super::call::Fields;
use super::fields::FieldError;
use super::kind::{Core, Surface};
use super::pattern::PathMatch;
use super::registry::{self, ResolvedMount};
use super::route::{Access, Operation, RouteInfo};
use super::table::HandlerFuture;
use super::unbuilt;

/// What a request asks for, and what answers it. It says nothing to the caller until it is authorised.
pub struct Located {
    path: String,
    operation: Operation,
    mount: Option<MountId>,
    target: Result<Target, NotFound>,
}

/// A route of a mount, with what the path captured.
struct Target {
    surface: &'static dyn Surface,
    core: Core,
    position: usize,
    info: &'static RouteInfo,
    captures: Captures,
}

/// Why there is no route.
#[derive(Clone, Debug, PartialEq, Eq)]
enum NotFound {
    Mount,
    Path { notice: Option<String> },
    Operation { is_public: bool },
}

/// The route behind a mount.
fn target_in(holder: &ResolvedMount<'_>, operation: Operation) -> Result<Target, NotFound> {
    let (surface, core) = (holder.surface, &holder.core);
    match surface.find(holder.rest, operation) {
        PathMatch::Route(position, captures) => {
            let info = surface.route(position).ok_or(NotFound::Path { notice: None })?;
            Ok(Target { surface, core: Arc::clone(core), position, info, captures })
        }
        PathMatch::NoOperation { is_public } => Err(NotFound::Operation { is_public }),
        PathMatch::Nothing => {
            Err(NotFound::Path { notice: unbuilt::notice(surface.kind(), holder.rest) })
        }
    }
}

/// A route that the caller may call, before its body is read.
pub struct Authorized {
    target: Target,
    grant: Granted,
}

/// A route that the caller may call with these parameters. Nothing else runs a handler.
pub struct Permitted {
    target: Target,
    grant: Granted,
    fields: Fields,
    raw: Bytes,
}

/// The name of a route for logs and metrics: `pki/issue/{role}`, whatever the path of the mount is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Label(&'static str, &'static str);

impl Label {
    /// The route does not exist.
    pub const NONE: Self = Self("", "");

    /// The type of the mount.
    pub const fn kind(self) -> &'static str {
        self.0
    }
}

impl fmt::Display for Label {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::NONE {
            return Ok(());
        }
        write!(formatter, "{}/{}", self.0, super::pattern::plain(self.1))
    }
}

/// Why a request does not reach a handler, or what its handler refuses.
#[derive(Debug)]
pub enum Rejection {
    /// The caller is not let in.
    Denied(Denied),
    /// The caller is let in, and there is nothing to call.
    Failed(Failure),
    /// The same where nothing at all is mounted at this path.
    NoMount(String),
}

impl Located {
    /// What the path and the operation mean.
    ///
    /// # Errors
    /// [`Failure::Sealed`] unless the route answers while the store is sealed; and if the table of mounts
    /// changed and cannot be read.
    pub async fn find(
        engine: &Arc<Engine>,
        path: String,
        operation: Operation,
    ) -> Result<Self, Failure> {
        let is_sealed = engine.env().sealed.is_sealed();
        let mounts = match is_sealed {
            true => engine.mounts(),
            false => engine.current_mounts().await?,
        };
        let located = Self::find_in(engine, &mounts, path, operation);
        if is_sealed && !located.info().is_some_and(|info| info.when_sealed) {
            return Err(Failure::Sealed);
        }
        Ok(located)
    }

    fn find_in(
        engine: &Arc<Engine>,
        mounts: &MountTable,
        path: String,
        operation: Operation,
    ) -> Self {
        let Some(holder) = registry::resolve(engine, mounts, &path) else {
            return Self::nowhere(path, operation);
        };
        let (target, mount) = (target_in(&holder, operation), Some(holder.mount));
        Self { path, operation, mount, target }
    }

    const fn nowhere(path: String, operation: Operation) -> Self {
        Self { path, operation, mount: None, target: Err(NotFound::Mount) }
    }

    /// What a path means to a kind that is not in the registry.
    #[cfg(test)]
    pub(crate) fn at(
        surface: &'static dyn Surface,
        core: Core,
        path: &str,
        operation: Operation,
    ) -> Self {
        let holder = ResolvedMount { surface, core, mount: MountId::new([7; 16]), rest: path };
        let (target, mount) = (target_in(&holder, operation), Some(holder.mount));
        Self { path: path.to_owned(), operation, mount, target }
    }

    /// The route, if there is one.
    pub fn info(&self) -> Option<&'static RouteInfo> {
        self.target.as_ref().ok().map(|target| target.info)
    }

    /// The path behind `/v1/`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What is asked of the path.
    pub const fn operation(&self) -> Operation {
        self.operation
    }

    /// The name of the route, the same for every request to it.
    pub fn label(&self) -> Label {
        let label = |target: &Target| Label(target.surface.kind(), target.info.pattern);
        self.target.as_ref().map_or(Label::NONE, label)
    }

    /// Whether it answers a caller without a token.
    pub fn needs_no_token(&self) -> bool {
        match &self.target {
            Ok(target) => target.info.needs_no_token(),
            Err(NotFound::Operation { is_public }) => *is_public,
            Err(NotFound::Mount | NotFound::Path { .. }) => false,
        }
    }

    /// Checks the token, and what it may do on this path.
    ///
    /// # Errors
    /// What the caller gets instead: only an authorized caller learns that a path does not exist.
    pub async fn authorize(
        self,
        gate: &Gate,
        token: Option<Secret<String>>,
        now: Timestamp,
    ) -> Result<Authorized, Rejection> {
        let needs_no_token = self.needs_no_token();
        let caller = match needs_no_token {
            true => None,
            false => Some(gate.authenticate(token, now).await.map_err(Rejection::Denied)?),
        };
        let capability = self.capability().await.map_err(Rejection::Failed)?;
        let Self { path, mount, target, .. } = self;
        let needs_sudo = target.as_ref().is_ok_and(|target| target.info.access == Access::Sudo);
        let action = Action { path, mount, capability, needs_sudo };
        let grant = match caller {
            None => gate.admit_unauthenticated(action),
            Some(caller) => gate.authorize(caller, action).map_err(Rejection::Denied)?,
        };
        match target {
            Ok(target) => Ok(Authorized { target, grant }),
            Err(NotFound::Mount) => Err(Rejection::NoMount(grant.action().path.clone())),
            Err(NotFound::Path { notice }) => {
                Err(Rejection::Failed(Failure::UnsupportedPath { notice }))
            }
            Err(NotFound::Operation { .. }) => {
                Err(Rejection::Failed(Failure::UnsupportedOperation))
            }
        }
    }

    /// The capability that policies must allow: creation or change, where the route distinguishes them.
    async fn capability(&self) -> Result<Capability, Failure> {
        let usual = self.operation.capability();
        let Ok(target) = &self.target else { return Ok(usual) };
        if self.operation != Operation::Update {
            return Ok(usual);
        }
        let exists = target.surface.exists(&*target.core, target.position, &target.captures);
        let Some(exists) = exists else { return Ok(usual) };
        Ok(if exists.await? { usual } else { Capability::Create })
    }
}

impl Authorized {
    /// The route.
    pub const fn info(&self) -> &'static RouteInfo {
        self.target.info
    }

    /// What was granted to whom.
    pub const fn grant(&self) -> &Granted {
        &self.grant
    }

    /// Types the parameters as the route declares them.
    ///
    /// # Errors
    /// The first parameter that cannot be converted.
    pub fn permit(self, sent: Map<String, Value>, raw: Bytes) -> Result<Permitted, Failure> {
        let Self { target, grant } = self;
        let captured: Vec<&str> = target.captures.iter().map(|(name, _)| name).collect();
        let fields = Fields::read(sent, &captured, target.info.fields)
            .map_err(|FieldError { text, hint }| Failure::Refused { text, hint })?;
        Ok(Permitted { target, grant, fields, raw })
    }
}

impl Permitted {
    /// The route.
    pub const fn info(&self) -> &'static RouteInfo {
        self.target.info
    }

    /// What was granted to whom.
    pub const fn grant(&self) -> &Granted {
        &self.grant
    }

    /// What was sent.
    pub const fn fields(&self) -> &Fields {
        &self.fields
    }

    /// Runs the handler, and returns its future as it is: one more around it would be a frame of every issue.
    pub fn run(self, now: Timestamp, slot: Option<IssuanceSlot>) -> HandlerFuture {
        let Self { target, grant, fields, raw } = self;
        let Target { surface, core, position, captures, .. } = target;
        surface.run(core, position, Call { now, grant, captures, fields, raw, slot })
    }
}
