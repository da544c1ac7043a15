//! What a server asks of the operating system for itself, before it opens anything.

use std::io;

use rustix::fs::Mode;
use rustix::process::{
    DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit, umask,
};

use crate::config::ListenerConfig;

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
/// opened would end the process. Who wants little gets it; what is left is shared.
pub(super) fn leave_descriptors(listeners: &mut [ListenerConfig]) {
    let Some(limit) = getrlimit(Resource::Nofile).current else { return };
    share(room(limit), listeners);
}

fn share(mut left: usize, listeners: &mut [ListenerConfig]) {
    let mut modest_first: Vec<_> = listeners.iter_mut().collect();
    modest_first.sort_by_key(|listener| listener.max_connections);
    let mut others = modest_first.len();
    for listener in modest_first {
        let allowed = listener.max_connections.min(left / others.max(1));
        left = left.saturating_sub(allowed);
        others = others.saturating_sub(1);
        if listener.max_connections > allowed {
            tracing::warn!(
                address = %listener.address,
                max_connections = listener.max_connections,
                allowed,
                "the limit of open files allows fewer connections than configured"
            );
            listener.max_connections = allowed;
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
    fn who_wants_few_connections_leaves_the_others_more() {
        let shared = |room: usize, wishes: [usize; 3]| {
            let config = crate::config::in_memory(&|_| None).unwrap();
            let mut listeners = wishes.map(|wish| ListenerConfig {
                max_connections: wish,
                ..config.listeners[0].clone()
            });
            share(room, &mut listeners);
            listeners.map(|listener| listener.max_connections)
        };
        assert_eq!(shared(100, [60, 10, 30]), [60, 10, 30]);
        assert_eq!(shared(90, [60, 10, 60]), [40, 10, 40]);
        assert_eq!(shared(30, [60, 60, 60]), [10, 10, 10]);
        assert_eq!(shared(0, [1, 1, 1]), [0, 0, 0]);
    }

    #[test]
    fn the_store_has_its_descriptors_before_any_connection() {
        assert_eq!([64, 1024, 65_536].map(room), [16, 704, 65_216]);
        assert_eq!(room(0), 0);
    }
}
