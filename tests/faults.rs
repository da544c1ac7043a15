//! What happens when the machine under the server fails: the disk, the power, memory, descriptors,
//! clients. Each module is one kind of fault; `docs/dev/faults.md` lists them.
//!
//! The server is the released binary in a process of its own. The disk fails by a preloaded library
//! (`tests/crash/preload.c`), controlled through a file while the server runs. The oracle is outside:
//! it records what was answered (`tests/faults/ledger.rs`).
//!
//! Tests that take longer than a few seconds are ignored here and run by `scripts/crash --faults`;
//! a sample of each always runs.

#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test, configured by the environment, where a surprise is a failure"
)]

mod process;

#[path = "faults/bodies.rs"]
mod bodies;
#[path = "faults/clients.rs"]
mod clients;
#[path = "faults/disk.rs"]
mod disk;
#[path = "faults/files.rs"]
mod files;
#[path = "faults/kill.rs"]
mod kill;
#[path = "faults/ledger.rs"]
mod ledger;
#[path = "faults/machine.rs"]
mod machine;
#[path = "faults/memory.rs"]
mod memory;
#[path = "faults/power.rs"]
mod power;
#[path = "faults/rot.rs"]
mod rot;
