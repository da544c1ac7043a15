//! The API surface: routes as data, typed parameters, typed answers.
//!
//! One trait per kind of mount ([`kind::Backend`]) with one table of routes. A request passes through
//! a chain of types: [`located::Located`] → [`located::Authorized`] → [`located::Permitted`] → its handler.
//! A new route is one entry in a table and one handler. This module knows no HTTP connections and no JSON text.

pub mod audit;
pub mod call;
pub mod event;
pub mod field;
pub mod fields;
pub mod help;
pub mod kind;
pub mod located;
mod names;
pub mod pattern;
pub mod pki;
pub mod registry;
pub mod response;
pub mod route;
pub mod sys;
pub mod table;
pub mod token;
pub mod unbuilt;
