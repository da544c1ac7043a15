//! The pure core: values in, values out.
//!
//! `ca` decides what may be signed and composes it. Time and random bytes are arguments: there is
//! no clock and no generator, and nothing is `async`, logs or accesses files. A certificate passes
//! through a chain of types: `Permit → Tbs → Linted → Signed`, and `engine` turns it into
//! `Recorded`.

pub(crate) mod algorithm_identifier;
mod alternative_names;
mod asn1;
pub mod authority;
pub mod cert;
pub mod certificate;
pub mod chain;
pub mod control;
mod copied_extensions;
pub mod crl;
pub mod csr;
mod distinguished_name;
pub mod dropped;
mod extensions;
pub mod finding;
#[cfg(test)]
mod for_tests;
mod general_names;
pub mod glob;
pub mod hostname;
pub mod jks;
pub mod key;
pub mod keystore;
pub mod lint;
pub mod name_constraints;
pub mod name_limits;
pub mod oid;
pub mod pem;
pub mod permit;
pub mod pkcs12;
pub mod public_key;
pub mod request;
mod requested;
pub mod role;
pub mod serial;
pub mod signed;
pub mod spiffe;
pub mod time;
pub mod uri;
