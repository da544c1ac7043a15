//! How many refusals the log holds: a flood of requests must not fill the disk.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Lines about refusals of one address in one second.
const MAX_PER_PEER: u32 = 20;

/// Lines about refusals of all addresses in one second. It bounds the table of addresses too.
const MAX_TOTAL: u32 = 200;

/// Counts refusals. Clones share the counts.
#[derive(Clone, Debug, Default)]
pub(super) struct RefusalLimit(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// Refusals without a line that no line has counted yet. Nearly always 0, so that a request which is
    /// not refused takes no lock.
    unlogged: AtomicU64,
    window: Mutex<Window>,
}

/// The lines of one second.
#[derive(Debug, Default)]
struct Window {
    second: i64,
    lines: u32,
    peers: HashMap<Option<IpAddr>, u32>,
}

impl Window {
    /// Starts a new window in another second.
    fn move_to(&mut self, second: i64) {
        if self.second != second {
            *self = Self { second, ..Self::default() };
        }
    }

    /// Whether this refusal gets a line.
    fn allows_line(&mut self, peer: Option<IpAddr>) -> bool {
        if self.lines >= MAX_TOTAL {
            return false;
        }
        let of_peer = self.peers.entry(peer).or_default();
        if *of_peer >= MAX_PER_PEER {
            return false;
        }
        *of_peer = of_peer.saturating_add(1);
        self.lines = self.lines.saturating_add(1);
        true
    }
}

impl RefusalLimit {
    /// Whether a refusal gets a line; one that does not is counted.
    pub(super) fn allows_line(&self, peer: Option<IpAddr>, second: i64) -> bool {
        let mut window = self.0.window.lock().unwrap_or_else(PoisonError::into_inner);
        window.move_to(second);
        let is_logged = window.allows_line(peer);
        if !is_logged {
            self.0.unlogged.fetch_add(1, Ordering::Relaxed);
        }
        is_logged
    }

    /// How many refusals of earlier seconds have no line. Each is returned once.
    pub(super) fn unlogged_before(&self, second: i64) -> Option<u64> {
        if self.0.unlogged.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let mut window = self.0.window.lock().unwrap_or_else(PoisonError::into_inner);
        if window.second == second {
            return None;
        }
        window.move_to(second);
        Some(self.0.unlogged.swap(0, Ordering::Relaxed)).filter(|count| *count > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u32) -> Option<IpAddr> {
        Some(IpAddr::from(last.to_be_bytes()))
    }

    fn lines(limit: &RefusalLimit, peer: Option<IpAddr>, refusals: u32, second: i64) -> usize {
        (0..refusals).filter(|_| limit.allows_line(peer, second)).count()
    }

    #[test]
    fn a_flood_of_one_peer_gets_few_lines_and_is_counted_once() {
        let limit = RefusalLimit::default();
        assert_eq!(lines(&limit, address(1), 500, 10), 20);
        assert_eq!(lines(&limit, address(2), 5, 10), 5, "another peer keeps its lines");
        assert_eq!(limit.unlogged_before(10), None, "the second has not ended");
        assert_eq!(limit.unlogged_before(11), Some(480));
        assert_eq!(limit.unlogged_before(12), None);
        assert_eq!(lines(&limit, address(1), 5, 12), 5);
    }

    #[test]
    fn a_flood_of_many_peers_is_bounded_in_lines_and_memory() {
        let limit = RefusalLimit::default();
        let taken = (0..5_000).filter(|peer| limit.allows_line(address(*peer), 1)).count();
        assert_eq!(taken, 200);
        assert!(limit.0.window.lock().unwrap().peers.len() <= 200);
        assert_eq!(limit.unlogged_before(2), Some(4_800));
    }
}
