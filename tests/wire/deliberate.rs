//! Deliberate differences to Vault: the recorded case and the reason. Each has a test in
//! `tests/deliberate.rs` and a line in `docs/compatibility.md`.

const NO_SPIFFE_ID: &str =
    "A URI SAN with the scheme spiffe that the SPIFFE standard forbids is refused.";
const NO_CONTROL: &str = "A name with a control character is refused.";
const NO_P224: &str = "P-224 is no longer offered by the cryptographic library.";
const NAME_CONSTRAINTS: &str =
    "Name constraints of every kind are built, as in later versions of Vault.";

/// Recorded case, reason.
pub(crate) const DELIBERATE: &[(u64, &str)] = &[
    (202, "Spaces around alternative names are trimmed."),
    (246, NO_SPIFFE_ID),
    (249, NO_SPIFFE_ID),
    (253, NO_SPIFFE_ID),
    (265, NO_SPIFFE_ID),
    (326, NO_SPIFFE_ID),
    (328, NO_SPIFFE_ID),
    (329, NO_SPIFFE_ID),
    (381, NO_SPIFFE_ID),
    (390, NO_SPIFFE_ID),
    (393, NO_SPIFFE_ID),
    (461, NO_SPIFFE_ID),
    (463, NO_SPIFFE_ID),
    (464, NO_SPIFFE_ID),
    (465, NO_SPIFFE_ID),
    (466, NO_SPIFFE_ID),
    (471, NO_SPIFFE_ID),
    (472, NO_SPIFFE_ID),
    (473, NO_SPIFFE_ID),
    (483, NO_SPIFFE_ID),
    (484, "An error with one cause is one sentence, not a list with one entry."),
    (583, NO_P224),
    (856, "A key usage of only keyEncipherment on an EC key does not produce an empty extension."),
    (910, NO_CONTROL),
    (911, NO_CONTROL),
    (941, "The SAN extension is critical if the subject is empty (RFC 5280, 4.2.1.6)."),
    (1088, NO_SPIFFE_ID),
    (1090, "A CA certificate is refused if the CSR lacks keyCertSign."),
    (1096, NAME_CONSTRAINTS),
    (1098, NAME_CONSTRAINTS),
    (1099, NAME_CONSTRAINTS),
    (1127, NO_P224),
];
