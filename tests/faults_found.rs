//! Regression tests for faults that a review, public reports and a first user found in November 2026.
//! The prefix of a test's name is the number of the finding: `f` for the review, `r` for a public
//! report, `n` for the notes of the first user. Each test fails without the fix; related cases are
//! next to it.
//!
//!     cargo test --test faults_found

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of a test, where a surprise is a failure"
)]

mod process;
mod support;

#[path = "faults_found/advice.rs"]
mod advice;
#[path = "faults_found/bodies.rs"]
mod bodies;
#[path = "faults_found/clients.rs"]
mod clients;
#[path = "faults_found/command_line.rs"]
mod command_line;
#[path = "faults_found/key_stores.rs"]
mod key_stores;
#[path = "faults_found/lists.rs"]
mod lists;
#[path = "faults_found/names.rs"]
mod names;
#[path = "faults_found/protocols.rs"]
mod protocols;
#[path = "faults_found/recovery.rs"]
mod recovery;
#[path = "faults_found/requests.rs"]
mod requests;
