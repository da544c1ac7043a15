//! One parameter of a route, as data.

/// What a parameter may be. The comments name Vault's type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldKind {
    /// A text; numbers and flags are converted (`TypeString`).
    String,
    /// A flag, also as a text (`TypeBool`).
    Bool,
    /// A whole number, also as a text (`TypeInt`).
    Integer,
    /// Seconds: a number, or a Go duration with days (`TypeDurationSecond`).
    Seconds,
    /// A list, also as a text with commas (`TypeCommaStringSlice`).
    List,
    /// The same, where a text that is a JSON array is one entry.
    ListOrJson,
    /// An object whose values are texts (`TypeKVPairs`).
    KeyValues,
    /// An object (`TypeMap`).
    Object,
}

/// One parameter of body or query.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// The name in the body.
    pub name: &'static str,
    /// What it may be.
    pub kind: FieldKind,
    /// An audit log never shows it in clear.
    pub sensitive: bool,
    /// One sentence for people.
    pub help: &'static str,
}

impl Field {
    /// A parameter that is not a secret.
    pub const fn new(name: &'static str, kind: FieldKind, help: &'static str) -> Self {
        Self { name, kind, sensitive: false, help }
    }
}
