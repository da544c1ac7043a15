//! The subject of a leaf: its CSR, and the kind of its key.

use crate::ca::csr::{CsrError, ParsedCsr};
use crate::ca::dropped::{self, TakenFromCsr};
use crate::ca::key::{Curve, KeyKind};
use crate::ca::pem;
use crate::ca::permit::Template;
use crate::ca::role::{CsrFields, Role, RoleKey};
use crate::engine::Failure;

/// Parses a CSR in PEM.
pub(super) fn read_csr(text: &str) -> Result<ParsedCsr, Failure> {
    if text.is_empty() {
        return Err(Failure::refused("\"csr\" is empty"));
    }
    let block = pem::decode_all(text)
        .into_iter()
        .next()
        .ok_or_else(|| Failure::refused("csr contains no data"))?;
    ParsedCsr::parse(&block.der).map_err(|error| csr_failure(&error))
}

pub(super) fn csr_failure(error: &CsrError) -> Failure {
    Failure::refused(error.to_string())
}

/// The fields of a CSR that a role may copy.
pub(super) fn csr_fields(csr: &ParsedCsr) -> CsrFields {
    CsrFields {
        common_name: csr.common_name().to_owned(),
        serial_number: csr.serial_number().to_owned(),
        user_ids: csr.user_ids().to_vec(),
        names: csr.names().clone(),
        has_unreadable_other_name: csr.has_unreadable_other_name(),
        has_basic_constraints: csr.has_basic_constraints(),
    }
}

/// Warnings about what a role does not copy from a CSR.
pub(super) fn dropped_from_csr(csr: &ParsedCsr, role: &Role, template: &Template) -> Vec<String> {
    let fields = role.fields();
    let takes =
        TakenFromCsr { common_name: fields.use_csr_common_name, names: fields.use_csr_sans };
    dropped::from_leaf(csr, template, takes)
}

/// P-224 is recognised and never issued: aws-lc-rs does not support it.
fn supported(kind: KeyKind) -> Result<KeyKind, Failure> {
    if kind == KeyKind::Ec(Curve::P224) { Err(unsupported_curve()) } else { Ok(kind) }
}

/// The refusal of P-224.
pub(super) fn unsupported_curve() -> Failure {
    Failure::refused("P-224 keys are not supported; use key_bits 256, 384 or 521")
}

/// Checks that the CSR's key has the role's type and at least its size.
pub(super) fn checked_kind(role: &Role, kind: KeyKind) -> Result<KeyKind, Failure> {
    match role.key() {
        RoleKey::Kind(wanted) => {
            if wanted.as_str() != kind.as_str() {
                return Err(Failure::refused(format!(
                    "role requires keys of type {}",
                    wanted.as_str()
                )));
            }
            if kind.bits() < wanted.bits() {
                return Err(Failure::refused(format!(
                    "role requires a minimum of a {}-bit key, but CSR's key is {} bits",
                    wanted.bits(),
                    kind.bits()
                )));
            }
        }
        RoleKey::Any => {}
    }
    certifiable(kind)
}

/// Refuses keys of a kind or size that is never certified, on every path.
pub(super) fn certifiable(kind: KeyKind) -> Result<KeyKind, Failure> {
    if matches!(kind, KeyKind::Rsa(..2048)) {
        return Err(Failure::refused("RSA keys < 2048 bits are unsafe and not supported"));
    }
    supported(kind)
}
