//! The pure core: values in, values out.
//!
//! `ca` decides what may be signed and composes it. It is given an instant and bytes, never a
//! clock or a generator; nothing here is `async`, logs, or touches a file.

pub mod jks;
pub mod keystore;
pub mod pem;
pub mod pkcs12;
pub mod time;
