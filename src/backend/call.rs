//! What a handler gets.

use crate::auth::Granted;
use crate::ca::time::Timestamp;
use crate::engine::limiter::IssuanceSlot;

use super::fields::Fields;
use super::params::Parameters;
use super::pattern::Captures;

/// One request that was let in. [`Permitted`](super::located::Permitted) alone makes it.
/// No `Debug`: passwords of key stores are among the parameters.
pub struct Call {
    /// The one instant of this request.
    pub now: Timestamp,
    /// What was granted to whom.
    pub grant: Granted,
    /// What the path captured.
    pub captures: Captures,
    /// What body or query held.
    pub fields: Fields,
    /// Bytes of a body that is not JSON.
    pub raw: bytes::Bytes,
    /// The slot of a route of [`Class::Issue`](super::route::Class::Issue).
    pub slot: Option<IssuanceSlot>,
}

impl Call {
    /// Takes a group of parameters out of what was sent.
    pub fn read<P: Parameters>(&mut self) -> P {
        P::read(&mut self.fields)
    }

    /// The framework's warnings: what was ignored, what was replaced.
    pub fn warnings(&self) -> &[String] {
        self.fields.warnings()
    }
}
