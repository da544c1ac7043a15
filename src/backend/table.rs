//! The entries of a table of routes: a route as data, and its handler.

use std::sync::Arc;

use crate::engine::Failure;
use crate::engine::mount::BoxFuture;

use super::call::Call;
use super::call::Captures;
use super::field::Field;
use super::response::Response;
use super::route::{Access, BodyKind, Class, Operation, RouteInfo};

/// What a handler returns: boxed, so that each request holds the memory of its own handler and not of the largest.
pub type HandlerFuture = BoxFuture<'static, Result<Response, Failure>>;

type Run<B> = fn(Arc<B>, Call) -> HandlerFuture;
type Exists<B> = for<'a> fn(&'a B, &'a Captures) -> BoxFuture<'a, Result<bool, Failure>>;

/// One route of a kind of mount.
pub struct Route<B: 'static> {
    /// What it is.
    pub info: RouteInfo,
    pub(super) run: Run<B>,
    pub(super) exists: Option<Exists<B>>,
}

impl<B> Route<B> {
    /// A route for callers with a token, whose body is JSON without parameters.
    pub const fn new(operation: Operation, pattern: &'static str, run: Run<B>) -> Self {
        let info = RouteInfo {
            pattern,
            operation,
            access: Access::Token,
            class: Class::Light,
            body: BodyKind::Json,
            fields: &[],
            help: "",
            when_sealed: false,
            file: None,
        };
        Self { info, run, exists: None }
    }

    /// [`Operation::Read`]
    pub const fn read(pattern: &'static str, run: Run<B>) -> Self {
        Self::new(Operation::Read, pattern, run)
    }

    /// [`Operation::List`]
    pub const fn list(pattern: &'static str, run: Run<B>) -> Self {
        Self::new(Operation::List, pattern, run)
    }

    /// [`Operation::Update`]
    pub const fn update(pattern: &'static str, run: Run<B>) -> Self {
        Self::new(Operation::Update, pattern, run)
    }

    /// [`Operation::Patch`]
    pub const fn patch(pattern: &'static str, run: Run<B>) -> Self {
        Self::new(Operation::Patch, pattern, run)
    }

    /// [`Operation::Delete`]
    pub const fn delete(pattern: &'static str, run: Run<B>) -> Self {
        Self::new(Operation::Delete, pattern, run)
    }

    /// Answers without a token.
    #[must_use]
    pub const fn public(mut self) -> Self {
        self.info.access = Access::Public;
        self
    }

    /// Answers without a token, with a public file of this media type. Listeners for public files serve
    /// these routes and no others.
    #[must_use]
    pub const fn file(self, media: &'static str) -> Self {
        let mut route = self.public();
        route.info.file = Some(media);
        route
    }

    /// Another access than [`Access::Token`].
    #[must_use]
    pub const fn access(mut self, access: Access) -> Self {
        self.info.access = access;
        self
    }

    /// Answers while the store is sealed.
    #[must_use]
    pub const fn when_sealed(mut self) -> Self {
        self.info.when_sealed = true;
        self
    }

    /// How it is scheduled.
    #[must_use]
    pub const fn class(mut self, class: Class) -> Self {
        self.info.class = class;
        self
    }

    /// The parameters of body or query.
    #[must_use]
    pub const fn takes(mut self, fields: &'static [&'static [Field]]) -> Self {
        self.info.fields = fields;
        self
    }

    /// The body is bytes of this media type, at most `limit` of them.
    #[must_use]
    pub const fn raw(mut self, media: &'static str, limit: usize) -> Self {
        self.info.body = BodyKind::Raw { media, limit };
        self
    }

    /// One sentence for people.
    #[must_use]
    pub const fn help(mut self, help: &'static str) -> Self {
        self.info.help = help;
        self
    }

    /// An [`Operation::Update`] of what does not exist is [`Capability::Create`]: this says whether it
    /// exists.
    #[must_use]
    pub const fn exists(mut self, exists: Exists<B>) -> Self {
        self.exists = Some(exists);
        self
    }
}

impl<B> std::fmt::Debug for Route<B> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.info.fmt(formatter)
    }
}

/// The handler of a route: an async function of the kind and the call, boxed.
macro_rules! handler {
    ($function:path $(, $argument:expr)*) => {
        |kind, call| Box::pin($function(kind, call $(, $argument)*))
    };
}
pub(crate) use handler;
