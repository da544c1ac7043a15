//! Measures of JSON trees.

use serde_json::Value;

/// The measures of a tree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Measures {
    /// Objects and arrays within each other.
    pub depth: usize,
    /// The most entries of one object or array.
    pub entries: usize,
    /// The longest string, including names of members, in bytes.
    pub string: usize,
    /// Values, names of members, and commas in both.
    pub nodes: usize,
}

/// The measures of `value`.
pub fn measure(value: &Value) -> Measures {
    let words = |text: &str| text.split(',').count();
    let inner: Vec<Measures> = match value {
        Value::Array(items) => items.iter().map(measure).collect(),
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| {
                let inner = measure(value);
                let nodes = inner.nodes + words(name);
                Measures { string: inner.string.max(name.len()), nodes, ..inner }
            })
            .collect(),
        Value::String(text) => {
            let (string, nodes) = (text.len(), words(text));
            return Measures { string, nodes, ..Measures::default() };
        }
        _ => return Measures { nodes: 1, ..Measures::default() },
    };
    let own = Measures { depth: 0, entries: inner.len(), string: 0, nodes: 1 };
    let most = inner.into_iter().fold(own, |most, one| Measures {
        depth: most.depth.max(one.depth),
        entries: most.entries.max(one.entries),
        string: most.string.max(one.string),
        nodes: most.nodes + one.nodes,
    });
    Measures { depth: most.depth + 1, ..most }
}
