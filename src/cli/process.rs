//! Settings of the server's process: file mode, memory protection, the limit of open files.

use std::io;

use rustix::fs::Mode;
use rustix::process::{
    DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit, umask,
};

use crate::config::ListenerConfig;

/// Descriptors that connections may not take: 256 for the store's tables (`src/store/rocks.rs`), the
/// others for logs and for files that are open while tables are written.
const RESERVED: u64 = 320;

/// Limits new files to their owner, protects the memory of the process from other processes, and
/// raises the limit of open files to its maximum.
///
/// RocksDB creates its files with mode 0644: only the umask removes the access of others. A process
/// that is not dumpable writes no core file; the server may end by abort (`src/server.rs`), and a
/// core file would hold its keys.
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

/// Allows no more connections than there are descriptors beside the store's: if the store cannot
/// open a log, the process ends. Listeners with a small `max_connections` get all of it; the others
/// share the rest.
pub(super) fn leave_descriptors(listeners: &mut [ListenerConfig]) {
    let Some(limit) = getrlimit(Resource::Nofile).current else { return };
    share(available(limit), listeners);
}

fn share(mut left: usize, listeners: &mut [ListenerConfig]) {
    let mut smallest_first: Vec<_> = listeners.iter_mut().collect();
    smallest_first.sort_by_key(|listener| listener.max_connections);
    let mut others = smallest_first.len();
    for listener in smallest_first {
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

/// The number of connections under this limit of descriptors: at least a quarter of it.
fn available(limit: u64) -> usize {
    let available = limit.saturating_sub(RESERVED.min(limit / 4 * 3));
    usize::try_from(available).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_limit_of_connections_leaves_more_to_the_other_listeners() {
        let shared = |available: usize, limits: [usize; 3]| {
            let config = crate::config::in_memory(&|_| None).unwrap();
            let mut listeners = limits.map(|limit| ListenerConfig {
                max_connections: limit,
                ..config.listeners[0].clone()
            });
            share(available, &mut listeners);
            listeners.map(|listener| listener.max_connections)
        };
        assert_eq!(shared(100, [60, 10, 30]), [60, 10, 30]);
        assert_eq!(shared(90, [60, 10, 60]), [40, 10, 40]);
        assert_eq!(shared(30, [60, 60, 60]), [10, 10, 10]);
        assert_eq!(shared(0, [1, 1, 1]), [0, 0, 0]);
    }

    #[test]
    fn connections_leave_the_store_its_descriptors() {
        assert_eq!([64, 1024, 65_536].map(available), [16, 704, 65_216]);
        assert_eq!(available(0), 0);
    }
}
