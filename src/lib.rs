//! Signet: a workload-identity certificate authority in one binary.
//!
//! The layers (imports only go down; `tests/layers.rs` checks it):
//!
//! | layer | module | what |
//! |---:|---|---|
//! | 1 | [`secret`], [`go`] | values that are never printed and are overwritten; Go's text formats |
//! | 2 | [`entropy`], [`ca`], [`wire`], [`hcl`] | randomness; the pure core; JSON shapes; HCL's syntax |
//! | 3 | [`clock`], [`store`], [`client`], [`config`] | time; the ordered map; the API's client; configuration files |
//! | 4 | [`keys`], [`auth`] | custody of private keys; authentication and authorisation |
//! | 5 | [`engine`] | use cases |
//! | 6 | [`backend`] | the API surface: routes as data, typed parameters and answers |
//! | 7 | [`http`] | the only place that knows HTTP |
//! | 8 | [`server`] | configuration in, running server out |
//! | 9 | [`cli`] | commands |

pub mod auth;
pub mod backend;
pub mod ca;
pub mod cli;
pub mod client;
pub mod clock;
pub mod config;
pub mod engine;
pub mod entropy;
pub mod go;
pub mod hcl;
pub mod http;
pub mod keys;
pub mod secret;
pub mod server;
pub mod store;
pub mod wire;
