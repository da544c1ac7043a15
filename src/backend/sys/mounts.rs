//! `sys/mounts`: enable, tune, read, list, disable.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::backend::call::Call;
use crate::backend::fields::{FieldError, Fields, seconds};
use crate::backend::params::{KeyValues, Parameters, params};
use crate::backend::response::Response;
use crate::engine::mount::{Mount, MountRecord};
use crate::engine::sys::new_mount;
use crate::engine::{Engine, Failure, kinds};

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
        /// Randomness comes from a device; refused, because there is none.
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

pub(super) async fn list(engine: &Engine, _call: Call) -> Result<Response, Failure> {
    Ok(Response::copied(Value::Object(all(engine))))
}

/// Every mount with its configuration, the system's own in front of the alphabet's end.
fn all(engine: &Engine) -> Map<String, Value> {
    let mut mounts: BTreeMap<String, Value> = engine
        .mounts()
        .iter()
        .map(|mount| (mount.entry.record.path.clone(), described(mount)))
        .collect();
    mounts.insert("sys/".to_owned(), system());
    mounts.into_iter().collect()
}

pub(super) async fn visible(engine: &Engine, _call: Call) -> Result<Response, Failure> {
    let token = json!({
        "accessor": "auth_token_00000000",
        "config": { "default_lease_ttl": 0, "force_no_cache": false, "max_lease_ttl": 0 },
        "description": "token based credentials",
        "type": "token",
    });
    Ok(Response::data(json!({ "auth": { "token/": token }, "secret": all(engine) })))
}

pub(super) async fn preflight(engine: &Engine, call: Call) -> Result<Response, Failure> {
    let mounts = engine.mounts();
    let path = mount_path(&call);
    let Some((mount, _)) = mounts.resolve(&path) else {
        return Err(Failure::Forbidden(format!(
            "preflight capability check returned 403, please ensure client's policies grant access to path \"{path}\""
        )));
    };
    let mut data = described(mount);
    if let Some(members) = data.as_object_mut() {
        members.insert("path".to_owned(), mount.entry.record.path.clone().into());
    }
    Ok(Response::data(data))
}

/// The path of a mount that a request names, with a slash at its end.
fn mount_path(call: &Call) -> String {
    format!("{}/", call.captures.get("path"))
}

pub(super) async fn read(engine: &Engine, call: Call) -> Result<Response, Failure> {
    let (mounts, path) = (engine.mounts(), mount_path(&call));
    let mount = mounts
        .at(&path)
        .ok_or_else(|| Failure::refused(format!("No secret engine mount at {path}")))?;
    Ok(Response::copied(described(mount)))
}

pub(super) async fn disable(engine: &Engine, call: Call) -> Result<Response, Failure> {
    let path = mount_path(&call);
    if PROTECTED.contains(&path.as_str()) {
        return Err(Failure::refused(format!("cannot unmount \"{path}\"")));
    }
    engine.unmount(&path).await?;
    Ok(Response::done(Vec::new()))
}

fn described(mount: &Mount) -> Value {
    let record = &mount.entry.record;
    let mut config = Map::new();
    config.insert("default_lease_ttl".to_owned(), record.default_lease_ttl.into());
    config.insert("force_no_cache".to_owned(), record.force_no_cache.into());
    config.insert("max_lease_ttl".to_owned(), record.max_lease_ttl.into());
    put_settings(&mut config, record);
    let options = if record.options.is_empty() { Value::Null } else { json!(record.options) };
    json!({
        "accessor": record.accessor,
        "config": config,
        "deprecation_status": "supported",
        "description": record.description,
        "external_entropy_access": record.external_entropy_access,
        "local": record.local,
        "options": options,
        "plugin_version": "",
        "running_plugin_version": running_version(),
        "running_sha256": "",
        "seal_wrap": record.seal_wrap,
        "type": record.kind,
        "uuid": record.uuid,
    })
}

fn running_version() -> String {
    format!("v{}.builtin", super::VERSION)
}

fn system() -> Value {
    json!({
        "accessor": "system_00000000",
        "config": {
            "default_lease_ttl": 0, "force_no_cache": false, "max_lease_ttl": 0,
            "passthrough_request_headers": ["Accept"],
        },
        "description": "system endpoints used for control, policy and debugging",
        "external_entropy_access": false,
        "local": false,
        "options": null,
        "plugin_version": "",
        "running_plugin_version": running_version(),
        "running_sha256": "",
        "seal_wrap": true,
        "type": "system",
        "uuid": "00000000-0000-0000-0000-000000000000",
    })
}

fn put_settings(config: &mut Map<String, Value>, record: &MountRecord) {
    for (name, words) in &record.lists {
        config.insert(name.clone(), json!(words));
    }
    if !record.listing_visibility.is_empty() {
        config.insert("listing_visibility".to_owned(), record.listing_visibility.clone().into());
    }
}

pub(super) async fn enable(engine: &Engine, mut call: Call) -> Result<Response, Failure> {
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
            .map_err(|FieldError(text)| Failure::refused(text))?;
        configure(&mut record, &Tune::read(&mut config))?;
    }
    if let Some(KeyValues(options)) = asked.options {
        record.options = options;
    }
    check_lifetimes(&record, engine)?;
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

pub(super) async fn tuned(engine: &Engine, call: Call) -> Result<Response, Failure> {
    let (mounts, path) = (engine.mounts(), mount_path(&call));
    let mount = mounts
        .at(&path)
        .ok_or_else(|| Failure::refused(format!("cannot fetch sysview for path \"{path}\"")))?;
    let record = &mount.entry.record;
    let lifetimes = mount.entry.lifetimes(engine.env().lifetimes);
    let mut data = Map::new();
    data.insert("default_lease_ttl".to_owned(), lifetimes.default.into());
    data.insert("description".to_owned(), record.description.clone().into());
    data.insert("force_no_cache".to_owned(), record.force_no_cache.into());
    data.insert("max_lease_ttl".to_owned(), lifetimes.max.into());
    put_settings(&mut data, record);
    if !record.options.is_empty() {
        data.insert("options".to_owned(), json!(record.options));
    }
    Ok(Response::copied(Value::Object(data)))
}

pub(super) async fn tune(engine: &Engine, mut call: Call) -> Result<Response, Failure> {
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
        check_lifetimes(record, engine)
    };
    match engine.remount(&path, change).await {
        Err(Failure::Missing) => {
            Err(Failure::refused(format!("tune of path \"{path}\" failed: no mount entry found")))
        }
        other => other.map(|()| Response::done(Vec::new())),
    }
}
