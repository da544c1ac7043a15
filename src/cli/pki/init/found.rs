//! What a server has of the steps of `signet pki init`. Only requests that read are sent.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::plan::InitParameters;
use crate::ca::pem;
use crate::cli::failure::CommandFailure;
use crate::client::Client;
use crate::wire::sys::MountAnswer;

/// The state of a server, as far as the steps concern it.
#[derive(Debug, Default)]
pub(super) struct FoundState {
    /// Every mount by its path, with a slash at its end.
    pub(super) mounts: BTreeMap<String, MountAnswer>,
    pub(super) root: FoundAuthority,
    pub(super) intermediate: FoundAuthority,
    /// The role, if it is there.
    pub(super) role: Option<Map<String, Value>>,
}

/// What a PKI mount has.
#[derive(Debug, Default)]
pub(super) struct FoundAuthority {
    /// The default issuer and the issuers above it, as DER; empty without a default issuer.
    pub(super) chain: Vec<Vec<u8>>,
    pub(super) key_names: Vec<String>,
    /// `aia_path` of `config/cluster`.
    pub(super) aia_path: String,
    /// `config/urls`.
    pub(super) urls: Map<String, Value>,
    /// Whether tidy is enabled.
    pub(super) tidies: bool,
}

impl FoundState {
    /// Reads the state.
    ///
    /// # Errors
    /// The request that failed, with the server's text.
    pub(super) async fn read(
        client: &Client,
        init: &InitParameters,
    ) -> Result<Self, CommandFailure> {
        let mounts = Value::Object(data(client, "sys/mounts").await?.unwrap_or_default());
        let mounts: BTreeMap<String, MountAnswer> =
            serde_json::from_value(mounts).map_err(|error| {
                CommandFailure::server(format!("sys/mounts: an entry is malformed: {error}"))
            })?;
        let is_pki = |path: &str| mounts.get(&format!("{path}/")).is_some_and(|m| m.kind == "pki");
        let mut found = Self::default();
        if is_pki(&init.root_mount) {
            found.root = FoundAuthority::read(client, &init.root_mount).await?;
        }
        if is_pki(&init.mount) {
            found.intermediate = FoundAuthority::read(client, &init.mount).await?;
            found.role = data(client, &format!("{}/roles/{}", init.mount, init.role)).await?;
        }
        found.mounts = mounts;
        Ok(found)
    }
}

impl FoundAuthority {
    async fn read(client: &Client, mount: &str) -> Result<Self, CommandFailure> {
        let member = async |path: &str, name: &str| {
            let data = data(client, &format!("{mount}/{path}")).await?;
            Ok::<_, CommandFailure>(data.and_then(|mut data| data.remove(name)).unwrap_or_default())
        };
        let text = |value: Value| value.as_str().unwrap_or_default().to_owned();
        let has_issuer = !text(member("config/issuers", "default").await?).is_empty();
        let chain = match has_issuer {
            true => certificates(&member("issuer/default", "ca_chain").await?),
            false => Vec::new(),
        };
        Ok(Self {
            chain,
            key_names: key_names(client, mount).await?,
            aia_path: text(member("config/cluster", "aia_path").await?),
            urls: data(client, &format!("{mount}/config/urls")).await?.unwrap_or_default(),
            tidies: member("config/auto-tidy", "enabled").await? == Value::Bool(true),
        })
    }
}

async fn data(client: &Client, path: &str) -> Result<Option<Map<String, Value>>, CommandFailure> {
    let answer = client
        .read(path, &[])
        .await
        .map_err(|error| CommandFailure::request(format_args!("Error reading {path}"), &error))?;
    Ok(answer.and_then(|answer| answer.data))
}

async fn key_names(client: &Client, mount: &str) -> Result<Vec<String>, CommandFailure> {
    let path = format!("{mount}/keys");
    let answer = client
        .list(&path)
        .await
        .map_err(|error| CommandFailure::request(format_args!("Error listing {path}"), &error))?;
    let infos = answer.and_then(|answer| answer.data).and_then(|mut data| data.remove("key_info"));
    let infos = infos.as_ref().and_then(Value::as_object).into_iter().flatten();
    let name = |info: &Value| info.get("key_name").and_then(Value::as_str).map(str::to_owned);
    Ok(infos.filter_map(|(_, info)| name(info)).collect())
}

fn certificates(chain: &Value) -> Vec<Vec<u8>> {
    let texts = chain.as_array().into_iter().flatten().filter_map(Value::as_str);
    texts
        .filter_map(|text| pem::decode_first(text, &[pem::CERTIFICATE]))
        .map(|block| block.der.to_vec())
        .collect()
}
