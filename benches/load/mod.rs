//! The load driver: requests in a closed and in an open loop, the resources that the server used, and
//! the check of its answers.
//!
//! Start reading at [`closed`] and [`open`]. Percentiles of latency come only from the open loop,
//! which counts from the instant when a request was due: in a closed loop a stalled server also
//! delays the requests that would show the stall.

#![allow(unreachable_pub, reason = "parts of one program")]

pub mod attack;
pub mod bare;
pub mod closed;
pub mod connect;
pub mod histogram;
pub mod judge;
pub mod machine;
pub mod open;
pub mod peer;
pub mod seed_store;
pub mod server;
pub mod static_server;
pub mod streams;
pub mod tally;
pub mod usage;
pub mod work;
