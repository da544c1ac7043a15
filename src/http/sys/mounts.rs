//! `sys/mounts`: enable, tune, read, list, disable.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::engine::mount::{Mount, MountRecord};
use crate::engine::sys::new_mount;
use crate::engine::{Engine, Failure, kinds};
use crate::http::call::{Call, Operation};
use crate::http::fields::{FieldError, Fields, Kind, Schema, seconds};
use crate::http::reply::{Data, Envelope, Reply};

const ENABLE: Schema = &[
    ("type", Kind::Text),
    ("description", Kind::Text),
    ("config", Kind::Object),
    ("options", Kind::Pairs),
    ("local", Kind::Flag),
    ("seal_wrap", Kind::Flag),
    ("external_entropy_access", Kind::Flag),
    ("plugin_name", Kind::Text),
    ("plugin_version", Kind::Text),
];

const TUNE: Schema = &[
    ("default_lease_ttl", Kind::Text),
    ("max_lease_ttl", Kind::Text),
    ("description", Kind::Text),
    ("options", Kind::Pairs),
    ("plugin_version", Kind::Text),
    ("listing_visibility", Kind::Text),
    ("force_no_cache", Kind::Flag),
    ("audit_non_hmac_request_keys", Kind::Words),
    ("audit_non_hmac_response_keys", Kind::Words),
    ("passthrough_request_headers", Kind::Words),
    ("allowed_response_headers", Kind::Words),
    ("allowed_managed_keys", Kind::Words),
    ("delegated_auth_accessors", Kind::Words),
    ("identity_token_key", Kind::Text),
    ("trim_request_trailing_slashes", Kind::Flag),
    ("override_pinned_version", Kind::Flag),
    ("token_type", Kind::Text),
    ("user_lockout_config", Kind::Object),
];

/// Settings that are lists of words.
const LISTS: [&str; 6] = [
    "audit_non_hmac_request_keys",
    "audit_non_hmac_response_keys",
    "passthrough_request_headers",
    "allowed_response_headers",
    "allowed_managed_keys",
    "delegated_auth_accessors",
];

/// Paths that belong to the system.
const PROTECTED: [&str; 5] = ["audit/", "auth/", "cubbyhole/", "sys/", "identity/"];

pub(super) fn list(engine: &Engine) -> Reply {
    Reply::Envelope(Envelope {
        data: Some(Data(Value::Object(all(engine)))),
        copied: true,
        ..Envelope::default()
    })
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

pub(super) fn visible(engine: &Engine) -> Reply {
    let token = json!({
        "accessor": "auth_token_00000000",
        "config": { "default_lease_ttl": 0, "force_no_cache": false, "max_lease_ttl": 0 },
        "description": "token based credentials",
        "type": "token",
    });
    Reply::data(json!({ "auth": { "token/": token }, "secret": all(engine) }))
}

pub(super) fn preflight(engine: &Engine, wanted: &str) -> Result<Reply, Failure> {
    let mounts = engine.mounts();
    let path = format!("{wanted}/");
    let Some((mount, _)) = mounts.resolve(&path) else {
        return Err(Failure::Forbidden(format!(
            "preflight capability check returned 403, please ensure client's policies grant access to path \"{path}\""
        )));
    };
    let mut data = described(mount);
    if let Some(members) = data.as_object_mut() {
        members.insert("path".to_owned(), mount.entry.record.path.clone().into());
    }
    Ok(Reply::data(data))
}

pub(super) async fn dispatch(engine: &Engine, path: &str, call: &Call) -> Result<Reply, Failure> {
    if let Some(path) = path.strip_suffix("/tune") {
        let path = format!("{path}/");
        return match call.operation {
            Operation::Read => tuned(engine, &path),
            Operation::Write => tune(engine, &path, call).await,
            _ => Err(Failure::UnsupportedOperation),
        };
    }
    let path = format!("{path}/");
    match call.operation {
        Operation::Read => {
            let mounts = engine.mounts();
            let mount = mounts
                .at(&path)
                .ok_or_else(|| Failure::refused(format!("No secret engine mount at {path}")))?;
            let data = Some(Data(described(mount)));
            Ok(Reply::Envelope(Envelope { data, copied: true, ..Envelope::default() }))
        }
        Operation::Write => enable(engine, &path, call).await,
        Operation::Delete => {
            if PROTECTED.contains(&path.as_str()) {
                return Err(Failure::refused(format!("cannot unmount \"{path}\"")));
            }
            engine.unmount(&path).await?;
            Ok(Reply::Empty)
        }
        _ => Err(Failure::UnsupportedOperation),
    }
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

async fn enable(engine: &Engine, path: &str, call: &Call) -> Result<Reply, Failure> {
    let fields = Fields::read(call.parameters.clone(), &[], &[ENABLE])
        .map_err(|FieldError(text)| Failure::refused(text))?;
    let kind = match fields.text("type") {
        kind if kind == "plugin" => fields.text("plugin_name"),
        kind => kind,
    };
    if kind.is_empty() {
        return Err(Failure::refused("backend type must be specified as a string"));
    }
    if PROTECTED.iter().any(|protected| path.starts_with(protected)) {
        return Err(Failure::refused(format!("cannot mount \"{path}\"")));
    }
    if !kinds::is_known(&kind) {
        return Err(Failure::refused(format!("plugin not found in the catalog: {kind}")));
    }
    if fields.flag("external_entropy_access") {
        return Err(Failure::refused(
            "external_entropy_access asks for randomness from a device, which this server does not have: enable the mount without it",
        ));
    }
    let mut record = new_mount(&engine.env().entropy, path, &kind);
    record.description = fields.text("description");
    record.local = fields.flag("local");
    record.seal_wrap = fields.flag("seal_wrap");
    if let Some(config) = fields.object("config") {
        let config = Fields::read(config.clone(), &[], &[TUNE])
            .map_err(|FieldError(text)| Failure::refused(text))?;
        configure(&mut record, &config)?;
    }
    if let Some(options) = fields.object("options") {
        record.options = texts(options);
    }
    check_lifetimes(&record, engine)?;
    engine.mount(record).await?;
    Ok(Reply::Empty)
}

fn texts(object: &Map<String, Value>) -> BTreeMap<String, String> {
    object
        .iter()
        .map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned()))
        .collect()
}

/// Applies what was sent; what was not keeps its value.
fn configure(record: &mut MountRecord, fields: &Fields) -> Result<(), Failure> {
    for (name, target) in [
        ("default_lease_ttl", &mut record.default_lease_ttl),
        ("max_lease_ttl", &mut record.max_lease_ttl),
    ] {
        match fields.text(name).as_str() {
            "" => {}
            "system" => *target = 0,
            text => {
                *target = seconds(&Value::from(text)).map_err(|why| {
                    let which = if name.starts_with("max") { "max" } else { "default" };
                    Failure::refused(format!("unable to parse {which} TTL of {text}: {why}"))
                })?;
            }
        }
    }
    for name in LISTS {
        if let Some(words) = fields.optional_words(name) {
            let name = name.to_owned();
            if words.is_empty() {
                record.lists.remove(&name);
            } else {
                record.lists.insert(name, words);
            }
        }
    }
    if let Some(visibility) = fields.optional_text("listing_visibility") {
        if !matches!(visibility.as_str(), "" | "hidden" | "unauth") {
            return Err(Failure::refused(format!("invalid listing_visibility {visibility}")));
        }
        record.listing_visibility = visibility;
    }
    record.force_no_cache = fields.optional_flag("force_no_cache").unwrap_or(record.force_no_cache);
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

fn tuned(engine: &Engine, path: &str) -> Result<Reply, Failure> {
    let mounts = engine.mounts();
    let mount = mounts
        .at(path)
        .ok_or_else(|| Failure::refused(format!("cannot fetch sysview for path \"{path}\"")))?;
    let lifetimes = mount.entry.lifetimes(engine.env().lifetimes);
    let mut data = Map::new();
    data.insert("default_lease_ttl".to_owned(), lifetimes.default.into());
    data.insert("description".to_owned(), mount.entry.record.description.clone().into());
    data.insert("force_no_cache".to_owned(), mount.entry.record.force_no_cache.into());
    data.insert("max_lease_ttl".to_owned(), lifetimes.max.into());
    put_settings(&mut data, &mount.entry.record);
    if !mount.entry.record.options.is_empty() {
        data.insert("options".to_owned(), json!(mount.entry.record.options));
    }
    let data = Some(Data(Value::Object(data)));
    Ok(Reply::Envelope(Envelope { data, copied: true, ..Envelope::default() }))
}

async fn tune(engine: &Engine, path: &str, call: &Call) -> Result<Reply, Failure> {
    let fields = Fields::read(call.parameters.clone(), &[], &[TUNE])
        .map_err(|FieldError(text)| Failure::refused(text))?;
    if fields.has("token_type") {
        return Err(Failure::refused("'token_type' can only be modified on auth mounts"));
    }
    let change = |record: &mut MountRecord| {
        configure(record, &fields)?;
        if let Some(description) = fields.optional_text("description") {
            record.description = description;
        }
        if let Some(options) = fields.object("options").filter(|options| !options.is_empty()) {
            record.options.extend(texts(options));
        }
        check_lifetimes(record, engine)
    };
    match engine.remount(path, change).await {
        Err(Failure::Missing) => {
            Err(Failure::refused(format!("tune of path \"{path}\" failed: no mount entry found")))
        }
        other => other.map(|()| Reply::Empty),
    }
}
