//! How much the parameters of one request may become in memory.
//!
//! Two bytes of JSON can become a value of 72 bytes in a list that doubles as it grows, and one comma
//! in a string becomes an entry of a list. So a parser counts nodes as it reads, and stops at the
//! bound: it never builds more. The memory that all requests share is counted in
//! [`BodyBudget`](super::body::BodyBudget).

use std::cell::Cell;

/// The most nodes of one request: values, names of members, and commas in texts, since a list may come
/// as one text with commas.
pub const MAX_NODES: usize = 32 * 1024;

/// The same for routes that need no token.
pub const MAX_NODES_WITHOUT_TOKEN: usize = 256;

/// The most entries of one object, array or form (Vault's `max_json_object_entry_count` and
/// `max_json_array_element_count`).
pub const MAX_ENTRIES: usize = 10_000;

/// The longest text, in bytes (Vault's `max_json_string_value_length`).
pub const MAX_STRING_LENGTH: usize = 1024 * 1024;

/// The most that one node takes in memory, in bytes: its value, its share of a list or table that grew
/// by doubling, and the copy that a schema makes of it.
const NODE_SIZE: usize = 512;

/// The remaining nodes of one request.
#[derive(Debug)]
pub struct Budget {
    most: usize,
    left: Cell<usize>,
}

impl Budget {
    /// A budget of `most` nodes.
    pub const fn of(most: usize) -> Self {
        Self { most, left: Cell::new(most) }
    }

    /// The initial number of nodes.
    pub const fn most(&self) -> usize {
        self.most
    }

    /// Takes nodes out of the budget; false if it has fewer.
    pub fn take(&self, nodes: usize) -> bool {
        let left = self.left.get().checked_sub(nodes);
        self.left.set(left.unwrap_or_default());
        left.is_some()
    }

    /// Takes what a text needs: one node for each of the words that its commas divide it into.
    pub fn take_text(&self, text: &str) -> bool {
        self.take(text.bytes().filter(|byte| *byte == b',').count().saturating_add(1))
    }
}

/// An upper bound, without parsing, of the bytes that a parser with the budget [`MAX_NODES`] builds from
/// this body, JSON or form: every node but the first follows one of these bytes or is a comma
/// written as an escape, and a text is copied with at most three bytes for one.
pub fn parsed_size_bound(body: &[u8]) -> usize {
    let (mut nodes, mut before) = (1_usize, 0);
    for byte in body {
        let begins_node = matches!(byte, b',' | b':' | b'{' | b'[' | b'&' | b'=' | b'%');
        let is_escape = *byte == b'u' && before == b'\\';
        nodes = nodes.saturating_add(usize::from(begins_node || is_escape));
        before = *byte;
    }
    size_of_nodes(nodes, body.len())
}

/// The same for any body of `bytes` bytes.
pub const fn max_parsed_size(bytes: usize) -> usize {
    size_of_nodes(MAX_NODES, bytes)
}

const fn size_of_nodes(nodes: usize, bytes: usize) -> usize {
    let nodes = if nodes < MAX_NODES { nodes } else { MAX_NODES };
    nodes.saturating_mul(NODE_SIZE).saturating_add(bytes.saturating_mul(3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_ends_at_its_bound_and_stays_there() {
        let budget = Budget::of(3);
        assert!(budget.take(2) && budget.take_text(""));
        assert!(!budget.take(1) && !budget.take(1));
        assert!(budget.take(0));
        assert!(!Budget::of(3).take_text("a,b,,c"));
        assert!(Budget::of(4).take_text("a,b,,c"));
    }

    #[test]
    fn a_small_body_is_small_when_parsed_and_a_large_one_is_bounded() {
        let usual = br#"{"uri_sans":"spiffe://example.org/team-a/api","ttl":"1h"}"#;
        assert!(parsed_size_bound(usual) < 8 * 1024);
        let zeros = vec![b','; 32 * 1024 * 1024];
        assert_eq!(parsed_size_bound(&zeros), max_parsed_size(zeros.len()));
    }
}
