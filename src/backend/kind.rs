//! The trait of a kind of mount, and the same without its type.

use std::any::Any;
use std::future::ready;
use std::marker::PhantomData;
use std::sync::{Arc, OnceLock};

use crate::engine::Failure;
use crate::engine::mount::BoxFuture;

use super::call::Call;
use super::call::Captures;
use super::pattern::{Matcher, PathMatch};
use super::route::{Operation, RouteInfo};
use super::table::{HandlerFuture, Route};

/// The backend behind a mount, without its type.
pub type Core = Arc<dyn Any + Send + Sync>;

/// One kind of mount: a secrets engine, an auth method, or the system. It is implemented for the type that
/// holds the use cases of the kind.
pub trait Backend: Send + Sync + Sized + 'static {
    /// The type of the mount, as clients name it.
    const TYPE: &'static str;
    /// What it is for, in one paragraph: the help of the mount's root.
    const HELP: &'static str;
    /// Every route.
    const ROUTES: &'static [Route<Self>];
}

/// A kind without its type, for the registry and the request pipeline.
pub trait Surface: Send + Sync {
    /// [`Backend::TYPE`]
    fn kind(&self) -> &'static str;

    /// [`Backend::HELP`]
    fn help(&self) -> &'static str;

    /// The routes, as data.
    fn routes(&self) -> Vec<&'static RouteInfo>;

    /// The route at this position.
    fn route(&self, position: usize) -> Option<&'static RouteInfo>;

    /// What a path behind the mount means.
    fn find(&self, path: &str, operation: Operation) -> PathMatch;

    /// Every route of a path behind the mount.
    fn routes_at(&self, path: &str) -> Vec<&'static RouteInfo>;

    /// Whether what the path names exists; `None` if the route does not know.
    fn exists<'a>(
        &self,
        core: &'a (dyn Any + Send + Sync),
        position: usize,
        captures: &'a Captures,
    ) -> Option<BoxFuture<'a, Result<bool, Failure>>>;

    /// Runs the handler of a route. Only [`Permitted::run`](super::located::Permitted::run) calls it.
    fn run(&self, core: Core, position: usize, call: Call) -> HandlerFuture;
}

/// The one implementation of [`Surface`].
pub struct MountKind<B> {
    matcher: OnceLock<Matcher>,
    kind: PhantomData<fn() -> B>,
}

impl<B> MountKind<B> {
    /// The kind, for the registry.
    pub(crate) const fn new() -> Self {
        Self { matcher: OnceLock::new(), kind: PhantomData }
    }
}

impl<B: Backend> MountKind<B> {
    fn matcher(&self) -> &Matcher {
        self.matcher.get_or_init(|| Matcher::new(B::ROUTES.iter().map(|route| &route.info)))
    }
}

impl<B: Backend> Surface for MountKind<B> {
    fn kind(&self) -> &'static str {
        B::TYPE
    }

    fn help(&self) -> &'static str {
        B::HELP
    }

    fn routes(&self) -> Vec<&'static RouteInfo> {
        B::ROUTES.iter().map(|route| &route.info).collect()
    }

    fn route(&self, position: usize) -> Option<&'static RouteInfo> {
        B::ROUTES.get(position).map(|route| &route.info)
    }

    fn find(&self, path: &str, operation: Operation) -> PathMatch {
        self.matcher().find(path, operation)
    }

    fn routes_at(&self, path: &str) -> Vec<&'static RouteInfo> {
        let positions = self.matcher().positions(path);
        positions.filter_map(|position| self.route(position)).collect()
    }

    fn exists<'a>(
        &self,
        core: &'a (dyn Any + Send + Sync),
        position: usize,
        captures: &'a Captures,
    ) -> Option<BoxFuture<'a, Result<bool, Failure>>> {
        let (kind, route) = (core.downcast_ref::<B>()?, B::ROUTES.get(position)?);
        route.exists.map(|exists| exists(kind, captures))
    }

    fn run(&self, core: Core, position: usize, call: Call) -> HandlerFuture {
        match (core.downcast::<B>(), B::ROUTES.get(position)) {
            (Ok(kind), Some(route)) => (route.run)(kind, call),
            _ => {
                let why = format!("a mount of the type {} holds another type", B::TYPE);
                Box::pin(ready(Err(Failure::Internal(why))))
            }
        }
    }
}
