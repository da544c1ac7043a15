//! SHIM
/// SHIM
pub struct IssuanceSlot;
/// SHIM
pub struct IssuanceLimiter;
impl IssuanceLimiter {
    /// SHIM
    pub async fn acquire(&self) -> Result<IssuanceSlot, super::Failure> {
        Ok(IssuanceSlot)
    }
}
