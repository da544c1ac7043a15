//! Who is calling, and what may they touch.
//!
//! Today there is one token, the root token. [`Gate::admit`] is the only way to [`Granted`], and
//! every use case behind the gate asks for one.

mod gate;
mod token;

pub use gate::{Denied, Gate, Granted};
pub use token::{Capability, TokenRecord, new_token, put_token, token_key};
