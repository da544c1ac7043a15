//! The load driver: requests in a closed and in an open loop, what the server used meanwhile, and
//! whether what it answered is true.
//!
//! Start reading at [`closed`] and [`open`]. A percentile of latency is only quoted from the open
//! loop, which counts from the instant when a request was due: in a closed loop a stalled server
//! slows its own questioner, and the stall vanishes from the record.

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
