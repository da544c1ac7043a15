//! The pure core: values in, values out.
//!
//! `ca` decides what may be signed and composes it. It is given an instant and bytes, never a
//! clock or a generator; nothing here is `async`, logs, or touches a file. A certificate goes
//! through a chain of types: `Permit → Tbs → Linted → Signed`, and `engine` makes it `Recorded`.

pub mod key;
pub mod permit;
pub mod serial;
pub mod time;
