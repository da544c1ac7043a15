//! One route as data: what is asked for, who may ask, what the body holds.
//!
//! Path help, the OpenAPI document, the matrix of routes and credentials, labels of metrics and the list
//! of sensitive fields are functions over [`RouteInfo`].

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::auth::Capability;
use crate::engine::Failure;

use super::call::Call;
use super::field::Field;
use super::pattern::{Captures, plain};
use super::response::Response;

/// A boxed future, so that each request holds the memory of its own handler and not of the largest.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What a handler answers.
pub type Answer = BoxFuture<'static, Result<Response, Failure>>;

/// What a request asks of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// GET and HEAD.
    Read,
    /// LIST, and GET with `list=true`.
    List,
    /// POST and PUT.
    Update,
    /// PATCH.
    Patch,
    /// DELETE.
    Delete,
}

impl Operation {
    /// Every operation, in the order in which they are documented.
    pub const ALL: [Self; 5] = [Self::Read, Self::List, Self::Update, Self::Patch, Self::Delete];

    /// What policies call it, unless a route tells creation from change.
    pub const fn capability(self) -> Capability {
        match self {
            Self::Read => Capability::Read,
            Self::List => Capability::List,
            Self::Update => Capability::Update,
            Self::Patch => Capability::Patch,
            Self::Delete => Capability::Delete,
        }
    }

    /// The method that clients send.
    pub const fn method(self) -> &'static str {
        match self {
            Self::Read => "GET",
            Self::List => "LIST",
            Self::Update => "POST",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }

    /// Does it change what is stored, or make something?
    pub const fn changes_state(self) -> bool {
        match self {
            Self::Update | Self::Patch | Self::Delete => true,
            Self::Read | Self::List => false,
        }
    }
}

/// Who may call a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Every client, without a token.
    Public,
    /// Every client: the route itself checks a credential and answers with a token.
    Login,
    /// A token whose policies allow the operation on the path.
    Token,
    /// The same, and the capability `sudo`.
    Sudo,
}

/// How a request is scheduled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// It costs less than a signature.
    Light,
    /// It signs a certificate: bounded in number, and refused under too much load.
    Issue,
    /// It takes milliseconds or more; the pool of processors bounds it.
    Heavy,
    /// It is never refused for load: revocation, and what an operator needs under load.
    Urgent,
}

/// What the body of a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyKind {
    /// A JSON object, or a form.
    Json,
    /// Bytes of one media type.
    Raw {
        /// `application/ocsp-request`
        media: &'static str,
        /// The most bytes.
        limit: usize,
    },
}

/// What a route is, without its handler.
#[derive(Clone, Copy, Debug)]
pub struct RouteInfo {
    /// The path behind the mount; see [`pattern`](super::pattern) for its syntax.
    pub pattern: &'static str,
    /// What is asked of the path.
    pub operation: Operation,
    /// Who may ask.
    pub access: Access,
    /// How it is scheduled.
    pub class: Class,
    /// What the body is.
    pub body: BodyKind,
    /// The parameters of body or query, in groups that routes share.
    pub fields: &'static [&'static [Field]],
    /// One sentence for people.
    pub help: &'static str,
    /// Does it answer while the store is sealed?
    pub when_sealed: bool,
    /// The media type, where it answers with a public file ([`Response::File`]).
    pub file: Option<&'static str>,
}

impl RouteInfo {
    /// The path behind the mount as people read it: `issue/{role}`.
    pub fn path(&self) -> String {
        plain(self.pattern)
    }

    /// Every parameter of body or query.
    pub fn fields(&self) -> impl Iterator<Item = &'static Field> + use<> {
        self.fields.iter().flat_map(|group| group.iter())
    }

    /// The names of the parameters that an audit log never shows in clear.
    pub fn sensitive(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.fields().filter(|field| field.sensitive).map(|field| field.name)
    }

    /// Does it answer a caller without a token?
    pub const fn needs_no_token(&self) -> bool {
        matches!(self.access, Access::Public | Access::Login)
    }
}

type Run<B> = fn(Arc<B>, Call) -> Answer;
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
