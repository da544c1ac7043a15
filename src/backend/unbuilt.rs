//! Paths of Vault that are not in Signet. They are answered as any other path that does not exist, and a
//! warning says that the path is right and the server lacks it.

/// The version of Signet, as people name it.
pub(super) const RELEASE: &str = env!("CARGO_PKG_VERSION");

/// Paths of a kind of mount, each with everything below it; `*` matches one segment.
fn unbuilt_paths(kind: &str) -> &'static [&'static str] {
    match kind {
        "pki" => PKI,
        "system" => SYSTEM,
        "token" => TOKEN,
        _ => &[],
    }
}

const PKI: &[&str] = &[
    "acme",
    "cert-metadata",
    "certs/revocation-queue",
    "certs/revoked",
    "certs/unified-revoked",
    "cmp",
    "config/acme",
    "config/ca",
    "config/cmp",
    "config/crl",
    "config/est",
    "config/scep",
    "crl/delta",
    "crl/rotate-delta",
    "eab",
    "est",
    "issuer/*/acme",
    "issuer/*/crl/delta",
    "issuer/*/resign-crls",
    "issuer/*/roles",
    "issuer/*/sign-revocation-list",
    "issuer/*/sign-self-issued",
    "issuer/*/sign-verbatim",
    "issuers/import",
    "keys/generate",
    "keys/import",
    "ocsp",
    "revoke-with-key",
    "roles/*/acme",
    "root/replace",
    "root/sign-self-issued",
    "scep",
    "sign-verbatim",
    "tidy",
    "tidy-cancel",
    "tidy-status",
    "unified-crl",
    "unified-ocsp",
];

const SYSTEM: &[&str] = &[
    "audit",
    "audit-hash",
    "auth",
    "capabilities",
    "capabilities-accessor",
    "capabilities-self",
    "config",
    "decode-token",
    "generate-root",
    "ha-status",
    "host-info",
    "key-status",
    "leases",
    "metrics",
    "namespaces",
    "plugins",
    "policies",
    "policy",
    "pprof",
    "quotas",
    "rekey",
    "remount",
    "rotate",
    "seal",
    "step-down",
    "storage",
    "tools",
    "unseal",
    "version-history",
    "wrapping",
];

const TOKEN: &[&str] = &[
    "accessors",
    "create",
    "create-orphan",
    "lookup",
    "lookup-accessor",
    "renew",
    "renew-accessor",
    "revoke",
    "revoke-accessor",
    "revoke-orphan",
    "revoke-self",
    "roles",
    "tidy",
];

/// The answer for a path behind a mount of this kind; `None` for a path that Vault does not have either.
pub(super) fn notice(kind: &str, path: &str) -> Option<String> {
    let known = unbuilt_paths(kind).iter().find(|pattern| covers(pattern, path))?;
    Some(format!("{known} is a path of Vault that is not in Signet {RELEASE}"))
}

/// The same for a path where nothing is mounted.
pub fn notice_without_mount(path: &str) -> Option<String> {
    let what =
        ["auth/", "identity/", "cubbyhole/"].into_iter().find(|kind| path.starts_with(kind))?;
    Some(format!("{what} is a path of Vault that is not in Signet {RELEASE}"))
}

fn covers(pattern: &str, path: &str) -> bool {
    let mut segments = path.split('/').filter(|segment| !segment.is_empty());
    pattern.split('/').all(|wanted| segments.next().is_some_and(|it| wanted == "*" || wanted == it))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::registry;
    use crate::backend::route::Operation;

    #[test]
    fn no_path_in_the_lists_is_built() {
        for kind in registry::kinds() {
            assert!(!unbuilt_paths(kind.kind()).is_empty(), "{}", kind.kind());
            for pattern in unbuilt_paths(kind.kind()) {
                let path = pattern.replace('*', "default");
                assert!(
                    kind.routes_at(&path).is_empty(),
                    "{pattern} is built: remove it from the list"
                );
                for operation in [Operation::Read, Operation::Update] {
                    let found = kind.find(&path, operation);
                    assert!(
                        matches!(found, crate::backend::pattern::PathMatch::Nothing),
                        "{pattern}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_path_is_covered_by_whole_segments() {
        assert!(covers("config/acme", "config/acme"));
        assert!(covers("acme", "acme/directory"));
        assert!(covers("issuer/*/sign-verbatim", "issuer/root/sign-verbatim/web"));
        for path in ["acmes", "config", "issuer/sign-verbatim", ""] {
            assert!(!covers("acme", path) && !covers("config/acme", path), "{path}");
        }
        assert_eq!(notice("pki", "nowhere"), None);
    }
}
