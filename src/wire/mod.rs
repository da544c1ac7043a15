//! JSON shapes shared by server and client; serde only, no behaviour.

pub mod answer;
pub mod lifecycle;
pub mod mount;
pub mod pki;
