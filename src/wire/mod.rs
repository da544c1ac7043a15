//! JSON shapes shared by server and client; serde only, no behaviour.

pub mod answer;
pub mod pki;
pub mod sys;
pub mod token;
