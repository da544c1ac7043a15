//! Authentication and authorisation.
//!
//! Today there is one token, the root token. Only [`Gate::authorize`] and [`Gate::admit_unauthenticated`]
//! make a [`Granted`], and no handler runs without one.

mod gate;
mod token;

pub use gate::{Action, Authenticated, Denied, Gate, Granted};
pub use token::{Capability, TokenRecord, new_token, put_token, token_key};
