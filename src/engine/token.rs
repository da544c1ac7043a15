//! The store of tokens, as the kind of mount at `auth/token/`.

/// Looks tokens up for their holders.
#[derive(Debug, Default)]
pub struct Tokens;
