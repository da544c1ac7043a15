//! One route as data: the operation, the required authorization, the fields of the body.
//!
//! Path help, the OpenAPI document, the matrix of routes and credentials, labels of metrics and the list
//! of sensitive fields are functions over [`RouteInfo`].

use crate::auth::Capability;

use super::field::Field;

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

    /// What policies call it, unless a route distinguishes creation from change.
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

/// The authorization that a route requires.
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
    /// The required authorization.
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
