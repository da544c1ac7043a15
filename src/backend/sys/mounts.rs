//! `sys/mounts`: enable, tune, read, list, disable.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::backend::call::Call;
use crate::backend::call::Fields;
use crate::backend::call::{KeyValues, Parameters, params};
use crate::backend::fields::{FieldError, seconds};
use crate::backend::response::Response;
use crate::engine::mount::{Mount, MountRecord};
use crate::engine::sys::new_mount;
use crate::engine::{Engine, Failure, kinds};
use crate::wire::sys::{
    AuthMountAnswer, MountAnswer, MountAtPath, MountConfig, MountSettings, TuneAnswer,
    VisibleMounts,
};

params! {
    /// A mount to enable.
    pub(super) struct Enable {
        /// Type of the secrets engine, as in `pki`.
        r#type: String,
        /// Description for people.
        description: String,
        /// Settings, as `tune` takes them.
        config: Option<Map<String, Value>>,
        /// Options of the secrets engine.
        options: Option<KeyValues>,
        /// The mount is local to this cluster.
        local: bool,
        /// Values are wrapped by the seal too; stored, and every value is sealed in any case.
        seal_wrap: bool,
        /// Randomness comes from a device; refused, because this server has no such device.
        external_entropy_access: bool,
        /// Name of the plugin where the type is `plugin`.
        plugin_name: String,
    } accepts {
        /// Version of the plugin; built-in engines have one version.
        plugin_version: String,
    }
}

params! {
    /// Settings of a mount.
    pub(super) struct Tune {
        /// Default time to live, as a duration; `system` takes the server's.
        default_lease_ttl: String,
        /// Longest time to live, as a duration; `system` takes the server's.
        max_lease_ttl: String,
        /// Description for people.
        description: Option<String>,
        /// Options of the secrets engine.
        options: Option<KeyValues>,
        /// Whether callers without a token see the mount: `hidden` or `unauth`.
        listing_visibility: Option<String>,
        /// Reads skip every cache.
        force_no_cache: Option<bool>,
        /// Names of request fields that an audit log shows in clear.
        audit_non_hmac_request_keys: Option<Vec<String>>,
        /// Names of response fields that an audit log shows in clear.
        audit_non_hmac_response_keys: Option<Vec<String>>,
        /// Request headers that the mount sees.
        passthrough_request_headers: Option<Vec<String>>,
        /// Response headers that the mount may set.
        allowed_response_headers: Option<Vec<String>>,
        /// Names of managed keys that the mount may use.
        allowed_managed_keys: Option<Vec<String>>,
        /// Accessors of auth mounts to which the mount may delegate.
        delegated_auth_accessors: Option<Vec<String>>,
        /// Type of the tokens of an auth mount.
        token_type: Option<String>,
    } accepts {
        /// Version of the plugin; built-in engines have one version.
        plugin_version: String,
        /// Key that signs identity tokens of the mount.
        identity_token_key: String,
        /// Slashes at the end of a path are removed.
        trim_request_trailing_slashes: bool,
        /// A version that differs from the pinned one is allowed.
        override_pinned_version: bool,
        /// Lockout settings of an auth mount.
        user_lockout_config: Option<Map<String, Value>>,
    }
}

impl Tune {
    /// Settings that are lists of words, by Vault's name.
    fn lists(&self) -> [(&'static str, &Option<Vec<String>>); 6] {
        [
            ("audit_non_hmac_request_keys", &self.audit_non_hmac_request_keys),
            ("audit_non_hmac_response_keys", &self.audit_non_hmac_response_keys),
            ("passthrough_request_headers", &self.passthrough_request_headers),
            ("allowed_response_headers", &self.allowed_response_headers),
            ("allowed_managed_keys", &self.allowed_managed_keys),
            ("delegated_auth_accessors", &self.delegated_auth_accessors),
        ]
    }
}

/// Paths that belong to the system.
const PROTECTED: [&str; 5] = ["audit/", "auth/", "cubbyhole/", "sys/", "identity/"];

pub(super) async fn list(engine: Arc<Engine>, _call: Call) -> Result<Response, Failure> {
    Ok(Response::copied(all(&engine)))
}

/// Every mount by its path, the system's own mount among them.
fn all(engine: &Engine) -> BTreeMap<String, MountAnswer> {
    let mounts = engine.mounts();
    let described = mounts.iter().map(|mount| (mount.entry.record.path.clone(), described(mount)));
    described.chain([("sys/".to_owned(), system())]).collect()
}

pub(super) async fn visible(engine: Arc<Engine>, _call: Call) -> Result<Response, Failure> {
    let token = AuthMountAnswer {
        accessor: "auth_token_00000000".to_owned(),
        description: "token based credentials".to_owned(),
        kind: "token".to_owned(),
        ..AuthMountAnswer::default()
    };
    let auth = BTreeMap::from([("token/".to_owned(), token)]);
    Ok(Response::data(VisibleMounts { auth, secret: all(&engine) }))
}

pub(super) async fn preflight(engine: Arc<Engine>, call: Call) -> Result<Response, Failure> {
    let mounts = engine.mounts();
    let path = mount_path(&call);
    let Some((mount, _)) = mounts.resolve(&path) else {
        return Err(Failure::Forbidden(format!(
            "preflight capability check returned 403, please ensure client's policies grant access to path \"{path}\""
        )));
    };
    let path = mount.entry.record.path.clone();
    Ok(Response::data(MountAtPath { mount: described(mount), path }))
}

/// The path of a mount that a request names, with a slash at its end.
fn mount_path(call: &Call) -> String {
    format!("{}/", call.captures.get("path"))
}

pub(super) async fn read(engine: Arc<Engine>, call: Call) -> Result<Response, Failure> {
    let (mounts, path) = (engine.mounts(), mount_path(&call));
    let mount = mounts
        .at(&path)
        .ok_or_else(|| Failure::refused(format!("No secret engine mount at {path}")))?;
    Ok(Response::copied(described(mount)))
}

pub(super) async fn disable(engine: Arc<Engine>, call: Call) -> Result<Response, Failure> {
    let path = mount_path(&call);
    if PROTECTED.contains(&path.as_str()) {
        return Err(Failure::refused(format!("cannot unmount \"{path}\"")));
    }
    engine.unmount(&path).await?;
    Ok(Response::done(Vec::new()))
}

fn described(mount: &Mount) -> MountAnswer {
    let record = &mount.entry.record;
    MountAnswer {
        accessor: record.accessor.clone(),
        config: MountConfig {
            default_lease_ttl: record.default_lease_ttl,
            force_no_cache: record.force_no_cache,
            max_lease_ttl: record.max_lease_ttl,
            settings: settings(record),
        },
        deprecation_status: Some("supported".to_owned()),
        description: record.description.clone(),
        external_entropy_access: record.external_entropy_access,
        local: record.local,
        options: options(record),
        running_plugin_version: running_version(),
        seal_wrap: record.seal_wrap,
        kind: record.kind.clone(),
        uuid: record.uuid.clone(),
        ..MountAnswer::default()
    }
}

fn running_version() -> String {
    format!("v{}.builtin", super::VERSION)
}

/// The mount of `sys/` itself, which no record describes.
fn system() -> MountAnswer {
    let settings = MountSettings {
        passthrough_request_headers: Some(vec!["Accept".to_owned()]),
        ..MountSettings::default()
    };
    MountAnswer {
        accessor: "system_00000000".to_owned(),
        config: MountConfig { settings, ..MountConfig::default() },
        description: "system endpoints used for control, policy and debugging".to_owned(),
        running_plugin_version: running_version(),
        seal_wrap: true,
        kind: "system".to_owned(),
        uuid: "00000000-0000-0000-0000-000000000000".to_owned(),
        ..MountAnswer::default()
    }
}

fn settings(record: &MountRecord) -> MountSettings {
    let list = |name: &str| record.lists.get(name).cloned();
    let visibility = &record.listing_visibility;
    MountSettings {
        allowed_managed_keys: list("allowed_managed_keys"),
        allowed_response_headers: list("allowed_response_headers"),
        audit_non_hmac_request_keys: list("audit_non_hmac_request_keys"),
        audit_non_hmac_response_keys: list("audit_non_hmac_response_keys"),
        delegated_auth_accessors: list("delegated_auth_accessors"),
        passthrough_request_headers: list("passthrough_request_headers"),
        listing_visibility: (!visibility.is_empty()).then(|| visibility.clone()),
    }
}

fn options(record: &MountRecord) -> Option<BTreeMap<String, String>> {
    (!record.options.is_empty()).then(|| record.options.clone())
}

pub(super) async fn enable(engine: Arc<Engine>, mut call: Call) -> Result<Response, Failure> {
    let path = mount_path(&call);
    let asked: Enable = call.read();
    let kind = if asked.r#type == "plugin" { asked.plugin_name } else { asked.r#type };
    if kind.is_empty() {
        return Err(Failure::refused("backend type must be specified as a string"));
    }
    if PROTECTED.iter().any(|protected| path.starts_with(protected)) {
        return Err(Failure::refused(format!("cannot mount \"{path}\"")));
    }
    if !kinds::is_known(&kind) {
        return Err(Failure::refused(format!("plugin not found in the catalog: {kind}")));
    }
    if asked.external_entropy_access {
        return Err(Failure::refused(
            "external_entropy_access asks for randomness from a device, which this server does not have: enable the mount without it",
        ));
    }
    let mut record = new_mount(&engine.env().entropy, &path, &kind);
    record.description = asked.description;
    record.local = asked.local;
    record.seal_wrap = asked.seal_wrap;
    if let Some(config) = asked.config {
        let mut config = Fields::read(config, &[], &[Tune::FIELDS])
            .map_err(|FieldError { text, hint }| Failure::Refused { text, hint })?;
        configure(&mut record, &Tune::read(&mut config))?;
    }
    if let Some(KeyValues(options)) = asked.options {
        record.options = options;
    }
    check_lifetimes(&record, &engine)?;
    engine.mount(record).await?;
    Ok(Response::done(Vec::new()))
}

/// Applies what was sent; what was not keeps its value.
fn configure(record: &mut MountRecord, sent: &Tune) -> Result<(), Failure> {
    for (which, sent, target) in [
        ("default", &sent.default_lease_ttl, &mut record.default_lease_ttl),
        ("max", &sent.max_lease_ttl, &mut record.max_lease_ttl),
    ] {
        match sent.as_str() {
            "" => {}
            "system" => *target = 0,
            text => {
                *target = seconds(&Value::from(text)).map_err(|why| {
                    Failure::refused(format!("unable to parse {which} TTL of {text}: {why}"))
                })?;
            }
        }
    }
    for (name, words) in sent.lists() {
        match words {
            None => {}
            Some(words) if words.is_empty() => drop(record.lists.remove(name)),
            Some(words) => drop(record.lists.insert(name.to_owned(), words.clone())),
        }
    }
    if let Some(visibility) = &sent.listing_visibility {
        if !matches!(visibility.as_str(), "" | "hidden" | "unauth") {
            return Err(Failure::refused(format!("invalid listing_visibility {visibility}")));
        }
        record.listing_visibility.clone_from(visibility);
    }
    record.force_no_cache = sent.force_no_cache.unwrap_or(record.force_no_cache);
    Ok(())
}

fn check_lifetimes(record: &MountRecord, engine: &Engine) -> Result<(), Failure> {
    let system = engine.env().lifetimes;
    let max = if record.max_lease_ttl > 0 { record.max_lease_ttl } else { system.max };
    if record.default_lease_ttl > max {
        return Err(Failure::refused(format!(
            "backend max lease TTL of {max} would be less than backend default lease TTL of {}",
            record.default_lease_ttl
        )));
    }
    Ok(())
}

pub(super) async fn tuned(engine: Arc<Engine>, call: Call) -> Result<Response, Failure> {
    let (mounts, path) = (engine.mounts(), mount_path(&call));
    let mount = mounts
        .at(&path)
        .ok_or_else(|| Failure::refused(format!("cannot fetch sysview for path \"{path}\"")))?;
    let record = &mount.entry.record;
    let lifetimes = mount.entry.lifetimes(engine.env().lifetimes);
    Ok(Response::copied(TuneAnswer {
        default_lease_ttl: lifetimes.default,
        description: record.description.clone(),
        force_no_cache: record.force_no_cache,
        max_lease_ttl: lifetimes.max,
        settings: settings(record),
        options: options(record),
    }))
}

pub(super) async fn tune(engine: Arc<Engine>, mut call: Call) -> Result<Response, Failure> {
    let path = mount_path(&call);
    let sent: Tune = call.read();
    if sent.token_type.is_some() {
        return Err(Failure::refused("'token_type' can only be modified on auth mounts"));
    }
    let change = |record: &mut MountRecord| {
        configure(record, &sent)?;
        if let Some(description) = &sent.description {
            record.description.clone_from(description);
        }
        if let Some(KeyValues(options)) = &sent.options {
            record.options.extend(options.clone());
        }
        check_lifetimes(record, &engine)
    };
    match engine.remount(&path, change).await {
        Err(Failure::NotFound) => {
            Err(Failure::refused(format!("tune of path \"{path}\" failed: no mount entry found")))
        }
        other => other.map(|()| Response::done(Vec::new())),
    }
}
