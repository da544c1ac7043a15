//! The only place that knows HTTP: connections, the way of a request, answers.

pub mod body;
mod connection;
pub mod limits;
pub mod listener;
pub mod tls;
