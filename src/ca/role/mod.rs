//! Roles: which certificates may be issued, and for how long.
//!
//! [`RoleFields`] is what an operator wrote and what the store keeps; `fields.rs` declares each
//! field once. [`Role`] is the same, checked and compiled; only [`RoleFields::compile`] creates
//! one. [`Role::permit`] answers a request with a [`Permit`](super::permit::Permit) or with the
//! reason for its refusal.

mod check;
mod fields;
mod hints;
mod names;
mod parameters;
mod patterns;
mod permit;
mod validity;

use crate::ca::oid::ObjectIdentifier;
use minicbor::{Decode, Encode};

pub use check::{RoleError, UnsupportedKey, key_kind};
pub(in crate::ca) use check::{extended_key_usages, key_usages};
pub(crate) use fields::role_fields;
pub use hints::shell_word;
pub use names::other_name;
pub use parameters::{CertificateParams, CsrFields, IssuanceLimits, RoleViolation};
pub(in crate::ca) use validity::check_order;
pub use validity::{
    LeafNotAfterBehavior, NotAfterRules, NotBeforeRules, RequestedValidity, TtlLimits,
    ValidityError, choose_end, choose_start, limit_to_issuer,
};

use super::key::KeyKind;
use super::permit::{KeyUsage, OtherName, Policy};

macro_rules! declare_role_fields {
    ($(
        $(#[doc = $help:expr])+
        $field:ident: $type:ty = $default:expr, $kind:ident, $cbor:meta;
    )*) => {
        /// A role as an operator wrote it. Every field has a value.
        #[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
        #[cbor(map)]
        pub struct RoleFields {
            $($(#[doc = $help])+ #[$cbor] pub $field: $type,)*
        }

        impl RoleFields {
            /// A role in which nothing was set: it allows `localhost` and no other name.
            pub fn unspecified() -> Self {
                Self { $($field: $default,)* }
            }
        }
    };
}

role_fields!(declare_role_fields);

/// Keeps a field out of the record while it is not set: records that older versions wrote do not
/// have it.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that minicbor requires")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

/// A certificate policy as it was written.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct PolicyFields {
    /// The policy's OID, dotted.
    #[n(0)]
    pub oid: String,
    /// URI of the certification practice statement.
    #[n(1)]
    pub cps: Option<String>,
    /// User notice.
    #[n(2)]
    pub notice: Option<String>,
}

/// A checked role. Only a role permits leaves.
#[derive(Clone, Debug)]
pub struct Role {
    name: String,
    fields: RoleFields,
    key: RoleKey,
    key_usage: KeyUsage,
    extended_key_usage: Vec<ObjectIdentifier>,
    policies: Vec<Policy>,
    other_sans: OtherSans,
    ip_ranges: Vec<IpRange>,
}

/// The keys that a role allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoleKey {
    /// Exactly this kind when Signet generates the key; at least this size in a CSR.
    Kind(KeyKind),
    /// Any kind.
    Any,
}

/// The other SANs that a role allows.
#[derive(Clone, Debug)]
enum OtherSans {
    Any,
    Globs(Vec<OtherName>),
}

/// An address range in CIDR form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct IpRange {
    network: u128,
    mask: u128,
    is_ipv4: bool,
}

impl Role {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The fields as they were written.
    pub const fn fields(&self) -> &RoleFields {
        &self.fields
    }

    /// The keys that it allows.
    pub const fn key(&self) -> RoleKey {
        self.key
    }
}

#[cfg(test)]
mod tests;
