//! Issuers that may not sign, revocations and revocation lists.
