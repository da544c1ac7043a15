//! The only place that knows HTTP: connections, the way of a request, answers.

pub mod body;
pub mod budget;
pub mod call;
mod connection;
pub mod fields;
mod finishing;
pub mod form;
pub mod head;
pub mod headers;
pub mod json;
pub mod limits;
pub mod listener;
mod marks;
pub mod outgoing;
pub mod parameters;
pub mod pki;
pub mod reply;
pub mod sending;
pub mod sys;
pub mod tls;
pub mod token;
pub mod v1;
