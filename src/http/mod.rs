//! The only module that knows HTTP: connections, the request pipeline, answers.

mod activity;
pub mod app;
pub mod body;
pub mod budget;
mod caching;
mod connection;
mod finishing;
pub mod form;
pub mod head;
pub mod headers;
pub mod json;
pub mod limits;
pub mod listener;
pub mod outgoing;
pub mod parameters;
mod refusal_limit;
pub mod reply;
pub mod request_log;
pub mod sending;
pub mod tls;
pub mod v1;
