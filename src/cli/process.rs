//! What a server asks of the operating system for itself, before it opens anything.

use std::io;

use rustix::fs::Mode;
use rustix::process::{
    DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit, umask,
};

use crate::config::Listener;

/// Descriptors that are not for connections: 256 tables (`src/store/rocks.rs`), logs, and what is
/// open for a moment while tables are written.
const RESERVED: u64 = 320;

/// Makes files of this process its owner's alone, keeps its memory to itself and takes all the
/// descriptors it may have.
///
/// RocksDB makes its files with mode 0644: only the umask takes the rest away. A process that does
/// not let itself be looked into leaves no core either, and it does end by abort
/// (`src/server.rs`): keys would be in that file.
pub(super) fn prepare() {
    umask(Mode::RWXG | Mode::RWXO);
    warn(set_dumpable_behavior(DumpableBehavior::NotDumpable), "memory could not be protected");
    let limit = getrlimit(Resource::Nofile);
    let most = Rlimit { current: limit.maximum, maximum: limit.maximum };
    warn(setrlimit(Resource::Nofile, most), "the limit of open files could not be raised");
}

fn warn(outcome: rustix::io::Result<()>, what: &'static str) {
    if let Err(error) = outcome {
        tracing::warn!(error = %io::Error::from(error), "{what}");
    }
}

/// Allows no more connections than there are descriptors, the store's left out: a log that cannot be
/// opened would end the process.
pub(super) fn leave_descriptors(listeners: &mut [Listener]) {
    let Some(limit) = getrlimit(Resource::Nofile).current else { return };
    let each = room(limit) / listeners.len().max(1);
    for listener in listeners {
        if listener.max_connections > each {
            tracing::warn!(
                max_connections = listener.max_connections,
                allowed = each,
                "the limit of open files allows fewer connections than configured"
            );
            listener.max_connections = each;
        }
    }
}

/// Connections under this limit of descriptors: a quarter of it at least.
fn room(limit: u64) -> usize {
    let room = limit.saturating_sub(RESERVED.min(limit / 4 * 3));
    usize::try_from(room).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_store_has_its_descriptors_before_any_connection() {
        assert_eq!([64, 1024, 65_536].map(room), [16, 704, 65_216]);
        assert_eq!(room(0), 0);
    }
}
