//! What the server does on its own.

pub mod plan;
