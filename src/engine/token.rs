//! The token store: the kind of mount at `auth/token/`.

/// Looks up tokens.
#[derive(Debug, Default)]
pub struct Tokens;
