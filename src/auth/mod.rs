//! Who is calling, and what may they touch.
//!
//! Today there is one token, the root token. [`Gate::authorize`] and [`Gate::admit_unauthenticated`] alone
//! make a [`Granted`], and no handler runs without one.

mod gate;
mod token;

pub use gate::{Action, Authenticated, Denied, Gate, Granted};
pub use token::{Capability, TokenRecord, new_token, put_token, token_key};
