//! Which steps of `signet pki init` are done, and which a server cannot take.

use serde_json::{Map, Value};

use super::found::{FoundAuthority, FoundState};
use super::plan::{CERTIFICATE_URL, CRL_URL, InitParameters, StepId};
use super::role;
use crate::ca::certificate::CertificateFields;
use crate::cli::duration;

/// How a step stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum StepStatus {
    /// The server has what it makes.
    Done,
    /// It is to be done.
    Open,
    /// The server has something else in its way: a sentence with the remedy.
    Conflict(String),
}

/// How a step stands on a server.
pub(super) fn status(step: StepId, init: &InitParameters, found: &FoundState) -> StepStatus {
    let (root, mount) = (&init.root_mount, &init.mount);
    match step {
        StepId::RootMount => mounted(root, ("-root-mount", "-root-ttl"), init.root_ttl, found),
        StepId::Mount => {
            mounted(mount, ("PATH", "-intermediate-ttl"), init.intermediate_ttl, found)
        }
        StepId::Root => root_status(init, &found.root),
        StepId::RootAddress => address(init, root, &found.root),
        StepId::Address => address(init, mount, &found.intermediate),
        StepId::RootUrls => urls(root, &found.root),
        StepId::Urls => urls(mount, &found.intermediate),
        StepId::RootTidy => done_if(found.root.tidies),
        StepId::Tidy => done_if(found.intermediate.tidies),
        // Both serve the import alone.
        StepId::Request | StepId::Signature => done_if(!found.intermediate.chain.is_empty()),
        StepId::Intermediate => intermediate(init, found),
        StepId::Role => role_status(init, found.role.as_ref()),
    }
}

const fn done_if(is_done: bool) -> StepStatus {
    if is_done { StepStatus::Done } else { StepStatus::Open }
}

fn mounted(
    path: &str,
    (path_flag, ttl_flag): (&str, &str),
    ttl: i64,
    found: &FoundState,
) -> StepStatus {
    let full = format!("{path}/");
    let Some(mount) = found.mounts.get(&full) else {
        let overlaps = |other: &&String| full.starts_with(*other) || other.starts_with(&full);
        return match found.mounts.keys().find(overlaps) {
            None => StepStatus::Open,
            Some(other) => StepStatus::Conflict(format!(
                "{full} cannot be mounted beside {other}: choose another {path_flag}"
            )),
        };
    };
    if mount.kind != "pki" {
        return StepStatus::Conflict(format!(
            "{full} is mounted with an engine of type {}: choose another {path_flag}",
            mount.kind
        ));
    }
    let stored = mount.config.max_lease_ttl;
    if stored == ttl {
        return StepStatus::Done;
    }
    let ttl = duration::short(ttl);
    let (stored, take_over) = match stored {
        0 => ("the server's default".to_owned(), String::new()),
        stored => {
            let stored = duration::short(stored);
            let take_over = format!("give {ttl_flag}={stored}, ");
            (stored, take_over)
        }
    };
    StepStatus::Conflict(format!(
        "{full} is mounted with {stored} as the longest lifetime, not {ttl}: {take_over}choose another {path_flag}, or change the mount: signet secrets tune -max-lease-ttl={ttl} {path}"
    ))
}

/// Does the certificate carry the trust domain's ID and no other (X509-SVID, section 3.2)?
fn belongs(certificate: &CertificateFields<'_>, init: &InitParameters) -> bool {
    certificate.names().is_ok_and(|names| names.uri == [init.domain.as_str()])
}

fn root_status(init: &InitParameters, found: &FoundAuthority) -> StepStatus {
    let Some(der) = found.chain.first() else { return StepStatus::Open };
    let is_root = CertificateFields::read(der)
        .is_ok_and(|root| root.subject() == root.issuer() && belongs(&root, init));
    if is_root {
        return StepStatus::Done;
    }
    StepStatus::Conflict(format!(
        "the default issuer of {}/ is not a root for {}: choose another -root-mount",
        init.root_mount, init.domain
    ))
}

fn intermediate(init: &InitParameters, found: &FoundState) -> StepStatus {
    let Some((der, above)) = found.intermediate.chain.split_first() else {
        return StepStatus::Open;
    };
    let is_ours = CertificateFields::read(der).is_ok_and(|certificate| belongs(&certificate, init))
        && found.root.chain.first().is_some_and(|root| above.contains(root));
    if is_ours {
        return StepStatus::Done;
    }
    StepStatus::Conflict(format!(
        "the default issuer of {}/ is not an intermediate for {} under the root of {}/: choose another PATH, or name the mount of its root with -root-mount",
        init.mount, init.domain, init.root_mount
    ))
}

fn address(init: &InitParameters, mount: &str, found: &FoundAuthority) -> StepStatus {
    let aia_path = init.aia_path(mount);
    if found.aia_path.is_empty() || found.aia_path == aia_path {
        return done_if(!found.aia_path.is_empty());
    }
    StepStatus::Conflict(format!(
        "aia_path of {mount}/config/cluster is {}, not {aia_path}: give that address in -public-address, or change it: signet write {mount}/config/cluster aia_path={aia_path}",
        found.aia_path
    ))
}

/// The lists of `config/urls`, each with its one URL in the plan.
const URL_LISTS: [(&str, Option<&str>); 4] = [
    ("issuing_certificates", Some(CERTIFICATE_URL)),
    ("crl_distribution_points", Some(CRL_URL)),
    ("delta_crl_distribution_points", None),
    ("ocsp_servers", None),
];

fn urls(mount: &str, found: &FoundAuthority) -> StepStatus {
    let list = |name: &str| {
        let list = found.urls.get(name).and_then(Value::as_array);
        list.map(Vec::as_slice).unwrap_or_default()
    };
    if URL_LISTS.iter().all(|(name, _)| list(name).is_empty()) {
        return StepStatus::Open;
    }
    let is_planned = |(name, url): &(&str, Option<&str>)| {
        list(name).iter().map(Value::as_str).eq(url.iter().map(|url| Some(*url)))
    };
    let has_templates = found.urls.get("enable_templating") == Some(&Value::Bool(true));
    if has_templates && URL_LISTS.iter().all(is_planned) {
        return StepStatus::Done;
    }
    let empty: Vec<String> = URL_LISTS.iter().map(|(name, _)| format!("{name}=")).collect();
    StepStatus::Conflict(format!(
        "{mount}/config/urls names other URLs (signet read {mount}/config/urls): to replace them, empty them first: signet write {mount}/config/urls {}",
        empty.join(" ")
    ))
}

fn role_status(init: &InitParameters, stored: Option<&Map<String, Value>>) -> StepStatus {
    let Some(stored) = stored else { return StepStatus::Open };
    let differences = role::differences(init, stored);
    if differences.is_empty() {
        return StepStatus::Done;
    }
    let (mount, role) = (&init.mount, &init.role);
    StepStatus::Conflict(format!(
        "role {role} of {mount}/ is another one: {}; name the new one with -role, or delete this one: signet delete {mount}/roles/{role}",
        differences.join(", ")
    ))
}
